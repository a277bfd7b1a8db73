//! System calls as functions that return named errors, and the few C library symbols we use.
//! The only file that knows how this Zig version spells system interfaces.

const std = @import("std");
const builtin = @import("builtin");
const linux = std.os.linux;
const errors = @import("../errors.zig");
pub const fault = @import("fault.zig");

pub const Error = errors.Error;

// --- results ---------------------------------------------------------------------------------

/// A raw result as a value or a named error. In tests a fault may be injected in its place.
pub fn result(comptime what: fault.Call, raw: u64) Error!usize {
    if (builtin.is_test) if (fault.inject(what)) |err| {
        // The call was made before anybody could stop it, and nobody will hear of what it opened.
        if (comptime fault.opens(what)) if (raw > 2 and raw < std.math.maxInt(Fd)) close(@intCast(raw));
        return err;
    };
    return decode(raw);
}

/// Before calls that take something with them: a refused one takes nothing.
inline fn mayRefuse(comptime what: fault.Call) Error!void {
    if (builtin.is_test) if (fault.inject(what)) |err| return err;
}

fn decode(raw: u64) Error!usize {
    const signed: i64 = @bitCast(raw);
    if (signed < 0 and signed > -4096) return errors.fromNumber(@intCast(-signed));
    return raw;
}

pub inline fn arg(value: anytype) u64 {
    return switch (@typeInfo(@TypeOf(value))) {
        .int, .comptime_int => @bitCast(@as(i64, @intCast(value))),
        .pointer => @intFromPtr(value),
        .optional => if (value) |pointer| @intFromPtr(pointer) else 0,
        else => @compileError("not a system call argument"),
    };
}

// --- descriptors -----------------------------------------------------------------------------

pub const Fd = i32;

pub fn close(fd: Fd) void {
    // On Linux the descriptor is gone even after EINTR; retrying could close somebody else's.
    _ = linux.syscall1(.close, arg(fd));
}

pub fn read(fd: Fd, buffer: []u8) Error!usize {
    while (true) {
        return result(.read, linux.syscall3(.read, arg(fd), arg(buffer.ptr), arg(buffer.len))) catch |err| switch (err) {
            error.INTR => continue,
            else => err,
        };
    }
}

pub fn write(fd: Fd, bytes: []const u8) Error!usize {
    while (true) {
        return result(.write, linux.syscall3(.write, arg(fd), arg(bytes.ptr), arg(bytes.len))) catch |err| switch (err) {
            error.INTR => continue,
            else => err,
        };
    }
}

const O_CLOEXEC = 0o2000000;
pub const O_NONBLOCK = 0o4000;

/// Is it an open descriptor at all?
pub fn isOpen(fd: Fd) bool {
    const F_GETFD = 1;
    _ = result(.fcntl, linux.syscall3(.fcntl, arg(fd), F_GETFD, 0)) catch return false;
    return true;
}

/// Whether this process may open one more.
pub fn hasFreeDescriptor() bool {
    const fd = eventfd() catch return false;
    close(fd);
    return true;
}

/// `anonymous` is what has no name anywhere and no type: eventfds, timerfds, epoll instances and the like.
pub const FileKind = enum { regular, directory, socket, anonymous, other };

pub const Identity = struct { kind: FileKind, device: u64, inode: u64 };

/// What a descriptor refers to, without asking for anything that costs a disk access.
pub fn identify(fd: Fd) Error!Identity {
    const AT_EMPTY_PATH = 0x1000;
    const AT_STATX_DONT_SYNC = 0x4000;
    const STATX_TYPE_INO = 0x101;
    var buffer: [256]u8 align(8) = undefined;
    _ = try result(.statx, linux.syscall5(.statx, arg(fd), arg(@as([*:0]const u8, "")), AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE_INO, arg(&buffer)));
    const mode = std.mem.readInt(u16, buffer[28..30], .little);
    const major: u64 = std.mem.readInt(u32, buffer[136..140], .little);
    const minor: u64 = std.mem.readInt(u32, buffer[140..144], .little);
    return .{
        .kind = switch (mode & 0o170000) {
            0o100000 => .regular,
            0o040000 => .directory,
            0o140000 => .socket,
            0 => .anonymous,
            else => .other,
        },
        .device = major << 32 | minor,
        .inode = std.mem.readInt(u64, buffer[32..40], .little),
    };
}

pub fn dup3(from: Fd, to: Fd) Error!void {
    _ = try result(.dup3, linux.syscall3(.dup3, arg(from), arg(to), O_CLOEXEC));
}

// --- eventfd, timerfd ------------------------------------------------------------------------

pub fn eventfd() Error!Fd {
    return @intCast(try result(.eventfd, linux.syscall2(.eventfd2, 0, O_CLOEXEC | O_NONBLOCK)));
}

/// Add one to an eventfd. It cannot fail short of 2^64 - 2 unread signals, which is also "set".
pub fn eventfdSignal(fd: Fd) void {
    const one: u64 = 1;
    _ = write(fd, std.mem.asBytes(&one)) catch {};
}

/// Take an eventfd's count back to zero; what it was.
pub fn eventfdClear(fd: Fd) u64 {
    var count: u64 = 0;
    _ = read(fd, std.mem.asBytes(&count)) catch return 0;
    return count;
}

pub const ClockId = enum(u32) { wall = 0, monotonic = 1 };

pub fn timerfd(clock: ClockId) Error!Fd {
    return @intCast(try result(.timerfd, linux.syscall2(.timerfd_create, @backingInt(clock), O_CLOEXEC | O_NONBLOCK)));
}

/// Arm at an absolute moment; null disarms. With `cancel_on_set` a read fails with ECANCELED when
/// the wall clock was set.
pub fn timerfdSet(fd: Fd, deadline_ns: ?u64, cancel_on_set: bool) Error!void {
    const TFD_TIMER_ABSTIME = 1;
    const TFD_TIMER_CANCEL_ON_SET = 2;
    // An all-zero value disarms, so the earliest moment that can be armed is 1 ns.
    const value = Timespec.fromNanoseconds(if (deadline_ns) |ns| @max(ns, 1) else 0);
    const spec = [2]Timespec{ .{ .s = 0, .ns = 0 }, value };
    const flags: u32 = TFD_TIMER_ABSTIME | @as(u32, if (cancel_on_set) TFD_TIMER_CANCEL_ON_SET else 0);
    _ = try result(.timerfd, linux.syscall4(.timerfd_settime, arg(fd), flags, arg(&spec), 0));
}

// --- time ------------------------------------------------------------------------------------

pub const Timespec = extern struct {
    s: i64,
    ns: i64,

    pub fn fromNanoseconds(ns: u64) Timespec {
        return .{ .s = @intCast(ns / std.time.ns_per_s), .ns = @intCast(ns % std.time.ns_per_s) };
    }
};

extern "c" fn clock_gettime(clock: c_int, out: *Timespec) c_int;

/// Nanoseconds on a clock, through the C library because it reads the clock without a system call.
pub fn now(clock: ClockId) u64 {
    var time: Timespec = .{ .s = 0, .ns = 0 };
    _ = clock_gettime(@intCast(@backingInt(clock)), &time);
    return @as(u64, @intCast(time.s)) * std.time.ns_per_s + @as(u64, @intCast(time.ns));
}

// --- epoll, poll -----------------------------------------------------------------------------

pub const EpollEvent = extern struct {
    events: u32,
    // The kernel packs this struct on x86_64 only.
    token: u64 align(if (builtin.cpu.arch == .x86_64) 4 else 8),
};

comptime {
    std.debug.assert(@sizeOf(EpollEvent) == if (builtin.cpu.arch == .x86_64) 12 else 16);
}

pub const EPOLLONESHOT: u32 = 1 << 30;
pub const EPOLLET: u32 = 1 << 31;
pub const EpollOperation = enum(u32) { add = 1, remove = 2, modify = 3 };

pub fn epollCreate() Error!Fd {
    return @intCast(try result(.epoll_create, linux.syscall1(.epoll_create1, O_CLOEXEC)));
}

pub fn epollControl(epoll: Fd, operation: EpollOperation, fd: Fd, events: u32, token: u64) Error!void {
    const event: EpollEvent = .{ .events = events, .token = token };
    _ = try result(.epoll_ctl, linux.syscall4(.epoll_ctl, arg(epoll), @backingInt(operation), arg(fd), arg(&event)));
}

/// Wait at most `limit_ns` (0: just look; null: for ever). EINTR is the caller's: time has passed.
pub fn epollWait(epoll: Fd, events: []EpollEvent, limit_ns: ?u64) Error![]EpollEvent {
    const limit = limit_ns orelse return epollWaitMilliseconds(epoll, events, -1);
    if (limit == 0) return epollWaitMilliseconds(epoll, events, 0);
    const count = epollWaitNanoseconds(epoll, events, limit) catch |err| switch (err) {
        // Before Linux 5.11. Rounded up: too late by less than 1 ms beats spinning below it.
        error.NOSYS => return epollWaitMilliseconds(epoll, events, millisecondsUp(limit)),
        else => return err,
    };
    return events[0..count];
}

fn epollWaitNanoseconds(epoll: Fd, events: []EpollEvent, limit_ns: u64) Error!usize {
    try mayRefuse(.epoll_wait);
    const timeout = Timespec.fromNanoseconds(limit_ns);
    return decode(linux.syscall6(.epoll_pwait2, arg(epoll), arg(events.ptr), arg(events.len), arg(&timeout), 0, 0));
}

fn epollWaitMilliseconds(epoll: Fd, events: []EpollEvent, timeout_ms: i32) Error![]EpollEvent {
    try mayRefuse(.epoll_wait);
    const count = try decode(switch (builtin.cpu.arch) {
        // A little less work for the kernel than the call that newer processors have instead.
        .x86_64 => linux.syscall4(.epoll_wait, arg(epoll), arg(events.ptr), arg(events.len), arg(timeout_ms)),
        else => linux.syscall6(.epoll_pwait, arg(epoll), arg(events.ptr), arg(events.len), arg(timeout_ms), 0, 0),
    });
    return events[0..count];
}

fn millisecondsUp(ns: u64) i32 {
    return @intCast(@min(std.math.divCeil(u64, ns, std.time.ns_per_ms) catch unreachable, std.math.maxInt(i32)));
}

pub const PollFd = extern struct { fd: Fd, events: u16, revents: u16 };

/// poll(2) with a timeout in ns (null: for ever).
pub fn poll(fds: []PollFd, timeout_ns: ?u64) Error!usize {
    const limit: ?Timespec = if (timeout_ns) |ns| Timespec.fromNanoseconds(ns) else null;
    const limit_pointer: ?*const Timespec = if (limit) |*l| l else null;
    // The address of nothing is none, which the kernel would refuse.
    const first: ?[*]PollFd = if (fds.len == 0) null else fds.ptr;
    return result(.poll, linux.syscall5(.ppoll, arg(first), arg(fds.len), arg(limit_pointer), 0, 0));
}

/// The poll bits of one descriptor right now; 0 when nothing holds.
pub fn pollNow(fd: Fd, bits: u32) u32 {
    var one = [1]PollFd{.{ .fd = fd, .events = @truncate(bits), .revents = 0 }};
    while (true) {
        _ = poll(&one, 0) catch |err| switch (err) {
            error.INTR => continue,
            else => return 0,
        };
        return one[0].revents;
    }
}

// --- io_uring --------------------------------------------------------------------------------

/// `params` is laid out in `io_uring.zig`. The descriptor is close-on-exec by itself.
pub fn ringSetup(entries: u32, params: *anyopaque) Error!Fd {
    return @intCast(try result(.io_uring_setup, linux.syscall2(.io_uring_setup, entries, arg(params))));
}

/// ETIMEDOUT when the wait ended without a completion; EOVERFLOW when completions were lost.
pub fn ringEnter(ring: Fd, submit: u32, least: u32, flags: u32, argument: ?*const anyopaque, argument_bytes: usize) Error!void {
    const ETIME: i64 = 62;
    const EBADR: i64 = 53;
    const raw = linux.syscall6(.io_uring_enter, arg(ring), submit, least, flags, arg(argument), argument_bytes);
    const signed: i64 = @bitCast(raw);
    if (signed == -ETIME) return error.TIMEDOUT;
    if (signed == -EBADR) return error.OVERFLOW;
    _ = try result(.io_uring_enter, raw);
}

pub fn ringRegister(ring: Fd, operation: u32, argument: ?*const anyopaque, count: u32) Error!void {
    _ = try result(.io_uring_register, linux.syscall4(.io_uring_register, arg(ring), operation, arg(argument), count));
}

/// Whether the file behind a descriptor has a poll of its own, that is, may be not ready.
pub fn hasPoll(fd: Fd) bool {
    const epoll = epollCreate() catch return true;
    defer close(epoll);
    epollControl(epoll, .add, fd, 0, 0) catch |err| return err != error.PERM;
    return true;
}

// --- sockets ---------------------------------------------------------------------------------

const AF_UNIX = 1;
const SOCK_STREAM = 1;

pub fn socketpair() Error![2]Fd {
    var fds: [2]Fd = undefined;
    _ = try result(.socketpair, linux.syscall4(.socketpair, AF_UNIX, SOCK_STREAM | O_CLOEXEC | O_NONBLOCK, 0, arg(&fds)));
    return fds;
}

/// ENOTSOCK or EBADF unless it is a socket.
pub fn requireSocket(fd: Fd) Error!void {
    const SOL_SOCKET = 1;
    const SO_TYPE = 3;
    var value: i32 = 0;
    var size: u32 = @sizeOf(i32);
    _ = try result(.getsockopt, linux.syscall5(.getsockopt, arg(fd), SOL_SOCKET, SO_TYPE, arg(&value), arg(&size)));
}

/// The pending error of a socket, which reading it clears; 0 without, or if it is no socket.
pub fn socketError(fd: Fd) u32 {
    const SOL_SOCKET = 1;
    const SO_ERROR = 4;
    var value: i32 = 0;
    var size: u32 = @sizeOf(i32);
    _ = result(.getsockopt, linux.syscall5(.getsockopt, arg(fd), SOL_SOCKET, SO_ERROR, arg(&value), arg(&size))) catch return 0;
    return @bitCast(value);
}

/// A number that no other socket of this machine ever has.
pub fn socketCookie(fd: Fd) Error!u64 {
    const SOL_SOCKET = 1;
    const SO_COOKIE = 57;
    var value: u64 = 0;
    var size: u32 = @sizeOf(u64);
    _ = try result(.getsockopt, linux.syscall5(.getsockopt, arg(fd), SOL_SOCKET, SO_COOKIE, arg(&value), arg(&size)));
    return value;
}

/// Send without raising SIGPIPE and without blocking.
pub fn sendQuietly(fd: Fd, bytes: []const u8) Error!usize {
    const MSG_NOSIGNAL_DONTWAIT = 0x4000 | 0x40;
    return result(.write, linux.syscall6(.sendto, arg(fd), arg(bytes.ptr), arg(bytes.len), MSG_NOSIGNAL_DONTWAIT, 0, 0));
}

// --- TCP -------------------------------------------------------------------------------------

/// An internet address as the kernel reads it.
pub const Address = struct {
    storage: [28]u8 align(4) = @splat(0),
    bytes: u32,

    const AF_INET = 2;
    const AF_INET6 = 10;

    /// An IPv4 or IPv6 address in digits; names are for the script to resolve.
    pub fn parse(text: []const u8, port: u16) Error!Address {
        const parsed = std.Io.net.IpAddress.parse(text, port) catch return error.INVAL;
        var address: Address = undefined;
        address = .{ .bytes = if (parsed == .ip4) 16 else 28 };
        const kind: u16 = if (parsed == .ip4) AF_INET else AF_INET6;
        @memcpy(address.storage[0..2], std.mem.asBytes(&kind));
        std.mem.writeInt(u16, address.storage[2..4], port, .big);
        switch (parsed) {
            .ip4 => |ip| @memcpy(address.storage[4..8], &ip.bytes),
            .ip6 => |ip| @memcpy(address.storage[8..24], &ip.bytes),
        }
        return address;
    }

    fn family(address: *const Address) u16 {
        return @bitCast(address.storage[0..2].*);
    }
};

fn tcpSocket(address: *const Address) Error!Fd {
    const flags = SOCK_STREAM | O_CLOEXEC | O_NONBLOCK;
    return @intCast(try result(.socket, linux.syscall3(.socket, address.family(), flags, 0)));
}

fn setOption(fd: Fd, level: u32, option: u32) Error!void {
    const one: i32 = 1;
    _ = try result(.getsockopt, linux.syscall5(.setsockopt, arg(fd), level, option, arg(&one), @sizeOf(i32)));
}

/// A listening socket. Its address may have been in use a moment ago.
pub fn tcpListen(address: *const Address, backlog: u32) Error!Fd {
    const SOL_SOCKET = 1;
    const SO_REUSEADDR = 2;
    const fd = try tcpSocket(address);
    errdefer close(fd);
    try setOption(fd, SOL_SOCKET, SO_REUSEADDR);
    _ = try result(.socket, linux.syscall3(.bind, arg(fd), arg(&address.storage), address.bytes));
    _ = try result(.socket, linux.syscall2(.listen, arg(fd), backlog));
    return fd;
}

/// A connection in the making: it is made when the socket can send.
pub fn tcpConnect(address: *const Address) Error!Fd {
    const fd = try tcpSocket(address);
    errdefer close(fd);
    _ = result(.socket, linux.syscall3(.connect, arg(fd), arg(&address.storage), address.bytes)) catch |err| switch (err) {
        error.INPROGRESS, error.INTR => return fd,
        else => return err,
    };
    return fd;
}

/// The next connection. Whoever broke off meanwhile is skipped.
pub fn tcpAccept(fd: Fd) Error!Fd {
    while (true) {
        const accepted = result(.accept, linux.syscall4(.accept4, arg(fd), 0, 0, O_CLOEXEC | O_NONBLOCK)) catch |err| switch (err) {
            error.INTR, error.CONNABORTED => continue,
            else => return err,
        };
        return @intCast(accepted);
    }
}

/// The port a socket is bound to.
pub fn tcpPort(fd: Fd) Error!u16 {
    var address: Address = .{ .bytes = 28 };
    _ = try result(.socket, linux.syscall3(.getsockname, arg(fd), arg(&address.storage), arg(&address.bytes)));
    return std.mem.readInt(u16, address.storage[2..4], .big);
}

/// No more will be sent; the peer sees the end.
pub fn tcpShutdown(fd: Fd) Error!void {
    const SHUT_WR = 1;
    _ = try result(.socket, linux.syscall2(.shutdown, arg(fd), SHUT_WR));
}

pub fn tcpReceive(fd: Fd, buffer: []u8) Error!usize {
    const MSG_DONTWAIT = 0x40;
    return result(.read, linux.syscall6(.recvfrom, arg(fd), arg(buffer.ptr), arg(buffer.len), MSG_DONTWAIT, 0, 0));
}

// --- memory ----------------------------------------------------------------------------------

const PROT_NONE = 0;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_ANONYMOUS = 0x20;
const MAP_NORESERVE = 0x4000;
const MAP_POPULATE = 0x8000;

pub const page_bytes = 4096;

/// Address space without memory behind it. It costs nothing until `commitMemory`.
pub fn reserveMemory(bytes: usize) Error![*]align(page_bytes) u8 {
    const address = try result(.mmap, linux.syscall6(.mmap, 0, arg(bytes), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, arg(-1), 0));
    return @ptrFromInt(address);
}

/// Bytes of address space that this process may have (`ulimit -v`); null for as many as there are.
pub fn addressSpaceLimit() ?u64 {
    const limit = addressSpace(null) catch return null;
    return if (limit.soft == no_limit) null else limit.soft;
}

/// Changes it, for tests.
pub fn limitAddressSpace(bytes: ?u64) Error!void {
    var limit = try addressSpace(null);
    limit.soft = bytes orelse no_limit;
    _ = try addressSpace(&limit);
}

const Limit = extern struct { soft: u64, hard: u64 };
const no_limit = std.math.maxInt(u64);

/// The limit as it was.
fn addressSpace(new: ?*const Limit) Error!Limit {
    const RLIMIT_AS = 9;
    var old: Limit = undefined;
    _ = try decode(linux.syscall4(.prlimit64, 0, RLIMIT_AS, arg(new), arg(&old)));
    return old;
}

/// Make a part of reserved address space usable; zeroed.
pub fn commitMemory(part: []align(page_bytes) u8) Error!void {
    _ = try result(.mprotect, linux.syscall3(.mprotect, arg(part.ptr), arg(part.len), PROT_READ_WRITE));
}

/// Only a wish: kernels without huge pages use small ones.
pub fn preferHugePages(memory: []align(page_bytes) u8) void {
    const MADV_HUGEPAGE = 14;
    _ = linux.syscall3(.madvise, arg(memory.ptr), arg(memory.len), MADV_HUGEPAGE);
}

pub fn mapMemory(bytes: usize) Error![]align(page_bytes) u8 {
    const address = try result(.mmap, linux.syscall6(.mmap, 0, arg(bytes), PROT_READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, arg(-1), 0));
    const pointer: [*]align(page_bytes) u8 = @ptrFromInt(address);
    return pointer[0..bytes];
}

/// Map a file (or a kernel ring) shared and writable.
pub fn mapFile(fd: Fd, bytes: usize, offset: u64) Error![]align(page_bytes) u8 {
    const address = try result(.mmap, linux.syscall6(.mmap, 0, arg(bytes), PROT_READ_WRITE, MAP_SHARED | MAP_POPULATE, arg(fd), offset));
    const pointer: [*]align(page_bytes) u8 = @ptrFromInt(address);
    return pointer[0..bytes];
}

pub fn unmapMemory(memory: []align(page_bytes) u8) void {
    _ = linux.syscall2(.munmap, arg(memory.ptr), arg(memory.len));
}

/// Give memory back to the system; it reads as zeros afterwards.
pub fn forgetMemory(memory: []align(page_bytes) u8) void {
    const MADV_DONTNEED = 4;
    _ = linux.syscall3(.madvise, arg(memory.ptr), arg(memory.len), MADV_DONTNEED);
}

/// Keep a mapping out of children: a forked child must not touch our rings.
pub fn dontFork(memory: []align(page_bytes) u8) void {
    const MADV_DONTFORK = 10;
    _ = linux.syscall3(.madvise, arg(memory.ptr), arg(memory.len), MADV_DONTFORK);
}

pub fn fileBytes(fd: Fd) Error!u64 {
    const AT_EMPTY_PATH = 0x1000;
    const STATX_SIZE = 0x200;
    var buffer: [256]u8 align(8) = undefined;
    _ = try result(.statx, linux.syscall5(.statx, arg(fd), arg(@as([*:0]const u8, "")), AT_EMPTY_PATH, STATX_SIZE, arg(&buffer)));
    return std.mem.readInt(u64, buffer[40..48], .little);
}

// --- futex, threads --------------------------------------------------------------------------

const FUTEX_WAIT_PRIVATE = 128;
const FUTEX_WAKE_PRIVATE = 129;

/// Sleep while `*word == expected`, at most `timeout_ns`. False when the time ran out.
pub fn futexWait(word: *const std.atomic.Value(u32), expected: u32, timeout_ns: ?u64) bool {
    const limit: ?Timespec = if (timeout_ns) |ns| Timespec.fromNanoseconds(ns) else null;
    const limit_pointer: ?*const Timespec = if (limit) |*l| l else null;
    _ = result(.futex, linux.syscall6(.futex, arg(word), FUTEX_WAIT_PRIVATE, expected, arg(limit_pointer), 0, 0)) catch |err| {
        return err != error.TIMEDOUT;
    };
    return true;
}

pub fn futexWake(word: *const std.atomic.Value(u32), waiters: u32) void {
    _ = linux.syscall3(.futex, arg(word), FUTEX_WAKE_PRIVATE, waiters);
}

extern "c" fn pthread_self() usize;
extern "c" fn pthread_key_create(key: *c_uint, destructor: ?*const fn (?*anyopaque) callconv(.c) void) c_int;
extern "c" fn pthread_setspecific(key: c_uint, value: ?*const anyopaque) c_int;
extern "c" fn pthread_getspecific(key: c_uint) ?*anyopaque;

/// Which thread this is. Unique among living threads and cheap: no system call.
pub fn threadId() usize {
    return pthread_self();
}

/// A slot of each thread whose destructor runs when the thread ends with a value in it.
pub const ThreadSlot = struct {
    key: c_uint,

    pub fn create(destructor: *const fn (?*anyopaque) callconv(.c) void) Error!ThreadSlot {
        var key: c_uint = 0;
        if (pthread_key_create(&key, destructor) != 0) return error.AGAIN;
        return .{ .key = key };
    }

    pub fn set(slot: ThreadSlot, value: ?*const anyopaque) Error!void {
        if (pthread_setspecific(slot.key, value) != 0) return error.NOMEM;
    }

    pub fn get(slot: ThreadSlot) ?*anyopaque {
        return pthread_getspecific(slot.key);
    }
};

extern "c" fn pthread_create(thread: *usize, attributes: ?*const anyopaque, main: *const fn (?*anyopaque) callconv(.c) ?*anyopaque, argument: ?*anyopaque) c_int;
extern "c" fn pthread_detach(thread: usize) c_int;

/// Start a detached thread that no signal of the host is ever delivered to.
pub fn spawnQuietThread(main: *const fn (?*anyopaque) callconv(.c) ?*anyopaque) Error!void {
    if (builtin.is_test) if (fault.inject(.clone)) |err| return err;
    const SIG_SETMASK = 2;
    const every: u64 = std.math.maxInt(u64);
    var before: u64 = 0;
    // The new thread inherits the mask, so it must be set before it starts.
    _ = linux.syscall4(.rt_sigprocmask, SIG_SETMASK, arg(&every), arg(&before), @sizeOf(u64));
    defer _ = linux.syscall4(.rt_sigprocmask, SIG_SETMASK, arg(&before), 0, @sizeOf(u64));
    var thread: usize = 0;
    if (pthread_create(&thread, null, main, null) != 0) return error.AGAIN;
    _ = pthread_detach(thread);
}

// --- the library itself ----------------------------------------------------------------------

const DlInfo = extern struct {
    file_name: ?[*:0]const u8,
    file_base: ?*anyopaque,
    symbol_name: ?[*:0]const u8,
    symbol_address: ?*anyopaque,
};

/// Keep this library in memory for the life of the process, whoever closes it. A runtime unloads what a
/// script opened as soon as that script ends, but the helper thread and the destructors of threads
/// are code in here: Deno crashed on its way out.
pub fn stayLoaded() void {
    // Weak: in libdl.so.2 before glibc 2.34, which every runtime has loaded, and in the C library since.
    const dladdr = @extern(?*const fn (*const anyopaque, *DlInfo) callconv(.c) c_int, .{ .name = "dladdr", .linkage = .weak }) orelse return;
    const dlopen = @extern(?*const fn (?[*:0]const u8, c_int) callconv(.c) ?*anyopaque, .{ .name = "dlopen", .linkage = .weak }) orelse return;
    const RTLD_LAZY = 1;
    const RTLD_NOLOAD = 4;
    const RTLD_NODELETE = 0x1000;
    var info: DlInfo = undefined;
    if (dladdr(@ptrCast(&stayLoaded), &info) == 0) return;
    _ = dlopen(info.file_name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

extern "c" fn getenv(name: [*:0]const u8) ?[*:0]const u8;

/// A variable of the environment the process was started with.
pub fn environment(name: [*:0]const u8) ?[:0]const u8 {
    return std.mem.span(getenv(name) orelse return null);
}
