//! A registration: the record the user gave, and its place in the three lists of the seed. S1-1.
//! All registrations are in the identity table (`kevent_user->kevent_list`); each is in the list of
//! its storage; those that fired and were not handed out yet are on the ready list.

const std = @import("std");
const abi = @import("abi.zig");

pub const Kevent = struct {
    pub const free_link = "identity_next";

    /// As the user gave it; the `ret_` fields collect what will be handed out.
    event: abi.Ukevent,
    /// Chain of the identity table; free list of the pool.
    identity_next: u32,
    ready_previous: u32,
    ready_next: u32,
    /// List of the storage. A timer has no list but a place in a wheel: `storage_previous`.
    storage_previous: u32,
    storage_next: u32,
    storage: u32,
    /// Kinds that fired since it was last handed out.
    fired: u32,
    state: State,
    /// The source's own: deadline of a timer.
    data: u64,

    pub const State = packed struct(u32) {
        live: bool = false,
        /// Which list the `ready_` links are part of.
        place: Place = .storage,
        /// Made ready by hand (READY): handed out whatever the last check says.
        forced: bool = false,
        /// In its storage. False while ADD is on its way.
        enqueued: bool = false,
        /// Raised at each reuse, so that a stale index is told from a live one.
        generation: u27 = 0,
    };

    pub const Place = enum(u2) {
        /// Only in its storage.
        storage,
        ready,
        /// Handed out, to be asked again at the next collect: see `Queue.recheck`.
        recheck,
    };
};

comptime {
    // 80 here, 4 to 8 in the identity table, 17 in the wheel (a timer) or a storage (a descriptor):
    // the promise is 128 for everything.
    std.debug.assert(@sizeOf(Kevent) == 80);
}
