/**
 * Growth: resident memory before and after ten million events of all kinds of lives: registrations
 * that stay and are triggered, and registrations made, fired and gone.
 */

import { readFileSync } from "node:fs";
import {
  KEVENT_REQ_ALWAYS_QUEUE,
  KEVENT_REQ_ONESHOT,
  KEVENT_TIMER,
  KEVENT_TIMER_FIRED,
  KEVENT_USER,
  KEVENT_USER_COPY,
  KEVENT_USER_TRIGGERED,
  Queue,
} from "../adapters/mod.ts";
import { RET_DATA, USER_0 } from "../ffi/record.ts";
import { must, note, report, size } from "./support.ts";

const EVENTS = size(10_000_000, 20_000);
const BATCH = 1000;
/** Kilobytes that a runtime's own heap may come and go by. */
const LIMIT_KB = 4096;

using queue = new Queue({ entries: 2 * BATCH, changes: 2 * BATCH });
for (let n = 0; n < BATCH; n++) {
  queue.add(KEVENT_USER, 0, 0, KEVENT_USER_TRIGGERED, KEVENT_REQ_ALWAYS_QUEUE, n, 0);
}
queue.apply();

let sum = 0;
function round(): number {
  const flags = KEVENT_REQ_ONESHOT | KEVENT_REQ_ALWAYS_QUEUE;
  for (let n = 0; n < BATCH; n++) {
    queue.trigger(0, 0, KEVENT_USER_COPY | n, n, 0);
    queue.add(KEVENT_TIMER, 0, 1 + n, KEVENT_TIMER_FIRED, flags, n, 1);
  }
  const ring = queue.ring!;
  let handled = 0;
  while (handled < 2 * BATCH) {
    for (let left = queue.turn(1e9); left > 0; left--) {
      const at = ring.consume();
      sum = (sum + ring.words[at + USER_0]! + ring.words[at + RET_DATA]!) >>> 0;
      handled++;
    }
  }
  must(handled === 2 * BATCH, "an event too many");
  return handled;
}

function residentKb(): number {
  (globalThis as { gc?: () => void }).gc?.();
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))![1]);
}

function run(events: number): void {
  for (let done = 0; done < events;) done += round();
}

// What the runtime itself compiles and caches comes first.
run(size(1_000_000, 4_000));
const before = residentKb();
run(EVENTS);
const growth = residentKb() - before;
const backend = String(queue.info().backend);
note(`${EVENTS} events after a warm-up of a tenth, ${before} kB before, ${backend}, sum ${sum}`);
report({
  what: "memory: growth over 10 million events, the whole process",
  value: growth,
  unit: "kB",
  digits: 0,
  target: `none (<= ${LIMIT_KB} kB of the runtime's own)`,
  met: growth <= LIMIT_KB,
  backend,
});
