//! From what inotify(7) says to what happened in a tree, in the order of the kernel.

const std = @import("std");
const abi = @import("../abi.zig");
const Error = @import("../errors.zig").Error;
const pools = @import("../pool.zig");
const none = pools.none;
const hub = @import("../inotify/hub.zig");
const Entry = @import("../inotify/inbox.zig").Entry;
const nodes_file = @import("nodes.zig");
const forests = @import("forest.zig");
const Forest = forests.Forest;
const Tree = forests.Tree;
const held = @import("held.zig");
const links = @import("links.zig");
const output = @import("output.zig");
const Place = output.Place;
const roots = @import("root.zig");
const scan = @import("scan.zig");

const Kind = abi.Inode;

/// How long the other half of a rename is waited for, from when the first was read. The kernel queues them
/// one right after the other.
const part_us = 500;
/// How far behind the first half the other is looked for: what other processors put in between.
const apart_most = 256;

/// The first half of a rename.
pub const Parted = struct {
    directory: u32,
    serial: u32,
    cookie: u32,
    is_directory: bool,
    stamp_us: u32,
    length: u8,
    bytes: [nodes_file.name_most]u8,

    fn of(entry: *const Entry, is_directory: bool) Parted {
        var parted: Parted = .{
            .directory = entry.owner_token,
            .serial = entry.generation,
            .cookie = entry.cookie,
            .is_directory = is_directory,
            .stamp_us = entry.stamp_us,
            .length = @intCast(entry.name_len),
            .bytes = undefined,
        };
        @memcpy(parted.bytes[0..parted.length], entry.name());
        return parted;
    }

    fn name(parted: *const Parted) []const u8 {
        return parted.bytes[0..parted.length];
    }

    pub fn leftNs(parted: *const Parted, now_ns: u64) u64 {
        return leftOf(parted.stamp_us, now_ns);
    }
};

/// How long what belongs to an event may still be on its way.
fn leftOf(stamp_us: u32, now_ns: u64) u64 {
    const now_us: u32 = @truncate(now_ns / std.time.ns_per_us);
    const passed = now_us -% stamp_us;
    // The clock of this call is a little older than what it read.
    if (passed > 1 << 31) return part_us * std.time.ns_per_us;
    return (part_us -| passed) * std.time.ns_per_us;
}

pub const Next = enum { done, waits, none };

/// Take the next event.
pub fn next(forest: *Forest) Next {
    forest.inbox.takeOver();
    if (forest.parted != null) return nextParted(forest);
    const entry = forest.inbox.peek() orelse return .none;
    if (take(forest, entry) == .again) return .done;
    forest.inbox.eat(entry);
    return .done;
}

fn nextParted(forest: *Forest) Next {
    const parted = &forest.parted.?;
    forest.inbox.gather();
    var entry = forest.inbox.peek();
    for (0..apart_most) |_| {
        const candidate = entry orelse break;
        if (isOther(forest, parted, candidate)) return join(forest, candidate);
        entry = forest.inbox.after(candidate);
    }
    if (entry == null and parted.leftNs(forest.now_ns) > 0) return .waits;
    // Its other half is in no directory of this tree.
    const gone = parted.*;
    forest.parted = null;
    _ = forest.nodes.directory(gone.directory, gone.serial) orelse return .done;
    left(forest, gone.directory, gone.name(), gone.is_directory);
    // Something has its name, perhaps: it comes with an event of its own, or changed places with what left.
    const taken = inodeAt(forest, .{ .parent = gone.directory, .name = gone.name() }) != 0;
    if (taken or !isInPlace(forest, gone.directory)) scan.againShallow(forest, gone.directory);
    return .done;
}

fn isOther(forest: *const Forest, parted: *const Parted, entry: *const Entry) bool {
    if (entry.mask & Kind.KEVENT_INODE_MOVED_TO == 0 or entry.cookie != parted.cookie) return false;
    if (forest.nodes.directory(parted.directory, parted.serial) == null) return false;
    const to = forest.nodes.directory(entry.owner_token, entry.generation) orelse return false;
    return to.tree == forest.nodes.at(parted.directory).tree;
}

fn join(forest: *Forest, entry: *const Entry) Next {
    const parted = forest.parted.?;
    const rename: Rename = .{
        .from = .{ .parent = parted.directory, .name = parted.name() },
        .to = .{ .parent = entry.owner_token, .name = entry.name() },
        .is_directory = parted.is_directory,
    };
    const back = wayBack(forest, &rename, entry);
    if (back == .waits) return .waits;
    forest.parted = null;
    if (renamed(forest, &rename, back)) consume(entry);
    return .done;
}

/// Not to be taken when its turn comes.
fn consume(entry: *const Entry) void {
    @constCast(entry).mask = 0;
}

const Taken = enum { done, again };

fn take(forest: *Forest, entry: *const Entry) Taken {
    if (entry.owner_token == none) {
        for (forest.trees.items[0..forest.trees_used]) |*tree| forest.lost(tree);
        return .done;
    }
    if (roots.isAnchor(entry.owner_token)) {
        roots.stirred(forest, entry);
        return .done;
    }
    const index = entry.owner_token;
    _ = forest.nodes.directory(index, entry.generation) orelse return .done;
    const tree = forest.treeAt(index);
    if (!tree.live) return .done;
    if (entry.mask & Kind.KEVENT_INODE_IGNORED != 0) return deafened(forest, index);
    const name = entry.name();
    if (name.len == 0) return itself(forest, index, entry.mask);
    if (tree.alone and !std.mem.eql(u8, name, tree.fileName())) return .done;
    return inside(forest, index, name, entry);
}

/// The kernel has dropped the watch: the directory is gone, of which its parent tells, or its file system is.
fn deafened(forest: *Forest, index: u32) Taken {
    forest.unwatch(index);
    if (forest.nodes.at(index).parent == none) roots.check(forest, forest.treeAt(index)) else scan.again(forest, index);
    return .done;
}

fn itself(forest: *Forest, index: u32, mask: u32) Taken {
    if (forest.nodes.at(index).parent != none) return .done;
    const tree = forest.treeAt(index);
    if (mask & Kind.KEVENT_INODE_UNMOUNT != 0) tree.unmounted = true;
    if (mask & (Kind.KEVENT_INODE_REMOVE_SELF | Kind.KEVENT_INODE_MOVE_SELF) != 0) {
        roots.check(forest, tree);
    } else if (mask & Kind.KEVENT_INODE_ATTRIB != 0 and !tree.alone) {
        forest.tellNode(.{ .tree = 0, .kind = abi.Tree.KEVENT_TREE_ATTRIBUTE }, index);
    }
    return .done;
}

fn inside(forest: *Forest, directory: u32, name: []const u8, entry: *const Entry) Taken {
    const mask = entry.mask;
    const is_directory = isDirectory(forest, directory, name, mask);
    if (mask & Kind.KEVENT_INODE_MOVED_FROM != 0) {
        forest.parted = .of(entry, is_directory);
    } else if (mask & Kind.KEVENT_INODE_REMOVE != 0) {
        left(forest, directory, name, is_directory);
    } else if (mask & (Kind.KEVENT_INODE_CREATE | Kind.KEVENT_INODE_MOVED_TO) != 0) {
        return came(forest, directory, name, is_directory, mask & Kind.KEVENT_INODE_MOVED_TO != 0);
    } else if (mask & Kind.KEVENT_INODE_CLOSE_WRITE != 0) {
        changed(forest, directory, name, is_directory, .closed);
    } else if (mask & Kind.KEVENT_INODE_MODIFY != 0) {
        changed(forest, directory, name, is_directory, .modified);
    } else if (mask & Kind.KEVENT_INODE_ATTRIB != 0) {
        changed(forest, directory, name, is_directory, .attributed);
    }
    return .done;
}

/// Where links are gone through, one to a directory is a directory, which the kernel does not know.
fn isDirectory(forest: *Forest, parent: u32, name: []const u8, mask: u32) bool {
    if (mask & Kind.KEVENT_INODE_DIRECTORY != 0) return true;
    const tree = forest.treeAt(parent);
    if (!tree.has(abi.TreeOption.KEVENT_TREE_FOLLOW)) return false;
    const goes = mask & (Kind.KEVENT_INODE_MOVED_FROM | Kind.KEVENT_INODE_REMOVE) != 0;
    if (goes) return if (forest.nodes.find(parent, name)) |known| forest.nodes.at(known).isDirectory() else false;
    const comes = mask & (Kind.KEVENT_INODE_MOVED_TO | Kind.KEVENT_INODE_CREATE) != 0;
    if (!comes) return false;
    const stat = forest.look(tree, .{ .parent = parent, .name = name }) catch return false;
    return stat.kind == .directory;
}

// --- a name comes ----------------------------------------------------------------------------

/// CREATE, or MOVED_TO from elsewhere (`whole`: nobody is still writing it).
fn came(forest: *Forest, directory: u32, name: []const u8, is_directory: bool, whole: bool) Taken {
    const known = forest.nodes.find(directory, name) orelse {
        if (is_directory) scan.addDirectory(forest, directory, name) else addFile(forest, directory, name, whole);
        return .done;
    };
    if (forest.nodes.at(known).isDirectory() != is_directory) {
        forest.fell(known, 0);
        return .again;
    }
    const node = forest.nodes.at(known);
    if (node.flags.untold and isLate(forest, known, whole)) {
        tellLate(forest, known, whole);
    } else if (!isOld(forest, known)) {
        if (!is_directory) replaced(forest, known, whole) else return cameInPlace(forest, known);
    }
    return .done;
}

/// A directory takes the place of one that is empty, or was thought to be another.
fn cameInPlace(forest: *Forest, index: u32) Taken {
    if (forest.nodes.at(index).of.directory.child != none) {
        scan.again(forest, index);
        return .done;
    }
    forest.fell(index, 0);
    return .again;
}

/// CREATE, of what the first look has met; with MOVED_TO it may be that something else had the name then.
fn isLate(forest: *Forest, index: u32, whole: bool) bool {
    if (!whole) return true;
    // Numbers of inodes are used again, so afterwards they prove nothing.
    if (forest.inbox.eaten >= forest.treeAt(index).ready_at) return false;
    const stat = forest.look(forest.treeAt(index), .of(&forest.nodes, index)) catch return true;
    return stat.inode == forest.nodes.at(index).inode;
}

/// The first look took it for something that had been there.
fn tellLate(forest: *Forest, index: u32, whole: bool) void {
    const node = forest.nodes.at(index);
    node.flags.untold = false;
    if (node.isDirectory()) return forest.tellNode(.{ .tree = 0, .kind = abi.Tree.KEVENT_TREE_CREATE, .inode = node.inode }, index);
    held.hold(forest, index, .created);
    if (whole) held.flush(forest, index, true);
}

fn addFile(forest: *Forest, directory: u32, name: []const u8, whole: bool) void {
    const index = forest.nodes.insert(forest.nodes.at(directory).tree, directory, name, .file) catch {
        return forest.lost(forest.treeAt(directory));
    };
    held.hold(forest, index, .created);
    if (whole) held.flush(forest, index, true);
}

/// Something else has its name now.
fn replaced(forest: *Forest, index: u32, whole: bool) void {
    const node = forest.nodes.at(index);
    if (!node.flags.gone) held.flush(forest, index, false);
    node.flags.gone = false;
    node.flags.replaced = true;
    held.hold(forest, index, .modified);
    if (whole) held.flush(forest, index, true);
}

// --- a file changes --------------------------------------------------------------------------

const Change = enum { modified, attributed, closed };

fn changed(forest: *Forest, directory: u32, name: []const u8, is_directory: bool, change: Change) void {
    if (is_directory) return changedDirectory(forest, directory, name);
    const known = forest.nodes.find(directory, name);
    const index = known orelse if (change == .modified) meet(forest, directory, name) orelse return else return;
    const node = forest.nodes.at(index);
    if (node.isDirectory() or node.flags.gone) return;
    if (isOld(forest, index)) return;
    switch (change) {
        .modified => held.hold(forest, index, .modified),
        .attributed => held.hold(forest, index, .attributed),
        .closed => closed(forest, index),
    }
}

/// A file that nobody remembered, if it is there. Where all are remembered it is one that was deleted, whose
/// writer goes on: the kernel tells of that under its old name. Or it is told when the first look comes to it.
fn meet(forest: *Forest, directory: u32, name: []const u8) ?u32 {
    const tree = forest.treeAt(directory);
    if (tree.remembersFiles() and (tree.ready or tree.has(abi.TreeOption.KEVENT_TREE_TELL_INITIAL))) return null;
    const stat = forest.look(tree, .{ .parent = directory, .name = name }) catch return null;
    if (stat.kind == .directory) return null;
    return forest.nodes.insert(forest.nodes.at(directory).tree, directory, name, .file) catch {
        forest.lost(tree);
        return null;
    };
}

/// The event is from before a look at the directory, which has seen and told all.
fn isOld(forest: *Forest, index: u32) bool {
    const node = forest.nodes.at(index);
    if (!node.flags.found or node.flags.gone) return false;
    const looked = forest.nodes.at(node.parent).of.directory.looked;
    const age: i32 = @bitCast(@as(u32, @truncate(forest.inbox.eaten)) -% looked);
    if (age >= 0) {
        node.flags.found = false;
        return false;
    }
    const stat = forest.look(forest.treeAt(index), .of(&forest.nodes, index)) catch return true;
    if (node.isDirectory()) return stat.inode == node.inode;
    return stat.inode == node.inode and stat.size == node.of.file.size and stat.mtime_ns == node.of.file.mtime_ns;
}

fn closed(forest: *Forest, index: u32) void {
    const node = forest.nodes.at(index);
    const tree = forest.treeAt(index);
    if (node.flags.held()) return held.flush(forest, index, true);
    if (tree.has(abi.TreeOption.KEVENT_TREE_RAW)) {
        var saying: output.Saying = .{ .tree = 0, .kind = abi.Tree.KEVENT_TREE_CLOSE };
        if (held.see(forest, index)) |stat| saying.see(stat);
        return forest.tellNode(saying, index);
    }
    if (!node.flags.writing) return;
    node.flags.modified = true;
    held.flush(forest, index, true);
}

/// The mode of a directory: it may be readable now.
fn changedDirectory(forest: *Forest, directory: u32, name: []const u8) void {
    const index = forest.nodes.find(directory, name) orelse return;
    const node = forest.nodes.at(index);
    if (!node.isDirectory() or node.flags.ignored or node.flags.asked) return;
    var saying: output.Saying = .{ .tree = 0, .kind = abi.Tree.KEVENT_TREE_ATTRIBUTE };
    // Another one may have its path by now.
    if (forest.look(forest.treeAt(index), .of(&forest.nodes, index)) catch null) |stat| if (stat.inode == node.inode) saying.see(stat);
    forest.tellNode(saying, index);
    if (node.of.directory.subscriber == none and !forest.treeAt(index).polled) scan.again(forest, index);
}

// --- a name goes -----------------------------------------------------------------------------

fn left(forest: *Forest, directory: u32, name: []const u8, is_directory: bool) void {
    const tree = forest.treeAt(directory);
    const index = forest.nodes.find(directory, name) orelse {
        // It went before the first look came to it, or nobody remembers it.
        if (tree.ready and (is_directory or tree.remembersFiles())) return;
        const flags: u32 = if (is_directory) abi.TreeFlag.KEVENT_TREE_DIRECTORY else 0;
        return forest.tell(tree, .{ .tree = 0, .kind = abi.Tree.KEVENT_TREE_REMOVE, .flags = flags }, .{ .parent = directory, .name = name });
    };
    // It is another one by now, and that has its own event.
    if (forest.nodes.at(index).isDirectory() != is_directory) return;
    if (is_directory) {
        held.flushAll(forest);
        return forest.fell(index, 0);
    }
    held.flush(forest, index, false);
    if (tree.alone) return held.hold(forest, index, .gone);
    forest.tellNode(.{ .tree = 0, .kind = abi.Tree.KEVENT_TREE_REMOVE }, index);
    forest.drop(index);
}

// --- a name becomes another one --------------------------------------------------------------

const Rename = struct { from: Place, to: Place, is_directory: bool };

/// False: the other half is still to be taken by itself.
fn renamed(forest: *Forest, rename: *const Rename, back: WayBack) bool {
    const tree = forest.treeAt(rename.from.parent);
    if (tree.alone) return renamedAlone(forest, tree, rename);
    const index = forest.nodes.find(rename.from.parent, rename.from.name) orelse blk: {
        // Without a snapshot nobody knew it; with one, a look has taken it for gone.
        if (tree.remembersFiles() or rename.is_directory) return false;
        break :blk forest.nodes.insert(forest.nodes.at(rename.from.parent).tree, rename.from.parent, rename.from.name, .file) catch {
            forest.lost(tree);
            return true;
        };
    };
    meetOther(forest, rename, index, back) catch {
        forest.lost(tree);
        return true;
    };
    const unlike = forest.nodes.at(index).isDirectory() != rename.is_directory;
    if (!unlike and decides(tree)) displace(forest, rename, index, back);
    if (unlike or rename.is_directory and decides(tree)) {
        left(forest, rename.from.parent, rename.from.name, rename.is_directory);
        return false;
    }
    if (isImpossible(forest, rename, index)) {
        forest.lost(tree);
        return true;
    }
    if (rename.is_directory) held.flushAll(forest) else held.flush(forest, index, false);
    if (rename.is_directory) forest.moved = true;
    defer if (rename.is_directory) {
        _ = scan.resumePostponed(forest, false);
    };
    if (!isExchange(forest, rename, index, back)) {
        move(forest, rename, index);
        return true;
    }
    consume(back.found.from);
    consume(back.found.to);
    exchange(forest, rename, index);
    return true;
}

/// What it changed places with, perhaps, where files are not remembered: known is only what has the names now.
fn meetOther(forest: *Forest, rename: *const Rename, index: u32, back: WayBack) Error!void {
    if (back != .found or back.found.to.mask & Kind.KEVENT_INODE_DIRECTORY != 0) return;
    if (forest.nodes.find(rename.to.parent, rename.to.name) != null) return;
    const tree = forest.nodes.at(index).tree;
    const other = try forest.nodes.insert(tree, rename.to.parent, rename.to.name, .file);
    for ([_]u32{ other, index }, [_]Place{ rename.from, rename.to }) |node, place| {
        const stat = forest.look(forest.treeAt(node), place) catch continue;
        held.remember(forest.nodes.at(node), stat);
    }
}

/// A directory would lie in itself, or take the place of one that it is in: what is known is not what was.
fn isImpossible(forest: *const Forest, rename: *const Rename, index: u32) bool {
    if (forest.nodes.isWithin(rename.to.parent, index)) return true;
    const other = forest.nodes.find(rename.to.parent, rename.to.name) orelse return false;
    return other != index and forest.nodes.isWithin(index, other);
}

/// Where a directory is decides whether it is watched.
fn decides(tree: *const Tree) bool {
    return tree.has(abi.TreeOption.KEVENT_TREE_ASKING) or tree.depth != std.math.maxInt(u32);
}

/// A directory that is decided about anew goes from where it was before what changed places with it comes.
fn displace(forest: *Forest, rename: *const Rename, index: u32, back: WayBack) void {
    if (!isExchange(forest, rename, index, back)) return;
    const other = forest.nodes.find(rename.to.parent, rename.to.name).?;
    if (!forest.nodes.at(other).isDirectory()) return;
    held.flushAll(forest);
    forest.fellNow(other, 0);
    consume(back.found.from);
}

/// Only what has the name of the file counts.
fn renamedAlone(forest: *Forest, tree: *const Tree, rename: *const Rename) bool {
    if (std.mem.eql(u8, rename.from.name, tree.fileName())) left(forest, rename.from.parent, rename.from.name, rename.is_directory);
    return false;
}

fn move(forest: *Forest, rename: *const Rename, index: u32) void {
    const tree = forest.treeAt(index);
    var saying: output.Saying = .{ .tree = 0, .kind = abi.Tree.KEVENT_TREE_RENAME, .old = oldPath(forest, rename.from) };
    if (forest.nodes.find(rename.to.parent, rename.to.name)) |other| {
        held.flush(forest, other, false);
        const full = forest.nodes.at(other).isDirectory() and forest.nodes.at(other).of.directory.child != none;
        if (!full and !isUntold(forest, other)) saying.flags |= abi.TreeFlag.KEVENT_TREE_REPLACED;
        // Nothing takes the place of a full directory: it went before.
        forest.fellNow(other, if (full) abi.TreeFlag.KEVENT_TREE_RECONCILED else null);
    }
    forest.nodes.move(index, rename.to.parent, rename.to.name) catch return forest.lost(tree);
    forest.nodes.at(index).flags.found = false;
    verify(forest, index, &saying);
    forest.tellNode(saying, index);
}

fn oldPath(forest: *Forest, place: Place) []const u8 {
    const length = output.lengthOf(&forest.nodes, place);
    if (length > forest.old_path.len) return "";
    output.write(&forest.nodes, place, forest.old_path[0..length]);
    return forest.old_path[0..length];
}

/// What has the new name may be another directory than the one that was watched under the old: it had that name for a
/// moment only.
fn verify(forest: *Forest, index: u32, saying: *output.Saying) void {
    const node = forest.nodes.at(index);
    const before = node.inode;
    // If its path leads nowhere yet, or elsewhere, the rename above it is on its way.
    const stat = forest.look(forest.treeAt(index), .of(&forest.nodes, index)) catch return;
    if (node.isDirectory() != (stat.kind == .directory)) return;
    held.remember(node, stat);
    held.looked(forest, index);
    saying.see(stat);
    if (before == 0 and !node.isDirectory()) links.written(forest, index, stat, 0);
    if (!node.isDirectory() or node.flags.ignored or forest.treeAt(index).polled) return;
    const other = before != 0 and stat.inode != before;
    if (other) forest.unwatch(index);
    if (other or node.of.directory.subscriber == none) scan.again(forest, index);
}

/// A rename the other way round that follows.
const WayBack = union(enum) {
    none,
    /// It may be on its way.
    waits,
    /// Its halves, behind the second half of the first.
    found: struct { first: *const Entry, from: *const Entry, to: *const Entry },
};

fn wayBack(forest: *Forest, rename: *const Rename, entry: *const Entry) WayBack {
    // Only what takes the place of something can have changed places with it.
    const remembered = forest.treeAt(rename.to.parent).remembersFiles();
    if (remembered and forest.nodes.find(rename.to.parent, rename.to.name) == null) return .none;
    const back = wayBackQueued(forest, rename, entry);
    if (back != .waits) return back;
    if (leftOf(entry.stamp_us, forest.now_ns) == 0) return .none;
    // If nothing has the old name any more, all that may have happened to it is queued.
    if (inodeAt(forest, rename.from) != 0) return .waits;
    hear(forest);
    const late = wayBackQueued(forest, rename, entry);
    return if (late == .waits) .none else late;
}

fn wayBackQueued(forest: *const Forest, rename: *const Rename, entry: *const Entry) WayBack {
    const from = nextAt(forest, entry, rename.to, any, apart_most) orelse return .waits;
    if (from.mask & Kind.KEVENT_INODE_MOVED_FROM == 0) return .none;
    const to = nextAt(forest, entry, rename.from, any, apart_most) orelse return .waits;
    if (to.mask & Kind.KEVENT_INODE_MOVED_TO == 0 or to.cookie != from.cookie) return .none;
    return .{ .found = .{ .first = entry, .from = from, .to = to } };
}

/// What happened until now can be looked at.
fn hear(forest: *Forest) void {
    hub.pump(&forest.inbox);
    forest.inbox.gather();
}

const any: u32 = std.math.maxInt(u32);
/// Who has a name changes.
const decisive = Kind.KEVENT_INODE_CREATE | Kind.KEVENT_INODE_REMOVE | Kind.KEVENT_INODE_MOVED_FROM | Kind.KEVENT_INODE_MOVED_TO;
/// How far ahead is looked for what became of a name.
const ahead_most = 4096;

/// The next event of a name, among so many.
fn nextAt(forest: *const Forest, behind: *const Entry, place: Place, kinds: u32, most: u32) ?*const Entry {
    var entry = forest.inbox.after(behind);
    for (0..most) |_| {
        const candidate = entry orelse return null;
        if (candidate.mask & kinds != 0 and isAt(forest, candidate, place)) return candidate;
        entry = forest.inbox.after(candidate);
    }
    return null;
}

/// RENAME_EXCHANGE tells of two renames, and so do two renames there and back.
fn isExchange(forest: *Forest, rename: *const Rename, index: u32, back: WayBack) bool {
    if (back != .found) return false;
    const other = forest.nodes.find(rename.to.parent, rename.to.name) orelse return false;
    if (other == index) return false;
    const second = back.found;
    const unlike = (second.first.mask ^ second.to.mask) & Kind.KEVENT_INODE_DIRECTORY != 0;
    return unlike or (isTaken(forest, rename.to, second.to) orelse isTakenNow(forest, rename, second.to, index, other));
}

/// Whether something has a name after an event, as the next one says that changes it. Null: none says so.
fn isTaken(forest: *const Forest, place: Place, behind: *const Entry) ?bool {
    const entry = nextAt(forest, behind, place, decisive, ahead_most) orelse return null;
    if (entry.mask & Kind.KEVENT_INODE_CREATE != 0) return false;
    // What comes may take the place of something.
    return if (entry.mask & Kind.KEVENT_INODE_MOVED_TO != 0) null else true;
}

/// The same by what has the names now. Unless all fits they are looked at.
fn isTakenNow(forest: *Forest, rename: *const Rename, behind: *const Entry, index: u32, other: u32) bool {
    const old = inodeAt(forest, rename.from);
    const new = inodeAt(forest, rename.to);
    // What happened until then has its events by now.
    hear(forest);
    if (isTaken(forest, rename.to, behind)) |taken| return taken;
    // A look when an earlier name of it was told may have been at another file: no proof by itself.
    const mine = forest.nodes.at(index).inode;
    const its = forest.nodes.at(other).inode;
    const known = mine != 0 and its != 0 and mine != its;
    const stays = nextAt(forest, behind, rename.to, decisive, ahead_most) == null;
    // Where the directory has another name by now it is open. There and back is what fewer programs do.
    const renamed_back = stays and new == 0 and isInPlace(forest, rename.to.parent) and !(known and old == its);
    const fits = if (renamed_back) old == mine else old == its and new == mine;
    const certain = known and stays and fits;
    if (!certain) {
        scan.againShallow(forest, rename.from.parent);
        scan.againShallow(forest, rename.to.parent);
    }
    return !renamed_back;
}

fn isUntold(forest: *const Forest, index: u32) bool {
    const flags = forest.nodes.at(index).flags;
    return flags.asked or flags.ignored;
}

/// Whether its path leads to a directory.
fn isInPlace(forest: *Forest, directory: u32) bool {
    const stat = forest.look(forest.treeAt(directory), .of(&forest.nodes, directory)) catch return false;
    return stat.inode == forest.nodes.at(directory).inode;
}

/// 0: nothing has that name.
fn inodeAt(forest: *Forest, place: Place) u64 {
    const stat = forest.look(forest.treeAt(place.parent), place) catch return 0;
    return stat.inode;
}

fn isAt(forest: *const Forest, entry: *const Entry, place: Place) bool {
    if (entry.owner_token != place.parent or !std.mem.eql(u8, entry.name(), place.name)) return false;
    return forest.nodes.directory(place.parent, entry.generation) != null;
}

fn exchange(forest: *Forest, rename: *const Rename, index: u32) void {
    const other = forest.nodes.find(rename.to.parent, rename.to.name).?;
    held.flush(forest, other, false);
    if (forest.nodes.at(other).isDirectory()) held.flushAll(forest);
    var saying: output.Saying = .{
        .tree = 0,
        .kind = abi.Tree.KEVENT_TREE_RENAME,
        .flags = abi.TreeFlag.KEVENT_TREE_EXCHANGED,
        .old = oldPath(forest, rename.from),
    };
    forest.nodes.exchange(index, other);
    verify(forest, index, &saying);
    // What is not told of a file must stay open.
    if (forest.nodes.at(other).isDirectory()) {
        forest.moved = true;
        var unsaid: output.Saying = saying;
        verify(forest, other, &unsaid);
    } else if (forest.nodes.at(other).inode != 0) held.doubt(forest, other);
    forest.tellNode(saying, index);
}
