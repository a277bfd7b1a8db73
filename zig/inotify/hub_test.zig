//! Promises of the hub to owners of inboxes that are no queues.

const std = @import("std");
const abi = @import("../abi.zig");
const sys = @import("../sys/linux.zig");
const hub = @import("hub.zig");
const Inbox = @import("inbox.zig").Inbox;
const harness = @import("../harness.zig");
const Place = @import("../source/inode_test.zig").Place;
const Kind = abi.Inode;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const expectEqualStrings = std.testing.expectEqualStrings;

const create = Kind.KEVENT_INODE_CREATE;
const remove = Kind.KEVENT_INODE_REMOVE;
const O_PATH = 0o10000000;

/// An inbox in the hub, and a folder to watch.
const Bed = struct {
    inbox: Inbox,
    place: Place,
    folder: sys.Fd,

    fn open(bed: *Bed) !void {
        bed.place = try .make();
        bed.folder = try bed.place.open(".", O_PATH);
        bed.inbox = try .init();
        _ = try hub.enter(&bed.inbox);
    }

    fn close(bed: *Bed) void {
        hub.exit(&bed.inbox);
        bed.inbox.deinit();
        sys.close(bed.folder);
        bed.place.drop();
    }

    fn take(bed: *Bed) void {
        hub.pump(&bed.inbox);
        bed.inbox.takeOver();
    }

    fn expectNext(bed: *Bed, token: u32, mask: u32, name: []const u8) !void {
        const entry = bed.inbox.peek() orelse return error.Lost;
        try expectEqual(token, entry.owner_token);
        try expectEqual(token + 100, entry.generation);
        try expectEqual(mask, entry.mask);
        try expectEqualStrings(name, entry.name());
        bed.inbox.eat(entry);
    }

    fn subscribe(bed: *Bed, token: u32, mask: u32) !u32 {
        return hub.subscribeFd(&bed.inbox, bed.folder, mask, token, token + 100);
    }
};

test "hub: two subscribers of one inbox on one inode both get the event, and one stays when the other goes" {
    var bed: Bed = undefined;
    const before = harness.openDescriptors();
    try bed.open();
    const first = try bed.subscribe(1, create);
    const second = try bed.subscribe(2, create | remove);
    try expect(first != second);
    try bed.place.create("x");
    bed.take();
    // The later one is told first.
    try bed.expectNext(2, create, "x");
    try bed.expectNext(1, create, "x");
    try expectEqual(null, bed.inbox.peek());
    hub.unsubscribe(second);
    try bed.place.create("y");
    try bed.place.unlink("x");
    bed.take();
    try bed.expectNext(1, create, "y");
    try expectEqual(null, bed.inbox.peek());
    hub.unsubscribe(first);
    try bed.place.unlink("y");
    bed.take();
    try expectEqual(null, bed.inbox.peek());
    bed.close();
    try expectEqual(before, harness.openDescriptors());
}

test "hub: an event has the time of the drain that brought it" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    const subscriber = try bed.subscribe(1, create);
    defer hub.unsubscribe(subscriber);
    try bed.place.create("x");
    const earliest = now();
    bed.take();
    const first = bed.inbox.peek().?.stamp_us;
    try expect(first -% earliest <= now() -% earliest);
    try bed.expectNext(1, create, "x");
    try bed.place.create("y");
    bed.take();
    const second = bed.inbox.peek().?.stamp_us;
    try expect(second -% first > 0 and second -% first < 1 << 31);
}

fn now() u32 {
    return @truncate(sys.now(.monotonic) / std.time.ns_per_us);
}

test "hub: an owner looks ahead, and finds what it has not eaten after it takes over" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    const subscriber = try bed.subscribe(1, create);
    defer hub.unsubscribe(subscriber);
    try bed.place.create("one");
    try bed.place.create("a longer name than that");
    bed.take();
    const first = bed.inbox.peek().?;
    const second = bed.inbox.after(first).?;
    try expectEqualStrings("a longer name than that", second.name());
    try expectEqual(null, bed.inbox.after(second));
    try bed.place.create("three");
    bed.take();
    try expectEqual(first, bed.inbox.peek().?);
    try bed.expectNext(1, create, "one");
    try bed.expectNext(1, create, "a longer name than that");
    try expectEqual(null, bed.inbox.peek());
    bed.inbox.takeOver();
    try bed.expectNext(1, create, "three");
    try expectEqual(3, bed.inbox.upcoming());
    try expectEqual(3, bed.inbox.eaten);
}

test "hub: what takes more than one read is taken in parts, and nobody rings for who looks" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    const subscriber = try bed.subscribe(1, create);
    defer hub.unsubscribe(subscriber);
    const many = 3000;
    var name: [16]u8 = undefined;
    for (0..many) |n| try bed.place.create(try std.fmt.bufPrint(&name, "{d}", .{n}));
    try expect(hub.pumpSome(&bed.inbox));
    try expect(bed.inbox.upcoming() < many);
    while (hub.pumpSome(&bed.inbox)) {}
    try expectEqual(many, bed.inbox.upcoming());
    try expectEqual(0, sys.eventfdClear(bed.inbox.bell_fd));
    bed.inbox.takeOver();
    for (0..many) |n| try bed.expectNext(1, create, try std.fmt.bufPrint(&name, "{d}", .{n}));
}

test "hub: the bell of an inbox rings for what another one has read, once" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    var other: Inbox = try .init();
    defer other.deinit();
    _ = try hub.enter(&other);
    defer hub.exit(&other);
    const subscriber = try bed.subscribe(1, create);
    defer hub.unsubscribe(subscriber);
    try bed.place.create("x");
    hub.pump(&other);
    try bed.place.create("y");
    hub.pump(&other);
    try expectEqual(1, sys.eventfdClear(bed.inbox.bell_fd));
    sys.eventfdSignal(bed.inbox.bell_fd);
    bed.inbox.clearBell();
    try expectEqual(0, sys.eventfdClear(bed.inbox.bell_fd));
    bed.inbox.takeOver();
    try bed.expectNext(1, create, "x");
    try bed.expectNext(1, create, "y");
    try expectEqual(0, sys.eventfdClear(other.bell_fd));
}

test "hub: EXCLUDE_UNLINKED of one subscriber silences nobody else, and limits are told by name" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    const write = Kind.KEVENT_INODE_MODIFY;
    const quiet = try bed.subscribe(1, write | Kind.KEVENT_INODE_EXCLUDE_UNLINKED);
    defer hub.unsubscribe(quiet);
    const file = try bed.place.open("x", 0o100 | 1);
    defer sys.close(file);
    try bed.place.unlink("x");
    _ = try sys.write(file, "1");
    bed.take();
    try expectEqual(null, bed.inbox.peek());
    sys.fault.arrange(.inotify, 0, error.NOSPC);
    try std.testing.expectError(error.NOSPC, bed.subscribe(2, write));
    const loud = try bed.subscribe(2, write);
    defer hub.unsubscribe(loud);
    _ = try sys.write(file, "2");
    bed.take();
    try bed.expectNext(2, write, "x");
    try bed.expectNext(1, write, "x");
    try std.testing.expectError(error.NOENT, hub.subscribeFd(&bed.inbox, 4000, write, 3, 103));
}

test "hub: somebody who removes more watches than the kernel's queue is long makes nobody lose events" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    // More than fs.inotify.max_queued_events, 16384 by default.
    const many = 17_000;
    const subscribers = try std.testing.allocator.alloc(u32, many);
    defer std.testing.allocator.free(subscribers);
    var name: [16]u8 = undefined;
    for (subscribers, 0..) |*subscriber, n| {
        const file = try bed.place.open(try std.fmt.bufPrint(&name, "{d}", .{n}), 0o100 | 1);
        defer sys.close(file);
        subscriber.* = hub.subscribeFd(&bed.inbox, file, remove, @intCast(n), 0) catch |err| {
            for (subscribers[0..n]) |made| hub.unsubscribe(made);
            return if (err == error.NOSPC) error.SkipZigTest else err;
        };
    }
    for (subscribers) |subscriber| hub.unsubscribe(subscriber);
    bed.take();
    try expectEqual(null, bed.inbox.peek());
}
