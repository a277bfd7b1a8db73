// Loops in workers, and workers that are ended at any moment.
import { readdirSync, readlinkSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Loop, type SharedTrigger, Timer, triggerShared, User } from "../adapters/mod.ts";
import { isDeno } from "./support/program.ts";
import { gate } from "./support/queue.ts";
import { sleep, TestWorker } from "./support/worker.ts";

/** Open descriptors that only queues and wake-ups have. */
function descriptors(): number {
  let count = 0;
  for (const name of readdirSync("/proc/self/fd")) {
    try {
      const target = readlinkSync(`/proc/self/fd/${name}`);
      if (/^(socket|anon_inode):/.test(target)) count++;
    } catch {
      // It was the one that listed the folder.
    }
  }
  return count;
}

async function started(state: string): Promise<TestWorker> {
  const worker = new TestWorker("loop-worker");
  expect(await worker.next()).toBe("ready");
  worker.send(state);
  return worker;
}

/** Waits until the number of descriptors stays the same; gives it. */
async function settled(): Promise<number> {
  let last = descriptors();
  for (let same = 0, tries = 0; same < 6 && tries < 100; tries++) {
    await sleep(50);
    const now = descriptors();
    same = now === last ? same + 1 : 0;
    last = now;
  }
  return last;
}

/** Descriptors that are still open when workers in a state were terminated. */
async function left(state: string): Promise<number> {
  const before = await settled();
  for (let round = 0; round < 3; round++) {
    const worker = await started(state);
    expect(await worker.next()).toBe(state);
    await sleep(round * 20);
    worker.terminate();
  }
  // A wait is cut in slices of half a second, and rings go away in the background.
  await sleep(600);
  return Math.max(await settled() - before, 0);
}

let leftByIdle: number | undefined;

describe("worker", () => {
  test("a loop works in a worker", async () => {
    using worker = await started("works");
    expect(await worker.next()).toBe("fired 5");
  });

  test("several loops live in one thread", async () => {
    const loops = [1, 2, 3].map(() => new Loop());
    const fired = loops.map((loop, index) =>
      new Promise<number>((resolve) => new Timer(loop).start(() => resolve(index), 5))
    );
    expect(await Promise.all(fired)).toEqual([0, 1, 2]);
    for (const loop of loops) loop.close();
  });

  test("S0-28 a user event is triggered from another thread", async () => {
    using worker = await started("triggered");
    const shared = await worker.next<SharedTrigger>();
    triggerShared(shared, 77);
    expect(await worker.next()).toBe(77);
  });

  test("a trigger of what was stopped is refused", () => {
    using loop = new Loop();
    const user = new User(loop).start(() => {});
    const shared = user.share();
    user.stop();
    loop.apply();
    expect(() => triggerShared(shared)).toThrow("Cannot trigger user event: ENOENT");
  });

  for (const state of ["asleep", "busy", "serving", "blocked", "running", "dropped"]) {
    test(`a worker that is ${state} can be terminated, and leaves nothing open`, async (context) => {
      if (state === "blocked" || state === "running") {
        gate(context, "simulated", "the simulated back-end never sleeps");
        if (isDeno) context.skip("Deno 2.9 does not end a worker that never leaves its own script");
      }
      // The runtime keeps some things of each worker; ours must not keep more than an idle one.
      leftByIdle ??= await left("nothing");
      expect(await left(state)).toBeLessThanOrEqual(leftByIdle);
      using loop = new Loop();
      await new Promise<void>((resolve) => new Timer(loop).start(() => resolve(), 1));
    });
  }

  test("many workers come and go while another loop works on", async () => {
    using loop = new Loop();
    let ticks = 0;
    const timer = new Timer(loop).start(() => void ticks++, 1, 1);
    for (let round = 0; round < 5; round++) {
      const workers = await Promise.all(["asleep", "busy", "works"].map(started));
      await Promise.all(workers.map((worker) => worker.next()));
      for (const worker of workers) worker.terminate();
    }
    timer.stop();
    expect(ticks).toBeGreaterThan(0);
  });
});
