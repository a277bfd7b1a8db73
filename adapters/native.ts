import process from "node:process";
import nodeTimers from "node:timers";
import nodePromises from "node:timers/promises";
import { KeventError } from "../ffi/errors.ts";
import { real } from "./real.ts";

// The runtime's own timers, captured at load: a program may replace them, also by ours. Where what we
// do differs only in speed they are asked: for the words of errors, for odd delays, for timers that were
// made before ours took their place.

/** The functions of `node:timers`. */
export type Timers = Pick<
  typeof import("node:timers"),
  | "setTimeout"
  | "setInterval"
  | "setImmediate"
  | "clearTimeout"
  | "clearInterval"
  | "clearImmediate"
>;

/** What `node:timers/promises` exports. */
export type Promised = typeof import("node:timers/promises");

/** `node:timers` of the runtime. */
export const timers: Timers = {
  setTimeout: real(nodeTimers, "setTimeout"),
  setInterval: real(nodeTimers, "setInterval"),
  setImmediate: real(nodeTimers, "setImmediate"),
  clearTimeout: real(nodeTimers, "clearTimeout"),
  clearInterval: real(nodeTimers, "clearInterval"),
  clearImmediate: real(nodeTimers, "clearImmediate"),
};

/** `node:timers/promises` of the runtime. */
export const promised: Promised = { ...nodePromises };

/** The arguments of any function. */
export type Arguments = unknown[];

/** Any function. */
export type Callback = (...parameters: Arguments) => unknown;

/** What a start of a timer takes when nobody has looked at it yet. */
export type Start = (...parameters: Arguments) => { readonly _idleTimeout: number };

/** The longest delay, in milliseconds. */
export const DELAY_MS_MAX = 2 ** 31 - 1;

const { clearTimeout } = timers;
const probe = timers.setTimeout as unknown as Start;

/** Calls a function, whatever a program does to `Function.prototype` or `Reflect`. */
export const apply: typeof Reflect.apply = Reflect.apply;

/**
 * The arguments from one on. Rest parameters would make an array for each call, needed or not.
 *
 * @param all Those of a call.
 * @param from The first that is wanted.
 * @returns An array.
 */
export function argumentsFrom(all: IArguments, from: number): Arguments {
  const args: Arguments = [];
  for (let index = from; index < all.length; index++) args[index - from] = all[index];
  return args;
}

/** What the timers of `kevent/timers` do otherwise than the runtime's own. */
export interface TimerSettings {
  /**
   * Whether delays of 2^31 ms and more are meant as they are, and `Infinity` as never. Default `false`: they
   * are 1 ms, with a warning, as everywhere.
   */
  readonly longDelays?: boolean;
}

let longDelays = false;

/**
 * Says what the timers of `kevent/timers`, and those that `kevent/register` puts in place, do otherwise than the
 * runtime's own, from now on and in this thread.
 *
 * @param settings What is left out stays as it is.
 * @throws {KeventError} EINVAL for a setting that is no boolean.
 *
 * @example A timer for next month
 * ```ts
 * import { clearTimeout, configure, setTimeout } from "./timers.ts";
 *
 * configure({ longDelays: true });
 * clearTimeout(setTimeout(() => {}, 30 * 24 * 3600 * 1000));
 * ```
 */
export function configure(settings: TimerSettings): void {
  const given: unknown = settings.longDelays;
  if (given === undefined) return;
  if (typeof given !== "boolean") {
    const detail = `longDelays must be true or false, not ${String(given)}`;
    throw new KeventError("configure timers", "argument", "EINVAL", detail);
  }
  longDelays = given;
}

function nothing(): void {}

/**
 * What the runtime makes of a delay that is not simply a number in range: it converts, warns the
 * process, and throws, as it would by itself.
 *
 * @param delay Anything.
 * @returns Milliseconds, from 1 on.
 * @throws {TypeError} For a symbol or a bigint.
 */
export function oddDelay(delay: unknown): number {
  if (longDelays && (typeof delay === "number" || typeof delay === "string")) {
    const ms = +delay;
    if (ms > DELAY_MS_MAX) return ms;
  }
  const timer = probe(nothing, delay);
  const { _idleTimeout: ms } = timer;
  clearTimeout(timer as unknown as NodeJS.Timeout);
  return ms;
}

/**
 * Ties a callback to the domain that is active, if one is.
 *
 * @param callback Any function.
 * @returns It, or one that enters the domain around it.
 */
export function inDomain(callback: Callback): Callback {
  const { domain } = process as { domain?: { bind(callback: Callback): Callback } | null };
  return domain == null ? callback : domain.bind(callback);
}
