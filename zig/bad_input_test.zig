//! What bad input gets: a named error or BROKEN with errno, and a queue that works on. Each on every
//! back-end.

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
const expect = t.expect;
const expectEqual = t.expectEqual;
const ms = t.ms;
const in = t.in;
const second = std.time.ns_per_s;

const PERM = -1;
const BADF = -9;
const FAULT = -14;
const NODEV = -19;
const INVAL = -22;
const NOTSUP = -95;

/// The queue takes an interest, hands out its event and lets it go, as if nothing had happened.
fn stillWorks(bed: *Bed) !void {
    const one = t.userRecord(0xffff, Request.KEVENT_REQ_READY);
    try bed.add(one);
    try bed.expectUsers(&.{0xffff});
    try bed.remove(one);
    try bed.expectUsers(&.{});
    if (bed.options.ring > 0) {
        const queue = bed.queue();
        _ = exports.kevent_commit(bed.fd, queue.ring.?.kidx, @truncate(queue.ring.?.published / bed.options.ring));
    }
}

test "bad input: unknown kinds, flags and commands" {
    try t.each(.{ .ring = 2, .changes = 2 }, unknownBits);
}

fn unknownBits(bed: *Bed) !void {
    const pipe: Pipe = try .open();
    defer pipe.close();
    for (6..32) |bit| {
        const flags = @as(u32, 1) << @intCast(bit);
        try bed.refuse(Command.KEVENT_CTL_ADD, t.userRecord(1, flags), error.INVAL);
    }
    // No kind, or one that the type does not have.
    try bed.refuse(Command.KEVENT_CTL_ADD, t.pollRecord(pipe.reader, 0, 0, 1), error.INVAL);
    try bed.refuse(Command.KEVENT_CTL_ADD, t.pollRecord(pipe.reader, in | 1 << 20, 0, 1), error.INVAL);
    var timer = t.timerRecord(ms, 0, 1);
    timer.event = abi.Timer.KEVENT_TIMER_WALL;
    try bed.refuse(Command.KEVENT_CTL_ADD, timer, error.INVAL);
    timer.event = abi.Timer.KEVENT_TIMER_FIRED | abi.Timer.KEVENT_TIMER_CLOCK_SET;
    try bed.refuse(Command.KEVENT_CTL_ADD, timer, error.INVAL);
    try bed.add(t.userRecord(2, 0));
    try bed.refuse(Command.KEVENT_CTL_MODIFY, t.userRecord(2, 1 << 30), error.INVAL);
    var other = t.userRecord(2, 0);
    other.type = abi.Type.KEVENT_POLL;
    try bed.refuse(Command.KEVENT_CTL_MODIFY, other, error.INVAL);
    // A change that was refused changed nothing.
    try bed.trigger(t.userRecord(2, 0));
    try bed.expectUsers(&.{2});
    var one = [1]Record{t.userRecord(3, 0)};
    for ([_]u32{ 0, 6, 7, 8, 1 << 31, 0xffff_ffff }) |command| {
        try expectEqual(INVAL, exports.kevent_ctl(bed.fd, command, 1, &one));
        try expectEqual(INVAL, exports.kevent_ctl(bed.fd, command, 0, null));
        bed.changes()[0] = t.userRecord(3, 0);
        bed.changes()[0].ret_flags = command;
        try expect(exports.kevent_turn(bed.fd, 1, 0, 0, 0) >= 0);
        try expectEqual(Return.KEVENT_RET_BROKEN, bed.changes()[0].ret_flags);
        try expectEqual(22, bed.changes()[0].ret_data);
    }
    for ([_]u32{ 2, 4, 1 << 31 }) |flags| {
        try expectEqual(INVAL, exports.kevent_get_events(bed.fd, 0, 1, 0, 0, &bed.out, flags));
        try expectEqual(INVAL, exports.kevent_wait(bed.fd, 0, 0, 0, 0, flags));
        try expectEqual(INVAL, exports.kevent_turn(bed.fd, 0, 0, 0, flags));
    }
    try stillWorks(bed);
}

test "S2-4 bad input: unknown flags of a queue, and parameters that cannot be" {
    try t.each(.{ .ring = 4 }, parameters);
}

fn setup(given: abi.Params, ring: ?[*]u8) i32 {
    return exports.kevent_setup(&given, ring, null, null);
}

fn parameters(bed: *Bed) !void {
    var memory: [abi.ringBytes(8) + 64]u8 align(64) = undefined;
    for ([_]u32{ 1, 4, 8, 1 << 31, 0xffff_fffd }) |flags| {
        try expectEqual(INVAL, exports.kevent_init(null, 0, flags));
        var given = bed.params();
        given.flags = flags;
        try expectEqual(INVAL, setup(given, &memory));
    }
    const good = bed.params();
    var given = good;
    given.size = 8;
    try expectEqual(INVAL, setup(given, &memory));
    given = good;
    given.backend = 9;
    try expectEqual(INVAL, setup(given, &memory));
    try expectEqual(FAULT, exports.kevent_setup(null, null, null, null));
    // Rings: no size, no memory, memory of another size, not aligned, beyond all bounds.
    given = good;
    given.ring_entries = 0;
    try expectEqual(INVAL, setup(given, &memory));
    try expectEqual(INVAL, exports.kevent_init(&memory, 0, 0));
    try expectEqual(FAULT, exports.kevent_init(null, 8, 0));
    try expectEqual(FAULT, setup(good, null));
    try expectEqual(INVAL, setup(good, memory[1..].ptr));
    for ([_]i32{ -1, 1, 40, -40 }) |difference| {
        given = good;
        given.ring_bytes = @intCast(@as(i32, @intCast(good.ring_bytes)) + difference);
        try expectEqual(NODEV, setup(given, &memory));
    }
    for ([_]u32{ abi.ring_entries_max + 1, 1 << 31, 0xffff_ffff }) |entries| {
        given = good;
        given.ring_entries = entries;
        try expectEqual(INVAL, setup(given, &memory));
        try expectEqual(INVAL, exports.kevent_init(&memory, entries, 0));
    }
    // Change area and name area.
    given = good;
    given.changes_bytes = 41;
    try expectEqual(INVAL, setup(given, &memory));
    given.changes_bytes = 40;
    try expectEqual(FAULT, setup(given, &memory));
    try expectEqual(INVAL, exports.kevent_setup(&given, &memory, memory[4..].ptr, null));
    given = good;
    given.names_bytes = 4096;
    try expectEqual(FAULT, setup(given, &memory));
    given.names_bytes = 8;
    try expectEqual(INVAL, exports.kevent_setup(&given, &memory, null, &memory));
    try stillWorks(bed);
}

test "bad input: a ring in a file that is too short, is no file, or is not there" {
    const raw = linux.memfd_create("short", linux.MFD.CLOEXEC);
    const file: sys.Fd = @intCast(raw);
    defer sys.close(file);
    const base: Bed = .{ .kind = .epoll, .options = .{ .ring = 8 } };
    var given = base.params();
    given.ring_fd = file;
    try expectEqual(NODEV, setup(given, null));
    try expectEqual(0, linux.ftruncate(file, @intCast(abi.ringBytes(8) - 1)));
    try expectEqual(NODEV, setup(given, null));
    given.ring_fd = 1 << 20;
    try expectEqual(BADF, setup(given, null));
    const pipe: Pipe = try .open();
    defer pipe.close();
    given.ring_fd = pipe.reader;
    try expect(setup(given, null) < 0);
}

test "a ring of one slot works" {
    try t.each(.{ .ring = 1 }, ringOfOne);
}

fn ringOfOne(bed: *Bed) !void {
    try bed.add(t.userRecord(1, 0));
    for (0..5) |n| {
        try bed.trigger(t.userRecord(1, 0));
        try expectEqual(1, bed.wait(0, 0, 0));
        try expectEqual(@as(u32, @intCast(n + 1)), bed.ringHead());
        try expectEqual(INVAL, exports.kevent_commit(bed.fd, 1, @intCast(n + 1)));
        const ways = [_]i32{ exports.kevent_commit(bed.fd, 1, @intCast(n)), exports.kevent_commit(bed.fd, 0, @intCast(n + 1)) };
        try expectEqual([_]i32{ 1, 0 }, ways);
    }
}

test "bad input: descriptors that are no queue, in each call" {
    try t.each(.{ .ring = 2 }, noQueue);
}

fn noQueue(bed: *Bed) !void {
    const pipe: Pipe = try .open();
    defer pipe.close();
    const gone = try bed.another();
    try expectEqual(0, exports.kevent_close(gone));
    for ([_]i32{ -2, -1 << 31, (1 << 31) - 1, pipe.reader, gone, 0 }) |fd| {
        var one = [1]Record{t.userRecord(1, 0)};
        try expectEqual(BADF, exports.kevent_ctl(fd, Command.KEVENT_CTL_ADD, 1, &one));
        try expectEqual(BADF, exports.kevent_get_events(fd, 0, 1, 0, 0, &one, 0));
        try expectEqual(BADF, exports.kevent_wait(fd, 0, 0, 0, 0, 0));
        try expectEqual(BADF, exports.kevent_commit(fd, 0, 0));
        try expectEqual(BADF, exports.kevent_turn(fd, 0, 0, 0, 0));
        try expectEqual(BADF, exports.kevent_wake_open(fd));
        try expectEqual(BADF, exports.kevent_info(fd, null, 0));
        try expectEqual(BADF, exports.kevent_simulate(fd, 1, 0));
        try expectEqual(BADF, exports.kevent_close(fd));
        var record: Record = .zero;
        try expectEqual(BADF, exports.kevent_inode_add(fd, "/", 1, &record));
    }
    try stillWorks(bed);
}

test "S2-21 bad input: num of 0 or 2^31, and no memory for it" {
    try t.each(.{ .ring = 2, .changes = 2 }, numbers);
}

fn numbers(bed: *Bed) !void {
    var one = [1]Record{t.userRecord(1, 0)};
    for ([_]u32{ 1 << 31, 0xffff_ffff, (1 << 24) + 1 }) |num| {
        try expectEqual(INVAL, exports.kevent_ctl(bed.fd, Command.KEVENT_CTL_ADD, num, &one));
        try expectEqual(INVAL, exports.kevent_get_events(bed.fd, 0, num, 0, 0, &one, 0));
        try expectEqual(INVAL, exports.kevent_turn(bed.fd, num, 0, 0, 0));
        try expectEqual(INVAL, exports.kevent_turn(bed.fd, 0, num, 0, 0));
    }
    try expectEqual(INVAL, exports.kevent_get_events(bed.fd, 0, 0, 0, 0, &one, 0));
    try expectEqual(INVAL, exports.kevent_get_events(bed.fd, 2, 1, 0, 0, &one, 0));
    try expectEqual(FAULT, exports.kevent_get_events(bed.fd, 0, 1, 0, 0, null, 0));
    try expectEqual(FAULT, exports.kevent_ctl(bed.fd, Command.KEVENT_CTL_ADD, 1, null));
    try expectEqual(0, exports.kevent_ctl(bed.fd, Command.KEVENT_CTL_ADD, 0, null));
    // As many as fit.
    try expectEqual(0, exports.kevent_wait(bed.fd, 1 << 31, 0, 0, 0, 0));
    try expectEqual(INVAL, exports.kevent_wait(bed.fd, 0, 2, 0, 0, 0));
    try expectEqual(INVAL, exports.kevent_wait(bed.fd, 0, 1 << 31, 0, 0, 0));
    try stillWorks(bed);
}

test "bad input: timeouts" {
    try t.each(.{ .ring = 2 }, timeouts);
}

fn timeouts(bed: *Bed) !void {
    const bad = [_][2]i64{ .{ -2, 0 }, .{ std.math.minInt(i64), 0 }, .{ 0, -1 }, .{ 0, second }, .{ 0, std.math.maxInt(i64) } };
    for (bad) |timeout| {
        try expectEqual(INVAL, exports.kevent_get_events(bed.fd, 1, 1, timeout[0], timeout[1], &bed.out, 0));
        try expectEqual(INVAL, exports.kevent_wait(bed.fd, 0, 0, timeout[0], timeout[1], 0));
    }
    // The longest there is: ends with the event that is there.
    try bed.add(t.userRecord(1, Request.KEVENT_REQ_READY));
    try expectEqual(1, exports.kevent_get_events(bed.fd, 1, 1, std.math.maxInt(i64), second - 1, &bed.out, 0));
    for ([_]f64{ std.math.inf(f64), 1e300, 9.3e18, -1 }) |timeout| {
        try bed.ready(t.userRecord(1, 0));
        try expect(exports.kevent_turn(bed.fd, 0, 0, timeout, 0) > 0);
        try expect(exports.kevent_turn(bed.fd, 0, 1, 0, 0) >= 0);
    }
    try bed.remove(t.userRecord(1, 0));
}

test "bad input: a timer of 10^9 ns or more in the ns word" {
    try t.each(.{}, timerWord);
}

fn timerWord(bed: *Bed) !void {
    for ([_]u32{ 1_000_000_000, 1_000_000_001, 0xffff_ffff }) |ns| {
        var one = t.timerRecord(0, 0, 1);
        one.id.raw[1] = ns;
        try bed.refuse(Command.KEVENT_CTL_ADD, one, error.INVAL);
    }
    // The largest that is a time.
    var one = t.timerRecord(0, 0, 1);
    one.id.raw = .{ 0xffff_ffff, 999_999_999 };
    for ([_]u32{ 0, abi.Timer.KEVENT_TIMER_ABSOLUTE, abi.Timer.KEVENT_TIMER_WALL }) |kind| {
        one.event = abi.Timer.KEVENT_TIMER_FIRED | kind;
        try bed.add(one);
        try expectEqual(0, (try bed.collect(1, 1, ms)).len);
        try bed.remove(one);
    }
    try stillWorks(bed);
}

test "bad input: descriptors that cannot be watched" {
    try t.each(.{}, unwatchable);
}

fn unwatchable(bed: *Bed) !void {
    const pipe: Pipe = try .open();
    defer pipe.close();
    for ([_]i32{ -1, -1 << 31, (1 << 31) - 1, 1 << 22, 900 }) |fd| {
        var one = t.pollRecord(fd, in, 0, 1);
        try bed.control(Command.KEVENT_CTL_ADD, &one);
        try expectEqual(Return.KEVENT_RET_BROKEN, one.ret_flags);
        try expect(one.ret_data == 9 or one.ret_data == 28);
    }
    var second_word = t.pollRecord(pipe.reader, in, 0, 1);
    second_word.id.raw[1] = 1;
    try bed.refuse(Command.KEVENT_CTL_ADD, second_word, error.BADF);
    try bed.refuse(Command.KEVENT_CTL_ADD, t.socketRecord(pipe.reader, abi.Socket.KEVENT_SOCKET_RECV, 0, 1), error.NOTSOCK);
    // A queue in itself would be readable because it is readable.
    try bed.refuse(Command.KEVENT_CTL_ADD, t.pollRecord(bed.fd, in, 0, 1), error.INVAL);
    try expectEqual(0, bed.queue().kevents.count);
    try expectEqual(0, bed.queue().storages.count);
    try stillWorks(bed);
}

test "S2-73 bad input: what is needed is missing" {
    try t.each(.{}, missing);
}

fn missing(bed: *Bed) !void {
    const pipe: Pipe = try .open();
    defer pipe.close();
    const good = t.pollRecord(pipe.reader, in, 0, 1);
    var one = good;
    one.type = 0;
    try bed.refuse(Command.KEVENT_CTL_ADD, one, error.NOTSUP);
    one = good;
    one.event = 0;
    try bed.refuse(Command.KEVENT_CTL_ADD, one, error.INVAL);
    try bed.add(good);
    try bed.refuse(Command.KEVENT_CTL_ADD, good, error.EXIST);
    // The same pair of id and user, of another type.
    one = t.userRecord(1, 0);
    one.id = good.id;
    try bed.refuse(Command.KEVENT_CTL_ADD, one, error.EXIST);
    try bed.refuse(Command.KEVENT_CTL_TRIGGER, good, error.INVAL);
    try pipe.put();
    try bed.expectUsers(&.{1});
}

test "bad input: indexes and records scribbled over by the script" {
    try t.each(.{ .ring = 4, .changes = 4 }, scribbled);
}

fn scribbled(bed: *Bed) !void {
    try bed.add(t.userRecord(1, 0));
    var over: u32 = 0;
    for (0..20) |n| {
        @memset(bed.ringBytes(), @truncate(n * 0x5b));
        try bed.trigger(t.userRecord(1, 0));
        const slot: u32 = @intCast(n % 4);
        try expectEqual(1, bed.wait(0, slot, 0));
        try expectEqual(1, bed.ringSlot(slot).user[0]);
        @memset(bed.ringBytes(), 0xff);
        if (slot == 3) over += 1;
        try expectEqual(1, exports.kevent_commit(bed.fd, (slot + 1) % 4, over));
        @memset(std.mem.sliceAsBytes(bed.changes()), @truncate(n * 0x35));
        try expect(exports.kevent_turn(bed.fd, 4, 0, 0, 0) >= 0);
        for (bed.changes()) |change| try expect(change.ret_flags & Return.KEVENT_RET_BROKEN != 0);
    }
    try stillWorks(bed);
}

test "bad input: commit ahead of the producer, in all ways to say so" {
    try t.each(.{ .ring = 2 }, ahead);
}

fn ahead(bed: *Bed) !void {
    try bed.add(t.userRecord(1, 0));
    var published: u64 = 0;
    var committed: u64 = 0;
    // All states of a ring of two over three wraps, and in each all ends that are near.
    while (published < 6) {
        for (0..6) |wrap| for (0..4) |end| {
            const place = wrap * 2 + end;
            const bad = end > 2 or place > published;
            if (!bad and place > committed) continue;
            const got = exports.kevent_commit(bed.fd, @intCast(end), @intCast(wrap));
            // A wrap that is over frees nothing, whatever end it names.
            const late = end <= 2 and wrap < committed / 2;
            try expectEqual(if (bad and !late) @as(i32, INVAL) else 0, got);
        };
        try expectEqual(INVAL, exports.kevent_commit(bed.fd, 0, 0x7fff_ffff));
        try bed.trigger(t.userRecord(1, 0));
        try expectEqual(1, bed.wait(0, 0, 0));
        published += 1;
        if (published - committed == 2) {
            try expectEqual(2, exports.kevent_commit(bed.fd, @intCast(published % 2), @intCast(published / 2)));
            committed = published;
        }
    }
    try stillWorks(bed);
}

test "bad input: a queue that is closed, and closed again" {
    try t.each(.{}, closedQueue);
}

fn closedQueue(bed: *Bed) !void {
    try expectEqual(0, exports.kevent_close(bed.fd));
    try expectEqual(BADF, exports.kevent_close(bed.fd));
    try expectEqual(BADF, exports.kevent_get_events(bed.fd, 0, 1, 0, 0, &bed.out, 0));
    bed.fd = -1;
}

test "bad input: a queue for one thread, used by another" {
    try t.each(.{ .single = true, .ring = 2, .changes = 2 }, wrongThread);
}

fn useFromElsewhere(fd: i32, got: *[10]i32) void {
    var one = [1]Record{t.userRecord(1, 0)};
    var record: Record = .zero;
    got.* = .{
        exports.kevent_ctl(fd, Command.KEVENT_CTL_ADD, 1, &one),
        exports.kevent_ctl(fd, Command.KEVENT_CTL_REMOVE, 1, &one),
        exports.kevent_ctl(fd, Command.KEVENT_CTL_MODIFY, 1, &one),
        exports.kevent_get_events(fd, 0, 1, 0, 0, &one, 0),
        exports.kevent_wait(fd, 0, 0, 0, 0, 0),
        exports.kevent_commit(fd, 0, 0),
        exports.kevent_turn(fd, 0, 0, 0, 0),
        exports.kevent_wake_open(fd),
        exports.kevent_inode_add(fd, "/", 1, &record),
        exports.kevent_close(fd),
    };
}

fn allowedFromElsewhere(fd: i32, got: *[4]i32) void {
    var one = [1]Record{t.userRecord(1, 0)};
    got.* = .{
        exports.kevent_ctl(fd, Command.KEVENT_CTL_READY, 1, &one),
        exports.kevent_ctl(fd, Command.KEVENT_CTL_READY, 0, null),
        exports.kevent_ctl(fd, Command.KEVENT_CTL_TRIGGER, 1, &one),
        exports.kevent_info(fd, null, 0),
    };
}

fn wrongThread(bed: *Bed) !void {
    try bed.add(t.userRecord(1, 0));
    var refused: [10]i32 = undefined;
    (try std.Thread.spawn(.{}, useFromElsewhere, .{ bed.fd, &refused })).join();
    for (refused) |got| try expectEqual(PERM, got);
    var allowed: [4]i32 = undefined;
    (try std.Thread.spawn(.{}, allowedFromElsewhere, .{ bed.fd, &allowed })).join();
    try expectEqual([3]i32{ 1, 0, 1 }, allowed[0..3].*);
    try expect(allowed[3] > 0);
    try bed.expectUsers(&.{1});
    try stillWorks(bed);
}

test "bad input: a descriptor closed while registered is silent or BROKEN, and can be removed" {
    try t.each(.{}, closedWhileRegistered);
}

fn closedWhileRegistered(bed: *Bed) !void {
    const pipe: Pipe = try .open();
    try bed.add(t.pollRecord(pipe.reader, in, 0, 1));
    try pipe.put();
    try bed.expectUsers(&.{1});
    pipe.close();
    for (0..3) |_| for (try bed.look()) |got| {
        try expectEqual(Return.KEVENT_RET_BROKEN | Return.KEVENT_RET_DONE, got.ret_flags);
        try expectEqual(9, got.ret_data);
    };
    var one = t.pollRecord(pipe.reader, in, 0, 1);
    try bed.control(Command.KEVENT_CTL_REMOVE, &one);
    try expectEqual(0, bed.queue().kevents.count);
    try expectEqual(0, bed.queue().storages.count);
    try stillWorks(bed);
}

test "bad input: a descriptor number reused while registered: the old interest is BROKEN, the new one works" {
    try t.each(.{}, reusedWhileRegistered);
}

fn reusedWhileRegistered(bed: *Bed) !void {
    const first: Pipe = try .open();
    try bed.add(t.pollRecord(first.reader, in, 0, 1));
    try bed.expectUsers(&.{});
    first.close();
    const pipe: Pipe = try .open();
    defer pipe.close();
    try expectEqual(first.reader, pipe.reader);
    var one = t.pollRecord(pipe.reader, in, 0, 2);
    try bed.control(Command.KEVENT_CTL_ADD, &one);
    try expectEqual(0, one.ret_flags);
    try pipe.put();
    const got = try bed.collect(0, 8, 0);
    try expectEqual(2, got.len);
    for (got) |r| {
        if (r.user[0] == 2) {
            try expectEqual(Return.KEVENT_RET_DONE, r.ret_flags);
        } else {
            try expectEqual(Return.KEVENT_RET_BROKEN | Return.KEVENT_RET_DONE, r.ret_flags);
            try expectEqual(9, r.ret_data);
        }
    }
    try bed.expectUsers(&.{2});
    try expectEqual(1, bed.queue().kevents.count);
}

test "bad input: the number of a watched pipe is reused by a regular file, and the other way round" {
    try t.each(.{}, reusedByFile);
}

fn reusedByFile(bed: *Bed) !void {
    const first: Pipe = try .open();
    try bed.add(t.pollRecord(first.reader, in, 0, 1));
    first.close();
    const file: sys.Fd = @intCast(linux.open("/proc/self/exe", .{ .CLOEXEC = true }, 0));
    try expectEqual(first.reader, file);
    var one = t.pollRecord(file, in, 0, 2);
    try bed.control(Command.KEVENT_CTL_ADD, &one);
    try bed.expectSet(&.{ 1, 2 });
    try bed.expectUsers(&.{2});
    sys.close(file);
    const pipe: Pipe = try .open();
    defer pipe.close();
    try bed.remove(t.pollRecord(file, in, 0, 2));
    try bed.add(t.pollRecord(pipe.reader, in, 0, 3));
    try bed.expectUsers(&.{});
    try pipe.put();
    try bed.expectUsers(&.{3});
}

test "bad input: a broken registration that is changed starts anew" {
    try t.each(.{}, brokenThenChanged);
}

fn brokenThenChanged(bed: *Bed) !void {
    const first: Pipe = try .open();
    try bed.add(t.pollRecord(first.reader, in, 0, 1));
    try bed.expectUsers(&.{});
    first.close();
    const pipe: Pipe = try .open();
    defer pipe.close();
    try bed.add(t.pollRecord(pipe.reader, in, 0, 2));
    // The first is BROKEN by now and waits on the ready list.
    try bed.modify(t.pollRecord(pipe.reader, in, 0, 1));
    try pipe.put();
    try bed.expectSet(&.{ 1, 2 });
    for (try bed.look()) |got| try expectEqual(Return.KEVENT_RET_DONE, got.ret_flags);
    try expectEqual(2, bed.queue().kevents.count);
}

test "bad input: a descriptor closed while a duplicate keeps its file open" {
    try t.each(.{}, duplicate);
}

fn duplicate(bed: *Bed) !void {
    const pipe: Pipe = try .open();
    const copy: sys.Fd = @intCast(linux.dup(pipe.reader));
    defer sys.close(copy);
    try bed.add(t.pollRecord(pipe.reader, in, 0, 1));
    sys.close(pipe.reader);
    var one = t.pollRecord(pipe.reader, in, 0, 1);
    try bed.control(Command.KEVENT_CTL_REMOVE, &one);
    try pipe.put();
    // The kernel may still report the file; nobody is told, and the queue does not spin on it.
    for (0..4) |_| try bed.expectUsers(&.{});
    try expectEqual(0, (try bed.collect(1, 1, 5 * ms)).len);
    sys.close(pipe.writer);
    try stillWorks(bed);
}

test "bad input: info with no room, clocks that are none, simulate without simulation" {
    try t.each(.{}, smallThings);
}

fn smallThings(bed: *Bed) !void {
    var text: [4096]u8 = undefined;
    const length = exports.kevent_info(bed.fd, &text, text.len);
    try expect(length > 0 and length < text.len);
    text[0] = 0x55;
    try expectEqual(length, exports.kevent_info(bed.fd, null, 0));
    try expect(exports.kevent_info(-1, &text, text.len) > 0);
    try expect(std.math.isNan(exports.kevent_now(2)));
    try expect(exports.kevent_now(0) > 0);
    if (bed.kind != .simulated) try expectEqual(NOTSUP, exports.kevent_simulate(bed.fd, 1, 1));
    for ([_]u32{ 0, 5, 1 << 31 }) |op| try expect(exports.kevent_simulate(bed.fd, op, 0) < 0);
    for ([_]f64{ -1, std.math.nan(f64), std.math.inf(f64), 1e30 }) |value| {
        try expect(exports.kevent_simulate(bed.fd, abi.Simulate.KEVENT_SIMULATE_ADVANCE, value) < 0);
        try expect(exports.kevent_simulate(bed.fd, abi.Simulate.KEVENT_SIMULATE_FAULTS_PER_MILLE, value) < 0);
        try expect(exports.kevent_simulate(bed.fd, abi.Simulate.KEVENT_SIMULATE_MANUAL_CLOCK, value) < 0);
    }
    try stillWorks(bed);
}
