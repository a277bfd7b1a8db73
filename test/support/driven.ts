// Loops that only `run` moves, and what their tests need: nothing of the runtime runs meanwhile.
import { afterEach, beforeEach } from "vitest";
import { type Handle, Loop } from "../../adapters/mod.ts";
import { libc } from "./libc.ts";

/** A loop that only `run` moves. */
export function driven(): Loop {
  return new Loop({ attached: false });
}

/**
 * Ends the process (SIGALRM) when a test of this file blocks in a call, for there would be nobody to
 * tell that it failed.
 */
export function limitBlocking(seconds = 15): void {
  beforeEach(() => void libc.alarm(seconds));
  afterEach(() => void libc.alarm(0));
}

/** Blocks this thread for at least so long. */
export function pause(ms: number): void {
  const nobody = new Int32Array(new SharedArrayBuffer(4));
  const end = performance.now() + ms;
  for (let left = ms; left > 0; left = end - performance.now()) Atomics.wait(nobody, 0, 0, left);
}

/** A function that counts how often it was called. */
export interface Count {
  (): void;
  readonly calls: number;
}

export function counter(): Count {
  const count = () => void count.calls++;
  count.calls = 0;
  return count;
}

/** Closes a handle; whether that was told by the next run, and not before. */
export function closes(handle: Handle): boolean {
  const closed = counter();
  handle.close(closed);
  const early = closed.calls;
  return !handle.loop.run() && early === 0 && closed.calls === 1;
}
