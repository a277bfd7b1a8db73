// The main job of kevent, all at once on one loop that the runtime's own loop wakes: an echo server,
// timers, a watch on a directory, children and signals. Whatever they deal with is done by other
// processes. Ends by itself; exits with 1 when anything was lost or wrong, and says what.
//
//   deno run -A examples/demo.ts [--json] [--seed=number] [--only=echo,timers]
//   bun examples/demo.ts [--json] [--seed=number] [--only=echo,timers]
//
// KEVENT_BACKEND=epoll or io_uring decides on the back-end.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Loop } from "../adapters/mod.ts";
import { callsMade, countingRuntime, type Counts } from "./demo/calls.ts";
import { startChildren } from "./demo/children.ts";
import { startEcho } from "./demo/echo.ts";
import type { Part } from "./demo/part.ts";
import { endAll } from "./demo/processes.ts";
import { type Measured, report, table } from "./demo/report.ts";
import { startSignals } from "./demo/signals.ts";
import { startTimers } from "./demo/timers.ts";
import { startWatch } from "./demo/watch.ts";

const LIMIT_MS = 15_000;
const IDLE_MS = 500;
const TICK_MS = 10;

const { values } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    seed: { type: "string" },
    only: { type: "string" },
  },
});
const seed = Number(values.seed ?? Date.now() % 100_000);

const folder = mkdtempSync(join(tmpdir(), "kevent-demo-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
// Who interrupts it must not find children and files left.
const interrupted = () => process.exit(130);
process.on("SIGINT", interrupted).on("SIGTERM", interrupted);

const { runtime, counts } = countingRuntime();
using loop = new Loop({ runtime });
const tick = startTicking();
const start = performance.now();
const cpu = process.cpuUsage();
const starts: Readonly<Record<string, () => Part>> = {
  echo: () => startEcho(loop, seed),
  watch: () => startWatch(loop, folder, seed),
  children: () => startChildren(loop),
  signals: () => startSignals(loop),
  // Last: to start a process takes the runtime some milliseconds in which nothing else runs.
  timers: () => startTimers(loop, seed),
};
const wanted = values.only?.split(",") ?? Object.keys(starts);
const parts = startAll(wanted);
const problems = await allDone(parts);
const wall_ms = performance.now() - start;
const cpu_ms = sinceCpu(cpu);
const ticks = tick();
endAll();
const idle = await measureIdle(counts);
if (idle.calls > 0) problems.push(`asleep: ${idle.calls} native calls though nothing happened`);

const measured: Measured = { seed, wall_ms, cpu_ms, idle, ticks };
const result = report(loop, counts, parts, measured, problems);
for (const part of Object.values(parts)) part.stop();
console.log(values.json ? JSON.stringify(result) : table(result));
process.off("SIGINT", interrupted).off("SIGTERM", interrupted);
process.exitCode = result.ok ? 0 : 1;

/** A part that cannot even start is a loss with a name, and no reason to leave out the others. */
function startAll(names: readonly string[]): Record<string, Part> {
  return Object.fromEntries(names.map((name) => {
    try {
      const part = starts[name];
      if (part === undefined) throw new Error(`there are ${Object.keys(starts).join(", ")}`);
      return [name, part()];
    } catch (error) {
      const problems = [String(error)];
      const result = { what: "did not start", events: 0, problems, numbers: {} };
      return [name, { done: Promise.resolve(), stop() {}, result: () => result }];
    }
  }));
}

/** Waits for all parts; says which were not done in time. */
async function allDone(parts: Readonly<Record<string, Part>>): Promise<string[]> {
  const open = new Set(Object.keys(parts));
  const all = Object.entries(parts).map(([name, part]) => part.done.then(() => open.delete(name)));
  const stop = new AbortController();
  const limit = sleep(LIMIT_MS, undefined, { signal: stop.signal }).catch(() => {});
  await Promise.race([Promise.all(all), limit]);
  stop.abort();
  return [...open].map((name) => `${name}: not done after ${LIMIT_MS / 1000} s`);
}

/** Nothing happens for a while, though everything is still open: that must cost nothing. */
async function measureIdle(counts: Counts): Promise<Measured["idle"]> {
  // What the parts closed at their end is on its way.
  await sleep(50);
  const calls = callsMade(counts, Object.keys(counts.calls));
  const cpu = process.cpuUsage();
  await sleep(IDLE_MS);
  const made = callsMade(counts, Object.keys(counts.calls)) - calls;
  return { ms: IDLE_MS, cpu_ms: sinceCpu(cpu), calls: made };
}

/** The runtime's own interval goes on beside the loop. Gives a function that ends it. */
function startTicking(): () => Measured["ticks"] {
  let count = 0;
  let gap_ms = 0;
  let last = performance.now();
  const interval = setInterval(() => {
    const now = performance.now();
    gap_ms = Math.max(gap_ms, now - last);
    last = now;
    count++;
  }, TICK_MS);
  return () => {
    clearInterval(interval);
    return { count, gap_ms };
  };
}

function sinceCpu(before: { user: number; system: number }): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
