import { SYMBOLS } from "./abi.ts";
import type { Calls, Dialect } from "./library.ts";

/** FFI of Deno. Everything is opened at load: a program may drop its permissions afterwards. */
export const dialect: Dialect = {
  platform: { os: Deno.build.os, arch: Deno.build.arch },

  open(path: string): Calls {
    // `i64` parameters take a number or a bigint; the declared type knows only the latter.
    return Deno.dlopen(path, SYMBOLS).symbols as unknown as Calls;
  },

  environment(name: string): string | undefined {
    // Asking for a variable that is not granted would prompt; a missing grant means "not set".
    const { state } = Deno.permissions.querySync({ name: "env", variable: name });
    return state === "granted" ? Deno.env.get(name) : undefined;
  },

  permitted(path: string): boolean {
    return Deno.permissions.querySync({ name: "ffi", path }).state === "granted";
  },

  permissionHint: (path: string) => `run again with --allow-ffi=${path}`,
};
