//! The core alone, through its exported calls: what a timer costs while a million others live, and
//! the memory of registrations. Times in nanoseconds by the monotonic clock, medians of rounds.
//! `zig build bench`, or `zig build bench -- --tiny` to see that it runs.

const std = @import("std");
const abi = @import("abi.zig");
const sys = @import("sys/linux.zig");
const exports = @import("exports.zig");
const registry = @import("registry.zig");

/// Records of one call: what a script's change area holds, and what stays in the cache.
const batch = 1024;
const ring_entries = 4096;
const rounds_most = 9;

var timers: u32 = 1_000_000;
var rounds: u32 = 5;
var growth_events: u64 = 10_000_000;
var descriptors_wanted: u32 = 100_000;

const Shape = enum {
    /// One period for all, removed and fired in the order they came: timeouts of requests.
    monotone,
    /// Any period up to an hour, removed and fired in any order.
    random,
};

/// A queue and the timers that a round puts into it. Timer `n` has `user[0]` n.
const Bench = struct {
    fd: i32,
    ring: []align(sys.page_bytes) u8,
    records: [batch]abi.Ukevent = undefined,
    periods: []u64,
    /// In which order timers are removed.
    order: []u32,
    slot: u32 = 0,
    /// Published and not yet committed.
    waiting: u32 = 0,

    fn init() !Bench {
        const ring = try sys.mapMemory(std.mem.alignForward(usize, abi.ringBytes(ring_entries), sys.page_bytes));
        const fd = exports.kevent_setup(&.{
            .size = @sizeOf(abi.Params),
            .flags = abi.Flags.KEVENT_FLAGS_SINGLE,
            .ring_entries = ring_entries,
            .ring_bytes = @intCast(abi.ringBytes(ring_entries)),
            .changes_bytes = 0,
            .names_bytes = 0,
            .ring_fd = -1,
            .backend = abi.Backend.KEVENT_BACKEND_AUTO,
            .seed_low = 0,
            .seed_high = 0,
        }, ring.ptr, null, null);
        must(fd >= 0, "kevent_setup");
        return .{ .fd = fd, .ring = ring, .periods = try memoryOf(u64, timers), .order = try memoryOf(u32, timers) };
    }

    fn deinit(bench: *Bench) void {
        must(exports.kevent_close(bench.fd) == 0, "kevent_close");
        sys.unmapMemory(bench.ring);
        sys.unmapMemory(@alignCast(std.mem.sliceAsBytes(bench.periods).ptr[0..pagesOf(u64, timers)]));
        sys.unmapMemory(@alignCast(std.mem.sliceAsBytes(bench.order).ptr[0..pagesOf(u32, timers)]));
    }

    fn shuffle(bench: *Bench, random: std.Random, shape: Shape) void {
        for (bench.order, 0..) |*place, n| place.* = @intCast(n);
        if (shape == .random) random.shuffle(u32, bench.order);
    }

    fn setPeriod(bench: *Bench, random: std.Random, shape: Shape, n: u32) void {
        bench.periods[n] = 60 * std.time.ns_per_s + switch (shape) {
            .monotone => 0,
            .random => random.uintLessThan(u64, 3600 * std.time.ns_per_s),
        };
    }

    /// The time one call takes for the timers of `numbers`, by the clock around it.
    fn change(bench: *Bench, command: u32, kinds: u32, user: u32, numbers: []const u32) u64 {
        for (numbers, bench.records[0..numbers.len]) |n, *record| {
            record.* = .zero;
            record.id.raw = .{
                @intCast(bench.periods[n] / std.time.ns_per_s),
                @intCast(bench.periods[n] % std.time.ns_per_s),
            };
            record.type = abi.Type.KEVENT_TIMER;
            record.event = abi.Timer.KEVENT_TIMER_FIRED | kinds;
            record.req_flags = abi.Request.KEVENT_REQ_ONESHOT | abi.Request.KEVENT_REQ_ALWAYS_QUEUE;
            record.user = .{ n, user };
        }
        const start = sys.now(.monotonic);
        const done = exports.kevent_ctl(bench.fd, command, @intCast(numbers.len), &bench.records);
        const end = sys.now(.monotonic);
        must(done == @as(i32, @intCast(numbers.len)), "kevent_ctl");
        for (bench.records[0..numbers.len]) |*record| {
            must(record.ret_flags & abi.Return.KEVENT_RET_BROKEN == 0, "a change was refused");
        }
        return end - start;
    }

    fn changeAll(bench: *Bench, command: u32, kinds: u32, user: u32, numbers: []const u32) u64 {
        var total: u64 = 0;
        var rest = numbers;
        while (rest.len > 0) {
            const count = @min(rest.len, batch);
            total += bench.change(command, kinds, user, rest[0..count]);
            rest = rest[count..];
        }
        return total;
    }

    const Changed = struct { fill: f64, add: f64, remove: f64 };

    /// From nothing to a million; then each of them is removed and another one added in its place, a
    /// batch at a time, so that a million are live all the while.
    fn changes(bench: *Bench, random: std.Random, shape: Shape) Changed {
        bench.shuffle(random, .monotone);
        for (0..timers) |n| bench.setPeriod(random, shape, @intCast(n));
        const fill = bench.changeAll(abi.Command.KEVENT_CTL_ADD, 0, 0, bench.order);
        bench.shuffle(random, shape);
        var add: u64 = 0;
        var remove: u64 = 0;
        var rest: []const u32 = bench.order;
        while (rest.len > 0) {
            const numbers = rest[0..@min(rest.len, batch)];
            remove += bench.change(abi.Command.KEVENT_CTL_REMOVE, 0, 0, numbers);
            for (numbers) |n| bench.setPeriod(random, shape, n);
            add += bench.change(abi.Command.KEVENT_CTL_ADD, 0, 0, numbers);
            rest = rest[numbers.len..];
        }
        must(bench.registrations() == timers, "a timer is missing");
        return .{ .fill = each(fill, timers), .add = each(add, timers), .remove = each(remove, timers) };
    }

    /// Beside the million that live on, a quarter of a million with dates within one second; the time of
    /// the turns that hand them out, a millisecond's worth at a time.
    fn fire(bench: *Bench, random: std.Random, shape: Shape) !f64 {
        const count = timers / 4;
        const span = std.time.ns_per_s * @as(u64, timers) / 1_000_000;
        const from = sys.now(.monotonic) + 2 * span;
        bench.shuffle(random, .monotone);
        const dates = bench.periods[0..count];
        for (dates, 0..) |*date, n| date.* = from + n * span / count;
        if (shape == .random) random.shuffle(u64, dates);
        const kinds = abi.Timer.KEVENT_TIMER_ABSOLUTE;
        _ = bench.changeAll(abi.Command.KEVENT_CTL_ADD, kinds, 1, bench.order[0..count]);
        must(sys.now(.monotonic) < from, "adding took too long");
        sleepUntil(from);
        var total: u64 = 0;
        var fired: u64 = 0;
        var sum: u64 = 0;
        var next = from;
        while (fired < count) {
            next += std.time.ns_per_ms;
            sleepUntil(next);
            const start = sys.now(.monotonic);
            bench.turn();
            const end = sys.now(.monotonic);
            total += end - start;
            fired += bench.waiting;
            sum += bench.consume(end);
        }
        must(sum == @as(u64, count) * (count - 1) / 2, "not every timer fired once");
        return each(total, count);
    }

    fn turn(bench: *Bench) void {
        const waiting = exports.kevent_turn(bench.fd, 0, bench.waiting, 0, 0);
        must(waiting >= 0, "kevent_turn");
        bench.waiting = @intCast(waiting);
    }

    /// Adds up the timers in the ring, and looks whether one was early.
    fn consume(bench: *Bench, now_ns: u64) u64 {
        const records: [*]const abi.Ukevent = @ptrCast(@alignCast(bench.ring[@sizeOf(abi.KeventRing)..].ptr));
        var sum: u64 = 0;
        for (0..bench.waiting) |_| {
            const record = &records[bench.slot];
            bench.slot = if (bench.slot + 1 == ring_entries) 0 else bench.slot + 1;
            must(bench.periods[record.user[0]] <= now_ns, "a timer was early");
            sum += record.user[0];
        }
        return sum;
    }

    fn registrations(bench: *Bench) u32 {
        const queue = registry.acquire(bench.fd) catch unreachable;
        defer registry.release(queue);
        return queue.kevents.count;
    }

    /// Ten million short timers, a batch at a time: registrations made, fired and gone.
    fn growth(bench: *Bench) void {
        for (bench.periods[0..batch], bench.order[0..batch], 0..) |*period, *place, n| {
            period.* = 1 + n;
            place.* = @intCast(n);
        }
        var done: u64 = 0;
        while (done < growth_events) {
            _ = bench.change(abi.Command.KEVENT_CTL_ADD, 0, 0, bench.order[0..batch]);
            var got: u64 = 0;
            while (got < batch) {
                bench.turn();
                got += bench.waiting;
                bench.slot = (bench.slot + bench.waiting) % ring_entries;
            }
            done += got;
        }
        must(bench.registrations() == 0, "a timer stayed");
    }
};

fn benchChanges(shape: Shape) !void {
    var fill: [rounds_most]f64 = undefined;
    var add: [rounds_most]f64 = undefined;
    var remove: [rounds_most]f64 = undefined;
    var fired: [rounds_most]f64 = undefined;
    for (0..rounds) |round| {
        var random: std.Random.DefaultPrng = .init(round + 1);
        var bench: Bench = try .init();
        defer bench.deinit();
        const changed = bench.changes(random.random(), shape);
        fill[round] = changed.fill;
        add[round] = changed.add;
        remove[round] = changed.remove;
        fired[round] = try bench.fire(random.random(), shape);
    }
    tell("core: timer added, {t}", .{shape}, median(&add), "ns");
    tell("core: timer removed, {t}", .{shape}, median(&remove), "ns");
    tell("core: timer fired, {t}", .{shape}, median(&fired), "ns");
    tell("core: timer added to fresh memory, {t}", .{shape}, median(&fill), "ns");
}

fn benchTimerMemory() !void {
    var bench: Bench = try .init();
    defer bench.deinit();
    var random: std.Random.DefaultPrng = .init(1);
    bench.shuffle(random.random(), .monotone);
    for (0..timers) |n| bench.setPeriod(random.random(), .random, @intCast(n));
    const before = try residentBytes();
    _ = bench.changeAll(abi.Command.KEVENT_CTL_ADD, 0, 0, bench.order);
    const grown = try residentBytes() - before;
    tell("memory: per timer, resident", .{}, each(grown, timers), "bytes");
    const queue = try registry.acquire(bench.fd);
    defer registry.release(queue);
    const wheel = &queue.wheels[@backingInt(sys.ClockId.monotonic)];
    const counted = @as(u64, queue.kevents.used) * @sizeOf(@import("kevent.zig").Kevent) +
        @as(u64, queue.identity.buckets) * @sizeOf(u32) + wheel.touchedBytes();
    tell("memory: per timer, by the pools", .{}, each(counted, timers), "bytes");
}

fn benchDescriptorMemory() !void {
    var bench: Bench = try .init();
    defer bench.deinit();
    const limit = raiseLimit();
    const count: u32 = @min(descriptors_wanted, limit - 64);
    const fds = try memoryOf(i32, count);
    for (fds) |*fd| fd.* = try sys.eventfd();
    defer for (fds) |fd| sys.close(fd);
    const before = try residentBytes();
    for (fds, 0..) |fd, n| {
        var record: abi.Ukevent = .zero;
        record.id.raw[0] = @intCast(fd);
        record.type = abi.Type.KEVENT_POLL;
        record.event = abi.Poll.KEVENT_POLL_IN;
        record.req_flags = abi.Request.KEVENT_REQ_ALWAYS_QUEUE;
        record.user[0] = @intCast(n);
        must(exports.kevent_ctl(bench.fd, abi.Command.KEVENT_CTL_ADD, 1, @ptrCast(&record)) == 1, "kevent_ctl");
        must(record.ret_flags == 0, "a descriptor was refused");
    }
    must(bench.registrations() == count, "a descriptor is missing");
    // What the back-end has in the kernel until the first turn.
    bench.turn();
    tell("memory: per descriptor ({d}), resident", .{count}, each(try residentBytes() - before, count), "bytes");
}

fn benchGrowth() !void {
    var bench: Bench = try .init();
    defer bench.deinit();
    const all = growth_events;
    growth_events = all / 10;
    bench.growth();
    growth_events = all;
    const before = try residentBytes();
    bench.growth();
    const after = try residentBytes();
    tell("memory: growth over {d} events", .{all}, @floatFromInt((after -| before) / 1024), "kB");
}

// --- measuring -------------------------------------------------------------------------------

fn each(total: u64, count: u32) f64 {
    return @as(f64, @floatFromInt(total)) / @as(f64, @floatFromInt(count));
}

fn median(values: *[rounds_most]f64) f64 {
    std.sort.pdq(f64, values[0..rounds], {}, std.sort.asc(f64));
    return values[rounds / 2];
}

fn sleepUntil(at_ns: u64) void {
    const now_ns = sys.now(.monotonic);
    if (now_ns >= at_ns) return;
    var nobody: [0]sys.PollFd = .{};
    _ = sys.poll(&nobody, at_ns - now_ns) catch {};
}

/// `VmRSS` is counted per thread in steps; this file adds the steps up.
fn residentBytes() !u64 {
    const file = std.c.fopen("/proc/self/smaps_rollup", "r") orelse return error.NoSmaps;
    defer _ = std.c.fclose(file);
    var text: [4096]u8 = undefined;
    const length = std.c.fread(&text, 1, text.len, file);
    const key = "Rss:";
    const from = std.mem.indexOf(u8, text[0..length], key) orelse return error.NoRss;
    var words = std.mem.tokenizeScalar(u8, text[from + key.len .. length], ' ');
    return try std.fmt.parseInt(u64, words.next().?, 10) * 1024;
}

fn raiseLimit() u32 {
    var limit: std.c.rlimit = undefined;
    must(std.c.getrlimit(.NOFILE, &limit) == 0, "getrlimit");
    limit.cur = limit.max;
    _ = std.c.setrlimit(.NOFILE, &limit);
    return @intCast(@min(limit.cur, 1 << 20));
}

fn pagesOf(comptime T: type, count: usize) usize {
    return std.mem.alignForward(usize, count * @sizeOf(T), sys.page_bytes);
}

/// Memory of the bench itself; touched, so that it is not counted as anybody's growth.
fn memoryOf(comptime T: type, count: usize) ![]T {
    const memory = try sys.mapMemory(pagesOf(T, count));
    @memset(memory, 0);
    const items: [*]T = @ptrCast(@alignCast(memory.ptr));
    return items[0..count];
}

fn must(ok: bool, comptime what: []const u8) void {
    if (!ok) @panic("bench: " ++ what);
}

/// One line, as `bench/run.mjs` reads it: what, a value, its unit.
fn tell(comptime what: []const u8, arguments: anytype, value: f64, unit: []const u8) void {
    var line: [256]u8 = undefined;
    const text = std.fmt.bufPrint(&line, what ++ ": {d:.1} {s}\n", arguments ++ .{ value, unit }) catch unreachable;
    _ = sys.write(1, text) catch {};
}

pub fn main(init: std.process.Init.Minimal) !void {
    var arguments = init.args.iterate();
    while (arguments.next()) |argument| {
        if (!std.mem.eql(u8, argument, "--tiny")) continue;
        timers = 5_000;
        rounds = 1;
        growth_events = 10 * batch;
        descriptors_wanted = 100;
    }
    for ([_]Shape{ .monotone, .random }) |shape| try benchChanges(shape);
    try benchTimerMemory();
    try benchDescriptorMemory();
    try benchGrowth();
}
