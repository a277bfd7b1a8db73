/**
 * A program that only waits, for `bench/idle.mjs` to look at from outside: with a loop that has as
 * many idle registrations as the first argument says or, with a second argument, with as many timers
 * of the runtime. Tells how often the loop turned once its input ends.
 */

import process from "node:process";
import { openHelper } from "./helper.ts";

const registrations = Number(process.argv[2]);
const bare = process.argv[3] === "bare";
const handles: unknown[] = [];
let turns = () => 0;
let backend = "";

if (bare) {
  // The bare runtime must not even load kevent.
  for (let n = 0; n < registrations; n++) handles.push(setTimeout(() => {}, 3_600_000 + n));
} else {
  const { KEVENT_POLL_IN, Loop, Poll, Timer } = await import("../adapters/mod.ts");
  const helper = await openHelper();
  helper.bench_raise_limit();
  const loop = new Loop();
  backend = String(loop.queue.info().backend);
  turns = () => (loop.queue.info().counters as { turns: number }).turns;
  // Half of them timers of an hour, half of them descriptors that nobody writes to.
  for (let n = 0; n < registrations; n += 2) {
    handles.push(new Timer(loop).start(() => {}, 3_600_000 + n));
    handles.push(new Poll(loop, helper.bench_eventfd()).start(KEVENT_POLL_IN, () => {}));
  }
}

/** A line for the driver. */
function tell(): void {
  console.log(JSON.stringify({ handles: handles.length, backend, turns: turns() }));
}

process.stdin.on("end", () => {
  tell();
  process.exit();
});
process.stdin.resume();
setTimeout(tell, 500);
