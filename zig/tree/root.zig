//! The way to a root: it may be deleted, moved, replaced, or not there yet.
//!
//! A root tells itself when it goes, and each directory above it is asked to tell only when it goes
//! itself: that is silent as long as all is well, however busy they are. Where a link is on the way, the
//! directory that it lies in is asked for its name, and while the root is missing, the last directory that
//! is there for the name that comes next.

const std = @import("std");
const abi = @import("../abi.zig");
const sys = @import("../sys/linux.zig");
const directories = @import("../sys/directory.zig");
const Error = @import("../errors.zig").Error;
const pools = @import("../pool.zig");
const none = pools.none;
const hub = @import("../inotify/hub.zig");
const Entry = @import("../inotify/inbox.zig").Entry;
const forests = @import("forest.zig");
const Forest = forests.Forest;
const Tree = forests.Tree;
const held = @import("held.zig");
const scan = @import("scan.zig");
const Place = @import("output.zig").Place;
const Walk = @import("walk.zig").Walk;

const Option = abi.TreeOption;
const Kind = abi.Inode;

const options_all = Option.KEVENT_TREE_SNAPSHOT | Option.KEVENT_TREE_TELL_INITIAL | Option.KEVENT_TREE_FOLLOW |
    Option.KEVENT_TREE_RAW | Option.KEVENT_TREE_POLL | Option.KEVENT_TREE_ASKING | Option.KEVENT_TREE_WAIT;
/// PATH_MAX without the zero at the end.
const path_most = 4095;
const poll_ms_least = 10;

/// Who is asked on the way to a root.
pub const Anchors = struct {
    subscribers: [most]u32 = undefined,
    /// Hash of the name that each is asked for: of a link, or of what is missing; 0: none.
    names: [most]u32 = undefined,
    count: u32 = 0,

    /// What is deeper has no say.
    const most = 64;

    /// Whether somebody is asked for a name. Another one with its hash only costs a look.
    fn has(anchors: *const Anchors, name: []const u8) bool {
        return std.mem.findScalar(u32, anchors.names[0..anchors.count], hashOf(name)) != null;
    }

    fn hashOf(name: []const u8) u32 {
        return @as(u32, @truncate(std.hash.Wyhash.hash(0, name))) | 1;
    }
};

/// What tells an anchor from a node.
const anchor_bit: u32 = 1 << 31;

pub fn isAnchor(token: u32) bool {
    return token & anchor_bit != 0;
}

// --- starting and ending ---------------------------------------------------------------------

/// Watch a root; the number of the tree.
pub fn add(forest: *Forest, params: *const abi.TreeParams, path: []const u8) Error!u32 {
    try checkParams(params);
    const tree = try forest.newTree();
    setName(tree, path) catch |err| {
        release(forest, tree);
        return err;
    };
    // With what is known of it by then.
    errdefer forest.removeTree(tree) catch {};
    tree.options = params.flags;
    tree.depth = params.depth;
    tree.window_ns = if (tree.has(Option.KEVENT_TREE_RAW)) 0 else @as(u64, params.window_ms) * std.time.ns_per_ms;
    tree.poll_ns = @as(u64, @max(params.poll_ms, poll_ms_least)) * std.time.ns_per_ms;
    forest.now_ns = sys.now(.monotonic);
    settle(forest, tree, .initial) catch |err| {
        const waits = tree.has(Option.KEVENT_TREE_WAIT) and (err == error.NOENT or err == error.NOTDIR);
        if (!waits) return err;
    };
    anchor(forest, tree);
    // Nothing to look at.
    scan.finished(forest, tree);
    try forest.arm();
    return forest.numberOf(tree);
}

fn checkParams(params: *const abi.TreeParams) Error!void {
    if (params.size != @sizeOf(abi.TreeParams) or params.flags & ~options_all != 0) return error.INVAL;
}

fn setName(tree: *Tree, path: []const u8) Error!void {
    tree.given = try absolute(path);
    errdefer std.heap.c_allocator.free(tree.given);
    tree.path = try copyOf(tree.given);
}

fn copyOf(path: []const u8) Error![:0]u8 {
    return std.heap.c_allocator.dupeSentinel(u8, path, 0) catch error.NOMEM;
}

/// Without slashes at its end.
fn absolute(path: []const u8) Error![:0]u8 {
    if (path.len == 0) return error.NOENT;
    if (path.len > path_most) return error.NAMETOOLONG;
    if (std.mem.findScalar(u8, path, 0) != null) return error.INVAL;
    var buffer: [2 * (path_most + 1)]u8 = undefined;
    var length: usize = 0;
    if (path[0] != '/') {
        length = (try directories.current(buffer[0 .. path_most + 1])).len;
        buffer[length] = '/';
        length += 1;
    }
    @memcpy(buffer[length..][0..path.len], path);
    const whole = std.mem.trimEnd(u8, buffer[0 .. length + path.len], "/");
    if (whole.len > path_most) return error.NAMETOOLONG;
    const kept = if (whole.len == 0) "/" else whole;
    return copyOf(kept);
}

fn release(forest: *Forest, tree: *Tree) void {
    tree.live = false;
    tree.root = none;
    forest.trees_live -= 1;
}

/// It is watched no more; its nodes are whoever calls this one's to take down.
pub fn dismiss(forest: *Forest, tree: *Tree) void {
    letGo(tree);
    std.heap.c_allocator.free(tree.given);
    std.heap.c_allocator.free(tree.path);
    release(forest, tree);
}

// --- what is there ---------------------------------------------------------------------------

/// How a root came: it was there at the start, it came later, or links lead to another one.
const Coming = enum { initial, later, swapped };

/// Watch what is there now.
fn settle(forest: *Forest, tree: *Tree, coming: Coming) Error!void {
    const fd = try directories.openPath(directories.AT_FDCWD, tree.given, true);
    defer sys.close(fd);
    const stat = try directories.statFd(fd);
    tree.alone = stat.kind != .directory;
    if (tree.alone) return settleFile(forest, tree, fd, stat, coming);
    try setPath(tree, tree.given);
    tree.base = @intCast(tree.path.len);
    try settleDirectory(forest, tree, fd, stat);
    const initial = coming == .initial;
    if (!initial) forest.tellNode(.{ .tree = 0, .kind = abi.Tree.KEVENT_TREE_CREATE, .inode = stat.inode }, tree.root);
    scan.first(forest, tree.root, initial);
}

fn settleDirectory(forest: *Forest, tree: *Tree, fd: sys.Fd, stat: directories.Stat) Error!void {
    const root = try forest.nodes.insert(forest.slotOf(tree), none, "", .directory);
    errdefer forest.fellNow(root, null);
    forest.nodes.at(root).inode = stat.inode;
    tree.device = stat.device;
    tree.polled = tree.has(Option.KEVENT_TREE_POLL) or !try directories.tellsEvents(fd);
    if (tree.polled) tree.reason = if (tree.has(Option.KEVENT_TREE_POLL)) .asked else .@"file system";
    try scan.listen(forest, tree, root, fd, stat.device);
    tree.root = root;
}

/// A single file is watched through its directory: whoever saves it puts another one in its place.
fn settleFile(forest: *Forest, tree: *Tree, fd: sys.Fd, stat: directories.Stat, coming: Coming) Error!void {
    var buffer: [path_most + 1]u8 = undefined;
    try setPath(tree, try realPath(fd, &buffer));
    tree.base = @intCast(std.mem.findScalarLast(u8, tree.path, '/').?);
    const parent = try openBase(tree);
    defer sys.close(parent);
    try settleDirectory(forest, tree, parent, try directories.statFd(parent));
    const root = tree.root;
    errdefer forest.fellNow(root, null);
    const file = try forest.nodes.insert(forest.slotOf(tree), root, tree.fileName(), stat.kind);
    held.remember(forest.nodes.at(file), stat);
    switch (coming) {
        .initial => if (tree.has(Option.KEVENT_TREE_TELL_INITIAL)) {
            tellFile(forest, file, abi.Tree.KEVENT_TREE_CREATE, abi.TreeFlag.KEVENT_TREE_INITIAL, stat);
        },
        .later => tellFile(forest, file, abi.Tree.KEVENT_TREE_CREATE, 0, stat),
        .swapped => tellFile(forest, file, abi.Tree.KEVENT_TREE_MODIFY, abi.TreeFlag.KEVENT_TREE_REPLACED, stat),
    }
}

fn tellFile(forest: *Forest, index: u32, kind: u32, flags: u32, stat: directories.Stat) void {
    forest.tellNode(.{
        .tree = 0,
        .kind = kind,
        .flags = flags | abi.TreeFlag.KEVENT_TREE_SEEN,
        .inode = stat.inode,
        .size = stat.size,
        .mtime_ns = stat.mtime_ns,
    }, index);
}

/// Where links have led to.
fn realPath(fd: sys.Fd, buffer: []u8) Error![]const u8 {
    var link: directories.FdPath = undefined;
    const real = try directories.readLink(directories.AT_FDCWD, directories.pathOfFd(&link, fd), buffer);
    return if (real.len > 0 and real[0] == '/') real else error.NOENT;
}

fn setPath(tree: *Tree, path: []const u8) Error!void {
    const copy = try copyOf(path);
    std.heap.c_allocator.free(tree.path);
    tree.path = copy;
}

fn openBase(tree: *const Tree) Error!sys.Fd {
    var buffer: [path_most + 1]u8 = undefined;
    return directories.openPath(directories.AT_FDCWD, prefix(&buffer, tree.path, @max(tree.base, 1)), true);
}

fn prefix(buffer: *[path_most + 1]u8, path: []const u8, length: usize) [:0]const u8 {
    @memcpy(buffer[0..length], path[0..length]);
    buffer[length] = 0;
    return buffer[0..length :0];
}

// --- what became of it -----------------------------------------------------------------------

/// Something happened on the way to a root.
pub fn stirred(forest: *Forest, entry: *const Entry) void {
    const slot = entry.owner_token & ~anchor_bit;
    if (slot >= forest.trees_used) return;
    const tree = &forest.trees.items[slot];
    if (!tree.live or tree.generation != entry.generation) return;
    const part = entry.name();
    if (part.len == 0 or tree.anchors.has(part)) check(forest, tree);
}

/// See whether the root is there, and is what it was.
pub fn check(forest: *Forest, tree: *Tree) void {
    if (!tree.live) return;
    if (tree.root == none) {
        // If it is gone again, or may not be read, what comes next is awaited.
        settle(forest, tree, .later) catch {};
    } else if (tree.alone and leadsElsewhere(tree)) {
        swap(forest, tree);
    } else if (!isThere(tree)) {
        gone(forest, tree);
    } else if (isAnother(forest, tree)) {
        // What is there instead is met as one that nobody hears of.
        tree.unmounted = tree.unmounted and isUnheard(forest, tree);
        forest.unwatch(tree.root);
        scan.again(forest, tree.root);
        // The look at a single file does not open its directory.
        if (tree.alone) hearAgain(forest, tree);
    }
    anchor(forest, tree);
}

fn statBase(tree: *const Tree) Error!directories.Stat {
    var buffer: [path_most + 1]u8 = undefined;
    return directories.stat(directories.AT_FDCWD, prefix(&buffer, tree.path, @max(tree.base, 1)), true);
}

fn isThere(tree: *const Tree) bool {
    const stat = statBase(tree) catch return false;
    return stat.kind == .directory;
}

fn isAnother(forest: *const Forest, tree: *const Tree) bool {
    const stat = statBase(tree) catch return false;
    return stat.inode != forest.nodes.at(tree.root).inode or stat.device != tree.device or isUnheard(forest, tree);
}

fn isUnheard(forest: *const Forest, tree: *const Tree) bool {
    const node = forest.nodes.at(tree.root);
    return node.of.directory.subscriber == none and !tree.polled and !node.flags.deaf;
}

/// Whether links lead to another file now, or a link that has led to one is gone.
fn leadsElsewhere(tree: *const Tree) bool {
    const fd = directories.openPath(directories.AT_FDCWD, tree.given, true) catch {
        // A file that is gone itself may be saved anew.
        _ = directories.stat(directories.AT_FDCWD, tree.path, false) catch return false;
        return true;
    };
    defer sys.close(fd);
    var buffer: [path_most + 1]u8 = undefined;
    const real = realPath(fd, &buffer) catch return false;
    return !std.mem.eql(u8, real, tree.path);
}

fn swap(forest: *Forest, tree: *Tree) void {
    const stat = directories.stat(directories.AT_FDCWD, tree.given, true) catch return gone(forest, tree);
    if (stat.kind == .directory) return gone(forest, tree);
    held.flushAll(forest);
    const coming: Coming = if (forest.nodes.find(tree.root, tree.fileName()) == null) .later else .swapped;
    forest.fellNow(tree.root, null);
    settle(forest, tree, coming) catch {
        forest.tell(tree, .{ .tree = 0, .kind = abi.Tree.KEVENT_TREE_REMOVE }, .{ .parent = none, .name = "" });
        tree.compare_at = forest.now_ns;
    };
}

fn hearAgain(forest: *Forest, tree: *Tree) void {
    const fd = openBase(tree) catch return;
    defer sys.close(fd);
    const stat = directories.statFd(fd) catch return;
    forest.nodes.at(tree.root).inode = stat.inode;
    tree.device = stat.device;
    scan.listen(forest, tree, tree.root, fd, stat.device) catch return forest.lost(tree);
}

fn gone(forest: *Forest, tree: *Tree) void {
    held.flushAll(forest);
    const root = tree.root;
    tree.root = none;
    // What is planned for what is in it ends with it.
    if (!tree.alone) return forest.fell(root, 0);
    if (forest.nodes.find(root, tree.fileName())) |file| if (!forest.nodes.at(file).flags.gone) {
        forest.tellNode(.{ .tree = 0, .kind = abi.Tree.KEVENT_TREE_REMOVE }, file);
    };
    forest.fell(root, null);
}

/// Look at a single file.
pub fn compareFile(forest: *Forest, tree: *Tree) void {
    const place: Place = .{ .parent = tree.root, .name = tree.fileName() };
    const known = forest.nodes.find(tree.root, tree.fileName());
    const flags = abi.TreeFlag.KEVENT_TREE_RECONCILED;
    const stat = forest.look(tree, place) catch {
        const index = known orelse return;
        if (!forest.nodes.at(index).flags.gone) held.hold(forest, index, .gone);
        return;
    };
    if (known) |index| {
        forest.nodes.at(index).flags.gone = false;
        return scan.compareNode(forest, index, stat, flags);
    }
    const index = forest.nodes.insert(forest.slotOf(tree), tree.root, tree.fileName(), stat.kind) catch return forest.lost(tree);
    held.remember(forest.nodes.at(index), stat);
    tellFile(forest, index, abi.Tree.KEVENT_TREE_CREATE, flags, stat);
}

// --- the way to it ---------------------------------------------------------------------------

fn letGo(tree: *Tree) void {
    for (tree.anchors.subscribers[0..tree.anchors.count]) |subscriber| hub.unsubscribe(subscriber);
    tree.anchors = .{};
}

/// Ask who is on the way to a root. Where one cannot be asked, nobody tells of it.
fn anchor(forest: *Forest, tree: *Tree) void {
    letGo(tree);
    if (tree.polled and tree.root != none) return;
    var walk: Walk = undefined;
    walk.begin(tree.given) catch return;
    defer walk.end();
    while (walk.next() catch null) |part| if (!pass(forest, tree, &walk, part)) return;
}

const self_kinds = Kind.KEVENT_INODE_REMOVE_SELF | Kind.KEVENT_INODE_MOVE_SELF;
const coming_kinds = self_kinds | Kind.KEVENT_INODE_CREATE | Kind.KEVENT_INODE_MOVED_TO;
const link_kinds = coming_kinds | Kind.KEVENT_INODE_REMOVE | Kind.KEVENT_INODE_MOVED_FROM;

/// A part of the way. False: it ends here.
fn pass(forest: *Forest, tree: *Tree, walk: *Walk, part: [:0]const u8) bool {
    const fd = directories.openPath(walk.at, part, false) catch {
        _ = ask(forest, tree, walk.at, coming_kinds, part);
        // It may have come before it was asked for.
        _ = directories.stat(walk.at, part, false) catch return false;
        tree.compare_at = forest.now_ns;
        return false;
    };
    const stat = directories.statFd(fd) catch null;
    if (stat != null and stat.?.kind == .directory) {
        walk.enter(fd);
        // The root tells itself.
        return walk.isOver() or ask(forest, tree, fd, self_kinds, "");
    }
    sys.close(fd);
    if (stat == null or stat.?.kind != .symlink or !ask(forest, tree, walk.at, link_kinds, part)) return false;
    walk.follow(part) catch return false;
    return true;
}

fn ask(forest: *Forest, tree: *Tree, fd: sys.Fd, kinds: u32, part: []const u8) bool {
    const anchors = &tree.anchors;
    if (anchors.count == anchors.subscribers.len) return false;
    const token = anchor_bit | forest.slotOf(tree);
    anchors.subscribers[anchors.count] = hub.subscribeFd(&forest.inbox, fd, kinds, token, tree.generation) catch return true;
    anchors.names[anchors.count] = if (part.len > 0) Anchors.hashOf(part) else 0;
    anchors.count += 1;
    return true;
}
