//! Promises of signal events.

const std = @import("std");
const linux = std.os.linux;
const abi = @import("../abi.zig");
const sys = @import("../sys/linux.zig");
const signals = @import("../sys/signal.zig");
const harness = @import("../harness.zig");
const Harness = harness.Harness;
const Command = abi.Command;
const expectEqual = std.testing.expectEqual;

const DELIVERED = abi.Signal.KEVENT_SIGNAL_DELIVERED;
const queued = abi.Request.KEVENT_REQ_ALWAYS_QUEUE;
const SIGUSR1 = 10;
const SIGUSR2 = 12;

fn interest(number: u32, user: u32) abi.Ukevent {
    return harness.record(abi.Type.KEVENT_SIGNAL, number, DELIVERED, queued, user);
}

extern "c" fn raise(number: c_int) c_int;

fn send(number: u32) void {
    _ = raise(@intCast(number));
}

var called: u32 = 0;
var called_flat: u32 = 0;

fn countCalls(number: c_int, info: ?*const signals.Info, _: ?*anyopaque) callconv(.c) void {
    if (info.?.number == number) called += 1;
}

fn countFlat(_: c_int) callconv(.c) void {
    called_flat += 1;
}

/// Sets a handler as a runtime would, for the length of a test.
fn put(number: u32, handler: usize, flags: u32) !signals.Action {
    return signals.install(number, &.{ .handler = handler, .flags = flags });
}

test "signal: counted, with the sender, and a process that had no handler goes on" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            try h.apply(Command.KEVENT_CTL_ADD, interest(SIGUSR1, 1));
            try h.silent();
            for (0..3) |_| send(SIGUSR1);
            const got = try h.one();
            try expectEqual(DELIVERED, got.event);
            try expectEqual(3, got.ret_data);
            try expectEqual(@as(u32, @intCast(linux.getpid())), got.ret_extra);
            try h.silent();
            send(SIGUSR1);
            try expectEqual(1, (try h.one()).ret_data);
        }
    }.promise);
}

test "signal: the handler that was there is called as before, and is back afterwards" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            const before = try put(SIGUSR1, @intFromPtr(&countCalls), signals.SIGINFO);
            defer _ = signals.install(SIGUSR1, &before) catch unreachable;
            const flat = try put(SIGUSR2, @intFromPtr(&countFlat), 0);
            defer _ = signals.install(SIGUSR2, &flat) catch unreachable;
            called = 0;
            called_flat = 0;
            try h.apply(Command.KEVENT_CTL_ADD, interest(SIGUSR1, 1));
            try h.apply(Command.KEVENT_CTL_ADD, interest(SIGUSR2, 1));
            send(SIGUSR1);
            send(SIGUSR2);
            send(SIGUSR2);
            try expectEqual(2, (try h.collect(2)).len);
            try expectEqual(1, called);
            try expectEqual(2, called_flat);
            // The way it wanted to be called is kept: not on another stack, not restarting.
            const over = try signals.current(SIGUSR1);
            try expectEqual(0, over.flags & (signals.ONSTACK | signals.RESTART));
            try h.apply(Command.KEVENT_CTL_REMOVE, interest(SIGUSR1, 1));
            try h.apply(Command.KEVENT_CTL_REMOVE, interest(SIGUSR2, 1));
            try expectEqual(@intFromPtr(&countCalls), (try signals.current(SIGUSR1)).handler);
            send(SIGUSR1);
            try expectEqual(2, called);
            try h.silent();
        }
    }.promise);
}

test "signal: two interests and two queues each get every delivery" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            const other = try h.sibling();
            defer other.close();
            try h.apply(Command.KEVENT_CTL_ADD, interest(SIGUSR1, 1));
            try other.apply(Command.KEVENT_CTL_ADD, interest(SIGUSR1, 1));
            send(SIGUSR1);
            // What came before an ADD is not for it.
            try h.apply(Command.KEVENT_CTL_ADD, interest(SIGUSR1, 2));
            send(SIGUSR1);
            const got = try h.collect(2);
            try expectEqual(2, got.len);
            for (got) |r| try expectEqual(@as(u32, if (r.user[0] == 1) 2 else 1), r.ret_data);
            try expectEqual(2, (try other.one()).ret_data);
            try h.apply(Command.KEVENT_CTL_REMOVE, interest(SIGUSR1, 1));
            try h.apply(Command.KEVENT_CTL_REMOVE, interest(SIGUSR1, 2));
            send(SIGUSR1);
            try expectEqual(1, (try other.one()).ret_data);
            try h.silent();
        }
    }.promise);
}

test "signal: a handler put over ours that passes on makes no circle" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            const first = try put(SIGUSR1, @intFromPtr(&countFlat), 0);
            defer _ = signals.install(SIGUSR1, &first) catch unreachable;
            try h.apply(Command.KEVENT_CTL_ADD, interest(SIGUSR1, 1));
            chained = try put(SIGUSR1, @intFromPtr(&passOn), signals.SIGINFO);
            called = 0;
            called_flat = 0;
            send(SIGUSR1);
            try expectEqual(1, (try h.one()).ret_data);
            try expectEqual(1, called);
            try expectEqual(1, called_flat);
            // The last interest leaves, and theirs stays.
            try h.apply(Command.KEVENT_CTL_REMOVE, interest(SIGUSR1, 1));
            try expectEqual(@intFromPtr(&passOn), (try signals.current(SIGUSR1)).handler);
            send(SIGUSR1);
            try expectEqual(2, called_flat);
            try h.silent();
            // A new one goes on top; each handler is called once.
            try h.apply(Command.KEVENT_CTL_ADD, interest(SIGUSR1, 1));
            send(SIGUSR1);
            try expectEqual(1, (try h.one()).ret_data);
            try expectEqual(3, called);
            try expectEqual(3, called_flat);
            try h.apply(Command.KEVENT_CTL_REMOVE, interest(SIGUSR1, 1));
            try expectEqual(@intFromPtr(&passOn), (try signals.current(SIGUSR1)).handler);
            // They put ours back, as those do who came later and leave earlier.
            _ = try signals.install(SIGUSR1, &chained);
            try h.apply(Command.KEVENT_CTL_ADD, interest(SIGUSR1, 1));
            send(SIGUSR1);
            try expectEqual(1, (try h.one()).ret_data);
            try expectEqual(4, called_flat);
            try h.apply(Command.KEVENT_CTL_REMOVE, interest(SIGUSR1, 1));
            try expectEqual(@intFromPtr(&countFlat), (try signals.current(SIGUSR1)).handler);
        }
    }.promise);
}

var chained: signals.Action = .{};

fn passOn(number: c_int, info: ?*const signals.Info, context: ?*anyopaque) callconv(.c) void {
    called += 1;
    @as(*const signals.Handler, @ptrFromInt(chained.handler))(number, info, context);
}

test "signal: ignored children stay the kernel's to reap, and ignoring is back afterwards" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            const before = try put(signals.CHLD, signals.ignore, 0);
            defer _ = signals.install(signals.CHLD, &before) catch unreachable;
            try h.apply(Command.KEVENT_CTL_ADD, interest(signals.CHLD, 1));
            try expectEqual(signals.NOCLDWAIT, (try signals.current(signals.CHLD)).flags & signals.NOCLDWAIT);
            const pid: isize = @bitCast(linux.fork());
            if (pid == 0) linux.exit_group(0);
            const got = try h.one();
            try expectEqual(1, got.ret_data);
            try expectEqual(@as(u32, @intCast(pid)), got.ret_extra);
            try h.apply(Command.KEVENT_CTL_REMOVE, interest(signals.CHLD, 1));
            try expectEqual(signals.ignore, (try signals.current(signals.CHLD)).handler);
        }
    }.promise);
}

test "signal: what cannot or must not be caught is refused" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            // 32 and 33 are the C library's own.
            for ([_]u32{ 0, 4, 5, 6, 7, 8, 9, 11, 19, 31, 32, 33, 65, 0xffff_ffff }) |number| {
                try h.refused(Command.KEVENT_CTL_ADD, interest(number, 1), error.INVAL);
            }
            sys.fault.arrange(.sigaction, 0, error.PERM);
            try h.refused(Command.KEVENT_CTL_ADD, interest(SIGUSR1, 1), error.PERM);
            sys.fault.arrange(.eventfd, 0, error.MFILE);
            try h.refused(Command.KEVENT_CTL_ADD, interest(SIGUSR1, 1), error.MFILE);
            try h.apply(Command.KEVENT_CTL_ADD, interest(64, 1));
            send(64);
            try expectEqual(1, (try h.one()).ret_data);
        }
    }.promise);
}

test "signal: one-shot, MODIFY, READY by hand and LAST_CHECK" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var given = interest(SIGUSR1, 1);
            given.req_flags |= abi.Request.KEVENT_REQ_LAST_CHECK | abi.Request.KEVENT_REQ_ET;
            try h.apply(Command.KEVENT_CTL_ADD, given);
            try h.apply(Command.KEVENT_CTL_READY, given);
            try expectEqual(0, (try h.one()).ret_data);
            send(SIGUSR1);
            try expectEqual(1, (try h.one()).ret_data);
            given.req_flags = abi.Request.KEVENT_REQ_ONESHOT;
            send(SIGUSR1);
            try h.apply(Command.KEVENT_CTL_MODIFY, given);
            try expectEqual(1, (try h.one()).ret_data);
            // What was delivered and waits is not lost by a change.
            const other = interest(SIGUSR2, 2);
            given.req_flags = queued;
            try h.apply(Command.KEVENT_CTL_ADD, given);
            try h.apply(Command.KEVENT_CTL_ADD, other);
            send(SIGUSR1);
            send(SIGUSR2);
            var first: [1]abi.Ukevent = undefined;
            try expectEqual(1, @import("../exports.zig").kevent_get_events(h.fd, 1, 1, 1, 0, &first, 0));
            try h.apply(Command.KEVENT_CTL_MODIFY, if (first[0].user[0] == 1) other else given);
            try expectEqual(1, (try h.one()).ret_data);
            try h.apply(Command.KEVENT_CTL_REMOVE, given);
            try h.refused(Command.KEVENT_CTL_REMOVE, given, error.NOENT);
            try expectEqual(signals.default, (try signals.current(SIGUSR1)).handler);
        }
    }.promise);
}

test "signal: queues come and go in many threads while signals rain, and nothing is left open" {
    const Storm = struct {
        var stop: std.atomic.Value(bool) = .init(false);
        var failed: std.atomic.Value(bool) = .init(false);

        fn work() void {
            for (0..200) |_| comeAndGo() catch failed.store(true, .seq_cst);
        }

        fn comeAndGo() !void {
            const h = (try Harness.open(abi.Backend.KEVENT_BACKEND_EPOLL)).?;
            defer h.close();
            try h.apply(Command.KEVENT_CTL_ADD, interest(SIGUSR1, 1));
            try h.apply(Command.KEVENT_CTL_ADD, interest(SIGUSR2, 1));
            send(SIGUSR1);
            if ((try h.collect(1)).len == 0) return error.Lost;
        }

        fn rain() void {
            while (!stop.load(.seq_cst)) _ = linux.syscall2(.kill, @intCast(linux.getpid()), SIGUSR2);
        }
    };
    // So that the rain is harmless between two interests.
    const before = try put(SIGUSR2, signals.ignore, 0);
    defer _ = signals.install(SIGUSR2, &before) catch unreachable;
    const first = try put(SIGUSR1, signals.ignore, 0);
    defer _ = signals.install(SIGUSR1, &first) catch unreachable;
    const descriptors = harness.openDescriptors();
    var threads: [4]std.Thread = undefined;
    const cloud = try std.Thread.spawn(.{}, Storm.rain, .{});
    for (&threads) |*thread| thread.* = try std.Thread.spawn(.{}, Storm.work, .{});
    for (threads) |thread| thread.join();
    Storm.stop.store(true, .seq_cst);
    cloud.join();
    try std.testing.expect(!Storm.failed.load(.seq_cst));
    try expectEqual(descriptors, harness.openDescriptors());
    try expectEqual(signals.ignore, (try signals.current(SIGUSR2)).handler);
}
