//! Signal handlers, through the C library: it knows how a handler returns on each machine, and it
//! refuses the signals it needs for itself.

const std = @import("std");
const builtin = @import("builtin");
const sys = @import("linux.zig");
const Error = sys.Error;

pub const most = 64;

pub const NOCLDSTOP: u32 = 1;
pub const NOCLDWAIT: u32 = 2;
pub const SIGINFO: u32 = 4;
pub const ONSTACK: u32 = 0x0800_0000;
pub const RESTART: u32 = 0x1000_0000;
pub const NODEFER: u32 = 0x4000_0000;
pub const RESETHAND: u32 = 0x8000_0000;

pub const default: usize = 0;
pub const ignore: usize = 1;

pub const CHLD = 17;

/// Glibc and musl lay it out alike on the machines we build for.
pub const Action = extern struct {
    handler: usize = default,
    mask: [16]u64 = @splat(0),
    flags: u32 = 0,
    restorer: usize = 0,
};

comptime {
    std.debug.assert(@sizeOf(Action) == @sizeOf(std.c.Sigaction));
    std.debug.assert(@offsetOf(Action, "flags") == @offsetOf(std.c.Sigaction, "flags"));
}

pub const Handler = fn (c_int, ?*const Info, ?*anyopaque) callconv(.c) void;
pub const PlainHandler = fn (c_int) callconv(.c) void;

/// The start of siginfo_t.
pub const Info = extern struct {
    number: i32,
    errno: i32,
    code: i32,
    padding: i32,
    pid: i32,
};

extern "c" fn sigaction(signal: c_int, new: ?*const Action, old: ?*Action) c_int;

pub fn current(signal: u32) Error!Action {
    var action: Action = .{};
    if (sigaction(@intCast(signal), null, &action) != 0) return error.INVAL;
    return action;
}

/// Puts a handler in place; the one that was there.
pub fn install(signal: u32, action: *const Action) Error!Action {
    if (builtin.is_test) if (sys.fault.inject(.sigaction)) |err| return err;
    var old: Action = .{};
    if (sigaction(@intCast(signal), action, &old) != 0) return error.INVAL;
    return old;
}

extern "c" fn sched_yield() c_int;

pub fn yield() void {
    _ = sched_yield();
}
