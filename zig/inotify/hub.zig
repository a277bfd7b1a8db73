//! The hub: one inotify(7) descriptor for the whole process, because the limits of inotify are per user
//! and small.
//!
//! Every owner of an inbox watches it. Whoever finds it readable reads all there is, puts each event into
//! the inbox of everybody concerned, and rings the bells of the others. Nobody's lock but the hub's is
//! needed for that.
//!
//! Lock order: an owner's lock (a queue's), then the hub's. Under the hub's lock nobody takes another one.
//! An owner leaves the hub under both, so it cannot end while somebody fills its inbox. Paths are looked up
//! before the hub is locked, so that a file system that does not answer stops who asked it, and nobody
//! else. The rare questions that need two looks at one inode (EXCLUDE_UNLINKED, another mask) do it under
//! the lock.
//!
//! A watch of the kernel has one mask for all: the union of what everybody asked. It grows as they
//! come and shrinks when somebody changes a mask, not when somebody leaves while others stay: what
//! nobody wants is thrown away here. The kernel never gives the same watch number twice.

const std = @import("std");
const abi = @import("../abi.zig");
const sys = @import("../sys/linux.zig");
const inotify = @import("../sys/inotify.zig");
const directories = @import("../sys/directory.zig");
const FdPath = directories.FdPath;
const pathOfFd = directories.pathOfFd;
const Error = @import("../errors.zig").Error;
const pools = @import("../pool.zig");
const none = pools.none;
const inboxes = @import("inbox.zig");
const Inbox = inboxes.Inbox;
const lock = &inboxes.lock;

const Kind = abi.Inode;
/// What one may be told of.
pub const asked = Kind.KEVENT_INODE_ACCESS | Kind.KEVENT_INODE_MODIFY | Kind.KEVENT_INODE_ATTRIB |
    Kind.KEVENT_INODE_CLOSE_WRITE | Kind.KEVENT_INODE_CLOSE_NOWRITE | Kind.KEVENT_INODE_OPEN |
    Kind.KEVENT_INODE_MOVED_FROM | Kind.KEVENT_INODE_MOVED_TO | Kind.KEVENT_INODE_CREATE |
    Kind.KEVENT_INODE_REMOVE | Kind.KEVENT_INODE_REMOVE_SELF | Kind.KEVENT_INODE_MOVE_SELF;
/// What one is told of without asking.
pub const always = Kind.KEVENT_INODE_UNMOUNT | Kind.KEVENT_INODE_OVERFLOW | Kind.KEVENT_INODE_IGNORED;
/// How to watch.
pub const manner = Kind.KEVENT_INODE_ONLY_DIRECTORY | Kind.KEVENT_INODE_DONT_FOLLOW |
    Kind.KEVENT_INODE_EXCLUDE_UNLINKED;

/// A watch of the kernel.
const Watch = struct {
    pub const free_link = "next";

    wd: i32,
    /// Chain of the bucket; free list.
    next: u32,
    subscribers: u32,
    /// What the kernel has been asked for.
    mask: u32,
    /// The kernel has dropped it; not in its bucket any more.
    gone: bool,
};

/// One part in a watch. An inbox may have several in the same, and gets each event as often.
const Subscriber = struct {
    pub const free_link = "next";

    inbox: *Inbox,
    /// The next one of its watch; free list.
    next: u32,
    watch: u32,
    /// The owner's name for it, given back with each event, and which of its lives.
    token: u32,
    generation: u32,
    /// What it wants.
    mask: u32,
    exclude: bool,
};

comptime {
    // A tree has one for each directory.
    std.debug.assert(@sizeOf(Subscriber) <= 32);
}

pub const watches_most = 1 << 22;
/// What one watched inode with one subscriber takes.
pub const watch_bytes = @sizeOf(Watch) + @sizeOf(Subscriber) + @sizeOf(u32);
/// Watch numbers count up, so neighbours are in neighbouring buckets and only the parts of this table
/// that are in use take memory.
const buckets = 1 << 20;
/// Reads in a row. The kernel's own queue holds 16,384 events by default, which is less.
const reads_most = 64;
/// Each watch that is removed leaves an IGNORED in the kernel's queue. Somebody who removes many of them
/// reads in between, before it is full.
const removals_most = 2048;

const Hub = struct {
    /// Counts what makes the answer to a question asked without the lock worthless: watches that
    /// were removed or narrowed, and events for watches that nobody knows yet.
    changes: std.atomic.Value(u64) = .init(0),
    fd: sys.Fd = -1,
    inboxes: ?*Inbox = null,
    watches: ?pools.Pool(Watch) = null,
    subscribers: pools.Pool(Subscriber) = undefined,
    /// First watch of each bucket, plus one.
    heads: pools.Array(u32) = undefined,
    /// Watches that were removed since the last drain.
    removals: u32 = 0,
    /// When the last drain began.
    stamp_us: u32 = 0,
    buffer: [64 * 1024]u8 align(8) = undefined,

    /// Tables stay once they are made.
    fn prepare(h: *Hub) Error!void {
        if (h.watches != null) return;
        var watches: pools.Pool(Watch) = try .init(watches_most);
        errdefer watches.array.deinit();
        h.subscribers = try .init(watches_most);
        errdefer h.subscribers.array.deinit();
        h.heads = try .init(buckets);
        errdefer h.heads.deinit();
        try h.heads.reach(h.heads.reserved - 1);
        h.watches = watches;
    }

    fn bucket(h: *Hub, wd: i32) *u32 {
        return &h.heads.items[@as(u32, @bitCast(wd)) % h.heads.reserved];
    }

    fn find(h: *Hub, wd: i32) ?u32 {
        var index = h.bucket(wd).* -% 1;
        while (index != none) : (index = h.watches.?.at(index).next) {
            if (h.watches.?.at(index).wd == wd) return index;
        }
        return null;
    }

    fn insert(h: *Hub, wd: i32) Error!u32 {
        const index = try h.watches.?.create();
        const head = h.bucket(wd);
        h.watches.?.at(index).* = .{ .wd = wd, .next = head.* -% 1, .subscribers = none, .mask = 0, .gone = false };
        head.* = index + 1;
        return index;
    }

    /// Out of its bucket: no event is for it any more.
    fn unlink(h: *Hub, index: u32) void {
        const watch = h.watches.?.at(index);
        if (watch.gone) return;
        watch.gone = true;
        const head = h.bucket(watch.wd);
        var at = head.* -% 1;
        if (at == index) {
            head.* = watch.next +% 1;
            return;
        }
        while (h.watches.?.at(at).next != index) at = h.watches.?.at(at).next;
        h.watches.?.at(at).next = watch.next;
    }

    /// Read all there is and distribute it.
    fn drain(h: *Hub) void {
        h.stamp();
        for (0..reads_most) |_| if (!h.drainSome()) return;
    }

    /// One read. Whether there may be more.
    fn drainSome(h: *Hub) bool {
        const got = sys.read(h.fd, &h.buffer) catch 0;
        h.distribute(h.buffer[0..got]);
        // Less than another event would need was free.
        const more = h.buffer.len - got <= @sizeOf(inotify.Header) + 256;
        if (!more) h.removals = 0;
        return more;
    }

    fn stamp(h: *Hub) void {
        h.stamp_us = @truncate(sys.now(.monotonic) / std.time.ns_per_us);
    }

    fn distribute(h: *Hub, bytes: []align(8) const u8) void {
        var at: usize = 0;
        while (at + @sizeOf(inotify.Header) <= bytes.len) {
            const header: *align(4) const inotify.Header = @ptrCast(@alignCast(bytes[at..].ptr));
            at += @sizeOf(inotify.Header);
            const field = bytes[at..][0..@min(header.name_bytes, bytes.len - at)];
            at += field.len;
            const name = field[0 .. std.mem.indexOfScalar(u8, field, 0) orelse field.len];
            h.route(header.*, name);
        }
    }

    fn route(h: *Hub, header: inotify.Header, name: []const u8) void {
        if (header.mask & Kind.KEVENT_INODE_OVERFLOW != 0) return h.tellAll();
        // Unknown: left over from a watch that was removed, or too early for one that is being made.
        const index = h.find(header.wd) orelse return h.changed();
        const wanted = header.mask & (asked | always);
        var at = h.watches.?.at(index).subscribers;
        while (at != none) : (at = h.subscribers.at(at).next) {
            const subscriber = h.subscribers.at(at);
            if (wanted & (subscriber.mask | always) == 0) continue;
            subscriber.inbox.post(.{
                .owner_token = subscriber.token,
                .generation = subscriber.generation,
                .mask = header.mask,
                .cookie = header.cookie,
                .name_len = @intCast(name.len),
                .stamp_us = h.stamp_us,
            }, name);
        }
        if (header.mask & Kind.KEVENT_INODE_IGNORED != 0) h.unlink(index);
    }

    fn changed(h: *Hub) void {
        _ = h.changes.fetchAdd(1, .release);
    }

    fn tellAll(h: *Hub) void {
        var at = h.inboxes;
        while (at) |inbox| : (at = inbox.next) inbox.post(.overflow(h.stamp_us), "");
    }
};

var hub: Hub = .{};

// --- coming and going ------------------------------------------------------------------------

/// Into the hub's list; its descriptor, which whoever is in there watches.
pub fn enter(inbox: *Inbox) Error!sys.Fd {
    lock.lock();
    defer lock.unlock();
    try hub.prepare();
    if (hub.inboxes == null) hub.fd = try openHub();
    inbox.next = hub.inboxes;
    hub.inboxes = inbox;
    return hub.fd;
}

/// The kernel allows few of them to a user, and counts one until it has forgotten its watches, which may
/// take it a while after the descriptor was closed: loops with watches come and go faster.
fn openHub() Error!sys.Fd {
    var left_ms: u64 = 250;
    while (true) : (left_ms -= 10) return inotify.open() catch |err| {
        if (err != error.MFILE or left_ms < 10 or !sys.hasFreeDescriptor()) return err;
        _ = sys.poll(&.{}, 10 * std.time.ns_per_ms) catch {};
        continue;
    };
}

/// Out of it, after all its subscribers.
pub fn exit(inbox: *Inbox) void {
    lock.lock();
    defer lock.unlock();
    var place = &hub.inboxes;
    while (place.* != inbox) place = &place.*.?.next;
    place.* = inbox.next;
    if (hub.inboxes != null) return;
    sys.close(hub.fd);
    hub.fd = -1;
}

/// The hub's descriptor is readable: distribute what there is. The bell of this inbox needs no answer
/// afterwards.
pub fn pump(inbox: *Inbox) void {
    lock.lock();
    defer lock.unlock();
    inbox.attend();
    defer inbox.listen();
    hub.drain();
}

/// The same for some 2,000 events, which takes less than a millisecond. Whether there may be more.
pub fn pumpSome(inbox: *Inbox) bool {
    lock.lock();
    defer lock.unlock();
    inbox.attend();
    defer inbox.listen();
    hub.stamp();
    return hub.drainSome();
}

// --- subscribing -----------------------------------------------------------------------------

/// How an inode is named.
pub const Name = union(enum) { fd: i32, path: [:0]const u8 };

pub const Joined = struct {
    subscriber: u32,
    /// Of that subscriber: another one than was given if it was there before.
    token: u32,
    /// Watch number.
    wd: i32,
};

/// The only subscriber of this inbox to an inode, made or told of more kinds. `event` is kinds and manner.
pub fn join(inbox: *Inbox, name: Name, event: u32, token: u32, generation: u32) Error!Joined {
    const answer = try askEarly(name, event);
    lock.lock();
    defer lock.unlock();
    const watch = try ask(name, event, answer);
    errdefer abandon(watch);
    const index = subscriberIn(watch, inbox) orelse try newSubscriber(inbox, watch, event, token, generation);
    const joined = hub.subscribers.at(index);
    joined.mask |= event & asked;
    joined.exclude = joined.exclude and event & Kind.KEVENT_INODE_EXCLUDE_UNLINKED != 0;
    return .{ .subscriber = index, .token = joined.token, .wd = hub.watches.?.at(watch).wd };
}

/// A new subscriber to the inode behind a descriptor, which may be closed afterwards, even if this inbox
/// has one already. NOENT: no such descriptor, or the inode went away.
pub fn subscribeFd(inbox: *Inbox, fd: i32, mask: u32, token: u32, generation: u32) Error!u32 {
    var buffer: FdPath = undefined;
    const name: Name = .{ .path = pathOfFd(&buffer, fd) };
    // The path is a link.
    const event = mask & ~Kind.KEVENT_INODE_DONT_FOLLOW;
    const answer = try askEarly(name, event);
    lock.lock();
    defer lock.unlock();
    const watch = try ask(name, event, answer);
    errdefer abandon(watch);
    return newSubscriber(inbox, watch, event, token, generation);
}

/// Nothing more comes for it, but what is in the inbox stays there.
pub fn unsubscribe(index: u32) void {
    lock.lock();
    defer lock.unlock();
    const subscriber = hub.subscribers.at(index);
    const watch = subscriber.watch;
    var place = &hub.watches.?.at(watch).subscribers;
    while (place.* != index) place = &hub.subscribers.at(place.*).next;
    place.* = subscriber.next;
    hub.subscribers.destroy(index);
    abandon(watch);
    if (hub.removals >= removals_most) hub.drain();
}

fn subscriberIn(watch: u32, inbox: *Inbox) ?u32 {
    var at = hub.watches.?.at(watch).subscribers;
    while (at != none) : (at = hub.subscribers.at(at).next) {
        if (hub.subscribers.at(at).inbox == inbox) return at;
    }
    return null;
}

fn newSubscriber(inbox: *Inbox, watch: u32, event: u32, token: u32, generation: u32) Error!u32 {
    const w = hub.watches.?.at(watch);
    const index = try hub.subscribers.create();
    hub.subscribers.at(index).* = .{
        .inbox = inbox,
        .next = w.subscribers,
        .watch = watch,
        .token = token,
        .generation = generation,
        .mask = event & asked,
        .exclude = event & Kind.KEVENT_INODE_EXCLUDE_UNLINKED != 0,
    };
    w.subscribers = index;
    return index;
}

// --- asking the kernel -----------------------------------------------------------------------

/// What the kernel answered to a question that was asked without the lock.
const Answer = struct {
    wd: i32,
    /// `Hub.changes` before.
    changes: u64,

    fn isGood(answer: Answer) bool {
        return answer.changes == hub.changes.load(.acquire);
    }
};

/// The descriptor of the hub stays as long as an inbox of ours is in its list, so this needs no lock.
fn askEarly(name: Name, event: u32) Error!?Answer {
    const path = switch (name) {
        .fd => return null,
        .path => |path| path,
    };
    if (event & Kind.KEVENT_INODE_EXCLUDE_UNLINKED != 0) return null;
    const changes = hub.changes.load(.acquire);
    const wd = try inotify.add(hub.fd, path, maskOf(event));
    return .{ .wd = wd, .changes = changes };
}

fn maskOf(event: u32) u32 {
    return event & (asked | always | manner) | inotify.MASK_ADD;
}

/// Let the kernel watch an inode for these kinds, besides what it watches it for already.
fn ask(name: Name, event: u32, early: ?Answer) Error!u32 {
    const exclude = event & Kind.KEVENT_INODE_EXCLUDE_UNLINKED != 0;
    return switch (name) {
        .fd => |fd| askFd(fd, event & ~Kind.KEVENT_INODE_DONT_FOLLOW),
        // The kernel has one EXCLUDE_UNLINKED for all and it silences, so it needs a second look at
        // the same inode: only a descriptor makes sure of that.
        .path => |path| if (exclude) askHeld(path, event) else askPath(path, event, early),
    };
}

fn askPath(path: [:0]const u8, event: u32, early: ?Answer) Error!u32 {
    const watch = if (early) |answer| try accept(answer, path, event) else try watchAt(path, event);
    if (!excludes(watch)) return watch;
    errdefer abandon(watch);
    return askHeld(path, event);
}

fn accept(answer: Answer, path: [:0]const u8, event: u32) Error!u32 {
    if (answer.isGood()) return watchOf(answer.wd, event);
    // Somebody else's path may be the same inode, so only what is nobody's goes.
    defer if (hub.find(answer.wd) == null) {
        inotify.remove(hub.fd, answer.wd);
        hub.changed();
    };
    return watchAt(path, event);
}

fn askHeld(path: [:0]const u8, event: u32) Error!u32 {
    const fd = try inotify.openPath(path, event & Kind.KEVENT_INODE_DONT_FOLLOW == 0);
    defer sys.close(fd);
    return askFd(fd, event & ~Kind.KEVENT_INODE_DONT_FOLLOW);
}

fn askFd(fd: i32, event: u32) Error!u32 {
    // The kernel would call it ENOENT.
    if (!sys.isOpen(fd)) return error.BADF;
    var buffer: FdPath = undefined;
    const path = pathOfFd(&buffer, fd);
    const exclude = Kind.KEVENT_INODE_EXCLUDE_UNLINKED;
    const watch = try watchAt(path, event & ~exclude);
    errdefer abandon(watch);
    const wanted = event & exclude != 0 and (hub.watches.?.at(watch).subscribers == none or excludes(watch));
    if (wanted or excludes(watch)) try setMask(watch, path, hub.watches.?.at(watch).mask, wanted);
    return watch;
}

/// All who watch want to hear nothing of unlinked children.
fn excludes(watch: u32) bool {
    var at = hub.watches.?.at(watch).subscribers;
    if (at == none) return false;
    while (at != none) : (at = hub.subscribers.at(at).next) {
        if (!hub.subscribers.at(at).exclude) return false;
    }
    return true;
}

fn setMask(watch: u32, path: [:0]const u8, mask: u32, exclude: bool) Error!void {
    const w = hub.watches.?.at(watch);
    const bits = mask | if (exclude) Kind.KEVENT_INODE_EXCLUDE_UNLINKED else 0;
    const wd = try inotify.add(hub.fd, path, bits);
    hub.changed();
    if (wd != w.wd) {
        // The inode went away between two calls: the kernel made a new watch that nobody needs.
        inotify.remove(hub.fd, wd);
        return error.NOENT;
    }
    w.mask = mask;
}

/// Add to the kernel's watch of the inode at a path.
fn watchAt(path: [:0]const u8, event: u32) Error!u32 {
    return watchOf(try inotify.add(hub.fd, path, maskOf(event)), event);
}

/// The watch with a number that the kernel gave for these kinds just now.
fn watchOf(wd: i32, event: u32) Error!u32 {
    if (hub.find(wd)) |watch| {
        // Those who are here already get what came before, and nobody else does.
        hub.drain();
        if (!hub.watches.?.at(watch).gone) {
            hub.watches.?.at(watch).mask |= event & asked;
            return watch;
        }
        // The inode went away: as if we had come a moment later.
        return error.NOENT;
    }
    errdefer inotify.remove(hub.fd, wd);
    const watch = try hub.insert(wd);
    hub.watches.?.at(watch).mask = event & (asked | always);
    return watch;
}

/// A watch without subscribers goes.
fn abandon(index: u32) void {
    const watch = hub.watches.?.at(index);
    if (watch.subscribers != none) return;
    if (!watch.gone) {
        inotify.remove(hub.fd, watch.wd);
        hub.removals += 1;
    }
    hub.changed();
    // The IGNORED that follows finds nobody.
    hub.unlink(index);
    hub.watches.?.destroy(index);
}

// --- changing --------------------------------------------------------------------------------

/// It wants other kinds from now on; the kernel is asked for exactly what all want. `name` is its inode
/// once more; null is a path that there was no memory for.
pub fn remask(index: u32, mask: u32, name: ?Name, follow: bool) Error!void {
    lock.lock();
    defer lock.unlock();
    const subscriber = hub.subscribers.at(index);
    subscriber.mask = mask;
    const watch = hub.watches.?.at(subscriber.watch);
    if (watch.gone) return;
    const wanted = unionOfSubscribers(watch);
    if (wanted == watch.mask & asked) return;
    change(subscriber.watch, name, follow, wanted) catch |err| {
        // Too much is filtered out here; too little is an error.
        if (wanted & ~watch.mask != 0) return err;
    };
}

fn unionOfSubscribers(watch: *const Watch) u32 {
    var mask: u32 = 0;
    var at = watch.subscribers;
    while (at != none) : (at = hub.subscribers.at(at).next) mask |= hub.subscribers.at(at).mask;
    return mask;
}

/// Masks are changed by naming the inode again. If the name means another one by now, the kernel makes
/// a watch of that one, so ask without doing harm first.
fn change(index: u32, known: ?Name, follow: bool, wanted: u32) Error!void {
    const name = known orelse return error.NOMEM;
    var held: sys.Fd = -1;
    defer if (held >= 0) sys.close(held);
    const fd = switch (name) {
        .fd => |fd| if (sys.isOpen(fd)) fd else return error.BADF,
        .path => |path| named: {
            held = try inotify.openPath(path, follow);
            break :named held;
        },
    };
    var buffer: FdPath = undefined;
    const path = pathOfFd(&buffer, fd);
    const wd = try inotify.add(hub.fd, path, wanted | always | inotify.MASK_ADD);
    if (wd == hub.watches.?.at(index).wd) return setMask(index, path, wanted | always, excludes(index));
    if (hub.find(wd) == null) inotify.remove(hub.fd, wd);
    return if (name == .fd) error.BADF else error.NOENT;
}
