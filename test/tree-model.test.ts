// Random work on trees by another process: what is told must turn the old tree into the new one.
//
//   KEVENT_TREE_SECONDS=3600   how long; 6 by default
//   KEVENT_TREE_SEED=17        the first seed
//   KEVENT_TREE_SEEDS=1        how many at most
//   KEVENT_TREE_STEPS=100      most steps between two looks

import process from "node:process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Folder } from "./support/folder.ts";
import { backend } from "./support/queue.ts";
import { TreeDriver } from "./support/tree_driver.ts";
import { TreeRun } from "./support/tree_run.ts";

const environment = (name: string, otherwise: number): number =>
  Number(process.env[`KEVENT_TREE_${name}`] ?? otherwise);

/** Seeds that found something once; they run first. */
const KNOWN: readonly number[] = [];
/** New ones each day, the same for everybody who looks into a failure. */
const FIRST = environment("SEED", Math.floor(Date.now() / 86_400_000) * 10_000);
const SECONDS = environment("SECONDS", 6);
const SEEDS = environment("SEEDS", 100_000);
const STEPS = environment("STEPS", 100);
/** Places that differ: one on disk, where inodes are used again, and one in memory. */
const PLACES = [undefined, "/dev/shm"];

describe("trees", () => {
  let driver: TreeDriver;
  beforeAll(() => void (driver = new TreeDriver()));
  afterAll(() => driver[Symbol.dispose]());

  test("random work by another process: the old tree becomes the new one", async () => {
    const end = performance.now() + SECONDS * 1000;
    const seeds = process.env["KEVENT_TREE_SEED"] === undefined ? [...KNOWN] : [];
    let seed = FIRST;
    let told = 0;
    for (; seed < FIRST + SEEDS && performance.now() < end; seed++) {
      const next = seeds.shift() ?? seed;
      using folder = new Folder(PLACES[next % PLACES.length]);
      using run = new TreeRun(driver, folder, { seed: next, steps: STEPS });
      await run.run();
      told += run.told;
      const where = run.problems.length > 0 ? ` (all in ${run.dump()})` : "";
      expect(run.problems, `seed ${next}, ${backend}${where}`).toEqual([]);
    }
    console.log(`trees: seeds ${FIRST} to ${seed - 1}, ${told} events`);
    expect(told).toBeGreaterThan(seed - FIRST);
  }, SECONDS * 1000 + 20_000);
});
