//! Promises of watched trees. `docs/design.md`, "Watched trees"; pains 9 to 23.

const std = @import("std");
const linux = std.os.linux;
const abi = @import("../abi.zig");
const sys = @import("../sys/linux.zig");
const directories = @import("../sys/directory.zig");
const exports = @import("../exports.zig");
const harness = @import("../harness.zig");
const inboxes = @import("../inotify/inbox.zig");
const Place = @import("../source/inode_test.zig").Place;
const errors = @import("../errors.zig");
const Option = abi.TreeOption;
const Kind = abi.Tree;
const Flag = abi.TreeFlag;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const expectEqualStrings = std.testing.expectEqualStrings;

const for_ever_deep = std.math.maxInt(u32);

/// What was told, with what it was told of.
const Told = struct {
    kind: u32,
    flags: u32,
    tree: u32,
    node: u32,
    error_number: i32,
    size: u64,
    path: [300]u8,
    path_bytes: u32,
    old: [300]u8,
    old_bytes: u32,

    fn pathText(told: *const Told) []const u8 {
        return told.path[0..@min(told.path_bytes, 300)];
    }

    fn oldText(told: *const Told) []const u8 {
        return told.old[0..@min(told.old_bytes, 300)];
    }

    /// To an ASK.
    fn answer(told: *const Told, watch: u32) abi.TreeAnswer {
        return .{ .tree = told.tree, .node = told.node, .serial = @intCast(told.size), .watch = watch };
    }
};

/// A forest, a folder, and what was told so far.
const Bed = struct {
    fd: i32,
    place: Place,
    told: [64]Told = undefined,
    count: u32 = 0,
    next: u32 = 0,
    buffer: [64 * 1024]u8 align(8) = undefined,

    fn open(bed: *Bed) !void {
        bed.place = try .make();
        bed.fd = exports.kevent_forest_open();
        try expect(bed.fd >= 0);
        bed.count = 0;
        bed.next = 0;
    }

    fn close(bed: *Bed) void {
        _ = exports.kevent_forest_close(bed.fd);
        bed.place.drop();
    }

    fn add(bed: *Bed, name: []const u8, flags: u32) !u32 {
        return bed.addWith(name, .{ .size = @sizeOf(abi.TreeParams), .flags = flags, .depth = for_ever_deep, .window_ms = 5, .poll_ms = 10 });
    }

    fn addWith(bed: *Bed, name: []const u8, params: abi.TreeParams) !u32 {
        const path = bed.place.at(name);
        const length = std.mem.indexOfScalar(u8, &path, 0).?;
        const tree = exports.kevent_tree_add(bed.fd, &params, &path, @intCast(length));
        return if (tree < 0) errors.fromNumber(@intCast(-tree)) else @intCast(tree);
    }

    /// The same, and its first look.
    fn watch(bed: *Bed, name: []const u8, flags: u32) !u32 {
        const tree = try bed.add(name, flags);
        try expectEqual(1, exports.kevent_tree_scan(bed.fd, tree));
        _ = try bed.expectNext(Kind.KEVENT_TREE_READY, "");
        return tree;
    }

    fn read(bed: *Bed) !void {
        const got = exports.kevent_forest_read(bed.fd, &bed.buffer, bed.buffer.len, 4000);
        if (got < 0) return errors.fromNumber(@intCast(-got));
        var at: usize = 0;
        while (at < got) {
            const record: *const abi.TreeRecord = @ptrCast(@alignCast(bed.buffer[at..].ptr));
            const text = bed.buffer[at + @sizeOf(abi.TreeRecord) ..];
            if (bed.next == bed.count) {
                bed.next = 0;
                bed.count = 0;
            }
            const told = &bed.told[bed.count];
            told.* = .{
                .kind = record.kind,
                .flags = record.flags,
                .tree = record.tree,
                .node = record.node,
                .error_number = record.error_number,
                .size = record.size,
                .path = undefined,
                .path_bytes = record.path_bytes,
                .old = undefined,
                .old_bytes = record.old_bytes,
            };
            const path_kept = @min(record.path_bytes, 300);
            @memcpy(told.path[0..path_kept], text[0..path_kept]);
            const old_kept = @min(record.old_bytes, 300);
            @memcpy(told.old[0..old_kept], text[record.path_bytes..][0..old_kept]);
            bed.count += 1;
            at += record.bytes;
        }
    }

    /// The next record, waited for like script does: on the descriptor.
    fn get(bed: *Bed) !*const Told {
        while (bed.next == bed.count) {
            var one = [1]sys.PollFd{.{ .fd = bed.fd, .events = 1, .revents = 0 }};
            if (try sys.poll(&one, 2 * std.time.ns_per_s) == 0) return error.NothingTold;
            try bed.read();
        }
        bed.next += 1;
        return &bed.told[bed.next - 1];
    }

    fn expectNext(bed: *Bed, kind: u32, path: []const u8) !*const Told {
        const told = try bed.get();
        errdefer std.debug.print("told: {d} {x} {s}\n", .{ told.kind, told.flags, told.pathText() });
        try expectEqual(kind, told.kind);
        try expectEqualStrings(path, told.pathText());
        return told;
    }

    /// For a while nothing is told, and the descriptor is quiet.
    fn expectQuiet(bed: *Bed) !void {
        for (0..30) |_| {
            _ = try sys.poll(&.{}, std.time.ns_per_ms);
            if (bed.next == bed.count) try bed.read();
            if (bed.next < bed.count) {
                const told = bed.told[bed.next];
                std.debug.print("told: {d} {x} {s}\n", .{ told.kind, told.flags, told.pathText() });
                return error.NotQuiet;
            }
        }
        try expectEqual(0, sys.pollNow(bed.fd, 1));
    }

    fn fill(bed: *Bed, name: []const u8, text: []const u8) !void {
        const fd = try bed.place.open(name, 0o1102);
        defer sys.close(fd);
        _ = try sys.write(fd, text);
    }

    fn mode(bed: *Bed, name: []const u8, bits: u32) !void {
        const path = bed.place.at(name);
        const here: usize = @bitCast(@as(isize, directories.AT_FDCWD));
        try expectEqual(0, linux.syscall3(.fchmodat, here, @intFromPtr(&path), bits));
    }

    fn exchange(bed: *Bed, one: []const u8, other: []const u8) !void {
        const from = bed.place.at(one);
        const to = bed.place.at(other);
        const RENAME_EXCHANGE = 2;
        const here: usize = @bitCast(@as(isize, directories.AT_FDCWD));
        try expectEqual(0, linux.syscall5(.renameat2, here, @intFromPtr(&from), here, @intFromPtr(&to), RENAME_EXCHANGE));
    }
};

const snapshot = Option.KEVENT_TREE_SNAPSHOT;

test "tree: a file that is made, written and closed is told once, with what it is" {
    var bed: Bed = undefined;
    const before = harness.openDescriptors();
    try bed.open();
    _ = try bed.watch("", snapshot);
    try bed.fill("file", "twelve bytes");
    const told = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "file");
    try expectEqual(Flag.KEVENT_TREE_CLOSED | Flag.KEVENT_TREE_SEEN, told.flags);
    try expectEqual(12, told.size);
    try bed.expectQuiet();
    bed.close();
    try expectEqual(before, harness.openDescriptors());
}

test "tree: RAW tells each change by itself" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    _ = try bed.watch("", snapshot | Option.KEVENT_TREE_RAW);
    try bed.fill("file", "x");
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "file");
    _ = try bed.expectNext(Kind.KEVENT_TREE_MODIFY, "file");
    _ = try bed.expectNext(Kind.KEVENT_TREE_CLOSE, "file");
    try bed.expectQuiet();
}

test "tree: pain 9, what is made at once in a new directory is told once" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    _ = try bed.watch("", snapshot);
    try bed.place.mkdir("a");
    try bed.place.mkdir("a/b");
    try bed.fill("a/b/c", "x");
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "a");
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "a/b");
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "a/b/c");
    try bed.expectQuiet();
    try bed.place.unlink("a/b/c");
    _ = try bed.expectNext(Kind.KEVENT_TREE_REMOVE, "a/b/c");
    try bed.place.rmdir("a/b");
    _ = try bed.expectNext(Kind.KEVENT_TREE_REMOVE, "a/b");
    try bed.expectQuiet();
}

test "tree: pain 18, a rename is one event, of a directory too, and what is in it goes along" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    try bed.place.mkdir("a");
    try bed.fill("a/f", "x");
    _ = try bed.watch("", snapshot);
    try bed.place.rename("a/f", "g");
    var told = try bed.expectNext(Kind.KEVENT_TREE_RENAME, "g");
    try expectEqualStrings("a/f", told.oldText());
    try bed.place.rename("a", "b");
    told = try bed.expectNext(Kind.KEVENT_TREE_RENAME, "b");
    try expectEqualStrings("a", told.oldText());
    try bed.fill("b/h", "x");
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "b/h");
    try bed.expectQuiet();
}

test "tree: two names that are exchanged are one event" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    try bed.place.mkdir("a");
    try bed.fill("f", "x");
    _ = try bed.watch("", snapshot);
    try bed.exchange("a", "f");
    const told = try bed.expectNext(Kind.KEVENT_TREE_RENAME, "f");
    try expectEqualStrings("a", told.oldText());
    try expect(told.flags & Flag.KEVENT_TREE_EXCHANGED != 0);
    try bed.fill("f/in", "x");
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "f/in");
    try bed.expectQuiet();
    try bed.place.unlink("f/in");
}

test "tree: what was looked at under a name that changed places already is told anew under its own" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    try bed.place.symlink("nothing", "link");
    try bed.fill("file", "x");
    _ = try bed.watch("", snapshot);
    try bed.fill("file", "longer");
    try bed.exchange("link", "file");
    const early = try bed.expectNext(Kind.KEVENT_TREE_MODIFY, "file");
    try expect(early.flags & Flag.KEVENT_TREE_SYMLINK != 0);
    _ = try bed.expectNext(Kind.KEVENT_TREE_RENAME, "file");
    const told = try bed.expectNext(Kind.KEVENT_TREE_MODIFY, "link");
    try expectEqual(0, told.flags & Flag.KEVENT_TREE_SYMLINK);
    try expectEqual(6, told.size);
    try bed.expectQuiet();
}

test "tree: two files that are exchanged are one event, though nobody remembers them" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    try bed.fill("f", "x");
    try bed.fill("g", "x");
    _ = try bed.watch("", 0);
    try bed.exchange("f", "g");
    const told = try bed.expectNext(Kind.KEVENT_TREE_RENAME, "g");
    try expectEqualStrings("f", told.oldText());
    try expect(told.flags & Flag.KEVENT_TREE_EXCHANGED != 0);
    try bed.expectQuiet();
}

test "tree: a directory that has the path of a file for a moment is not taken for it" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    for ([_][]const u8{ "a", "b", "b/x" }) |name| try bed.place.mkdir(name);
    try bed.fill("a/x", "x");
    _ = try bed.watch("", snapshot);
    try bed.mode("a/x", 0o640);
    try bed.exchange("a", "b");
    const early = try bed.expectNext(Kind.KEVENT_TREE_ATTRIBUTE, "a/x");
    try expectEqual(0, early.flags & Flag.KEVENT_TREE_SEEN);
    _ = try bed.expectNext(Kind.KEVENT_TREE_RENAME, "b");
    const told = try bed.expectNext(Kind.KEVENT_TREE_MODIFY, "b/x");
    try expectEqual(1, told.size);
    try bed.expectQuiet();
    try bed.place.unlink("b/x");
    try bed.place.rmdir("a/x");
}

test "tree: what changed places with something outside is found, though its directory has another name since" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    try bed.place.mkdir("w");
    try bed.place.mkdir("w/a");
    try bed.fill("w/a/f", "x");
    try bed.fill("out", "longer");
    _ = try bed.watch("w", snapshot);
    try bed.exchange("out", "w/a/f");
    try bed.place.rename("w/a", "w/b");
    while (!std.mem.eql(u8, (try bed.get()).pathText(), "b/f")) {}
    try expectEqual(6, bed.told[bed.next - 1].size);
    try bed.expectQuiet();
    try bed.place.unlink("w/b/f");
    try bed.place.rmdir("w/b");
}

test "tree: the attributes of a directory are not told with what another one is that has its path" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    try bed.place.mkdir("a");
    try bed.place.mkdir("b");
    _ = try bed.watch("", snapshot);
    try bed.mode("a", 0o750);
    try bed.exchange("a", "b");
    const told = try bed.expectNext(Kind.KEVENT_TREE_ATTRIBUTE, "a");
    try expectEqual(0, told.flags & Flag.KEVENT_TREE_SEEN);
    _ = try bed.expectNext(Kind.KEVENT_TREE_RENAME, "b");
    try bed.expectQuiet();
}

test "tree: there and back by two renames is no exchange" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    try bed.fill("f", "x");
    try bed.fill("g", "x");
    _ = try bed.watch("", snapshot);
    try bed.place.rename("f", "g");
    try bed.place.rename("g", "f");
    const told = try bed.expectNext(Kind.KEVENT_TREE_RENAME, "g");
    try expectEqual(0, told.flags & Flag.KEVENT_TREE_EXCHANGED);
    _ = try bed.expectNext(Kind.KEVENT_TREE_RENAME, "f");
    try bed.expectQuiet();
}

test "tree: there and back by two renames is no exchange, though both names have gone on since" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    try bed.fill("f", "x");
    try bed.fill("g", "x");
    _ = try bed.watch("", snapshot);
    try bed.place.rename("f", "g");
    try bed.place.rename("g", "f");
    try bed.fill("g", "new");
    try bed.place.unlink("f");
    const told = try bed.expectNext(Kind.KEVENT_TREE_RENAME, "g");
    try expectEqual(0, told.flags & Flag.KEVENT_TREE_EXCHANGED);
    _ = try bed.expectNext(Kind.KEVENT_TREE_RENAME, "f");
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "g");
    _ = try bed.expectNext(Kind.KEVENT_TREE_REMOVE, "f");
    try bed.expectQuiet();
}

test "tree: an exchange is one, though both names have gone on since" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    try bed.fill("f", "x");
    try bed.fill("g", "x");
    _ = try bed.watch("", snapshot);
    try bed.exchange("f", "g");
    try bed.place.unlink("g");
    try bed.place.rename("f", "g");
    try bed.place.rename("g", "f");
    const told = try bed.expectNext(Kind.KEVENT_TREE_RENAME, "g");
    try expect(told.flags & Flag.KEVENT_TREE_EXCHANGED != 0);
    _ = try bed.expectNext(Kind.KEVENT_TREE_REMOVE, "g");
    _ = try bed.expectNext(Kind.KEVENT_TREE_RENAME, "g");
    _ = try bed.expectNext(Kind.KEVENT_TREE_RENAME, "f");
    try bed.expectQuiet();
}

test "tree: an exchange is one, though what went was looked at as the other, and is replaced since" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    try bed.fill("f", "x");
    try bed.fill("g", "x");
    _ = try bed.watch("", snapshot);
    try bed.fill("f", "xx");
    try bed.fill("g", "xx");
    try bed.exchange("f", "g");
    try bed.place.create("g~");
    try bed.place.rename("g~", "g");
    _ = try bed.expectNext(Kind.KEVENT_TREE_MODIFY, "f");
    _ = try bed.expectNext(Kind.KEVENT_TREE_MODIFY, "g");
    const told = try bed.expectNext(Kind.KEVENT_TREE_RENAME, "g");
    try expect(told.flags & Flag.KEVENT_TREE_EXCHANGED != 0);
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "g~");
    _ = try bed.expectNext(Kind.KEVENT_TREE_RENAME, "g");
}

test "tree: an exchange is one, though something else has the names of both since" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    try bed.place.mkdir("w");
    try bed.place.mkdir("w/a");
    try bed.fill("w/a/f", "x");
    try bed.fill("w/f", "x");
    try bed.fill("new", "new");
    _ = try bed.watch("w", snapshot);
    try bed.exchange("w/f", "w/a/f");
    try bed.place.rename("w/a", "w/b");
    try bed.place.rename("new", "w/f");
    const told = try bed.expectNext(Kind.KEVENT_TREE_RENAME, "a/f");
    try expect(told.flags & Flag.KEVENT_TREE_EXCHANGED != 0);
    _ = try bed.expectNext(Kind.KEVENT_TREE_RENAME, "b");
    const other = try bed.expectNext(Kind.KEVENT_TREE_MODIFY, "f");
    try expect(other.flags & Flag.KEVENT_TREE_REPLACED != 0);
    try bed.expectQuiet();
    try bed.place.unlink("w/b/f");
    try bed.place.rmdir("w/b");
    try bed.place.unlink("w/f");
}

test "tree: an exchange is one, though what came back went there again" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    try bed.fill("f", "x");
    try bed.fill("g", "x");
    _ = try bed.watch("", snapshot);
    try bed.exchange("f", "g");
    try bed.place.rename("f", "g");
    try bed.place.unlink("g");
    try bed.fill("f", "new");
    const told = try bed.expectNext(Kind.KEVENT_TREE_RENAME, "g");
    try expect(told.flags & Flag.KEVENT_TREE_EXCHANGED != 0);
    const second = try bed.expectNext(Kind.KEVENT_TREE_RENAME, "g");
    try expect(second.flags & Flag.KEVENT_TREE_REPLACED != 0);
    _ = try bed.expectNext(Kind.KEVENT_TREE_REMOVE, "g");
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "f");
    try bed.expectQuiet();
}

test "tree: an exchange is one, though the directory has another name since" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    try bed.place.mkdir("a");
    try bed.fill("a/f", "x");
    try bed.fill("a/g", "x");
    _ = try bed.watch("", snapshot);
    try bed.exchange("a/f", "a/g");
    try bed.place.rename("a", "b");
    const told = try bed.expectNext(Kind.KEVENT_TREE_RENAME, "a/g");
    try expect(told.flags & Flag.KEVENT_TREE_EXCHANGED != 0);
    _ = try bed.expectNext(Kind.KEVENT_TREE_RENAME, "b");
    try bed.expectQuiet();
    try bed.place.unlink("b/f");
    try bed.place.unlink("b/g");
}

test "tree: pain 17, a directory that left the tree is silent" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    try bed.place.mkdir("a");
    try bed.place.mkdir("a/d");
    try bed.fill("a/d/f", "x");
    _ = try bed.watch("a", snapshot);
    try bed.place.rename("a/d", "b");
    const file = try bed.expectNext(Kind.KEVENT_TREE_REMOVE, "d/f");
    try expect(file.flags & Flag.KEVENT_TREE_IMPLIED != 0);
    _ = try bed.expectNext(Kind.KEVENT_TREE_REMOVE, "d");
    try bed.fill("b/late", "x");
    try bed.expectQuiet();
    try bed.place.rename("b", "a/back");
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "back");
    try expectEqual(Kind.KEVENT_TREE_CREATE, (try bed.get()).kind);
    try expectEqual(Kind.KEVENT_TREE_CREATE, (try bed.get()).kind);
    try bed.expectQuiet();
    try bed.place.unlink("a/back/f");
    try bed.place.unlink("a/back/late");
}

test "tree: a directory that comes in place of an empty one is told, and that one as gone" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    try bed.place.mkdir("w");
    try bed.place.mkdir("w/a");
    try bed.place.mkdir("b");
    _ = try bed.watch("w", snapshot);
    try bed.place.rename("b", "w/a");
    _ = try bed.expectNext(Kind.KEVENT_TREE_REMOVE, "a");
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "a");
    try bed.fill("w/a/f", "x");
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "a/f");
    try bed.expectQuiet();
    try bed.place.unlink("w/a/f");
}

test "tree: a file and a directory that exchange names in a tree of few levels are watched as their levels say" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    try bed.place.mkdir("d");
    _ = try bed.addWith("", .{ .size = @sizeOf(abi.TreeParams), .flags = snapshot, .depth = 1, .window_ms = 5, .poll_ms = 10 });
    _ = try bed.expectNext(Kind.KEVENT_TREE_READY, "");
    try bed.place.mkdir("g");
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "g");
    try bed.fill("d/f", "x");
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "d/f");
    try bed.exchange("d/f", "g");
    _ = try bed.expectNext(Kind.KEVENT_TREE_REMOVE, "g");
    _ = try bed.expectNext(Kind.KEVENT_TREE_RENAME, "g");
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "d/f");
    try bed.fill("d/f/deep", "x");
    try bed.expectQuiet();
    try bed.place.unlink("d/f/deep");
}

test "tree: pain 11, a single file is told of each save once, and comes back" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    try bed.fill("f", "x");
    _ = try bed.watch("f", snapshot);
    for (0..3) |_| {
        try bed.fill("tmp", "new");
        try bed.place.rename("tmp", "f");
        const told = try bed.expectNext(Kind.KEVENT_TREE_MODIFY, "");
        try expect(told.flags & Flag.KEVENT_TREE_REPLACED != 0);
        try bed.expectQuiet();
    }
    // As vim does: away with the old one, then a new one.
    try bed.place.rename("f", "f~");
    try bed.fill("f", "newer");
    _ = try bed.expectNext(Kind.KEVENT_TREE_MODIFY, "");
    try bed.expectQuiet();
    try bed.place.unlink("f");
    _ = try bed.expectNext(Kind.KEVENT_TREE_REMOVE, "");
    try bed.fill("f", "newest");
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "");
    try bed.expectQuiet();
}

test "tree: the root may go, come back, and not be there yet" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    try std.testing.expectError(error.NOENT, bed.add("a/d", snapshot));
    _ = try bed.add("a/d", snapshot | Option.KEVENT_TREE_WAIT);
    _ = try bed.expectNext(Kind.KEVENT_TREE_READY, "");
    for (0..2) |_| {
        try bed.place.mkdir("a");
        try bed.expectQuiet();
        try bed.place.mkdir("a/d");
        _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "");
        try bed.fill("a/d/f", "x");
        _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "f");
        // A directory above it moves: what is watched is the path.
        try bed.place.rename("a", "b");
        _ = try bed.expectNext(Kind.KEVENT_TREE_REMOVE, "f");
        _ = try bed.expectNext(Kind.KEVENT_TREE_REMOVE, "");
        try bed.place.unlink("b/d/f");
        try bed.expectQuiet();
        try bed.place.rmdir("b/d");
        try bed.place.rmdir("b");
    }
}

test "tree: pain 10, an overflow is told once, and all that was lost after it" {
    const most = inboxes.inbox_most;
    defer inboxes.inbox_most = most;
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    try bed.fill("old", "x");
    _ = try bed.watch("", snapshot);
    inboxes.inbox_most = 256;
    var name: [16]u8 = undefined;
    for (0..20) |n| try bed.fill(try std.fmt.bufPrint(&name, "file{d}", .{n}), "x");
    try bed.place.unlink("old");
    var creates: u32 = 0;
    var overflows: u32 = 0;
    var removed = false;
    while (creates < 20 or !removed) {
        const told = try bed.get();
        if (told.kind == Kind.KEVENT_TREE_CREATE) creates += 1;
        if (told.kind == Kind.KEVENT_TREE_OVERFLOW) overflows += 1;
        if (told.kind == Kind.KEVENT_TREE_REMOVE) {
            try expect(told.flags & Flag.KEVENT_TREE_RECONCILED != 0);
            removed = true;
        }
    }
    try expectEqual(1, overflows);
    try bed.expectQuiet();
}

test "tree: pain 10, a directory that went while events were lost is told as removed, and no error" {
    const most = inboxes.inbox_most;
    defer inboxes.inbox_most = most;
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    try bed.place.mkdir("w");
    try bed.place.mkdir("w/a");
    _ = try bed.watch("w", snapshot);
    // Room for the first event.
    inboxes.inbox_most = 64;
    try bed.place.mkdir("w/a/x");
    try bed.place.rename("w/a", "b");
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "a/x");
    _ = try bed.expectNext(Kind.KEVENT_TREE_OVERFLOW, "");
    _ = try bed.expectNext(Kind.KEVENT_TREE_REMOVE, "a/x");
    _ = try bed.expectNext(Kind.KEVENT_TREE_REMOVE, "a");
    try bed.expectQuiet();
    try bed.place.rmdir("b/x");
}

test "tree: pain 10, a directory that changes places, as it seems, with one that it is in is found by a look" {
    const most = inboxes.inbox_most;
    defer inboxes.inbox_most = most;
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    try bed.place.mkdir("d");
    try bed.place.mkdir("d/p");
    try bed.place.mkdir("d/p/k");
    try bed.place.create("0");
    _ = try bed.watch("", snapshot);
    // Room for seven events, which are all taken in one call with what says that the eighth was lost.
    inboxes.inbox_most = 7 * 32 + 24;
    try bed.place.unlink("0");
    for ([_][]const u8{ "1", "2", "3" }) |name| try bed.place.create(name);
    try bed.place.rename("d/p", "p");
    try expect(exports.kevent_forest_read(bed.fd, &bed.buffer, bed.buffer.len, 0) > 0);
    inboxes.inbox_most = most;
    try bed.exchange("p/k", "d");
    _ = try bed.expectNext(Kind.KEVENT_TREE_OVERFLOW, "");
    while ((try bed.get()).kind != Kind.KEVENT_TREE_CREATE) {}
    try bed.fill("p/k/f", "x");
    while (!std.mem.eql(u8, (try bed.get()).pathText(), "p/k/f")) {}
    try bed.expectQuiet();
    try bed.place.unlink("p/k/f");
    try bed.place.rmdir("p/k");
}

test "tree: pain 15, at the limit of watches the rest is polled, and that is told" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    try bed.place.mkdir("a");
    const tree = try bed.add("", snapshot);
    sys.fault.arrange(.inotify, 0, error.NOSPC);
    defer _ = sys.fault.cancel();
    const told = try bed.expectNext(Kind.KEVENT_TREE_LIMIT, "a");
    try expectEqual(28, told.error_number);
    try expect(told.size > 0);
    _ = try bed.expectNext(Kind.KEVENT_TREE_READY, "");
    try bed.fill("a/f", "x");
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "a/f");
    var buffer: [512]u8 = undefined;
    try expect(exports.kevent_tree_info(bed.fd, tree, &buffer, buffer.len) > 0);
}

/// Whom permissions are checked for in this thread; root may read everything.
fn become(uid: u32) void {
    if (linux.geteuid() == 0) _ = linux.syscall1(.setfsuid, uid);
}

const nobody = 65534;

test "tree: a directory that loses its permissions is told, and compared when it has them again" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    defer become(0);
    try bed.place.mkdir("a");
    try bed.fill("a/f", "x");
    try bed.mode("a", 0o755);
    try bed.mode("", 0o755);
    become(nobody);
    _ = try bed.watch("", snapshot);
    become(0);
    try bed.fill("a/f", "longer");
    try bed.mode("a", 0);
    become(nobody);
    _ = try bed.expectNext(Kind.KEVENT_TREE_MODIFY, "a/f");
    _ = try bed.expectNext(Kind.KEVENT_TREE_ATTRIBUTE, "a");
    _ = try bed.expectNext(Kind.KEVENT_TREE_ERROR, "a");
    become(0);
    try bed.mode("a", 0o755);
    become(nobody);
    _ = try bed.expectNext(Kind.KEVENT_TREE_ATTRIBUTE, "a");
    const told = try bed.expectNext(Kind.KEVENT_TREE_MODIFY, "a/f");
    try expect(told.flags & Flag.KEVENT_TREE_SEEN != 0);
    try expectEqual(6, told.size);
    become(0);
    try bed.place.unlink("a/f");
    become(nobody);
    _ = try bed.expectNext(Kind.KEVENT_TREE_REMOVE, "a/f");
    try bed.expectQuiet();
}

test "tree: without descriptors or memory a look is put off, not left out" {
    for ([_]errors.Error{ error.MFILE, error.NFILE, error.NOMEM }) |err| {
        var bed: Bed = undefined;
        try bed.open();
        defer bed.close();
        _ = try bed.watch("", snapshot);
        try bed.place.mkdir("a");
        try bed.fill("a/f", "x");
        sys.fault.arrange(.openat, 0, err);
        _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "a");
        _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "a/f");
        try expect(!sys.fault.cancel());
    }
}

test "tree: interrupted calls are made again" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    _ = try bed.watch("", snapshot);
    try bed.place.mkdir("a");
    try bed.fill("a/f", "x");
    sys.fault.arrange(.openat, 0, error.INTR);
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "a");
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "a/f");
    try expect(!sys.fault.cancel());
}

test "tree: ASKING watches what script wants, and is silent about the rest" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    try bed.place.mkdir("a");
    const tree = try bed.add("", snapshot | Option.KEVENT_TREE_ASKING);
    const first = (try bed.expectNext(Kind.KEVENT_TREE_ASK, "a")).*;
    try expectEqual(0, exports.kevent_tree_scan(bed.fd, tree));
    var answers = [_]abi.TreeAnswer{first.answer(1)};
    try expectEqual(1, exports.kevent_tree_answer(bed.fd, &answers, 1));
    try expectEqual(0, exports.kevent_tree_answer(bed.fd, &answers, 1));
    _ = try bed.expectNext(Kind.KEVENT_TREE_READY, "");
    try bed.place.mkdir("b");
    const second = (try bed.expectNext(Kind.KEVENT_TREE_ASK, "b")).*;
    answers[0] = second.answer(0);
    try expectEqual(1, exports.kevent_tree_answer(bed.fd, &answers, 1));
    try bed.fill("b/f", "x");
    try bed.expectQuiet();
    try bed.place.unlink("b/f");
    try bed.place.rmdir("b");
    try bed.expectQuiet();
    try bed.fill("a/f", "x");
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "a/f");
    // Wild answers.
    answers[0] = .{ .tree = tree, .node = 0xffff_fff0, .serial = 1, .watch = 1 };
    try expectEqual(0, exports.kevent_tree_answer(bed.fd, &answers, 1));
}

test "tree: an answer that is late is for the directory that was asked about, not for another one" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    _ = try bed.watch("", snapshot | Option.KEVENT_TREE_ASKING);
    try bed.place.mkdir("a");
    const first = (try bed.expectNext(Kind.KEVENT_TREE_ASK, "a")).*;
    try bed.place.rename("a", "b");
    const second = (try bed.expectNext(Kind.KEVENT_TREE_ASK, "b")).*;
    var answers = [_]abi.TreeAnswer{ first.answer(0), second.answer(1) };
    try expectEqual(1, exports.kevent_tree_answer(bed.fd, &answers, 2));
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "b");
    try bed.expectQuiet();
}

test "tree: directories that exchange names while script is asked about them are both asked about anew" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    _ = try bed.watch("", snapshot | Option.KEVENT_TREE_ASKING);
    try bed.place.mkdir("a");
    try bed.place.mkdir("b");
    _ = try bed.expectNext(Kind.KEVENT_TREE_ASK, "a");
    _ = try bed.expectNext(Kind.KEVENT_TREE_ASK, "b");
    try bed.exchange("a", "b");
    var answers: [2]abi.TreeAnswer = undefined;
    answers[0] = (try bed.expectNext(Kind.KEVENT_TREE_ASK, "b")).answer(1);
    answers[1] = (try bed.expectNext(Kind.KEVENT_TREE_ASK, "a")).answer(1);
    try expectEqual(2, exports.kevent_tree_answer(bed.fd, &answers, 2));
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "b");
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "a");
    try bed.expectQuiet();
}

test "tree: names that are no text, and as long as can be" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    _ = try bed.watch("", snapshot);
    const wild = "\xff\xfe\x01 \n";
    try bed.fill(wild, "x");
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, wild);
    // The path buffer of the test ends before NAME_MAX.
    const here = try bed.place.open("", 0o200000);
    defer sys.close(here);
    const long: [255:0]u8 = @splat('n');
    const fd = linux.syscall4(.openat, @intCast(here), @intFromPtr(&long), 0o1102, 0o600);
    sys.close(@intCast(fd));
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, &long);
    _ = linux.syscall3(.unlinkat, @intCast(here), @intFromPtr(&long), 0);
    _ = try bed.expectNext(Kind.KEVENT_TREE_REMOVE, &long);
}

test "tree: paths beyond PATH_MAX" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    _ = try bed.watch("", snapshot);
    const part: [250:0]u8 = @splat('d');
    var fds: [20]sys.Fd = undefined;
    fds[0] = try bed.place.open("", 0o200000);
    for (1..fds.len) |n| {
        try expectEqual(0, linux.syscall3(.mkdirat, @intCast(fds[n - 1]), @intFromPtr(&part), 0o700));
        fds[n] = try directories.open(fds[n - 1], &part, false);
        const told = try bed.get();
        try expectEqual(Kind.KEVENT_TREE_CREATE, told.kind);
        try expectEqual(n * 251 - 1, told.path_bytes);
    }
    const file = linux.syscall4(.openat, @intCast(fds[fds.len - 1]), @intFromPtr("f"), 0o1102, 0o600);
    sys.close(@intCast(file));
    const told = try bed.get();
    try expectEqual(Kind.KEVENT_TREE_CREATE, told.kind);
    try expect(told.flags & Flag.KEVENT_TREE_SEEN != 0);
    _ = linux.syscall3(.unlinkat, @intCast(fds[fds.len - 1]), @intFromPtr("f"), 0);
    var n: usize = fds.len - 1;
    while (n > 0) : (n -= 1) {
        _ = linux.syscall3(.unlinkat, @intCast(fds[n - 1]), @intFromPtr(&part), 0x200);
        sys.close(fds[n]);
    }
    sys.close(fds[0]);
    for (0..fds.len) |_| try expectEqual(Kind.KEVENT_TREE_REMOVE, (try bed.get()).kind);
}

test "tree: pain 16, a polled tree is told of the same" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    _ = try bed.watch("", snapshot | Option.KEVENT_TREE_POLL);
    try bed.place.mkdir("a");
    try bed.fill("a/f", "x");
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "a");
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "a/f");
    try bed.fill("a/f", "longer");
    _ = try bed.expectNext(Kind.KEVENT_TREE_MODIFY, "a/f");
    try bed.place.unlink("a/f");
    _ = try bed.expectNext(Kind.KEVENT_TREE_REMOVE, "a/f");
}

test "tree: roots of several polled trees may go at once" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    try bed.place.mkdir("a");
    try bed.place.mkdir("b");
    _ = try bed.watch("a", snapshot | Option.KEVENT_TREE_POLL);
    _ = try bed.watch("b", snapshot | Option.KEVENT_TREE_POLL);
    try bed.place.rmdir("a");
    try bed.place.rmdir("b");
    _ = try sys.poll(&.{}, 30 * std.time.ns_per_ms);
    _ = try bed.expectNext(Kind.KEVENT_TREE_REMOVE, "");
    _ = try bed.expectNext(Kind.KEVENT_TREE_REMOVE, "");
}

test "tree: one that cannot be started while a large one is taken down leaves both in order" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    try bed.place.mkdir("a");
    var name: [16]u8 = undefined;
    for (0..2500) |n| try bed.place.create(try std.fmt.bufPrint(&name, "a/{d}", .{n}));
    const large = try bed.watch("a", snapshot);
    try expectEqual(0, exports.kevent_tree_remove(bed.fd, large));
    try expectEqual(0, exports.kevent_forest_read(bed.fd, &bed.buffer, bed.buffer.len, 0));
    try expectEqual(1, sys.pollNow(bed.fd, 1));
    sys.fault.arrange(.inotify, 0, error.ACCES);
    try std.testing.expectError(error.ACCES, bed.add("", snapshot));
    try expect(!sys.fault.cancel());
    try bed.expectQuiet();
    _ = try bed.watch("", snapshot);
}

test "tree: a removed tree is silent, and its number is not another's" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    const first = try bed.watch("", snapshot);
    try bed.fill("f", "x");
    try expectEqual(0, exports.kevent_tree_remove(bed.fd, first));
    try bed.expectQuiet();
    try expectEqual(errors.negative(error.NOENT), exports.kevent_tree_remove(bed.fd, first));
    try expect(first != try bed.watch("", snapshot));
}

test "tree: two on one directory each get all" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    const first = try bed.watch("", snapshot);
    _ = try bed.watch("", snapshot);
    try bed.fill("f", "x");
    const one = (try bed.expectNext(Kind.KEVENT_TREE_CREATE, "f")).tree;
    const other = (try bed.expectNext(Kind.KEVENT_TREE_CREATE, "f")).tree;
    try expect(one != other);
    try expectEqual(0, exports.kevent_tree_remove(bed.fd, first));
    try bed.place.unlink("f");
    _ = try bed.expectNext(Kind.KEVENT_TREE_REMOVE, "f");
    try bed.expectQuiet();
}

test "tree: pain 19, links are gone through when asked, and no link to a directory that it lies in" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    try bed.place.mkdir("a");
    try bed.place.mkdir("b");
    try bed.place.symlink("a", "a/loop");
    try bed.place.symlink("b", "a/link");
    _ = try bed.watch("a", snapshot | Option.KEVENT_TREE_FOLLOW);
    try bed.fill("b/f", "x");
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "link/f");
    try bed.place.unlink("a/link");
    _ = try bed.expectNext(Kind.KEVENT_TREE_REMOVE, "link/f");
    _ = try bed.expectNext(Kind.KEVENT_TREE_REMOVE, "link");
    try bed.fill("b/g", "x");
    try bed.expectQuiet();
    try bed.place.symlink("b", "a/again");
    _ = try bed.expectNext(Kind.KEVENT_TREE_CREATE, "again");
    try expectEqual(Kind.KEVENT_TREE_CREATE, (try bed.get()).kind);
    try expectEqual(Kind.KEVENT_TREE_CREATE, (try bed.get()).kind);
    try bed.expectQuiet();
}

test "tree: pain 19, what is written by one name of a file is told of its other names" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    try bed.place.mkdir("a");
    try bed.fill("a/f", "x");
    const from = bed.place.at("a/f");
    const to = bed.place.at("g");
    const here: usize = @bitCast(@as(isize, directories.AT_FDCWD));
    try expectEqual(0, linux.syscall5(.linkat, here, @intFromPtr(&from), here, @intFromPtr(&to), 0));
    _ = try bed.watch("", snapshot);
    for ([_][]const u8{ "longer", "longest" }) |text| {
        try bed.fill("g", text);
        _ = try bed.expectNext(Kind.KEVENT_TREE_MODIFY, "g");
        const told = try bed.expectNext(Kind.KEVENT_TREE_MODIFY, "a/f");
        try expectEqual(text.len, told.size);
        try bed.expectQuiet();
    }
    // Also when nobody can look at the one that was used any more, whatever was tried first.
    try bed.mode("g", 0o640);
    try bed.fill("g", "last");
    try bed.place.unlink("g");
    _ = try bed.expectNext(Kind.KEVENT_TREE_MODIFY, "g");
    _ = try bed.expectNext(Kind.KEVENT_TREE_REMOVE, "g");
    const told = try bed.expectNext(Kind.KEVENT_TREE_MODIFY, "a/f");
    try expectEqual(4, told.size);
    try bed.expectQuiet();
}

test "tree: bad arguments are refused" {
    var bed: Bed = undefined;
    try bed.open();
    defer bed.close();
    const good: abi.TreeParams = .{ .size = @sizeOf(abi.TreeParams), .flags = 0, .depth = 0, .window_ms = 0, .poll_ms = 0 };
    var bad = good;
    bad.flags = 1 << 20;
    try std.testing.expectError(error.INVAL, bed.addWith("", bad));
    bad = good;
    bad.size = 4;
    try std.testing.expectError(error.INVAL, bed.addWith("", bad));
    const long: [5000]u8 = @splat('x');
    try expectEqual(errors.negative(error.NAMETOOLONG), exports.kevent_tree_add(bed.fd, &good, &long, long.len));
    try expectEqual(errors.negative(error.INVAL), exports.kevent_tree_add(bed.fd, &good, "a\x00b", 3));
    try expectEqual(errors.negative(error.NOENT), exports.kevent_tree_add(bed.fd, &good, "", 0));
    try expectEqual(errors.negative(error.FAULT), exports.kevent_tree_add(bed.fd, null, "a", 1));
    try expectEqual(errors.negative(error.BADF), exports.kevent_forest_read(-1, &bed.buffer, 8, 0));
    try expectEqual(errors.negative(error.FAULT), exports.kevent_forest_read(bed.fd, null, 8, 0));
    try expectEqual(errors.negative(error.NOENT), exports.kevent_tree_scan(bed.fd, 77));
    _ = try bed.add("", snapshot);
    try expectEqual(errors.negative(error.MSGSIZE), exports.kevent_forest_read(bed.fd, &bed.buffer, 8, 0));
    try expectEqual(@sizeOf(abi.TreeRecord), exports.kevent_forest_read(bed.fd, &bed.buffer, bed.buffer.len, 0));
}

test "tree: what a thread leaves goes with it, and no other thread may use it" {
    const Left = struct {
        fd: i32 = -1,
        path: [256:0]u8,
        length: u32,

        fn run(left: *@This()) void {
            left.fd = exports.kevent_forest_open();
            const params: abi.TreeParams = .{ .size = @sizeOf(abi.TreeParams), .flags = snapshot, .depth = 9, .window_ms = 5, .poll_ms = 5 };
            _ = exports.kevent_tree_add(left.fd, &params, &left.path, left.length);
        }
    };
    const place: Place = try .make();
    defer place.drop();
    const before = harness.openDescriptors();
    var left: Left = .{ .path = place.at(""), .length = @intCast(place.text().len) };
    const thread = try std.Thread.spawn(.{}, Left.run, .{&left});
    thread.join();
    try expect(left.fd >= 0);
    try expectEqual(before, harness.openDescriptors());
    try expectEqual(errors.negative(error.BADF), exports.kevent_forest_close(left.fd));
}
