// Rows S2-54 to S2-84 of the checklist: the record, its flags, and how it is used.
import { describe, expect, test } from "vitest";
import {
  KEVENT_CLOCK_WALL,
  KEVENT_CTL_ADD,
  KEVENT_CTL_MODIFY,
  KEVENT_CTL_REMOVE,
  KEVENT_CTL_TRIGGER,
  KEVENT_INODE,
  KEVENT_POLL,
  KEVENT_POLL_HUP,
  KEVENT_POLL_IN,
  KEVENT_POLL_OUT,
  KEVENT_PROCESS,
  KEVENT_REQ_ALWAYS_QUEUE,
  KEVENT_REQ_ET,
  KEVENT_REQ_LAST_CHECK,
  KEVENT_REQ_ONESHOT,
  KEVENT_REQ_READY,
  KEVENT_REQ_WAKEUP_ALL,
  KEVENT_RET_BROKEN,
  KEVENT_RET_DONE,
  KEVENT_SIGNAL,
  KEVENT_SOCKET,
  KEVENT_SOCKET_RECV,
  KEVENT_SOCKET_SEND,
  KEVENT_TIMER,
  KEVENT_TIMER_FIRED,
  KEVENT_USER,
  KEVENT_USER_TRIGGERED,
  now,
  Queue,
  RECORD_BYTES,
  type RecordFields,
  Records,
} from "../../adapters/mod.ts";
import { pipe, read, socketPair, write } from "../support/libc.ts";
import { add, backend, collect, ctl, gate, MS, SECOND, turn } from "../support/queue.ts";
import { sleep, TestWorker } from "../support/worker.ts";

const QUEUED = KEVENT_REQ_ALWAYS_QUEUE;
const USER = { type: KEVENT_USER, event: KEVENT_USER_TRIGGERED };

function pollIn(fd: number, reqFlags = QUEUED, user = 0): Partial<RecordFields> {
  return { id: [fd, 0], type: KEVENT_POLL, event: KEVENT_POLL_IN, reqFlags, user: [user, 0] };
}

function timer(ns: number, reqFlags = QUEUED, user = 0): Partial<RecordFields> {
  return { id: [0, ns], type: KEVENT_TIMER, event: KEVENT_TIMER_FIRED, reqFlags, user: [user, 0] };
}

function errno(answer: RecordFields): number {
  return (answer.retFlags & KEVENT_RET_BROKEN) === 0 ? 0 : answer.retData;
}

const EBADF = 9;
const EEXIST = 17;
const EINVAL = 22;
const ENOENT = 2;
const ENOTSUP = 95;

describe("S2 struct ukevent", () => {
  test("S2-54 S2-71 a record is 40 bytes and carries user untouched", () => {
    expect(RECORD_BYTES).toBe(40);
    using queue = new Queue();
    add(queue, { ...USER, user: [0xffffffff, 0x80000001] });
    ctl(queue, KEVENT_CTL_TRIGGER, { ...USER, event: 0, user: [0xffffffff, 0x80000001] });
    expect(turn(queue)[0]!.user).toEqual([0xffffffff, 0x80000001]);
  });

  test("S2-55 both words of id name the thing", () => {
    using queue = new Queue();
    add(queue, { ...USER, id: [1, 2] });
    add(queue, { ...USER, id: [2, 1] });
    ctl(queue, KEVENT_CTL_TRIGGER, { ...USER, event: 0, id: [2, 1] });
    expect(turn(queue).map(({ id }) => id)).toEqual([[2, 1]]);
  });

  test("S2-56 an unknown type is BROKEN", () => {
    using queue = new Queue();
    for (const type of [0, 99, 0xffffffff]) {
      expect(errno(ctl(queue, KEVENT_CTL_ADD, { type, event: 1 }))).toBe(ENOTSUP);
    }
  });

  test("S2-57 S4-19 event is a mask: two bits at once", () => {
    using queue = new Queue();
    using fds = socketPair();
    write(fds.b);
    const event = KEVENT_SOCKET_RECV | KEVENT_SOCKET_SEND;
    add(queue, { id: [fds.a, 0], type: KEVENT_SOCKET, event, reqFlags: QUEUED });
    expect(turn(queue, SECOND)[0]!.event).toBe(event);
  });

  test("S2-58 unknown req_flags are BROKEN", () => {
    using queue = new Queue();
    expect(errno(ctl(queue, KEVENT_CTL_ADD, { ...USER, reqFlags: 1 << 30 }))).toBe(EINVAL);
  });

  test("S2-59 S4-21 ONESHOT: removed when handed out", () => {
    using queue = new Queue();
    add(queue, timer(1 * MS, QUEUED | KEVENT_REQ_ONESHOT));
    expect(turn(queue, SECOND)).toHaveLength(1);
    expect(turn(queue, 5 * MS)).toHaveLength(0);
    expect(queue.info().registrations).toBe(0);
  });

  test("S2-60 an event wakes the first waiter, or with WAKEUP_ALL all of them", async (context) => {
    gate(context, "simulated", "the simulated back-end never sleeps");
    for (const [flags, expected] of [[0, 1], [KEVENT_REQ_WAKEUP_ALL, 3]] as const) {
      using queue = new Queue({ shared: true });
      add(queue, { ...USER, reqFlags: flags });
      const workers = [1, 2, 3].map(() => new TestWorker("queue-worker"));
      let woken = 0;
      for (const worker of workers) {
        await worker.next();
        await worker.ask({ adopt: queue.share(), call: "adopt", numbers: [] });
        worker.send({ call: "wait", numbers: [0, 60 * SECOND] });
      }
      await sleep(100);
      for (const worker of workers) void worker.next().then(() => woken++, () => {});
      ctl(queue, KEVENT_CTL_TRIGGER, { ...USER, event: 0 });
      await sleep(200);
      expect(woken).toBe(expected);
      for (const worker of workers) worker.terminate();
    }
  });

  test("S2-61 ET: each edge comes once, also when nothing was read", () => {
    using queue = new Queue();
    using fds = pipe();
    add(queue, pollIn(fds.a, QUEUED | KEVENT_REQ_ET));
    for (let round = 0; round < 4; round++) {
      write(fds.b);
      expect(turn(queue, SECOND)).toHaveLength(1);
      expect(turn(queue)).toHaveLength(0);
    }
  });

  test("S2-62 LAST_CHECK: what was consumed meanwhile does not come", () => {
    using queue = new Queue({ entries: 1 });
    using blocker = pipe();
    using fds = pipe();
    add(queue, pollIn(blocker.a, QUEUED | KEVENT_REQ_ONESHOT, 1));
    add(queue, pollIn(fds.a, QUEUED | KEVENT_REQ_LAST_CHECK, 2));
    write(blocker.b);
    // The ring of one is full, so what fires now waits on the ready list.
    expect(queue.turn(SECOND)).toBe(1);
    write(fds.b);
    queue.turn();
    read(fds.a);
    expect(queue.ring!.words[queue.ring!.consume() + 8]).toBe(1);
    expect(queue.turn(5 * MS)).toBe(0);
    write(fds.b);
    expect(turn(queue, SECOND).map(({ user }) => user[0])).toEqual([2]);
  });

  test("S2-64 without ALWAYS_QUEUE what is ready at ADD is answered in place and not queued", () => {
    using queue = new Queue();
    using fds = pipe();
    write(fds.b);
    const answer = ctl(queue, KEVENT_CTL_ADD, pollIn(fds.a, 0));
    expect(answer.retFlags).toBe(KEVENT_RET_DONE);
    expect(answer.event).toBe(KEVENT_POLL_IN);
    expect(turn(queue)).toHaveLength(0);
    expect(queue.info().registrations).toBe(0);
    const queued = ctl(queue, KEVENT_CTL_ADD, pollIn(fds.a, QUEUED));
    expect(queued.retFlags & KEVENT_RET_DONE).toBe(0);
    expect(turn(queue, SECOND)).toHaveLength(1);
  });

  test("S2-65 READY: comes at once though nothing happened", () => {
    using queue = new Queue();
    using fds = pipe();
    add(queue, pollIn(fds.a, QUEUED | KEVENT_REQ_READY));
    expect(turn(queue)).toHaveLength(1);
    expect(turn(queue)).toHaveLength(0);
  });

  test("S2-66 S2-67 BROKEN says why in ret_data", () => {
    using queue = new Queue();
    expect(errno(ctl(queue, KEVENT_CTL_ADD, pollIn(0x7ffffff0)))).toBeGreaterThan(0);
    expect(errno(ctl(queue, KEVENT_CTL_ADD, pollIn(0xffffffff)))).toBe(EBADF);
    expect(errno(ctl(queue, KEVENT_CTL_REMOVE, pollIn(1)))).toBe(ENOENT);
    expect(errno(ctl(queue, KEVENT_CTL_ADD, { type: 99, event: 1 }))).toBe(ENOTSUP);
  });

  test("S2-70 S2-82 a timer gives the milliseconds of its firing", (context) => {
    gate(context, "simulated", "its clock is its own");
    using queue = new Queue();
    const before = now();
    add(queue, timer(2 * MS));
    const [event] = turn(queue, SECOND);
    const fired = (event!.retData - (Math.floor(before / MS) >>> 0)) | 0;
    expect(fired).toBeGreaterThanOrEqual(2);
    expect(fired).toBeLessThan(1000);
  });
});

describe("S2 usage", () => {
  test("S2-72 ABSTIME: a date that is past returns at once, a coming one is waited for", () => {
    using queue = new Queue();
    const records = new Records(1);
    const start = performance.now();
    expect(queue.getEvents(records, 1, 1, 1 * SECOND, true)).toBe(0);
    expect(queue.wait(0, 1 * SECOND, true)).toBe(0);
    expect(performance.now() - start).toBeLessThan(5000);
    if (backend === "simulated") return;
    const date = now(KEVENT_CLOCK_WALL) + 20 * MS;
    expect(queue.wait(0, date, true)).toBe(0);
    expect(now(KEVENT_CLOCK_WALL)).toBeGreaterThanOrEqual(date);
  });

  test("S2-73 each field that a type needs is asked for", () => {
    using queue = new Queue();
    using fds = socketPair();
    const whole = [
      pollIn(fds.a),
      { id: [fds.a, 0], type: KEVENT_SOCKET, event: KEVENT_SOCKET_RECV, user: [1, 0] },
      timer(1 * MS),
      { ...USER, user: [2, 0] },
    ] as Partial<RecordFields>[];
    for (const fields of whole) {
      expect(errno(ctl(queue, KEVENT_CTL_ADD, { ...fields, type: 0 }))).toBe(ENOTSUP);
      expect(errno(ctl(queue, KEVENT_CTL_ADD, { ...fields, event: 0 }))).toBe(EINVAL);
      expect(errno(ctl(queue, KEVENT_CTL_ADD, fields))).toBe(0);
    }
    for (const type of [KEVENT_SIGNAL, KEVENT_PROCESS, KEVENT_INODE]) {
      expect(errno(ctl(queue, KEVENT_CTL_ADD, { type }))).toBe(EINVAL);
    }
  });

  test("S2-74 results of a batch of changes stand in the change area", () => {
    const broken: number[] = [];
    using queue = new Queue({ onBroken: (words, at) => broken.push(words[at + 8]!) });
    queue.add(KEVENT_USER, 0, 0, KEVENT_USER_TRIGGERED, 0, 1, 0);
    queue.add(99, 0, 0, 1, 0, 2, 0);
    queue.turn();
    expect(broken).toEqual([2]);
    expect(errno(queue.changes.get(0))).toBe(0);
    expect(errno(queue.changes.get(1))).toBe(ENOTSUP);
  });

  test("S2-75 MODIFY matches id and user: of two with the same id only one changes", () => {
    using queue = new Queue();
    using fds = pipe();
    for (const user of [1, 2]) {
      add(queue, { ...pollIn(fds.b, QUEUED, user), event: KEVENT_POLL_HUP });
    }
    const changed = { ...pollIn(fds.b, QUEUED, 2), event: KEVENT_POLL_OUT };
    expect(errno(ctl(queue, KEVENT_CTL_MODIFY, changed))).toBe(0);
    expect(turn(queue, SECOND).map(({ user }) => user[0])).toEqual([2]);
  });

  test("S2-76 MODIFY of the mask while the condition holds makes it ready at once", () => {
    using queue = new Queue();
    using fds = socketPair();
    const fields = { id: [fds.a, 0] as const, type: KEVENT_SOCKET, reqFlags: QUEUED };
    add(queue, { ...fields, event: KEVENT_SOCKET_RECV });
    expect(turn(queue)).toHaveLength(0);
    ctl(queue, KEVENT_CTL_MODIFY, { ...fields, event: KEVENT_SOCKET_RECV | KEVENT_SOCKET_SEND });
    expect(turn(queue, SECOND).map(({ event }) => event)).toEqual([KEVENT_SOCKET_SEND]);
  });

  test("S2-77 S2-78 MODIFY without a match is BROKEN, and DONE in any case", () => {
    using queue = new Queue();
    const answer = ctl(queue, KEVENT_CTL_MODIFY, { ...USER, user: [5, 5] });
    expect(answer.retFlags).toBe(KEVENT_RET_BROKEN | KEVENT_RET_DONE);
    expect(answer.retData).toBe(ENOENT);
    add(queue, { ...USER, user: [5, 5] });
    expect(ctl(queue, KEVENT_CTL_MODIFY, { ...USER, user: [5, 5] }).retFlags).toBe(KEVENT_RET_DONE);
  });

  test("S2-79 S2-80 REMOVE matches id and user, is BROKEN without a match, and always DONE", () => {
    using queue = new Queue();
    add(queue, { ...USER, user: [5, 5] });
    const both = KEVENT_RET_BROKEN | KEVENT_RET_DONE;
    expect(ctl(queue, KEVENT_CTL_REMOVE, { ...USER, user: [5, 6] }).retFlags).toBe(both);
    expect(ctl(queue, KEVENT_CTL_REMOVE, { ...USER, id: [1, 0], user: [5, 5] }).retFlags).toBe(
      both,
    );
    expect(ctl(queue, KEVENT_CTL_REMOVE, { ...USER, user: [5, 5] }).retFlags).toBe(KEVENT_RET_DONE);
    expect(ctl(queue, KEVENT_CTL_REMOVE, { ...USER, user: [5, 5] }).retFlags).toBe(both);
  });

  test("S2-81 get_events gives the whole record", () => {
    using queue = new Queue();
    using fds = socketPair();
    const reqFlags = QUEUED | KEVENT_REQ_ET;
    add(queue, {
      id: [fds.a, 0],
      type: KEVENT_SOCKET,
      event: KEVENT_SOCKET_RECV,
      reqFlags,
      user: [3, 4],
    });
    write(fds.b);
    const [event] = collect(queue, SECOND);
    expect(event).toMatchObject({
      id: [fds.a, 0],
      type: KEVENT_SOCKET,
      event: KEVENT_SOCKET_RECV,
      reqFlags,
      retFlags: KEVENT_RET_DONE,
      retData: 0,
      user: [3, 4],
    });
    expect(event!.retExtra & KEVENT_POLL_IN).toBe(KEVENT_POLL_IN);
  });

  test("S2-83 ONESHOT fires once, otherwise the timer goes on", () => {
    using queue = new Queue();
    add(queue, timer(1 * MS, QUEUED | KEVENT_REQ_ONESHOT, 1));
    add(queue, timer(1 * MS, QUEUED, 2));
    let once = 0;
    let often = 0;
    while (often < 5) {
      for (const { user } of turn(queue, SECOND)) user[0] === 1 ? once++ : often++;
    }
    expect(once).toBe(1);
  });

  test("S2-84 id is seconds and nanoseconds from the commit on, and never early", (context) => {
    using queue = new Queue();
    add(queue, timer(500));
    expect(turn(queue, SECOND)).toHaveLength(1);
    gate(context, "simulated", "its clock is its own");
    const start = now();
    add(queue, { ...timer(1 * MS, QUEUED | KEVENT_REQ_ONESHOT, 9), id: [1, 1 * MS] });
    ctl(queue, KEVENT_CTL_REMOVE, timer(500));
    expect(turn(queue, 10 * SECOND).map(({ user }) => user[0])).toEqual([9]);
    expect(now() - start).toBeGreaterThanOrEqual(SECOND + MS);
  });

  test("the same id and user twice is BROKEN with EEXIST, whatever the type", () => {
    using queue = new Queue();
    add(queue, { ...USER, id: [0, 1000], user: [1, 1] });
    expect(errno(ctl(queue, KEVENT_CTL_ADD, { ...timer(1000), user: [1, 1] }))).toBe(EEXIST);
  });
});
