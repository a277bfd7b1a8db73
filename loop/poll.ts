import { KEVENT_POLL, KEVENT_REQ_ONESHOT } from "../ffi/abi.ts";
import { checkWhole } from "../ffi/errors.ts";
import { EVENT } from "../ffi/record.ts";
import { bind } from "./host.ts";
import { Watcher } from "./watcher.ts";
import type { Loop } from "./loop.ts";

/**
 * Watches any descriptor that `poll` can watch: poll(2), S4-2.
 *
 * The descriptor stays the caller's: stop or close the handle before closing it.
 *
 * @example A queue is a descriptor, readable while events wait
 * ```ts
 * import {
 *   KEVENT_POLL_IN,
 *   KEVENT_REQ_ALWAYS_QUEUE,
 *   KEVENT_REQ_ONESHOT,
 *   KEVENT_TIMER,
 *   KEVENT_TIMER_FIRED,
 *   Loop,
 *   Poll,
 *   Queue,
 * } from "../adapters/mod.ts";
 *
 * using loop = new Loop();
 * using other = new Queue({ single: false });
 * const flags = KEVENT_REQ_ONESHOT | KEVENT_REQ_ALWAYS_QUEUE;
 * other.add(KEVENT_TIMER, 0, 1_000_000, KEVENT_TIMER_FIRED, flags, 1, 0);
 * other.apply();
 * const poll = new Poll(loop, other.fd);
 * const event = await new Promise<number>((resolve) => {
 *   poll.start(KEVENT_POLL_IN, resolve, KEVENT_REQ_ONESHOT);
 * });
 * if ((event & KEVENT_POLL_IN) === 0) throw new Error("not readable");
 * ```
 */
export class Poll extends Watcher {
  /** The descriptor. */
  readonly fd: number;
  #callback: (event: number) => void = () => {};
  #once = false;

  /**
   * @param loop The loop it belongs to.
   * @param fd The descriptor.
   * @throws {KeventError} EINVAL when `fd` is no descriptor number.
   */
  constructor(loop: Loop, fd: number) {
    checkWhole(fd, 0, 0x7fffffff, "make poll", "fd, the number of a descriptor,");
    super(loop);
    this.fd = fd;
  }

  /**
   * Starts it, or starts it anew with other bits.
   *
   * @param event Bits of poll(2): `KEVENT_POLL_IN`, `KEVENT_POLL_OUT`, ...; ERR and HUP always come.
   * @param callback Called with the bits that hold, as long as they hold.
   * @param reqFlags `KEVENT_REQ_ET` to be called on changes only, `KEVENT_REQ_ONESHOT`. Default 0.
   * @returns This handle.
   */
  start(event: number, callback: (event: number) => void, reqFlags = 0): this {
    const bound = bind(this.loop.host, callback, "start poll");
    this.stop();
    this.#callback = bound;
    this.#once = (reqFlags & KEVENT_REQ_ONESHOT) !== 0;
    this.loop.add(this.slot, KEVENT_POLL, this.fd, 0, event, reqFlags);
    this.setActive(true);
    return this;
  }

  /** Stops it; can be started again. */
  override stop(): void {
    if (!this.active) return;
    this.loop.remove(this.slot, KEVENT_POLL, this.fd, 0);
    this.setActive(false);
  }

  protected override onRecord(words: Uint32Array, at: number): void {
    // Gone from the queue.
    if (this.#once) this.setActive(false);
    this.#callback(words[at + EVENT]!);
  }
}
