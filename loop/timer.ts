import { checkRange, KeventError } from "../ffi/errors.ts";
import { TIMER_NS_MAX } from "../ffi/record.ts";
import { Handle } from "./handle.ts";
import { bind } from "./host.ts";
import type { Loop } from "./loop.ts";
import { missedOf, type TimerItem } from "./timers.ts";

/** The longest delay. */
const DELAY_MS_MAX = TIMER_NS_MAX / 1e6;

/** No period: it fires once. */
const ONCE = 0;

/**
 * A timer with a nanosecond clock: never early, once or again and again. As `uv_timer_t`, but its
 * periods go on from its deadlines, so it does not drift, and it says what it missed. S2-82 to S2-84.
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
export class Timer extends Handle implements TimerItem {
  readonly #place: number;
  #callback: ((missed: number) => void) | undefined;
  #repeatNs = ONCE;

  /** @param loop The loop it belongs to. */
  constructor(loop: Loop) {
    super(loop);
    // Whether it keeps the process alive is counted by the handle.
    this.#place = loop.timers.open(this, false);
  }

  /** Milliseconds between the times after the first; 0 for none. */
  get repeat(): number {
    return this.#repeatNs / 1e6;
  }

  /** Takes effect when it fires next, or by `again`. */
  set repeat(repeatMs: number) {
    checkRange(repeatMs, 0, DELAY_MS_MAX, "start timer", "repeat");
    this.#repeatNs = toNs(repeatMs);
  }

  /** Milliseconds until it fires, as of the loop's `now`; 0 when it is due or does not wait. */
  get dueIn(): number {
    if (!this.active) return 0;
    return Math.max(this.loop.timers.deadlineOf(this.#place) - this.loop.now, 0) / 1e6;
  }

  /**
   * Starts it, or starts it anew.
   *
   * @param callback Called each time it fires, with the number of times it should have fired
   * besides but could not.
   * @param delayMs Milliseconds until the first time; fractions count, down to a nanosecond.
   * @param repeatMs Milliseconds between the times after that; 0 for once. Default 0.
   * @returns This handle.
   * @throws {KeventError} EINVAL for a time that is negative, not a number, or over 2^32 seconds;
   * EBADF when it or its loop was closed.
   */
  start(callback: (missed: number) => void, delayMs: number, repeatMs = 0): this {
    checkRange(delayMs, 0, DELAY_MS_MAX, "start timer", "delayMs");
    checkRange(repeatMs, 0, DELAY_MS_MAX, "start timer", "repeatMs");
    this.#checkUsable();
    this.#callback = bind(this.loop.host, callback, "start timer");
    this.#repeatNs = toNs(repeatMs);
    this.loop.timers.arm(this.#place, toNs(delayMs));
    this.setActive(true);
    return this;
  }

  /**
   * Starts a repeating timer anew, from now on and with its period for a delay; does nothing to one
   * that does not repeat. As `uv_timer_again`.
   *
   * @returns This handle.
   * @throws {KeventError} EINVAL when it was never started, EBADF when it or its loop was closed.
   */
  again(): this {
    this.#checkUsable();
    if (this.#callback === undefined) {
      throw new KeventError("start timer", "timer", "EINVAL", "it has no callback: use start");
    }
    if (this.#repeatNs === ONCE) return this;
    this.loop.timers.arm(this.#place, this.#repeatNs);
    this.setActive(true);
    return this;
  }

  /** Stops it; can be started again. */
  override stop(): void {
    if (!this.active) return;
    if (!this.loop.closed) this.loop.timers.disarm(this.#place);
    this.setActive(false);
  }

  /** Called by the loop. */
  onTimer(place: number, deadlineNs: number, nowNs: number): void {
    const period = this.#repeatNs;
    let missed = 0;
    if (period === ONCE) this.setActive(false);
    else {
      missed = missedOf(deadlineNs, nowNs, period);
      this.loop.timers.armAt(place, deadlineNs + (missed + 1) * period, period);
    }
    this.#callback!(missed);
  }

  protected override onClose(): void {
    if (!this.loop.closed) this.loop.timers.close(this.#place);
  }

  #checkUsable(): void {
    this.checkOpen("start timer");
    this.loop.checkOpen("start timer");
  }
}

function toNs(timeMs: number): number {
  return Math.ceil(timeMs * 1e6);
}
