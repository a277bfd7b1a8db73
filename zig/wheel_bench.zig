//! How long the wheel takes per operation. A million timers, times in nanoseconds, medians of rounds.
//! `zig build wheel_bench`.

const std = @import("std");
const sys = @import("sys/linux.zig");
const Wheel = @import("wheel.zig").Wheel;

const timers = 1_000_000;
const rounds = 7;

/// Positions as far apart as in the registrations of a queue (80 bytes), where each is in a cache
/// line and soon in a page of its own; or side by side, which shows what the wheel itself takes.
const Owner = struct {
    positions: [*]u32,
    /// In words.
    apart: u32,

    inline fn at(owner: Owner, kevent: u32) *u32 {
        return &owner.positions[@as(usize, kevent) * owner.apart];
    }

    pub inline fn setPosition(owner: Owner, kevent: u32, position: u32) void {
        owner.at(kevent).* = position;
    }

    pub inline fn prefetch(owner: Owner, kevent: u32) void {
        @prefetch(owner.at(kevent), .{ .rw = .write });
    }
};

const registration_words = 20;

extern "c" fn clock_gettime(clock: c_int, out: *sys.Timespec) c_int;

/// Time this thread had a processor, so that other programs disturb less.
fn now() u64 {
    const CLOCK_THREAD_CPUTIME_ID = 3;
    var time: sys.Timespec = undefined;
    _ = clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return @as(u64, @intCast(time.s)) * std.time.ns_per_s + @as(u64, @intCast(time.ns));
}

const Shape = enum {
    /// Anywhere in ten seconds.
    random,
    /// Four periods, armed one after the other over a second.
    periods,
    /// All at the same nanosecond.
    equal,
    /// All within ten milliseconds.
    bunched,
    /// Anywhere in two minutes.
    minutes,
};

const Result = struct { insert: f64, remove: f64, pop: f64, churn: f64, pause: f64, bytes: f64 };

const Bench = struct {
    owner: Owner,
    deadlines: []u64,
    order: []u32,
    wheel: Wheel,

    fn deadlineOf(random: std.Random, shape: Shape, index: u64) u64 {
        const start = 3600 * std.time.ns_per_s;
        return start + switch (shape) {
            .random => random.uintLessThan(u64, 10 * std.time.ns_per_s),
            .periods => index * 1000 + ([_]u64{ 5, 30, 60, 2 })[random.uintLessThan(usize, 4)] * std.time.ns_per_s,
            .equal => 5 * std.time.ns_per_s,
            .bunched => 5 * std.time.ns_per_s + random.uintLessThan(u64, 10 * std.time.ns_per_ms),
            .minutes => random.uintLessThan(u64, 120 * std.time.ns_per_s),
        };
    }

    fn prepare(bench: *Bench, random: std.Random, shape: Shape) !void {
        for (bench.deadlines, bench.order, 0..) |*deadline, *order, index| {
            deadline.* = deadlineOf(random, shape, index);
            order.* = @intCast(index);
        }
        random.shuffle(u32, bench.order);
        bench.wheel = try .init();
        bench.wheel.follow(3600 * std.time.ns_per_s);
    }

    fn insertAll(bench: *Bench) !f64 {
        const start = now();
        for (bench.deadlines, 0..) |deadline, index| try bench.wheel.insert(bench.owner, @intCast(index), deadline);
        return each(start);
    }

    fn removeAll(bench: *Bench) f64 {
        const start = now();
        for (bench.order) |index| bench.wheel.remove(bench.owner, bench.owner.at(index).*);
        return each(start);
    }

    fn popAll(bench: *Bench) f64 {
        var sum: u64 = 0;
        const start = now();
        while (bench.wheel.pop(bench.owner, std.math.maxInt(u64))) |popped| sum += popped.kevent;
        if (sum != @as(u64, timers) * (timers - 1) / 2) @panic("not every timer came");
        return each(start);
    }

    /// The longest single call, in microseconds.
    fn longestPop(bench: *Bench) f64 {
        var longest: u64 = 0;
        var start = now();
        while (bench.wheel.pop(bench.owner, std.math.maxInt(u64))) |_| {
            const end = now();
            longest = @max(longest, end - start);
            start = end;
        }
        return @as(f64, @floatFromInt(longest)) / 1000;
    }

    /// Pop one and insert it again with the same shape, a million being live.
    fn churn(bench: *Bench, shape: Shape) !f64 {
        var random: std.Random.DefaultPrng = .init(5);
        const start = now();
        for (0..timers) |_| {
            const popped = bench.wheel.pop(bench.owner, std.math.maxInt(u64)).?;
            const ahead = deadlineOf(random.random(), shape, 0) - 3600 * std.time.ns_per_s;
            try bench.wheel.insert(bench.owner, popped.kevent, popped.deadline + ahead);
        }
        return each(start);
    }

    fn each(start: u64) f64 {
        return @as(f64, @floatFromInt(now() - start)) / timers;
    }

    fn round(bench: *Bench, shape: Shape, seed: u64) !Result {
        var random: std.Random.DefaultPrng = .init(seed);
        var result: Result = undefined;
        try bench.prepare(random.random(), shape);
        result.insert = try bench.insertAll();
        result.bytes = @as(f64, @floatFromInt(bench.wheel.touchedBytes())) / timers;
        result.remove = bench.removeAll();
        bench.wheel.deinit();

        try bench.prepare(random.random(), shape);
        _ = try bench.insertAll();
        result.pop = bench.popAll();
        bench.wheel.deinit();

        try bench.prepare(random.random(), shape);
        _ = try bench.insertAll();
        result.churn = try bench.churn(shape);
        bench.wheel.deinit();

        try bench.prepare(random.random(), shape);
        _ = try bench.insertAll();
        result.pause = bench.longestPop();
        bench.wheel.deinit();
        return result;
    }
};

fn memoryOf(comptime T: type, count: usize) ![]T {
    const memory = try sys.mapMemory(std.mem.alignForward(usize, count * @sizeOf(T), sys.page_bytes));
    // Faults are taken here, not in the first round.
    @memset(memory, 0);
    const items: [*]T = @ptrCast(@alignCast(memory.ptr));
    return items[0..count];
}

fn median(results: []const Result, comptime field: []const u8) f64 {
    var values: [rounds]f64 = undefined;
    for (results, &values) |result, *value| value.* = @field(result, field);
    std.sort.pdq(f64, &values, {}, std.sort.asc(f64));
    return values[rounds / 2];
}

/// Prints one line per shape.
pub fn run(comptime print: fn (comptime []const u8, anytype) void) !void {
    var bench: Bench = .{
        .owner = .{ .positions = (try memoryOf(u32, timers * registration_words)).ptr, .apart = 1 },
        .deadlines = try memoryOf(u64, timers),
        .order = try memoryOf(u32, timers),
        .wheel = undefined,
    };
    for ([_]u32{ 1, registration_words }) |apart| for (std.enums.values(Shape)) |shape| {
        bench.owner.apart = apart;
        var results: [rounds]Result = undefined;
        for (&results, 1..) |*result, seed| result.* = try bench.round(shape, seed);
        print("wheel {t}, owners {d} bytes apart: insert {d:.1} ns, remove {d:.1} ns, pop {d:.1} ns, pop and insert {d:.1} ns, longest pop {d:.0} us, {d:.2} bytes\n", .{
            shape,
            apart * 4,
            median(&results, "insert"),
            median(&results, "remove"),
            median(&results, "pop"),
            median(&results, "churn"),
            median(&results, "pause"),
            median(&results, "bytes"),
        });
    };
}

pub fn main() !void {
    try run(std.debug.print);
}
