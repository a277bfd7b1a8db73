//! The ordered set of timer deadlines of one clock of one queue. It comes in order of (deadline,
//! order of insertion), exact to the nanosecond, and costs a few cache lines per operation at a
//! million timers.
//!
//! A timer moves at most along
//!
//!     insert -> slots of a coarse level -> slots of finer levels -> run -> popped
//!                                          insert -> heap ------------^
//!
//! - *Levels* of 512 slots; a slot of one spans 16 slots of the one below. A level looks ahead by
//!   its own length from the cursor rather than up to a fixed border. So a slot is at most 1/32 as
//!   long as it is far ahead, which bounds the pause when its entries fall down a level together.
//! - A *slot* is an unordered list of chunks of 16 entries, of which only the first is partly filled.
//!   Removal fills the hole with the slot's last entry.
//! - The *run* is one tick (about a millisecond), sorted, then consumed in sequence. A tick with too
//!   many entries to sort at once is first split by a radix (*dense* levels).
//! - The *heap* takes what is inserted before the cursor: short timers, and all when a clock was set
//!   back.
//!
//! All memory is found at insert: from then on nothing can fail.

const std = @import("std");
const assert = std.debug.assert;
const pools = @import("pool.zig");
const none = pools.none;
const sys = @import("sys/linux.zig");
const Error = @import("errors.zig").Error;

/// What address space is reserved for. As many registrations a queue has at most.
const timers_most: u32 = 1 << 24;

/// A tick is 2^20 ns. Longer: more to sort at once, more short timers in the heap. Shorter: more
/// slots to look into for few timers, more moves between levels for many.
const tick_shift = 20;
const tick_bits = 64 - tick_shift;

const level_slots_shift = 9;
const level_slots = 1 << level_slots_shift;
const step_shift = 4;
/// Enough that the last one looks ahead over all of u64.
const levels = (tick_bits - level_slots_shift + step_shift - 1) / step_shift + 1;

const dense_slots_shift = 6;
const dense_slots = 1 << dense_slots_shift;
/// Bits that tell entries of one tick apart: the rest of the deadline and the order of insertion.
const dense_bits = tick_shift + 32;
const dense_levels = (dense_bits + dense_slots_shift - 1) / dense_slots_shift;

const slots_total = levels * level_slots + dense_levels * dense_slots;

/// The most that is sorted at once.
const run_most = 1024;

const Entry = extern struct {
    deadline: u64,
    /// Insertions before this one, mod 2^32. Among equal deadlines, timers that are more than 2^32
    /// insertions apart may come in either order.
    order: u32,
    /// `none`: removed from the run.
    kevent: u32,
};

const chunk_entries = 16;
const Chunk = [chunk_entries]Entry;

/// What there is to know about a chunk. Not in it, because a removal then waits for one line of
/// far memory less: these are few enough to stay near.
const Link = struct {
    pub const free_link = "next";

    /// The chunk that was filled before this one, 0 for none; free list of the pool.
    next: u32,
    slot: u32,
};

const Slot = struct {
    /// Position of the entry that was added last; 0 when empty.
    last: u32,
    count: u32,
    /// No entry is earlier. Too low after the earliest was removed.
    earliest: u64,
};

/// Where an entry is, as one number its owner keeps: up to `run_place` in a slot.
const run_place: u32 = 2 << 30;
const heap_place: u32 = 3 << 30;
const place_mask: u32 = 3 << 30;

pub const Popped = struct { kevent: u32, deadline: u64 };

/// Which slots of a level are used.
const Map = struct {
    words: [level_slots / 64]u64 = @splat(0),

    inline fn set(map: *Map, index: u32) void {
        map.words[index / 64] |= @as(u64, 1) << @intCast(index % 64);
    }

    inline fn clear(map: *Map, index: u32) void {
        map.words[index / 64] &= ~(@as(u64, 1) << @intCast(index % 64));
    }

    inline fn has(map: *const Map, index: u32) bool {
        return map.words[index / 64] >> @intCast(index % 64) & 1 != 0;
    }

    /// The first used slot from `start` on, going round.
    fn first(map: *const Map, start: u32) ?u32 {
        const from = start / 64;
        const rest = map.words[from] & (@as(u64, std.math.maxInt(u64)) << @intCast(start % 64));
        if (rest != 0) return from * 64 + @ctz(rest);
        for (1..map.words.len + 1) |step| {
            const word: u32 = @intCast((from + step) % map.words.len);
            if (map.words[word] != 0) return word * 64 + @ctz(map.words[word]);
        }
        return null;
    }
};

const Table = struct {
    slots: [slots_total]Slot,
    runs: [2][run_most]Entry,
};

const table_bytes = std.mem.alignForward(usize, @sizeOf(Table), sys.page_bytes);

pub const Wheel = struct {
    /// Live timers.
    count: u32 = 0,
    /// Timers the chunks that are usable now suffice for, whatever slots they are in.
    capacity: u32 = 0,
    /// Those of `count` that are in slots.
    waiting: u32 = 0,
    /// Insertions so far, mod 2^32.
    inserted: u32 = 0,
    /// No entry in a level is in an earlier tick; what is inserted before goes to the heap.
    cursor: u64 = 0,
    /// No entry in a slot is earlier; maxInt when there is none.
    bound: u64 = std.math.maxInt(u64),
    /// The entry that made the bound may be gone, so a later one may do.
    bound_is_old: bool = false,

    run_side: u1 = 0,
    run_head: u32 = 0,
    run_end: u32 = 0,

    heap_len: u32 = 0,
    heap: pools.Array(Entry),

    maps: [levels]Map = @splat(.{}),
    /// Dense levels in use. They hold one tick, or the part of it that is left.
    depth: u32 = 0,
    dense_maps: [dense_levels]u64 = @splat(0),
    dense_shifts: [dense_levels]u6 = @splat(0),
    dense_start: u64 = 0,
    dense_order: u32 = 0,

    links: pools.Pool(Link),
    /// Those of the links with the same index.
    chunks: pools.Array(Chunk),
    table: *Table,

    pub fn init() Error!Wheel {
        var links: pools.Pool(Link) = try .init(chunksFor(timers_most));
        errdefer links.deinit();
        // Position 0 means "no entry", so the first chunk is nobody's.
        _ = try links.create();
        var chunks: pools.Array(Chunk) = try .init(chunksFor(timers_most));
        errdefer chunks.deinit();
        var heap: pools.Array(Entry) = try .init(timers_most);
        errdefer heap.deinit();
        const table = try sys.mapMemory(table_bytes);
        return .{ .heap = heap, .links = links, .chunks = chunks, .table = @ptrCast(table.ptr) };
    }

    pub fn deinit(wheel: *Wheel) void {
        wheel.links.deinit();
        wheel.chunks.deinit();
        wheel.heap.deinit();
        const memory: [*]align(sys.page_bytes) u8 = @ptrCast(@alignCast(wheel.table));
        sys.unmapMemory(memory[0..table_bytes]);
        wheel.* = undefined;
    }

    // --- inserting ---------------------------------------------------------------------------

    /// `owner.setPosition(kevent, position)` is called now and whenever the entry moves;
    /// `owner.prefetch(kevent)`, if there is one, some time before.
    pub inline fn insert(wheel: *Wheel, owner: anytype, kevent: u32, deadline_ns: u64) Error!void {
        assert(kevent != none);
        if (wheel.count == wheel.capacity) try wheel.grow();
        const entry: Entry = .{ .deadline = deadline_ns, .order = wheel.inserted, .kevent = kevent };
        const tick = deadline_ns >> tick_shift;
        if (tick >= wheel.cursor) {
            wheel.append(owner, wheel.slotOf(tick), entry);
            wheel.waiting += 1;
            wheel.inserted +%= 1;
            wheel.bound = @min(wheel.bound, deadline_ns);
        } else try wheel.insertLate(owner, entry);
        wheel.count += 1;
    }

    /// Chunks for so many timers in the worst case: each slot has one that is partly filled, and
    /// one more is being emptied while its entries already have their new places.
    fn chunksFor(timers: u32) u32 {
        return 2 + timers / chunk_entries + @min(timers, slots_total);
    }

    fn grow(wheel: *Wheel) Error!void {
        const needed = chunksFor(wheel.capacity + 1);
        // Beyond the reservation is out of memory too: it is smaller where that was scarce.
        wheel.links.array.reach(needed) catch return error.NOMEM;
        wheel.chunks.reach(needed) catch return error.NOMEM;
        // As many as the step in which memory is added has brought.
        const usable = @min(wheel.links.array.len, wheel.chunks.len);
        var enough = wheel.capacity + 1;
        while (chunksFor(enough + 1) < usable and enough < timers_most) enough += 1;
        wheel.capacity = enough;
    }

    noinline fn insertLate(wheel: *Wheel, owner: anytype, entry: Entry) Error!void {
        if (wheel.fitsRun(entry)) {
            wheel.run()[wheel.run_end] = entry;
            owner.setPosition(entry.kevent, run_place | wheel.run_end);
            wheel.run_end += 1;
            wheel.inserted +%= 1;
            return;
        }
        wheel.heap.reach(wheel.heap_len) catch return error.NOMEM;
        wheel.heap_len += 1;
        // Before the first comparison: an entry is younger than all others by being behind it.
        wheel.inserted +%= 1;
        wheel.siftUp(owner, wheel.heap_len - 1, entry);
    }

    /// Late ones mostly come in order; the end of the run is a cheaper place for them.
    fn fitsRun(wheel: *const Wheel, entry: Entry) bool {
        // What is in dense levels comes after the run, and might come before this one.
        if (wheel.depth > 0 or wheel.run_end == run_most) return false;
        return wheel.run_head == wheel.run_end or wheel.run()[wheel.run_end - 1].deadline <= entry.deadline;
    }

    /// The slot of a tick that is not before the cursor: on the lowest level that looks so far.
    inline fn slotOf(wheel: *const Wheel, tick: u64) u32 {
        const distance = tick - wheel.cursor;
        var level: u32 = 0;
        if (distance >= level_slots) {
            const top: u32 = 63 - @as(u32, @clz(distance));
            level = (top - level_slots_shift) / step_shift + 1;
            const shift: u6 = @intCast(level * step_shift);
            // The cursor's own slot counts too, so a level looks a little less far than its length.
            if ((tick >> shift) - (wheel.cursor >> shift) == level_slots) level += 1;
        }
        return slotAt(level, tick);
    }

    inline fn slotAt(level: u32, tick: u64) u32 {
        const index: u32 = @truncate(tick >> @intCast(level * step_shift));
        return (level << level_slots_shift) + (index & (level_slots - 1));
    }

    inline fn append(wheel: *Wheel, owner: anytype, slot_index: u32, entry: Entry) void {
        const slot = &wheel.table.slots[slot_index];
        if (slot.last % chunk_entries == chunk_entries - 1 or slot.last == 0) {
            wheel.addChunk(slot_index);
        } else slot.last += 1;
        slot.count += 1;
        slot.earliest = @min(slot.earliest, entry.deadline);
        wheel.entries()[slot.last] = entry;
        owner.setPosition(entry.kevent, slot.last);
    }

    noinline fn addChunk(wheel: *Wheel, slot_index: u32) void {
        const slot = &wheel.table.slots[slot_index];
        // `grow` has seen to it that there is one.
        const index = wheel.links.create() catch unreachable;
        wheel.links.at(index).* = .{ .next = slot.last / chunk_entries, .slot = slot_index };
        if (slot.last == 0) {
            slot.earliest = std.math.maxInt(u64);
            wheel.mark(slot_index);
        }
        slot.last = index * chunk_entries;
    }

    fn mark(wheel: *Wheel, slot_index: u32) void {
        if (slot_index < levels * level_slots) {
            wheel.maps[slot_index / level_slots].set(slot_index % level_slots);
        } else {
            const index = slot_index - levels * level_slots;
            wheel.dense_maps[index / dense_slots] |= @as(u64, 1) << @intCast(index % dense_slots);
        }
    }

    fn unmark(wheel: *Wheel, slot_index: u32) void {
        if (slot_index < levels * level_slots) {
            wheel.maps[slot_index / level_slots].clear(slot_index % level_slots);
        } else {
            const index = slot_index - levels * level_slots;
            wheel.dense_maps[index / dense_slots] &= ~(@as(u64, 1) << @intCast(index % dense_slots));
        }
    }

    inline fn entries(wheel: *const Wheel) [*]Entry {
        return @ptrCast(wheel.chunks.items);
    }

    inline fn run(wheel: *const Wheel) *[run_most]Entry {
        return &wheel.table.runs[wheel.run_side];
    }

    // --- removing ----------------------------------------------------------------------------

    /// Take out the entry whose owner was told this position last.
    pub inline fn remove(wheel: *Wheel, owner: anytype, position: u32) void {
        if (position < run_place) {
            wheel.removeFromSlot(owner, position);
            wheel.waiting -= 1;
        } else if (position & place_mask == run_place) {
            wheel.removeFromRun(position & ~place_mask);
        } else {
            wheel.removeFromHeap(owner, position & ~place_mask);
        }
        wheel.count -= 1;
    }

    /// Bring into the cache what `remove` reads first.
    pub inline fn prefetch(wheel: *const Wheel, position: u32) void {
        if (position / chunk_entries >= wheel.links.used) return;
        @prefetch(&wheel.links.array.items[position / chunk_entries], .{});
        @prefetch(&wheel.entries()[position], .{ .rw = .write });
    }

    /// Some time later: the entry that `remove` would move to where that one is.
    pub inline fn lastBeside(wheel: *const Wheel, position: u32) ?*const Entry {
        if (position / chunk_entries >= wheel.links.used) return null;
        const slot = wheel.links.array.items[position / chunk_entries].slot;
        return if (slot < slots_total) &wheel.entries()[wheel.table.slots[slot].last] else null;
    }

    inline fn removeFromSlot(wheel: *Wheel, owner: anytype, position: u32) void {
        const slot_index = wheel.links.at(position / chunk_entries).slot;
        const slot = &wheel.table.slots[slot_index];
        const last = slot.last;
        if (position != last) {
            const moved = wheel.entries()[last];
            wheel.entries()[position] = moved;
            owner.setPosition(moved.kevent, position);
        }
        slot.count -= 1;
        if (last % chunk_entries == 0) wheel.dropChunk(slot_index) else slot.last = last - 1;
    }

    noinline fn dropChunk(wheel: *Wheel, slot_index: u32) void {
        const slot = &wheel.table.slots[slot_index];
        const index = slot.last / chunk_entries;
        const filled = wheel.links.at(index).next;
        wheel.links.destroy(index);
        if (filled != 0) {
            slot.last = filled * chunk_entries + (chunk_entries - 1);
            return;
        }
        slot.last = 0;
        wheel.unmark(slot_index);
        if (slot.earliest <= wheel.bound) wheel.bound_is_old = true;
    }

    fn removeFromRun(wheel: *Wheel, index: u32) void {
        wheel.run()[index].kevent = none;
        if (index == wheel.run_head) wheel.skipRemoved();
    }

    /// The head of the run is a live entry or its end.
    fn skipRemoved(wheel: *Wheel) void {
        while (wheel.run_head < wheel.run_end and wheel.run()[wheel.run_head].kevent == none) wheel.run_head += 1;
        if (wheel.run_head < wheel.run_end) return;
        wheel.run_head = 0;
        wheel.run_end = 0;
    }

    // --- popping -----------------------------------------------------------------------------

    /// Take the next one whose deadline is not after `now_ns`.
    pub inline fn pop(wheel: *Wheel, owner: anytype, now_ns: u64) ?Popped {
        if (!wheel.prepare(owner, now_ns)) return null;
        if (wheel.heapIsNext()) return wheel.popHeap(owner, now_ns);
        const entry = wheel.run()[wheel.run_head];
        if (entry.deadline > now_ns) return null;
        wheel.run_head += 1;
        wheel.skipRemoved();
        wheel.count -= 1;
        return .{ .kevent = entry.kevent, .deadline = entry.deadline };
    }

    noinline fn popHeap(wheel: *Wheel, owner: anytype, now_ns: u64) ?Popped {
        const entry = wheel.heap.items[0];
        if (entry.deadline > now_ns) return null;
        wheel.removeFromHeap(owner, 0);
        wheel.count -= 1;
        return .{ .kevent = entry.kevent, .deadline = entry.deadline };
    }

    inline fn heapIsNext(wheel: *const Wheel) bool {
        if (wheel.heap_len == 0) return false;
        if (wheel.run_head == wheel.run_end) return true;
        return wheel.isBefore(wheel.heap.items[0], wheel.run()[wheel.run_head]);
    }

    /// A deadline that no timer comes before; null when there are none. It is exact unless the
    /// earliest timer was removed, and then too early once at most.
    pub fn next(wheel: *Wheel) ?u64 {
        if (wheel.count == 0) return null;
        if (wheel.bound_is_old) wheel.renewBound();
        var earliest = wheel.bound;
        if (wheel.run_head < wheel.run_end) earliest = @min(earliest, wheel.run()[wheel.run_head].deadline);
        if (wheel.heap_len > 0) earliest = @min(earliest, wheel.heap.items[0].deadline);
        return earliest;
    }

    /// Have the next one at the head of the run or the heap. False: none in there is due.
    inline fn prepare(wheel: *Wheel, owner: anytype, now_ns: u64) bool {
        while (wheel.run_head == wheel.run_end) {
            // Equal is not enough: the one in a slot may have been inserted before.
            if (wheel.heap_len > 0 and (wheel.waiting == 0 or wheel.heap.items[0].deadline < wheel.bound)) break;
            // None in a slot is due; what is due in the heap comes before all of them.
            if (!wheel.refill(owner, now_ns)) return wheel.heap_len > 0;
        }
        return true;
    }

    /// Bring the earliest entries one step nearer to the run. False when no slot has any that are due.
    noinline fn refill(wheel: *Wheel, owner: anytype, now_ns: u64) bool {
        wheel.renewBound();
        if (wheel.waiting == 0 or wheel.bound > now_ns) {
            wheel.follow(now_ns);
            return false;
        }
        if (wheel.depth > 0) wheel.advanceDense(owner) else wheel.advance(owner);
        // What made the bound is in the run now; `next` must not name its deadline again.
        wheel.bound_is_old = true;
        return true;
    }

    /// Tell the time, so that timers inserted next are placed as seen from now. `pop` does it; it
    /// is of use before the first of many inserts into a wheel that was empty for long.
    pub fn follow(wheel: *Wheel, now_ns: u64) void {
        const tick = now_ns >> tick_shift;
        if (wheel.waiting == 0 and wheel.run_head == wheel.run_end) {
            // The only time at which a clock that was set back can be followed.
            wheel.cursor = tick;
        } else if (wheel.bound > now_ns) wheel.cursor = @max(wheel.cursor, tick);
    }

    fn renewBound(wheel: *Wheel) void {
        wheel.bound_is_old = false;
        wheel.bound = std.math.maxInt(u64);
        while (wheel.depth > 0 and wheel.dense_maps[wheel.depth - 1] == 0) wheel.depth -= 1;
        if (wheel.depth > 0) {
            wheel.bound = wheel.table.slots[wheel.firstDense()].earliest;
            return;
        }
        for (&wheel.maps, 0..) |*map, index| {
            const level: u32 = @intCast(index);
            const first = map.first(slotAt(level, wheel.cursor) & (level_slots - 1)) orelse continue;
            wheel.bound = @min(wheel.bound, wheel.table.slots[level << level_slots_shift | first].earliest);
        }
    }

    /// Move the cursor to the tick of the bound and make a run of that tick.
    fn advance(wheel: *Wheel, owner: anytype) void {
        const tick = wheel.bound >> tick_shift;
        assert(tick >= wheel.cursor);
        wheel.cursor = tick;
        var level: u32 = levels - 1;
        while (level > 0) : (level -= 1) {
            const slot_index = slotAt(level, tick);
            if (!wheel.maps[level].has(slot_index % level_slots)) continue;
            if (wheel.table.slots[slot_index].earliest >> tick_shift == tick) wheel.cascade(owner, slot_index);
        }
        const slot_index = slotAt(0, tick);
        // None when the bound was that of a removed entry.
        if (!wheel.maps[0].has(slot_index % level_slots)) return;
        wheel.cursor = tick + 1;
        if (wheel.table.slots[slot_index].count <= run_most) {
            wheel.fillRun(owner, slot_index, tick << tick_shift, wheel.inserted, dense_bits);
            return;
        }
        wheel.dense_start = tick << tick_shift;
        wheel.dense_order = wheel.inserted;
        wheel.split(owner, slot_index);
    }

    /// Make a run of the first dense slot, or split it if that is too much.
    fn advanceDense(wheel: *Wheel, owner: anytype) void {
        const slot_index = wheel.firstDense();
        if (wheel.table.slots[slot_index].count <= run_most) {
            const bits = wheel.dense_shifts[wheel.depth - 1];
            wheel.fillRun(owner, slot_index, wheel.dense_start, wheel.dense_order, bits);
        } else wheel.split(owner, slot_index);
    }

    fn firstDense(wheel: *const Wheel) u32 {
        return denseSlot(wheel.depth - 1, @ctz(wheel.dense_maps[wheel.depth - 1]));
    }

    fn denseSlot(level: u32, index: u32) u32 {
        return levels * level_slots + level * dense_slots + index;
    }

    // --- moving ------------------------------------------------------------------------------

    /// The entries of a slot that was emptied, chunk by chunk from the last filled. A chunk is free
    /// once the next one is asked for. Owners are about to be told: bring them into the cache.
    fn Detached(comptime Owner: type) type {
        return struct {
            const Self = @This();

            wheel: *Wheel,
            owner: Owner,
            chunk: u32,
            following: u32,
            following_len: u32,

            fn init(wheel: *Wheel, owner: Owner, slot_index: u32) Self {
                const slot = &wheel.table.slots[slot_index];
                const last = slot.last;
                slot.last = 0;
                slot.count = 0;
                wheel.unmark(slot_index);
                const self: Self = .{
                    .wheel = wheel,
                    .owner = owner,
                    .chunk = none,
                    .following = last / chunk_entries,
                    .following_len = last % chunk_entries + 1,
                };
                self.prefetchOwners();
                return self;
            }

            fn nextChunk(self: *Self) ?[]const Entry {
                const wheel = self.wheel;
                if (self.chunk != none) wheel.links.destroy(self.chunk);
                self.chunk = self.following;
                if (self.chunk == 0) return null;
                const part = wheel.chunks.items[self.chunk][0..self.following_len];
                self.following = wheel.links.at(self.chunk).next;
                self.following_len = chunk_entries;
                self.prefetchOwners();
                return part;
            }

            /// Of the following chunk; and the chunk after it.
            inline fn prefetchOwners(self: *const Self) void {
                const wheel = self.wheel;
                if (self.following == 0) return;
                const after: [*]const u8 = @ptrCast(&wheel.chunks.items[wheel.links.at(self.following).next]);
                inline for (0..@sizeOf(Chunk) / 64) |line| @prefetch(after + line * 64, .{});
                if (!@hasDecl(Owner, "prefetch")) return;
                for (wheel.chunks.items[self.following][0..self.following_len]) |entry| self.owner.prefetch(entry.kevent);
            }
        };
    }

    /// Move the entries of a slot to lower levels, as seen from the cursor.
    noinline fn cascade(wheel: *Wheel, owner: anytype, slot_index: u32) void {
        if (wheel.table.slots[slot_index].count > run_most and wheel.relink(slot_index)) return;
        var detached: Detached(@TypeOf(owner)) = .init(wheel, owner, slot_index);
        while (detached.nextChunk()) |part| {
            for (part) |entry| wheel.append(owner, wheel.slotOf(entry.deadline >> tick_shift), entry);
        }
    }

    /// If all of a large slot is of one tick: give its chunks to that tick's slot as they are.
    fn relink(wheel: *Wheel, slot_index: u32) bool {
        const slot = &wheel.table.slots[slot_index];
        const target_index = slotAt(0, wheel.cursor);
        const target = &wheel.table.slots[target_index];
        if (target.last != 0) return false;
        var parts = wheel.partsOf(slot_index);
        while (parts.next()) |part| {
            for (part) |entry| if (entry.deadline >> tick_shift != wheel.cursor) return false;
        }
        target.* = slot.*;
        slot.last = 0;
        slot.count = 0;
        wheel.unmark(slot_index);
        wheel.mark(target_index);
        var chunk = target.last / chunk_entries;
        while (chunk != 0) : (chunk = wheel.links.at(chunk).next) wheel.links.at(chunk).slot = target_index;
        return true;
    }

    /// Move the entries of a slot to a new dense level, by the highest bits in which they differ.
    noinline fn split(wheel: *Wheel, owner: anytype, slot_index: u32) void {
        const difference = wheel.differenceIn(slot_index);
        assert(difference != 0);
        const top: u32 = 63 - @as(u32, @clz(difference));
        const shift: u6 = @intCast(top -| (dense_slots_shift - 1));
        const level = wheel.depth;
        wheel.dense_shifts[level] = shift;
        wheel.depth += 1;
        var detached: Detached(@TypeOf(owner)) = .init(wheel, owner, slot_index);
        while (detached.nextChunk()) |part| {
            for (part) |entry| {
                const index: u32 = @truncate(wheel.denseKey(entry) >> shift);
                wheel.append(owner, denseSlot(level, index % dense_slots), entry);
            }
        }
    }

    fn differenceIn(wheel: *const Wheel, slot_index: u32) u64 {
        const example = wheel.denseKey(wheel.entries()[wheel.table.slots[slot_index].last]);
        var difference: u64 = 0;
        var parts = wheel.partsOf(slot_index);
        while (parts.next()) |part| {
            for (part) |entry| difference |= wheel.denseKey(entry) ^ example;
        }
        return difference;
    }

    /// The entries of a slot that keeps them, chunk by chunk.
    const Parts = struct {
        wheel: *const Wheel,
        chunk: u32,
        len: u32,

        fn next(parts: *Parts) ?[]const Entry {
            if (parts.chunk == 0) return null;
            const part = parts.wheel.chunks.items[parts.chunk][0..parts.len];
            parts.chunk = parts.wheel.links.at(parts.chunk).next;
            parts.len = chunk_entries;
            return part;
        }
    };

    fn partsOf(wheel: *const Wheel, slot_index: u32) Parts {
        const last = wheel.table.slots[slot_index].last;
        return .{ .wheel = wheel, .chunk = last / chunk_entries, .len = last % chunk_entries + 1 };
    }

    inline fn denseKey(wheel: *const Wheel, entry: Entry) u64 {
        return keyWithin(entry, wheel.dense_start, wheel.dense_order);
    }

    /// Orders the entries of one tick. The older, the farther behind `inserted`, the smaller.
    inline fn keyWithin(entry: Entry, start: u64, inserted: u32) u64 {
        return (entry.deadline - start) << 32 | entry.order -% inserted;
    }

    inline fn isBefore(wheel: *const Wheel, a: Entry, b: Entry) bool {
        if (a.deadline != b.deadline) return a.deadline < b.deadline;
        return a.order -% wheel.inserted < b.order -% wheel.inserted;
    }

    // --- the run -----------------------------------------------------------------------------

    /// Make the entries of a slot the run. Their keys differ in the lower `bits` only.
    noinline fn fillRun(wheel: *Wheel, owner: anytype, slot_index: u32, start: u64, inserted: u32, bits: u6) void {
        const count = wheel.table.slots[slot_index].count;
        // From the back, so that what was inserted in order is in order.
        var at = count;
        var detached: Detached(@TypeOf(owner)) = .init(wheel, owner, slot_index);
        while (detached.nextChunk()) |part| {
            at -= @intCast(part.len);
            @memcpy(wheel.run()[at..][0..part.len], part);
        }
        assert(at == 0);
        wheel.sortRun(.{ .start = start, .inserted = inserted }, count, bits);
        wheel.run_head = 0;
        wheel.run_end = count;
        wheel.waiting -= count;
        for (wheel.run()[0..count], 0..) |entry, index| {
            owner.setPosition(entry.kevent, run_place | @as(u32, @intCast(index)));
        }
    }

    const Order = struct {
        start: u64,
        inserted: u32,

        inline fn key(order: Order, entry: Entry) u64 {
            return keyWithin(entry, order.start, order.inserted);
        }

        fn isBefore(order: Order, a: Entry, b: Entry) bool {
            return order.key(a) < order.key(b);
        }
    };

    /// Up to here insertion is the fastest way to sort.
    const few = 20;

    fn sortRun(wheel: *Wheel, order: Order, count: u32, bits: u6) void {
        if (isSorted(order, wheel.run()[0..count])) return;
        if (count > few) wheel.spreadRun(order, count, bits);
        insertionSort(order, wheel.run()[0..count]);
    }

    fn isSorted(order: Order, items: []const Entry) bool {
        for (items[1..], items[0 .. items.len - 1]) |item, before| {
            if (order.key(item) < order.key(before)) return false;
        }
        return true;
    }

    /// Into 256 parts by the top bits, through the other half of the run's memory. Parts that are
    /// still large, because the entries are bunched, are sorted here.
    fn spreadRun(wheel: *Wheel, order: Order, count: u32, bits: u6) void {
        const shift: u6 = bits -| 8;
        var starts: [256]u16 = @splat(0);
        const from = wheel.run()[0..count];
        for (from) |entry| starts[@as(u8, @truncate(order.key(entry) >> shift))] += 1;
        var total: u16 = 0;
        for (&starts) |*start| {
            const part = start.*;
            start.* = total;
            total += part;
        }
        wheel.run_side ^= 1;
        const to = wheel.run();
        for (from) |entry| {
            const start = &starts[@as(u8, @truncate(order.key(entry) >> shift))];
            to[start.*] = entry;
            start.* += 1;
        }
        // Now each is the end of its part.
        var begin: u16 = 0;
        for (starts) |end| {
            if (end - begin > few) std.sort.pdq(Entry, to[begin..end], order, Order.isBefore);
            begin = end;
        }
    }

    fn insertionSort(order: Order, items: []Entry) void {
        for (items[1..], 1..) |item, index| {
            const key = order.key(item);
            var at = index;
            while (at > 0 and order.key(items[at - 1]) > key) : (at -= 1) items[at] = items[at - 1];
            items[at] = item;
        }
    }

    // --- the heap: four children each --------------------------------------------------------

    inline fn place(wheel: *Wheel, owner: anytype, index: u32, entry: Entry) void {
        wheel.heap.items[index] = entry;
        owner.setPosition(entry.kevent, heap_place | index);
    }

    fn siftUp(wheel: *Wheel, owner: anytype, start: u32, entry: Entry) void {
        var index = start;
        while (index > 0) {
            const parent = (index - 1) / 4;
            if (!wheel.isBefore(entry, wheel.heap.items[parent])) break;
            wheel.place(owner, index, wheel.heap.items[parent]);
            index = parent;
        }
        wheel.place(owner, index, entry);
    }

    fn siftDown(wheel: *Wheel, owner: anytype, start: u32, entry: Entry) void {
        const items = wheel.heap.items;
        var index = start;
        while (4 * index + 1 < wheel.heap_len) {
            const first = 4 * index + 1;
            var least = first;
            for (first + 1..@min(first + 4, wheel.heap_len)) |child| {
                if (wheel.isBefore(items[child], items[least])) least = @intCast(child);
            }
            if (!wheel.isBefore(items[least], entry)) break;
            wheel.place(owner, index, items[least]);
            index = least;
        }
        wheel.place(owner, index, entry);
    }

    noinline fn removeFromHeap(wheel: *Wheel, owner: anytype, index: u32) void {
        wheel.heap_len -= 1;
        if (index == wheel.heap_len) return;
        const moved = wheel.heap.items[wheel.heap_len];
        if (index > 0 and wheel.isBefore(moved, wheel.heap.items[(index - 1) / 4])) {
            wheel.siftUp(owner, index, moved);
        } else wheel.siftDown(owner, index, moved);
    }

    // --- checking ----------------------------------------------------------------------------

    /// Panics if anything is not as it must be. `owner.getPosition(kevent)` gives back what was set.
    pub fn checkInvariants(wheel: *const Wheel, owner: anytype) void {
        var waiting: u32 = 0;
        var chunks: u32 = 1;
        for (0..slots_total) |index| wheel.checkSlot(owner, @intCast(index), &waiting, &chunks);
        must(waiting == wheel.waiting, "waiting");
        must(chunks == wheel.links.count, "chunks");
        must(wheel.links.count == 1 or wheel.links.used <= wheel.chunks.len, "chunks that are usable");
        must(wheel.count <= wheel.capacity, "capacity");
        must(wheel.checkRun(owner) + wheel.heap_len + waiting == wheel.count, "count");
        wheel.checkHeap(owner);
    }

    fn checkSlot(wheel: *const Wheel, owner: anytype, slot_index: u32, waiting: *u32, chunks: *u32) void {
        const slot = &wheel.table.slots[slot_index];
        must(wheel.isMarked(slot_index) == (slot.last != 0), "map");
        var count: u32 = 0;
        var parts = wheel.partsOf(slot_index);
        var chunk = parts.chunk;
        while (parts.next()) |part| : (chunk = parts.chunk) {
            must(wheel.links.at(chunk).slot == slot_index, "slot of a chunk");
            for (part, 0..) |entry, index| {
                must(owner.getPosition(entry.kevent) == chunk * chunk_entries + index, "position in a slot");
                must(entry.deadline >= slot.earliest, "earliest of a slot");
                must(entry.deadline >= wheel.bound, "bound");
                wheel.checkPlacement(slot_index, entry);
            }
            count += @intCast(part.len);
            chunks.* += 1;
        }
        must(count == slot.count, "count of a slot");
        waiting.* += count;
    }

    fn isMarked(wheel: *const Wheel, slot_index: u32) bool {
        if (slot_index < levels * level_slots) return wheel.maps[slot_index / level_slots].has(slot_index % level_slots);
        const index = slot_index - levels * level_slots;
        return wheel.dense_maps[index / dense_slots] >> @intCast(index % dense_slots) & 1 != 0;
    }

    fn checkPlacement(wheel: *const Wheel, slot_index: u32, entry: Entry) void {
        const tick = entry.deadline >> tick_shift;
        if (slot_index < levels * level_slots) {
            const level = slot_index / level_slots;
            const shift: u6 = @intCast(level * step_shift);
            must(tick >= wheel.cursor, "before the cursor");
            must((tick >> shift) - (wheel.cursor >> shift) < level_slots, "too far for its level");
            must(slotAt(level, tick) == slot_index, "slot of an entry");
        } else {
            const level = (slot_index - levels * level_slots) / dense_slots;
            must(level < wheel.depth, "dense level not in use");
            must(tick == wheel.dense_start >> tick_shift and tick < wheel.cursor, "tick of a dense entry");
            const index: u32 = @truncate(wheel.denseKey(entry) >> wheel.dense_shifts[level]);
            must(denseSlot(level, index % dense_slots) == slot_index, "slot of a dense entry");
        }
    }

    fn checkRun(wheel: *const Wheel, owner: anytype) u32 {
        must(wheel.run_head <= wheel.run_end and wheel.run_end <= run_most, "run");
        var live: u32 = 0;
        for (wheel.run_head..wheel.run_end) |index| {
            const entry = wheel.run()[index];
            if (index > wheel.run_head) must(!wheel.isBefore(entry, wheel.run()[index - 1]), "order of the run");
            if (entry.kevent == none) continue;
            must(entry.deadline >> tick_shift < wheel.cursor, "run behind the cursor");
            must(owner.getPosition(entry.kevent) == run_place | index, "position in the run");
            live += 1;
        }
        if (wheel.run_head < wheel.run_end) must(wheel.run()[wheel.run_head].kevent != none, "head of the run");
        return live;
    }

    fn checkHeap(wheel: *const Wheel, owner: anytype) void {
        for (wheel.heap.items[0..wheel.heap_len], 0..) |entry, index| {
            must(owner.getPosition(entry.kevent) == heap_place | index, "position in the heap");
            if (index > 0) must(!wheel.isBefore(entry, wheel.heap.items[(index - 1) / 4]), "order of the heap");
        }
    }

    fn must(holds: bool, comptime what: []const u8) void {
        if (!holds) @panic("wheel: " ++ what);
    }

    /// Bytes of memory that were ever touched, for measurements.
    pub fn touchedBytes(wheel: *const Wheel) usize {
        return @as(usize, wheel.links.used) * (@sizeOf(Chunk) + @sizeOf(Link)) + @as(usize, wheel.heap_len) * @sizeOf(Entry) +
            @sizeOf(Table) + @sizeOf(Wheel);
    }
};

// --- tests -----------------------------------------------------------------------------------

const testing = std.testing;

/// Keeps positions, and what the order should be, in the simplest way there is.
const TestOwner = struct {
    items: []Item,

    const Item = struct { position: u32 = none, deadline: u64 = 0, order: u64 = 0 };

    fn init(most: usize) !TestOwner {
        const items = try testing.allocator.alloc(Item, most);
        @memset(items, .{});
        return .{ .items = items };
    }

    fn deinit(owner: TestOwner) void {
        testing.allocator.free(owner.items);
    }

    pub fn setPosition(owner: TestOwner, kevent: u32, position: u32) void {
        owner.items[kevent].position = position;
    }

    pub fn getPosition(owner: TestOwner, kevent: u32) u32 {
        return owner.items[kevent].position;
    }

    pub fn prefetch(owner: TestOwner, kevent: u32) void {
        assert(kevent < owner.items.len);
    }
};

/// A wheel beside the reference: all live timers, the first found by looking at each.
const Model = struct {
    wheel: Wheel,
    owner: TestOwner,
    live: std.ArrayList(u32) = .empty,
    inserted: u64 = 0,

    fn init(most: usize) !Model {
        return .{ .wheel = try .init(), .owner = try .init(most) };
    }

    fn deinit(model: *Model) void {
        model.wheel.deinit();
        model.owner.deinit();
        model.live.deinit(testing.allocator);
    }

    fn insert(model: *Model, kevent: u32, deadline: u64) !void {
        try model.live.ensureUnusedCapacity(testing.allocator, 1);
        try model.wheel.insert(model.owner, kevent, deadline);
        model.live.appendAssumeCapacity(kevent);
        model.owner.items[kevent].deadline = deadline;
        model.owner.items[kevent].order = model.inserted;
        model.inserted += 1;
    }

    /// The live timer at this place of the list, which is in no order.
    fn removeAt(model: *Model, index: usize) void {
        const kevent = model.live.swapRemove(index);
        model.wheel.remove(model.owner, model.owner.items[kevent].position);
        model.owner.items[kevent].position = none;
    }

    fn remove(model: *Model, kevent: u32) void {
        model.removeAt(std.mem.findScalar(u32, model.live.items, kevent).?);
    }

    fn isBefore(model: *const Model, a: u32, b: u32) bool {
        const x = model.owner.items[a];
        const y = model.owner.items[b];
        return if (x.deadline != y.deadline) x.deadline < y.deadline else x.order < y.order;
    }

    fn first(model: *const Model) ?usize {
        if (model.live.items.len == 0) return null;
        var least: usize = 0;
        for (model.live.items, 0..) |kevent, index| {
            if (model.isBefore(kevent, model.live.items[least])) least = index;
        }
        return least;
    }

    /// Pop once and compare.
    fn pop(model: *Model, now_ns: u64) !?u32 {
        const popped = model.wheel.pop(model.owner, now_ns);
        const index = model.first() orelse {
            try testing.expectEqual(null, popped);
            return null;
        };
        const kevent = model.live.items[index];
        const deadline = model.owner.items[kevent].deadline;
        if (deadline > now_ns) {
            try testing.expectEqual(null, popped);
            return null;
        }
        try testing.expectEqual(Popped{ .kevent = kevent, .deadline = deadline }, popped.?);
        _ = model.live.swapRemove(index);
        model.owner.items[kevent].position = none;
        return kevent;
    }

    /// For many timers: sort them once, then compare all pops.
    fn popAll(model: *Model) !void {
        std.sort.pdq(u32, model.live.items, @as(*const Model, model), isBefore);
        for (model.live.items) |kevent| {
            const popped = model.wheel.pop(model.owner, std.math.maxInt(u64)) orelse return error.Missing;
            try testing.expectEqual(kevent, popped.kevent);
            try testing.expectEqual(model.owner.items[kevent].deadline, popped.deadline);
        }
        try testing.expectEqual(null, model.wheel.pop(model.owner, std.math.maxInt(u64)));
        try testing.expectEqual(null, model.wheel.next());
        model.live.clearRetainingCapacity();
    }

    fn check(model: *Model) !void {
        model.wheel.checkInvariants(model.owner);
        try testing.expectEqual(model.live.items.len, model.wheel.count);
        const index = model.first() orelse return testing.expectEqual(null, model.wheel.next());
        try testing.expect(model.wheel.next().? <= model.owner.items[model.live.items[index]].deadline);
    }
};

test "timers come in order of their deadlines and never early" {
    var model: Model = try .init(3);
    defer model.deinit();
    try model.insert(0, 3_000_000_000);
    try model.insert(1, 1_000_000_000);
    try model.insert(2, 2_000_000_000);
    try testing.expectEqual(1_000_000_000, model.wheel.next());
    try testing.expectEqual(null, try model.pop(999_999_999));
    try testing.expectEqual(1, try model.pop(1_000_000_000));
    try testing.expectEqual(null, try model.pop(1_999_999_999));
    try testing.expectEqual(2_000_000_000, model.wheel.next());
    try testing.expectEqual(2, try model.pop(5_000_000_000));
    try testing.expectEqual(0, try model.pop(5_000_000_000));
    try testing.expectEqual(null, model.wheel.next());
}

test "deadlines on both sides of every border of ticks, slots and levels are kept exactly" {
    var model: Model = try .init(4096);
    defer model.deinit();
    for ([_]u64{ 0, 1, 12_345_678_912_345, 1 << 63 }) |now_ns| {
        model.wheel.follow(now_ns);
        var kevent: u32 = 0;
        for (0..64) |bit| {
            for ([_]i64{ -1, 0, 1 }) |beside| {
                for ([_]u64{ 1, 3, 255 }) |factor| {
                    const far = now_ns +% (@as(u64, factor) << @intCast(bit)) +% @as(u64, @bitCast(beside));
                    try model.insert(kevent, far);
                    kevent += 1;
                }
            }
        }
        try model.check();
        try model.popAll();
        model.wheel.checkInvariants(model.owner);
    }
}

test "a deadline of 0, in the past or at the end of time is a deadline" {
    var model: Model = try .init(8);
    defer model.deinit();
    model.wheel.follow(1 << 40);
    try model.insert(0, std.math.maxInt(u64));
    try model.insert(1, 0);
    try model.insert(2, 1 << 39);
    try model.insert(3, std.math.maxInt(u64));
    try model.insert(4, 0);
    try testing.expectEqual(0, model.wheel.next());
    for ([_]u32{ 1, 4, 2 }) |kevent| try testing.expectEqual(kevent, try model.pop(1 << 40));
    try testing.expectEqual(null, try model.pop(std.math.maxInt(u64) - 1));
    try testing.expectEqual(0, try model.pop(std.math.maxInt(u64)));
    try model.insert(5, std.math.maxInt(u64));
    try model.insert(6, 7);
    try model.check();
    for ([_]u32{ 6, 3, 5 }) |kevent| try testing.expectEqual(kevent, try model.pop(std.math.maxInt(u64)));
}

test "equal deadlines come in order of insertion, however many were removed between" {
    const many = 50_000;
    var model: Model = try .init(many);
    defer model.deinit();
    var random: std.Random.DefaultPrng = .init(1);
    for ([_]u64{ 0, 5_000_000_000, std.math.maxInt(u64) }) |deadline| {
        for (0..many) |kevent| try model.insert(@intCast(kevent), deadline);
        for (0..many / 3) |_| model.removeAt(random.random().uintLessThan(usize, model.live.items.len));
        model.wheel.checkInvariants(model.owner);
        try model.popAll();
    }
}

test "more timers within a tick than are sorted at once come in order" {
    const many = 20_000;
    var model: Model = try .init(many);
    defer model.deinit();
    var random: std.Random.DefaultPrng = .init(2);
    // The last: bunched within the bunch.
    for ([_]u64{ 1 << tick_shift, 1000, 3, 1 << 30 }) |span| {
        for (0..many) |kevent| {
            const spread = random.random().uintLessThan(u64, span);
            try model.insert(@intCast(kevent), (9000 << tick_shift) + if (span == 1 << 30 and kevent % 64 != 0) kevent % 7 else spread);
        }
        // Some while it is split, so that holes and late ones meet dense slots.
        for (0..100) |_| _ = try model.pop(std.math.maxInt(u64));
        model.wheel.checkInvariants(model.owner);
        for (0..500) |_| {
            const index = random.random().uintLessThan(usize, model.live.items.len);
            const kevent = model.live.items[index];
            model.removeAt(index);
            if (kevent % 2 == 0) try model.insert(kevent, (9000 << tick_shift) + random.random().uintLessThan(u64, span));
        }
        model.wheel.checkInvariants(model.owner);
        try model.popAll();
        model.wheel.follow(0);
    }
}

test "order of insertion survives the overflow of its counter" {
    var model: Model = try .init(6000);
    defer model.deinit();
    for ([_]u64{ 0, 77, 1 << 40 }) |deadline| {
        model.wheel.follow(1 << 30);
        model.wheel.inserted = std.math.maxInt(u32) - 2500;
        for (0..5000) |kevent| try model.insert(@intCast(kevent), deadline);
        model.remove(4999);
        model.remove(17);
        model.wheel.checkInvariants(model.owner);
        try model.popAll();
    }
}

test "a timer is removed wherever it is: slot, run or heap" {
    var model: Model = try .init(64);
    defer model.deinit();
    model.wheel.follow(100 << tick_shift);
    // The first of a tick pops and leaves the others in the run.
    for (0..8) |n| try model.insert(@intCast(n), (101 << tick_shift) + n);
    try testing.expectEqual(0, try model.pop(101 << tick_shift));
    try testing.expectEqual(run_place, model.owner.items[1].position & place_mask);
    // Before the end of the run: the heap.
    for (8..24) |n| try model.insert(@intCast(n), (101 << tick_shift) - n);
    try testing.expectEqual(heap_place, model.owner.items[20].position & place_mask);
    for (24..60) |n| try model.insert(@intCast(n), (1000 << tick_shift) + n);
    try testing.expect(model.owner.items[30].position < run_place);
    for ([_]u32{ 1, 4, 7, 8, 23, 15, 24, 59, 40, 2 }) |kevent| {
        model.remove(kevent);
        try model.check();
    }
    try model.popAll();
}

test "an idle wheel wakes for a removed timer once at most" {
    var model: Model = try .init(4);
    defer model.deinit();
    const hour = 3600 * std.time.ns_per_s;
    try model.insert(0, hour);
    try model.insert(1, hour + 1);
    model.remove(0);
    var wakes: u32 = 0;
    while (model.wheel.next()) |at| : (wakes += 1) _ = try model.pop(at);
    try testing.expect(wakes <= 2);

    // Alone in its slot it costs no wake-up at all.
    try model.insert(2, 2 * hour);
    try model.insert(3, 3 * hour);
    model.remove(2);
    try testing.expectEqual(3 * hour, model.wheel.next());
}

test "a clock that is set back or far forward loses and hurries nothing" {
    var model: Model = try .init(100);
    defer model.deinit();
    const day = 86_400 * std.time.ns_per_s;
    try testing.expectEqual(null, try model.pop(20_000 * day));
    try model.insert(0, 20_001 * day);
    try testing.expectEqual(null, try model.pop(20_000 * day + 5));
    // Back by ten years; the timers of these days come first.
    try testing.expectEqual(null, try model.pop(16_000 * day));
    for (1..50) |n| try model.insert(@intCast(n), 16_000 * day + n % 7 * 1_000_000);
    try model.check();
    for (1..50) |_| try testing.expect(try model.pop(16_001 * day) != null);
    try testing.expectEqual(null, try model.pop(16_001 * day));
    try testing.expectEqual(0, try model.pop(30_000 * day));
    // Empty, it follows the clock back.
    try testing.expectEqual(null, try model.pop(10 * day));
    try model.insert(50, 11 * day);
    try testing.expect(model.owner.items[50].position < run_place);
    try testing.expectEqual(50, try model.pop(11 * day));
}

test "an insert that finds no memory changes nothing, and no later call needs any" {
    var model: Model = try .init(20_000);
    defer model.deinit();
    defer _ = sys.fault.cancel();
    var random: std.Random.DefaultPrng = .init(3);
    var refused: u32 = 0;
    model.wheel.follow(1 << 40);
    for (0..20_000) |kevent| {
        // A tenth of them in the past, for the heap.
        const deadline = random.random().uintLessThan(u64, 11 << 37);
        sys.fault.arrange(.mprotect, 0, error.NOMEM);
        model.insert(@intCast(kevent), deadline) catch |err| {
            try testing.expectEqual(error.NOMEM, err);
            model.wheel.checkInvariants(model.owner);
            refused += 1;
            try model.insert(@intCast(kevent), deadline);
        };
    }
    try testing.expect(refused >= 5);
    sys.fault.arrange(.mprotect, 0, error.NOMEM);
    try model.popAll();
    try testing.expect(sys.fault.cancel());
}

test "a wheel that cannot be had leaves nothing behind" {
    defer _ = sys.fault.cancel();
    sys.fault.arrange(.mprotect, 0, error.NOMEM);
    try testing.expectError(error.NOMEM, Wheel.init());
    // The last of the four mappings: a smaller one would not do.
    sys.fault.arrange(.mmap, 3, error.NOMEM);
    try testing.expectError(error.NOMEM, Wheel.init());
    // Refused address space is asked for again, smaller.
    sys.fault.arrange(.mmap, 0, error.NOMEM);
    var wheel: Wheel = try .init();
    wheel.deinit();
}

test "random operations agree with the reference" {
    const base_seed: u64 = testing.random_seed;
    for (0..40) |n| {
        const seed = base_seed +% n;
        errdefer std.debug.print("seed {d}\n", .{seed});
        try randomOperations(seed);
    }
}

fn randomOperations(seed: u64) !void {
    const most = 400;
    var prng: std.Random.DefaultPrng = .init(seed);
    const random = prng.random();
    var model: Model = try .init(most);
    defer model.deinit();
    var free: std.ArrayList(u32) = .empty;
    defer free.deinit(testing.allocator);
    for (0..most) |kevent| try free.append(testing.allocator, @intCast(kevent));
    var now_ns = random.int(u64) >> random.int(u6);
    const reach: u6 = random.intRangeAtMost(u6, 1, 45);
    const remove_weight = random.uintLessThan(u32, 40);
    for (0..3000) |step| {
        const dice = random.uintLessThan(u32, 100);
        if (dice < remove_weight and model.live.items.len > 0) {
            const index = random.uintLessThan(usize, model.live.items.len);
            free.appendAssumeCapacity(model.live.items[index]);
            model.removeAt(index);
        } else if (dice < 70 and free.items.len > 0) {
            try model.insert(free.pop().?, someDeadline(random, now_ns, reach));
        } else {
            now_ns = someMoment(random, now_ns, reach, model.wheel.next());
            var pops = random.uintLessThan(u32, 30);
            while (pops > 0) : (pops -= 1) free.appendAssumeCapacity(try model.pop(now_ns) orelse break);
        }
        if (step % 8 == 0) try model.check();
    }
    try model.popAll();
}

fn someDeadline(random: std.Random, now_ns: u64, reach: u6) u64 {
    return switch (random.uintLessThan(u32, 20)) {
        0 => 0,
        1 => std.math.maxInt(u64),
        2 => random.int(u64),
        3 => now_ns -| (random.int(u64) >> (63 - reach)),
        4 => now_ns,
        5...9 => now_ns +| (@as(u64, random.int(u2)) << reach),
        else => now_ns +| (random.int(u64) >> (63 - reach)),
    };
}

fn someMoment(random: std.Random, now_ns: u64, reach: u6, next: ?u64) u64 {
    return switch (random.uintLessThan(u32, 40)) {
        0 => random.int(u64),
        1 => now_ns -| (random.int(u64) >> (63 - reach)),
        2...15 => next orelse now_ns,
        16 => (next orelse now_ns) -| 1,
        else => now_ns +| (random.int(u64) >> 2 >> (63 - reach)),
    };
}
