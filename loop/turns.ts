import { KEVENT_TURN_ARM } from "../ffi/abi.ts";
import { KeventError } from "../ffi/errors.ts";
import type { RingReader } from "../ffi/ring.ts";
import type { Changes } from "./changes.ts";
import { type Clock, ManualClock } from "./clock.ts";
import { KernelTimer } from "./kernel_timer.ts";
import type { Queue } from "./queue.ts";
import type { Slots } from "./slots.ts";
import type { Timers } from "./timers.ts";

/** What turns have to do with. */
interface TurnsParts {
  readonly queue: Queue;
  readonly slots: Slots;
  readonly changes: Changes;
  readonly timers: Timers;
  /** The clock of the kernel. */
  readonly clock: Clock;
  /** Whether the runtime's loop wakes this one. */
  readonly attached: boolean;
}

/** Whom turns tell. */
interface TurnsOwner {
  /** An error that nobody waits for. */
  report(error: unknown): void;
  /** Something failed: it wants to be tried again after a while. */
  retry(): void;
  /** The queue is gone. */
  gone(): void;
}

/** The native turns of a loop: what the kernel knows of it, and how long it slept. */
export class Turns {
  readonly #queue: Queue;
  readonly #ring: RingReader;
  readonly #changes: Changes;
  readonly #timers: Timers;
  readonly #kernelClock: Clock;
  readonly #kernelTimer: KernelTimer;
  readonly #attached: boolean;
  readonly #owner: TurnsOwner;
  // Records in the ring that `next` has not given, as the last turn counted them.
  #waiting = 0;
  // Whether a wake-up byte was asked for and nothing was there, and since when.
  #asleep = false;
  #asleepNs = 0;
  #wokenNs = 0;
  // A timer came that is due before the kernel would tell.
  #sooner = false;
  // The last turn failed: that was told, and it is tried again after a while.
  #failing = false;
  #nowNs = 0;
  #count = 0;
  #idleNs = 0;
  #ringHigh = 0;

  /**
   * @param parts What they have to do with.
   * @param owner Whom they tell.
   */
  constructor(parts: TurnsParts, owner: TurnsOwner) {
    this.#queue = parts.queue;
    this.#ring = parts.queue.ring!;
    this.#changes = parts.changes;
    this.#timers = parts.timers;
    this.#kernelClock = parts.clock;
    this.#attached = parts.attached;
    this.#owner = owner;
    this.#kernelTimer = new KernelTimer(
      parts.queue,
      parts.slots,
      // It tells nothing more, whatever is started now.
      () => this.#timers.looksAt(Infinity),
      () => this.#timerWasRefused(),
    );
    this.updateTime();
  }

  /** Native turns so far. */
  get count(): number {
    return this.#count;
  }

  /** Nanoseconds asleep so far. */
  get idleNs(): number {
    return this.#idleNs;
  }

  /** The most records that waited in the ring at once. */
  get ringHigh(): number {
    return this.#ringHigh;
  }

  /** When the loop was last woken, on the kernel's clock. */
  get wokenNs(): number {
    return this.#wokenNs;
  }

  /** How long ago that was; 0 where time is simulated, because rounds take none then. */
  get sinceWokenNs(): number {
    return this.#queue.simulated ? 0 : this.#kernelClock.now() - this.#wokenNs;
  }

  /** When the time was last read, on the loop's clock. */
  get nowNs(): number {
    return this.#nowNs;
  }

  /** Reads the time. @returns Nanoseconds. */
  updateTime(): number {
    return this.#nowNs = this.#timers.clock.now();
  }

  // --- what the kernel knows ------------------------------------------------------------------

  /** Whether changes were written, or somebody waits for that. */
  get pending(): boolean {
    return this.#queue.pending + this.#changes.waiting > 0;
  }

  /** Whether a wake-up was asked for, and nothing was changed since. */
  get known(): boolean {
    return this.#asleep && !this.#sooner && !this.pending;
  }

  /** Whether there is no use in another one now: what cannot be had is not asked for again and again. */
  get settled(): boolean {
    return this.#failing || this.known;
  }

  /** A timer came that is due before the kernel would tell. */
  sooner(): void {
    this.#sooner = true;
  }

  /** What failed a while ago may not fail now. */
  again(): void {
    this.#kernelTimer.again();
    this.#sooner = true;
  }

  /** For want of memory, say. Nobody else would come back to it. */
  #timerWasRefused(): void {
    this.#timers.looksAt(Infinity);
    this.#owner.retry();
  }

  /** Tells the kernel of the first deadline; loosely when the loop sleeps in the runtime's. */
  #armTimer(loosely: boolean): void {
    this.#sooner = false;
    const timers = this.#timers;
    const first = timers.clock === this.#kernelClock ? timers.nextDeadline() : Infinity;
    if (loosely) this.#kernelTimer.armLoosely(first, this.#wokenNs, timers.crowd);
    else {
      // Who drives it has no other way back.
      this.#kernelTimer.again();
      this.#kernelTimer.arm(first);
    }
    timers.looksAt(this.#kernelTimer.armedNs);
  }

  // --- sleep ----------------------------------------------------------------------------------

  /** The runtime called, for whatever reason. */
  woken(): void {
    this.#wokenNs = this.#kernelClock.now();
    this.#rouse(this.#wokenNs);
  }

  /** The sleep is over, whoever ended it. */
  rouse(): void {
    if (this.#asleep) this.#rouse(this.#kernelClock.now());
  }

  #rouse(nowNs: number): void {
    if (!this.#asleep) return;
    this.#asleep = false;
    this.#idleNs += nowNs - this.#asleepNs;
  }

  // --- turns ----------------------------------------------------------------------------------

  /** Records that wait in the ring. */
  get waiting(): number {
    return this.#waiting;
  }

  /** @returns Index of the first word of the next record that waits. */
  next(): number {
    this.#waiting--;
    return this.#ring.consume();
  }

  /**
   * Takes one: changes down, events up.
   *
   * @param timeoutNs The longest wait; 0 while something else is to do. On a manual clock the wait is a
   * step to its next timer, because nobody could move it meanwhile.
   * @param flags `KEVENT_TURN_ARM` to ask for a wake-up instead of waiting.
   * @throws {KeventError} As of `Queue.turn`.
   */
  take(timeoutNs: number, flags: number): void {
    this.rouse();
    const jumps = timeoutNs > 0 && this.#jumps();
    const waits = timeoutNs > 0 && !jumps;
    this.#armTimer(flags === KEVENT_TURN_ARM && this.#attached);
    const beganNs = waits ? this.#kernelClock.now() : 0;
    try {
      this.#waiting = this.#queue.turn(waits ? timeoutNs : 0, flags);
    } catch (error) {
      this.#takeOver();
      throw error;
    }
    this.#failing = false;
    this.#count++;
    if (jumps && this.#waiting === 0) {
      (this.#timers.clock as ManualClock).moveTo(this.#timers.nextDeadline());
    }
    this.updateTime();
    if (waits) this.#idleNs += this.#kernelClock.now() - beganNs;
    if (this.#waiting > this.#ringHigh) this.#ringHigh = this.#waiting;
    // Armed only when nothing came; and errors must be told before the sleep.
    this.#asleep = flags === KEVENT_TURN_ARM && this.#waiting + this.#changes.refused === 0;
    if (this.#asleep) this.#asleepNs = this.#kernelClock.now();
    this.#changes.applied();
  }

  #jumps(): boolean {
    const { clock } = this.#timers;
    return clock instanceof ManualClock && this.#timers.nextDeadline() < Infinity;
  }

  /** What a turn did before it failed. */
  #takeOver(): void {
    this.#waiting = this.#ring.waiting;
    if (this.#queue.pending === 0) this.#changes.applied();
  }

  /** Takes one that nobody asked for: what fails is told, once, and tried again after a while. */
  attempt(timeoutNs = 0, flags: number = KEVENT_TURN_ARM): void {
    try {
      this.take(timeoutNs, flags);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Without its queue the loop ends; all else may be had in a while. */
  #failed(error: unknown): void {
    if (error instanceof KeventError && error.code === "EBADF") {
      const detail = "somebody closed a descriptor that the queue is made of: the loop has ended";
      this.#owner.report(new KeventError("turn", error.syscall, error.code, detail));
      return this.#owner.gone();
    }
    if (!this.#failing) this.#owner.report(error);
    this.#failing = true;
    this.#owner.retry();
  }

  /**
   * Applies the changes written so far, at once.
   *
   * @throws {KeventError} As of `Queue.apply`.
   */
  apply(): void {
    // The library takes any turn for being awake, so the wake-up must be asked for again.
    this.rouse();
    try {
      this.#waiting = this.#queue.apply();
      this.#changes.applied();
    } catch (error) {
      this.#takeOver();
      throw error;
    }
  }

  /** No record is given any more. */
  end(): void {
    this.#waiting = 0;
  }
}
