//! Promises of the pace at which a forest takes events. `docs/design.md`, "Watched trees".

const std = @import("std");
const sys = @import("../sys/linux.zig");
const Pace = @import("pace.zig").Pace;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;

/// A pace whose hub always has something.
const Bed = struct {
    pace: Pace,
    now_us: u64 = 1_000_000,

    fn open() !Bed {
        const hub = try sys.eventfd();
        sys.eventfdSignal(hub);
        const bed: Bed = .{ .pace = .{ .epoll_fd = try sys.epollCreate(), .hub_fd = hub } };
        try bed.pace.putIn();
        return bed;
    }

    fn close(bed: *const Bed) void {
        sys.close(bed.pace.epoll_fd);
        sys.close(bed.pace.hub_fd);
    }

    /// So many reads, each so long after the other and with so many new events.
    fn beat(bed: *Bed, times: u32, gap_us: u64, events: u64) void {
        for (0..times) |_| {
            bed.now_us += gap_us;
            bed.pace.beat(bed.pace.events + events, bed.now_us * std.time.ns_per_us);
        }
    }

    fn isReadable(bed: *const Bed) bool {
        return sys.pollNow(bed.pace.epoll_fd, 1) != 0;
    }
};

test "pace: events that come now and then are told of at once" {
    var bed: Bed = try .open();
    defer bed.close();
    bed.beat(50, 400, 1);
    // A file that is made and closed.
    bed.beat(50, 10_000, 2);
    try expectEqual(null, bed.pace.next());
    try expect(bed.isReadable());
}

test "pace: many in quick succession are gathered, and no longer once they are over" {
    var bed: Bed = try .open();
    defer bed.close();
    bed.beat(20, 50, 1);
    const last = bed.now_us * std.time.ns_per_us;
    try expect(!bed.isReadable());
    try expect(bed.pace.next().? > last and bed.pace.next().? < last + std.time.ns_per_ms);
    // They go on.
    bed.beat(20, 300, 3);
    try expect(!bed.isReadable());
    bed.beat(20, 1000, 0);
    try expectEqual(null, bed.pace.next());
    try expect(bed.isReadable());
}

test "pace: a read for another reason changes nothing" {
    var bed: Bed = try .open();
    defer bed.close();
    bed.beat(20, 50, 1);
    const next = bed.pace.next();
    bed.beat(1, 20, 0);
    try expectEqual(next, bed.pace.next());
}

test "pace: without memory to hear of events they are looked for all the same" {
    var bed: Bed = try .open();
    defer bed.close();
    bed.beat(20, 50, 1);
    sys.fault.arrange(.epoll_ctl, 0, error.NOMEM);
    bed.beat(20, 1000, 0);
    try expect(!sys.fault.cancel());
    try expectEqual(null, bed.pace.next());
    try expect(bed.isReadable());
}
