//! Signals, without taking them from the runtime: our handler counts a delivery for each queue that
//! wants it and then calls the handler that was there before, as if it had been called itself.
//!
//! An interest means that the default action does not happen: a process with an interest in SIGTERM is
//! not ended by it, as with kqueue and libuv. A signal that was ignored stays without effect; children
//! it spawns find the default again, not "ignored" (exec resets handlers, but keeps SIG_IGN).
//! SIGKILL and SIGSTOP cannot be caught; faults of the program itself (SIGSEGV and the like) belong to
//! the runtime; both are refused.
//!
//! When the last interest in a signal leaves, the old handler is put back if ours is still the one in
//! place. If somebody put theirs over ours it may call ours, so ours stays and only passes on. Interests
//! that come later go on top of theirs with the next of a few handlers of ours, so that the chain never
//! becomes a circle. A handler put over ours that calls nobody hides the signal from us.
//!
//! Locks: a queue's, then `lock` here. The handler takes none: it uses atomics and writes to eventfds.
//! A child that was forked without exec shares the eventfds: it can wake a queue of the parent, which
//! then finds nothing.

const std = @import("std");
const abi = @import("../abi.zig");
const sys = @import("../sys/linux.zig");
const signals = @import("../sys/signal.zig");
const Error = @import("../errors.zig").Error;
const none = @import("../pool.zig").none;
const sync = @import("../sync.zig");
const Queue = @import("../queue.zig").Queue;
const Source = @import("../source.zig").Source;
const storages = @import("../storage.zig");

const Kind = abi.Signal;

pub const source: Source = .{
    .name = "signal",
    .kinds = Kind.KEVENT_SIGNAL_DELIVERED,
    .required = Kind.KEVENT_SIGNAL_DELIVERED,
    .enqueue = enqueue,
    .dequeue = dequeue,
    .check = check,
    .modify = modify,
    .activity = activity,
    .fill = fill,
    .requeue = requeue,
};

// --- what the handler sees -------------------------------------------------------------------

/// Queues with signal interests at the same time; one per thread of the process that runs a loop.
const seats_most = 1024;
/// Times that somebody may put a handler over ours and a new interest come after that.
const levels_most = 4;

fn Atomic(comptime T: type) type {
    return std.atomic.Value(T);
}

/// The place of a queue in the handler's table.
const Seat = struct {
    /// Bit n - 1: wants signal n.
    wants: Atomic(u64),
    /// Set while the eventfd was written to and not read.
    rung: Atomic(bool),
    bell: Atomic(i32),
    taken: bool,
    counts: [signals.most]Atomic(u32),
    senders: [signals.most]Atomic(i32),
};

/// A handler that ours covers.
const Covered = struct {
    handler: Atomic(usize),
    flags: Atomic(u32),
};

const Entry = struct {
    /// Handlers of ours that may still be called, by level. The top one counts.
    levels: Atomic(u32),
    /// Interests of all queues.
    interests: u32,
    covered: [levels_most]Covered,
};

var seats: [seats_most]Seat = std.mem.zeroes([seats_most]Seat);
/// Seats that were ever taken.
var seats_used: Atomic(u32) = .init(0);
var entries: [signals.most]Entry = std.mem.zeroes([signals.most]Entry);
/// Handlers that are looking at the table right now.
var inside: Atomic(u32) = .init(0);
var lock: sync.Mutex = .{};

fn handlerOf(comptime level: u32) *const signals.Handler {
    return &struct {
        fn handle(number: c_int, info: ?*const signals.Info, context: ?*anyopaque) callconv(.c) void {
            const place = @as(u32, @intCast(number)) - 1;
            if (entries[place].levels.load(.acquire) == level + 1) note(place, info);
            passOn(&entries[place].covered[level], number, info, context);
        }
    }.handle;
}

const handlers: [levels_most]*const signals.Handler = handlers: {
    var list: [levels_most]*const signals.Handler = undefined;
    for (&list, 0..) |*handler, level| handler.* = handlerOf(level);
    break :handlers list;
};

/// Nothing but atomics and write(2): this runs between any two instructions of the program.
fn note(place: u32, info: ?*const signals.Info) void {
    _ = inside.fetchAdd(1, .seq_cst);
    defer _ = inside.fetchSub(1, .seq_cst);
    const bit = @as(u64, 1) << @intCast(place);
    for (seats[0..seats_used.load(.acquire)]) |*seat| {
        if (seat.wants.load(.seq_cst) & bit == 0) continue;
        seat.senders[place].store(senderOf(info), .seq_cst);
        _ = seat.counts[place].fetchAdd(1, .seq_cst);
        if (!seat.rung.swap(true, .seq_cst)) sys.eventfdSignal(seat.bell.load(.seq_cst));
    }
}

/// Who sent it, 0 for the kernel: with its own codes the place of the pid holds something else, but
/// the end of a child names the child.
fn senderOf(info: ?*const signals.Info) i32 {
    const given = info orelse return 0;
    const SI_USER = 0;
    const SI_QUEUE = -1;
    const SI_TKILL = -6;
    return switch (given.code) {
        SI_USER, SI_QUEUE, SI_TKILL => given.pid,
        else => if (given.number == signals.CHLD) given.pid else 0,
    };
}

fn passOn(covered: *Covered, number: c_int, info: ?*const signals.Info, context: ?*anyopaque) void {
    const flags = covered.flags.load(.acquire);
    // It asked to be called once only.
    const handler = if (flags & signals.RESETHAND != 0)
        covered.handler.swap(signals.default, .acq_rel)
    else
        covered.handler.load(.acquire);
    if (handler == signals.default or handler == signals.ignore) return;
    if (flags & signals.SIGINFO != 0) {
        @as(*const signals.Handler, @ptrFromInt(handler))(number, info, context);
    } else {
        @as(*const signals.PlainHandler, @ptrFromInt(handler))(number);
    }
}

// --- putting handlers in place ---------------------------------------------------------------

/// With the lock.
fn join(number: u32) Error!void {
    const entry = &entries[number - 1];
    const before = try signals.current(number);
    const top = entry.levels.load(.acquire);
    if (top == 0 or before.handler != @intFromPtr(handlers[top - 1])) try cover(number, entry, top, before);
    entry.interests += 1;
}

/// Put our handler of the next level over what is there.
fn cover(number: u32, entry: *Entry, level: u32, before: signals.Action) Error!void {
    if (level == levels_most) return error.BUSY;
    // What ours will call must be known before ours can be called.
    remember(&entry.covered[level], &before);
    const was = try signals.install(number, &over(number, &before, handlers[level]));
    remember(&entry.covered[level], &was);
    entry.levels.store(level + 1, .release);
}

fn remember(covered: *Covered, action: *const signals.Action) void {
    covered.flags.store(action.flags, .release);
    covered.handler.store(action.handler, .release);
}

/// The way a handler is called is the old handler's choice: JavaScriptCore stops threads from one that
/// must not run on the alternate stack, Go from one that must, and whoever left SA_RESTART out counts
/// on system calls being interrupted. Where there was none, the choice is ours.
fn over(number: u32, before: *const signals.Action, handler: *const signals.Handler) signals.Action {
    const ours = before.handler == signals.default or before.handler == signals.ignore;
    const kept = signals.RESTART | signals.ONSTACK | signals.NODEFER;
    const way = if (ours) signals.RESTART | signals.ONSTACK else before.flags & kept;
    // Children of whoever ignores SIGCHLD are reaped by the kernel, and stay so.
    var children = before.flags & (signals.NOCLDSTOP | signals.NOCLDWAIT);
    if (number == signals.CHLD and before.handler == signals.ignore) children |= signals.NOCLDWAIT;
    return .{
        .handler = @intFromPtr(handler),
        .mask = before.mask,
        .flags = signals.SIGINFO | way | children,
    };
}

/// With the lock.
fn leave(number: u32) void {
    const entry = &entries[number - 1];
    entry.interests -= 1;
    if (entry.interests > 0) return;
    const level = entry.levels.load(.acquire) - 1;
    const now = signals.current(number) catch return;
    if (now.handler != @intFromPtr(handlers[level])) return;
    const covered = &entry.covered[level];
    const back: signals.Action = .{
        .handler = covered.handler.load(.acquire),
        .mask = now.mask,
        .flags = covered.flags.load(.acquire),
    };
    _ = signals.install(number, &back) catch return;
    // What we covered stays remembered: another thread may be inside our handler.
    entry.levels.store(level, .release);
}

// --- queues ----------------------------------------------------------------------------------

/// What a queue has to do with signals.
pub const Subscription = struct {
    seat: u32 = none,
    /// Storage of the eventfd.
    bell: u32 = none,
    interests: u32 = 0,
    /// Storage of each signal, plus one.
    by_number: [signals.most]u32 = @splat(0),
};

fn isRefused(number: u32) bool {
    return switch (number) {
        // ILL, TRAP, ABRT, BUS, FPE, KILL, SEGV, STOP, SYS.
        4, 5, 6, 7, 8, 9, 11, 19, 31 => true,
        else => number == 0 or number > signals.most,
    };
}

fn enqueue(queue: *Queue, index: u32) Error!void {
    const kevent = queue.kevents.at(index);
    const number = kevent.event.id.raw[0];
    if (isRefused(number) or kevent.event.id.raw[1] != 0) return error.INVAL;
    try subscribe(queue);
    errdefer if (queue.signals.interests == 0) unsubscribe(queue);
    const storage = try storageOf(queue, number);
    // What came before belongs to those who were here.
    collect(queue);
    queue.storages.at(storage).interests.append(queue.kevents.array.items, index);
    kevent.storage = storage;
    queue.signals.interests += 1;
}

fn storageOf(queue: *Queue, number: u32) Error!u32 {
    const place = &queue.signals.by_number[number - 1];
    if (place.* != 0) return place.* - 1;
    const storage = try storages.create(&queue.storages, @intCast(number), abi.Type.KEVENT_SIGNAL, abi.Poll.KEVENT_POLL_IN);
    errdefer storages.destroy(&queue.storages, storage);
    lock.lock();
    defer lock.unlock();
    const seat = &seats[queue.signals.seat];
    seat.counts[number - 1].store(0, .seq_cst);
    seat.senders[number - 1].store(0, .seq_cst);
    _ = seat.wants.fetchOr(bitOf(number), .seq_cst);
    errdefer _ = seat.wants.fetchAnd(~bitOf(number), .seq_cst);
    try join(number);
    place.* = storage + 1;
    return storage;
}

fn bitOf(number: u32) u64 {
    return @as(u64, 1) << @intCast(number - 1);
}

fn dequeue(queue: *Queue, index: u32) void {
    const number = queue.kevents.at(index).storage;
    const storage = queue.storages.at(number);
    storage.interests.remove(queue.kevents.array.items, index);
    if (storage.interests.head == none) forget(queue, number);
    queue.signals.interests -= 1;
    if (queue.signals.interests == 0) unsubscribe(queue);
}

/// The queue wants this signal no more.
fn forget(queue: *Queue, storage: u32) void {
    const number: u32 = @intCast(queue.storages.at(storage).fd);
    {
        lock.lock();
        defer lock.unlock();
        _ = seats[queue.signals.seat].wants.fetchAnd(~bitOf(number), .seq_cst);
        leave(number);
    }
    queue.signals.by_number[number - 1] = 0;
    storages.destroy(&queue.storages, storage);
}

fn subscribe(queue: *Queue) Error!void {
    if (queue.signals.seat != none) return;
    const fd = try sys.eventfd();
    errdefer sys.close(fd);
    const storage = try storages.create(&queue.storages, fd, abi.Type.KEVENT_SIGNAL, abi.Poll.KEVENT_POLL_IN);
    errdefer storages.destroy(&queue.storages, storage);
    _ = try queue.backend.watch(queue, storage);
    errdefer if (queue.storages.at(storage).flags.armed) queue.backend.unwatch(queue, storage);
    queue.signals.seat = try takeSeat(fd);
    queue.signals.bell = storage;
}

fn takeSeat(fd: sys.Fd) Error!u32 {
    lock.lock();
    defer lock.unlock();
    for (&seats, 0..) |*seat, number| {
        if (seat.taken) continue;
        seat.taken = true;
        seat.rung.store(false, .seq_cst);
        seat.bell.store(fd, .seq_cst);
        if (number >= seats_used.load(.monotonic)) seats_used.store(@intCast(number + 1), .release);
        return @intCast(number);
    }
    return error.NOSPC;
}

/// Gives up the seat. Also called when the queue ends; then all its interests have left.
pub fn unsubscribe(queue: *Queue) void {
    if (queue.signals.seat == none) return;
    const seat = &seats[queue.signals.seat];
    const storage = queue.signals.bell;
    const fd = queue.storages.at(storage).fd;
    if (queue.storages.at(storage).flags.armed) queue.backend.unwatch(queue, storage);
    storages.destroy(&queue.storages, storage);
    queue.signals.seat = none;
    queue.signals.bell = none;
    // Nobody finds the seat any more (`wants` is 0), but a handler in another thread may be about to
    // write to its eventfd. Handlers are short; those of this thread cannot be half-way.
    std.debug.assert(seat.wants.load(.seq_cst) == 0);
    while (inside.load(.seq_cst) != 0) signals.yield();
    lock.lock();
    defer lock.unlock();
    sys.close(fd);
    seat.taken = false;
}

// --- events ----------------------------------------------------------------------------------

/// Deliveries since the last record and who sent the last one: `data` of a registration.
const Tally = packed struct(u64) { count: u32, sender: i32 };

fn activity(queue: *Queue, storage: u32, _: u32) void {
    if (storage != queue.signals.bell) return;
    // In this order: a delivery after the second line rings again, one before it is collected.
    _ = sys.eventfdClear(queue.storages.at(storage).fd);
    seats[queue.signals.seat].rung.store(false, .seq_cst);
    queue.backend.rearm(queue, storage);
    collect(queue);
}

/// Take over what the handler counted.
fn collect(queue: *Queue) void {
    const seat = &seats[queue.signals.seat];
    var wants = seat.wants.load(.seq_cst);
    while (wants != 0) : (wants &= wants - 1) {
        const place: u32 = @ctz(wants);
        const count = seat.counts[place].swap(0, .seq_cst);
        if (count != 0) deliver(queue, place + 1, count, seat.senders[place].load(.seq_cst));
    }
}

fn deliver(queue: *Queue, number: u32, count: u32, sender: i32) void {
    const storage = queue.signals.by_number[number - 1];
    if (storage == 0) return;
    var index = queue.storages.at(storage - 1).interests.head;
    while (index != none) : (index = queue.kevents.at(index).storage_next) {
        const kevent = queue.kevents.at(index);
        const tally: Tally = @bitCast(kevent.data);
        kevent.data = @bitCast(Tally{ .count = tally.count +| count, .sender = sender });
        queue.markReady(index, Kind.KEVENT_SIGNAL_DELIVERED);
    }
}

/// A delivery is a fact that nobody can take back.
fn check(queue: *Queue, index: u32) u32 {
    return queue.kevents.at(index).fired;
}

/// What was delivered and not handed out yet is not lost by a change of flags.
fn modify(queue: *Queue, index: u32) Error!void {
    const tally: Tally = @bitCast(queue.kevents.at(index).data);
    if (tally.count > 0) queue.markReady(index, Kind.KEVENT_SIGNAL_DELIVERED);
}

fn fill(queue: *Queue, index: u32, record: *abi.Ukevent) bool {
    const tally: Tally = @bitCast(queue.kevents.at(index).data);
    record.ret_data = tally.count;
    record.ret_extra = @bitCast(tally.sender);
    return true;
}

fn requeue(queue: *Queue, index: u32) void {
    queue.kevents.at(index).data = 0;
}
