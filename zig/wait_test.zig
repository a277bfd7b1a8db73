//! Promises about waiting, handing out and committing: `get_events`, `wait`, `commit`, `turn`, threads
//! that share a queue. Each on every back-end. Names begin with the rows of the checklist.

const std = @import("std");
const linux = std.os.linux;
const abi = @import("abi.zig");
const sys = @import("sys/linux.zig");
const exports = @import("exports.zig");
const t = @import("testing.zig");
const Bed = t.Bed;
const Record = t.Record;
const Request = t.Request;
const Return = t.Return;
const Command = t.Command;
const Pipe = t.Pipe;
const Waiting = t.Waiting;
const expect = t.expect;
const expectEqual = t.expectEqual;
const ms = t.ms;
const in = t.in;
const second = std.time.ns_per_s;

fn addUsers(bed: *Bed, count: u32, flags: u32) !void {
    for (1..count + 1) |n| try bed.add(t.userRecord(@intCast(n), flags));
}

fn triggerAll(bed: *Bed, count: u32) !void {
    for (1..count + 1) |n| try bed.trigger(t.userRecord(@intCast(n), 0));
}

// --- get_events ------------------------------------------------------------------------------

test "S0-17 S1-4 S2-31 S2-32 the number that was asked for, or the timeout, or at least one" {
    try t.each(.{ .single = true }, threeWays);
    try t.each(.{}, threeWays);
}

fn threeWays(bed: *Bed) !void {
    try addUsers(bed, 3, 0);
    try bed.add(t.timerRecord(second / 100, Request.KEVENT_REQ_ONESHOT, 9));
    try triggerAll(bed, 2);
    // At least one: does not wait for more.
    try expectEqual(2, (try bed.collect(1, 8, null)).len);
    // The number asked for: waits for the timer.
    try triggerAll(bed, 2);
    const start = bed.now(.monotonic);
    try t.expectUsersIn(try bed.collect(3, 8, null), &.{ 1, 2, 9 });
    // The timeout.
    try triggerAll(bed, 2);
    const middle = bed.now(.monotonic);
    try expect(middle > start or bed.kind == .simulated);
    try expectEqual(2, (try bed.collect(3, 8, 5 * ms)).len);
    try expect(bed.now(.monotonic) - middle >= 5 * ms);
    // Nothing at all.
    try expectEqual(0, (try bed.collect(1, 8, ms)).len);
    try expectEqual(0, (try bed.collect(0, 8, second)).len);
}

test "S2-25 S2-27 min 3 with two events: the timeout ends it with both" {
    try t.each(.{}, minThree);
}

fn minThree(bed: *Bed) !void {
    try addUsers(bed, 2, Request.KEVENT_REQ_READY);
    const start = bed.now(.monotonic);
    try t.expectUsersIn(try bed.collect(3, 3, 10 * ms), &.{ 1, 2 });
    try expect(bed.now(.monotonic) - start >= 10 * ms);
    try bed.expectUsers(&.{});
}

test "S2-26 never more than max" {
    try t.each(.{}, neverMore);
}

fn neverMore(bed: *Bed) !void {
    try addUsers(bed, 7, Request.KEVENT_REQ_READY);
    try t.expectUsersIn(try bed.collect(0, 3, null), &.{ 1, 2, 3 });
    try t.expectUsersIn(try bed.collect(3, 3, null), &.{ 4, 5, 6 });
    try t.expectUsersIn(try bed.collect(1, 3, null), &.{7});
}

test "S2-28 timeout -1 waits for ever" {
    try t.each(.{}, forEver);
}

fn forEver(bed: *Bed) !void {
    try addUsers(bed, 1, 0);
    var waiting: Waiting = .{ .fd = bed.fd };
    try waiting.start();
    t.untilWaiting(bed.fd, 1);
    t.pause(20 * ms);
    try expect(waiting.isPending());
    try triggerAll(bed, 1);
    try expectEqual(1, waiting.join());
}

test "S2-30 one-shot requests are deleted when they are copied" {
    try t.each(.{}, oneShotDeleted);
}

fn oneShotDeleted(bed: *Bed) !void {
    try addUsers(bed, 3, Request.KEVENT_REQ_ONESHOT | Request.KEVENT_REQ_READY);
    try expectEqual(2, (try bed.collect(0, 2, 0)).len);
    try expectEqual(1, bed.queue().kevents.count);
    try bed.expectUsers(&.{3});
    try expectEqual(0, bed.queue().kevents.count);
}

test "S2-33 S2-6 S2-7 S3-4 get_events copies into the ring as well, and both views agree" {
    try t.each(.{ .ring = 4 }, bothViews);
}

fn bothViews(bed: *Bed) !void {
    try addUsers(bed, 3, Request.KEVENT_REQ_READY);
    const got = try bed.look();
    try t.expectUsersIn(got, &.{ 1, 2, 3 });
    try expectEqual(3, bed.ringHead());
    try expectEqual(3, bed.ringHeader().ring_kidx);
    for (got, 0..) |r, slot| try expectEqual(r, bed.ringSlot(@intCast(slot)));
    // A reader that consumed through the call advances its index by the count.
    try expectEqual(3, exports.kevent_commit(bed.fd, 3, 0));
    try expectEqual(3, bed.ringConsumer().tail);
    try expectEqual(3, bed.ringConsumer().ring_uidx);
}

test "S2-34 S2-69 full ring: the buffer carries the event, flagged COPY_FAILED, and it is not kept" {
    try t.each(.{ .ring = 1 }, copyFailed);
}

fn copyFailed(bed: *Bed) !void {
    try addUsers(bed, 3, Request.KEVENT_REQ_READY);
    const got = try bed.look();
    try t.expectUsersIn(got, &.{ 1, 2, 3 });
    try expectEqual(Return.KEVENT_RET_DONE, got[0].ret_flags);
    for (got[1..]) |r| try expectEqual(Return.KEVENT_RET_DONE | Return.KEVENT_RET_COPY_FAILED, r.ret_flags);
    try expectEqual(1, bed.ringHead());
    try bed.expectUsers(&.{});
    try expectEqual(1, exports.kevent_commit(bed.fd, 1, 0));
    try expectEqual(0, bed.wait(0, 0, 0));
}

test "S2-72 ABSTIME is a date: a past one returns at once, a coming one waits until then" {
    try t.each(.{}, absoluteTime);
}

fn absoluteTime(bed: *Bed) !void {
    const flag = abi.Flags.KEVENT_FLAGS_ABSTIME;
    try expectEqual(0, exports.kevent_get_events(bed.fd, 1, 1, 1, 0, &bed.out, flag));
    const date = bed.now(.wall) + 10 * ms;
    const got = exports.kevent_get_events(bed.fd, 1, 1, @intCast(date / second), @intCast(date % second), &bed.out, flag);
    try expectEqual(0, got);
    try expect(bed.now(.wall) >= date);
}

// --- wait ------------------------------------------------------------------------------------

test "S2-36 S2-39 wait puts at most num, and says how many" {
    try t.each(.{ .ring = 8 }, atMostNum);
}

fn atMostNum(bed: *Bed) !void {
    try addUsers(bed, 6, Request.KEVENT_REQ_READY);
    try expectEqual(2, bed.wait(2, 0, 0));
    try expectEqual(1, bed.wait(1, 2, 0));
    try expectEqual(3, bed.wait(0, 3, 0));
    try expectEqual(6, bed.ringHead());
    for (0..6) |slot| try expectEqual(@as(u32, @intCast(slot + 1)), bed.ringSlot(@intCast(slot)).user[0]);
}

test "S2-37 wait returns at once when the ring moved past what the caller knows" {
    try t.each(.{ .ring = 8 }, movedPast);
}

fn movedPast(bed: *Bed) !void {
    try addUsers(bed, 1, Request.KEVENT_REQ_READY);
    try expectEqual(1, bed.wait(0, 0, second));
    // The caller saw nothing of it yet: no sleep, though nothing is ready.
    const start = sys.now(.monotonic);
    try expectEqual(0, bed.wait(0, 0, 30 * second));
    try expect(sys.now(.monotonic) - start < 10 * second);
    // It knows: sleeps until the time is up.
    const before = bed.now(.monotonic);
    try expectEqual(0, bed.wait(0, 1, 5 * ms));
    try expect(bed.now(.monotonic) - before >= 5 * ms);
}

test "S2-40 S3-5 wait with num 0 sleeps until the ring is not empty" {
    try t.each(.{ .ring = 8 }, untilNotEmpty);
}

fn untilNotEmpty(bed: *Bed) !void {
    const pipe: Pipe = try .open();
    defer pipe.close();
    try bed.add(t.pollRecord(pipe.reader, in, 0, 1));
    const thread = try std.Thread.spawn(.{}, putLater, .{ bed.fd, pipe });
    try expectEqual(1, exports.kevent_wait(bed.fd, 0, 0, -1, 0, 0));
    thread.join();
    try expectEqual(1, bed.ringSlot(0).user[0]);
}

fn putLater(fd: i32, pipe: Pipe) void {
    t.untilWaiting(fd, 1);
    pipe.put() catch {};
}

test "S2-41 S3-7 S2-48 full ring: wait returns, the events stay ready, and come once, in order, after a commit" {
    try t.each(.{ .ring = 2 }, fullRing);
}

fn fullRing(bed: *Bed) !void {
    try addUsers(bed, 5, Request.KEVENT_REQ_READY);
    try expectEqual(2, bed.wait(0, 0, 0));
    const start = sys.now(.monotonic);
    try expectEqual(0, bed.wait(0, 0, 30 * second));
    try expect(sys.now(.monotonic) - start < 10 * second);
    try expectEqual(3, bed.queue().ready_count);
    try expectEqual(1, exports.kevent_commit(bed.fd, 1, 0));
    try expectEqual(1, bed.wait(0, 0, 0));
    try expectEqual(3, bed.ringSlot(0).user[0]);
    try expectEqual(2, bed.ringSlot(1).user[0]);
    try expectEqual(2, exports.kevent_commit(bed.fd, 1, 1));
    try expectEqual(2, bed.wait(0, 1, 0));
    try expectEqual(4, bed.ringSlot(1).user[0]);
    try expectEqual(5, bed.ringSlot(0).user[0]);
    // No event was flagged on the way.
    for (0..2) |slot| try expectEqual(Return.KEVENT_RET_DONE, bed.ringSlot(@intCast(slot)).ret_flags);
}

test "a level that fires while the ring is full is not lost" {
    try t.each(.{ .ring = 1 }, levelBehindFullRing);
}

fn levelBehindFullRing(bed: *Bed) !void {
    const pipe: Pipe = try .open();
    defer pipe.close();
    try bed.add(t.userRecord(1, Request.KEVENT_REQ_READY));
    try bed.add(t.pollRecord(pipe.reader, in, Request.KEVENT_REQ_ET, 2));
    try expectEqual(1, bed.wait(0, 0, 0));
    try pipe.put();
    for (0..3) |_| try expectEqual(0, bed.wait(0, 0, 0));
    try expectEqual(1, exports.kevent_commit(bed.fd, 1, 0));
    try expectEqual(1, bed.wait(0, 0, 0));
    try expectEqual(2, bed.ringSlot(0).user[0]);
}

test "S2-42 a one-shot registration is removed by wait" {
    try t.each(.{ .ring = 4 }, oneShotByWait);
}

fn oneShotByWait(bed: *Bed) !void {
    try addUsers(bed, 2, Request.KEVENT_REQ_ONESHOT | Request.KEVENT_REQ_READY);
    try expectEqual(2, bed.wait(0, 0, 0));
    try expectEqual(0, bed.queue().kevents.count);
    try bed.refuse(Command.KEVENT_CTL_REMOVE, t.userRecord(1, 0), error.NOENT);
}

// --- commit ----------------------------------------------------------------------------------

test "S2-8 S2-44 S2-45 S2-46 S2-47 commit: exclusive end, both names of a wrap, stale and early ones" {
    try t.each(.{ .ring = 2 }, commits);
}

fn commits(bed: *Bed) !void {
    try addUsers(bed, 1, 0);
    for (0..7) |n| {
        try triggerAll(bed, 1);
        const slot: u32 = @intCast(n % 2);
        const over: u32 = @intCast(n / 2);
        try expectEqual(1, bed.wait(0, slot, 0));
        // Ahead of the producer, then stale, then right, then late.
        try expectEqual(-22, exports.kevent_commit(bed.fd, slot + 1, over + 1));
        try expectEqual(0, exports.kevent_commit(bed.fd, slot, over));
        const wrap = slot == 1 and n % 4 == 1;
        try expectEqual(1, if (wrap) exports.kevent_commit(bed.fd, 0, over + 1) else exports.kevent_commit(bed.fd, slot + 1, over));
        try expectEqual(0, exports.kevent_commit(bed.fd, slot + 1, over));
    }
    try expectEqual(3, bed.ringHeader().ring_over);
    try expectEqual(-22, exports.kevent_commit(bed.fd, 3, 3));
}

test "S2-9 S2-49 committers that race for the same events free each slot once" {
    try t.each(.{ .ring = 4 }, racingCommitters);
}

const Race = struct {
    fd: i32,
    produced: std.atomic.Value(u32) = .init(0),
    freed: std.atomic.Value(u32) = .init(0),
    ended: std.atomic.Value(bool) = .init(false),

    /// Commits all that it saw published, over and over.
    fn run(race: *Race, entries: u32) void {
        while (!race.ended.load(.acquire)) {
            const seen = race.produced.load(.acquire);
            const got = exports.kevent_commit(race.fd, seen % entries, seen / entries);
            if (got < 0) @panic("a commit of what was published was refused");
            _ = race.freed.fetchAdd(@intCast(got), .acq_rel);
        }
    }
};

fn racingCommitters(bed: *Bed) !void {
    var race: Race = .{ .fd = bed.fd };
    try bed.add(t.userRecord(1, 0));
    var threads: [3]std.Thread = undefined;
    for (&threads) |*thread| thread.* = try std.Thread.spawn(.{}, Race.run, .{ &race, bed.options.ring });
    var one = [1]Record{t.userRecord(1, 0)};
    while (race.produced.load(.monotonic) < 4000) {
        _ = exports.kevent_ctl(bed.fd, Command.KEVENT_CTL_TRIGGER, 1, &one);
        const got = exports.kevent_wait(bed.fd, 0, bed.ringHeader().ring_kidx, 0, 0, 0);
        try expect(got >= 0);
        _ = race.produced.fetchAdd(@intCast(got), .acq_rel);
    }
    const produced = race.produced.load(.monotonic);
    while (race.freed.load(.acquire) < produced) t.pause(ms / 10);
    race.ended.store(true, .release);
    for (threads) |thread| thread.join();
    try expectEqual(produced, race.freed.load(.monotonic));
    try expectEqual(produced, bed.ringHead());
    try expectEqual(produced, bed.ringConsumer().tail);
}

test "S3-8 a ring with as many entries as registrations never fails a copy, if it is committed before each call" {
    try t.each(.{ .ring = 16 }, boundedByRegistrations);
}

fn boundedByRegistrations(bed: *Bed) !void {
    var random: std.Random.DefaultPrng = .init(7);
    try addUsers(bed, 16, 0);
    var published: u32 = 0;
    for (0..200) |_| {
        for (0..40) |_| try bed.trigger(t.userRecord(random.random().intRangeAtMost(u32, 1, 16), 0));
        const got = try bed.look();
        for (got) |r| try expectEqual(0, r.ret_flags & Return.KEVENT_RET_COPY_FAILED);
        published += @intCast(got.len);
        try expectEqual(@as(i32, @intCast(got.len)), exports.kevent_commit(bed.fd, published % 16, published / 16));
    }
}

test "S2-12 a ring in a memfd is read through another mapping, and by a process that knows only the file" {
    const kinds = [_]t.Kind{ .epoll, .simulated };
    const entries = 8;
    for (kinds) |kind| {
        const raw = linux.memfd_create("ring", linux.MFD.CLOEXEC);
        const file: sys.Fd = @intCast(raw);
        defer sys.close(file);
        try expectEqual(0, linux.ftruncate(file, @intCast(abi.ringBytes(entries))));
        const base: Bed = .{ .kind = kind, .options = .{ .ring = entries } };
        var given = base.params();
        given.ring_bytes = 0;
        given.ring_fd = file;
        var bed: Bed = .{ .kind = kind, .options = .{}, .fd = exports.kevent_setup(&given, null, null, null) };
        try expect(bed.fd >= 0);
        try addUsers(&bed, 3, Request.KEVENT_REQ_READY);
        try expectEqual(3, bed.wait(0, 0, 0));
        const view = try sys.mapFile(file, abi.ringBytes(entries), 0);
        defer sys.unmapMemory(view);
        const header: *const abi.KeventRing = @ptrCast(view.ptr);
        try expectEqual(3, header.ring_kidx);
        var bytes: [@sizeOf(abi.KeventRing) + 3 * @sizeOf(Record)]u8 align(8) = undefined;
        try expectEqual(bytes.len, linux.pread(file, &bytes, bytes.len, 0));
        const records: [*]const Record = @ptrCast(@alignCast(bytes[@sizeOf(abi.KeventRing)..]));
        for (0..3) |n| try expectEqual(@as(u32, @intCast(n + 1)), records[n].user[0]);
        try expectEqual(0, exports.kevent_close(bed.fd));
        // The file is the user's and stays.
        try expectEqual(3, header.ring_kidx);
    }
}

test "S3-1 S3-2 S3-13 slots hold records only, and the indexes of the two sides are on lines of their own" {
    inline for (.{ 1, 2, 3, 8, 1000 }) |entries| {
        const producer = abi.ringProducerOffset(entries);
        try expectEqual(0, producer % 64);
        try expect(producer >= 8 + entries * 40);
        try expectEqual(producer + 128, abi.ringBytes(entries));
    }
    try expectEqual(40, @sizeOf(Record));
}

// --- turn ------------------------------------------------------------------------------------

test "a turn commits, changes, waits and publishes in one call" {
    try t.each(.{ .ring = 4, .changes = 8, .single = true }, turns);
    try t.each(.{ .ring = 4, .changes = 8 }, turns);
}

fn turns(bed: *Bed) !void {
    const changes = bed.changes();
    changes[0] = t.userRecord(1, Request.KEVENT_REQ_READY);
    changes[0].ret_flags = Command.KEVENT_CTL_ADD;
    changes[1] = t.timerRecord(ms, Request.KEVENT_REQ_ONESHOT, 2);
    changes[1].ret_flags = Command.KEVENT_CTL_ADD;
    changes[2] = t.userRecord(3, 0);
    changes[2].ret_flags = 99;
    try expectEqual(1, exports.kevent_turn(bed.fd, 3, 0, 0, 0));
    try expectEqual(0, changes[0].ret_flags);
    try expectEqual(0, changes[1].ret_flags);
    try expectEqual(Return.KEVENT_RET_BROKEN, changes[2].ret_flags);
    try expectEqual(1, bed.ringSlot(0).user[0]);
    // Something waits in the ring: it does not sleep.
    try expectEqual(1, exports.kevent_turn(bed.fd, 0, 0, -1, 0));
    try expectEqual(1, exports.kevent_turn(bed.fd, 0, 1, -1, 0));
    try expectEqual(2, bed.ringSlot(1).user[0]);
    try expectEqual(0, exports.kevent_turn(bed.fd, 0, 1, 1.5e6, 0));
    changes[0] = t.userRecord(1, 0);
    changes[0].ret_flags = Command.KEVENT_CTL_REMOVE;
    try expectEqual(0, exports.kevent_turn(bed.fd, 1, 0, 0, 0));
    try expectEqual(Return.KEVENT_RET_DONE, changes[0].ret_flags);
    try expectEqual(0, bed.queue().kevents.count);
    try expectEqual(-22, exports.kevent_turn(bed.fd, 9, 0, 0, 0));
    try expectEqual(-22, exports.kevent_turn(bed.fd, 0, 1, 0, 0));
    try expectEqual(-22, exports.kevent_turn(bed.fd, 0, 0, std.math.nan(f64), 0));
    try expectEqual(-22, exports.kevent_turn(bed.fd, 0, 0, 0, 2));
}

test "a sleeping script gets one byte for a descriptor, a timer, a trigger from another thread" {
    try t.each(.{ .ring = 8, .changes = 8, .single = true }, wakeUps);
}

fn wakeUps(bed: *Bed) !void {
    const script = exports.kevent_wake_open(bed.fd);
    try expect(script >= 0);
    defer sys.close(script);
    try expectEqual(-16, exports.kevent_wake_open(bed.fd));
    const pipe: Pipe = try .open();
    defer pipe.close();
    try bed.add(t.pollRecord(pipe.reader, in, 0, 1));
    try bed.add(t.userRecord(2, 0));
    try expectEqual(0, try sleepAndWake(bed, script, 0, 30 * ms));

    try bed.add(t.timerRecord(10 * ms, Request.KEVENT_REQ_ONESHOT, 3));
    try expectEqual(1, try sleepAndWake(bed, script, 0, second));
    try expectEqual(3, bed.ringSlot(0).user[0]);

    const thread = try std.Thread.spawn(.{}, triggerSoon, .{bed.fd});
    const woken = try sleepAndWake(bed, script, 1, second);
    thread.join();
    try expectEqual(1, woken);
    try expectEqual(2, bed.ringSlot(1).user[0]);

    try expectEqual(0, exports.kevent_turn(bed.fd, 0, 1, 0, abi.Turn.KEVENT_TURN_ARM));
    try pipe.put();
    try expect(waitForByte(script, second));
    try expectEqual(1, exports.kevent_turn(bed.fd, 0, 0, 0, 0));
    try expectEqual(1, bed.ringSlot(2).user[0]);
    // Ready before it sleeps: the byte comes at once.
    _ = pipe.drain();
    try expectEqual(0, exports.kevent_turn(bed.fd, 0, 1, 0, abi.Turn.KEVENT_TURN_ARM));
    try pipe.put();
    try expect(waitForByte(script, second));
}

/// Arm, sleep, and take a turn: the events then. Fails if a byte came without one.
fn sleepAndWake(bed: *Bed, script: sys.Fd, commit: u32, timeout_ns: u64) !i32 {
    const now = exports.kevent_turn(bed.fd, 0, commit, 0, abi.Turn.KEVENT_TURN_ARM);
    if (now != 0) return now;
    const byte = waitForByte(script, timeout_ns);
    const got = exports.kevent_turn(bed.fd, 0, 0, 0, 0);
    try expectEqual(byte, got > 0);
    return got;
}

fn waitForByte(script: sys.Fd, timeout_ns: u64) bool {
    var fds = [1]sys.PollFd{.{ .fd = script, .events = in, .revents = 0 }};
    const ready = sys.poll(&fds, timeout_ns) catch 0;
    if (ready == 0) return false;
    return t.drainFd(script) > 0;
}

fn triggerSoon(fd: i32) void {
    t.pause(10 * ms);
    var one = [1]Record{t.userRecord(2, 0)};
    _ = exports.kevent_ctl(fd, Command.KEVENT_CTL_TRIGGER, 1, &one);
}

// --- threads ---------------------------------------------------------------------------------

fn startWaiting(bed: *Bed, waiting: []Waiting) !void {
    for (waiting, 1..) |*one, n| {
        one.* = .{ .fd = bed.fd };
        try one.start();
        // One after the other, so that the line is in a known order.
        t.untilWaiting(bed.fd, @intCast(n));
    }
}

fn countPending(waiting: []const Waiting) u32 {
    var count: u32 = 0;
    for (waiting) |*one| count += @intFromBool(one.isPending());
    return count;
}

test "S2-60 three wait: an event wakes the first, in order of arrival" {
    try t.each(.{}, wakesTheFirst);
}

fn wakesTheFirst(bed: *Bed) !void {
    try addUsers(bed, 1, 0);
    var waiting: [3]Waiting = undefined;
    try startWaiting(bed, &waiting);
    for (0..3) |n| {
        try triggerAll(bed, 1);
        try expectEqual(1, waiting[n].join());
        t.pause(5 * ms);
        try expectEqual(@as(u32, @intCast(2 - n)), countPending(waiting[n + 1 ..]));
    }
}

test "S2-60 three wait: an event of a descriptor wakes one" {
    try t.each(.{}, descriptorWakesOne);
}

fn descriptorWakesOne(bed: *Bed) !void {
    const pipe: Pipe = try .open();
    defer pipe.close();
    try bed.add(t.pollRecord(pipe.reader, in, Request.KEVENT_REQ_ET, 1));
    var waiting: [3]Waiting = undefined;
    try startWaiting(bed, &waiting);
    for (0..3) |n| {
        try pipe.put();
        try expectEqual(1, waiting[n].join());
        t.pause(5 * ms);
        try expectEqual(@as(u32, @intCast(2 - n)), countPending(waiting[n + 1 ..]));
    }
}

test "S2-60 WAKEUP_ALL wakes all three; one has the event" {
    try t.each(.{}, wakesAll);
}

fn wakesAll(bed: *Bed) !void {
    try addUsers(bed, 1, Request.KEVENT_REQ_WAKEUP_ALL);
    const pipe: Pipe = try .open();
    defer pipe.close();
    try bed.add(t.pollRecord(pipe.reader, in, Request.KEVENT_REQ_WAKEUP_ALL | Request.KEVENT_REQ_ET, 2));
    for (0..2) |round| {
        var waiting: [3]Waiting = undefined;
        try startWaiting(bed, &waiting);
        if (round == 0) try triggerAll(bed, 1) else try pipe.put();
        var sum: i32 = 0;
        for (&waiting) |*one| sum += one.join();
        try expectEqual(1, sum);
    }
}

test "two events wake two; a waiter that takes both leaves the other asleep" {
    try t.each(.{}, twoEvents);
}

fn twoEvents(bed: *Bed) !void {
    try addUsers(bed, 2, 0);
    var waiting: [3]Waiting = undefined;
    try startWaiting(bed, &waiting);
    var both = [2]Record{ t.userRecord(1, 0), t.userRecord(2, 0) };
    try expectEqual(2, exports.kevent_ctl(bed.fd, Command.KEVENT_CTL_TRIGGER, 2, &both));
    try expectEqual(1, waiting[0].join());
    try expectEqual(1, waiting[1].join());
    t.pause(5 * ms);
    try expect(waiting[2].isPending());
    try triggerAll(bed, 1);
    try expectEqual(1, waiting[2].join());
}

test "S2-20 READY with no events wakes one thread parked in a call, and it returns 0" {
    try t.each(.{}, readyWithNoEvents);
    try t.each(.{ .single = true }, readyToTheOwner);
}

fn readyWithNoEvents(bed: *Bed) !void {
    var waiting: [2]Waiting = undefined;
    try startWaiting(bed, &waiting);
    for (&waiting, 0..) |*one, n| {
        try expectEqual(0, exports.kevent_ctl(bed.fd, Command.KEVENT_CTL_READY, 0, null));
        try expectEqual(0, one.join());
        t.pause(5 * ms);
        try expectEqual(@as(u32, @intCast(1 - n)), countPending(waiting[n + 1 ..]));
    }
    // Nobody waits: nothing is kept for later.
    try expectEqual(0, exports.kevent_ctl(bed.fd, Command.KEVENT_CTL_READY, 0, null));
    try bed.expectUsers(&.{});
}

fn kickLater(fd: i32) void {
    t.untilWaiting(fd, 1);
    _ = exports.kevent_ctl(fd, Command.KEVENT_CTL_READY, 0, null);
}

fn readyToTheOwner(bed: *Bed) !void {
    const thread = try std.Thread.spawn(.{}, kickLater, .{bed.fd});
    try expectEqual(0, (try bed.collect(1, 1, null)).len);
    thread.join();
}

test "closing a queue ends the calls inside with EBADF, all of them" {
    try t.each(.{}, closeUnderWaiters);
}

fn closeUnderWaiters(bed: *Bed) !void {
    var waiting: [4]Waiting = undefined;
    try startWaiting(bed, &waiting);
    try expectEqual(0, exports.kevent_close(bed.fd));
    for (&waiting) |*one| try expectEqual(-9, one.join());
    bed.fd = -1;
}

test "changes made while another thread sleeps are seen by it: descriptors, timers, files" {
    try t.each(.{}, changesWhileAsleep);
}

fn changesWhileAsleep(bed: *Bed) !void {
    const pipe: Pipe = try .open();
    defer pipe.close();
    var waiting: [1]Waiting = undefined;
    try startWaiting(bed, &waiting);
    try bed.add(t.pollRecord(pipe.reader, in, Request.KEVENT_REQ_ONESHOT, 1));
    try pipe.put();
    try expectEqual(1, waiting[0].join());
    try expectEqual(1, waiting[0].out[0].user[0]);

    try startWaiting(bed, &waiting);
    try bed.add(t.timerRecord(5 * ms, Request.KEVENT_REQ_ONESHOT, 2));
    try expectEqual(1, waiting[0].join());
    try expectEqual(2, waiting[0].out[0].user[0]);

    const file: sys.Fd = @intCast(linux.open("/proc/self/exe", .{ .CLOEXEC = true }, 0));
    defer sys.close(file);
    try startWaiting(bed, &waiting);
    try bed.add(t.pollRecord(file, in, Request.KEVENT_REQ_ONESHOT, 3));
    try expectEqual(1, waiting[0].join());
    try expectEqual(3, waiting[0].out[0].user[0]);

    try startWaiting(bed, &waiting);
    try bed.add(t.pollRecord(pipe.reader, abi.Poll.KEVENT_POLL_PRI, Request.KEVENT_REQ_ONESHOT, 4));
    try bed.modify(t.pollRecord(pipe.reader, in, Request.KEVENT_REQ_ONESHOT, 4));
    try expectEqual(1, waiting[0].join());
    try expectEqual(4, waiting[0].out[0].user[0]);
}

test "a timer that is added with an earlier deadline wakes the sleeper in time" {
    try t.each(.{}, earlierTimer);
}

fn earlierTimer(bed: *Bed) !void {
    try bed.add(t.timerRecord(3600 * second, 0, 1));
    var waiting: [2]Waiting = undefined;
    try startWaiting(bed, &waiting);
    const start = sys.now(.monotonic);
    try bed.add(t.timerRecord(10 * ms, Request.KEVENT_REQ_ONESHOT, 2));
    try expectEqual(1, waiting[0].join());
    try expect(sys.now(.monotonic) - start < 10 * second);
    // And whoever leads next keeps the clock.
    try bed.add(t.timerRecord(10 * ms, Request.KEVENT_REQ_ONESHOT, 3));
    try expectEqual(1, waiting[1].join());
}

test "when a leader's time is up, another takes the lead" {
    try t.each(.{}, leaderLeaves);
}

fn leaveEarly(fd: i32) void {
    var out: [1]Record = undefined;
    _ = exports.kevent_get_events(fd, 1, 1, 0, 20 * ms, &out, 0);
}

fn leaderLeaves(bed: *Bed) !void {
    const pipe: Pipe = try .open();
    defer pipe.close();
    try bed.add(t.pollRecord(pipe.reader, in, Request.KEVENT_REQ_ET, 1));
    const leader = try std.Thread.spawn(.{}, leaveEarly, .{bed.fd});
    t.untilWaiting(bed.fd, 1);
    var follower: Waiting = .{ .fd = bed.fd };
    try follower.start();
    leader.join();
    t.untilWaiting(bed.fd, 1);
    try pipe.put();
    try expectEqual(1, follower.join());
}

test "many threads add, trigger, wait and commit at once; every event is handed out once" {
    try t.each(.{}, crowded);
}

const Crowd = struct {
    fd: i32,
    handed_out: std.atomic.Value(u32) = .init(0),
    ended: std.atomic.Value(bool) = .init(false),

    const rounds = 1500;

    fn produce(crowd: *Crowd, name: u32) void {
        for (0..rounds) |n| {
            var one = [1]Record{t.userRecord(name, Request.KEVENT_REQ_ONESHOT | Request.KEVENT_REQ_READY)};
            one[0].id.raw[0] = @intCast(n);
            _ = exports.kevent_ctl(crowd.fd, Command.KEVENT_CTL_ADD, 1, &one);
            if (one[0].ret_flags != 0) @panic("an add was refused");
        }
    }

    fn consume(crowd: *Crowd) void {
        var out: [4]Record = undefined;
        while (!crowd.ended.load(.acquire)) {
            const got = exports.kevent_get_events(crowd.fd, 1, 4, -1, 0, &out, 0);
            if (got < 0) @panic("a wait was refused");
            _ = crowd.handed_out.fetchAdd(@intCast(got), .acq_rel);
        }
    }
};

fn crowded(bed: *Bed) !void {
    var shared: Crowd = .{ .fd = bed.fd };
    var consumers: [3]std.Thread = undefined;
    for (&consumers) |*thread| thread.* = try std.Thread.spawn(.{}, Crowd.consume, .{&shared});
    var producers: [2]std.Thread = undefined;
    for (&producers, 1..) |*thread, name| thread.* = try std.Thread.spawn(.{}, Crowd.produce, .{ &shared, @as(u32, @intCast(name)) });
    for (producers) |thread| thread.join();
    while (shared.handed_out.load(.acquire) < 2 * Crowd.rounds) t.pause(ms / 4);
    t.untilWaiting(bed.fd, 3);
    shared.ended.store(true, .release);
    // Each kick ends one wait.
    for (0..3) |n| {
        _ = exports.kevent_ctl(bed.fd, Command.KEVENT_CTL_READY, 0, null);
        t.untilWaiting(bed.fd, @intCast(2 - n));
    }
    for (consumers) |thread| thread.join();
    try expectEqual(2 * Crowd.rounds, shared.handed_out.load(.monotonic));
    try expectEqual(0, bed.queue().kevents.count);
}

test "S2-11 what an abandoned wait published stays in the ring for another reader" {
    try t.each(.{ .ring = 4 }, abandoned);
}

fn waitOnce(fd: i32) void {
    _ = exports.kevent_wait(fd, 0, 0, 1, 0, 0);
}

fn abandoned(bed: *Bed) !void {
    try addUsers(bed, 2, Request.KEVENT_REQ_READY);
    // It ends without having read or committed anything.
    const thread = try std.Thread.spawn(.{}, waitOnce, .{bed.fd});
    thread.join();
    try expectEqual(2, bed.ringHead());
    try expectEqual(1, bed.ringSlot(0).user[0]);
    try expectEqual(2, bed.ringSlot(1).user[0]);
    try expectEqual(2, exports.kevent_commit(bed.fd, 2, 0));
}

test "S2-11 when the owner's thread ends, its queues end, and nothing of them stays open" {
    try t.each(.{}, ownerEnds);
}

fn openAndEnd(given: abi.Params, fds: *[2]i32) void {
    for (fds) |*fd| {
        fd.* = exports.kevent_setup(&given, null, null, null);
        var some = [2]Record{ t.userRecord(1, 0), t.timerRecord(second, 0, 2) };
        _ = exports.kevent_ctl(fd.*, Command.KEVENT_CTL_ADD, 2, &some);
    }
}

fn ownerEnds(bed: *Bed) !void {
    const before = t.countDescriptors();
    var fds: [2]i32 = @splat(-1);
    for ([_]bool{ false, true }) |single| {
        var given = bed.params();
        if (single) given.flags = abi.Flags.KEVENT_FLAGS_SINGLE;
        const thread = try std.Thread.spawn(.{}, openAndEnd, .{ given, &fds });
        thread.join();
        for (fds) |fd| {
            try expect(fd >= 0);
            try expectEqual(-9, exports.kevent_ctl(fd, Command.KEVENT_CTL_READY, 0, null));
        }
        try expectEqual(before, t.countDescriptors());
    }
}

test "a queue whose owner ends while others wait ends under them" {
    try t.each(.{}, ownerEndsUnderWaiters);
}

const Ending = struct {
    given: abi.Params,
    fd: std.atomic.Value(i32) = .init(-1),
    end: std.atomic.Value(bool) = .init(false),

    fn run(ending: *Ending) void {
        ending.fd.store(exports.kevent_setup(&ending.given, null, null, null), .release);
        while (!ending.end.load(.acquire)) t.pause(ms / 4);
    }
};

fn ownerEndsUnderWaiters(bed: *Bed) !void {
    var ending: Ending = .{ .given = bed.params() };
    const owner = try std.Thread.spawn(.{}, Ending.run, .{&ending});
    while (ending.fd.load(.acquire) < 0) t.pause(ms / 4);
    var waiting: [2]Waiting = undefined;
    for (&waiting, 1..) |*one, n| {
        one.* = .{ .fd = ending.fd.load(.acquire) };
        try one.start();
        t.untilWaiting(one.fd, @intCast(n));
    }
    ending.end.store(true, .release);
    owner.join();
    for (&waiting) |*one| try expectEqual(-9, one.join());
}

test "full name area: wait returns, the event stays ready, and comes after a commit" {
    try t.each(.{ .ring = 8, .names_bytes = 264 }, fullNames);
    try t.each(.{ .ring = 8, .names_bytes = 264, .single = true }, fullNames);
}

fn fullNames(bed: *Bed) !void {
    var buffer: [64]u8 = undefined;
    const folder = try watchFolder(bed, &buffer);
    defer _ = linux.unlinkat(linux.AT.FDCWD, folder, linux.AT.REMOVEDIR);
    const long: [200]u8 = @splat('n');
    for (0..2) |n| try makeAndRemove(folder, &long, n);
    try expectEqual(1, bed.wait(0, 0, 5 * second));
    const start = sys.now(.monotonic);
    try expectEqual(0, bed.wait(0, 1, 30 * second));
    try expect(sys.now(.monotonic) - start < 10 * second);
    try expectEqual(1, exports.kevent_commit(bed.fd, 1, 0));
    try expectEqual(1, bed.wait(0, 1, 5 * second));
    try expectEqual(2, bed.ringHead());
}

test "S2-34 names of records that found no room in the ring are free again at the next collect" {
    try t.each(.{ .ring = 1, .names_bytes = 264 }, namesOfCopies);
}

fn namesOfCopies(bed: *Bed) !void {
    var buffer: [64]u8 = undefined;
    const folder = try watchFolder(bed, &buffer);
    defer _ = linux.unlinkat(linux.AT.FDCWD, folder, linux.AT.REMOVEDIR);
    const long: [200]u8 = @splat('n');
    try makeAndRemove(folder, "short", 0);
    try expectEqual(1, bed.wait(0, 0, 5 * second));
    try makeAndRemove(folder, &long, 1);
    const copied = try bed.collect(1, 1, 5 * second);
    try expectEqual(1, copied.len);
    try expect(copied[0].ret_flags & Return.KEVENT_RET_COPY_FAILED != 0);
    try makeAndRemove(folder, &long, 2);
    try expectEqual(1, exports.kevent_commit(bed.fd, 1, 0));
    try expectEqual(1, bed.wait(0, 0, 5 * second));
    try expectEqual(2, bed.ringHead());
}

/// A new folder whose children are reported as user 1.
fn watchFolder(bed: *Bed, buffer: []u8) ![:0]const u8 {
    const folder = try std.fmt.bufPrintSentinel(buffer, "/tmp/kevent-names-{d}", .{linux.getpid()}, 0);
    _ = linux.mkdirat(linux.AT.FDCWD, folder, 0o700);
    var one: Record = .zero;
    one.type = abi.Type.KEVENT_INODE;
    one.event = abi.Inode.KEVENT_INODE_CREATE;
    one.req_flags = Request.KEVENT_REQ_ALWAYS_QUEUE;
    one.user[0] = 1;
    try expectEqual(1, exports.kevent_inode_add(bed.fd, folder.ptr, @intCast(folder.len), &one));
    try expectEqual(0, one.ret_flags);
    return folder;
}

fn makeAndRemove(folder: []const u8, name: []const u8, number: usize) !void {
    var buffer: [512]u8 = undefined;
    const path = try std.fmt.bufPrintSentinel(&buffer, "{s}/{s}{d}", .{ folder, name, number }, 0);
    const raw = linux.open(path, .{ .CREAT = true, .ACCMODE = .WRONLY, .CLOEXEC = true }, 0o600);
    if (linux.errno(raw) != .SUCCESS) return error.NoFile;
    sys.close(@intCast(raw));
    _ = linux.unlinkat(linux.AT.FDCWD, path, 0);
}
