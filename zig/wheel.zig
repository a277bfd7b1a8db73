//! (stand-in until the real wheel lands: a linear list)
const std = @import("std");
const Error = @import("errors.zig").Error;
pub const Wheel = struct {
    entries: [4096]Entry = undefined,
    count: u32 = 0,
    const Entry = struct { deadline: u64, kevent: u32 };
    pub const Popped = struct { kevent: u32, deadline: u64 };
    pub fn init() Error!Wheel {
        return .{};
    }
    pub fn deinit(_: *Wheel) void {}
    pub fn insert(w: *Wheel, owner: anytype, kevent: u32, deadline: u64) Error!void {
        if (w.count == 4096) return error.NOMEM;
        w.entries[w.count] = .{ .deadline = deadline, .kevent = kevent };
        owner.setPosition(kevent, w.count);
        w.count += 1;
    }
    pub fn remove(w: *Wheel, owner: anytype, position: u32) void {
        w.count -= 1;
        if (position == w.count) return;
        w.entries[position] = w.entries[w.count];
        owner.setPosition(w.entries[position].kevent, position);
    }
    pub fn pop(w: *Wheel, owner: anytype, now: u64) ?Popped {
        var best: ?u32 = null;
        for (w.entries[0..w.count], 0..) |e, i| {
            if (e.deadline <= now and (best == null or e.deadline < w.entries[best.?].deadline)) best = @intCast(i);
        }
        const b = best orelse return null;
        const e = w.entries[b];
        w.remove(owner, b);
        return .{ .kevent = e.kevent, .deadline = e.deadline };
    }
    pub fn next(w: *Wheel) ?u64 {
        var best: ?u64 = null;
        for (w.entries[0..w.count]) |e| best = if (best) |x| @min(x, e.deadline) else e.deadline;
        return best;
    }
};
