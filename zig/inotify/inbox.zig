//! An inbox: the events of inotify(7) that the hub has for one owner, in the order of the kernel.
//!
//! It has two halves. The hub fills `incoming` under its lock; the owner eats `current` under its own,
//! and swaps them when it has eaten up. An inbox that cannot grow takes one OVERFLOW event instead of
//! all that follow, until the owner has eaten up to there.
//!
//! The bell is an eventfd that tells the owner of what others have put there.

const std = @import("std");
const abi = @import("../abi.zig");
const sys = @import("../sys/linux.zig");
const Error = @import("../errors.zig").Error;
const pools = @import("../pool.zig");
const none = pools.none;
const sync = @import("../sync.zig");

/// The hub's lock. It is here because an inbox needs it to swap its halves.
pub var lock: sync.Mutex = .{};

/// Bytes of events that wait for one owner: some 300,000 of them. More is OVERFLOW. A variable so that
/// tests reach it.
pub var inbox_most: u32 = 16 << 20;
pub const inbox_reserved = 16 << 20;
/// An emptied half keeps this much memory.
const inbox_kept = 1 << 20;

/// An event in an inbox; the name follows.
pub const Entry = extern struct {
    /// What the subscriber gave to know it by, twice; `none`: it concerns all.
    owner_token: u32,
    generation: u32,
    mask: u32,
    cookie: u32,
    name_len: u32,
    /// When the drain that brought it began: the low half of CLOCK_MONOTONIC in microseconds.
    stamp_us: u32,

    fn bytes(entry: *const Entry) u32 {
        return std.mem.alignForward(u32, @sizeOf(Entry) + entry.name_len, 8);
    }

    pub fn name(entry: *const Entry) []const u8 {
        const start: [*]const u8 = @ptrCast(entry);
        return start[@sizeOf(Entry)..][0..entry.name_len];
    }

    /// Something was lost.
    pub fn overflow(stamp_us: u32) Entry {
        return .{
            .owner_token = none,
            .generation = 0,
            .mask = abi.Inode.KEVENT_INODE_OVERFLOW,
            .cookie = 0,
            .name_len = 0,
            .stamp_us = stamp_us,
        };
    }
};

/// Half of an inbox.
pub const Half = struct {
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
            half.write(.overflow(entry.stamp_us), "");
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

    pub fn at(half: *const Half, offset: u32) *const Entry {
        std.debug.assert(offset < half.used);
        return @ptrCast(@alignCast(half.memory.items + offset));
    }

    fn clear(half: *Half) void {
        if (half.used > inbox_kept) sys.forgetMemory(@alignCast(half.memory.items[inbox_kept..half.used]));
        half.used = 0;
        half.lost = false;
    }
};

pub const Inbox = struct {
    /// Guarded by the hub's lock.
    incoming: Half,
    rung: bool = false,
    /// Events ever put into it.
    pushed: u64 = 0,
    /// The hub's list.
    next: ?*Inbox = null,

    bell_fd: sys.Fd,

    /// Guarded by the owner's lock.
    current: Half,
    /// Of the event in `current` whose turn it is.
    offset: u32 = 0,
    /// Events ever taken out.
    eaten: u64 = 0,

    pub fn init() Error!Inbox {
        const bell = try sys.eventfd();
        errdefer sys.close(bell);
        var incoming: Half = try .init();
        errdefer incoming.memory.deinit();
        return .{ .bell_fd = bell, .incoming = incoming, .current = try .init() };
    }

    /// After it has left the hub.
    pub fn deinit(inbox: *Inbox) void {
        sys.close(inbox.bell_fd);
        inbox.incoming.memory.deinit();
        inbox.current.memory.deinit();
        inbox.* = undefined;
    }

    /// Put an event into it, under the hub's lock.
    pub fn post(inbox: *Inbox, entry: Entry, name: []const u8) void {
        if (!inbox.incoming.push(entry, name)) return;
        inbox.pushed += 1;
        if (inbox.rung) return;
        inbox.rung = true;
        sys.eventfdSignal(inbox.bell_fd);
    }

    /// The number that the event which comes next will have: compare with `eaten`.
    pub fn upcoming(inbox: *Inbox) u64 {
        lock.lock();
        defer lock.unlock();
        return inbox.pushed;
    }

    /// The bell rang for what the owner takes over now or when it has eaten up.
    pub fn clearBell(inbox: *Inbox) void {
        lock.lock();
        defer lock.unlock();
        if (inbox.rung) inbox.answerBell();
    }

    fn answerBell(inbox: *Inbox) void {
        _ = sys.eventfdClear(inbox.bell_fd);
        inbox.rung = false;
    }

    /// The owner looks itself: nobody rings until it is to `listen` again. Both under the hub's lock.
    pub fn attend(inbox: *Inbox) void {
        if (inbox.rung) inbox.answerBell();
        inbox.rung = true;
    }

    pub fn listen(inbox: *Inbox) void {
        inbox.rung = false;
    }

    /// When `current` is eaten up, go on with what has come in meanwhile. Events that were taken out
    /// before are not in memory any more.
    pub fn takeOver(inbox: *Inbox) void {
        if (inbox.offset < inbox.current.used) return;
        lock.lock();
        defer lock.unlock();
        if (inbox.incoming.used == 0) return;
        std.mem.swap(Half, &inbox.incoming, &inbox.current);
        inbox.incoming.clear();
        inbox.offset = 0;
    }

    /// Put what has come in meanwhile behind what is in `current`, for looking further ahead. It stays
    /// where it is when there is no room.
    pub fn gather(inbox: *Inbox) void {
        lock.lock();
        defer lock.unlock();
        const more = inbox.incoming.used;
        if (more == 0 or inbox.current.lost or !inbox.current.hasRoom(more)) return;
        @memcpy(inbox.current.memory.items[inbox.current.used..][0..more], inbox.incoming.memory.items[0..more]);
        inbox.current.used += more;
        inbox.current.lost = inbox.incoming.lost;
        inbox.incoming.clear();
    }

    /// The event whose turn it is; null: `current` is eaten up.
    pub fn peek(inbox: *const Inbox) ?*const Entry {
        return if (inbox.offset < inbox.current.used) inbox.current.at(inbox.offset) else null;
    }

    /// The one behind it in `current`, for looking ahead.
    pub fn after(inbox: *const Inbox, entry: *const Entry) ?*const Entry {
        const start = @intFromPtr(entry) - @intFromPtr(inbox.current.memory.items);
        const offset = @as(u32, @intCast(start)) + entry.bytes();
        return if (offset < inbox.current.used) inbox.current.at(offset) else null;
    }

    /// Done with the event whose turn it was. It stays in memory until `takeOver`.
    pub fn eat(inbox: *Inbox, entry: *const Entry) void {
        std.debug.assert(inbox.peek() == entry);
        inbox.eaten += 1;
        inbox.offset += entry.bytes();
    }
};
