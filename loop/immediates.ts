import type { Host } from "./host.ts";
import { RefCount } from "./ref_count.ts";

/** What is called soon. */
export interface Immediate {
  /** It is its turn. */
  onImmediate(): void;
}

/** What immediates need of their loop. */
interface ImmediatesOwner {
  /** A reason for the process to live. */
  retain(): void;
  /** It is gone. */
  release(): void;
  /** The first one waits, and wants a round. */
  waiting(): void;
  /** A callback threw. */
  fail(error: unknown): void;
}

/** More holes than this are not kept when nothing else waits. */
const HOLES_MAX = 64;

/**
 * The immediates of a loop: each is called once, in the check phase of the next round. Outside it is
 * named by a number, which counts up.
 */
export class Immediates {
  readonly #host: Host;
  readonly #owner: ImmediatesOwner;
  // Those of the next round; a hole was taken back.
  #waiting: (Immediate | undefined)[] = [];
  #waitingFrom = 0;
  // Those of this round, or what an error left of it, and which of them is next.
  #batch: (Immediate | undefined)[] = [];
  #batchFrom = 0;
  #next = 0;
  // Most are ref'd, so the others are remembered.
  readonly #unrefd = new Set<number>();
  readonly #refs: RefCount;
  #live = 0;
  #ran = 0;

  /**
   * @param host What the runtime offers.
   * @param owner Whom they keep alive, and tell.
   */
  constructor(host: Host, owner: ImmediatesOwner) {
    this.#host = host;
    this.#owner = owner;
    this.#refs = new RefCount(owner);
  }

  /** Those that wait. */
  get size(): number {
    return this.#live;
  }

  /** Those that ran so far. */
  get ran(): number {
    return this.#ran;
  }

  /**
   * Adds one, at the end.
   *
   * @param immediate What is called.
   * @param ref Whether the process waits for it.
   * @returns Its number.
   */
  add(immediate: Immediate, ref: boolean): number {
    const number = this.#waitingFrom + this.#waiting.length;
    this.#waiting.push(immediate);
    if (!ref) this.#unrefd.add(number);
    else this.#refs.retain();
    if (this.#live++ === 0) this.#owner.waiting();
    return number;
  }

  /**
   * Takes one back, if it still waits.
   *
   * @param number What `add` gave.
   */
  delete(number: number): void {
    if (!this.#waits(number)) return;
    if (number >= this.#waitingFrom) this.#waiting[number - this.#waitingFrom] = undefined;
    else this.#batch[number - this.#batchFrom] = undefined;
    this.#gone(number);
    // Without any there is no round that would take the holes away.
    if (this.#live === 0 && this.#waiting.length > HOLES_MAX) this.#forget();
  }

  #forget(): void {
    this.#waitingFrom += this.#waiting.length;
    this.#waiting = [];
    this.#batch = [];
    this.#batchFrom = this.#waitingFrom;
    this.#next = 0;
  }

  /** Says whether the process waits for it. */
  setRef(number: number, ref: boolean): void {
    if (!this.#waits(number) || ref !== this.#unrefd.has(number)) return;
    if (ref) {
      this.#unrefd.delete(number);
      this.#refs.retain();
    } else {
      this.#unrefd.add(number);
      this.#refs.release();
    }
  }

  #waits(number: number): boolean {
    if (number >= this.#waitingFrom) {
      return this.#waiting[number - this.#waitingFrom] !== undefined;
    }
    const at = number - this.#batchFrom;
    return at >= this.#next && this.#batch[at] !== undefined;
  }

  #gone(number: number): void {
    this.#live--;
    if (this.#unrefd.size > 0 && this.#unrefd.delete(number)) return;
    this.#refs.release();
  }

  /**
   * Calls those that wait now, with microtasks and ticks after each; what they add waits for the next
   * round. One that throws is the last of this round.
   *
   * @param most How many at most.
   */
  run(most: number): void {
    if (this.#live === 0) return;
    if (this.#next === this.#batch.length) this.#nextBatch();
    const { checkpoint } = this.#host;
    const batch = this.#batch;
    let fine = true;
    // A loop in a callback may have run the rest of them, and begun the next batch.
    for (let left = most; fine && left > 0 && this.#batch === batch && this.#next < batch.length;) {
      const at = this.#next++;
      const immediate = batch[at];
      if (immediate === undefined) continue;
      batch[at] = undefined;
      this.#gone(this.#batchFrom + at);
      this.#ran++;
      left--;
      fine = this.#call(immediate);
      checkpoint?.();
    }
  }

  #nextBatch(): void {
    this.#batch = this.#waiting;
    this.#batchFrom = this.#waitingFrom;
    this.#next = 0;
    this.#waiting = [];
    this.#waitingFrom = this.#batchFrom + this.#batch.length;
  }

  #call(immediate: Immediate): boolean {
    try {
      immediate.onImmediate();
      return true;
    } catch (error) {
      this.#owner.fail(error);
      return false;
    }
  }

  /** Takes all back. */
  end(): void {
    this.#batch.length = 0;
    this.#nextBatch();
    this.#batch.length = 0;
    this.#unrefd.clear();
    this.#live = 0;
    this.#refs.clear();
  }
}
