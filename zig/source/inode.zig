//! (being written)
const abi = @import("../abi.zig");
const Error = @import("../errors.zig").Error;
const Queue = @import("../queue.zig").Queue;
const Source = @import("../source.zig").Source;

pub const Subscription = struct {};
pub fn unsubscribe(_: *Queue) void {}

pub const source: Source = .{ .name = "inode", .kinds = 0, .required = 0, .enqueue = enqueue, .dequeue = dequeue, .check = check };
fn enqueue(_: *Queue, _: u32) Error!void {
    return error.NOTSUP;
}
fn dequeue(_: *Queue, _: u32) void {}
fn check(_: *Queue, _: u32) u32 {
    return 0;
}

pub fn addByPath(_: *Queue, _: []const u8, _: *abi.Ukevent) Error!void {
    return error.NOTSUP;
}
