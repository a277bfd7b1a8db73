//! What socket and poll share: storages of descriptors. Any number of interests of both types may be
//! on one descriptor; the back-end watches it once, for all that any of them wants.

const abi = @import("../abi.zig");
const sys = @import("../sys/linux.zig");
const Error = @import("../errors.zig").Error;
const none = @import("../pool.zig").none;
const Queue = @import("../queue.zig").Queue;
const Kevent = @import("../kevent.zig").Kevent;
const storages = @import("../storage.zig");

/// How a type of interest speaks of poll bits.
pub const Dialect = struct {
    /// Poll bits to watch for these kinds.
    want: *const fn (kinds: u32) u16,
    /// Kinds that hold when these poll bits do, of those asked for or always reported.
    match: *const fn (kinds: u32, bits: u32) u32,
};

fn dialectOf(kevent: *const Kevent) *const Dialect {
    return if (kevent.event.type == abi.Type.KEVENT_SOCKET)
        &@import("socket.zig").dialect
    else
        &@import("poll.zig").dialect;
}

pub fn enqueue(queue: *Queue, index: u32) Error!void {
    const kevent = queue.kevents.at(index);
    const fd: i32 = @bitCast(kevent.event.id.raw[0]);
    if (fd < 0 or kevent.event.id.raw[1] != 0) return error.BADF;
    const number = try storageOf(queue, @intCast(fd));
    const storage = queue.storages.at(number);
    kevent.storage = number;
    storage.interests.append(queue.kevents.array.items, index);
    errdefer leave(queue, index);
    try watch(queue, number, index);
}

pub fn dequeue(queue: *Queue, index: u32) void {
    const number = queue.kevents.at(index).storage;
    leave(queue, index);
    if (queue.storages.at(number).flags.live) {
        // Fewer wants cannot fail in a way that matters: what is reported too much matches nobody.
        watch(queue, number, none) catch {};
    }
}

pub fn modify(queue: *Queue, index: u32) Error!void {
    return watch(queue, queue.kevents.at(index).storage, index);
}

fn leave(queue: *Queue, index: u32) void {
    const kevent = queue.kevents.at(index);
    const number = kevent.storage;
    const storage = queue.storages.at(number);
    storage.interests.remove(queue.kevents.array.items, index);
    if (storage.interests.head != none) return;
    if (storage.flags.armed) queue.backend.unwatch(queue, number);
    queue.by_fd.items[@intCast(storage.fd)] = 0;
    storages.destroy(&queue.storages, number);
}

/// The storage of a descriptor, made if there is none.
fn storageOf(queue: *Queue, fd: u32) Error!u32 {
    try queue.by_fd.reach(fd);
    if (queue.by_fd.items[fd] != 0) return queue.by_fd.items[fd] - 1;
    const number = try storages.create(&queue.storages, @intCast(fd), abi.Type.KEVENT_POLL, 0);
    queue.by_fd.items[fd] = number + 1;
    return number;
}

/// Tell the back-end what the interests want now. `newest` was put in or changed just now.
fn watch(queue: *Queue, number: u32, newest: u32) Error!void {
    const storage = queue.storages.at(number);
    storage.want = 0;
    storage.flags.edge = false;
    var index = storage.interests.head;
    while (index != none) : (index = queue.kevents.at(index).storage_next) {
        const kevent = queue.kevents.at(index);
        storage.want |= dialectOf(kevent).want(kevent.event.event);
        if (kevent.event.req_flags & abi.Request.KEVENT_REQ_ET != 0) storage.flags.edge = true;
    }
    const was_armed = storage.flags.armed;
    switch (try queue.backend.watch(queue, number)) {
        .watched => {},
        // What could be waited for before was another file.
        .always => if (was_armed) orphan(queue, number, newest),
        .reopened => orphan(queue, number, newest),
    }
    storage.flags.always = !storage.flags.armed;
    if (storage.flags.always and newest != none) queue.recheckLater(newest);
}

/// The descriptor was closed while registered and its number is another file now: whoever was here
/// before waits for nothing.
fn orphan(queue: *Queue, number: u32, newest: u32) void {
    var index = queue.storages.at(number).interests.head;
    while (index != none) : (index = queue.kevents.at(index).storage_next) {
        if (index != newest) queue.breakUp(index, error.BADF);
    }
}

/// The storage scans its list for matching interests. S0-15.
pub fn activity(queue: *Queue, number: u32, bits: u32) void {
    var index = queue.storages.at(number).interests.head;
    while (index != none) : (index = queue.kevents.at(index).storage_next) {
        const kevent = queue.kevents.at(index);
        const fired = dialectOf(kevent).match(kevent.event.event, bits);
        if (fired == 0) continue;
        kevent.event.ret_extra = bits;
        queue.markReady(index, fired);
    }
}

pub fn check(queue: *Queue, index: u32) u32 {
    const kevent = queue.kevents.at(index);
    const dialect = dialectOf(kevent);
    const bits = sys.pollNow(queue.storages.at(kevent.storage).fd, dialect.want(kevent.event.event));
    kevent.event.ret_extra = bits;
    return dialect.match(kevent.event.event, bits & ~nval);
}

const nval: u32 = 0x20;

pub fn requeue(queue: *Queue, index: u32) void {
    const kevent = queue.kevents.at(index);
    // S2-43: an edge-triggered one just waits for the next edge.
    if (kevent.event.req_flags & abi.Request.KEVENT_REQ_ET != 0) return;
    const storage = queue.storages.at(kevent.storage);
    if (storage.flags.always or storage.flags.edge) {
        queue.recheckLater(index);
    } else {
        queue.backend.rearm(queue, kevent.storage);
    }
}
