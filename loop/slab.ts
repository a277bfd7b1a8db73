import { KeventError } from "../ffi/errors.ts";

/** Slots are numbered with 24 bits, so that number and generation of one fit into a double. */
const SLOTS_MAX = 1 << 24;
/** An id is `generation * SLOTS_MAX + slot`: beyond this generation it would no longer be exact. */
const GENERATION_MAX = 2 ** 29 - 1;

/** Durations whose chain is remembered; the low bits of the milliseconds choose the place. */
const CHAINS = 4096;

// One timer is half a cache line, and all that a step needs of it lies there.
const STRIDE = 8;
const NEXT = 0;
const PREVIOUS = 1;
const HEAP = 2;
const SEQUENCE = 3;
/** In doubles, of a stride of `STRIDE / 2`. */
const DEADLINE = 2;
const GENERATION = 6;
const STATE = 7;

/** In `HEAP`: behind another timer of its chain. */
const CHAINED = -1;
/** In `HEAP`: not scheduled. */
const IDLE = -2;

/** In `STATE`, below the flags of the owner: the chain it was put into. */
const CHAIN_MASK = CHAINS - 1;
/** The first bit that is the owner's to use. */
export const FLAG_SHIFT = 12;

// An entry of the heap, in words.
const ENTRY = 4;
const ENTRY_SEQUENCE = 2;
const ENTRY_SLOT = 3;

/** Children of a node of the heap. */
const ARITY = 4;

const CAPACITY_START = 256;

/**
 * The timers of a loop, by slot, without an object for any of them.
 *
 * Timers of one duration are due in the order in which they were started, so they stand in a chain,
 * and only the first of a chain is in the heap of deadlines. Which chain a duration has is remembered
 * in a table that forgets: a timer that finds its duration forgotten begins a new chain. So any mix of
 * durations is right, and the few thousand whole milliseconds that programs use are fast. DESIGN 10.
 *
 * Equal deadlines go by the order of `schedule`.
 */
export class TimerSlab<Item> {
  #words: Int32Array<ArrayBuffer>;
  #doubles: Float64Array<ArrayBuffer>;
  #capacity = CAPACITY_START;
  /** What fires, by slot. */
  readonly #items: (Item | undefined)[] = [];
  #used = 0;
  #free = -1;
  #count = 0;
  #sequence = 0;
  // Each entry is a deadline, then a sequence number and the slot: four entries are a cache line.
  // What the slot is due at, or earlier: a chain whose head was taken out keeps the place of that one
  // until it comes up, so that taking out costs no search.
  #heap = new Float64Array(CAPACITY_START * 2);
  #heapWords = new Int32Array(this.#heap.buffer);
  #heapLength = 0;
  readonly #durations = new Float64Array(CHAINS).fill(-1);
  readonly #tails = new Int32Array(CHAINS).fill(-1);

  constructor() {
    this.#words = new Int32Array(CAPACITY_START * STRIDE);
    this.#doubles = new Float64Array(this.#words.buffer);
  }

  /** Timers that have a slot. */
  get count(): number {
    return this.#count;
  }

  /** Grows with each `schedule`, in 32 bits that go round. */
  get sequence(): number {
    return this.#sequence;
  }

  /**
   * Takes a slot.
   *
   * @param item What fires.
   * @param flags Bits of the owner, from `1 << FLAG_SHIFT` on.
   * @returns The slot, not scheduled.
   * @throws {KeventError} ENOMEM for more than 2^24 timers.
   */
  open(item: Item, flags: number): number {
    let slot = this.#free;
    if (slot >= 0) this.#free = this.#words[slot * STRIDE + NEXT]!;
    else slot = this.#fresh();
    const at = slot * STRIDE;
    this.#words[at + HEAP] = IDLE;
    this.#words[at + STATE] = flags;
    this.#items[slot] = item;
    this.#count++;
    return slot;
  }

  #fresh(): number {
    if (this.#used === this.#capacity) this.#grow();
    const slot = this.#used++;
    this.#words[slot * STRIDE + GENERATION] = 1;
    return slot;
  }

  #grow(): void {
    if (this.#capacity >= SLOTS_MAX) {
      const detail = `${SLOTS_MAX} timers are pending; clear some`;
      throw new KeventError("start timer", "timer", "ENOMEM", detail);
    }
    // Pages that are not written to yet take no memory, so twice as much costs nothing.
    const words = new Int32Array(this.#capacity * 2 * STRIDE);
    words.set(this.#words);
    this.#words = words;
    this.#doubles = new Float64Array(words.buffer);
    this.#capacity *= 2;
  }

  /** Gives a slot back: its id names nothing any more. */
  free(slot: number): void {
    const words = this.#words;
    const at = slot * STRIDE;
    if (words[at + HEAP] !== IDLE) this.unschedule(slot);
    this.#items[slot] = undefined;
    this.#count--;
    // A slot that has used up its generations is not used again: an old id must not name a new timer.
    if (words[at + GENERATION]!++ === GENERATION_MAX) return;
    words[at + NEXT] = this.#free;
    this.#free = slot;
  }

  /** The number by which scripts name the timer in a slot. */
  idOf(slot: number): number {
    return this.#words[slot * STRIDE + GENERATION]! * SLOTS_MAX + slot;
  }

  /** The slot that an id names; -1 when that timer is gone, or the number never was one. */
  slotOf(id: number): number {
    const slot = id & (SLOTS_MAX - 1);
    if (slot >= this.#used || this.#items[slot] === undefined) return -1;
    return this.#words[slot * STRIDE + GENERATION]! * SLOTS_MAX + slot === id ? slot : -1;
  }

  /** The first of what fires that a test finds: all are asked. */
  find<Found extends Item>(test: (item: Item) => item is Found): Found | undefined {
    return this.#items.find((item): item is Found => item !== undefined && test(item));
  }

  /** What fires. */
  itemOf(slot: number): Item {
    return this.#items[slot]!;
  }

  /** The bits of the owner. */
  flagsOf(slot: number): number {
    return this.#words[slot * STRIDE + STATE]! & ~CHAIN_MASK;
  }

  /** Replaces the bits of the owner. */
  setFlags(slot: number, flags: number): void {
    const at = slot * STRIDE + STATE;
    this.#words[at] = this.#words[at]! & CHAIN_MASK | flags;
  }

  /** Whether the timer waits for a deadline. */
  isScheduled(slot: number): boolean {
    return this.#words[slot * STRIDE + HEAP] !== IDLE;
  }

  /** When the timer is due, or was. */
  deadlineOf(slot: number): number {
    return this.#doubles[slot * (STRIDE / 2) + DEADLINE]!;
  }

  /**
   * Makes a timer wait. It must not wait already.
   *
   * @param slot The timer.
   * @param deadlineNs When it is due.
   * @param durationNs How long that is from its start: timers with the same are cheap.
   */
  schedule(slot: number, deadlineNs: number, durationNs: number): void {
    const words = this.#words;
    const doubles = this.#doubles;
    const at = slot * STRIDE;
    doubles[slot * (STRIDE / 2) + DEADLINE] = deadlineNs;
    words[at + SEQUENCE] = this.#sequence;
    this.#sequence = (this.#sequence + 1) | 0;
    words[at + NEXT] = -1;
    const chain = chainOf(durationNs);
    words[at + STATE] = words[at + STATE]! & ~CHAIN_MASK | chain;
    const tail = this.#tails[chain]!;
    this.#tails[chain] = slot;
    if (
      tail >= 0 && this.#durations[chain] === durationNs &&
      doubles[tail * (STRIDE / 2) + DEADLINE]! <= deadlineNs
    ) {
      words[tail * STRIDE + NEXT] = slot;
      words[at + PREVIOUS] = tail;
      words[at + HEAP] = CHAINED;
      return;
    }
    this.#durations[chain] = durationNs;
    words[at + PREVIOUS] = -1;
    this.#push(slot, deadlineNs);
  }

  /** Takes a waiting timer out; its slot stays. */
  unschedule(slot: number): void {
    const words = this.#words;
    const at = slot * STRIDE;
    const next = words[at + NEXT]!;
    const previous = words[at + PREVIOUS]!;
    const heap = words[at + HEAP]!;
    const chain = words[at + STATE]! & CHAIN_MASK;
    words[at + HEAP] = IDLE;
    if (this.#tails[chain] === slot) this.#tails[chain] = previous;
    if (next >= 0) words[next * STRIDE + PREVIOUS] = previous;
    if (heap === CHAINED) words[previous * STRIDE + NEXT] = next;
    else if (next >= 0) {
      this.#heapWords[heap * ENTRY + ENTRY_SLOT] = next;
      words[next * STRIDE + HEAP] = heap;
    } else this.#removeFromHeap(heap);
  }

  /** The timer that is due first; -1 when none waits. */
  first(): number {
    while (this.#heapLength > 0) {
      const slot = this.#heapWords[ENTRY_SLOT]!;
      const deadline = this.#doubles[slot * (STRIDE / 2) + DEADLINE]!;
      const sequence = this.#words[slot * STRIDE + SEQUENCE]!;
      if (this.#heap[0] === deadline && this.#heapWords[ENTRY_SEQUENCE] === sequence) return slot;
      this.#sink(0, slot, deadline, sequence);
    }
    return -1;
  }

  /**
   * Takes out the first timer if it is due.
   *
   * @param nowNs What time it is.
   * @param before A `sequence`: timers that were scheduled after it wait.
   * @returns The timer, not scheduled any more; -1 when none is due.
   */
  takeDue(nowNs: number, before: number): number {
    const slot = this.first();
    if (slot < 0 || this.#heap[0]! > nowNs) return -1;
    if (((this.#heapWords[ENTRY_SEQUENCE]! - before) | 0) >= 0) return -1;
    const words = this.#words;
    const at = slot * STRIDE;
    const next = words[at + NEXT]!;
    const chain = words[at + STATE]! & CHAIN_MASK;
    words[at + HEAP] = IDLE;
    if (this.#tails[chain] === slot) this.#tails[chain] = -1;
    if (next < 0) this.#removeFromHeap(0);
    else {
      words[next * STRIDE + PREVIOUS] = -1;
      const deadline = this.#doubles[next * (STRIDE / 2) + DEADLINE]!;
      this.#sink(0, next, deadline, words[next * STRIDE + SEQUENCE]!);
    }
    return slot;
  }

  /** When the first timer is due; `Infinity` when none waits. */
  firstDeadline(): number {
    return this.first() < 0 ? Infinity : this.#heap[0]!;
  }

  /** Moves all deadlines: the clock they are on is another one now. */
  shift(byNs: number): void {
    for (let slot = 0; slot < this.#used; slot++) {
      const at = slot * (STRIDE / 2) + DEADLINE;
      this.#doubles[at] = this.#doubles[at]! + byNs;
    }
    // Order stays, but what rounding makes of sums may differ.
    for (let place = 0; place < this.#heapLength; place++) {
      this.#heap[place * 2] = this.#heap[place * 2]! + byNs;
    }
  }

  /** Frees all. */
  clear(): void {
    for (let slot = 0; slot < this.#used; slot++) {
      if (this.#items[slot] !== undefined) this.free(slot);
    }
  }

  #push(slot: number, deadlineNs: number): void {
    if (this.#heapLength * 2 === this.#heap.length) this.#growHeap();
    const sequence = this.#words[slot * STRIDE + SEQUENCE]!;
    this.#rise(this.#heapLength++, slot, deadlineNs, sequence);
  }

  #growHeap(): void {
    const heap = new Float64Array(this.#heap.length * 2);
    heap.set(this.#heap);
    this.#heap = heap;
    this.#heapWords = new Int32Array(heap.buffer);
  }

  #removeFromHeap(hole: number): void {
    const last = --this.#heapLength;
    if (hole === last) return;
    const slot = this.#heapWords[last * ENTRY + ENTRY_SLOT]!;
    const deadline = this.#heap[last * 2]!;
    const sequence = this.#heapWords[last * ENTRY + ENTRY_SEQUENCE]!;
    const rises = hole > 0 && this.#before(deadline, sequence, parentOf(hole));
    if (rises) this.#rise(hole, slot, deadline, sequence);
    else this.#sink(hole, slot, deadline, sequence);
  }

  /** Whether a timer comes before the one at a place of the heap. */
  #before(deadline: number, sequence: number, place: number): boolean {
    const other = this.#heap[place * 2]!;
    if (deadline !== other) return deadline < other;
    return ((sequence - this.#heapWords[place * ENTRY + ENTRY_SEQUENCE]!) | 0) < 0;
  }

  #rise(from: number, slot: number, deadline: number, sequence: number): void {
    let place = from;
    while (place > 0) {
      const parent = parentOf(place);
      if (!this.#before(deadline, sequence, parent)) break;
      this.#move(parent, place);
      place = parent;
    }
    this.#put(place, slot, deadline, sequence);
  }

  #sink(from: number, slot: number, deadline: number, sequence: number): void {
    const length = this.#heapLength;
    let place = from;
    for (let start = place * ARITY + 1; start < length; start = place * ARITY + 1) {
      const child = this.#leastOf(start, Math.min(start + ARITY, length));
      if (this.#before(deadline, sequence, child)) break;
      this.#move(child, place);
      place = child;
    }
    this.#put(place, slot, deadline, sequence);
  }

  /** The first of some neighbours in the heap. */
  #leastOf(start: number, end: number): number {
    const heap = this.#heap;
    let least = start;
    let leastDeadline = heap[start * 2]!;
    for (let child = start + 1; child < end; child++) {
      const deadline = heap[child * 2]!;
      if (deadline > leastDeadline) continue;
      const sequence = this.#heapWords[child * ENTRY + ENTRY_SEQUENCE]!;
      if (deadline === leastDeadline && !this.#before(deadline, sequence, least)) continue;
      least = child;
      leastDeadline = deadline;
    }
    return least;
  }

  #move(from: number, to: number): void {
    const words = this.#heapWords;
    const at = from * ENTRY;
    this.#put(to, words[at + ENTRY_SLOT]!, this.#heap[from * 2]!, words[at + ENTRY_SEQUENCE]!);
  }

  #put(place: number, slot: number, deadline: number, sequence: number): void {
    const at = place * ENTRY;
    this.#heap[place * 2] = deadline;
    this.#heapWords[at + ENTRY_SEQUENCE] = sequence;
    this.#heapWords[at + ENTRY_SLOT] = slot;
    this.#words[slot * STRIDE + HEAP] = place;
  }
}

function parentOf(place: number): number {
  return ((place - 1) / ARITY) | 0;
}

/** Where the chain of a duration is remembered. */
function chainOf(durationNs: number): number {
  // Whole milliseconds in a row must not meet. The bits that ToInt32 keeps are enough for the rest.
  return (durationNs / 1e6) & CHAIN_MASK;
}
