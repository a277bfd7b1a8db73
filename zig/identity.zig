//! All registrations of a queue, found by `(id, user)`: the seed's `kevent_list`. S2-75.
//! Linear hashing: the table grows by two buckets per insert, so no change ever pays for all the
//! others (a doubling table would stop for tens of milliseconds at a million).

const std = @import("std");
const pools = @import("pool.zig");
const none = pools.none;
const Kevent = @import("kevent.zig").Kevent;
const Ukevent = @import("abi.zig").Ukevent;
const Error = @import("errors.zig").Error;

const buckets_least = 256;

pub const Identity = struct {
    /// First registration of each bucket, plus one, so that fresh zeroed memory is empty.
    heads: pools.Array(u32),
    buckets: u32,
    /// Power of two with `half <= buckets < 2 * half`.
    half: u32,
    count: u32 = 0,

    pub fn init(most: u32) Error!Identity {
        var heads: pools.Array(u32) = try .init(@max(2 * most, buckets_least));
        errdefer heads.deinit();
        try heads.reach(buckets_least - 1);
        return .{ .heads = heads, .buckets = buckets_least, .half = buckets_least };
    }

    pub fn deinit(table: *Identity) void {
        table.heads.deinit();
        table.* = undefined;
    }

    pub fn find(table: *const Identity, kevents: [*]const Kevent, record: *const Ukevent) ?u32 {
        var index = table.first(table.bucketOf(record));
        while (index != none) : (index = kevents[index].identity_next) {
            if (same(&kevents[index].event, record)) return index;
        }
        return null;
    }

    /// The caller has made sure that no registration has this identity.
    pub fn insert(table: *Identity, kevents: [*]Kevent, index: u32) Error!void {
        // Two buckets for each, so that few have a neighbour, whose memory would be waited for too.
        while (2 * table.count >= table.buckets and try table.split(kevents)) {}
        table.link(kevents, table.bucketOf(&kevents[index].event), index);
        table.count += 1;
    }

    pub fn remove(table: *Identity, kevents: [*]Kevent, index: u32) void {
        const bucket = table.bucketOf(&kevents[index].event);
        var at = table.first(bucket);
        if (at == index) {
            table.heads.items[bucket] = kevents[index].identity_next +% 1;
        } else {
            while (kevents[at].identity_next != index) at = kevents[at].identity_next;
            kevents[at].identity_next = kevents[index].identity_next;
        }
        table.count -= 1;
    }

    /// Bring the bucket of a record that will be asked for soon into the cache.
    pub fn prefetch(table: *const Identity, record: *const Ukevent) void {
        @prefetch(&table.heads.items[table.bucketOf(record)], .{});
    }

    /// The registration that a record is most likely about.
    pub inline fn likely(table: *const Identity, record: *const Ukevent) u32 {
        return table.first(table.bucketOf(record));
    }

    pub inline fn isOf(_: *const Identity, kevent: *const Kevent, record: *const Ukevent) bool {
        return same(&kevent.event, record);
    }

    inline fn first(table: *const Identity, bucket: u32) u32 {
        return table.heads.items[bucket] -% 1;
    }

    inline fn link(table: *Identity, kevents: [*]Kevent, bucket: u32, index: u32) void {
        kevents[index].identity_next = table.first(bucket);
        table.heads.items[bucket] = index +% 1;
    }

    /// Add one bucket and move into it what belongs there from its lower twin. False: that is all.
    fn split(table: *Identity, kevents: [*]Kevent) Error!bool {
        const new = table.buckets;
        table.heads.reach(new) catch |err| switch (err) {
            // The reservation is used up: chains grow instead, which is slower and not wrong.
            error.NOSPC => return false,
            else => return err,
        };
        table.heads.items[new] = 0;
        const twin = new - table.half;
        var index = table.first(twin);
        table.heads.items[twin] = 0;
        table.buckets += 1;
        if (table.buckets == 2 * table.half) table.half = table.buckets;
        while (index != none) {
            const next = kevents[index].identity_next;
            table.link(kevents, table.bucketOf(&kevents[index].event), index);
            index = next;
        }
        return true;
    }

    inline fn bucketOf(table: *const Identity, record: *const Ukevent) u32 {
        const hash = hashOf(record);
        const wide = hash & (2 * table.half - 1);
        return if (wide < table.buckets) wide else hash & (table.half - 1);
    }
};

inline fn same(a: *const Ukevent, b: *const Ukevent) bool {
    return a.id.raw[0] == b.id.raw[0] and a.id.raw[1] == b.id.raw[1] and
        a.user[0] == b.user[0] and a.user[1] == b.user[1];
}

/// Two multiplications mix all 128 bits into the low ones: descriptors and slots count up, periods
/// are round numbers, and each alone must spread.
inline fn hashOf(record: *const Ukevent) u32 {
    const id = @as(u64, record.id.raw[1]) << 32 | record.id.raw[0];
    const user = @as(u64, record.user[1]) << 32 | record.user[0];
    const product = @as(u128, id ^ 0x9e37_79b9_7f4a_7c15) * (user ^ 0xd6e8_feb8_6659_fd93 | 1);
    const folded = @as(u64, @truncate(product)) ^ @as(u64, @truncate(product >> 64));
    return @truncate((folded *% 0x9fb2_1c65_1e98_df25) >> 32);
}

test "each registration is found under its identity while the table grows and shrinks" {
    var kevents: pools.Pool(Kevent) = try .init(100_000);
    defer kevents.deinit();
    var table: Identity = try .init(100_000);
    defer table.deinit();
    const items = kevents.array.items;
    for (0..50_000) |n| {
        const index = try kevents.create();
        items[index].event = .zero;
        items[index].event.id.raw[0] = @intCast(n / 3);
        items[index].event.user[0] = @intCast(n);
        try table.insert(items, index);
    }
    for (0..50_000) |n| {
        const found = table.find(items, &items[n].event).?;
        try std.testing.expectEqual(@as(u32, @intCast(n)), found);
        if (n % 2 == 0) table.remove(items, found);
    }
    for (0..50_000) |n| {
        try std.testing.expectEqual(n % 2 == 1, table.find(items, &items[n].event) != null);
    }
}
