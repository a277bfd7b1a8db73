//! Events that the program itself triggers, from any thread, with 24 payload bits that triggers set,
//! join or cut as kqueue's EVFILT_USER. S0-28. Such a registration is its own storage.

const abi = @import("../abi.zig");
const Error = @import("../errors.zig").Error;
const Queue = @import("../queue.zig").Queue;
const Source = @import("../source.zig").Source;

const Kind = abi.User;

pub const source: Source = .{
    .name = "user",
    .kinds = Kind.KEVENT_USER_TRIGGERED | abi.user_payload_mask,
    .required = Kind.KEVENT_USER_TRIGGERED,
    .enqueue = enqueue,
    .dequeue = dequeue,
    .check = check,
    .fill = fill,
    .requeue = requeue,
};

/// The payload a registration starts with comes in its `event`; it lives in `data`, with the number
/// of triggers since the last delivery above it.
fn enqueue(queue: *Queue, index: u32) Error!void {
    const kevent = queue.kevents.at(index);
    kevent.data = kevent.event.event & abi.user_payload_mask;
}

fn dequeue(_: *Queue, _: u32) void {}

fn check(queue: *Queue, index: u32) u32 {
    return queue.kevents.at(index).fired;
}

pub fn trigger(queue: *Queue, index: u32, event: u32) Error!void {
    const allowed = Kind.KEVENT_USER_TRIGGERED | Kind.KEVENT_USER_SILENT | abi.user_operation_mask | abi.user_payload_mask;
    if (event & ~allowed != 0) return error.INVAL;
    const kevent = queue.kevents.at(index);
    const operand = event & abi.user_payload_mask;
    const payload: u32 = @truncate(kevent.data & abi.user_payload_mask);
    const new = switch (event & abi.user_operation_mask) {
        Kind.KEVENT_USER_AND => payload & operand,
        Kind.KEVENT_USER_OR => payload | operand,
        Kind.KEVENT_USER_COPY => operand,
        else => payload,
    };
    const silent = event & Kind.KEVENT_USER_SILENT != 0;
    const count: u32 = @truncate(kevent.data >> 32);
    kevent.data = @as(u64, if (silent) count else count +| 1) << 32 | new;
    if (!silent) queue.markReady(index, Kind.KEVENT_USER_TRIGGERED);
}

fn fill(queue: *Queue, index: u32, record: *abi.Ukevent) bool {
    const kevent = queue.kevents.at(index);
    record.event = Kind.KEVENT_USER_TRIGGERED;
    record.ret_data = @truncate(kevent.data & abi.user_payload_mask);
    record.ret_extra = @truncate(kevent.data >> 32);
    return true;
}

fn requeue(queue: *Queue, index: u32) void {
    queue.kevents.at(index).data &= abi.user_payload_mask;
}
