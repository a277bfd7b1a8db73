import {
  KEVENT_TIMER,
  KEVENT_TIMER_CLOCK_SET,
  KEVENT_TIMER_FIRED,
  KEVENT_TIMER_WALL,
} from "../ffi/abi.ts";
import { checkFunction, KeventError, shown } from "../ffi/errors.ts";
import { EVENT, TIMER_NS_MAX } from "../ffi/record.ts";
import { bind } from "./host.ts";
import { missedOf } from "./timers.ts";
import { Watcher } from "./watcher.ts";

/** The latest date, in 2106. */
export const DATE_NS_MAX: number = TIMER_NS_MAX;

/** What an alarm tells. */
export interface AlarmHandlers {
  /**
   * The date has come.
   *
   * @param missed How many periods went by besides.
   */
  fire(missed: number): void;
  /** Somebody set the wall clock. The date stays. Default: nobody is told. */
  clockSet?(): void;
}

/**
 * Waits for a date of the wall clock, and follows when that clock is set: timerfd_create(2),
 * `TFD_TIMER_CANCEL_ON_SET`.
 *
 * @example
 * ```ts
 * import { Alarm, KEVENT_CLOCK_WALL, Loop, now } from "../adapters/mod.ts";
 *
 * using loop = new Loop();
 * const date = now(KEVENT_CLOCK_WALL) + 2e6;
 * await new Promise<void>((resolve) => new Alarm(loop).start({ fire: () => resolve() }, date));
 * ```
 */
export class Alarm extends Watcher {
  #handlers: AlarmHandlers = { fire() {} };
  #dateNs = 0;
  #everyNs = 0;

  /**
   * Starts it, or starts it anew.
   *
   * @param handlers Whom to tell.
   * @param dateNs Nanoseconds since 1970; a date that is over fires at once.
   * @param everyNs Nanoseconds between the dates after that; 0 for once. Default 0. Dates after 2106 never come.
   * @returns This handle.
   * @throws {KeventError} EINVAL for a date that is negative, not a number, or after 2106, the same for a
   * period and for one between 0 and 1, and for handlers without `fire`; EBADF when it or its loop was closed.
   */
  start(handlers: AlarmHandlers, dateNs: number, everyNs = 0): this {
    checkNs(dateNs, "dateNs", 0);
    checkNs(everyNs, "everyNs", everyNs === 0 ? 0 : 1);
    checkFunction((handlers as AlarmHandlers | undefined)?.fire, "start alarm", "handlers.fire");
    this.stop();
    const { host } = this.loop;
    this.#handlers = {
      fire: bind(host, (missed) => handlers.fire(missed), "start alarm"),
      clockSet: bind(host, () => handlers.clockSet?.(), "start alarm"),
    };
    this.#everyNs = everyNs;
    this.#watch(Math.ceil(dateNs));
    this.setActive(true);
    return this;
  }

  /** Stops it; can be started again. */
  override stop(): void {
    if (!this.active) return;
    this.#unwatch();
    this.setActive(false);
  }

  /** A one-shot registration would not be told that the clock was set, so this one is taken back. */
  #watch(dateNs: number): void {
    this.#dateNs = dateNs;
    if (dateNs > DATE_NS_MAX) return;
    const seconds = Math.floor(dateNs / 1e9);
    const kinds = KEVENT_TIMER_FIRED | KEVENT_TIMER_WALL;
    this.loop.add(this.slot, KEVENT_TIMER, seconds, dateNs - seconds * 1e9, kinds, 0);
  }

  #unwatch(): void {
    if (this.#dateNs > DATE_NS_MAX) return;
    const seconds = Math.floor(this.#dateNs / 1e9);
    this.loop.remove(this.slot, KEVENT_TIMER, seconds, this.#dateNs - seconds * 1e9);
  }

  protected override onRecord(words: Uint32Array, at: number): void {
    const event = words[at + EVENT]!;
    const { fire, clockSet } = this.#handlers;
    const { slot } = this;
    const { generation } = slot;
    try {
      if ((event & KEVENT_TIMER_CLOCK_SET) !== 0) clockSet?.();
    } finally {
      // The handler may have stopped it, or started it for another date.
      const stands = this.active && slot.generation === generation;
      if ((event & KEVENT_TIMER_FIRED) !== 0 && stands) fire(this.#goOn());
    }
  }

  /** @returns How many dates went by besides the one that has come. */
  #goOn(): number {
    const date = this.#dateNs;
    const every = this.#everyNs;
    this.#unwatch();
    if (every === 0) {
      this.setActive(false);
      return 0;
    }
    const missed = missedOf(date, this.loop.wallClock.now(), every);
    this.#watch(Math.ceil(date + (missed + 1) * every));
    return missed;
  }
}

function checkNs(ns: number, what: string, least: number): void {
  if (typeof ns === "number" && ns >= least && ns <= DATE_NS_MAX) return;
  const range = `from ${least} to ${DATE_NS_MAX} (in 2106)`;
  const detail = `${what} must be nanoseconds ${range}, not ${shown(ns)}`;
  throw new KeventError("start alarm", "argument", "EINVAL", detail);
}
