import { Handle } from "./handle.ts";
import { bind } from "./host.ts";
import type { Loop } from "./loop.ts";

/** The handles that are called in one phase of each round, in the order of their start. */
export class Phase {
  // Mostly a `PhaseHandle`; some are parts of the loop that nobody else sees.
  readonly #callbacks = new Map<object, () => void>();
  // Those that a stop left out: their turn is first.
  #left: [object, () => void][] = [];
  readonly #onAdded: () => void;

  /** @param onAdded Called when there is one more. */
  constructor(onAdded: () => void) {
    this.#onAdded = onAdded;
  }

  /** Handles that are active. */
  get size(): number {
    return this.#callbacks.size;
  }

  /** Adds a handle, at the end. */
  add(handle: object, callback: () => void): void {
    const before = this.size;
    this.#callbacks.set(handle, callback);
    if (this.size > before) this.#onAdded();
  }

  /** Takes a handle out. */
  delete(handle: object): void {
    this.#callbacks.delete(handle);
  }

  /**
   * Calls those that are active now. One that an earlier one stops is not called, and one that it
   * starts has to wait for the next round.
   *
   * @param call Calls a callback; whether the next may be called. Otherwise they wait for the next round.
   */
  run(call: (callback: () => void) => boolean): void {
    if (this.#callbacks.size === 0) return;
    const due = this.#left.length > 0 ? this.#left : [...this.#callbacks];
    this.#left = [];
    for (const [index, [handle, callback]] of due.entries()) {
      if (this.#callbacks.get(handle) !== callback || call(callback)) continue;
      this.#left = due.slice(index + 1);
      return;
    }
  }
}

/** A handle that is called once in each round of its loop. */
export abstract class PhaseHandle extends Handle {
  readonly #phase: Phase;

  /**
   * @param loop The loop it belongs to.
   * @param phase Where in the round.
   */
  constructor(loop: Loop, phase: Phase) {
    super(loop);
    this.#phase = phase;
  }

  /**
   * Starts it. Starting an active one changes nothing, not even the callback.
   *
   * @param callback Called in each round.
   * @returns This handle.
   * @throws {KeventError} EBADF when it or its loop was closed.
   */
  start(callback: () => void): this {
    this.checkOpen("start handle");
    this.loop.checkOpen("start handle");
    if (this.active) return this;
    const bound = bind(this.loop.host, callback, "start handle");
    this.setActive(true);
    // A function of this start alone, which tells it from an earlier one.
    this.#phase.add(this, () => bound());
    return this;
  }

  /** Stops it; can be started again. */
  override stop(): void {
    if (!this.active) return;
    this.#phase.delete(this);
    this.setActive(false);
  }
}
