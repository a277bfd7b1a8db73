//! When events come in quick succession, each would wake the loop: then they are gathered for a moment. One
//! that comes alone is told of at once.

const sys = @import("../sys/linux.zig");
const abi = @import("../abi.zig");
const Error = @import("../errors.zig").Error;

/// How long they are gathered. Half of it is what an event waits: less than what waking takes when the machine is
/// busy, so that fewer wake-ups make up for it.
const pause_ns = 200_000;
/// From one event to the next: below the first they are gathered, above the second no longer.
const dense_ns = pause_ns / 2;
const sparse_ns = pause_ns;
/// Silence counts as no more than this, so that a few events are enough to change it.
const gap_most_ns = 1_000_000;
/// How much the last gap counts in the mean: one part in so many.
const inertia = 4;

pub const Pace = struct {
    /// What the loop sleeps on, and the descriptor in it that is left out meanwhile.
    epoll_fd: sys.Fd,
    hub_fd: sys.Fd,
    gathers: bool = false,
    /// Mean time from one event to the next.
    gap_ns: u64 = gap_most_ns,
    /// Events that had come by the last read, and its time.
    events: u64 = 0,
    last_ns: u64 = 0,

    /// A read, which found so many events in all. `now_ns` is monotonic.
    pub fn beat(pace: *Pace, events: u64, now_ns: u64) void {
        if (events == pace.events and now_ns < pace.last_ns + pause_ns) return;
        const gap = @min(now_ns - pace.last_ns, gap_most_ns) / @max(events - pace.events, 1);
        pace.gap_ns = (pace.gap_ns * (inertia - 1) + gap) / inertia;
        pace.events = events;
        pace.last_ns = now_ns;
        const gathers = pace.gap_ns < @as(u64, if (pace.gathers) sparse_ns else dense_ns);
        if (gathers == pace.gathers) return;
        // What fails now is tried with the next event.
        (if (gathers) pace.leaveOut() else pace.putIn()) catch return;
        pace.gathers = gathers;
    }

    pub fn putIn(pace: *const Pace) Error!void {
        const kinds = abi.Poll.KEVENT_POLL_IN;
        sys.epollControl(pace.epoll_fd, .add, pace.hub_fd, kinds, 0) catch |err| if (err != error.EXIST) return err;
    }

    /// inotify wakes everybody who looks at it, for whatever kinds of events.
    fn leaveOut(pace: *const Pace) Error!void {
        try sys.epollControl(pace.epoll_fd, .remove, pace.hub_fd, 0, 0);
    }

    /// When to read next; null: when there is something.
    pub fn next(pace: *const Pace) ?u64 {
        return if (pace.gathers) pace.last_ns + pause_ns else null;
    }
};
