//! Timers in nanoseconds: periods from now or moments of a clock, once or again and again. The
//! storage of a timer is the wheel of its clock. A periodic one goes on from its deadline, not from
//! when it was noticed, so it does not drift; what was missed is counted. S2-82..84.

const std = @import("std");
const abi = @import("../abi.zig");
const sys = @import("../sys/linux.zig");
const Error = @import("../errors.zig").Error;
const Queue = @import("../queue.zig").Queue;
const Kevent = @import("../kevent.zig").Kevent;
const sources = @import("../source.zig");
const Source = sources.Source;
const lookahead = @import("../lookahead.zig");
const none = @import("../pool.zig").none;

const Kind = abi.Timer;
const all = Kind.KEVENT_TIMER_FIRED | Kind.KEVENT_TIMER_WALL | Kind.KEVENT_TIMER_ABSOLUTE;

pub const source: Source = .{
    .name = "timer",
    .kinds = all,
    .required = Kind.KEVENT_TIMER_FIRED,
    .enqueue = enqueue,
    .dequeue = dequeue,
    .check = check,
    .fill = fill,
    .ahead = ahead,
};

/// Position of a timer that is in no wheel, because it fired and will not again.
const out_of_wheel = none;

/// How the wheel tells where it put a timer.
const Owner = struct {
    kevents: [*]Kevent,

    pub inline fn setPosition(owner: Owner, index: u32, position: u32) void {
        owner.kevents[index].storage_previous = position;
    }

    /// A million registrations are not in the cache: the wheel says which it will move soon. All of
    /// it, because what is moved is mostly about to fire.
    pub inline fn prefetch(owner: Owner, index: u32) void {
        lookahead.prefetch(&owner.kevents[index]);
    }
};

fn ahead(queue: *const Queue, index: u32, what: sources.Ahead) void {
    const kevents = queue.kevents.array.items;
    const wheel = &queue.wheels[@backingInt(clockOf(&kevents[index]))];
    const position = kevents[index].storage_previous;
    switch (what) {
        .place => wheel.prefetch(position),
        .neighbour => if (wheel.lastBeside(position)) |last| @prefetch(last, .{}),
        .moved => if (wheel.lastBeside(position)) |last| {
            if (last.kevent < queue.kevents.used) @prefetch(&kevents[last.kevent].storage_previous, .{ .rw = .write });
        },
    }
}

fn ownerOf(queue: *Queue) Owner {
    return .{ .kevents = queue.kevents.array.items };
}

fn clockOf(kevent: *const Kevent) sys.ClockId {
    return if (kevent.event.event & Kind.KEVENT_TIMER_WALL != 0) .wall else .monotonic;
}

/// A moment rather than a period. Wall clock timers always are.
fn isMoment(kevent: *const Kevent) bool {
    return kevent.event.event & (Kind.KEVENT_TIMER_ABSOLUTE | Kind.KEVENT_TIMER_WALL) != 0;
}

fn nanosecondsOf(record: *const abi.Ukevent) Error!u64 {
    if (record.id.raw[1] >= std.time.ns_per_s) return error.INVAL;
    return @as(u64, record.id.raw[0]) * std.time.ns_per_s + record.id.raw[1];
}

fn enqueue(queue: *Queue, index: u32) Error!void {
    const kevent = queue.kevents.at(index);
    const ns = try nanosecondsOf(&kevent.event);
    const clock = clockOf(kevent);
    kevent.data = if (isMoment(kevent)) ns else queue.moment(clock) + ns;
    try queue.wheels[@backingInt(clock)].insert(ownerOf(queue), index, kevent.data);
}

fn dequeue(queue: *Queue, index: u32) void {
    const kevent = queue.kevents.at(index);
    if (kevent.storage_previous == out_of_wheel) return;
    queue.wheels[@backingInt(clockOf(kevent))].remove(ownerOf(queue), kevent.storage_previous);
    kevent.storage_previous = out_of_wheel;
}

fn check(queue: *Queue, index: u32) u32 {
    const kevent = queue.kevents.at(index);
    // Fired already, or due and not noticed yet.
    if (kevent.fired != 0) return kevent.fired;
    const due = kevent.data <= queue.backend.now(clockOf(kevent));
    if (due and kevent.event.ret_data == 0) stamp(queue, kevent);
    return if (due) Kind.KEVENT_TIMER_FIRED else 0;
}

fn stamp(queue: *Queue, kevent: *Kevent) void {
    kevent.event.ret_data = @truncate(queue.backend.now(clockOf(kevent)) / std.time.ns_per_ms);
}

/// Move what is due to the ready list, in order of deadlines.
pub fn expire(queue: *Queue) Error!void {
    for ([_]sys.ClockId{ .monotonic, .wall }) |clock| {
        const wheel = &queue.wheels[@backingInt(clock)];
        if (wheel.count == 0) continue;
        const now_ns = queue.backend.now(clock);
        while (wheel.pop(ownerOf(queue), now_ns)) |due| try fire(queue, due.kevent, now_ns);
    }
}

fn fire(queue: *Queue, index: u32, now_ns: u64) Error!void {
    const kevent = queue.kevents.at(index);
    kevent.storage_previous = out_of_wheel;
    // Fired before and not handed out yet: that one and this one become one record. S0-16.
    if (kevent.state.place == .ready and kevent.fired & Kind.KEVENT_TIMER_FIRED != 0) kevent.event.ret_extra +|= 1;
    kevent.event.ret_data = @truncate(now_ns / std.time.ns_per_ms);
    queue.markReady(index, Kind.KEVENT_TIMER_FIRED);
    if (kevent.event.req_flags & abi.Request.KEVENT_REQ_ONESHOT != 0) {
        // It will be taken out of there when it is handed out.
        queue.identity.prefetch(&kevent.event);
    } else if (!isMoment(kevent)) try goOn(queue, index, now_ns);
}

/// Next deadline of a periodic timer: whole periods after the last one, the first that is to come.
fn goOn(queue: *Queue, index: u32, now_ns: u64) Error!void {
    const kevent = queue.kevents.at(index);
    // A period of 0 comes once a nanosecond at most; without a bound it would never let go.
    const period = @max(nanosecondsOf(&kevent.event) catch unreachable, 1);
    const missed = (now_ns - kevent.data) / period;
    kevent.event.ret_extra +|= @intCast(@min(missed, std.math.maxInt(u32)));
    kevent.data += (missed + 1) * period;
    queue.wheels[@backingInt(clockOf(kevent))].insert(ownerOf(queue), index, kevent.data) catch |err| {
        queue.breakUp(index, err);
    };
}

fn fill(queue: *Queue, index: u32, record: *abi.Ukevent) bool {
    const kevent = queue.kevents.at(index);
    record.ret_data = kevent.event.ret_data;
    record.ret_extra = kevent.event.ret_extra;
    return true;
}

/// The wall clock was set: timers that wait for a date are told, and stay (one-shot ones, which a
/// record would end, only look again). Their deadlines are looked
/// at again by the next `expire`, since they are dates.
pub fn clockSet(queue: *Queue) void {
    for (queue.kevents.array.items[0..queue.kevents.used], 0..) |*kevent, index| {
        if (!kevent.state.live or kevent.event.type != abi.Type.KEVENT_TIMER) continue;
        if (kevent.event.req_flags & abi.Request.KEVENT_REQ_ONESHOT != 0) continue;
        if (clockOf(kevent) == .wall) queue.markReady(@intCast(index), Kind.KEVENT_TIMER_CLOCK_SET);
    }
}
