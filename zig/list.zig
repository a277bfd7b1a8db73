//! Doubly linked lists of pool indexes, linked through named fields of the record.

const std = @import("std");
const assert = std.debug.assert;
const none = @import("pool.zig").none;

pub fn List(comptime T: type, comptime previous: []const u8, comptime next: []const u8) type {
    return struct {
        const Self = @This();

        head: u32 = none,
        tail: u32 = none,

        pub fn append(list: *Self, items: [*]T, index: u32) void {
            @field(items[index], previous) = list.tail;
            @field(items[index], next) = none;
            if (list.tail == none) list.head = index else @field(items[list.tail], next) = index;
            list.tail = index;
        }

        pub fn prepend(list: *Self, items: [*]T, index: u32) void {
            @field(items[index], previous) = none;
            @field(items[index], next) = list.head;
            if (list.head == none) list.tail = index else @field(items[list.head], previous) = index;
            list.head = index;
        }

        pub fn remove(list: *Self, items: [*]T, index: u32) void {
            const before = @field(items[index], previous);
            const after = @field(items[index], next);
            if (before == none) {
                assert(list.head == index);
                list.head = after;
            } else @field(items[before], next) = after;
            if (after == none) {
                assert(list.tail == index);
                list.tail = before;
            } else @field(items[after], previous) = before;
        }
    };
}

test "append, prepend and remove keep both directions in step" {
    const Item = struct { p: u32 = none, n: u32 = none };
    var items: [4]Item = @splat(.{});
    var list: List(Item, "p", "n") = .{};
    list.append(&items, 1);
    list.append(&items, 2);
    list.prepend(&items, 0);
    list.remove(&items, 1);
    try std.testing.expectEqual(0, list.head);
    try std.testing.expectEqual(2, list.tail);
    try std.testing.expectEqual(2, items[0].n);
    try std.testing.expectEqual(0, items[2].p);
    list.remove(&items, 0);
    list.remove(&items, 2);
    try std.testing.expectEqual(none, list.head);
    try std.testing.expectEqual(none, list.tail);
}
