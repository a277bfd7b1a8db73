//! Growing arrays that never move: address space for the most there can be is reserved once and
//! costs nothing; memory is added behind it as the array grows. So growth copies nothing, pointers
//! stay valid while other threads look, and a million registrations cause no pause.

const std = @import("std");
const assert = std.debug.assert;
const sys = @import("sys/linux.zig");
const Error = @import("errors.zig").Error;

/// "No entry" wherever an index is kept.
pub const none: u32 = std.math.maxInt(u32);

/// Memory is added in steps of this size: small enough for a queue of ten timers, large enough
/// that the system call does not show.
const step_bytes = 64 * 1024;

/// Arrays larger than this grow by as much, in huge pages: a million registrations visited in random
/// order otherwise wait for the translation of addresses more than for the memory.
const huge_bytes = 2 * 1024 * 1024;

/// Where address space is limited (`ulimit -v`) an array reserves no more than one of so many parts of it: a
/// queue has a dozen arrays, and others need some as well.
const limit_parts = 1024;

/// Where less of it than wanted can be had, this many must suffice.
const least_items = 1024;

pub fn Array(comptime T: type) type {
    return struct {
        const Self = @This();

        items: [*]T,
        /// Usable items; all of them zeroed before their first use.
        len: u32,
        reserved: u32,
        committed_bytes: usize = 0,

        pub fn init(most: u32) Error!Self {
            var wanted = @min(most, allowed());
            while (true) : (wanted /= 2) {
                const memory = sys.reserveMemory(bytesOf(wanted)) catch |err| {
                    if (wanted / 2 < least_items) return err;
                    continue;
                };
                return .{ .items = @ptrCast(@alignCast(memory)), .len = 0, .reserved = wanted };
            }
        }

        fn allowed() u32 {
            const limit = sys.addressSpaceLimit() orelse return std.math.maxInt(u32);
            return @max(least_items, std.math.lossyCast(u32, limit / limit_parts / @sizeOf(T)));
        }

        pub fn deinit(self: *Self) void {
            sys.unmapMemory(self.base()[0..bytesOf(self.reserved)]);
            self.* = undefined;
        }

        /// Make `index` usable.
        pub fn reach(self: *Self, index: u32) Error!void {
            if (index < self.len) return;
            if (index >= self.reserved) return error.NOSPC;
            const old = self.committed_bytes;
            const new = self.roundUp((@as(usize, index) + 1) * @sizeOf(T));
            if (old < huge_bytes and new >= huge_bytes) sys.preferHugePages(self.base()[0..bytesOf(self.reserved)]);
            try sys.commitMemory(@alignCast(self.base()[old..new]));
            self.committed_bytes = new;
            self.len = @intCast(@min(new / @sizeOf(T), self.reserved));
        }

        /// To whole steps; large arrays up to where a huge page ends.
        fn roundUp(self: *const Self, needed: usize) usize {
            const start = @intFromPtr(self.items);
            const rounded = if (needed < huge_bytes)
                std.mem.alignForward(usize, needed, step_bytes)
            else
                std.mem.alignForward(usize, start + needed, huge_bytes) - start;
            return @min(rounded, bytesOf(self.reserved));
        }

        fn base(self: *const Self) [*]align(sys.page_bytes) u8 {
            return @ptrCast(@alignCast(self.items));
        }

        fn bytesOf(items: u32) usize {
            return std.mem.alignForward(usize, @as(usize, items) * @sizeOf(T), sys.page_bytes);
        }

        pub fn slice(self: *const Self) []T {
            return self.items[0..self.len];
        }
    };
}

/// Records that come and go. A free one links to the next through `T.free_link`, the name of a
/// u32 field.
pub fn Pool(comptime T: type) type {
    return struct {
        const Self = @This();

        array: Array(T),
        /// Items that were handed out at least once.
        used: u32 = 0,
        free: u32 = none,
        count: u32 = 0,

        pub fn init(most: u32) Error!Self {
            return .{ .array = try .init(most) };
        }

        pub fn deinit(self: *Self) void {
            self.array.deinit();
            self.* = undefined;
        }

        pub inline fn at(self: *const Self, index: u32) *T {
            assert(index < self.used);
            return &self.array.items[index];
        }

        /// A record in an undefined state.
        pub fn create(self: *Self) Error!u32 {
            if (self.free != none) {
                const index = self.free;
                self.free = @field(self.array.items[index], T.free_link);
                self.count += 1;
                return index;
            }
            try self.array.reach(self.used);
            self.used += 1;
            self.count += 1;
            return self.used - 1;
        }

        pub fn destroy(self: *Self, index: u32) void {
            @field(self.array.items[index], T.free_link) = self.free;
            self.free = index;
            self.count -= 1;
        }
    };
}

test "an array grows without moving and refuses what is beyond its reservation" {
    var array: Array(u32) = try .init(40_000);
    defer array.deinit();
    try array.reach(0);
    const first = &array.items[0];
    first.* = 7;
    try array.reach(39_999);
    try std.testing.expectEqual(first, &array.items[0]);
    try std.testing.expectEqual(7, array.items[0]);
    try std.testing.expectEqual(0, array.items[39_999]);
    try std.testing.expectError(error.NOSPC, array.reach(40_000));
}

test "where address space is limited an array reserves a small part of it" {
    const before = sys.addressSpaceLimit();
    try sys.limitAddressSpace(1 << 40);
    defer sys.limitAddressSpace(before) catch unreachable;
    var large: Array(u64) = try .init(1 << 28);
    defer large.deinit();
    try std.testing.expectEqual(1 << 27, large.reserved);
    // It need not be all that is allowed.
    var small: Array(u64) = try .init(1 << 20);
    defer small.deinit();
    try std.testing.expectEqual(1 << 20, small.reserved);
}

test "growth that the system refuses leaves the array as it was" {
    var array: Array([100]u8) = try .init(100_000);
    defer array.deinit();
    try array.reach(10);
    const len = array.len;
    sys.fault.arrange(.mprotect, 0, error.NOMEM);
    try std.testing.expectError(error.NOMEM, array.reach(50_000));
    try std.testing.expectEqual(len, array.len);
    try array.reach(50_000);
    array.items[50_000][99] = 1;
}

test "a pool gives freed records out again" {
    const Item = struct {
        pub const free_link = "link";
        link: u32,
    };
    var pool: Pool(Item) = try .init(1024);
    defer pool.deinit();
    const a = try pool.create();
    const b = try pool.create();
    try std.testing.expect(a != b);
    pool.destroy(a);
    try std.testing.expectEqual(a, try pool.create());
    try std.testing.expectEqual(2, pool.count);
}
