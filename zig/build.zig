//! Everything native. `zig build --help` lists the steps; docs/design.md, "Build", says where each result lies.

const std = @import("std");

/// glibc 2.17 is what the oldest supported distributions have (2012); the kernel decides the rest at run time.
const targets = [_]std.Target.Query{
    .{ .cpu_arch = .x86_64, .os_tag = .linux, .abi = .gnu, .glibc_version = glibc },
    .{ .cpu_arch = .x86_64, .os_tag = .linux, .abi = .musl },
    .{ .cpu_arch = .aarch64, .os_tag = .linux, .abi = .gnu, .glibc_version = glibc },
    .{ .cpu_arch = .aarch64, .os_tag = .linux, .abi = .musl },
};
const glibc: std.SemanticVersion = .{ .major = 2, .minor = 17, .patch = 0 };

/// Set once by `build`, read for each module.
var left_out_sources: ?[]const []const u8 = null;

pub fn build(b: *std.Build) void {
    const optimize = b.option(std.builtin.Optimize, "optimize", "debug, safe or fast; each step has its own default");
    const ci = b.option(bool, "ci", "compare generated files, do not write them") orelse false;
    const filters = b.option([]const []const u8, "filter", "run only tests whose name contains this") orelse &.{};

    left_out_sources = b.option([]const []const u8, "without", "leave a source of events out");
    for (targets) |query| {
        b.getInstallStep().dependOn(addLibrary(b, b.resolveTargetQuery(query), optimize orelse .fast));
    }

    const native = b.step("native", "The library for this machine only, what the tests load");
    native.dependOn(addLibrary(b, nativeTarget(b), optimize orelse .safe));

    const unit = b.addTest(.{
        .root_module = addModule(b, "tests.zig", nativeTarget(b), optimize orelse .debug),
        .filters = filters,
    });
    const run_unit = b.addRunArtifact(unit);
    // Tests ask the kernel, whose answer the build cache cannot know.
    run_unit.has_side_effects = true;
    b.step("test", "Unit tests").dependOn(&run_unit.step);

    addBindings(b, ci);
    addProgram(b, "bench", "Benchmarks of the core", optimize orelse .fast);
    addProgram(b, "wheel_bench", "Benchmark of the timer wheel alone", optimize orelse .fast);
    addProgram(b, "fuzz", "Fuzzer: -- --seed N --events-max N", optimize orelse .safe);
}

/// Installs `<mode>/libkevent-<arch>-linux-<abi>.so`. A folder per mode, so that a bench never measures a safe build.
fn addLibrary(b: *std.Build, target: std.Build.ResolvedTarget, optimize: std.builtin.Optimize) *std.Build.Step {
    const library = b.addLibrary(.{
        .name = "kevent",
        .linkage = .dynamic,
        .root_module = addModule(b, "exports.zig", target, optimize),
        // A script's threads call into this with their own thread-locals; LLVM has the settled code for that.
        .use_llvm = true,
    });
    const name = b.fmt("{t}/libkevent-{t}-linux-{s}.so", .{
        optimize,
        target.result.cpu.arch,
        if (target.result.abi.isMusl()) "musl" else "gnu",
    });
    return &b.addInstallFile(library.getEmittedBin(), name).step;
}

fn addModule(
    b: *std.Build,
    root: []const u8,
    target: std.Build.ResolvedTarget,
    optimize: std.builtin.Optimize,
) *std.Build.Module {
    const module = b.createModule(.{
        .root_source_file = b.path(root),
        .target = target,
        .optimize = optimize,
        // Traces of a safe build are worth their bytes; users get the small one.
        .strip = optimize == .fast,
        // pthread keys: the hook that closes a dead Worker's queues.
        .link_libc = true,
    });
    module.addOptions("options", sourceOptions(b));
    return module;
}

/// S0-29: each source of events can be left out with `-Dwithout=<source>`; its records are then refused.
fn sourceOptions(b: *std.Build) *std.Build.Step.Options {
    const options = b.addOptions();
    for ([_][]const u8{ "socket", "poll", "timer", "inode", "signal", "process", "user" }) |source| {
        const left_out = left_out_sources orelse &.{};
        const present = for (left_out) |name| {
            if (std.mem.eql(u8, name, source)) break false;
        } else true;
        options.addOption(bool, source, present);
    }
    return options;
}

/// The same target the package would pick here, so that tests load what users load.
fn nativeTarget(b: *std.Build) std.Build.ResolvedTarget {
    const host = b.graph.host.result;
    for (targets) |query| {
        const musl = query.abi.? == .musl;
        if (query.cpu_arch.? == host.cpu.arch and musl == host.abi.isMusl()) return b.resolveTargetQuery(query);
    }
    std.process.fatal("kevent runs on Linux, x86_64 or aarch64; this is {t}", .{host.cpu.arch});
}

/// `bindings.zig` is a program whose output is `ffi/abi.ts`.
fn addBindings(b: *std.Build, ci: bool) void {
    const step = b.step("bindings", "Print ffi/abi.ts; with -Dci only compare");
    const program = b.addExecutable(.{
        .name = "bindings",
        .root_module = addModule(b, "bindings.zig", nativeTarget(b), .debug),
    });
    const printed = b.addRunArtifact(program).captureStdOut(.{});
    if (ci) {
        const compare = b.addSystemCommand(&.{ "sh", "-c", compare_script, "compare" });
        compare.addFileArg(printed);
        compare.addFileArg(b.path("../ffi/abi.ts"));
        compare.has_side_effects = true;
        step.dependOn(&compare.step);
    } else {
        const update = b.addUpdateSourceFiles();
        update.addCopyFileToSource(printed, "../ffi/abi.ts");
        step.dependOn(&update.step);
    }
}

const compare_script =
    \\cmp -s "$1" "$2" && exit 0
    \\diff "$2" "$1" | head -n 20 >&2
    \\echo "ffi/abi.ts is outdated: run zig build bindings" >&2
    \\exit 1
;

fn addProgram(b: *std.Build, name: []const u8, description: []const u8, optimize: std.builtin.Optimize) void {
    const program = b.addExecutable(.{
        .name = name,
        .root_module = addModule(b, b.fmt("{s}.zig", .{name}), nativeTarget(b), optimize),
    });
    const run = b.addRunArtifact(program);
    run.addPassthruArgs();
    // A timing or a seed printed from the cache would be a lie.
    run.has_side_effects = true;
    b.step(name, description).dependOn(&run.step);
}
