// What the two runtimes have in common of `node:timers/promises`. All that is out of the ordinary,
// wrong options and signals that are aborted already, goes to the runtime's own functions: they know its errors.
import { promised as native } from "./native.ts";

/** What the functions take. */
export interface Options {
  readonly ref?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What `setTimeout` and `setImmediate` give. */
export interface Pending {
  unref(): unknown;
}

// Captured at load: a program may replace these.
const { AbortSignal, Promise } = globalThis;
const { isArray } = Array;

/** Whether options are as they should be, and the signal can still come. */
export function isPlain(options: unknown): options is Options | undefined {
  if (options === undefined) return true;
  if (typeof options !== "object" || options === null || isArray(options)) return false;
  const { ref, signal } = options as Record<string, unknown>;
  return (ref === undefined || typeof ref === "boolean") &&
    (signal === undefined || signal instanceof AbortSignal && !signal.aborted);
}

/** Whether a delay needs no word of the runtime. */
export function isDelay(delay: unknown): delay is number | undefined {
  return delay === undefined || typeof delay === "number";
}

/** Rejects with the error of the runtime for this signal, which is aborted. */
export function aborted(signal: AbortSignal): Promise<never> {
  return native.setImmediate(undefined, { signal }) as Promise<never>;
}

/**
 * A promise of something that is started, and stopped by a signal.
 *
 * @param value What it resolves with.
 * @param options As of `node:timers/promises`.
 * @param start Starts it, with what is to be called in the end.
 * @param stop Stops it.
 * @returns The promise.
 */
export function once<Value, Started extends Pending>(
  value: Value,
  options: Options | undefined,
  start: (done: () => void) => Started,
  stop: (started: Started) => void,
): Promise<Value> {
  const signal = options?.signal;
  return new Promise((resolve) => {
    const started = start(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve(value);
    });
    if (options?.ref === false) started.unref();
    signal?.addEventListener("abort", onAbort);

    function onAbort(): void {
      stop(started);
      signal!.removeEventListener("abort", onAbort);
      resolve(aborted(signal!));
    }
  });
}
