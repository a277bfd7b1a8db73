// The ring read by hand, as the `ring_buffer.c` of 2006 did it, and the loop that David Miller drew
// up for it. A program need not do this: `Queue.ring` and `Loop` do. But the layout is public, and a
// loop of one's own may rely on it (docs/design.md, "The ring in memory").
//
//   deno run -A examples/ring_buffer.ts
//   bun examples/ring_buffer.ts

import {
  KEVENT_CTL_ADD,
  KEVENT_CTL_REMOVE,
  KEVENT_TIMER,
  KEVENT_TIMER_FIRED,
  Queue,
  readRecord,
  RECORD_BYTES,
  type RecordFields,
  Records,
  RING_HEADER_BYTES,
  RING_LINE_BYTES,
} from "../adapters/mod.ts";

const ENTRIES = 4;
const EVENTS = 14;
const MS = 1e6;

using queue = new Queue({ entries: ENTRIES });
const { words } = queue.ring!;

// Behind the records, on a cache line of its own: how many were ever published.
const recordsEnd = RING_HEADER_BYTES + ENTRIES * RECORD_BYTES;
const HEAD = Math.ceil(recordsEnd / RING_LINE_BYTES) * RING_LINE_BYTES / 4;

/** How many records were ever consumed. Slot and wrap counter follow from it. */
let consumed = 0;

function ringEmpty(): boolean {
  return words[HEAD] === consumed;
}

/** Takes the next record. No call: this is a load from the script's own memory. */
function ringConsume(): RecordFields {
  const slot = consumed++ % ENTRIES;
  return readRecord(words, (RING_HEADER_BYTES + slot * RECORD_BYTES) / 4);
}

/** The next event; `undefined` when none comes within `timeoutNs` ("-ETIMEDOUT"). */
function dequeue(timeoutNs: number): RecordFields | undefined {
  while (ringEmpty()) {
    const slot = consumed % ENTRIES;
    // All that was read may be written anew. The wrap counter says which round is meant, so that a
    // commit that comes late frees nothing of the next one.
    queue.commit(slot, Math.floor(consumed / ENTRIES));
    if (queue.wait(0, timeoutNs, false, slot) === 0 && ringEmpty()) return undefined;
  }
  return ringConsume();
}

// Three periodic timers. `user[0]` is carried untouched: here it says whose event it is.
const objects = ["fast", "medium", "slow"].map((name) => ({
  name,
  events: 0,
  dispatch(event: RecordFields) {
    if (event.type === KEVENT_TIMER) this.events++;
  },
}));
const timers = Records.of(...objects.map((_, index) => ({
  type: KEVENT_TIMER,
  event: KEVENT_TIMER_FIRED,
  // Seconds, nanoseconds.
  id: [0, (index + 1) * MS] as const,
  user: [index, 0] as const,
})));
queue.ctl(KEVENT_CTL_ADD, timers);
timers.check("add");

for (let left = EVENTS; left > 0; left--) {
  const event = dequeue(1000 * MS);
  if (event === undefined) throw new Error("no timer fired within a second");
  objects[event.user[0]]!.dispatch(event);
}

// What was removed is not handed out any more, not even what was ready.
queue.ctl(KEVENT_CTL_REMOVE, timers);
while (!ringEmpty()) ringConsume();
if (dequeue(10 * MS) !== undefined) throw new Error("an event of a removed timer");

const rounds = Math.floor(consumed / ENTRIES);
console.log(objects.map(({ name, events }) => `${name}: ${events}`).join(", "));
console.log(`${EVENTS} events through a ring of ${ENTRIES} records, ${rounds} times round`);
