import process from "node:process";
import nodeTimers from "node:timers";
import nodePromises from "node:timers/promises";

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
export const timers: Timers = { ...nodeTimers };

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
