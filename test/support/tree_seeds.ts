// Random work on trees, seed by seed; which ones the environment says:
//
//   KEVENT_TREE_SECONDS=3600   how long; a few by default
//   KEVENT_TREE_SEED=17        the first seed
//   KEVENT_TREE_SEEDS=1        how many at most; 6 by default, and without KEVENT_TREE_SECONDS
//   KEVENT_TREE_STEPS=100      most steps between two looks
//   KEVENT_TREE_ALL=1          also trees that leave something out (ignore, depth), that remember nothing, and
//                              work during the first look

import process from "node:process";
import { expect } from "vitest";
import type { TreeOptions } from "../../adapters/mod.ts";
import { Folder } from "./folder.ts";
import { backend } from "./queue.ts";
import type { TreeDriver } from "./tree_driver.ts";
import { TreeRun } from "./tree_run.ts";

const environment = (name: string, otherwise: number): number =>
  Number(process.env[`KEVENT_TREE_${name}`] ?? otherwise);

const LONG = process.env["KEVENT_TREE_SECONDS"] !== undefined;
const FIRST = environment("SEED", 1);
const SEEDS = environment("SEEDS", LONG ? 100_000 : 6);
const SECONDS = environment("SECONDS", 4);
const STEPS = environment("STEPS", 100);
const ALL = environment("ALL", 0) !== 0;
/** Places that differ: one on disk, where inodes are used again, and one in memory. */
const PLACES = [undefined, "/dev/shm"];

/** Milliseconds that a test of seeds may take: the last one may begin just before its time is up. */
export const SEEDS_LIMIT_MS = SECONDS * 1000 + 20_000;

/** What was told in all of the runs. */
export interface SeedsTold {
  readonly seeds: number;
  readonly events: number;
  readonly overflows: number;
}

/**
 * Runs seeds until one finds something, which fails the test, or their time or number is over.
 *
 * @param driver Who works on the trees.
 * @param shape How they are watched. Default: by chance.
 */
export async function runSeeds(driver: TreeDriver, shape?: TreeOptions): Promise<SeedsTold> {
  const end = performance.now() + SECONDS * 1000;
  let [seeds, events, overflows] = [0, 0, 0];
  for (; seeds < SEEDS && performance.now() < end; seeds++) {
    const seed = FIRST + seeds;
    using folder = new Folder(PLACES[seed % PLACES.length]);
    using run = new TreeRun(driver, folder, {
      seed,
      steps: STEPS,
      all: ALL,
      ...shape && { shape },
    });
    await run.run();
    events += run.told;
    overflows += run.overflows;
    const where = run.problems.length > 0 ? ` (all in ${run.dump()})` : "";
    expect(run.problems, `seed ${seed}, ${backend}${where}`).toEqual([]);
  }
  console.log(`trees: seeds ${FIRST} to ${FIRST + seeds - 1}, ${events} events`);
  return { seeds, events, overflows };
}
