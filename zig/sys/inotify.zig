//! inotify(7), as far as the hub of `inotify/hub.zig` needs it.

const std = @import("std");
const linux = std.os.linux;
const sys = @import("linux.zig");
const Fd = sys.Fd;
const Error = sys.Error;
const arg = sys.arg;

/// Add to the mask of a watch that is there instead of replacing it.
pub const MASK_ADD: u32 = 0x2000_0000;

/// What precedes the name of each event in a read.
pub const Header = extern struct {
    wd: i32,
    mask: u32,
    cookie: u32,
    /// Of the name with the zeros that fill it up.
    name_bytes: u32,
};

pub fn open() Error!Fd {
    const IN_NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;
    return @intCast(try sys.result(.inotify, linux.syscall1(.inotify_init1, IN_NONBLOCK_CLOEXEC)));
}

/// The watch of the inode at a path, made or changed.
pub fn add(fd: Fd, path: [*:0]const u8, mask: u32) Error!i32 {
    return @intCast(try sys.result(.inotify, linux.syscall3(.inotify_add_watch, arg(fd), arg(path), mask)));
}

/// EINVAL means that the kernel was first, because the inode went away.
pub fn remove(fd: Fd, wd: i32) void {
    _ = linux.syscall2(.inotify_rm_watch, arg(fd), arg(wd));
}

/// A descriptor that holds an inode and nothing else.
pub fn openPath(path: [*:0]const u8, follow: bool) Error!Fd {
    const AT_FDCWD = -100;
    const O_PATH_CLOEXEC: u32 = 0o10000000 | 0o2000000;
    const O_NOFOLLOW: u32 = if (@import("builtin").cpu.arch == .aarch64) 0o100000 else 0o400000;
    const flags = O_PATH_CLOEXEC | if (follow) 0 else O_NOFOLLOW;
    return @intCast(try sys.result(.inotify, linux.syscall4(.openat, arg(AT_FDCWD), arg(path), flags, 0)));
}
