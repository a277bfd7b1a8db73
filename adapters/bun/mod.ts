/**
 * kevent in Bun, and Bun's timers on a loop of kevent.
 *
 * @module
 */
import { setRuntime } from "../../loop/host.ts";
import { host, library } from "./host.ts";
import { namespace, timers } from "./timers.ts";

setRuntime({ host, library });

export * from "../../loop/mod.ts";

/** The timers of `node:timers` in Bun: see `kevent/timers`. */
export const {
  setTimeout,
  setInterval,
  setImmediate,
  clearTimeout,
  clearInterval,
  clearImmediate,
} = timers;

/** As `Bun.sleep`: milliseconds, or a date. `kevent` has a `sleep` in nanoseconds. */
export const { sleep } = namespace;
