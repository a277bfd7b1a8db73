//! What the library says about itself and a queue, as JSON: cheap to extend, read rarely.

const std = @import("std");
const abi = @import("abi.zig");
const Error = @import("errors.zig").Error;
const Queue = @import("queue.zig").Queue;
const sources = @import("source.zig");
const forests = @import("tree/forest.zig");
const Forest = forests.Forest;
const Tree = forests.Tree;

pub fn ofLibrary(buffer: []u8) Error!i32 {
    var text: Text = .{ .buffer = buffer };
    // Sizes are checked by whoever opens the library, besides the version.
    text.print("{{\"abi\":{d},\"sizes\":[{d},{d},{d},{d}],\"sources\":[", .{
        abi.version,             @sizeOf(abi.Ukevent),      @sizeOf(abi.Params),
        @sizeOf(abi.KeventRing), @sizeOf(abi.RingProducer),
    });
    var first = true;
    for (sources.table) |entry| {
        const source = entry orelse continue;
        text.print("{s}\"{s}\"", .{ if (first) "" else ",", source.name });
        first = false;
    }
    text.print("]}}", .{});
    return text.length();
}

pub fn ofQueue(queue: *Queue, buffer: []u8) Error!i32 {
    var text: Text = .{ .buffer = buffer };
    text.print("{{\"backend\":\"{t}\",\"reason\":\"{s}\",\"single\":{},\"features\":{{", .{
        queue.backend, queue.choice.reason, queue.single,
    });
    switch (queue.backend) {
        inline else => |*backend| if (@hasDecl(@TypeOf(backend.*), "describe")) backend.describe(&text),
    }
    text.print("}},\"registrations\":{d},\"ready\":{d},\"timers\":{d},\"storages\":{d}", .{
        queue.kevents.count,
        queue.ready_count,
        queue.wheels[0].count + queue.wheels[1].count,
        queue.storages.count,
    });
    if (queue.ring) |*ring| {
        text.print(",\"ring\":{{\"entries\":{d},\"waiting\":{d},\"published\":{d}}}", .{
            ring.entries, ring.waiting(), ring.published,
        });
    }
    text.print(",\"counters\":{{", .{});
    inline for (@typeInfo(@TypeOf(queue.counters)).@"struct".field_names, 0..) |name, n| {
        text.print("{s}\"{s}\":{d}", .{ if (n == 0) "" else ",", name, @field(queue.counters, name) });
    }
    text.print("}}}}", .{});
    return text.length();
}

pub fn ofTree(forest: *const Forest, tree: *const Tree, buffer: []u8) i32 {
    var text: Text = .{ .buffer = buffer };
    const mode = if (tree.polled) "polling" else if (tree.deaf > 0) "mixed" else "inotify";
    text.print("{{\"mode\":\"{s}\",\"reason\":\"{t}\",\"ready\":{},\"directories\":{d}", .{
        mode, tree.reason, tree.ready, tree.directories,
    });
    // The snapshot is that of all trees of the loop.
    text.print(",\"nodes\":{d},\"bytes\":{d},\"overflows\":{d}}}", .{
        forest.nodes.pool.count, forest.bytes(), tree.overflows,
    });
    return text.length();
}

/// Text into a buffer that may be too small: then only the length counts on.
pub const Text = struct {
    buffer: []u8,
    used: usize = 0,

    pub fn print(text: *Text, comptime format: []const u8, arguments: anytype) void {
        var piece: [512]u8 = undefined;
        const written = std.fmt.bufPrint(&piece, format, arguments) catch unreachable;
        if (text.used + written.len <= text.buffer.len) @memcpy(text.buffer[text.used..][0..written.len], written);
        text.used += written.len;
    }

    fn length(text: *const Text) i32 {
        return @intCast(text.used);
    }
};
