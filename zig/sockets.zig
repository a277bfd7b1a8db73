//! Sockets made for script, by descriptor, and which thread they belong to: a Worker that is terminated
//! closes nothing by itself, and its port would stay taken. No queue knows of them.

const std = @import("std");
const sys = @import("sys/linux.zig");
const Error = @import("errors.zig").Error;
const sync = @import("sync.zig");
const pools = @import("pool.zig");

/// Descriptor numbers above this are refused; by default the kernel gives none above 2^20.
const descriptors_most = 1 << 22;

const Owned = struct {
    /// 0: not one of ours.
    owner: usize,
    /// Tells it from whatever has its number once somebody else has closed it.
    cookie: u64,
};

var lock: sync.Mutex = .{};
var table: ?pools.Array(Owned) = null;

/// It belongs to this thread from now on; closed if that cannot be.
pub fn keep(fd: sys.Fd) Error!sys.Fd {
    errdefer sys.close(fd);
    const cookie = try sys.socketCookie(fd);
    lock.lock();
    defer lock.unlock();
    if (table == null) table = try .init(descriptors_most);
    const number: u32 = @intCast(fd);
    try table.?.reach(number);
    table.?.items[number] = .{ .owner = sys.threadId(), .cookie = cookie };
    return fd;
}

/// Close a socket, one of ours or not.
pub fn close(fd: sys.Fd) Error!void {
    try sys.requireSocket(fd);
    forget(fd);
    sys.close(fd);
}

/// Before it is closed: afterwards the number may be another thread's.
fn forget(fd: sys.Fd) void {
    lock.lock();
    defer lock.unlock();
    const sockets = &(table orelse return);
    if (fd < sockets.len) sockets.items[@intCast(fd)].owner = 0;
}

/// The thread that runs this is on its way out.
pub fn threadEnded() void {
    lock.lock();
    defer lock.unlock();
    const sockets = &(table orelse return);
    const me = sys.threadId();
    for (sockets.slice(), 0..) |*socket, number| {
        if (socket.owner != me) continue;
        socket.owner = 0;
        const fd: sys.Fd = @intCast(number);
        const present = sys.socketCookie(fd) catch continue;
        if (present == socket.cookie) sys.close(fd);
    }
}

test "the sockets of a thread that ends are closed, and nothing else that has their numbers" {
    const Sockets = struct {
        kept: sys.Fd = -1,
        closed: sys.Fd = -1,
        replaced: sys.Fd = -1,

        fn run(fds: *@This()) !void {
            const any = try sys.Address.parse("127.0.0.1", 0);
            for ([_]*sys.Fd{ &fds.kept, &fds.closed, &fds.replaced }) |fd| fd.* = try keep(try sys.tcpListen(&any, 1));
            try close(fds.closed);
            const other = try sys.tcpListen(&any, 1);
            defer if (other != fds.closed) sys.close(other);
            if (other != fds.closed) try sys.dup3(other, fds.closed);
            try sys.dup3(other, fds.replaced);
            threadEnded();
        }
    };
    var fds: Sockets = .{};
    const thread = try std.Thread.spawn(.{}, Sockets.run, .{&fds});
    thread.join();
    defer for ([_]sys.Fd{ fds.closed, fds.replaced }) |fd| sys.close(fd);
    try std.testing.expect(!sys.isOpen(fds.kept));
    try std.testing.expect(sys.isOpen(fds.closed));
    try std.testing.expect(sys.isOpen(fds.replaced));
}
