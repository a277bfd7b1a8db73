//! All forests of the process by descriptor, and what happens to them when their thread ends. A call takes a
//! reference for its length, so a forest closed under it is freed by the last one out.

const sys = @import("../sys/linux.zig");
const Error = @import("../errors.zig").Error;
const sync = @import("../sync.zig");
const Forest = @import("forest.zig").Forest;

var lock: sync.Mutex = .{};
/// A thread has one or two.
var list: ?*Forest = null;

pub fn insert(forest: *Forest) void {
    lock.lock();
    defer lock.unlock();
    forest.next = list;
    list = forest;
}

/// The forest of a descriptor with its lock held, for the length of one call.
pub fn enter(fd: i32) Error!*Forest {
    const forest = try acquire(fd);
    errdefer release(forest);
    if (forest.owner != sys.threadId()) return error.PERM;
    forest.lock.lock();
    errdefer forest.lock.unlock();
    if (forest.closed) return error.BADF;
    return forest;
}

pub fn leave(forest: *Forest) void {
    forest.lock.unlock();
    release(forest);
}

fn acquire(fd: i32) Error!*Forest {
    lock.lock();
    defer lock.unlock();
    var at = list;
    while (at) |forest| : (at = forest.next) if (forest.fd == fd) {
        _ = forest.references.fetchAdd(1, .monotonic);
        return forest;
    };
    return error.BADF;
}

fn release(forest: *Forest) void {
    if (forest.references.fetchSub(1, .acq_rel) == 1) forest.destroy();
}

/// End a forest: no call finds it any more.
pub fn close(forest: *Forest) void {
    {
        lock.lock();
        defer lock.unlock();
        var place = &list;
        while (place.*) |at| : (place = &at.next) if (at == forest) {
            place.* = forest.next;
            break;
        };
    }
    {
        forest.lock.lock();
        defer forest.lock.unlock();
        if (forest.closed) return;
        forest.shut();
    }
    release(forest);
}

/// A Worker may be terminated at any instruction and runs no script afterwards.
pub fn threadEnded() void {
    const me = sys.threadId();
    while (ofThread(me)) |forest| {
        close(forest);
        release(forest);
    }
}

fn ofThread(owner: usize) ?*Forest {
    lock.lock();
    defer lock.unlock();
    var at = list;
    while (at) |forest| : (at = forest.next) if (forest.owner == owner) {
        _ = forest.references.fetchAdd(1, .monotonic);
        return forest;
    };
    return null;
}
