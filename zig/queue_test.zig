//! Promises of the queue, each on every back-end.

const std = @import("std");
const abi = @import("abi.zig");
const exports = @import("exports.zig");
const sys = @import("sys/linux.zig");

const expectEqual = std.testing.expectEqual;

fn record(kind: u32, id: u32, event: u32, flags: u32, user: u32) abi.Ukevent {
    var r: abi.Ukevent = .zero;
    r.type = kind;
    r.id.raw[0] = id;
    r.event = event;
    r.req_flags = flags;
    r.user[0] = user;
    return r;
}

test "smoke" {
    const fd = exports.kevent_init(null, 0, 0);
    try std.testing.expect(fd >= 0);
    defer _ = exports.kevent_close(fd);
    const event = try sys.eventfd();
    defer sys.close(event);
    var one = [1]abi.Ukevent{record(abi.Type.KEVENT_POLL, @intCast(event), 1, abi.Request.KEVENT_REQ_ALWAYS_QUEUE, 7)};
    try expectEqual(1, exports.kevent_ctl(fd, abi.Command.KEVENT_CTL_ADD, 1, &one));
    try expectEqual(0, one[0].ret_flags);
    var out: [4]abi.Ukevent = undefined;
    try expectEqual(0, exports.kevent_get_events(fd, 0, 4, 0, 0, &out, 0));
    sys.eventfdSignal(event);
    try expectEqual(1, exports.kevent_get_events(fd, 1, 4, 1, 0, &out, 0));
    try expectEqual(7, out[0].user[0]);
    var timer = [1]abi.Ukevent{record(abi.Type.KEVENT_TIMER, 0, 1, 0, 8)};
    timer[0].id.raw[1] = 1_000_000;
    try expectEqual(1, exports.kevent_ctl(fd, abi.Command.KEVENT_CTL_ADD, 1, &timer));
    _ = sys.eventfdClear(event);
    try expectEqual(1, exports.kevent_get_events(fd, 1, 4, 1, 0, &out, 0));
    try expectEqual(8, out[0].user[0]);
}
