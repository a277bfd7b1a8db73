import { KeventError, shown } from "../ffi/errors.ts";
import type { Loop } from "./loop.ts";

/**
 * What all handles have in common: a say in how long the process lives, and an end. As `uv_handle_t`.
 *
 * A handle is *active* while it waits for something; the process lives while an active handle is
 * ref'd. Handles start ref'd.
 */
export abstract class Handle implements Disposable {
  /** The loop it belongs to. */
  readonly loop: Loop;
  #active = false;
  #ref = true;
  #closed = false;

  /**
   * @param loop The loop it belongs to.
   * @throws {KeventError} EINVAL for what is no loop, EBADF for one that was closed.
   */
  constructor(loop: Loop) {
    checkLoop(loop, "make handle");
    this.loop = loop;
    loop.enter(this);
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

  /**
   * Stops for good. No callback runs afterwards, not even for what happened already, but the one
   * that is given here.
   *
   * @param onClosed Called in the closing phase of the next round. Default: nobody.
   */
  close(onClosed?: () => void): void {
    if (this.#closed) return;
    this.stop();
    // A connection that stops closes itself, and by now its place may be somebody else's.
    if (!this.#closed) {
      this.#closed = true;
      this.onClose();
      this.loop.leave(this);
    }
    if (onClosed !== undefined) this.loop.afterClose(onClosed);
  }

  /** The same as `close`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Stops waiting; can be started again. */
  abstract stop(): void;

  /** The loop has ended: gives back what it holds of the system, and calls nobody. */
  letGo(): void {}

  /** Gives back what it holds of the loop. It was stopped. */
  protected onClose(): void {}

  /** Whoever is closed has no place any more: what it asks for would come to the next tenant. */
  protected checkOpen(operation: string): void {
    if (this.#closed) throw new KeventError(operation, "handle", "EBADF", "it was closed");
  }

  /** Says whether it waits for something. */
  protected setActive(active: boolean): void {
    if (active === this.#active) return;
    this.#active = active;
    if (!this.#ref) return;
    if (active) this.loop.retain();
    else this.loop.release();
  }
}

/**
 * Checks that a loop is one.
 *
 * @param loop What was given.
 * @param operation What was tried, in words that follow "Cannot".
 * @throws {KeventError} EINVAL when it is none.
 */
export function checkLoop(loop: unknown, operation: string): void {
  if (typeof (loop as Loop | null | undefined)?.enter === "function") return;
  throw new KeventError(operation, "argument", "EINVAL", `loop must be a Loop, not ${shown(loop)}`);
}
