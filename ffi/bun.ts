import { SYMBOLS } from "./abi.ts";
import type { Calls, Dialect } from "./library.ts";

// Not by an import, at which other runtimes would fail before they are told why.
const { dlopen } = process.getBuiltinModule("bun:ffi") as typeof import("bun:ffi");

/** Names of processors as the files of the library have them. */
const architectures: Readonly<Record<string, string>> = { x64: "x86_64", arm64: "aarch64" };

/** The same table with the names that bun:ffi gives to parameters and result. */
function table(): Record<string, { args: readonly string[]; returns: string }> {
  return Object.fromEntries(
    Object.entries(SYMBOLS).map(([name, { parameters, result }]) => [
      name,
      { args: parameters, returns: result },
    ]),
  );
}

/** FFI of Bun. */
export const dialect: Dialect = {
  platform: { os: process.platform, arch: architectures[process.arch] ?? process.arch },

  open(path: string): Calls {
    // The declared type wants literal names; the table is data that Zig printed.
    return dlopen(path, table() as Parameters<typeof dlopen>[1]).symbols as unknown as Calls;
  },

  environment: (name: string) => process.env[name],

  permitted: () => true,

  permissionHint: () => "check the mode of the file",
};
