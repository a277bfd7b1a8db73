//! All queues of the process by descriptor, and what happens to them when their thread ends.
//! A call takes a reference for its length, so a queue closed under it is freed by the last one out.

const sys = @import("sys/linux.zig");
const Error = @import("errors.zig").Error;
const sync = @import("sync.zig");
const pools = @import("pool.zig");
const Queue = @import("queue.zig").Queue;
const wake = @import("wake.zig");
const sockets = @import("sockets.zig");
const forests = @import("tree/forests.zig");

/// Descriptor numbers above this cannot be queues; by default the kernel gives none above 2^20.
const descriptors_most = 1 << 22;

var lock: sync.Mutex = .{};
var table: ?pools.Array(?*Queue) = null;
var slot: ?sys.ThreadSlot = null;

/// Make a queue known, and bind it to the life of this thread.
pub fn insert(queue: *Queue) Error!void {
    lock.lock();
    defer lock.unlock();
    if (table == null) table = try .init(descriptors_most);
    const fd: u32 = @intCast(queue.backend.descriptor());
    try table.?.reach(fd);
    try bindLocked();
    table.?.items[fd] = queue;
}

/// What this thread makes goes when it ends.
pub fn bind() Error!void {
    lock.lock();
    defer lock.unlock();
    try bindLocked();
}

fn bindLocked() Error!void {
    if (slot == null) {
        sys.stayLoaded();
        slot = try .create(threadEnded);
    }
    // Any value makes the destructor run.
    try slot.?.set(&slot);
}

/// The queue of a descriptor, with a reference that `release` gives back.
pub fn acquire(fd: i32) Error!*Queue {
    lock.lock();
    defer lock.unlock();
    const queues = &(table orelse return error.BADF);
    if (fd < 0 or fd >= queues.len) return error.BADF;
    const queue = queues.items[@intCast(fd)] orelse return error.BADF;
    _ = queue.references.fetchAdd(1, .monotonic);
    return queue;
}

pub fn release(queue: *Queue) void {
    if (queue.references.fetchSub(1, .acq_rel) == 1) queue.destroy();
}

/// End a queue: no call finds it any more, those inside return.
pub fn close(queue: *Queue) Error!void {
    {
        queue.lock.lock();
        defer queue.lock.unlock();
        if (queue.closed) return error.BADF;
        queue.shut();
    }
    {
        lock.lock();
        defer lock.unlock();
        table.?.items[@intCast(queue.backend.descriptor())] = null;
    }
    release(queue);
}

/// A Worker may be terminated at any instruction and runs no script afterwards. S2-11.
fn threadEnded(_: ?*anyopaque) callconv(.c) void {
    const me = sys.threadId();
    var fd: i32 = 0;
    while (nextOf(me, &fd)) |queue| {
        wake.abandon(queue);
        close(queue) catch {};
        release(queue);
    }
    forests.threadEnded();
    sockets.threadEnded();
}

fn nextOf(owner: usize, from: *i32) ?*Queue {
    lock.lock();
    defer lock.unlock();
    const queues = &(table orelse return null);
    while (from.* < queues.len) {
        const queue = queues.items[@intCast(from.*)];
        from.* += 1;
        const found = queue orelse continue;
        if (found.owner != owner) continue;
        _ = found.references.fetchAdd(1, .monotonic);
        return found;
    }
    return null;
}
