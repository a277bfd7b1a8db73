import {
  KEVENT_CLOCK_WALL,
  KEVENT_REQ_ALWAYS_QUEUE,
  KEVENT_RET_BROKEN,
  KEVENT_TURN_ARM,
} from "../ffi/abi.ts";
import { KeventError } from "../ffi/errors.ts";
import type { Library } from "../ffi/library.ts";
import { brokenError, RET_FLAGS, USER_0, USER_1 } from "../ffi/record.ts";
import type { RingReader } from "../ffi/ring.ts";
import { Attachment } from "./attachment.ts";
import { type Clock, ManualClock } from "./clock.ts";
import type { Handle } from "./handle.ts";
import { currentRuntime, type Host, type Runtime } from "./host.ts";
import { Immediates } from "./immediates.ts";
import { KernelTimer } from "./kernel_timer.ts";
import type { LoopMetrics } from "./metrics.ts";
import { Phases } from "./phases.ts";
import { Queue, type QueueInfo, type QueueOptions } from "./queue.ts";
import { type Slot, Slots } from "./slots.ts";
import { Timers } from "./timers.ts";

/**
 * Rounds taken in a row before the runtime gets a turn of its own. Fewer, and busy loops pay the
 * runtime's turn too often; more, and its own timers and sockets starve behind ours.
 */
const ROUNDS_MAX = 8;

/** Phases of a round. */
const PHASES = 8;

/** Timers, or immediates, run in a row before the runtime gets a turn: about a millisecond's worth. */
const CALLBACKS_MAX = 4096;

/** Waits in a row that brought nothing before a driven loop sleeps in the runtime's. */
const LINGERS_MAX = 16;
/** How long each is, unless the caller says otherwise. */
const LINGER_NS_DEFAULT = 200e3;

/** How `run` ends: when nothing is alive, after one round, or without waiting. */
export type RunMode = "default" | "once" | "nowait";

/** Options of the queue that are the loop's own affair: its library is that of the runtime. */
type Kept = "onBroken" | "adopt" | "single" | "library";

/** How a loop is made. */
export interface LoopOptions extends Omit<QueueOptions, Kept> {
  /**
   * Whether the runtime's own loop wakes it (`true`), or only `run` moves it. Default `true`.
   */
  readonly attached?: boolean;
  /** Whether `close` is refused, because others count on the loop. Default `false`. */
  readonly permanent?: boolean;
  /** Host and library. Default: those of the runtime that imported kevent. */
  readonly runtime?: Runtime;
}

/** What a loop says about itself. */
export interface LoopInfo {
  /** Who moves it: the runtime's loop, or only `run`. */
  readonly mode: "attached" | "driven";
  /** Whether something keeps the process alive. */
  readonly alive: boolean;
  /** Handles that were made and not closed. */
  readonly handles: number;
  /** Timers that were made and are not gone: also those that do not wait, as a `Timer` that was not started. */
  readonly timers: number;
  /** Immediates that wait. */
  readonly immediates: number;
  /** What it did. */
  readonly metrics: LoopMetrics;
  /** The queue below. */
  readonly queue: QueueInfo;
}

/** A change that the queue refused. */
interface Broken {
  readonly index: number;
  readonly generation: number;
  readonly error: KeventError;
}

/**
 * An event loop: a queue, and the handles its events go to.
 *
 * By default it is attached: the runtime's own loop sleeps, and wakes it when events wait. Handles
 * such as `Timer` are made on it and call back.
 *
 * @example A timer
 * ```ts
 * import { Loop, Timer } from "../adapters/mod.ts";
 *
 * using loop = new Loop();
 * const timer = new Timer(loop);
 * await new Promise<void>((resolve) => timer.start(() => resolve(), 1));
 * ```
 */
export class Loop implements Disposable, AsyncDisposable {
  /** The queue below. Its `user` words belong to the loop. */
  readonly queue: Queue;
  /** What the runtime offers. */
  readonly host: Host;
  /** The native library. */
  readonly library: Library;
  /** Which handle the queue's events go to; for handles. */
  readonly slots = new Slots();
  /** The phases whose handles are called in each round; for handles. */
  readonly phases: Phases = new Phases(() => this.#attendLater());
  /** All timers; for handles and adapters. */
  readonly timers: Timers;
  /** The date, in nanoseconds since 1970. */
  readonly wallClock: Clock;
  /** All immediates; for adapters. */
  readonly immediates: Immediates;
  // None: only `run` moves it.
  readonly #attachment: Attachment | undefined;
  readonly #permanent: boolean;
  readonly #ring: RingReader;
  readonly #handles = new Set<Handle>();
  // Run once the changes written so far are applied.
  readonly #applied: (() => void)[] = [];
  readonly #closing: (() => void)[] = [];
  // Errors of changes, told with the next events rather than in the midst of somebody's call.
  readonly #broken: Broken[] = [];
  readonly #kernelTimer: KernelTimer;
  readonly #kernelClock: Clock;
  readonly #call = (callback: () => void): boolean => this.#guardedCall(callback);
  // A timer came that is due before the kernel would tell.
  #sooner = false;
  #wokenNs = 0;
  #nowNs = 0;
  #refs = 0;
  // Records in the ring that `consume` has not seen, as the last turn counted them.
  #waiting = 0;
  // Whether a wake-up byte was asked for and nothing was there, and since when.
  #asleep = false;
  #asleepNs = 0;
  // Callbacks run now; and the runtime is who had them run.
  #running = false;
  #attending = false;
  // The phase that the next attended round begins with.
  #resume = 0;
  #failed = false;
  // The last turn failed: that was told, and it is tried again after a while.
  #failing = false;
  #stopped = false;
  #closed = false;
  #gone: Promise<void> | undefined;
  // Driven by `drive`: how long a wait is, how many more may bring nothing, and whom to tell.
  #lingerNs = 0;
  #lingers = 0;
  #driven: ((alive: boolean) => void) | undefined;
  #turns = 0;
  #events = 0;
  #idleNs = 0;
  #ringHigh = 0;

  /**
   * @param options How to make it.
   * @throws {KeventError} As of `Queue`.
   */
  constructor(options: LoopOptions = {}) {
    if (options.entries === null || options.ringFd !== undefined) {
      throw new KeventError("make loop", "argument", "EINVAL", "a loop needs a ring in its memory");
    }
    const { host, library } = options.runtime ?? currentRuntime();
    this.host = host;
    this.library = library;
    this.#permanent = options.permanent ?? false;
    this.queue = new Queue({
      ...options,
      library,
      single: true,
      onBroken: (words, at) => this.#refused(words, at),
    });
    this.#ring = this.queue.ring!;
    this.#kernelClock = this.queue.clock();
    this.wallClock = this.queue.clock(KEVENT_CLOCK_WALL);
    this.timers = new Timers(host, this.#kernelClock, {
      retain: () => this.retain(),
      release: () => this.release(),
      sooner: () => this.#timerIsSooner(),
      fail: (error) => this.#fail(error),
    });
    this.immediates = new Immediates(host, {
      retain: () => this.retain(),
      release: () => this.release(),
      waiting: () => this.#attendLater(),
      fail: (error) => this.#fail(error),
    });
    this.#kernelTimer = new KernelTimer(
      this.queue,
      this.slots,
      // It tells nothing more, whatever is started now.
      () => this.timers.looksAt(Infinity),
      () => this.#timerWasRefused(),
    );
    if (options.attached ?? true) {
      this.#attachment = new Attachment(host, this.queue, {
        alive: () => this.alive,
        opened: () => this.#rouse(),
        settle: () => this.#settle(),
        again: () => {
          this.#kernelTimer.again();
          this.#sooner = true;
        },
        attend: (woken) => this.#attend(woken),
        meanwhile: () => {
          if (this.#running) this.#attend(false);
        },
      });
    }
    this.updateTime();
  }

  // --- what it is -----------------------------------------------------------------------------

  /** Whether a ref'd handle, timer or immediate waits, or a `close` has not been told. */
  get alive(): boolean {
    return !this.#closed && this.#refs + this.#closing.length > 0;
  }

  /** Whether `close` was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Nanoseconds on the loop's clock, when the present round began; as `uv_now`. */
  get now(): number {
    return this.#nowNs;
  }

  /** Reads the clock anew. @returns Nanoseconds. */
  updateTime(): number {
    return this.#nowNs = this.timers.clock.now();
  }

  /** What its timers go by: the kernel's clock, or a `ManualClock` for tests. */
  get clock(): Clock {
    return this.timers.clock;
  }

  /**
   * What is left of each timer stays as it is. `undefined` is the kernel's clock again. Alarms and
   * other timers of the wall clock go by the kernel's all the same.
   *
   * @param clock A `ManualClock`, `undefined`, or what `clock` was before.
   * @throws {KeventError} EINVAL for another clock, which nobody could wait for; EBUSY from within a
   * callback, and when another loop goes by that manual clock; EBADF after `close`.
   */
  set clock(clock: Clock | undefined) {
    this.checkOpen("change clock");
    this.#checkIdle("change clock");
    const { timers } = this;
    if (clock === timers.clock) return;
    if (!(clock === undefined || clock === this.#kernelClock || clock instanceof ManualClock)) {
      const detail = "clock must be a ManualClock, or undefined for the kernel's";
      throw new KeventError("change clock", "argument", "EINVAL", detail);
    }
    if (clock instanceof ManualClock) {
      clock.attach({
        check: () => this.#checkIdle("advance clock"),
        nextDeadline: () => timers.nextDeadline(),
        fire: () => this.#fire(),
        moved: () => void this.updateTime(),
        macrotask: (callback) => this.host.macrotask(callback, true),
      });
    }
    this.#leaveClock();
    timers.clock = clock ?? this.#kernelClock;
    this.updateTime();
    this.#timerIsSooner();
  }

  #leaveClock(): void {
    if (this.clock instanceof ManualClock) this.clock.detach();
  }

  /**
   * Calls back with each handle that was not closed, in the order in which they were made.
   *
   * @param visit May close handles.
   */
  walk(visit: (handle: Handle) => void): void {
    for (const handle of [...this.#handles]) visit(handle);
  }

  /** @returns What the loop did so far. */
  metrics(): LoopMetrics {
    return this.#metrics(this.queue.info());
  }

  #metrics({ counters }: QueueInfo): LoopMetrics {
    return {
      idleNs: this.#idleNs,
      turns: this.#turns,
      events: this.#events,
      timers: this.timers.fired,
      immediates: this.immediates.ran,
      ringHigh: this.#ringHigh,
      losses: counters["inode_overflows"] ?? 0,
      delays: this.timers.delays.read(),
    };
  }

  /** @returns What the loop is and did. */
  info(): LoopInfo {
    const queue = this.queue.info();
    return {
      mode: this.#attachment !== undefined ? "attached" : "driven",
      alive: this.alive,
      handles: this.#handles.size,
      timers: this.timers.count,
      immediates: this.immediates.size,
      metrics: this.#metrics(queue),
      queue,
    };
  }

  // --- for handles ----------------------------------------------------------------------------

  /**
   * Checks that the loop was not closed.
   *
   * @param operation What needs it, in words that follow "Cannot".
   * @throws {KeventError} EBADF when it was.
   */
  checkOpen(operation: string): void {
    if (this.#closed) throw new KeventError(operation, "loop", "EBADF", "the loop is closed");
  }

  /** A handle was made. */
  enter(handle: Handle): void {
    this.checkOpen("open handle");
    this.#handles.add(handle);
  }

  /** A handle was closed. */
  leave(handle: Handle): void {
    this.#handles.delete(handle);
  }

  /**
   * Calls back in the closing phase of the next round.
   *
   * @param callback Called outside of any async context.
   */
  afterClose(callback: () => void): void {
    if (this.#closed) return;
    this.#closing.push(callback);
    this.#changed();
  }

  /**
   * Watches something for a handle, from the next turn on.
   *
   * @param slot The handle's place.
   * @param type `KEVENT_SOCKET` ... `KEVENT_USER`.
   * @param id0 Which thing; see the type.
   * @param id1 Which thing; see the type.
   * @param event Kinds to watch for.
   * @param reqFlags `KEVENT_REQ_*`; ALWAYS_QUEUE is added.
   * @throws {KeventError} EBADF after `close`.
   */
  add(slot: Slot, type: number, id0: number, id1: number, event: number, reqFlags: number): void {
    this.checkOpen("start handle");
    // All events come through the ring: none is answered in the change area.
    const flags = reqFlags | KEVENT_REQ_ALWAYS_QUEUE;
    this.queue.add(type, id0, id1, event, flags, slot.index, slot.generation);
    this.#changed();
  }

  /** Replaces kinds and flags, from the next turn on. Parameters as of `add`. */
  modify(
    slot: Slot,
    type: number,
    id0: number,
    id1: number,
    event: number,
    reqFlags: number,
  ): void {
    this.checkOpen("change handle");
    const flags = reqFlags | KEVENT_REQ_ALWAYS_QUEUE;
    this.queue.modify(type, id0, id1, event, flags, slot.index, slot.generation);
    this.#changed();
  }

  /** Stops watching and drops events that wait. Parameters as of `add`. */
  remove(slot: Slot, type: number, id0: number, id1: number): void {
    if (this.#closed) return;
    this.queue.remove(type, id0, id1, slot.index, slot.generation);
    this.slots.renew(slot);
    this.#changed();
  }

  /**
   * Watches an inode for a handle, at once.
   *
   * @param slot The handle's place.
   * @param path The file or directory.
   * @param event `KEVENT_INODE_*`.
   * @returns The watch number: `id0` for `modify` and `remove`.
   * @throws {KeventError} ENOENT and others of the path, ENOSPC at the limit of watches.
   */
  addInode(slot: Slot, path: string, event: number): number {
    this.checkOpen("start handle");
    const { index, generation } = slot;
    const watch = this.queue.addInode(path, event, KEVENT_REQ_ALWAYS_QUEUE, index, generation);
    this.#changed();
    return watch;
  }

  /** Triggers a user event of a handle, from the next turn on. Parameters as of `add`. */
  trigger(slot: Slot, id0: number, id1: number, event: number): void {
    this.checkOpen("trigger");
    this.queue.trigger(id0, id1, event, slot.index, slot.generation);
    this.#changed();
  }

  /** Applies the changes written so far, at once. */
  apply(): void {
    if (this.#closed || this.queue.pending + this.#applied.length === 0) return;
    // The library takes any turn for being awake, so the wake-up must be asked for again.
    this.#rouse();
    try {
      this.#waiting = this.queue.apply();
      this.#tellApplied();
    } catch (error) {
      this.#turnFailed();
      throw error;
    } finally {
      this.#changed();
    }
  }

  /**
   * Calls back once the changes written so far have been applied: a descriptor may be closed only
   * after its registration is gone.
   *
   * @param callback Called within the next turn.
   */
  afterApply(callback: () => void): void {
    if (this.#closed) return callback();
    this.#applied.push(callback);
    this.#changed();
  }

  /** Counts a reason for the process to live. */
  retain(): void {
    if (++this.#refs === 1) this.#changed();
  }

  /** Takes a reason back. */
  release(): void {
    if (--this.#refs === 0) this.#changed();
  }

  // --- driven ---------------------------------------------------------------------------------

  /**
   * Moves the loop by hand, blocking, as `uv_run`. Microtasks and ticks run between callbacks, save in
   * Deno when it is itself called by one (as after any `await`): then they run when it returns. The
   * runtime's own timers and sockets wait until it returns.
   *
   * What a callback throws goes to the runtime, as from any other callback, and `run` goes on.
   *
   * @param mode `"default"` until nothing is alive or `stop` is called, `"once"` for one round, which
   * waits if nothing is ready, `"nowait"` for one round of what is ready. Default `"default"`.
   * @returns Whether something is still alive.
   * @throws {KeventError} EINVAL for another mode, EBUSY from within a callback, EBADF after `close`.
   */
  run(mode: RunMode = "default"): boolean {
    this.checkOpen("run loop");
    this.#checkIdle("run loop");
    checkMode(mode);
    this.updateTime();
    this.#guarded(false, () => {
      if (mode === "default" && this.#goesOn()) this.#runTimers();
      while (this.#goesOn()) {
        this.#round(mode === "nowait" ? 0 : Infinity, 0);
        if (mode !== "default") break;
      }
    });
    this.#stopped = false;
    if (!this.#closed) this.#changed();
    return this.alive;
  }

  /**
   * Moves the loop and waits in its own call while events keep coming, which spares the runtime's
   * sleep and wake-up; the runtime gets a turn after each round. For programs whose work comes
   * mostly through this loop. Needs an attached loop.
   *
   * @param lingerNs Nanoseconds to wait in our call each time; the runtime's own events are late by
   * so much. Default 200,000.
   * @returns Whether something is still alive: resolves when nothing is, or after `stop`.
   * @throws {KeventError} EBUSY when it is driven already, EINVAL on a loop that is not attached.
   */
  drive(lingerNs: number = LINGER_NS_DEFAULT): Promise<boolean> {
    this.checkOpen("drive loop");
    const attached = this.#attachment !== undefined;
    if (!attached || !(lingerNs > 0 && lingerNs <= 1e9)) {
      const detail = attached
        ? `lingerNs must be from 1 to 1e9, not ${String(lingerNs)}`
        : "the loop is not attached: use run";
      throw new KeventError("drive loop", "drive", "EINVAL", detail);
    }
    if (this.#driven !== undefined) {
      throw new KeventError("drive loop", "drive", "EBUSY", "it is driven already");
    }
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#driven = resolve;
    this.#lingerNs = lingerNs;
    this.#lingers = LINGERS_MAX;
    this.#rouse();
    this.#attendLater();
    return promise;
  }

  /** Ends `run` or `drive` after the present round; before them, the next one. It can go on later. */
  stop(): void {
    this.#stopped = true;
    if (this.#driven === undefined) return;
    this.#rouse();
    this.#attendLater();
  }

  /**
   * For a program that sleeps in a loop of its own, on the queue's descriptor: applies all changes and
   * makes the descriptor readable when something comes.
   *
   * @returns Whether it may sleep now; else something waits already: `run("nowait")`.
   * @throws {KeventError} EBUSY from within a callback, EBADF after `close`.
   */
  rest(): boolean {
    this.checkOpen("rest");
    this.#checkIdle("rest");
    if (this.#waiting === 0 && !this.#kernelKnows()) this.#turn(0, KEVENT_TURN_ARM);
    return this.#idle();
  }

  #goesOn(): boolean {
    return this.alive && !this.#stopped && !this.#closed;
  }

  /** Ends `drive` when there is nothing more to drive. */
  #endDrive(): void {
    if (this.#driven === undefined || this.#goesOn()) return;
    const resolve = this.#driven;
    this.#driven = undefined;
    this.#lingerNs = 0;
    this.#stopped = false;
    resolve(this.alive);
  }

  // --- the end --------------------------------------------------------------------------------

  /**
   * Ends the loop: no callback runs afterwards, and nothing of it keeps the process alive.
   *
   * @returns Resolves when neither the kernel nor the runtime holds anything of it.
   * @throws {KeventError} EPERM when it is permanent.
   */
  close(): Promise<void> {
    if (this.#permanent) {
      const detail = "it ends with its thread: close what you started on it";
      throw new KeventError("close loop", "loop", "EPERM", detail);
    }
    return this.#gone ??= this.#end();
  }

  #end(): Promise<void> {
    try {
      // Descriptors of handles that were closed must not outlive the loop.
      this.apply();
    } catch {
      // Somebody closed what the queue is made of. It ends all the same.
      this.#tellApplied();
    }
    this.#closed = true;
    this.#refs = 0;
    this.#waiting = 0;
    this.#leaveClock();
    this.timers.end();
    this.immediates.end();
    this.#closing.length = 0;
    const letGo = this.#attachment?.close() ?? Promise.resolve();
    // Now the kernel holds nothing of the queue any more.
    this.queue.close();
    for (const handle of this.#handles) handle.letGo();
    this.#handles.clear();
    this.#endDrive();
    return letGo;
  }

  /** The same as `close`, without waiting. */
  [Symbol.dispose](): void {
    void this.close();
  }

  /** The same as `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Callbacks that ran callbacks would see a loop in the midst of a round. */
  #checkIdle(operation: string): void {
    if (!this.#running) return;
    throw new KeventError(operation, "run", "EBUSY", "a callback of this loop is running");
  }

  // --- a round --------------------------------------------------------------------------------

  /**
   * One round, in the order of `uv_run`, whoever moves the loop. docs/design.md names the phases.
   *
   * @param timeoutNs The longest wait; there is none while something else is to do.
   * @param flags `KEVENT_TURN_ARM` to ask for a wake-up instead of waiting.
   */
  #round(timeoutNs: number, flags: number): void {
    this.#failed = false;
    // As it was when the round began: what is told or stopped in it was something to do.
    const idle = this.#broken.length + this.phases.idle.size === 0;
    let phase = this.#attending ? this.#resume : 0;
    this.#resume = 0;
    while (phase < PHASES && this.#goesOnInRound()) {
      this.#phase(phase++, idle ? timeoutNs : 0, flags);
    }
    if (phase < PHASES) this.#resume = phase;
  }

  /**
   * The runtime gets a turn to end the process, or to go on, before any other callback; then the next
   * round goes on with the next phase. `run` has no turns to give.
   */
  #goesOnInRound(): boolean {
    return !(this.#attending && this.#failed);
  }

  #phase(phase: number, timeoutNs: number, flags: number): void {
    if (this.#closed) return;
    switch (phase) {
      case 0:
        return this.#tellBroken();
      case 1:
        return this.phases.run(this.phases.idle, this.#call);
      case 2:
        return this.phases.run(this.phases.prepare, this.#call);
      case 3:
        return this.#poll(timeoutNs, flags);
      case 4:
        return this.phases.run(this.phases.check, this.#call);
      case 5:
        return this.immediates.run(this.#callbacksMax());
      case 6:
        return this.#tellClosed();
      default:
        return this.#runTimers();
    }
  }

  #tellClosed(): void {
    const callbacks = this.#closing.splice(0);
    let told = 0;
    while (told < callbacks.length && this.#call(callbacks[told]!)) told++;
    this.#closing.unshift(...callbacks.slice(told + 1));
  }

  /** Without a checkpoint only the runtime's own turn drains microtasks between two callbacks. */
  #callbacksMax(): number {
    return this.host.checkpoint === undefined ? 1 : CALLBACKS_MAX;
  }

  #runTimers(): void {
    if (this.#closed) return;
    this.timers.run(this.#callbacksMax());
    this.updateTime();
  }

  /** A manual clock has moved. */
  #fire(): number {
    let count = 0;
    this.#guarded(false, () => {
      count = this.timers.run(this.#callbacksMax());
      this.updateTime();
    });
    if (!this.#closed) this.#changed();
    return count;
  }

  #poll(timeoutNs: number, flags: number): void {
    if (this.#waiting === 0) {
      if (this.#attending) this.#guardedTurn(timeoutNs, flags);
      else this.#turn(timeoutNs, flags);
    }
    this.#dispatch(Math.min(this.#waiting, this.#callbacksMax()));
  }

  /** Whether a wait would keep something waiting. */
  #busy(): boolean {
    return this.#work > 0 || !this.#goesOn();
  }

  /** How much is to do without any event. */
  get #work(): number {
    return this.#broken.length + this.#closing.length + this.immediates.size +
      this.phases.idle.size;
  }

  /** Whether a manual clock goes to the next timer instead of a wait, in which nobody could move it. */
  #jumps(): boolean {
    return this.clock instanceof ManualClock && this.timers.nextDeadline() < Infinity;
  }

  #turn(timeoutNs: number, flags: number): void {
    this.#rouse();
    const idle = timeoutNs > 0 && !this.#busy();
    const jumps = idle && this.#jumps();
    const waits = idle && !jumps;
    this.#armTimer(flags === KEVENT_TURN_ARM && this.#attachment !== undefined);
    const beganNs = waits ? this.#kernelClock.now() : 0;
    try {
      this.#waiting = this.queue.turn(waits ? timeoutNs : 0, flags);
    } catch (error) {
      this.#turnFailed();
      throw error;
    }
    this.#failing = false;
    this.#turns++;
    if (jumps && this.#waiting === 0) {
      (this.clock as ManualClock).moveTo(this.timers.nextDeadline());
    }
    this.updateTime();
    if (waits) this.#idleNs += this.#kernelClock.now() - beganNs;
    if (this.#waiting > this.#ringHigh) this.#ringHigh = this.#waiting;
    // Armed only when nothing came; and errors must be told before the sleep.
    this.#asleep = flags === KEVENT_TURN_ARM && this.#waiting + this.#broken.length === 0;
    if (this.#asleep) this.#asleepNs = this.#kernelClock.now();
    if (this.#applied.length > 0) this.#tellApplied();
  }

  /** The sleep is over, whoever ended it. */
  #rouse(nowNs = 0): void {
    if (!this.#asleep) return;
    this.#asleep = false;
    this.#idleNs += (nowNs === 0 ? this.#kernelClock.now() : nowNs) - this.#asleepNs;
  }

  /** Takes over what a turn did before it failed. */
  #turnFailed(): void {
    this.#waiting = this.#ring.waiting;
    if (this.queue.pending === 0) this.#tellApplied();
  }

  #tellApplied(): void {
    for (const callback of this.#applied.splice(0)) callback();
  }

  /**
   * Hands records to their handles. The queue reuses their slots with the next turn, which a callback
   * may bring about: a handle reads its record before it calls anybody.
   */
  #dispatch(count: number): void {
    const ring = this.#ring;
    const { words } = ring;
    const { checkpoint } = this.host;
    // An error of an earlier phase is no reason: it might come in each round.
    let fine = true;
    for (let left = count; left > 0 && this.#waiting > 0 && !this.#closed && fine; left--) {
      const at = ring.consume();
      this.#waiting--;
      const tenant = this.slots.tenant(words[at + USER_0]!, words[at + USER_1]!);
      if (tenant === undefined) continue;
      this.#events++;
      try {
        if ((words[at + RET_FLAGS]! & KEVENT_RET_BROKEN) === 0) tenant.onRecord(words, at);
        else tenant.onError(brokenError(words, at, "watch"));
      } catch (error) {
        fine = false;
        this.#fail(error);
      }
      checkpoint?.();
    }
  }

  /** Calls a callback; whether the next may be called. */
  #guardedCall(callback: () => void): boolean {
    if (this.#closed) return false;
    let fine = true;
    try {
      callback();
    } catch (error) {
      fine = !this.#attending;
      this.#fail(error);
    }
    this.host.checkpoint?.();
    return fine;
  }

  /** A callback threw: the runtime gets a turn to end the process, or to go on, before the next. */
  #fail(error: unknown): void {
    this.#failed = true;
    this.host.report(error);
  }

  /**
   * The queue refused a change. Where the generation has moved on it was a removal, and what it
   * named was gone already: that is no news to anybody.
   */
  #refused(words: Uint32Array, at: number): void {
    const index = words[at + USER_0]!;
    const generation = words[at + USER_1]!;
    if (this.slots.tenant(index, generation) === undefined) return;
    this.#broken.push({ index, generation, error: brokenError(words, at, "start") });
  }

  #tellBroken(): void {
    const tell = ({ index, generation, error }: Broken): boolean =>
      this.#call(() => this.slots.tenant(index, generation)?.onError(error));
    // Those that come meanwhile wait for the next round.
    for (let left = this.#broken.length; left > 0; left--) {
      const broken = this.#broken.shift();
      if (broken === undefined || !tell(broken)) return;
    }
  }

  // --- time -----------------------------------------------------------------------------------

  #timerIsSooner(): void {
    this.#sooner = true;
    this.#changed();
  }

  /** For want of memory, say. Nobody else would come back to it. */
  #timerWasRefused(): void {
    this.timers.looksAt(Infinity);
    this.#attachment?.retry();
  }

  /** Tells the kernel of the first deadline; loosely when the loop sleeps in the runtime's. */
  #armTimer(loosely: boolean): void {
    this.#sooner = false;
    const { timers } = this;
    const first = this.clock === this.#kernelClock ? timers.nextDeadline() : Infinity;
    if (loosely) this.#kernelTimer.armLoosely(first, this.#wokenNs, timers.crowd);
    else {
      // Who drives it has no other way back.
      this.#kernelTimer.again();
      this.#kernelTimer.arm(first);
    }
    timers.looksAt(this.#kernelTimer.armedNs);
  }

  // --- attached -------------------------------------------------------------------------------

  /** A change was written: it must reach the kernel before the runtime sleeps. */
  #changed(): void {
    if (this.#closed) return;
    if (!this.#running) this.#attachment?.soon();
    // The round that runs sees to it, unless its callback waits for just that.
    else this.#attachment?.meanwhile(this.#wokenNs);
  }

  /** Applies changes; then either something waits and gets a round of its own, or the loop sleeps. */
  #settle(): void {
    if (this.#running || !this.#attachment!.open() || this.#closed) return;
    if (this.#waiting === 0 && !this.#kernelKnows()) this.#guardedTurn();
    this.#settled();
  }

  /** Whether a wake-up was asked for, and nothing was changed since. */
  #kernelKnows(): boolean {
    return this.#asleep && !this.#sooner && this.queue.pending + this.#applied.length === 0;
  }

  /** Whether nothing is to do until somebody wakes us. */
  #idle(): boolean {
    // What cannot be had now is not asked for again and again.
    return (this.#kernelKnows() || this.#failing) &&
      this.#work + this.#waiting === 0 && !this.phases.fresh;
  }

  /** Goes back to the runtime: to sleep, or for one turn. */
  #settled(): void {
    this.#endDrive();
    this.#attachment!.setRef(this.#refs > 0);
    if (!this.#idle() && !this.#closed) this.#attachment!.later(this.alive);
  }

  #attendLater(): void {
    if (this.#closed) return;
    if (this.#running) this.#attachment?.meanwhile(this.#wokenNs);
    else this.#attachment?.later(this.alive);
  }

  /** The runtime called: round after round, until one brings nothing or it is enough. */
  #attend(woken: boolean): void {
    if (this.#closed || !woken && this.#idle()) return;
    // What callbacks start is told to the kernel by the rounds: nobody else opens the way back.
    this.#attachment!.open();
    this.#wokenNs = this.#kernelClock.now();
    // Whoever runs a round now learns from it that another one is wanted.
    this.#rouse(this.#wokenNs);
    if (this.#running && this.host.meanwhile === undefined) return;
    this.#guarded(true, () => {
      this.#failed = false;
      // Woken for a timer mostly: it need not wait for a native turn. Immediates come first, as they do
      // in a round.
      if (this.immediates.size + this.#resume === 0) this.#runTimers();
      for (let rounds = 0; rounds < ROUNDS_MAX && !this.#failed && !this.#closed; rounds++) {
        if (!this.#attachedRound()) break;
      }
    });
    this.#settled();
  }

  /** @returns Whether another round may follow before the runtime gets a turn. */
  #attachedRound(): boolean {
    const before = this.#events;
    const lingers = this.#driven !== undefined && this.#lingers > 0;
    if (lingers) this.#round(this.#lingerNs, 0);
    else this.#round(0, KEVENT_TURN_ARM);
    if (this.#events > before) this.#lingers = LINGERS_MAX;
    else if (lingers) this.#lingers--;
    return !lingers && !this.#idle() && this.host.checkpoint !== undefined;
  }

  /** Runs callbacks: for the runtime, or for somebody who called `run`. */
  #guarded(attending: boolean, body: () => void): void {
    const outer = this.#running;
    const before = this.#attending;
    const failed = this.#failed;
    this.#running = true;
    this.#attending = attending;
    // The way in if a callback waits in the runtime's loop; otherwise it comes for nothing.
    this.#attachment?.meanwhile(this.#wokenNs);
    try {
      // The runtime calls outside of any async context; who calls `run` may be in one.
      if (attending) body();
      else this.host.outside(body);
    } finally {
      this.#running = outer;
      this.#attending = before;
      this.#failed ||= outer && failed;
    }
  }

  #guardedTurn(timeoutNs = 0, flags: number = KEVENT_TURN_ARM): void {
    try {
      this.#turn(timeoutNs, flags);
    } catch (error) {
      this.#told(error);
    }
  }

  /** A turn of ours failed. Without its queue the loop ends; all else may be had in a while. */
  #told(error: unknown): void {
    if (error instanceof KeventError && error.code === "EBADF") {
      const detail = "somebody closed a descriptor that the queue is made of: the loop has ended";
      this.host.report(new KeventError("turn", error.syscall, error.code, detail));
      this.#gone ??= this.#end();
      return;
    }
    if (!this.#failing) this.host.report(error);
    this.#failing = true;
    this.#attachment!.retry();
  }
}

function checkMode(mode: string): void {
  if (mode === "default" || mode === "once" || mode === "nowait") return;
  const detail = `mode must be "default", "once" or "nowait", not ${String(mode)}`;
  throw new KeventError("run loop", "argument", "EINVAL", detail);
}
