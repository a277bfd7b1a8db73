//! How a script that sleeps in its runtime's own loop is woken: one byte on a socketpair that the
//! runtime listens on. Who writes it is the back-end's matter. The byte is written only when the
//! script has said that it sleeps.

const sys = @import("sys/linux.zig");
const Error = @import("errors.zig").Error;
const Queue = @import("queue.zig").Queue;

/// Make the socketpair; the script's end, which is the script's to close.
pub fn open(queue: *Queue) Error!i32 {
    if (queue.wake_fd >= 0) return error.BUSY;
    const ends = try sys.socketpair();
    queue.wake_fd = ends[0];
    return ends[1];
}

/// The script is back: events made ready from now on need no byte.
pub fn awake(queue: *Queue) void {
    queue.asleep = false;
}

/// The script goes to sleep, unless something is ready after all. First the descriptor is made to
/// tell the truth, then the byte is asked for: what happens in between makes it come at once.
pub fn sleep(queue: *Queue) Error!void {
    if (queue.wake_fd < 0) return error.INVAL;
    try queue.makePollable();
    try queue.backend.wakeVia(queue, queue.wake_fd);
    queue.asleep = true;
}
