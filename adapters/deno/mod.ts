/**
 * kevent in Deno, and Deno's timers and `Deno.watchFs` on a loop of kevent.
 *
 * @module
 */
import { setRuntime } from "../../loop/host.ts";
import { host, library } from "./host.ts";
import { namespace, timers } from "./timers.ts";

export { type FsEvent, type FsWatcher, watchFs, type WatchFsOptions } from "./watch_fs.ts";

setRuntime({ host, library });

export * from "../../loop/mod.ts";

/** The timers of `node:timers` in Deno: see `kevent/timers`. */
export const {
  setTimeout,
  setInterval,
  setImmediate,
  clearTimeout,
  clearInterval,
  clearImmediate,
} = timers;

/**
 * As `Deno.refTimer` and `Deno.unrefTimer`: of these timers, by object or number, and of those of `setTimer`
 * on the loop of the thread. `kevent` has functions that take another loop.
 */
export const { refTimer, unrefTimer } = namespace;
