//! Drives all calls of a queue with random, often mutated records and random shared memory, and holds
//! what comes back against a model: which registrations there are, what is readable, what was
//! triggered. After each step the invariants of the lists hold; at the end nothing is left open.

const std = @import("std");
const abi = @import("abi.zig");
const sys = @import("sys/linux.zig");
const exports = @import("exports.zig");
const registry = @import("registry.zig");
const errors = @import("errors.zig");
const Command = abi.Command;
const Request = abi.Request;
const Return = abi.Return;
const Type = abi.Type;

/// Few of each, so that the same ones meet often.
const descriptors_count = 5;
const users_count = 3;
const timers_count = 4;
const entries_most = 8;
const changes_count = 4;
const buffer_count = 16;

pub const Failure = error{ Wrong, Unavailable };

/// One registration as the model knows it.
const Known = struct {
    record: abi.Ukevent,
    /// An event is due that was not seen yet.
    owed: bool = false,
};

/// What is asked of a record that is not mutated.
const Thing = struct { kind: u32, id: [2]u32, event: u32 };

pub const QueueFuzz = struct {
    random: std.Random,
    seed: u64,
    backend: u32,
    fd: i32 = -1,
    entries: u32,
    fds: [descriptors_count]sys.Fd = undefined,
    ring: [abi.ringBytes(entries_most)]u8 align(8) = @splat(0),
    changes: [changes_count]abi.Ukevent align(8) = @splat(.zero),
    names: [1024]u8 align(8) = @splat(0),
    known: std.AutoHashMapUnmanaged([4]u32, Known) = .empty,
    gpa: std.mem.Allocator,
    /// How often each operation comes: some never, some nearly always. (Swarm testing.)
    weights: [operations.len]u32 = undefined,

    const operations = .{ add, remove, modify, markReady, trigger, write, consume, collect, wait, commit, turn, mutate, scribble, advance, poll };

    /// Run `events_most` operations on a fresh queue.
    pub fn run(gpa: std.mem.Allocator, seed: u64, backend: u32, events_most: u64) Failure!void {
        var prng: std.Random.DefaultPrng = .init(seed);
        var fuzz: QueueFuzz = .{
            .random = prng.random(),
            .seed = seed,
            .backend = backend,
            .entries = 0,
            .gpa = gpa,
        };
        defer fuzz.known.deinit(gpa);
        for (&fuzz.weights) |*weight| weight.* = if (fuzz.random.boolean()) fuzz.random.intRangeAtMost(u32, 1, 100) else 1;
        fuzz.entries = fuzz.random.intRangeAtMost(u32, 1, entries_most);
        try fuzz.open();
        defer fuzz.close();
        for (0..events_most) |_| {
            fuzz.step() catch |err| return fuzz.tell(err);
            fuzz.checkInvariants();
        }
        fuzz.drain() catch |err| return fuzz.tell(err);
    }

    fn tell(fuzz: *QueueFuzz, err: Failure) Failure {
        std.debug.print("queue fuzz: seed {d}, back-end {d}, ring of {d}\n", .{ fuzz.seed, fuzz.backend, fuzz.entries });
        return err;
    }

    fn open(fuzz: *QueueFuzz) Failure!void {
        var params = std.mem.zeroes(abi.Params);
        params.size = @sizeOf(abi.Params);
        params.flags = if (fuzz.random.boolean()) abi.Flags.KEVENT_FLAGS_SINGLE else 0;
        params.ring_entries = fuzz.entries;
        params.ring_bytes = @intCast(abi.ringBytes(fuzz.entries));
        params.changes_bytes = @sizeOf(@TypeOf(fuzz.changes));
        params.names_bytes = fuzz.names.len;
        params.ring_fd = -1;
        params.backend = fuzz.backend;
        params.seed_low = @truncate(fuzz.seed);
        fuzz.fd = exports.kevent_setup(&params, &fuzz.ring, @ptrCast(&fuzz.changes), &fuzz.names);
        if (fuzz.fd < 0) return error.Unavailable;
        if (fuzz.backend == abi.Backend.KEVENT_BACKEND_SIMULATED) {
            _ = exports.kevent_simulate(fuzz.fd, abi.Simulate.KEVENT_SIMULATE_FAULTS_PER_MILLE, 50);
        }
        for (&fuzz.fds) |*fd| fd.* = sys.eventfd() catch return error.Unavailable;
    }

    fn close(fuzz: *QueueFuzz) void {
        _ = exports.kevent_close(fuzz.fd);
        for (fuzz.fds) |fd| sys.close(fd);
    }

    fn step(fuzz: *QueueFuzz) Failure!void {
        const chosen = fuzz.random.weightedIndex(u32, &fuzz.weights);
        inline for (operations, 0..) |operation, n| if (n == chosen) try operation(fuzz);
    }

    fn checkInvariants(fuzz: *QueueFuzz) void {
        const queue = registry.acquire(fuzz.fd) catch unreachable;
        defer registry.release(queue);
        queue.lock.lock();
        defer queue.lock.unlock();
        queue.checkInvariants();
    }

    fn expect(holds: bool, comptime what: []const u8) Failure!void {
        if (holds) return;
        std.debug.print("wrong: " ++ what ++ "\n", .{});
        return error.Wrong;
    }

    // --- changes -----------------------------------------------------------------------------

    fn anything(fuzz: *QueueFuzz) Thing {
        return switch (fuzz.random.uintLessThan(u32, 3)) {
            0 => .{
                .kind = Type.KEVENT_POLL,
                .id = .{ @intCast(fuzz.fds[fuzz.random.uintLessThan(u32, descriptors_count)]), 0 },
                .event = if (fuzz.random.boolean()) abi.Poll.KEVENT_POLL_IN else abi.Poll.KEVENT_POLL_IN | abi.Poll.KEVENT_POLL_OUT,
            },
            1 => .{
                .kind = Type.KEVENT_TIMER,
                .id = .{ 0, 1_000 * fuzz.random.intRangeAtMost(u32, 1, timers_count) },
                .event = abi.Timer.KEVENT_TIMER_FIRED,
            },
            else => .{
                .kind = Type.KEVENT_USER,
                // Apart from the numbers of descriptors: identities do not include the type.
                .id = .{ 1_000_000 + fuzz.random.uintLessThan(u32, 3), 7 },
                .event = abi.User.KEVENT_USER_TRIGGERED,
            },
        };
    }

    fn record(fuzz: *QueueFuzz) abi.Ukevent {
        const thing = fuzz.anything();
        var made: abi.Ukevent = .zero;
        made.id.raw = thing.id;
        made.type = thing.kind;
        made.event = thing.event;
        made.req_flags = fuzz.random.int(u32) & abi.request_mask;
        made.user = .{ fuzz.random.uintLessThan(u32, users_count), 0xabcd };
        return made;
    }

    fn keyOf(of: *const abi.Ukevent) [4]u32 {
        return .{ of.id.raw[0], of.id.raw[1], of.user[0], of.user[1] };
    }

    /// Through `ctl` or the change area of a turn.
    fn apply(fuzz: *QueueFuzz, command: u32, given: abi.Ukevent) Failure!abi.Ukevent {
        if (fuzz.random.boolean()) {
            var one = [1]abi.Ukevent{given};
            try expect(exports.kevent_ctl(fuzz.fd, command, 1, &one) == 1, "ctl processes each record");
            return one[0];
        }
        fuzz.changes[0] = given;
        fuzz.changes[0].ret_flags = command;
        try expect(exports.kevent_turn(fuzz.fd, 1, 0, 0, 0) >= 0, "a turn applies changes");
        fuzz.reconcile();
        return fuzz.changes[0];
    }

    /// A ring is not read here, since it may be scribbled over: after events went into it, ask the queue
    /// which one-shot registrations that ended.
    fn reconcile(fuzz: *QueueFuzz) void {
        const queue = registry.acquire(fuzz.fd) catch unreachable;
        defer registry.release(queue);
        queue.lock.lock();
        defer queue.lock.unlock();
        var gone: [256][4]u32 = undefined;
        var count: usize = 0;
        var all = fuzz.known.iterator();
        while (all.next()) |entry| {
            const one_shot = entry.value_ptr.record.req_flags & Request.KEVENT_REQ_ONESHOT != 0;
            const found = queue.identity.find(queue.kevents.array.items, &entry.value_ptr.record) != null;
            if (found or !one_shot or count == gone.len) continue;
            gone[count] = entry.key_ptr.*;
            count += 1;
        }
        for (gone[0..count]) |key| _ = fuzz.known.remove(key);
    }

    fn add(fuzz: *QueueFuzz) Failure!void {
        const given = fuzz.record();
        const existed = fuzz.known.contains(keyOf(&given));
        const result = try fuzz.apply(Command.KEVENT_CTL_ADD, given);
        const broken = result.ret_flags & Return.KEVENT_RET_BROKEN != 0;
        if (existed and !broken) {
            const before = fuzz.known.get(keyOf(&given)).?;
            try expect(before.record.req_flags & Request.KEVENT_REQ_ONESHOT != 0, "the same identity twice is refused");
        }
        if (broken) {
            try expect(existed, "a good record is taken");
            return expect(result.ret_data == errors.number(error.EXIST), "the same identity twice is EEXIST");
        }
        const answered = result.ret_flags & Return.KEVENT_RET_DONE != 0;
        if (answered) {
            try expect(given.req_flags & (Request.KEVENT_REQ_ALWAYS_QUEUE | Request.KEVENT_REQ_READY) == 0, "only what need not queue is answered in place");
            _ = fuzz.known.remove(keyOf(&given));
        } else fuzz.known.put(fuzz.gpa, keyOf(&given), .{ .record = given }) catch return error.Unavailable;
        // It may have been handed out in the same turn.
        fuzz.reconcile();
    }

    fn remove(fuzz: *QueueFuzz) Failure!void {
        const given = fuzz.record();
        const existed = fuzz.known.get(keyOf(&given));
        const result = try fuzz.apply(Command.KEVENT_CTL_REMOVE, given);
        _ = fuzz.known.remove(keyOf(&given));
        try expect(result.ret_flags & Return.KEVENT_RET_DONE != 0, "S2-80 DONE is always set");
        const broken = result.ret_flags & Return.KEVENT_RET_BROKEN != 0;
        if (existed == null) try expect(broken and result.ret_data == errors.number(error.NOENT), "S2-80 no match is BROKEN");
        if (existed) |one| if (one.record.req_flags & Request.KEVENT_REQ_ONESHOT == 0) try expect(!broken, "what is there can be removed");
    }

    fn modify(fuzz: *QueueFuzz) Failure!void {
        const given = fuzz.record();
        const existed = fuzz.known.getPtr(keyOf(&given));
        const result = try fuzz.apply(Command.KEVENT_CTL_MODIFY, given);
        try expect(result.ret_flags & Return.KEVENT_RET_DONE != 0, "S2-78 DONE is always set");
        const broken = result.ret_flags & Return.KEVENT_RET_BROKEN != 0;
        if (existed == null) return expect(broken, "S2-77 no match is BROKEN");
        if (fuzz.known.getPtr(keyOf(&given))) |one| {
            if (!broken) one.* = .{ .record = given };
        } else return;
        fuzz.reconcile();
    }

    fn markReady(fuzz: *QueueFuzz) Failure!void {
        const given = fuzz.record();
        const existed = fuzz.known.get(keyOf(&given));
        const result = try fuzz.apply(Command.KEVENT_CTL_READY, given);
        if (existed == null) try expect(result.ret_flags & Return.KEVENT_RET_BROKEN != 0, "S2-19 READY is for existing events");
    }

    fn trigger(fuzz: *QueueFuzz) Failure!void {
        var given = fuzz.record();
        given.event = abi.User.KEVENT_USER_TRIGGERED | (fuzz.random.int(u32) & (abi.user_operation_mask | abi.user_payload_mask));
        const existed = fuzz.known.get(keyOf(&given));
        const result = try fuzz.apply(Command.KEVENT_CTL_TRIGGER, given);
        const broken = result.ret_flags & Return.KEVENT_RET_BROKEN != 0;
        const one = existed orelse return expect(broken, "what is not there cannot be triggered");
        if (one.record.type != Type.KEVENT_USER) try expect(broken, "only user events are triggered");
    }

    // --- the world ---------------------------------------------------------------------------

    fn write(fuzz: *QueueFuzz) Failure!void {
        sys.eventfdSignal(fuzz.fds[fuzz.random.uintLessThan(u32, descriptors_count)]);
    }

    fn consume(fuzz: *QueueFuzz) Failure!void {
        _ = sys.eventfdClear(fuzz.fds[fuzz.random.uintLessThan(u32, descriptors_count)]);
    }

    fn advance(fuzz: *QueueFuzz) Failure!void {
        _ = exports.kevent_simulate(fuzz.fd, abi.Simulate.KEVENT_SIMULATE_ADVANCE, @floatFromInt(fuzz.random.uintLessThan(u32, 10_000)));
    }

    fn poll(fuzz: *QueueFuzz) Failure!void {
        _ = sys.pollNow(fuzz.fd, 1);
    }

    // --- collecting --------------------------------------------------------------------------

    fn collect(fuzz: *QueueFuzz) Failure!void {
        var buffer: [buffer_count]abi.Ukevent = undefined;
        const most = fuzz.random.intRangeAtMost(u32, 1, buffer_count);
        const got = exports.kevent_get_events(fuzz.fd, 0, most, 0, 0, &buffer, 0);
        try expect(got >= 0 and got <= most, "S2-26 never more than asked for");
        for (buffer[0..@intCast(got)]) |*event| try fuzz.check(event);
    }

    fn check(fuzz: *QueueFuzz, event: *const abi.Ukevent) Failure!void {
        try expect(event.ret_flags & Return.KEVENT_RET_DONE != 0, "what is handed out is DONE");
        const one = fuzz.known.getPtr(keyOf(event)) orelse return expect(event.user[1] != 0xabcd, "S2-13 nothing of a removed registration");
        try expect(event.type == one.record.type, "S2-81 the type comes back");
        try expect(event.req_flags == one.record.req_flags or event.ret_flags & Return.KEVENT_RET_BROKEN != 0, "S2-81 the flags come back");
        const unasked = event.event & ~one.record.event & ~always(event.type);
        try expect(unasked == 0, "only kinds that were asked for");
        try expect(event.event != 0, "an event has kinds");
        one.owed = false;
        if (one.record.req_flags & Request.KEVENT_REQ_ONESHOT != 0) _ = fuzz.known.remove(keyOf(event));
    }

    fn always(kind: u32) u32 {
        return if (kind == Type.KEVENT_POLL) abi.Poll.KEVENT_POLL_ERR | abi.Poll.KEVENT_POLL_HUP else 0;
    }

    fn wait(fuzz: *QueueFuzz) Failure!void {
        const num = fuzz.random.uintLessThan(u32, 4);
        const got = exports.kevent_wait(fuzz.fd, num, fuzz.random.uintLessThan(u32, fuzz.entries), 0, 0, 0);
        try expect(got >= 0 and got <= fuzz.entries, "S2-39 no more than fit");
        fuzz.reconcile();
    }

    fn commit(fuzz: *QueueFuzz) Failure!void {
        const end = fuzz.random.uintLessThan(u32, entries_most + 2);
        const over = if (fuzz.random.uintLessThan(u32, 10) == 0) fuzz.random.int(u32) else fuzz.overNow() +% fuzz.random.uintLessThan(u32, 2);
        const freed = exports.kevent_commit(fuzz.fd, end, over);
        try expect(freed <= @as(i32, @intCast(fuzz.entries)), "S2-47 no more than there are");
    }

    fn overNow(fuzz: *QueueFuzz) u32 {
        const queue = registry.acquire(fuzz.fd) catch unreachable;
        defer registry.release(queue);
        return @truncate(queue.ring.?.over);
    }

    fn turn(fuzz: *QueueFuzz) Failure!void {
        const waiting = fuzz.waitingNow();
        const num_commit = fuzz.random.intRangeAtMost(u32, 0, waiting + 1);
        const got = exports.kevent_turn(fuzz.fd, 0, num_commit, 0, 0);
        try expect((got < 0) == (num_commit > waiting), "only what is there can be committed");
        fuzz.reconcile();
    }

    fn waitingNow(fuzz: *QueueFuzz) u32 {
        const queue = registry.acquire(fuzz.fd) catch unreachable;
        defer registry.release(queue);
        return queue.ring.?.waiting();
    }

    // --- malice ------------------------------------------------------------------------------

    /// Any bits in any field; what it leaves behind carries another `user[1]`, so that the model can
    /// tell its events apart. Descriptors of the process stay out of reach.
    fn mutate(fuzz: *QueueFuzz) Failure!void {
        var bad = fuzz.record();
        const words: *[10]u32 = @ptrCast(&bad);
        for (0..fuzz.random.intRangeAtMost(u32, 1, 3)) |_| words[fuzz.random.uintLessThan(u32, words.len)] ^= fuzz.random.int(u32);
        bad.user[1] = fuzz.random.uintLessThan(u32, 4);
        if (bad.type == Type.KEVENT_SIGNAL or bad.type == Type.KEVENT_PROCESS or bad.type == Type.KEVENT_INODE) bad.event = 0;
        const command = if (fuzz.random.boolean()) fuzz.random.intRangeAtMost(u32, 1, 5) else fuzz.random.int(u32);
        var one = [1]abi.Ukevent{bad};
        const result = exports.kevent_ctl(fuzz.fd, command, 1, &one);
        const known_command = command >= 1 and command <= 5;
        try expect((result == 1) == known_command, "unknown commands are refused whole");
    }

    fn scribble(fuzz: *QueueFuzz) Failure!void {
        const at = fuzz.random.uintLessThan(usize, fuzz.ring.len - 8);
        fuzz.random.bytes(fuzz.ring[at..][0..8]);
        fuzz.random.bytes(std.mem.asBytes(&fuzz.changes)[fuzz.random.uintLessThan(usize, 120)..][0..8]);
    }

    // --- the end -----------------------------------------------------------------------------

    /// After quiet, each level-triggered interest whose level holds is handed out: nothing was lost.
    fn drain(fuzz: *QueueFuzz) Failure!void {
        if (fuzz.backend == abi.Backend.KEVENT_BACKEND_SIMULATED) {
            _ = exports.kevent_simulate(fuzz.fd, abi.Simulate.KEVENT_SIMULATE_FAULTS_PER_MILLE, 0);
        }
        for (fuzz.fds) |fd| sys.eventfdSignal(fd);
        try fuzz.drainLevels();
        // Nobody read them, so they hold still.
        try fuzz.drainLevels();
    }

    fn drainLevels(fuzz: *QueueFuzz) Failure!void {
        var missing = fuzz.levels();
        for (0..1000) |_| {
            var buffer: [64]abi.Ukevent = undefined;
            const got = exports.kevent_get_events(fuzz.fd, 0, buffer.len, 0, 0, &buffer, 0);
            try expect(got >= 0, "collecting goes on");
            for (buffer[0..@intCast(got)]) |*event| {
                if (fuzz.known.getPtr(keyOf(event))) |one| {
                    if (isLevel(one)) one.owed = false;
                }
                try fuzz.check(event);
            }
            missing = fuzz.owedLevels();
            if (missing == 0) return;
        }
        return expect(missing == 0, "after quiet, each level that holds was handed out");
    }

    fn isLevel(one: *const Known) bool {
        return one.record.type == Type.KEVENT_POLL and
            one.record.req_flags & (Request.KEVENT_REQ_ET | Request.KEVENT_REQ_ONESHOT) == 0;
    }

    /// Every level interest is owed an event now: all descriptors are readable.
    fn levels(fuzz: *QueueFuzz) u32 {
        var all = fuzz.known.iterator();
        var count: u32 = 0;
        while (all.next()) |entry| {
            if (!isLevel(entry.value_ptr)) continue;
            entry.value_ptr.owed = true;
            count += 1;
        }
        return count;
    }

    fn owedLevels(fuzz: *QueueFuzz) u32 {
        var all = fuzz.known.iterator();
        var count: u32 = 0;
        while (all.next()) |entry| {
            if (isLevel(entry.value_ptr) and entry.value_ptr.owed) count += 1;
        }
        return count;
    }
};
