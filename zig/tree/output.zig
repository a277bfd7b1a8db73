//! What is told and was not fetched yet: records as script gets them.

const std = @import("std");
const abi = @import("../abi.zig");
const Error = @import("../errors.zig").Error;
const pools = @import("../pool.zig");
const sys = @import("../sys/linux.zig");
const none = pools.none;
const Stat = @import("../sys/directory.zig").Stat;
const Nodes = @import("nodes.zig").Nodes;

const output_most = 1 << 30;
/// Room that is there before anything changes, so that it can be told: a record with two paths of this project's
/// longest names, many deep.
pub const headroom = 64 * 1024;

/// A name in a directory, known or not. `parent` none: the root itself.
pub const Place = struct {
    parent: u32,
    name: []const u8,

    pub fn of(nodes: *const Nodes, index: u32) Place {
        return .{ .parent = nodes.at(index).parent, .name = nodes.nameOf(index) };
    }
};

/// What a record says besides the path.
pub const Saying = struct {
    tree: u32,
    kind: u32,
    flags: u32 = 0,
    inode: u64 = 0,
    size: u64 = 0,
    mtime_ns: i64 = 0,
    node: u32 = none,
    error_number: i32 = 0,
    /// What it was called before.
    old: []const u8 = "",

    pub fn see(saying: *Saying, stat: Stat) void {
        saying.flags |= abi.TreeFlag.KEVENT_TREE_SEEN;
        saying.inode = stat.inode;
        saying.size = stat.size;
        saying.mtime_ns = stat.mtime_ns;
    }
};

pub const Output = struct {
    memory: pools.Array(u8),
    start: u32 = 0,
    end: u32 = 0,

    pub fn init() Error!Output {
        return .{ .memory = try .init(output_most) };
    }

    pub fn deinit(output: *Output) void {
        output.memory.deinit();
    }

    pub fn waiting(output: *const Output) u32 {
        return output.end - output.start;
    }

    /// Room for what the next step tells.
    pub fn prepare(output: *Output) Error!void {
        if (output.start > kept and output.start >= output.waiting()) {
            std.mem.copyForwards(u8, output.memory.items[0..output.waiting()], output.memory.items[output.start..output.end]);
            output.end = output.waiting();
            output.start = 0;
        }
        try output.memory.reach(output.end + headroom);
    }

    /// Add a record. `alone`: the tree is one file, and has no path but the root's.
    pub fn tell(output: *Output, nodes: *const Nodes, saying: Saying, place: Place, alone: bool) Error!void {
        const path_bytes: u32 = if (alone) 0 else lengthOf(nodes, place);
        const old_bytes: u32 = if (alone) 0 else @intCast(saying.old.len);
        const size = std.mem.alignForward(u32, @sizeOf(abi.TreeRecord) + path_bytes + old_bytes, 8);
        try output.memory.reach(output.end + size - 1);
        const record: *abi.TreeRecord = @ptrCast(@alignCast(output.memory.items + output.end));
        record.* = .{
            .bytes = size,
            .tree = saying.tree,
            .kind = saying.kind,
            .flags = saying.flags,
            .inode = saying.inode,
            .size = saying.size,
            .mtime_ns = saying.mtime_ns,
            .node = saying.node,
            .error_number = saying.error_number,
            .path_bytes = path_bytes,
            .old_bytes = old_bytes,
        };
        const text = (output.memory.items + output.end)[@sizeOf(abi.TreeRecord)..size];
        if (path_bytes > 0) write(nodes, place, text[0..path_bytes]);
        @memcpy(text[path_bytes..][0..old_bytes], saying.old[0..old_bytes]);
        output.end += size;
    }

    /// Move whole records into a buffer. MSGSIZE: not even the first one fits.
    pub fn fetch(output: *Output, buffer: []u8) Error!u32 {
        var bytes: u32 = 0;
        while (output.start + bytes < output.end) {
            const record: *const abi.TreeRecord = @ptrCast(@alignCast(output.memory.items + output.start + bytes));
            if (bytes + record.bytes > buffer.len) break;
            bytes += record.bytes;
        }
        if (bytes == 0 and output.waiting() > 0) return error.MSGSIZE;
        @memcpy(buffer[0..bytes], output.memory.items[output.start..][0..bytes]);
        output.start += bytes;
        if (output.start == output.end) output.clear();
        return bytes;
    }

    /// An emptied output keeps this much memory.
    const kept = 1 << 20;

    fn clear(output: *Output) void {
        if (output.end > kept) sys.forgetMemory(@alignCast(output.memory.items[kept..output.end]));
        output.start = 0;
        output.end = 0;
    }
};

/// Bytes of the path from the root.
pub fn lengthOf(nodes: *const Nodes, place: Place) u32 {
    if (place.parent == none) return 0;
    var length: u32 = @intCast(place.name.len);
    var at = place.parent;
    while (nodes.at(at).parent != none) : (at = nodes.at(at).parent) {
        length += @intCast(nodes.nameOf(at).len + 1);
    }
    return length;
}

/// The path from the root, into exactly as many bytes, from its end on.
pub fn write(nodes: *const Nodes, place: Place, text: []u8) void {
    if (place.parent == none) return;
    var end = text.len - place.name.len;
    @memcpy(text[end..], place.name);
    var at = place.parent;
    while (nodes.at(at).parent != none) : (at = nodes.at(at).parent) {
        const name = nodes.nameOf(at);
        end -= 1;
        text[end] = '/';
        end -= name.len;
        @memcpy(text[end..][0..name.len], name);
    }
}

test "records come out whole, in order, with the paths of their nodes" {
    var nodes: Nodes = try .init();
    defer nodes.deinit();
    const root = try nodes.insert(0, none, "", .directory);
    const directory = try nodes.insert(0, root, "dir", .directory);
    var output: Output = try .init();
    defer output.deinit();
    try output.tell(&nodes, .{ .tree = 1, .kind = 2, .old = "before" }, .{ .parent = directory, .name = "file" }, false);
    try output.tell(&nodes, .{ .tree = 1, .kind = 3 }, .of(&nodes, root), false);
    var buffer: [256]u8 align(8) = undefined;
    try std.testing.expectError(error.MSGSIZE, output.fetch(buffer[0..16]));
    const first = try output.fetch(buffer[0..80]);
    const record: *const abi.TreeRecord = @ptrCast(&buffer);
    try std.testing.expectEqual(first, record.bytes);
    try std.testing.expectEqualStrings("dir/filebefore", buffer[@sizeOf(abi.TreeRecord)..][0..14]);
    try std.testing.expectEqual(@sizeOf(abi.TreeRecord), try output.fetch(&buffer));
    try std.testing.expectEqual(0, try output.fetch(&buffer));
}
