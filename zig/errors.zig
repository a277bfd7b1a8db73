//! One list of every error that crosses the border: number, name, message. Numbers are those of
//! Linux, the same on all targets we build for, and never change.

const std = @import("std");

pub const Entry = struct {
    number: u16,
    name: [:0]const u8,
    /// What went wrong and what to do, in words a script's author understands.
    message: [:0]const u8,
};

pub const list = [_]Entry{
    .{ .number = 1, .name = "EPERM", .message = "not allowed here: a queue made for a single thread is driven by the thread that made it" },
    .{ .number = 2, .name = "ENOENT", .message = "no registration or file matches: id and user must both be those of the add" },
    .{ .number = 3, .name = "ESRCH", .message = "no such process" },
    .{ .number = 4, .name = "EINTR", .message = "interrupted: call again" },
    .{ .number = 9, .name = "EBADF", .message = "not an open queue or descriptor" },
    .{ .number = 10, .name = "ECHILD", .message = "not a child of this process, or reaped already" },
    .{ .number = 11, .name = "EAGAIN", .message = "nothing there yet: wait for readiness and call again" },
    .{ .number = 12, .name = "ENOMEM", .message = "out of memory, or of the address space that is allowed (ulimit -v)" },
    .{ .number = 13, .name = "EACCES", .message = "permission denied" },
    .{ .number = 14, .name = "EFAULT", .message = "a required buffer is missing" },
    .{ .number = 16, .name = "EBUSY", .message = "in use: another call is inside" },
    .{ .number = 17, .name = "EEXIST", .message = "already registered: the pair of id and user must be unique" },
    .{ .number = 19, .name = "ENODEV", .message = "the ring memory and the library disagree" },
    .{ .number = 20, .name = "ENOTDIR", .message = "not a directory" },
    .{ .number = 22, .name = "EINVAL", .message = "invalid argument: see the call's table of fields" },
    .{ .number = 23, .name = "ENFILE", .message = "the system has no free descriptors" },
    .{ .number = 24, .name = "EMFILE", .message = "this process has no free descriptors: close some or raise the limit" },
    .{ .number = 28, .name = "ENOSPC", .message = "a limit is reached (watches, queues or subscribers): raise it or remove some" },
    .{ .number = 32, .name = "EPIPE", .message = "the other end is closed" },
    .{ .number = 34, .name = "ERANGE", .message = "number out of range" },
    .{ .number = 36, .name = "ENAMETOOLONG", .message = "name too long" },
    .{ .number = 38, .name = "ENOSYS", .message = "the kernel does not offer this call" },
    .{ .number = 40, .name = "ELOOP", .message = "too many symbolic links" },
    .{ .number = 75, .name = "EOVERFLOW", .message = "value too large" },
    .{ .number = 88, .name = "ENOTSOCK", .message = "not a socket" },
    .{ .number = 90, .name = "EMSGSIZE", .message = "the buffer is too small for what comes next: give a larger one" },
    .{ .number = 95, .name = "ENOTSUP", .message = "this type of event is unknown to this build" },
    .{ .number = 97, .name = "EAFNOSUPPORT", .message = "this system has no such kind of address (IPv6 switched off?)" },
    .{ .number = 98, .name = "EADDRINUSE", .message = "address already in use" },
    .{ .number = 99, .name = "EADDRNOTAVAIL", .message = "address not available" },
    .{ .number = 101, .name = "ENETUNREACH", .message = "no route to that network" },
    .{ .number = 103, .name = "ECONNABORTED", .message = "the peer gave up before it was accepted" },
    .{ .number = 104, .name = "ECONNRESET", .message = "connection reset by peer" },
    .{ .number = 106, .name = "EISCONN", .message = "already connected" },
    .{ .number = 107, .name = "ENOTCONN", .message = "not connected" },
    .{ .number = 110, .name = "ETIMEDOUT", .message = "timed out" },
    .{ .number = 111, .name = "ECONNREFUSED", .message = "connection refused" },
    .{ .number = 113, .name = "EHOSTUNREACH", .message = "no route to that host" },
    .{ .number = 115, .name = "EINPROGRESS", .message = "in progress: wait until writable" },
    .{ .number = 116, .name = "ESTALE", .message = "the file system lost it: open it again" },
    .{ .number = 125, .name = "ECANCELED", .message = "cancelled" },
};

/// What goes wrong inside. Every name is an errno of `list`; `Unexpected` covers all others.
pub const Error = error{
    PERM,
    NOENT,
    SRCH,
    INTR,
    BADF,
    CHILD,
    AGAIN,
    NOMEM,
    ACCES,
    FAULT,
    BUSY,
    EXIST,
    NODEV,
    NOTDIR,
    INVAL,
    NFILE,
    MFILE,
    NOSPC,
    PIPE,
    RANGE,
    NAMETOOLONG,
    NOSYS,
    LOOP,
    OVERFLOW,
    NOTSOCK,
    MSGSIZE,
    NOTSUP,
    AFNOSUPPORT,
    ADDRINUSE,
    ADDRNOTAVAIL,
    NETUNREACH,
    CONNABORTED,
    CONNRESET,
    ISCONN,
    NOTCONN,
    TIMEDOUT,
    CONNREFUSED,
    HOSTUNREACH,
    INPROGRESS,
    STALE,
    CANCELED,
};

/// errno of an error.
pub fn number(err: Error) u16 {
    const all = @typeInfo(Error).error_set.error_names.?;
    inline for (all) |name| {
        if (err == @field(Error, name)) return comptime numberOf("E" ++ name);
    }
    unreachable;
}

fn numberOf(comptime name: []const u8) u16 {
    @setEvalBranchQuota(100_000);
    for (list) |entry| {
        if (std.mem.eql(u8, entry.name, name)) return entry.number;
    }
    @compileError("not in the list: " ++ name);
}

/// Error of an errno that a system call gave. Numbers outside the list become INVAL: a caller
/// could not act on them differently.
pub fn fromNumber(errno: u32) Error {
    inline for (@typeInfo(Error).error_set.error_names.?) |name| {
        if (errno == comptime numberOf("E" ++ name)) return @field(Error, name);
    }
    return error.INVAL;
}

/// The negative errno that goes over the border.
pub fn negative(err: Error) i32 {
    return -@as(i32, number(err));
}

test "each error has one number and one entry, and goes there and back" {
    @setEvalBranchQuota(200_000);
    inline for (@typeInfo(Error).error_set.error_names.?) |name| {
        const err = @field(Error, name);
        try std.testing.expectEqual(err, fromNumber(number(err)));
    }
    for (list, 0..) |entry, index| {
        for (list[index + 1 ..]) |other| try std.testing.expect(entry.number != other.number);
    }
}
