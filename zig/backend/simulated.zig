//! The simulated back-end: real descriptors, but time, order and faults come from a seed, so that a
//! test which found something finds it again.
//!
//! - *Readiness* is the kernel's, asked through an inner epoll back-end. poll(2) could not do it: it
//!   can tell neither an edge (drained and filled again looks as if nothing happened) nor that a
//!   number is another file by now. What the kernel reports is sorted and then shuffled by the seed.
//! - *Time* stands still between calls. Both clocks start at fixed moments. Stopped by hand they move
//!   by KEVENT_SIMULATE_ADVANCE alone, and a wait with a limit only looks. Otherwise a wait jumps to
//!   the next deadline at once if only this queue can make something happen: one thread, nothing
//!   watched. If the world can, it really waits, and the clocks move by what that took. Each look
//!   takes a microsecond, so that a program that only ever looks gets somewhere.
//! - *Faults*, of 1000 looks or events so many: a look that sees nothing, as if interrupted; one that
//!   does not wait; an event that comes some looks later. An edge is kept until then, a level is
//!   asked for again; nothing is lost.
//!
//! The descriptor and a sleeping script work in real time: a timerfd stands for the next deadline, and
//! when it expires the clocks are moved there.
//!
//! What was called and what was handed on goes into a hash. Same seed and same calls give the same
//! hash, as long as nothing was waited for in real time.

const std = @import("std");
const abi = @import("../abi.zig");
const sys = @import("../sys/linux.zig");
const Error = @import("../errors.zig").Error;
const Queue = @import("../queue.zig").Queue;
const Token = @import("../storage.zig").Token;
const backends = @import("../backend.zig");
const epoll = @import("epoll.zig");
const Text = @import("../info.zig").Text;

/// Where the clocks start: one second after boot, and the first moment of 2026.
pub const monotonic_start_ns: u64 = std.time.ns_per_s;
pub const wall_start_ns: u64 = 1_767_225_600 * std.time.ns_per_s;

/// What a look takes.
const look_ns = std.time.ns_per_us;

/// Edges held back at the same time. One more is simply not held back.
const held_most = 64;
/// For so many looks at most.
const held_looks_most = 4;

const batch = 256;

pub const Simulated = struct {
    inner: epoll.Epoll,
    seed: u64,
    random: std.Random.DefaultPrng,
    clocks: [2]u64 = clocks: {
        var clocks: [2]u64 = undefined;
        clocks[@backingInt(sys.ClockId.monotonic)] = monotonic_start_ns;
        clocks[@backingInt(sys.ClockId.wall)] = wall_start_ns;
        break :clocks clocks;
    },
    /// While somebody sleeps in real time: since when. The clocks move with it.
    flowing_since_ns: ?u64 = null,
    /// The clocks move by ADVANCE only.
    manual: bool = false,
    faults_per_mille: u32 = 0,
    deadlines: [2]?u64 = @splat(null),
    /// Deadlines that the timerfd stands for; null when it must be set again.
    armed: ?[2]?u64 = null,
    /// Storages that the kernel watches.
    watched: u32 = 0,
    held: [held_most]Held = undefined,
    held_count: u32 = 0,
    looks: u64 = 0,
    faults: u64 = 0,
    trace: u64 = trace_start,

    const Held = struct { event: sys.EpollEvent, looks_left: u32 };

    /// What the trace tells apart.
    const Step = enum(u8) { watch, unwatch, rearm, look, interrupted, hurried, held, handed_on, jumped, steered };

    pub fn init(self: *Simulated, config: backends.Config) Error!void {
        self.* = .{ .inner = undefined, .seed = config.seed, .random = .init(config.seed) };
        try self.inner.init(config);
    }

    pub fn deinit(self: *Simulated) void {
        self.inner.deinit();
        self.* = undefined;
    }

    pub fn descriptor(self: *const Simulated) sys.Fd {
        return self.inner.descriptor();
    }

    // --- watching ----------------------------------------------------------------------------

    pub fn watch(self: *Simulated, queue: *Queue, index: u32) Error!backends.Watched {
        const storage = queue.storages.at(index);
        const before = storage.flags.armed;
        // Counted even if it fails, because a failure may leave it watched or not.
        defer self.countWatched(before, storage.flags.armed);
        const watched = try self.inner.watch(queue, index);
        self.note(.watch, .{ index, storage.want, @intFromBool(storage.flags.edge) });
        return watched;
    }

    pub fn unwatch(self: *Simulated, queue: *Queue, index: u32) void {
        const storage = queue.storages.at(index);
        const before = storage.flags.armed;
        self.inner.unwatch(queue, index);
        self.countWatched(before, storage.flags.armed);
        self.note(.unwatch, .{ index, 0, 0 });
    }

    fn countWatched(self: *Simulated, before: bool, after: bool) void {
        if (before == after) return;
        if (after) self.watched += 1 else self.watched -= 1;
    }

    /// Levels are the kernel's.
    pub fn rearm(self: *Simulated, _: *Queue, index: u32) void {
        self.note(.rearm, .{ index, 0, 0 });
    }

    // --- time --------------------------------------------------------------------------------

    pub fn now(self: *Simulated, clock: sys.ClockId) u64 {
        const flowed = if (self.flowing_since_ns) |since| sys.now(.monotonic) - since else 0;
        return self.clocks[@backingInt(clock)] + flowed;
    }

    pub fn setTimer(self: *Simulated, clock: sys.ClockId, deadline_ns: ?u64) Error!void {
        self.deadlines[@backingInt(clock)] = deadline_ns;
        // Somebody sleeps until what was the next deadline before.
        if (self.flowing_since_ns != null) try self.setTimerfd();
    }

    /// Nanoseconds until the earlier of these deadlines; null without.
    fn untilNext(self: *Simulated, deadlines: [2]?u64) ?u64 {
        var least: ?u64 = null;
        for ([_]sys.ClockId{ .monotonic, .wall }) |clock| {
            const deadline = deadlines[@backingInt(clock)] orelse continue;
            least = @min(least orelse std.math.maxInt(u64), deadline -| self.now(clock));
        }
        return least;
    }

    fn advance(self: *Simulated, ns: u64) void {
        for (&self.clocks) |*clock| clock.* +|= ns;
    }

    /// The clocks move without real time: what the timerfd knows is wrong now.
    fn jump(self: *Simulated, ns: u64) void {
        self.advance(ns);
        self.armed = null;
        self.note(.jumped, .{ ns, 0, 0 });
    }

    /// Set the timerfd, for those who poll the descriptor.
    pub fn flush(self: *Simulated, _: *Queue) Error!void {
        return self.setTimerfd();
    }

    fn setTimerfd(self: *Simulated) Error!void {
        const deadlines: [2]?u64 = if (self.manual) @splat(null) else self.deadlines;
        if (self.armed) |armed| if (std.meta.eql(armed, deadlines)) return;
        const real_ns = if (self.untilNext(deadlines)) |ns| sys.now(.monotonic) +| ns else null;
        try self.inner.setTimer(.monotonic, real_ns);
        self.armed = deadlines;
    }

    /// Real time has come to the deadline that the timerfd stood for.
    fn timerExpired(self: *Simulated) Error!void {
        if (self.armed) |armed| self.advance(self.untilNext(armed) orelse 0);
        self.armed = null;
        self.inner.timers[@backingInt(sys.ClockId.monotonic)].known = false;
        try self.inner.setTimer(.monotonic, null);
    }

    // --- looking -----------------------------------------------------------------------------

    pub fn poll(self: *Simulated, queue: *Queue, limit_ns: ?u64) Error!void {
        self.looks += 1;
        // Whoever collects is awake.
        self.inner.asleep_on = -1;
        self.note(.look, .{ 0, 0, 0 });
        if (!self.manual and self.flowing_since_ns == null) self.advance(look_ns);
        var hurried = false;
        if (self.strikes()) {
            hurried = self.random.random().boolean();
            self.note(if (hurried) .hurried else .interrupted, .{ 0, 0, 0 });
            if (!hurried) return;
        }
        const found = try self.look(queue, true);
        if (found or hurried or limit_ns == 0) return;
        // Nothing else to come first: what was held back comes now.
        if (try self.release(queue)) return;
        try self.await(queue, limit_ns);
    }

    fn await(self: *Simulated, queue: *Queue, limit_ns: ?u64) Error!void {
        const deadlines: [2]?u64 = if (self.manual) @splat(null) else self.deadlines;
        const until_next = self.untilNext(deadlines);
        const span: ?u64 = if (limit_ns) |limit| @min(limit, until_next orelse limit) else until_next;
        if (span == 0) return;
        if (span) |ns| if (queue.single and self.watched == 0) return self.jump(ns);
        try self.sleep(queue, span);
        if (!queue.closed) _ = try self.look(queue, false);
    }

    /// In poll(2) and not in epoll_wait, which would take an edge with it.
    fn sleep(self: *Simulated, queue: *Queue, span_ns: ?u64) Error!void {
        self.inner.setReady(false);
        const since = sys.now(.monotonic);
        self.flowing_since_ns = since;
        queue.beginSleep();
        var fds = [1]sys.PollFd{.{ .fd = self.inner.epoll, .events = 1, .revents = 0 }};
        const outcome = sys.poll(&fds, span_ns);
        queue.endSleep();
        self.flowing_since_ns = null;
        self.advance(sys.now(.monotonic) - since);
        _ = outcome catch |err| switch (err) {
            error.INTR => {},
            else => return err,
        };
    }

    /// Hand on what the kernel has, in an order of our own. True if there was something.
    fn look(self: *Simulated, queue: *Queue, may_hold: bool) Error!bool {
        var found = try self.handOnHeld(queue, 1);
        var events: [batch]sys.EpollEvent = undefined;
        const got = sys.epollWait(self.inner.epoll, &events, 0) catch |err| switch (err) {
            error.INTR => return found,
            else => return err,
        };
        std.mem.sortUnstable(sys.EpollEvent, got, {}, isBefore);
        self.random.random().shuffle(sys.EpollEvent, got);
        for (got) |event| {
            if (try self.take(queue, event, may_hold)) found = true;
        }
        return found;
    }

    fn isBefore(_: void, a: sys.EpollEvent, b: sys.EpollEvent) bool {
        return a.token < b.token;
    }

    fn take(self: *Simulated, queue: *Queue, event: sys.EpollEvent, may_hold: bool) Error!bool {
        if (event.token == epoll.notice_token) {
            try self.inner.dispatch(queue, event);
        } else if (event.token == epoll.monotonic_token) {
            try self.timerExpired();
        } else if (may_hold and self.strikes() and self.hold(queue, event)) {
            return false;
        } else {
            try self.handOn(queue, event);
        }
        return true;
    }

    fn handOn(self: *Simulated, queue: *Queue, event: sys.EpollEvent) Error!void {
        const token: Token = @bitCast(event.token);
        self.note(.handed_on, .{ token.index, event.events, 0 });
        try self.inner.dispatch(queue, event);
    }

    // --- faults ------------------------------------------------------------------------------

    fn strikes(self: *Simulated) bool {
        // No number is drawn without faults, so that turning them off changes nothing else.
        if (self.faults_per_mille == 0) return false;
        const struck = self.random.random().uintLessThan(u32, 1000) < self.faults_per_mille;
        self.faults += @intFromBool(struck);
        return struck;
    }

    /// Keep an event back. False when there is no room for one that cannot be asked for again.
    fn hold(self: *Simulated, queue: *Queue, event: sys.EpollEvent) bool {
        const token: Token = @bitCast(event.token);
        if (token.index >= queue.storages.used) return false;
        self.note(.held, .{ token.index, 0, 0 });
        if (!queue.storages.at(token.index).flags.edge) return true;
        if (self.held_count == held_most) return false;
        const looks = self.random.random().intRangeAtMost(u32, 1, held_looks_most);
        self.held[self.held_count] = .{ .event = event, .looks_left = looks };
        self.held_count += 1;
        return true;
    }

    /// So many looks have passed for what is held back.
    fn handOnHeld(self: *Simulated, queue: *Queue, looks: u32) Error!bool {
        var found = false;
        var kept: u32 = 0;
        const count = self.held_count;
        for (0..count) |n| {
            var held = self.held[n];
            held.looks_left -|= looks;
            if (held.looks_left > 0) {
                self.held[kept] = held;
                kept += 1;
            } else {
                found = true;
                try self.handOn(queue, held.event);
            }
        }
        self.held_count = kept;
        return found;
    }

    fn release(self: *Simulated, queue: *Queue) Error!bool {
        return self.handOnHeld(queue, held_looks_most);
    }

    // --- waking ------------------------------------------------------------------------------

    pub fn setReady(self: *Simulated, ready: bool) void {
        // The kernel has forgotten an edge that is held back, so it must be told here.
        self.inner.setReady(ready or self.held_count > 0);
    }

    pub fn interrupt(self: *Simulated) void {
        self.inner.interrupt();
    }

    pub fn wakeVia(self: *Simulated, fd: sys.Fd) Error!void {
        return self.inner.wakeVia(fd);
    }

    // --- steering ----------------------------------------------------------------------------

    pub fn steer(self: *Simulated, queue: *Queue, operation: u32, value: f64) Error!i32 {
        const whole = try wholeOf(value);
        switch (operation) {
            abi.Simulate.KEVENT_SIMULATE_ADVANCE => {
                if (whole < 0) return error.INVAL;
                self.jump(@intCast(whole));
            },
            abi.Simulate.KEVENT_SIMULATE_MANUAL_CLOCK => {
                if (whole != 0 and whole != 1) return error.INVAL;
                self.manual = whole == 1;
                // The timerfd must not go on in real time.
                self.armed = null;
                try self.setTimerfd();
            },
            abi.Simulate.KEVENT_SIMULATE_FAULTS_PER_MILLE => {
                if (whole < 0 or whole > 1000) return error.INVAL;
                self.faults_per_mille = @intCast(whole);
            },
            abi.Simulate.KEVENT_SIMULATE_SET_WALL => {
                const wall = &self.clocks[@backingInt(sys.ClockId.wall)];
                wall.* = if (whole < 0) wall.* -| @abs(whole) else wall.* +| @abs(whole);
                self.armed = null;
                queue.clockSet();
            },
            else => return error.INVAL,
        }
        self.note(.steered, .{ operation, @bitCast(whole), 0 });
        return 0;
    }

    /// Script's numbers are doubles.
    fn wholeOf(value: f64) Error!i64 {
        const most = 1 << 62;
        if (std.math.isNan(value) or value > most or value < -most) return error.INVAL;
        return @trunc(value);
    }

    // --- the trace ---------------------------------------------------------------------------

    const trace_start = 0xcbf2_9ce4_8422_2325;

    fn note(self: *Simulated, step: Step, values: [3]u64) void {
        self.trace = mix(self.trace, @backingInt(step));
        for (values) |value| self.trace = mix(self.trace, value);
    }

    fn mix(trace: u64, value: u64) u64 {
        const product = (trace ^ value) *% 0x9fb2_1c65_1e98_df25;
        return product ^ product >> 32;
    }

    /// For `kevent_info`. As text what script's numbers could not hold.
    pub fn describe(self: *const Simulated, text: *Text) void {
        text.print("\"seed\":\"{d}\",\"trace\":\"{x:0>16}\",\"looks\":{d},\"faults\":{d},\"manual\":{}", .{
            self.seed, self.trace, self.looks, self.faults, self.manual,
        });
    }
};
