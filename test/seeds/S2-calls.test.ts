// Rows S2-1 to S2-49 of the checklist: the calls of "[take33 1/10] Description".
import { describe, expect, test } from "vitest";
import {
  KEVENT_CTL_ADD,
  KEVENT_CTL_MODIFY,
  KEVENT_CTL_READY,
  KEVENT_CTL_REMOVE,
  KEVENT_CTL_TRIGGER,
  KEVENT_POLL,
  KEVENT_POLL_IN,
  KEVENT_REQ_ALWAYS_QUEUE,
  KEVENT_REQ_ET,
  KEVENT_REQ_ONESHOT,
  KEVENT_RET_BROKEN,
  KEVENT_RET_COPY_FAILED,
  KEVENT_RET_DONE,
  KEVENT_TIMER,
  KEVENT_TIMER_FIRED,
  KEVENT_USER,
  KEVENT_USER_TRIGGERED,
  now,
  Queue,
  type QueueOptions,
  readRecord,
  RECORD_BYTES,
  type RecordFields,
  Records,
  RING_HEADER_BYTES,
  RING_KIDX,
  RING_OVER,
  ringBytes,
  RingReader,
} from "../../adapters/mod.ts";
import { currentRuntime } from "../../loop/host.ts";
import { Descriptors, libc, pipe, read, text, write } from "../support/libc.ts";
import { Folder } from "../support/folder.ts";
import { runFixture } from "../support/program.ts";
import { add, collect, ctl, gate, MS, SECOND, turn } from "../support/queue.ts";
import { sleep, TestWorker } from "../support/worker.ts";

const QUEUED = KEVENT_REQ_ALWAYS_QUEUE;
const USER = { type: KEVENT_USER, event: KEVENT_USER_TRIGGERED };
const { calls } = currentRuntime().library;

/** A queue with so many user events in it, numbered from 1. */
function userQueue(events: number, options: QueueOptions = {}): Queue {
  const queue = new Queue(options);
  for (let user = 1; user <= events; user++) add(queue, { ...USER, user: [user, 0] });
  return queue;
}

function trigger(queue: Queue, ...users: number[]): void {
  const list = users.map((user) => ({ ...USER, event: 0, user: [user, 0] as const }));
  queue.ctl(KEVENT_CTL_TRIGGER, Records.of(...list));
}

function users(events: readonly RecordFields[]): number[] {
  return events.map(({ user }) => user[0]);
}

/** What waits in the ring, consumed. */
function readRing(ring: RingReader): RecordFields[] {
  const list: RecordFields[] = [];
  while (!ring.empty) list.push(readRecord(ring.words, ring.consume()));
  return list;
}

describe("S2 kevent_init", () => {
  test("S2-1 S2-3 kevent_init takes ring, ring_size and flags; and no ring at all", () => {
    const ring = new Uint8Array(new ArrayBuffer(ringBytes(4)));
    const fd = calls.kevent_init(ring, 4, 0);
    expect(fd).toBeGreaterThanOrEqual(0);
    expect(calls.kevent_close(fd)).toBe(0);
    using queue = new Queue({ entries: null });
    expect(queue.fd).toBeGreaterThanOrEqual(0);
    expect(queue.ring).toBeUndefined();
  });

  test("S2-2 ring_size counts records: exactly so many fit", () => {
    using queue = userQueue(4, { entries: 3 });
    trigger(queue, 1, 2, 3, 4);
    expect(queue.turn()).toBe(3);
    expect(users(readRing(queue.ring!))).toEqual([1, 2, 3]);
    expect(queue.turn()).toBe(1);
  });

  test("S2-4 unknown flags are refused", () => {
    const ring = new Uint8Array(new ArrayBuffer(ringBytes(4)));
    expect(calls.kevent_init(ring, 4, 1 << 20)).toBe(-22);
  });

  test("S2-5 the descriptor of a closed queue is refused with EBADF", () => {
    const queue = new Queue();
    const { fd } = queue;
    queue.close();
    expect(calls.kevent_commit(fd, 0, 0)).toBe(-9);
    expect(() => queue.turn()).toThrow("Cannot turn: EBADF (the queue is closed)");
  });

  test("S2-6 the ring begins with ring_kidx, ring_over and the records", () => {
    expect([RING_KIDX, RING_OVER, RING_HEADER_BYTES, RECORD_BYTES]).toEqual([0, 4, 8, 40]);
    using queue = userQueue(1);
    trigger(queue, 1);
    queue.turn();
    expect(queue.ring!.words[8 / 4 + 8]).toBe(1);
  });

  test("S2-7 ring_kidx is the slot of the next record", () => {
    using queue = userQueue(3, { entries: 2 });
    expect(queue.ring!.producerSlot).toBe(0);
    trigger(queue, 1);
    queue.turn();
    expect(queue.ring!.producerSlot).toBe(1);
    trigger(queue, 2);
    queue.turn();
    expect(queue.ring!.producerSlot).toBe(0);
  });

  test("S2-8 ring_over counts how often the committed index went round", () => {
    using queue = userQueue(1, { entries: 2 });
    for (let round = 0; round < 7; round++) {
      trigger(queue, 1);
      expect(turn(queue)).toHaveLength(1);
    }
    queue.commit();
    expect(queue.ring!.committedOver).toBe(3);
    expect(queue.ring!.over).toBe(3);
  });

  test("S2-9 S2-46 a commit with a stale wrap count frees nothing", () => {
    using queue = userQueue(1, { entries: 2 });
    const stale = { slot: 0, over: 0 };
    for (let round = 0; round < 3; round++) {
      trigger(queue, 1);
      turn(queue);
      if (round === 0) Object.assign(stale, { slot: queue.ring!.slot, over: queue.ring!.over });
    }
    queue.commit();
    trigger(queue, 1);
    queue.turn();
    expect(queue.commit(stale.slot, stale.over)).toBe(0);
    expect(users(readRing(queue.ring!))).toEqual([1]);
    expect(queue.commit()).toBe(1);
  });

  test("S2-11 a terminated waiter loses no event", async (context) => {
    gate(context, "simulated", "the simulated back-end never sleeps");
    using queue = userQueue(1, { shared: true });
    using waiter = new TestWorker("queue-worker");
    await waiter.next();
    await waiter.ask({ adopt: queue.share(), call: "adopt", numbers: [] });
    waiter.send({ call: "wait", numbers: [0, Infinity] });
    await sleep(50);
    waiter.terminate();
    trigger(queue, 1);
    using other = new TestWorker("queue-worker");
    await other.next();
    await other.ask({ adopt: queue.share(), call: "adopt", numbers: [] });
    // The dying waiter may have published it into the ring, or not come to it at all.
    const deadline = performance.now() + 5000;
    let seen: number[] = [];
    while (seen.length === 0 && performance.now() < deadline) {
      await other.ask({ call: "wait", numbers: [0, 0] });
      seen = users(await other.ask<RecordFields[]>({ call: "read", numbers: [] }));
    }
    expect(seen).toEqual([1]);
  });

  test("S2-12 another thread reads the ring from shared memory", async () => {
    using queue = userQueue(2, { shared: true });
    using worker = new TestWorker("queue-worker");
    await worker.next();
    await worker.ask({ adopt: queue.share(), call: "adopt", numbers: [] });
    trigger(queue, 2, 1);
    queue.turn();
    const seen = await worker.ask<RecordFields[]>({ call: "read", numbers: [] });
    expect(users(seen)).toEqual([2, 1]);
    expect(users(readRing(queue.ring!))).toEqual([2, 1]);
  });

  test("S2-12 another process reads the ring from a file", async () => {
    using folder = new Folder();
    const path = folder.file("ring", new Uint8Array(ringBytes(8)));
    using file = new Descriptors(libc.open(text(path), 2, 0));
    using queue = userQueue(2, { entries: 8, ringFd: file.a });
    expect(queue.ring).toBeUndefined();
    trigger(queue, 2, 1);
    expect(queue.turn()).toBe(2);
    const reader = await runFixture("ring-reader", [path, "8"], { allow: ["--allow-read"] });
    expect(reader.errors).toBe("");
    expect(JSON.parse(reader.output)).toEqual([2, 1]);
    expect(queue.commit(2, 0)).toBe(2);
  });

  test("a file that is too short for the ring is refused", () => {
    using folder = new Folder();
    const path = folder.file("ring", new Uint8Array(ringBytes(8) - 1));
    using file = new Descriptors(libc.open(text(path), 2, 0));
    expect(() => new Queue({ entries: 8, ringFd: file.a })).toThrow("ENODEV");
    expect(() => new Queue({ entries: 8, ringFd: 0x7fffffff })).toThrow("EBADF");
  });

  test("S2-13 what is removed while it is ready does not come", () => {
    using queue = userQueue(2);
    trigger(queue, 1, 2);
    ctl(queue, KEVENT_CTL_REMOVE, { ...USER, user: [1, 0] });
    expect(users(turn(queue))).toEqual([2]);
  });
});

describe("S2 kevent_ctl", () => {
  test("S2-14 S2-16 S2-17 S2-18 ADD, REMOVE and MODIFY give the number processed", () => {
    using queue = new Queue();
    const records = Records.of({ ...USER, user: [1, 0] }, { ...USER, user: [2, 0] });
    for (const cmd of [KEVENT_CTL_ADD, KEVENT_CTL_MODIFY, KEVENT_CTL_REMOVE]) {
      expect(queue.ctl(cmd, records)).toBe(2);
      expect(records.get(1).retFlags & KEVENT_RET_BROKEN).toBe(0);
    }
  });

  test("S2-15 a descriptor that is no queue is refused with EBADF", () => {
    using fds = pipe();
    for (const fd of [fds.a, -1, 0x7fffffff]) {
      expect(calls.kevent_commit(fd, 0, 0)).toBe(-9);
    }
  });

  test("S2-19 READY makes an event come though its source is silent, once", () => {
    using queue = new Queue();
    using fds = pipe();
    const fields = {
      id: [fds.a, 0],
      type: KEVENT_POLL,
      event: KEVENT_POLL_IN,
      reqFlags: QUEUED,
    } as const;
    add(queue, fields);
    ctl(queue, KEVENT_CTL_READY, fields);
    expect(turn(queue)).toHaveLength(1);
    expect(turn(queue)).toHaveLength(0);
  });

  test("S2-20 READY with no records wakes a waiting thread, which returns 0", async (context) => {
    gate(context, "simulated", "the simulated back-end never sleeps");
    using queue = userQueue(1, { shared: true });
    using worker = new TestWorker("queue-worker");
    await worker.next();
    await worker.ask({ adopt: queue.share(), call: "adopt", numbers: [] });
    const start = performance.now();
    worker.send({ call: "wait", numbers: [0, 30 * SECOND] });
    await sleep(100);
    queue.ctl(KEVENT_CTL_READY);
    expect(await worker.next()).toBe(0);
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  test("S2-21 num may be 0, one, many, but not more than there are", () => {
    using queue = new Queue();
    const records = new Records(100);
    for (let index = 0; index < 100; index++) records.set(index, { ...USER, user: [index, 0] });
    expect(queue.ctl(KEVENT_CTL_ADD, records, 0)).toBe(0);
    expect(queue.ctl(KEVENT_CTL_ADD, records, 1)).toBe(1);
    expect(queue.ctl(KEVENT_CTL_REMOVE, records, 1)).toBe(1);
    expect(queue.ctl(KEVENT_CTL_ADD, records)).toBe(100);
    expect(() => queue.ctl(KEVENT_CTL_ADD, records, 101)).toThrow("EINVAL");
    expect(calls.kevent_ctl(queue.fd, KEVENT_CTL_ADD, 2 ** 31, records.bytes)).toBe(-22);
    expect(queue.info().registrations).toBe(100);
  });

  test("S2-22 S2-23 a bad element is marked BROKEN in place and the others are processed", () => {
    using queue = new Queue();
    const records = Records.of(
      { ...USER, user: [1, 0] },
      { type: 999, event: 1, user: [2, 0] },
      { ...USER, user: [3, 0] },
    );
    expect(queue.ctl(KEVENT_CTL_ADD, records)).toBe(3);
    const broken = [0, 1, 2].map((index) => records.get(index).retFlags & KEVENT_RET_BROKEN);
    expect(broken).toEqual([0, KEVENT_RET_BROKEN, 0]);
    expect(records.get(1).retData).toBeGreaterThan(0);
    trigger(queue, 3);
    expect(users(turn(queue))).toEqual([3]);
  });
});

describe("S2 kevent_get_events", () => {
  test("S2-24 S2-25 S2-27 min 3, two arrive: it times out with 2", () => {
    using queue = userQueue(3);
    trigger(queue, 1, 2);
    const start = now();
    expect(users(collect(queue, 20 * MS, 3))).toEqual([1, 2]);
    if (queue.info().backend !== "simulated") expect(now() - start).toBeGreaterThanOrEqual(20 * MS);
  });

  test("S2-25 what came in an early slice of a long wait is kept", (context) => {
    gate(context, "simulated", "its waits are not cut in slices");
    using queue = userQueue(2);
    trigger(queue, 1);
    add(queue, {
      id: [0, 700 * MS],
      type: KEVENT_TIMER,
      event: KEVENT_TIMER_FIRED,
      reqFlags: QUEUED | KEVENT_REQ_ONESHOT,
      user: [7, 0],
    });
    expect(users(collect(queue, 10 * SECOND, 2))).toEqual([1, 7]);
  });

  test("S2-26 S2-31 never more than max, without waiting as many as there are", () => {
    using queue = userQueue(5);
    trigger(queue, 1, 2, 3, 4, 5);
    expect(users(collect(queue, 0, 0, 2))).toEqual([1, 2]);
    expect(users(collect(queue, 0, 0, 64))).toEqual([3, 4, 5]);
    expect(collect(queue, 0, 0, 64)).toEqual([]);
  });

  test("S2-28 S2-32 without a timeout it waits for ever, until min are ready", async (context) => {
    gate(context, "simulated", "the simulated back-end never sleeps");
    using queue = userQueue(2, { shared: true });
    using worker = new TestWorker("queue-worker");
    await worker.next();
    await worker.ask({ adopt: queue.share(), call: "adopt", numbers: [] });
    worker.send({ call: "getEvents", numbers: [2, 8, -1] });
    await sleep(50);
    trigger(queue, 1);
    await sleep(600);
    trigger(queue, 2);
    expect(users(await worker.next<RecordFields[]>())).toEqual([1, 2]);
  });

  test("S2-29 S2-30 a one-shot registration ends when it is collected", () => {
    using queue = new Queue();
    const fields = { ...USER, reqFlags: KEVENT_REQ_ONESHOT, user: [1, 0] } as const;
    add(queue, fields);
    trigger(queue, 1);
    expect(collect(queue, 0)).toHaveLength(1);
    expect(ctl(queue, KEVENT_CTL_REMOVE, fields).retData).toBe(2);
  });

  test("S2-33 S3-4 what is collected by call is in the ring too", () => {
    using queue = userQueue(3);
    trigger(queue, 3, 1, 2);
    const collected = collect(queue, 0);
    expect(readRing(queue.ring!)).toEqual(collected);
  });

  test("S2-34 S2-69 a ring of 1, three ready: collected with COPY_FAILED, none twice", () => {
    using queue = userQueue(3, { entries: 1 });
    trigger(queue, 1, 2, 3);
    const collected = collect(queue, 0);
    expect(users(collected)).toEqual([1, 2, 3]);
    const failed = collected.map(({ retFlags }) => retFlags & KEVENT_RET_COPY_FAILED);
    expect(failed).toEqual([0, KEVENT_RET_COPY_FAILED, KEVENT_RET_COPY_FAILED]);
    expect(users(readRing(queue.ring!))).toEqual([1]);
    expect(turn(queue)).toEqual([]);
  });
});

describe("S2 kevent_wait", () => {
  test("S2-35 S2-36 S2-39 puts at most num records into the ring and gives their number", () => {
    using queue = userQueue(3);
    trigger(queue, 1, 2, 3);
    expect(queue.wait(2, 0)).toBe(2);
    expect(users(readRing(queue.ring!))).toEqual([1, 2]);
    expect(queue.wait(0, 0)).toBe(1);
    expect(users(readRing(queue.ring!))).toEqual([3]);
  });

  test("S2-37 returns at once when the ring has moved past the slot the caller knows", () => {
    using queue = userQueue(1);
    trigger(queue, 1);
    queue.wait(0, 0);
    const start = performance.now();
    expect(queue.wait(0, 30 * SECOND, false, 0)).toBe(0);
    expect(performance.now() - start).toBeLessThan(5000);
  });

  test("S2-38 S2-40 waits until the time is over or an event is ready", () => {
    using queue = new Queue();
    expect(queue.wait(0, 10 * MS)).toBe(0);
    add(queue, {
      id: [0, 10 * MS],
      type: KEVENT_TIMER,
      event: KEVENT_TIMER_FIRED,
      reqFlags: QUEUED,
    });
    expect(queue.wait(0, 10 * SECOND)).toBe(1);
  });

  test("S2-41 full ring: wait returns, the event stays ready", () => {
    using queue = userQueue(2, { entries: 1 });
    trigger(queue, 1, 2);
    expect(queue.wait(0, 0)).toBe(1);
    const start = performance.now();
    expect(queue.wait(0, 30 * SECOND)).toBe(0);
    expect(performance.now() - start).toBeLessThan(5000);
    expect(users(readRing(queue.ring!))).toEqual([1]);
    expect(queue.commit()).toBe(1);
    expect(queue.wait(0, 0)).toBe(1);
    expect(users(readRing(queue.ring!))).toEqual([2]);
  });

  test("S2-42 a one-shot registration ends when it is put into the ring", () => {
    using queue = new Queue();
    const fields = { ...USER, reqFlags: KEVENT_REQ_ONESHOT, user: [1, 0] } as const;
    add(queue, fields);
    trigger(queue, 1);
    expect(queue.wait(0, 0)).toBe(1);
    expect(ctl(queue, KEVENT_CTL_REMOVE, fields).retData).toBe(2);
  });

  test("S2-43 an edge-triggered registration goes back to its source: the next edge fires", () => {
    using queue = new Queue();
    using fds = pipe();
    const id = [fds.a, 0] as const;
    add(queue, { id, type: KEVENT_POLL, event: KEVENT_POLL_IN, reqFlags: QUEUED | KEVENT_REQ_ET });
    for (let round = 0; round < 3; round++) {
      write(fds.b);
      expect(queue.wait(0, SECOND)).toBe(1);
      readRing(queue.ring!);
      read(fds.a);
    }
  });
});

describe("S2 kevent_commit", () => {
  test("S2-44 S2-45 the end is exclusive: slot 1 commits the record in slot 0 only", () => {
    using queue = userQueue(2, { entries: 2 });
    trigger(queue, 1, 2);
    queue.turn();
    expect(queue.commit(0, 0)).toBe(0);
    expect(queue.commit(1, 0)).toBe(1);
    expect(queue.commit(1, 0)).toBe(0);
    // The end of the ring and the start of the next round are the same place.
    expect(queue.commit(2, 0)).toBe(1);
    expect(queue.commit(0, 1)).toBe(0);
  });

  test("S2-47 S2-48 committed slots are used again: a full ring flows", () => {
    using queue = userQueue(5, { entries: 2 });
    trigger(queue, 1, 2, 3, 4, 5);
    const seen: number[] = [];
    while (queue.wait(0, 0) > 0) {
      seen.push(...users(readRing(queue.ring!)));
      queue.commit();
    }
    expect(seen).toEqual([1, 2, 3, 4, 5]);
  });

  test("a commit ahead of the producer is refused with EINVAL and changes nothing", () => {
    using queue = userQueue(1, { entries: 4 });
    trigger(queue, 1);
    queue.turn();
    for (const [slot, over] of [[2, 0], [4, 0], [0, 1], [5, 0], [0, 2 ** 31 - 1]] as const) {
      expect(() => queue.commit(slot, over)).toThrow("Cannot commit: EINVAL");
    }
    expect(users(readRing(queue.ring!))).toEqual([1]);
    expect(queue.commit()).toBe(1);
  });

  test("S2-49 threads that commit the same records free each once", async () => {
    const events = 64;
    using queue = userQueue(events, { shared: true, entries: events });
    trigger(queue, ...Array.from({ length: events }, (_, index) => index + 1));
    expect(queue.turn()).toBe(events);
    const workers = [1, 2, 3].map(() => new TestWorker("queue-worker"));
    for (const worker of workers) {
      await worker.next();
      await worker.ask({ adopt: queue.share(), call: "adopt", numbers: [] });
    }
    let freed = 0;
    for (let end = 8; end <= events; end += 8) {
      const place = [end % events, end === events ? 1 : 0];
      const answers = workers.map((worker) =>
        worker.ask<number>({ call: "commit", numbers: place })
      );
      for (const answer of await Promise.all(answers)) freed += answer;
    }
    for (const worker of workers) worker.terminate();
    expect(freed).toBe(events);
  });
});

test("S2-68 an event that was handed out has DONE", () => {
  using queue = userQueue(1);
  trigger(queue, 1);
  expect(turn(queue)[0]!.retFlags).toBe(KEVENT_RET_DONE);
});
