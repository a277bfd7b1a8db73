/**
 * One program that `bench/timers.mjs` measures: timers of one form. Each group of measurements has a
 * process of its own, so that none sees the heap that another left. Prints one JSON object.
 *
 *   <program> native|number|dropin <groups, with commas> <timers> <lateness samples> <seconds>
 */

import process from "node:process";

const [, , form = "", groups = "", ...sizes] = process.argv;
const [count = 0, samples = 0, seconds = 0] = sizes.map(Number);
const results: Record<string, number> = {};

/** Timers of one form. What names a timer is its affair. */
interface Timers {
  /** What a millisecond is in delays. */
  readonly unit: number;
  start(callback: () => void, delay: number): unknown;
  clear(timer: unknown): void;
  every(callback: (missed?: number) => void, ms: number): unknown;
  immediate(callback: () => void): void;
  /** Milliseconds of the clock that intervals are held against. */
  nowMs(): number;
}

/** Nothing of kevent is loaded where the runtime's own are measured. */
const forms: Record<string, () => Promise<Timers>> = {
  native: () => Promise.resolve(asGlobals(globalThis)),
  dropin: async () => asGlobals(await import("../adapters/timers.ts")),
  number: async () => {
    const { clearTimer, defaultLoop, now, setTimer } = await import("../adapters/mod.ts");
    const { immediates } = defaultLoop();
    return {
      unit: 1e6,
      start: setTimer,
      clear: clearTimer,
      every: (callback, ms) => setTimer(callback, { every: ms * 1e6 }),
      immediate: (callback) => immediates.add({ onImmediate: callback }, true),
      nowMs: () => now() / 1e6,
    };
  },
};

type Globals = Pick<typeof import("node:timers"), "setTimeout" | "setInterval" | "setImmediate"> & {
  clearTimeout(timer: unknown): void;
};

function asGlobals({ clearTimeout, setImmediate, setInterval, setTimeout }: Globals): Timers {
  return {
    unit: 1,
    start: setTimeout,
    clear: clearTimeout,
    every: setInterval,
    immediate: setImmediate,
    nowMs: () => performance.now(),
  };
}

const timers = await forms[form]!();
// Not as properties: no form pays for being one of several.
const { clear, start, unit } = timers;

function nothing(): void {}

/** Collects what can be collected, as far as the runtime lets a script ask for it. */
function collect(): void {
  if ("Bun" in globalThis) Bun.gc(true);
  else (globalThis as { gc?: () => void }).gc?.();
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Delays of a minute and some whole milliseconds, so many different ones. */
function mixed(length: number, distinct = 1000): Float64Array {
  return new Float64Array(length).map((_, n) => (60_000 + n % distinct) * unit);
}

function quantile(values: Float64Array, share: number): number {
  return values.toSorted()[Math.floor(values.length * share)]!;
}

/** Does something so many times; gives nanoseconds for each. */
function timed(length: number, all: () => void): number {
  const begin = performance.now();
  all();
  return (performance.now() - begin) * 1e6 / length;
}

/** Nanoseconds each to create and to clear in order of creation. */
function createAndClear(length: number, distinct?: number): { create: number; clear: number } {
  const delays = mixed(length, distinct);
  const names: unknown[] = new Array(length);
  return {
    create: timed(length, () => {
      for (let n = 0; n < length; n++) names[n] = start(nothing, delays[n]!);
    }),
    clear: timed(length, () => {
      for (let n = 0; n < length; n++) clear(names[n]);
    }),
  };
}

/** Nanoseconds for both while a thousand others wait: cleared at once, or a thousand later. */
function churn(length: number): { churn: number; window: number } {
  const delays = mixed(length);
  const live = Array.from({ length: 1000 }, (_, n) => start(nothing, delays[n]!));
  const churn = timed(length, () => {
    for (let n = 0; n < length; n++) clear(start(nothing, delays[n]!));
  });
  const window = timed(length, () => {
    for (let n = 0; n < length; n++) {
      clear(live[n % 1000]);
      live[n % 1000] = start(nothing, delays[n]!);
    }
  });
  for (const name of live) clear(name);
  return { churn, window };
}

/** Bytes of the process for each timer that waits. */
async function memory(): Promise<void> {
  const delays = mixed(count);
  const warm = Array.from({ length: 1000 }, (_, n) => start(nothing, delays[n]!));
  for (const timer of warm) clear(timer);
  // What the runtime sets aside for short-lived objects has its size then.
  const recent = new Array<unknown>(100);
  for (let n = 0; n < 4 * count; n++) recent[n % recent.length] = [n];
  const resident = async (): Promise<number> => {
    // Freed pages go back to the kernel a little later.
    for (let n = 0; n < 3; n++) {
      collect();
      await sleep(count / 5000);
    }
    return process.memoryUsage().rss;
  };
  const before = await resident();
  for (let n = 0; n < count; n++) start(nothing, delays[n]!);
  results.memory = (await resident() - before) / count;
}

/** Processor time of the process for each timer that fires, from the last start to the last call. */
async function fire(length: number, delayOf: (n: number) => number): Promise<number> {
  // All have been created before the first is due.
  const pilot = mixed(2000);
  const each = timed(pilot.length, () => pilot.forEach((delay) => clear(start(nothing, delay))));
  const lead = Math.ceil(300 + length / 500 + each * length * 2 / 1e6);
  const delays = new Float64Array(length).map((_, n) => (lead + delayOf(n)) * unit);
  return await new Promise((resolve, reject) => {
    let left = length;
    let cpu = process.cpuUsage();
    const fired = (): void => {
      if (--left > 0) return;
      const { user, system } = process.cpuUsage(cpu);
      resolve((user + system) * 1000 / length);
    };
    const begin = performance.now();
    for (let n = 0; n < length; n++) start(fired, delays[n]!);
    collect();
    if (performance.now() > begin + lead) reject(new Error("Bench: fired while others were made"));
    cpu = process.cpuUsage();
  });
}

/** How late a timer of one millisecond is, in microseconds, beside others that wait. */
async function lateness(waiting: number, name: string): Promise<void> {
  const others = Array.from(mixed(waiting), (delay) => start(nothing, delay));
  const late = new Float64Array(samples);
  for (let n = 0; n < samples; n++) {
    await new Promise<void>((resolve) => {
      const called = performance.now();
      start(() => {
        late[n] = (performance.now() - called - 1) * 1000;
        resolve();
      }, unit);
    });
  }
  for (const timer of others) clear(timer);
  results[`${name}50`] = quantile(late, 0.5);
  results[`${name}99`] = quantile(late, 0.99);
}

/**
 * How far an interval of one millisecond is from where it should be: ticks that it tells as missed count. And
 * how many of its callbacks did not come.
 */
async function drift(): Promise<void> {
  const begin = timers.nowMs();
  await new Promise<void>((resolve) => {
    let ticks = 0;
    let calls = 0;
    const one = timers.every((missed = 0) => {
      ticks += 1 + missed;
      calls++;
      const passed = timers.nowMs() - begin;
      if (passed < seconds * 1000) return;
      results.drift = Math.abs(passed - ticks);
      results.uncalled = passed - calls;
      clear(one);
      resolve();
    }, 1);
  });
}

/** What a thousand intervals of ten milliseconds cost, in percent of a processor. */
async function intervals(): Promise<void> {
  for (let n = 0; n < warm; n++) clear(timers.every(nothing, 10));
  const many = Array.from({ length: 1000 }, () => timers.every(nothing, 10));
  // What the runtime compiles then is ready.
  await sleep(seconds * 1000);
  const cpu = process.cpuUsage();
  const from = performance.now();
  await sleep(seconds * 1000);
  const { user, system } = process.cpuUsage(cpu);
  results.cpu = (user + system) / (performance.now() - from) / 10;
  for (const timer of many) clear(timer);
}

/** Nanoseconds for each of many immediates, from the first call to the last callback. */
async function immediates(length: number): Promise<void> {
  const { immediate } = timers;
  const begin = performance.now();
  await new Promise<void>((resolve) => {
    let left = length;
    const called = (): void => {
      if (--left === 0) resolve();
    };
    for (let n = 0; n < length; n++) immediate(called);
  });
  results.immediate = (performance.now() - begin) * 1e6 / length;
}

const spanMs = Math.min(1000, count / 100);
// The compilers of the runtime have their say first.
const warm = Math.min(count / 10, 20_000);
const measurements: Record<string, () => void | Promise<void>> = {
  create() {
    createAndClear(warm);
    Object.assign(results, createAndClear(count));
  },
  spread() {
    createAndClear(warm, 60_000);
    results.spread = createAndClear(count, 60_000).create;
  },
  churn() {
    churn(warm);
    Object.assign(results, churn(count));
  },
  memory,
  async fire() {
    const scattered = (n: number): number => n % spanMs;
    await fire(count / 10, scattered);
    results.fire = await fire(count, scattered);
  },
  async ordered() {
    const ordered = (n: number): number => Math.floor(n / count * spanMs);
    await fire(count / 10, ordered);
    results.ordered = await fire(count, ordered);
  },
  async immediate() {
    for (let n = 0; n < 10; n++) await immediates(warm);
    await immediates(Math.min(100_000, count));
  },
  async lateness() {
    // The second overwrites the first.
    for (let n = 0; n < 2; n++) await lateness(0, "idle");
    await lateness(10_000, "busy");
  },
  async intervals() {
    await drift();
    await intervals();
  },
};

for (const group of groups.split(",")) await measurements[group]!();
console.log(JSON.stringify(results));
process.exit();
