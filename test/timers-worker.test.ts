// Timers in workers: each has a loop of its own, and goes away with it.
import { describe, expect, test } from "vitest";
import { setTimeout as sleepOnOurs } from "../adapters/timers_promises.ts";
import { openDescriptors } from "./support/descriptors.ts";
import { sleep, TestWorker } from "./support/worker.ts";

/** A number that a worker counts up. */
function counted(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4));
}

async function started(whose: string, state: string, beats = counted()): Promise<TestWorker> {
  const worker = new TestWorker("timers-worker");
  expect(await worker.next()).toBe("ready");
  worker.send([whose, state, beats]);
  return worker;
}

/** Whether, soon, it counts no more. */
async function standsStill(beats: Int32Array): Promise<boolean> {
  for (let tries = 0; tries < 40; tries++) {
    const before = Atomics.load(beats, 0);
    await sleep(50);
    if (Atomics.load(beats, 0) === before) return true;
  }
  return false;
}

/** The number of descriptors, when it has stayed the same for a while. */
async function settled(): Promise<number> {
  let last = openDescriptors().size;
  for (let same = 0, tries = 0; same < 4 && tries < 60; tries++) {
    await sleep(40);
    const now = openDescriptors().size;
    same = now === last ? same + 1 : 0;
    last = now;
  }
  return last;
}

describe("in a worker", () => {
  for (const whose of ["native", "kevent", "registered"]) {
    test(`timers work (${whose})`, async () => {
      using worker = await started(whose, "works");
      expect(await worker.next()).toBe("immediate timeout tick slept");
    });

    for (const state of ["pending", "mid-callback", "immediates", "closing"]) {
      test(`it can be ended: ${state} (${whose})`, async () => {
        const beats = counted();
        using worker = await started(whose, state, beats);
        expect(await worker.next()).toBe(state);
        // Told before any was due.
        if (state !== "pending") expect(Atomics.load(beats, 0)).toBeGreaterThan(0);
        if (state !== "closing") worker.terminate();
        // Ours go on meanwhile.
        await sleepOnOurs(10);
        expect(await standsStill(beats)).toBe(true);
      });
    }
  }

  test("an error in a callback is the worker's", async () => {
    using worker = await started("kevent", "throwing");
    expect(await worker.next()).toEqual({ error: expect.stringContaining("deliberate") });
  });

  test("twenty in a row leave no descriptors open", async () => {
    // What the first one opens for all others stays.
    (await started("kevent", "pending")).terminate();
    const before = await settled();
    for (let count = 0; count < 20; count++) {
      const worker = await started("kevent", count % 2 === 0 ? "pending" : "mid-callback");
      await worker.next();
      worker.terminate();
    }
    // A thread that ends lets go of what it has a little later.
    await sleep(300);
    expect(await settled() - before).toBeLessThanOrEqual(0);
  });
});
