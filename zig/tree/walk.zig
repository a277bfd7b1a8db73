//! A walk along a path, part by part and through symbolic links, so that each directory on the way is known, and
//! each link.

const std = @import("std");
const sys = @import("../sys/linux.zig");
const directories = @import("../sys/directory.zig");
const Error = @import("../errors.zig").Error;
const name_most = @import("nodes.zig").name_most;

/// PATH_MAX.
const path_most = 4096;
/// As many as the kernel goes through.
const links_most = 40;

pub const Walk = struct {
    /// The directory that was reached.
    at: sys.Fd,
    /// What is left of the path: the end of this.
    text: [2 * path_most]u8 = undefined,
    start: usize = 2 * path_most,
    name: [name_most + 1]u8 = undefined,
    links: u32 = 0,

    /// From the top. `path`: absolute.
    pub fn begin(walk: *Walk, path: []const u8) Error!void {
        walk.* = .{ .at = try openTop() };
        errdefer walk.end();
        try walk.prepend(path);
    }

    pub fn end(walk: *Walk) void {
        sys.close(walk.at);
    }

    /// The next part, good until the one after it; null: there is none.
    pub fn next(walk: *Walk) Error!?[:0]const u8 {
        const rest = std.mem.trimStart(u8, walk.text[walk.start..], "/");
        if (rest.len == 0) return null;
        const length = std.mem.findScalar(u8, rest, '/') orelse rest.len;
        if (length > name_most) return error.NAMETOOLONG;
        @memcpy(walk.name[0..length], rest[0..length]);
        walk.name[length] = 0;
        walk.start = walk.text.len - rest.len + length;
        return walk.name[0..length :0];
    }

    pub fn isOver(walk: *const Walk) bool {
        return std.mem.trimStart(u8, walk.text[walk.start..], "/").len == 0;
    }

    /// The part was a directory, which is closed with the walk.
    pub fn enter(walk: *Walk, fd: sys.Fd) void {
        sys.close(walk.at);
        walk.at = fd;
    }

    /// The part was a link.
    pub fn follow(walk: *Walk, name: [:0]const u8) Error!void {
        walk.links += 1;
        if (walk.links > links_most) return error.LOOP;
        var buffer: [path_most]u8 = undefined;
        const target = try directories.readLink(walk.at, name, &buffer);
        if (target.len > 0 and target[0] == '/') walk.enter(try openTop());
        try walk.prepend(target);
    }

    fn prepend(walk: *Walk, path: []const u8) Error!void {
        if (path.len + 1 > walk.start) return error.NAMETOOLONG;
        walk.start -= path.len + 1;
        @memcpy(walk.text[walk.start..][0..path.len], path);
        walk.text[walk.start + path.len] = '/';
    }
};

fn openTop() Error!sys.Fd {
    return directories.openPath(directories.AT_FDCWD, "/", false);
}
