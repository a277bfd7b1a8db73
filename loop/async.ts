import { checkFunction } from "../ffi/errors.ts";
import type { Loop } from "./loop.ts";
import { type SharedTrigger, triggerShared, User } from "./user.ts";

/**
 * Wakes its loop, from this thread or from any other. As `uv_async_t`: active from the start, and
 * what is sent faster than the callback runs becomes one call. `User` carries a payload besides.
 *
 * @example
 * ```ts
 * import { Async, Loop } from "../adapters/mod.ts";
 *
 * using loop = new Loop();
 * await new Promise<void>((resolve) => {
 *   const async = new Async(loop, () => resolve(async.close()));
 *   async.send();
 * });
 * ```
 */
export class Async extends User {
  /**
   * @param loop The loop it belongs to.
   * @param callback Called on the loop's thread.
   * @throws {KeventError} EINVAL when `callback` is no function, EBADF when the loop was closed.
   */
  constructor(loop: Loop, callback: () => void) {
    checkFunction(callback, "make async");
    super(loop);
    this.start(() => callback());
  }

  /** Makes the loop call back soon. @returns This handle. */
  send(): this {
    return this.trigger();
  }
}

/**
 * Makes the loop of another thread call back soon.
 *
 * @param shared What `Async.share` gave there.
 * @throws {KeventError} ENOENT when it was closed, EBADF when its loop was closed.
 *
 * @example
 * ```ts
 * import { Async, Loop, sendShared } from "../adapters/mod.ts";
 *
 * using loop = new Loop();
 * await new Promise<void>((resolve) => {
 *   // As if from a Worker that got `async.share()` by `postMessage`.
 *   sendShared(new Async(loop, resolve).share());
 * });
 * ```
 */
export function sendShared(shared: SharedTrigger): void {
  triggerShared(shared);
}
