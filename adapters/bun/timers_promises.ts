/**
 * `node:timers/promises` as Bun has it, on a loop of kevent.
 *
 * @module
 */
import { type Promised, promised as native } from "../native.ts";
import { aborted, isDelay, isPlain, once, type Options } from "../promised.ts";
import { timers } from "./timers.ts";

// Captured at load: a program may replace it.
const { Promise } = globalThis;

/** One step of an iteration; after the end it has no value, and is not even told to be done. */
interface Step {
  readonly done?: boolean;
  readonly value?: unknown;
}

/** What `setInterval` gives: it runs from the start, asked or not. */
class Ticks {
  readonly #value: unknown;
  readonly #signal: AbortSignal | undefined;
  readonly #interval: ReturnType<typeof timers.setInterval>;
  #waiting = 0;
  #wake: (() => void) | undefined;

  constructor(delay: number | undefined, value: unknown, { signal, ref = true }: Options) {
    this.#value = value;
    this.#signal = signal;
    this.#interval = timers.setInterval(() => this.#tick(), delay);
    if (!ref) this.#interval.unref();
    signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  readonly #onAbort = (): void => {
    timers.clearInterval(this.#interval);
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

  async next(): Promise<Step> {
    if (this.#waiting === 0 && !this.#signal?.aborted) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    if (this.#waiting === 0) return aborted(this.#signal!);
    this.#waiting--;
    return { done: false, value: this.#value };
  }

  end(): Promise<Step> {
    timers.clearInterval(this.#interval);
    this.#signal?.removeEventListener("abort", this.#onAbort);
    return Promise.resolve({});
  }
}

const forms = {
  setTimeout(delay: number | undefined = 1, value: unknown = undefined, options: Options = {}) {
    if (!isDelay(delay) || !isPlain(options)) return native.setTimeout(delay, value, options);
    return once(
      value,
      options,
      (done) => timers.setTimeout(done, delay),
      (timer) => timers.clearTimeout(timer),
    );
  },

  setImmediate(value: unknown, options: Options = {}) {
    if (!isPlain(options)) return native.setImmediate(value, options);
    return once(value, options, timers.setImmediate, timers.clearImmediate);
  },

  setInterval(delay: number | undefined = 1, value: unknown = undefined, options: Options = {}) {
    if (!isDelay(delay) || !isPlain(options)) return native.setInterval(delay, value, options);
    const ticks = new Ticks(delay, value, options);
    return {
      next: () => ticks.next(),
      return: () => ticks.end(),
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  },
};

const { setTimeout, setImmediate, setInterval } = forms;

for (const [name, one] of Object.entries(forms)) {
  Object.defineProperty(
    timers[name as keyof typeof forms],
    Symbol.for("nodejs.util.promisify.custom"),
    { enumerable: true, get: () => one },
  );
}

/** What takes the place of `node:timers/promises`. */
export const promised = {
  setTimeout,
  setImmediate,
  setInterval,
  scheduler: {
    wait: (delay: number, options: Options) => setTimeout(delay, undefined, options),
    yield: setImmediate,
  },
} as unknown as Promised;
