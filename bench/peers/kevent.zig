//! kevent as a C program would use it: the exported calls of the library that KEVENT_LIBRARY names,
//! one `kevent_turn` per collect, the ring read by plain loads. KEVENT_BACKEND chooses the back-end.

const std = @import("std");
const abi = @import("abi");

const entries = 1024;

extern fn work_handle(slot: c_int) void;

const Setup = *const fn (*const abi.Params, ?[*]u8, ?[*]u8, ?[*]u8) callconv(.c) i32;
const Control = *const fn (i32, u32, u32, [*]abi.Ukevent) callconv(.c) i32;
const Turn = *const fn (i32, u32, u32, f64, u32) callconv(.c) i32;

var ring: [abi.ringBytes(entries)]u8 align(64) = undefined;
var turn: Turn = undefined;
var queue: i32 = -1;
var slot: u32 = 0;
var consumed: u32 = 0;

fn must(ok: bool, what: [*:0]const u8) void {
    if (ok) return;
    _ = std.c.printf("kevent: %s failed\n", what);
    std.c.exit(1);
}

fn call(comptime T: type, library: *anyopaque, name: [*:0]const u8) T {
    const address = std.c.dlsym(library, name);
    must(address != null, name);
    return @ptrCast(@alignCast(address.?));
}

export fn peer_open(fds: [*]const c_int, count: c_int, edge: c_int) c_int {
    const path = std.c.getenv("KEVENT_LIBRARY");
    must(path != null, "KEVENT_LIBRARY");
    const library = std.c.dlopen(path.?, .{ .NOW = true }) orelse {
        must(false, "dlopen");
        unreachable;
    };
    turn = call(Turn, library, "kevent_turn");
    var params = std.mem.zeroes(abi.Params);
    params.size = @sizeOf(abi.Params);
    params.flags = abi.Flags.KEVENT_FLAGS_SINGLE;
    params.ring_entries = entries;
    params.ring_bytes = ring.len;
    params.ring_fd = -1;
    queue = call(Setup, library, "kevent_setup")(&params, &ring, null, null);
    must(queue >= 0, "kevent_setup");
    const control = call(Control, library, "kevent_ctl");
    for (fds[0..@intCast(count)], 0..) |fd, n| {
        var record: abi.Ukevent = .zero;
        record.id.raw[0] = @intCast(fd);
        record.type = abi.Type.KEVENT_POLL;
        record.event = abi.Poll.KEVENT_POLL_IN;
        record.req_flags = abi.Request.KEVENT_REQ_ALWAYS_QUEUE;
        if (edge != 0) record.req_flags |= abi.Request.KEVENT_REQ_ET;
        record.user[0] = @intCast(n);
        must(control(queue, abi.Command.KEVENT_CTL_ADD, 1, @ptrCast(&record)) == 1, "kevent_ctl");
        must(record.ret_flags == 0, "add");
    }
    return 0;
}

export fn peer_collect() void {
    const waiting = turn(queue, 0, consumed, -1, 0);
    must(waiting >= 0, "kevent_turn");
    consumed = @intCast(waiting);
    const records: [*]const abi.Ukevent = @ptrCast(@alignCast(ring[@sizeOf(abi.KeventRing)..].ptr));
    for (0..consumed) |_| {
        const at = slot;
        slot = if (slot + 1 == entries) 0 else slot + 1;
        work_handle(@intCast(records[at].user[0]));
    }
}
