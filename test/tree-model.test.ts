// Random work on trees by another process: what is told must turn the old tree into the new one. Which seeds, and
// for how long: support/tree_seeds.ts.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TreeDriver } from "./support/tree_driver.ts";
import { runSeeds, SEEDS_LIMIT_MS } from "./support/tree_seeds.ts";

describe("trees", () => {
  let driver: TreeDriver;
  beforeAll(() => void (driver = new TreeDriver()));
  afterAll(() => driver[Symbol.dispose]());

  test("random work by another process: the old tree becomes the new one", async () => {
    const { seeds, events } = await runSeeds(driver);
    expect(events).toBeGreaterThan(seeds);
  }, SEEDS_LIMIT_MS);
});
