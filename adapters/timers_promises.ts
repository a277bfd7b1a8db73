/**
 * `kevent/timers/promises`: `node:timers/promises` of the runtime that imports it, on a loop of kevent.
 *
 * @module
 */
import "./mod.ts";
import type { Promised } from "./native.ts";

/** All of them, as the default export of `node:timers/promises`. */
export const { promised }: { promised: Promised } = "Bun" in globalThis
  ? await import("./bun/timers_promises.ts")
  : await import("./deno/timers_promises.ts");

/**
 * As in `node:timers/promises`: settles after a delay.
 *
 * @param delay Milliseconds, at least 1.
 * @param value What the promise resolves with.
 * @param options `ref` whether the process waits; `signal` to end it early.
 * @returns Rejects with an `AbortError` when the signal comes.
 *
 * @example
 * ```ts
 * import { setTimeout } from "../adapters/timers_promises.ts";
 *
 * if (await setTimeout(1, "value") !== "value") throw new Error("what else?");
 * ```
 */
export const setTimeout: Promised["setTimeout"] = promised.setTimeout;

/** As in `node:timers/promises`: settles soon. Parameters as of `setTimeout`, without delay. */
export const setImmediate: Promised["setImmediate"] = promised.setImmediate;

/** As in `node:timers/promises`: an iterator of ticks. Parameters as of `setTimeout`. */
export const setInterval: Promised["setInterval"] = promised.setInterval;

/** As in `node:timers/promises`: `wait` and `yield`. */
export const scheduler: Promised["scheduler"] = promised.scheduler;

export default promised;
