// What the two runtimes have in common of `node:timers/promises`. All that is out of the ordinary,
// wrong options and signals that are aborted already, goes to the runtime's own functions: they know its errors.
import { promised as native, type Timers } from "./native.ts";

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

/** Whether a delay needs no word of the runtime. */
export function isDelay(delay: unknown): delay is number | undefined {
  return delay === undefined || typeof delay === "number";
}

/** Whether options are as they should be, and the signal can still come. */
export function isPlain(options: unknown): options is Options | undefined {
  if (options === undefined) return true;
  if (typeof options !== "object" || options === null || isArray(options)) return false;
  const { ref, signal } = options as Record<string, unknown>;
  return (ref === undefined || typeof ref === "boolean") &&
    (signal === undefined || signal instanceof AbortSignal && !signal.aborted);
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
function once<Value, Started extends Pending>(
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

/**
 * `setTimeout` of `node:timers/promises`.
 *
 * @param timers Those it stands on.
 * @param delay Milliseconds.
 * @param value What it resolves with.
 * @param options A signal to end it early, and whether the process lives meanwhile.
 * @returns The promise.
 */
export function timeout<Value>(
  timers: Timers,
  delay: number | undefined,
  value: Value,
  options: Options,
): Promise<Value> {
  if (!isDelay(delay) || !isPlain(options)) return native.setTimeout(delay, value, options);
  return once(
    value,
    options,
    (done) => timers.setTimeout(done, delay),
    (timer) => timers.clearTimeout(timer),
  );
}

/** `setImmediate` of `node:timers/promises`. Parameters as of `timeout`. */
export function immediate<Value>(timers: Timers, value: Value, options: Options): Promise<Value> {
  if (!isPlain(options)) return native.setImmediate(value, options);
  return once(value, options, timers.setImmediate, timers.clearImmediate);
}

/** What `setInterval` of `node:timers/promises` takes from: it counts from the start, asked or not. */
export class Ticks {
  readonly #timers: Timers;
  readonly #signal: AbortSignal | undefined;
  readonly #interval: ReturnType<Timers["setInterval"]>;
  #waiting = 0;
  #wake: (() => void) | undefined;

  constructor(timers: Timers, delay: number | undefined, { signal, ref = true }: Options) {
    this.#timers = timers;
    this.#signal = signal;
    this.#interval = timers.setInterval(() => this.#tick(), delay);
    if (!ref) this.#interval.unref();
    signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  readonly #onAbort = (): void => {
    this.#timers.clearInterval(this.#interval);
    this.#wakeUp();
  };

  #tick(): void {
    this.#waiting++;
    this.#wakeUp();
  }

  #wakeUp(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  /** Takes one, when there is one. @returns Nothing; rejects when the signal came before. */
  async take(): Promise<void> {
    if (this.#waiting === 0 && !this.#signal?.aborted) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    if (this.#waiting === 0) return aborted(this.#signal!);
    this.#waiting--;
  }

  /** No more of them. */
  end(): void {
    this.#timers.clearInterval(this.#interval);
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }
}

/** Lets `promisify` find these for timers of the same names. */
export function promisify(timers: Timers, forms: Partial<Record<keyof Timers, unknown>>): void {
  for (const [name, one] of Object.entries(forms)) {
    Object.defineProperty(
      timers[name as keyof Timers],
      Symbol.for("nodejs.util.promisify.custom"),
      { enumerable: true, get: () => one },
    );
  }
}
