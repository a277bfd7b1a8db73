// Trees whose events the kernel loses, because nobody read them in time: nothing is lost, and it is said. Which
// seeds, and for how long: support/tree_seeds.ts.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Loop, Tree } from "../adapters/mod.ts";
import { Folder } from "./support/folder.ts";
import { withShortQueue } from "./support/short_queue.ts";
import { TreeDriver } from "./support/tree_driver.ts";
import { TreeRun } from "./support/tree_run.ts";
import { runSeeds, SEEDS_LIMIT_MS } from "./support/tree_seeds.ts";

const QUEUE_EVENTS = 24;

describe("trees that lose events", () => {
  let driver: TreeDriver;
  let loop: Loop;
  let folder: Folder;
  let denied: string | undefined;

  beforeAll(() => {
    driver = new TreeDriver();
    loop = new Loop();
    folder = new Folder();
    // Keeps the one descriptor of this process open until all tests are done.
    const tree = new Tree(loop).unref();
    denied = withShortQueue(QUEUE_EVENTS, () => tree.start(folder.path, {}, () => {}));
  });

  afterAll(() => {
    driver[Symbol.dispose]();
    loop[Symbol.dispose]();
    folder[Symbol.dispose]();
  });

  test(
    "random work, a queue of a few events: the old tree becomes the new one",
    async (context) => {
      if (denied !== undefined) context.skip(denied);
      const { overflows } = await runSeeds(driver, {});
      expect(overflows).toBeGreaterThan(0);
    },
    SEEDS_LIMIT_MS,
  );

  test("more than the kernel keeps while the script is busy: the old tree becomes the new one", async () => {
    using place = new Folder("/dev/shm");
    using run = new TreeRun(driver, place, { seed: 1, steps: 0, shape: {} });
    const flood = { directories: 10, files: 2000 };
    await run.begin({ flood });
    await run.burst(".end", { flood }, true);
    const where = run.problems.length > 0 ? ` (all in ${run.dump()})` : "";
    expect(run.problems, where).toEqual([]);
    expect(run.overflows).toBeGreaterThan(0);
  });
});
