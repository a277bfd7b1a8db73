/** What is called soon. */
export interface Immediate {
  /** It is its turn. */
  onImmediate(): void;
}

/** What immediates need of their loop. */
export interface ImmediatesOwner {
  /** A reason for the process to live. */
  retain(): void;
  /** It is gone. */
  release(): void;
  /** The first one waits, and wants a round. */
  waiting(): void;
}

/** One that waits. */
interface Entry {
  /** What is called; `undefined` when it was taken back. */
  immediate: Immediate | undefined;
  ref: boolean;
}

/** The immediates of a loop: each is called once, in the check phase of the next round. */
export class Immediates {
  readonly #owner: ImmediatesOwner;
  #waiting: Entry[] = [];
  // What is left of a batch that a callback interrupted by an error.
  #batch: Entry[] = [];
  #next = 0;
  #refs = 0;
  #live = 0;
  #ran = 0;

  /** @param owner Whom they keep alive, and tell. */
  constructor(owner: ImmediatesOwner) {
    this.#owner = owner;
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
   * @returns What names it here.
   */
  add(immediate: Immediate, ref: boolean): Entry {
    const entry: Entry = { immediate, ref };
    this.#waiting.push(entry);
    if (ref && this.#refs++ === 0) this.#owner.retain();
    if (this.#live++ === 0) this.#owner.waiting();
    return entry;
  }

  /** Takes one back. */
  delete(entry: Entry): void {
    if (entry.immediate === undefined) return;
    entry.immediate = undefined;
    this.#gone(entry);
  }

  /** Says whether the process waits for it. */
  setRef(entry: Entry, ref: boolean): void {
    if (entry.immediate === undefined || entry.ref === ref) return;
    entry.ref = ref;
    if (ref && this.#refs++ === 0) this.#owner.retain();
    if (!ref && --this.#refs === 0) this.#owner.release();
  }

  #gone(entry: Entry): void {
    this.#live--;
    if (entry.ref && --this.#refs === 0) this.#owner.release();
  }

  /**
   * Calls those that wait now; what they add waits for the next round.
   *
   * @param most How many at most.
   * @param call Calls one; whether the next may follow.
   */
  run(most: number, call: (immediate: Immediate) => boolean): void {
    if (this.#next === this.#batch.length) {
      this.#batch = this.#waiting;
      this.#waiting = [];
      this.#next = 0;
    }
    const batch = this.#batch;
    let left = most;
    while (left > 0 && this.#next < batch.length) {
      const entry = batch[this.#next]!;
      this.#next++;
      const { immediate } = entry;
      if (immediate === undefined) continue;
      entry.immediate = undefined;
      this.#gone(entry);
      this.#ran++;
      left--;
      if (!call(immediate)) return;
    }
  }

  /** Takes all back. */
  end(): void {
    this.#waiting = [];
    this.#batch = [];
    this.#next = 0;
    this.#live = 0;
    this.#refs = 0;
  }
}
