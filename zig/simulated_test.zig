//! Promises of the simulated back-end itself: same seed, same run; nothing is lost under faults.

const std = @import("std");
const abi = @import("abi.zig");
const sys = @import("sys/linux.zig");
const exports = @import("exports.zig");
const simulated = @import("backend/simulated.zig");
const t = @import("testing.zig");
const Bed = t.Bed;
const Request = t.Request;
const Pipe = t.Pipe;
const expect = t.expect;
const expectEqual = t.expectEqual;
const ms = t.ms;
const in = t.in;
const Simulate = abi.Simulate;

const pipes_count = 8;

const Run = struct { trace: u64, order: u64, handed_out: u64 };

/// A queue of the simulation alone, driven in a fixed way.
fn drive(seed: u32, faults: f64) !Run {
    const before = t.countDescriptors();
    var bed: Bed = .{ .kind = .simulated, .options = .{ .single = true, .seed = seed } };
    const given = bed.params();
    bed.fd = exports.kevent_setup(&given, null, null, null);
    try expect(bed.fd >= 0);
    const run = try driveQueue(&bed, faults);
    try expectEqual(0, exports.kevent_close(bed.fd));
    try expectEqual(before, t.countDescriptors());
    return run;
}

fn driveQueue(bed: *Bed, faults: f64) !Run {
    var pipes: [pipes_count]Pipe = undefined;
    for (&pipes) |*pipe| pipe.* = try .open();
    defer for (pipes) |pipe| pipe.close();
    try expectEqual(0, exports.kevent_simulate(bed.fd, Simulate.KEVENT_SIMULATE_FAULTS_PER_MILLE, faults));
    for (pipes, 0..) |pipe, n| {
        const edge = if (n % 2 == 0) Request.KEVENT_REQ_ET else 0;
        try bed.add(t.pollRecord(pipe.reader, in, edge, @intCast(n)));
    }
    try bed.add(t.timerRecord(ms, 0, pipes_count));
    var order: u64 = 0;
    var handed_out: u64 = 0;
    for (0..50) |_| {
        for (pipes) |pipe| try pipe.put();
        var seen: [pipes_count]bool = @splat(false);
        // Bounded: a held event comes a few looks later.
        for (0..64) |_| {
            for (try bed.look()) |got| {
                order = order *% 31 +% got.user[0];
                handed_out += 1;
                if (got.user[0] < pipes_count) seen[got.user[0]] = true;
            }
        }
        for (seen) |one| try expect(one);
        for (pipes) |pipe| _ = pipe.drain();
        try bed.pass(ms);
    }
    return .{ .trace = bed.queue().backend.simulated.trace, .order = order, .handed_out = handed_out };
}

test "the same seed gives the same run, step by step" {
    const first = try drive(42, 0);
    try expectEqual(first, try drive(42, 0));
    const faulty = try drive(42, 200);
    try expectEqual(faulty, try drive(42, 200));
    try expect(first.trace != faulty.trace);
}

test "another seed gives another order, of the same events" {
    const first = try drive(1, 0);
    const second = try drive(2, 0);
    try expect(first.order != second.order);
    try expectEqual(first.handed_out, second.handed_out);
}

test "under faults events come late, in another order, and all of them" {
    for (1..20) |seed| _ = try drive(@intCast(seed), 300);
}

test "the trace is part of what the queue says about itself" {
    var bed: Bed = .{ .kind = .simulated, .options = .{ .seed = 77 } };
    const given = bed.params();
    bed.fd = exports.kevent_setup(&given, null, null, null);
    defer _ = exports.kevent_close(bed.fd);
    var text: [4096]u8 = undefined;
    const length: usize = @intCast(exports.kevent_info(bed.fd, &text, text.len));
    try expect(std.mem.find(u8, text[0..length], "\"seed\":\"77\"") != null);
    var hash: [64]u8 = undefined;
    const wanted = try std.fmt.bufPrint(&hash, "\"trace\":\"{x:0>16}\"", .{bed.queue().backend.simulated.trace});
    try expect(std.mem.find(u8, text[0..length], wanted) != null);
}

test "time begins at fixed moments, and a wait with nothing else to come jumps" {
    var bed: Bed = .{ .kind = .simulated, .options = .{ .single = true } };
    const given = bed.params();
    bed.fd = exports.kevent_setup(&given, null, null, null);
    defer _ = exports.kevent_close(bed.fd);
    try expectEqual(simulated.monotonic_start_ns, bed.now(.monotonic));
    try expectEqual(simulated.wall_start_ns, bed.now(.wall));
    const hour = 3600 * std.time.ns_per_s;
    try bed.add(t.timerRecord(hour, 0, 1));
    const real = sys.now(.monotonic);
    for (0..10) |_| try expectEqual(1, (try bed.collect(1, 1, null)).len);
    try expectEqual(0, (try bed.collect(1, 1, hour / 2)).len);
    try expect(sys.now(.monotonic) - real < 10 * std.time.ns_per_s);
    const passed = bed.now(.monotonic) - simulated.monotonic_start_ns;
    try expect(passed >= 10 * hour + hour / 2 and passed < 11 * hour);
    try expectEqual(passed, bed.now(.wall) - simulated.wall_start_ns);
}

test "a clock stopped by hand moves by ADVANCE only, and a wait with a limit only looks" {
    var bed: Bed = .{ .kind = .simulated, .options = .{} };
    const given = bed.params();
    bed.fd = exports.kevent_setup(&given, null, null, null);
    defer _ = exports.kevent_close(bed.fd);
    try expectEqual(0, exports.kevent_simulate(bed.fd, Simulate.KEVENT_SIMULATE_MANUAL_CLOCK, 1));
    try bed.add(t.timerRecord(5 * ms, 0, 1));
    const start = bed.now(.monotonic);
    t.pause(6 * ms);
    try expectEqual(0, (try bed.collect(1, 1, 3600 * std.time.ns_per_s)).len);
    try expectEqual(start, bed.now(.monotonic));
    try expect(!t.isReadable(bed.fd));
    try bed.pass(5 * ms - 1);
    try bed.expectUsers(&.{});
    try bed.pass(1);
    try expect(t.isReadable(bed.fd));
    try bed.expectUsers(&.{1});
    try expectEqual(0, exports.kevent_simulate(bed.fd, Simulate.KEVENT_SIMULATE_MANUAL_CLOCK, 0));
    try expectEqual(1, (try bed.collect(1, 1, null)).len);
}

test "the descriptor works in real time, also for a script that sleeps" {
    var bed: Bed = .{ .kind = .simulated, .options = .{} };
    const given = bed.params();
    bed.fd = exports.kevent_setup(&given, null, null, null);
    defer _ = exports.kevent_close(bed.fd);
    try bed.add(t.timerRecord(20 * ms, Request.KEVENT_REQ_ONESHOT, 1));
    const real = sys.now(.monotonic);
    var fds = [1]sys.PollFd{.{ .fd = bed.fd, .events = in, .revents = 0 }};
    try expectEqual(1, try sys.poll(&fds, std.time.ns_per_s));
    try expect(sys.now(.monotonic) - real >= 20 * ms);
    try bed.expectUsers(&.{1});
}

test "a queue's clock is its own where time is simulated, and the kernel's elsewhere" {
    var bed: Bed = .{ .kind = .simulated, .options = .{ .single = true } };
    const given = bed.params();
    bed.fd = exports.kevent_setup(&given, null, null, null);
    try expect(bed.fd >= 0);
    const Clock = abi.Clock;
    try expectEqual(0, exports.kevent_simulate(bed.fd, Simulate.KEVENT_SIMULATE_MANUAL_CLOCK, 1));
    const start = exports.kevent_clock(bed.fd, Clock.KEVENT_CLOCK_MONOTONIC);
    try expectEqual(@as(f64, @floatFromInt(simulated.monotonic_start_ns)), start);
    try expectEqual(0, exports.kevent_simulate(bed.fd, Simulate.KEVENT_SIMULATE_ADVANCE, 5));
    try expectEqual(start + 5, exports.kevent_clock(bed.fd, Clock.KEVENT_CLOCK_MONOTONIC));
    try expect(exports.kevent_clock(bed.fd, Clock.KEVENT_CLOCK_WALL) >= @as(f64, @floatFromInt(simulated.wall_start_ns)));
    try expect(std.math.isNan(exports.kevent_clock(bed.fd, 2)));
    try expectEqual(0, exports.kevent_close(bed.fd));
    try expectEqual(-9, exports.kevent_clock(bed.fd, Clock.KEVENT_CLOCK_MONOTONIC));

    const real = exports.kevent_init(null, 0, 0);
    try expect(real >= 0);
    const before = exports.kevent_now(Clock.KEVENT_CLOCK_MONOTONIC);
    const between = exports.kevent_clock(real, Clock.KEVENT_CLOCK_MONOTONIC);
    try expect(before <= between and between <= exports.kevent_now(Clock.KEVENT_CLOCK_MONOTONIC));
    try expectEqual(0, exports.kevent_close(real));
}
