import { KEVENT_RET_BROKEN } from "../ffi/abi.ts";
import { brokenError, RET_FLAGS, USER_0, USER_1 } from "../ffi/record.ts";
import type { Changes } from "./changes.ts";
import type { Host } from "./host.ts";
import type { Immediates } from "./immediates.ts";
import type { Phases } from "./phases.ts";
import type { Slots } from "./slots.ts";
import type { Timers } from "./timers.ts";
import type { Turns } from "./turns.ts";

/** Phases of a round. */
const PHASES = 8;

/** Timers, or immediates, run in a row before the runtime gets a turn: about a millisecond's worth. */
const CALLBACKS_MAX = 4096;

/** What a round goes through. */
interface RoundParts {
  readonly host: Host;
  /** Memory of the ring. */
  readonly words: Uint32Array;
  readonly slots: Slots;
  readonly turns: Turns;
  readonly changes: Changes;
  readonly phases: Phases;
  readonly immediates: Immediates;
  readonly timers: Timers;
}

/** Whom a round asks. */
interface RoundOwner {
  /** Whether a wait may be worth it: something is alive, and nobody said stop. */
  goesOn(): boolean;
  /** Callbacks are about to run. */
  entered(): void;
}

/** A round of a loop: the callbacks of all phases, in their order, and what becomes of their errors. */
export class Round {
  readonly #host: Host;
  readonly #words: Uint32Array;
  readonly #slots: Slots;
  readonly #turns: Turns;
  readonly #changes: Changes;
  readonly #phases: Phases;
  readonly #immediates: Immediates;
  readonly #timers: Timers;
  readonly #owner: RoundOwner;
  readonly #closing: (() => void)[] = [];
  readonly #call = (callback: () => void): boolean => this.#guardedCall(callback);
  // Callbacks run now; and the runtime is who had them run.
  #running = false;
  #attending = false;
  // The phase that the next attended round begins with.
  #resume = 0;
  #failed = false;
  #events = 0;
  #closed = false;

  /**
   * @param parts What it goes through.
   * @param owner Whom it asks.
   */
  constructor(parts: RoundParts, owner: RoundOwner) {
    this.#host = parts.host;
    this.#words = parts.words;
    this.#slots = parts.slots;
    this.#turns = parts.turns;
    this.#changes = parts.changes;
    this.#phases = parts.phases;
    this.#immediates = parts.immediates;
    this.#timers = parts.timers;
    this.#owner = owner;
  }

  /** Whether callbacks run now. */
  get running(): boolean {
    return this.#running;
  }

  /** Events handed to handles so far. */
  get events(): number {
    return this.#events;
  }

  /** Callbacks of `close` that wait. */
  get closing(): number {
    return this.#closing.length;
  }

  /** Whether nothing is to do until somebody wakes the loop. */
  get idle(): boolean {
    return this.#turns.settled && this.#work + this.#turns.waiting === 0 && !this.#phases.fresh;
  }

  /** How much is to do without any event. */
  get #work(): number {
    return this.#changes.refused + this.#closing.length + this.#immediates.size +
      this.#phases.idle.size;
  }

  /** Calls back in the closing phase of the next one. */
  afterClose(callback: () => void): void {
    this.#closing.push(callback);
  }

  /** Nobody is called any more. */
  end(): void {
    this.#closed = true;
    this.#closing.length = 0;
  }

  // --- who takes it ---------------------------------------------------------------------------

  /**
   * Runs callbacks for somebody who called `run`, or moved a manual clock.
   *
   * @param body Takes rounds.
   */
  drive(body: () => void): void {
    // The runtime calls outside of any async context; whoever calls this may be in one.
    this.#guarded(false, () => this.#host.outside(body));
  }

  /**
   * Runs callbacks for the runtime, which has just called: what is due, then round after round.
   *
   * @param another Takes one; whether yet another may follow before the runtime gets a turn.
   * @param most How many at most.
   */
  attend(another: () => boolean, most: number): void {
    this.#guarded(true, () => {
      this.#failed = false;
      // Woken for a timer mostly: it need not wait for a native turn. Immediates come first, as they do
      // in a round.
      if (this.#immediates.size + this.#resume === 0) this.runTimers();
      for (let rounds = 0; rounds < most && !this.#failed && !this.#closed; rounds++) {
        if (!another()) return;
      }
    });
  }

  #guarded(attending: boolean, body: () => void): void {
    const outer = this.#running;
    const before = this.#attending;
    const failed = this.#failed;
    this.#running = true;
    this.#attending = attending;
    this.#owner.entered();
    try {
      body();
    } finally {
      this.#running = outer;
      this.#attending = before;
      this.#failed ||= outer && failed;
    }
  }

  // --- phases ---------------------------------------------------------------------------------

  /**
   * Takes one, in the order of `uv_run`, whoever moves the loop. docs/design.md names the phases.
   *
   * @param timeoutNs The longest wait; there is none while something else is to do.
   * @param flags `KEVENT_TURN_ARM` to ask for a wake-up instead of waiting.
   */
  take(timeoutNs: number, flags: number): void {
    this.#failed = false;
    // As it was when the round began: what is told or stopped in it was something to do.
    const idle = this.#changes.refused + this.#phases.idle.size === 0;
    let phase = this.#attending ? this.#resume : 0;
    this.#resume = 0;
    while (phase < PHASES && this.#goesOn()) this.#phase(phase++, idle ? timeoutNs : 0, flags);
    if (phase < PHASES) this.#resume = phase;
  }

  /**
   * The runtime gets a turn to end the process, or to go on, before any other callback; then the next
   * round goes on with the next phase. `run` has no turns to give.
   */
  #goesOn(): boolean {
    return !(this.#attending && this.#failed);
  }

  #phase(phase: number, timeoutNs: number, flags: number): void {
    if (this.#closed) return;
    const phases = this.#phases;
    switch (phase) {
      case 0:
        return this.#changes.tell(this.#call);
      case 1:
        return phases.run(phases.idle, this.#call);
      case 2:
        return phases.run(phases.prepare, this.#call);
      case 3:
        return this.#poll(timeoutNs, flags);
      case 4:
        return phases.run(phases.check, this.#call);
      case 5:
        return this.#immediates.run(this.#callbacksMax());
      case 6:
        return this.#tellClosed();
      default:
        this.runTimers();
    }
  }

  #poll(timeoutNs: number, flags: number): void {
    const turns = this.#turns;
    if (turns.waiting === 0) {
      const limitNs = this.#work > 0 || !this.#owner.goesOn() ? 0 : timeoutNs;
      if (this.#attending) turns.attempt(limitNs, flags);
      else turns.take(limitNs, flags);
    }
    this.#dispatch(Math.min(turns.waiting, this.#callbacksMax()));
  }

  /**
   * Hands records to their handles. The queue reuses their slots with the next turn, which a callback
   * may bring about: a handle reads its record before it calls anybody.
   */
  #dispatch(count: number): void {
    const words = this.#words;
    const turns = this.#turns;
    const { checkpoint } = this.#host;
    // An error of an earlier phase is no reason: it might come in each round.
    let fine = true;
    for (let left = count; left > 0 && turns.waiting > 0 && !this.#closed && fine; left--) {
      const at = turns.next();
      const tenant = this.#slots.tenant(words[at + USER_0]!, words[at + USER_1]!);
      if (tenant === undefined) continue;
      this.#events++;
      try {
        if ((words[at + RET_FLAGS]! & KEVENT_RET_BROKEN) === 0) tenant.onRecord(words, at);
        else tenant.onError(brokenError(words, at, "watch"));
      } catch (error) {
        fine = false;
        this.fail(error);
      }
      checkpoint?.();
    }
  }

  #tellClosed(): void {
    if (this.#closing.length === 0) return;
    const callbacks = this.#closing.splice(0);
    let told = 0;
    while (told < callbacks.length && this.#call(callbacks[told]!)) told++;
    this.#closing.unshift(...callbacks.slice(told + 1));
  }

  /** Runs the timers that are due. @returns How many. */
  runTimers(): number {
    if (this.#closed) return 0;
    const count = this.#timers.run(this.#callbacksMax());
    this.#turns.updateTime();
    return count;
  }

  /** Without a checkpoint only the runtime's own turn drains microtasks between two callbacks. */
  #callbacksMax(): number {
    return this.#host.checkpoint === undefined ? 1 : CALLBACKS_MAX;
  }

  // --- callbacks ------------------------------------------------------------------------------

  /** Calls a callback; whether the next may be called. */
  #guardedCall(callback: () => void): boolean {
    if (this.#closed) return false;
    let fine = true;
    try {
      callback();
    } catch (error) {
      fine = !this.#attending;
      this.fail(error);
    }
    this.#host.checkpoint?.();
    return fine;
  }

  /**
   * A callback threw: the runtime gets a turn to end the process, or to go on, before the next.
   *
   * @param error What.
   */
  fail(error: unknown): void {
    this.#failed = true;
    this.#host.report(error);
  }
}
