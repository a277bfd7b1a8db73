//! io_uring as the kernel lays it out, and a ring mapped into our memory. Knows no queue.

const std = @import("std");
const assert = std.debug.assert;
const sys = @import("linux.zig");
const Error = @import("../errors.zig").Error;

pub const Opcode = enum(u8) {
    poll_add = 6,
    poll_remove = 7,
    timeout = 11,
    timeout_remove = 12,
    send = 26,
};

/// One request. Fields that none of ours uses are zero, as the kernel demands.
pub const Sqe = extern struct {
    opcode: Opcode,
    flags: u8 = 0,
    ioprio: u16 = 0,
    fd: sys.Fd = -1,
    /// Second address of a request with two.
    off: u64 = 0,
    addr: u64 = 0,
    len: u32 = 0,
    /// Poll bits; flags of a timeout or of a message.
    operation_flags: u32 = 0,
    user_data: u64,
    unused: [3]u64 = @splat(0),
};

pub const Cqe = extern struct {
    user_data: u64,
    result: i32,
    flags: u32,

    /// The request stays in the kernel and will report again.
    pub fn more(cqe: *const Cqe) bool {
        return cqe.flags & 2 != 0;
    }
};

/// `Sqe.flags`.
pub const Request = struct {
    pub const fixed_file: u8 = 1 << 0;
    pub const link: u8 = 1 << 2;
    pub const quiet_success: u8 = 1 << 6;
};

pub const poll_multishot: u32 = 1;
pub const timeout_absolute: u32 = 1;
pub const timeout_update: u32 = 2;

/// `Params.flags`.
pub const Setup = struct {
    pub const completions_given: u32 = 1 << 3;
    pub const clamp: u32 = 1 << 4;
    pub const submit_all: u32 = 1 << 7;
    pub const taskrun_flag: u32 = 1 << 9;
    pub const single_issuer: u32 = 1 << 12;
    pub const defer_taskrun: u32 = 1 << 13;
};

/// `Params.features`.
pub const Feature = struct {
    pub const single_map: u32 = 1 << 0;
    pub const no_drop: u32 = 1 << 1;
    pub const enter_timeout: u32 = 1 << 8;
    pub const quiet_success: u32 = 1 << 11;
    pub const no_iowait: u32 = 1 << 17;
};

const Params = extern struct {
    sq_entries: u32 = 0,
    cq_entries: u32 = 0,
    flags: u32 = 0,
    sq_thread_cpu: u32 = 0,
    sq_thread_idle: u32 = 0,
    features: u32 = 0,
    wq_fd: u32 = 0,
    reserved: [3]u32 = @splat(0),
    sq_off: SqOffsets = .{},
    cq_off: CqOffsets = .{},
};

const SqOffsets = extern struct {
    head: u32 = 0,
    tail: u32 = 0,
    ring_mask: u32 = 0,
    ring_entries: u32 = 0,
    flags: u32 = 0,
    dropped: u32 = 0,
    array: u32 = 0,
    reserved: u32 = 0,
    user_addr: u64 = 0,
};

const CqOffsets = extern struct {
    head: u32 = 0,
    tail: u32 = 0,
    ring_mask: u32 = 0,
    ring_entries: u32 = 0,
    overflow: u32 = 0,
    cqes: u32 = 0,
    flags: u32 = 0,
    reserved: u32 = 0,
    user_addr: u64 = 0,
};

/// Extended argument of `io_uring_enter`: how long to wait.
const EnterArgument = extern struct {
    signal_mask: u64 = 0,
    signal_mask_size: u32 = 8,
    reserved: u32 = 0,
    timeout: u64,
};

const Probe = extern struct {
    last: u8,
    count: u8,
    reserved: u16,
    more: [3]u32,
    operations: [operations_most]Operation,

    const operations_most = 64;
    const Operation = extern struct { code: u8, reserved: u8, flags: u16, more: u32 };
};

comptime {
    assert(@sizeOf(Sqe) == 64);
    assert(@offsetOf(Sqe, "opcode") == 0);
    assert(@offsetOf(Sqe, "flags") == 1);
    assert(@offsetOf(Sqe, "ioprio") == 2);
    assert(@offsetOf(Sqe, "fd") == 4);
    assert(@offsetOf(Sqe, "off") == 8);
    assert(@offsetOf(Sqe, "addr") == 16);
    assert(@offsetOf(Sqe, "len") == 24);
    assert(@offsetOf(Sqe, "operation_flags") == 28);
    assert(@offsetOf(Sqe, "user_data") == 32);
    assert(@sizeOf(Cqe) == 16);
    assert(@offsetOf(Cqe, "result") == 8);
    assert(@offsetOf(Cqe, "flags") == 12);
    assert(@sizeOf(Params) == 120);
    assert(@offsetOf(Params, "flags") == 8);
    assert(@offsetOf(Params, "features") == 20);
    assert(@offsetOf(Params, "sq_off") == 40);
    assert(@offsetOf(Params, "cq_off") == 80);
    assert(@sizeOf(EnterArgument) == 24);
    assert(@offsetOf(EnterArgument, "timeout") == 16);
    assert(@sizeOf(Probe) == 16 + 64 * 8);
}

/// Arguments of `io_uring_register`.
const Register = struct {
    const files: u32 = 2;
    const eventfd: u32 = 4;
    const probe: u32 = 8;
};

const Enter = struct {
    const get_events: u32 = 1 << 0;
    const extended_argument: u32 = 1 << 3;
    const no_iowait: u32 = 1 << 7;
};

const sq_overflow: u32 = 1 << 1;
const sq_taskrun: u32 = 1 << 2;
const cq_eventfd_disabled: u32 = 1;

pub const Ring = struct {
    fd: sys.Fd,
    setup: u32,
    features: u32,
    memory: []align(sys.page_bytes) u8,
    requests_memory: []align(sys.page_bytes) u8,
    requests: [*]Sqe,
    sq_head: *const u32,
    sq_tail: *u32,
    sq_flags: *const u32,
    sq_entries: u32,
    completions: [*]const Cqe,
    cq_head: *u32,
    cq_tail: *const u32,
    cq_flags: *u32,
    cq_lost: *const u32,
    cq_mask: u32,

    /// A ring with room for that many requests and completions. `setup` is a mask of `Setup`.
    pub fn open(requests: u32, completions: u32, setup: u32) Error!Ring {
        var params: Params = .{ .flags = setup | Setup.completions_given | Setup.clamp, .cq_entries = completions };
        const fd = try sys.ringSetup(requests, &params);
        errdefer sys.close(fd);
        const needed = Feature.single_map | Feature.no_drop | Feature.enter_timeout | Feature.quiet_success;
        if (params.features & needed != needed) return error.INVAL;
        return map(fd, &params);
    }

    fn map(fd: sys.Fd, params: *const Params) Error!Ring {
        const requests_offset = 0x1000_0000;
        const sq_bytes = params.sq_off.array + params.sq_entries * @sizeOf(u32);
        const cq_bytes = params.cq_off.cqes + params.cq_entries * @sizeOf(Cqe);
        const memory = try sys.mapFile(fd, @max(sq_bytes, cq_bytes), 0);
        errdefer sys.unmapMemory(memory);
        const requests = try sys.mapFile(fd, params.sq_entries * @sizeOf(Sqe), requests_offset);
        sys.dontFork(memory);
        sys.dontFork(requests);
        const array: [*]u32 = @ptrCast(@alignCast(memory.ptr + params.sq_off.array));
        // Requests are used in the order of their places, so the indirection never changes.
        for (array[0..params.sq_entries], 0..) |*place, number| place.* = @intCast(number);
        return .{
            .fd = fd,
            .setup = params.flags,
            .features = params.features,
            .memory = memory,
            .requests_memory = requests,
            .requests = @ptrCast(requests.ptr),
            .sq_head = word(memory, params.sq_off.head),
            .sq_tail = word(memory, params.sq_off.tail),
            .sq_flags = word(memory, params.sq_off.flags),
            .sq_entries = params.sq_entries,
            .completions = @ptrCast(@alignCast(memory.ptr + params.cq_off.cqes)),
            .cq_head = word(memory, params.cq_off.head),
            .cq_tail = word(memory, params.cq_off.tail),
            .cq_flags = word(memory, params.cq_off.flags),
            .cq_lost = word(memory, params.cq_off.overflow),
            .cq_mask = params.cq_entries - 1,
        };
    }

    fn word(memory: []align(sys.page_bytes) u8, offset: u32) *u32 {
        return @ptrCast(@alignCast(memory.ptr + offset));
    }

    pub fn close(ring: *Ring) void {
        sys.unmapMemory(ring.requests_memory);
        sys.unmapMemory(ring.memory);
        sys.close(ring.fd);
        ring.* = undefined;
    }

    // --- requests ----------------------------------------------------------------------------

    pub fn full(ring: *const Ring) bool {
        return ring.unsubmitted() == ring.sq_entries;
    }

    /// Requests that the kernel has not taken yet.
    pub fn unsubmitted(ring: *const Ring) u32 {
        return ring.sq_tail.* -% @atomicLoad(u32, ring.sq_head, .acquire);
    }

    /// Prepare a request; the caller has made sure that there is room.
    pub fn push(ring: *Ring, request: Sqe) void {
        assert(!ring.full());
        const tail = ring.sq_tail.*;
        ring.requests[tail & (ring.sq_entries - 1)] = request;
        @atomicStore(u32, ring.sq_tail, tail +% 1, .release);
    }

    // --- entering the kernel -----------------------------------------------------------------

    /// Hand `count` requests over and take in completions that are due, without waiting.
    pub fn submit(ring: *Ring, count: u32) Error!void {
        try sys.ringEnter(ring.fd, count, 0, Enter.get_events, null, 8);
    }

    /// Hand `count` requests over and wait for a completion, at most `limit_ns`. ETIMEDOUT: none came.
    pub fn wait(ring: *Ring, count: u32, limit_ns: ?u64) Error!void {
        var flags = Enter.get_events;
        // A thread that waits for sockets is idle, not waiting for a disk.
        if (ring.features & Feature.no_iowait != 0) flags |= Enter.no_iowait;
        const limit = limit_ns orelse return sys.ringEnter(ring.fd, count, 1, flags, null, 8);
        const timeout = sys.Timespec.fromNanoseconds(@min(limit, timeout_most));
        const argument: EnterArgument = .{ .timeout = @intFromPtr(&timeout) };
        return sys.ringEnter(ring.fd, count, 1, flags | Enter.extended_argument, &argument, @sizeOf(EnterArgument));
    }

    /// 36 years: the kernel adds the clock to it in 63 bits.
    const timeout_most = 1 << 60;

    // --- completions -------------------------------------------------------------------------

    /// Work waits in the kernel that only `submit` or `wait` can bring into the ring.
    pub fn hasHidden(ring: *const Ring) bool {
        return @atomicLoad(u32, ring.sq_flags, .seq_cst) & (sq_overflow | sq_taskrun) != 0;
    }

    /// Completions that found no place in the ring.
    pub fn hasOverflown(ring: *const Ring) bool {
        return @atomicLoad(u32, ring.sq_flags, .seq_cst) & sq_overflow != 0;
    }

    pub fn hasCompletions(ring: *const Ring) bool {
        return @atomicLoad(u32, ring.cq_tail, .seq_cst) != ring.cq_head.*;
    }

    /// The oldest completion, which is the caller's now.
    pub fn next(ring: *Ring) ?Cqe {
        const head = ring.cq_head.*;
        if (@atomicLoad(u32, ring.cq_tail, .acquire) == head) return null;
        const completion = ring.completions[head & ring.cq_mask];
        @atomicStore(u32, ring.cq_head, head +% 1, .release);
        return completion;
    }

    /// Completions for which the kernel found no memory, since the start.
    pub fn lost(ring: *const Ring) u32 {
        return @atomicLoad(u32, ring.cq_lost, .monotonic);
    }

    // --- registrations -----------------------------------------------------------------------

    /// Each completion makes this eventfd readable, while `notify` has said so.
    pub fn registerEventfd(ring: *Ring, fd: sys.Fd) Error!void {
        try sys.ringRegister(ring.fd, Register.eventfd, &fd, 1);
    }

    pub fn notify(ring: *Ring, on: bool) void {
        // A full barrier, so that what the caller looks at next is newer than the switch.
        _ = @atomicRmw(u32, ring.cq_flags, .Xchg, if (on) 0 else cq_eventfd_disabled, .seq_cst);
    }

    /// Requests with `fixed_file` name these by their place, whatever becomes of the numbers.
    pub fn registerFiles(ring: *Ring, fds: []const sys.Fd) Error!void {
        try sys.ringRegister(ring.fd, Register.files, fds.ptr, @intCast(fds.len));
    }

    /// EINVAL unless the kernel knows all these operations.
    pub fn require(ring: *Ring, operations: []const Opcode) Error!void {
        var probe: Probe = std.mem.zeroes(Probe);
        try sys.ringRegister(ring.fd, Register.probe, &probe, Probe.operations_most);
        const supported = 1;
        for (operations) |operation| {
            const code = @backingInt(operation);
            if (code > probe.last or probe.operations[code].flags & supported == 0) return error.INVAL;
        }
    }
};
