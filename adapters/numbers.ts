import { OTHERS_START } from "../loop/slab.ts";

/**
 * The number of our first timer: far from those of the runtime's own, which go on counting and may
 * still be in somebody's hands, and never an id. Half of what fits a small integer is left.
 */
export const NUMBER_START: number = OTHERS_START;

let last = NUMBER_START - 1;

/** @returns The number of the next timer. */
export function nextNumber(): number {
  return ++last;
}

/**
 * Timers by the numbers that stand for them: only those that were asked for theirs. Works also in
 * programs that have spoilt `Map.prototype`.
 */
export class Numbers<Timer> extends Map<number, Timer> {
  override readonly get = super.get;
  override readonly set = super.set;
  override readonly delete = super.delete;

  /** A timer has ended: its number stands for nothing any more. */
  forget(number: number): void {
    if (this.size > 0) this.delete(number);
  }
}
