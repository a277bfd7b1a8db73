//! The helper thread of the epoll back-end: one per process, only while some script sleeps on epoll.
//! It waits until a sleeping queue's descriptor is readable and writes one byte where that script's
//! runtime listens. It touches no queue and no script memory. S0-25 holds for io_uring, where the
//! kernel does this by itself.

const std = @import("std");
const sys = @import("sys/linux.zig");
const Error = @import("errors.zig").Error;
const pools = @import("pool.zig");
const sync = @import("sync.zig");

/// What a script is woken with.
pub const byte = "!";

pub const Ticket = struct { number: u32, generation: u32 };

/// Queues that ever slept and were not closed: more than there are descriptors for, of which each has several.
const seats_most = 1 << 20;

const Seat = struct {
    pub const free_link = "next";
    next: u32,
    out: sys.Fd,
    /// Goes on where the last one who sat here stopped: what is on its way to him must not match.
    generation: u32,
    taken: bool,
};

var lock: sync.Mutex = .{};
var seats: ?pools.Pool(Seat) = null;
var running = false;
/// An epoll instance with the descriptors of the queues in it.
var outer: sys.Fd = -1;
/// Readable when the thread should look whether it is still needed.
var bell: sys.Fd = -1;

const bell_token: u64 = std.math.maxInt(u64);
const in: u32 = 1;

/// A place for a queue whose wake-up bytes go to `out`.
pub fn enlist(queue_fd: sys.Fd, out: sys.Fd) Error!Ticket {
    lock.lock();
    defer lock.unlock();
    try start();
    if (seats == null) seats = try .init(seats_most);
    const number = try seats.?.create();
    errdefer seats.?.destroy(number);
    const seat = seats.?.at(number);
    seat.generation +%= 1;
    const ticket: Ticket = .{ .number = number, .generation = seat.generation };
    try register(queue_fd, ticket, 0);
    seat.out = out;
    seat.taken = true;
    return ticket;
}

/// One byte as soon as the queue's descriptor is readable.
pub fn arm(ticket: Ticket, queue_fd: sys.Fd) Error!void {
    return register(queue_fd, ticket, in | sys.EPOLLONESHOT);
}

pub fn disarm(ticket: Ticket, queue_fd: sys.Fd) void {
    register(queue_fd, ticket, 0) catch {};
}

/// The queue ends, and so does the right to write to its `out`.
pub fn cancel(ticket: Ticket) void {
    lock.lock();
    defer lock.unlock();
    seats.?.at(ticket.number).taken = false;
    seats.?.destroy(ticket.number);
    if (seats.?.count == 0) sys.eventfdSignal(bell);
}

fn register(queue_fd: sys.Fd, ticket: Ticket, events: u32) Error!void {
    const token = @as(u64, ticket.generation) << 32 | ticket.number;
    sys.epollControl(outer, .modify, queue_fd, events, token) catch |err| switch (err) {
        // First time, or the queue put a new epoll instance in place of its old one.
        error.NOENT => try sys.epollControl(outer, .add, queue_fd, events, token),
        else => return err,
    };
}

fn start() Error!void {
    if (running) return;
    const epoll = try sys.epollCreate();
    errdefer sys.close(epoll);
    const eventfd = try sys.eventfd();
    errdefer sys.close(eventfd);
    try sys.epollControl(epoll, .add, eventfd, in, bell_token);
    outer = epoll;
    bell = eventfd;
    try sys.spawnQuietThread(run);
    running = true;
}

fn run(_: ?*anyopaque) callconv(.c) ?*anyopaque {
    var events: [64]sys.EpollEvent = undefined;
    while (true) {
        const got = sys.epollWait(outer, &events, null) catch |err| switch (err) {
            error.INTR => continue,
            else => return giveUp(),
        };
        lock.lock();
        defer lock.unlock();
        for (got) |event| {
            if (event.token == bell_token) {
                if (stopIfAlone()) return null;
            } else deliver(event.token);
        }
    }
}

/// Somebody closed what this thread sleeps on, and it would spin for ever. The numbers may be his by now,
/// so nothing is closed; whoever sleeps next starts anew.
fn giveUp() ?*anyopaque {
    lock.lock();
    defer lock.unlock();
    running = false;
    return null;
}

/// The last queue is gone: end the thread, unless another one came meanwhile.
fn stopIfAlone() bool {
    _ = sys.eventfdClear(bell);
    if (seats.?.count > 0) return false;
    sys.close(outer);
    sys.close(bell);
    running = false;
    return true;
}

fn deliver(token: u64) void {
    const seat = seats.?.at(@truncate(token));
    if (!seat.taken or seat.generation != @as(u32, @truncate(token >> 32))) return;
    // A full socket holds bytes that the script has not read: it will wake up anyway.
    _ = sys.sendQuietly(seat.out, byte) catch {};
}

test "the thread ends when somebody closes what it sleeps on, and the next one who sleeps starts it anew" {
    const ends = try sys.socketpair();
    defer for (ends) |fd| sys.close(fd);
    const queue = try sys.epollCreate();
    defer sys.close(queue);
    const event = try sys.eventfd();
    defer sys.close(event);
    try sys.epollControl(queue, .add, event, in, 0);
    const first = try enlist(queue, ends[0]);
    sys.close(outer);
    sys.eventfdSignal(bell);
    defer cancel(first);
    for (0..500) |_| {
        lock.lock();
        const ended = !running;
        lock.unlock();
        if (ended) break;
        _ = sys.poll(&.{}, std.time.ns_per_ms * 10) catch {};
    } else return error.TestUnexpectedResult;
    const second = try enlist(queue, ends[0]);
    defer cancel(second);
    try arm(second, queue);
    sys.eventfdSignal(event);
    try expectByte(ends[1]);
}

test "thousands sleep at the same time, and each is woken" {
    const ends = try sys.socketpair();
    defer for (ends) |fd| sys.close(fd);
    const queue = try sys.epollCreate();
    defer sys.close(queue);
    const event = try sys.eventfd();
    defer sys.close(event);
    try sys.epollControl(queue, .add, event, in, 0);
    // The descriptor goes over to whoever comes next.
    var tickets: [5000]Ticket = undefined;
    for (&tickets) |*ticket| ticket.* = try enlist(queue, ends[0]);
    defer for (tickets) |ticket| cancel(ticket);
    sys.eventfdSignal(event);
    for ([_]usize{ 0, 1023, 1024, 4999 }) |place| {
        try arm(tickets[place], queue);
        try expectByte(ends[1]);
    }
}

fn expectByte(fd: sys.Fd) !void {
    var readable = [1]sys.PollFd{.{ .fd = fd, .events = 1, .revents = 0 }};
    _ = try sys.poll(&readable, std.time.ns_per_s * 5);
    try std.testing.expectEqual(1, readable[0].revents);
    var buffer: [8]u8 = undefined;
    try std.testing.expectEqual(1, try sys.read(fd, &buffer));
}
