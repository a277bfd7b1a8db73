//! The name area: names that do not fit into a record, in a second piece of script memory, used
//! around in a circle. A name stays until its record is committed; without a ring until the next
//! collect. Like the ring it is only written here, never read.

const std = @import("std");
const abi = @import("abi.zig");
const pools = @import("pool.zig");
const Error = @import("errors.zig").Error;

pub const Names = struct {
    memory: [*]u8 = undefined,
    bytes: u32 = 0,
    /// Bytes used and freed since the start, skipped ends of the area included.
    head: u64 = 0,
    tail: u64 = 0,
    /// For each ring slot: `head` when its record was published.
    ends: ?pools.Array(u64) = null,

    /// `entries` is that of the ring, 0 without one.
    pub fn init(memory: [*]u8, bytes: u32, entries: u32) Error!Names {
        if (@intFromPtr(memory) % 4 != 0) return error.INVAL;
        if (bytes < longest or bytes % 4 != 0) return error.INVAL;
        var names: Names = .{ .memory = memory, .bytes = bytes };
        if (entries > 0) {
            var ends: pools.Array(u64) = try .init(entries);
            errdefer ends.deinit();
            try ends.reach(entries - 1);
            names.ends = ends;
        }
        return names;
    }

    /// The longest name (NAME_MAX) with its length, so that an empty area takes any name.
    pub const longest = std.mem.alignForward(u32, @sizeOf(u32) + 255, 4);

    pub fn deinit(names: *Names) void {
        if (names.ends) |*ends| ends.deinit();
        names.* = undefined;
    }

    /// Store a name; its offset, or null when the area has no room now. Without an area at all the
    /// record says that it has no name.
    pub fn put(names: *Names, name: []const u8) ?u32 {
        if (names.bytes == 0 or name.len == 0) return abi.no_name;
        const size: u32 = @intCast(std.mem.alignForward(usize, @sizeOf(u32) + name.len, 4));
        if (size > names.bytes) return abi.no_name;
        if (names.head == names.tail) names.rewind();
        const at: u32 = @intCast(names.head % names.bytes);
        // A name is in one piece: what does not fit before the end starts at 0 again.
        const skip = if (at + size > names.bytes) names.bytes - at else 0;
        if (names.head + skip + size - names.tail > names.bytes) return null;
        const offset = if (skip > 0) 0 else at;
        const length: u32 = @intCast(name.len);
        @memcpy(names.memory[offset..][0..4], std.mem.asBytes(&length));
        @memcpy(names.memory[offset + 4 ..][0..name.len], name);
        names.head += skip + size;
        return offset;
    }

    /// An empty area starts at 0, so that its whole length takes the next name.
    fn rewind(names: *Names) void {
        names.head = (std.math.divCeil(u64, names.head, names.bytes) catch unreachable) * names.bytes;
        names.tail = names.head;
    }

    /// A record went into this ring slot: it holds all names so far.
    pub fn published(names: *Names, slot: u32) void {
        if (names.ends) |*ends| ends.items[slot] = names.head;
    }

    /// The ring slots up to and with this one were committed.
    pub fn committed(names: *Names, slot: u32) void {
        if (names.ends) |*ends| names.tail = @max(names.tail, ends.items[slot]);
    }

    /// Free all: the collect call of a queue without a ring.
    pub fn reset(names: *Names) void {
        names.tail = names.head;
    }
};

test "names go around, in one piece, and none is overwritten before its record is committed" {
    var memory: [Names.longest + 4]u8 align(4) = undefined;
    var names: Names = try .init(&memory, memory.len, 8);
    defer names.deinit();
    const long: [200]u8 = @splat('x');
    const first = names.put(&long).?;
    names.published(0);
    try std.testing.expectEqual(0, first);
    try std.testing.expectEqual(null, names.put(&long));
    const second = names.put("abc").?;
    names.published(1);
    try std.testing.expectEqual(204, second);
    names.committed(0);
    try std.testing.expectEqual(0, names.put(long[0..190]).?);
    try std.testing.expectEqualStrings("abc", memory[208..211]);
    try std.testing.expectEqual(null, names.put("0123456789"));
}

test "a queue without a name area hands out events without names" {
    var names: Names = .{};
    try std.testing.expectEqual(abi.no_name, names.put("a").?);
}
