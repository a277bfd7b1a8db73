//! Inodes: the events of inotify(7), with names and cookies, in the order of the kernel.
//!
//! The limits of inotify are per user and small, so the whole process has one inotify descriptor: the
//! *hub*. Every queue with inode interests watches it. Whoever finds it readable reads all there is
//! and puts each event into the inbox of every queue concerned, and rings the bells (eventfds) of the
//! others. Nobody's lock but the hub's is needed for that.
//!
//! Lock order: a queue's lock, then the hub's. Under the hub's lock nobody takes another one. A queue
//! leaves the hub under both, so it cannot end while somebody fills its inbox. Paths are looked up
//! before the hub is locked: a file system that does not answer stops who asked it, and nobody else.
//!
//! An inbox has two halves. The hub fills `incoming` under its lock; the queue eats `current` under its
//! own, and swaps them when it has eaten up. An event is offered when no registration it concerns is
//! still ready with an earlier one, and the events behind it wait: so the order across watches is that
//! of the kernel, which halves of a rename depend on. An inbox that cannot grow takes one OVERFLOW
//! event instead of all that follow, until the queue has eaten up to there.
//!
//! A watch of the kernel has one mask for all: the union of what everybody asked. It grows as they
//! come and shrinks when somebody changes a mask, not when somebody leaves while others stay: what
//! nobody wants is thrown away in the hub.
//!
//! A registration is named by a descriptor, `{fd, 0}`, which may be closed afterwards, or by path
//! through `kevent_inode_add`, which makes it `{watch number, 1}`. The kernel never gives the same
//! watch number twice. After IGNORED (the inode is gone) a registration ends as if one-shot.

const std = @import("std");
const abi = @import("../abi.zig");
const sys = @import("../sys/linux.zig");
const inotify = @import("../sys/inotify.zig");
const errors = @import("../errors.zig");
const Error = errors.Error;
const pools = @import("../pool.zig");
const none = pools.none;
const sync = @import("../sync.zig");
const Queue = @import("../queue.zig").Queue;
const Source = @import("../source.zig").Source;
const storages = @import("../storage.zig");

const Kind = abi.Inode;
const asked = Kind.KEVENT_INODE_ACCESS | Kind.KEVENT_INODE_MODIFY | Kind.KEVENT_INODE_ATTRIB |
    Kind.KEVENT_INODE_CLOSE_WRITE | Kind.KEVENT_INODE_CLOSE_NOWRITE | Kind.KEVENT_INODE_OPEN |
    Kind.KEVENT_INODE_MOVED_FROM | Kind.KEVENT_INODE_MOVED_TO | Kind.KEVENT_INODE_CREATE |
    Kind.KEVENT_INODE_REMOVE | Kind.KEVENT_INODE_REMOVE_SELF | Kind.KEVENT_INODE_MOVE_SELF;
const always = Kind.KEVENT_INODE_UNMOUNT | Kind.KEVENT_INODE_OVERFLOW | Kind.KEVENT_INODE_IGNORED;
const manner = Kind.KEVENT_INODE_ONLY_DIRECTORY | Kind.KEVENT_INODE_DONT_FOLLOW |
    Kind.KEVENT_INODE_EXCLUDE_UNLINKED;

pub const source: Source = .{
    .name = "inode",
    .kinds = asked | always | manner,
    .required = asked | always,
    .enqueue = enqueue,
    .dequeue = dequeue,
    .check = check,
    .modify = modify,
    .activity = activity,
    .fill = fill,
    .requeue = requeue,
    .next = feed,
};

// --- inboxes ---------------------------------------------------------------------------------

/// Bytes of events that wait for one queue: some 300,000 of them. More is OVERFLOW. A variable so that
/// tests reach it.
pub var inbox_most: u32 = 16 << 20;
const inbox_reserved = 16 << 20;
/// An emptied half keeps this much memory.
const inbox_kept = 1 << 20;

/// An event in an inbox; the name follows. `storage` none: it concerns all.
const Entry = extern struct {
    storage: u32,
    generation: u32,
    mask: u32,
    cookie: u32,
    name_len: u32,
    reserved: u32 = 0,

    fn bytes(entry: *const Entry) u32 {
        return sizeWith(entry.name_len);
    }

    fn sizeWith(name_len: u32) u32 {
        return std.mem.alignForward(u32, @sizeOf(Entry) + name_len, 8);
    }

    fn name(entry: *const Entry) []const u8 {
        const start: [*]const u8 = @ptrCast(entry);
        return start[@sizeOf(Entry)..][0..entry.name_len];
    }
};

const overflow_entry: Entry = .{
    .storage = none,
    .generation = 0,
    .mask = Kind.KEVENT_INODE_OVERFLOW,
    .cookie = 0,
    .name_len = 0,
};

/// Half of an inbox.
const Half = struct {
    memory: pools.Array(u8),
    used: u32 = 0,
    /// Ends with an OVERFLOW: what came after it was dropped.
    lost: bool = false,

    fn init() Error!Half {
        var memory: pools.Array(u8) = try .init(inbox_reserved);
        errdefer memory.deinit();
        try memory.reach(@sizeOf(Entry) - 1);
        return .{ .memory = memory };
    }

    fn push(half: *Half, entry: Entry, name: []const u8) bool {
        if (half.lost) return false;
        const size = entry.bytes();
        // Behind each event there is always room to say that no more fit.
        if (!half.hasRoom(size + @sizeOf(Entry))) {
            half.lost = true;
            half.write(overflow_entry, "");
            return true;
        }
        half.write(entry, name);
        return true;
    }

    fn hasRoom(half: *Half, bytes: u32) bool {
        const end = half.used + bytes;
        if (end > inbox_most) return false;
        half.memory.reach(end - 1) catch return false;
        return true;
    }

    fn write(half: *Half, entry: Entry, name: []const u8) void {
        const start = half.memory.items + half.used;
        @as(*Entry, @ptrCast(@alignCast(start))).* = entry;
        @memcpy(start[@sizeOf(Entry)..][0..name.len], name);
        half.used += entry.bytes();
    }

    fn at(half: *const Half, offset: u32) *const Entry {
        std.debug.assert(offset < half.used);
        return @ptrCast(@alignCast(half.memory.items + offset));
    }

    fn clear(half: *Half) void {
        if (half.used > inbox_kept) sys.forgetMemory(@alignCast(half.memory.items[inbox_kept..half.used]));
        half.used = 0;
        half.lost = false;
    }
};

/// What a queue has to do with inodes.
pub const Subscription = struct {
    open: bool = false,
    /// Storages: the hub's descriptor, the bell.
    hub: u32 = none,
    bell: u32 = none,
    bell_fd: sys.Fd = -1,
    /// Watched inodes of this queue.
    watched: u32 = 0,
    /// Made by `addByPath` for the ADD that is under way.
    prepared: u32 = none,

    /// Guarded by the hub's lock.
    incoming: Half = undefined,
    rung: bool = false,
    /// Events ever put into the inbox.
    pushed: u64 = 0,
    next: ?*Subscription = null,

    /// Guarded by the queue's lock.
    current: Half = undefined,
    offset: u32 = 0,
    /// Events ever taken out.
    eaten: u64 = 0,
    /// Registrations that are ready with an event of `current`.
    outstanding: u32 = 0,
};

// --- the hub ---------------------------------------------------------------------------------

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

/// One queue's part in a watch.
const Subscriber = struct {
    pub const free_link = "next";

    next: u32,
    watch: u32,
    subscription: *Subscription,
    /// Storage in that queue, and which of its lives.
    storage: u32,
    generation: u32,
    /// Union of what its interests want.
    mask: u32,
    exclude: bool,
    /// How it was named, to change the kernel's mask later: null is a descriptor.
    path: ?[:0]u8,
    /// The queue's own: registrations of this storage that are ready with an event.
    outstanding: u32,
};

const watches_most = 1 << 22;
/// Watch numbers count up, so neighbours are in neighbouring buckets and only the parts of this table
/// that are in use take memory.
const buckets = 1 << 20;
/// Reads in a row. The kernel's own queue holds 16,384 events by default, which is less.
const reads_most = 64;

const Hub = struct {
    lock: sync.Mutex = .{},
    /// Counts what makes the answer to a question asked without the lock worthless: watches that
    /// were removed or narrowed, and events for watches that nobody knows yet.
    changes: std.atomic.Value(u64) = .init(0),
    fd: sys.Fd = -1,
    subscriptions: ?*Subscription = null,
    watches: ?pools.Pool(Watch) = null,
    subscribers: pools.Pool(Subscriber) = undefined,
    /// First watch of each bucket, plus one.
    heads: pools.Array(u32) = undefined,
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
        for (0..reads_most) |_| {
            const got = sys.read(h.fd, &h.buffer) catch return;
            h.distribute(h.buffer[0..got]);
            // Less than another event would need was free: there may be more.
            if (h.buffer.len - got > @sizeOf(inotify.Header) + 256) return;
        }
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
            post(subscriber.subscription, .{
                .storage = subscriber.storage,
                .generation = subscriber.generation,
                .mask = header.mask,
                .cookie = header.cookie,
                .name_len = @intCast(name.len),
            }, name);
        }
        if (header.mask & Kind.KEVENT_INODE_IGNORED != 0) h.unlink(index);
    }

    fn changed(h: *Hub) void {
        _ = h.changes.fetchAdd(1, .release);
    }

    fn tellAll(h: *Hub) void {
        var subscription = h.subscriptions;
        while (subscription) |s| : (subscription = s.next) post(s, overflow_entry, "");
    }
};

var hub: Hub = .{};

/// Put an event into an inbox.
fn post(subscription: *Subscription, entry: Entry, name: []const u8) void {
    if (!subscription.incoming.push(entry, name)) return;
    subscription.pushed += 1;
    if (subscription.rung) return;
    subscription.rung = true;
    sys.eventfdSignal(subscription.bell_fd);
}

// --- subscribing -----------------------------------------------------------------------------

fn subscribe(queue: *Queue) Error!void {
    const s = &queue.inodes;
    if (s.open) return;
    const bell = try sys.eventfd();
    errdefer sys.close(bell);
    s.incoming = try .init();
    errdefer s.incoming.memory.deinit();
    s.current = try .init();
    errdefer s.current.memory.deinit();
    const fd = try enter(s, bell);
    errdefer exit(s);
    s.bell = try watchFd(queue, bell);
    errdefer unwatchFd(queue, s.bell);
    s.hub = try watchFd(queue, fd);
    s.outstanding = 0;
    s.offset = 0;
    s.eaten = 0;
    s.open = true;
}

/// Into the hub's list; its descriptor.
fn enter(s: *Subscription, bell: sys.Fd) Error!sys.Fd {
    hub.lock.lock();
    defer hub.lock.unlock();
    try hub.prepare();
    if (hub.subscriptions == null) hub.fd = try openHub();
    s.rung = false;
    s.pushed = 0;
    s.bell_fd = bell;
    s.next = hub.subscriptions;
    hub.subscriptions = s;
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

fn exit(s: *Subscription) void {
    hub.lock.lock();
    defer hub.lock.unlock();
    var place = &hub.subscriptions;
    while (place.* != s) place = &place.*.?.next;
    place.* = s.next;
    if (hub.subscriptions != null) return;
    sys.close(hub.fd);
    hub.fd = -1;
}

fn watchFd(queue: *Queue, fd: sys.Fd) Error!u32 {
    const number = try storages.create(&queue.storages, fd, abi.Type.KEVENT_INODE, abi.Poll.KEVENT_POLL_IN);
    errdefer storages.destroy(&queue.storages, number);
    _ = try queue.backend.watch(queue, number);
    return number;
}

fn unwatchFd(queue: *Queue, number: u32) void {
    if (queue.storages.at(number).flags.armed) queue.backend.unwatch(queue, number);
    storages.destroy(&queue.storages, number);
}

/// Leaves the hub. Also called when the queue ends; then all its interests have left.
pub fn unsubscribe(queue: *Queue) void {
    const s = &queue.inodes;
    if (!s.open) return;
    std.debug.assert(s.watched == 0);
    s.open = false;
    unwatchFd(queue, s.hub);
    unwatchFd(queue, s.bell);
    exit(s);
    sys.close(s.bell_fd);
    s.incoming.memory.deinit();
    s.current.memory.deinit();
}

// --- registrations ---------------------------------------------------------------------------

/// `data` of a registration.
const Place = packed struct(u64) {
    /// Where its event is in `current`, in units of 8 bytes.
    entry: u22 = 0,
    /// It is ready with that event.
    outstanding: bool = false,
    /// Number of the first event that may be for it: what came before the ADD is not.
    born: u41 = 0,
};

comptime {
    std.debug.assert(inbox_reserved / 8 <= 1 << 22);
}

fn placeOf(queue: *Queue, index: u32) *Place {
    return @ptrCast(&queue.kevents.at(index).data);
}

/// The subscriber of a storage. Its memory stays where it is, so no lock is needed to get there.
fn subscriberOf(queue: *Queue, storage: u32) *Subscriber {
    return &hub.subscribers.array.items[queue.storages.at(storage).link];
}

/// How an ADD names an inode.
const Name = union(enum) { fd: i32, path: [:0]const u8 };

const FdPath = [32]u8;

fn pathOfFd(buffer: *FdPath, fd: i32) [:0]const u8 {
    return std.fmt.bufPrintSentinel(buffer, "/proc/self/fd/{d}", .{fd}, 0) catch unreachable;
}

fn enqueue(queue: *Queue, index: u32) Error!void {
    const kevent = queue.kevents.at(index);
    const number = try storageFor(queue, &kevent.event);
    const storage = queue.storages.at(number);
    storage.interests.append(queue.kevents.array.items, index);
    kevent.storage = number;
    hub.lock.lock();
    defer hub.lock.unlock();
    const place: Place = .{ .born = @truncate(queue.inodes.pushed) };
    kevent.data = @bitCast(place);
}

fn storageFor(queue: *Queue, record: *const abi.Ukevent) Error!u32 {
    if (queue.inodes.prepared != none) {
        defer queue.inodes.prepared = none;
        return queue.inodes.prepared;
    }
    const fd: i32 = @bitCast(record.id.raw[0]);
    // A watch number names what `kevent_inode_add` has added and cannot be added again.
    if (fd < 0 or record.id.raw[1] != 0) return error.BADF;
    return attach(queue, .{ .fd = fd }, record.event);
}

/// The storage of an inode, watched for these kinds; made if the queue has none.
fn attach(queue: *Queue, name: Name, event: u32) Error!u32 {
    try subscribe(queue);
    errdefer if (queue.inodes.watched == 0) unsubscribe(queue);
    const answer = try askEarly(name, event);
    hub.lock.lock();
    defer hub.lock.unlock();
    const watch = try ask(name, event, answer);
    errdefer abandon(watch);
    const old = subscriberIn(watch, &queue.inodes);
    const subscriber = old orelse try newSubscriber(queue, watch);
    const joined = hub.subscribers.at(subscriber);
    joined.mask |= event & asked;
    joined.exclude = event & Kind.KEVENT_INODE_EXCLUDE_UNLINKED != 0 and (old == null or joined.exclude);
    if (joined.path == null) joined.path = keep(name);
    return joined.storage;
}

/// The path is only needed to change masks later; without memory for it that will be refused.
fn keep(name: Name) ?[:0]u8 {
    return switch (name) {
        .fd => null,
        .path => |path| std.heap.c_allocator.dupeSentinel(u8, path, 0) catch null,
    };
}

fn subscriberIn(watch: u32, s: *Subscription) ?u32 {
    var at = hub.watches.?.at(watch).subscribers;
    while (at != none) : (at = hub.subscribers.at(at).next) {
        if (hub.subscribers.at(at).subscription == s) return at;
    }
    return null;
}

fn newSubscriber(queue: *Queue, watch: u32) Error!u32 {
    const w = hub.watches.?.at(watch);
    const storage = try storages.create(&queue.storages, w.wd, abi.Type.KEVENT_INODE, abi.Poll.KEVENT_POLL_IN);
    errdefer storages.destroy(&queue.storages, storage);
    const index = try hub.subscribers.create();
    hub.subscribers.at(index).* = .{
        .next = w.subscribers,
        .watch = watch,
        .subscription = &queue.inodes,
        .storage = storage,
        .generation = queue.storages.at(storage).generation,
        .mask = 0,
        .exclude = false,
        .path = null,
        .outstanding = 0,
    };
    w.subscribers = index;
    queue.storages.at(storage).link = index;
    queue.inodes.watched += 1;
    return index;
}

/// What the kernel answered to a question that was asked without the lock.
const Answer = struct {
    wd: i32,
    /// `Hub.changes` before.
    changes: u64,

    fn isGood(answer: Answer) bool {
        return answer.changes == hub.changes.load(.acquire);
    }
};

/// The descriptor of the hub stays as long as we are among its subscriptions, so this needs no lock.
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
    if (!watch.gone) inotify.remove(hub.fd, watch.wd);
    hub.changed();
    // The IGNORED that follows finds nobody.
    hub.unlink(index);
    hub.watches.?.destroy(index);
}

fn dequeue(queue: *Queue, index: u32) void {
    release(queue, index);
    const number = queue.kevents.at(index).storage;
    const storage = queue.storages.at(number);
    storage.interests.remove(queue.kevents.array.items, index);
    if (storage.interests.head == none) detach(queue, number);
}

/// The queue watches this inode no more.
fn detach(queue: *Queue, storage: u32) void {
    {
        hub.lock.lock();
        defer hub.lock.unlock();
        const index = queue.storages.at(storage).link;
        const subscriber = hub.subscribers.at(index);
        const watch = hub.watches.?.at(subscriber.watch);
        var place = &watch.subscribers;
        while (place.* != index) place = &hub.subscribers.at(place.*).next;
        place.* = subscriber.next;
        abandon(subscriber.watch);
        if (subscriber.path) |path| std.heap.c_allocator.free(path);
        hub.subscribers.destroy(index);
    }
    storages.destroy(&queue.storages, storage);
    queue.inodes.watched -= 1;
    if (queue.inodes.watched == 0) unsubscribe(queue);
}

/// Another mask. The event that waits stays if the new mask wants it.
fn modify(queue: *Queue, index: u32) Error!void {
    const kevent = queue.kevents.at(index);
    try remask(queue, index);
    if (placeOf(queue, index).outstanding) {
        const fired = match(eventOf(queue, index).mask, kevent.event.event);
        if (fired == 0) release(queue, index) else queue.markReady(index, fired);
    }
    feed(queue);
}

/// Ask the kernel for exactly what all want now.
fn remask(queue: *Queue, index: u32) Error!void {
    const kevent = queue.kevents.at(index);
    const subscriber = subscriberOf(queue, kevent.storage);
    hub.lock.lock();
    defer hub.lock.unlock();
    subscriber.mask = unionOfInterests(queue, kevent.storage);
    const watch = hub.watches.?.at(subscriber.watch);
    if (watch.gone) return;
    const wanted = unionOfSubscribers(watch);
    if (wanted == watch.mask & asked) return;
    change(subscriber, &kevent.event, wanted) catch |err| {
        // Too much is filtered out here; too little is an error.
        if (wanted & ~watch.mask != 0) return err;
    };
}

fn unionOfInterests(queue: *Queue, storage: u32) u32 {
    var mask: u32 = 0;
    var index = queue.storages.at(storage).interests.head;
    while (index != none) : (index = queue.kevents.at(index).storage_next) mask |= queue.kevents.at(index).event.event;
    return mask & asked;
}

fn unionOfSubscribers(watch: *const Watch) u32 {
    var mask: u32 = 0;
    var at = watch.subscribers;
    while (at != none) : (at = hub.subscribers.at(at).next) mask |= hub.subscribers.at(at).mask;
    return mask;
}

/// Masks are changed by naming the inode again. If the name means another one by now, the kernel makes
/// a watch of that one, so ask without doing harm first.
fn change(subscriber: *Subscriber, record: *const abi.Ukevent, wanted: u32) Error!void {
    const index = subscriber.watch;
    const watch = hub.watches.?.at(index);
    var held: sys.Fd = -1;
    defer if (held >= 0) sys.close(held);
    var buffer: FdPath = undefined;
    if (record.id.raw[1] == 0) {
        const fd: i32 = @bitCast(record.id.raw[0]);
        if (!sys.isOpen(fd)) return error.BADF;
        _ = pathOfFd(&buffer, fd);
    } else {
        const path = subscriber.path orelse return error.NOMEM;
        held = try inotify.openPath(path, record.event & Kind.KEVENT_INODE_DONT_FOLLOW == 0);
        _ = pathOfFd(&buffer, held);
    }
    const path = std.mem.sliceTo(@as([*:0]const u8, @ptrCast(&buffer)), 0);
    const wd = try inotify.add(hub.fd, path, wanted | always | inotify.MASK_ADD);
    if (wd == watch.wd) return setMask(index, path, wanted | always, excludes(index));
    if (hub.find(wd) == null) inotify.remove(hub.fd, wd);
    return if (record.id.raw[1] == 0) error.BADF else error.NOENT;
}

/// ADD of an interest in the inode at a path. Fills `record.id` with `{watch number, 1}`. A failure is
/// told both ways: returned, and in the record as for any other ADD.
pub fn addByPath(queue: *Queue, path: []const u8, record: *abi.Ukevent) Error!void {
    var copy = record.*;
    addPath(queue, path, &copy) catch |err| {
        copy.ret_flags = abi.Return.KEVENT_RET_BROKEN;
        copy.ret_data = errors.number(err);
        record.* = copy;
        return err;
    };
    record.* = copy;
}

fn addPath(queue: *Queue, path: []const u8, record: *abi.Ukevent) Error!void {
    var buffer: [path_most:0]u8 = undefined;
    const name = try terminate(&buffer, path);
    if (record.type != abi.Type.KEVENT_INODE) return error.INVAL;
    if (record.event & ~source.kinds != 0 or record.event & source.required == 0) return error.INVAL;
    const storage = try attach(queue, .{ .path = name }, record.event);
    record.id = .{ .raw = .{ @bitCast(queue.storages.at(storage).fd), 1 } };
    queue.inodes.prepared = storage;
    queue.control(abi.Command.KEVENT_CTL_ADD, record);
    const broken = record.ret_flags & abi.Return.KEVENT_RET_BROKEN != 0;
    // The ADD was refused before it got as far as taking it.
    if (queue.inodes.prepared != none) {
        queue.inodes.prepared = none;
        if (queue.storages.at(storage).interests.head == none) detach(queue, storage);
    }
    if (broken) return errors.fromNumber(record.ret_data);
}

/// PATH_MAX without the zero at the end.
const path_most = 4095;

fn terminate(buffer: *[path_most:0]u8, path: []const u8) Error![:0]const u8 {
    if (path.len == 0) return error.NOENT;
    if (path.len > path_most) return error.NAMETOOLONG;
    if (std.mem.indexOfScalar(u8, path, 0) != null) return error.INVAL;
    @memcpy(buffer[0..path.len], path);
    buffer[path.len] = 0;
    return buffer[0..path.len :0];
}

// --- events ----------------------------------------------------------------------------------

fn activity(queue: *Queue, number: u32, _: u32) void {
    const s = &queue.inodes;
    {
        hub.lock.lock();
        defer hub.lock.unlock();
        if (number == s.hub) hub.drain();
        // The bell rang for what the queue takes over now or when it has eaten up.
        if (s.rung) {
            _ = sys.eventfdClear(s.bell_fd);
            s.rung = false;
        }
    }
    queue.backend.rearm(queue, number);
    feed(queue);
}

/// Offer events as long as nobody they concern is busy with an earlier one.
fn feed(queue: *Queue) void {
    const s = &queue.inodes;
    if (!s.open or queue.closed) return;
    while (peek(s)) |entry| {
        if (!offer(queue, entry)) return;
        s.eaten += 1;
        s.offset += entry.bytes();
    }
}

/// The event whose turn it is.
fn peek(s: *Subscription) ?*const Entry {
    if (s.offset < s.current.used) return s.current.at(s.offset);
    // Names of what is still ready are in there.
    if (s.outstanding > 0) return null;
    {
        hub.lock.lock();
        defer hub.lock.unlock();
        if (s.incoming.used == 0) return null;
        std.mem.swap(Half, &s.incoming, &s.current);
        s.incoming.clear();
        s.offset = 0;
    }
    return s.current.at(0);
}

fn match(mask: u32, wanted: u32) u32 {
    const fired = mask & (wanted & asked | always);
    return if (fired == 0) 0 else fired | (mask & Kind.KEVENT_INODE_DIRECTORY);
}

/// False: somebody it concerns is busy.
fn offer(queue: *Queue, entry: *const Entry) bool {
    if (entry.storage == none) return offerAll(queue);
    if (entry.storage >= queue.storages.used) return true;
    const storage = queue.storages.at(entry.storage);
    // Removed meanwhile.
    if (!storage.flags.live or storage.generation != entry.generation) return true;
    if (subscriberOf(queue, entry.storage).outstanding > 0) return false;
    var index = storage.interests.head;
    while (index != none) : (index = queue.kevents.at(index).storage_next) {
        // Ready by hand: its record would lose what this event is.
        if (concerns(queue, index, entry) != 0 and queue.kevents.at(index).state.place == .ready) return false;
    }
    index = storage.interests.head;
    while (index != none) : (index = queue.kevents.at(index).storage_next) {
        const fired = concerns(queue, index, entry);
        if (fired != 0) give(queue, index, fired);
    }
    return true;
}

fn concerns(queue: *Queue, index: u32, entry: *const Entry) u32 {
    const age: i41 = @bitCast(@as(u41, @truncate(queue.inodes.eaten)) -% placeOf(queue, index).born);
    return if (age < 0) 0 else match(entry.mask, queue.kevents.at(index).event.event);
}

/// Something was lost: everybody must know, once all before that was handed out.
fn offerAll(queue: *Queue) bool {
    if (queue.inodes.outstanding > 0) return false;
    queue.counters.inode_overflows += 1;
    for (queue.kevents.array.items[0..queue.kevents.used], 0..) |*kevent, index| {
        if (!kevent.state.live or kevent.event.type != abi.Type.KEVENT_INODE) continue;
        give(queue, @intCast(index), Kind.KEVENT_INODE_OVERFLOW);
    }
    return true;
}

fn give(queue: *Queue, index: u32, fired: u32) void {
    const place = placeOf(queue, index);
    place.entry = @intCast(queue.inodes.offset / 8);
    place.outstanding = true;
    queue.inodes.outstanding += 1;
    const kevent = queue.kevents.at(index);
    subscriberOf(queue, kevent.storage).outstanding += 1;
    // The inode is gone, nothing can follow.
    if (fired & Kind.KEVENT_INODE_IGNORED != 0) kevent.event.req_flags |= abi.Request.KEVENT_REQ_ONESHOT;
    queue.markReady(index, fired);
}

/// The event of a registration that is ready with one.
fn eventOf(queue: *Queue, index: u32) *const Entry {
    return queue.inodes.current.at(@as(u32, placeOf(queue, index).entry) * 8);
}

/// Its event was handed out or is not wanted any more.
fn release(queue: *Queue, index: u32) void {
    const place = placeOf(queue, index);
    if (!place.outstanding) return;
    place.outstanding = false;
    queue.inodes.outstanding -= 1;
    subscriberOf(queue, queue.kevents.at(index).storage).outstanding -= 1;
}

/// What happened to an inode stays so.
fn check(queue: *Queue, index: u32) u32 {
    return queue.kevents.at(index).fired;
}

fn fill(queue: *Queue, index: u32, record: *abi.Ukevent) bool {
    record.event &= ~manner;
    record.ret_data = abi.no_name;
    if (!placeOf(queue, index).outstanding) return true;
    const entry = eventOf(queue, index);
    if (entry.name_len > 0) record.ret_data = queue.names.put(entry.name()) orelse return false;
    record.ret_extra = entry.cookie;
    return true;
}

fn requeue(queue: *Queue, index: u32) void {
    release(queue, index);
}
