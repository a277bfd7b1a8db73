import type { KeventError } from "../ffi/errors.ts";
import { brokenError, USER_0, USER_1 } from "../ffi/record.ts";
import type { Slots } from "./slots.ts";

/** A change that the queue refused. */
interface Refusal {
  readonly index: number;
  readonly generation: number;
  readonly error: KeventError;
}

/** What becomes of changes: who waits until they are applied, and who must be told of those that were refused. */
export class Changes {
  readonly #slots: Slots;
  readonly #waiting: (() => void)[] = [];
  // Told with the next events rather than in the midst of somebody's call.
  readonly #refusals: Refusal[] = [];

  /** @param slots Whose changes they are. */
  constructor(slots: Slots) {
    this.#slots = slots;
  }

  /** How many wait until changes are applied. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** How many were refused and not told yet. */
  get refused(): number {
    return this.#refusals.length;
  }

  /** Calls back once the changes written so far have been applied. */
  afterApply(callback: () => void): void {
    this.#waiting.push(callback);
  }

  /** They have been. */
  applied(): void {
    if (this.#waiting.length === 0) return;
    for (const callback of this.#waiting.splice(0)) callback();
  }

  /**
   * The queue refused one. Where the generation has moved on it was a removal, and what it named was
   * gone already: that is no news to anybody.
   *
   * @param words Memory of the record.
   * @param at Index of its first word.
   */
  refuse(words: Uint32Array, at: number): void {
    const index = words[at + USER_0]!;
    const generation = words[at + USER_1]!;
    if (this.#slots.tenant(index, generation) === undefined) return;
    this.#refusals.push({ index, generation, error: brokenError(words, at, "start") });
  }

  /**
   * Tells those whose changes were refused; what is refused meanwhile waits for the next round.
   *
   * @param call Calls a callback; whether the next may be called.
   */
  tell(call: (callback: () => void) => boolean): void {
    for (let left = this.#refusals.length; left > 0; left--) {
      const refusal = this.#refusals.shift();
      if (refusal === undefined || !call(() => this.#tellOf(refusal))) return;
    }
  }

  #tellOf({ index, generation, error }: Refusal): void {
    this.#slots.tenant(index, generation)?.onError(error);
  }
}
