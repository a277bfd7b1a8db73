//! How a script that sleeps in its runtime's own loop is woken: one byte on a socketpair that the
//! runtime listens on. Who writes it is the back-end's matter. The byte is written only when the
//! script has said that it sleeps.

const sys = @import("sys/linux.zig");
const Error = @import("errors.zig").Error;
const Queue = @import("queue.zig").Queue;

/// A descriptor that is somebody else's to close, and what it refers to.
pub const Peer = struct { fd: sys.Fd, identity: sys.Identity };

/// Make the socketpair; the script's end, which is the script's to close.
pub fn open(queue: *Queue) Error!i32 {
    if (queue.wake_fd >= 0) return error.BUSY;
    const ends = try sys.socketpair();
    errdefer for (ends) |fd| sys.close(fd);
    queue.wake_peer = .{ .fd = ends[1], .identity = try sys.identify(ends[1]) };
    queue.wake_fd = ends[0];
    return ends[1];
}

/// The script's thread has died. Bun closes what its workers leave, Deno does not; by now nobody
/// else will, so the end is ours if the number still means the same socket.
pub fn abandon(queue: *Queue) void {
    const peer = queue.wake_peer orelse return;
    queue.wake_peer = null;
    const present = sys.identify(peer.fd) catch return;
    if (present.inode == peer.identity.inode and present.device == peer.identity.device) sys.close(peer.fd);
}

/// The script is back: events made ready from now on need no byte.
pub fn awake(queue: *Queue) void {
    queue.asleep = false;
}

/// The script goes to sleep, unless something is ready after all. First the descriptor is made to
/// tell the truth, then the byte is asked for: what happens in between makes it come at once. Without
/// a socketpair the script sleeps on the descriptor.
pub fn sleep(queue: *Queue) Error!void {
    try queue.makePollable();
    if (queue.wake_fd >= 0) try queue.backend.wakeVia(queue.wake_fd);
    queue.asleep = true;
}
