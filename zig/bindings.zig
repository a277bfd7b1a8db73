//! Prints `ffi/abi.ts`: every constant, offset, error and exported call of the library, walked at
//! compile time, so that nobody types a number twice. A type that script has no word for is a compile
//! error. `zig build bindings` writes the file; with `-Dci` it only compares.

const std = @import("std");
const abi = @import("abi.zig");
const errors = @import("errors.zig");
const exports = @import("exports.zig");
const Names = @import("names.zig").Names;

/// Doc comments are not part of the types; they are read from the text.
const abi_text = @embedFile("abi.zig");

pub fn main(init: std.process.Init) !void {
    var buffer: [64 * 1024]u8 = undefined;
    var file = std.Io.File.stdout().writer(init.io, &buffer);
    const out = &file.interface;
    try out.writeAll("// Printed from zig/abi.zig by zig/bindings.zig; do not edit.\n\n");
    inline for (abi.groups) |group| try printGroup(out, group);
    try printNumbers(out);
    try printErrors(out);
    try printSymbols(out);
    try out.flush();
}

fn printGroup(out: *std.Io.Writer, comptime group: type) !void {
    inline for (@typeInfo(group).@"struct".decl_names) |name| {
        try printComment(out, name);
        try printFlag(out, name, @field(group, name));
    }
    try out.writeByte('\n');
}

/// Flags read better in hexadecimal.
fn printFlag(out: *std.Io.Writer, comptime name: []const u8, value: u64) !void {
    if (value < 10) return printConstant(out, name, value);
    try out.print("export const {s} = 0x{x};\n", .{ name, value });
}

fn printConstant(out: *std.Io.Writer, comptime name: []const u8, value: u64) !void {
    try out.print("export const {s} = {d};\n", .{ name, value });
}

/// The `///` lines right above a constant, as one JSDoc comment.
fn printComment(out: *std.Io.Writer, comptime name: []const u8) !void {
    const declaration = "pub const " ++ name ++ ":";
    const at = std.mem.find(u8, abi_text, declaration) orelse return;
    var start = std.mem.findScalarLast(u8, abi_text[0..at], '\n') orelse return;
    var first = start;
    while (true) {
        const line_start = (std.mem.findScalarLast(u8, abi_text[0..start], '\n') orelse break) + 1;
        const line = std.mem.trim(u8, abi_text[line_start..start], " ");
        if (!std.mem.startsWith(u8, line, "///")) break;
        first = line_start - 1;
        start = line_start - 1;
    }
    if (first == std.mem.findScalarLast(u8, abi_text[0..at], '\n')) return;
    try out.writeAll("/**");
    var lines = std.mem.splitScalar(u8, abi_text[first + 1 .. at], '\n');
    while (lines.next()) |line| {
        const text = std.mem.trim(u8, line, " ");
        if (std.mem.startsWith(u8, text, "///")) try out.writeAll(text[3..]);
    }
    try out.writeAll(" */\n");
}

/// Sizes and offsets that script computes with.
fn printNumbers(out: *std.Io.Writer) !void {
    try printConstant(out, "ABI_VERSION", abi.version);
    try printConstant(out, "RING_ENTRIES_MAX", abi.ring_entries_max);
    try out.writeAll("/** `ret_data` of an inode event without a name. */\n");
    try printFlag(out, "KEVENT_NO_NAME", abi.no_name);
    try out.writeAll("/** The smallest name area: the longest name with its length. */\n");
    try printConstant(out, "NAMES_BYTES_MIN", Names.longest);
    try out.writeAll("\n/** Bytes of the structs that cross the border, and where their fields are. */\n");
    try printConstant(out, "RECORD_BYTES", @sizeOf(abi.Ukevent));
    try printOffsets(out, abi.Ukevent, "RECORD");
    try printConstant(out, "RING_HEADER_BYTES", @sizeOf(abi.KeventRing));
    try printConstant(out, "RING_KIDX", @offsetOf(abi.KeventRing, "ring_kidx"));
    try printConstant(out, "RING_OVER", @offsetOf(abi.KeventRing, "ring_over"));
    try printConstant(out, "RING_LINE_BYTES", @sizeOf(abi.RingProducer));
    try printConstant(out, "RING_PRODUCER_HEAD", @offsetOf(abi.RingProducer, "head"));
    try printConstant(out, "RING_CONSUMER_TAIL", @offsetOf(abi.RingConsumer, "tail"));
    try printConstant(out, "RING_CONSUMER_UIDX", @offsetOf(abi.RingConsumer, "ring_uidx"));
    try printConstant(out, "PARAMS_BYTES", @sizeOf(abi.Params));
    try printOffsets(out, abi.Params, "PARAMS");
    try printOffsets(out, abi.UserControl, "USER_CONTROL");
    try printConstant(out, "USER_CONTROL_RECORDS", abi.user_control_records);
    try printConstant(out, "TREE_PARAMS_BYTES", @sizeOf(abi.TreeParams));
    try printOffsets(out, abi.TreeParams, "TREE_PARAMS");
    try printConstant(out, "TREE_RECORD_HEADER_BYTES", @sizeOf(abi.TreeRecord));
    try printOffsets(out, abi.TreeRecord, "TREE_RECORD");
    try printConstant(out, "TREE_ANSWER_BYTES", @sizeOf(abi.TreeAnswer));
    try printOffsets(out, abi.TreeAnswer, "TREE_ANSWER");
    try out.writeByte('\n');
}

/// `<PREFIX>_<FIELD>` for each word of a struct; arrays get a number per word.
fn printOffsets(out: *std.Io.Writer, comptime T: type, comptime prefix: []const u8) !void {
    const info = @typeInfo(T).@"struct";
    inline for (info.field_names, info.field_types) |name, Field| {
        const words = @divExact(@sizeOf(Field), 4);
        inline for (0..words) |word| {
            const suffix = if (words == 1) "" else std.fmt.comptimePrint("_{d}", .{word});
            try printConstant(out, comptime upper(prefix ++ "_" ++ name ++ suffix), @offsetOf(T, name) + 4 * word);
        }
    }
}

fn upper(comptime name: []const u8) []const u8 {
    comptime {
        var letters: [name.len]u8 = undefined;
        for (name, &letters) |from, *to| to.* = std.ascii.toUpper(from);
        const final = letters;
        return &final;
    }
}

fn printErrors(out: *std.Io.Writer) !void {
    try out.writeAll("/** Every error that crosses the border: number, name, what it means and what to do. */\n");
    try out.writeAll("export const ERRORS = [\n");
    for (errors.list) |entry| {
        try out.print("  {{ number: {d}, name: \"{s}\", message: \"{s}\" }},\n", .{ entry.number, entry.name, entry.message });
    }
    try out.writeAll("] as const;\n\n");
}

fn printSymbols(out: *std.Io.Writer) !void {
    @setEvalBranchQuota(100_000);
    try out.writeAll("/** The exported calls, in words that both FFI dialects translate. */\n");
    try out.writeAll("export const SYMBOLS = {\n");
    inline for (@typeInfo(exports).@"struct".decl_names) |name| {
        if (comptime !std.mem.startsWith(u8, name, "kevent_")) continue;
        const function = @typeInfo(@TypeOf(@field(exports, name))).@"fn";
        try out.print("  {s}: {{ parameters: [", .{name});
        inline for (function.param_types, 0..) |Parameter, n| {
            try out.print("{s}\"{s}\"", .{ if (n == 0) "" else ", ", comptime wordOf(Parameter.?) });
        }
        try out.print("], result: \"{s}\" }},\n", .{comptime wordOf(function.return_type.?)});
    }
    try out.writeAll("} as const;\n");
}

fn wordOf(comptime T: type) []const u8 {
    return switch (T) {
        i32 => "i32",
        u32 => "u32",
        i64 => "i64",
        f64 => "f64",
        else => switch (@typeInfo(T)) {
            .optional => |optional| if (@typeInfo(optional.child) == .pointer) "buffer" else unknown(T),
            else => unknown(T),
        },
    };
}

fn unknown(comptime T: type) noreturn {
    @compileError("script has no word for " ++ @typeName(T));
}
