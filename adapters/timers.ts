/**
 * `kevent/timers`: the timers of the runtime that imports it, on a loop of kevent. The functions of
 * `node:timers` do what the runtime's own do, in the same order and with the same errors; "Limits" in the README
 * lists by what a program can tell them apart. Beside them are kevent's, in nanoseconds.
 *
 * @module
 */
import "./mod.ts";
import type { Timers } from "./native.ts";
import { promised } from "./timers_promises.ts";

// Each folder here has files of the same names with the same exports, so either will do.
const { timers }: { timers: Timers } = "Bun" in globalThis
  ? await import("./bun/timers.ts")
  : await import("./deno/timers.ts");

export {
  clearTimer,
  refTimer,
  setTimer,
  sleep,
  type SleepOptions,
  type TimerOptions,
  unrefTimer,
} from "../loop/set_timer.ts";
export { TimerGroup } from "../loop/timer_group.ts";
export { configure, type TimerSettings } from "./native.ts";

/**
 * As the global of that name: calls a function once, after a delay.
 *
 * @param callback What is called; `this` is the `Timeout`.
 * @param delay Milliseconds, at least 1.
 * @param args Arguments of the callback.
 * @returns A `Timeout`.
 * @throws {TypeError} ERR_INVALID_ARG_TYPE for a callback that is none.
 *
 * @example
 * ```ts
 * import { setTimeout } from "../adapters/timers.ts";
 *
 * await new Promise((resolve) => setTimeout(resolve, 1));
 * ```
 */
export const setTimeout: Timers["setTimeout"] = timers.setTimeout;

/** As the global of that name: calls a function again and again. Parameters as of `setTimeout`. */
export const setInterval: Timers["setInterval"] = timers.setInterval;

/** As the global of that name: calls a function soon. Parameters as of `setTimeout`, without delay. */
export const setImmediate: Timers["setImmediate"] = timers.setImmediate;

/**
 * As the global of that name: a timer that is cleared does not fire any more.
 *
 * @param timer A `Timeout`, its number, or its number as text. Anything else does nothing.
 */
export const clearTimeout: Timers["clearTimeout"] = timers.clearTimeout;

/** As the global of that name. Parameters as of `clearTimeout`. */
export const clearInterval: Timers["clearInterval"] = timers.clearInterval;

/**
 * As the global of that name: an immediate that is cleared is not called any more.
 *
 * @param immediate An `Immediate`. Anything else does nothing.
 */
export const clearImmediate: Timers["clearImmediate"] = timers.clearImmediate;

/** As `promises` of `node:timers`. */
export const promises = promised;

/** As the default export of `node:timers`. */
export default { ...timers, promises };
