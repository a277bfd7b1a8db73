import { defaultLoop } from "./default.ts";
import type { Loop } from "./loop.ts";
import { checkWhen, clearTimer, setTimer, type TimerOptions } from "./set_timer.ts";

/** Numbers of timers that are gone are thrown away when they are so many, and more than half. */
const STALE_MIN = 64;

/**
 * Timers that end together: those of a request, or of a game.
 *
 * @example
 * ```ts
 * import { TimerGroup } from "../adapters/mod.ts";
 *
 * const group = new TimerGroup();
 * for (let count = 0; count < 1000; count++) group.setTimer(() => {}, 1e9);
 * if (group.clear() !== 1000) throw new Error("not all");
 * ```
 */
export class TimerGroup implements Disposable {
  /** The loop they belong to. */
  readonly loop: Loop;
  #ids: number[] = [];
  #compactAt = STALE_MIN;

  /** @param loop The loop they belong to. Default: that of the thread. */
  constructor(loop: Loop = defaultLoop()) {
    this.loop = loop;
  }

  /** Timers of the group that wait. */
  get size(): number {
    this.#compact();
    return this.#ids.length;
  }

  /**
   * Sets a timer of this group.
   *
   * @param callback As of `setTimer`.
   * @param when As of `setTimer`; its loop is that of the group.
   * @returns A number, as of `setTimer`.
   * @throws {KeventError} As of `setTimer`.
   */
  setTimer(callback: (missed: number) => void, when: number | TimerOptions = 0): number {
    const options = checkWhen(when);
    const id = setTimer(callback, { ...options, loop: this.loop });
    if (this.#ids.length >= this.#compactAt) this.#compact();
    this.#ids.push(id);
    return id;
  }

  /**
   * Ends one timer of this group.
   *
   * @param id What `setTimer` gave, or `undefined`, which does nothing.
   * @returns Whether it was waiting.
   * @throws {KeventError} EINVAL for what is neither.
   */
  clearTimer(id: number | undefined): boolean {
    return clearTimer(id, this.loop);
  }

  /**
   * Ends all of them.
   *
   * @returns How many waited.
   */
  clear(): number {
    const ids = this.#ids;
    this.#ids = [];
    let count = 0;
    for (const id of ids) if (this.loop.timers.clear(id)) count++;
    return count;
  }

  /** The same as `clear`. */
  [Symbol.dispose](): void {
    this.clear();
  }

  #compact(): void {
    const { timers } = this.loop;
    this.#ids = this.#ids.filter((id) => timers.slotOf(id) >= 0);
    this.#compactAt = Math.max(this.#ids.length * 2, STALE_MIN);
  }
}
