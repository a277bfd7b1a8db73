//! Many changes or events in one call: the memory that each of them will touch is asked for while the
//! ones before it are worked on. A table of a million registrations is in no cache, and one that
//! waits for one miss after the other takes several times as long.
//!
//! All of it is guesswork about the near future: wrong guesses cost time, nothing else.

const abi = @import("abi.zig");
const none = @import("pool.zig").none;
const Queue = @import("queue.zig").Queue;
const sources = @import("source.zig");

/// What is asked for, the first as many steps ahead as there are stages.
const Stage = enum(usize) {
    /// What the source moves into the place of one that is removed.
    moved = 1,
    /// The neighbour that tells which one that is.
    neighbour,
    /// Where the source has it.
    place,
    /// The registration behind it in its bucket, if it is another one.
    following,
    /// The first registration of the bucket.
    registration,
    /// The bucket.
    bucket,
};

/// Changes between two stages: as long as memory takes.
const step = 4;
const longest = step * @backingInt(Stage.bucket);
const window = 32;

comptime {
    if (longest > window) @compileError("a guess is forgotten before its last use");
}

pub const Changes = struct {
    /// What is done to all records; null: what each says in `ret_flags`.
    command: ?u32,
    /// Registrations that the coming changes are likely about.
    guesses: [window]u32 = undefined,

    /// Before the changes of one call.
    pub fn start(self: *Changes, queue: *const Queue, records: []const abi.Ukevent) void {
        // For a few the stages would take longer than they save.
        if (records.len < window) return;
        var n: usize = @backingInt(Stage.bucket);
        while (n > 0) : (n -= 1) {
            for (0..step * n) |at| self.ask(queue, records, at, @fromBackingInt(@intCast(n)));
        }
    }

    /// Before change `n`.
    pub inline fn next(self: *Changes, queue: *const Queue, records: []const abi.Ukevent, n: usize) void {
        if (records.len < window) return;
        inline for (@typeInfo(Stage).@"enum".field_names) |name| {
            const stage = @field(Stage, name);
            const at = n + step * @backingInt(stage);
            if (at < records.len) self.ask(queue, records, at, stage);
        }
    }

    inline fn ask(self: *Changes, queue: *const Queue, records: []const abi.Ukevent, n: usize, stage: Stage) void {
        const record = &records[n];
        const kevents = queue.kevents.array.items;
        const guess = &self.guesses[n % window];
        switch (stage) {
            .bucket => return queue.identity.prefetch(record),
            .registration => guess.* = queue.identity.likely(record),
            .following => {
                if (guess.* == none or queue.identity.isOf(&kevents[guess.*], record)) return;
                guess.* = kevents[guess.*].identity_next;
            },
            .place, .neighbour, .moved => {
                // One that is added has no place yet.
                if (guess.* == none or (self.command orelse record.ret_flags) == abi.Command.KEVENT_CTL_ADD) return;
                const source = sources.find(kevents[guess.*].event.type) orelse return;
                const ahead = source.ahead orelse return;
                return ahead(queue, guess.*, switch (stage) {
                    .place => .place,
                    .neighbour => .neighbour,
                    else => .moved,
                });
            },
        }
        if (guess.* != none) prefetch(&kevents[guess.*]);
    }
};

/// Goes some steps ahead along the ready list. Of one-shot registrations, which end when they are
/// handed out, it asks for the one before them in their bucket.
pub const Scout = struct {
    at: u32,

    pub inline fn start(queue: *const Queue, head: u32) Scout {
        var scout: Scout = .{ .at = head };
        for (0..step) |_| scout.next(queue);
        return scout;
    }

    pub inline fn next(scout: *Scout, queue: *const Queue) void {
        if (scout.at == none) return;
        const kevents = queue.kevents.array.items;
        const kevent = &kevents[scout.at];
        if (kevent.event.req_flags & abi.Request.KEVENT_REQ_ONESHOT != 0) {
            const before = queue.identity.likely(&kevent.event);
            if (before != scout.at and before != none) @prefetch(&kevents[before].identity_next, .{ .rw = .write });
        }
        scout.at = kevent.ready_next;
    }
};

/// A registration is on one or two cache lines.
pub inline fn prefetch(kevent: anytype) void {
    const bytes: [*]const u8 = @ptrCast(kevent);
    @prefetch(bytes, .{ .rw = .write });
    @prefetch(bytes + @sizeOf(@TypeOf(kevent.*)) - 1, .{ .rw = .write });
}
