//! Holds a queue for one thread against a model that knows every event beforehand: which, how often,
//! with what in it, in which order. User events and timers come exactly as they arrived; pipes that
//! became readable between two looks come behind what was there, in any order among themselves.
//! Timers are part of it on the simulated back-end, whose clock is moved by hand.
//!
//! `queue_fuzz.zig` is about everything else that can be done to a queue.

const std = @import("std");
const abi = @import("abi.zig");
const exports = @import("exports.zig");
const t = @import("testing.zig");
const Record = abi.Ukevent;
const Request = abi.Request;
const Return = abi.Return;
const Command = abi.Command;

const users = 4;
const pipes = 3;
const timers = 4;
const things = users + pipes + timers;
const entries_most = 8;

pub const Failure = error{ Wrong, Unavailable };

const Thing = struct {
    registered: bool = false,
    flags: u32 = 0,
    /// Its place among what is ready; 0 when it is not. Equal ones come in any order.
    arrival: u64 = 0,
    /// Made ready by hand.
    forced: bool = false,
    fired: bool = false,
    /// User events: payload and triggers. Timers: expiries missed.
    payload: u32 = 0,
    count: u32 = 0,
    /// Timers: deadline, its insertion, milliseconds of the last firing.
    deadline_ns: u64 = 0,
    inserted: u64 = 0,
    fired_ms: u32 = 0,
    in_wheel: bool = false,
};

const Kind = enum { user, pipe, timer };

fn kindOf(n: usize) Kind {
    if (n < users) return .user;
    return if (n < users + pipes) .pipe else .timer;
}

pub const ModelFuzz = struct {
    random: std.Random,
    fd: i32 = -1,
    entries: u32,
    simulated: bool,
    ends: [pipes]t.Pipe = undefined,
    bytes: [pipes]u32 = @splat(0),
    all: [things]Thing = @splat(.{}),
    arrivals: u64 = 0,
    insertions: u64 = 0,
    now_ns: u64 = @import("backend/simulated.zig").monotonic_start_ns,
    published: u64 = 0,
    committed: u64 = 0,
    weights: [operations.len]u32 = undefined,
    ring: [abi.ringBytes(entries_most)]u8 align(8) = @splat(0),

    const operations = .{ add, remove, modify, ready, trigger, write, drain, collect, publish, commit, advance };

    pub fn run(_: std.mem.Allocator, seed: u64, backend: u32, events_most: u64) anyerror!void {
        var prng: std.Random.DefaultPrng = .init(seed);
        const random = prng.random();
        const before = t.countDescriptors();
        var fuzz: ModelFuzz = .{
            .random = random,
            .entries = random.uintAtMost(u32, entries_most),
            .simulated = backend == abi.Backend.KEVENT_BACKEND_SIMULATED,
        };
        // Swarm: some operations hardly ever, others most of the time.
        for (&fuzz.weights) |*weight| weight.* = if (random.uintLessThan(u32, 4) == 0) 1 else random.intRangeAtMost(u32, 5, 100);
        try fuzz.open(backend, seed);
        for (0..events_most) |n| fuzz.step() catch |err| {
            std.debug.print("model fuzz: seed {d}, back-end {d}, ring of {d}, step {d}\n", .{ seed, backend, fuzz.entries, n });
            return err;
        };
        fuzz.close();
        if (t.countDescriptors() != before) return wrong("a descriptor was left over");
    }

    fn open(fuzz: *ModelFuzz, backend: u32, seed: u64) !void {
        var params = std.mem.zeroes(abi.Params);
        params.size = @sizeOf(abi.Params);
        params.flags = abi.Flags.KEVENT_FLAGS_SINGLE;
        params.ring_entries = fuzz.entries;
        params.ring_bytes = if (fuzz.entries > 0) @intCast(abi.ringBytes(fuzz.entries)) else 0;
        params.ring_fd = -1;
        params.backend = backend;
        params.seed_low = @truncate(seed);
        fuzz.fd = exports.kevent_setup(&params, &fuzz.ring, null, null);
        if (fuzz.fd < 0) return error.Unavailable;
        if (fuzz.simulated) _ = exports.kevent_simulate(fuzz.fd, abi.Simulate.KEVENT_SIMULATE_MANUAL_CLOCK, 1);
        for (&fuzz.ends) |*pipe| pipe.* = try .open();
    }

    fn close(fuzz: *ModelFuzz) void {
        _ = exports.kevent_close(fuzz.fd);
        for (fuzz.ends) |pipe| pipe.close();
    }

    fn step(fuzz: *ModelFuzz) !void {
        const chosen = fuzz.random.weightedIndex(u32, &fuzz.weights);
        inline for (operations, 0..) |operation, n| if (n == chosen) try operation(fuzz);
        t.queueOf(fuzz.fd).checkInvariants();
        try fuzz.compareCounts();
    }

    fn compareCounts(fuzz: *ModelFuzz) !void {
        var registered: u32 = 0;
        var waiting: u32 = 0;
        for (fuzz.all) |thing| {
            registered += @intFromBool(thing.registered);
            waiting += @intFromBool(thing.arrival != 0);
        }
        const queue = t.queueOf(fuzz.fd);
        if (queue.kevents.count != registered) return wrong("registrations");
        if (queue.ready_count != waiting) return wrong("what is ready");
    }

    fn wrong(comptime what: []const u8) Failure {
        std.debug.print("wrong: " ++ what ++ "\n", .{});
        return error.Wrong;
    }

    // --- changes -----------------------------------------------------------------------------

    fn pick(fuzz: *ModelFuzz) usize {
        return fuzz.random.uintLessThan(usize, if (fuzz.simulated) things else users + pipes);
    }

    fn recordOf(fuzz: *ModelFuzz, n: usize, flags: u32) Record {
        var r: Record = switch (kindOf(n)) {
            .user => t.userRecord(0, flags),
            .pipe => t.pollRecord(fuzz.ends[n - users].reader, t.in, flags, 0),
            .timer => t.timerRecord(periodOf(n), flags, 0),
        };
        // So that nothing is answered in place.
        r.req_flags |= Request.KEVENT_REQ_ALWAYS_QUEUE;
        r.user = .{ @intCast(n), 5 };
        return r;
    }

    /// Two of them the same, one that is not a multiple, one of a nanosecond.
    fn periodOf(n: usize) u64 {
        return ([_]u64{ 1000, 1000, 777, 1 })[n - users - pipes];
    }

    fn anyFlags(fuzz: *ModelFuzz) u32 {
        var flags: u32 = 0;
        if (fuzz.random.boolean()) flags |= Request.KEVENT_REQ_ONESHOT;
        if (fuzz.random.boolean()) flags |= Request.KEVENT_REQ_WAKEUP_ALL;
        if (fuzz.random.uintLessThan(u32, 4) == 0) flags |= Request.KEVENT_REQ_LAST_CHECK;
        if (fuzz.random.uintLessThan(u32, 6) == 0) flags |= Request.KEVENT_REQ_READY;
        return flags;
    }

    fn control(fuzz: *ModelFuzz, command: u32, given: Record, wanted: bool) !void {
        var one = [1]Record{given};
        if (exports.kevent_ctl(fuzz.fd, command, 1, &one) != 1) return wrong("ctl");
        const broken = one[0].ret_flags & Return.KEVENT_RET_BROKEN != 0;
        if (broken == wanted) return wrong("whether a change is taken");
    }

    fn begin(fuzz: *ModelFuzz, n: usize, flags: u32, payload: u32) void {
        const thing = &fuzz.all[n];
        thing.* = .{ .registered = true, .flags = flags, .payload = payload };
        if (kindOf(n) == .timer) fuzz.startTimer(thing, fuzz.now_ns + periodOf(n));
        if (flags & Request.KEVENT_REQ_READY == 0) return;
        thing.forced = true;
        fuzz.arrive(thing);
    }

    fn startTimer(fuzz: *ModelFuzz, thing: *Thing, deadline_ns: u64) void {
        fuzz.insertions += 1;
        thing.deadline_ns = deadline_ns;
        thing.inserted = fuzz.insertions;
        thing.in_wheel = true;
    }

    fn arrive(fuzz: *ModelFuzz, thing: *Thing) void {
        if (thing.arrival != 0) return;
        fuzz.arrivals += 1;
        thing.arrival = fuzz.arrivals;
    }

    fn add(fuzz: *ModelFuzz) !void {
        const n = fuzz.pick();
        var given = fuzz.recordOf(n, fuzz.anyFlags());
        const payload = fuzz.random.int(u32) & 0xff;
        if (kindOf(n) == .user) given.event |= payload;
        const known = fuzz.all[n].registered;
        try fuzz.control(Command.KEVENT_CTL_ADD, given, !known);
        if (!known) fuzz.begin(n, given.req_flags, payload);
    }

    fn modify(fuzz: *ModelFuzz) !void {
        const n = fuzz.pick();
        var given = fuzz.recordOf(n, fuzz.anyFlags());
        const payload = fuzz.random.int(u32) & 0xff;
        if (kindOf(n) == .user) given.event |= payload;
        const known = fuzz.all[n].registered;
        try fuzz.control(Command.KEVENT_CTL_MODIFY, given, known);
        if (known) fuzz.begin(n, given.req_flags, payload);
    }

    fn remove(fuzz: *ModelFuzz) !void {
        const n = fuzz.pick();
        try fuzz.control(Command.KEVENT_CTL_REMOVE, fuzz.recordOf(n, 0), fuzz.all[n].registered);
        fuzz.all[n] = .{};
    }

    fn ready(fuzz: *ModelFuzz) !void {
        const n = fuzz.pick();
        const thing = &fuzz.all[n];
        try fuzz.control(Command.KEVENT_CTL_READY, fuzz.recordOf(n, 0), thing.registered);
        if (!thing.registered) return;
        thing.forced = true;
        fuzz.arrive(thing);
    }

    fn trigger(fuzz: *ModelFuzz) !void {
        const n = fuzz.random.uintLessThan(usize, users);
        const thing = &fuzz.all[n];
        var given = fuzz.recordOf(n, 0);
        const operand = fuzz.random.int(u32) & 0xff;
        given.event = abi.User.KEVENT_USER_OR | operand;
        try fuzz.control(Command.KEVENT_CTL_TRIGGER, given, thing.registered);
        if (!thing.registered) return;
        thing.payload |= operand;
        thing.count += 1;
        thing.fired = true;
        fuzz.arrive(thing);
    }

    // --- the world ---------------------------------------------------------------------------

    fn write(fuzz: *ModelFuzz) !void {
        const n = fuzz.random.uintLessThan(usize, pipes);
        if (fuzz.bytes[n] >= 1000) return;
        try fuzz.ends[n].put();
        fuzz.bytes[n] += 1;
    }

    fn drain(fuzz: *ModelFuzz) !void {
        const n = fuzz.random.uintLessThan(usize, pipes);
        if (fuzz.ends[n].drain() != fuzz.bytes[n]) return wrong("bytes of a pipe");
        fuzz.bytes[n] = 0;
    }

    fn advance(fuzz: *ModelFuzz) !void {
        if (!fuzz.simulated) return;
        const ns = fuzz.random.uintLessThan(u32, if (fuzz.random.boolean()) 10 else 5000);
        _ = exports.kevent_simulate(fuzz.fd, abi.Simulate.KEVENT_SIMULATE_ADVANCE, @floatFromInt(ns));
        fuzz.now_ns += ns;
    }

    // --- collecting --------------------------------------------------------------------------

    /// What a collect takes in before it hands out.
    fn lookAround(fuzz: *ModelFuzz) void {
        while (fuzz.nextDue()) |n| fuzz.fire(n);
        fuzz.arrivals += 1;
        for (fuzz.all[users..][0..pipes], fuzz.bytes) |*thing, bytes| {
            if (!thing.registered or bytes == 0) continue;
            thing.fired = true;
            if (thing.arrival == 0) thing.arrival = fuzz.arrivals;
        }
    }

    fn nextDue(fuzz: *ModelFuzz) ?usize {
        var found: ?usize = null;
        for (&fuzz.all, 0..) |*thing, n| {
            if (!thing.in_wheel or thing.deadline_ns > fuzz.now_ns) continue;
            const best = &fuzz.all[found orelse n];
            const earlier = thing.deadline_ns < best.deadline_ns or
                (thing.deadline_ns == best.deadline_ns and thing.inserted <= best.inserted);
            if (earlier) found = n;
        }
        return found;
    }

    fn fire(fuzz: *ModelFuzz, n: usize) void {
        const thing = &fuzz.all[n];
        const one_shot = thing.flags & Request.KEVENT_REQ_ONESHOT != 0;
        // By hand alone it has not fired yet, unless READY said which kinds: then it counts as fired.
        if (thing.arrival != 0) thing.count += 1;
        thing.fired_ms = @truncate(fuzz.now_ns / std.time.ns_per_ms);
        thing.fired = true;
        thing.in_wheel = false;
        fuzz.arrive(thing);
        if (one_shot) return;
        const more = (fuzz.now_ns - thing.deadline_ns) / periodOf(n);
        thing.count += @intCast(more);
        fuzz.startTimer(thing, thing.deadline_ns + (more + 1) * periodOf(n));
    }

    /// The first arrival of what is ready, 0 without; drops what the last check rejects on its way.
    fn firstArrival(fuzz: *ModelFuzz) u64 {
        var first: u64 = 0;
        for (fuzz.all) |thing| {
            if (thing.arrival != 0 and (first == 0 or thing.arrival < first)) first = thing.arrival;
        }
        return first;
    }

    fn isRejected(fuzz: *ModelFuzz, n: usize) bool {
        const thing = &fuzz.all[n];
        if (thing.flags & Request.KEVENT_REQ_LAST_CHECK == 0 or thing.forced) return false;
        if (kindOf(n) != .pipe or fuzz.bytes[n - users] != 0) return false;
        // Among those that came together the model does not know who was asked; the queue does.
        const queue = t.queueOf(fuzz.fd);
        const kevents = queue.kevents.array.items;
        const index = queue.identity.find(kevents, &fuzz.recordOf(n, 0)) orelse return true;
        return kevents[index].state.place != .ready;
    }

    fn reject(fuzz: *ModelFuzz) void {
        const first = fuzz.firstArrival();
        for (0..things) |n| {
            const thing = &fuzz.all[n];
            if (thing.arrival != first or first == 0 or !fuzz.isRejected(n)) continue;
            thing.arrival = 0;
            thing.fired = false;
            return fuzz.reject();
        }
    }

    fn handedOut(fuzz: *ModelFuzz, event: *const Record) !void {
        fuzz.reject();
        const n = event.user[0];
        if (n >= things or event.user[1] != 5) return wrong("an event of nobody");
        const thing = &fuzz.all[n];
        if (thing.arrival == 0 or thing.arrival != fuzz.firstArrival()) return wrong("order");
        if (event.req_flags != thing.flags) return wrong("flags");
        if (event.ret_flags & ~Return.KEVENT_RET_COPY_FAILED != Return.KEVENT_RET_DONE) return wrong("result");
        switch (kindOf(n)) {
            .user => if (event.ret_data != thing.payload or event.ret_extra != thing.count) return wrong("payload"),
            .timer => if (event.ret_data != thing.fired_ms or event.ret_extra != thing.count) return wrong("expiries"),
            .pipe => if (event.event != t.in) return wrong("kinds"),
        }
        if (thing.flags & Request.KEVENT_REQ_ONESHOT != 0) {
            thing.* = .{};
            return;
        }
        thing.arrival = 0;
        thing.forced = false;
        thing.fired = false;
        thing.count = 0;
        thing.fired_ms = 0;
    }

    fn collect(fuzz: *ModelFuzz) !void {
        var buffer: [things]Record = undefined;
        const most = fuzz.random.intRangeAtMost(u32, 1, things);
        fuzz.lookAround();
        const got = exports.kevent_get_events(fuzz.fd, 0, most, 0, 0, &buffer, 0);
        if (got < 0 or got > most) return wrong("number of events");
        for (buffer[0..@intCast(got)]) |*event| {
            const full = fuzz.entries > 0 and fuzz.published - fuzz.committed == fuzz.entries;
            if (full != (event.ret_flags & Return.KEVENT_RET_COPY_FAILED != 0)) return wrong("COPY_FAILED");
            if (fuzz.entries > 0 and !full) {
                if (!std.meta.eql(event.*, fuzz.slot(fuzz.published))) return wrong("copy in the ring");
                fuzz.published += 1;
            }
            try fuzz.handedOut(event);
        }
        if (got < most) fuzz.reject();
        if (got < most and fuzz.firstArrival() != 0) return wrong("something was kept back");
    }

    fn slot(fuzz: *ModelFuzz, number: u64) Record {
        const records: [*]const Record = @ptrCast(@alignCast(&fuzz.ring[@sizeOf(abi.KeventRing)]));
        return records[@intCast(number % fuzz.entries)];
    }

    fn publish(fuzz: *ModelFuzz) !void {
        if (fuzz.entries == 0) return;
        const room = fuzz.entries - (fuzz.published - fuzz.committed);
        const num = fuzz.random.uintLessThan(u32, 5);
        fuzz.lookAround();
        const got = exports.kevent_wait(fuzz.fd, num, @intCast(fuzz.published % fuzz.entries), 0, 0, 0);
        const most = if (num == 0) room else @min(num, room);
        if (got < 0 or got > most) return wrong("number published");
        for (0..@intCast(got)) |_| {
            const event = fuzz.slot(fuzz.published);
            fuzz.published += 1;
            try fuzz.handedOut(&event);
        }
        if (got < most) fuzz.reject();
        if (got < most and fuzz.firstArrival() != 0) return wrong("something was not published");
    }

    fn commit(fuzz: *ModelFuzz) !void {
        if (fuzz.entries == 0) return;
        const place = fuzz.committed -| 2 + fuzz.random.uintLessThan(u64, fuzz.entries + 4);
        const got = exports.kevent_commit(fuzz.fd, @intCast(place % fuzz.entries), @intCast(place / fuzz.entries));
        const wanted: i64 = if (place <= fuzz.committed) 0 else if (place > fuzz.published) -22 else @intCast(place - fuzz.committed);
        if (got != wanted) return wrong("commit");
        if (got > 0) fuzz.committed = place;
    }
};

test "the queue does what the model says, on each back-end" {
    for ([_]t.Kind{ .epoll, .io_uring, .simulated }) |kind| {
        for (1..60) |seed| {
            ModelFuzz.run(std.testing.allocator, seed, @backingInt(kind), 300) catch |err| switch (err) {
                error.Unavailable => if (kind == .io_uring) break else return err,
                else => return err,
            };
        }
    }
}
