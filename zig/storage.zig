//! A storage: one thing that has events, with the list of interests in it. S0-11.
//! Descriptors, watched inodes and signal numbers have one each; the storage of a timer is the wheel
//! of its clock, and a user event is its own.

const std = @import("std");
const Error = @import("errors.zig").Error;
const pools = @import("pool.zig");
const List = @import("list.zig").List;
const Kevent = @import("kevent.zig").Kevent;

pub const Interests = List(Kevent, "storage_previous", "storage_next");

pub const Storage = struct {
    pub const free_link = "link";

    interests: Interests,
    /// The descriptor; for sources without one their own key (watch number, signal number).
    fd: i32,
    /// Raised at each reuse, and by the back-end as it likes: late news about an older life, or of an
    /// older request, are told by it.
    generation: u32,
    /// Free list; in use, the back-end's own word.
    link: u32,
    /// Union of the poll bits its interests want.
    want: u16,
    /// `abi.Type` of the source that is told about activity.
    source: u8,
    flags: Flags,

    pub const Flags = packed struct(u8) {
        live: bool = false,
        /// Some interest is edge-triggered, so the back-end reports edges only and level-triggered
        /// interests beside it are asked again after each delivery (`Queue.recheck`).
        edge: bool = false,
        /// The back-end watches it.
        armed: bool = false,
        /// No back-end can watch it, because it is always ready: a regular file.
        always: bool = false,
        /// It is on the back-end's list of storages to ask.
        listed: bool = false,
        /// A request with its generation is in the kernel, or on its way there.
        polled: bool = false,
        /// The back-end watches it in a second way as well.
        aside: bool = false,
        reserved: u1 = 0,
    };
};

comptime {
    std.debug.assert(@sizeOf(Storage) == 24);
}

pub const Storages = pools.Pool(Storage);

/// A storage with no interest in it yet; `source` (`abi.Type`) will be told about poll bits in `want`.
pub fn create(storages: *Storages, fd: i32, source: u32, want: u16) Error!u32 {
    const number = try storages.create();
    const storage = storages.at(number);
    storage.* = .{
        .interests = .{},
        .fd = fd,
        .generation = storage.generation,
        .link = pools.none,
        .want = want,
        .source = @intCast(source),
        .flags = .{ .live = true },
    };
    return number;
}

/// Its interests have left, and no back-end watches it. News that are on their way will be stale.
pub fn destroy(storages: *Storages, number: u32) void {
    const storage = storages.at(number);
    storage.flags.live = false;
    storage.generation +%= 1;
    storages.destroy(number);
}

/// What the back-end hands back with an event: which storage, in which of its lives.
pub const Token = packed struct(u64) {
    index: u32,
    generation: u32,
};
