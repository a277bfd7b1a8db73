//! What the promise tests share: a queue on each back-end in turn, records by name, descriptors to
//! watch, threads that wait. A body runs on every back-end; one that cannot be had is skipped with the
//! reason printed. After each body the invariants hold and no descriptor is left over.

const std = @import("std");
const linux = std.os.linux;
const abi = @import("abi.zig");
const sys = @import("sys/linux.zig");
const errors = @import("errors.zig");
const exports = @import("exports.zig");
const registry = @import("registry.zig");
const Queue = @import("queue.zig").Queue;

pub const expect = std.testing.expect;
pub const expectEqual = std.testing.expectEqual;

pub const Record = abi.Ukevent;
pub const Request = abi.Request;
pub const Return = abi.Return;
pub const Command = abi.Command;

pub const Kind = enum(u32) {
    epoll = abi.Backend.KEVENT_BACKEND_EPOLL,
    io_uring = abi.Backend.KEVENT_BACKEND_IO_URING,
    simulated = abi.Backend.KEVENT_BACKEND_SIMULATED,
};

/// A body that takes longer hangs, and must not hang the run.
const body_seconds_most = 60;

pub const Options = struct {
    ring: u32 = 0,
    changes: u32 = 0,
    single: bool = false,
    names_bytes: u32 = 0,
    seed: u32 = 1,
};

/// Run a body on each back-end.
pub fn each(options: Options, comptime body: fn (*Bed) anyerror!void) !void {
    for ([_]Kind{ .epoll, .io_uring, .simulated }) |kind| {
        const before = countDescriptors();
        watchdog(body_seconds_most);
        defer watchdog(0);
        errdefer std.debug.print("on the back-end {t}:\n", .{kind});
        var bed: Bed = .{ .kind = kind, .options = options };
        if (!try bed.open()) continue;
        body(&bed) catch |err| {
            _ = exports.kevent_close(bed.fd);
            return err;
        };
        try bed.close();
        try expectDescriptors(before);
    }
}

var skip_printed = false;

/// The signal ends the process, and the runner says in which test.
pub fn watchdog(seconds: i64) void {
    const value: linux.itimerspec = .{ .it_interval = .{ .sec = 0, .nsec = 0 }, .it_value = .{ .sec = seconds, .nsec = 0 } };
    _ = linux.setitimer(0, &value, null);
}

pub const ring_most = 1024;
const changes_most = 64;
const names_most = 4096;
const out_most = 2048;

var ring_memory: [abi.ringBytes(ring_most)]u8 align(64) = undefined;
var changes_memory: [changes_most]Record align(8) = undefined;
var names_memory: [names_most]u8 align(8) = undefined;

pub const Bed = struct {
    kind: Kind,
    options: Options,
    fd: i32 = -1,
    out: [out_most]Record = undefined,

    pub fn params(bed: *const Bed) abi.Params {
        const o = bed.options;
        return .{
            .size = @sizeOf(abi.Params),
            .flags = if (o.single) abi.Flags.KEVENT_FLAGS_SINGLE else 0,
            .ring_entries = o.ring,
            .ring_bytes = if (o.ring > 0) @intCast(abi.ringBytes(o.ring)) else 0,
            .changes_bytes = o.changes * @sizeOf(Record),
            .names_bytes = o.names_bytes,
            .ring_fd = -1,
            .backend = @backingInt(bed.kind),
            .seed_low = o.seed,
            .seed_high = 0,
        };
    }

    /// False when this machine has no such back-end.
    fn open(bed: *Bed) !bool {
        const given = bed.params();
        bed.fd = exports.kevent_setup(&given, &ring_memory, @ptrCast(&changes_memory), &names_memory);
        if (bed.fd >= 0) return true;
        const absent = bed.fd == -38 or bed.fd == -1;
        if (bed.kind != .io_uring or !absent) return fail("setup", bed.fd);
        if (!skip_printed) std.debug.print("skipped on io_uring: kevent_setup answers {d}\n", .{bed.fd});
        skip_printed = true;
        return false;
    }

    fn fail(what: []const u8, got: i32) error{CallFailed} {
        std.debug.print("{s} answers {d}\n", .{ what, got });
        return error.CallFailed;
    }

    fn close(bed: *Bed) !void {
        if (bed.fd < 0) return;
        bed.checkInvariants();
        try expectEqual(0, exports.kevent_close(bed.fd));
    }

    /// A second queue like this one, without its memory.
    pub fn another(bed: *const Bed) !i32 {
        var given = bed.params();
        given.ring_entries = 0;
        given.ring_bytes = 0;
        given.changes_bytes = 0;
        given.names_bytes = 0;
        const fd = exports.kevent_setup(&given, null, null, null);
        return if (fd < 0) fail("setup", fd) else fd;
    }

    /// The inside of the queue. Only while no other thread can end it.
    pub fn queue(bed: *const Bed) *Queue {
        return queueOf(bed.fd);
    }

    /// Other threads may be in the midst of a change.
    fn checkInvariants(bed: *const Bed) void {
        const inside = bed.queue();
        inside.lock.lock();
        defer inside.lock.unlock();
        inside.checkInvariants();
    }

    // --- changes -----------------------------------------------------------------------------

    pub fn control(bed: *const Bed, command: u32, one: *Record) !void {
        const done = exports.kevent_ctl(bed.fd, command, 1, @ptrCast(one));
        if (done != 1) return fail("ctl", done);
        bed.checkInvariants();
    }

    /// Add what must be taken without an answer.
    pub fn add(bed: *const Bed, given: Record) !void {
        var one = given;
        try bed.control(Command.KEVENT_CTL_ADD, &one);
        try expectEqual(0, one.ret_flags);
    }

    pub fn modify(bed: *const Bed, given: Record) !void {
        var one = given;
        try bed.control(Command.KEVENT_CTL_MODIFY, &one);
        try expectEqual(Return.KEVENT_RET_DONE, one.ret_flags);
    }

    pub fn remove(bed: *const Bed, given: Record) !void {
        var one = given;
        try bed.control(Command.KEVENT_CTL_REMOVE, &one);
        try expectEqual(Return.KEVENT_RET_DONE, one.ret_flags);
    }

    pub fn ready(bed: *const Bed, given: Record) !void {
        var one = given;
        try bed.control(Command.KEVENT_CTL_READY, &one);
        try expectEqual(0, one.ret_flags);
    }

    pub fn trigger(bed: *const Bed, given: Record) !void {
        var one = given;
        try bed.control(Command.KEVENT_CTL_TRIGGER, &one);
        try expectEqual(0, one.ret_flags);
    }

    /// A command that must be refused with this error.
    pub fn refuse(bed: *const Bed, command: u32, given: Record, err: errors.Error) !void {
        var one = given;
        try bed.control(command, &one);
        try expect(one.ret_flags & Return.KEVENT_RET_BROKEN != 0);
        try expectEqual(errors.number(err), one.ret_data);
        // What named the registration comes back as it was.
        try expectEqual(given.user, one.user);
        try expectEqual(given.id, one.id);
    }

    // --- collecting --------------------------------------------------------------------------

    pub fn collect(bed: *Bed, least: u32, most: u32, timeout_ns: ?u64) ![]Record {
        const s: i64 = if (timeout_ns) |ns| @intCast(ns / std.time.ns_per_s) else -1;
        const ns: i64 = if (timeout_ns) |all| @intCast(all % std.time.ns_per_s) else 0;
        const got = exports.kevent_get_events(bed.fd, least, most, s, ns, &bed.out, 0);
        if (got < 0) return fail("get_events", got);
        bed.checkInvariants();
        return bed.out[0..@intCast(got)];
    }

    /// What is there now.
    pub fn look(bed: *Bed) ![]Record {
        return bed.collect(0, out_most, 0);
    }

    /// Exactly these users, in this order.
    pub fn expectUsers(bed: *Bed, users: []const u32) !void {
        return expectUsersIn(try bed.look(), users);
    }

    /// Exactly these users, in whatever order.
    pub fn expectSet(bed: *Bed, users: []const u32) !void {
        const got = try bed.look();
        std.mem.sort(Record, got, {}, struct {
            fn isBefore(_: void, a: Record, b: Record) bool {
                return a.user[0] < b.user[0];
            }
        }.isBefore);
        return expectUsersIn(got, users);
    }

    /// The next event, which must come within a second of its clock.
    pub fn next(bed: *Bed) !Record {
        const got = try bed.collect(1, 1, std.time.ns_per_s);
        try expectEqual(1, got.len);
        return got[0];
    }

    pub fn wait(bed: *const Bed, num: u32, old_uidx: u32, timeout_ns: u64) i32 {
        return exports.kevent_wait(bed.fd, num, old_uidx, @intCast(timeout_ns / std.time.ns_per_s), @intCast(timeout_ns % std.time.ns_per_s), 0);
    }

    // --- time --------------------------------------------------------------------------------

    /// Let time pass for the queue.
    pub fn pass(bed: *const Bed, ns: u64) !void {
        if (bed.kind != .simulated) return pause(ns);
        try expectEqual(0, exports.kevent_simulate(bed.fd, abi.Simulate.KEVENT_SIMULATE_ADVANCE, @floatFromInt(ns)));
    }

    pub fn now(bed: *const Bed, clock: sys.ClockId) u64 {
        const inside = bed.queue();
        inside.lock.lock();
        defer inside.lock.unlock();
        return inside.backend.now(clock);
    }

    // --- the ring as a reader sees it --------------------------------------------------------

    pub fn ringHeader(_: *const Bed) abi.KeventRing {
        return @as(*const abi.KeventRing, @ptrCast(&ring_memory)).*;
    }

    pub fn ringSlot(bed: *const Bed, slot: u32) Record {
        std.debug.assert(slot < bed.options.ring);
        const records: [*]const Record = @ptrCast(@alignCast(&ring_memory[@sizeOf(abi.KeventRing)]));
        return records[slot];
    }

    pub fn ringHead(bed: *const Bed) u32 {
        return bed.ringProducer().head;
    }

    fn ringProducer(bed: *const Bed) *const abi.RingProducer {
        return @ptrCast(@alignCast(&ring_memory[@intCast(abi.ringProducerOffset(bed.options.ring))]));
    }

    pub fn ringConsumer(bed: *const Bed) *const abi.RingConsumer {
        return @ptrCast(@as([*]const abi.RingProducer, @ptrCast(bed.ringProducer())) + 1);
    }

    pub fn ringBytes(bed: *const Bed) []u8 {
        return ring_memory[0..@intCast(abi.ringBytes(bed.options.ring))];
    }

    pub fn changes(bed: *const Bed) []Record {
        return changes_memory[0..bed.options.changes];
    }
};

pub fn expectUsersIn(got: []const Record, users: []const u32) !void {
    errdefer for (got) |r| std.debug.print("got user {d} type {d} event {x} flags {x} data {d}\n", .{ r.user[0], r.type, r.event, r.ret_flags, r.ret_data });
    try expectEqual(users.len, got.len);
    for (users, got) |user, r| try expectEqual(user, r.user[0]);
}

pub fn queueOf(fd: i32) *Queue {
    const found = registry.acquire(fd) catch unreachable;
    registry.release(found);
    return found;
}

// --- records -----------------------------------------------------------------------------------

pub fn pollRecord(fd: sys.Fd, bits: u32, flags: u32, name: u32) Record {
    var r: Record = .zero;
    r.type = abi.Type.KEVENT_POLL;
    r.id.raw[0] = @bitCast(fd);
    r.event = bits;
    // What is ready at ADD is queued like everything else, unless a test is about just that.
    r.req_flags = flags | Request.KEVENT_REQ_ALWAYS_QUEUE;
    r.user[0] = name;
    return r;
}

pub fn socketRecord(fd: sys.Fd, kinds: u32, flags: u32, name: u32) Record {
    var r = pollRecord(fd, kinds, flags, name);
    r.type = abi.Type.KEVENT_SOCKET;
    return r;
}

pub fn timerRecord(ns: u64, flags: u32, name: u32) Record {
    var r: Record = .zero;
    r.type = abi.Type.KEVENT_TIMER;
    r.id.raw = .{ @intCast(ns / std.time.ns_per_s), @intCast(ns % std.time.ns_per_s) };
    r.event = abi.Timer.KEVENT_TIMER_FIRED;
    r.req_flags = flags;
    r.user[0] = name;
    return r;
}

pub fn userRecord(name: u32, flags: u32) Record {
    var r: Record = .zero;
    r.type = abi.Type.KEVENT_USER;
    r.id.raw[0] = 77;
    r.event = abi.User.KEVENT_USER_TRIGGERED;
    r.req_flags = flags;
    r.user[0] = name;
    return r;
}

pub const in = abi.Poll.KEVENT_POLL_IN;
pub const out = abi.Poll.KEVENT_POLL_OUT;
pub const ms = std.time.ns_per_ms;

// --- descriptors ---------------------------------------------------------------------------------

pub const Pipe = struct {
    reader: sys.Fd,
    writer: sys.Fd,

    pub fn open() !Pipe {
        var ends: [2]i32 = undefined;
        if (linux.errno(linux.pipe2(&ends, .{ .CLOEXEC = true, .NONBLOCK = true })) != .SUCCESS) return error.NoPipe;
        return .{ .reader = ends[0], .writer = ends[1] };
    }

    pub fn close(pipe: Pipe) void {
        sys.close(pipe.reader);
        sys.close(pipe.writer);
    }

    pub fn put(pipe: Pipe) !void {
        try expectEqual(1, try sys.write(pipe.writer, "x"));
    }

    /// Take all; how much that was.
    pub fn drain(pipe: Pipe) usize {
        return drainFd(pipe.reader);
    }
};

pub fn drainFd(fd: sys.Fd) usize {
    var total: usize = 0;
    var buffer: [64 * 1024]u8 = undefined;
    while (true) {
        const got = sys.read(fd, &buffer) catch return total;
        if (got == 0) return total;
        total += got;
    }
}

/// Write until nothing more goes in.
pub fn fillUp(fd: sys.Fd) void {
    const block: [4096]u8 = @splat('x');
    while (true) _ = sys.sendQuietly(fd, &block) catch return;
}

/// Open descriptors of this process.
pub fn countDescriptors() u32 {
    var count: u32 = 0;
    for (0..1024) |fd| {
        const F_GETFD = 1;
        if (linux.errno(linux.fcntl(@intCast(fd), F_GETFD, 0)) == .SUCCESS) count += 1;
    }
    return count;
}

/// The helper thread closes its own when it notices that nobody needs it any more.
pub fn expectDescriptors(wanted: u32) !void {
    for (0..1000) |_| {
        if (countDescriptors() == wanted) return;
        pause(ms);
    }
    return expectEqual(wanted, countDescriptors());
}

/// Is the descriptor readable, as poll(2) tells?
pub fn isReadable(fd: sys.Fd) bool {
    return sys.pollNow(fd, in) & in != 0;
}

/// Real time.
pub fn pause(ns: u64) void {
    var nobody: [0]sys.PollFd = .{};
    const until = sys.now(.monotonic) + ns;
    while (true) {
        const left = until -| sys.now(.monotonic);
        if (left == 0) return;
        _ = sys.poll(&nobody, left) catch {};
    }
}

// --- threads -------------------------------------------------------------------------------------

/// A thread that waits in get_events for ever.
pub const Waiting = struct {
    fd: i32,
    least: u32 = 1,
    most: u32 = 1,
    thread: std.Thread = undefined,
    outcome: std.atomic.Value(i32) = .init(pending),
    out: [16]Record = undefined,

    pub const pending: i32 = 1 << 30;

    pub fn start(self: *Waiting) !void {
        self.thread = try std.Thread.spawn(.{}, run, .{self});
    }

    fn run(self: *Waiting) void {
        const got = exports.kevent_get_events(self.fd, self.least, self.most, -1, 0, &self.out, 0);
        self.outcome.store(got, .release);
    }

    pub fn isPending(self: *const Waiting) bool {
        return self.outcome.load(.acquire) == pending;
    }

    /// What the call returned.
    pub fn join(self: *Waiting) i32 {
        self.thread.join();
        return self.outcome.load(.acquire);
    }
};

/// Until so many calls stand in the queue's line, the first of them asleep in the back-end.
pub fn untilWaiting(fd: i32, wanted: u32) void {
    while (true) : (pause(ms / 4)) {
        const inside = queueOf(fd);
        inside.lock.lock();
        defer inside.lock.unlock();
        var count: u32 = 0;
        var waiter = inside.waiters.first;
        while (waiter) |w| : (waiter = w.next) count += 1;
        if (count == wanted and (wanted == 0 or inside.waiters.leader_sleeps)) return;
    }
}
