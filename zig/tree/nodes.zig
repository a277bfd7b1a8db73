//! The snapshot: what is known to be in the watched trees of a forest. A node is a name in a directory.
//!
//! Nodes are records in one growing array, names lie in another, and an index finds a node by its parent
//! and name. Nothing holds a path: a directory that moves takes all below it along for nothing. A file costs 48
//! bytes, its name with one byte in units of 8, and 4 to 8 bytes of index.

const std = @import("std");
const assert = std.debug.assert;
const Error = @import("../errors.zig").Error;
const pools = @import("../pool.zig");
const none = pools.none;
const Kind = @import("../sys/directory.zig").Kind;

pub const nodes_most = 1 << 26;
const buckets_least = 256;
/// NAME_MAX.
pub const name_most = 255;

/// What is known of a node besides what it is.
pub const Flags = packed struct(u16) {
    kind: Kind = .file,
    /// Not on the free list.
    live: bool = false,
    /// Met by the look that is under way.
    seen: bool = false,
    /// What happened to it is held back for more to join it: it was made, written, its attributes changed.
    created: bool = false,
    modified: bool = false,
    attributed: bool = false,
    replaced: bool = false,
    /// In the queue of what is held back.
    queued: bool = false,
    /// Told as made or written before its writer was done.
    writing: bool = false,
    /// Found by a look at a new directory: events from before that look tell nothing new.
    found: bool = false,
    /// Of a single watched file: it is gone, which is not told yet.
    gone: bool = false,
    /// A directory: script was asked whether to watch it, or said no.
    asked: bool = false,
    ignored: bool = false,
    /// A directory that cannot be watched, and is looked at from time to time.
    deaf: bool = false,
    /// Found by the first look and not told: it was there, or came while that look was under way.
    untold: bool = false,

    pub fn held(flags: Flags) bool {
        return flags.created or flags.modified or flags.attributed;
    }
};

pub const File = extern struct { size: u64, mtime_ns: i64 };

pub const Directory = extern struct {
    /// The first node in it.
    child: u32,
    /// Of the hub: who hears of it; none: nobody does.
    subscriber: u32,
    /// Tells it from those that had this node before.
    serial: u32,
    /// The number of the first event that came after its first look; low half.
    looked: u32,
};

pub const Node = struct {
    pub const free_link = "parent";

    /// None: the root of its tree. Free list.
    parent: u32,
    next: u32,
    previous: u32,
    /// Where its name is, in units of 8 bytes.
    name: u32,
    /// Chain of the bucket.
    chain: u32,
    tree: u16,
    flags: Flags,
    inode: u64,
    of: extern union { file: File, directory: Directory },

    pub fn isDirectory(node: *const Node) bool {
        return node.flags.kind == .directory;
    }
};

comptime {
    assert(@sizeOf(Node) == 48);
}

pub const Nodes = struct {
    pool: pools.Pool(Node),
    names: Names,
    /// First node of each bucket, plus one.
    heads: pools.Array(u32),
    buckets: u32 = buckets_least,
    /// Power of two with `half <= buckets < 2 * half`.
    half: u32 = buckets_least,
    serial: u32 = 0,

    pub fn init() Error!Nodes {
        var pool: pools.Pool(Node) = try .init(nodes_most);
        errdefer pool.deinit();
        var heads: pools.Array(u32) = try .init(2 * nodes_most);
        errdefer heads.deinit();
        try heads.reach(buckets_least - 1);
        return .{ .pool = pool, .heads = heads, .names = try .init() };
    }

    pub fn deinit(nodes: *Nodes) void {
        nodes.pool.deinit();
        nodes.heads.deinit();
        nodes.names.deinit();
    }

    pub inline fn at(nodes: *const Nodes, index: u32) *Node {
        return nodes.pool.at(index);
    }

    pub fn nameOf(nodes: *const Nodes, index: u32) []const u8 {
        return nodes.names.get(nodes.at(index).name);
    }

    /// A live directory that has not been another one meanwhile.
    pub fn directory(nodes: *const Nodes, index: u32, serial: u32) ?*Node {
        if (index >= nodes.pool.used) return null;
        const node = nodes.at(index);
        if (!node.flags.live or !node.isDirectory() or node.of.directory.serial != serial) return null;
        return node;
    }

    pub fn find(nodes: *const Nodes, parent: u32, name: []const u8) ?u32 {
        var index = nodes.heads.items[nodes.bucketOf(parent, name)] -% 1;
        while (index != none) : (index = nodes.at(index).chain) {
            if (nodes.at(index).parent == parent and std.mem.eql(u8, nodes.nameOf(index), name)) return index;
        }
        return null;
    }

    /// A new node. Nobody in `parent` has this name.
    pub fn insert(nodes: *Nodes, tree: u16, parent: u32, name: []const u8, kind: Kind) Error!u32 {
        const place = try nodes.names.put(name);
        errdefer nodes.names.free(place);
        while (nodes.pool.count >= nodes.buckets and try nodes.split()) {}
        const index = try nodes.pool.create();
        nodes.at(index).* = .{
            .parent = parent,
            .next = none,
            .previous = none,
            .name = place,
            .chain = none,
            .tree = tree,
            .flags = .{ .kind = kind, .live = true },
            .inode = 0,
            .of = .{ .file = .{ .size = 0, .mtime_ns = 0 } },
        };
        if (kind == .directory) nodes.makeDirectory(index);
        nodes.link(index);
        return index;
    }

    /// It is a directory from now on, without anything in it.
    fn makeDirectory(nodes: *Nodes, index: u32) void {
        nodes.serial +%= 1;
        nodes.at(index).of = .{ .directory = .{
            .child = none,
            .subscriber = none,
            .serial = nodes.serial,
            .looked = 0,
        } };
    }

    /// Nothing is in it, and nobody hears of it.
    pub fn remove(nodes: *Nodes, index: u32) void {
        const node = nodes.at(index);
        assert(!node.isDirectory() or node.of.directory.child == none and node.of.directory.subscriber == none);
        nodes.unlink(index);
        nodes.names.free(node.name);
        node.flags = .{};
        nodes.pool.destroy(index);
    }

    /// Another parent and name, which nobody has.
    pub fn move(nodes: *Nodes, index: u32, parent: u32, name: []const u8) Error!void {
        const place = try nodes.names.put(name);
        nodes.unlink(index);
        const node = nodes.at(index);
        nodes.names.free(node.name);
        node.name = place;
        node.parent = parent;
        nodes.link(index);
    }

    /// Two nodes change places.
    pub fn exchange(nodes: *Nodes, a: u32, b: u32) void {
        nodes.unlink(a);
        nodes.unlink(b);
        std.mem.swap(u32, &nodes.at(a).parent, &nodes.at(b).parent);
        std.mem.swap(u32, &nodes.at(a).name, &nodes.at(b).name);
        nodes.link(a);
        nodes.link(b);
    }

    /// Whether `index` is `above`, or below it.
    pub fn isWithin(nodes: *const Nodes, index: u32, above: u32) bool {
        var at_node = index;
        while (at_node != none) : (at_node = nodes.at(at_node).parent) if (at_node == above) return true;
        return false;
    }

    /// How far below its root.
    pub fn depthOf(nodes: *const Nodes, index: u32) u32 {
        var depth: u32 = 0;
        var parent = nodes.at(index).parent;
        while (parent != none) : (parent = nodes.at(parent).parent) depth += 1;
        return depth;
    }

    // --- where a node hangs ------------------------------------------------------------------

    fn link(nodes: *Nodes, index: u32) void {
        const node = nodes.at(index);
        const bucket = nodes.bucketOf(node.parent, nodes.nameOf(index));
        node.chain = nodes.heads.items[bucket] -% 1;
        nodes.heads.items[bucket] = index + 1;
        node.previous = none;
        node.next = none;
        if (node.parent == none) return;
        const first = &nodes.at(node.parent).of.directory.child;
        node.next = first.*;
        if (first.* != none) nodes.at(first.*).previous = index;
        first.* = index;
    }

    fn unlink(nodes: *Nodes, index: u32) void {
        const node = nodes.at(index);
        const head = &nodes.heads.items[nodes.bucketOf(node.parent, nodes.nameOf(index))];
        if (head.* -% 1 == index) head.* = node.chain +% 1 else {
            var before = head.* -% 1;
            while (nodes.at(before).chain != index) before = nodes.at(before).chain;
            nodes.at(before).chain = node.chain;
        }
        if (node.parent == none) return;
        if (node.previous != none) {
            nodes.at(node.previous).next = node.next;
        } else nodes.at(node.parent).of.directory.child = node.next;
        if (node.next != none) nodes.at(node.next).previous = node.previous;
    }

    // --- the index: linear hashing, so that no insert pays for all the others --------------------

    fn bucketOf(nodes: *const Nodes, parent: u32, name: []const u8) u32 {
        const hash: u32 = @truncate(std.hash.Wyhash.hash(parent, name));
        const wide = hash & (2 * nodes.half - 1);
        return if (wide < nodes.buckets) wide else hash & (nodes.half - 1);
    }

    /// Add one bucket and move into it what belongs there from its lower twin. False: that is all.
    fn split(nodes: *Nodes) Error!bool {
        const new = nodes.buckets;
        nodes.heads.reach(new) catch |err| switch (err) {
            error.NOSPC => return false,
            else => return err,
        };
        const old = new - nodes.half;
        nodes.buckets += 1;
        var index = nodes.heads.items[old] -% 1;
        nodes.heads.items[old] = 0;
        nodes.heads.items[new] = 0;
        while (index != none) {
            const node = nodes.at(index);
            const following = node.chain;
            const head = &nodes.heads.items[nodes.bucketOf(node.parent, nodes.nameOf(index))];
            node.chain = head.* -% 1;
            head.* = index + 1;
            index = following;
        }
        if (nodes.buckets == 2 * nodes.half) nodes.half *= 2;
        return true;
    }

    /// Memory in use.
    pub fn bytes(nodes: *const Nodes) u64 {
        return @as(u64, nodes.pool.used) * @sizeOf(Node) + @as(u64, nodes.names.used) * 8 + @as(u64, nodes.buckets) * 4;
    }
};

/// Names in units of 8 bytes, the length first. Those of one size that were freed are used again.
const Names = struct {
    memory: pools.Array(u64),
    used: u32 = 0,
    /// By size: the first that is free, plus one; each begins with the next.
    free_heads: [classes + 1]u32 = @splat(0),

    const classes = (name_most + 1 + 7) / 8;

    fn init() Error!Names {
        return .{ .memory = try .init(1 << 28) };
    }

    fn deinit(names: *Names) void {
        names.memory.deinit();
    }

    fn put(names: *Names, name: []const u8) Error!u32 {
        if (name.len > name_most) return error.NAMETOOLONG;
        const units: u32 = @intCast((name.len + 1 + 7) / 8);
        const place = try names.take(units);
        const start: [*]u8 = @ptrCast(names.memory.items + place);
        start[0] = @intCast(name.len);
        @memcpy(start[1..][0..name.len], name);
        return place;
    }

    fn take(names: *Names, units: u32) Error!u32 {
        const head = &names.free_heads[units];
        if (head.* != 0) {
            const place = head.* - 1;
            head.* = @truncate(names.memory.items[place]);
            return place;
        }
        try names.memory.reach(names.used + units - 1);
        defer names.used += units;
        return names.used;
    }

    fn get(names: *const Names, place: u32) []const u8 {
        const start: [*]const u8 = @ptrCast(names.memory.items + place);
        return start[1..][0..start[0]];
    }

    fn free(names: *Names, place: u32) void {
        const units = (names.get(place).len + 1 + 7) / 8;
        names.memory.items[place] = names.free_heads[units];
        names.free_heads[units] = place + 1;
    }
};

test "each node is found under its parent and name, wherever it moves" {
    var nodes: Nodes = try .init();
    defer nodes.deinit();
    const root = try nodes.insert(0, none, "", .directory);
    const other = try nodes.insert(0, root, "other", .directory);
    var buffer: [16]u8 = undefined;
    for (0..5000) |n| {
        const name = try std.fmt.bufPrint(&buffer, "file{d}", .{n});
        const index = try nodes.insert(0, root, name, .file);
        if (n % 2 == 0) try nodes.move(index, other, name);
    }
    for (0..5000) |n| {
        const name = try std.fmt.bufPrint(&buffer, "file{d}", .{n});
        const parent = if (n % 2 == 0) other else root;
        try std.testing.expectEqual(null, nodes.find(if (n % 2 == 0) root else other, name));
        nodes.remove(nodes.find(parent, name).?);
        try std.testing.expectEqual(null, nodes.find(parent, name));
    }
    try std.testing.expectEqual(none, nodes.at(other).of.directory.child);
    try std.testing.expectEqual(other, nodes.at(root).of.directory.child);
}

test "names that were freed are used again" {
    var names: Names = try .init();
    defer names.deinit();
    const first = try names.put("abcdefgh");
    names.free(first);
    try std.testing.expectEqual(first, try names.put("ijklmnop"));
    try std.testing.expectEqualStrings("ijklmnop", names.get(first));
    try std.testing.expectError(error.NAMETOOLONG, names.put(&@as([256]u8, @splat('x'))));
}

test "two nodes exchange their names and keep what they are" {
    var nodes: Nodes = try .init();
    defer nodes.deinit();
    const root = try nodes.insert(0, none, "", .directory);
    const a = try nodes.insert(0, root, "a", .file);
    const b = try nodes.insert(0, root, "b", .directory);
    nodes.exchange(a, b);
    try std.testing.expectEqual(a, nodes.find(root, "b").?);
    try std.testing.expectEqual(b, nodes.find(root, "a").?);
}
