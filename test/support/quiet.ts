// Waiting until nothing more is told.
import { sleep } from "./worker.ts";

const STEP_MS = 5;

/**
 * Waits until nothing was told for a while. Turns are counted and not time: a process that had no processor
 * finds that time has passed before it has heard of anything.
 *
 * @param ms How long.
 * @param told How much was told so far.
 */
export async function quiet(ms: number, told: () => number): Promise<void> {
  const turns = Math.ceil(ms / STEP_MS);
  for (let left = turns; left > 0; left--) {
    const before = told();
    await sleep(STEP_MS);
    if (told() !== before) left = turns;
  }
}
