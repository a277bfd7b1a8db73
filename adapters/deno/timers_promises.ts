/**
 * `node:timers/promises` as Deno has it, on a loop of kevent.
 *
 * @module
 */
import { apply, type Promised, promised as native } from "../native.ts";
import { immediate, isPlain, type Options, promisify, Ticks, timeout } from "../promised.ts";
import { timers } from "./timers.ts";

/** As `setTimeout` of `node:timers/promises` in Deno. */
function setTimeout(delay?: number, value?: unknown, options: Options = {}): Promise<unknown> {
  return timeout(timers, delay, value, options);
}

/** As `setImmediate` of `node:timers/promises` in Deno. */
function setImmediate(value?: unknown, options: Options = {}): Promise<unknown> {
  return immediate(timers, value, options);
}

/** As `setInterval` of `node:timers/promises` in Deno. */
async function* setIntervalAsync(
  delay?: number,
  value?: unknown,
  options: Options = {},
): AsyncGenerator<unknown> {
  if (!isPlain(options)) return yield* native.setInterval(delay, value, options);
  const ticks = new Ticks(timers, delay, options);
  try {
    while (true) {
      await ticks.take();
      yield value;
    }
  } finally {
    ticks.end();
  }
}

const NativeScheduler = native.scheduler.constructor as new () => Scheduler;

class Scheduler {
  constructor() {
    return new NativeScheduler();
  }

  wait(delay: number, options?: Options): Promise<unknown> {
    if (this !== scheduler) return apply(native.scheduler.wait, this, [delay, options]);
    return setTimeout(delay, undefined, options);
  }

  yield(): Promise<unknown> {
    if (this !== scheduler) return apply(native.scheduler.yield, this, []);
    return setImmediate();
  }
}

const scheduler: Scheduler = Object.create(Scheduler.prototype);

promisify(timers, { setTimeout, setImmediate });

/** What takes the place of `node:timers/promises`. */
export const promised = {
  setTimeout,
  setImmediate,
  setInterval: setIntervalAsync,
  scheduler,
} as unknown as Promised;
