/**
 * A program that only waits, for `bench/idle.mjs` to look at from outside: with a loop that has as
 * many idle registrations as the argument says, or the bare runtime with 0.
 */

import process from "node:process";
import type { Poll as PollHandle, Timer as TimerHandle } from "../adapters/mod.ts";
import { openHelper } from "./helper.ts";

const registrations = Number(process.argv[2]);
const handles: (PollHandle | TimerHandle)[] = [];
let backend = "";

// The bare runtime must not even load kevent.
if (registrations > 0) {
  const { KEVENT_POLL_IN, Loop, Poll, Timer } = await import("../adapters/mod.ts");
  const helper = await openHelper();
  helper.bench_raise_limit();
  const loop = new Loop();
  backend = String(loop.queue.info().backend);
  // Half of them timers of an hour, half of them descriptors that nobody writes to.
  for (let n = 0; n < registrations; n += 2) {
    handles.push(new Timer(loop).start(() => {}, 3_600_000 + n));
    handles.push(new Poll(loop, helper.bench_eventfd()).start(KEVENT_POLL_IN, () => {}));
  }
}

setTimeout(() => console.log(JSON.stringify({ handles: handles.length, backend })), 500);
// Both live for the same reason.
setTimeout(() => {}, 3_600_000);
