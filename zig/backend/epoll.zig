//! The epoll back-end: an epoll instance is the queue's descriptor; an eventfd in it stands for the
//! ready list and for interrupts, two timerfds for the clocks. timerfd and not the timeout of
//! epoll_wait, because the kernel may stretch a timeout by the thread's timer slack (50 us).

const std = @import("std");
const sys = @import("../sys/linux.zig");
const Error = @import("../errors.zig").Error;
const Queue = @import("../queue.zig").Queue;
const storages = @import("../storage.zig");
const Storage = storages.Storage;
const Token = storages.Token;
const backends = @import("../backend.zig");
const helper = @import("../helper.zig");

/// Events taken by one poll. The kernel hands the others out next time, as it goes round. Not more
/// rounds of fewer: it reports a level again in each, before anybody could consume it.
const batch = 1024;

const notice: Token = .{ .index = 0xffff_fff0, .generation = 0 };
const clocks = [2]Token{ .{ .index = 0xffff_fff1, .generation = 0 }, .{ .index = 0xffff_fff2, .generation = 0 } };

pub const notice_token: u64 = @bitCast(notice);
pub const monotonic_token: u64 = @bitCast(clocks[@backingInt(sys.ClockId.monotonic)]);

pub const Epoll = struct {
    epoll: sys.Fd,
    /// Readable while the ready list has something, or after an interrupt.
    notice: sys.Fd,
    notice_set: bool = false,
    timers: [2]Timer = @splat(.{}),
    /// Where the helper thread writes; its ticket while armed.
    helper_ticket: ?helper.Ticket = null,
    /// Where a byte was asked for and nobody has collected since; -1 otherwise.
    asleep_on: sys.Fd = -1,
    /// Token of the last event for a storage that is gone.
    stale: ?u64 = null,

    const Timer = struct {
        fd: sys.Fd = -1,
        /// What the kernel has; undefined when `known` is false (it fired).
        armed_ns: ?u64 = null,
        known: bool = true,
    };

    pub fn init(self: *Epoll, _: backends.Config) Error!void {
        const epoll = try sys.epollCreate();
        errdefer sys.close(epoll);
        const eventfd = try sys.eventfd();
        errdefer sys.close(eventfd);
        try sys.epollControl(epoll, .add, eventfd, in, @bitCast(notice));
        self.* = .{ .epoll = epoll, .notice = eventfd };
    }

    pub fn deinit(self: *Epoll) void {
        if (self.helper_ticket) |ticket| helper.cancel(ticket);
        for (self.timers) |timer| if (timer.fd >= 0) sys.close(timer.fd);
        sys.close(self.notice);
        sys.close(self.epoll);
        self.* = undefined;
    }

    pub fn descriptor(self: *const Epoll) sys.Fd {
        return self.epoll;
    }

    pub fn watch(self: *Epoll, queue: *Queue, index: u32) Error!backends.Watched {
        const storage = queue.storages.at(index);
        const events = eventsOf(storage);
        const token = tokenOf(storage, index);
        if (!storage.flags.armed) return self.add(storage, events, token);
        sys.epollControl(self.epoll, .modify, storage.fd, events, token) catch |err| switch (err) {
            // The number is another file by now, perhaps one that epoll cannot watch: the old one was
            // closed while registered.
            error.NOENT, error.PERM => {
                storage.flags.armed = false;
                _ = try self.add(storage, events, token);
                return .reopened;
            },
            else => return err,
        };
        return .watched;
    }

    fn add(self: *Epoll, storage: *Storage, events: u32, token: u64) Error!backends.Watched {
        sys.epollControl(self.epoll, .add, storage.fd, events, token) catch |err| switch (err) {
            // What epoll calls "not permitted" is a file without poll: it is always ready.
            error.PERM => return .always,
            // Left over from a registration that ended while the number was another file's.
            error.EXIST => try sys.epollControl(self.epoll, .modify, storage.fd, events, token),
            else => return err,
        };
        storage.flags.armed = true;
        return .watched;
    }

    pub fn unwatch(self: *Epoll, queue: *Queue, index: u32) void {
        const storage = queue.storages.at(index);
        storage.flags.armed = false;
        // ENOENT and EBADF: the descriptor was closed first, and epoll forgot it by itself, unless a
        // duplicate is open somewhere: `poll` notices when that one reports.
        sys.epollControl(self.epoll, .remove, storage.fd, 0, 0) catch {};
    }

    /// The kernel keeps reporting a level by itself.
    pub fn rearm(_: *Epoll, _: *Queue, _: u32) void {}

    pub fn setTimer(self: *Epoll, clock: sys.ClockId, deadline_ns: ?u64) Error!void {
        const timer = &self.timers[@backingInt(clock)];
        if (timer.known and timer.armed_ns == deadline_ns) return;
        if (timer.fd < 0) {
            const fd = try sys.timerfd(clock);
            errdefer sys.close(fd);
            try sys.epollControl(self.epoll, .add, fd, in, @bitCast(clocks[@backingInt(clock)]));
            timer.fd = fd;
        }
        // Setting also takes back an expiry that was not read.
        try sys.timerfdSet(timer.fd, deadline_ns, clock == .wall);
        timer.* = .{ .fd = timer.fd, .armed_ns = deadline_ns };
    }

    pub fn poll(self: *Epoll, queue: *Queue, limit_ns: ?u64) Error!void {
        // Whoever collects is awake.
        self.asleep_on = -1;
        var events: [batch]sys.EpollEvent = undefined;
        const got = self.wait(queue, &events, limit_ns) catch |err| switch (err) {
            error.INTR => return,
            else => return err,
        };
        // Closed by another thread while the lock was free.
        if (queue.closed) return;
        for (got) |event| try self.dispatch(queue, event);
    }

    fn wait(self: *Epoll, queue: *Queue, events: []sys.EpollEvent, limit_ns: ?u64) Error![]sys.EpollEvent {
        if (limit_ns == 0) return sys.epollWait(self.epoll, events, 0);
        self.setReady(false);
        queue.beginSleep();
        defer queue.endSleep();
        return sys.epollWait(self.epoll, events, limit_ns);
    }

    pub fn dispatch(self: *Epoll, queue: *Queue, event: sys.EpollEvent) Error!void {
        const token: Token = @bitCast(event.token);
        if (event.token == notice_token) {
            self.notice_set = true;
            self.setReady(false);
        } else if (event.token == monotonic_token) {
            self.timers[@backingInt(sys.ClockId.monotonic)].known = false;
        } else if (event.token == @as(u64, @bitCast(clocks[@backingInt(sys.ClockId.wall)]))) {
            self.wallFired(queue);
        } else if (!queue.activity(token, event.events)) {
            // Once is a storage that another thread removed while this batch was on its way.
            if (self.stale == event.token) try self.rebuild(queue);
            self.stale = event.token;
        }
    }

    fn wallFired(self: *Epoll, queue: *Queue) void {
        const timer = &self.timers[@backingInt(sys.ClockId.wall)];
        timer.known = false;
        var count: u64 = 0;
        _ = sys.read(timer.fd, std.mem.asBytes(&count)) catch |err| {
            if (err == error.CANCELED) queue.clockSet();
        };
    }

    /// epoll reports a storage that is gone: its descriptor was closed while a duplicate kept the file
    /// open, and now nothing can name it any more. Left alone it would be reported for ever; a new
    /// instance in place of the old forgets it.
    fn rebuild(self: *Epoll, queue: *Queue) Error!void {
        const fresh = try sys.epollCreate();
        defer sys.close(fresh);
        try sys.epollControl(fresh, .add, self.notice, in, @bitCast(notice));
        for (self.timers, clocks) |timer, token| {
            if (timer.fd >= 0) try sys.epollControl(fresh, .add, timer.fd, in, @bitCast(token));
        }
        for (queue.storages.array.items[0..queue.storages.used], 0..) |*storage, index| {
            if (!storage.flags.live or !storage.flags.armed) continue;
            sys.epollControl(fresh, .add, storage.fd, eventsOf(storage), tokenOf(storage, @intCast(index))) catch {
                storage.flags.armed = false;
            };
        }
        try sys.dup3(fresh, self.epoll);
        self.stale = null;
    }

    pub fn flush(_: *Epoll, _: *Queue) Error!void {}

    pub fn setReady(self: *Epoll, ready: bool) void {
        if (ready == self.notice_set) return;
        self.notice_set = ready;
        if (ready) sys.eventfdSignal(self.notice) else _ = sys.eventfdClear(self.notice);
    }

    pub fn interrupt(self: *Epoll) void {
        if (self.asleep_on >= 0) self.wakeScript();
        self.setReady(true);
    }

    /// We know that the byte is due, so it need not wait until the helper thread has noticed too.
    fn wakeScript(self: *Epoll) void {
        _ = sys.sendQuietly(self.asleep_on, helper.byte) catch {};
        helper.disarm(self.helper_ticket.?, self.epoll);
        self.asleep_on = -1;
    }

    pub fn wakeVia(self: *Epoll, out: sys.Fd) Error!void {
        if (self.helper_ticket == null) self.helper_ticket = try helper.enlist(self.epoll, out);
        try helper.arm(self.helper_ticket.?, self.epoll);
        self.asleep_on = out;
    }

    pub fn now(_: *Epoll, clock: sys.ClockId) u64 {
        return sys.now(clock);
    }
};

const in: u32 = 1;

fn eventsOf(storage: *const Storage) u32 {
    return @as(u32, storage.want) | if (storage.flags.edge) sys.EPOLLET else 0;
}

fn tokenOf(storage: *const Storage, index: u32) u64 {
    return @bitCast(Token{ .index = index, .generation = storage.generation });
}
