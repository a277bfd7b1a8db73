//! (being written)
const sys = @import("../sys/linux.zig");
const Error = @import("../errors.zig").Error;
const Queue = @import("../queue.zig").Queue;
const backends = @import("../backend.zig");

pub const Simulated = struct {
    pub fn init(_: *Simulated, _: backends.Config) Error!void {
        return error.NOSYS;
    }
    pub fn deinit(_: *Simulated) void {}
    pub fn descriptor(_: *const Simulated) sys.Fd {
        return -1;
    }
    pub fn watch(_: *Simulated, _: *Queue, _: u32) Error!backends.Watched {
        return error.NOSYS;
    }
    pub fn unwatch(_: *Simulated, _: *Queue, _: u32) void {}
    pub fn rearm(_: *Simulated, _: *Queue, _: u32) void {}
    pub fn setTimer(_: *Simulated, _: sys.ClockId, _: ?u64) Error!void {}
    pub fn poll(_: *Simulated, _: *Queue, _: ?u64) Error!void {}
    pub fn flush(_: *Simulated, _: *Queue) Error!void {}
    pub fn setReady(_: *Simulated, _: bool) void {}
    pub fn interrupt(_: *Simulated) void {}
    pub fn wakeVia(_: *Simulated, _: *Queue, _: ?sys.Fd) Error!void {}
    pub fn now(_: *Simulated, clock: sys.ClockId) u64 {
        return sys.now(clock);
    }
    pub fn steer(_: *Simulated, _: *Queue, _: u32, _: f64) Error!i32 {
        return error.NOTSUP;
    }
};
