//! (being written)
const abi = @import("../abi.zig");
const Error = @import("../errors.zig").Error;
const Queue = @import("../queue.zig").Queue;
const Source = @import("../source.zig").Source;

pub const source: Source = .{ .name = "process", .kinds = 0, .required = 0, .enqueue = enqueue, .dequeue = dequeue, .check = check };
fn enqueue(_: *Queue, _: u32) Error!void {
    return error.NOTSUP;
}
fn dequeue(_: *Queue, _: u32) void {}
fn check(_: *Queue, _: u32) u32 {
    return 0;
}
