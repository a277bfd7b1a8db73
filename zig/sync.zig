//! A lock that sleeps in the kernel when it must. The C library's would do, but its size differs
//! between glibc and musl, and a queue is laid out the same on both.

const std = @import("std");
const sys = @import("sys/linux.zig");

pub const Mutex = struct {
    /// 0 free, 1 held, 2 held and somebody may sleep on it.
    word: std.atomic.Value(u32) = .init(0),

    pub fn lock(mutex: *Mutex) void {
        if (mutex.word.cmpxchgStrong(0, 1, .acquire, .monotonic) == null) return;
        while (mutex.word.swap(2, .acquire) != 0) _ = sys.futexWait(&mutex.word, 2, null);
    }

    pub fn unlock(mutex: *Mutex) void {
        if (mutex.word.swap(0, .release) == 2) sys.futexWake(&mutex.word, 1);
    }
};

test "two threads that add to one number under the lock lose nothing" {
    const Shared = struct {
        mutex: Mutex = .{},
        sum: u32 = 0,

        fn run(shared: *@This()) void {
            for (0..10_000) |_| {
                shared.mutex.lock();
                defer shared.mutex.unlock();
                shared.sum += 1;
            }
        }
    };
    var shared: Shared = .{};
    const thread = try std.Thread.spawn(.{}, Shared.run, .{&shared});
    shared.run();
    thread.join();
    try std.testing.expectEqual(20_000, shared.sum);
}
