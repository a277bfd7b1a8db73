//! Who waits on a queue and who is woken. Waiters stand in a line in order of arrival. One of them,
//! the leader, sleeps in the back-end for all; the others sleep on a word of their own. Each new
//! event wakes the first who was not woken yet, or all (S2-60). Whoever leaves and leaves something
//! behind, events or the lead, wakes the next.

const std = @import("std");
const abi = @import("abi.zig");
const sys = @import("sys/linux.zig");
const Error = @import("errors.zig").Error;
const Queue = @import("queue.zig").Queue;

const Waiter = struct {
    word: std.atomic.Value(u32) = .init(0),
    next: ?*Waiter = null,
    /// An event is for this one.
    woken: bool = false,
    /// Woken by READY without records: return although nothing may be there. S2-20.
    kicked: bool = false,
};

pub const Waiters = struct {
    first: ?*Waiter = null,
    leader: ?*Waiter = null,
    /// The leader is inside a system call, with the lock free.
    leader_sleeps: bool = false,

    fn join(waiters: *Waiters, waiter: *Waiter) void {
        var place = &waiters.first;
        while (place.*) |other| place = &other.next;
        place.* = waiter;
    }

    fn leave(waiters: *Waiters, waiter: *Waiter) void {
        var place = &waiters.first;
        while (place.* != waiter) place = &place.*.?.next;
        place.* = waiter.next;
    }

    fn countWoken(waiters: *const Waiters) u32 {
        var count: u32 = 0;
        var waiter = waiters.first;
        while (waiter) |w| : (waiter = w.next) count += @intFromBool(w.woken);
        return count;
    }

    fn firstAsleep(waiters: *Waiters) ?*Waiter {
        var waiter = waiters.first;
        while (waiter) |w| : (waiter = w.next) if (!w.woken) return w;
        return null;
    }
};

/// When a call gives up.
pub const Deadline = struct {
    /// On the monotonic clock; null: never.
    at_ns: ?u64,

    pub fn after(queue: *Queue, ns: ?u64) Deadline {
        const limit = ns orelse return .{ .at_ns = null };
        // The clock is only read for a call that may really wait.
        if (limit == 0) return .{ .at_ns = 0 };
        return .{ .at_ns = queue.backend.now(.monotonic) +| limit };
    }

    /// A date on the wall clock. S2-72.
    pub fn date(queue: *Queue, wall_ns: u64) Deadline {
        return after(queue, wall_ns -| queue.backend.now(.wall));
    }

    /// Nanoseconds left; null: for ever.
    fn left(deadline: Deadline, queue: *Queue) ?u64 {
        const at = deadline.at_ns orelse return null;
        if (at == 0) return 0;
        // A clock that stands still never gets there.
        if (queue.backend.standsStill()) return 0;
        return at -| queue.backend.now(.monotonic);
    }
};

/// Where a waiting call puts events.
pub const Sink = union(enum) {
    /// The ring alone, at most that many. S2-36.
    ring: u32,
    /// A buffer, and the ring if there is one. S2-33.
    buffer: []abi.Ukevent,

    fn take(sink: Sink, queue: *Queue, already: u32) u32 {
        switch (sink) {
            .ring => |most| return queue.publish(most - already),
            .buffer => |buffer| {
                var count = already;
                while (count < buffer.len and queue.copyOut(&buffer[count])) count += 1;
                return count - already;
            },
        }
    }
};

/// Collect until `least` events were taken, no more fit, time is up, or somebody ends the wait. The
/// number taken. With the queue's lock, which is free while this sleeps.
pub fn wait(queue: *Queue, sink: Sink, least: u32, deadline: Deadline) Error!u32 {
    queue.forgetNames();
    var me: Waiter = .{};
    queue.waiters.join(&me);
    defer depart(queue, &me);
    var taken: u32 = 0;
    // Whoever comes takes what is there; once asleep, only what it was woken for.
    me.woken = queue.ready_count > 0;
    var entering = true;
    while (true) {
        const left = if (least > taken) deadline.left(queue) else 0;
        if (queue.waiters.leader == null) try lead(queue, &me, left);
        if (queue.closed) return error.BADF;
        const mine = me.woken or entering;
        if (mine) taken += sink.take(queue, taken);
        entering = false;
        me.woken = false;
        if (taken >= least or me.kicked or left == 0) return taken;
        // It took all it could: for what is left there is no room, in the sink or for its name. S2-41.
        if (mine and queue.ready_count > 0) return taken;
        if (queue.waiters.leader != null) park(queue, &me, deadline);
        if (queue.closed) return error.BADF;
    }
}

/// Collect for everybody, asleep in the back-end unless something for us is there already.
fn lead(queue: *Queue, me: *Waiter, left: ?u64) Error!void {
    queue.waiters.leader = me;
    defer queue.waiters.leader = null;
    try queue.lookAround();
    return queue.poll(if (me.woken or me.kicked) 0 else left);
}

/// Sleep until an event is for us, or the leader left.
fn park(queue: *Queue, me: *Waiter, deadline: Deadline) void {
    while (!me.woken and !me.kicked and !queue.closed and queue.waiters.leader != null) {
        const left = deadline.left(queue);
        if (left == 0) return;
        me.word.store(0, .monotonic);
        // What this thread took may have ended interests; the leader will not tell the kernel.
        queue.backend.submit();
        queue.lock.unlock();
        _ = sys.futexWait(&me.word, 0, left);
        queue.lock.lock();
    }
}

fn depart(queue: *Queue, me: *Waiter) void {
    queue.waiters.leave(me);
    if (queue.closed) return;
    const next = queue.waiters.firstAsleep() orelse return;
    // Those who were woken already will come for as many events.
    const left_over = queue.ready_count > queue.waiters.countWoken();
    if (left_over) next.woken = true;
    // Even without an event it must know that the lead is free.
    if (left_over or queue.waiters.leader == null) rouse(queue, next);
}

fn rouse(queue: *Queue, waiter: *Waiter) void {
    if (queue.waiters.leader == waiter) {
        // Awake, it is the one who calls this and will see for itself.
        if (queue.waiters.leader_sleeps) queue.backend.interrupt();
        return;
    }
    waiter.word.store(1, .release);
    sys.futexWake(&waiter.word, 1);
}

/// A new event is on the ready list.
pub fn wake(queue: *Queue, all: bool) void {
    if (queue.asleep) {
        queue.asleep = false;
        queue.backend.interrupt();
    }
    while (queue.waiters.firstAsleep()) |waiter| {
        waiter.woken = true;
        // One gets the event; the others were promised to be woken, so they return without.
        waiter.kicked = all;
        rouse(queue, waiter);
        if (!all) return;
    }
}

/// READY without records: whoever waits first returns with what there is. S2-20.
pub fn kick(queue: *Queue) void {
    if (queue.asleep) {
        queue.asleep = false;
        queue.backend.interrupt();
    }
    const waiter = queue.waiters.firstAsleep() orelse return;
    waiter.woken = true;
    waiter.kicked = true;
    rouse(queue, waiter);
}

/// The queue ends: nobody may sleep on.
pub fn wakeAll(queue: *Queue) void {
    var waiter = queue.waiters.first;
    while (waiter) |w| : (waiter = w.next) {
        w.woken = true;
        rouse(queue, w);
    }
}
