//! Promises of inode events. S0-8, S4-3, S4-15, S4-20, E8-E14.

const std = @import("std");
const linux = std.os.linux;
const abi = @import("../abi.zig");
const sys = @import("../sys/linux.zig");
const errors = @import("../errors.zig");
const exports = @import("../exports.zig");
const inboxes = @import("../inotify/inbox.zig");
const harness = @import("../harness.zig");
const Harness = harness.Harness;
const Command = abi.Command;
const Kind = abi.Inode;
const expectEqual = std.testing.expectEqual;
const expectEqualStrings = std.testing.expectEqualStrings;

const queued = abi.Request.KEVENT_REQ_ALWAYS_QUEUE;
const AT_FDCWD: usize = @bitCast(@as(isize, -100));
const O_PATH = 0o10000000;
const O_CREAT_WRONLY = 0o100 | 1;
const O_RDONLY = 0;
const AT_REMOVEDIR = 0x200;

// --- files -----------------------------------------------------------------------------------

const Path = [256:0]u8;

fn must(raw: usize) !u32 {
    const signed: isize = @bitCast(raw);
    if (signed < 0) return error.SystemCall;
    return @intCast(raw);
}

/// A directory of its own for each test.
pub const Place = struct {
    root: Path,
    len: usize,

    var count: u32 = 0;

    pub fn make() !Place {
        var place: Place = .{ .root = @splat(0), .len = 0 };
        count += 1;
        const root = try std.fmt.bufPrint(&place.root, "/tmp/kevent-inode-{d}-{d}", .{ linux.getpid(), count });
        place.len = root.len;
        _ = try must(linux.syscall3(.mkdirat, AT_FDCWD, @intFromPtr(&place.root), 0o700));
        return place;
    }

    /// With all in it.
    pub fn drop(place: *const Place) void {
        place.clear("a");
        place.clear("b");
        place.clear("");
        _ = linux.syscall3(.unlinkat, AT_FDCWD, @intFromPtr(&place.root), AT_REMOVEDIR);
    }

    fn clear(place: *const Place, comptime below: []const u8) void {
        const path = place.at(below ++ "/.");
        const raw = linux.syscall4(.openat, AT_FDCWD, @intFromPtr(&path), 0o200000, 0);
        const fd = must(raw) catch return;
        defer sys.close(@intCast(fd));
        while (true) {
            var buffer: [32768]u8 align(8) = undefined;
            const got = linux.syscall3(.getdents64, fd, @intFromPtr(&buffer), buffer.len);
            if (got == 0 or @as(isize, @bitCast(got)) < 0) break;
            var offset: usize = 0;
            while (offset < got) {
                const size = std.mem.readInt(u16, buffer[offset + 16 ..][0..2], .little);
                const name: [*:0]u8 = @ptrCast(buffer[offset + 19 ..].ptr);
                offset += size;
                if (linux.syscall3(.unlinkat, fd, @intFromPtr(name), 0) != 0) {
                    _ = linux.syscall3(.unlinkat, fd, @intFromPtr(name), AT_REMOVEDIR);
                }
            }
        }
    }

    pub fn at(place: *const Place, name: []const u8) Path {
        var path = place.root;
        path[place.len] = '/';
        @memcpy(path[place.len + 1 ..][0..name.len], name);
        return path;
    }

    pub fn text(place: *const Place) []const u8 {
        return place.root[0..place.len];
    }

    pub fn open(place: *const Place, name: []const u8, flags: u32) !sys.Fd {
        const path = place.at(name);
        return @intCast(try must(linux.syscall4(.openat, AT_FDCWD, @intFromPtr(&path), flags | 0o2000000, 0o600)));
    }

    pub fn create(place: *const Place, name: []const u8) !void {
        sys.close(try place.open(name, O_CREAT_WRONLY));
    }

    pub fn mkdir(place: *const Place, name: []const u8) !void {
        const path = place.at(name);
        _ = try must(linux.syscall3(.mkdirat, AT_FDCWD, @intFromPtr(&path), 0o700));
    }

    pub fn unlink(place: *const Place, name: []const u8) !void {
        const path = place.at(name);
        _ = try must(linux.syscall3(.unlinkat, AT_FDCWD, @intFromPtr(&path), 0));
    }

    pub fn rmdir(place: *const Place, name: []const u8) !void {
        const path = place.at(name);
        _ = try must(linux.syscall3(.unlinkat, AT_FDCWD, @intFromPtr(&path), AT_REMOVEDIR));
    }

    pub fn rename(place: *const Place, from: []const u8, to: []const u8) !void {
        const old = place.at(from);
        const new = place.at(to);
        _ = try must(linux.syscall5(.renameat2, AT_FDCWD, @intFromPtr(&old), AT_FDCWD, @intFromPtr(&new), 0));
    }

    pub fn symlink(place: *const Place, to: []const u8, name: []const u8) !void {
        const target = place.at(to);
        const path = place.at(name);
        _ = try must(linux.syscall3(.symlinkat, @intFromPtr(&target), AT_FDCWD, @intFromPtr(&path)));
    }

    fn chmod(place: *const Place, name: []const u8) !void {
        const path = place.at(name);
        _ = try must(linux.syscall3(.fchmodat, AT_FDCWD, @intFromPtr(&path), 0o640));
    }
};

fn interest(event: u32, user: u32) abi.Ukevent {
    return harness.record(abi.Type.KEVENT_INODE, 0, event, queued, user);
}

/// ADD by path. The record as the library left it.
fn watch(h: *const Harness, path: []const u8, event: u32, user: u32) !abi.Ukevent {
    return watchWith(h, path, interest(event, user));
}

fn watchWith(h: *const Harness, path: []const u8, given: abi.Ukevent) !abi.Ukevent {
    var record = given;
    try expectEqual(1, exports.kevent_inode_add(h.fd, path.ptr, @intCast(path.len), &record));
    try expectEqual(0, record.ret_flags);
    try expectEqual(1, record.id.raw[1]);
    return record;
}

fn watchRefused(h: *const Harness, path: []const u8, event: u32, err: errors.Error) !void {
    var record = interest(event, 1);
    try expectEqual(errors.negative(err), exports.kevent_inode_add(h.fd, path.ptr, @intCast(path.len), &record));
    try expectEqual(abi.Return.KEVENT_RET_BROKEN, record.ret_flags);
    try expectEqual(errors.number(err), record.ret_data);
}

fn length(path: *const Path) []const u8 {
    return std.mem.sliceTo(path, 0);
}

fn expectNext(h: *Harness, user: u32, event: u32, name: []const u8) !abi.Ukevent {
    const got = exports.kevent_get_events(h.fd, 1, 1, 1, 0, &h.events, 0);
    try expectEqual(1, got);
    try expectEqual(event, h.events[0].event);
    try expectEqual(user, h.events[0].user[0]);
    try expectEqualStrings(name, h.name(h.events[0]));
    return h.events[0];
}

/// Watches that the kernel keeps for this process.
fn kernelWatches() !u32 {
    var count: u32 = 0;
    for (0..1024) |fd| {
        if (!sys.isOpen(@intCast(fd))) continue;
        var path: [64]u8 = undefined;
        const info = try std.fmt.bufPrintSentinel(&path, "/proc/self/fdinfo/{d}", .{fd}, 0);
        const file: sys.Fd = @intCast(try must(linux.syscall4(.openat, AT_FDCWD, @intFromPtr(info.ptr), 0o2000000, 0)));
        defer sys.close(file);
        var text: [4096]u8 = undefined;
        count += @intCast(std.mem.count(u8, text[0..try sys.read(file, &text)], "inotify wd:"));
    }
    return count;
}

// --- promises --------------------------------------------------------------------------------

test "inode: S4-3 every kind, of a directory and of a file" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var place = try Place.make();
            defer place.drop();
            try place.mkdir("a");
            try place.create("f");
            const everything: u32 = 0xfff;
            _ = try watch(h, place.text(), everything, 1);
            const file = place.at("f");
            _ = try watch(h, length(&file), everything, 2);
            // A directory is told of its children, a file of itself.
            try place.create("new");
            _ = try expectNext(h, 1, Kind.KEVENT_INODE_CREATE, "new");
            _ = try expectNext(h, 1, Kind.KEVENT_INODE_OPEN, "new");
            _ = try expectNext(h, 1, Kind.KEVENT_INODE_CLOSE_WRITE, "new");
            try place.mkdir("b");
            _ = try expectNext(h, 1, Kind.KEVENT_INODE_CREATE | Kind.KEVENT_INODE_DIRECTORY, "b");
            try place.rename("new", "old");
            const from = try expectNext(h, 1, Kind.KEVENT_INODE_MOVED_FROM, "new");
            const to = try expectNext(h, 1, Kind.KEVENT_INODE_MOVED_TO, "old");
            try std.testing.expect(from.ret_extra != 0);
            try expectEqual(from.ret_extra, to.ret_extra);
            try place.unlink("old");
            _ = try expectNext(h, 1, Kind.KEVENT_INODE_REMOVE, "old");
            const fd = try place.open("f", 2);
            try expectPair(h, Kind.KEVENT_INODE_OPEN);
            _ = try sys.write(fd, "x");
            try expectPair(h, Kind.KEVENT_INODE_MODIFY);
            sys.close(fd);
            try expectPair(h, Kind.KEVENT_INODE_CLOSE_WRITE);
            const again = try place.open("f", O_RDONLY);
            try expectPair(h, Kind.KEVENT_INODE_OPEN);
            var byte: [1]u8 = undefined;
            _ = try sys.read(again, &byte);
            try expectPair(h, Kind.KEVENT_INODE_ACCESS);
            sys.close(again);
            try expectPair(h, Kind.KEVENT_INODE_CLOSE_NOWRITE);
            try place.chmod("f");
            try expectPair(h, Kind.KEVENT_INODE_ATTRIB);
            try place.rename("f", "g");
            _ = try expectNext(h, 1, Kind.KEVENT_INODE_MOVED_FROM, "f");
            _ = try expectNext(h, 1, Kind.KEVENT_INODE_MOVED_TO, "g");
            _ = try expectNext(h, 2, Kind.KEVENT_INODE_MOVE_SELF, "");
            try place.unlink("g");
            _ = try expectNext(h, 2, Kind.KEVENT_INODE_ATTRIB, "");
            _ = try expectNext(h, 2, Kind.KEVENT_INODE_REMOVE_SELF, "");
            _ = try expectNext(h, 2, Kind.KEVENT_INODE_IGNORED, "");
            _ = try expectNext(h, 1, Kind.KEVENT_INODE_REMOVE, "g");
            try h.silent();
        }

        /// First the directory hears of it, then the file.
        fn expectPair(h: *Harness, event: u32) !void {
            _ = try expectNext(h, 1, event, "f");
            _ = try expectNext(h, 2, event, "");
        }
    }.promise);
}

test "inode: order across watches is the kernel's, also when one of them is behind" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var place = try Place.make();
            defer place.drop();
            try place.mkdir("a");
            try place.mkdir("b");
            const a = place.at("a");
            const b = place.at("b");
            const moves = Kind.KEVENT_INODE_MOVED_FROM | Kind.KEVENT_INODE_MOVED_TO | Kind.KEVENT_INODE_CREATE;
            _ = try watch(h, length(&b), moves, 2);
            _ = try watch(h, length(&a), moves, 1);
            try place.create("a/one");
            try place.create("a/two");
            try place.rename("a/one", "b/one");
            try place.rename("b/one", "a/three");
            _ = try expectNext(h, 1, Kind.KEVENT_INODE_CREATE, "one");
            _ = try expectNext(h, 1, Kind.KEVENT_INODE_CREATE, "two");
            const out = try expectNext(h, 1, Kind.KEVENT_INODE_MOVED_FROM, "one");
            const in = try expectNext(h, 2, Kind.KEVENT_INODE_MOVED_TO, "one");
            try expectEqual(out.ret_extra, in.ret_extra);
            const back = try expectNext(h, 2, Kind.KEVENT_INODE_MOVED_FROM, "one");
            try std.testing.expect(back.ret_extra != in.ret_extra);
            _ = try expectNext(h, 1, Kind.KEVENT_INODE_MOVED_TO, "three");
            try h.silent();
        }
    }.promise);
}

test "inode: a hundred events at once come out of one registration in order, each with its name" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var place = try Place.make();
            defer place.drop();
            _ = try watch(h, place.text(), Kind.KEVENT_INODE_CREATE, 1);
            var name: [16]u8 = undefined;
            for (0..100) |n| try place.create(try std.fmt.bufPrint(&name, "file{d}", .{n}));
            const got = try h.collect(100);
            try expectEqual(100, got.len);
            for (got, 0..) |r, n| {
                try expectEqualStrings(try std.fmt.bufPrint(&name, "file{d}", .{n}), h.name(r));
            }
            try h.silent();
        }
    }.promise);
}

test "inode: one inode twice, by path, by another path and by descriptor: all fire" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var place = try Place.make();
            defer place.drop();
            try place.mkdir("a");
            try place.symlink("a", "link");
            const direct = place.at("a");
            const link = place.at("link");
            const create = Kind.KEVENT_INODE_CREATE;
            const elsewhere = try watch(h, place.text(), Kind.KEVENT_INODE_REMOVE, 5);
            try expectEqual(1, try kernelWatches());
            const first = try watch(h, length(&direct), create, 1);
            const second = try watch(h, length(&link), create, 2);
            try expectEqual(first.id.raw[0], second.id.raw[0]);
            const fd = try place.open("a", O_PATH);
            var third = interest(create, 3);
            third.id.raw[0] = @intCast(fd);
            try h.apply(Command.KEVENT_CTL_ADD, third);
            const readable = try place.open("a", O_RDONLY);
            var fourth = interest(create, 4);
            fourth.id.raw[0] = @intCast(readable);
            try h.apply(Command.KEVENT_CTL_ADD, fourth);
            // It is the inode that is watched, not the descriptor.
            sys.close(fd);
            sys.close(readable);
            try place.create("a/x");
            for (1..5) |user| _ = try expectNext(h, @intCast(user), create, "x");
            try h.apply(Command.KEVENT_CTL_REMOVE, first);
            try h.apply(Command.KEVENT_CTL_REMOVE, third);
            try place.create("a/y");
            _ = try expectNext(h, 2, create, "y");
            _ = try expectNext(h, 4, create, "y");
            try h.silent();
            var again = second;
            try expectEqual(-17, exports.kevent_inode_add(h.fd, link[0..], @intCast(length(&link).len), &again));
            try place.create("a/z");
            _ = try expectNext(h, 2, create, "z");
            _ = try expectNext(h, 4, create, "z");
            // The kernel watches each inode once, and no longer than somebody wants it.
            try expectEqual(2, try kernelWatches());
            try h.apply(Command.KEVENT_CTL_REMOVE, second);
            try expectEqual(2, try kernelWatches());
            try h.apply(Command.KEVENT_CTL_REMOVE, fourth);
            try expectEqual(1, try kernelWatches());
            try h.apply(Command.KEVENT_CTL_REMOVE, elsewhere);
        }
    }.promise);
}

test "inode: two queues with different masks on one inode each get theirs, whoever reads" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var place = try Place.make();
            defer place.drop();
            const other = try h.sibling();
            defer other.close();
            _ = try watch(h, place.text(), Kind.KEVENT_INODE_CREATE, 1);
            const theirs = try watch(other, place.text(), Kind.KEVENT_INODE_REMOVE, 2);
            try place.create("x");
            try place.unlink("x");
            _ = try expectNext(h, 1, Kind.KEVENT_INODE_CREATE, "x");
            try h.silent();
            _ = try expectNext(other, 2, Kind.KEVENT_INODE_REMOVE, "x");
            try other.silent();
            try other.apply(Command.KEVENT_CTL_REMOVE, theirs);
            try place.create("y");
            try place.unlink("y");
            _ = try expectNext(h, 1, Kind.KEVENT_INODE_CREATE, "y");
            try h.silent();
        }
    }.promise);
}

test "inode: what came before an ADD is not for it" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var place = try Place.make();
            defer place.drop();
            const other = try h.sibling();
            defer other.close();
            _ = try watch(h, place.text(), Kind.KEVENT_INODE_CREATE, 1);
            try place.create("x");
            _ = try watch(h, place.text(), Kind.KEVENT_INODE_CREATE, 2);
            _ = try watch(other, place.text(), Kind.KEVENT_INODE_CREATE, 3);
            try place.create("y");
            _ = try expectNext(h, 1, Kind.KEVENT_INODE_CREATE, "x");
            _ = try expectNext(h, 1, Kind.KEVENT_INODE_CREATE, "y");
            _ = try expectNext(h, 2, Kind.KEVENT_INODE_CREATE, "y");
            try h.silent();
            _ = try expectNext(other, 3, Kind.KEVENT_INODE_CREATE, "y");
            try other.silent();
        }
    }.promise);
}

test "inode: after IGNORED the registration is over; a watch that comes later is another one" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var place = try Place.make();
            defer place.drop();
            try place.mkdir("a");
            const path = place.at("a");
            const first = try watch(h, length(&path), Kind.KEVENT_INODE_CREATE, 1);
            try place.rmdir("a");
            try place.mkdir("a");
            // The kernel has not told yet, and the new directory is another inode.
            const second = try watch(h, length(&path), Kind.KEVENT_INODE_CREATE, 1);
            try std.testing.expect(first.id.raw[0] != second.id.raw[0]);
            try place.create("a/x");
            const gone = try expectNext(h, 1, Kind.KEVENT_INODE_IGNORED, "");
            try expectEqual(first.id.raw[0], gone.id.raw[0]);
            _ = try expectNext(h, 1, Kind.KEVENT_INODE_CREATE, "x");
            try h.silent();
            try h.refused(Command.KEVENT_CTL_REMOVE, first, error.NOENT);
            // Ours: the IGNORED that follows a REMOVE is for nobody.
            try h.apply(Command.KEVENT_CTL_REMOVE, second);
            const third = try watch(h, length(&path), Kind.KEVENT_INODE_CREATE, 1);
            try place.create("a/y");
            _ = try expectNext(h, 1, Kind.KEVENT_INODE_CREATE, "y");
            try h.apply(Command.KEVENT_CTL_REMOVE, third);
            try h.silent();
        }
    }.promise);
}

test "inode: MODIFY changes what the kernel is asked for, by path and by descriptor" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var place = try Place.make();
            defer place.drop();
            const create = Kind.KEVENT_INODE_CREATE;
            const remove = Kind.KEVENT_INODE_REMOVE;
            var by_path = try watch(h, place.text(), create, 1);
            const fd = try place.open(".", O_PATH);
            var by_fd = interest(create, 2);
            by_fd.id.raw[0] = @intCast(fd);
            try h.apply(Command.KEVENT_CTL_ADD, by_fd);
            by_path.event = remove;
            try h.apply(Command.KEVENT_CTL_MODIFY, by_path);
            try place.create("x");
            try place.unlink("x");
            _ = try expectNext(h, 2, create, "x");
            _ = try expectNext(h, 1, remove, "x");
            try h.silent();
            // An event that waits stays if it is still wanted, and goes if not.
            try place.create("y");
            by_fd.event = create | remove;
            try h.apply(Command.KEVENT_CTL_MODIFY, by_fd);
            _ = try expectNext(h, 2, create, "y");
            // More than the kernel watches cannot be had without the inode.
            sys.close(fd);
            by_fd.event = Kind.KEVENT_INODE_ATTRIB;
            try h.refused(Command.KEVENT_CTL_MODIFY, by_fd, error.BADF);
            try place.unlink("y");
            _ = try expectNext(h, 1, remove, "y");
            try h.silent();
        }
    }.promise);
}

test "inode: MODIFY keeps the event that waits if it is still wanted, and drops it if not" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var place = try Place.make();
            defer place.drop();
            const create = Kind.KEVENT_INODE_CREATE;
            const remove = Kind.KEVENT_INODE_REMOVE;
            _ = try watch(h, place.text(), create, 1);
            var kept = try watch(h, place.text(), create, 2);
            var dropped = try watch(h, place.text(), create, 3);
            try place.create("x");
            try place.create("y");
            _ = try expectNext(h, 1, create, "x");
            kept.event = create | remove;
            try h.apply(Command.KEVENT_CTL_MODIFY, kept);
            dropped.event = remove;
            try h.apply(Command.KEVENT_CTL_MODIFY, dropped);
            _ = try expectNext(h, 2, create, "x");
            _ = try expectNext(h, 1, create, "y");
            _ = try expectNext(h, 2, create, "y");
            try place.unlink("x");
            _ = try expectNext(h, 2, remove, "x");
            _ = try expectNext(h, 3, remove, "x");
            try h.silent();
        }
    }.promise);
}

test "inode: MODIFY by a path that names another inode by now is refused" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var place = try Place.make();
            defer place.drop();
            try place.mkdir("a");
            const path = place.at("a");
            var given = try watch(h, length(&path), Kind.KEVENT_INODE_CREATE, 1);
            try place.rename("a", "old");
            try place.mkdir("a");
            given.event = Kind.KEVENT_INODE_REMOVE;
            try h.refused(Command.KEVENT_CTL_MODIFY, given, error.NOENT);
            try place.create("a/x");
            try h.silent();
        }
    }.promise);
}

test "inode: one-shot, edge-triggered, LAST_CHECK, READY at ADD and by hand" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var place = try Place.make();
            defer place.drop();
            const create = Kind.KEVENT_INODE_CREATE;
            var given = interest(create, 1);
            given.req_flags |= abi.Request.KEVENT_REQ_ONESHOT;
            const once = try watchWith(h, place.text(), given);
            given = interest(create, 2);
            given.req_flags |= abi.Request.KEVENT_REQ_ET | abi.Request.KEVENT_REQ_LAST_CHECK;
            const checked = try watchWith(h, place.text(), given);
            given = interest(create | Kind.KEVENT_INODE_ONLY_DIRECTORY, 3);
            given.req_flags |= abi.Request.KEVENT_REQ_READY;
            _ = try watchWith(h, place.text(), given);
            _ = try expectNext(h, 3, create, "");
            try place.create("x");
            try place.create("y");
            _ = try expectNext(h, 1, create, "x");
            _ = try expectNext(h, 2, create, "x");
            _ = try expectNext(h, 3, create, "x");
            _ = try expectNext(h, 2, create, "y");
            _ = try expectNext(h, 3, create, "y");
            try h.silent();
            try h.refused(Command.KEVENT_CTL_REMOVE, once, error.NOENT);
            // Ready by hand and by an event are two records.
            try h.apply(Command.KEVENT_CTL_READY, checked);
            try place.create("z");
            _ = try expectNext(h, 2, create, "");
            _ = try expectNext(h, 2, create, "z");
            _ = try expectNext(h, 3, create, "z");
            try h.silent();
        }
    }.promise);
}

test "inode: a removed registration takes its event with it, and the next comes up" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var place = try Place.make();
            defer place.drop();
            try place.mkdir("a");
            const a = place.at("a");
            const first = try watch(h, length(&a), Kind.KEVENT_INODE_CREATE, 1);
            _ = try watch(h, place.text(), Kind.KEVENT_INODE_CREATE, 2);
            try place.create("a/x");
            try place.create("a/y");
            try place.create("z");
            // Taken in, one event only.
            var kept: [1]abi.Ukevent = undefined;
            try expectEqual(1, exports.kevent_get_events(h.fd, 1, 1, 1, 0, &kept, 0));
            try h.apply(Command.KEVENT_CTL_REMOVE, first);
            _ = try expectNext(h, 2, Kind.KEVENT_INODE_CREATE, "z");
            try h.silent();
        }
    }.promise);
}

test "inode: no room for a name keeps the event until there is" {
    for ([_]u32{ abi.Backend.KEVENT_BACKEND_EPOLL, abi.Backend.KEVENT_BACKEND_IO_URING, abi.Backend.KEVENT_BACKEND_SIMULATED }) |backend| {
        const h = try Harness.openWith(backend, 260) orelse continue;
        defer h.close();
        var place = try Place.make();
        defer place.drop();
        _ = try watch(h, place.text(), Kind.KEVENT_INODE_CREATE, 1);
        const long: [150]u8 = @splat('n');
        try place.create(&long);
        try place.create(long[0..149]);
        var got = try h.collect(1);
        try expectEqual(1, got.len);
        try expectEqualStrings(&long, h.name(got[0]));
        got = try h.collect(1);
        try expectEqualStrings(long[0..149], h.name(got[0]));
    }
}

test "inode: bad paths, descriptors and masks" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var place = try Place.make();
            defer place.drop();
            const create = Kind.KEVENT_INODE_CREATE;
            const before = harness.openDescriptors();
            const long: [4096]u8 = @splat('/');
            try watchRefused(h, &long, create, error.NAMETOOLONG);
            _ = try watch(h, long[0..4095], create, 9);
            try watchRefused(h, "/tmp\x00/x", create, error.INVAL);
            try watchRefused(h, "", create, error.NOENT);
            try watchRefused(h, "/does/not/exist", create, error.NOENT);
            try watchRefused(h, place.text(), 0, error.INVAL);
            try watchRefused(h, place.text(), create | Kind.KEVENT_INODE_DIRECTORY, error.INVAL);
            try watchRefused(h, place.text(), Kind.KEVENT_INODE_ONLY_DIRECTORY, error.INVAL);
            try place.create("f");
            const file = place.at("f");
            try watchRefused(h, length(&file), create | Kind.KEVENT_INODE_ONLY_DIRECTORY, error.NOTDIR);
            // Paths are bytes.
            try place.create("\xff\xfe");
            const bytes = place.at("\xff\xfe");
            _ = try watch(h, length(&bytes), create, 8);
            var given = interest(create, 1);
            given.id.raw[0] = 4000;
            try h.refused(Command.KEVENT_CTL_ADD, given, error.BADF);
            given.id.raw[0] = 0xffff_ffff;
            try h.refused(Command.KEVENT_CTL_ADD, given, error.BADF);
            given.id.raw = .{ 1, 1 };
            try h.refused(Command.KEVENT_CTL_ADD, given, error.BADF);
            var wrong = harness.record(abi.Type.KEVENT_POLL, 0, create, queued, 1);
            try expectEqual(-22, exports.kevent_inode_add(h.fd, place.text().ptr, @intCast(place.len), &wrong));
            // The hub's descriptor and the queue's bell, and nothing of what failed.
            try expectEqual(before + 2, harness.openDescriptors());
        }
    }.promise);
}

test "inode: limits of the kernel are told by name" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var place = try Place.make();
            defer place.drop();
            const before = harness.openDescriptors();
            sys.fault.arrange(.inotify, 0, error.NOMEM);
            try watchRefused(h, place.text(), Kind.KEVENT_INODE_CREATE, error.NOMEM);
            sys.fault.arrange(.inotify, 1, error.NOSPC);
            try watchRefused(h, place.text(), Kind.KEVENT_INODE_CREATE, error.NOSPC);
            sys.fault.arrange(.eventfd, 0, error.MFILE);
            try watchRefused(h, place.text(), Kind.KEVENT_INODE_CREATE, error.MFILE);
            // A fault leaves open what the kernel gave before it was made to fail.
            try std.testing.expect(harness.openDescriptors() <= before + 2);
            _ = try watch(h, place.text(), Kind.KEVENT_INODE_CREATE, 1);
            try place.create("x");
            _ = try expectNext(h, 1, Kind.KEVENT_INODE_CREATE, "x");
        }
    }.promise);
}

test "inode: a watch waits for an instance that the kernel still counts" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var place = try Place.make();
            defer place.drop();
            sys.fault.arrange(.inotify, 0, error.MFILE);
            _ = try watch(h, place.text(), Kind.KEVENT_INODE_CREATE, 1);
            try place.create("x");
            _ = try expectNext(h, 1, Kind.KEVENT_INODE_CREATE, "x");
        }
    }.promise);
}

test "inode: DONT_FOLLOW watches the link itself" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var place = try Place.make();
            defer place.drop();
            try place.mkdir("a");
            try place.symlink("a", "link");
            const link = place.at("link");
            _ = try watch(h, length(&link), Kind.KEVENT_INODE_CREATE | Kind.KEVENT_INODE_REMOVE_SELF | Kind.KEVENT_INODE_DONT_FOLLOW, 1);
            try place.create("a/x");
            try h.silent();
            try place.unlink("link");
            _ = try expectNext(h, 1, Kind.KEVENT_INODE_REMOVE_SELF, "");
            _ = try expectNext(h, 1, Kind.KEVENT_INODE_IGNORED, "");
        }
    }.promise);
}

test "inode: EXCLUDE_UNLINKED silences only when all on the inode want it" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var place = try Place.make();
            defer place.drop();
            const write = Kind.KEVENT_INODE_MODIFY;
            const quiet = try watch(h, place.text(), write | Kind.KEVENT_INODE_EXCLUDE_UNLINKED, 1);
            try place.create("x");
            const fd = try place.open("x", 1);
            defer sys.close(fd);
            try place.unlink("x");
            _ = try sys.write(fd, "1");
            try h.silent();
            const loud = try watch(h, place.text(), write, 2);
            _ = try sys.write(fd, "2");
            _ = try expectNext(h, 1, write, "x");
            _ = try expectNext(h, 2, write, "x");
            try h.apply(Command.KEVENT_CTL_REMOVE, quiet);
            _ = try watch(h, place.text(), write | Kind.KEVENT_INODE_EXCLUDE_UNLINKED, 1);
            _ = try sys.write(fd, "3");
            _ = try expectNext(h, 2, write, "x");
            _ = try expectNext(h, 1, write, "x");
            try h.apply(Command.KEVENT_CTL_REMOVE, loud);
        }
    }.promise);
}

test "inode: an inbox that cannot grow ends with OVERFLOW for all, and goes on afterwards" {
    const most = inboxes.inbox_most;
    defer inboxes.inbox_most = most;
    inboxes.inbox_most = 4096;
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var place = try Place.make();
            defer place.drop();
            try place.mkdir("a");
            const a = place.at("a");
            const other = try h.sibling();
            defer other.close();
            _ = try watch(h, place.text(), Kind.KEVENT_INODE_CREATE, 1);
            _ = try watch(h, length(&a), Kind.KEVENT_INODE_CREATE, 2);
            _ = try watch(other, length(&a), Kind.KEVENT_INODE_CREATE, 3);
            // Both halves of the inbox, and each of them again.
            for (0..4) |_| try fillUp(h, &place);
            try other.silent();
            try place.create("a/x");
            _ = try expectNext(h, 2, Kind.KEVENT_INODE_CREATE, "x");
            _ = try expectNext(other, 3, Kind.KEVENT_INODE_CREATE, "x");
            try h.silent();
        }

        fn fillUp(h: *Harness, place: *Place) !void {
            var name: [16]u8 = undefined;
            for (0..200) |n| {
                const child = try std.fmt.bufPrint(&name, "{d}", .{n});
                try place.create(child);
                try place.unlink(child);
            }
            var seen: u32 = 0;
            var overflows: u32 = 0;
            while (overflows < 2) {
                const some = try h.collect(1);
                try std.testing.expect(some.len > 0);
                for (some) |got| {
                    if (got.event == Kind.KEVENT_INODE_OVERFLOW) {
                        overflows += 1;
                        try std.testing.expect(seen > 50);
                    } else {
                        try expectEqual(0, overflows);
                        try expectEqualStrings(try std.fmt.bufPrint(&name, "{d}", .{seen}), h.name(got));
                        seen += 1;
                    }
                }
            }
            try std.testing.expect(seen < 200);
            try h.silent();
        }
    }.promise);
}

test "inode: the kernel's own overflow is told to every registration of every queue" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var place = try Place.make();
            defer place.drop();
            try place.mkdir("a");
            const a = place.at("a");
            const other = try h.sibling();
            defer other.close();
            _ = try watch(h, place.text(), Kind.KEVENT_INODE_CREATE, 1);
            _ = try watch(other, length(&a), Kind.KEVENT_INODE_CREATE, 2);
            var name: [16]u8 = undefined;
            // More than fs.inotify.max_queued_events, 16384 by default.
            for (0..17_000) |n| try place.create(try std.fmt.bufPrint(&name, "{d}", .{n}));
            const one = try other.one();
            try expectEqual(Kind.KEVENT_INODE_OVERFLOW, one.event);
            try expectEqual(2, one.user[0]);
            var seen: u32 = 0;
            while (true) {
                const got = try h.collect(1);
                try std.testing.expect(got.len > 0);
                if (got[got.len - 1].event == Kind.KEVENT_INODE_OVERFLOW) break;
                seen += @intCast(got.len);
            }
            try std.testing.expect(seen >= 16_000);
            try h.silent();
        }
    }.promise);
}

test "inode: queues that end leave nothing behind, and the others their events" {
    try harness.onEach(struct {
        fn promise(h: *Harness) !void {
            var place = try Place.make();
            defer place.drop();
            const before = harness.openDescriptors();
            {
                const other = try h.sibling();
                defer other.close();
                _ = try watch(other, place.text(), Kind.KEVENT_INODE_CREATE, 1);
                _ = try watch(h, place.text(), Kind.KEVENT_INODE_CREATE, 2);
                try place.create("x");
            }
            const last = try expectNext(h, 2, Kind.KEVENT_INODE_CREATE, "x");
            try place.create("y");
            try h.apply(Command.KEVENT_CTL_REMOVE, last);
            try expectEqual(before, harness.openDescriptors());
            try h.silent();
        }
    }.promise);
}

test "inode: threads that watch the same directory each see all of it in order, while others come and go" {
    const Crowd = struct {
        var place: Place = undefined;
        var ready: std.atomic.Value(u32) = .init(0);
        var stop: std.atomic.Value(bool) = .init(false);
        var failed: std.atomic.Value(bool) = .init(false);
        const files = 3000;

        fn see() void {
            seeAll() catch |err| {
                std.debug.print("a thread that watches: {t}\n", .{err});
                failed.store(true, .seq_cst);
            };
        }

        fn seeAll() !void {
            const h = (try Harness.open(abi.Backend.KEVENT_BACKEND_EPOLL)).?;
            defer h.close();
            _ = try watch(h, place.text(), Kind.KEVENT_INODE_CREATE, 1);
            _ = ready.fetchAdd(1, .seq_cst);
            var seen: u32 = 0;
            var name: [16]u8 = undefined;
            while (seen < files) {
                const got = try h.collect(1);
                if (got.len == 0) return error.Lost;
                for (got) |r| {
                    try expectEqualStrings(try std.fmt.bufPrint(&name, "{d}", .{seen}), h.name(r));
                    seen += 1;
                }
            }
        }

        fn comeAndGo() void {
            while (!stop.load(.seq_cst)) {
                const h = (Harness.open(abi.Backend.KEVENT_BACKEND_EPOLL) catch return).?;
                const record = watch(h, place.text(), Kind.KEVENT_INODE_CREATE | Kind.KEVENT_INODE_OPEN, 1) catch return;
                _ = h.collect(0) catch {};
                h.apply(Command.KEVENT_CTL_REMOVE, record) catch return;
                _ = watch(h, "/tmp", Kind.KEVENT_INODE_CREATE, 1) catch return;
                h.close();
            }
        }
    };
    Crowd.place = try Place.make();
    defer Crowd.place.drop();
    const before = harness.openDescriptors();
    var watchers: [3]std.Thread = undefined;
    for (&watchers) |*thread| thread.* = try std.Thread.spawn(.{}, Crowd.see, .{});
    const guest = try std.Thread.spawn(.{}, Crowd.comeAndGo, .{});
    while (Crowd.ready.load(.seq_cst) < watchers.len) try std.Thread.yield();
    var name: [16]u8 = undefined;
    for (0..Crowd.files) |n| try Crowd.place.create(try std.fmt.bufPrint(&name, "{d}", .{n}));
    for (watchers) |thread| thread.join();
    Crowd.stop.store(true, .seq_cst);
    guest.join();
    try std.testing.expect(!Crowd.failed.load(.seq_cst));
    try expectEqual(before, harness.openDescriptors());
}

test "inode: threads that add and remove the same watch at the same time each hear of what follows" {
    const Rush = struct {
        var place: Place = undefined;
        var failed: std.atomic.Value(bool) = .init(false);

        fn run(number: usize) void {
            for (0..300) |round| once(number, round) catch |err| {
                std.debug.print("thread {d}, round {d}: {t}\n", .{ number, round, err });
                failed.store(true, .seq_cst);
                return;
            };
        }

        fn once(number: usize, round: usize) !void {
            const h = (try Harness.open(abi.Backend.KEVENT_BACKEND_EPOLL)).?;
            defer h.close();
            const kinds = [_]u32{ Kind.KEVENT_INODE_CREATE, Kind.KEVENT_INODE_REMOVE, Kind.KEVENT_INODE_OPEN };
            var given = try watch(h, place.text(), kinds[(number + round) % 3], 1);
            if (round % 4 == 0) {
                given.event = kinds[number % 3];
                try h.apply(Command.KEVENT_CTL_MODIFY, given);
            }
            var buffer: [32]u8 = undefined;
            const mine = try std.fmt.bufPrint(&buffer, "{d}-{d}", .{ number, round });
            try place.create(mine);
            try place.unlink(mine);
            while (true) {
                const some = try h.collect(1);
                if (some.len == 0) return error.Lost;
                for (some) |got| {
                    if (got.event != given.event) return error.Unasked;
                    if (std.mem.eql(u8, h.name(got), mine)) return;
                }
            }
        }
    };
    Rush.place = try Place.make();
    defer Rush.place.drop();
    const before = harness.openDescriptors();
    var threads: [4]std.Thread = undefined;
    for (&threads, 0..) |*thread, number| thread.* = try std.Thread.spawn(.{}, Rush.run, .{number});
    for (threads) |thread| thread.join();
    try std.testing.expect(!Rush.failed.load(.seq_cst));
    try expectEqual(before, harness.openDescriptors());
}

test "inode: a thread that ends without a word leaves the hub" {
    const Worker = struct {
        var place: Place = undefined;

        fn run() void {
            const h = (Harness.open(abi.Backend.KEVENT_BACKEND_EPOLL) catch return).?;
            _ = watch(h, place.text(), Kind.KEVENT_INODE_CREATE, 1) catch return;
            std.testing.allocator.destroy(h);
        }
    };
    Worker.place = try Place.make();
    defer Worker.place.drop();
    const before = harness.openDescriptors();
    const thread = try std.Thread.spawn(.{}, Worker.run, .{});
    thread.join();
    try expectEqual(before, harness.openDescriptors());
}
