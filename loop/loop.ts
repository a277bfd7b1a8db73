import { KEVENT_CLOCK_WALL, KEVENT_REQ_ALWAYS_QUEUE, KEVENT_TURN_ARM } from "../ffi/abi.ts";
import { checkRange, KeventError } from "../ffi/errors.ts";
import type { Library } from "../ffi/library.ts";
import { Attendance } from "./attendance.ts";
import { Changes } from "./changes.ts";
import { type Clock, ManualClock } from "./clock.ts";
import { Drive } from "./drive.ts";
import type { Handle } from "./handle.ts";
import { currentRuntime, type Host, type Runtime } from "./host.ts";
import { Immediates } from "./immediates.ts";
import type { LoopMetrics } from "./metrics.ts";
import { Phases } from "./phases.ts";
import { Queue, type QueueInfo, type QueueOptions } from "./queue.ts";
import { RefCount } from "./ref_count.ts";
import { Round } from "./round.ts";
import { type Slot, Slots } from "./slots.ts";
import { Timers } from "./timers.ts";
import { Turns } from "./turns.ts";

/** How long a wait of a driven loop is, unless the caller says otherwise. */
const LINGER_NS_DEFAULT = 200e3;
/** The runtime's own events would be late by more. */
const LINGER_NS_MAX = 1e9;

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
  readonly phases: Phases = new Phases(() => this.#attendance?.later());
  /** All timers; for handles and adapters. */
  readonly timers: Timers;
  /** The date, in nanoseconds since 1970. */
  readonly wallClock: Clock;
  /** All immediates; for adapters. */
  readonly immediates: Immediates;
  readonly #changes = new Changes(this.slots);
  readonly #turns: Turns;
  readonly #round: Round;
  readonly #drive = new Drive();
  // None: only `run` moves it.
  readonly #attendance: Attendance | undefined;
  readonly #refs = new RefCount({
    retain: () => this.#changed(),
    release: () => this.#changed(),
  });
  readonly #handles = new Set<Handle>();
  readonly #kernelClock: Clock;
  readonly #permanent: boolean;
  #stopped = false;
  #closed = false;
  #gone: Promise<void> | undefined;

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
      onBroken: (words, at) => this.#changes.refuse(words, at),
    });
    this.#kernelClock = this.queue.clock();
    this.wallClock = this.queue.clock(KEVENT_CLOCK_WALL);
    this.timers = new Timers(host, this.#kernelClock, {
      retain: () => this.retain(),
      release: () => this.release(),
      sooner: () => this.#timerIsSooner(),
      fail: (error) => this.#round.fail(error),
    });
    this.immediates = new Immediates(host, {
      retain: () => this.retain(),
      release: () => this.release(),
      waiting: () => this.#attendance?.later(),
      fail: (error) => this.#round.fail(error),
    });
    const attached = options.attached ?? true;
    this.#turns = this.#makeTurns(attached);
    this.#round = this.#makeRound();
    if (attached) this.#attendance = this.#makeAttendance();
  }

  #makeTurns(attached: boolean): Turns {
    const parts = { ...this.#parts(), clock: this.#kernelClock, attached };
    return new Turns(parts, {
      report: (error) => this.host.report(error),
      retry: () => this.#attendance?.retry(),
      gone: () => void (this.#gone ??= this.#end()),
    });
  }

  #makeRound(): Round {
    const { phases, immediates } = this;
    const { words } = this.queue.ring!;
    return new Round({ ...this.#parts(), turns: this.#turns, phases, immediates, words }, {
      goesOn: () => this.#goesOn(),
      entered: () => this.#attendance?.meanwhile(),
    });
  }

  #makeAttendance(): Attendance {
    const [turns, round, drive] = [this.#turns, this.#round, this.#drive];
    return new Attendance({ ...this.#parts(), turns, round, drive }, {
      alive: () => this.alive,
      referenced: () => this.#refs.count > 0,
      paused: () => this.#endDrive(),
    });
  }

  /** What all that it is made of share. */
  #parts() {
    const { host, queue, slots, timers } = this;
    return { host, queue, slots, timers, changes: this.#changes };
  }

  // --- what it is -----------------------------------------------------------------------------

  /** Whether a ref'd handle, timer or immediate waits, or a `close` has not been told. */
  get alive(): boolean {
    return !this.#closed && this.#refs.count + this.#round.closing > 0;
  }

  /** Whether `close` was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Nanoseconds on the loop's clock, when the present round began; as `uv_now`. */
  get now(): number {
    return this.#turns.nowNs;
  }

  /** Reads the clock anew. @returns Nanoseconds. */
  updateTime(): number {
    return this.#turns.updateTime();
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
      idleNs: this.#turns.idleNs,
      turns: this.#turns.count,
      events: this.#round.events,
      timers: this.timers.fired,
      immediates: this.immediates.ran,
      ringHigh: this.#turns.ringHigh,
      losses: counters["inode_overflows"] ?? 0,
      delays: this.timers.delays.read(),
    };
  }

  /** @returns What the loop is and did. */
  info(): LoopInfo {
    const queue = this.queue.info();
    return {
      mode: this.#attendance !== undefined ? "attached" : "driven",
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
    this.#round.afterClose(callback);
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
    if (this.#closed || !this.#turns.pending) return;
    try {
      this.#turns.apply();
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
    this.#changes.afterApply(callback);
    this.#changed();
  }

  /** Counts a reason for the process to live. */
  retain(): void {
    this.#refs.retain();
  }

  /** Takes a reason back. */
  release(): void {
    this.#refs.release();
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
    this.#round.drive(() => {
      if (mode === "default" && this.#goesOn()) this.#round.runTimers();
      while (this.#goesOn()) {
        this.#round.take(mode === "nowait" ? 0 : Infinity, 0);
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
    if (this.#attendance === undefined) {
      throw new KeventError("drive loop", "drive", "EINVAL", "the loop is not attached: use run");
    }
    checkRange(lingerNs, 1, LINGER_NS_MAX, "drive loop", "lingerNs");
    if (this.#drive.active) {
      throw new KeventError("drive loop", "drive", "EBUSY", "it is driven already");
    }
    const driven = this.#drive.begin(lingerNs);
    this.#turns.rouse();
    this.#attendance.later();
    return driven;
  }

  /** Ends `run` or `drive` after the present round; before them, the next one. It can go on later. */
  stop(): void {
    this.#stopped = true;
    if (!this.#drive.active) return;
    this.#turns.rouse();
    this.#attendance?.later();
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
    const turns = this.#turns;
    if (turns.waiting === 0 && !turns.known) turns.take(0, KEVENT_TURN_ARM);
    return this.#round.idle;
  }

  #goesOn(): boolean {
    return this.alive && !this.#stopped && !this.#closed;
  }

  /** Ends `drive` when there is nothing more to drive. */
  #endDrive(): void {
    if (!this.#drive.active || this.#goesOn()) return;
    this.#stopped = false;
    this.#drive.end(this.alive);
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
      this.#changes.applied();
    }
    this.#closed = true;
    this.#refs.clear();
    this.#turns.end();
    this.#round.end();
    this.#leaveClock();
    this.timers.end();
    this.immediates.end();
    const letGo = this.#attendance?.close() ?? Promise.resolve();
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
    if (!this.#round.running) return;
    throw new KeventError(operation, "run", "EBUSY", "a callback of this loop is running");
  }

  // --- news -----------------------------------------------------------------------------------

  /** A change was written: whoever moves the loop must know. */
  #changed(): void {
    if (!this.#closed) this.#attendance?.changed();
  }

  #timerIsSooner(): void {
    this.#turns.sooner();
    this.#changed();
  }

  /** A manual clock has moved. */
  #fire(): number {
    let count = 0;
    this.#round.drive(() => {
      count = this.#round.runTimers();
    });
    if (!this.#closed) this.#changed();
    return count;
  }
}

function checkMode(mode: string): void {
  if (mode === "default" || mode === "once" || mode === "nowait") return;
  const detail = `mode must be "default", "once" or "nowait", not ${String(mode)}`;
  throw new KeventError("run loop", "argument", "EINVAL", detail);
}
