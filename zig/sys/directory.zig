//! Directories and what is in them: open, list, look.

const std = @import("std");
const builtin = @import("builtin");
const linux = std.os.linux;
const sys = @import("linux.zig");
const Fd = sys.Fd;
const Error = sys.Error;
const arg = sys.arg;

pub const AT_FDCWD: Fd = -100;

const O_CLOEXEC: u32 = 0o2000000;
const O_PATH: u32 = 0o10000000;
// aarch64 has kept the numbers of ARM for these two.
const O_DIRECTORY: u32 = if (builtin.cpu.arch == .aarch64) 0o40000 else 0o200000;
const O_NOFOLLOW: u32 = if (builtin.cpu.arch == .aarch64) 0o100000 else 0o400000;

/// What a name stands for.
pub const Kind = enum(u2) { file, directory, symlink, other };

/// A directory, to be listed.
pub fn open(at: Fd, path: [*:0]const u8, follow: bool) Error!Fd {
    return openWith(at, path, O_DIRECTORY | O_CLOEXEC | sys.O_NONBLOCK | if (follow) 0 else O_NOFOLLOW);
}

/// Anything, to be looked at and watched only.
pub fn openPath(at: Fd, path: [*:0]const u8, follow: bool) Error!Fd {
    return openWith(at, path, O_PATH | O_CLOEXEC | if (follow) 0 else O_NOFOLLOW);
}

/// A file, to be read.
pub fn openFile(path: [*:0]const u8) Error!Fd {
    return openWith(AT_FDCWD, path, O_CLOEXEC | sys.O_NONBLOCK);
}

fn openWith(at: Fd, path: [*:0]const u8, flags: u32) Error!Fd {
    while (true) {
        const raw = linux.syscall4(.openat, arg(at), arg(path), flags, 0);
        return @intCast(sys.result(.openat, raw) catch |err| switch (err) {
            error.INTR => continue,
            else => return err,
        });
    }
}

pub const Stat = struct {
    kind: Kind,
    links: u32,
    device: u64,
    inode: u64,
    size: u64,
    mtime_ns: i64,
};

/// lstat(2), or stat(2), of a name.
pub fn stat(at: Fd, path: [*:0]const u8, follow: bool) Error!Stat {
    return statWith(at, path, if (follow) 0 else AT_SYMLINK_NOFOLLOW);
}

/// What a descriptor is open for.
pub fn statFd(fd: Fd) Error!Stat {
    return statWith(fd, "", AT_EMPTY_PATH);
}

const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const AT_NO_AUTOMOUNT = 0x800;
/// Type, number of links, mtime, inode and size.
const STATX_MASK = 0x1 | 0x4 | 0x40 | 0x100 | 0x200;

fn statWith(at: Fd, path: [*:0]const u8, flags: u32) Error!Stat {
    var buffer: [256]u8 align(8) = undefined;
    const raw = linux.syscall5(.statx, arg(at), arg(path), flags | AT_NO_AUTOMOUNT, STATX_MASK, arg(&buffer));
    _ = try sys.result(.statx, raw);
    const seconds = word(i64, &buffer, 112);
    return .{
        .links = word(u32, &buffer, 16),
        .kind = kindOfMode(word(u16, &buffer, 28)),
        .inode = word(u64, &buffer, 32),
        .size = word(u64, &buffer, 40),
        .mtime_ns = seconds *| std.time.ns_per_s +| word(u32, &buffer, 120),
        .device = @as(u64, word(u32, &buffer, 136)) << 32 | word(u32, &buffer, 140),
    };
}

fn word(comptime T: type, buffer: *const [256]u8, comptime at: usize) T {
    return std.mem.readInt(T, buffer[at..][0..@sizeOf(T)], .little);
}

fn kindOfMode(mode: u16) Kind {
    return switch (mode & 0o170000) {
        0o100000 => .file,
        0o040000 => .directory,
        0o120000 => .symlink,
        else => .other,
    };
}

/// A name in a directory.
pub const Entry = struct {
    name: [:0]const u8,
    inode: u64,
    /// Null where the file system does not say.
    kind: ?Kind,
};

/// The next names of an open directory; none at its end.
pub fn list(fd: Fd, buffer: []align(8) u8) Error!Listing {
    const raw = linux.syscall3(.getdents64, arg(fd), arg(buffer.ptr), arg(buffer.len));
    return .{ .bytes = buffer[0..try sys.result(.getdents, raw)] };
}

pub const Listing = struct {
    bytes: []const u8,
    at: usize = 0,

    /// Without `.` and `..`.
    pub fn next(listing: *Listing) ?Entry {
        while (listing.at < listing.bytes.len) {
            const record = listing.bytes[listing.at..];
            listing.at += std.mem.readInt(u16, record[16..18], .little);
            const name = std.mem.sliceTo(@as([*:0]const u8, @ptrCast(record[19..].ptr)), 0);
            if (isDots(name)) continue;
            return .{
                .name = name,
                .inode = std.mem.readInt(u64, record[0..8], .little),
                .kind = kindOfType(record[18]),
            };
        }
        return null;
    }
};

fn isDots(name: []const u8) bool {
    return std.mem.eql(u8, name, ".") or std.mem.eql(u8, name, "..");
}

fn kindOfType(kind: u8) ?Kind {
    return switch (kind) {
        0 => null,
        8 => .file,
        4 => .directory,
        10 => .symlink,
        else => .other,
    };
}

/// Whether the file system behind a descriptor tells of what others do to it: those of other machines and
/// of programs do not. statfs(2).
pub fn tellsEvents(fd: Fd) Error!bool {
    var buffer: [256]u8 align(8) = undefined;
    _ = try sys.result(.statx, linux.syscall2(.fstatfs, arg(fd), arg(&buffer)));
    const magic: u32 = @truncate(std.mem.readInt(u64, buffer[0..8], .little));
    return std.mem.findScalar(u32, &deaf, magic) == null;
}

const deaf = [_]u32{
    0x01021997, // 9p
    0x6969, // NFS
    0xff534d42, // CIFS
    0x517b, // SMB
    0xfe534d42, // SMB2
    0x65735546, // FUSE
    0x5346414f, // AFS
    0x00c36400, // Ceph
    0x786f4256, // VirtualBox
    0x0bd00bd0, // Lustre
};

pub const FdPath = [32]u8;

/// Where /proc has a descriptor: a link to what it is open for.
pub fn pathOfFd(buffer: *FdPath, fd: Fd) [:0]const u8 {
    return std.fmt.bufPrintSentinel(buffer, "/proc/self/fd/{d}", .{fd}, 0) catch unreachable;
}

/// The working directory.
pub fn current(buffer: []u8) Error![]const u8 {
    const length = try sys.result(.read, linux.syscall2(.getcwd, arg(buffer.ptr), arg(buffer.len)));
    return buffer[0 .. length - 1];
}

/// What a symbolic link says, or where a descriptor of /proc leads.
pub fn readLink(at: Fd, path: [*:0]const u8, buffer: []u8) Error![]const u8 {
    const raw = linux.syscall4(.readlinkat, arg(at), arg(path), arg(buffer.ptr), arg(buffer.len));
    return buffer[0..try sys.result(.read, raw)];
}

test "a listing has what was made, and a look says what it is" {
    var place: [64:0]u8 = undefined;
    const path = try std.fmt.bufPrintSentinel(&place, "/tmp/kevent-directory-{d}", .{linux.getpid()}, 0);
    _ = linux.mkdir(path, 0o700);
    const fd = try open(AT_FDCWD, path, false);
    defer {
        _ = linux.unlinkat(fd, "link", 0);
        sys.close(fd);
        _ = linux.rmdir(path);
    }
    try std.testing.expect(linux.symlinkat("nowhere", fd, "link") == 0);
    var buffer: [4096]u8 align(8) = undefined;
    var listing = try list(fd, &buffer);
    const entry = listing.next().?;
    try std.testing.expectEqualStrings("link", entry.name);
    try std.testing.expectEqual(null, listing.next());
    const seen = try stat(fd, "link", false);
    try std.testing.expectEqual(Kind.symlink, seen.kind);
    try std.testing.expectEqual(entry.inode, seen.inode);
    try std.testing.expectError(error.NOENT, stat(fd, "link", true));
    try std.testing.expectEqual(0, (try list(fd, &buffer)).bytes.len);
}
