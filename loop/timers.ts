import { KeventError } from "../ffi/errors.ts";
import type { Clock } from "./clock.ts";
import { bind, type Host } from "./host.ts";
import { DelayHistogram } from "./metrics.ts";
import { RefCount } from "./ref_count.ts";
import { FLAG_SHIFT, TimerSlab } from "./slab.ts";

/** The process lives while the timer waits. */
const REF = 1 << FLAG_SHIFT;
/** What fires is a function, once. */
const PLAIN = 2 << FLAG_SHIFT;
/** Its id was given out: who has it may end it. Others are ended by their makers alone. */
const NAMED = 4 << FLAG_SHIFT;

/** So long timers are counted, each once, to know how many fire in it. */
const WINDOW_NS = 1e6;

/** What fires more than once, or has a state. */
export interface TimerItem {
  /**
   * The time has come. The timer waits no longer, but has its slot: arm or close it.
   *
   * @param slot The timer.
   * @param deadlineNs When it was due.
   * @param nowNs What time it is.
   */
  onTimer(slot: number, deadlineNs: number, nowNs: number): void;
  /** It was cleared by its id, and has no slot any more. */
  onClear?(): void;
  /** Whether it keeps the process alive has changed. */
  onRef?(ref: boolean): void;
}

/**
 * Goes on from a deadline that has come, without drift.
 *
 * @param deadlineNs When it was.
 * @param nowNs What time it is.
 * @param everyNs How long a period is.
 * @returns How many periods were missed besides: the next deadline is that of one more.
 */
export function missedOf(deadlineNs: number, nowNs: number, everyNs: number): number {
  let missed = Math.max(Math.floor((nowNs - deadlineNs) / everyNs), 0);
  // Of great numbers a double is only close: a deadline that does not move would be due for ever.
  for (let step = 1; deadlineNs + (missed + 1) * everyNs <= nowNs; step *= 2) missed += step;
  return missed;
}

/** A function that is called once. As a timer that says what it missed says: nothing. */
type Plain = (missed: number) => void;

/** What timers need of their loop. */
interface TimersOwner {
  /** A reason for the process to live. */
  retain(): void;
  /** It is gone. */
  release(): void;
  /** A timer is due before the loop would look. */
  sooner(): void;
  /** A callback threw. */
  fail(error: unknown): void;
}

/**
 * The timers of a loop. Each has a slot (a number, for whoever made it) and an id (a number that
 * names nothing any more when the timer is gone). Times are in nanoseconds of the loop's clock.
 */
export class Timers {
  readonly #slab = new TimerSlab<Plain | TimerItem>();
  readonly #host: Host;
  readonly #owner: TimersOwner;
  readonly #delays = new DelayHistogram();
  #clock: Clock;
  // Timers that wait and keep the process alive.
  readonly #refs: RefCount;
  #fired = 0;
  #looksAtNs = Infinity;
  // The present window: its begin, and timers of before that fired in it; and what the last one had.
  #windowNs = 0;
  #windowSequence = 0;
  #windowCount = 0;
  #crowd = 0;
  #closed = false;

  /**
   * @param host What the runtime offers.
   * @param clock What the timers go by.
   * @param owner Whom they keep alive, and tell.
   */
  constructor(host: Host, clock: Clock, owner: TimersOwner) {
    this.#host = host;
    this.#clock = clock;
    this.#owner = owner;
    this.#refs = new RefCount(owner);
  }

  /** What the timers go by. Another clock keeps what is left of each. */
  get clock(): Clock {
    return this.#clock;
  }

  set clock(clock: Clock) {
    this.#slab.shift(clock.now() - this.#clock.now());
    this.#clock = clock;
    this.#windowNs = clock.now();
  }

  /**
   * How many timers fire in a millisecond at present. One that fires again and again counts once, and
   * those that merely wait do not count.
   */
  get crowd(): number {
    return Math.max(this.#crowd, this.#windowCount);
  }

  /** Timers that have a slot. */
  get count(): number {
    return this.#slab.count;
  }

  /** Timers that fired so far. */
  get fired(): number {
    return this.#fired;
  }

  /** How late the first timer of each pass was. */
  get delays(): DelayHistogram {
    return this.#delays;
  }

  /** Says when the loop looks by itself: who arms a timer that is due before tells it. */
  looksAt(timeNs: number): void {
    this.#looksAtNs = timeNs;
  }

  /**
   * Calls a function once. The cheapest form: a number, and no object.
   *
   * @param callback Called with 0, which is what it missed, and the async context of this moment.
   * @param delayNs Nanoseconds from now.
   * @returns The id.
   * @throws {KeventError} ENOMEM for more than 2^24 timers, EBADF when the loop was closed.
   */
  once(callback: Plain, delayNs: number): number {
    const slot = this.#open(bind(this.#host, callback, "start timer"), PLAIN | NAMED | REF);
    this.#wait(slot, REF, this.#clock.now() + delayNs, delayNs);
    return this.#slab.idOf(slot);
  }

  /**
   * Takes a slot for something that is armed later, and keeps the process alive then.
   *
   * @param item What fires.
   * @param ref Whether it keeps the process alive. Default `true`.
   * @param named Whether its id may be given out. Default `false`.
   * @returns The slot.
   * @throws {KeventError} ENOMEM for more than 2^24 timers, EBADF when the loop was closed.
   */
  open(item: TimerItem, ref = true, named = false): number {
    return this.#open(item, (ref ? REF : 0) | (named ? NAMED : 0));
  }

  #open(item: Plain | TimerItem, flags: number): number {
    if (!this.#closed) return this.#slab.open(item, flags);
    throw new KeventError("start timer", "loop", "EBADF", "the loop is closed");
  }

  /**
   * Makes a timer wait, from now on.
   *
   * @param slot The timer, waiting or not.
   * @param delayNs Nanoseconds from now.
   */
  arm(slot: number, delayNs: number): void {
    this.armAt(slot, this.#clock.now() + delayNs, delayNs);
  }

  /**
   * Makes a timer wait for a time.
   *
   * @param slot The timer, waiting or not.
   * @param deadlineNs When it is due.
   * @param durationNs What delay it has in common with others: those of one delay are cheap.
   */
  armAt(slot: number, deadlineNs: number, durationNs: number): void {
    this.disarm(slot);
    this.#wait(slot, this.#slab.flagsOf(slot), deadlineNs, durationNs);
  }

  #wait(slot: number, flags: number, deadlineNs: number, durationNs: number): void {
    this.#slab.schedule(slot, deadlineNs, durationNs);
    if ((flags & REF) !== 0) this.#refs.retain();
    if (deadlineNs < this.#looksAtNs) this.#owner.sooner();
  }

  /** Stops waiting; the timer keeps its slot. */
  disarm(slot: number): void {
    if (!this.#slab.isScheduled(slot)) return;
    this.#slab.unschedule(slot);
    if ((this.#slab.flagsOf(slot) & REF) !== 0) this.#refs.release();
  }

  /** Ends a timer; its id names nothing any more. */
  close(slot: number): void {
    // All were freed with the loop.
    if (this.#closed) return;
    this.disarm(slot);
    this.#slab.free(slot);
  }

  /**
   * Ends the timer that an id names.
   *
   * @param id What `idOf` or `once` gave.
   * @returns Whether there was one.
   */
  clear(id: number): boolean {
    const slab = this.#slab;
    const slot = slab.slotOf(id);
    if (slot < 0) return false;
    const flags = slab.flagsOf(slot);
    if ((flags & NAMED) === 0) return false;
    const item = (flags & PLAIN) === 0 ? slab.itemOf(slot) as TimerItem : undefined;
    if (slab.isScheduled(slot) && (flags & REF) !== 0) this.#refs.release();
    slab.free(slot);
    item?.onClear?.();
    return true;
  }

  /** @returns The number that names the timer outside. */
  idOf(slot: number): number {
    return this.#slab.idOf(slot);
  }

  /** @returns The slot that an id names, -1 when that timer is gone or was never given out. */
  slotOf(id: number): number {
    const slot = this.#slab.slotOf(id);
    return slot >= 0 && (this.#slab.flagsOf(slot) & NAMED) !== 0 ? slot : -1;
  }

  /**
   * Looks for a timer among all there are.
   *
   * @param test Whether this is the one.
   * @returns What fires.
   */
  find<Found extends Plain | TimerItem>(
    test: (item: Plain | TimerItem) => item is Found,
  ): Found | undefined {
    return this.#slab.find(test);
  }

  /** @returns Whether the timer waits. */
  isArmed(slot: number): boolean {
    return this.#slab.isScheduled(slot);
  }

  /** @returns When a timer that waits is due. */
  deadlineOf(slot: number): number {
    return this.#slab.deadlineOf(slot);
  }

  /** Says whether the timer keeps the process alive while it waits. */
  setRef(slot: number, ref: boolean): void {
    const flags = this.#slab.flagsOf(slot);
    if (ref === ((flags & REF) !== 0)) return;
    this.#slab.setFlags(slot, flags ^ REF);
    const item = this.#slab.itemOf(slot);
    if (typeof item !== "function") item.onRef?.(ref);
    if (!this.#slab.isScheduled(slot)) return;
    if (ref) this.#refs.retain();
    else this.#refs.release();
  }

  /** @returns When the first timer is due; `Infinity` when none waits. */
  nextDeadline(): number {
    return this.#slab.firstDeadline();
  }

  /**
   * Runs what is due, in order, with microtasks and ticks after each. What a callback starts waits
   * for the next pass.
   *
   * @param most How many at most.
   * @returns How many ran; a callback that threw is the last.
   */
  run(most: number): number {
    const slab = this.#slab;
    let nowNs = this.#clock.now();
    const firstNs = slab.firstDeadline();
    if (firstNs > nowNs) return 0;
    this.#delays.record(nowNs - firstNs);
    this.#window(nowNs);
    const { checkpoint } = this.#host;
    const pass = slab.sequence;
    let count = 0;
    let fine = true;
    while (fine && count < most && !this.#closed) {
      let slot = slab.takeDue(nowNs, pass);
      if (slot < 0) {
        nowNs = this.#clock.now();
        slot = slab.takeDue(nowNs, pass);
        if (slot < 0) break;
      }
      if (slab.isOlder(slot, this.#windowSequence)) this.#windowCount++;
      fine = this.#fire(slot, nowNs);
      count++;
      checkpoint?.();
    }
    this.#fired += count;
    return count;
  }

  /** Begins to count anew when the window is over. */
  #window(nowNs: number): void {
    const lengthNs = nowNs - this.#windowNs;
    if (lengthNs < WINDOW_NS) return;
    this.#crowd = this.#windowCount * WINDOW_NS / lengthNs;
    this.#windowNs = nowNs;
    this.#windowSequence = this.#slab.sequence;
    this.#windowCount = 0;
  }

  #fire(slot: number, nowNs: number): boolean {
    const slab = this.#slab;
    const item = slab.itemOf(slot);
    const flags = slab.flagsOf(slot);
    if ((flags & PLAIN) !== 0) slab.free(slot);
    if ((flags & REF) !== 0) this.#refs.release();
    try {
      if ((flags & PLAIN) !== 0) (item as Plain)(0);
      else (item as TimerItem).onTimer(slot, slab.deadlineOf(slot), nowNs);
      return true;
    } catch (error) {
      this.#owner.fail(error);
      return false;
    }
  }

  /** Ends all. */
  end(): void {
    this.#closed = true;
    this.#refs.clear();
    this.#slab.clear();
  }
}
