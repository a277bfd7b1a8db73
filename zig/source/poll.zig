//! Any descriptor, any bits of poll(2). S4-16.

const abi = @import("../abi.zig");
const Queue = @import("../queue.zig").Queue;
const Source = @import("../source.zig").Source;
const descriptor = @import("descriptor.zig");

const Bit = abi.Poll;
const always = Bit.KEVENT_POLL_ERR | Bit.KEVENT_POLL_HUP;
const all = Bit.KEVENT_POLL_IN | Bit.KEVENT_POLL_PRI | Bit.KEVENT_POLL_OUT | always |
    Bit.KEVENT_POLL_RDNORM | Bit.KEVENT_POLL_RDBAND | Bit.KEVENT_POLL_WRNORM |
    Bit.KEVENT_POLL_WRBAND | Bit.KEVENT_POLL_MSG | Bit.KEVENT_POLL_RDHUP;

pub const source: Source = .{
    .name = "poll",
    .kinds = all,
    .required = all,
    .enqueue = descriptor.enqueue,
    .dequeue = descriptor.dequeue,
    .check = descriptor.check,
    .modify = descriptor.modify,
    .activity = descriptor.activity,
    .fill = fill,
    .requeue = descriptor.requeue,
};

pub const dialect: descriptor.Dialect = .{ .want = want, .match = match };

fn want(kinds: u32) u16 {
    return @intCast(kinds & all);
}

fn match(kinds: u32, bits: u32) u32 {
    return bits & (kinds | always);
}

fn fill(queue: *Queue, index: u32, record: *abi.Ukevent) bool {
    record.ret_extra = queue.kevents.at(index).event.ret_extra;
    return true;
}
