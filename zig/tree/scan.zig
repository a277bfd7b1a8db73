//! Looks: list a directory, compare it with what is known, tell the difference. The first look, a new
//! directory, what follows an overflow and polling are all the same.

const std = @import("std");
const abi = @import("../abi.zig");
const sys = @import("../sys/linux.zig");
const directories = @import("../sys/directory.zig");
const Error = @import("../errors.zig").Error;
const errors = @import("../errors.zig");
const pools = @import("../pool.zig");
const none = pools.none;
const hub = @import("../inotify/hub.zig");
const forests = @import("forest.zig");
const Forest = forests.Forest;
const Node = @import("nodes.zig").Node;
const Tree = forests.Tree;
const held = @import("held.zig");
const links = @import("links.zig");
const output = @import("output.zig");
const roots = @import("root.zig");

const Flag = abi.TreeFlag;

/// Names that are compared in one step.
const step_names = 64;
/// How many times as long as the last look at everything is waited for the next.
const pause_factor = 4;

/// A directory to look at.
const Job = struct {
    node: u32,
    serial: u32,
    /// Number of the tree: the node may be gone when its turn comes.
    tree: u32,
    how: How,
};

const How = packed struct(u32) {
    /// What is known is compared, in all directories below; else only what is new is told.
    compares: bool = false,
    /// Only this directory, and new ones in it.
    shallow: bool = false,
    /// It was there when the tree was started.
    initial: bool = false,
    /// What is told is marked.
    reconciled: bool = false,
    /// It was not where it should be before, and no event is on its way that could say why.
    last: bool = false,
    /// All above it was looked at for that, and it is still said to be there.
    final: bool = false,
    padding: u26 = 0,
};

const Stack = struct {
    jobs: pools.Array(Job),
    count: u32 = 0,

    fn push(stack: *Stack, job: Job) Error!void {
        try stack.jobs.reach(stack.count);
        stack.jobs.items[stack.count] = job;
        stack.count += 1;
    }

    fn pop(stack: *Stack) ?Job {
        if (stack.count == 0) return null;
        stack.count -= 1;
        return stack.jobs.items[stack.count];
    }
};

pub const Scanner = struct {
    /// New directories: nobody hears of what is in them until they are looked at.
    fresh: Stack,
    /// All others.
    broad: Stack,
    /// Directories that are not where they should be: something above them was renamed, perhaps, of which
    /// the event is on its way.
    postponed: Stack,
    /// The look that is under way.
    job: ?Job = null,
    fd: sys.Fd = -1,
    listing: directories.Listing = .{ .bytes = "" },
    /// All names are listed: what was not seen is gone; the next one to ask.
    sweeping: bool = false,
    cursor: u32 = none,

    pub fn init() Error!Scanner {
        var fresh: pools.Array(Job) = try .init(1 << 26);
        errdefer fresh.deinit();
        var broad: pools.Array(Job) = try .init(1 << 26);
        errdefer broad.deinit();
        return .{ .fresh = .{ .jobs = fresh }, .broad = .{ .jobs = broad }, .postponed = .{ .jobs = try .init(1 << 26) } };
    }

    pub fn deinit(scanner: *Scanner) void {
        scanner.fresh.jobs.deinit();
        scanner.broad.jobs.deinit();
        scanner.postponed.jobs.deinit();
    }

    pub fn isBusy(scanner: *const Scanner) bool {
        return scanner.job != null;
    }

    pub fn waits(scanner: *const Scanner) bool {
        return scanner.fresh.count + scanner.broad.count + scanner.postponed.count > 0;
    }

    pub fn stop(scanner: *Scanner) void {
        if (scanner.fd >= 0) sys.close(scanner.fd);
        scanner.fd = -1;
        scanner.job = null;
    }
};

// --- what is to be looked at -----------------------------------------------------------------

/// Look at a directory some time.
fn plan(forest: *Forest, index: u32, how: How) void {
    const tree = forest.treeAt(index);
    const serial = forest.nodes.at(index).of.directory.serial;
    const job: Job = .{ .node = index, .serial = serial, .tree = forest.numberOf(tree), .how = how };
    const stack = if (how.initial or how.compares) &forest.scan.broad else &forest.scan.fresh;
    stack.push(job) catch return forest.lost(tree);
    tree.looks += 1;
}

/// The first look at a root. `initial`: it was there at the start.
pub fn first(forest: *Forest, index: u32, initial: bool) void {
    plan(forest, index, .{ .initial = initial });
}

/// What is behind this name may be another directory than before, or one that could not be watched.
pub fn again(forest: *Forest, index: u32) void {
    const node = forest.nodes.at(index);
    if (node.flags.asked or node.flags.ignored or forest.nodes.depthOf(index) > forest.treeAt(index).depth) return;
    plan(forest, index, .{ .compares = true, .reconciled = true });
}

/// Who has which name in a directory is not certain.
pub fn againShallow(forest: *Forest, index: u32) void {
    plan(forest, index, .{ .compares = true, .shallow = true, .reconciled = true });
}

/// Look at all of a tree, or at what is polled of it.
pub fn compare(forest: *Forest, tree: *Tree) void {
    const all = tree.compare_at <= forest.now_ns or tree.polled;
    tree.compare_at = if (all) forests.never else tree.compare_at;
    tree.poll_at = forests.never;
    tree.compare_began = forest.now_ns;
    if (tree.polled or tree.unmounted or tree.root == none) roots.check(forest, tree);
    if (tree.root == none) return finished(forest, tree);
    if (all) {
        if (tree.looks == 0) again(forest, tree.root);
    } else {
        for (0..forest.nodes.pool.used) |index| poll(forest, tree, @intCast(index));
        if (tree.looks == 0) finished(forest, tree);
    }
}

/// Look at a node if nobody tells of it.
fn poll(forest: *Forest, tree: *Tree, index: u32) void {
    const flags = forest.nodes.at(index).flags;
    if (!flags.live or forest.treeAt(index) != tree) return;
    if (flags.deaf) plan(forest, index, .{ .compares = true, .shallow = true });
    if (flags.kind == .symlink and tree.has(abi.TreeOption.KEVENT_TREE_FOLLOW)) held.doubt(forest, index);
}

/// A directory came.
pub fn addDirectory(forest: *Forest, parent: u32, name: []const u8) void {
    meet(forest, parent, name, .{}, null);
}

/// A directory that was not known. `inode`: a look has found it.
fn meet(forest: *Forest, parent: u32, name: []const u8, how: How, inode: ?u64) void {
    const tree = forest.treeAt(parent);
    const index = forest.nodes.insert(forest.nodes.at(parent).tree, parent, name, .directory) catch return forest.lost(tree);
    const node = forest.nodes.at(index);
    node.inode = inode orelse 0;
    node.flags.seen = how.compares;
    node.flags.found = inode != null and !how.initial;
    // Also what says, once script has answered, how it came.
    node.flags.untold = how.initial;
    if (tree.has(abi.TreeOption.KEVENT_TREE_ASKING)) {
        node.flags.asked = true;
        tree.asked += 1;
        return ask(forest, index);
    }
    enter(forest, index, how);
}

/// Tell of a directory that is new here, and look at it.
fn enter(forest: *Forest, index: u32, how: How) void {
    const tree = forest.treeAt(index);
    forest.nodes.at(index).flags.untold = !tells(tree, how);
    if (tells(tree, how)) tellNew(forest, index, how);
    if (forest.nodes.depthOf(index) > tree.depth) return;
    // What is in it is as new as itself.
    plan(forest, index, .{ .initial = how.initial, .reconciled = how.reconciled });
}

fn tells(tree: *const Tree, how: How) bool {
    return !how.initial or tree.has(abi.TreeOption.KEVENT_TREE_TELL_INITIAL);
}

fn tellNew(forest: *Forest, index: u32, how: How) void {
    const node = forest.nodes.at(index);
    var saying: output.Saying = .{ .tree = 0, .kind = abi.Tree.KEVENT_TREE_CREATE, .flags = marks(how), .inode = node.inode };
    if (!node.isDirectory()) {
        saying.flags |= Flag.KEVENT_TREE_SEEN;
        saying.size = node.of.file.size;
        saying.mtime_ns = node.of.file.mtime_ns;
    }
    forest.tellNode(saying, index);
}

fn marks(how: How) u32 {
    const initial: u32 = if (how.initial) Flag.KEVENT_TREE_INITIAL else 0;
    const reconciled: u32 = if (how.reconciled) Flag.KEVENT_TREE_RECONCILED else 0;
    return initial | reconciled;
}

fn ask(forest: *Forest, index: u32) void {
    const serial = forest.nodes.at(index).of.directory.serial;
    forest.tellNode(.{ .tree = 0, .kind = abi.Tree.KEVENT_TREE_ASK, .node = index, .size = serial }, index);
}

/// Script says whether a directory is watched.
pub fn answer(forest: *Forest, tree: *Tree, given: *const abi.TreeAnswer) Error!void {
    const index = given.node;
    // It may be gone, and another one have its node.
    const node = forest.nodes.directory(index, given.serial) orelse return error.NOENT;
    if (!node.flags.asked or forest.treeAt(index) != tree) return error.NOENT;
    node.flags.asked = false;
    tree.asked -= 1;
    if (given.watch != 0) enter(forest, index, .{ .initial = node.flags.untold }) else node.flags.ignored = true;
    finished(forest, tree);
}

// --- a look ----------------------------------------------------------------------------------

pub fn beginFresh(forest: *Forest) bool {
    return begin(forest, forest.scan.fresh.pop() orelse return false);
}

pub fn beginBroad(forest: *Forest) bool {
    return begin(forest, forest.scan.broad.pop() orelse return false);
}

fn begin(forest: *Forest, job: Job) bool {
    // The tree was removed, or the directory felled meanwhile.
    const tree = forest.treeOf(job.tree) catch return true;
    const node = forest.nodes.directory(job.node, job.serial) orelse {
        end(forest, tree);
        return true;
    };
    forest.scan.job = job;
    if (node.flags.ignored) {
        end(forest, tree);
    } else if (tree.alone) {
        roots.compareFile(forest, tree);
        end(forest, tree);
    } else open(forest, tree, job) catch |err| refused(forest, tree, job, err);
    return true;
}

fn open(forest: *Forest, tree: *Tree, job: Job) Error!void {
    const node = forest.nodes.at(job.node);
    const fd = try openNode(forest, tree, job.node);
    errdefer sys.close(fd);
    const stat = try directories.statFd(fd);
    if (node.inode != 0 and node.inode != stat.inode) {
        // A new name for another directory: events that are on their way tell of it.
        if (!job.how.compares) return error.NOENT;
        forest.unwatch(job.node);
    }
    node.inode = stat.inode;
    if (job.node == tree.root) tree.device = stat.device;
    held.looked(forest, job.node);
    if (node.of.directory.subscriber == none) try listen(forest, tree, job.node, fd, stat.device);
    forest.scan.fd = fd;
    forest.scan.listing = .{ .bytes = "" };
    forest.scan.sweeping = false;
}

fn openNode(forest: *Forest, tree: *Tree, index: u32) Error!sys.Fd {
    const way = try forest.wayTo(tree, .of(&forest.nodes, index));
    defer way.leave();
    const follows = forest.nodes.at(index).parent == none or tree.has(abi.TreeOption.KEVENT_TREE_FOLLOW);
    return directories.open(way.at, way.path, follows);
}

/// Hear of what is in it, or remember that nobody can.
pub fn listen(forest: *Forest, tree: *Tree, index: u32, fd: sys.Fd, device: u64) Error!void {
    if (tree.polled) return;
    const node = forest.nodes.at(index);
    const told = device == tree.device or directories.tellsEvents(fd) catch true;
    if (told) {
        if (forest.watch(index, fd)) {
            if (node.flags.deaf) tree.deaf -= 1;
            node.flags.deaf = false;
            return;
        } else |err| switch (err) {
            error.NOSPC, error.NOMEM => tellLimit(forest, tree, index, err),
            else => return err,
        }
    }
    deafen(tree, node, if (told) .limit else .@"file system");
}

/// It is looked at from time to time.
fn deafen(tree: *Tree, node: *Node, reason: forests.Reason) void {
    if (!node.flags.deaf) tree.deaf += 1;
    node.flags.deaf = true;
    tree.reason = reason;
}

/// Once until there is room again.
fn tellLimit(forest: *Forest, tree: *Tree, index: u32, err: Error) void {
    if (tree.deaf > 0) return;
    forest.tellNode(.{
        .tree = 0,
        .kind = abi.Tree.KEVENT_TREE_LIMIT,
        .error_number = errors.number(err),
        .size = watchLimit(),
        .inode = tree.directories,
    }, index);
}

fn watchLimit() u64 {
    const fd = directories.openFile("/proc/sys/fs/inotify/max_user_watches") catch return 0;
    defer sys.close(fd);
    var buffer: [32]u8 = undefined;
    const length = sys.read(fd, &buffer) catch return 0;
    return std.fmt.parseInt(u64, std.mem.trim(u8, buffer[0..length], " \n"), 10) catch 0;
}

fn refused(forest: *Forest, tree: *Tree, job: Job, err: Error) void {
    switch (err) {
        error.NOENT, error.NOTDIR, error.LOOP, error.STALE => if (missed(forest, tree, job, err)) return,
        error.MFILE, error.NFILE, error.NOMEM => {
            forest.short = true;
            forest.scan.job = null;
            forest.scan.broad.push(job) catch end(forest, tree);
            return;
        },
        else => {
            // Its parent tells when it may be read again, and what is in it then is compared.
            forest.unwatch(job.node);
            tellError(forest, job.node, err);
        },
    }
    end(forest, tree);
}

fn tellError(forest: *Forest, index: u32, err: Error) void {
    forest.tellNode(.{ .tree = 0, .kind = abi.Tree.KEVENT_TREE_ERROR, .error_number = errors.number(err) }, index);
}

/// A directory is not there, or not what it was. True: its turn comes once more.
fn missed(forest: *Forest, tree: *Tree, job: Job, err: Error) bool {
    if (job.node == tree.root) {
        roots.check(forest, tree);
        return false;
    }
    if (!job.how.last and !job.how.final or hears(forest)) return postpone(forest, tree, job);
    if (!job.how.final) return finalize(forest, tree, job);
    // It went this moment, or the file system does not find what it lists.
    if (err == error.STALE) tellError(forest, job.node, err);
    forest.unwatch(job.node);
    deafen(tree, forest.nodes.at(job.node), .@"file system");
    return false;
}

/// What is above it is looked at first: perhaps it went, and that was lost.
fn finalize(forest: *Forest, tree: *Tree, job: Job) bool {
    forest.scan.job = null;
    var final = job;
    final.how.compares = true;
    final.how.final = true;
    final.how.last = false;
    forest.scan.broad.push(final) catch {
        forest.lost(tree);
        return false;
    };
    againShallow(forest, forest.nodes.at(job.node).parent);
    return true;
}

/// Whether something happened since events were last looked at: it was moved only now, perhaps.
fn hears(forest: *Forest) bool {
    hub.pump(&forest.inbox);
    return forest.inbox.upcoming() != forest.inbox.eaten;
}

fn postpone(forest: *Forest, tree: *Tree, job: Job) bool {
    forest.scan.job = null;
    var later = job;
    later.how.final = false;
    forest.scan.postponed.push(later) catch {
        forest.lost(tree);
        return false;
    };
    return true;
}

/// Something was renamed, or no event is on its way any more (`last`): look again where it is now.
pub fn resumePostponed(forest: *Forest, last: bool) bool {
    const any = forest.scan.postponed.count > 0;
    while (forest.scan.postponed.pop()) |job| {
        var again_job = job;
        again_job.how.last = last;
        forest.scan.fresh.push(again_job) catch {
            const tree = forest.treeOf(job.tree) catch continue;
            tree.looks -= 1;
            forest.lost(tree);
        };
    }
    return any;
}

/// A part of the look that is under way.
pub fn goOn(forest: *Forest) void {
    const job = forest.scan.job.?;
    const tree = forest.treeAt(job.node);
    if (!tree.live) return end(forest, tree);
    if (forest.scan.sweeping) return sweep(forest, tree, job);
    for (0..step_names) |_| {
        const before = forest.scan.listing.at;
        const entry = forest.scan.listing.next() orelse {
            if (more(forest, tree, job)) continue;
            return;
        };
        if (!met(forest, tree, job, entry)) {
            // What had this name goes first.
            forest.scan.listing.at = before;
            return;
        }
    }
}

/// The next names. False: there are none.
fn more(forest: *Forest, tree: *Tree, job: Job) bool {
    forest.scan.listing = directories.list(forest.scan.fd, &forest.listing) catch |err| {
        refused(forest, tree, job, err);
        return false;
    };
    if (forest.scan.listing.bytes.len > 0) return true;
    if (!job.how.initial) remember(forest, job.node);
    if (!job.how.compares) {
        end(forest, tree);
        return false;
    }
    forest.scan.sweeping = true;
    forest.scan.cursor = forest.nodes.at(job.node).of.directory.child;
    return false;
}

/// Whatever happened in it until now is told: events from before have nothing new.
fn remember(forest: *Forest, index: u32) void {
    hub.pump(&forest.inbox);
    forest.nodes.at(index).of.directory.looked = @truncate(forest.inbox.upcoming());
}

/// A name that is there. False: something else had it, and is taken down first.
fn met(forest: *Forest, tree: *Tree, job: Job, entry: directories.Entry) bool {
    const known = forest.nodes.find(job.node, entry.name) orelse {
        metNew(forest, tree, job, entry);
        return true;
    };
    const node = forest.nodes.at(known);
    if (!job.how.compares) return true;
    const stat = lookAt(forest, tree, job.node, entry) orelse return true;
    if (node.isDirectory() != (stat.kind == .directory)) {
        forest.fell(known, marks(job.how));
        return false;
    }
    node.flags.seen = true;
    if (!node.isDirectory()) {
        compareNode(forest, known, stat, marks(job.how));
    } else if (!job.how.shallow or isUnknown(tree, node, stat)) again(forest, known);
    return true;
}

/// Whether it is another directory than was known, or no look at it has come about.
fn isUnknown(tree: *const Tree, node: *const Node, stat: directories.Stat) bool {
    const unheard = node.of.directory.subscriber == none and !tree.polled and !node.flags.deaf;
    return unheard or node.inode != stat.inode;
}

/// A file that was known: tell if it is another one, or written since.
pub fn compareNode(forest: *Forest, index: u32, stat: directories.Stat, flags: u32) void {
    const node = forest.nodes.at(index);
    if (node.flags.held()) return;
    const file = node.of.file;
    const same = node.inode == stat.inode;
    if (same and file.size == stat.size and file.mtime_ns == stat.mtime_ns) return;
    const unknown = node.inode == 0;
    held.remember(node, stat);
    node.flags.found = true;
    links.written(forest, index, stat, stat.inode);
    var saying: output.Saying = .{ .tree = 0, .kind = abi.Tree.KEVENT_TREE_MODIFY, .flags = flags };
    if (!same and !unknown) saying.flags |= Flag.KEVENT_TREE_REPLACED;
    saying.see(stat);
    forest.tellNode(saying, index);
}

fn lookAt(forest: *Forest, tree: *Tree, parent: u32, entry: directories.Entry) ?directories.Stat {
    const stat = directories.stat(forest.scan.fd, entry.name, false) catch return null;
    return if (stat.kind == .symlink) behind(forest, tree, parent, forest.scan.fd, entry.name, stat) else stat;
}

/// What counts of a link: where links are gone through, one to a directory is that, unless it lies in it, and one to a
/// file changes with it, of which the kernel does not tell.
pub fn behind(forest: *const Forest, tree: *Tree, parent: u32, at: sys.Fd, path: [*:0]const u8, link: directories.Stat) directories.Stat {
    if (!tree.has(abi.TreeOption.KEVENT_TREE_FOLLOW)) return link;
    const target = directories.stat(at, path, true) catch null;
    const directory = target != null and target.?.kind == .directory;
    if (directory and !isLoop(forest, parent, target.?.inode)) return target.?;
    if (tree.poll_at == forests.never) tree.poll_at = forest.now_ns + tree.poll_ns;
    if (directory or target == null) return link;
    var seen = target.?;
    seen.kind = .symlink;
    return seen;
}

/// A link to a directory that it lies in.
fn isLoop(forest: *const Forest, parent: u32, inode: u64) bool {
    var index = parent;
    while (index != none) : (index = forest.nodes.at(index).parent) if (forest.nodes.at(index).inode == inode) return true;
    return false;
}

fn metNew(forest: *Forest, tree: *Tree, job: Job, entry: directories.Entry) void {
    const looks = tree.remembersFiles() or !job.how.initial or entry.kind == null or
        entry.kind == .symlink and tree.has(abi.TreeOption.KEVENT_TREE_FOLLOW);
    // What is gone again by now has its own events.
    const stat = if (looks) lookAt(forest, tree, job.node, entry) orelse return else null;
    const kind = if (stat) |seen| seen.kind else entry.kind.?;
    if (kind != .directory) return metFile(forest, tree, job, entry, stat, kind);
    meet(forest, job.node, entry.name, job.how, if (stat) |seen| seen.inode else entry.inode);
}

fn metFile(forest: *Forest, tree: *Tree, job: Job, entry: directories.Entry, stat: ?directories.Stat, kind: directories.Kind) void {
    if (stat == null) {
        if (!tells(tree, job.how)) return;
        const flags = marks(job.how) | forests.kindFlags(kind);
        return forest.tell(tree, .{ .tree = 0, .kind = abi.Tree.KEVENT_TREE_CREATE, .flags = flags }, .{ .parent = job.node, .name = entry.name });
    }
    const index = forest.nodes.insert(forest.nodes.at(job.node).tree, job.node, entry.name, kind) catch return forest.lost(tree);
    const node = forest.nodes.at(index);
    node.inode = stat.?.inode;
    node.of.file = .{ .size = stat.?.size, .mtime_ns = stat.?.mtime_ns };
    node.flags.seen = job.how.compares;
    node.flags.found = !job.how.initial;
    if (tells(tree, job.how)) tellNew(forest, index, job.how) else node.flags.untold = true;
}

/// What the look has not seen is gone.
fn sweep(forest: *Forest, tree: *Tree, job: Job) void {
    for (0..step_names) |_| {
        const index = forest.scan.cursor;
        if (index == none) return end(forest, tree);
        const node = forest.nodes.at(index);
        forest.scan.cursor = node.next;
        if (node.flags.seen) {
            node.flags.seen = false;
            continue;
        }
        held.flush(forest, index, false);
        return forest.fell(index, marks(job.how));
    }
}

fn end(forest: *Forest, tree: *Tree) void {
    forest.scan.stop();
    tree.looks -= 1;
    finished(forest, tree);
}

/// Perhaps the last of the looks at a tree is done.
pub fn finished(forest: *Forest, tree: *Tree) void {
    if (!tree.live or tree.looks > 0) return;
    if (tree.compare_began != 0) {
        const now = sys.now(.monotonic);
        tree.compare_after = now + pause_factor * (now - tree.compare_began);
        tree.compare_began = 0;
    }
    if (tree.poll_at == forests.never and (tree.polled or tree.unmounted or tree.deaf > 0)) tree.poll_at = sys.now(.monotonic) + tree.poll_ns;
    if (tree.ready or tree.asked > 0) return;
    tree.ready = true;
    hub.pump(&forest.inbox);
    tree.ready_at = forest.inbox.upcoming();
    forest.tell(tree, .{ .tree = 0, .kind = abi.Tree.KEVENT_TREE_READY }, .{ .parent = none, .name = "" });
}
