import type { Loop } from "./loop.ts";
import { PhaseHandle } from "./phase.ts";

/**
 * Called once in each round of its loop, right before it asks the kernel for events, and before it sleeps. As `uv_prepare_t`.
 *
 * @example
 * ```ts
 * import { Prepare, Loop } from "../adapters/mod.ts";
 *
 * using loop = new Loop({ attached: false });
 * let rounds = 0;
 * const prepare = new Prepare(loop).start(() => ++rounds === 3 && prepare.stop());
 * while (loop.run("nowait"));
 * if (rounds !== 3) throw new Error(`called ${rounds} times`);
 * ```
 */
export class Prepare extends PhaseHandle {
  /** @param loop The loop it belongs to. */
  constructor(loop: Loop) {
    super(loop, loop.phases.prepare);
  }
}
