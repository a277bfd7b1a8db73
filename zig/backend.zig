//! What a back-end must do, the check that each does it, and the choice of one.
//!
//! A back-end watches descriptors and two clocks and tells the queue what happened; it knows no
//! records. All calls are made with the queue's lock held; `poll` gives it up while it blocks. All but
//! `interrupt` and `setReady` come from the owner when the queue is for a single thread.

const std = @import("std");
const abi = @import("abi.zig");
const sys = @import("sys/linux.zig");
const Error = @import("errors.zig").Error;
const Queue = @import("queue.zig").Queue;
const Epoll = @import("backend/epoll.zig").Epoll;
const Uring = @import("backend/uring.zig").Uring;
const Simulated = @import("backend/simulated.zig").Simulated;

pub const Config = struct {
    /// Only the owner calls; others only `interrupt`.
    single: bool,
    seed: u64,
};

/// What watching found out.
pub const Watched = enum {
    watched,
    /// Nothing to watch: the descriptor is always ready (regular files).
    always,
    /// Watched, but the number belongs to another open file than before: interests that were there
    /// first wait for a file that is gone.
    reopened,
};

pub const Backend = union(enum) {
    epoll: Epoll,
    io_uring: Uring,
    simulated: Simulated,

    /// Release what it holds in the kernel.
    pub fn deinit(backend: *Backend) void {
        switch (backend.*) {
            inline else => |*b| b.deinit(),
        }
    }

    /// The descriptor of the queue: readable when events wait.
    pub fn descriptor(backend: *const Backend) sys.Fd {
        return switch (backend.*) {
            inline else => |*b| b.descriptor(),
        };
    }

    /// Start to watch the storage's `fd` for `want`, or change what is watched. With `flags.edge`
    /// it reports each change once, and what holds already counts as one; without, as long as it holds:
    /// once per `rearm`, at least.
    pub fn watch(backend: *Backend, queue: *Queue, storage: u32) Error!Watched {
        return switch (backend.*) {
            inline else => |*b| b.watch(queue, storage),
        };
    }

    /// Stop watching. Activity already under way is told from the generation, which the caller raises.
    pub fn unwatch(backend: *Backend, queue: *Queue, storage: u32) void {
        switch (backend.*) {
            inline else => |*b| b.unwatch(queue, storage),
        }
    }

    /// An event of a level-triggered storage was handed out: at the next poll, look again.
    pub fn rearm(backend: *Backend, queue: *Queue, storage: u32) void {
        switch (backend.*) {
            inline else => |*b| b.rearm(queue, storage),
        }
    }

    /// Wake up (and make the descriptor readable) at this moment of a clock; null: not at all.
    pub fn setTimer(backend: *Backend, clock: sys.ClockId, deadline_ns: ?u64) Error!void {
        return switch (backend.*) {
            inline else => |*b| b.setTimer(clock, deadline_ns),
        };
    }

    /// Collect activity: `queue.activity` and `queue.clockSet` are called for what happened. Waits at
    /// most `limit_ns` (0: only looks; null: for ever) if nothing has. Timers only end the wait.
    pub fn poll(backend: *Backend, queue: *Queue, limit_ns: ?u64) Error!void {
        return switch (backend.*) {
            inline else => |*b| b.poll(queue, limit_ns),
        };
    }

    /// Hand everything prepared to the kernel without collecting: what a descriptor that somebody
    /// polls, or a sleeping script, relies on.
    pub fn flush(backend: *Backend, queue: *Queue) Error!void {
        return switch (backend.*) {
            inline else => |*b| b.flush(queue),
        };
    }

    /// The end of a call by the owner: what it changed must hold in the kernel now. A socket that
    /// the script closes after REMOVE is not kept open by our watching it.
    pub fn submit(backend: *Backend) void {
        switch (backend.*) {
            inline else => |*b| if (@hasDecl(@TypeOf(b.*), "submit")) b.submit() catch {},
        }
    }

    /// Make the descriptor readable (events wait in the ready list), or let it depend on the kernel
    /// alone again.
    pub fn setReady(backend: *Backend, ready: bool) void {
        switch (backend.*) {
            inline else => |*b| b.setReady(ready),
        }
    }

    /// End a `poll` that blocks in another thread, or wake a script that sleeps.
    pub fn interrupt(backend: *Backend) void {
        switch (backend.*) {
            inline else => |*b| b.interrupt(),
        }
    }

    /// One byte on `fd` as soon as the descriptor is readable, once.
    pub fn wakeVia(backend: *Backend, fd: sys.Fd) Error!void {
        return switch (backend.*) {
            inline else => |*b| b.wakeVia(fd),
        };
    }

    pub fn now(backend: *Backend, clock: sys.ClockId) u64 {
        return switch (backend.*) {
            inline else => |*b| b.now(clock),
        };
    }

    /// The clocks move only when told to: see `simulated.zig`.
    pub fn standsStill(backend: *const Backend) bool {
        return switch (backend.*) {
            .simulated => |*simulated| simulated.manual,
            else => false,
        };
    }
};

/// Methods that each back-end has, with the type it must have. Checked below at compile time.
fn Contract(comptime B: type) type {
    return struct {
        const init: fn (*B, Config) Error!void = B.init;
        const deinit: fn (*B) void = B.deinit;
        const descriptor: fn (*const B) sys.Fd = B.descriptor;
        const watch: fn (*B, *Queue, u32) Error!Watched = B.watch;
        const unwatch: fn (*B, *Queue, u32) void = B.unwatch;
        const rearm: fn (*B, *Queue, u32) void = B.rearm;
        const setTimer: fn (*B, sys.ClockId, ?u64) Error!void = B.setTimer;
        const poll: fn (*B, *Queue, ?u64) Error!void = B.poll;
        const flush: fn (*B, *Queue) Error!void = B.flush;
        const setReady: fn (*B, bool) void = B.setReady;
        const interrupt: fn (*B) void = B.interrupt;
        const wakeVia: fn (*B, sys.Fd) Error!void = B.wakeVia;
        const now: fn (*B, sys.ClockId) u64 = B.now;
    };
}

comptime {
    for (@typeInfo(Backend).@"union".field_types) |B| {
        for (@typeInfo(Contract(B)).@"struct".decl_names) |name| _ = @field(Contract(B), name);
    }
}

/// Why this back-end: shown by `kevent_info`.
pub const Choice = struct {
    reason: []const u8,
};

/// Make the back-end that was asked for, or the best there is. Only "not available" falls back: a
/// ring that cannot be had for want of memory or descriptors is an error the user should see.
pub fn open(backend: *Backend, wanted: u32, config: Config) Error!Choice {
    switch (wanted) {
        abi.Backend.KEVENT_BACKEND_EPOLL => return use(backend, "epoll", config, "asked for"),
        abi.Backend.KEVENT_BACKEND_IO_URING => return use(backend, "io_uring", config, "asked for"),
        abi.Backend.KEVENT_BACKEND_SIMULATED => return use(backend, "simulated", config, "asked for"),
        abi.Backend.KEVENT_BACKEND_AUTO => {},
        else => return error.INVAL,
    }
    if (sys.environment("KEVENT_BACKEND")) |name| {
        inline for (@typeInfo(Backend).@"union".field_names) |field| {
            if (std.mem.eql(u8, name, field)) return use(backend, field, config, "forced by KEVENT_BACKEND");
        }
        // A misspelt name must not be taken for a wish to have the default.
        if (name.len > 0 and !std.mem.eql(u8, name, "auto")) return error.INVAL;
    }
    return openBest(backend, config);
}

/// The best back-end that this kernel, or who watches over it, lets us have.
pub fn openBest(backend: *Backend, config: Config) Error!Choice {
    return use(backend, "io_uring", config, "probed: io_uring works here") catch |err| switch (err) {
        error.NOSYS => use(backend, "epoll", config, "io_uring: not in this kernel (ENOSYS)"),
        error.PERM => use(backend, "epoll", config, "io_uring: denied by seccomp or kernel.io_uring_disabled (EPERM)"),
        error.ACCES => use(backend, "epoll", config, "io_uring: denied by a security module (EACCES)"),
        error.INVAL => use(backend, "epoll", config, "io_uring: this kernel lacks features we need (EINVAL)"),
        else => err,
    };
}

fn use(backend: *Backend, comptime field: []const u8, config: Config, reason: []const u8) Error!Choice {
    backend.* = @unionInit(Backend, field, undefined);
    try @field(backend, field).init(config);
    return .{ .reason = reason };
}
