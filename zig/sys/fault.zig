//! Fault injection around `linux.zig`, in tests only: "the next call of this kind fails with that
//! error". It is how the paths for EMFILE, ENOMEM, ENOSYS and EINTR are reached.

const Error = @import("../errors.zig").Error;

pub const Call = enum {
    read,
    write,
    fcntl,
    statx,
    dup3,
    eventfd,
    timerfd,
    epoll_create,
    epoll_ctl,
    epoll_wait,
    poll,
    socketpair,
    getsockopt,
    mmap,
    mprotect,
    futex,
    io_uring_setup,
    io_uring_enter,
    io_uring_register,
    inotify,
    pidfd,
    waitid,
    sigaction,
    clone,
    accept,
    socket,
    openat,
    getdents,
};

/// Whether calls of this kind give a descriptor, or nothing that could be taken for one.
pub fn opens(call: Call) bool {
    return switch (call) {
        .eventfd, .timerfd, .epoll_create, .io_uring_setup, .openat => true,
        else => false,
    };
}

const Plan = struct { call: Call, err: Error, skip: u32 };

threadlocal var plan: ?Plan = null;

/// Let the call of this kind after `skip` more of them fail with `err`.
pub fn arrange(call: Call, skip: u32, err: Error) void {
    plan = .{ .call = call, .err = err, .skip = skip };
}

/// Forget an arranged fault. True if it was still waiting, which means that the test missed it.
pub fn cancel() bool {
    defer plan = null;
    return plan != null;
}

pub fn inject(call: Call) ?Error {
    const current = if (plan) |*p| p else return null;
    if (current.call != call) return null;
    if (current.skip > 0) {
        current.skip -= 1;
        return null;
    }
    defer plan = null;
    return current.err;
}
