//! What a source of events must do, and the table of all sources. A new source is one file that
//! fills one struct; the queue never asks for the type. S0-29: a source that is built out has no
//! entry, and its records are answered BROKEN with ENOTSUP.

const abi = @import("abi.zig");
const options = @import("options");
const Error = @import("errors.zig").Error;
const Queue = @import("queue.zig").Queue;

pub const Source = struct {
    name: []const u8,
    /// Kinds that may be asked for in `event`, and those of which one must be.
    kinds: u32,
    required: u32,
    /// Put a registration into its storage.
    enqueue: *const fn (*Queue, kevent: u32) Error!void,
    /// Take it out. Afterwards nothing may fire for it.
    dequeue: *const fn (*Queue, kevent: u32) void,
    /// The seed's `callback`: which of the wanted kinds hold right now, 0 for none. While the last
    /// check asks, KEVENT_REQ_LAST_CHECK is cleared in `req_flags`. S2-63.
    check: *const fn (*Queue, kevent: u32) u32,
    /// `req_flags` and `event` were replaced; null: dequeue and enqueue again.
    modify: ?*const fn (*Queue, kevent: u32) Error!void = null,
    /// The back-end noticed something on a storage of this source.
    activity: *const fn (*Queue, storage: u32, bits: u32) void = ignoreActivity,
    /// Fill the `ret_` fields of a record that is being handed out. False: there is no room for what
    /// belongs to it now, keep it ready.
    fill: *const fn (*Queue, kevent: u32, record: *abi.Ukevent) bool = fillNothing,
    /// It was handed out and stays: wait for the next time.
    requeue: *const fn (*Queue, kevent: u32) void = ignore,
    /// It left the ready list, by delivery or removal: the next event of this source may come up.
    next: *const fn (*Queue) void = nothingMore,
    /// Bring memory that removing it will touch into the cache. A hint: it may be about anything.
    ahead: ?*const fn (*const Queue, kevent: u32, Ahead) void = null,
};

/// See `lookahead.zig`.
pub const Ahead = enum { place, neighbour, moved };

fn ignoreActivity(_: *Queue, _: u32, _: u32) void {}
fn fillNothing(_: *Queue, _: u32, _: *abi.Ukevent) bool {
    return true;
}
fn ignore(_: *Queue, _: u32) void {}
fn nothingMore(_: *Queue) void {}

/// Sources by `abi.Type`.
pub const table: [abi.types_max]?*const Source = table: {
    var all: [abi.types_max]?*const Source = @splat(null);
    if (options.socket) all[abi.Type.KEVENT_SOCKET] = &@import("source/socket.zig").source;
    if (options.poll) all[abi.Type.KEVENT_POLL] = &@import("source/poll.zig").source;
    if (options.timer) all[abi.Type.KEVENT_TIMER] = &@import("source/timer.zig").source;
    if (options.inode) all[abi.Type.KEVENT_INODE] = &@import("source/inode.zig").source;
    if (options.signal) all[abi.Type.KEVENT_SIGNAL] = &@import("source/signal.zig").source;
    if (options.process) all[abi.Type.KEVENT_PROCESS] = &@import("source/process.zig").source;
    if (options.user) all[abi.Type.KEVENT_USER] = &@import("source/user.zig").source;
    break :table all;
};

pub fn find(kind: u32) ?*const Source {
    return if (kind < table.len) table[kind] else null;
}
