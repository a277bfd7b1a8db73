// Random work on trees by another process: what is told must turn the old tree into the new one.
//
//   KEVENT_TREE_SECONDS=3600   how long; 4 by default
//   KEVENT_TREE_ALL=1          also trees that leave something out (ignore, depth), that remember nothing, and
//                              work during the first look: about one of fifty such seeds still finds something
//   KEVENT_TREE_SEED=17        the first seed
//   KEVENT_TREE_SEEDS=1        how many at most; 6 by default, of which about one in a hundred runs still fails:
//                              an exchange of names that went on before it could be looked at
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
const FIRST = environment("SEED", 1);
const SECONDS = environment("SECONDS", 4);
const SEEDS = environment("SEEDS", process.env["KEVENT_TREE_SECONDS"] === undefined ? 6 : 100_000);
const STEPS = environment("STEPS", 100);
const ALL = environment("ALL", 0) !== 0;
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
      using run = new TreeRun(driver, folder, { seed: next, steps: STEPS, all: ALL });
      await run.run();
      told += run.told;
      const where = run.problems.length > 0 ? ` (all in ${run.dump()})` : "";
      expect(run.problems, `seed ${next}, ${backend}${where}`).toEqual([]);
    }
    console.log(`trees: seeds ${FIRST} to ${seed - 1}, ${told} events`);
    expect(told).toBeGreaterThan(seed - FIRST);
  }, SECONDS * 1000 + 20_000);
});
