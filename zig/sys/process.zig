//! Process descriptors and how processes ended.

const std = @import("std");
const linux = std.os.linux;
const sys = @import("linux.zig");
const Fd = sys.Fd;
const Error = sys.Error;
const arg = sys.arg;

/// A descriptor of a process, close-on-exec, readable when the process has ended. ESRCH: no such
/// process. EINVAL: not the number of a process but of one of its threads.
pub fn open(pid: u32) Error!Fd {
    return @intCast(try sys.result(.pidfd, linux.syscall2(.pidfd_open, pid, 0)));
}

/// The wait status of a child that has ended, and the child is left for its parent to reap. Null:
/// it goes on. ECHILD: not our child, or reaped.
pub fn peek(fd: Fd) Error!?u32 {
    const P_PIDFD = 3;
    const WNOHANG_WEXITED_WNOWAIT_WALL = 1 | 4 | 0x0100_0000 | 0x4000_0000;
    var info: [128]u8 align(8) = @splat(0);
    _ = try sys.result(.waitid, linux.syscall5(.waitid, P_PIDFD, arg(fd), arg(&info), WNOHANG_WEXITED_WNOWAIT_WALL, 0));
    const code = std.mem.readInt(i32, info[8..12], .little);
    const pid = std.mem.readInt(i32, info[16..20], .little);
    const status = std.mem.readInt(u32, info[24..28], .little);
    if (pid == 0) return null;
    const CLD_EXITED = 1;
    const CLD_KILLED = 2;
    const CLD_DUMPED = 3;
    return switch (code) {
        CLD_EXITED => (status & 0xff) << 8,
        CLD_KILLED => status & 0x7f,
        CLD_DUMPED => status & 0x7f | 0x80,
        else => null,
    };
}

/// The wait status of a process that was reaped, which Linux 6.15 and later remember as long as a
/// descriptor of it is open.
pub fn remembered(fd: Fd) ?u32 {
    const Info = extern struct { mask: u64, cgroup: u64, ids: [11]u32, exit_code: u32 };
    const PIDFD_GET_INFO: u32 = 3 << 30 | @sizeOf(Info) << 16 | 0xff << 8 | 11;
    const PIDFD_INFO_EXIT = 1 << 3;
    var info = std.mem.zeroes(Info);
    info.mask = PIDFD_INFO_EXIT;
    _ = sys.result(.pidfd, linux.syscall3(.ioctl, arg(fd), PIDFD_GET_INFO, arg(&info))) catch return null;
    return if (info.mask & PIDFD_INFO_EXIT != 0) info.exit_code else null;
}

/// The wait status of a process that has ended and that its parent, who is not us, has not reaped: the
/// last field of its line in /proc. Null: not to be had, or not ours to know.
pub fn zombie(fd: Fd, pid: u32) ?u32 {
    var buffer: [1024]u8 = undefined;
    const line = readOf(&buffer, pid, "stat") orelse return null;
    const status = statusIn(line) orelse return null;
    // The kernel says 0 to whoever may not know. May we, then this is a link that we can read.
    var path: [64]u8 = undefined;
    var target: [64]u8 = undefined;
    const link = pathOf(&path, pid, "ns/user");
    _ = sys.result(.read, linux.syscall4(.readlinkat, arg(AT_FDCWD), arg(link), arg(&target), target.len)) catch return null;
    // Not reaped until now, so the number was its own all the time.
    const SIGNAL_NONE = 0;
    _ = sys.result(.pidfd, linux.syscall4(.pidfd_send_signal, arg(fd), SIGNAL_NONE, 0, 0)) catch |err| {
        if (err != error.PERM) return null;
    };
    return status;
}

const AT_FDCWD = -100;

fn pathOf(buffer: *[64]u8, pid: u32, file: []const u8) [*:0]const u8 {
    return std.fmt.bufPrintSentinel(buffer, "/proc/{d}/{s}", .{ pid, file }, 0) catch unreachable;
}

fn readOf(buffer: []u8, pid: u32, file: []const u8) ?[]const u8 {
    const O_RDONLY_CLOEXEC = 0o2000000;
    var path: [64]u8 = undefined;
    const fd: Fd = @intCast(sys.result(.read, linux.syscall4(.openat, arg(AT_FDCWD), arg(pathOf(&path, pid, file)), O_RDONLY_CLOEXEC, 0)) catch return null);
    defer sys.close(fd);
    return buffer[0 .. sys.read(fd, buffer) catch return null];
}

/// The fields follow the name, which is in parentheses and may contain anything.
fn statusIn(line: []const u8) ?u32 {
    const name_end = std.mem.lastIndexOfScalar(u8, line, ')') orelse return null;
    const fields = std.mem.trim(u8, line[name_end + 1 ..], " \n");
    if (fields.len == 0 or fields[0] != 'Z') return null;
    const last = std.mem.lastIndexOfScalar(u8, fields, ' ') orelse return null;
    return std.fmt.parseInt(u32, fields[last + 1 ..], 10) catch null;
}

test "the status is the last field of a zombie's line, whatever it is called" {
    try std.testing.expectEqual(256, statusIn("7 (a) Z 1) Z 1 2 256\n"));
    try std.testing.expectEqual(null, statusIn("7 (Z) S 1 2 256\n"));
    try std.testing.expectEqual(null, statusIn("7 Z 1 2 256\n"));
    try std.testing.expectEqual(null, statusIn("7 (x) Z 1 2 \n-"));
    try std.testing.expectEqual(null, statusIn(""));
}
