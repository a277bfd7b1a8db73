import type { Loop } from "./loop.ts";
import { PhaseHandle } from "./phase.ts";

/**
 * Called once in each round of its loop, right after it got events from the kernel. As `uv_check_t`.
 *
 * @example
 * ```ts
 * import { Check, Loop } from "../adapters/mod.ts";
 *
 * using loop = new Loop({ attached: false });
 * let rounds = 0;
 * const check = new Check(loop).start(() => ++rounds === 3 && check.stop());
 * while (loop.run("nowait"));
 * if (rounds !== 3) throw new Error(`called ${rounds} times`);
 * ```
 */
export class Check extends PhaseHandle {
  /** @param loop The loop it belongs to. */
  constructor(loop: Loop) {
    super(loop, loop.phases.check);
  }
}
