//! Sockets: connections to accept, data to receive, room to send, and how they end.

const abi = @import("../abi.zig");
const sys = @import("../sys/linux.zig");
const Error = @import("../errors.zig").Error;
const Queue = @import("../queue.zig").Queue;
const Source = @import("../source.zig").Source;
const descriptor = @import("descriptor.zig");

const Kind = abi.Socket;
const Bit = abi.Poll;
const asked = Kind.KEVENT_SOCKET_RECV | Kind.KEVENT_SOCKET_ACCEPT | Kind.KEVENT_SOCKET_SEND |
    Kind.KEVENT_SOCKET_PEER_CLOSED;
const always = Kind.KEVENT_SOCKET_HANG_UP | Kind.KEVENT_SOCKET_ERROR;

pub const source: Source = .{
    .name = "socket",
    .kinds = asked | always,
    .required = asked | always,
    .enqueue = enqueue,
    .dequeue = descriptor.dequeue,
    .check = descriptor.check,
    .modify = descriptor.modify,
    .activity = descriptor.activity,
    .fill = fill,
    .requeue = descriptor.requeue,
};

pub const dialect: descriptor.Dialect = .{ .want = want, .match = match };

fn enqueue(queue: *Queue, index: u32) Error!void {
    const fd: i32 = @bitCast(queue.kevents.at(index).event.id.raw[0]);
    try sys.requireSocket(fd);
    return descriptor.enqueue(queue, index);
}

fn want(kinds: u32) u16 {
    var bits: u32 = 0;
    if (kinds & (Kind.KEVENT_SOCKET_RECV | Kind.KEVENT_SOCKET_ACCEPT) != 0) bits |= Bit.KEVENT_POLL_IN;
    if (kinds & Kind.KEVENT_SOCKET_SEND != 0) bits |= Bit.KEVENT_POLL_OUT;
    if (kinds & Kind.KEVENT_SOCKET_PEER_CLOSED != 0) bits |= Bit.KEVENT_POLL_RDHUP;
    return @intCast(bits);
}

fn match(kinds: u32, bits: u32) u32 {
    var fired: u32 = 0;
    if (bits & Bit.KEVENT_POLL_IN != 0) fired |= Kind.KEVENT_SOCKET_RECV | Kind.KEVENT_SOCKET_ACCEPT;
    if (bits & Bit.KEVENT_POLL_OUT != 0) fired |= Kind.KEVENT_SOCKET_SEND;
    if (bits & Bit.KEVENT_POLL_RDHUP != 0) fired |= Kind.KEVENT_SOCKET_PEER_CLOSED;
    if (bits & Bit.KEVENT_POLL_HUP != 0) fired |= Kind.KEVENT_SOCKET_HANG_UP;
    if (bits & Bit.KEVENT_POLL_ERR != 0) fired |= Kind.KEVENT_SOCKET_ERROR;
    return fired & (kinds | always);
}

fn fill(queue: *Queue, index: u32, record: *abi.Ukevent) bool {
    const kevent = queue.kevents.at(index);
    if (kevent.fired & Kind.KEVENT_SOCKET_ERROR != 0) {
        record.ret_data = sys.socketError(@bitCast(kevent.event.id.raw[0]));
    }
    record.ret_extra = kevent.event.ret_extra;
    return true;
}
