/**
 * Adding and removing timers in batches from script: by the change area and turns, as loops do, and
 * by `ctl` on arrays. Peer: the runtime's setTimeout and clearTimeout, as many.
 */

import {
  KEVENT_CTL_ADD,
  KEVENT_CTL_REMOVE,
  KEVENT_REQ_ALWAYS_QUEUE,
  KEVENT_REQ_ONESHOT,
  KEVENT_TIMER,
  KEVENT_TIMER_FIRED,
  now,
  Queue,
  Records,
} from "../adapters/mod.ts";
import { EVENT, ID_0, ID_1, RECORD_WORDS, REQ_FLAGS, TYPE, USER_0 } from "../ffi/record.ts";
import { interleaved, must, note, place, report, size } from "./support.ts";

const TIMERS = size(100_000, 2_000);
const CHANGES = 1024;
const ROUNDS = size(9, 1);
const FLAGS = KEVENT_REQ_ONESHOT | KEVENT_REQ_ALWAYS_QUEUE;

/** Mixed periods, none due during the run: 60 s to 124 s. */
function secondsOf(timer: number): number {
  return 60 + (timer & 63);
}

function nanosecondsOf(timer: number): number {
  return (timer * 7919) % 1_000_000_000;
}

function registrations(queue: Queue): unknown {
  return queue.info().registrations;
}

function timeTurns(queue: Queue): number {
  const start = now();
  for (let n = 0; n < TIMERS; n++) {
    queue.add(KEVENT_TIMER, secondsOf(n), nanosecondsOf(n), KEVENT_TIMER_FIRED, FLAGS, n, 0);
  }
  queue.apply();
  const added = now();
  must(registrations(queue) === TIMERS, "not every timer was added");
  const middle = now();
  for (let n = 0; n < TIMERS; n++) {
    queue.remove(KEVENT_TIMER, secondsOf(n), nanosecondsOf(n), n, 0);
  }
  queue.apply();
  const end = now();
  must(registrations(queue) === 0, "not every timer was removed");
  return (added - start + end - middle) / TIMERS;
}

function fill({ words }: Records, first: number, count: number): void {
  for (let n = 0; n < count; n++) {
    const at = n * RECORD_WORDS;
    words[at + ID_0] = secondsOf(first + n);
    words[at + ID_1] = nanosecondsOf(first + n);
    words[at + TYPE] = KEVENT_TIMER;
    words[at + EVENT] = KEVENT_TIMER_FIRED;
    words[at + REQ_FLAGS] = FLAGS;
    words[at + USER_0] = first + n;
  }
}

function applyAll(queue: Queue, records: Records, command: number): void {
  for (let first = 0; first < TIMERS; first += records.length) {
    const count = Math.min(records.length, TIMERS - first);
    fill(records, first, count);
    must(queue.ctl(command, records, count) === count, "ctl gave up");
  }
}

function timeCtl(queue: Queue, records: Records): number {
  const start = now();
  applyAll(queue, records, KEVENT_CTL_ADD);
  const added = now();
  must(registrations(queue) === TIMERS, "not every timer was added");
  const middle = now();
  applyAll(queue, records, KEVENT_CTL_REMOVE);
  const end = now();
  must(registrations(queue) === 0, "not every timer was removed");
  return (added - start + end - middle) / TIMERS;
}

function timeRuntime(): number {
  const timers: ReturnType<typeof setTimeout>[] = [];
  const start = now();
  for (let n = 0; n < TIMERS; n++) {
    timers.push(setTimeout(never, secondsOf(n) * 1000 + nanosecondsOf(n) / 1e6));
  }
  for (const timer of timers) clearTimeout(timer);
  return (now() - start) / TIMERS;
}

function never(): void {
  throw new Error("a timer that was cleared");
}

using queue = new Queue({ changes: CHANGES });
const records = new Records(CHANGES);
const backend = queue.info().backend;
note(`${TIMERS} timers, ${CHANGES} changes a call, median of ${ROUNDS} rounds, ${backend}`);
const medians = await interleaved(ROUNDS, {
  turns: () => timeTurns(queue),
  ctl: () => timeCtl(queue, records),
  runtime: timeRuntime,
});

const peers = [{ name: "setTimeout, clearTimeout", value: medians.runtime }];
const times = medians.runtime / medians.turns;
report({
  what: "ctl: timer added and removed, by change area and turn",
  value: medians.turns,
  unit: "ns",
  digits: 0,
  target: "<= 250 ns, x10 in Deno",
  met: medians.turns <= 250 && (place === "bun" || times >= 10),
  peers,
});
report({
  what: "ctl: the same, by ctl on an array",
  value: medians.ctl,
  unit: "ns",
  digits: 0,
  peers,
});
