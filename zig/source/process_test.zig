//! Promises of process events.

const std = @import("std");
const linux = std.os.linux;
const abi = @import("../abi.zig");
const sys = @import("../sys/linux.zig");
const harness = @import("../harness.zig");
const Harness = harness.Harness;
const Command = abi.Command;
const expectEqual = std.testing.expectEqual;

const EXIT = abi.Process.KEVENT_PROCESS_EXIT;
const SIGNALED = abi.Process.KEVENT_PROCESS_SIGNALED;
const NO_STATUS = abi.Process.KEVENT_PROCESS_NO_STATUS;
const queued = abi.Request.KEVENT_REQ_ALWAYS_QUEUE;

const SIGKILL = 9;

/// A child that ends with `code` when a byte or the end of `gate` comes.
const Child = struct {
    pid: u32,
    gate: sys.Fd,

    fn start(code: u8) !Child {
        const ends = try sys.socketpair();
        const pid: isize = @bitCast(linux.fork());
        if (pid == 0) {
            _ = linux.syscall1(.close, @intCast(ends[0]));
            var one = [1]linux.pollfd{.{ .fd = ends[1], .events = 1, .revents = 0 }};
            _ = linux.poll(&one, 1, -1);
            linux.exit_group(code);
        }
        try std.testing.expect(pid > 0);
        sys.close(ends[1]);
        return .{ .pid = @intCast(pid), .gate = ends[0] };
    }

    fn end(child: *Child) void {
        if (child.gate >= 0) sys.close(child.gate);
        child.gate = -1;
    }

    fn kill(child: *Child) void {
        _ = linux.syscall2(.kill, child.pid, SIGKILL);
    }

    /// As its parent would.
    fn reap(child: *Child) !u32 {
        child.end();
        var status: u32 = 0;
        const got = linux.syscall4(.wait4, child.pid, @intFromPtr(&status), 0, 0);
        try expectEqual(child.pid, got);
        return status;
    }
};

/// Of those who were reaped.
fn kernelRemembers() !bool {
    var name: linux.utsname = undefined;
    _ = linux.uname(&name);
    var parts = std.mem.tokenizeAny(u8, std.mem.sliceTo(&name.release, 0), ".-");
    const major = try std.fmt.parseInt(u32, parts.next().?, 10);
    const minor = try std.fmt.parseInt(u32, parts.next().?, 10);
    return major > 6 or (major == 6 and minor >= 15);
}

/// Somebody else's child that ends with `code` when `gate` is closed and that nobody reaps until `hold` is.
const Grandchild = struct {
    parent: u32,
    pid: u32,
    gate: sys.Fd,
    hold: sys.Fd,

    fn start(code: u8) !Grandchild {
        const gate = try sys.socketpair();
        const hold = try sys.socketpair();
        const parent: isize = @bitCast(linux.fork());
        if (parent == 0) live(gate, hold, code);
        sys.close(gate[1]);
        sys.close(hold[1]);
        var pid: u32 = 0;
        var one = [1]sys.PollFd{.{ .fd = hold[0], .events = 1, .revents = 0 }};
        _ = try sys.poll(&one, null);
        try expectEqual(4, try sys.read(hold[0], std.mem.asBytes(&pid)));
        return .{ .parent = @intCast(parent), .pid = pid, .gate = gate[0], .hold = hold[0] };
    }

    fn live(gate: [2]sys.Fd, hold: [2]sys.Fd, code: u8) noreturn {
        sys.close(gate[0]);
        sys.close(hold[0]);
        const pid: isize = @bitCast(linux.fork());
        const mine = if (pid == 0) gate[1] else hold[1];
        var number: u32 = @intCast(pid);
        if (pid != 0) _ = sys.write(mine, std.mem.asBytes(&number)) catch {};
        // The other's end would keep it open.
        sys.close(if (pid == 0) hold[1] else gate[1]);
        var one = [1]linux.pollfd{.{ .fd = mine, .events = 1, .revents = 0 }};
        _ = linux.poll(&one, 1, -1);
        if (pid == 0) linux.exit_group(code);
        var status: u32 = 0;
        _ = linux.syscall4(.wait4, @intCast(pid), @intFromPtr(&status), 0, 0);
        linux.exit_group(0);
    }

    /// Its parent reaps it and ends.
    fn reap(grandchild: *const Grandchild) void {
        sys.close(grandchild.hold);
        var status: u32 = 0;
        _ = linux.syscall4(.wait4, grandchild.parent, @intFromPtr(&status), 0, 0);
    }
};

fn waitForEnd(pid: u32) !void {
    const fd = try @import("../sys/process.zig").open(pid);
    defer sys.close(fd);
    var one = [1]sys.PollFd{.{ .fd = fd, .events = 1, .revents = 0 }};
    _ = try sys.poll(&one, null);
}

fn interest(pid: u32, user: u32) abi.Ukevent {
    return harness.record(abi.Type.KEVENT_PROCESS, pid, EXIT, queued, user);
}

test "process: the exit code, once, and the child is left for its parent to reap" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var child = try Child.start(7);
            try h.apply(Command.KEVENT_CTL_ADD, interest(child.pid, 1));
            try h.silent();
            child.end();
            const got = try h.one();
            try expectEqual(1, got.user[0]);
            try expectEqual(EXIT, got.event);
            try expectEqual(7, got.ret_data);
            try expectEqual(7 << 8, got.ret_extra);
            try expectEqual(7 << 8, try child.reap());
            try h.silent();
            try h.refused(Command.KEVENT_CTL_REMOVE, interest(child.pid, 1), error.NOENT);
        }
    }.promise);
}

test "process: ended by a signal" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var child = try Child.start(0);
            try h.apply(Command.KEVENT_CTL_ADD, interest(child.pid, 1));
            child.kill();
            const got = try h.one();
            try expectEqual(EXIT | SIGNALED, got.event);
            try expectEqual(SIGKILL, got.ret_data);
            try expectEqual(SIGKILL, got.ret_extra);
            _ = try child.reap();
        }
    }.promise);
}

test "process: several interests in one process, also of two queues, each fire" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            const other = try h.sibling();
            defer other.close();
            var child = try Child.start(3);
            try h.apply(Command.KEVENT_CTL_ADD, interest(child.pid, 1));
            try h.apply(Command.KEVENT_CTL_ADD, interest(child.pid, 2));
            try other.apply(Command.KEVENT_CTL_ADD, interest(child.pid, 3));
            child.end();
            const both = try h.collect(2);
            try expectEqual(2, both.len);
            try expectEqual(3, both[0].user[0] + both[1].user[0]);
            for (both) |got| try expectEqual(3, got.ret_data);
            try expectEqual(3, (try other.one()).ret_data);
            _ = try child.reap();
        }
    }.promise);
}

test "process: reaped before we looked, the kernel tells all the same where it can" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var child = try Child.start(9);
            try h.apply(Command.KEVENT_CTL_ADD, interest(child.pid, 1));
            try expectEqual(9 << 8, try child.reap());
            const got = try h.one();
            if (try kernelRemembers()) {
                try expectEqual(EXIT, got.event);
                try expectEqual(9, got.ret_data);
            } else {
                std.debug.print("this kernel forgets (before 6.15)\n", .{});
                try expectEqual(EXIT | NO_STATUS, got.event);
            }
        }
    }.promise);
}

test "process: one that has ended already is told in place at ADD" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var child = try Child.start(4);
            child.end();
            try waitForEnd(child.pid);
            var given = interest(child.pid, 1);
            given.req_flags = 0;
            const told = try h.control(Command.KEVENT_CTL_ADD, given);
            try expectEqual(abi.Return.KEVENT_RET_DONE, told.ret_flags);
            try expectEqual(EXIT, told.event);
            try expectEqual(4, told.ret_data);
            try h.apply(Command.KEVENT_CTL_ADD, interest(child.pid, 1));
            try expectEqual(4, (try h.one()).ret_data);
            _ = try child.reap();
        }
    }.promise);
}

test "process: MODIFY after the end keeps it, LAST_CHECK confirms it, READY by hand leaves it waiting" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var child = try Child.start(5);
            var given = interest(child.pid, 1);
            given.req_flags |= abi.Request.KEVENT_REQ_LAST_CHECK;
            try h.apply(Command.KEVENT_CTL_ADD, given);
            try h.apply(Command.KEVENT_CTL_READY, given);
            const by_hand = try h.one();
            try expectEqual(EXIT, by_hand.event);
            try expectEqual(0, by_hand.ret_extra);
            try h.apply(Command.KEVENT_CTL_MODIFY, given);
            child.end();
            try expectEqual(5, (try h.one()).ret_data);
            try h.silent();
            _ = try child.reap();
        }
    }.promise);
}

test "process: one that is no child of ours tells its status before and after its parent reaped it" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var held = try Grandchild.start(0);
            try h.apply(Command.KEVENT_CTL_ADD, interest(held.pid, 1));
            try h.silent();
            sys.close(held.gate);
            var got = try h.one();
            try expectEqual(EXIT, got.event);
            try expectEqual(0, got.ret_data);
            held.reap();
            var killed = try Grandchild.start(0);
            try h.apply(Command.KEVENT_CTL_ADD, interest(killed.pid, 1));
            _ = linux.syscall2(.kill, killed.pid, SIGKILL);
            got = try h.one();
            try expectEqual(EXIT | SIGNALED, got.event);
            try expectEqual(SIGKILL, got.ret_data);
            killed.reap();
            sys.close(killed.gate);
            var reaped = try Grandchild.start(6);
            try h.apply(Command.KEVENT_CTL_ADD, interest(reaped.pid, 1));
            sys.close(reaped.gate);
            reaped.reap();
            got = try h.one();
            if (try kernelRemembers()) try expectEqual(6, got.ret_data);
        }
    }.promise);
}

test "process: MODIFY keeps an end that was noticed and not handed out" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var children: [2]Child = undefined;
            for (&children, 0..) |*child, n| {
                child.* = try Child.start(@intCast(n + 1));
                try h.apply(Command.KEVENT_CTL_ADD, interest(child.pid, @intCast(n)));
                child.end();
                try waitForEnd(child.pid);
            }
            var first: [1]abi.Ukevent = undefined;
            try expectEqual(1, @import("../exports.zig").kevent_get_events(h.fd, 1, 1, 1, 0, &first, 0));
            const left = 1 - first[0].user[0];
            try h.apply(Command.KEVENT_CTL_MODIFY, interest(children[left].pid, left));
            const second = try h.one();
            try expectEqual(left + 1, second.ret_data);
            try h.silent();
            for (&children) |*child| _ = try child.reap();
        }
    }.promise);
}

test "process: pids that are none" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            try h.refused(Command.KEVENT_CTL_ADD, interest(0, 1), error.INVAL);
            try h.refused(Command.KEVENT_CTL_ADD, interest(1 << 22 | 1, 1), error.INVAL);
            try h.refused(Command.KEVENT_CTL_ADD, interest(0xffff_ffff, 1), error.INVAL);
            var child = try Child.start(0);
            _ = try child.reap();
            try h.refused(Command.KEVENT_CTL_ADD, interest(child.pid, 1), error.SRCH);
            sys.fault.arrange(.pidfd, 0, error.MFILE);
            try h.refused(Command.KEVENT_CTL_ADD, interest(@intCast(linux.getpid()), 1), error.MFILE);
        }
    }.promise);
}

test "process: a queue that ends keeps nothing open" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var child = try Child.start(0);
            const before = harness.openDescriptors();
            const other = try h.sibling();
            for (0..10) |n| try other.apply(Command.KEVENT_CTL_ADD, interest(child.pid, @intCast(n)));
            other.close();
            try expectEqual(before, harness.openDescriptors());
            _ = try child.reap();
        }
    }.promise);
}
