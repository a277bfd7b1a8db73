/** `bench/native/helper.c` for both runtimes: its functions, and callbacks that it can call. */

import process from "node:process";
import { place } from "./support.ts";

/** Parameters and result of each function, in the words of `ffi/abi.ts` and `pointer`. */
const SYMBOLS = {
  bench_raise_limit: { parameters: [], result: "f64" },
  bench_eventfd: { parameters: [], result: "i32" },
  bench_make_ready: { parameters: ["buffer", "u32"], result: "void" },
  bench_read: { parameters: ["i32"], result: "u32" },
  bench_close: { parameters: ["i32"], result: "void" },
  bench_call: { parameters: ["pointer", "u32"], result: "void" },
  bench_trigger: { parameters: ["buffer", "i32", "u32", "buffer", "u32", "u32"], result: "i32" },
  bench_call_back: { parameters: ["pointer", "u32", "u32"], result: "i32" },
  bench_write_from_process: { parameters: ["i32", "u32", "u32"], result: "i32" },
  bench_waker_end: { parameters: ["buffer"], result: "void" },
} as const;

interface Types {
  i32: number;
  u32: number;
  f64: number;
  void: undefined;
  buffer: Uint8Array<ArrayBuffer>;
  /** A callback; the two runtimes have their own type for its address. */
  pointer: unknown;
}

type Values<Names extends readonly (keyof Types)[]> = {
  -readonly [Index in keyof Names]: Types[Names[Index]];
};

/** The functions of the helper. */
export type Helper = {
  readonly [Name in keyof typeof SYMBOLS]: (
    ...parameters: Values<(typeof SYMBOLS)[Name]["parameters"]>
  ) => Types[(typeof SYMBOLS)[Name]["result"]];
};

/** A function of script that native code can call with a number. */
export interface NativeCallback {
  readonly pointer: unknown;
  close(): void;
}

/** Opens the helper that `bench/run.mjs` built. */
export async function openHelper(): Promise<Helper> {
  const path = process.env.KEVENT_BENCH_HELPER;
  if (!path) throw new Error("Bench: no helper (run it with: npm run bench)");
  if (place === "deno") return Deno.dlopen(path, SYMBOLS).symbols as unknown as Helper;
  const { dlopen } = await import("bun:ffi");
  const table = Object.fromEntries(
    Object.entries(SYMBOLS).map(([name, { parameters, result }]) => [
      name,
      {
        args: parameters.map((type) => (type as string) === "pointer" ? "ptr" : type),
        returns: result,
      },
    ]),
  );
  return dlopen(path, table as Parameters<typeof dlopen>[1]).symbols as unknown as Helper;
}

/**
 * Makes a callback.
 *
 * @param threadsafe Whether it is called on another thread while the runtime sleeps.
 */
export async function nativeCallback(
  callback: (value: number) => void,
  threadsafe: boolean,
): Promise<NativeCallback> {
  if (place === "deno") {
    const definition = { parameters: ["u32"], result: "void" } as const;
    const made = threadsafe
      ? Deno.UnsafeCallback.threadSafe(definition, callback)
      : new Deno.UnsafeCallback(definition, callback);
    return { pointer: made.pointer, close: () => made.close() };
  }
  const { JSCallback } = await import("bun:ffi");
  const made = new JSCallback(callback, { args: ["u32"], returns: "void", threadsafe });
  return { pointer: made.ptr, close: () => made.close() };
}
