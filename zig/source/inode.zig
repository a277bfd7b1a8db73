//! Inodes: the events of inotify(7), with names and cookies, in the order of the kernel.
//!
//! The hub (`hub.zig`) is shared by the whole process; every queue with inode interests has an inbox in it
//! and watches its descriptor.
//!
//! An event is offered when no registration it concerns is still ready with an earlier one, and the events
//! behind it wait: so the order across watches is that of the kernel, which halves of a rename depend on.
//!
//! A registration is named by a descriptor, `{fd, 0}`, which may be closed afterwards, or by path
//! through `kevent_inode_add`, which makes it `{watch number, 1}`. After IGNORED (the inode is gone) a
//! registration ends as if one-shot.

const std = @import("std");
const abi = @import("../abi.zig");
const sys = @import("../sys/linux.zig");
const errors = @import("../errors.zig");
const Error = errors.Error;
const pools = @import("../pool.zig");
const none = pools.none;
const Queue = @import("../queue.zig").Queue;
const Source = @import("../source.zig").Source;
const storages = @import("../storage.zig");
const inboxes = @import("../inotify/inbox.zig");
const Entry = inboxes.Entry;
const hub = @import("../inotify/hub.zig");
const asked = hub.asked;
const always = hub.always;
const manner = hub.manner;

const Kind = abi.Inode;

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

/// An inode that a queue watches.
const Watched = struct {
    pub const free_link = "subscriber";

    /// In the hub; free list.
    subscriber: u32,
    /// Registrations of it that are ready with an event.
    outstanding: u32,
    /// How it was named, to change the kernel's mask later: null is a descriptor.
    path: ?[:0]u8,
};

/// What a queue has to do with inodes.
pub const Subscription = struct {
    open: bool = false,
    /// Storages: the hub's descriptor, the bell.
    hub: u32 = none,
    bell: u32 = none,
    inbox: inboxes.Inbox = undefined,
    /// `link` of their storages.
    watched: pools.Pool(Watched) = undefined,
    /// Made by `addByPath` for the ADD that is under way.
    prepared: u32 = none,
    /// Registrations that are ready with an event of `inbox.current`.
    outstanding: u32 = 0,
};

// --- subscribing -----------------------------------------------------------------------------

fn subscribe(queue: *Queue) Error!void {
    const s = &queue.inodes;
    if (s.open) return;
    s.inbox = try .init();
    errdefer s.inbox.deinit();
    s.watched = try .init(hub.watches_most);
    errdefer s.watched.deinit();
    const fd = try hub.enter(&s.inbox);
    errdefer hub.exit(&s.inbox);
    s.bell = try watchFd(queue, s.inbox.bell_fd);
    errdefer unwatchFd(queue, s.bell);
    s.hub = try watchFd(queue, fd);
    s.outstanding = 0;
    s.open = true;
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
    std.debug.assert(s.watched.count == 0);
    s.open = false;
    unwatchFd(queue, s.hub);
    unwatchFd(queue, s.bell);
    hub.exit(&s.inbox);
    s.inbox.deinit();
    s.watched.deinit();
}

// --- registrations ---------------------------------------------------------------------------

/// `data` of a registration.
const Place = packed struct(u64) {
    /// Where its event is in `inbox.current`, in units of 8 bytes.
    entry: u22 = 0,
    /// It is ready with that event.
    outstanding: bool = false,
    /// Number of the first event that may be for it: what came before the ADD is not.
    born: u41 = 0,
};

comptime {
    std.debug.assert(inboxes.inbox_reserved / 8 <= 1 << 22);
}

fn placeOf(queue: *Queue, index: u32) *Place {
    return @ptrCast(&queue.kevents.at(index).data);
}

fn watchedOf(queue: *Queue, storage: u32) *Watched {
    return queue.inodes.watched.at(queue.storages.at(storage).link);
}

fn enqueue(queue: *Queue, index: u32) Error!void {
    const kevent = queue.kevents.at(index);
    const number = try storageFor(queue, &kevent.event);
    const storage = queue.storages.at(number);
    storage.interests.append(queue.kevents.array.items, index);
    kevent.storage = number;
    const place: Place = .{ .born = @truncate(queue.inodes.inbox.upcoming()) };
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
fn attach(queue: *Queue, name: hub.Name, event: u32) Error!u32 {
    const s = &queue.inodes;
    try subscribe(queue);
    errdefer if (s.watched.count == 0) unsubscribe(queue);
    const number = try joinedAs(queue, name, event);
    const watched = watchedOf(queue, number);
    if (watched.path == null) watched.path = keep(name);
    return number;
}

/// Which inode it is shows when the hub has joined us, and events may come at once: so a storage is made
/// before, and goes again if there is one already.
fn joinedAs(queue: *Queue, name: hub.Name, event: u32) Error!u32 {
    const number = try create(queue);
    errdefer destroy(queue, number);
    const storage = queue.storages.at(number);
    const joined = try hub.join(&queue.inodes.inbox, name, event, number, storage.generation);
    if (joined.token != number) {
        destroy(queue, number);
        return joined.token;
    }
    storage.fd = joined.wd;
    watchedOf(queue, number).subscriber = joined.subscriber;
    return number;
}

fn create(queue: *Queue) Error!u32 {
    const s = &queue.inodes;
    const number = try storages.create(&queue.storages, -1, abi.Type.KEVENT_INODE, abi.Poll.KEVENT_POLL_IN);
    errdefer storages.destroy(&queue.storages, number);
    const link = try s.watched.create();
    s.watched.at(link).* = .{ .subscriber = none, .outstanding = 0, .path = null };
    queue.storages.at(number).link = link;
    return number;
}

fn destroy(queue: *Queue, number: u32) void {
    queue.inodes.watched.destroy(queue.storages.at(number).link);
    storages.destroy(&queue.storages, number);
}

/// The path is only needed to change masks later; without memory for it that will be refused.
fn keep(name: hub.Name) ?[:0]u8 {
    return switch (name) {
        .fd => null,
        .path => |path| std.heap.c_allocator.dupeSentinel(u8, path, 0) catch null,
    };
}

fn dequeue(queue: *Queue, index: u32) void {
    release(queue, index);
    const number = queue.kevents.at(index).storage;
    const storage = queue.storages.at(number);
    storage.interests.remove(queue.kevents.array.items, index);
    if (storage.interests.head == none) detach(queue, number);
}

/// The queue watches this inode no more.
fn detach(queue: *Queue, number: u32) void {
    const watched = watchedOf(queue, number);
    hub.unsubscribe(watched.subscriber);
    if (watched.path) |path| std.heap.c_allocator.free(path);
    destroy(queue, number);
    if (queue.inodes.watched.count == 0) unsubscribe(queue);
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
    const watched = watchedOf(queue, kevent.storage);
    const follow = kevent.event.event & Kind.KEVENT_INODE_DONT_FOLLOW == 0;
    const mask = unionOfInterests(queue, kevent.storage);
    try hub.remask(watched.subscriber, mask, nameOf(watched, &kevent.event), follow);
}

fn nameOf(watched: *const Watched, record: *const abi.Ukevent) ?hub.Name {
    if (record.id.raw[1] == 0) return .{ .fd = @bitCast(record.id.raw[0]) };
    return if (watched.path) |path| .{ .path = path } else null;
}

fn unionOfInterests(queue: *Queue, storage: u32) u32 {
    var mask: u32 = 0;
    var index = queue.storages.at(storage).interests.head;
    while (index != none) : (index = queue.kevents.at(index).storage_next) mask |= queue.kevents.at(index).event.event;
    return mask & asked;
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
    if (number == s.hub) hub.pump(&s.inbox) else s.inbox.clearBell();
    queue.backend.rearm(queue, number);
    feed(queue);
}

/// Offer events as long as nobody they concern is busy with an earlier one.
fn feed(queue: *Queue) void {
    const s = &queue.inodes;
    if (!s.open or queue.closed) return;
    while (peek(s)) |entry| {
        if (!offer(queue, entry)) return;
        s.inbox.eat(entry);
    }
}

/// The event whose turn it is.
fn peek(s: *Subscription) ?*const Entry {
    // Names of what is still ready are in `current`.
    if (s.outstanding == 0) s.inbox.takeOver();
    return s.inbox.peek();
}

fn match(mask: u32, wanted: u32) u32 {
    const fired = mask & (wanted & asked | always);
    return if (fired == 0) 0 else fired | (mask & Kind.KEVENT_INODE_DIRECTORY);
}

/// False: somebody it concerns is busy.
fn offer(queue: *Queue, entry: *const Entry) bool {
    if (entry.owner_token == none) return offerAll(queue);
    if (entry.owner_token >= queue.storages.used) return true;
    const storage = queue.storages.at(entry.owner_token);
    // Removed meanwhile.
    if (!storage.flags.live or storage.generation != entry.generation) return true;
    if (watchedOf(queue, entry.owner_token).outstanding > 0) return false;
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
    const age: i41 = @bitCast(@as(u41, @truncate(queue.inodes.inbox.eaten)) -% placeOf(queue, index).born);
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
    place.entry = @intCast(queue.inodes.inbox.offset / 8);
    place.outstanding = true;
    queue.inodes.outstanding += 1;
    const kevent = queue.kevents.at(index);
    watchedOf(queue, kevent.storage).outstanding += 1;
    // The inode is gone, nothing can follow.
    if (fired & Kind.KEVENT_INODE_IGNORED != 0) kevent.event.req_flags |= abi.Request.KEVENT_REQ_ONESHOT;
    queue.markReady(index, fired);
}

/// The event of a registration that is ready with one.
fn eventOf(queue: *Queue, index: u32) *const Entry {
    return queue.inodes.inbox.current.at(@as(u32, placeOf(queue, index).entry) * 8);
}

/// Its event was handed out or is not wanted any more.
fn release(queue: *Queue, index: u32) void {
    const place = placeOf(queue, index);
    if (!place.outstanding) return;
    place.outstanding = false;
    queue.inodes.outstanding -= 1;
    watchedOf(queue, queue.kevents.at(index).storage).outstanding -= 1;
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
