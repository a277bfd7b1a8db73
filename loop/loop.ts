import { KEVENT_REQ_ALWAYS_QUEUE, KEVENT_RET_BROKEN, KEVENT_TURN_ARM } from "../ffi/abi.ts";
import { KeventError } from "../ffi/errors.ts";
import type { Library } from "../ffi/library.ts";
import { brokenError, RET_FLAGS, USER_0, USER_1 } from "../ffi/record.ts";
import type { RingReader } from "../ffi/ring.ts";
import { currentRuntime, type Host, type Runtime, type Wake } from "./host.ts";
import { Queue, type QueueOptions } from "./queue.ts";

/**
 * Turns taken in a row before the runtime gets one of its own. Fewer, and busy loops pay the
 * runtime's turn too often; more, and its own timers and sockets starve behind ours.
 */
const TURNS_MAX = 8;

/** Until a wake-up that could not be opened, for want of descriptors, is tried again. */
const WAKE_RETRY_MS = 100;

// Captured at load: a program may replace it, also by ours.
const { setTimeout } = globalThis;

/** How `run` ends: when nothing is alive, after one wait, or without waiting. */
export type RunMode = "default" | "once" | "nowait";

/** How a loop is made. */
export interface LoopOptions extends Omit<QueueOptions, "onBroken" | "adopt" | "single"> {
  /**
   * Whether the runtime's own loop wakes it (`true`), or only `run` moves it. Default `true`.
   */
  readonly attached?: boolean;
  /** Host and library. Default: those of the runtime that imported kevent. */
  readonly runtime?: Runtime;
}

/** A handle's place in the loop: `user[0]` of its registrations. */
export interface Slot {
  /** Index of the slot. */
  readonly index: number;
  /** `user[1]` of its registrations; changes with each `renew`, and what is older is dropped. */
  generation: number;
}

/** A change that the queue refused. */
interface Broken {
  readonly index: number;
  readonly generation: number;
  readonly error: KeventError;
}

/** What a handle holds of the system besides its place in the queue. */
export interface Holding {
  /** The loop has ended: give it back, and call nobody. */
  letGo(): void;
}

type OnRecord = (words: Uint32Array, at: number) => void;
type OnError = (error: KeventError) => void;

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
export class Loop implements Disposable {
  /** The queue below. Its `user` words belong to the loop. */
  readonly queue: Queue;
  /** What the runtime offers. */
  readonly host: Host;
  /** The native library. */
  readonly library: Library;
  readonly #attached: boolean;
  readonly #ring: RingReader;
  readonly #slots: (Slot | undefined)[] = [];
  readonly #onRecord: (OnRecord | undefined)[] = [];
  readonly #onError: (OnError | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  // Run once the changes written so far are applied.
  readonly #applied: (() => void)[] = [];
  // Descriptors of handles that nobody closed must not outlive the loop.
  readonly #holdings = new Set<Holding>();
  // Errors of changes, told with the next events rather than in the midst of somebody's call.
  readonly #broken: Broken[] = [];
  readonly #wakeUp: () => void;
  // No wake-up could be opened yet, and that was told.
  #deaf = false;
  #wake: Wake | undefined;
  #wakeFd = -1;
  #refs = 0;
  // Records in the ring that `consume` has not seen, as the last turn counted them.
  #waiting = 0;
  // Whether a wake-up byte was asked for and nothing was there.
  #asleep = false;
  #scheduled = false;
  #running = false;
  #stopped = false;
  #closed = false;

  /**
   * @param options How to make it.
   * @throws {KeventError} As of `Queue`.
   */
  constructor(options: LoopOptions = {}) {
    const { host, library } = options.runtime ?? currentRuntime();
    this.host = host;
    this.library = library;
    this.#attached = options.attached ?? true;
    this.queue = new Queue({
      library,
      ...options,
      single: true,
      onBroken: (words, at) => this.#refused(words, at),
    });
    if (this.queue.ring === undefined) {
      this.queue.close();
      throw new KeventError("make loop", "argument", "EINVAL", "a loop needs a ring in its memory");
    }
    this.#ring = this.queue.ring;
    this.#wakeUp = () => this.#attend();
  }

  /** Whether a ref'd handle is active. */
  get alive(): boolean {
    return this.#refs > 0;
  }

  /** Whether `close` was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Opens a place for a handle.
   *
   * @param onRecord Called with each event whose `user` is the slot's index and generation: the
   * memory and the index of the record's first word, valid during the call.
   * @param onError Called when the kernel refuses one of its changes.
   * @returns The slot.
   * @throws {KeventError} EBADF after `close`.
   */
  open(onRecord: OnRecord, onError: OnError): Slot {
    this.#checkOpen("open handle");
    const index = this.#freeSlots.pop() ?? this.#slots.length;
    // The generation goes on where the last tenant stopped: its late events must not match.
    const slot = this.#slots[index] ?? { index, generation: 0 };
    this.#slots[index] = slot;
    this.renew(slot);
    this.#onRecord[index] = onRecord;
    this.#onError[index] = onError;
    return slot;
  }

  /**
   * Starts a new generation: events of older registrations are dropped.
   *
   * @param slot The handle's place.
   */
  renew(slot: Slot): void {
    slot.generation = (slot.generation + 1) >>> 0;
  }

  /**
   * Gives a place back. Its registrations must have been removed.
   *
   * @param slot The handle's place.
   */
  free(slot: Slot): void {
    if (this.#onRecord[slot.index] === undefined) return;
    this.renew(slot);
    this.#onRecord[slot.index] = undefined;
    this.#onError[slot.index] = undefined;
    this.#freeSlots.push(slot.index);
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
    this.#checkOpen("start handle");
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
    this.#checkOpen("change handle");
    const flags = reqFlags | KEVENT_REQ_ALWAYS_QUEUE;
    this.queue.modify(type, id0, id1, event, flags, slot.index, slot.generation);
    this.#changed();
  }

  /** Stops watching and drops events that wait. Parameters as of `add`. */
  remove(slot: Slot, type: number, id0: number, id1: number): void {
    if (this.#closed) return;
    this.queue.remove(type, id0, id1, slot.index, slot.generation);
    this.renew(slot);
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
    this.#checkOpen("start handle");
    const { index, generation } = slot;
    const watch = this.queue.addInode(path, event, KEVENT_REQ_ALWAYS_QUEUE, index, generation);
    this.#changed();
    return watch;
  }

  /** Triggers a user event of a handle, from the next turn on. Parameters as of `add`. */
  trigger(slot: Slot, id0: number, id1: number, event: number): void {
    this.#checkOpen("trigger");
    this.queue.trigger(id0, id1, event, slot.index, slot.generation);
    this.#changed();
  }

  /** Applies the changes written so far, at once. */
  apply(): void {
    if (this.#closed || this.queue.pending + this.#applied.length === 0) return;
    this.#waiting = this.queue.apply();
    // The library takes any turn for being awake, so the wake-up must be asked for again.
    this.#asleep = false;
    this.#tellApplied();
    this.#changed();
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

  /**
   * Ties something to the end of the loop, until `unhold`.
   *
   * @param holding What must let go when the loop ends.
   */
  hold(holding: Holding): void {
    this.#holdings.add(holding);
  }

  /** Ends what `hold` began. */
  unhold(holding: Holding): void {
    this.#holdings.delete(holding);
  }

  /** Counts a reason for the process to live. */
  retain(): void {
    if (++this.#refs !== 1) return;
    if (this.#wake === undefined) this.#changed();
    else this.#wake.ref();
  }

  /** Takes a reason back. */
  release(): void {
    if (--this.#refs === 0) this.#wake?.unref();
  }

  /**
   * Moves the loop by hand, blocking. The runtime's own timers and sockets wait meanwhile.
   *
   * @param mode `"default"` until no ref'd handle is active or `stop` is called, `"once"` for one
   * wait, `"nowait"` for what is ready now. Default `"default"`.
   * @returns Whether a ref'd handle is still active.
   * @throws {KeventError} EBUSY from within a callback, EBADF after `close`.
   */
  run(mode: RunMode = "default"): boolean {
    this.#checkOpen("run loop");
    if (this.#running) {
      throw new KeventError("run loop", "run", "EBUSY", "a callback of this loop is running");
    }
    this.#stopped = false;
    do this.#round(mode !== "nowait"); while (mode === "default" && this.#goesOn());
    if (!this.#closed) this.#changed();
    return this.alive;
  }

  #goesOn(): boolean {
    return this.alive && !this.#stopped && !this.#closed;
  }

  #round(mayWait: boolean): void {
    this.#guarded(() => {
      const idle = this.#waiting === 0 && this.#broken.length === 0;
      this.#turn(mayWait && idle && this.alive ? -1 : 0, 0);
      this.#dispatch(this.#waiting);
    });
  }

  /** Ends `run` after the round that runs now. */
  stop(): void {
    this.#stopped = true;
  }

  /** Ends the loop: no callback runs afterwards, and nothing of it keeps the process alive. */
  close(): void {
    if (this.#closed) return;
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
    this.#wake?.close();
    this.queue.close();
    for (const holding of this.#holdings) holding.letGo();
    this.#holdings.clear();
  }

  /** The same as `close`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #checkOpen(operation: string): void {
    if (this.#closed) throw new KeventError(operation, "loop", "EBADF", "the loop is closed");
  }

  /**
   * Opens what the runtime wakes us by. Only in a turn of our own: Bun drains the microtasks on
   * the way, those of the caller too, and with them this very method.
   */
  #openWake(): void {
    if (this.#wakeFd >= 0) return;
    this.#wakeFd = this.queue.openWake();
    this.#wake = this.host.wake(this.#wakeFd, this.#wakeUp);
    if (this.#closed) this.#wake.close();
    else if (this.#refs > 0) this.#wake.ref();
  }

  /** Without a descriptor for it nothing could wake us: told once, tried again until there is one. */
  #openWakeOrRetry(): boolean {
    try {
      this.#openWake();
      return true;
    } catch (error) {
      if (!this.#deaf) this.host.report(error);
      this.#deaf = true;
      setTimeout(() => this.#changed(), WAKE_RETRY_MS);
      return false;
    }
  }

  /** A change was written: it must reach the kernel before the runtime sleeps. */
  #changed(): void {
    if (!this.#attached || this.#running || this.#scheduled) return;
    this.#scheduled = true;
    this.host.microtask(() => {
      this.#scheduled = false;
      if (!this.#closed && !this.#running) this.#settle();
    });
  }

  /** Applies changes; then either events wait and get a turn of their own, or the loop sleeps. */
  #settle(): void {
    if (!this.#openWakeOrRetry()) return;
    if (this.#waiting === 0) this.#turnOrReport();
    if (!this.#asleep) this.#attendLater();
  }

  #attendLater(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.host.macrotask(() => {
      this.#scheduled = false;
      this.#attend();
    }, this.alive);
  }

  /** The runtime woke us: dispatch, turn after turn, until one brings nothing or it is enough. */
  #attend(): void {
    if (this.#closed || this.#running) return;
    this.#guarded(() => {
      for (let turns = 0; turns < TURNS_MAX && !this.#closed; turns++) {
        if (this.#waiting === 0) this.#turnOrReport();
        if (this.#asleep || !this.#dispatchSome()) return;
      }
    });
    if (!this.#asleep && !this.#closed) this.#attendLater();
  }

  /** @returns Whether another turn may follow before the runtime gets one. */
  #dispatchSome(): boolean {
    // Without a checkpoint only the runtime's own turn drains microtasks between two callbacks.
    const checkpoint = this.host.checkpoint !== undefined;
    this.#dispatch(checkpoint ? this.#waiting : Math.min(this.#waiting, 1));
    return checkpoint;
  }

  #guarded(body: () => void): void {
    this.#running = true;
    try {
      body();
    } finally {
      this.#running = false;
    }
  }

  #turnOrReport(): void {
    try {
      this.#turn(0, KEVENT_TURN_ARM);
    } catch (error) {
      // The queue is gone; nothing will come any more.
      this.#asleep = true;
      this.host.report(error);
    }
  }

  #turn(timeoutNs: number, flags: number): void {
    this.#waiting = this.queue.turn(timeoutNs, flags);
    // Armed only when nothing came; and errors must be told before the sleep.
    this.#asleep = flags === KEVENT_TURN_ARM && this.#waiting + this.#broken.length === 0;
    if (this.#applied.length > 0) this.#tellApplied();
  }

  #tellApplied(): void {
    for (const callback of this.#applied.splice(0)) callback();
  }

  /**
   * Hands records to their handles. The queue reuses their slots with the next turn, not before,
   * so a handle may read its record until it returns.
   */
  #dispatch(count: number): void {
    if (this.#broken.length > 0) this.#tellBroken();
    const ring = this.#ring;
    const { words } = ring;
    const { checkpoint } = this.host;
    for (let left = count; left > 0 && !this.#closed; left--) {
      const at = ring.consume();
      this.#waiting--;
      const index = words[at + USER_0]!;
      if (this.#slots[index]?.generation !== words[at + USER_1]) continue;
      try {
        if ((words[at + RET_FLAGS]! & KEVENT_RET_BROKEN) === 0) this.#onRecord[index]?.(words, at);
        else this.#onError[index]?.(brokenError(words, at, "watch"));
      } catch (error) {
        this.host.report(error);
      }
      checkpoint?.();
    }
  }

  /**
   * The queue refused a change. Where the generation has moved on it was a removal, and what it
   * named was gone already: that is no news to anybody.
   */
  #refused(words: Uint32Array, at: number): void {
    const index = words[at + USER_0]!;
    const generation = words[at + USER_1]!;
    if (this.#slots[index]?.generation !== generation) return;
    this.#broken.push({ index, generation, error: brokenError(words, at, "start") });
  }

  #tellBroken(): void {
    for (const { index, generation, error } of this.#broken.splice(0)) {
      if (this.#slots[index]?.generation !== generation) continue;
      try {
        this.#onError[index]?.(error);
      } catch (thrown) {
        this.host.report(thrown);
      }
      this.host.checkpoint?.();
    }
  }
}
