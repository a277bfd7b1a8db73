//! Promises about registrations: adding, changing, removing, what fires and what is handed out. Each
//! on every back-end. Names begin with the rows of the checklist. Waiting is in `wait_test.zig`; what
//! bad input gets is in `test/bad-input.test.ts`.

const std = @import("std");
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
const out = t.out;

test "S2-1 S2-14 S2-24 S2-35 S2-44 S4-7 the calls have the shapes of the source documents" {
    const Records = ?[*]abi.Ukevent;
    const shapes = .{
        .{ exports.kevent_init, fn (?[*]u8, u32, u32) callconv(.c) i32 },
        .{ exports.kevent_ctl, fn (i32, u32, u32, Records) callconv(.c) i32 },
        .{ exports.kevent_get_events, fn (i32, u32, u32, i64, i64, Records, u32) callconv(.c) i32 },
        .{ exports.kevent_wait, fn (i32, u32, u32, i64, i64, u32) callconv(.c) i32 },
        .{ exports.kevent_commit, fn (i32, u32, u32) callconv(.c) i32 },
        .{ exports.kevent_user_ctl, fn (i32, ?[*]u8) callconv(.c) i32 },
    };
    inline for (shapes) |shape| try expectEqual(shape[1], @TypeOf(shape[0]));
}

// --- S0: sources, modes, lists -----------------------------------------------------------------

test "S0-1 S2-61 a level is told as long as it holds, an edge once for each change" {
    try t.each(.{}, levelAndEdge);
}

fn levelAndEdge(bed: *Bed) !void {
    const level: Pipe = try .open();
    defer level.close();
    const edge: Pipe = try .open();
    defer edge.close();
    try bed.add(t.pollRecord(level.reader, in, 0, 1));
    try bed.add(t.pollRecord(edge.reader, in, Request.KEVENT_REQ_ET, 2));
    try bed.expectUsers(&.{});
    try level.put();
    try edge.put();
    try bed.expectSet(&.{ 1, 2 });
    try bed.expectUsers(&.{1});
    try bed.expectUsers(&.{1});
    try edge.put();
    try bed.expectSet(&.{ 1, 2 });
    _ = level.drain();
    try bed.expectUsers(&.{});
}

test "S2-61 S2-43 a pipe read many times gives an edge for each write" {
    try t.each(.{ .ring = 4 }, edgeForEachWrite);
}

fn edgeForEachWrite(bed: *Bed) !void {
    const pipe: Pipe = try .open();
    defer pipe.close();
    try bed.add(t.pollRecord(pipe.reader, in, Request.KEVENT_REQ_ET, 1));
    for (0..20) |n| {
        try pipe.put();
        // Whether the reader took it all or not.
        if (n % 3 == 0) _ = pipe.drain();
        try pipe.put();
        try expectEqual(1, bed.wait(4, bed.ringHeader().ring_kidx, 10 * ms));
        try expectEqual(0, bed.wait(4, bed.ringHeader().ring_kidx, ms));
        const header = bed.ringHeader();
        const over = header.ring_over + @intFromBool(header.ring_kidx == 0);
        try expectEqual(1, exports.kevent_commit(bed.fd, header.ring_kidx, over));
    }
}

const Tcp = struct {
    listener: sys.Fd,
    client: sys.Fd = -1,
    server: sys.Fd = -1,

    fn listen() !Tcp {
        const address = try sys.Address.parse("127.0.0.1", 0);
        return .{ .listener = try sys.tcpListen(&address, 8) };
    }

    fn connect(tcp: *Tcp) !void {
        const address = try sys.Address.parse("127.0.0.1", try sys.tcpPort(tcp.listener));
        tcp.client = try sys.tcpConnect(&address);
    }

    fn accept(tcp: *Tcp) !void {
        tcp.server = try sys.tcpAccept(tcp.listener);
    }

    fn close(tcp: *Tcp) void {
        for ([_]sys.Fd{ tcp.listener, tcp.client, tcp.server }) |fd| if (fd >= 0) sys.close(fd);
    }
};

test "S0-2 S0-3 S0-4 S4-1 S4-14 sockets: accept, send, recv, the end of the peer" {
    try t.each(.{}, sockets);
}

fn sockets(bed: *Bed) !void {
    const Kind = abi.Socket;
    var tcp: Tcp = try .listen();
    defer tcp.close();
    try bed.add(t.socketRecord(tcp.listener, Kind.KEVENT_SOCKET_ACCEPT, 0, 1));
    try bed.expectUsers(&.{});
    try tcp.connect();
    const accepted = try bed.next();
    try expectEqual(1, accepted.user[0]);
    try expectEqual(Kind.KEVENT_SOCKET_ACCEPT, accepted.event);
    try tcp.accept();
    try bed.expectUsers(&.{});

    try bed.add(t.socketRecord(tcp.server, Kind.KEVENT_SOCKET_SEND, 0, 2));
    try expectEqual(Kind.KEVENT_SOCKET_SEND, (try bed.next()).event);
    t.fillUp(tcp.server);
    try bed.expectUsers(&.{});
    // The peer reads all of it, in as many pieces as it takes to arrive.
    var reads: u32 = 0;
    while ((try bed.collect(0, 1, 0)).len == 0) : (reads += 1) {
        try expect(reads < 1000);
        if (t.drainFd(tcp.client) == 0) t.pause(ms);
    }
    try bed.remove(t.socketRecord(tcp.server, 0, 0, 2));

    try bed.add(t.socketRecord(tcp.server, Kind.KEVENT_SOCKET_RECV, 0, 3));
    try bed.expectUsers(&.{});
    try expectEqual(1, try sys.sendQuietly(tcp.client, "x"));
    try expectEqual(Kind.KEVENT_SOCKET_RECV, (try bed.next()).event);
    try expectEqual(1, t.drainFd(tcp.server));

    try bed.add(t.socketRecord(tcp.server, Kind.KEVENT_SOCKET_PEER_CLOSED, 0, 4));
    try bed.expectUsers(&.{});
    _ = t.drainFd(tcp.client);
    try sys.tcpShutdown(tcp.client);
    const ends = try bed.collect(2, 2, std.time.ns_per_s);
    try expectEqual(2, ends.len);
    for (ends) |end| try expect(end.user[0] == 3 or end.event == Kind.KEVENT_SOCKET_PEER_CLOSED);
}

test "an error of a socket comes with its errno, without being asked for" {
    try t.each(.{}, socketError);
}

fn socketError(bed: *Bed) !void {
    var tcp: Tcp = try .listen();
    try tcp.connect();
    defer tcp.close();
    const port = try sys.tcpPort(tcp.listener);
    sys.close(tcp.listener);
    tcp.listener = -1;
    const address = try sys.Address.parse("127.0.0.1", port);
    const refused = sys.tcpConnect(&address) catch |err| {
        try expectEqual(error.CONNREFUSED, err);
        return;
    };
    defer sys.close(refused);
    try bed.add(t.socketRecord(refused, abi.Socket.KEVENT_SOCKET_SEND, 0, 1));
    const got = try bed.next();
    try expect(got.event & abi.Socket.KEVENT_SOCKET_ERROR != 0);
    try expect(got.event & abi.Socket.KEVENT_SOCKET_HANG_UP != 0);
    try expectEqual(111, got.ret_data);
}

test "S0-9 S4-2 S4-16 poll: any descriptor, any bits" {
    try t.each(.{}, anyBits);
}

fn anyBits(bed: *Bed) !void {
    const event = try sys.eventfd();
    defer sys.close(event);
    const pipe: Pipe = try .open();
    const pair = try sys.socketpair();
    defer sys.close(pair[0]);
    try bed.add(t.pollRecord(event, in, 0, 1));
    try bed.add(t.pollRecord(pipe.reader, in, 0, 2));
    try bed.add(t.pollRecord(pair[0], abi.Poll.KEVENT_POLL_RDHUP, 0, 3));
    try bed.expectUsers(&.{});
    sys.eventfdSignal(event);
    try bed.expectUsers(&.{1});
    _ = sys.eventfdClear(event);
    // Hang-up is told though nobody asked for it.
    sys.close(pipe.writer);
    const hang_up = try bed.next();
    try expectEqual(2, hang_up.user[0]);
    try expectEqual(abi.Poll.KEVENT_POLL_HUP, hang_up.event);
    try expect(hang_up.ret_extra & abi.Poll.KEVENT_POLL_HUP != 0);
    try bed.remove(t.pollRecord(pipe.reader, in, 0, 2));
    sys.close(pipe.reader);
    sys.close(pair[1]);
    const closed = try bed.next();
    try expectEqual(3, closed.user[0]);
    try expect(closed.event & abi.Poll.KEVENT_POLL_RDHUP != 0);
}

test "a regular file is always ready, as poll(2) has it" {
    try t.each(.{}, regularFile);
}

fn regularFile(bed: *Bed) !void {
    const file = try openSelf();
    defer sys.close(file);
    try bed.add(t.pollRecord(file, in, 0, 1));
    try bed.expectUsers(&.{1});
    try bed.expectUsers(&.{1});
    try bed.remove(t.pollRecord(file, in, 0, 1));
    try bed.expectUsers(&.{});
    var one = t.pollRecord(file, in, 0, 2);
    one.req_flags = 0;
    try bed.control(Command.KEVENT_CTL_ADD, &one);
    try expectEqual(Return.KEVENT_RET_DONE, one.ret_flags);
}

fn openSelf() !sys.Fd {
    const raw = std.os.linux.open("/proc/self/exe", .{ .CLOEXEC = true }, 0);
    return if (std.os.linux.errno(raw) == .SUCCESS) @intCast(raw) else error.NoFile;
}

test "S0-10 S2-82 S4-5 a timer fires, and not early" {
    try t.each(.{}, timerFires);
}

fn timerFires(bed: *Bed) !void {
    const start = bed.now(.monotonic);
    try bed.add(t.timerRecord(3 * ms, Request.KEVENT_REQ_ONESHOT, 1));
    try bed.expectUsers(&.{});
    const got = try bed.next();
    const end = bed.now(.monotonic);
    try expect(end - start >= 3 * ms);
    try expectEqual(abi.Timer.KEVENT_TIMER_FIRED, got.event);
    // S2-70: milliseconds of the firing.
    try expect(got.ret_data >= (start + 3 * ms) / ms and got.ret_data <= end / ms);
    try expectEqual(0, got.ret_extra);
}

test "S0-11 two interests on one descriptor both fire, each with its own mask" {
    try t.each(.{}, twoInterests);
}

fn twoInterests(bed: *Bed) !void {
    const pair = try sys.socketpair();
    defer for (pair) |fd| sys.close(fd);
    try bed.add(t.pollRecord(pair[0], in, 0, 1));
    try bed.add(t.socketRecord(pair[0], abi.Socket.KEVENT_SOCKET_RECV, 0, 2));
    try bed.add(t.pollRecord(pair[0], in | out, 0, 3));
    try bed.expectUsers(&.{3});
    _ = try sys.sendQuietly(pair[1], "x");
    try bed.expectSet(&.{ 1, 2, 3 });
    try bed.remove(t.pollRecord(pair[0], in, 0, 1));
    try bed.expectSet(&.{ 2, 3 });
    _ = t.drainFd(pair[0]);
    try bed.expectUsers(&.{3});
}

test "S0-12 two queues know nothing of each other" {
    try t.each(.{}, twoQueues);
}

fn twoQueues(bed: *Bed) !void {
    var second: Bed = .{ .kind = bed.kind, .options = .{} };
    second.fd = try bed.another();
    defer _ = exports.kevent_close(second.fd);
    const pipe: Pipe = try .open();
    defer pipe.close();
    try bed.add(t.pollRecord(pipe.reader, in, 0, 1));
    try second.add(t.pollRecord(pipe.reader, in, 0, 2));
    try second.add(t.userRecord(3, 0));
    try pipe.put();
    try bed.expectUsers(&.{1});
    try second.expectUsers(&.{2});
    try bed.refuse(Command.KEVENT_CTL_TRIGGER, t.userRecord(3, 0), error.NOENT);
}

test "S0-14 S1-2 a registration fires again and again without being added again" {
    try t.each(.{}, firesAgain);
}

fn firesAgain(bed: *Bed) !void {
    const pipe: Pipe = try .open();
    defer pipe.close();
    try bed.add(t.pollRecord(pipe.reader, in, 0, 1));
    try bed.add(t.userRecord(2, 0));
    for (0..50) |_| {
        try pipe.put();
        try bed.expectUsers(&.{1});
        _ = pipe.drain();
        try bed.trigger(t.userRecord(2, 0));
        try bed.expectUsers(&.{2});
        try bed.expectUsers(&.{});
    }
}

test "S0-15 S4-19 a mask that does not match stays silent, two bits at once come in one event" {
    try t.each(.{}, masks);
}

fn masks(bed: *Bed) !void {
    const pair = try sys.socketpair();
    defer for (pair) |fd| sys.close(fd);
    try bed.add(t.pollRecord(pair[0], abi.Poll.KEVENT_POLL_PRI, 0, 1));
    _ = try sys.sendQuietly(pair[1], "x");
    try bed.expectUsers(&.{});
    try bed.add(t.pollRecord(pair[0], in | out, 0, 2));
    const both = try bed.next();
    try expectEqual(2, both.user[0]);
    try expectEqual(in | out, both.event);
}

test "S0-16 S1-3 events come in the order of first arrival, each registration once" {
    try t.each(.{}, arrival);
}

fn arrival(bed: *Bed) !void {
    for (1..6) |n| try bed.add(t.userRecord(@intCast(n), 0));
    for ([_]u32{ 3, 1, 3, 5, 1, 2, 3 }) |n| try bed.trigger(t.userRecord(n, 0));
    const got = try bed.look();
    try t.expectUsersIn(got, &.{ 3, 1, 5, 2 });
    // How often it was triggered is not lost.
    try expectEqual(3, got[0].ret_extra);
    try expectEqual(2, got[1].ret_extra);
    try bed.expectUsers(&.{});
}

test "S0-18 S2-59 S4-21 a one-shot registration is gone when its event is handed out" {
    try t.each(.{}, oneShot);
}

fn oneShot(bed: *Bed) !void {
    const pipe: Pipe = try .open();
    defer pipe.close();
    const one = t.pollRecord(pipe.reader, in, Request.KEVENT_REQ_ONESHOT, 1);
    try bed.add(one);
    try pipe.put();
    try bed.expectUsers(&.{1});
    try bed.expectUsers(&.{});
    try pipe.put();
    try bed.expectUsers(&.{});
    try bed.refuse(Command.KEVENT_CTL_REMOVE, one, error.NOENT);
    try expectEqual(0, bed.queue().kevents.count);
    // Its identity may be used again.
    try bed.add(one);
    try bed.expectUsers(&.{1});
}

test "S0-19 S1-5 S4-10 S4-23 events are added, changed and removed at any time" {
    try t.each(.{}, addChangeRemove);
}

fn addChangeRemove(bed: *Bed) !void {
    const pair = try sys.socketpair();
    defer for (pair) |fd| sys.close(fd);
    const one = t.pollRecord(pair[0], in, 0, 1);
    try bed.add(one);
    try bed.expectUsers(&.{});
    try bed.modify(t.pollRecord(pair[0], out, 0, 1));
    try expectEqual(out, (try bed.next()).event);
    try bed.modify(one);
    try bed.expectUsers(&.{});
    _ = try sys.sendQuietly(pair[1], "x");
    try bed.expectUsers(&.{1});
    try bed.remove(one);
    try bed.expectUsers(&.{});
    try expectEqual(0, bed.queue().storages.count);
}

test "S0-28 user events: from here, from another thread, with payload" {
    try t.each(.{}, userEvents);
    try t.each(.{ .single = true }, userEvents);
}

fn userEvents(bed: *Bed) !void {
    const Kind = abi.User;
    var one = t.userRecord(1, 0);
    one.event |= 0xf0;
    try bed.add(one);
    one.event = Kind.KEVENT_USER_OR | 0x0f;
    try bed.trigger(one);
    try expectEqual(0xff, (try bed.next()).ret_data);
    one.event = Kind.KEVENT_USER_AND | 0x3c | Kind.KEVENT_USER_SILENT;
    try bed.trigger(one);
    try bed.expectUsers(&.{});
    one.event = Kind.KEVENT_USER_NOP | 0x777;
    try bed.trigger(one);
    const got = try bed.next();
    try expectEqual(0x3c, got.ret_data);
    try expectEqual(1, got.ret_extra);
    try expectEqual(Kind.KEVENT_USER_TRIGGERED, got.event);
    one.event = Kind.KEVENT_USER_COPY | 0xff_ffff;
    const thread = try std.Thread.spawn(.{}, triggerFrom, .{ bed.fd, one });
    const late = try bed.collect(1, 1, null);
    thread.join();
    try expectEqual(1, late.len);
    try expectEqual(0xff_ffff, late[0].ret_data);
    one.event = 1 << 29;
    try bed.refuse(Command.KEVENT_CTL_TRIGGER, one, error.INVAL);
}

fn triggerFrom(fd: i32, given: Record) void {
    t.untilWaiting(fd, 1);
    var one = [1]Record{given};
    _ = exports.kevent_ctl(fd, Command.KEVENT_CTL_TRIGGER, 1, &one);
}

test "S0-29 S2-56 S2-67 a type that this build lacks is answered BROKEN" {
    try t.each(.{}, absentType);
}

fn absentType(bed: *Bed) !void {
    var one = t.userRecord(1, 0);
    for ([_]u32{ 0, abi.Type.KEVENT_NAIO, abi.types_max, abi.types_max + 1, 0xffff_ffff }) |kind| {
        one.type = kind;
        try bed.refuse(Command.KEVENT_CTL_ADD, one, error.NOTSUP);
    }
    try bed.expectUsers(&.{});
}

test "S1-1 S1-2 each registration is on the lists it belongs to, and on no other" {
    try t.each(.{}, threeLists);
}

fn threeLists(bed: *Bed) !void {
    const pipe: Pipe = try .open();
    defer pipe.close();
    const queue = bed.queue();
    try bed.add(t.pollRecord(pipe.reader, in, 0, 1));
    try bed.add(t.pollRecord(pipe.reader, in, 0, 2));
    try bed.add(t.userRecord(3, 0));
    try bed.add(t.timerRecord(std.time.ns_per_s, 0, 4));
    try expectEqual(4, queue.kevents.count);
    try expectEqual(1, queue.storages.count);
    try expectEqual(0, queue.ready_count);
    try bed.trigger(t.userRecord(3, 0));
    try expectEqual(1, queue.ready_count);
    try expectEqual(4, queue.kevents.count);
    try bed.expectUsers(&.{3});
    try expectEqual(0, queue.ready_count);
    try bed.remove(t.pollRecord(pipe.reader, in, 0, 1));
    try expectEqual(1, queue.storages.count);
    try bed.remove(t.pollRecord(pipe.reader, in, 0, 2));
    try expectEqual(0, queue.storages.count);
    try bed.remove(t.timerRecord(std.time.ns_per_s, 0, 4));
    try expectEqual(1, queue.kevents.count);
}

// --- S2: kevent_init -------------------------------------------------------------------------

test "S2-3 S2-5 S4-8 a queue with a ring and one without, each a descriptor" {
    try t.each(.{}, descriptorOfAQueue);
    try t.each(.{ .ring = 8 }, descriptorOfAQueue);
}

fn descriptorOfAQueue(bed: *Bed) !void {
    try expect(bed.fd >= 0);
    try expect(sys.isOpen(bed.fd));
    try expectEqual(bed.options.ring > 0, bed.queue().ring != null);
    // Close-on-exec, like all we open.
    const F_GETFD = 1;
    try expectEqual(1, std.os.linux.fcntl(bed.fd, F_GETFD, 0));
}

test "S2-13 what was removed is not handed out, though it was ready" {
    try t.each(.{ .ring = 8 }, removedIsNotCopied);
}

fn removedIsNotCopied(bed: *Bed) !void {
    const pipe: Pipe = try .open();
    defer pipe.close();
    try bed.add(t.pollRecord(pipe.reader, in, 0, 1));
    try bed.add(t.userRecord(2, 0));
    try bed.add(t.userRecord(3, 0));
    try pipe.put();
    try bed.trigger(t.userRecord(2, 0));
    try bed.trigger(t.userRecord(3, 0));
    // One is handed out; by now the others are on the ready list.
    try t.expectUsersIn(try bed.collect(0, 1, 0), &.{2});
    try expectEqual(2, bed.queue().ready_count);
    try bed.remove(t.userRecord(3, 0));
    try bed.remove(t.pollRecord(pipe.reader, in, 0, 1));
    try bed.expectUsers(&.{});
    try expectEqual(0, bed.wait(0, 1, 0));
    try expectEqual(1, bed.ringHead());
}

// --- S2: kevent_ctl --------------------------------------------------------------------------

test "S2-16 S2-74 S2-22 results of ADD are written in place" {
    try t.each(.{}, resultsInPlace);
}

fn resultsInPlace(bed: *Bed) !void {
    const pipe: Pipe = try .open();
    defer pipe.close();
    var one = t.pollRecord(pipe.reader, in, 0, 1);
    one.ret_flags = 0xffff_ffff;
    one.ret_data = 0xffff_ffff;
    one.ret_extra = 0xffff_ffff;
    try bed.control(Command.KEVENT_CTL_ADD, &one);
    try expectEqual(0, one.ret_flags);
    try expectEqual(0, one.ret_data);
    try expectEqual(0, one.ret_extra);
}

test "S2-19 READY marks an event that its source knows nothing of; it is delivered once" {
    try t.each(.{}, readyByHand);
}

fn readyByHand(bed: *Bed) !void {
    const pipe: Pipe = try .open();
    defer pipe.close();
    const silent = t.pollRecord(pipe.reader, in, Request.KEVENT_REQ_LAST_CHECK, 1);
    try bed.add(silent);
    try bed.add(t.timerRecord(1000 * std.time.ns_per_s, 0, 2));
    try bed.ready(silent);
    try bed.ready(t.timerRecord(1000 * std.time.ns_per_s, 0, 2));
    const got = try bed.look();
    try t.expectUsersIn(got, &.{ 1, 2 });
    try expectEqual(in, got[0].event);
    try bed.expectUsers(&.{});
    try pipe.put();
    try bed.expectUsers(&.{1});
    try bed.refuse(Command.KEVENT_CTL_READY, t.userRecord(9, 0), error.NOENT);
}

test "S2-21 S2-23 a bad element does not stop the others" {
    try t.each(.{}, mixedArray);
}

fn mixedArray(bed: *Bed) !void {
    const pipe: Pipe = try .open();
    defer pipe.close();
    try expectEqual(0, exports.kevent_ctl(bed.fd, Command.KEVENT_CTL_ADD, 0, null));
    var mixed = [_]Record{
        t.userRecord(1, 0),
        t.pollRecord(-1, in, 0, 2),
        t.userRecord(1, 0),
        t.pollRecord(pipe.reader, in, 0, 4),
        .zero,
        t.userRecord(6, 1 << 31),
        t.userRecord(7, 0),
    };
    try expectEqual(7, exports.kevent_ctl(bed.fd, Command.KEVENT_CTL_ADD, 7, &mixed));
    const wanted = [_]u32{ 0, 9, 17, 0, 95, 22, 0 };
    for (wanted, mixed) |errno, one| {
        try expectEqual(if (errno == 0) @as(u32, 0) else Return.KEVENT_RET_BROKEN, one.ret_flags);
        try expectEqual(errno, one.ret_data);
    }
    try expectEqual(3, bed.queue().kevents.count);
    var thousand: [1000]Record = undefined;
    for (&thousand, 100..) |*one, n| one.* = t.userRecord(@intCast(n), 0);
    for ([_]u32{ Command.KEVENT_CTL_ADD, Command.KEVENT_CTL_TRIGGER, Command.KEVENT_CTL_REMOVE }) |command| {
        try expectEqual(1000, exports.kevent_ctl(bed.fd, command, 1000, &thousand));
        bed.queue().checkInvariants();
    }
    try bed.expectUsers(&.{});
    try expectEqual(3, bed.queue().kevents.count);
}

// --- S2: struct ukevent ----------------------------------------------------------------------

test "S2-62 an event is not handed out when somebody else consumed its data; the next one is" {
    try t.each(.{}, lastCheck);
}

fn lastCheck(bed: *Bed) !void {
    const pipe: Pipe = try .open();
    defer pipe.close();
    const plain: Pipe = try .open();
    defer plain.close();
    try bed.add(t.userRecord(1, 0));
    try bed.add(t.pollRecord(pipe.reader, in, Request.KEVENT_REQ_LAST_CHECK, 2));
    try bed.add(t.pollRecord(plain.reader, in, 0, 3));
    for (0..3) |_| {
        try pipe.put();
        try plain.put();
        try bed.trigger(t.userRecord(1, 0));
        try t.expectUsersIn(try bed.collect(0, 1, 0), &.{1});
        try expectEqual(2, bed.queue().ready_count);
        _ = pipe.drain();
        _ = plain.drain();
        // Without the flag nobody asks again.
        try bed.expectUsers(&.{3});
        try pipe.put();
        try bed.expectUsers(&.{2});
        _ = pipe.drain();
    }
    try expectEqual(3, bed.queue().counters.last_check_rejected);
}

test "S2-62 the last check also holds for edges, for files that are always ready and for neighbours of edges" {
    try t.each(.{}, lastCheckEverywhere);
}

fn lastCheckEverywhere(bed: *Bed) !void {
    const pipe: Pipe = try .open();
    defer pipe.close();
    const file = try openSelf();
    defer sys.close(file);
    try bed.add(t.userRecord(1, 0));
    try bed.add(t.pollRecord(pipe.reader, in, Request.KEVENT_REQ_LAST_CHECK | Request.KEVENT_REQ_ET, 2));
    try bed.add(t.pollRecord(pipe.reader, in, Request.KEVENT_REQ_LAST_CHECK, 3));
    for (0..3) |_| {
        try pipe.put();
        try bed.trigger(t.userRecord(1, 0));
        try t.expectUsersIn(try bed.collect(0, 1, 0), &.{1});
        _ = pipe.drain();
        try bed.expectUsers(&.{});
        try pipe.put();
        try bed.expectSet(&.{ 2, 3 });
        try bed.expectUsers(&.{3});
        _ = pipe.drain();
        try bed.expectUsers(&.{});
    }
    try bed.add(t.pollRecord(file, in, Request.KEVENT_REQ_LAST_CHECK, 4));
    for (0..3) |_| try bed.expectUsers(&.{4});
}

test "S2-64 ready at ADD: queued with ALWAYS_QUEUE, else answered in place and not kept" {
    try t.each(.{}, alwaysQueue);
}

fn alwaysQueue(bed: *Bed) !void {
    const pipe: Pipe = try .open();
    defer pipe.close();
    try pipe.put();
    var one = t.pollRecord(pipe.reader, in, 0, 1);
    one.req_flags = 0;
    try bed.control(Command.KEVENT_CTL_ADD, &one);
    try expectEqual(Return.KEVENT_RET_DONE, one.ret_flags);
    try expectEqual(in, one.event);
    try expectEqual(0, bed.queue().kevents.count);
    try bed.expectUsers(&.{});
    var timer = t.timerRecord(0, 0, 2);
    timer.event |= abi.Timer.KEVENT_TIMER_ABSOLUTE;
    try bed.control(Command.KEVENT_CTL_ADD, &timer);
    try expectEqual(Return.KEVENT_RET_DONE, timer.ret_flags);
    try expectEqual(bed.now(.monotonic) / ms, timer.ret_data + @as(u64, 0));
    try expectEqual(0, bed.queue().kevents.count);
    timer = t.timerRecord(0, Request.KEVENT_REQ_ALWAYS_QUEUE, 3);
    timer.event |= abi.Timer.KEVENT_TIMER_ABSOLUTE;
    try bed.add(timer);
    try bed.add(t.pollRecord(pipe.reader, in, 0, 4));
    try bed.expectSet(&.{ 3, 4 });
    // Not ready: kept, whatever the flag.
    _ = pipe.drain();
    one = t.pollRecord(pipe.reader, in, 0, 5);
    one.req_flags = 0;
    try bed.add(one);
    try pipe.put();
    try bed.expectSet(&.{ 4, 5 });
}

test "S2-65 READY at ADD and MODIFY: delivered once although the source is silent" {
    try t.each(.{}, readyAtAdd);
}

fn readyAtAdd(bed: *Bed) !void {
    const pipe: Pipe = try .open();
    defer pipe.close();
    try bed.add(t.pollRecord(pipe.reader, in, Request.KEVENT_REQ_READY | Request.KEVENT_REQ_LAST_CHECK, 1));
    try bed.add(t.userRecord(2, Request.KEVENT_REQ_READY | Request.KEVENT_REQ_ONESHOT));
    try bed.expectUsers(&.{ 1, 2 });
    try bed.expectUsers(&.{});
    try expectEqual(1, bed.queue().kevents.count);
    try bed.modify(t.pollRecord(pipe.reader, in, Request.KEVENT_REQ_READY, 1));
    try bed.expectUsers(&.{1});
    try bed.expectUsers(&.{});
}

test "S2-75 S2-76 MODIFY finds by id and user, replaces flags and mask, and may be ready at once" {
    try t.each(.{}, modifyFinds);
}

fn modifyFinds(bed: *Bed) !void {
    const pair = try sys.socketpair();
    defer for (pair) |fd| sys.close(fd);
    try bed.add(t.pollRecord(pair[0], in, 0, 1));
    try bed.add(t.pollRecord(pair[0], in, 0, 2));
    try bed.expectUsers(&.{});
    try bed.modify(t.pollRecord(pair[0], in | out, 0, 2));
    try bed.expectUsers(&.{2});
    try bed.modify(t.pollRecord(pair[0], in, Request.KEVENT_REQ_ONESHOT, 1));
    try bed.modify(t.pollRecord(pair[0], in, 0, 2));
    _ = try sys.sendQuietly(pair[1], "x");
    try bed.expectSet(&.{ 1, 2 });
    try bed.expectUsers(&.{2});
    // The type need not be said again, as the seed has it.
    var one = t.pollRecord(pair[0], out, 0, 2);
    one.type = 0;
    try bed.modify(one);
    try expectEqual(out, (try bed.next()).event);
}

test "MODIFY takes back what fired before: the new event carries nothing of the old one" {
    try t.each(.{ .single = true }, modifyForgets);
}

fn modifyForgets(bed: *Bed) !void {
    try bed.add(t.timerRecord(2 * ms, 0, 1));
    try bed.add(t.userRecord(2, 0));
    try bed.trigger(t.userRecord(2, 0));
    try bed.pass(11 * ms);
    // Both fire, one is handed out.
    try t.expectUsersIn(try bed.collect(0, 1, 0), &.{2});
    try expectEqual(1, bed.queue().ready_count);
    try bed.modify(t.timerRecord(2 * ms, 0, 1));
    try expectEqual(0, bed.queue().ready_count);
    const got = try bed.next();
    try expectEqual(1, got.user[0]);
    // Nothing was missed since the change, unless this machine slept.
    if (bed.kind == .simulated) try expectEqual(0, got.ret_extra);
    try expect(got.ret_extra < 4);
}

test "S2-77 S2-78 S2-80 without a match: BROKEN and DONE" {
    try t.each(.{}, noMatch);
}

fn noMatch(bed: *Bed) !void {
    try bed.add(t.userRecord(1, 0));
    for ([_]u32{ Command.KEVENT_CTL_MODIFY, Command.KEVENT_CTL_REMOVE }) |command| {
        var one = t.userRecord(2, 0);
        try bed.control(command, &one);
        try expectEqual(Return.KEVENT_RET_BROKEN | Return.KEVENT_RET_DONE, one.ret_flags);
        try expectEqual(2, one.ret_data);
        one = t.userRecord(1, 0);
        one.id.raw[1] = 1;
        try bed.control(command, &one);
        try expectEqual(Return.KEVENT_RET_BROKEN | Return.KEVENT_RET_DONE, one.ret_flags);
    }
    try bed.remove(t.userRecord(1, 0));
}

test "S2-79 REMOVE takes exactly the one with that id and user" {
    try t.each(.{}, removeOne);
}

fn removeOne(bed: *Bed) !void {
    for (1..4) |n| try bed.add(t.userRecord(@intCast(n), Request.KEVENT_REQ_READY));
    var one: Record = .zero;
    one.id = t.userRecord(2, 0).id;
    one.user[0] = 2;
    try bed.remove(one);
    try bed.expectUsers(&.{ 1, 3 });
}

test "S2-81 S2-54 S2-66 S2-71 an event carries the whole record" {
    try t.each(.{}, wholeRecord);
}

fn wholeRecord(bed: *Bed) !void {
    const pipe: Pipe = try .open();
    defer pipe.close();
    var one = t.pollRecord(pipe.reader, in, Request.KEVENT_REQ_WAKEUP_ALL, 0xdead_beef);
    one.user[1] = 0xffff_ffff;
    try bed.add(one);
    try pipe.put();
    const got = try bed.next();
    try expectEqual(one.id, got.id);
    try expectEqual(abi.Type.KEVENT_POLL, got.type);
    try expectEqual(in, got.event);
    try expectEqual(one.req_flags, got.req_flags);
    try expectEqual(Return.KEVENT_RET_DONE, got.ret_flags);
    try expectEqual(one.user, got.user);
}

// --- S2: timers ------------------------------------------------------------------------------

test "S2-83 S4-13 a one-shot timer fires once, a periodic one goes on without drifting" {
    try t.each(.{ .single = true }, periodic);
}

fn periodic(bed: *Bed) !void {
    const start = bed.now(.monotonic);
    try bed.add(t.timerRecord(4 * ms, 0, 1));
    try bed.add(t.timerRecord(2 * ms, Request.KEVENT_REQ_ONESHOT, 2));
    try expectEqual(2, (try bed.next()).user[0]);
    var fired: u64 = 0;
    while (fired < 5) {
        const got = try bed.next();
        try expectEqual(1, got.user[0]);
        fired += 1 + got.ret_extra;
        // Never early, and never a period forgotten.
        const passed = bed.now(.monotonic) - start;
        try expect(passed >= fired * 4 * ms);
        if (bed.kind == .simulated) try expect(passed < fired * 4 * ms + ms);
    }
    try expectEqual(1, bed.queue().kevents.count);
}

test "missed expiries of a periodic timer are counted" {
    try t.each(.{ .single = true }, missed);
}

fn missed(bed: *Bed) !void {
    try bed.add(t.timerRecord(5 * ms, 0, 1));
    try bed.pass(32 * ms);
    const got = try bed.next();
    try expect(got.ret_extra >= 5);
    if (bed.kind == .simulated) try expectEqual(5, got.ret_extra);
    // It goes on from its deadlines, not from now.
    const data = (try bed.next()).ret_data;
    if (bed.kind == .simulated) try expectEqual(got.ret_data + 3, data);
}

test "S2-84 0 s and 500 ns, and a period of nothing at all" {
    try t.each(.{ .single = true }, shortPeriods);
}

fn shortPeriods(bed: *Bed) !void {
    var one = t.timerRecord(500, Request.KEVENT_REQ_ALWAYS_QUEUE, 1);
    try bed.add(one);
    try expectEqual(1, (try bed.next()).user[0]);
    try bed.remove(one);
    one = t.timerRecord(0, Request.KEVENT_REQ_ALWAYS_QUEUE, 2);
    try bed.add(one);
    for (0..3) |_| try expectEqual(2, (try bed.next()).user[0]);
    try bed.remove(one);
    try bed.expectUsers(&.{});
}

test "timers fire in the order of their deadlines, the same deadline in the order of adding" {
    try t.each(.{}, timerOrder);
}

fn timerOrder(bed: *Bed) !void {
    const start = bed.now(.monotonic);
    for ([_]u64{ 5, 3, 5, 1, 4, 1, 2 }, 1..) |after, n| {
        var one = t.timerRecord(start + 20 * ms + after * ms / 4, Request.KEVENT_REQ_ONESHOT, @intCast(n));
        one.event |= abi.Timer.KEVENT_TIMER_ABSOLUTE;
        one.req_flags |= Request.KEVENT_REQ_ALWAYS_QUEUE;
        try bed.add(one);
    }
    try bed.pass(23 * ms);
    try bed.expectUsers(&.{ 4, 6, 7, 2, 5, 1, 3 });
}

test "timers of the wall clock are dates, and are told when the clock is set" {
    try t.each(.{}, wallTimers);
}

fn wallTimers(bed: *Bed) !void {
    const wall = bed.now(.wall);
    var past = t.timerRecord(wall - ms, Request.KEVENT_REQ_ALWAYS_QUEUE, 1);
    past.event |= abi.Timer.KEVENT_TIMER_WALL;
    try bed.add(past);
    try bed.expectUsers(&.{1});
    var soon = t.timerRecord(wall + 40 * ms, Request.KEVENT_REQ_ONESHOT, 2);
    soon.event |= abi.Timer.KEVENT_TIMER_WALL;
    try bed.add(soon);
    try bed.expectUsers(&.{});
    try bed.remove(past);
    if (bed.kind != .simulated) {
        // The real clock is not ours to set.
        try expectEqual(2, (try bed.next()).user[0]);
        try expect(bed.now(.wall) >= wall + 40 * ms);
        return;
    }
    var far = t.timerRecord(wall + 3600 * std.time.ns_per_s, 0, 3);
    far.event |= abi.Timer.KEVENT_TIMER_WALL;
    try bed.add(far);
    const Simulate = abi.Simulate;
    try expectEqual(0, exports.kevent_simulate(bed.fd, Simulate.KEVENT_SIMULATE_SET_WALL, 60 * std.time.ns_per_s));
    const got = try bed.look();
    try t.expectUsersIn(got, &.{ 3, 2 });
    try expectEqual(abi.Timer.KEVENT_TIMER_CLOCK_SET, got[0].event);
    try expectEqual(0, exports.kevent_simulate(bed.fd, Simulate.KEVENT_SIMULATE_SET_WALL, -7200 * std.time.ns_per_s));
    try bed.expectUsers(&.{3});
    try bed.pass(5300 * std.time.ns_per_s);
    try bed.expectUsers(&.{});
    try bed.pass(5700 * std.time.ns_per_s);
    const fired = try bed.look();
    try t.expectUsersIn(fired, &.{3});
    try expectEqual(abi.Timer.KEVENT_TIMER_FIRED, fired[0].event);
}

// --- S3 ----------------------------------------------------------------------------------------

test "S3-6 being on the ready list is the state: nothing fires that is not on it, all that is on it is handed out" {
    try t.each(.{ .ring = 2 }, readyIsTheState);
}

fn readyIsTheState(bed: *Bed) !void {
    for (1..8) |n| try bed.add(t.userRecord(@intCast(n), 0));
    for ([_]u32{ 2, 4, 6 }) |n| try bed.trigger(t.userRecord(n, 0));
    try expectEqual(3, bed.queue().ready_count);
    try expectEqual(2, bed.wait(0, 0, 0));
    try expectEqual(1, bed.queue().ready_count);
    try bed.trigger(t.userRecord(2, 0));
    try expectEqual(2, bed.queue().ready_count);
    try bed.remove(t.userRecord(6, 0));
    try expectEqual(1, bed.queue().ready_count);
    try expectEqual(2, exports.kevent_commit(bed.fd, 0, 1));
    try expectEqual(1, bed.wait(0, 0, 0));
    try expectEqual(2, bed.ringSlot(0).user[0]);
}

// --- S4: the form LWN described ----------------------------------------------------------------

const Control = extern struct {
    control: abi.UserControl,
    padding: u32 = 0,
    records: [4]Record = @splat(.zero),

    fn call(memory: *Control, fd: i32, cmd: u32, num: u32, timeout: u32) i32 {
        memory.control = .{ .cmd = cmd, .num = num, .timeout = timeout };
        return exports.kevent_user_ctl(fd, @ptrCast(memory));
    }
};

test "S4-6 S4-7 S4-9 S4-22 S4-23 S4-24 one call with a control struct and records behind it" {
    var memory: Control align(8) = .{ .control = undefined };
    const fd = memory.call(0, Command.KEVENT_CTL_INIT, 0, 0);
    try expect(fd >= 0);
    defer _ = exports.kevent_close(fd);
    memory.records[0] = t.userRecord(1, Request.KEVENT_REQ_READY);
    memory.records[1] = t.userRecord(2, 0);
    try expectEqual(2, memory.call(fd, Command.KEVENT_CTL_ADD, 2, 0));
    try expectEqual(0, memory.records[0].ret_flags);
    memory.records[2] = t.userRecord(2, Request.KEVENT_REQ_READY);
    memory.records[0] = memory.records[2];
    try expectEqual(1, memory.call(fd, Command.KEVENT_CTL_MODIFY, 1, 0));
    try expectEqual(2, memory.call(fd, Command.KEVENT_CTL_WAIT, 2, 0));
    try expectEqual(1, memory.records[0].user[0]);
    try expectEqual(2, memory.records[1].user[0]);
    const start = sys.now(.monotonic);
    try expectEqual(0, memory.call(fd, Command.KEVENT_CTL_WAIT, 1, 5));
    // The simulated clock may have been chosen by KEVENT_BACKEND.
    if (queueIsReal(fd)) try expect(sys.now(.monotonic) - start >= 5 * ms);
    memory.records[0] = t.userRecord(1, 0);
    try expectEqual(1, memory.call(fd, Command.KEVENT_CTL_REMOVE, 1, 0));
    try expectEqual(Return.KEVENT_RET_DONE, memory.records[0].ret_flags);
    try expectEqual(-22, memory.call(1, Command.KEVENT_CTL_INIT, 0, 0));
    try expectEqual(-22, memory.call(fd, 99, 0, 0));
    try expectEqual(-22, memory.call(fd, Command.KEVENT_CTL_WAIT, 0, 0));
    try expectEqual(-14, exports.kevent_user_ctl(0, null));
}

fn queueIsReal(fd: i32) bool {
    return t.queueOf(fd).backend != .simulated;
}

test "S4-25 poll(2) says readable exactly when a look would find something" {
    try t.each(.{}, pollable);
}

fn pollable(bed: *Bed) !void {
    const pipe: Pipe = try .open();
    defer pipe.close();
    const file = try openSelf();
    defer sys.close(file);
    try expect(!t.isReadable(bed.fd));
    try bed.add(t.pollRecord(pipe.reader, in, 0, 1));
    try expect(!t.isReadable(bed.fd));
    try pipe.put();
    try expect(t.isReadable(bed.fd));
    try bed.expectUsers(&.{1});
    // The level still holds.
    try expect(t.isReadable(bed.fd));
    _ = pipe.drain();
    // Handed out once more at most: the queue looked while the level held.
    _ = try bed.look();
    try expect(!t.isReadable(bed.fd));

    try bed.add(t.userRecord(2, 0));
    try bed.add(t.userRecord(3, 0));
    try bed.trigger(t.userRecord(2, 0));
    try bed.trigger(t.userRecord(3, 0));
    try expect(t.isReadable(bed.fd));
    try t.expectUsersIn(try bed.collect(0, 1, 0), &.{2});
    try expect(t.isReadable(bed.fd));
    try bed.remove(t.userRecord(3, 0));
    try expect(!t.isReadable(bed.fd));

    try bed.add(t.timerRecord(10 * ms, Request.KEVENT_REQ_ONESHOT, 4));
    try expect(!t.isReadable(bed.fd));
    var fds = [1]sys.PollFd{.{ .fd = bed.fd, .events = in, .revents = 0 }};
    try expectEqual(1, try sys.poll(&fds, std.time.ns_per_s));
    try bed.expectUsers(&.{4});
    try expect(!t.isReadable(bed.fd));

    try bed.add(t.pollRecord(file, in, 0, 5));
    try expect(t.isReadable(bed.fd));
    try bed.remove(t.pollRecord(file, in, 0, 5));
    try expect(!t.isReadable(bed.fd));
}
