import type { Loop } from "./loop.ts";
import { PhaseHandle } from "./phase.ts";

/**
 * Called once in each round of its loop, before `Prepare` handles; while one is active the loop never sleeps. As `uv_idle_t`.
 *
 * @example
 * ```ts
 * import { Idle, Loop } from "../adapters/mod.ts";
 *
 * using loop = new Loop({ attached: false });
 * let rounds = 0;
 * const idle = new Idle(loop).start(() => ++rounds === 3 && idle.stop());
 * while (loop.run("nowait"));
 * if (rounds !== 3) throw new Error(`called ${rounds} times`);
 * ```
 */
export class Idle extends PhaseHandle {
  /** @param loop The loop it belongs to. */
  constructor(loop: Loop) {
    super(loop, loop.phases.idle);
  }
}
