//! Each way the kernel can refuse, at each place where it may: the caller is told by name, nothing is
//! lost or left open, and the same call works when the kernel has thought better of it.

const std = @import("std");
const abi = @import("abi.zig");
const sys = @import("sys/linux.zig");
const fault = sys.fault;
const errors = @import("errors.zig");
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

/// What a queue asks of the kernel.
const calls = [_]fault.Call{
    .eventfd,        .timerfd,           .epoll_create, .epoll_ctl, .epoll_wait, .poll,
    .mmap,           .mprotect,          .statx,        .fcntl,     .getsockopt, .io_uring_setup,
    .io_uring_enter, .io_uring_register,
};
const refusals = [_]errors.Error{ error.MFILE, error.NOMEM, error.NOSYS, error.NOSPC };
/// More calls of one kind than any scenario makes.
const skips_most = 40;

/// Refuse the first call of each kind, then the second, and so on until there are no more.
fn sweep(bed: *Bed, comptime scenario: fn (*Bed, errors.Error) anyerror!void) !void {
    for (calls) |call| for (refusals) |err| {
        for (0..skips_most) |skip| {
            errdefer std.debug.print("call {t} number {d} refused with {t}\n", .{ call, skip, err });
            fault.arrange(call, @intCast(skip), err);
            defer _ = fault.cancel();
            try scenario(bed, err);
            if (fault.cancel()) break;
        } else return error.TooManyCalls;
    };
}

/// A result is as it should be, or the refusal.
fn expectOr(err: errors.Error, wanted: i32, got: i32) !void {
    if (got != wanted) try expectEqual(errors.negative(err), got);
}

test "fault: a queue that cannot be made leaves nothing behind" {
    try t.each(.{ .ring = 4, .names_bytes = 1024 }, making);
}

fn making(bed: *Bed) !void {
    try sweep(bed, makeOne);
}

fn makeOne(bed: *Bed, err: errors.Error) !void {
    var memory: [abi.ringBytes(4)]u8 align(8) = undefined;
    var names: [1024]u8 align(8) = undefined;
    const before = t.countDescriptors();
    for ([_]bool{ false, true }) |single| {
        var given = bed.params();
        if (single) given.flags = abi.Flags.KEVENT_FLAGS_SINGLE;
        const fd = exports.kevent_setup(&given, &memory, null, &names);
        if (fd < 0) try expectEqual(errors.negative(err), fd) else try expectEqual(0, exports.kevent_close(fd));
        try expectEqual(before, t.countDescriptors());
    }
}

test "fault: an interest that cannot be watched is BROKEN by name and is not there; again, it works" {
    try t.each(.{}, watching);
    try t.each(.{ .single = true }, watching);
}

fn watching(bed: *Bed) !void {
    try sweep(bed, watchOne);
}

fn watchOne(bed: *Bed, err: errors.Error) !void {
    const pipe: Pipe = try .open();
    defer pipe.close();
    const level = t.pollRecord(pipe.reader, in, 0, 1);
    const edge = t.pollRecord(pipe.reader, in, Request.KEVENT_REQ_ET, 2);
    for ([_]Record{ level, edge }) |given| {
        var one = [1]Record{given};
        const done = exports.kevent_ctl(bed.fd, Command.KEVENT_CTL_ADD, 1, &one);
        try expectEqual(1, done);
        bed.queue().checkInvariants();
        if (one[0].ret_flags == 0) continue;
        try expectEqual(Return.KEVENT_RET_BROKEN, one[0].ret_flags);
        try expectEqual(errors.number(err), one[0].ret_data);
        try bed.add(given);
    }
    try pipe.put();
    try collectAll(bed, err, &.{ 1, 2 });
    for ([_]Record{ edge, level }) |given| {
        var one = [1]Record{given};
        try expectEqual(1, exports.kevent_ctl(bed.fd, Command.KEVENT_CTL_REMOVE, 1, &one));
        try expectEqual(Return.KEVENT_RET_DONE, one[0].ret_flags);
    }
    try expectEqual(0, bed.queue().kevents.count);
    try expectEqual(0, bed.queue().storages.count);
}

/// Each of these comes, whatever call is refused meanwhile.
fn collectAll(bed: *Bed, err: errors.Error, users: []const u32) !void {
    var seen: u32 = 0;
    var all: u32 = 0;
    for (users) |user| all |= @as(u32, 1) << @intCast(user);
    for (0..8) |_| {
        const got = exports.kevent_get_events(bed.fd, 1, 8, 1, 0, &bed.out, 0);
        bed.queue().checkInvariants();
        if (got < 0) {
            try expectEqual(errors.negative(err), got);
            continue;
        }
        for (bed.out[0..@intCast(got)]) |event| {
            try expectEqual(Return.KEVENT_RET_DONE, event.ret_flags);
            seen |= @as(u32, 1) << @intCast(event.user[0]);
        }
        if (seen & all == all) return;
    }
    return error.LostEvent;
}

test "fault: a change that cannot be made leaves a queue that works" {
    try t.each(.{}, changing);
}

fn changing(bed: *Bed) !void {
    try sweep(bed, changeOne);
}

fn changeOne(bed: *Bed, err: errors.Error) !void {
    const pair = try sys.socketpair();
    defer for (pair) |fd| sys.close(fd);
    const kept = t.pollRecord(pair[0], in, 0, 1);
    var other = t.pollRecord(pair[0], in, 0, 2);
    // What is refused here was refused in another test.
    for ([_]Record{ kept, other }) |given| {
        var one = [1]Record{given};
        _ = exports.kevent_ctl(bed.fd, Command.KEVENT_CTL_ADD, 1, &one);
        if (one[0].ret_flags != 0) try bed.add(given);
    }
    other.event = in | t.out;
    var one = [1]Record{other};
    try expectEqual(1, exports.kevent_ctl(bed.fd, Command.KEVENT_CTL_MODIFY, 1, &one));
    bed.queue().checkInvariants();
    if (one[0].ret_flags & Return.KEVENT_RET_BROKEN != 0) {
        try expectEqual(errors.number(err), one[0].ret_data);
    } else try collectAll(bed, err, &.{2});
    // Its neighbour is not harmed.
    _ = try sys.sendQuietly(pair[1], "x");
    try collectAll(bed, err, &.{1});
    for ([_]Record{ kept, other }) |given| {
        one[0] = given;
        _ = exports.kevent_ctl(bed.fd, Command.KEVENT_CTL_REMOVE, 1, &one);
    }
    try expectEqual(0, bed.queue().kevents.count);
    try expectEqual(0, bed.queue().storages.count);
}

test "fault: timers are armed late rather than never" {
    try t.each(.{}, arming);
    try t.each(.{ .single = true }, arming);
}

fn arming(bed: *Bed) !void {
    try sweep(bed, armOne);
}

fn armOne(bed: *Bed, err: errors.Error) !void {
    const wall = bed.now(.wall);
    var date = t.timerRecord(wall + ms / 4, Request.KEVENT_REQ_ONESHOT, 2);
    date.event |= abi.Timer.KEVENT_TIMER_WALL;
    for ([_]Record{ t.timerRecord(ms / 4, Request.KEVENT_REQ_ONESHOT, 1), date }) |given| {
        var one = [1]Record{given};
        one[0].req_flags |= Request.KEVENT_REQ_ALWAYS_QUEUE;
        try expectEqual(1, exports.kevent_ctl(bed.fd, Command.KEVENT_CTL_ADD, 1, &one));
        if (one[0].ret_flags == 0) continue;
        try expectEqual(errors.number(err), one[0].ret_data);
        one[0] = given;
        one[0].req_flags |= Request.KEVENT_REQ_ALWAYS_QUEUE;
        try expectEqual(1, exports.kevent_ctl(bed.fd, Command.KEVENT_CTL_ADD, 1, &one));
        try expectEqual(0, one[0].ret_flags);
    }
    try collectAll(bed, err, &.{ 1, 2 });
    try expectEqual(0, bed.queue().kevents.count);
}

test "fault: growth that is refused refuses one element, and the others are there" {
    try t.each(.{}, growing);
}

fn growing(bed: *Bed) !void {
    for (0..24) |skip| {
        var second: Bed = .{ .kind = bed.kind, .options = .{} };
        second.fd = try bed.another();
        defer _ = exports.kevent_close(second.fd);
        var many: [4000]Record = undefined;
        for (&many, 1..) |*one, n| one.* = t.userRecord(@intCast(n), Request.KEVENT_REQ_READY);
        fault.arrange(.mprotect, @intCast(skip), error.NOMEM);
        try expectEqual(4000, exports.kevent_ctl(second.fd, Command.KEVENT_CTL_ADD, many.len, &many));
        const missed = fault.cancel();
        var broken: u32 = 0;
        for (many) |one| {
            if (one.ret_flags == 0) continue;
            try expectEqual(12, one.ret_data);
            broken += 1;
        }
        try expectEqual(@as(u32, if (missed) 0 else 1), broken);
        second.queue().checkInvariants();
        try expectEqual(many.len - broken, second.queue().kevents.count);
        var collected: usize = 0;
        while (true) {
            const got = try second.look();
            if (got.len == 0) break;
            collected += got.len;
        }
        try expectEqual(many.len - broken, collected);
        if (missed) return;
    }
}

test "fault: EINTR ends no wait and loses no event" {
    try t.each(.{}, interrupted);
    try t.each(.{ .single = true }, interrupted);
}

fn interrupted(bed: *Bed) !void {
    const pipe: Pipe = try .open();
    defer pipe.close();
    try bed.add(t.pollRecord(pipe.reader, in, Request.KEVENT_REQ_ET, 1));
    for ([_]fault.Call{ .epoll_wait, .poll, .io_uring_enter }) |call| {
        for (0..4) |skip| {
            errdefer std.debug.print("call {t} number {d}\n", .{ call, skip });
            try bed.add(t.timerRecord(ms, Request.KEVENT_REQ_ONESHOT, 2));
            fault.arrange(call, @intCast(skip), error.INTR);
            defer _ = fault.cancel();
            try pipe.put();
            var seen: [3]u32 = @splat(0);
            while (seen[1] == 0 or seen[2] == 0) {
                const got = try bed.collect(1, 4, std.time.ns_per_s);
                try expect(got.len > 0);
                for (got) |event| seen[event.user[0]] += 1;
            }
            try expectEqual([3]u32{ 0, 1, 1 }, seen);
            const start = bed.now(.monotonic);
            try expectEqual(0, (try bed.collect(1, 1, ms)).len);
            try expect(bed.now(.monotonic) - start >= ms);
        }
    }
}

test "fault: without epoll_pwait2 a wait is longer by less than a millisecond, never shorter" {
    var bed: Bed = .{ .kind = .epoll, .options = .{ .single = true } };
    const given = bed.params();
    bed.fd = exports.kevent_setup(&given, null, null, null);
    defer _ = exports.kevent_close(bed.fd);
    const start = sys.now(.monotonic);
    fault.arrange(.epoll_wait, 0, error.NOSYS);
    try expectEqual(0, (try bed.collect(1, 1, 3 * ms / 2)).len);
    try expect(!fault.cancel());
    try expect(sys.now(.monotonic) - start >= 3 * ms / 2);
}

test "fault: a script that cannot be put to sleep is told, and sleeps the next time" {
    try t.each(.{ .single = true, .ring = 4 }, fallingAsleep);
}

fn fallingAsleep(bed: *Bed) !void {
    const pipe: Pipe = try .open();
    defer pipe.close();
    const script = exports.kevent_wake_open(bed.fd);
    try expect(script >= 0);
    defer sys.close(script);
    try bed.add(t.pollRecord(pipe.reader, in, Request.KEVENT_REQ_ET, 1));
    for ([_]fault.Call{ .epoll_create, .eventfd, .clone, .epoll_ctl, .poll, .io_uring_setup, .io_uring_enter, .io_uring_register }) |call| {
        errdefer std.debug.print("call {t}\n", .{call});
        fault.arrange(call, 0, error.NOMEM);
        defer _ = fault.cancel();
        const got = exports.kevent_turn(bed.fd, 0, 0, 0, abi.Turn.KEVENT_TURN_ARM);
        try expectOr(error.NOMEM, 0, got);
        if (got < 0) try expectEqual(0, exports.kevent_turn(bed.fd, 0, 0, 0, abi.Turn.KEVENT_TURN_ARM));
        _ = fault.cancel();
        try pipe.put();
        var fds = [1]sys.PollFd{.{ .fd = script, .events = in, .revents = 0 }};
        try expectEqual(1, try sys.poll(&fds, std.time.ns_per_s));
        _ = t.drainFd(script);
        try expectEqual(1, exports.kevent_turn(bed.fd, 0, 0, 0, 0));
        try expectEqual(0, exports.kevent_turn(bed.fd, 0, 1, 0, 0));
    }
}
