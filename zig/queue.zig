//! A queue: the seed's `kevent_user`. Holds all registrations, changes them, collects what fired and
//! hands it out. Who waits and for how long is `wait.zig`.

const std = @import("std");
const assert = std.debug.assert;
const abi = @import("abi.zig");
const sys = @import("sys/linux.zig");
const errors = @import("errors.zig");
const Error = errors.Error;
const pools = @import("pool.zig");
const none = pools.none;
const sync = @import("sync.zig");
const List = @import("list.zig").List;
const Kevent = @import("kevent.zig").Kevent;
const Identity = @import("identity.zig").Identity;
const Ring = @import("ring.zig").Ring;
const Names = @import("names.zig").Names;
const Wheel = @import("wheel.zig").Wheel;
const lookahead = @import("lookahead.zig");
const storages = @import("storage.zig");
const Token = storages.Token;
const sources = @import("source.zig");
const Source = sources.Source;
const backends = @import("backend.zig");
const waiting = @import("wait.zig");
const wake = @import("wake.zig");
const signal_hub = @import("source/signal.zig");
const inode_hub = @import("source/inode.zig");

/// Address space is reserved for this many registrations; memory comes as they do.
const registrations_most = 1 << 24;
/// Descriptors above this number are refused with ENOSPC. The kernel's own default limit is 2^20.
const descriptors_most = 1 << 22;

const Ready = List(Kevent, "ready_previous", "ready_next");

pub const Options = struct {
    flags: u32 = 0,
    backend: u32 = abi.Backend.KEVENT_BACKEND_AUTO,
    seed: u64 = 0,
    ring: ?Ring = null,
    names: Names = .{},
    changes: []abi.Ukevent = &.{},
};

/// What `kevent_info` counts.
pub const Counters = struct {
    turns: u64 = 0,
    handed_out: u64 = 0,
    ready_most: u32 = 0,
    ring_most: u32 = 0,
    copy_failed: u64 = 0,
    last_check_rejected: u64 = 0,
    inode_overflows: u64 = 0,
    stale: u64 = 0,
};

pub const Queue = struct {
    lock: sync.Mutex = .{},
    /// One for being open, one for each call inside. The last one out frees it.
    references: std.atomic.Value(u32) = .init(1),
    closed: bool = false,
    single: bool,
    owner: usize,
    backend: backends.Backend,
    choice: backends.Choice,
    kevents: pools.Pool(Kevent),
    identity: Identity,
    storages: storages.Storages,
    /// Storage of each descriptor, plus one.
    by_fd: pools.Array(u32),
    wheels: [2]Wheel,
    /// Only while a call changes registrations: see `moment`.
    moments: [2]?u64 = @splat(null),
    ready: Ready = .{},
    ready_count: u32 = 0,
    /// Level-triggered interests that nothing but asking can tell about: see `requeue`.
    recheck: Ready = .{},
    ring: ?Ring,
    names: Names,
    changes: []abi.Ukevent,
    waiters: waiting.Waiters = .{},
    /// Ends of the wake-up socketpair that are ours; the other one is the script's.
    wake_fd: sys.Fd = -1,
    /// The script's end, in case its thread dies without closing it.
    wake_peer: ?wake.Peer = null,
    /// The script sleeps and counts on a byte.
    asleep: bool = false,
    signals: signal_hub.Subscription = .{},
    inodes: inode_hub.Subscription = .{},
    counters: Counters = .{},

    pub fn create(options: Options) Error!*Queue {
        const memory = try sys.mapMemory(queue_bytes);
        errdefer sys.unmapMemory(memory);
        const queue: *Queue = @ptrCast(@alignCast(memory.ptr));
        var backend: backends.Backend = undefined;
        const single = options.flags & abi.Flags.KEVENT_FLAGS_SINGLE != 0;
        const choice = try backends.open(&backend, options.backend, .{ .single = single, .seed = options.seed });
        errdefer backend.deinit();
        var kevents: pools.Pool(Kevent) = try .init(registrations_most);
        errdefer kevents.deinit();
        var identity: Identity = try .init(registrations_most);
        errdefer identity.deinit();
        var storage_pool: storages.Storages = try .init(registrations_most);
        errdefer storage_pool.deinit();
        var by_fd: pools.Array(u32) = try .init(descriptors_most);
        errdefer by_fd.deinit();
        var monotonic: Wheel = try .init();
        errdefer monotonic.deinit();
        queue.* = .{
            .single = single,
            .owner = sys.threadId(),
            .backend = backend,
            .choice = choice,
            .kevents = kevents,
            .identity = identity,
            .storages = storage_pool,
            .by_fd = by_fd,
            .wheels = wheels: {
                var wheels: [2]Wheel = undefined;
                wheels[@backingInt(sys.ClockId.monotonic)] = monotonic;
                wheels[@backingInt(sys.ClockId.wall)] = try .init();
                break :wheels wheels;
            },
            .ring = options.ring,
            .names = options.names,
            .changes = options.changes,
        };
        return queue;
    }

    /// No call is inside any more and none will come.
    pub fn destroy(queue: *Queue) void {
        queue.backend.deinit();
        if (queue.wake_fd >= 0) sys.close(queue.wake_fd);
        queue.kevents.deinit();
        queue.identity.deinit();
        queue.storages.deinit();
        queue.by_fd.deinit();
        for (&queue.wheels) |*wheel| wheel.deinit();
        if (queue.ring) |*ring| ring.deinit();
        queue.names.deinit();
        const memory: [*]align(sys.page_bytes) u8 = @ptrCast(@alignCast(queue));
        sys.unmapMemory(memory[0..queue_bytes]);
    }

    /// From here on nothing touches script memory. The caller holds the lock.
    pub fn shut(queue: *Queue) void {
        queue.closed = true;
        // Sources hold things outside of the queue: pidfds, inotify watches, signal handlers.
        for (queue.kevents.array.items[0..queue.kevents.used], 0..) |*kevent, index| {
            if (kevent.state.live) queue.retire(@intCast(index));
        }
        signal_hub.unsubscribe(queue);
        inode_hub.unsubscribe(queue);
        waiting.wakeAll(queue);
    }

    // --- changes -----------------------------------------------------------------------------

    /// Apply one command to one record, results in place. S2-14.
    pub fn control(queue: *Queue, command: u32, shared: *abi.Ukevent) void {
        // Script may write to it meanwhile, from another thread: decide on a copy.
        var record = shared.*;
        record.ret_flags = 0;
        record.ret_data = 0;
        record.ret_extra = 0;
        const outcome = switch (command) {
            abi.Command.KEVENT_CTL_ADD => queue.add(&record),
            abi.Command.KEVENT_CTL_REMOVE => queue.remove(&record),
            abi.Command.KEVENT_CTL_MODIFY => queue.modify(&record),
            abi.Command.KEVENT_CTL_READY => queue.markByHand(&record),
            abi.Command.KEVENT_CTL_TRIGGER => queue.trigger(&record),
            else => error.INVAL,
        };
        if (outcome) |_| {} else |err| {
            record.ret_flags |= abi.Return.KEVENT_RET_BROKEN;
            record.ret_data = errors.number(err);
        }
        switch (command) {
            abi.Command.KEVENT_CTL_REMOVE, abi.Command.KEVENT_CTL_MODIFY => record.ret_flags |= abi.Return.KEVENT_RET_DONE,
            else => {},
        }
        shared.* = record;
    }

    /// Apply one command to all records, or null: each its own, which stands in `ret_flags`, where the
    /// result will. A bad element does not stop the others. S2-23.
    pub fn apply(queue: *Queue, command: ?u32, records: []abi.Ukevent) void {
        defer queue.moments = @splat(null);
        var changes: lookahead.Changes = .{ .command = command };
        changes.start(queue, records);
        for (records, 0..) |*record, n| {
            changes.next(queue, records, n);
            queue.control(command orelse record.ret_flags, record);
        }
    }

    /// The time of the call that changes registrations, read once: periods begin with the call.
    pub fn moment(queue: *Queue, clock: sys.ClockId) u64 {
        const known = &queue.moments[@backingInt(clock)];
        if (known.*) |ns| return ns;
        const ns = queue.backend.now(clock);
        known.* = ns;
        return ns;
    }

    fn add(queue: *Queue, record: *abi.Ukevent) Error!void {
        const source = sources.find(record.type) orelse return error.NOTSUP;
        try validate(source, record);
        if (queue.identity.find(queue.kevents.array.items, record) != null) return error.EXIST;
        const index = try queue.kevents.create();
        errdefer queue.kevents.destroy(index);
        const kevent = queue.kevents.at(index);
        kevent.* = .{
            .event = record.*,
            .identity_next = none,
            .ready_previous = none,
            .ready_next = none,
            .storage_previous = none,
            .storage_next = none,
            .storage = none,
            .fired = 0,
            .state = .{ .generation = kevent.state.generation },
            .data = 0,
        };
        try queue.identity.insert(queue.kevents.array.items, index);
        errdefer queue.identity.remove(queue.kevents.array.items, index);
        try source.enqueue(queue, index);
        kevent.state.enqueued = true;
        kevent.state.live = true;
        if (record.req_flags & abi.Request.KEVENT_REQ_READY != 0) {
            kevent.state.forced = true;
            queue.markReady(index, kevent.event.event);
        } else if (record.req_flags & abi.Request.KEVENT_REQ_ALWAYS_QUEUE == 0) {
            queue.answerInPlace(source, index, record);
        }
    }

    /// Without ALWAYS_QUEUE: what is ready at once is told at once and not kept. S2-64.
    fn answerInPlace(queue: *Queue, source: *const Source, index: u32, record: *abi.Ukevent) void {
        const kevent = queue.kevents.at(index);
        const fired = kevent.fired | source.check(queue, index);
        if (fired == 0) return;
        kevent.fired = fired;
        if (!source.fill(queue, index, record)) return queue.markReady(index, fired);
        record.event = fired;
        record.ret_flags |= abi.Return.KEVENT_RET_DONE;
        queue.retire(index);
    }

    /// All that can be said against a record before looking at the thing it names. S2-73.
    fn validate(source: *const Source, record: *const abi.Ukevent) Error!void {
        if (record.req_flags & ~abi.request_mask != 0) return error.INVAL;
        if (record.event & ~source.kinds != 0) return error.INVAL;
        if (record.event & source.required == 0) return error.INVAL;
    }

    fn modify(queue: *Queue, record: *abi.Ukevent) Error!void {
        const index = queue.identity.find(queue.kevents.array.items, record) orelse return error.NOENT;
        const kevent = queue.kevents.at(index);
        // The seed sets id, user, req_flags and event only; a type that is set must be the right one.
        if (record.type != 0 and record.type != kevent.event.type) return error.INVAL;
        const source = sources.find(kevent.event.type).?;
        try validate(source, record);
        queue.unready(index);
        kevent.event.req_flags = record.req_flags;
        kevent.event.event = record.event;
        // Neither what it missed nor that it broke belongs to what it is from now on.
        kevent.event.ret_flags = 0;
        kevent.event.ret_data = 0;
        kevent.event.ret_extra = 0;
        kevent.fired = 0;
        kevent.state.forced = false;
        queue.reenqueue(source, index) catch |err| {
            // It cannot be in its storage any more, so it is not registered any more.
            queue.retire(index);
            return err;
        };
        if (record.req_flags & abi.Request.KEVENT_REQ_READY != 0) {
            kevent.state.forced = true;
            queue.markReady(index, kevent.event.event);
        }
    }

    fn reenqueue(queue: *Queue, source: *const Source, index: u32) Error!void {
        if (source.modify) |modifyInPlace| return modifyInPlace(queue, index);
        const kevent = queue.kevents.at(index);
        source.dequeue(queue, index);
        kevent.state.enqueued = false;
        try source.enqueue(queue, index);
        kevent.state.enqueued = true;
    }

    fn remove(queue: *Queue, record: *abi.Ukevent) Error!void {
        const index = queue.identity.find(queue.kevents.array.items, record) orelse return error.NOENT;
        queue.retire(index);
    }

    /// CTL_READY. S2-19.
    fn markByHand(queue: *Queue, record: *abi.Ukevent) Error!void {
        const index = queue.identity.find(queue.kevents.array.items, record) orelse return error.NOENT;
        const kevent = queue.kevents.at(index);
        kevent.state.forced = true;
        queue.markReady(index, if (kevent.fired == 0) kevent.event.event else kevent.fired);
    }

    fn trigger(queue: *Queue, record: *abi.Ukevent) Error!void {
        const index = queue.identity.find(queue.kevents.array.items, record) orelse return error.NOENT;
        const kevent = queue.kevents.at(index);
        if (kevent.event.type != abi.Type.KEVENT_USER) return error.INVAL;
        try @import("source/user.zig").trigger(queue, index, record.event);
    }

    /// End a registration: it is on no list afterwards and its index is free.
    pub fn retire(queue: *Queue, index: u32) void {
        const kevent = queue.kevents.at(index);
        const source = sources.find(kevent.event.type).?;
        queue.unready(index);
        if (kevent.state.enqueued) source.dequeue(queue, index);
        queue.identity.remove(queue.kevents.array.items, index);
        kevent.state = .{ .generation = kevent.state.generation +% 1 };
        queue.kevents.destroy(index);
        source.next(queue);
    }

    /// The source of a registration failed: say so once, and forget it. S2-67.
    pub fn breakUp(queue: *Queue, index: u32, err: Error) void {
        const kevent = queue.kevents.at(index);
        kevent.event.ret_flags |= abi.Return.KEVENT_RET_BROKEN;
        kevent.event.ret_data = errors.number(err);
        kevent.event.req_flags |= abi.Request.KEVENT_REQ_ONESHOT;
        kevent.state.forced = true;
        queue.markReady(index, kevent.event.event);
    }

    // --- activity ----------------------------------------------------------------------------

    /// News of the back-end about a storage. False: that storage is gone.
    pub fn activity(queue: *Queue, token: Token, bits: u32) bool {
        if (token.index >= queue.storages.used) return queue.countStale();
        const storage = queue.storages.at(token.index);
        if (!storage.flags.live or storage.generation != token.generation) return queue.countStale();
        sources.find(storage.source).?.activity(queue, token.index, bits);
        return true;
    }

    fn countStale(queue: *Queue) bool {
        queue.counters.stale += 1;
        return false;
    }

    /// The wall clock was set: tell the timers that count on it, and look at their deadlines again.
    pub fn clockSet(queue: *Queue) void {
        @import("source/timer.zig").clockSet(queue);
    }

    /// Put a registration on the ready list, if it is not there. S0-16.
    pub fn markReady(queue: *Queue, index: u32, fired: u32) void {
        const kevent = queue.kevents.at(index);
        kevent.fired |= fired;
        if (kevent.state.place == .ready) return;
        if (kevent.state.place == .recheck) queue.recheck.remove(queue.kevents.array.items, index);
        kevent.state.place = .ready;
        queue.ready.append(queue.kevents.array.items, index);
        queue.ready_count += 1;
        queue.counters.ready_most = @max(queue.counters.ready_most, queue.ready_count);
        waiting.wake(queue, kevent.event.req_flags & abi.Request.KEVENT_REQ_WAKEUP_ALL != 0);
    }

    /// Take a registration off the ready and recheck lists. S2-13.
    fn unready(queue: *Queue, index: u32) void {
        const kevent = queue.kevents.at(index);
        switch (kevent.state.place) {
            .storage => {},
            .ready => {
                queue.ready.remove(queue.kevents.array.items, index);
                queue.ready_count -= 1;
            },
            .recheck => queue.recheck.remove(queue.kevents.array.items, index),
        }
        kevent.state.place = .storage;
    }

    /// Let a level-triggered interest be asked at the next collect, because no back-end will tell.
    pub fn recheckLater(queue: *Queue, index: u32) void {
        const kevent = queue.kevents.at(index);
        if (kevent.state.place != .storage) return;
        kevent.state.place = .recheck;
        queue.recheck.append(queue.kevents.array.items, index);
    }

    /// Take in what needs no back-end: timers that are due and levels that nobody reports.
    pub fn lookAround(queue: *Queue) Error!void {
        queue.askAgain();
        try queue.expireTimers();
    }

    /// Take in what the back-end sees, waiting for it at most `limit_ns`.
    pub fn poll(queue: *Queue, limit_ns: ?u64) Error!void {
        if (limit_ns != 0) try queue.setTimers();
        try queue.backend.poll(queue, limit_ns);
        if (!queue.closed) try queue.expireTimers();
    }

    /// What a back-end calls around a system call that may sleep.
    pub fn beginSleep(queue: *Queue) void {
        queue.waiters.leader_sleeps = true;
        queue.lock.unlock();
    }

    pub fn endSleep(queue: *Queue) void {
        queue.lock.lock();
        queue.waiters.leader_sleeps = false;
    }

    fn askAgain(queue: *Queue) void {
        var index = queue.recheck.head;
        while (index != none) {
            const kevent = queue.kevents.at(index);
            const next = kevent.ready_next;
            const fired = sources.find(kevent.event.type).?.check(queue, index);
            // Nothing: from now on the edge will tell.
            if (fired == 0) queue.unready(index) else queue.markReady(index, fired);
            index = next;
        }
    }

    fn expireTimers(queue: *Queue) Error!void {
        if (sources.find(abi.Type.KEVENT_TIMER) == null) return;
        try @import("source/timer.zig").expire(queue);
    }

    pub fn setTimers(queue: *Queue) Error!void {
        for ([_]sys.ClockId{ .monotonic, .wall }) |clock| {
            try queue.backend.setTimer(clock, queue.wheels[@backingInt(clock)].next());
        }
    }

    // --- handing out -------------------------------------------------------------------------

    const HandedOut = enum { given, nothing, no_room };

    /// Copy the next ready event into `out`, and let its registration go on or end.
    fn handOut(queue: *Queue, out: *abi.Ukevent) HandedOut {
        while (queue.ready.head != none) {
            const index = queue.ready.head;
            const kevent = queue.kevents.at(index);
            const source = sources.find(kevent.event.type).?;
            if (!queue.passesLastCheck(source, index)) {
                queue.unready(index);
                source.next(queue);
                continue;
            }
            var record = kevent.event;
            record.event = kevent.fired;
            record.ret_flags |= abi.Return.KEVENT_RET_DONE;
            if (record.ret_flags & abi.Return.KEVENT_RET_BROKEN == 0) {
                if (!source.fill(queue, index, &record)) return .no_room;
            }
            out.* = record;
            queue.settle(source, index);
            return .given;
        }
        return .nothing;
    }

    /// S2-62: the source is asked once more; what was consumed meanwhile is not handed out.
    fn passesLastCheck(queue: *Queue, source: *const Source, index: u32) bool {
        const kevent = queue.kevents.at(index);
        const last_check = abi.Request.KEVENT_REQ_LAST_CHECK;
        if (kevent.event.req_flags & last_check == 0 or kevent.state.forced) return true;
        kevent.event.req_flags &= ~last_check;
        const fired = source.check(queue, index);
        kevent.event.req_flags |= last_check;
        if (fired == 0) queue.counters.last_check_rejected += 1;
        kevent.fired = fired;
        if (fired == 0) source.requeue(queue, index);
        return fired != 0;
    }

    /// After an event was handed out: a one-shot registration ends (S2-30), others wait again.
    fn settle(queue: *Queue, source: *const Source, index: u32) void {
        const kevent = queue.kevents.at(index);
        queue.counters.handed_out += 1;
        if (kevent.event.req_flags & abi.Request.KEVENT_REQ_ONESHOT != 0) {
            queue.retire(index);
            return;
        }
        queue.unready(index);
        kevent.fired = 0;
        kevent.state.forced = false;
        kevent.event.ret_data = 0;
        kevent.event.ret_extra = 0;
        source.requeue(queue, index);
        source.next(queue);
    }

    /// Publish ready events into the ring, at most `most`. They stay ready when it is full. S3-7.
    pub fn publish(queue: *Queue, most: u32) u32 {
        const ring = &(queue.ring orelse return 0);
        var count: u32 = 0;
        var scout: lookahead.Scout = .start(queue, queue.ready.head);
        while (count < most and !ring.full()) : (count += 1) {
            scout.next(queue);
            const slot = ring.kidx;
            if (queue.handOut(ring.slot()) != .given) break;
            queue.names.published(slot);
            ring.publish();
        }
        queue.counters.ring_most = @max(queue.counters.ring_most, ring.waiting());
        return count;
    }

    /// Hand the next ready event to a buffer, and to the ring as well. S2-33, S2-34.
    pub fn copyOut(queue: *Queue, out: *abi.Ukevent) bool {
        var record: abi.Ukevent = undefined;
        if (queue.handOut(&record) != .given) return false;
        if (queue.ring) |*ring| {
            if (ring.full()) {
                record.ret_flags |= abi.Return.KEVENT_RET_COPY_FAILED;
                queue.counters.copy_failed += 1;
            } else {
                ring.slot().* = record;
                queue.names.published(ring.kidx);
                ring.publish();
            }
        }
        out.* = record;
        return true;
    }

    /// Free ring slots, with the names that belong to them.
    pub fn commit(queue: *Queue, new_uidx: u32, over: u32) Error!u32 {
        const ring = &(queue.ring orelse return error.INVAL);
        const freed = try ring.commit(new_uidx, over);
        queue.freeNames(ring, freed);
        return freed;
    }

    pub fn commitCount(queue: *Queue, count: u32) Error!void {
        const ring = &(queue.ring orelse return if (count == 0) {} else error.INVAL);
        try ring.commitCount(count);
        queue.freeNames(ring, count);
    }

    /// At the next collect, when no record in the ring has a name any more: names of a queue without a
    /// ring, and of records that found no room in it, which nobody will commit.
    pub fn forgetNames(queue: *Queue) void {
        if (queue.ring) |*ring| if (ring.waiting() > 0) return;
        queue.names.reset();
    }

    fn freeNames(queue: *Queue, ring: *const Ring, freed: u32) void {
        if (freed == 0) return;
        queue.names.committed(if (ring.uidx == 0) ring.entries - 1 else ring.uidx - 1);
    }

    // --- rest --------------------------------------------------------------------------------

    /// At the end of a call: the descriptor must be readable exactly when a collect would find
    /// something. The queue of a single thread promises that only while it sleeps. S4-25.
    pub fn makePollable(queue: *Queue) Error!void {
        try queue.update();
        try queue.backend.flush(queue);
        queue.backend.setReady(queue.ready_count > 0);
    }

    /// Take in what needs no back-end, and let whoever sleeps in it know when to wake.
    pub fn update(queue: *Queue) Error!void {
        try queue.lookAround();
        try queue.setTimers();
    }

    /// All promises of the lists at once; for tests and fuzzers. S1-1.
    pub fn checkInvariants(queue: *const Queue) void {
        const items = queue.kevents.array.items;
        var live: u32 = 0;
        var marked: u32 = 0;
        for (items[0..queue.kevents.used], 0..) |*kevent, index| {
            if (!kevent.state.live) continue;
            live += 1;
            if (kevent.state.place == .ready) marked += 1;
            assert(queue.identity.find(items, &kevent.event) == @as(u32, @intCast(index)));
            assert(kevent.state.enqueued);
        }
        assert(live == queue.kevents.count);
        assert(live == queue.identity.count);
        var listed: u32 = 0;
        var index = queue.ready.head;
        var before: u32 = none;
        while (index != none) : (index = items[index].ready_next) {
            assert(items[index].state.live);
            assert(items[index].state.place == .ready);
            assert(items[index].ready_previous == before);
            before = index;
            listed += 1;
        }
        assert(before == queue.ready.tail);
        assert(listed == queue.ready_count);
        assert(listed == marked);
        queue.checkStorages();
        if (queue.ring) |*ring| assert(ring.waiting() <= ring.entries);
    }

    /// Each storage's list holds registrations that name it, and each is on one list only.
    fn checkStorages(queue: *const Queue) void {
        const items = queue.kevents.array.items;
        for (queue.storages.array.items[0..queue.storages.used], 0..) |*storage, number| {
            if (!storage.flags.live) continue;
            var index = storage.interests.head;
            var before: u32 = none;
            while (index != none) : (index = items[index].storage_next) {
                assert(items[index].state.live);
                assert(items[index].storage == @as(u32, @intCast(number)));
                assert(items[index].storage_previous == before);
                before = index;
            }
            assert(before == storage.interests.tail);
        }
    }
};

const queue_bytes = std.mem.alignForward(usize, @sizeOf(Queue), sys.page_bytes);

/// A source that answers as it is told, and keeps what it saw when it was asked.
const FakeSource = struct {
    var holds: u32 = 0;
    var seen: u32 = 0;

    const source: Source = .{
        .name = "fake",
        .kinds = 1,
        .required = 1,
        .enqueue = enqueue,
        .dequeue = dequeue,
        .check = check,
    };

    fn enqueue(_: *Queue, _: u32) Error!void {}
    fn dequeue(_: *Queue, _: u32) void {}

    fn check(queue: *Queue, index: u32) u32 {
        seen = queue.kevents.at(index).event.req_flags;
        return holds;
    }
};

test "S2-63 the last check asks with its flag cleared, so that the source can tell; then it is set again" {
    const queue = try Queue.create(.{ .backend = abi.Backend.KEVENT_BACKEND_EPOLL });
    defer queue.destroy();
    const index = try queue.kevents.create();
    const kevent = queue.kevents.at(index);
    kevent.* = std.mem.zeroes(Kevent);
    const flags = abi.Request.KEVENT_REQ_LAST_CHECK | abi.Request.KEVENT_REQ_ET;
    kevent.event.req_flags = flags;
    for ([_]u32{ 0, 1 }) |holds| {
        FakeSource.holds = holds;
        FakeSource.seen = flags;
        try std.testing.expectEqual(holds != 0, queue.passesLastCheck(&FakeSource.source, index));
        try std.testing.expectEqual(abi.Request.KEVENT_REQ_ET, FakeSource.seen);
        try std.testing.expectEqual(flags, kevent.event.req_flags);
    }
}
