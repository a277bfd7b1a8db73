import { KeventError } from "../ffi/errors.ts";
import type { Loop, Slot } from "./loop.ts";

/**
 * What all handles have in common: a slot of the loop, and a say in how long the process lives.
 *
 * A handle is *active* while it waits for something; the process lives while an active handle is
 * ref'd. Handles start ref'd.
 */
export abstract class Handle implements Disposable {
  /** The loop it belongs to. */
  readonly loop: Loop;
  /** Called when the kernel refuses what was asked for; without it, the error is uncaught. */
  onError: ((error: KeventError) => void) | undefined;
  readonly #slot: Slot;
  #active = false;
  #ref = true;
  #closed = false;

  /** @param loop The loop it belongs to. */
  constructor(loop: Loop) {
    this.loop = loop;
    this.#slot = loop.open(
      (words, at) => this.onRecord(words, at),
      (error) => this.#fail(error),
    );
  }

  /** Keeps the process alive while active. @returns This handle. */
  ref(): this {
    if (!this.#ref && this.#active) this.loop.retain();
    this.#ref = true;
    return this;
  }

  /** Lets the process end while active. @returns This handle. */
  unref(): this {
    if (this.#ref && this.#active) this.loop.release();
    this.#ref = false;
    return this;
  }

  /** @returns Whether it keeps the process alive while active. */
  hasRef(): boolean {
    return this.#ref;
  }

  /** Whether it waits for something. */
  get active(): boolean {
    return this.#active;
  }

  /** Whether `close` was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Stops for good. No callback runs afterwards, not even for what happened already. */
  close(): void {
    if (this.#closed) return;
    this.stop();
    // A connection that stops closes itself, and by now its place may be somebody else's.
    if (this.#closed) return;
    this.#closed = true;
    this.loop.free(this.#slot);
  }

  /** The same as `close`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Stops waiting; can be started again. */
  abstract stop(): void;

  /** Called with each event of the present generation. */
  protected abstract onRecord(words: Uint32Array, at: number): void;

  /** The place in the loop: `user` of the registrations of this handle. */
  protected get slot(): Slot {
    // Whoever is closed has no place any more: what it asks for would come to the next tenant.
    if (this.#closed) throw new KeventError("use handle", "handle", "EBADF", "it was closed");
    return this.#slot;
  }

  /** Says whether it waits for something. */
  protected setActive(active: boolean): void {
    if (active === this.#active) return;
    this.#active = active;
    if (!this.#ref) return;
    if (active) this.loop.retain();
    else this.loop.release();
  }

  #fail(error: KeventError): void {
    this.setActive(false);
    if (this.onError === undefined) throw error;
    this.onError(error);
  }
}
