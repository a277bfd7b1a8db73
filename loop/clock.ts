import { KeventError, shown } from "../ffi/errors.ts";

/** What timers go by. */
export interface Clock {
  /** @returns Nanoseconds since some moment; never less than before. */
  now(): number;
}

/** What a manual clock moves. */
interface Moved {
  /** Throws EBUSY from within a callback of the loop. */
  check(): void;
  /** When the next timer is due; `Infinity` without one. */
  nextDeadline(): number;
  /** Runs the timers that are due. */
  fire(): number;
  /** The clock shows another time, and nothing more is due. */
  moved(): void;
  /** Calls back after a turn of the runtime, which lives for it. */
  macrotask(callback: () => void): void;
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

  /**
   * Shows a time, unless it shows a later one, and runs nothing; for loops.
   *
   * @param timeNs What it shows.
   * @throws {KeventError} EINVAL for a time that is negative or not finite.
   */
  moveTo(timeNs: number): void {
    checkNs(timeNs, "timeNs", "move clock");
    this.#nowNs = Math.max(this.#nowNs, timeNs);
  }

  /**
   * Called by the loop that goes by this clock.
   *
   * @param moved What it moves.
   * @throws {KeventError} EBUSY when a loop goes by it already.
   */
  attach(moved: Moved): void {
    if (this.#moved !== undefined) {
      const detail = "another loop goes by this clock: give each its own";
      throw new KeventError("change clock", "argument", "EBUSY", detail);
    }
    this.#moved = moved;
  }

  /** Called by the loop that went by this clock. */
  detach(): void {
    this.#moved = undefined;
  }

  /**
   * Moves forward, and runs each timer at its time, with microtasks and ticks after each. In Deno these
   * run only when `advance` returns if it is itself called by one, as after any `await`: see
   * `advanceAsync`. Time stands still while timers of 0 start each other: a chain of them that has no
   * end has none here either.
   *
   * @param byNs Nanoseconds.
   * @returns How many timers ran.
   * @throws {KeventError} EINVAL for a time that is negative or not finite; EBUSY from within a
   * callback of the loop.
   */
  advance(byNs: number): number {
    checkNs(byNs, "byNs", "advance clock");
    this.#moved?.check();
    const target = this.#nowNs + byNs;
    let count = 0;
    while (this.#nextDeadline() <= target) count += this.next();
    this.moveTo(target);
    this.#moved?.moved();
    return count;
  }

  /**
   * As `advance`, with a turn of the runtime before each step and after the last: what the timers
   * started meanwhile (promises, the runtime's own timers of 0 ms) goes on in between.
   *
   * @param byNs Nanoseconds.
   * @returns How many timers ran.
   * @throws {KeventError} As of `advance`; once begun, as a rejection.
   *
   * @example What a timer awaits is done before the next
   * ```ts
   * import { Loop, ManualClock, Timer } from "../adapters/mod.ts";
   *
   * using loop = new Loop();
   * const clock = new ManualClock();
   * loop.clock = clock;
   * const order: string[] = [];
   * new Timer(loop).start(async () => {
   *   await undefined;
   *   order.push("awaited");
   * }, 1);
   * new Timer(loop).start(() => order.push("second"), 2);
   * await clock.advanceAsync(2e6);
   * if (order.join() !== "awaited,second") throw new Error(order.join());
   * ```
   */
  advanceAsync(byNs: number): Promise<number> {
    checkNs(byNs, "byNs", "advance clock");
    const target = this.#nowNs + byNs;
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    let count = 0;
    const step = (): void => {
      try {
        // Somebody else may have moved the clock further meanwhile.
        const leftNs = Math.max(target - this.#nowNs, 0);
        if (this.#nextDeadline() > target) return resolve(count + this.advance(leftNs));
        count += this.next();
        this.#turn(step);
      } catch (error) {
        reject(error);
      }
    };
    this.#turn(step);
    return promise;
  }

  /** Calls back after a turn of the runtime: not in a microtask, in which no others run. */
  #turn(callback: () => void): void {
    if (this.#moved === undefined) queueMicrotask(callback);
    else this.#moved.macrotask(callback);
  }

  #nextDeadline(): number {
    return this.#moved?.nextDeadline() ?? Infinity;
  }

  /**
   * Moves to the next timer, and runs what is due then.
   *
   * @returns How many timers ran; 0 when none waits.
   * @throws {KeventError} EBUSY from within a callback of the loop.
   */
  next(): number {
    this.#moved?.check();
    const deadline = this.#nextDeadline();
    if (deadline === Infinity) return 0;
    this.moveTo(deadline);
    return this.#moved!.fire();
  }
}

function checkNs(ns: number, what: string, operation: string): void {
  if (typeof ns === "number" && ns >= 0 && ns < Infinity) return;
  const detail = `${what} must be 0 or more nanoseconds, not ${shown(ns)}`;
  throw new KeventError(operation, "argument", "EINVAL", detail);
}
