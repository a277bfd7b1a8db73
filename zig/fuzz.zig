//! All fuzzers. `zig build fuzz -- [--seed N] [--events-max N] [NAME]` runs one or all of them on each
//! back-end, in runs of a fresh seed each until the events are used up, and prints the seed of a run
//! that fails. `failed_seeds` holds those that did, run first for ever after.

const std = @import("std");
const abi = @import("abi.zig");
const ModelFuzz = @import("model_fuzz.zig").ModelFuzz;
const QueueFuzz = @import("queue_fuzz.zig").QueueFuzz;

/// Events of one run: long enough for states to build up, short enough to be debugged.
const run_events = 2_000;

const Fuzzer = struct {
    name: []const u8,
    run: *const fn (std.mem.Allocator, seed: u64, backend: u32, events_most: u64) anyerror!void,
    /// Seeds that found something once.
    failed_seeds: []const u64 = &.{},
    /// It must fail: it proves that failures are seen.
    canary: bool = false,
};

const fuzzers = [_]Fuzzer{
    .{ .name = "queue", .run = fuzzQueue, .failed_seeds = &.{} },
    .{ .name = "model", .run = ModelFuzz.run, .failed_seeds = &.{2003809} },
    .{ .name = "canary", .run = failAlways, .canary = true },
};

fn fuzzQueue(gpa: std.mem.Allocator, seed: u64, backend: u32, events_most: u64) anyerror!void {
    return QueueFuzz.run(gpa, seed, backend, events_most);
}

fn failAlways(_: std.mem.Allocator, _: u64, _: u32, _: u64) anyerror!void {
    return error.Wrong;
}

const Arguments = struct {
    seed: u64 = 1,
    events_most: u64 = 100_000,
    name: ?[]const u8 = null,

    fn parse(args: std.process.Args) !Arguments {
        var given: Arguments = .{};
        var words = args.iterate();
        _ = words.next();
        while (words.next()) |word| {
            if (std.mem.eql(u8, word, "--seed")) {
                given.seed = try std.fmt.parseInt(u64, words.next() orelse "", 10);
            } else if (std.mem.eql(u8, word, "--events-max")) {
                given.events_most = try std.fmt.parseInt(u64, words.next() orelse "", 10);
            } else given.name = word;
        }
        return given;
    }
};

pub fn main(init: std.process.Init) !void {
    const arguments = Arguments.parse(init.minimal.args) catch {
        std.debug.print("usage: zig build fuzz -- [--seed N] [--events-max N] [NAME]\n", .{});
        return error.Usage;
    };
    for (fuzzers) |fuzzer| {
        if (arguments.name) |name| if (!std.mem.eql(u8, name, fuzzer.name)) continue;
        try runOnEach(init.gpa, fuzzer, arguments);
    }
}

const backends = [_]u32{
    abi.Backend.KEVENT_BACKEND_EPOLL,
    abi.Backend.KEVENT_BACKEND_IO_URING,
    abi.Backend.KEVENT_BACKEND_SIMULATED,
};

/// Each seed on each back-end before the next seed, so that a run that is ended by hand has seen all.
fn runOnEach(gpa: std.mem.Allocator, fuzzer: Fuzzer, arguments: Arguments) !void {
    var absent: [backends.len]bool = @splat(false);
    for (fuzzer.failed_seeds) |seed| try runSeed(gpa, fuzzer, seed, run_events, &absent);
    var left = arguments.events_most;
    var seed = arguments.seed;
    while (left > 0) : (seed +%= 1) {
        const events = @min(left, run_events);
        try runSeed(gpa, fuzzer, seed, events, &absent);
        left -= events;
        if (seed % seeds_told == 0) std.debug.print("{s}: seed {d} is done\n", .{ fuzzer.name, seed });
    }
    std.debug.print("{s}: {d} events on each back-end, seeds from {d}\n", .{ fuzzer.name, arguments.events_most, arguments.seed });
}

/// A sign of life of a run that takes an hour.
const seeds_told = 10_000;

fn runSeed(gpa: std.mem.Allocator, fuzzer: Fuzzer, seed: u64, events: u64, absent: *[backends.len]bool) !void {
    for (backends, absent) |backend, *is_absent| {
        if (is_absent.*) continue;
        const ended = fuzzer.run(gpa, seed, backend, events);
        if (fuzzer.canary) {
            ended catch continue;
            return error.CanarySurvived;
        }
        ended catch |err| switch (err) {
            error.Unavailable => {
                std.debug.print("{s}: back-end {d} cannot be had here, skipped\n", .{ fuzzer.name, backend });
                is_absent.* = true;
            },
            else => return err,
        };
    }
}
