import { Loop } from "./loop.ts";

let made: Loop | undefined;

/**
 * The loop of this thread: attached to the runtime's, and made when it is asked for the first time.
 *
 * @returns It; a new one after it was closed.
 * @throws {KeventError} As of `Loop`.
 *
 * @example
 * ```ts
 * import { defaultLoop } from "../adapters/mod.ts";
 *
 * if (defaultLoop() !== defaultLoop()) throw new Error("one for each thread");
 * ```
 */
export function defaultLoop(): Loop {
  if (made === undefined || made.closed) made = new Loop();
  return made;
}
