import {
  KEVENT_CTL_TRIGGER,
  KEVENT_USER,
  KEVENT_USER_COPY,
  KEVENT_USER_TRIGGERED,
} from "../ffi/abi.ts";
import { checkWhole, KeventError, shown } from "../ffi/errors.ts";
import { Records, RET_DATA, RET_EXTRA } from "../ffi/record.ts";
import { bind } from "./host.ts";
import { Watcher } from "./watcher.ts";
import { Queue, type SharedQueue } from "./queue.ts";

/** The largest payload: 24 bits. */
const PAYLOAD_MAX = 0xffffff;

/** What another thread needs to trigger a user event: pass it through `postMessage`. */
export interface SharedTrigger {
  /** The queue. */
  readonly queue: SharedQueue;
  /** `user` of the registration. */
  readonly user: readonly [number, number];
}

/**
 * An event that scripts trigger, from this thread or from any other: S0-28, EVFILT_USER of kqueue(2).
 *
 * Triggers that come faster than the callback are merged into one call, which has the last payload.
 *
 * @example
 * ```ts
 * import { Loop, User } from "../adapters/mod.ts";
 *
 * using loop = new Loop();
 * const user = new User(loop);
 * const payload = await new Promise<number>((resolve) => user.start(resolve).trigger(42));
 * if (payload !== 42) throw new Error("payload was lost");
 * ```
 */
export class User extends Watcher {
  #callback: (payload: number, count: number) => void = () => {};

  /**
   * Starts it.
   *
   * @param callback Called with 24 bits of payload and the number of triggers merged into the call.
   * @returns This handle.
   */
  start(callback: (payload: number, count: number) => void): this {
    const bound = bind(this.loop.host, callback, "start user event");
    this.stop();
    this.#callback = bound;
    this.loop.add(this.slot, KEVENT_USER, 0, 0, KEVENT_USER_TRIGGERED, 0);
    // Other threads may trigger it as soon as they are told its name.
    this.loop.apply();
    this.setActive(true);
    return this;
  }

  /**
   * Triggers it from the thread of its loop.
   *
   * @param payload A whole number below 2^24. Default 0.
   * @returns This handle.
   * @throws {KeventError} EINVAL for another payload.
   */
  trigger(payload = 0): this {
    checkWhole(payload, 0, PAYLOAD_MAX, "trigger", "payload");
    this.loop.trigger(this.slot, 0, 0, KEVENT_USER_COPY | payload);
    return this;
  }

  /**
   * What another thread needs for `triggerShared`.
   *
   * @returns An object for `postMessage`, good until `stop` or `close`.
   */
  share(): SharedTrigger {
    return {
      queue: this.loop.queue.share(),
      user: [this.slot.index, this.slot.generation],
    };
  }

  /** Stops it; can be started again. */
  override stop(): void {
    if (!this.active) return;
    this.loop.remove(this.slot, KEVENT_USER, 0, 0);
    this.setActive(false);
  }

  protected override onRecord(words: Uint32Array, at: number): void {
    this.#callback(words[at + RET_DATA]!, words[at + RET_EXTRA]!);
  }
}

/**
 * Triggers a user event of a loop on another thread. S0-28.
 *
 * @example
 * ```ts
 * import { Loop, triggerShared, User } from "../adapters/mod.ts";
 *
 * using loop = new Loop();
 * const user = new User(loop);
 * const payload = await new Promise<number>((resolve) => {
 *   // As if from a Worker that got `user.share()` by `postMessage`.
 *   triggerShared(user.start(resolve).share(), 7);
 * });
 * if (payload !== 7) throw new Error("payload was lost");
 * ```
 *
 * @param shared What `User.share` gave there.
 * @param payload A whole number below 2^24. Default 0.
 * @throws {KeventError} ENOENT when it was stopped, EBADF when its loop was closed, EINVAL for what
 * `share` did not give.
 */
export function triggerShared(shared: SharedTrigger, payload = 0): void {
  checkWhole(payload, 0, PAYLOAD_MAX, "trigger", "payload");
  if (shared?.queue === undefined || shared.user === undefined) {
    const detail = `shared must be what share() gave, not ${shown(shared)}`;
    throw new KeventError("trigger user event", "argument", "EINVAL", detail);
  }
  using queue = new Queue({ adopt: shared.queue });
  const record = Records.of({
    type: KEVENT_USER,
    event: KEVENT_USER_COPY | payload,
    user: shared.user,
  });
  try {
    queue.ctl(KEVENT_CTL_TRIGGER, record);
    record.check("trigger");
  } catch (error) {
    throw reasoned(error);
  }
}

/** What happened there, which the words of the errno do not say. */
function reasoned(error: unknown): unknown {
  const code = error instanceof KeventError ? error.code : undefined;
  const detail = code === "EBADF"
    ? "its loop was closed, or its thread has ended"
    : code === "ENOENT"
    ? "it was stopped or closed there"
    : undefined;
  if (detail === undefined) return error;
  return new KeventError("trigger user event", "kevent_ctl", code!, detail);
}
