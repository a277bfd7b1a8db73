// What timers should do, in the simplest way: a list, searched from end to end.
import { clearTimer, Loop, ManualClock, setTimer } from "../../adapters/mod.ts";
import { Random } from "../../examples/demo/random.ts";

interface Expected {
  readonly id: number;
  readonly periodNs: number;
  deadlineNs: number;
  sequence: number;
}

/** Random operations on real timers and on the list, which must agree at each step. */
export class TimerModel implements Disposable {
  readonly #loop = new Loop();
  readonly #clock = new ManualClock(1e9);
  readonly #numbers: Random;
  readonly #live: Expected[] = [];
  readonly #dead: number[] = [];
  #sequence = 0;
  #depth = 0;
  /** How many fired. */
  fired = 0;
  /** What was wrong in a callback, whose errors would go to the process. */
  readonly problems: unknown[] = [];

  constructor(seed: number) {
    this.#numbers = new Random(seed);
    this.#loop.clock = this.#clock;
  }

  #random(below: number): number {
    return this.#numbers.between(0, below - 1);
  }

  /** One operation. */
  step(): void {
    const kind = this.#random(10);
    if (kind < 5) this.#set();
    else if (kind < 7) this.#clear();
    else if (kind < 8) this.#clearDead();
    else this.#advance();
  }

  /** Nothing that is due may wait. */
  settle(): void {
    this.#clock.advance(0);
    const first = this.#first();
    const lateNs = first === undefined ? -1 : this.#clock.now() - first.deadlineNs;
    if (lateNs >= 0) this.problems.push(`timer ${first!.id} is due since ${lateNs} ns`);
    const { count } = this.#loop.timers;
    if (count !== this.#live.length) this.problems.push(`${count} of ${this.#live.length} wait`);
  }

  [Symbol.dispose](): void {
    this.#loop[Symbol.dispose]();
  }

  /** Many of few durations, some of any, and none at all. */
  #delay(): number {
    switch (this.#random(4)) {
      case 0:
        return this.#random(50_000_000);
      case 1:
        return 0;
      default:
        // Two of them share a place in the table of durations.
        return [1e6, 2e6, 5e6, 7e6, 4097e6][this.#random(5)]!;
    }
  }

  /** Mostly none; some go by a duration that others have too, with another phase. */
  #period(): number {
    switch (this.#random(8)) {
      case 0:
        return 1 + this.#random(9_000_000);
      case 1:
        return [1e6, 2e6, 5e6][this.#random(3)]!;
      default:
        return 0;
    }
  }

  #set(): void {
    const delayNs = this.#delay();
    const periodNs = this.#period();
    const loop = this.#loop;
    const id: number = setTimer(
      (missed) => this.#onFire(id, missed),
      periodNs > 0 ? { after: delayNs, every: periodNs, loop } : { after: delayNs, loop },
    );
    const deadlineNs = this.#clock.now() + delayNs;
    this.#live.push({ id, periodNs, deadlineNs, sequence: this.#sequence++ });
  }

  #clear(): void {
    if (this.#live.length === 0) return;
    const [timer] = this.#live.splice(this.#random(this.#live.length), 1);
    if (!clearTimer(timer!.id, this.#loop)) throw new Error(`timer ${timer!.id} was lost`);
    this.#dead.push(timer!.id);
  }

  #clearDead(): void {
    const id = this.#dead[this.#random(Math.max(this.#dead.length, 1))];
    if (id !== undefined && clearTimer(id, this.#loop)) throw new Error(`${id} named another`);
  }

  #advance(): void {
    // Not from within a callback: the loop would refuse it.
    if (this.#depth === 0) this.#clock.advance(this.#random(6_000_000));
  }

  #first(): Expected | undefined {
    return this.#live.reduce<Expected | undefined>((first, timer) => {
      if (first === undefined || timer.deadlineNs < first.deadlineNs) return timer;
      const equal = timer.deadlineNs === first.deadlineNs;
      return equal && timer.sequence < first.sequence ? timer : first;
    }, undefined);
  }

  #onFire(id: number, missed: number): void {
    this.fired++;
    try {
      this.#checkFired(id, missed);
    } catch (error) {
      this.problems.push(error);
    }
  }

  #checkFired(id: number, missed: number): void {
    const first = this.#first();
    if (first?.id !== id) throw new Error(`timer ${id} fired instead of ${first?.id}`);
    const now = this.#clock.now();
    if (first.deadlineNs > now) throw new Error(`timer ${id}: ${first.deadlineNs - now} ns early`);
    this.#goOn(first, missed, now);
    this.#depth++;
    for (let count = this.#random(3); count > 0; count--) this.step();
    this.#depth--;
  }

  #goOn(timer: Expected, missed: number, now: number): void {
    if (timer.periodNs === 0) {
      this.#live.splice(this.#live.indexOf(timer), 1);
      this.#dead.push(timer.id);
      return;
    }
    const periods = Math.floor((now - timer.deadlineNs) / timer.periodNs);
    if (missed !== periods) throw new Error(`timer ${timer.id} missed ${periods}, not ${missed}`);
    timer.deadlineNs += (periods + 1) * timer.periodNs;
    timer.sequence = this.#sequence++;
  }
}
