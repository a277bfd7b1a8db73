/** One bucket for each power of two of nanoseconds; the last one is over half a minute. */
const BUCKETS = 36;

/** How late something was, how often. */
export interface Delays {
  /** How many were counted. */
  readonly count: number;
  /** Mean, in nanoseconds. */
  readonly meanNs: number;
  /** The latest, in nanoseconds. */
  readonly maxNs: number;
  /** `buckets[n]` were late by less than `2 ** n` nanoseconds, and not less than half of that. */
  readonly buckets: readonly number[];
}

/**
 * Counts how late a loop was, by powers of two.
 */
export class DelayHistogram {
  readonly #buckets = new Float64Array(BUCKETS);
  #count = 0;
  #sumNs = 0;
  #maxNs = 0;

  /** @param ns How late. */
  record(ns: number): void {
    // Two halves, because clz32 knows 32 bits.
    const high = Math.floor(ns / 0x1_0000_0000);
    const bits = high > 0 ? 64 - Math.clz32(high) : 32 - Math.clz32(ns);
    const bucket = Math.min(bits, BUCKETS - 1);
    this.#buckets[bucket] = this.#buckets[bucket]! + 1;
    this.#count++;
    this.#sumNs += ns;
    if (ns > this.#maxNs) this.#maxNs = ns;
  }

  /** @returns What was counted so far. */
  read(): Delays {
    return {
      count: this.#count,
      meanNs: this.#count === 0 ? 0 : this.#sumNs / this.#count,
      maxNs: this.#maxNs,
      buckets: [...this.#buckets],
    };
  }
}

/** What a loop did since it was made. */
export interface LoopMetrics {
  /** Nanoseconds asleep: waiting for events, in our own call or in the runtime's. */
  readonly idleNs: number;
  /** Native turns. */
  readonly turns: number;
  /** Events handed to handles. */
  readonly events: number;
  /** Timers that fired. */
  readonly timers: number;
  /** Immediates that ran. */
  readonly immediates: number;
  /** The most records that waited in the ring at once. */
  readonly ringHigh: number;
  /** Events that the kernel dropped for want of room, and said so. */
  readonly losses: number;
  /** How late the first timer of each batch was. */
  readonly delays: Delays;
}
