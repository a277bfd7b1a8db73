/**
 * `node:timers/promises` as Bun has it, on a loop of kevent.
 *
 * @module
 */
import { type Promised, promised as native } from "../native.ts";
import {
  immediate,
  isDelay,
  isPlain,
  type Options,
  promisify,
  Ticks,
  timeout,
} from "../promised.ts";
import { timers } from "./timers.ts";

/** One step of an iteration; after the end it has no value, and is not even told to be done. */
interface Step {
  readonly done?: boolean;
  readonly value?: unknown;
}

const forms = {
  setTimeout(delay: number | undefined = 1, value: unknown = undefined, options: Options = {}) {
    return timeout(timers, delay, value, options);
  },

  setImmediate(value: unknown, options: Options = {}) {
    return immediate(timers, value, options);
  },

  setInterval(delay: number | undefined = 1, value: unknown = undefined, options: Options = {}) {
    if (!isDelay(delay) || !isPlain(options)) return native.setInterval(delay, value, options);
    const ticks = new Ticks(timers, delay, options);
    return {
      next: async (): Promise<Step> => {
        await ticks.take();
        return { done: false, value };
      },
      return: (): Promise<Step> => {
        ticks.end();
        return Promise.resolve({});
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  },
};

const { setTimeout, setImmediate, setInterval } = forms;

promisify(timers, forms);

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
