//! Files with several names. The kernel tells of a write under the name that was used for it, so the others are
//! looked for among all nodes: no index of inodes is kept for what happens that rarely.

const std = @import("std");
const sys = @import("../sys/linux.zig");
const Stat = @import("../sys/directory.zig").Stat;
const forests = @import("forest.zig");
const Forest = forests.Forest;
const held = @import("held.zig");

const Inodes = std.AutoHashMapUnmanaged(u64, void);

/// Nodes that are asked in one step.
const step_nodes = 4096;
/// How many times as long as the last search is waited for the next.
const pause_factor = 4;

pub const Links = struct {
    /// Files that were written since the last search began.
    written: Inodes = .empty,
    /// Those that are searched for now.
    wanted: Inodes = .empty,
    /// The node whose turn it is.
    cursor: u32 = 0,
    began_ns: u64 = 0,
    /// When the next search may begin.
    after_ns: u64 = 0,

    pub fn deinit(links: *Links) void {
        links.written.deinit(std.heap.c_allocator);
        links.wanted.deinit(std.heap.c_allocator);
    }

    /// When there is something to do.
    pub fn due(links: *const Links) u64 {
        if (links.wanted.count() > 0) return 1;
        return if (links.written.count() > 0) links.after_ns else forests.never;
    }
};

/// A file was written, or has another time. `stat`: what it is; null: it has this name no more, and was that `inode` (0: unknown).
pub fn written(forest: *Forest, index: u32, stat: ?Stat, inode: u64) void {
    const tree = forest.treeAt(index);
    const of = if (stat) |seen| seen.inode else inode;
    const others = if (stat) |seen| seen.links > 1 else inode != 0;
    if (!others or !tree.remembersFiles()) return;
    forest.links.written.put(std.heap.c_allocator, of, {}) catch forest.lost(tree);
}

/// Search a while. False: nothing is to do now.
pub fn search(forest: *Forest) bool {
    const links = &forest.links;
    if (links.due() > forest.now_ns) return false;
    if (links.wanted.count() == 0) begin(links);
    const end = @min(links.cursor + step_nodes, forest.nodes.pool.used);
    while (links.cursor < end) : (links.cursor += 1) ask(forest, links.cursor);
    if (end == forest.nodes.pool.used) finish(links);
    return true;
}

fn begin(links: *Links) void {
    std.mem.swap(Inodes, &links.written, &links.wanted);
    links.cursor = 0;
    links.began_ns = sys.now(.monotonic);
}

fn ask(forest: *Forest, index: u32) void {
    const node = forest.nodes.at(index);
    if (!node.flags.live or node.isDirectory() or !forest.links.wanted.contains(node.inode)) return;
    if (forest.treeAt(index).remembersFiles()) held.doubt(forest, index);
}

fn finish(links: *Links) void {
    links.wanted.clearRetainingCapacity();
    const now = sys.now(.monotonic);
    links.after_ns = now + pause_factor * (now - links.began_ns);
}
