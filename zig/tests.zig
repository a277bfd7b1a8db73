//! Every file with tests; `test/tidy.test.ts` fails when one is missing.

test {
    _ = @import("abi.zig");
    _ = @import("backend.zig");
    _ = @import("backend/uring_test.zig");
    _ = @import("bad_input_test.zig");
    _ = @import("errors.zig");
    _ = @import("exports.zig");
    _ = @import("fault_test.zig");
    _ = @import("helper.zig");
    _ = @import("identity.zig");
    _ = @import("info.zig");
    _ = @import("inotify/hub_test.zig");
    _ = @import("kevent.zig");
    _ = @import("list.zig");
    _ = @import("model_fuzz.zig");
    _ = @import("names.zig");
    _ = @import("pool.zig");
    _ = @import("queue.zig");
    _ = @import("queue_test.zig");
    _ = @import("registry.zig");
    _ = @import("ring.zig");
    _ = @import("simulated_test.zig");
    _ = @import("sockets.zig");
    _ = @import("source.zig");
    _ = @import("source/inode_test.zig");
    _ = @import("source/process_test.zig");
    _ = @import("source/signal_test.zig");
    _ = @import("storage.zig");
    _ = @import("sync.zig");
    _ = @import("sys/directory.zig");
    _ = @import("sys/process.zig");
    _ = @import("tree/nodes.zig");
    _ = @import("tree/output.zig");
    _ = @import("tree/pace_test.zig");
    _ = @import("tree/tree_test.zig");
    _ = @import("wait.zig");
    _ = @import("wait_test.zig");
    _ = @import("wake.zig");
    _ = @import("wheel.zig");
}
