import {
  KEVENT_REQ_ALWAYS_QUEUE,
  KEVENT_REQ_ONESHOT,
  KEVENT_TIMER,
  KEVENT_TIMER_ABSOLUTE,
  KEVENT_TIMER_FIRED,
} from "../ffi/abi.ts";
import { TIMER_NS_MAX } from "../ffi/record.ts";
import type { Queue } from "./queue.ts";
import type { Slot, Slots } from "./slots.ts";

/**
 * A wake-up costs some 15 us. Where many timers fire in each millisecond it is put off, so that it finds
 * more that are due: by so much for `CROWD_MAX` timers in a millisecond or more, and by less for fewer.
 */
const SPACING_NS_MAX = 1e6;
const CROWD_MAX = 64;
/** No more than so many in a millisecond are woken for one by one, however close they are. */
const CROWD_MIN = 8;

/** The one timer of a queue that stands for all timers of its loop: it waits for the first of them. */
export class KernelTimer {
  readonly #queue: Queue;
  readonly #slots: Slots;
  readonly #slot: Slot;
  #armedNs = Infinity;
  // It was, and would be again.
  #refused = false;

  /**
   * @param queue Where it is registered.
   * @param slots Where its events go through.
   * @param onFired Called when it has fired: it waits for nothing any more.
   * @param onRefused Called when the kernel refused it, for want of memory, say.
   */
  constructor(queue: Queue, slots: Slots, onFired: () => void, onRefused: () => void) {
    this.#queue = queue;
    this.#slots = slots;
    this.#slot = slots.open({
      onRecord: () => {
        this.#armedNs = Infinity;
        onFired();
      },
      onError: () => {
        this.#armedNs = Infinity;
        this.#refused = true;
        onRefused();
      },
    });
  }

  /** What it waits for; `Infinity` for nothing. */
  get armedNs(): number {
    return this.#armedNs;
  }

  /** After it was refused: what was wanting may be there by now. */
  again(): void {
    this.#refused = false;
  }

  /**
   * Waits for a deadline, from the next turn on.
   *
   * @param firstNs The deadline; `Infinity` for none.
   */
  arm(firstNs: number): void {
    const next = Math.ceil(firstNs);
    if (next === this.#armedNs || this.#refused) return;
    if (this.#armedNs !== Infinity) this.#remove();
    // Later than the library can say is never.
    this.#armedNs = next < TIMER_NS_MAX ? next : Infinity;
    if (this.#armedNs !== Infinity) this.#add();
  }

  /**
   * The same for a loop that has just been woken, and will be again: a deadline that is too early
   * stays, because it costs no more than one look, and wake-ups do not come too close to each other.
   *
   * @param firstNs The deadline; `Infinity` for none.
   * @param wokenNs When the loop was woken.
   * @param crowd How many timers fire in a millisecond.
   */
  armLoosely(firstNs: number, wokenNs: number, crowd: number): void {
    const spacingNs = crowd > CROWD_MIN ? SPACING_NS_MAX * Math.min(crowd / CROWD_MAX, 1) : 0;
    const next = Math.max(firstNs, wokenNs) + spacingNs;
    // What was due when the loop was woken has fired, though its record may not have been collected.
    const stands = next > this.#armedNs && this.#armedNs > wokenNs;
    if (!stands) this.arm(next);
  }

  #add(): void {
    const seconds = Math.floor(this.#armedNs / 1e9);
    const kinds = KEVENT_TIMER_FIRED | KEVENT_TIMER_ABSOLUTE;
    const flags = KEVENT_REQ_ONESHOT | KEVENT_REQ_ALWAYS_QUEUE;
    const { index, generation } = this.#slot;
    const rest = this.#armedNs - seconds * 1e9;
    this.#queue.add(KEVENT_TIMER, seconds, rest, kinds, flags, index, generation);
  }

  #remove(): void {
    const seconds = Math.floor(this.#armedNs / 1e9);
    const { index, generation } = this.#slot;
    this.#queue.remove(KEVENT_TIMER, seconds, this.#armedNs - seconds * 1e9, index, generation);
    this.#slots.renew(this.#slot);
  }
}
