// Trees whose events the kernel loses, because nobody read them in time: nothing is lost, and it is said.
import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Loop, Tree } from "../adapters/mod.ts";
import { Folder } from "./support/folder.ts";
import { backend } from "./support/queue.ts";
import { TreeDriver } from "./support/tree_driver.ts";
import { TreeRun } from "./support/tree_run.ts";

/** Of the machine, for descriptors that are made from then on. */
const LIMIT = "/proc/sys/fs/inotify/max_queued_events";
const LOW = 24;
const FIRST = 1;
const SECONDS = 5;

/** Makes the one descriptor of this process with a short queue; gives why it could not. */
function shorten(tree: Tree, path: string): string | undefined {
  const before = readFileSync(LIMIT, "utf8");
  try {
    writeFileSync(LIMIT, `${LOW}`);
  } catch (error) {
    return `${LIMIT} cannot be written: ${(error as Error).message}`;
  }
  try {
    tree.start(path, {}, () => {});
  } finally {
    writeFileSync(LIMIT, before);
  }
  return undefined;
}

describe("trees that lose events", () => {
  let driver: TreeDriver;
  let loop: Loop;
  let folder: Folder;
  let denied: string | undefined;

  beforeAll(() => {
    driver = new TreeDriver();
    loop = new Loop();
    folder = new Folder();
    // Keeps the descriptor open until all tests are done.
    denied = shorten(new Tree(loop).unref(), folder.path);
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
      const end = performance.now() + SECONDS * 1000;
      let overflows = 0;
      for (let seed = FIRST; seed < FIRST + 6 && performance.now() < end; seed++) {
        using place = new Folder(seed % 2 ? "/dev/shm" : undefined);
        using run = new TreeRun(driver, place, { seed, steps: 100, shape: {} });
        await run.run();
        overflows += run.overflows;
        const where = run.problems.length > 0 ? ` (all in ${run.dump()})` : "";
        expect(run.problems, `seed ${seed}, ${backend}${where}`).toEqual([]);
      }
      expect(overflows).toBeGreaterThan(0);
    },
    SECONDS * 1000 + 20_000,
  );

  test("more than the kernel keeps while the script is busy: the old tree becomes the new one", async () => {
    using place = new Folder("/dev/shm");
    using run = new TreeRun(driver, place, { seed: FIRST, steps: 0, shape: {} });
    const flood = { directories: 10, files: 2000 };
    await run.begin({ flood });
    await run.burst(".end", { flood }, true);
    const where = run.problems.length > 0 ? ` (all in ${run.dump()})` : "";
    expect(run.problems, where).toEqual([]);
    expect(run.overflows).toBeGreaterThan(0);
  });
});
