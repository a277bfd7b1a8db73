// Random timers against a model that cannot be wrong, and against the real clock.
import process from "node:process";
import { describe, expect, test } from "vitest";
import { clearTimer, defaultLoop, info, setTimer } from "../adapters/mod.ts";
import { Random } from "../examples/demo/random.ts";
import { TimerModel } from "./support/timer_model.ts";

/** Seeds that found something once; they run first. */
const KNOWN: readonly number[] = [];
/** New ones each day, the same for everybody who looks into a failure. */
const TODAY = Number(process.env["KEVENT_SEED"] ?? Math.floor(Date.now() / 86_400_000) * 1000);
const STEPS = 300;

describe("timers", () => {
  test("random timers on a manual clock: nothing lost, nothing early, order right", () => {
    const seeds = [...KNOWN, ...Array.from({ length: 40 }, (_, index) => TODAY + index)];
    let fired = 0;
    for (const seed of seeds) {
      using model = new TimerModel(seed);
      try {
        for (let step = 0; step < STEPS; step++) model.step();
        model.settle();
      } catch (error) {
        model.problems.push(error);
      }
      expect(model.problems, `KEVENT_SEED=${seed}`).toEqual([]);
      fired += model.fired;
    }
    expect(fired).toBeGreaterThan(seeds.length);
  });

  test("random timers on the loop's clock: nothing lost, nothing early, order right", async () => {
    const seed = TODAY;
    const numbers = new Random(seed);
    const random = (below: number) => numbers.between(0, below - 1);
    const { clock } = defaultLoop();
    const problems: string[] = [];
    let last = 0;
    let waiting = 0;
    const all = Promise.withResolvers<void>();
    for (let count = 0; count < 2000; count++) {
      const delayNs = random(3) === 0 ? random(30_000_000) : random(30) * 1e6;
      const beforeNs = clock.now() + delayNs;
      const cleared = random(4) === 0;
      const id = setTimer(() => {
        const now = clock.now();
        if (cleared) problems.push(`${id} was cleared`);
        if (now < beforeNs) problems.push(`${id} came ${beforeNs - now} ns early`);
        // The deadline lies between `beforeNs` and the moment `setTimer` returned.
        if (last > afterNs) problems.push(`${id} came after one that was due later`);
        last = beforeNs;
        if (--waiting === 0) all.resolve();
      }, delayNs);
      const afterNs = clock.now() + delayNs;
      if (cleared) clearTimer(id);
      else waiting++;
    }
    const limit = setTimeout(() => all.reject(new Error(`${waiting} never fired`)), 10_000);
    await all.promise.catch((error) => problems.push(String(error)));
    clearTimeout(limit);
    expect(problems, `KEVENT_SEED=${seed}, ${info().backend}`).toEqual([]);
  });
});
