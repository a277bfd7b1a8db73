/**
 * The public face of kevent: `Loop` and its handles, `Queue` below them, and the constants.
 *
 * @module
 */
import { KEVENT_CLOCK_MONOTONIC } from "../ffi/abi.ts";
import { askLibrary } from "../ffi/library.ts";
import { currentRuntime } from "./host.ts";
import { Queue } from "./queue.ts";

export * from "../ffi/abi.ts";
export * from "../ffi/aliases.ts";
export { KeventError } from "../ffi/errors.ts";
export { readRecord, type RecordFields, Records, writeRecord } from "../ffi/record.ts";
export { ringBytes, RingReader } from "../ffi/ring.ts";
export { Alarm, type AlarmHandlers } from "./alarm.ts";
export { Async, sendShared } from "./async.ts";
export { Check } from "./check.ts";
export { type Clock, ManualClock } from "./clock.ts";
export { control } from "./control.ts";
export { defaultLoop } from "./default.ts";
export { Handle } from "./handle.ts";
export { Idle } from "./idle.ts";
export { Inode, type InodeEvent } from "./inode.ts";
export { Loop, type LoopInfo, type LoopOptions, type RunMode } from "./loop.ts";
export type { Delays, LoopMetrics } from "./metrics.ts";
export { PhaseHandle } from "./phase.ts";
export { Poll } from "./poll.ts";
export { Prepare } from "./prepare.ts";
export { Process, type ProcessEnd } from "./process.ts";
export { Queue, type QueueInfo, type QueueOptions, type SharedQueue } from "./queue.ts";
export {
  clearTimer,
  refTimer,
  setTimer,
  sleep,
  type SleepOptions,
  type TimerOptions,
  unrefTimer,
} from "./set_timer.ts";
export { Signal } from "./signal.ts";
export { Connection, type ConnectionHandlers, type ListenOptions, Server } from "./socket.ts";
export { Timer } from "./timer.ts";
export { TimerGroup } from "./timer_group.ts";
export { Tree } from "./tree.ts";
export { TreeLimitError } from "./tree_change.ts";
export type {
  Ignore,
  TreeEvent,
  TreeEventKind,
  TreeInfo,
  TreeOptions,
  TreeStat,
} from "./tree_event.ts";
export { type SharedTrigger, triggerShared, User } from "./user.ts";
export { TreeWatcher, watchTree, type WatchTreeOptions } from "./watch_tree.ts";
export { Watcher } from "./watcher.ts";

/** Version of this package. */
export const version = "0.1.0";

/** What kevent says about itself. */
export interface Info {
  /** Version of this package. */
  readonly version: string;
  /** Path of the opened library. */
  readonly library: string;
  /** Version of the binary interface. */
  readonly abi: number;
  /** Types of events this build knows. */
  readonly sources: readonly string[];
  /** Back-end that a new queue gets: `"epoll"`, `"io_uring"` or `"simulated"`. */
  readonly backend: string;
  /** Why that one. */
  readonly reason: string;
  /** Features of the kernel that the back-end found. */
  readonly features: Readonly<Record<string, unknown>>;
}

/**
 * What the library is and what it found.
 *
 * @returns Version, back-end with the reason for it, features of the kernel.
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
  const { abi, sources } = askLibrary(calls, -1) as Pick<Info, "abi" | "sources">;
  // The choice is made when a queue is: by the environment, then by probing.
  using queue = new Queue();
  const { backend, reason, features } = queue.info();
  return { version, library: path, abi, sources, backend, reason, features };
}

/**
 * Reads a clock: clock_gettime(2).
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
