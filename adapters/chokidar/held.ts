import type { Loop } from "../../loop/loop.ts";
import { Timer } from "../../loop/timer.ts";

/** One thing that is held. */
interface Entry<Item> {
  readonly item: Item;
  readonly dueNs: number;
}

/**
 * Things that are held by name for a while, all for the same time: so they are due in the order in which they came,
 * and one timer is enough.
 */
export class Held<Item> {
  readonly #timer: Timer;
  readonly #delayMs: number;
  readonly #release: (name: string, item: Item) => void;
  readonly #entries = new Map<string, Entry<Item>>();

  /**
   * @param loop Whose timer it is. It does not keep the process alive.
   * @param delayMs How long things are held.
   * @param release Called with what was held so long.
   */
  constructor(loop: Loop, delayMs: number, release: (name: string, item: Item) => void) {
    this.#timer = new Timer(loop).unref();
    this.#delayMs = delayMs;
    this.#release = release;
  }

  get(name: string): Item | undefined {
    return this.#entries.get(name)?.item;
  }

  /** Holds something from now on; what had the name is let go. */
  hold(name: string, item: Item): void {
    const { clock } = this.#timer.loop.timers;
    // At the end, also if the name is there already.
    this.#entries.delete(name);
    this.#entries.set(name, { item, dueNs: clock.now() + this.#delayMs * 1e6 });
    if (!this.#timer.active) this.#timer.start(() => this.#pass(), this.#delayMs);
  }

  /** @returns What was held, which is not any more. */
  take(name: string): Item | undefined {
    const item = this.get(name);
    this.#entries.delete(name);
    return item;
  }

  /** Lets all go, and ends. */
  close(): void {
    this.#entries.clear();
    this.#timer.close();
  }

  #pass(): void {
    const nowNs = this.#timer.loop.timers.clock.now();
    for (const [name, { item, dueNs }] of this.#entries) {
      if (dueNs > nowNs) {
        this.#timer.start(() => this.#pass(), (dueNs - nowNs) / 1e6);
        return;
      }
      this.#entries.delete(name);
      this.#release(name, item);
    }
  }
}
