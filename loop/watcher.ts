import type { KeventError } from "../ffi/errors.ts";
import { Handle } from "./handle.ts";
import { bind } from "./host.ts";
import type { Loop } from "./loop.ts";
import type { Slot } from "./slots.ts";

/** A handle whose events come through the queue. */
export abstract class Watcher extends Handle {
  #onError: ((error: KeventError) => void) | undefined;
  #boundOnError: ((error: KeventError) => void) | undefined;
  readonly #slot: Slot;

  /**
   * @param loop The loop it belongs to.
   * @throws {KeventError} EBADF when the loop was closed.
   */
  constructor(loop: Loop) {
    super(loop);
    this.#slot = loop.slots.open({
      onRecord: (words, at) => this.onRecord(words, at),
      onError: (error) => this.#fail(error as KeventError),
    });
  }

  /** Called when the kernel refuses what was asked for; without it, the error is uncaught. */
  get onError(): ((error: KeventError) => void) | undefined {
    return this.#onError;
  }

  /** It gets the async context of the moment in which it is set. */
  set onError(callback: ((error: KeventError) => void) | undefined) {
    const { host } = this.loop;
    this.#boundOnError = callback && bind(host, (error) => callback(error), "set onError");
    this.#onError = callback;
  }

  /** Called with each event of the present generation. */
  protected abstract onRecord(words: Uint32Array, at: number): void;

  /** The place in the loop: `user` of the registrations of this handle. */
  protected get slot(): Slot {
    this.checkOpen("use handle");
    return this.#slot;
  }

  protected override onClose(): void {
    this.loop.slots.free(this.#slot);
  }

  /** Tells `onError`, or throws. */
  protected tellError(error: KeventError): void {
    if (this.#boundOnError === undefined) throw error;
    this.#boundOnError(error);
  }

  #fail(error: KeventError): void {
    this.setActive(false);
    this.tellError(error);
  }
}
