// Rows S3-* of the checklist: David Miller on the ring.
import { describe, expect, test } from "vitest";
import {
  KEVENT_CTL_READY,
  KEVENT_CTL_TRIGGER,
  KEVENT_POLL,
  KEVENT_POLL_IN,
  KEVENT_REQ_ALWAYS_QUEUE,
  KEVENT_TIMER,
  KEVENT_TIMER_FIRED,
  KEVENT_USER,
  KEVENT_USER_TRIGGERED,
  Queue,
  readRecord,
  RECORD_BYTES,
  type RecordFields,
  Records,
  ringBytes,
} from "../../adapters/mod.ts";
import { Descriptors, pipe, write } from "../support/libc.ts";
import { add, MS, SECOND, turn } from "../support/queue.ts";

const QUEUED = KEVENT_REQ_ALWAYS_QUEUE;
const USER = { type: KEVENT_USER, event: KEVENT_USER_TRIGGERED };

function trigger(queue: Queue, ...users: number[]): void {
  const list = users.map((user) => ({ ...USER, event: 0, user: [user, 0] as const }));
  queue.ctl(KEVENT_CTL_TRIGGER, Records.of(...list));
}

/** S3-10: the helper of the seed, over this library's calls. */
function dequeue(queue: Queue, timeoutNs: number): RecordFields | undefined {
  const ring = queue.ring!;
  if (ring.empty) {
    queue.commit();
    if (queue.wait(0, timeoutNs) === 0) return undefined;
  }
  return readRecord(ring.words, ring.consume());
}

describe("S3", () => {
  test("S3-1 a slot holds the record and nothing else", () => {
    const header = 8;
    const lines = 2 * 64;
    expect(ringBytes(8)).toBe(Math.ceil((header + 8 * RECORD_BYTES) / 64) * 64 + lines);
  });

  test("S3-2 publishing writes no word of the consumer, committing none of the producer", () => {
    using queue = new Queue({ entries: 8 });
    add(queue, { ...USER, user: [1, 0] });
    const { words } = queue.ring!;
    const producer = (ringBytes(8) - 128) / 4;
    const consumer = producer + 16;
    trigger(queue, 1);
    queue.turn();
    expect(Array.from(words.subarray(consumer, consumer + 16))).toEqual(Array(16).fill(0));
    const before = Array.from(words.subarray(producer, producer + 16));
    queue.ring!.consume();
    queue.commit();
    expect(Array.from(words.subarray(producer, producer + 16))).toEqual(before);
    expect(words[consumer]).toBe(1);
  });

  test("S3-3 what waits in the ring is found without a call", () => {
    using queue = new Queue();
    for (let user = 1; user <= 100; user++) add(queue, { ...USER, user: [user, 0] });
    trigger(queue, ...Array.from({ length: 100 }, (_, index) => index + 1));
    queue.turn();
    const calls = () => queue.info().counters["turns"]!;
    const before = calls();
    const ring = queue.ring!;
    let sum = 0;
    while (!ring.empty) sum += ring.words[ring.consume() + 8]!;
    expect(sum).toBe(5050);
    expect(calls()).toBe(before);
  });

  test("S3-5 a wait with num 0 only sleeps until the ring is not empty", () => {
    using queue = new Queue();
    add(queue, {
      id: [0, 2 * MS],
      type: KEVENT_TIMER,
      event: KEVENT_TIMER_FIRED,
      reqFlags: QUEUED,
    });
    expect(queue.wait(0, SECOND)).toBe(1);
    expect(queue.ring!.empty).toBe(false);
  });

  test("S3-6 being on the ready list is the state: marked twice, it comes once", () => {
    using queue = new Queue();
    add(queue, { ...USER, user: [1, 0] });
    queue.ctl(KEVENT_CTL_READY, Records.of({ ...USER, user: [1, 0] }));
    trigger(queue, 1);
    expect(queue.info().ready).toBe(1);
    expect(turn(queue)).toHaveLength(1);
    expect(queue.info().ready).toBe(0);
  });

  test("S3-7 what the ring has no room for stays ready, and comes once, in order", () => {
    using queue = new Queue({ entries: 2 });
    for (let user = 1; user <= 6; user++) add(queue, { ...USER, user: [user, 0] });
    trigger(queue, 6, 5, 4, 3, 2, 1);
    const seen: number[] = [];
    for (;;) {
      const events = turn(queue);
      if (events.length === 0) break;
      expect(events.length).toBeLessThanOrEqual(2);
      seen.push(...events.map(({ user }) => user[0]));
    }
    expect(seen).toEqual([6, 5, 4, 3, 2, 1]);
  });

  test("S3-8 a ring with as many entries as registrations never fails a copy", () => {
    using queue = new Queue({ entries: 16 });
    for (let user = 0; user < 16; user++) add(queue, { ...USER, user: [user, 0] });
    for (let round = 0; round < 50; round++) {
      const users = Array.from({ length: 16 }, (_, index) => (index * 7 + round) % 16);
      trigger(queue, ...users, ...users);
      const records = new Records(32);
      expect(queue.getEvents(records, 0, 32, 0)).toBe(16);
      for (let index = 0; index < 16; index++) expect(records.get(index).retFlags).toBe(2);
      while (!queue.ring!.empty) queue.ring!.consume();
      expect(queue.commit()).toBe(16);
    }
  });

  test("S3-9 S3-10 S3-11 the loop of the seed: dequeue, dispatch, and time out", () => {
    using queue = new Queue({ entries: 4 });
    using fds: Descriptors = pipe();
    const seen: string[] = [];
    const handlers = ["", "timer", "pipe"].map((name) => () => seen.push(name));
    add(queue, {
      id: [0, 3 * MS],
      type: KEVENT_TIMER,
      event: KEVENT_TIMER_FIRED,
      reqFlags: QUEUED | 1,
      user: [1, 0],
    });
    add(queue, {
      id: [fds.a, 0],
      type: KEVENT_POLL,
      event: KEVENT_POLL_IN,
      reqFlags: QUEUED | 1,
      user: [2, 0],
    });
    write(fds.b);
    for (
      let event = dequeue(queue, 50 * MS);
      event !== undefined;
      event = dequeue(queue, 50 * MS)
    ) {
      handlers[event.user[0]]!();
    }
    expect(seen).toEqual(["pipe", "timer"]);
  });

  test("S3-12 a wait needs no more than a timeout", () => {
    using queue = new Queue();
    expect(queue.wait(undefined, 1 * MS)).toBe(0);
  });

  test("S3-13 somebody else's loop can dequeue and wait by the layout alone", () => {
    using queue = new Queue({ entries: 4 });
    add(queue, { ...USER, user: [1, 0] });
    const words = queue.ring!.words;
    const head = (ringBytes(4) - 128) / 4;
    let seen = 0;
    const users: number[] = [];
    for (let round = 0; round < 10; round++) {
      trigger(queue, 1);
      queue.wait(0, 0);
      while (words[head] !== seen) {
        users.push(words[2 + (seen % 4) * 10 + 8]!);
        seen++;
      }
      queue.commit(seen % 4, Math.floor(seen / 4));
    }
    expect(users).toEqual(Array(10).fill(1));
  });
});
