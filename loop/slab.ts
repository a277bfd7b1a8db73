import { KeventError } from "../ffi/errors.ts";

/** Slots are numbered with 24 bits, so that number and generation of one fit into a double. */
const SLOTS_MAX = 1 << 24;
/** An id is `generation * SLOTS_MAX + slot`: beyond this generation it would no longer be exact. */
const GENERATION_MAX = 2 ** 29 - 1;

/**
 * Numbers from here on, for as long as a program can last, are not ids: who makes timers with objects
 * counts them from here, so that a number of the one kind never names a timer of the other.
 */
export const OTHERS_START = 2 ** 30;
const OTHERS_END = 2 ** 41;
const OTHERS_GENERATION = OTHERS_START / SLOTS_MAX;
const OTHERS_GENERATION_END = OTHERS_END / SLOTS_MAX;

/** Chains there are; the low bits of the milliseconds of a duration choose one. */
const CHAINS = 4096;

// One timer is half a cache line, and all that a step needs of it lies there.
const STRIDE = 8;
const NEXT = 0;
const PREVIOUS = 1;
const SEQUENCE = 2;
const GENERATION = 3;
/** In doubles, of a stride of `STRIDE / 2`. */
const DEADLINE = 2;
const STATE = 6;

// In `STATE`: the chain, how the timer waits, and the flags of the owner.
const CHAIN_MASK = CHAINS - 1;
const IDLE = 0;
const CHAINED = 1 << 12;
const ALONE = 2 << 12;
const WAITS_MASK = 3 << 12;
/** Instead: nobody has the slot. */
const FREE = 1 << 31;
/** The first bit of flags that is the owner's to use; the last is 30. */
export const FLAG_SHIFT = 14;
const OWNER_MASK = ~(WAITS_MASK | CHAIN_MASK);

// An entry of the heap, in words: a deadline, the sequence number, and whose they are.
const ENTRY = 4;
const ENTRY_SEQUENCE = 2;
/** A chain, or the complement of the slot of a timer that is alone. */
const ENTRY_OF = 3;

/** Children of a node of the heap; four are a cache line. */
const ARITY = 4;

/** The deadline of the entry of a chain that has none. */
const NONE = -Infinity;

/** Entries that mean nothing any more are thrown out when they are so many, and more than half. */
const STALE_MIN = 64;

/** What fires is kept in arrays of so many: one that grows would be copied again and again. */
const PAGE_SHIFT = 12;
const PAGE_MASK = (1 << PAGE_SHIFT) - 1;

const CAPACITY_START = 256;
/** The memory of timers grows by so much at a time: 256 times this, again and again, makes `SLOTS_MAX`. */
const GROWTH = 4;

/** Slots are used again when more than one of so many is free; before, new ones are taken. */
const SPARE = 16;

/** Where the numbers of a slab begin and end, for tests. */
export interface SlabStart {
  /** The generation of each slot. */
  readonly generation?: number;
  /** The number of the first `schedule`, 32 bits. */
  readonly sequence?: number;
  /** How many slots there may be: 256 times a power of 4. */
  readonly slots?: number;
}

/**
 * The timers of a loop, by slot, without an object for any of them.
 *
 * Timers of one duration are due in the order in which they were started, so they stand in a *chain*,
 * and only chains are in the heap of deadlines. A timer whose place in the table of chains is taken by
 * another duration is alone, in the heap by itself. So any mix of durations is right, and the few
 * thousand whole milliseconds that programs use are fast. docs/design.md has more of it.
 *
 * Nothing points into the heap. The entry of a chain is due at its first timer or earlier, and is put
 * right when it comes up; that of a timer which was taken out is dropped then. So clearing touches the
 * neighbours in the chain and nothing else.
 *
 * Equal deadlines go by the order of `schedule`.
 */
export class TimerSlab<Item> {
  #words: Int32Array<ArrayBuffer>;
  #doubles: Float64Array<ArrayBuffer>;
  #capacity = CAPACITY_START;
  readonly #slotsMax: number;
  readonly #firstGeneration: number;
  /** What fires, by slot, in pages. */
  readonly #items: (Item | undefined)[][] = [];
  #used = 0;
  // A bit for each slot that is free again, and the word where the last was found. Going on from there
  // gives neighbours to timers that are started one after the other, which is what memory likes.
  #freeBits = new Int32Array(CAPACITY_START / 32);
  #freeCount = 0;
  #cursor = 0;
  #count = 0;
  #sequence: number;
  #heap = new Float64Array(CAPACITY_START * 2);
  #heapWords = new Int32Array(this.#heap.buffer);
  #heapLength = 0;
  #stale = 0;
  // Of each chain: its duration, its ends, and the entry that counts.
  readonly #durations = new Float64Array(CHAINS);
  readonly #heads = new Int32Array(CHAINS).fill(-1);
  readonly #tails = new Int32Array(CHAINS).fill(-1);
  readonly #entryDeadlines = new Float64Array(CHAINS).fill(NONE);
  readonly #entrySequences = new Int32Array(CHAINS);

  /** @param start Where its numbers begin and end. */
  constructor(
    { generation = nextFirstGeneration(), sequence = 0, slots = SLOTS_MAX }: SlabStart = {},
  ) {
    this.#slotsMax = slots;
    this.#firstGeneration = generation;
    this.#sequence = sequence;
    this.#words = new Int32Array(CAPACITY_START * STRIDE);
    this.#doubles = new Float64Array(this.#words.buffer);
  }

  /** Timers that have a slot. */
  get count(): number {
    return this.#count;
  }

  /** Entries in the heap, with those that mean nothing any more. */
  get entries(): number {
    return this.#heapLength;
  }

  /** Grows with each `schedule`, in 32 bits that go round. */
  get sequence(): number {
    return this.#sequence;
  }

  /** As if others had come and gone meanwhile; for tests. */
  set sequence(sequence: number) {
    this.#sequence = sequence | 0;
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
    const slot = this.#freeCount * SPARE > this.#used ? this.#reuse() : this.#fresh();
    const at = slot * STRIDE;
    this.#words[at + STATE] = flags;
    this.#items[slot >> PAGE_SHIFT]![slot & PAGE_MASK] = item;
    this.#count++;
    return slot;
  }

  #reuse(): number {
    const bits = this.#freeBits;
    const words = (this.#used + 31) >> 5;
    let at = this.#cursor;
    while (bits[at] === 0) at = at + 1 < words ? at + 1 : 0;
    this.#cursor = at;
    const mask = bits[at]!;
    bits[at] = mask & (mask - 1);
    this.#freeCount--;
    return at * 32 + 31 - Math.clz32(mask & -mask);
  }

  #fresh(): number {
    if (this.#used === this.#capacity) {
      // No new ones are left: those that are free again are, however few.
      if (this.#capacity >= this.#slotsMax && this.#freeCount > 0) return this.#reuse();
      this.#grow();
    }
    const slot = this.#used++;
    if ((slot & PAGE_MASK) === 0) this.#items[slot >> PAGE_SHIFT] = new Array(1 << PAGE_SHIFT);
    this.#words[slot * STRIDE + GENERATION] = this.#firstGeneration;
    return slot;
  }

  #grow(): void {
    if (this.#capacity >= this.#slotsMax) {
      const detail = `${this.#slotsMax} timers are pending; clear some`;
      throw new KeventError("start timer", "timer", "ENOMEM", detail);
    }
    // Pages that are not written to yet take no memory, so much more costs nothing, and copying little.
    const words = new Int32Array(this.#capacity * GROWTH * STRIDE);
    words.set(this.#words);
    this.#words = words;
    this.#doubles = new Float64Array(words.buffer);
    this.#capacity *= GROWTH;
    const bits = new Int32Array(this.#capacity / 32);
    bits.set(this.#freeBits);
    this.#freeBits = bits;
  }

  /** Gives a slot back: its id names nothing any more. */
  free(slot: number): void {
    const words = this.#words;
    const at = slot * STRIDE;
    const state = words[at + STATE]!;
    // Twice would give the place of one timer to two, long after whoever did it has gone.
    if ((state & FREE) !== 0) throw new Error(`Timer ${slot} was freed already`);
    if ((state & WAITS_MASK) !== IDLE) this.unschedule(slot);
    words[at + STATE] = FREE;
    this.#items[slot >> PAGE_SHIFT]![slot & PAGE_MASK] = undefined;
    this.#count--;
    const generation = words[at + GENERATION]! + 1;
    words[at + GENERATION] = generation === OTHERS_GENERATION ? OTHERS_GENERATION_END : generation;
    // A slot that has used up its generations is not used again: an old id must not name a new timer.
    if (generation > GENERATION_MAX) return;
    const bits = this.#freeBits;
    bits[slot >> 5] = bits[slot >> 5]! | (1 << (slot & 31));
    this.#freeCount++;
  }

  /** The number by which scripts name the timer in a slot. */
  idOf(slot: number): number {
    return this.#words[slot * STRIDE + GENERATION]! * SLOTS_MAX + slot;
  }

  /** The slot that an id names; -1 when that timer is gone, or the number never was one. */
  slotOf(id: number): number {
    const slot = id & (SLOTS_MAX - 1);
    if (slot >= this.#used || !this.#isOpen(slot)) return -1;
    return this.#words[slot * STRIDE + GENERATION]! * SLOTS_MAX + slot === id ? slot : -1;
  }

  /** The first of what fires that a test finds: all are asked. */
  find<Found extends Item>(test: (item: Item) => item is Found): Found | undefined {
    const isFound = (item: Item | undefined): item is Found => item !== undefined && test(item);
    for (const page of this.#items) {
      const found = page.find(isFound);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** What fires. */
  itemOf(slot: number): Item {
    return this.#items[slot >> PAGE_SHIFT]![slot & PAGE_MASK]!;
  }

  /** The bits of the owner. */
  flagsOf(slot: number): number {
    return this.#words[slot * STRIDE + STATE]! & OWNER_MASK;
  }

  /** Replaces the bits of the owner. */
  setFlags(slot: number, flags: number): void {
    const at = slot * STRIDE + STATE;
    this.#words[at] = this.#words[at]! & ~OWNER_MASK | flags;
  }

  /** Whether the timer waits for a deadline. */
  isScheduled(slot: number): boolean {
    return (this.#words[slot * STRIDE + STATE]! & WAITS_MASK) !== IDLE;
  }

  /** Whether the timer was scheduled before a `sequence`. */
  isOlder(slot: number, sequence: number): boolean {
    return ((this.#words[slot * STRIDE + SEQUENCE]! - sequence) | 0) < 0;
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
    const at = slot * STRIDE;
    const sequence = this.#sequence;
    this.#sequence = (sequence + 1) | 0;
    this.#doubles[slot * (STRIDE / 2) + DEADLINE] = deadlineNs;
    words[at + SEQUENCE] = sequence;
    const chain = chainOf(durationNs);
    const tail = this.#tails[chain]!;
    const joins = tail < 0 || this.#durations[chain] === durationNs &&
        this.#doubles[tail * (STRIDE / 2) + DEADLINE]! <= deadlineNs;
    if (!joins) {
      words[at + STATE] = words[at + STATE]! & OWNER_MASK | ALONE;
      return this.#push(deadlineNs, sequence, ~slot);
    }
    words[at + STATE] = words[at + STATE]! & OWNER_MASK | CHAINED | chain;
    words[at + NEXT] = -1;
    words[at + PREVIOUS] = tail;
    this.#tails[chain] = slot;
    if (tail >= 0) words[tail * STRIDE + NEXT] = slot;
    else this.#begin(chain, slot, deadlineNs, durationNs);
  }

  /** The first timer of a chain that was empty. Its old entry will do, if it comes up in time. */
  #begin(chain: number, slot: number, deadlineNs: number, durationNs: number): void {
    this.#heads[chain] = slot;
    this.#durations[chain] = durationNs;
    const known = this.#entryDeadlines[chain]!;
    if (known !== NONE && known <= deadlineNs) return;
    this.#enter(chain, slot);
    if (known !== NONE) this.#outdate();
  }

  /** An entry of the heap has lost its meaning. It is thrown out with others, not looked for. */
  #outdate(): void {
    if (++this.#stale > STALE_MIN && this.#stale * 2 > this.#heapLength) this.#rebuild();
  }

  /** Takes a waiting timer out; its slot stays. */
  unschedule(slot: number): void {
    const words = this.#words;
    const at = slot * STRIDE;
    const state = words[at + STATE]!;
    words[at + STATE] = state & OWNER_MASK;
    if ((state & WAITS_MASK) === ALONE) return this.#outdate();
    const chain = state & CHAIN_MASK;
    const next = words[at + NEXT]!;
    const previous = words[at + PREVIOUS]!;
    if (previous >= 0) words[previous * STRIDE + NEXT] = next;
    else this.#heads[chain] = next;
    if (next >= 0) words[next * STRIDE + PREVIOUS] = previous;
    else this.#tails[chain] = previous;
  }

  /** The timer that is due first; -1 when none waits. */
  first(): number {
    while (this.#heapLength > 0) {
      const of = this.#heapWords[ENTRY_OF]!;
      const sequence = this.#heapWords[ENTRY_SEQUENCE]!;
      const slot = of < 0 ? ~of : this.#heads[of]!;
      if (of < 0) {
        if (this.#isAlone(slot, sequence)) return slot;
      } else if (this.#counts(of, this.#heap[0]!, sequence)) {
        if (slot >= 0 && this.#words[slot * STRIDE + SEQUENCE] === sequence) return slot;
        this.#renew(of, slot);
        continue;
      }
      this.#stale--;
      this.#dropTop();
    }
    return -1;
  }

  #isAlone(slot: number, sequence: number): boolean {
    const at = slot * STRIDE;
    return (this.#words[at + STATE]! & WAITS_MASK) === ALONE &&
      this.#words[at + SEQUENCE] === sequence;
  }

  /** The entry of a chain is on top: puts it where the first timer of the chain belongs. */
  #renew(chain: number, head: number): void {
    if (head < 0) {
      this.#entryDeadlines[chain] = NONE;
      return this.#dropTop();
    }
    const deadline = this.#doubles[head * (STRIDE / 2) + DEADLINE]!;
    const sequence = this.#words[head * STRIDE + SEQUENCE]!;
    this.#entryDeadlines[chain] = deadline;
    this.#entrySequences[chain] = sequence;
    this.#sink(0, deadline, sequence, chain);
  }

  /**
   * Takes out the first timer if it is due.
   *
   * @param nowNs What time it is.
   * @param before A `sequence`: timers that were scheduled since then wait.
   * @returns The timer, not scheduled any more; -1 when none is due.
   */
  takeDue(nowNs: number, before: number): number {
    const slot = this.first();
    if (slot < 0 || this.#heap[0]! > nowNs) return -1;
    // Scheduled since then, and not merely long ago: the numbers go round.
    const age = (this.#heapWords[ENTRY_SEQUENCE]! - before) >>> 0;
    if (age < (this.#sequence - before) >>> 0) return -1;
    const words = this.#words;
    const at = slot * STRIDE;
    words[at + STATE] = words[at + STATE]! & OWNER_MASK;
    const of = this.#heapWords[ENTRY_OF]!;
    if (of < 0) {
      this.#dropTop();
      return slot;
    }
    const next = words[at + NEXT]!;
    this.#heads[of] = next;
    if (next >= 0) words[next * STRIDE + PREVIOUS] = -1;
    else this.#tails[of] = -1;
    this.#renew(of, next);
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
    this.#rebuild();
  }

  /** Frees all. */
  clear(): void {
    for (let slot = 0; slot < this.#used; slot++) {
      if (this.#isOpen(slot)) this.free(slot);
    }
  }

  #isOpen(slot: number): boolean {
    return (this.#words[slot * STRIDE + STATE]! & FREE) === 0;
  }

  /** Makes the heap anew, of the entries that still mean something, and where they belong now. */
  #rebuild(): void {
    const length = this.#heapLength;
    this.#heapLength = 0;
    this.#stale = 0;
    for (let place = 0; place < length; place++) {
      const of = this.#heapWords[place * ENTRY + ENTRY_OF]!;
      const sequence = this.#heapWords[place * ENTRY + ENTRY_SEQUENCE]!;
      const slot = of < 0 ? ~of : this.#heads[of]!;
      if (of < 0) {
        if (this.#isAlone(slot, sequence)) this.#push(this.deadlineOf(slot), sequence, of);
      } else if (this.#counts(of, this.#heap[place * 2]!, sequence)) {
        this.#entryDeadlines[of] = NONE;
        // Written behind the place that is read next, at most.
        if (slot >= 0) this.#enter(of, slot);
      }
    }
  }

  /** Whether an entry is the one of its chain. */
  #counts(chain: number, deadline: number, sequence: number): boolean {
    return deadline === this.#entryDeadlines[chain] && sequence === this.#entrySequences[chain];
  }

  /** Makes an entry for a chain, by its first timer. */
  #enter(chain: number, head: number): void {
    const deadline = this.deadlineOf(head);
    const sequence = this.#words[head * STRIDE + SEQUENCE]!;
    this.#entryDeadlines[chain] = deadline;
    this.#entrySequences[chain] = sequence;
    this.#push(deadline, sequence, chain);
  }

  #push(deadline: number, sequence: number, of: number): void {
    if (this.#heapLength * 2 === this.#heap.length) this.#growHeap();
    let place = this.#heapLength++;
    while (place > 0) {
      const parent = ((place - 1) / ARITY) | 0;
      if (!this.#before(deadline, sequence, parent)) break;
      this.#move(parent, place);
      place = parent;
    }
    this.#put(place, deadline, sequence, of);
  }

  #growHeap(): void {
    const heap = new Float64Array(this.#heap.length * 2);
    heap.set(this.#heap);
    this.#heap = heap;
    this.#heapWords = new Int32Array(heap.buffer);
  }

  #dropTop(): void {
    const last = --this.#heapLength;
    if (last === 0) return;
    const at = last * ENTRY;
    const words = this.#heapWords;
    this.#sink(0, this.#heap[last * 2]!, words[at + ENTRY_SEQUENCE]!, words[at + ENTRY_OF]!);
  }

  /** Whether a timer comes before the one at a place of the heap. */
  #before(deadline: number, sequence: number, place: number): boolean {
    const other = this.#heap[place * 2]!;
    if (deadline !== other) return deadline < other;
    return ((sequence - this.#heapWords[place * ENTRY + ENTRY_SEQUENCE]!) | 0) < 0;
  }

  #sink(from: number, deadline: number, sequence: number, of: number): void {
    const length = this.#heapLength;
    let place = from;
    for (let start = place * ARITY + 1; start < length; start = place * ARITY + 1) {
      const child = this.#leastOf(start, Math.min(start + ARITY, length));
      if (this.#before(deadline, sequence, child)) break;
      this.#move(child, place);
      place = child;
    }
    this.#put(place, deadline, sequence, of);
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
    this.#put(to, this.#heap[from * 2]!, words[at + ENTRY_SEQUENCE]!, words[at + ENTRY_OF]!);
  }

  #put(place: number, deadline: number, sequence: number, of: number): void {
    this.#heap[place * 2] = deadline;
    this.#heapWords[place * ENTRY + ENTRY_SEQUENCE] = sequence;
    this.#heapWords[place * ENTRY + ENTRY_OF] = of;
  }
}

let slabs = 0;

/**
 * Where the generations of a slab begin: far from those of the others, so that an id of one loop names
 * nothing in another. Those of the first are small integers, which are the cheapest.
 */
function nextFirstGeneration(): number {
  if (slabs++ === 0) return 1;
  // Steps of the golden section of 2^32 keep any number of places apart.
  return (Math.imul(slabs, 0x9e3779b1) >>> 4) + OTHERS_GENERATION_END;
}

/** The chain for a duration. */
function chainOf(durationNs: number): number {
  // Whole milliseconds in a row must not meet. The bits that ToInt32 keeps are enough for the rest.
  return (durationNs / 1e6) & CHAIN_MASK;
}
