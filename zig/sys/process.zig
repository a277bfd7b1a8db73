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
