//! The C interface: each call checks its arguments, finds the queue, translates, calls the core and
//! returns a count or a negative errno. Nothing else happens here. docs/design.md lists the calls;
//! `bindings.zig` prints every public function of this file whose name begins with `kevent_`.

const std = @import("std");
const abi = @import("abi.zig");
const sys = @import("sys/linux.zig");
const errors = @import("errors.zig");
const Error = errors.Error;
const negative = errors.negative;
const registry = @import("registry.zig");
const queues = @import("queue.zig");
const Queue = queues.Queue;
const Ring = @import("ring.zig").Ring;
const waiting = @import("wait.zig");
const Deadline = waiting.Deadline;
const wake = @import("wake.zig");
const inode = @import("source/inode.zig");
const simulated = @import("backend/simulated.zig");
const info = @import("info.zig");
const sockets = @import("sockets.zig");
const Forest = @import("tree/forest.zig").Forest;
const forests = @import("tree/forests.zig");
const roots = @import("tree/root.zig");

/// More records than this in one call is a mistaken length, such as a negative number. S2-21.
const records_most: u32 = 1 << 24;

// --- making and ending a queue ---------------------------------------------------------------

pub export fn kevent_abi_version() callconv(.c) u32 {
    return abi.version;
}

/// S2-1. Memory of `ringBytes(ring_size)` at `ring`, or null for a queue without a ring.
pub export fn kevent_init(ring: ?[*]u8, ring_size: u32, flags: u32) callconv(.c) i32 {
    return init(ring, ring_size, flags) catch |err| negative(err);
}

fn init(ring: ?[*]u8, ring_size: u32, flags: u32) Error!i32 {
    if (flags & ~abi.Flags.KEVENT_FLAGS_SINGLE != 0) return error.INVAL;
    if (ring == null and ring_size != 0) return error.FAULT;
    return open(.{ .flags = flags, .ring = if (ring) |memory| try Ring.init(memory, ring_size) else null }, null, null);
}

/// The same with the length of each memory, which a pointer cannot tell, and everything else there is
/// to choose.
pub export fn kevent_setup(params: ?*const abi.Params, ring: ?[*]u8, changes: ?[*]u8, names: ?[*]u8) callconv(.c) i32 {
    return setup(params, ring, changes, names) catch |err| negative(err);
}

fn setup(params: ?*const abi.Params, ring: ?[*]u8, changes: ?[*]u8, names: ?[*]u8) Error!i32 {
    const given = (params orelse return error.FAULT).*;
    if (given.size != @sizeOf(abi.Params)) return error.INVAL;
    if (given.flags & ~abi.Flags.KEVENT_FLAGS_SINGLE != 0) return error.INVAL;
    return open(.{
        .flags = given.flags,
        .backend = given.backend,
        .seed = @as(u64, given.seed_high) << 32 | given.seed_low,
        .changes = try changesOf(&given, changes),
        .ring = try ringOf(&given, ring),
    }, &given, names);
}

fn changesOf(given: *const abi.Params, memory: ?[*]u8) Error![]abi.Ukevent {
    if (given.changes_bytes % @sizeOf(abi.Ukevent) != 0) return error.INVAL;
    if (given.changes_bytes == 0) return &.{};
    const bytes = memory orelse return error.FAULT;
    if (@intFromPtr(bytes) % 8 != 0) return error.INVAL;
    const records: [*]abi.Ukevent = @ptrCast(@alignCast(bytes));
    return records[0 .. given.changes_bytes / @sizeOf(abi.Ukevent)];
}

fn ringOf(given: *const abi.Params, memory: ?[*]u8) Error!?Ring {
    if (given.ring_entries == 0) {
        // A ring of no entries is a mistake; no ring at all is asked for with no memory.
        return if (given.ring_bytes == 0 and given.ring_fd < 0) null else error.INVAL;
    }
    if (given.ring_entries > abi.ring_entries_max) return error.INVAL;
    if (given.ring_fd >= 0) return try Ring.initFile(given.ring_fd, given.ring_entries);
    if (given.ring_bytes != abi.ringBytes(given.ring_entries)) return error.NODEV;
    return try Ring.init(memory orelse return error.FAULT, given.ring_entries);
}

/// Takes over the ring in `options`, which may be a mapping to give back.
fn open(options: queues.Options, given: ?*const abi.Params, names: ?[*]u8) Error!i32 {
    var complete = options;
    const queue = create(&complete, given, names) catch |err| {
        if (complete.ring) |*ring| ring.deinit();
        complete.names.deinit();
        return err;
    };
    errdefer queue.destroy();
    try registry.insert(queue);
    return queue.backend.descriptor();
}

fn create(options: *queues.Options, given: ?*const abi.Params, names: ?[*]u8) Error!*Queue {
    if (given) |params| if (params.names_bytes > 0) {
        options.names = try .init(names orelse return error.FAULT, params.names_bytes, params.ring_entries);
    };
    return Queue.create(options.*);
}

/// Ends the queue. When it returns, nothing of the library knows the script's memory any more.
pub export fn kevent_close(fd: i32) callconv(.c) i32 {
    return close(fd) catch |err| negative(err);
}

fn close(fd: i32) Error!i32 {
    const queue = try registry.acquire(fd);
    defer registry.release(queue);
    if (queue.single and queue.owner != sys.threadId()) return error.PERM;
    try registry.close(queue);
    return 0;
}

// --- calls on a queue ------------------------------------------------------------------------

/// A queue with its lock held, for the length of one call.
const Call = struct {
    queue: *Queue,
    who: Who,

    const Who = enum { owner, anyone };

    fn begin(fd: i32, who: Who) Error!Call {
        const queue = try registry.acquire(fd);
        errdefer registry.release(queue);
        if (queue.single and who == .owner and queue.owner != sys.threadId()) return error.PERM;
        queue.lock.lock();
        errdefer queue.lock.unlock();
        if (queue.closed) return error.BADF;
        return .{ .queue = queue, .who = who };
    }

    fn end(call: Call) void {
        if (call.who == .owner and !call.queue.closed) call.queue.backend.submit();
        call.queue.lock.unlock();
        registry.release(call.queue);
    }

    /// For a queue that others may poll at any time.
    fn settle(call: Call) void {
        if (call.queue.single or call.queue.closed) return;
        if (call.queue.waiters.leader == null) {
            // If that fails, whoever polls comes and is told.
            call.queue.makePollable() catch call.queue.backend.setReady(true);
        } else {
            // Somebody sleeps in the back-end for all, and knows nothing of the change yet.
            call.queue.update() catch call.queue.backend.interrupt();
        }
    }
};

/// S2-14. Results are written into the records; the number of records processed.
pub export fn kevent_ctl(fd: i32, cmd: u32, num: u32, arg: ?[*]abi.Ukevent) callconv(.c) i32 {
    return ctl(fd, cmd, num, arg) catch |err| negative(err);
}

fn ctl(fd: i32, cmd: u32, num: u32, arg: ?[*]abi.Ukevent) Error!i32 {
    if (num > records_most) return error.INVAL;
    const by_hand = cmd == abi.Command.KEVENT_CTL_READY or cmd == abi.Command.KEVENT_CTL_TRIGGER;
    const call = try Call.begin(fd, if (by_hand) .anyone else .owner);
    defer call.end();
    if (cmd == 0 or cmd > abi.Command.KEVENT_CTL_TRIGGER) return error.INVAL;
    if (num == 0) {
        if (cmd == abi.Command.KEVENT_CTL_READY) waiting.kick(call.queue);
        return 0;
    }
    const records = (arg orelse return error.FAULT)[0..num];
    if (@intFromPtr(records.ptr) % @alignOf(abi.Ukevent) != 0) return error.INVAL;
    defer call.settle();
    call.queue.apply(cmd, records);
    return @intCast(num);
}

/// The seed's `struct timespec` by value: two words. -1 seconds: for ever. S2-27, S2-28.
fn deadlineOf(queue: *Queue, timeout_s: i64, timeout_ns: i64, flags: u32) Error!Deadline {
    if (flags & ~abi.Flags.KEVENT_FLAGS_ABSTIME != 0) return error.INVAL;
    if (timeout_s == -1) return Deadline.after(queue, null);
    if (timeout_s < 0 or timeout_ns < 0 or timeout_ns >= std.time.ns_per_s) return error.INVAL;
    const ns = @as(u64, @intCast(timeout_s)) *| std.time.ns_per_s +| @as(u64, @intCast(timeout_ns));
    return if (flags & abi.Flags.KEVENT_FLAGS_ABSTIME != 0) Deadline.date(queue, ns) else Deadline.after(queue, ns);
}

/// S2-24.
pub export fn kevent_get_events(fd: i32, min_nr: u32, max_nr: u32, timeout_s: i64, timeout_ns: i64, buf: ?[*]abi.Ukevent, flags: u32) callconv(.c) i32 {
    return getEvents(fd, min_nr, max_nr, timeout_s, timeout_ns, buf, flags) catch |err| negative(err);
}

fn getEvents(fd: i32, min_nr: u32, max_nr: u32, timeout_s: i64, timeout_ns: i64, buf: ?[*]abi.Ukevent, flags: u32) Error!i32 {
    if (max_nr == 0 or max_nr > records_most or min_nr > max_nr) return error.INVAL;
    const buffer = (buf orelse return error.FAULT)[0..max_nr];
    if (@intFromPtr(buffer.ptr) % @alignOf(abi.Ukevent) != 0) return error.INVAL;
    const call = try Call.begin(fd, .owner);
    defer call.end();
    defer call.settle();
    const deadline = try deadlineOf(call.queue, timeout_s, timeout_ns, flags);
    return @intCast(try waiting.wait(call.queue, .{ .buffer = buffer }, min_nr, deadline));
}

/// S2-35. `num` 0 puts as many as fit, so that the call is the pure "sleep until the ring is not
/// empty" of S3-5.
pub export fn kevent_wait(fd: i32, num: u32, old_uidx: u32, timeout_s: i64, timeout_ns: i64, flags: u32) callconv(.c) i32 {
    return wait(fd, num, old_uidx, timeout_s, timeout_ns, flags) catch |err| negative(err);
}

fn wait(fd: i32, num: u32, old_uidx: u32, timeout_s: i64, timeout_ns: i64, flags: u32) Error!i32 {
    const call = try Call.begin(fd, .owner);
    defer call.end();
    defer call.settle();
    const ring = &(call.queue.ring orelse return error.INVAL);
    if (old_uidx >= ring.entries) return error.INVAL;
    const deadline = try deadlineOf(call.queue, timeout_s, timeout_ns, flags);
    // The caller has not seen all there is: a full ring, or a producer that moved on. S2-37.
    const behind = ring.full() or old_uidx != ring.kidx;
    const most = if (num == 0) std.math.maxInt(u32) else num;
    return @intCast(try waiting.wait(call.queue, .{ .ring = most }, if (behind) 0 else 1, deadline));
}

/// S2-44. The end is exclusive: `new_uidx` is the first slot that is not processed.
pub export fn kevent_commit(fd: i32, new_uidx: u32, over: u32) callconv(.c) i32 {
    return commit(fd, new_uidx, over) catch |err| negative(err);
}

fn commit(fd: i32, new_uidx: u32, over: u32) Error!i32 {
    const call = try Call.begin(fd, .owner);
    defer call.end();
    return @intCast(try call.queue.commit(new_uidx, over));
}

/// One turn of a loop: commit, change, wait, publish. The records that wait in the ring.
pub export fn kevent_turn(fd: i32, num_changes: u32, num_commit: u32, timeout_ns: f64, flags: u32) callconv(.c) i32 {
    return turn(fd, num_changes, num_commit, timeout_ns, flags) catch |err| negative(err);
}

fn turn(fd: i32, num_changes: u32, num_commit: u32, timeout_ns: f64, flags: u32) Error!i32 {
    const call = try Call.begin(fd, .owner);
    defer call.end();
    defer call.settle();
    const queue = call.queue;
    const ring = &(queue.ring orelse return error.INVAL);
    if (flags & ~abi.Turn.KEVENT_TURN_ARM != 0) return error.INVAL;
    if (num_changes > queue.changes.len) return error.INVAL;
    if (std.math.isNan(timeout_ns)) return error.INVAL;
    try queue.commitCount(num_commit);
    wake.awake(queue);
    const changes = queue.changes[0..num_changes];
    queue.apply(null, changes);
    queue.counters.turns += 1;
    const limit = if (ring.waiting() > 0) 0 else limitOf(timeout_ns);
    const least: u32 = if (ring.waiting() > 0) 0 else 1;
    const patience = if (limit != 0 and anyRefused(changes)) 0 else limit;
    _ = try waiting.wait(queue, .{ .ring = std.math.maxInt(u32) }, least, .after(queue, patience));
    if (flags & abi.Turn.KEVENT_TURN_ARM != 0 and ring.waiting() == 0) try wake.sleep(queue);
    return @intCast(ring.waiting());
}

/// Whether a change was refused: its maker must hear of it now, and perhaps waits for nothing else.
/// That something was gone before it was removed is no news.
fn anyRefused(changes: []const abi.Ukevent) bool {
    for (changes) |*change| {
        if (change.ret_flags & abi.Return.KEVENT_RET_BROKEN == 0) continue;
        const gone = change.ret_data == errors.number(error.NOENT);
        if (change.ret_flags & abi.Return.KEVENT_RET_DONE == 0 or !gone) return true;
    }
    return false;
}

/// Negative and infinite: for ever. Fractions are rounded up, because early is wrong.
fn limitOf(timeout_ns: f64) ?u64 {
    const for_ever = 9.0e18;
    if (timeout_ns < 0 or timeout_ns >= for_ever) return null;
    return @trunc(@ceil(timeout_ns));
}

/// The end of the wake-up socketpair that the script's runtime listens on; from now on it is the
/// script's to close.
pub export fn kevent_wake_open(fd: i32) callconv(.c) i32 {
    return wakeOpen(fd) catch |err| negative(err);
}

fn wakeOpen(fd: i32) Error!i32 {
    const call = try Call.begin(fd, .owner);
    defer call.end();
    return wake.open(call.queue);
}

/// ADD of an interest in an inode named by its path; fills `record.id`.
pub export fn kevent_inode_add(fd: i32, path: ?[*]const u8, path_len: u32, record: ?*abi.Ukevent) callconv(.c) i32 {
    return inodeAdd(fd, path, path_len, record) catch |err| negative(err);
}

fn inodeAdd(fd: i32, path: ?[*]const u8, path_len: u32, record: ?*abi.Ukevent) Error!i32 {
    const bytes = (path orelse return error.FAULT)[0..path_len];
    const out = record orelse return error.FAULT;
    const call = try Call.begin(fd, .owner);
    defer call.end();
    defer call.settle();
    try inode.addByPath(call.queue, bytes, out);
    return 1;
}

/// JSON about the library (`fd` -1) or a queue. The length; if more than `len`, nothing was written.
pub export fn kevent_info(fd: i32, buf: ?[*]u8, len: u32) callconv(.c) i32 {
    return describe(fd, buf, len) catch |err| negative(err);
}

fn describe(fd: i32, buf: ?[*]u8, len: u32) Error!i32 {
    const buffer: []u8 = if (buf) |memory| memory[0..len] else &.{};
    if (fd == -1) return info.ofLibrary(buffer);
    const call = try Call.begin(fd, .anyone);
    defer call.end();
    return info.ofQueue(call.queue, buffer);
}

/// Nanoseconds on a clock; NaN for a clock that is none.
pub export fn kevent_now(clock: u32) callconv(.c) f64 {
    return @floatFromInt(sys.now(clockOf(clock) orelse return std.math.nan(f64)));
}

/// Steers the simulated back-end of a queue.
pub export fn kevent_simulate(fd: i32, op: u32, value: f64) callconv(.c) i32 {
    return simulate(fd, op, value) catch |err| negative(err);
}

fn simulate(fd: i32, op: u32, value: f64) Error!i32 {
    const call = try Call.begin(fd, .owner);
    defer call.end();
    defer call.settle();
    switch (call.queue.backend) {
        .simulated => |*backend| return backend.steer(call.queue, op, value),
        else => return error.NOTSUP,
    }
}

/// Nanoseconds on a clock of a queue, which is its own where time is simulated; NaN for a clock that is
/// none, a negative errno for a queue that is none.
pub export fn kevent_clock(fd: i32, clock: u32) callconv(.c) f64 {
    const id = clockOf(clock) orelse return std.math.nan(f64);
    const call = Call.begin(fd, .anyone) catch |err| return @floatFromInt(negative(err));
    defer call.end();
    return @floatFromInt(call.queue.backend.now(id));
}

fn clockOf(clock: u32) ?sys.ClockId {
    return switch (clock) {
        abi.Clock.KEVENT_CLOCK_MONOTONIC => .monotonic,
        abi.Clock.KEVENT_CLOCK_WALL => .wall,
        else => null,
    };
}

// --- the form LWN described ------------------------------------------------------------------

/// S4-6..9, S4-22..24: one call with a control struct; records from offset 16 on. `fd` 0 and INIT
/// make a queue without a ring.
pub export fn kevent_user_ctl(fd: i32, ctl_memory: ?[*]u8) callconv(.c) i32 {
    return userCtl(fd, ctl_memory) catch |err| negative(err);
}

fn userCtl(fd: i32, ctl_memory: ?[*]u8) Error!i32 {
    const memory = ctl_memory orelse return error.FAULT;
    if (@intFromPtr(memory) % 8 != 0) return error.INVAL;
    const given = @as(*const abi.UserControl, @ptrCast(@alignCast(memory))).*;
    const records: [*]abi.Ukevent = @ptrCast(@alignCast(memory + abi.user_control_records));
    switch (given.cmd) {
        abi.Command.KEVENT_CTL_INIT => return if (fd == 0) init(null, 0, 0) else error.INVAL,
        abi.Command.KEVENT_CTL_WAIT => {
            const for_ever = given.timeout == 0;
            const seconds: i64 = if (for_ever) -1 else given.timeout / std.time.ms_per_s;
            const ns: i64 = @as(i64, given.timeout % std.time.ms_per_s) * std.time.ns_per_ms;
            return getEvents(fd, given.num, given.num, seconds, ns, records, 0);
        },
        else => return ctl(fd, given.cmd, given.num, records),
    }
}

// --- byte streams ----------------------------------------------------------------------------
// Readiness is what the queue is for; these are the plain non-blocking calls that go with it, which
// script has no other way to make. They know no queue.

/// A listening TCP socket at an address in digits.
pub export fn kevent_sock_listen(address: ?[*]const u8, address_len: u32, port: u32, backlog: u32) callconv(.c) i32 {
    const place = addressOf(address, address_len, port) catch |err| return negative(err);
    return kept(sys.tcpListen(&place, backlog));
}

/// A TCP socket on its way to an address in digits: made when it can send.
pub export fn kevent_sock_connect(address: ?[*]const u8, address_len: u32, port: u32) callconv(.c) i32 {
    const place = addressOf(address, address_len, port) catch |err| return negative(err);
    return kept(sys.tcpConnect(&place));
}

fn addressOf(address: ?[*]const u8, address_len: u32, port: u32) Error!sys.Address {
    const text = address orelse return error.FAULT;
    if (address_len > 64 or port > std.math.maxInt(u16)) return error.INVAL;
    return sys.Address.parse(text[0..address_len], @intCast(port));
}

/// The next connection; EAGAIN without.
pub export fn kevent_sock_accept(fd: i32) callconv(.c) i32 {
    return kept(sys.tcpAccept(fd));
}

/// A new socket goes when its thread does.
fn kept(made: Error!sys.Fd) i32 {
    const fd = made catch |err| return negative(err);
    return sockets.keep(fd) catch |err| negative(err);
}

/// The port a socket is bound to.
pub export fn kevent_sock_port(fd: i32) callconv(.c) i32 {
    return sys.tcpPort(fd) catch |err| negative(err);
}

/// Bytes into `buffer[offset..][0..len]`; 0 at the end, EAGAIN without.
pub export fn kevent_sock_read(fd: i32, buffer: ?[*]u8, offset: u32, len: u32) callconv(.c) i32 {
    const memory = buffer orelse return negative(error.FAULT);
    const got = sys.tcpReceive(fd, memory[offset..][0..@min(len, chunk_most)]) catch |err| return negative(err);
    return @intCast(got);
}

/// As many bytes of `buffer[offset..][0..len]` as the kernel takes; EAGAIN if none.
pub export fn kevent_sock_write(fd: i32, buffer: ?[*]const u8, offset: u32, len: u32) callconv(.c) i32 {
    const memory = buffer orelse return negative(error.FAULT);
    const sent = sys.sendQuietly(fd, memory[offset..][0..@min(len, chunk_most)]) catch |err| return negative(err);
    return @intCast(sent);
}

/// The result of one call is an `i32`.
const chunk_most: u32 = 1 << 30;

/// No more will be sent; the peer sees the end.
pub export fn kevent_sock_shutdown(fd: i32) callconv(.c) i32 {
    sys.tcpShutdown(fd) catch |err| return negative(err);
    return 0;
}

/// Closes a socket whose registrations were removed.
pub export fn kevent_sock_close(fd: i32) callconv(.c) i32 {
    sockets.close(fd) catch |err| return negative(err);
    return 0;
}

// --- watched trees ---------------------------------------------------------------------------

/// A forest: all watched trees of a loop. Its descriptor is readable when `kevent_forest_read` has
/// something to do.
pub export fn kevent_forest_open() callconv(.c) i32 {
    return forestOpen() catch |err| negative(err);
}

fn forestOpen() Error!i32 {
    try registry.bind();
    const forest = try Forest.create();
    forests.insert(forest);
    return forest.fd;
}

/// Ends a forest with all its trees.
pub export fn kevent_forest_close(fd: i32) callconv(.c) i32 {
    return forestClose(fd) catch |err| negative(err);
}

fn forestClose(fd: i32) Error!i32 {
    const forest = try forests.enter(fd);
    forests.leave(forest);
    forests.close(forest);
    return 0;
}

/// Works for about so long, then gives whole `TreeRecord`s. Their bytes; EMSGSIZE when not even one fits.
pub export fn kevent_forest_read(fd: i32, buf: ?[*]u8, len: u32, budget_us: u32) callconv(.c) i32 {
    return forestRead(fd, buf, len, budget_us) catch |err| negative(err);
}

fn forestRead(fd: i32, buf: ?[*]u8, len: u32, budget_us: u32) Error!i32 {
    const memory = buf orelse return error.FAULT;
    const forest = try forests.enter(fd);
    defer forests.leave(forest);
    return @intCast(try forest.read(memory[0..@min(len, chunk_most)], @as(u64, budget_us) * std.time.ns_per_us));
}

/// Watches a directory with all that is in it, or one file. The number of the tree.
pub export fn kevent_tree_add(fd: i32, params: ?*const abi.TreeParams, path: ?[*]const u8, path_len: u32) callconv(.c) i32 {
    return treeAdd(fd, params, path, path_len) catch |err| negative(err);
}

fn treeAdd(fd: i32, params: ?*const abi.TreeParams, path: ?[*]const u8, path_len: u32) Error!i32 {
    const given = (params orelse return error.FAULT).*;
    const bytes = (path orelse return error.FAULT)[0..path_len];
    const forest = try forests.enter(fd);
    defer forests.leave(forest);
    return @intCast(try roots.add(forest, &given, bytes));
}

/// Ends a tree: nothing more is told of it.
pub export fn kevent_tree_remove(fd: i32, tree: u32) callconv(.c) i32 {
    return treeRemove(fd, tree) catch |err| negative(err);
}

fn treeRemove(fd: i32, tree: u32) Error!i32 {
    const forest = try forests.enter(fd);
    defer forests.leave(forest);
    try forest.removeTree(try forest.treeOf(tree));
    return 0;
}

/// Does the first look at a tree at once. 1: it is done, 0: script must answer first.
pub export fn kevent_tree_scan(fd: i32, tree: u32) callconv(.c) i32 {
    return treeScan(fd, tree) catch |err| negative(err);
}

fn treeScan(fd: i32, tree: u32) Error!i32 {
    const forest = try forests.enter(fd);
    defer forests.leave(forest);
    return @intFromBool(try forest.scanNow(try forest.treeOf(tree)));
}

/// Answers what was asked. The number of answers that came in time.
pub export fn kevent_tree_answer(fd: i32, answers: ?[*]const abi.TreeAnswer, count: u32) callconv(.c) i32 {
    return treeAnswer(fd, answers, count) catch |err| negative(err);
}

fn treeAnswer(fd: i32, answers: ?[*]const abi.TreeAnswer, count: u32) Error!i32 {
    if (count > records_most) return error.INVAL;
    const given = (answers orelse return error.FAULT)[0..count];
    if (@intFromPtr(given.ptr) % @alignOf(abi.TreeAnswer) != 0) return error.INVAL;
    const forest = try forests.enter(fd);
    defer forests.leave(forest);
    return @intCast(try forest.answer(given));
}

/// JSON about a tree. The length; if more than `len`, nothing was written.
pub export fn kevent_tree_info(fd: i32, tree: u32, buf: ?[*]u8, len: u32) callconv(.c) i32 {
    return treeInfo(fd, tree, buf, len) catch |err| negative(err);
}

fn treeInfo(fd: i32, tree: u32, buf: ?[*]u8, len: u32) Error!i32 {
    const buffer: []u8 = if (buf) |memory| memory[0..len] else &.{};
    const forest = try forests.enter(fd);
    defer forests.leave(forest);
    return info.ofTree(forest, try forest.treeOf(tree), buffer);
}
