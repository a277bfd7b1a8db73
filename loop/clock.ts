import { KeventError } from "../ffi/errors.ts";

/** What timers go by. */
export interface Clock {
  /** @returns Nanoseconds since some moment; never less than before. */
  now(): number;
}

/** What a manual clock moves. */
interface Moved {
  /** When the next timer is due; `Infinity` without one. */
  nextDeadline(): number;
  /** Runs the timers that are due. */
  fire(): number;
  /** The clock shows another time, and nothing more is due. */
  moved(): void;
}

/**
 * A clock that stands still until it is told to move: for testing one's own timers in no time.
 *
 * @example An hour passes
 * ```ts
 * import { Loop, ManualClock, Timer } from "../adapters/mod.ts";
 *
 * using loop = new Loop();
 * const clock = new ManualClock();
 * loop.clock = clock;
 * let ticks = 0;
 * new Timer(loop).start(() => ticks++, 60_000, 60_000);
 * clock.advance(3600e9);
 * if (ticks !== 60) throw new Error(`${ticks} minutes`);
 * ```
 */
export class ManualClock implements Clock {
  #nowNs: number;
  #moved: Moved | undefined;

  /**
   * @param startNs What it shows at first, in nanoseconds. Default 0.
   * @throws {KeventError} EINVAL for a time that is negative or not finite.
   */
  constructor(startNs = 0) {
    checkNs(startNs, "startNs", "make clock");
    this.#nowNs = startNs;
  }

  /** @returns What it shows, in nanoseconds. */
  now(): number {
    return this.#nowNs;
  }

  /** Shows a time, unless it shows a later one, and runs nothing; for loops. */
  moveTo(timeNs: number): void {
    this.#nowNs = Math.max(this.#nowNs, timeNs);
  }

  /** Called by the loop that goes by this clock. */
  attach(moved: Moved | undefined): void {
    this.#moved = moved;
  }

  /**
   * Moves forward, and runs each timer at its time, with microtasks and ticks after each.
   *
   * @param byNs Nanoseconds.
   * @returns How many timers ran.
   * @throws {KeventError} EINVAL for a time that is negative or not finite; EBUSY from within a
   * callback of the loop.
   */
  advance(byNs: number): number {
    checkNs(byNs, "byNs", "advance clock");
    const target = this.#nowNs + byNs;
    let count = 0;
    while ((this.#moved?.nextDeadline() ?? Infinity) <= target) count += this.next();
    this.moveTo(target);
    this.#moved?.moved();
    return count;
  }

  /**
   * Moves to the next timer, and runs what is due then.
   *
   * @returns How many timers ran; 0 when none waits.
   * @throws {KeventError} EBUSY from within a callback of the loop.
   */
  next(): number {
    const deadline = this.#moved?.nextDeadline() ?? Infinity;
    if (deadline === Infinity) return 0;
    this.moveTo(deadline);
    return this.#moved!.fire();
  }
}

function checkNs(ns: number, what: string, operation: string): void {
  if (ns >= 0 && ns < Infinity) return;
  const detail = `${what} must be 0 or more, not ${String(ns)}`;
  throw new KeventError(operation, "argument", "EINVAL", detail);
}
