/**
 * The public face of kevent: `Loop` and its handles, `Queue` below them, and the constants.
 *
 * @module
 */
import { KEVENT_CLOCK_MONOTONIC } from "../ffi/abi.ts";
import { currentRuntime } from "./host.ts";
import { type Info, infoOf } from "./queue.ts";

export * from "../ffi/abi.ts";
export * from "../ffi/aliases.ts";
export { KeventError } from "../ffi/errors.ts";
export { readRecord, type RecordFields, Records, writeRecord } from "../ffi/record.ts";
export { ringBytes, RingReader } from "../ffi/ring.ts";
export { control } from "./control.ts";
export { Handle } from "./handle.ts";
export { Inode, type InodeEvent } from "./inode.ts";
export { Loop, type LoopOptions, type RunMode, type Slot } from "./loop.ts";
export { Poll } from "./poll.ts";
export { Process, type ProcessEnd } from "./process.ts";
export { type Info, Queue, type QueueOptions, type SharedQueue } from "./queue.ts";
export { Signal } from "./signal.ts";
export { Connection, type ConnectionHandlers, type ListenOptions, Server } from "./socket.ts";
export { Timer } from "./timer.ts";
export { type SharedTrigger, triggerShared, User } from "./user.ts";

/**
 * What the library is and what it found: version, back-end with the reason for it, features of
 * the kernel.
 *
 * @returns The answers.
 *
 * @example
 * ```ts
 * import { info } from "../adapters/mod.ts";
 *
 * if (!["epoll", "io_uring", "simulated"].includes(info().backend)) throw new Error("which one?");
 * ```
 */
export function info(): Info {
  const { calls, path } = currentRuntime().library;
  return { ...infoOf(calls, -1), library: path };
}

/**
 * Reads a clock.
 *
 * @param clock `KEVENT_CLOCK_MONOTONIC` (default) or `KEVENT_CLOCK_WALL`.
 * @returns Nanoseconds: since the machine started, or since 1970.
 *
 * @example
 * ```ts
 * import { now } from "../adapters/mod.ts";
 *
 * const before = now();
 * if (now() < before) throw new Error("time went back");
 * ```
 */
export function now(clock: number = KEVENT_CLOCK_MONOTONIC): number {
  return currentRuntime().library.calls.kevent_now(clock);
}

/**
 * @returns Version of the library in use, such as `"0.1.0"`.
 */
export function version(): string {
  return info().version;
}
