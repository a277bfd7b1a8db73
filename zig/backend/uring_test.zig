//! Promises of the io_uring back-end that the common tests cannot reach: both kinds of ring, late
//! completions, full rings, threads that end, the descriptor, the wake-up byte, denied kernels.

const std = @import("std");
const abi = @import("../abi.zig");
const sys = @import("../sys/linux.zig");
const exports = @import("../exports.zig");
const errors = @import("../errors.zig");
const registry = @import("../registry.zig");
const backends = @import("../backend.zig");
const Queue = @import("../queue.zig").Queue;

const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const Command = abi.Command;
const ms = std.time.ns_per_ms;

const IN = abi.Poll.KEVENT_POLL_IN;
const OUT = abi.Poll.KEVENT_POLL_OUT;
const QUEUED = abi.Request.KEVENT_REQ_ALWAYS_QUEUE;
const EDGE = QUEUED | abi.Request.KEVENT_REQ_ET;

const Kind = enum {
    single,
    /// As on kernels before 6.1, where a single queue has to do with a plain ring.
    single_plain,
    shared,
};

/// A queue with a ring, a change area and room to collect into.
const Rig = struct {
    fd: i32,
    kind: Kind,
    single: bool,
    out: []abi.Ukevent,
    ring: []align(64) u8,
    changes: []align(8) abi.Ukevent,

    const entries = 256;
    const room = 32 * 1024;

    fn open(kind: Kind) !*Rig {
        const allocator = std.testing.allocator;
        const rig = try allocator.create(Rig);
        rig.* = .{
            .fd = -1,
            .kind = kind,
            .single = kind != .shared,
            .out = try allocator.alloc(abi.Ukevent, room),
            .ring = try allocator.alignedAlloc(u8, .@"64", abi.ringBytes(entries)),
            .changes = try allocator.alignedAlloc(abi.Ukevent, .@"8", entries),
        };
        @memset(rig.ring, 0);
        const params: abi.Params = .{
            .size = @sizeOf(abi.Params),
            .flags = if (rig.single) abi.Flags.KEVENT_FLAGS_SINGLE else 0,
            .ring_entries = entries,
            .ring_bytes = @intCast(rig.ring.len),
            .changes_bytes = @intCast(entries * @sizeOf(abi.Ukevent)),
            .names_bytes = 0,
            .ring_fd = -1,
            .backend = abi.Backend.KEVENT_BACKEND_IO_URING,
            .seed_low = 0,
            .seed_high = 0,
        };
        if (kind == .single_plain) sys.fault.arrange(.io_uring_setup, 0, error.INVAL);
        rig.fd = exports.kevent_setup(&params, rig.ring.ptr, @ptrCast(rig.changes.ptr), null);
        if (rig.fd >= 0) return rig;
        const denied = rig.fd == -38 or rig.fd == -1 or rig.fd == -13 or rig.fd == -22;
        rig.free();
        if (!denied) return error.NoQueue;
        std.debug.print("no io_uring here\n", .{});
        return error.SkipZigTest;
    }

    fn free(rig: *Rig) void {
        const allocator = std.testing.allocator;
        allocator.free(rig.out);
        allocator.free(rig.ring);
        allocator.free(rig.changes);
        allocator.destroy(rig);
    }

    fn close(rig: *Rig) void {
        _ = exports.kevent_close(rig.fd);
        rig.free();
    }

    fn control(rig: *Rig, command: u32, id: u32, event: u32, flags: u32, user: u32) !abi.Ukevent {
        var records = [1]abi.Ukevent{.zero};
        records[0].type = abi.Type.KEVENT_POLL;
        records[0].id.raw[0] = id;
        records[0].event = event;
        records[0].req_flags = flags;
        records[0].user[0] = user;
        try expectEqual(1, exports.kevent_ctl(rig.fd, command, 1, &records));
        return records[0];
    }

    fn add(rig: *Rig, fd: sys.Fd, event: u32, flags: u32, user: u32) !void {
        const done = try rig.control(Command.KEVENT_CTL_ADD, @intCast(fd), event, flags, user);
        try expectEqual(0, done.ret_data);
        try expectEqual(0, done.ret_flags);
    }

    fn remove(rig: *Rig, fd: sys.Fd, user: u32) !void {
        const done = try rig.control(Command.KEVENT_CTL_REMOVE, @intCast(fd), 0, 0, user);
        try expectEqual(0, done.ret_data);
    }

    fn addTimer(rig: *Rig, ns: u64, event: u32, user: u32) !void {
        var records = [1]abi.Ukevent{.zero};
        records[0].type = abi.Type.KEVENT_TIMER;
        records[0].id.raw = .{ @intCast(ns / std.time.ns_per_s), @intCast(ns % std.time.ns_per_s) };
        records[0].event = event | abi.Timer.KEVENT_TIMER_FIRED;
        records[0].req_flags = QUEUED | abi.Request.KEVENT_REQ_ONESHOT;
        records[0].user[0] = user;
        try expectEqual(1, exports.kevent_ctl(rig.fd, Command.KEVENT_CTL_ADD, 1, &records));
        try expectEqual(0, records[0].ret_flags);
    }

    /// Wait for `least` events, a second at most.
    fn collect(rig: *Rig, least: u32) ![]abi.Ukevent {
        // The ring gets a copy of each record, which nobody here reads.
        const inside = try rig.queue();
        defer registry.release(inside);
        try inside.commitCount(inside.ring.?.waiting());
        const got = exports.kevent_get_events(rig.fd, least, @intCast(rig.out.len), 1, 0, rig.out.ptr, 0);
        try expect(got >= 0);
        return rig.out[0..@intCast(got)];
    }

    fn nothing(rig: *Rig) !void {
        try expectEqual(0, (try rig.collect(0)).len);
        try expectEqual(0, exports.kevent_get_events(rig.fd, 1, 1, 0, 5 * ms, rig.out.ptr, 0));
    }

    fn expectUsers(rig: *Rig, users: []const u32) !void {
        const got = try rig.collect(@intCast(users.len));
        try expectEqual(users.len, got.len);
        for (got, users) |record, user| {
            try expectEqual(user, record.user[0]);
            try expectEqual(abi.Return.KEVENT_RET_DONE, record.ret_flags & ~abi.Return.KEVENT_RET_COPY_FAILED);
        }
    }

    fn readable(rig: *Rig) bool {
        return isReadable(rig.fd);
    }

    /// With a reference.
    fn queue(rig: *Rig) !*Queue {
        return registry.acquire(rig.fd);
    }
};

fn isReadable(fd: sys.Fd) bool {
    return sys.pollNow(fd, IN) & IN != 0;
}

fn readableWithin(fd: sys.Fd, ns: u64) bool {
    var one = [1]sys.PollFd{.{ .fd = fd, .events = IN, .revents = 0 }};
    return (sys.poll(&one, ns) catch 0) == 1;
}

fn sleepFor(ns: u64) void {
    _ = sys.poll(&.{}, ns) catch 0;
}

/// Keep a promise on a ring of each kind.
fn onEach(promise: *const fn (*Rig) anyerror!void) !void {
    for (std.enums.values(Kind)) |kind| {
        const rig = try Rig.open(kind);
        defer rig.close();
        promise(rig) catch |err| {
            std.debug.print("ring: {t}\n", .{kind});
            return err;
        };
        const queue = try rig.queue();
        defer registry.release(queue);
        queue.checkInvariants();
    }
}

test "uring: a level is reported as long as it holds, and not once it was consumed" {
    try onEach(struct {
        fn promise(rig: *Rig) !void {
            const event = try sys.eventfd();
            defer sys.close(event);
            try rig.add(event, IN, QUEUED, 7);
            try rig.nothing();
            for (0..3) |_| {
                sys.eventfdSignal(event);
                for (0..3) |_| try rig.expectUsers(&.{7});
                _ = sys.eventfdClear(event);
                try rig.nothing();
            }
            // Consumed before anybody looked.
            sys.eventfdSignal(event);
            _ = sys.eventfdClear(event);
            try rig.nothing();
            try rig.remove(event, 7);
        }
    }.promise);
}

test "uring: an edge is reported once" {
    try onEach(struct {
        fn promise(rig: *Rig) !void {
            const event = try sys.eventfd();
            defer sys.close(event);
            try rig.add(event, IN, EDGE, 7);
            for (0..3) |_| {
                sys.eventfdSignal(event);
                try rig.expectUsers(&.{7});
                try rig.nothing();
            }
            try rig.remove(event, 7);
            sys.eventfdSignal(event);
            try rig.nothing();
        }
    }.promise);
}

test "uring: what completes after REMOVE is nobody's, also not the next one's on that storage" {
    try onEach(struct {
        fn promise(rig: *Rig) !void {
            const first = try sys.eventfd();
            defer sys.close(first);
            const second = try sys.eventfd();
            defer sys.close(second);
            for ([_]u32{ QUEUED, EDGE }) |flags| {
                try rig.add(first, IN, flags, 1);
                try rig.nothing();
                sys.eventfdSignal(first);
                try rig.remove(first, 1);
                try rig.add(second, IN, flags, 2);
                try rig.nothing();
                sys.eventfdSignal(second);
                try rig.expectUsers(&.{2});
                try rig.remove(second, 2);
                _ = sys.eventfdClear(first);
                _ = sys.eventfdClear(second);
            }
        }
    }.promise);
}

test "uring: one descriptor, many interests that come, go and change" {
    try onEach(struct {
        fn promise(rig: *Rig) !void {
            const ends = try sys.socketpair();
            defer for (ends) |fd| sys.close(fd);
            try rig.add(ends[0], IN, QUEUED, 1);
            try rig.nothing();
            try rig.add(ends[0], OUT, QUEUED, 2);
            try rig.expectUsers(&.{2});
            _ = try sys.write(ends[1], "x");
            const got = try rig.collect(2);
            try expectEqual(2, got.len);
            try rig.remove(ends[0], 2);
            try rig.expectUsers(&.{1});
            const changed = try rig.control(Command.KEVENT_CTL_MODIFY, @intCast(ends[0]), OUT, QUEUED, 1);
            try expectEqual(0, changed.ret_data);
            try rig.expectUsers(&.{1});
            _ = try rig.control(Command.KEVENT_CTL_MODIFY, @intCast(ends[0]), abi.Poll.KEVENT_POLL_PRI, QUEUED, 1);
            try rig.nothing();
        }
    }.promise);
}

test "uring: a want that was added is watched, also when it does not hold yet" {
    try onEach(struct {
        fn promise(rig: *Rig) !void {
            const ends = try sys.socketpair();
            defer for (ends) |fd| sys.close(fd);
            var block: [4096]u8 = @splat('x');
            while (true) _ = sys.write(ends[0], &block) catch break;
            try rig.add(ends[0], IN, QUEUED, 1);
            try rig.nothing();
            try rig.add(ends[0], OUT, QUEUED, 2);
            try rig.nothing();
            while (true) _ = sys.read(ends[1], &block) catch break;
            try rig.expectUsers(&.{2});
        }
    }.promise);
}

test "uring: a half closed peer does not keep a writer that waits for room awake" {
    try onEach(struct {
        fn promise(rig: *Rig) !void {
            const ends = try sys.socketpair();
            defer for (ends) |fd| sys.close(fd);
            const block: [4096]u8 = @splat('x');
            while (true) _ = sys.write(ends[0], &block) catch break;
            try rig.add(ends[0], OUT, QUEUED, 1);
            _ = std.os.linux.shutdown(ends[1], 1);
            try rig.nothing();
            if (rig.single) return;
            try expect(!rig.readable());
        }
    }.promise);
}

test "uring: a socket closed right after REMOVE is really closed" {
    try onEach(struct {
        fn promise(rig: *Rig) !void {
            for ([_]u32{ QUEUED, EDGE }) |flags| {
                const ends = try sys.socketpair();
                defer sys.close(ends[1]);
                try rig.add(ends[0], IN, flags, 1);
                try rig.nothing();
                try rig.remove(ends[0], 1);
                sys.close(ends[0]);
                const HUP = abi.Poll.KEVENT_POLL_HUP;
                try expectEqual(HUP, sys.pollNow(ends[1], IN) & HUP);
            }
        }
    }.promise);
}

test "uring: a thousand sockets closed right after REMOVE are, too" {
    try onEach(struct {
        fn promise(rig: *Rig) !void {
            var ends: [1000][2]sys.Fd = undefined;
            var records: [1000]abi.Ukevent = @splat(.zero);
            for (&ends, &records) |*pair, *record| {
                pair.* = try sys.socketpair();
                record.type = abi.Type.KEVENT_SOCKET;
                record.id.raw[0] = @intCast(pair[0]);
                record.event = abi.Socket.KEVENT_SOCKET_RECV;
                record.req_flags = QUEUED;
            }
            try expectEqual(1000, exports.kevent_ctl(rig.fd, Command.KEVENT_CTL_ADD, 1000, &records));
            try rig.nothing();
            try expectEqual(1000, exports.kevent_ctl(rig.fd, Command.KEVENT_CTL_REMOVE, 1000, &records));
            for (ends) |pair| sys.close(pair[0]);
            const HUP = abi.Poll.KEVENT_POLL_HUP;
            for (ends) |pair| {
                try expectEqual(HUP, sys.pollNow(pair[1], IN) & HUP);
                sys.close(pair[1]);
            }
        }
    }.promise);
}

test "uring: many events come up in one turn" {
    try onEach(struct {
        fn promise(rig: *Rig) !void {
            var events: [200]sys.Fd = undefined;
            for (&events, 0..) |*event, n| {
                event.* = try sys.eventfd();
                try rig.add(event.*, IN, EDGE, @intCast(n));
            }
            defer for (events) |event| sys.close(event);
            for (events) |event| sys.eventfdSignal(event);
            try expectEqual(200, (try rig.collect(0)).len);
        }
    }.promise);
}

test "uring: a socket whose one-shot event was handed out is let go as well" {
    try onEach(struct {
        fn promise(rig: *Rig) !void {
            const ends = try sys.socketpair();
            defer sys.close(ends[1]);
            try rig.add(ends[0], IN, EDGE | abi.Request.KEVENT_REQ_ONESHOT, 1);
            _ = try sys.write(ends[1], "x");
            try rig.expectUsers(&.{1});
            sys.close(ends[0]);
            const HUP = abi.Poll.KEVENT_POLL_HUP;
            try expectEqual(HUP, sys.pollNow(ends[1], IN) & HUP);
        }
    }.promise);
}

test "uring: a number that is another file by now breaks those who waited for the old one" {
    try onEach(struct {
        fn promise(rig: *Rig) !void {
            try sockets(rig);
            // Eventfds look all the same; only those in `front` are told apart.
            if (rig.single) try eventfds(rig);
        }

        fn sockets(rig: *Rig) !void {
            const old = try sys.socketpair();
            defer for (old) |fd| sys.close(fd);
            const new = try sys.socketpair();
            defer for (new) |fd| sys.close(fd);
            try rig.add(old[0], IN, QUEUED, 1);
            try sys.dup3(new[0], old[0]);
            try rig.add(old[0], IN, QUEUED, 2);
            try broken(rig);
            // The file is let go, too.
            const HUP = abi.Poll.KEVENT_POLL_HUP;
            try expectEqual(HUP, sys.pollNow(old[1], IN) & HUP);
            _ = try sys.write(new[1], "x");
            try rig.expectUsers(&.{2});
            try rig.remove(old[0], 2);
        }

        fn eventfds(rig: *Rig) !void {
            for ([_]u32{ QUEUED, EDGE }) |flags| {
                const event = try sys.eventfd();
                defer sys.close(event);
                try rig.add(event, IN, flags, 1);
                const other = try sys.eventfd();
                defer sys.close(other);
                try sys.dup3(other, event);
                try rig.add(event, IN, flags, 2);
                try broken(rig);
                sys.eventfdSignal(other);
                try rig.expectUsers(&.{2});
                try rig.remove(event, 2);
            }
        }

        fn broken(rig: *Rig) !void {
            const got = try rig.collect(1);
            try expectEqual(1, got.len);
            try expectEqual(1, got[0].user[0]);
            try expectEqual(abi.Return.KEVENT_RET_BROKEN, got[0].ret_flags & abi.Return.KEVENT_RET_BROKEN);
            try expectEqual(errors.number(error.BADF), got[0].ret_data);
        }
    }.promise);
}

test "uring: what holds already is told to whoever joins" {
    try onEach(struct {
        fn promise(rig: *Rig) !void {
            const ends = try sys.socketpair();
            defer for (ends) |fd| sys.close(fd);
            for ([_]u32{ QUEUED, EDGE }) |flags| {
                try rig.add(ends[0], IN, flags, 1);
                _ = try sys.write(ends[1], "x");
                try rig.expectUsers(&.{1});
                try rig.add(ends[0], IN, flags, 2);
                try expectEqual(2, (try rig.collect(2)).len);
                try take(ends[0]);
                try rig.nothing();
                try rig.remove(ends[0], 1);
                _ = try sys.write(ends[1], "x");
                try rig.expectUsers(&.{2});
                try take(ends[0]);
                try rig.remove(ends[0], 2);
            }
        }
    }.promise);
}

test "uring: the same file under a number is not another file" {
    try onEach(struct {
        fn promise(rig: *Rig) !void {
            const event = try sys.eventfd();
            defer sys.close(event);
            for (1..5) |user| try rig.add(event, IN, EDGE, @intCast(user));
            sys.eventfdSignal(event);
            try expectEqual(4, (try rig.collect(4)).len);
            try rig.add(event, IN, QUEUED, 5);
            // As with epoll, those whose poll is replaced hear of what still holds.
            for (try rig.collect(5)) |record| try expectEqual(0, record.ret_flags & abi.Return.KEVENT_RET_BROKEN);
        }
    }.promise);
}

test "uring: a descriptor closed while registered is broken when it is asked" {
    try onEach(struct {
        fn promise(rig: *Rig) !void {
            const ends = try sys.socketpair();
            defer sys.close(ends[1]);
            try rig.add(ends[0], IN, QUEUED, 1);
            _ = try sys.write(ends[1], "x");
            try rig.expectUsers(&.{1});
            sys.close(ends[0]);
            const got = try rig.collect(1);
            try expectEqual(1, got.len);
            try expectEqual(abi.Return.KEVENT_RET_BROKEN, got[0].ret_flags & abi.Return.KEVENT_RET_BROKEN);
            try expectEqual(errors.number(error.BADF), got[0].ret_data);
            try rig.nothing();
            const HUP = abi.Poll.KEVENT_POLL_HUP;
            try expectEqual(HUP, sys.pollNow(ends[1], IN) & HUP);
        }
    }.promise);
}

test "uring: closed descriptors, files and the queue itself" {
    try onEach(struct {
        fn promise(rig: *Rig) !void {
            const event = try sys.eventfd();
            sys.close(event);
            const bad = try rig.control(Command.KEVENT_CTL_ADD, @intCast(event), IN, QUEUED, 1);
            try expectEqual(errors.number(error.BADF), bad.ret_data);
            const itself = try rig.control(Command.KEVENT_CTL_ADD, @intCast(rig.fd), IN, QUEUED, 1);
            try expectEqual(errors.number(error.INVAL), itself.ret_data);
            for ([_][*:0]const u8{ "/proc/self/exe", "/", "/dev/zero" }) |path| {
                const fd: sys.Fd = @intCast(std.os.linux.open(path, .{ .CLOEXEC = true }, 0));
                defer sys.close(fd);
                try rig.add(fd, IN, QUEUED, 2);
                for (0..3) |_| try rig.expectUsers(&.{2});
                try rig.remove(fd, 2);
                try rig.add(fd, IN, EDGE, 3);
                try rig.expectUsers(&.{3});
                try rig.nothing();
                try rig.remove(fd, 3);
            }
        }
    }.promise);
}

test "uring: thousands at once, more than fit into either ring" {
    try onEach(struct {
        fn promise(rig: *Rig) !void {
            var limit: std.os.linux.rlimit = undefined;
            _ = std.os.linux.getrlimit(.NOFILE, &limit);
            const count: u32 = @intCast(@min(20_000, limit.cur - 200));
            const allocator = std.testing.allocator;
            const fds = try allocator.alloc(sys.Fd, count);
            defer allocator.free(fds);
            const records = try allocator.alloc(abi.Ukevent, count);
            defer allocator.free(records);
            const seen = try allocator.alloc(u8, count);
            defer allocator.free(seen);
            for (fds) |*fd| fd.* = try sys.eventfd();
            defer for (fds) |fd| sys.close(fd);
            for ([_]u32{ EDGE, QUEUED }) |flags| {
                for (records, fds, 0..) |*record, fd, n| {
                    record.* = .zero;
                    record.type = abi.Type.KEVENT_POLL;
                    record.id.raw[0] = @intCast(fd);
                    record.event = IN;
                    record.req_flags = flags;
                    record.user[0] = @intCast(n);
                }
                try expectEqual(count, @as(u32, @intCast(exports.kevent_ctl(rig.fd, Command.KEVENT_CTL_ADD, count, records.ptr))));
                for (records) |record| try expectEqual(0, record.ret_flags);
                try rig.nothing();
                for (0..2) |_| {
                    for (fds) |fd| sys.eventfdSignal(fd);
                    @memset(seen, 0);
                    var different: u32 = 0;
                    while (different < count) {
                        const got = try rig.collect(1);
                        if (got.len == 0) return error.Lost;
                        for (got) |record| {
                            different += @intFromBool(seen[record.user[0]] == 0);
                            seen[record.user[0]] += 1;
                            _ = sys.eventfdClear(@bitCast(record.id.raw[0]));
                        }
                    }
                    // Where the kernel runs out of room it ends a poll, and a new one tells again.
                    const twice_at_most: u8 = if (flags == EDGE) 2 else 1;
                    for (seen) |times| try expect(times >= 1 and times <= twice_at_most);
                    if (flags == EDGE) _ = try rig.collect(0) else try rig.nothing();
                }
                try expectEqual(count, @as(u32, @intCast(exports.kevent_ctl(rig.fd, Command.KEVENT_CTL_REMOVE, count, records.ptr))));
                for (fds) |fd| sys.eventfdSignal(fd);
                try rig.nothing();
                for (fds) |fd| _ = sys.eventfdClear(fd);
            }
        }
    }.promise);
}

test "uring: completions that the kernel lost are made up for" {
    try onEach(struct {
        fn promise(rig: *Rig) !void {
            const edge = try sys.eventfd();
            defer sys.close(edge);
            const level = try sys.eventfd();
            defer sys.close(level);
            try rig.add(edge, IN, EDGE, 1);
            try rig.add(level, IN, QUEUED, 2);
            try rig.nothing();
            const queue = try rig.queue();
            defer registry.release(queue);
            const uring = &queue.backend.io_uring;
            sys.eventfdSignal(edge);
            sys.eventfdSignal(level);
            try uring.ring.submit(0);
            while (uring.ring.next()) |_| {}
            // As if the kernel had counted one that it dropped.
            uring.lost -%= 1;
            const got = try rig.collect(2);
            try expectEqual(2, got.len);
            _ = sys.eventfdClear(level);
            _ = sys.eventfdClear(edge);
            try rig.nothing();
            sys.eventfdSignal(edge);
            try rig.expectUsers(&.{1});
        }
    }.promise);
}

test "uring: polls of a thread that ended go on" {
    const rig = try Rig.open(.shared);
    defer rig.close();
    const event = try sys.eventfd();
    defer sys.close(event);
    const level = try sys.eventfd();
    defer sys.close(level);
    const Other = struct {
        fn run(r: *Rig, edge: sys.Fd, plain: sys.Fd) void {
            r.add(edge, IN, EDGE, 1) catch unreachable;
            r.add(plain, IN, QUEUED, 2) catch unreachable;
            r.addTimer(60 * ms, 0, 3) catch unreachable;
        }
    };
    const thread = try std.Thread.spawn(.{}, Other.run, .{ rig, event, level });
    thread.join();
    sys.eventfdSignal(event);
    try rig.expectUsers(&.{1});
    sys.eventfdSignal(level);
    try rig.expectUsers(&.{2});
    _ = sys.eventfdClear(level);
    // The timer was the other thread's, too, and here nobody waits inside.
    try expect(readableWithin(rig.fd, 1000 * ms));
    while (true) {
        const got = try rig.collect(0);
        if (got.len == 0) {
            try expect(readableWithin(rig.fd, 1000 * ms));
            continue;
        }
        try expectEqual(3, got[0].user[0]);
        break;
    }
}

test "uring: a poll that ended unseen is not taken for another file's" {
    const rig = try Rig.open(.shared);
    defer rig.close();
    const event = try sys.eventfd();
    defer sys.close(event);
    const Other = struct {
        fn run(r: *Rig, fd: sys.Fd) void {
            r.add(fd, IN, EDGE, 1) catch unreachable;
        }
    };
    const thread = try std.Thread.spawn(.{}, Other.run, .{ rig, event });
    thread.join();
    // The first event finds nobody to work for, and ends the poll.
    sys.eventfdSignal(event);
    sleepFor(10 * ms);
    try rig.add(event, IN, EDGE, 2);
    const got = try rig.collect(2);
    try expectEqual(2, got.len);
    for (got) |record| try expectEqual(0, record.ret_flags & abi.Return.KEVENT_RET_BROKEN);
}

test "uring: timers are never early, waited for inside or by the descriptor" {
    try onEach(struct {
        fn promise(rig: *Rig) !void {
            for ([_]sys.ClockId{ .monotonic, .wall }) |clock| {
                for ([_]u64{ 0, 1000, 100_000, 300_000, 2 * ms, 11 * ms }) |ns| {
                    for ([_]bool{ true, false }) |inside| {
                        errdefer std.debug.print("{t} timer of {d} ns, inside {}\n", .{ clock, ns, inside });
                        try once(rig, clock, ns, inside);
                    }
                }
            }
            try rig.nothing();
        }

        fn once(rig: *Rig, clock: sys.ClockId, ns: u64, inside: bool) !void {
            const start = sys.now(clock);
            switch (clock) {
                .monotonic => try rig.addTimer(ns, 0, 4),
                .wall => try rig.addTimer(start + ns, abi.Timer.KEVENT_TIMER_WALL, 4),
            }
            if (!inside) {
                if (rig.single) try flush(rig);
                try expect(readableWithin(rig.fd, 1000 * ms));
                try expect(sys.now(clock) - start >= ns);
            }
            try rig.expectUsers(&.{4});
            const took = sys.now(clock) - start;
            try expect(took >= ns);
            // A busy machine may be late, but not by this much.
            try expect(took < ns + 200 * ms);
        }
    }.promise);
}

/// What a single queue does before its script sleeps elsewhere.
fn flush(rig: *Rig) !void {
    const queue = try rig.queue();
    defer registry.release(queue);
    queue.lock.lock();
    defer queue.lock.unlock();
    try queue.makePollable();
}

test "uring: a timer that moved to later or went away makes the descriptor readable at no other time" {
    const rig = try Rig.open(.shared);
    defer rig.close();
    try rig.addTimer(10 * ms, 0, 1);
    try rig.addTimer(40 * ms, 0, 2);
    var first = [1]abi.Ukevent{.zero};
    first[0].id.raw[1] = 10 * ms;
    first[0].user[0] = 1;
    try expectEqual(1, exports.kevent_ctl(rig.fd, Command.KEVENT_CTL_REMOVE, 1, &first));
    try expectEqual(0, first[0].ret_data);
    try expect(!readableWithin(rig.fd, 20 * ms));
    try expect(readableWithin(rig.fd, 1000 * ms));
    try rig.expectUsers(&.{2});
    try expect(!readableWithin(rig.fd, 20 * ms));
    try rig.addTimer(10 * ms, 0, 3);
    try expect(readableWithin(rig.fd, 1000 * ms));
    try rig.expectUsers(&.{3});
    // The last one goes, and none is left.
    try rig.addTimer(10 * ms, 0, 1);
    try expectEqual(1, exports.kevent_ctl(rig.fd, Command.KEVENT_CTL_REMOVE, 1, &first));
    try expectEqual(0, first[0].ret_data);
    try expect(!readableWithin(rig.fd, 20 * ms));
}

test "uring: a timer added by another thread ends the wait of the leader in time" {
    const rig = try Rig.open(.shared);
    defer rig.close();
    try rig.addTimer(900 * ms, 0, 9);
    const Other = struct {
        fn run(r: *Rig) void {
            sleepFor(20 * ms);
            r.addTimer(10 * ms, 0, 1) catch unreachable;
        }
    };
    const start = sys.now(.monotonic);
    const thread = try std.Thread.spawn(.{}, Other.run, .{rig});
    defer thread.join();
    try rig.expectUsers(&.{1});
    const took = sys.now(.monotonic) - start;
    try expect(took >= 30 * ms);
    try expect(took < 500 * ms);
}

test "uring: another thread's changes reach a leader that sleeps" {
    const rig = try Rig.open(.shared);
    defer rig.close();
    const event = try sys.eventfd();
    defer sys.close(event);
    sys.eventfdSignal(event);
    const Other = struct {
        fn run(r: *Rig, fd: sys.Fd) void {
            sleepFor(20 * ms);
            r.add(fd, IN, EDGE, 1) catch unreachable;
        }
    };
    const thread = try std.Thread.spawn(.{}, Other.run, .{ rig, event });
    defer thread.join();
    const start = sys.now(.monotonic);
    try rig.expectUsers(&.{1});
    try expect(sys.now(.monotonic) - start < 500 * ms);
}

test "uring: a trigger from another thread ends a wait, and a close does" {
    try onEach(struct {
        fn promise(rig: *Rig) !void {
            var user = [1]abi.Ukevent{.zero};
            user[0].type = abi.Type.KEVENT_USER;
            user[0].event = abi.User.KEVENT_USER_TRIGGERED;
            user[0].req_flags = QUEUED;
            user[0].user[0] = 6;
            try expectEqual(1, exports.kevent_ctl(rig.fd, Command.KEVENT_CTL_ADD, 1, &user));
            const Other = struct {
                fn run(r: *Rig, given: abi.Ukevent, delay: u64) void {
                    var records = [1]abi.Ukevent{given};
                    if (delay > 0) sleepFor(delay);
                    _ = exports.kevent_ctl(r.fd, Command.KEVENT_CTL_TRIGGER, 1, &records);
                }
            };
            for (0..60) |n| {
                const thread = try std.Thread.spawn(.{}, Other.run, .{ rig, user[0], (n % 30) * 20_000 });
                defer thread.join();
                const start = sys.now(.monotonic);
                try rig.expectUsers(&.{6});
                try expect(sys.now(.monotonic) - start < 500 * ms);
            }
            if (rig.single) return;
            const Closer = struct {
                fn run(fd: i32) void {
                    sleepFor(10 * ms);
                    _ = exports.kevent_close(fd);
                }
            };
            const rival = try Rig.open(.shared);
            defer rival.free();
            const thread = try std.Thread.spawn(.{}, Closer.run, .{rival.fd});
            defer thread.join();
            try expectEqual(-9, exports.kevent_get_events(rival.fd, 1, 1, 5, 0, rival.out.ptr, 0));
        }
    }.promise);
}

test "uring: several threads wait, each event wakes one" {
    const rig = try Rig.open(.shared);
    defer rig.close();
    const threads_count = 4;
    const each = 200;
    const Shared = struct {
        rig: *Rig,
        events: [threads_count]sys.Fd,
        got: std.atomic.Value(u32) = .init(0),

        fn run(shared: *@This()) void {
            var out: [1]abi.Ukevent = undefined;
            while (shared.got.load(.monotonic) < threads_count * each) {
                const count = exports.kevent_get_events(shared.rig.fd, 1, 1, 0, 20 * ms, &out, 0);
                if (count <= 0) continue;
                _ = shared.got.fetchAdd(1, .monotonic);
                // The next one, as soon as this one was taken.
                const event = shared.events[out[0].user[0]];
                _ = sys.eventfdClear(event);
                sys.eventfdSignal(event);
            }
        }
    };
    var shared: Shared = .{ .rig = rig, .events = undefined };
    for (&shared.events, 0..) |*event, n| {
        event.* = try sys.eventfd();
        try rig.add(event.*, IN, EDGE, @intCast(n));
        sys.eventfdSignal(event.*);
    }
    defer for (shared.events) |event| sys.close(event);
    var threads: [threads_count]std.Thread = undefined;
    for (&threads) |*thread| thread.* = try std.Thread.spawn(.{}, Shared.run, .{&shared});
    const start = sys.now(.monotonic);
    for (threads) |thread| thread.join();
    try expect(shared.got.load(.monotonic) >= threads_count * each);
    // Without a lost wake-up it takes milliseconds; each lost one costs twenty.
    try expect(sys.now(.monotonic) - start < 2000 * ms);
}

test "uring: threads that add, write, collect and remove at once disturb each other in nothing" {
    const rig = try Rig.open(.shared);
    defer rig.close();
    const Worker = struct {
        rig: *Rig,
        number: u32,
        failed: bool = false,

        fn run(worker: *@This()) void {
            worker.work() catch {
                worker.failed = true;
            };
        }

        fn work(worker: *@This()) !void {
            var out: [8]abi.Ukevent = undefined;
            for (0..400) |round| {
                const ends = try sys.socketpair();
                defer for (ends) |fd| sys.close(fd);
                const flags: u32 = if (round % 3 == 0) EDGE else QUEUED;
                try worker.rig.add(ends[0], IN, flags, worker.number);
                _ = try sys.write(ends[1], "x");
                // It may get the event of another thread, and another thread its.
                const got = exports.kevent_get_events(worker.rig.fd, @intCast(round % 2), out.len, 0, 200_000, &out, 0);
                try expect(got >= 0);
                const removed = try worker.rig.control(Command.KEVENT_CTL_REMOVE, @intCast(ends[0]), 0, 0, worker.number);
                try expectEqual(0, removed.ret_data);
            }
        }
    };
    var workers: [4]Worker = undefined;
    var threads: [4]std.Thread = undefined;
    for (&workers, &threads, 1..) |*worker, *thread, number| {
        worker.* = .{ .rig = rig, .number = @intCast(number) };
        thread.* = try std.Thread.spawn(.{}, Worker.run, .{worker});
    }
    for (threads) |thread| thread.join();
    for (workers) |worker| try expect(!worker.failed);
    const queue = try rig.queue();
    defer registry.release(queue);
    queue.checkInvariants();
    try expectEqual(0, queue.storages.count);
    try rig.nothing();
}

test "uring: the descriptor of a shared queue is readable exactly when events wait" {
    const rig = try Rig.open(.shared);
    defer rig.close();
    const level = try sys.eventfd();
    defer sys.close(level);
    const edge = try sys.eventfd();
    defer sys.close(edge);
    try expect(!rig.readable());
    try rig.add(level, IN, QUEUED, 1);
    try rig.add(edge, IN, EDGE, 2);
    try expect(!rig.readable());
    for (0..20) |_| {
        sys.eventfdSignal(level);
        try expect(readableWithin(rig.fd, 1000 * ms));
        try rig.expectUsers(&.{1});
        // It still holds.
        try expect(rig.readable());
        try rig.expectUsers(&.{1});
        _ = sys.eventfdClear(level);
        try rig.nothing();
        try expect(!rig.readable());
        sys.eventfdSignal(edge);
        try expect(readableWithin(rig.fd, 1000 * ms));
        try rig.expectUsers(&.{2});
        try expect(!rig.readable());
        // Neither removing nor changing is news.
        try rig.remove(edge, 2);
        try expect(!rig.readable());
        _ = sys.eventfdClear(edge);
        try rig.add(edge, IN, EDGE, 2);
        try expect(!rig.readable());
    }
    // Two are ready, one is taken: the other keeps it readable.
    sys.eventfdSignal(level);
    sys.eventfdSignal(edge);
    try expectEqual(1, exports.kevent_get_events(rig.fd, 1, 1, 1, 0, rig.out.ptr, 0));
    try expect(rig.readable());
}

test "uring: a queue can be watched by another queue" {
    try onEach(struct {
        fn promise(rig: *Rig) !void {
            const child = try Rig.open(.shared);
            defer child.close();
            const event = try sys.eventfd();
            defer sys.close(event);
            try child.add(event, IN, QUEUED, 1);
            for ([_]u32{ QUEUED, EDGE }) |flags| {
                try rig.add(child.fd, IN, flags, 2);
                try rig.nothing();
                for (0..5) |_| {
                    sys.eventfdSignal(event);
                    try rig.expectUsers(&.{2});
                    try child.expectUsers(&.{1});
                    _ = sys.eventfdClear(event);
                    try child.nothing();
                    // An edge may be told twice when a ring tells a ring, a level may not.
                    if (flags == QUEUED) try rig.nothing() else _ = try rig.collect(0);
                }
                try rig.remove(child.fd, 2);
            }
        }
    }.promise);
}

test "uring: the wake-up byte comes when it was asked for, once" {
    try onEach(wakeUp);
}

fn wakeUp(rig: *Rig) !void {
    const script = exports.kevent_wake_open(rig.fd);
    try expect(script >= 0);
    defer sys.close(script);
    const ends = try sys.socketpair();
    defer for (ends) |fd| sys.close(fd);
    try rig.add(ends[0], IN, QUEUED, 1);
    // Awake: nobody asked.
    _ = try sys.write(ends[1], "x");
    try expect(!readableWithin(script, 5 * ms));
    try expectEqual(1, turn(rig, 0, 0));
    try take(ends[0]);
    for (0..50) |n| {
        // The record of the turn before is committed.
        try expectEqual(0, turn(rig, 1, abi.Turn.KEVENT_TURN_ARM));
        try expect(!isReadable(script));
        // Some rounds end without a reason, which must not arm it twice.
        if (n % 5 == 0) try expectEqual(0, turn(rig, 0, abi.Turn.KEVENT_TURN_ARM));
        _ = try sys.write(ends[1], "x");
        try expect(readableWithin(script, 1000 * ms));
        try take(script);
        try expect(!isReadable(script));
        try expectEqual(1, turn(rig, 0, 0));
        try take(ends[0]);
    }
    // Asleep, a timer.
    try rig.addTimer(5 * ms, 0, 2);
    const start = sys.now(.monotonic);
    try expectEqual(0, turn(rig, 1, abi.Turn.KEVENT_TURN_ARM));
    try expect(readableWithin(script, 1000 * ms));
    try expect(sys.now(.monotonic) - start >= 4 * ms);
    try take(script);
    try expectEqual(1, turn(rig, 0, 0));
    // What was there before it slept.
    _ = try sys.write(ends[1], "x");
    const there = turn(rig, 1, abi.Turn.KEVENT_TURN_ARM);
    try expectEqual(1, there);
    try take(ends[0]);
}

test "uring: what comes while the script falls asleep wakes it" {
    try onEach(fallAsleep);
}

fn fallAsleep(rig: *Rig) !void {
    const script = exports.kevent_wake_open(rig.fd);
    defer sys.close(script);
    const ends = try sys.socketpair();
    defer for (ends) |fd| sys.close(fd);
    const event = try sys.eventfd();
    defer sys.close(event);
    try rig.add(ends[0], IN, QUEUED, 0);
    try rig.add(event, IN, EDGE, 1);
    const Writer = struct {
        round: std.atomic.Value(u32) = .init(0),
        socket: sys.Fd,
        event: sys.Fd,

        fn run(writer: *@This()) void {
            for (1..rounds + 1) |round| {
                while (writer.round.load(.acquire) < round) std.Thread.yield() catch {};
                for (0..round * 7 % 3000) |_| std.atomic.spinLoopHint();
                if (round % 2 == 0) sys.eventfdSignal(writer.event) else _ = sys.write(writer.socket, "x") catch {};
            }
        }

        const rounds = 1000;
    };
    var writer: Writer = .{ .socket = ends[1], .event = event };
    const thread = try std.Thread.spawn(.{}, Writer.run, .{&writer});
    defer thread.join();
    errdefer writer.round.store(Writer.rounds, .release);
    var commit: u32 = 0;
    for (1..Writer.rounds + 1) |round| {
        writer.round.store(@intCast(round), .release);
        while (true) {
            const waiting = turn(rig, commit, abi.Turn.KEVENT_TURN_ARM);
            commit = 0;
            try expect(waiting >= 0);
            if (waiting > 0) break;
            if (!readableWithin(script, 2000 * ms)) return error.Slept;
            try take(script);
        }
        if (round % 2 == 0) _ = sys.eventfdClear(event) else try take(ends[0]);
        // What else is there is committed with it.
        commit = @intCast(turn(rig, 0, 0));
        if (isReadable(script)) try take(script);
    }
}

fn turn(rig: *Rig, commit: u32, flags: u32) i32 {
    return exports.kevent_turn(rig.fd, 0, commit, 0, flags);
}

/// Exactly one byte.
fn take(fd: sys.Fd) !void {
    var buffer: [8]u8 = undefined;
    try expectEqual(1, try sys.read(fd, &buffer));
}

test "uring: every write to an eventfd by another thread wakes a script that sleeps, soon" {
    const rig = try Rig.open(.single);
    defer rig.close();
    const script = exports.kevent_wake_open(rig.fd);
    defer sys.close(script);
    const level = try sys.eventfd();
    defer sys.close(level);
    const edge = try sys.eventfd();
    defer sys.close(edge);
    try rig.add(level, IN, QUEUED, 0);
    try rig.add(edge, IN, EDGE, 1);
    const Other = struct {
        fn run(fd: sys.Fd, delay: u64) void {
            sleepFor(delay);
            sys.eventfdSignal(fd);
        }
    };
    var commit: u32 = 0;
    var late: u32 = 0;
    var needless: u32 = 0;
    for (0..100) |n| {
        const start = sys.now(.monotonic);
        const delay = 100_000 + n % 7 * 10_000;
        const written = if (n % 2 == 0) level else edge;
        var thread: ?std.Thread = null;
        defer thread.?.join();
        while (true) : (needless += 1) {
            try expectEqual(0, turn(rig, commit, abi.Turn.KEVENT_TURN_ARM));
            commit = 0;
            if (thread == null) thread = try std.Thread.spawn(.{}, Other.run, .{ written, delay });
            try expect(readableWithin(script, 1000 * ms));
            try take(script);
            if (turn(rig, 0, 0) == 1) break;
        }
        commit = 1;
        late += @intFromBool(sys.now(.monotonic) - start > delay + 5 * ms);
        _ = sys.eventfdClear(written);
    }
    // The kernel's own signal from within such a write comes 15 ms later, and finds nothing then.
    try expect(late < 20);
    try expect(needless < 20);
}

test "uring: a trigger from another thread wakes a script that sleeps" {
    const rig = try Rig.open(.single);
    defer rig.close();
    const script = exports.kevent_wake_open(rig.fd);
    defer sys.close(script);
    var user = [1]abi.Ukevent{.zero};
    user[0].type = abi.Type.KEVENT_USER;
    user[0].event = abi.User.KEVENT_USER_TRIGGERED;
    user[0].req_flags = QUEUED;
    try expectEqual(1, exports.kevent_ctl(rig.fd, Command.KEVENT_CTL_ADD, 1, &user));
    const Other = struct {
        fn run(r: *Rig, given: abi.Ukevent) void {
            var records = [1]abi.Ukevent{given};
            sleepFor(2 * ms);
            _ = exports.kevent_ctl(r.fd, Command.KEVENT_CTL_TRIGGER, 1, &records);
        }
    };
    var commit: u32 = 0;
    for (0..10) |_| {
        try expectEqual(0, turn(rig, commit, abi.Turn.KEVENT_TURN_ARM));
        const thread = try std.Thread.spawn(.{}, Other.run, .{ rig, user[0] });
        defer thread.join();
        try expect(readableWithin(script, 1000 * ms));
        try take(script);
        try expectEqual(1, turn(rig, 0, 0));
        commit = 1;
    }
}

test "uring: without a second ring the helper thread writes the byte" {
    const rig = try Rig.open(.single);
    defer rig.close();
    const script = exports.kevent_wake_open(rig.fd);
    defer sys.close(script);
    const event = try sys.eventfd();
    defer sys.close(event);
    try rig.add(event, IN, QUEUED, 1);
    sys.fault.arrange(.io_uring_setup, 0, error.NOMEM);
    try expectEqual(0, turn(rig, 0, abi.Turn.KEVENT_TURN_ARM));
    try expect(!sys.fault.cancel());
    sys.eventfdSignal(event);
    try expect(readableWithin(script, 1000 * ms));
    try take(script);
    try expectEqual(1, turn(rig, 0, 0));
    const text = try info(rig);
    try expect(std.mem.indexOf(u8, text, "\"wake\":\"thread\"") != null);
}

threadlocal var info_buffer: [4096]u8 = undefined;

fn info(rig: *Rig) ![]const u8 {
    const length = exports.kevent_info(rig.fd, &info_buffer, info_buffer.len);
    try expect(length > 0);
    return info_buffer[0..@intCast(length)];
}

test "uring: what it found in this kernel is told" {
    const rig = try Rig.open(.single);
    defer rig.close();
    const text = try info(rig);
    try expect(std.mem.indexOf(u8, text, "\"backend\":\"io_uring\"") != null);
    try expect(std.mem.indexOf(u8, text, "\"wake\":\"none\"") != null);
}

test "uring: while the script is awake the kernel signals nothing" {
    const rig = try Rig.open(.single);
    defer rig.close();
    const script = exports.kevent_wake_open(rig.fd);
    defer sys.close(script);
    const ends = try sys.socketpair();
    defer for (ends) |fd| sys.close(fd);
    try rig.add(ends[0], IN, QUEUED, 1);
    try expectEqual(0, turn(rig, 0, abi.Turn.KEVENT_TURN_ARM));
    try expectEqual(0, turn(rig, 0, 0));
    _ = try sys.write(ends[1], "x");
    try expect(!rig.readable());
    try expectEqual(1, turn(rig, 0, 0));
}

test "uring: a turn that has nothing to do does not enter the kernel" {
    const rig = try Rig.open(.single);
    defer rig.close();
    const event = try sys.eventfd();
    defer sys.close(event);
    try rig.add(event, IN, QUEUED, 1);
    try expectEqual(0, turn(rig, 0, 0));
    sys.fault.arrange(.io_uring_enter, 0, error.INVAL);
    try expectEqual(0, turn(rig, 0, 0));
    // The fault still waits for a call.
    try expect(sys.fault.cancel());
    sys.fault.arrange(.poll, 0, error.INVAL);
    try expectEqual(0, turn(rig, 0, 0));
    try expect(sys.fault.cancel());
}

test "uring: an interrupted or refused call loses nothing" {
    try onEach(struct {
        fn promise(rig: *Rig) !void {
            const event = try sys.eventfd();
            defer sys.close(event);
            try rig.add(event, IN, EDGE, 1);
            for ([_]errors.Error{ error.INTR, error.NOMEM, error.AGAIN, error.BUSY }) |err| {
                for (0..4) |skip| {
                    sys.fault.arrange(.io_uring_enter, @intCast(skip), err);
                    sys.eventfdSignal(event);
                    var tries: u32 = 0;
                    while (exports.kevent_get_events(rig.fd, 1, 4, 1, 0, rig.out.ptr, 0) != 1) tries += 1;
                    // A signal is no error of a call that waits.
                    try expect(tries < @as(u32, if (err == error.INTR) 1 else 3));
                    _ = sys.fault.cancel();
                    _ = try rig.collect(0);
                }
            }
            for (0..4) |skip| {
                sys.fault.arrange(.poll, @intCast(skip), error.NOMEM);
                const level = try sys.eventfd();
                defer sys.close(level);
                sys.eventfdSignal(level);
                const added = try rig.control(Command.KEVENT_CTL_ADD, @intCast(level), IN, QUEUED, 2);
                if (added.ret_flags == 0) {
                    var tries: u32 = 0;
                    while (exports.kevent_get_events(rig.fd, 1, 4, 1, 0, rig.out.ptr, 0) != 1) tries += 1;
                    try expect(tries < 3);
                    try rig.remove(level, 2);
                }
                _ = sys.fault.cancel();
            }
        }
    }.promise);
}

test "uring: only what means 'not available' falls back to epoll" {
    const cases = [_]struct { err: errors.Error, back: bool }{
        .{ .err = error.NOSYS, .back = true },
        .{ .err = error.PERM, .back = true },
        .{ .err = error.ACCES, .back = true },
        .{ .err = error.NOMEM, .back = false },
        .{ .err = error.MFILE, .back = false },
    };
    (try Rig.open(.single)).close();
    for ([_]bool{ true, false }) |single| {
        for (cases) |case| {
            for ([_]sys.fault.Call{ .io_uring_setup, .io_uring_register, .io_uring_enter, .eventfd, .mmap }) |call| {
                var backend: backends.Backend = undefined;
                sys.fault.arrange(call, 0, case.err);
                const made = backends.openBest(&backend, .{ .single = single, .seed = 0 });
                try expect(!sys.fault.cancel());
                if (case.back) {
                    _ = try made;
                    try expect(backend == .epoll);
                    backend.deinit();
                } else {
                    try std.testing.expectError(case.err, made);
                }
            }
        }
    }
}

test "uring: nothing of a queue stays open" {
    try onEach(struct {
        fn promise(rig: *Rig) !void {
            // The refusal is injected behind a call that succeeded, whose ring nobody closes.
            if (rig.kind == .single_plain) return;
            const before = @import("../harness.zig").openDescriptors();
            for (0..3) |_| {
                const other = try Rig.open(rig.kind);
                const script = exports.kevent_wake_open(other.fd);
                try other.addTimer(sys.now(.wall) + 1000 * ms, abi.Timer.KEVENT_TIMER_WALL, 1);
                if (rig.single) try expectEqual(0, turn(other, 0, abi.Turn.KEVENT_TURN_ARM));
                sys.close(script);
                other.close();
            }
            try expectEqual(before, @import("../harness.zig").openDescriptors());
        }
    }.promise);
}

test "uring: when the queue's descriptor was closed and is somebody else's, a turn says so before it sleeps" {
    const rig = try Rig.open(.single);
    defer rig.close();
    const script = exports.kevent_wake_open(rig.fd);
    defer sys.close(script);
    try expectEqual(0, turn(rig, 0, abi.Turn.KEVENT_TURN_ARM));
    const other = try sys.eventfd();
    defer sys.close(other);
    try sys.dup3(other, rig.fd);
    // The wake-up's way is still open: unsaid, each of these would ask for another byte.
    try rig.addTimer(sys.now(.monotonic), abi.Timer.KEVENT_TIMER_ABSOLUTE, 1);
    try expectEqual(1, turn(rig, 0, 0));
    try expectEqual(-@as(i32, errors.number(error.BADF)), turn(rig, 1, abi.Turn.KEVENT_TURN_ARM));
}
