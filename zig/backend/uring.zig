//! The io_uring back-end. Each watched descriptor has a multishot poll in the ring, which reports
//! every change once. Levels are made of that: after a report, and after each delivery, the
//! descriptor is listed and asked (`again`), all of them in one poll(2), so what the script consumed
//! in between is not reported. The kernel signals an eventfd when a completion comes up, which makes
//! the queue's descriptor readable, while `notifying`; a busy loop pays nothing for it.
//!
//! A single queue has a ring that only its owner enters and in which nothing runs behind its back
//! (SINGLE_ISSUER, DEFER_TASKRUN). A shared one has a plain ring: its leader blocks in the kernel with
//! the queue's lock free, and others submit meanwhile.

const std = @import("std");
const abi = @import("../abi.zig");
const sys = @import("../sys/linux.zig");
const kernel = @import("../sys/io_uring.zig");
const Ring = kernel.Ring;
const errors = @import("../errors.zig");
const Error = errors.Error;
const none = @import("../pool.zig").none;
const pools = @import("../pool.zig");
const Queue = @import("../queue.zig").Queue;
const storages = @import("../storage.zig");
const Storage = storages.Storage;
const Token = storages.Token;
const backends = @import("../backend.zig");
const helper = @import("../helper.zig");
const Text = @import("../info.zig").Text;

const requests = 256;
const completions = 4096;

/// As many storages as a queue can have.
const storages_most = 1 << 24;

/// The kernel brings at least so many completions into the ring at once, and not all there are (6.18).
const brought_least = 20;

/// Rounds of one collect: what still comes waits for the next call, so that a storm cannot keep the
/// caller here.
const rounds_max = 64;

/// Tokens of our own requests; no storage has such an index.
const Own = enum(u32) {
    bell = 0xffff_fff0,
    wall = 0xffff_fff1,
    timeout = 0xffff_fff2,
    /// Reports failures only.
    timeout_update = 0xffff_fff3,
    /// Reports failures only: what was to be cancelled had ended by itself.
    cancel = 0xffff_fff4,
    _,

    fn token(own: Own) u64 {
        return @bitCast(Token{ .index = @backingInt(own), .generation = 0 });
    }
};

pub const Uring = struct {
    ring: Ring,
    single: bool,
    /// The queue's descriptor: an epoll instance with `event` and what `watchAside` adds, each of them
    /// edge-triggered, so that to collect from it is to make it unreadable.
    front: sys.Fd,
    /// Signalled by the kernel for each completion, while `notifying`, and by us.
    event: sys.Fd,
    notifying: bool = false,
    /// `front` may be readable for something that was taken meanwhile.
    dirty: bool = false,
    /// Written to end a wait in the kernel.
    bell: sys.Fd,
    /// Somebody is in that wait, with the queue's lock free.
    sleeping: bool = false,
    /// Storages to ask (those with `flags.listed`), and perhaps some that are gone.
    again: pools.Array(u32),
    again_count: u32 = 0,
    /// The same list while it is worked on: what comes up meanwhile goes into the other.
    asking: pools.Array(u32),
    /// The next moment on the monotonic clock that matters, and the one the kernel was told.
    deadline_ns: ?u64 = null,
    timeout_ns: ?u64 = null,
    /// Read by the kernel when a timeout is submitted.
    timeout: sys.Timespec = undefined,
    wall: Wall = .{},
    /// Completions that were lost when we last looked.
    lost: u32 = 0,
    wake: Wake = .none,

    const Wall = struct {
        fd: sys.Fd = -1,
        /// What the kernel has; undefined when `known` is false (it fired).
        armed_ns: ?u64 = null,
        known: bool = true,
    };

    const Wake = union(enum) {
        none,
        ring: WakeRing,
        thread: helper.Ticket,
    };

    pub fn init(self: *Uring, config: backends.Config) Error!void {
        var ring = try openRing(config.single);
        errdefer ring.close();
        try ring.require(&.{ .poll_add, .poll_remove, .timeout, .timeout_remove });
        const front = try sys.epollCreate();
        errdefer sys.close(front);
        const event = try sys.eventfd();
        errdefer sys.close(event);
        try sys.epollControl(front, .add, event, in | sys.EPOLLET, 0);
        const bell = try sys.eventfd();
        errdefer sys.close(bell);
        ring.notify(false);
        try ring.registerEventfd(event);
        var again: pools.Array(u32) = try .init(storages_most);
        errdefer again.deinit();
        var asking: pools.Array(u32) = try .init(storages_most);
        errdefer asking.deinit();
        self.* = .{
            .ring = ring,
            .single = config.single,
            .front = front,
            .event = event,
            .bell = bell,
            .again = again,
            .asking = asking,
        };
        try self.pollOwn(self.bell, .bell);
        try self.submit();
        // Operations may be denied one by one, which shows only when one is tried.
        if (self.ring.next()) |completion| return errors.fromNumber(@intCast(-@min(completion.result, 0)));
    }

    fn openRing(single: bool) Error!Ring {
        const alone = kernel.Setup.single_issuer | kernel.Setup.defer_taskrun | kernel.Setup.taskrun_flag;
        const flags = [_]u32{ alone | kernel.Setup.submit_all, kernel.Setup.submit_all, 0 };
        for (flags[if (single) 0 else 1..]) |setup| {
            return Ring.open(requests, completions, setup) catch |err| switch (err) {
                error.INVAL => continue,
                else => return err,
            };
        }
        return error.INVAL;
    }

    pub fn deinit(self: *Uring) void {
        // Files of polls that were just cancelled are let go here and not when the kernel gets to it.
        self.submit() catch {};
        switch (self.wake) {
            .none => {},
            .ring => |*wake_ring| wake_ring.ring.close(),
            .thread => |ticket| helper.cancel(ticket),
        }
        self.ring.close();
        if (self.wall.fd >= 0) sys.close(self.wall.fd);
        self.again.deinit();
        self.asking.deinit();
        sys.close(self.bell);
        sys.close(self.event);
        sys.close(self.front);
        self.* = undefined;
    }

    pub fn descriptor(self: *const Uring) sys.Fd {
        return self.front;
    }

    pub fn now(_: *Uring, clock: sys.ClockId) u64 {
        return sys.now(clock);
    }

    pub fn describe(self: *const Uring, text: *Text) void {
        text.print("\"defer_taskrun\":{},\"submit_all\":{},\"no_iowait\":{},\"wake\":\"{t}\"", .{
            self.ring.setup & kernel.Setup.defer_taskrun != 0,
            self.ring.setup & kernel.Setup.submit_all != 0,
            self.ring.features & kernel.Feature.no_iowait != 0,
            self.wake,
        });
    }

    // --- watching ----------------------------------------------------------------------------

    pub fn watch(self: *Uring, queue: *Queue, index: u32) Error!backends.Watched {
        const storage = queue.storages.at(index);
        // It would be readable because it is readable, for ever.
        if (storage.fd == self.front) return error.INVAL;
        const file = try File.of(queue, storage);
        if (file.kind == .always_ready) {
            self.unwatch(queue, index);
            return .always;
        }
        try self.again.reach(index);
        try self.asking.reach(index);
        const before: Armed = @bitCast(storage.link);
        const present: Armed = .{ .want = storage.want, .mark = file.mark };
        if (storage.flags.polled and before == present and file.kind == .known and !storage.flags.edge) {
            // The poll is the right one already; whoever joined hears of what holds when it is asked.
            self.list(queue, index);
            return .watched;
        }
        var reopened = storage.flags.armed and before.mark != file.mark;
        if (self.single and (storage.flags.aside or file.kind == .may_hold_eventfd)) {
            reopened = self.watchAside(storage) or reopened;
        }
        self.disarm(storage, index);
        self.arm(storage, index) catch |err| {
            // Those who were there before must not be forgotten: the next collect tries again.
            if (storage.flags.armed) self.list(queue, index);
            return err;
        };
        storage.link = @bitCast(present);
        storage.flags.armed = true;
        return if (reopened) .reopened else .watched;
    }

    pub fn unwatch(self: *Uring, queue: *Queue, index: u32) void {
        const storage = queue.storages.at(index);
        self.disarm(storage, index);
        storage.flags.armed = false;
        storage.flags.listed = false;
        if (!storage.flags.aside) return;
        storage.flags.aside = false;
        // Gone already if it was closed.
        sys.epollControl(self.front, .remove, storage.fd, 0, 0) catch {};
    }

    /// A write to an eventfd forbids the kernel to signal another one meanwhile, and so `event`: it does
    /// that some 15 ms later, and from the second time on never (6.18). So `front` listens to eventfds,
    /// and to all that may hold one, by itself too. Only a single queue needs it, where completions stay
    /// hidden until the owner comes; a shared one gets them when the write is over.
    ///
    /// Before `arm`: who came last is told first, and `flush` counts on it that the ring knows what
    /// `front` was readable for. True: it was another file before.
    fn watchAside(self: *Uring, storage: *Storage) bool {
        const events = storage.want | sys.EPOLLET;
        const was_there = storage.flags.aside;
        storage.flags.aside = true;
        sys.epollControl(self.front, .modify, storage.fd, events, 0) catch |err| switch (err) {
            error.NOENT => {
                sys.epollControl(self.front, .add, storage.fd, events, 0) catch {
                    storage.flags.aside = false;
                };
                return was_there;
            },
            else => storage.flags.aside = false,
        };
        return false;
    }

    /// Make `front` unreadable. What it was readable for is among the completions that are looked at next.
    fn clearFront(self: *Uring) Error!void {
        var events: [64]sys.EpollEvent = undefined;
        for (0..rounds_max) |_| {
            const cleared = sys.epollWait(self.front, &events, 0) catch |err| switch (err) {
                error.INTR => continue,
                // Somebody closed it. The wake-up still knows the file, which stays readable: who sleeps
                // on that would be woken for ever.
                else => return error.BADF,
            };
            if (cleared.len < events.len) return;
        }
    }

    /// Put a poll on the file that the descriptor is now. Each has a token of its own.
    fn arm(self: *Uring, storage: *Storage, index: u32) Error!void {
        try self.makeRoom();
        storage.generation +%= 1;
        self.ring.push(pollAdd(storage.fd, storage.want, tokenOf(storage, index)));
        storage.flags.polled = true;
    }

    fn disarm(self: *Uring, storage: *Storage, index: u32) void {
        if (!storage.flags.polled) return;
        storage.flags.polled = false;
        // Without room the poll stays: its reports go nowhere, and it ends with the ring.
        self.makeRoom() catch return;
        self.ring.push(.{
            .opcode = .poll_remove,
            .flags = kernel.Request.quiet_success,
            .addr = tokenOf(storage, index),
            .user_data = Own.cancel.token(),
        });
    }

    pub fn rearm(self: *Uring, queue: *Queue, index: u32) void {
        self.list(queue, index);
        // Another thread waits in the kernel and must ask.
        if (self.sleeping) sys.eventfdSignal(self.bell);
    }

    /// The level of this storage is to be asked.
    fn list(self: *Uring, queue: *Queue, index: u32) void {
        const storage = queue.storages.at(index);
        if (storage.flags.listed) return;
        // There is room for each storage once: `watch` has reached for it.
        if (self.again_count == self.again.len) self.dropGone(queue);
        storage.flags.listed = true;
        self.again.items[self.again_count] = index;
        self.again_count += 1;
    }

    /// Leave each storage in the list once, and only those that are really listed.
    fn dropGone(self: *Uring, queue: *Queue) void {
        var kept: u32 = 0;
        for (self.again.items[0..self.again_count]) |index| {
            const storage = queue.storages.at(index);
            if (!storage.flags.listed) continue;
            storage.flags.listed = false;
            self.again.items[kept] = index;
            kept += 1;
        }
        for (self.again.items[0..kept]) |index| queue.storages.at(index).flags.listed = true;
        self.again_count = kept;
    }

    // --- collecting --------------------------------------------------------------------------

    pub fn poll(self: *Uring, queue: *Queue, limit_ns: ?u64) Error!void {
        self.quieten();
        // What came while the script was awake may have been consumed since: it is asked.
        if (limit_ns == 0 or self.ring.hasHidden() or self.ring.hasCompletions() or self.ring.lost() != self.lost) {
            _ = try self.look(queue, .report);
            return;
        }
        if (try self.ask(queue, .report) > 0) return;
        try self.sleep(queue, limit_ns);
    }

    /// The owner looks itself, so the descriptor may lie until `flush`.
    fn quieten(self: *Uring) void {
        if (!self.notifying) return;
        self.ring.notify(false);
        self.notifying = false;
        self.dirty = true;
    }

    const Found = enum {
        /// Tell the queue.
        report,
        /// Keep it listed: the next collect asks again.
        keep,
    };

    /// Take what is there without waiting; how many listed storages had something.
    fn look(self: *Uring, queue: *Queue, found: Found) Error!u32 {
        var hits: u32 = 0;
        for (0..rounds_max) |_| {
            try self.fetch(queue, .doubtful);
            hits = try self.ask(queue, found);
            // Those asked may have got a new poll, whose first report counts.
            if (self.ring.unsubmitted() == 0) break;
        }
        return hits;
    }

    /// Hand over what is prepared and take all that is due. No call of the kernel if there is neither.
    fn fetch(self: *Uring, queue: *Queue, freshness: Freshness) Error!void {
        for (0..rounds_max) |_| {
            if (self.ring.unsubmitted() > 0 or self.ring.hasHidden()) try self.enter(queue, null);
            if (self.ring.lost() != self.lost) self.recover(queue);
            try self.reap(queue, freshness);
            if (!self.ring.hasHidden()) return;
        }
    }

    fn sleep(self: *Uring, queue: *Queue, limit_ns: ?u64) Error!void {
        if (!self.single) {
            // With the lock free, requests of others would be counted as ours.
            try self.submit();
            if (self.ring.hasCompletions()) return;
        }
        try self.enter(queue, self.sleepLimit(limit_ns));
        if (queue.closed) return;
        // Nobody of the script's thread was awake to consume what came.
        try self.reap(queue, .fresh);
        try self.fetch(queue, .fresh);
    }

    /// Null is for ever, which is written as the largest number.
    fn sleepLimit(self: *Uring, limit_ns: ?u64) u64 {
        const limit = limit_ns orelse std.math.maxInt(u64);
        const deadline = self.deadline_ns orelse return limit;
        // The kernel has it from the last time the script slept.
        if (self.timeout_ns == deadline) return limit;
        return @min(limit, deadline -| sys.now(.monotonic));
    }

    /// One call of the kernel: submit everything, and wait if there is a limit to it.
    fn enter(self: *Uring, queue: *Queue, wait_ns: ?u64) Error!void {
        const entered = if (wait_ns) |limit| self.wait(queue, limit) else self.ring.submit(self.ring.unsubmitted());
        entered catch |err| switch (err) {
            // The caller looks at the time and comes again.
            error.TIMEDOUT, error.INTR => {},
            // Completions must be taken before it accepts more.
            error.BUSY, error.AGAIN => if (!self.ring.hasCompletions()) return err,
            error.OVERFLOW => {},
            else => return err,
        };
    }

    fn wait(self: *Uring, queue: *Queue, limit_ns: u64) Error!void {
        const count = self.ring.unsubmitted();
        self.sleeping = true;
        queue.beginSleep();
        defer {
            queue.endSleep();
            self.sleeping = false;
        }
        return self.ring.wait(count, if (limit_ns == std.math.maxInt(u64)) null else limit_ns);
    }

    /// The kernel had no memory for completions and says how many it dropped, but not whose they
    /// were: start all polls anew, which reports what holds now.
    fn recover(self: *Uring, queue: *Queue) void {
        self.lost = self.ring.lost();
        self.timeout_ns = null;
        for (queue.storages.array.items[0..queue.storages.used], 0..) |*storage, index| {
            if (!storage.flags.live or !storage.flags.armed) continue;
            self.disarm(storage, @intCast(index));
            self.list(queue, @intCast(index));
        }
        self.pollOwn(self.bell, .bell) catch {};
        if (self.wall.fd >= 0) self.pollOwn(self.wall.fd, .wall) catch {};
    }

    const Freshness = enum {
        /// Since it was noticed, the script had the chance to consume it.
        doubtful,
        fresh,
    };

    fn reap(self: *Uring, queue: *Queue, freshness: Freshness) Error!void {
        // No more than the ring can hold: what comes meanwhile must not keep us here.
        for (0..self.ring.cq_mask + 1) |_| {
            const completion = self.ring.next() orelse return;
            self.dirty = true;
            try self.take(queue, completion, freshness);
        }
    }

    fn take(self: *Uring, queue: *Queue, completion: kernel.Cqe, freshness: Freshness) Error!void {
        const token: Token = @bitCast(completion.user_data);
        switch (@as(Own, @fromBackingInt(token.index))) {
            .bell => if (!completion.more()) try self.pollOwn(self.bell, .bell),
            .wall => try self.wallFired(queue, completion),
            .timeout, .timeout_update => self.timeout_ns = null,
            .cancel => {},
            _ => self.takePoll(queue, token, completion, freshness),
        }
    }

    fn takePoll(self: *Uring, queue: *Queue, token: Token, completion: kernel.Cqe, freshness: Freshness) void {
        if (token.index >= queue.storages.used) return;
        const storage = queue.storages.at(token.index);
        // A poll that was replaced or removed says its last.
        if (!storage.flags.live or !storage.flags.polled or storage.generation != token.generation) return;
        if (!completion.more()) {
            storage.flags.polled = false;
            if (completion.result < 0) return self.pollFailed(queue, token.index, completion.result);
            self.list(queue, token.index);
        }
        const bits: u32 = @intCast(completion.result);
        if (storage.flags.edge or freshness == .fresh) {
            _ = queue.activity(token, bits);
        } else {
            self.list(queue, token.index);
        }
    }

    fn pollFailed(self: *Uring, queue: *Queue, index: u32, result: i32) void {
        const err = errors.fromNumber(@intCast(-result));
        // The thread that had submitted it is gone. This is how its first event is told.
        if (err == error.CANCELED) return self.list(queue, index);
        breakInterests(queue, index, err);
    }

    // --- asking ------------------------------------------------------------------------------

    const batch = 256;

    /// Ask all listed storages, each batch with one call; how many had something. The others leave the
    /// list: their polls will tell.
    fn ask(self: *Uring, queue: *Queue, found: Found) Error!u32 {
        if (self.again_count == 0) return 0;
        std.mem.swap(pools.Array(u32), &self.again, &self.asking);
        const listed = self.asking.items[0..self.again_count];
        self.again_count = 0;
        var hits: u32 = 0;
        var start: usize = 0;
        errdefer for (listed[start..]) |index| self.listAgain(queue, index);
        while (start < listed.len) : (start += batch) {
            var asked: Asked = .{};
            for (listed[start..@min(start + batch, listed.len)]) |index| asked.add(queue, index);
            hits += try asked.poll();
            for (asked.fds[0..asked.count], asked.indexes[0..asked.count]) |fd, index| {
                try self.answer(queue, index, fd.revents, found);
            }
        }
        return hits;
    }

    fn listAgain(self: *Uring, queue: *Queue, index: u32) void {
        const storage = queue.storages.at(index);
        if (!storage.flags.listed) return;
        storage.flags.listed = false;
        self.list(queue, index);
    }

    fn answer(self: *Uring, queue: *Queue, index: u32, bits: u16, found: Found) Error!void {
        const storage = queue.storages.at(index);
        // From now on its poll must tell, so it must have one.
        if (!storage.flags.polled) try self.arm(storage, index);
        storage.flags.listed = false;
        if (bits == 0) return;
        // Closed while registered. The broken record takes the poll with it, which still holds the file.
        if (bits & nval != 0) return breakInterests(queue, index, error.BADF);
        switch (found) {
            .report => _ = queue.activity(.{ .index = index, .generation = storage.generation }, bits),
            .keep => self.list(queue, index),
        }
    }

    const Asked = struct {
        fds: [batch]sys.PollFd = undefined,
        indexes: [batch]u32 = undefined,
        count: u32 = 0,

        fn add(asked: *Asked, queue: *Queue, index: u32) void {
            const storage = queue.storages.at(index);
            // Listed, then removed.
            if (!storage.flags.listed or !storage.flags.live or !storage.flags.armed) return;
            // An edge is not asked for: negative numbers are skipped by poll(2).
            const fd = if (storage.flags.edge) -1 else storage.fd;
            asked.fds[asked.count] = .{ .fd = fd, .events = storage.want, .revents = 0 };
            asked.indexes[asked.count] = index;
            asked.count += 1;
        }

        fn poll(asked: *Asked) Error!u32 {
            if (asked.count == 0) return 0;
            while (true) {
                return @intCast(sys.poll(asked.fds[0..asked.count], 0) catch |err| switch (err) {
                    error.INTR => continue,
                    else => return err,
                });
            }
        }
    };

    // --- clocks ------------------------------------------------------------------------------

    pub fn setTimer(self: *Uring, clock: sys.ClockId, deadline_ns: ?u64) Error!void {
        if (clock == .wall) return self.setWall(deadline_ns);
        const sooner = (deadline_ns orelse none_ns) < (self.deadline_ns orelse none_ns);
        self.deadline_ns = deadline_ns;
        // Another thread waits in the kernel for the moment that was next before.
        if (sooner and self.sleeping) sys.eventfdSignal(self.bell);
    }

    const none_ns: u64 = std.math.maxInt(u64);

    /// Tell the kernel the deadline. While we wait ourselves it is part of the wait, so only those who
    /// sleep elsewhere need this.
    fn sendTimeout(self: *Uring) Error!void {
        const wanted = self.deadline_ns orelse if (self.timeout_ns == null) return else far_ns;
        if (self.timeout_ns == wanted) return;
        try self.makeRoom();
        self.timeout = .fromNanoseconds(wanted);
        const spec = @intFromPtr(&self.timeout);
        self.ring.push(if (self.timeout_ns == null) .{
            .opcode = .timeout,
            .addr = spec,
            .len = 1,
            .operation_flags = kernel.timeout_absolute,
            .user_data = Own.timeout.token(),
        } else .{
            .opcode = .timeout_remove,
            .flags = kernel.Request.quiet_success,
            .addr = Own.timeout.token(),
            .off = spec,
            .operation_flags = kernel.timeout_absolute | kernel.timeout_update,
            .user_data = Own.timeout_update.token(),
        });
        self.timeout_ns = wanted;
    }

    /// "No timer" once the kernel has one: to take it back would be a completion, to move it is none.
    const far_ns = 1 << 62;

    /// The wall clock has a timerfd, because only that tells when the clock is set.
    fn setWall(self: *Uring, deadline_ns: ?u64) Error!void {
        if (self.wall.known and self.wall.armed_ns == deadline_ns) return;
        if (self.wall.fd < 0) {
            const fd = try sys.timerfd(.wall);
            errdefer sys.close(fd);
            try self.pollOwn(fd, .wall);
            self.wall.fd = fd;
        }
        // Setting also takes back an expiry that was not read.
        try sys.timerfdSet(self.wall.fd, deadline_ns, true);
        self.wall = .{ .fd = self.wall.fd, .armed_ns = deadline_ns };
    }

    fn wallFired(self: *Uring, queue: *Queue, completion: kernel.Cqe) Error!void {
        if (!completion.more()) try self.pollOwn(self.wall.fd, .wall);
        self.wall.known = false;
        var count: u64 = 0;
        _ = sys.read(self.wall.fd, std.mem.asBytes(&count)) catch |err| {
            if (err == error.CANCELED) queue.clockSet();
        };
    }

    /// A clock was set and has gone off since, so what is due must be collected.
    fn clockRang(self: *const Uring) bool {
        return !self.wall.known or (self.deadline_ns != null and self.timeout_ns == null);
    }

    // --- the descriptor, and sleeping elsewhere ----------------------------------------------

    pub fn flush(self: *Uring, queue: *Queue) Error!void {
        try self.sendTimeout();
        var waiting = try self.look(queue, .keep) > 0;
        if (self.dirty) try self.clearFront();
        self.dirty = false;
        if (!self.notifying) self.ring.notify(true);
        self.notifying = true;
        waiting = waiting or self.clockRang() or self.ring.hasHidden() or self.ring.hasCompletions();
        if (waiting) self.setReady(true);
    }

    /// Signals given before are taken back by `flush` only, which looks whether others are due.
    pub fn setReady(self: *Uring, ready: bool) void {
        if (!ready) return;
        self.dirty = true;
        sys.eventfdSignal(self.event);
    }

    pub fn interrupt(self: *Uring) void {
        if (self.sleeping) sys.eventfdSignal(self.bell) else self.setReady(true);
    }

    pub fn wakeVia(self: *Uring, out: sys.Fd) Error!void {
        if (self.wake == .none) self.wake = try self.openWake(out);
        switch (self.wake) {
            .none => unreachable,
            .ring => |*wake_ring| try wake_ring.arm(),
            .thread => |ticket| try helper.arm(ticket, self.front),
        }
    }

    fn openWake(self: *Uring, out: sys.Fd) Error!Wake {
        return .{ .ring = WakeRing.open(self.front, out) catch {
            return .{ .thread = try helper.enlist(self.front, out) };
        } };
    }

    // --- requests ----------------------------------------------------------------------------

    /// Hand over what is prepared. What the kernel says to it stays in the ring.
    pub fn submit(self: *Uring) Error!void {
        const count = self.ring.unsubmitted();
        if (count == 0) return;
        try self.ring.submit(count);
        // A poll that was cancelled lets its file go when its last word is brought into the ring.
        for (0..count / brought_least) |_| {
            if (!self.ring.hasHidden()) return;
            try self.ring.submit(0);
        }
    }

    fn makeRoom(self: *Uring) Error!void {
        if (!self.ring.full()) return;
        try self.submit();
        if (self.ring.full()) return error.BUSY;
    }

    fn pollOwn(self: *Uring, fd: sys.Fd, own: Own) Error!void {
        try self.makeRoom();
        self.ring.push(pollAdd(fd, in, own.token()));
    }
};

/// The kernel's own way to write a byte when the queue's descriptor becomes readable: a ring of its
/// own, since the chain must run while the owner is elsewhere, with a poll linked to a send.
const WakeRing = struct {
    ring: Ring,
    armed: bool = false,

    const send_flags = 0x4000 | 0x40; // MSG_NOSIGNAL | MSG_DONTWAIT
    const poll_token = 1;
    const send_token = 2;

    fn open(front: sys.Fd, out: sys.Fd) Error!WakeRing {
        var ring = try Ring.open(8, 16, 0);
        errdefer ring.close();
        try ring.require(&.{ .poll_add, .send });
        // By place, not by number: when the queue closes `out`, a chain on its way must not find the
        // next file of that number.
        try ring.registerFiles(&.{ front, out });
        return .{ .ring = ring };
    }

    fn arm(self: *WakeRing) Error!void {
        // Whatever it says, the chain is at its end.
        while (self.ring.next()) |_| self.armed = false;
        if (self.armed) return;
        self.ring.push(.{
            .opcode = .poll_add,
            .flags = kernel.Request.fixed_file | kernel.Request.link | kernel.Request.quiet_success,
            .fd = 0,
            .operation_flags = in,
            .user_data = poll_token,
        });
        self.ring.push(.{
            .opcode = .send,
            .flags = kernel.Request.fixed_file,
            .fd = 1,
            .addr = @intFromPtr(helper.byte.ptr),
            .len = helper.byte.len,
            .operation_flags = send_flags,
            .user_data = send_token,
        });
        self.armed = true;
        try self.ring.submit(self.ring.unsubmitted());
    }
};

const in: u32 = 1;
const nval: u16 = 0x20;

fn pollAdd(fd: sys.Fd, bits: u32, token: u64) kernel.Sqe {
    return .{
        .opcode = .poll_add,
        .fd = fd,
        .len = kernel.poll_multishot,
        .operation_flags = bits,
        .user_data = token,
    };
}

fn tokenOf(storage: *const Storage, index: u32) u64 {
    return @bitCast(Token{ .index = index, .generation = storage.generation });
}

/// What the back-end keeps in `Storage.link` about the poll in the kernel.
const Armed = packed struct(u32) {
    want: u16,
    mark: u16,
};

/// What can be said about the file behind a descriptor.
const File = struct {
    kind: Kind,
    /// Two files with different marks are different files.
    mark: u16,

    const Kind = enum {
        /// It has no poll of its own. Such are regular files.
        always_ready,
        /// What has neither name nor type: a write to an eventfd can be what it reports.
        may_hold_eventfd,
        /// Its mark is its own.
        known,
    };

    /// EBADF: there is none.
    fn of(queue: *Queue, storage: *const Storage) Error!File {
        const first = storage.interests.head;
        // The short way for what most are.
        if (first != none and queue.kevents.at(first).event.type == abi.Type.KEVENT_SOCKET) {
            if (sys.socketCookie(storage.fd)) |cookie| return known(cookie) else |_| {}
        }
        // What the kernel says of files that have no poll of their own.
        const default_bits = abi.Poll.KEVENT_POLL_IN | abi.Poll.KEVENT_POLL_OUT |
            abi.Poll.KEVENT_POLL_RDNORM | abi.Poll.KEVENT_POLL_WRNORM;
        const bits = sys.pollNow(storage.fd, default_bits);
        if (bits & nval != 0) return error.BADF;
        const identity = try sys.identify(storage.fd);
        if (identity.kind == .socket) return known(try sys.socketCookie(storage.fd));
        if (bits == default_bits and !sys.hasPoll(storage.fd)) return .{ .kind = .always_ready, .mark = 0 };
        if (identity.kind == .anonymous) return .{ .kind = .may_hold_eventfd, .mark = 0 };
        return known(identity.inode +% identity.device);
    }

    fn known(number: u64) File {
        // 0 is the mark of those that have none.
        return .{ .kind = .known, .mark = @truncate(std.hash.int(number) | 1) };
    }
};

/// Nothing will be heard of this storage any more.
fn breakInterests(queue: *Queue, index: u32, err: Error) void {
    var interest = queue.storages.at(index).interests.head;
    while (interest != none) : (interest = queue.kevents.at(interest).storage_next) queue.breakUp(interest, err);
}
