/**
 * One program that `bench/timers.mjs` measures: timers of the runtime. Each group of measurements has
 * a process of its own, so that none sees the heap that another left. Prints one JSON object.
 *
 *   <program> <groups, with commas> <timers> <lateness samples> <seconds of intervals>
 */

import process from "node:process";

const [, , groups = "", ...sizes] = process.argv;
const [count = 0, samples = 0, seconds = 0] = sizes.map(Number);
const results: Record<string, number> = {};
/** What names a timer is the runtime's affair. */
type Name = Parameters<typeof clearTimeout>[0];

function nothing(): void {}

/** Collects what can be collected, as far as the runtime lets a script ask for it. */
function collect(): void {
  if ("Bun" in globalThis) Bun.gc(true);
  else (globalThis as { gc?: () => void }).gc?.();
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Whole milliseconds between one and two minutes: the same for each run. */
function mixed(length: number): Float64Array {
  let seed = 1;
  return new Float64Array(length).map(() => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return 60_000 + (seed >>> 8) % 60_000;
  });
}

function quantile(values: Float64Array, share: number): number {
  return values.toSorted()[Math.floor(values.length * share)]!;
}

/** Nanoseconds each to create, to clear, and for both with a thousand that live. */
function allocate(length: number): void {
  const delays = mixed(length);
  const names: Name[] = new Array(length);
  const start = performance.now();
  for (let n = 0; n < length; n++) names[n] = setTimeout(nothing, delays[n]!);
  const middle = performance.now();
  for (let n = 0; n < length; n++) clearTimeout(names[n]);
  const end = performance.now();
  const live: Name[] = Array.from({ length: 1000 }, (_, n) => setTimeout(nothing, delays[n % 50]!));
  const churn = performance.now();
  for (let n = 0; n < length; n++) {
    clearTimeout(live[n % 1000]);
    live[n % 1000] = setTimeout(nothing, delays[n]!);
  }
  const churned = performance.now();
  for (const name of live) clearTimeout(name);
  results.create = (middle - start) * 1e6 / length;
  results.clear = (end - middle) * 1e6 / length;
  results.churn = (churned - churn) * 1e6 / length;
}

/** Bytes of the process for each timer that waits. */
function memory(): void {
  const delays = mixed(count);
  const warm = Array.from({ length: 1000 }, () => setTimeout(nothing, 60_000));
  for (const timer of warm) clearTimeout(timer);
  collect();
  const before = process.memoryUsage().rss;
  for (let n = 0; n < count; n++) setTimeout(nothing, delays[n]!);
  collect();
  results.memory = (process.memoryUsage().rss - before) / count;
}

/** Processor time of the process for each timer that fires, all within a second. */
async function fire(): Promise<void> {
  const delays = mixed(count);
  // Deadlines lie in one second that begins when all have been created.
  const begin = performance.now();
  for (let n = 0; n < 2000; n++) clearTimeout(setTimeout(nothing, 60_000));
  const lead = (performance.now() - begin) / 2000 * count * 2 + 1500;
  await new Promise<void>((resolve, reject) => {
    let left = count;
    let cpu = process.cpuUsage();
    const fired = (): void => {
      if (--left > 0) return;
      const { user, system } = process.cpuUsage(cpu);
      results.fire = (user + system) * 1000 / count;
      resolve();
    };
    const due = performance.now() + lead;
    for (let n = 0; n < count; n++) {
      setTimeout(fired, Math.round(due + delays[n]! % 1000 - performance.now()));
    }
    collect();
    if (performance.now() > due) reject(new Error("Bench: timers fired while others were created"));
    cpu = process.cpuUsage();
  });
}

/** How late a timer of one millisecond is, in microseconds, beside others that wait. */
async function lateness(waiting: number, name: string): Promise<void> {
  const others = Array.from(mixed(waiting), (delay) => setTimeout(nothing, delay));
  const late = new Float64Array(samples);
  for (let n = 0; n < samples; n++) {
    await new Promise<void>((resolve) => {
      const called = performance.now();
      setTimeout(() => {
        late[n] = (performance.now() - called - 1) * 1000;
        resolve();
      }, 1);
    });
  }
  for (const timer of others) clearTimeout(timer);
  results[`${name}50`] = quantile(late, 0.5);
  results[`${name}99`] = quantile(late, 0.99);
}

/** What an interval of one millisecond loses, and what a thousand of ten milliseconds cost. */
async function intervals(): Promise<void> {
  let ticks = 0;
  const start = performance.now();
  const one = setInterval(() => ticks++, 1);
  await sleep(seconds * 1000);
  results.drift = performance.now() - start - ticks;
  clearInterval(one);
  const many = Array.from({ length: 1000 }, () => setInterval(nothing, 10));
  const cpu = process.cpuUsage();
  const from = performance.now();
  await sleep(seconds * 1000);
  const { user, system } = process.cpuUsage(cpu);
  results.cpu = (user + system) / (performance.now() - from) / 10;
  for (const timer of many) clearInterval(timer);
}

/** Nanoseconds for each of many immediates, from the first call to the last callback. */
async function immediates(length: number): Promise<void> {
  const start = performance.now();
  await new Promise<void>((resolve) => {
    let left = length;
    const called = (): void => {
      if (--left === 0) resolve();
    };
    for (let n = 0; n < length; n++) setImmediate(called);
  });
  results.immediate = (performance.now() - start) * 1e6 / length;
}

for (const group of groups.split(",")) {
  if (group === "memory") memory();
  if (group === "fire") await fire();
  if (group === "allocate") {
    // The compilers of the runtime have their say first.
    allocate(Math.min(count, 20_000));
    allocate(count);
    for (const length of [20_000, 100_000]) await immediates(Math.min(length, count));
  }
  if (group === "lateness") {
    await lateness(0, "idle");
    await lateness(10_000, "busy");
  }
  if (group === "intervals") await intervals();
}
console.log(JSON.stringify(results));
process.exit();
