//! (being written)
const sys = @import("../sys/linux.zig");
const Error = @import("../errors.zig").Error;
const Queue = @import("../queue.zig").Queue;
const backends = @import("../backend.zig");

pub const Uring = struct {
    pub fn init(_: *Uring, _: backends.Config) Error!void {
        return error.NOSYS;
    }
    pub fn deinit(_: *Uring) void {}
    pub fn descriptor(_: *const Uring) sys.Fd {
        return -1;
    }
    pub fn watch(_: *Uring, _: *Queue, _: u32) Error!backends.Watched {
        return error.NOSYS;
    }
    pub fn unwatch(_: *Uring, _: *Queue, _: u32) void {}
    pub fn rearm(_: *Uring, _: *Queue, _: u32) void {}
    pub fn setTimer(_: *Uring, _: sys.ClockId, _: ?u64) Error!void {}
    pub fn poll(_: *Uring, _: *Queue, _: ?u64) Error!void {}
    pub fn flush(_: *Uring, _: *Queue) Error!void {}
    pub fn setReady(_: *Uring, _: bool) void {}
    pub fn interrupt(_: *Uring) void {}
    pub fn wakeVia(_: *Uring, _: *Queue, _: ?sys.Fd) Error!void {}
    pub fn now(_: *Uring, clock: sys.ClockId) u64 {
        return sys.now(clock);
    }
    pub fn steer(_: *Uring, _: *Queue, _: u32, _: f64) Error!i32 {
        return error.NOTSUP;
    }
};
