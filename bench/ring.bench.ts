/**
 * What an event costs in script: load, dispatch to a handler by slot, one commit per batch. Peers
 * do the same with one native call per event, and with one callback from native code per event.
 */

import {
  KEVENT_REQ_ALWAYS_QUEUE,
  KEVENT_USER,
  KEVENT_USER_TRIGGERED,
  Loop,
  now,
  Queue,
  User,
} from "../adapters/mod.ts";
import { EVENT, USER_0, USER_1 } from "../ffi/record.ts";
import { currentRuntime } from "../loop/host.ts";
import { type NativeCallback, nativeCallback, openHelper } from "./helper.ts";
import { counted, interleaved, must, note, quantile, report, size } from "./support.ts";

const BATCH = 1024;
const BATCHES = size(500, 4);
const ROUNDS = size(9, 1);

type Handler = (words: Uint32Array, at: number) => void;

/** What handlers add up, so that no load can be left out. */
let sum = 0;
const handlers: Handler[] = Array.from({ length: BATCH }, (_, slot): Handler => (words, at) => {
  sum = (sum + words[at + EVENT]! + slot) >>> 0;
});
const generations = new Uint32Array(BATCH).fill(1);

function makeQueue(library = currentRuntime().library): Queue {
  const queue = new Queue({ entries: BATCH, changes: BATCH, library });
  for (let slot = 0; slot < BATCH; slot++) {
    queue.add(KEVENT_USER, 0, 0, KEVENT_USER_TRIGGERED, KEVENT_REQ_ALWAYS_QUEUE, slot, 1);
  }
  must(queue.turn() === 0, "an event nobody triggered");
  return queue;
}

/** Lets native code publish a batch; that is not what is measured. */
function produce(queue: Queue): void {
  for (let slot = 0; slot < BATCH; slot++) queue.ready(KEVENT_USER, 0, 0, slot, 1);
  must(queue.turn() === BATCH, "a batch was not published");
}

function consume(queue: Queue, extra: (() => void) | undefined): number {
  const ring = queue.ring!;
  const { words } = ring;
  let handled = 0;
  for (let left = ring.waiting; left > 0; left--) {
    const at = ring.consume();
    const slot = words[at + USER_0]!;
    if (generations[slot] !== words[at + USER_1]) continue;
    if (extra !== undefined) extra();
    handlers[slot]!(words, at);
    handled++;
  }
  return handled;
}

/**
 * Nanoseconds per event: the batch in the middle. A batch takes microseconds, so that one which was
 * interrupted by other programs counts as one, not by how long they took.
 */
function typicalBatch(batches: number, timeBatch: () => number): number {
  return quantile(Array.from({ length: batches }, timeBatch)) / BATCH;
}

function timeConsume(queue: Queue, extra?: () => void): number {
  return typicalBatch(BATCHES, () => {
    produce(queue);
    const start = now();
    const handled = consume(queue, extra);
    queue.commit();
    const end = now();
    must(handled === BATCH, "an event was lost");
    return end - start;
  });
}

function timeProduce(queue: Queue): number {
  return typicalBatch(BATCHES, () => {
    const start = now();
    produce(queue);
    const end = now();
    consume(queue, undefined);
    return end - start;
  });
}

function timeCallback(callback: NativeCallback): number {
  return typicalBatch(BATCHES, () => {
    const start = now();
    helper.bench_call(callback.pointer, BATCH);
    return now() - start;
  });
}

/** Dispatch as programs get it: through a loop, with a microtask checkpoint after each handler. */
function makeLoopTimer(): () => number {
  const loop = new Loop({ attached: false, entries: BATCH, changes: BATCH });
  let first = 0;
  let last = 0;
  const users = Array.from({ length: BATCH }, (_, slot) =>
    new User(loop).start((payload) => {
      sum = (sum + payload + slot) >>> 0;
      if (slot === 0) first = now();
      else if (slot === BATCH - 1) last = now();
    }));
  return () =>
    typicalBatch(BATCHES, () => {
      for (const user of users) user.trigger(1);
      loop.run("nowait");
      return last - first;
    });
}

/** Native calls per event: of the consuming alone, and of whole turns. */
function countCalls(): { consuming: number; turns: number } {
  const { library, count } = counted(currentRuntime().library);
  const queue = makeQueue(library);
  const start = count();
  let consuming = 0;
  for (let batch = 0; batch < 10; batch++) {
    produce(queue);
    const before = count();
    consume(queue, undefined);
    consuming += count() - before;
  }
  const events = 10 * BATCH;
  const result = { consuming: consuming / events, turns: (count() - start) / events };
  queue.close();
  return result;
}

const helper = await openHelper();
const { calls } = currentRuntime().library;
const queue = makeQueue();
const callback = await nativeCallback((slot) => {
  handlers[slot]!(queue.ring!.words, 2);
}, false);

note(`${BATCHES} batches of ${BATCH} events, median of ${ROUNDS} rounds`);
const timeLoop = makeLoopTimer();
const medians = await interleaved(ROUNDS, {
  ring: () => timeConsume(queue),
  call: () => timeConsume(queue, () => void calls.kevent_abi_version()),
  callback: () => timeCallback(callback),
  produce: () => timeProduce(queue),
  loop: timeLoop,
});
const native = countCalls();

report({
  what: "ring: script consumes an event",
  value: medians.ring,
  unit: "ns",
  target: "<= 15 ns",
  met: medians.ring <= 15,
  peers: [
    { name: "native call per event", value: medians.call },
    { name: "callback per event", value: medians.callback },
  ],
});
report({
  what: "ring: native calls to consume an event",
  value: native.consuming,
  unit: "calls",
  target: "0",
  met: native.consuming === 0,
  digits: 4,
  peers: [{ name: "whole turns", value: native.turns }],
});
report({ what: "ring: the same through Loop, with checkpoint", value: medians.loop, unit: "ns" });
report({ what: "ring: READY written, applied, published", value: medians.produce, unit: "ns" });
note(`sum of what handlers saw: ${sum}`);
callback.close();
queue.close();
