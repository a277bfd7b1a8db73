/**
 * `node:timers/promises` as Deno has it, on a loop of kevent.
 *
 * @module
 */
import { apply, type Promised, promised as native } from "../native.ts";
import { aborted, isDelay, isPlain, once, type Options } from "../promised.ts";
import { timers } from "./timers.ts";

// Captured at load: a program may replace it.
const { Promise } = globalThis;

/** As `setTimeout` of `node:timers/promises` in Deno. */
function setTimeout(delay?: number, value?: unknown, options: Options = {}): Promise<unknown> {
  if (!isDelay(delay) || !isPlain(options)) return native.setTimeout(delay, value, options);
  return once(
    value,
    options,
    (done) => timers.setTimeout(done, delay),
    (timer) => timers.clearTimeout(timer),
  );
}

/** As `setImmediate` of `node:timers/promises` in Deno. */
function setImmediate(value?: unknown, options: Options = {}): Promise<unknown> {
  if (!isPlain(options)) return native.setImmediate(value, options);
  return once(value, options, timers.setImmediate, timers.clearImmediate);
}

/** As `setInterval` of `node:timers/promises` in Deno. */
async function* setIntervalAsync(
  delay?: number,
  value?: unknown,
  options: Options = {},
): AsyncGenerator<unknown> {
  if (!isPlain(options)) return yield* native.setInterval(delay, value, options);
  const { signal, ref = true } = options;
  let ticks = 0;
  let wake = (): void => {};
  const interval = timers.setInterval(() => {
    ticks++;
    wake();
  }, delay);
  if (!ref) interval.unref();
  const onAbort = (): void => {
    timers.clearInterval(interval);
    wake();
  };
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    while (!signal?.aborted) {
      if (ticks === 0) await new Promise<void>((resolve) => wake = resolve);
      for (; ticks > 0; ticks--) yield value;
    }
    await aborted(signal);
  } finally {
    timers.clearInterval(interval);
    signal?.removeEventListener("abort", onAbort);
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

for (const [name, one] of Object.entries({ setTimeout, setImmediate })) {
  Object.defineProperty(
    timers[name as keyof typeof timers],
    Symbol.for("nodejs.util.promisify.custom"),
    { enumerable: true, get: () => one },
  );
}

/** What takes the place of `node:timers/promises`. */
export const promised = {
  setTimeout,
  setImmediate,
  setInterval: setIntervalAsync,
  scheduler,
} as unknown as Promised;
