import {
  KEVENT_PROCESS,
  KEVENT_PROCESS_EXIT,
  KEVENT_PROCESS_NO_STATUS,
  KEVENT_PROCESS_SIGNALED,
  KEVENT_REQ_ONESHOT,
} from "../ffi/abi.ts";
import { checkWhole } from "../ffi/errors.ts";
import { EVENT, RET_DATA } from "../ffi/record.ts";
import { bind } from "./host.ts";
import { Watcher } from "./watcher.ts";

/** How a process ended: wait(2). */
export interface ProcessEnd {
  /** Exit code; `undefined` when a signal ended it or the kernel no longer knows. */
  readonly code: number | undefined;
  /** Number of the signal that ended it, if one did. */
  readonly signal: number | undefined;
}

/**
 * Watches for the end of a process, a child or not: pidfd_open(2).
 *
 * @example A child that ends by itself
 * ```ts
 * import { spawn } from "node:child_process";
 * import { Loop, Process, type ProcessEnd } from "../adapters/mod.ts";
 *
 * using loop = new Loop();
 * const child = spawn("sleep", ["0.05"]);
 * const end = await new Promise<ProcessEnd>((resolve) => {
 *   new Process(loop).start(child.pid!, resolve);
 * });
 * // Undefined where the kernel no longer knows: see the README.
 * if (end.code !== 0 && end.code !== undefined) throw new Error(`ended with ${end.code}`);
 * ```
 */
export class Process extends Watcher {
  #pid = 0;
  #callback: (end: ProcessEnd) => void = () => {};

  /**
   * Starts it, or starts it anew with another process.
   *
   * @param pid The process.
   * @param callback Called once, when it ends.
   * @returns This handle.
   * @throws {KeventError} EINVAL when `pid` is no pid.
   */
  start(pid: number, callback: (end: ProcessEnd) => void): this {
    checkWhole(pid, 1, 0x7fffffff, "start process", "pid");
    const bound = bind(this.loop.host, callback, "start process");
    this.stop();
    this.#pid = pid;
    this.#callback = bound;
    this.loop.add(this.slot, KEVENT_PROCESS, pid, 0, KEVENT_PROCESS_EXIT, KEVENT_REQ_ONESHOT);
    // A number belongs to the process that has it now.
    this.loop.apply();
    this.setActive(true);
    return this;
  }

  /** Stops it; can be started again. */
  override stop(): void {
    if (!this.active) return;
    this.loop.remove(this.slot, KEVENT_PROCESS, this.#pid, 0);
    this.setActive(false);
  }

  protected override onRecord(words: Uint32Array, at: number): void {
    const event = words[at + EVENT]!;
    const data = words[at + RET_DATA]!;
    this.setActive(false);
    const signaled = (event & KEVENT_PROCESS_SIGNALED) !== 0;
    const unknown = (event & KEVENT_PROCESS_NO_STATUS) !== 0;
    this.#callback({
      code: signaled || unknown ? undefined : data,
      signal: signaled ? data : undefined,
    });
  }
}
