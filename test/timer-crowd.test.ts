// Wake-ups are put off where many timers fire, and only there.
import { describe, expect, test } from "vitest";
import { clearTimer, defaultLoop, Loop, ManualClock, setTimer, Timer } from "../adapters/mod.ts";
import { currentRuntime } from "../loop/host.ts";
import { Timers } from "../loop/timers.ts";
import { gate } from "./support/queue.ts";

const owner = {
  retain() {},
  release() {},
  sooner() {},
  fail(error: unknown) {
    throw error;
  },
};

describe("crowd", () => {
  test("those that fire count, each once, and not those that wait", () => {
    const clock = new ManualClock(1e9);
    const timers = new Timers(currentRuntime().host, clock, owner);
    /** Lets time pass, with a look each so often; the most that was found. */
    const crowd = (ms: number, lookNs: number): number => {
      let most = 0;
      for (const end = clock.now() + ms * 1e6; clock.now() < end;) {
        clock.moveTo(clock.now() + lookNs);
        timers.run(Infinity);
        most = Math.max(most, timers.crowd);
      }
      return most;
    };
    for (let count = 0; count < 1000; count++) timers.once(() => {}, 3600e9);
    const again = (): void => void timers.once(again, 50e3);
    again();
    expect(crowd(20, 10e3)).toBeLessThanOrEqual(2);
    // A hundred in each millisecond, which then are gone.
    for (let count = 0; count < 2000; count++) timers.once(() => {}, 20e6 + count * 10e3);
    expect(crowd(19, 10e3)).toBeLessThanOrEqual(2);
    expect(crowd(20, 10e3)).toBeGreaterThan(50);
    crowd(10, 10e3);
    expect(crowd(10, 10e3)).toBeLessThanOrEqual(2);
  });

  test("a short timer is in time beside many that merely wait", async (context) => {
    gate(context, "simulated", "its clock stands still while nobody looks");
    const { clock } = defaultLoop();
    const waiting = Array.from({ length: 1000 }, () => setTimer(() => {}, 3600e9));
    using loop = new Loop();
    const handles = Array.from({ length: 100 }, () => new Timer(loop));
    const lateNs: number[] = [];
    for (let count = 0; count < 400; count++) {
      await new Promise<void>((resolve) => {
        const due = clock.now() + 50e3;
        setTimer(() => resolve(void lateNs.push(clock.now() - due)), 50e3);
      });
    }
    for (const id of waiting) clearTimer(id);
    for (const handle of handles) handle.close();
    // Even where others want the processors.
    expect(lateNs.toSorted((a, b) => a - b)[100]).toBeLessThan(600e3);
  });

  test("a thousand that fire each 10 ms share their wake-ups", async (context) => {
    gate(context, "simulated", "its clock stands still while nobody looks");
    using loop = new Loop();
    const ticks = Array.from({ length: 1000 }, (_, index) => {
      return setTimer(() => {}, { at: loop.clock.now() + index * 10e3, every: 10e6, loop });
    });
    const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
    await wait(100);
    const before = loop.metrics();
    await wait(300);
    const { turns, timers } = loop.metrics();
    expect(timers - before.timers).toBeGreaterThan(15_000);
    // One by one it would be many thousand.
    expect(turns - before.turns).toBeLessThan(1500);
    for (const id of ticks) clearTimer(id, loop);
  });
});
