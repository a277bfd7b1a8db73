//! Producer side of the ring, and commit. The memory belongs to the script and is only written here,
//! never read: indexes live in this struct, so whatever the script scribbles harms only its own view.

const std = @import("std");
const assert = std.debug.assert;
const abi = @import("abi.zig");
const sys = @import("sys/linux.zig");
const Error = @import("errors.zig").Error;

pub const Ring = struct {
    memory: [*]u8,
    entries: u32,
    /// Set when the memory is a file that we mapped ourselves.
    mapping: ?[]align(sys.page_bytes) u8 = null,
    /// Records since the start.
    published: u64 = 0,
    committed: u64 = 0,
    /// Slot of the next record, slot of the first one not committed, wraps of the latter.
    kidx: u32 = 0,
    uidx: u32 = 0,
    over: u64 = 0,

    /// Over memory of the script, `abi.ringBytes(entries)` long, which stays until `deinit`.
    pub fn init(memory: [*]u8, entries: u32) Error!Ring {
        if (entries == 0 or entries > abi.ring_entries_max) return error.INVAL;
        if (@intFromPtr(memory) % 8 != 0) return error.INVAL;
        const ring: Ring = .{ .memory = memory, .entries = entries };
        @memset(memory[0..@sizeOf(abi.KeventRing)], 0);
        @memset(memory[abi.ringProducerOffset(entries)..abi.ringBytes(entries)], 0);
        return ring;
    }

    /// Over a file or memfd, which other processes may read or map. S2-12.
    pub fn initFile(fd: sys.Fd, entries: u32) Error!Ring {
        if (entries == 0 or entries > abi.ring_entries_max) return error.INVAL;
        const bytes = abi.ringBytes(entries);
        // Touching a mapping beyond the end of its file is a SIGBUS, so it must be large enough.
        if (try sys.fileBytes(fd) < bytes) return error.NODEV;
        const mapping = try sys.mapFile(fd, bytes, 0);
        errdefer sys.unmapMemory(mapping);
        var ring = try init(mapping.ptr, entries);
        ring.mapping = mapping;
        return ring;
    }

    pub fn deinit(ring: *Ring) void {
        if (ring.mapping) |mapping| sys.unmapMemory(mapping);
        ring.* = undefined;
    }

    pub fn waiting(ring: *const Ring) u32 {
        return @intCast(ring.published - ring.committed);
    }

    pub fn full(ring: *const Ring) bool {
        return ring.waiting() == ring.entries;
    }

    /// Where the next record goes. `publish` makes it visible.
    pub fn slot(ring: *const Ring) *abi.Ukevent {
        assert(!ring.full());
        const offset = @sizeOf(abi.KeventRing) + @as(usize, ring.kidx) * @sizeOf(abi.Ukevent);
        return @ptrCast(@alignCast(ring.memory + offset));
    }

    /// Let readers see what was put into `slot()`.
    pub fn publish(ring: *Ring) void {
        ring.published += 1;
        ring.kidx = if (ring.kidx + 1 == ring.entries) 0 else ring.kidx + 1;
        @atomicStore(u32, &ring.header().ring_kidx, ring.kidx, .monotonic);
        @atomicStore(u32, &ring.producer().head, @truncate(ring.published), .release);
    }

    /// Free the slots before `new_uidx` of wrap `over`; how many that were. S2-44..49.
    /// A committer that comes late names a place already passed and frees nothing.
    pub fn commit(ring: *Ring, new_uidx: u32, over: u32) Error!u32 {
        if (new_uidx > ring.entries) return error.INVAL;
        const ahead: i32 = @bitCast(over -% @as(u32, @truncate(ring.over)));
        if (ahead < 0) return 0;
        const end = (ring.over + @as(u32, @intCast(ahead))) * ring.entries + new_uidx;
        if (end <= ring.committed) return 0;
        if (end > ring.published) return error.INVAL;
        const freed: u32 = @intCast(end - ring.committed);
        ring.advance(freed);
        return freed;
    }

    /// Free the next `count` slots: the form of the one reader that owns the ring.
    pub fn commitCount(ring: *Ring, count: u32) Error!void {
        if (count > ring.waiting()) return error.INVAL;
        if (count > 0) ring.advance(count);
    }

    fn advance(ring: *Ring, count: u32) void {
        ring.committed += count;
        ring.uidx = @intCast((@as(u64, ring.uidx) + count) % ring.entries);
        ring.over = ring.committed / ring.entries;
        @atomicStore(u32, &ring.header().ring_over, @truncate(ring.over), .monotonic);
        @atomicStore(u32, &ring.consumer().ring_uidx, ring.uidx, .monotonic);
        @atomicStore(u32, &ring.consumer().tail, @truncate(ring.committed), .release);
    }

    fn header(ring: *const Ring) *abi.KeventRing {
        return @ptrCast(@alignCast(ring.memory));
    }

    fn producer(ring: *const Ring) *abi.RingProducer {
        return @ptrCast(@alignCast(ring.memory + @as(usize, @intCast(abi.ringProducerOffset(ring.entries)))));
    }

    fn consumer(ring: *const Ring) *abi.RingConsumer {
        const producer_line: [*]abi.RingProducer = @ptrCast(ring.producer());
        return @ptrCast(producer_line + 1);
    }
};

fn testRing(comptime entries: u32) type {
    return struct {
        memory: [abi.ringBytes(entries)]u8 align(8) = undefined,
        ring: Ring = undefined,

        fn start(self: *@This()) !void {
            self.ring = try .init(&self.memory, entries);
        }

        fn put(self: *@This(), user: u32) void {
            var record: abi.Ukevent = .zero;
            record.user[0] = user;
            self.ring.slot().* = record;
            self.ring.publish();
        }
    };
}

test "S2-2 S2-7 the ring holds exactly its entries, and kidx is the next slot" {
    var t: testRing(3) = .{};
    try t.start();
    for (0..3) |n| {
        try std.testing.expectEqual(@as(u32, @intCast(n)), t.ring.header().ring_kidx);
        try std.testing.expect(!t.ring.full());
        t.put(@intCast(n));
    }
    try std.testing.expect(t.ring.full());
    try std.testing.expectEqual(0, t.ring.header().ring_kidx);
    try std.testing.expectEqual(3, t.ring.producer().head);
}

test "S2-8 ring_over counts the wraps of the committed index" {
    var t: testRing(2) = .{};
    try t.start();
    for (0..7) |n| {
        t.put(@intCast(n));
        try t.ring.commitCount(1);
    }
    try std.testing.expectEqual(3, t.ring.header().ring_over);
    try std.testing.expectEqual(1, t.ring.consumer().ring_uidx);
}

test "S2-45 S2-46 commit: the end is exclusive, both ways of naming a wrap are one, late frees nothing" {
    var t: testRing(4) = .{};
    try t.start();
    for (0..4) |n| t.put(@intCast(n));
    try std.testing.expectEqual(0, try t.ring.commit(0, 0));
    try std.testing.expectEqual(2, try t.ring.commit(2, 0));
    try std.testing.expectEqual(0, try t.ring.commit(1, 0));
    try std.testing.expectEqual(2, try t.ring.commit(4, 0));
    try std.testing.expectEqual(0, try t.ring.commit(0, 1));
    try std.testing.expectEqual(1, t.ring.header().ring_over);
    try std.testing.expectError(error.INVAL, t.ring.commit(1, 1));
    t.put(9);
    try std.testing.expectEqual(0, try t.ring.commit(3, 0));
    try std.testing.expectError(error.INVAL, t.ring.commit(5, 0));
    try std.testing.expectError(error.INVAL, t.ring.commit(0, 0x7fff_ffff));
    try std.testing.expectEqual(1, try t.ring.commit(1, 1));
    try std.testing.expectEqual(0, t.ring.waiting());
}

test "S2-49 whatever two committers ask in whatever order, freed slots add up to published ones" {
    // All pairs of (end, wrap) that two readers of a ring of 2 can name after 5 records.
    for (0..3) |first_end| for (0..3) |first_over| for (0..3) |second_end| for (0..3) |second_over| {
        var t: testRing(2) = .{};
        try t.start();
        var freed: u64 = 0;
        for (0..5) |n| {
            if (t.ring.full()) {
                freed += t.ring.commit(@intCast(first_end), @intCast(first_over)) catch 0;
                freed += t.ring.commit(@intCast(second_end), @intCast(second_over)) catch 0;
            }
            if (!t.ring.full()) t.put(@intCast(n));
        }
        try std.testing.expectEqual(t.ring.committed, freed);
        try std.testing.expectEqual(t.ring.published, freed + t.ring.waiting());
    };
}

test "scribbled indexes change nothing in the library" {
    var t: testRing(4) = .{};
    try t.start();
    t.put(1);
    @memset(t.memory[0..8], 0xff);
    @memset(t.memory[@intCast(abi.ringProducerOffset(4))..], 0xff);
    t.put(2);
    try std.testing.expectEqual(2, t.ring.waiting());
    try std.testing.expectEqual(2, try t.ring.commit(2, 0));
    try std.testing.expectEqual(2, t.ring.header().ring_kidx);
}

test "memory that is not aligned and sizes out of range are refused" {
    var memory: [4096]u8 align(8) = undefined;
    try std.testing.expectError(error.INVAL, Ring.init(&memory, 0));
    try std.testing.expectError(error.INVAL, Ring.init(memory[1..].ptr, 4));
    try std.testing.expectError(error.INVAL, Ring.init(&memory, abi.ring_entries_max + 1));
}
