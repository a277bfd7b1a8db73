import {
  RECORD_BYTES,
  RING_CONSUMER_TAIL,
  RING_CONSUMER_UIDX,
  RING_ENTRIES_MAX,
  RING_HEADER_BYTES,
  RING_KIDX,
  RING_LINE_BYTES,
  RING_OVER,
  RING_PRODUCER_HEAD,
} from "./abi.ts";
import { checkWhole, KeventError } from "./errors.ts";
import { RECORD_WORDS } from "./record.ts";

const HEADER_WORDS = RING_HEADER_BYTES / 4;

/** Where the producer's line starts: behind the records, on a cache line of its own. */
function producerOffset(entries: number): number {
  const end = RING_HEADER_BYTES + entries * RECORD_BYTES;
  return Math.ceil(end / RING_LINE_BYTES) * RING_LINE_BYTES;
}

/**
 * Bytes of memory that a ring takes: the header of S2-6, the records, and a cache line for each side.
 *
 * @param entries Records the ring holds, from 1 to 2^20.
 * @returns Bytes.
 * @throws {KeventError} EINVAL when `entries` is out of bounds.
 *
 * @example
 * ```ts
 * import { ringBytes } from "../adapters/mod.ts";
 *
 * if (ringBytes(1) !== 192) throw new Error("header and record, two cache lines behind");
 * ```
 */
export function ringBytes(entries: number): number {
  checkWhole(entries, 1, RING_ENTRIES_MAX, "make ring", "entries");
  return producerOffset(entries) + 2 * RING_LINE_BYTES;
}

/**
 * One reader of a ring: consumes records with plain loads, without a call. S3-3.
 *
 * Several readers of one ring each see every record. The library never reads this memory, so
 * scribbling over it harms only the view of whoever reads it.
 *
 * @example An empty ring
 * ```ts
 * import { ringBytes, RingReader } from "../adapters/mod.ts";
 *
 * const ring = new RingReader(new ArrayBuffer(ringBytes(4)), 4);
 * if (!ring.empty) throw new Error("nothing was published");
 * ```
 */
export class RingReader {
  /** The memory as words; `consume` gives indexes into it. */
  readonly words: Uint32Array;
  /** Records the ring holds. */
  readonly entries: number;
  // The same words signed: differences of counters that wrap come out right with `| 0`.
  readonly #signed: Int32Array;
  readonly #head: number;
  readonly #tail: number;
  #seen: number;
  #slot: number;
  #over: number;

  /**
   * Starts at the first record that is not committed.
   *
   * @param memory Memory of the ring: `ringBytes(entries)` bytes.
   * @param entries Records the ring holds.
   * @throws {KeventError} EINVAL when memory and `entries` do not match.
   */
  constructor(memory: ArrayBufferLike, entries: number) {
    const bytes = ringBytes(entries);
    if (memory.byteLength !== bytes) {
      throw new KeventError(
        "read ring",
        "argument",
        "EINVAL",
        `a ring of ${entries} entries takes ${bytes} bytes, not ${memory.byteLength}`,
      );
    }
    this.entries = entries;
    this.words = new Uint32Array(memory);
    this.#signed = new Int32Array(memory);
    const producer = producerOffset(entries);
    this.#head = (producer + RING_PRODUCER_HEAD) / 4;
    this.#tail = (producer + RING_LINE_BYTES + RING_CONSUMER_TAIL) / 4;
    this.#seen = Atomics.load(this.#signed, this.#tail);
    this.#slot = this.words[(producer + RING_LINE_BYTES + RING_CONSUMER_UIDX) / 4]! % entries;
    this.#over = this.words[RING_OVER / 4]!;
  }

  /** Records published that this reader has not consumed. */
  get waiting(): number {
    return (Atomics.load(this.#signed, this.#head) - this.#seen) >>> 0;
  }

  /** Whether there is nothing to consume: `evt_ring_empty` of S3-11. */
  get empty(): boolean {
    return Atomics.load(this.#signed, this.#head) === this.#seen;
  }

  /**
   * Whether records were overwritten before this reader came to them: someone else committed
   * them and the ring went round. `catchUp` goes on with what is still there.
   */
  get lost(): boolean {
    return this.waiting > this.entries;
  }

  /** Records consumed since the start of the ring, signed 32-bit: differences with `| 0`. */
  get position(): number {
    return this.#seen;
  }

  /** Records committed since the start of the ring, as `position` counts. */
  get committed(): number {
    return Atomics.load(this.#signed, this.#tail);
  }

  /** Slot of the next record of this reader: `new_uidx` of a commit of all that it consumed. */
  get slot(): number {
    return this.#slot;
  }

  /** How often this reader went round: `over` of a commit of all that it consumed. */
  get over(): number {
    return this.#over;
  }

  /** Slot where the library puts the next record, as the seed's header has it: `ring_kidx`, S2-7. */
  get producerSlot(): number {
    return this.words[RING_KIDX / 4]!;
  }

  /** How often the committed index went round, as the seed's header has it: `ring_over`, S2-8. */
  get committedOver(): number {
    return this.words[RING_OVER / 4]!;
  }

  /**
   * Takes the next record: `evt_ring_consume` of S3-11. The caller has looked at `empty` or `waiting`
   * before.
   *
   * @returns Index of the record's first word in `words`; valid until the record is committed.
   */
  consume(): number {
    const at = HEADER_WORDS + this.#slot * RECORD_WORDS;
    this.#seen = (this.#seen + 1) | 0;
    if (++this.#slot === this.entries) {
      this.#slot = 0;
      this.#over = (this.#over + 1) >>> 0;
    }
    return at;
  }

  /**
   * Skips what others committed already, for a reader that is not the one who commits.
   *
   * @returns How many records were skipped.
   */
  catchUp(): number {
    const skipped = (Atomics.load(this.#signed, this.#tail) - this.#seen) | 0;
    if (skipped <= 0) return 0;
    this.#seen = (this.#seen + skipped) | 0;
    const position = this.#slot + skipped;
    this.#slot = position % this.entries;
    this.#over = (this.#over + Math.floor(position / this.entries)) >>> 0;
    return skipped;
  }
}
