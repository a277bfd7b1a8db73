//! All watched trees of one loop: what they know, what is to do, and one descriptor that is readable when
//! there is. docs/design.md, "Watched trees".
//!
//! Everything is done by whoever calls `read`, a step at a time, for as long as it allows. Steps have an order: what
//! was begun is finished, new directories are looked at, then come events, then looks that take long.

const std = @import("std");
const abi = @import("../abi.zig");
const sys = @import("../sys/linux.zig");
const directories = @import("../sys/directory.zig");
const Error = @import("../errors.zig").Error;
const pools = @import("../pool.zig");
const none = pools.none;
const sync = @import("../sync.zig");
const hub = @import("../inotify/hub.zig");
const Inbox = @import("../inotify/inbox.zig").Inbox;
const nodes_file = @import("nodes.zig");
const Nodes = nodes_file.Nodes;
const output = @import("output.zig");
const Output = output.Output;
const Saying = output.Saying;
const Place = output.Place;
const changes = @import("changes.zig");
const scan = @import("scan.zig");
const held = @import("held.zig");
const links = @import("links.zig");
const roots = @import("root.zig");
const Pace = @import("pace.zig").Pace;

pub const trees_most = 1 << 16;
/// Never, on the monotonic clock.
pub const never: u64 = std.math.maxInt(u64);
/// Until something that failed for want of memory or descriptors is tried again.
const retry_ns = 100 * std.time.ns_per_ms;
/// Steps between two looks at the clock.
const steps_between = 8;

/// Why a tree is looked at instead of being told of.
pub const Reason = enum { none, asked, @"file system", limit };

/// One watched root.
pub const Tree = struct {
    live: bool = false,
    ready: bool = false,
    /// It is a single file: the root is the directory it is in.
    alone: bool = false,
    /// Nothing in it is told by the kernel.
    polled: bool = false,
    reason: Reason = .none,
    /// Tells it from those that had its place before.
    generation: u16 = 0,
    options: u32 = 0,
    depth: u32 = 0,
    window_ns: u64 = 0,
    poll_ns: u64 = 0,
    /// Absolute, as it was asked for.
    given: [:0]u8 = undefined,
    /// Absolute; of the root, or of the one file, to which no link leads any more.
    path: [:0]u8 = undefined,
    /// Bytes of it that name the directory which is the root.
    base: u32 = 0,
    /// None: it is not there.
    root: u32 = none,
    device: u64 = 0,
    /// The file system of the root was unmounted. That it is back nobody tells: it is looked for from time to time.
    unmounted: bool = false,
    /// Looks that are under way or to come, and directories that script was asked about.
    looks: u32 = 0,
    asked: u32 = 0,
    /// Directories that cannot be watched.
    deaf: u32 = 0,
    directories: u32 = 0,
    overflows: u32 = 0,
    /// The number of the first event after its first look.
    ready_at: u64 = never,
    /// When to look at all of it again; at what is polled.
    compare_at: u64 = never,
    poll_at: u64 = never,
    /// When the look at all of it that is under way began, and when the next one may.
    compare_began: u64 = 0,
    compare_after: u64 = 0,
    anchors: roots.Anchors = .{},

    pub fn has(tree: *const Tree, option: u32) bool {
        return tree.options & option != 0;
    }

    pub fn remembersFiles(tree: *const Tree) bool {
        return tree.has(abi.TreeOption.KEVENT_TREE_SNAPSHOT);
    }

    /// The name of the one file.
    pub fn fileName(tree: *const Tree) []const u8 {
        return std.mem.trimStart(u8, tree.path[tree.base..], "/");
    }
};

pub const Forest = struct {
    /// The epoll instance that stands for all.
    fd: sys.Fd,
    timer_fd: sys.Fd,
    owner: usize,
    lock: sync.Mutex = .{},
    references: std.atomic.Value(u32) = .init(1),
    closed: bool = false,
    /// Of all forests.
    next: ?*Forest = null,
    inbox: Inbox,
    pace: Pace,
    nodes: Nodes,
    output: Output,
    trees: pools.Array(Tree),
    trees_used: u32 = 0,
    trees_live: u32 = 0,
    held: held.Held,
    scan: scan.Scanner,
    links: links.Links = .{},
    /// A part of a tree that is taken down.
    felling: ?Felling = null,
    /// The first half of a rename whose other half has not come.
    parted: ?changes.Parted = null,
    /// Roots of trees that were removed, and are taken down when there is time: linked by `next`.
    dying: u32 = none,
    /// The hub has more events, perhaps.
    undrained: bool = false,
    /// A directory was renamed since all events were taken the last time.
    moved: bool = false,
    /// When this call looked at the clock last.
    now_ns: u64 = 0,
    armed_ns: u64 = never,
    /// Something could not be had: try again after a while.
    short: bool = false,
    /// For paths that were before something moved.
    old_path: [16 * 1024]u8 = undefined,
    path: [4096]u8 = undefined,
    listing: [32 * 1024]u8 align(8) = undefined,

    pub fn create() Error!*Forest {
        const forest = std.heap.c_allocator.create(Forest) catch return error.NOMEM;
        errdefer std.heap.c_allocator.destroy(forest);
        const fd = try sys.epollCreate();
        errdefer sys.close(fd);
        const timer_fd = try sys.timerfd(.monotonic);
        errdefer sys.close(timer_fd);
        var inbox: Inbox = try .init();
        errdefer inbox.deinit();
        var nodes: Nodes = try .init();
        errdefer nodes.deinit();
        var out: Output = try .init();
        errdefer out.deinit();
        var trees: pools.Array(Tree) = try .init(trees_most);
        errdefer trees.deinit();
        var holding: held.Held = try .init();
        errdefer holding.deinit();
        forest.* = .{
            .fd = fd,
            .timer_fd = timer_fd,
            .owner = sys.threadId(),
            .inbox = inbox,
            .pace = undefined,
            .nodes = nodes,
            .output = out,
            .trees = trees,
            .held = holding,
            .scan = try .init(),
        };
        errdefer forest.scan.deinit();
        try forest.join();
        return forest;
    }

    fn join(forest: *Forest) Error!void {
        const hub_fd = try hub.enter(&forest.inbox);
        errdefer hub.exit(&forest.inbox);
        forest.pace = .{ .epoll_fd = forest.fd, .hub_fd = hub_fd };
        try forest.pace.putIn();
        for ([_]sys.Fd{ forest.inbox.bell_fd, forest.timer_fd }) |fd| {
            try sys.epollControl(forest.fd, .add, fd, abi.Poll.KEVENT_POLL_IN, 0);
        }
    }

    /// When nobody is inside any more.
    pub fn destroy(forest: *Forest) void {
        std.heap.c_allocator.destroy(forest);
    }

    /// Everything is given back.
    pub fn shut(forest: *Forest) void {
        forest.closed = true;
        forest.scan.stop();
        for (forest.trees.items[0..forest.trees_used]) |*tree| if (tree.live) {
            roots.dismiss(forest, tree);
        };
        for (0..forest.nodes.pool.used) |index| {
            const node = forest.nodes.at(@intCast(index));
            if (node.flags.live and node.isDirectory()) forest.unwatch(@intCast(index));
        }
        hub.exit(&forest.inbox);
        sys.close(forest.fd);
        sys.close(forest.timer_fd);
        forest.inbox.deinit();
        forest.nodes.deinit();
        forest.output.deinit();
        forest.trees.deinit();
        forest.held.deinit();
        forest.scan.deinit();
        forest.links.deinit();
    }

    // --- trees ---------------------------------------------------------------------------------

    /// What script calls a tree.
    pub fn numberOf(forest: *const Forest, tree: *const Tree) u32 {
        return @as(u32, tree.generation) << 16 | forest.slotOf(tree);
    }

    pub fn slotOf(forest: *const Forest, tree: *const Tree) u16 {
        return @intCast((@intFromPtr(tree) - @intFromPtr(forest.trees.items)) / @sizeOf(Tree));
    }

    pub fn treeAt(forest: *const Forest, index: u32) *Tree {
        return &forest.trees.items[forest.nodes.at(index).tree];
    }

    pub fn treeOf(forest: *const Forest, number: u32) Error!*Tree {
        const slot = number & 0xffff;
        if (slot >= forest.trees_used) return error.NOENT;
        const tree = &forest.trees.items[slot];
        if (!tree.live or tree.generation != number >> 16) return error.NOENT;
        return tree;
    }

    /// A place for a tree, whose generation is another one than before.
    pub fn newTree(forest: *Forest) Error!*Tree {
        const tree = try forest.freeTree();
        const generation = (tree.generation +% 1) & 0x7fff;
        tree.* = .{ .live = true, .generation = generation };
        forest.trees_live += 1;
        return tree;
    }

    fn freeTree(forest: *Forest) Error!*Tree {
        if (forest.trees_live < forest.trees_used) {
            for (forest.trees.items[0..forest.trees_used]) |*tree| if (!tree.live and !forest.isDying(tree)) return tree;
        }
        if (forest.trees_used == trees_most) return error.NOSPC;
        try forest.trees.reach(forest.trees_used);
        forest.trees_used += 1;
        return &forest.trees.items[forest.trees_used - 1];
    }

    /// Nodes of it are still there.
    fn isDying(forest: *const Forest, tree: *const Tree) bool {
        var index = forest.dying;
        while (index != none) : (index = forest.nodes.at(index).next) if (forest.treeAt(index) == tree) return true;
        const felling = forest.felling orelse return false;
        return forest.treeAt(felling.top) == tree;
    }

    pub fn removeTree(forest: *Forest, tree: *Tree) Error!void {
        const root = tree.root;
        roots.dismiss(forest, tree);
        if (root == none) return;
        forest.nodes.at(root).next = forest.dying;
        forest.dying = root;
        try forest.arm();
    }

    /// Bytes of memory for all that is known.
    pub fn bytes(forest: *const Forest) u64 {
        var directories_watched: u64 = 0;
        for (forest.trees.items[0..forest.trees_used]) |*tree| directories_watched += tree.directories;
        return forest.nodes.bytes() + directories_watched * hub.watch_bytes;
    }

    /// What script says of directories that it was asked about. How many answers came in time.
    pub fn answer(forest: *Forest, answers: []const abi.TreeAnswer) Error!u32 {
        forest.now_ns = sys.now(.monotonic);
        var count: u32 = 0;
        for (answers) |*given| {
            const tree = forest.treeOf(given.tree) catch continue;
            scan.answer(forest, tree, given) catch continue;
            count += 1;
        }
        try forest.arm();
        return count;
    }

    // --- telling -------------------------------------------------------------------------------

    pub fn tell(forest: *Forest, tree: *const Tree, saying: Saying, place: Place) void {
        if (!tree.live) return;
        var complete = saying;
        complete.tree = forest.numberOf(tree);
        forest.output.tell(&forest.nodes, complete, place, tree.alone) catch {
            // Room was made before the step, so this is a path of a length beyond all measure.
            forest.short = true;
        };
    }

    pub fn tellNode(forest: *Forest, saying: Saying, index: u32) void {
        var complete = saying;
        complete.flags |= kindFlags(forest.nodes.at(index).flags.kind);
        forest.tell(forest.treeAt(index), complete, .of(&forest.nodes, index));
    }

    /// Something happened that nobody can know: look at all of it.
    pub fn lost(forest: *Forest, tree: *Tree) void {
        if (!tree.live) return;
        tree.overflows += 1;
        forest.tell(tree, .{ .tree = 0, .kind = abi.Tree.KEVENT_TREE_OVERFLOW }, .{ .parent = none, .name = "" });
        tree.compare_at = @max(forest.now_ns, tree.compare_after);
    }

    // --- the system's view ---------------------------------------------------------------------

    /// lstat(2) of a name; stat(2) of the root, and where links are gone through.
    pub fn look(forest: *Forest, tree: *Tree, place: Place) Error!directories.Stat {
        const way = try forest.wayTo(tree, place);
        defer way.leave();
        const stat = try directories.stat(way.at, way.path, place.parent == none);
        return if (stat.kind == .symlink) scan.behind(forest, tree, place.parent, way.at, way.path, stat) else stat;
    }

    /// How a system call gets to a name: relative to a descriptor when the whole is too long for one.
    pub const Way = struct {
        at: sys.Fd,
        path: [*:0]const u8,

        pub fn leave(way: Way) void {
            if (way.at != directories.AT_FDCWD) sys.close(way.at);
        }
    };

    pub fn wayTo(forest: *Forest, tree: *const Tree, place: Place) Error!Way {
        const base = tree.path[0..tree.base];
        const below = output.lengthOf(&forest.nodes, place);
        const length = base.len + if (below == 0) 0 else 1 + below;
        if (length >= forest.path.len) return forest.longWay(base, place, below);
        @memcpy(forest.path[0..base.len], base);
        if (below > 0) {
            forest.path[base.len] = '/';
            output.write(&forest.nodes, place, forest.path[base.len + 1 ..][0..below]);
        }
        return .{ .at = directories.AT_FDCWD, .path = forest.terminate(length) };
    }

    fn longWay(forest: *Forest, base: []const u8, place: Place, below: u32) Error!Way {
        const text = std.heap.c_allocator.alloc(u8, base.len + 1 + below) catch return error.NOMEM;
        defer std.heap.c_allocator.free(text);
        @memcpy(text[0..base.len], base);
        text[base.len] = '/';
        output.write(&forest.nodes, place, text[base.len + 1 ..]);
        var way: Way = .{ .at = directories.AT_FDCWD, .path = "" };
        errdefer way.leave();
        var rest: []const u8 = text;
        while (rest.len >= forest.path.len) {
            const end = std.mem.findScalarLast(u8, rest[0 .. forest.path.len - 1], '/') orelse return error.NAMETOOLONG;
            const at = try directories.openPath(way.at, forest.terminated(rest[0..end]), true);
            way.leave();
            way.at = at;
            rest = rest[end + 1 ..];
        }
        way.path = forest.terminated(rest);
        return way;
    }

    fn terminated(forest: *Forest, text: []const u8) [*:0]const u8 {
        @memcpy(forest.path[0..text.len], text);
        return forest.terminate(text.len);
    }

    fn terminate(forest: *Forest, length: usize) [*:0]const u8 {
        forest.path[length] = 0;
        return forest.path[0..length :0];
    }

    /// Hear of what is in a directory.
    pub fn watch(forest: *Forest, index: u32, fd: sys.Fd) Error!void {
        const node = forest.nodes.at(index);
        var mask: u32 = watched_kinds;
        if (node.parent == none) mask |= abi.Inode.KEVENT_INODE_REMOVE_SELF | abi.Inode.KEVENT_INODE_MOVE_SELF;
        node.of.directory.subscriber = try hub.subscribeFd(&forest.inbox, fd, mask, index, node.of.directory.serial);
        forest.treeAt(index).directories += 1;
    }

    const watched_kinds = abi.Inode.KEVENT_INODE_CREATE | abi.Inode.KEVENT_INODE_REMOVE |
        abi.Inode.KEVENT_INODE_MODIFY | abi.Inode.KEVENT_INODE_ATTRIB | abi.Inode.KEVENT_INODE_CLOSE_WRITE |
        abi.Inode.KEVENT_INODE_MOVED_FROM | abi.Inode.KEVENT_INODE_MOVED_TO | abi.Inode.KEVENT_INODE_ONLY_DIRECTORY;

    pub fn unwatch(forest: *Forest, index: u32) void {
        const directory = &forest.nodes.at(index).of.directory;
        if (directory.subscriber == none) return;
        hub.unsubscribe(directory.subscriber);
        directory.subscriber = none;
        forest.treeAt(index).directories -= 1;
    }

    // --- taking down ---------------------------------------------------------------------------

    /// Nodes to take down, from the leaves on, a few in each step.
    pub const Felling = struct {
        top: u32,
        /// Tell of it, with these flags; null: in silence.
        flags: ?u32,
    };

    /// Nothing else happens until it is down.
    pub fn fell(forest: *Forest, top: u32, flags: ?u32) void {
        std.debug.assert(forest.felling == null);
        forest.felling = .{ .top = top, .flags = flags };
    }

    const fell_at_once = 256;

    fn fellSome(forest: *Forest) void {
        const felling = forest.felling.?;
        for (0..fell_at_once) |_| {
            var index = felling.top;
            while (forest.nodes.at(index).isDirectory() and forest.nodes.at(index).of.directory.child != none) {
                index = forest.nodes.at(index).of.directory.child;
            }
            if (felling.flags) |flags| forest.tellGone(index, flags, index == felling.top);
            forest.drop(index);
            if (index == felling.top) {
                forest.felling = null;
                return;
            }
        }
    }

    /// Take down at once what is small, also in the midst of taking down something large.
    pub fn fellNow(forest: *Forest, top: u32, flags: ?u32) void {
        const before = forest.felling;
        defer forest.felling = before;
        forest.felling = .{ .top = top, .flags = flags };
        while (forest.felling != null) forest.fellSome();
    }

    fn tellGone(forest: *Forest, index: u32, flags: u32, top: bool) void {
        const node = forest.nodes.at(index);
        held.flush(forest, index, false);
        // What script left out, or has not answered for, was never there.
        if (node.flags.asked or node.flags.ignored) return;
        const implied: u32 = if (top) 0 else abi.TreeFlag.KEVENT_TREE_IMPLIED;
        forest.tellNode(.{ .tree = 0, .kind = abi.Tree.KEVENT_TREE_REMOVE, .flags = flags | implied }, index);
    }

    /// Forget a node that has nothing below it.
    pub fn drop(forest: *Forest, index: u32) void {
        const node = forest.nodes.at(index);
        const tree = forest.treeAt(index);
        if (node.isDirectory()) {
            forest.unwatch(index);
            if (node.flags.deaf) tree.deaf -= 1;
            if (node.flags.asked) tree.asked -= 1;
        }
        if (tree.root == index) tree.root = none;
        forest.nodes.remove(index);
    }

    // --- doing ---------------------------------------------------------------------------------

    /// Do what is to do for about so long; then what was told goes into the buffer.
    pub fn read(forest: *Forest, buffer: []u8, budget_ns: u64) Error!u32 {
        forest.now_ns = sys.now(.monotonic);
        const until = forest.now_ns +| budget_ns;
        forest.short = false;
        forest.pump();
        forest.pace.beat(forest.inbox.upcoming(), forest.now_ns);
        var steps: u32 = 0;
        while (forest.output.waiting() < buffer.len) {
            if (!forest.step()) break;
            steps += 1;
            if (steps % steps_between != 0 and !forest.undrained) continue;
            forest.now_ns = sys.now(.monotonic);
            if (forest.now_ns >= until) break;
        }
        forest.now_ns = sys.now(.monotonic);
        held.flushDue(forest);
        const fetched = forest.output.fetch(buffer) catch |err| {
            try forest.arm();
            return err;
        };
        try forest.arm();
        return fetched;
    }

    /// The first look at a tree, at once. False: script must answer first.
    pub fn scanNow(forest: *Forest, tree: *Tree) Error!bool {
        forest.now_ns = sys.now(.monotonic);
        // What has happened by now is news, and not what was there.
        hub.pump(&forest.inbox);
        while (!tree.ready and tree.looks > 0) if (!forest.step()) break;
        try forest.arm();
        return tree.ready;
    }

    /// One step. False: nothing is to do now.
    fn step(forest: *Forest) bool {
        forest.output.prepare() catch {
            forest.short = true;
            return false;
        };
        if (forest.felling != null) {
            forest.fellSome();
            return true;
        }
        if (forest.scan.isBusy()) {
            scan.goOn(forest);
            return true;
        }
        if (scan.beginFresh(forest)) return true;
        switch (changes.next(forest)) {
            .done => return true,
            .waits => if (!forest.undrained) return false,
            .none => {},
        }
        if (forest.undrained) {
            forest.pump();
            return true;
        }
        // Nothing is on its way that could say where it went.
        if (scan.resumePostponed(forest, true)) return true;
        if (held.settle(forest)) return true;
        if (links.search(forest)) return true;
        if (forest.fellDying()) return true;
        if (scan.beginBroad(forest)) return true;
        return forest.startDue();
    }

    fn pump(forest: *Forest) void {
        forest.undrained = hub.pumpSome(&forest.inbox);
    }

    fn fellDying(forest: *Forest) bool {
        if (forest.dying == none) return false;
        const root = forest.dying;
        forest.dying = forest.nodes.at(root).next;
        forest.nodes.at(root).next = none;
        forest.fell(root, null);
        return true;
    }

    /// A look whose time has come: one at a time, because it may find that the root is to be taken down.
    fn startDue(forest: *Forest) bool {
        for (forest.trees.items[0..forest.trees_used]) |*tree| {
            if (!tree.live) continue;
            if (@min(tree.compare_at, tree.poll_at) > forest.now_ns or tree.looks > 0) continue;
            scan.compare(forest, tree);
            return true;
        }
        return false;
    }

    /// Make the descriptor readable when something is to do.
    pub fn arm(forest: *Forest) Error!void {
        const at = forest.deadline();
        if (at == forest.armed_ns and at > forest.now_ns) return;
        try sys.timerfdSet(forest.timer_fd, if (at == never) null else at, false);
        forest.armed_ns = at;
    }

    fn deadline(forest: *Forest) u64 {
        if (forest.short) return forest.now_ns + retry_ns;
        if (forest.undrained or forest.output.waiting() > 0 or forest.felling != null or forest.dying != none) return 1;
        if (forest.scan.isBusy() or forest.scan.waits() or forest.held.doubts.count > 0 or forest.moved) return 1;
        if (forest.parted) |*parted| return forest.now_ns + parted.leftNs(forest.now_ns);
        // Looks take events from the hub too, and with them the bell's ringing.
        forest.inbox.takeOver();
        if (forest.inbox.peek() != null) return 1;
        // What is held back can as well wait for the next beat.
        var at = @min(forest.links.due(), forest.pace.next() orelse held.due(forest));
        for (forest.trees.items[0..forest.trees_used]) |*tree| {
            if (tree.live and tree.looks == 0) at = @min(at, @min(tree.compare_at, tree.poll_at));
        }
        return at;
    }
};

pub fn kindFlags(kind: directories.Kind) u32 {
    return switch (kind) {
        .directory => abi.TreeFlag.KEVENT_TREE_DIRECTORY,
        .symlink => abi.TreeFlag.KEVENT_TREE_SYMLINK,
        else => 0,
    };
}
