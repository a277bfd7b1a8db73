import { Loop } from "./loop.ts";

let made: Loop | undefined;

/**
 * The loop of this thread: attached to the runtime's, and made when it is asked for the first time. As
 * `uv_default_loop`.
 * It cannot be closed, because all of the thread use it.
 *
 * @returns It.
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
  return made ??= new Loop({ permanent: true });
}
