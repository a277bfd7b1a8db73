//! What tests of promises share: a queue on each back-end in turn, used through the exported calls as
//! a script would.

const std = @import("std");
const abi = @import("abi.zig");
const exports = @import("exports.zig");
const errors = @import("errors.zig");
const registry = @import("registry.zig");

pub const Command = abi.Command;
pub const expectEqual = std.testing.expectEqual;

const ENOSYS = 38;

/// Keep a promise on every back-end there is.
pub fn onEach(promise: *const fn (*Harness) anyerror!void) !void {
    for ([_]u32{
        abi.Backend.KEVENT_BACKEND_EPOLL,
        abi.Backend.KEVENT_BACKEND_IO_URING,
        abi.Backend.KEVENT_BACKEND_SIMULATED,
    }) |backend| {
        const harness = try Harness.open(backend) orelse continue;
        defer harness.close();
        promise(harness) catch |err| {
            std.debug.print("on back-end {d}\n", .{backend});
            return err;
        };
        try harness.checkInvariants();
    }
}

/// A queue without a ring, with a name area.
pub const Harness = struct {
    fd: i32,
    backend: u32,
    events: [256]abi.Ukevent = undefined,
    names: [64 * 1024]u8 align(8) = undefined,

    /// Null, with a line that says why, when this machine or build lacks the back-end.
    pub fn open(backend: u32) !?*Harness {
        return openWith(backend, 64 * 1024);
    }

    pub fn openWith(backend: u32, names_bytes: u32) !?*Harness {
        const h = try std.testing.allocator.create(Harness);
        errdefer std.testing.allocator.destroy(h);
        h.* = .{ .fd = -1, .backend = backend };
        var params = std.mem.zeroes(abi.Params);
        params.size = @sizeOf(abi.Params);
        params.names_bytes = names_bytes;
        params.ring_fd = -1;
        params.backend = backend;
        params.seed_low = 7;
        h.fd = exports.kevent_setup(&params, null, null, &h.names);
        if (h.fd == -ENOSYS) {
            std.debug.print("skipped back-end {d}: ENOSYS\n", .{backend});
            std.testing.allocator.destroy(h);
            return null;
        }
        try std.testing.expect(h.fd >= 0);
        return h;
    }

    /// Another queue on the same back-end.
    pub fn sibling(h: *const Harness) !*Harness {
        return (try open(h.backend)).?;
    }

    pub fn close(h: *Harness) void {
        _ = exports.kevent_close(h.fd);
        std.testing.allocator.destroy(h);
    }

    /// One command on one record; the result.
    pub fn control(h: *const Harness, command: u32, given: abi.Ukevent) !abi.Ukevent {
        var records = [1]abi.Ukevent{given};
        try expectEqual(1, exports.kevent_ctl(h.fd, command, 1, &records));
        return records[0];
    }

    /// A command that must succeed.
    pub fn apply(h: *const Harness, command: u32, given: abi.Ukevent) !void {
        const result = try h.control(command, given);
        try expectEqual(0, result.ret_data);
        try expectEqual(0, result.ret_flags & abi.Return.KEVENT_RET_BROKEN);
    }

    /// A command that must fail with this errno.
    pub fn refused(h: *const Harness, command: u32, given: abi.Ukevent, err: errors.Error) !void {
        const result = try h.control(command, given);
        try expectEqual(abi.Return.KEVENT_RET_BROKEN, result.ret_flags & abi.Return.KEVENT_RET_BROKEN);
        try expectEqual(errors.number(err), result.ret_data);
    }

    /// At least `least` events, in a second at most. Good until the next call.
    pub fn collect(h: *Harness, least: u32) ![]abi.Ukevent {
        const got = exports.kevent_get_events(h.fd, least, h.events.len, 1, 0, &h.events, 0);
        try std.testing.expect(got >= 0);
        return h.events[0..@intCast(got)];
    }

    /// Exactly one event, and nothing behind it.
    pub fn one(h: *Harness) !abi.Ukevent {
        const got = try h.collect(1);
        try expectEqual(1, got.len);
        return got[0];
    }

    /// Nothing comes, also if it is given a little time.
    pub fn silent(h: *Harness) !void {
        try expectEqual(0, exports.kevent_get_events(h.fd, 1, h.events.len, 0, 20_000_000, &h.events, 0));
    }

    /// The name that came with a record of the last `collect`.
    pub fn name(h: *const Harness, got: abi.Ukevent) []const u8 {
        if (got.ret_data == abi.no_name) return "";
        const length = std.mem.readInt(u32, h.names[got.ret_data..][0..4], .little);
        return h.names[got.ret_data + 4 ..][0..length];
    }

    pub fn checkInvariants(h: *const Harness) !void {
        const queue = try registry.acquire(h.fd);
        defer registry.release(queue);
        queue.lock.lock();
        defer queue.lock.unlock();
        queue.checkInvariants();
    }
};

pub fn record(kind: u32, id: u32, event: u32, flags: u32, user: u32) abi.Ukevent {
    var r: abi.Ukevent = .zero;
    r.type = kind;
    r.id.raw[0] = id;
    r.event = event;
    r.req_flags = flags;
    r.user[0] = user;
    return r;
}

/// Open descriptors of this process.
pub fn openDescriptors() u32 {
    var count: u32 = 0;
    for (0..4096) |fd| {
        if (@import("sys/linux.zig").isOpen(@intCast(fd))) count += 1;
    }
    return count;
}
