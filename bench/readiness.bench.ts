/**
 * 1,000 eventfds made ready in turn and read by handlers of script: the column of script beside the
 * native programs that `bench/readiness.mjs` runs on the same work. Writes and reads are native
 * calls of the helper; a burst is written by one call.
 */

import {
  KEVENT_POLL,
  KEVENT_POLL_IN,
  KEVENT_REQ_ALWAYS_QUEUE,
  now,
  Queue,
} from "../adapters/mod.ts";
import { USER_0 } from "../ffi/record.ts";
import { openHelper } from "./helper.ts";
import { interleaved, must, note, report, size } from "./support.ts";

const DESCRIPTORS = size(1000, 100);
const EVENTS = size(200_000, 1_000);
const ROUNDS = size(7, 1);

const helper = await openHelper();
helper.bench_raise_limit();
const fds = Int32Array.from({ length: DESCRIPTORS }, () => helper.bench_eventfd());
const allFds = new Uint8Array(fds.buffer);

using queue = new Queue({ entries: DESCRIPTORS, changes: DESCRIPTORS });
const backend = String(queue.info().backend);
for (const [slot, fd] of fds.entries()) {
  queue.add(KEVENT_POLL, fd, 0, KEVENT_POLL_IN, KEVENT_REQ_ALWAYS_QUEUE, slot, 0);
}
queue.apply();

let hash = 0;
const handlers = Array.from(fds, (fd, slot) => () => {
  hash = (hash + slot) >>> 0;
  return helper.bench_read(fd);
});

/** Takes what is there and reads it; how many writes that were. */
function collect(): number {
  const ring = queue.ring!;
  let handled = 0;
  for (let left = queue.turn(-1); left > 0; left--) {
    handled += handlers[ring.words[ring.consume() + USER_0]!]!();
  }
  return handled;
}

/** Events per second. */
function time(burst: number): number {
  let next = 0;
  const start = now();
  for (let sent = 0, handled = 0; sent < EVENTS;) {
    helper.bench_make_ready(allFds.subarray(next * 4, (next + burst) * 4), burst);
    next = (next + burst) % DESCRIPTORS;
    sent += burst;
    while (handled < sent) handled += collect();
    must(handled === sent, "more was read than written");
  }
  return EVENTS / (now() - start) * 1e9;
}

note(`${EVENTS} events on ${DESCRIPTORS} eventfds, median of ${ROUNDS} rounds, ${backend}`);
const medians = await interleaved(ROUNDS, { one: () => time(1), all: () => time(DESCRIPTORS) });
report({
  what: "readiness: eventfds made ready one by one",
  value: medians.one / 1000,
  unit: "k/s",
  digits: 0,
  more: true,
  backend,
});
report({
  what: "readiness: all made ready at once",
  value: medians.all / 1000,
  unit: "k/s",
  digits: 0,
  more: true,
  backend,
});
note(`sum of the slots handled: ${hash}`);
for (const fd of fds) helper.bench_close(fd);
