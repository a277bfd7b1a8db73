//! What happened to files and is held back for more to join it: a file that is made, written and closed
//! is told of once. docs/design.md, "Watched trees".

const std = @import("std");
const abi = @import("../abi.zig");
const Error = @import("../errors.zig").Error;
const pools = @import("../pool.zig");
const none = pools.none;
const Stat = @import("../sys/directory.zig").Stat;
const forests = @import("forest.zig");
const Forest = forests.Forest;
const links = @import("links.zig");
const output = @import("output.zig");
const scan = @import("scan.zig");

/// A node, perhaps another one by now: then it is told a little early.
const Entry = struct { node: u32, deadline_ns: u64 };

const Indexes = struct {
    array: pools.Array(u32),
    count: u32 = 0,

    fn init() Error!Indexes {
        return .{ .array = try .init(1 << 26) };
    }

    fn deinit(indexes: *Indexes) void {
        indexes.array.deinit();
    }

    fn push(indexes: *Indexes, index: u32) Error!void {
        try indexes.array.reach(indexes.count);
        indexes.array.items[indexes.count] = index;
        indexes.count += 1;
    }

    fn pop(indexes: *Indexes) u32 {
        indexes.count -= 1;
        return indexes.array.items[indexes.count];
    }
};

/// In the order in which they are due, where all trees have one window; else nearly.
pub const Held = struct {
    entries: pools.Array(Entry),
    start: u32 = 0,
    end: u32 = 0,
    /// Nodes that were not where they should be when they were told of.
    doubts: Indexes,
    /// Nodes that were looked at since all events were taken the last time. If a directory was renamed since,
    /// another one may have had its path by then.
    looked: Indexes,

    pub fn init() Error!Held {
        var entries: pools.Array(Entry) = try .init(1 << 27);
        errdefer entries.deinit();
        var doubts: Indexes = try .init();
        errdefer doubts.deinit();
        return .{ .entries = entries, .doubts = doubts, .looked = try .init() };
    }

    pub fn deinit(held: *Held) void {
        held.entries.deinit();
        held.doubts.deinit();
        held.looked.deinit();
    }

    fn first(held: *const Held) u64 {
        return if (held.start == held.end) forests.never else held.entries.items[held.start].deadline_ns;
    }

    fn push(held: *Held, entry: Entry) Error!void {
        if (held.start == held.end) {
            held.start = 0;
            held.end = 0;
        }
        try held.entries.reach(held.end);
        // A short window behind a long one must not wait for it.
        var place = held.end;
        while (place > held.start and held.entries.items[place - 1].deadline_ns > entry.deadline_ns) : (place -= 1) {
            held.entries.items[place] = held.entries.items[place - 1];
        }
        held.entries.items[place] = entry;
        held.end += 1;
    }

    fn pop(held: *Held) u32 {
        held.start += 1;
        return held.entries.items[held.start - 1].node;
    }
};

pub const What = enum { created, modified, attributed, gone };

/// Until a file that was watched alone and went is told to be gone: who saves it anew takes no longer.
const save_ns = 50 * std.time.ns_per_ms;

/// Something happened to a file.
pub fn hold(forest: *Forest, index: u32, comptime what: What) void {
    const node = forest.nodes.at(index);
    const tree = forest.treeAt(index);
    @field(node.flags, @tagName(what)) = true;
    const window = if (what == .gone) save_ns else tree.window_ns;
    if (window == 0) return flush(forest, index, false);
    if (node.flags.queued) return;
    forest.held.push(.{ .node = index, .deadline_ns = forest.now_ns + window }) catch return flush(forest, index, false);
    node.flags.queued = true;
}

/// Tell what is held back of a node. `closed`: its writer is done.
pub fn flush(forest: *Forest, index: u32, closed: bool) void {
    const node = forest.nodes.at(index);
    const flags = node.flags;
    if (!flags.live or flags.gone or !flags.held()) return;
    node.flags.created = false;
    node.flags.modified = false;
    node.flags.attributed = false;
    node.flags.replaced = false;
    var saying: output.Saying = .{ .tree = 0, .kind = kindOf(flags) };
    if (flags.replaced) saying.flags |= abi.TreeFlag.KEVENT_TREE_REPLACED;
    if (closed) saying.flags |= abi.TreeFlag.KEVENT_TREE_CLOSED;
    const before = node.inode;
    const stat = see(forest, index);
    if (stat) |seen| saying.see(seen);
    if (flags.modified or flags.attributed) links.written(forest, index, stat, before);
    const written = saying.kind != abi.Tree.KEVENT_TREE_ATTRIBUTE;
    if (written) node.flags.writing = !closed and node.flags.kind == .file;
    forest.tellNode(saying, index);
}

fn kindOf(flags: anytype) u32 {
    if (flags.created) return abi.Tree.KEVENT_TREE_CREATE;
    if (flags.modified) return abi.Tree.KEVENT_TREE_MODIFY;
    return abi.Tree.KEVENT_TREE_ATTRIBUTE;
}

/// Look at what has the name of a node, and remember it. Null: nothing has, or what it cannot be.
pub fn see(forest: *Forest, index: u32) ?Stat {
    const node = forest.nodes.at(index);
    const stat = lookLike(forest, index) orelse {
        if (node.isDirectory()) return null;
        // Perhaps something above it was renamed, and the event is on its way.
        node.inode = 0;
        doubt(forest, index);
        return null;
    };
    remember(node, stat);
    looked(forest, index);
    return stat;
}

fn lookLike(forest: *Forest, index: u32) ?Stat {
    const stat = forest.look(forest.treeAt(index), .of(&forest.nodes, index)) catch return null;
    return if (forest.nodes.at(index).isDirectory() == (stat.kind == .directory)) stat else null;
}

/// It is looked at when all events were taken, and told of if it is not what is known.
pub fn doubt(forest: *Forest, index: u32) void {
    forest.held.doubts.push(index) catch forest.lost(forest.treeAt(index));
}

/// It was looked at by its path.
pub fn looked(forest: *Forest, index: u32) void {
    forest.held.looked.push(index) catch forest.lost(forest.treeAt(index));
}

/// All events were taken: see what is in doubt. False: nothing is.
pub fn settle(forest: *Forest) bool {
    const held = &forest.held;
    if (held.doubts.count > 0) {
        recheck(forest, held.doubts.pop());
        return true;
    }
    if (!forest.moved) held.looked.count = 0;
    if (held.looked.count == 0) {
        forest.moved = false;
        return false;
    }
    recheck(forest, held.looked.pop());
    return true;
}

fn recheck(forest: *Forest, index: u32) void {
    const node = forest.nodes.at(index);
    if (!node.flags.live or node.flags.held() or node.flags.gone or node.flags.asked or node.flags.ignored) return;
    const tree = forest.treeAt(index);
    if (!tree.live or node.parent == none) return;
    const stat = forest.look(tree, .of(&forest.nodes, index)) catch return scan.againShallow(forest, node.parent);
    if (node.isDirectory() != (stat.kind == .directory)) return scan.againShallow(forest, node.parent);
    if (!node.isDirectory()) return scan.compareNode(forest, index, stat, abi.TreeFlag.KEVENT_TREE_RECONCILED);
    if (node.inode != stat.inode) scan.again(forest, index);
}

/// Where a directory is now and was none before, or the other way round, another event says so.
pub fn remember(node: anytype, stat: Stat) void {
    if (node.isDirectory() != (stat.kind == .directory)) return;
    node.inode = stat.inode;
    if (node.isDirectory()) return;
    node.flags.kind = stat.kind;
    node.of.file = .{ .size = stat.size, .mtime_ns = stat.mtime_ns };
}

/// When the next one is to be told of.
pub fn due(forest: *Forest) u64 {
    while (forest.held.first() != forests.never) {
        const entry = forest.held.entries.items[forest.held.start];
        const node = forest.nodes.at(entry.node);
        if (node.flags.live and node.flags.queued and (node.flags.held() or node.flags.gone)) return entry.deadline_ns;
        // It was told of already.
        node.flags.queued = false;
        _ = forest.held.pop();
    }
    return forests.never;
}

/// What is due by now.
pub fn flushDue(forest: *Forest) void {
    while (forest.held.first() <= forest.now_ns) {
        // It stays where it is until there is room to tell it.
        forest.output.prepare() catch return;
        take(forest, forest.held.pop());
    }
}

/// All there is, because paths are about to change.
pub fn flushAll(forest: *Forest) void {
    while (forest.held.first() != forests.never) {
        forest.output.prepare() catch return;
        take(forest, forest.held.pop());
    }
}

fn take(forest: *Forest, index: u32) void {
    if (index >= forest.nodes.pool.used) return;
    const node = forest.nodes.at(index);
    if (!node.flags.live or !node.flags.queued) return;
    node.flags.queued = false;
    if (!node.flags.gone) return flush(forest, index, false);
    forest.tellNode(.{ .tree = 0, .kind = abi.Tree.KEVENT_TREE_REMOVE }, index);
    forest.drop(index);
}
