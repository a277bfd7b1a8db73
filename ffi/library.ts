import type { SYMBOLS } from "./abi.ts";
import { check } from "./errors.ts";

/** A view that goes over the border as a pointer; its memory must be an explicit buffer. */
export type Bytes = Uint8Array<ArrayBufferLike>;

/** How the two runtimes name a native type, and what script passes for it. */
interface NativeTypes {
  i32: number;
  u32: number;
  i64: number;
  f64: number;
  buffer: Bytes;
}

type Parameters<Names extends readonly (keyof NativeTypes)[]> = {
  -readonly [Index in keyof Names]: NativeTypes[Names[Index]];
};

/** The calls of the library, typed from the table that Zig prints. */
export type Calls = {
  readonly [Name in keyof typeof SYMBOLS]: (
    ...parameters: Parameters<(typeof SYMBOLS)[Name]["parameters"]>
  ) => NativeTypes[(typeof SYMBOLS)[Name]["result"]];
};

/** An opened library: its calls, and the file they came from. */
export interface Library {
  /** Absolute path of the opened file. */
  readonly path: string;
  /** The native calls. All return `>= 0` or a negative errno unless their table says otherwise. */
  readonly calls: Calls;
}

/** What one runtime's FFI offers. `ffi/deno.ts` and `ffi/bun.ts` satisfy it. */
export interface Dialect {
  /** The operating system and processor: `linux`, `x86_64` or `aarch64` are supported. */
  readonly platform: { readonly os: string; readonly arch: string };
  /** Opens a library by absolute path. Throws what the runtime throws. */
  open(path: string): Calls;
  /** Reads an environment variable; `undefined` when unset or not permitted, without asking. */
  environment(name: string): string | undefined;
  /** Whether opening `path` needs no question to the user. */
  permitted(path: string): boolean;
  /** What to tell a user whose program may not open `path`. */
  readonly permissionHint: (path: string) => string;
}

/** Passed where a call takes a buffer and there is none: the size that goes with it is 0. */
export const NO_BYTES: Bytes = new Uint8Array(new ArrayBuffer(8), 0, 0);

/** Room for the JSON that the library answers with. */
const ANSWER_BYTES = 16384;

/**
 * Asks the library about itself or about a queue.
 *
 * @param calls The native calls.
 * @param fd The queue's descriptor; -1 for the library.
 * @returns What it answers, parsed.
 * @throws {KeventError} EBADF when `fd` is no queue.
 */
export function askLibrary(calls: Calls, fd: number): unknown {
  const bytes = new Uint8Array(new ArrayBuffer(ANSWER_BYTES));
  const length = check(calls.kevent_info(fd, bytes, ANSWER_BYTES), "ask for info", "kevent_info");
  return JSON.parse(new TextDecoder().decode(bytes.subarray(0, length)));
}
