import { KEVENT_REQ_ONESHOT, KEVENT_TIMER, KEVENT_TIMER_FIRED } from "../ffi/abi.ts";
import { KeventError } from "../ffi/errors.ts";
import { RET_EXTRA } from "../ffi/record.ts";
import { Handle } from "./handle.ts";

/** The longest delay: seconds are a u32. */
const DELAY_MS_MAX = 0xffffffff * 1000;

/**
 * A timer with a nanosecond clock: never early, once or again and again. S2-82 to S2-84.
 *
 * @example
 * ```ts
 * import { Loop, Timer } from "../adapters/mod.ts";
 *
 * using loop = new Loop();
 * const timer = new Timer(loop);
 * const start = performance.now();
 * await new Promise<void>((resolve) => timer.start(() => resolve(), 2.5));
 * if (performance.now() - start < 2.5) throw new Error("a timer must not be early");
 * ```
 */
export class Timer extends Handle {
  #callback: (missed: number) => void = () => {};
  // What the kernel was asked for, to take it back: the id is the period.
  #seconds = 0;
  #nanoseconds = 0;
  #repeatMs = 0;
  #periodic = false;

  /**
   * Starts it, or starts it anew.
   *
   * @param callback Called each time it fires, with the number of times it should have fired
   * besides but could not.
   * @param delayMs Milliseconds until the first time; fractions count, down to a nanosecond.
   * @param repeatMs Milliseconds between the times after that; 0 for once. Default 0.
   * @returns This handle.
   * @throws {KeventError} EINVAL for a time that is negative, not a number, or over 2^32 seconds.
   */
  start(callback: (missed: number) => void, delayMs: number, repeatMs = 0): this {
    checkTime(delayMs, "delayMs");
    checkTime(repeatMs, "repeatMs");
    this.stop();
    this.#callback = this.loop.host.bind(callback);
    this.#repeatMs = repeatMs;
    this.#arm(delayMs, repeatMs > 0 && repeatMs === delayMs);
    this.setActive(true);
    return this;
  }

  /** Stops it; can be started again. */
  override stop(): void {
    if (!this.active) return;
    this.loop.remove(this.slot, KEVENT_TIMER, this.#seconds, this.#nanoseconds);
    this.setActive(false);
  }

  protected override onRecord(words: Uint32Array, at: number): void {
    const missed = words[at + RET_EXTRA]!;
    if (!this.#periodic) {
      // Gone from the queue. First and later times may differ, so the period starts here.
      if (this.#repeatMs > 0) this.#arm(this.#repeatMs, true);
      else this.setActive(false);
    }
    this.#callback(missed);
  }

  #arm(delayMs: number, periodic: boolean): void {
    // 0 would be a timer that fires for ever at once; a nanosecond is as good.
    const delayNs = Math.max(Math.ceil(delayMs * 1e6), 1);
    this.#seconds = Math.floor(delayNs / 1e9);
    this.#nanoseconds = delayNs - this.#seconds * 1e9;
    this.#periodic = periodic;
    const flags = periodic ? 0 : KEVENT_REQ_ONESHOT;
    const { slot } = this;
    this.loop.renew(slot);
    this.loop.add(slot, KEVENT_TIMER, this.#seconds, this.#nanoseconds, KEVENT_TIMER_FIRED, flags);
  }
}

function checkTime(timeMs: number, what: string): void {
  if (timeMs >= 0 && timeMs <= DELAY_MS_MAX) return;
  throw new KeventError(
    "start timer",
    "argument",
    "EINVAL",
    `${what} must be from 0 to ${DELAY_MS_MAX}, not ${String(timeMs)}`,
  );
}
