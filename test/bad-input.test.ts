// What bad input gets: a named error or BROKEN with errno, and a queue that goes on working.
import { mkdirSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import {
  Async,
  Connection,
  control,
  Idle,
  Inode,
  KEVENT_CTL_ADD,
  KEVENT_CTL_REMOVE,
  KEVENT_CTL_TRIGGER,
  KEVENT_INODE_CREATE,
  KEVENT_POLL,
  KEVENT_POLL_IN,
  KEVENT_REQ_ALWAYS_QUEUE,
  KEVENT_RET_BROKEN,
  KEVENT_SIGNAL,
  KEVENT_SIGNAL_DELIVERED,
  KEVENT_SOCKET,
  KEVENT_SOCKET_RECV,
  KEVENT_TIMER,
  KEVENT_TIMER_FIRED,
  KEVENT_USER,
  KEVENT_USER_TRIGGERED,
  KeventError,
  Loop,
  Poll,
  Process,
  Queue,
  type QueueOptions,
  RECORD_BYTES,
  type RecordFields,
  Records,
  ringBytes,
  RingReader,
  sendShared,
  Server,
  setTimer,
  Signal,
  Timer,
  triggerShared,
  User,
} from "../adapters/mod.ts";
import { currentRuntime } from "../loop/host.ts";
import { Folder } from "./support/folder.ts";
import { eventFd, libc, pipe, read, signalEvent, write } from "./support/libc.ts";
import { runFixture } from "./support/program.ts";
import { add, ctl, gate, MS, SECOND, turn } from "./support/queue.ts";
import { TestWorker } from "./support/worker.ts";

const QUEUED = KEVENT_REQ_ALWAYS_QUEUE;
const USER = { type: KEVENT_USER, event: KEVENT_USER_TRIGGERED };
const { calls } = currentRuntime().library;
const EBADF = 9;
const ENOENT = 2;
const EEXIST = 17;
const EINVAL = 22;
const ENOTSOCK = 88;

/** Numbers that are no count. */
const WILD = [-1, 0.5, NaN, Infinity, 2 ** 31, 2 ** 32, 2 ** 53];

function errno(answer: RecordFields): number {
  return (answer.retFlags & KEVENT_RET_BROKEN) === 0 ? 0 : answer.retData;
}

/** The queue must still do what a queue does. */
function expectWorks(queue: Queue): void {
  const user = [0xfeed, 0xbeef] as const;
  add(queue, { ...USER, user });
  ctl(queue, KEVENT_CTL_TRIGGER, { ...USER, event: 0, user });
  const seen: number[] = [];
  for (let round = 0; round < 8 && !seen.includes(0xfeed); round++) {
    seen.push(...turn(queue).map((event) => event.user[0]));
  }
  expect(seen).toContain(0xfeed);
  expect(errno(ctl(queue, KEVENT_CTL_REMOVE, { ...USER, user }))).toBe(0);
}

function codeOf(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    expect(error).toBeInstanceOf(KeventError);
    return (error as KeventError).code;
  }
  return "none";
}

function messageOf(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    expect(error).toBeInstanceOf(KeventError);
    return (error as KeventError).message;
  }
  return "none";
}

describe("bad input", () => {
  test("an unknown type, flag, kind or command", () => {
    using queue = new Queue();
    expect(errno(ctl(queue, KEVENT_CTL_ADD, { type: 77, event: 1 }))).toBe(95);
    expect(errno(ctl(queue, KEVENT_CTL_ADD, { ...USER, reqFlags: 0x8000_0000 }))).toBe(EINVAL);
    const kind = { type: KEVENT_TIMER, event: KEVENT_TIMER_FIRED | 1 << 30, id: [0, 1] as const };
    expect(errno(ctl(queue, KEVENT_CTL_ADD, kind))).toBe(EINVAL);
    for (const cmd of [0, 6, 7, 8, 0xffffffff]) {
      expect(codeOf(() => queue.ctl(cmd, Records.of(USER)))).toBe("EINVAL");
    }
    for (const cmd of WILD.filter((number) => number !== 2 ** 31)) {
      expect(codeOf(() => queue.ctl(cmd, Records.of(USER)))).toBe("EINVAL");
    }
    expectWorks(queue);
  });

  test("an unknown command in a change record", () => {
    const refused: number[] = [];
    using queue = new Queue({ onBroken: (words, at) => refused.push(words[at + 6]!) });
    queue.add(KEVENT_USER, 0, 0, KEVENT_USER_TRIGGERED, 0, 1, 0);
    // The word where the command goes on its way in.
    queue.changes.words[5] = 12345;
    queue.turn();
    expect(refused).toEqual([EINVAL]);
    expectWorks(queue);
  });

  test("unknown flags of a turn, a wait and a collect", () => {
    using queue = new Queue();
    expect(codeOf(() => queue.turn(0, 1 << 30))).toBe("EINVAL");
    expect(calls.kevent_wait(queue.fd, 0, 0, 0, 0, 1 << 30)).toBe(-EINVAL);
    const { bytes } = new Records(1);
    expect(calls.kevent_get_events(queue.fd, 0, 1, 0, 0, bytes, 1 << 30)).toBe(-EINVAL);
    expectWorks(queue);
  });

  test("a bad descriptor", () => {
    using queue = new Queue();
    using fds = pipe();
    const poll = { type: KEVENT_POLL, event: KEVENT_POLL_IN, reqFlags: QUEUED };
    const socket = { type: KEVENT_SOCKET, event: KEVENT_SOCKET_RECV, reqFlags: QUEUED };
    const closed = eventFd();
    closed[Symbol.dispose]();
    for (const fields of [poll, socket]) {
      expect(errno(ctl(queue, KEVENT_CTL_ADD, { ...fields, id: [0xffffffff, 0] }))).toBe(EBADF);
      expect(errno(ctl(queue, KEVENT_CTL_ADD, { ...fields, id: [closed.a, 0] }))).toBe(EBADF);
      expect(errno(ctl(queue, KEVENT_CTL_ADD, { ...fields, id: [0x7fffffff, 0] }))).not.toBe(0);
    }
    expect(errno(ctl(queue, KEVENT_CTL_ADD, { ...socket, id: [fds.a, 0] }))).toBe(ENOTSOCK);
    expectWorks(queue);
  });

  test("a queue that watches itself does not hang", () => {
    using queue = new Queue();
    const fields = {
      id: [queue.fd, 0],
      type: KEVENT_POLL,
      event: KEVENT_POLL_IN,
      reqFlags: QUEUED,
    } as const;
    ctl(queue, KEVENT_CTL_ADD, fields);
    turn(queue);
    expectWorks(queue);
  });

  test("num of 0 and of 2^31", () => {
    using queue = new Queue();
    const records = new Records(1);
    expect(queue.ctl(KEVENT_CTL_ADD, records, 0)).toBe(0);
    for (const num of WILD) {
      expect(codeOf(() => queue.ctl(KEVENT_CTL_ADD, records, num))).toBe("EINVAL");
      expect(codeOf(() => queue.getEvents(records, 1, num, 0))).toBe("EINVAL");
      expect(codeOf(() => queue.getEvents(records, num, 1, 0))).toBe("EINVAL");
    }
    expect(codeOf(() => queue.getEvents(records, 1, 0, 0))).toBe("EINVAL");
    for (const num of [2 ** 31, 2 ** 32 - 1]) {
      expect(calls.kevent_ctl(queue.fd, KEVENT_CTL_ADD, num, records.bytes)).toBe(-EINVAL);
      expect(calls.kevent_get_events(queue.fd, 0, num, 0, 0, records.bytes, 0)).toBe(-EINVAL);
      expect(calls.kevent_turn(queue.fd, num, 0, 0, 0)).toBe(-EINVAL);
      expect(calls.kevent_turn(queue.fd, 0, num, 0, 0)).toBe(-EINVAL);
    }
    expect(queue.wait(2 ** 31, 0)).toBe(0);
    expectWorks(queue);
  });

  test("a ring of size 0, of fractions, too large, or not matching its memory", () => {
    for (const entries of [0, 2 ** 20 + 1, ...WILD]) {
      expect(codeOf(() => new Queue({ entries }))).toBe("EINVAL");
      expect(codeOf(() => ringBytes(entries))).toBe("EINVAL");
    }
    for (const length of [0, ringBytes(4) - 1, ringBytes(4) + 1, ringBytes(5)]) {
      expect(codeOf(() => new RingReader(new ArrayBuffer(length), 4))).toBe("EINVAL");
    }
    const params = new Uint8Array(new ArrayBuffer(40));
    const view = new DataView(params.buffer);
    const nothing = new Uint8Array(new ArrayBuffer(8));
    const ring = new Uint8Array(new ArrayBuffer(ringBytes(4)));
    view.setUint32(0, 40, true);
    view.setInt32(24, -1, true);
    view.setUint32(8, 4, true);
    view.setUint32(12, ringBytes(4) - 4, true);
    expect(calls.kevent_setup(params, ring, nothing, nothing)).toBeLessThan(0);
    view.setUint32(8, 0, true);
    expect(calls.kevent_setup(params, ring, nothing, nothing)).toBe(-EINVAL);
    view.setUint32(0, 36, true);
    expect(calls.kevent_setup(params, ring, nothing, nothing)).toBe(-EINVAL);
  });

  test("a ring of size 1 works", () => {
    using queue = new Queue({ entries: 1 });
    expectWorks(queue);
    expectWorks(queue);
  });

  test("other options out of bounds", () => {
    const bad: QueueOptions[] = [
      ...WILD.flatMap((number) => [{ changes: number }, { names: number }]),
      { changes: 0 },
      { names: 4 },
      { names: 1001 },
      { seed: -1 },
      { seed: 2 ** 53 },
      { backend: "kqueue" as "epoll" },
    ];
    for (const options of bad) expect(codeOf(() => new Queue(options))).toBe("EINVAL");
    expect(codeOf(() => new Queue({ ringFd: 0x7fffffff }))).toBe("EBADF");
  });

  test("memory of records that does not match their number", () => {
    for (const length of [0, ...WILD, 2 ** 20 + 1]) {
      expect(codeOf(() => new Records(length))).toBe("EINVAL");
    }
    for (const bytes of [0, 39, 41, 80]) {
      expect(codeOf(() => new Records(1, new ArrayBuffer(bytes)))).toBe("EINVAL");
    }
    const records = new Records(1, new ArrayBuffer(RECORD_BYTES));
    for (const index of [1, ...WILD]) expect(codeOf(() => records.get(index))).toBe("EINVAL");
  });

  test("indexes of the ring scribbled by the script", () => {
    using queue = new Queue({ entries: 4 });
    for (const garbage of [0, 1, 0x7fffffff, 0x80000000, 0xffffffff]) {
      queue.ring!.words.fill(garbage);
      add(queue, { ...USER, user: [garbage, 1] });
      ctl(queue, KEVENT_CTL_TRIGGER, { ...USER, event: 0, user: [garbage, 1] });
      // The count that the call gives is the truth, whatever the memory says.
      expect(queue.turn()).toBe(1);
      expect(queue.ring!.words[queue.ring!.consume() + 8]).toBe(garbage);
      expect(queue.turn()).toBe(0);
    }
    queue.changes.words.fill(0xffffffff);
    expect(queue.turn()).toBe(0);
  });

  test("commit ahead of the producer", () => {
    using queue = new Queue({ entries: 4 });
    for (const [slot, over] of [[1, 0], [4, 0], [0, 1], [3, 7], [9, 0]] as const) {
      expect(codeOf(() => queue.commit(slot, over))).toBe("EINVAL");
    }
    for (const number of WILD.filter((one) => one !== 2 ** 31)) {
      expect(codeOf(() => queue.commit(number, 0))).toBe("EINVAL");
      expect(codeOf(() => queue.commit(0, number))).toBe("EINVAL");
    }
    expect(calls.kevent_turn(queue.fd, 0, 1, 0, 0)).toBe(-EINVAL);
    expectWorks(queue);
  });

  test("a closed queue", () => {
    const queue = new Queue();
    const { fd } = queue;
    queue.close();
    queue.close();
    const records = new Records(1);
    const tries: (() => unknown)[] = [
      () => queue.ctl(KEVENT_CTL_ADD, records),
      () => queue.getEvents(records, 0),
      () => queue.wait(0, 0),
      () => queue.commit(),
      () => queue.turn(),
      () => queue.apply(),
      () => queue.add(1, 2, 3, 4, 5, 6, 7),
      () => queue.addInode("/tmp", KEVENT_INODE_CREATE, 0, 0, 0),
      () => queue.openWake(),
      () => queue.info(),
      () => queue.simulate(1, 1),
      () => queue.share(),
    ];
    for (const attempt of tries) expect(codeOf(attempt)).toBe("EBADF");
    expect(calls.kevent_ctl(fd, KEVENT_CTL_ADD, 1, records.bytes)).toBe(-EBADF);
    expect(calls.kevent_close(fd)).toBe(-EBADF);
  });

  test("a queue without a ring has no turns", () => {
    using queue = new Queue({ entries: null });
    expect(codeOf(() => queue.turn())).toBe("EINVAL");
    expect(codeOf(() => queue.wait(0, 0))).toBe("EINVAL");
    expect(codeOf(() => queue.commit(0, 0))).toBe("EINVAL");
    const records = Records.of({ ...USER, user: [1, 1] });
    queue.ctl(KEVENT_CTL_ADD, records);
    queue.ctl(KEVENT_CTL_TRIGGER, Records.of({ ...USER, event: 0, user: [1, 1] }));
    expect(queue.getEvents(records, 0)).toBe(1);
  });

  test("a queue used from the wrong thread", async () => {
    using queue = new Queue({ shared: true, single: true });
    add(queue, { ...USER, user: [5, 0] });
    using worker = new TestWorker("queue-worker");
    await worker.next();
    await worker.ask({ adopt: queue.share(), call: "adopt", numbers: [] });
    const denied = [
      { call: "wait", numbers: [0, 0] },
      { call: "getEvents", numbers: [0, 1, 0] },
      { call: "ctl", numbers: [KEVENT_CTL_ADD, KEVENT_USER, KEVENT_USER_TRIGGERED, 9] },
      { call: "commit", numbers: [0, 0] },
      { call: "turn", numbers: [0] },
    ];
    for (const order of denied) {
      expect(await worker.ask<{ code: string }>(order)).toMatchObject({ code: "EPERM" });
    }
    // What any thread may do.
    const trigger = { call: "ctl", numbers: [KEVENT_CTL_TRIGGER, KEVENT_USER, 0, 5] };
    expect(errno(await worker.ask<RecordFields>(trigger))).toBe(0);
    expect(await worker.ask<string>({ call: "info", numbers: [] })).toBe(queue.info().backend);
    expect(turn(queue).map(({ user }) => user[0])).toEqual([5]);
    expectWorks(queue);
  });

  test("a descriptor closed while registered", () => {
    using queue = new Queue();
    const fds = pipe();
    const fields = {
      id: [fds.a, 0],
      type: KEVENT_POLL,
      event: KEVENT_POLL_IN,
      reqFlags: QUEUED,
    } as const;
    add(queue, fields);
    turn(queue);
    fds[Symbol.dispose]();
    // It may be found out now, and told with EBADF, or only when it is removed.
    const told = turn(queue).some((event) => errno(event) === EBADF);
    expect(errno(ctl(queue, KEVENT_CTL_REMOVE, fields))).toBe(told ? ENOENT : 0);
    expectWorks(queue);
  });

  test("a descriptor reused while registered: no event of the new file for the old one", () => {
    using queue = new Queue();
    const old = pipe();
    add(queue, {
      id: [old.a, 0],
      type: KEVENT_POLL,
      event: KEVENT_POLL_IN,
      reqFlags: QUEUED,
      user: [1, 0],
    });
    turn(queue);
    using fresh = pipe();
    // The number now means another pipe, and the first one is gone.
    libc.dup2(fresh.a, old.a);
    libc.close(old.b);
    write(fresh.b);
    // A back-end that holds the old file may still report its end, but no data.
    const before = turn(queue, 5 * MS).filter(({ event, retFlags }) =>
      (retFlags & KEVENT_RET_BROKEN) === 0 && (event & KEVENT_POLL_IN) !== 0
    );
    // Known wrong: io_uring hears the end of the old file, and then asks the number, which is the
    // new one's. The registration below puts it right.
    if (queue.info().backend !== "io_uring") expect(before).toEqual([]);
    add(queue, {
      id: [old.a, 0],
      type: KEVENT_POLL,
      event: KEVENT_POLL_IN,
      reqFlags: QUEUED,
      user: [2, 0],
    });
    const users = turn(queue, SECOND)
      .filter(({ retFlags }) => (retFlags & KEVENT_RET_BROKEN) === 0)
      .map(({ user }) => user[0]);
    expect(users).toContain(2);
    libc.close(old.a);
    expectWorks(queue);
  });

  test("a timer of 10^9 ns or more in the ns word", () => {
    using queue = new Queue();
    for (const ns of [1e9, 2 ** 31, 2 ** 32 - 1]) {
      const fields = { id: [0, ns], type: KEVENT_TIMER, event: KEVENT_TIMER_FIRED } as const;
      expect(errno(ctl(queue, KEVENT_CTL_ADD, fields))).toBe(EINVAL);
    }
    const most = {
      id: [0xffffffff, 999_999_999],
      type: KEVENT_TIMER,
      event: KEVENT_TIMER_FIRED,
    } as const;
    expect(errno(ctl(queue, KEVENT_CTL_ADD, most))).toBe(0);
    expectWorks(queue);
  });

  test("a record added twice", () => {
    using queue = new Queue();
    add(queue, { ...USER, user: [1, 1] });
    expect(errno(ctl(queue, KEVENT_CTL_ADD, { ...USER, user: [1, 1] }))).toBe(EEXIST);
    expectWorks(queue);
  });

  test("a trigger of what is no user event, or with unknown bits", () => {
    using queue = new Queue();
    add(queue, {
      id: [100, 0],
      type: KEVENT_TIMER,
      event: KEVENT_TIMER_FIRED,
      reqFlags: QUEUED,
      user: [1, 0],
    });
    const timer = { id: [100, 0], type: KEVENT_USER, event: 0, user: [1, 0] } as const;
    expect(errno(ctl(queue, KEVENT_CTL_TRIGGER, timer))).toBe(EINVAL);
    add(queue, { ...USER, user: [2, 0] });
    const bits = { ...USER, event: 1 << 26, user: [2, 0] } as const;
    expect(errno(ctl(queue, KEVENT_CTL_TRIGGER, bits))).toBe(EINVAL);
    expectWorks(queue);
  });

  test("signals that cannot be watched", () => {
    using queue = new Queue();
    for (const signal of [0, 9, 19, 65, 0xffffffff]) {
      const fields = {
        id: [signal, 0],
        type: KEVENT_SIGNAL,
        event: KEVENT_SIGNAL_DELIVERED,
      } as const;
      expect(errno(ctl(queue, KEVENT_CTL_ADD, fields))).toBe(EINVAL);
    }
    expectWorks(queue);
  });

  test("paths that cannot be watched", () => {
    using queue = new Queue();
    const watch = (path: string) =>
      codeOf(() => queue.addInode(path, KEVENT_INODE_CREATE, 0, 0, 0));
    expect(watch("/nowhere/at/all")).toBe("ENOENT");
    expect(watch("")).toBe("ENOENT");
    expect(watch("/etc/passwd/x")).toBe("ENOTDIR");
    expect(watch(`/${"x".repeat(300)}`)).toBe("ENAMETOOLONG");
    expect(watch(`/${"x/".repeat(5000)}`)).toBe("ENAMETOOLONG");
    expect(watch("/tmp\0/hidden")).not.toBe("none");
    expectWorks(queue);
  });

  test("timeouts that are no numbers", () => {
    using queue = new Queue();
    const records = new Records(1);
    expect(codeOf(() => queue.turn(NaN))).toBe("EINVAL");
    expect(codeOf(() => queue.wait(0, NaN))).toBe("EINVAL");
    expect(codeOf(() => queue.getEvents(records, 1, 1, NaN))).toBe("EINVAL");
    expect(calls.kevent_get_events(queue.fd, 0, 1, 0, 1e9, records.bytes, 0)).toBe(-EINVAL);
    expect(calls.kevent_get_events(queue.fd, 0, 1, -2, 0, records.bytes, 0)).toBe(-EINVAL);
    expectWorks(queue);
  });

  test("the LWN form with unknown commands and a queue that is none", () => {
    expect(codeOf(() => control(-1, KEVENT_CTL_ADD, 0, Records.of(USER)))).toBe("EBADF");
    using queue = new Queue();
    expect(codeOf(() => control(queue.fd, 99, 0, Records.of(USER)))).toBe("EINVAL");
    expect(codeOf(() => control(queue.fd, 7))).toBe("EINVAL");
  });

  test("steering a back-end that is not simulated", (context) => {
    gate(context, "simulated", "here it may be steered");
    using queue = new Queue();
    expect(codeOf(() => queue.simulate(1, 1))).toBe("ENOTSUP");
  });

  test("names read out of a scribbled name area", () => {
    using queue = new Queue();
    const words = new Uint32Array(new ArrayBuffer(40));
    for (const offset of [0x7fffffff, 0xfffffffe, 100_000]) {
      words[6] = offset;
      expect(codeOf(() => queue.nameOf(words, 0))).toBe("ENODEV");
    }
    words[6] = 0xffffffff;
    expect(queue.nameOf(words, 0)).toBeUndefined();
  });

  test("handles check what they are given", () => {
    using loop = new Loop();
    const timer = new Timer(loop);
    for (const delay of [-1, NaN, Infinity, 2 ** 53]) {
      expect(codeOf(() => timer.start(() => {}, delay))).toBe("EINVAL");
      expect(codeOf(() => timer.start(() => {}, 1, delay))).toBe("EINVAL");
    }
    for (const number of WILD) {
      expect(codeOf(() => new Poll(loop, number))).toBe("EINVAL");
      expect(codeOf(() => new Signal(loop).start(number, () => {}))).toBe("EINVAL");
      expect(codeOf(() => new Process(loop).start(number, () => {}))).toBe("EINVAL");
      expect(codeOf(() => new User(loop).trigger(number))).toBe("EINVAL");
      expect(codeOf(() => new Server(loop).listen({ port: number }, () => ({})))).toBe("EINVAL");
    }
    expect(codeOf(() => new Server(loop).listen({ hostname: "no address" }, () => ({})))).toBe(
      "EINVAL",
    );
    expect(codeOf(() => new Inode(loop).start("/nowhere", 1, () => {}))).toBe("ENOENT");
  });

  test("a callback that is missing", () => {
    using loop = new Loop();
    const none = undefined as unknown as () => void;
    const starts: Readonly<Record<string, () => unknown>> = {
      "start timer": () => new Timer(loop).start(none, 1),
      "set timer": () => setTimer(none, 1),
      "start poll": () => new Poll(loop, 0).start(KEVENT_POLL_IN, none),
      "start signal": () => new Signal(loop).start(10, none),
      "start process": () => new Process(loop).start(1, none),
      "start inode": () => new Inode(loop).start("/tmp", KEVENT_INODE_CREATE, none),
      "start user event": () => new User(loop).start(none),
      "make async": () => new Async(loop, none),
      "start handle": () => new Idle(loop).start(none),
    };
    for (const [operation, start] of Object.entries(starts)) {
      expect(messageOf(start)).toBe(
        `Cannot ${operation}: EINVAL (callback must be a function, not undefined)`,
      );
    }
    expect(messageOf(() => new Server(loop).listen({}, none as unknown as () => object))).toBe(
      "Cannot listen: EINVAL (accept must be a function, not undefined)",
    );
    const connect = (handlers: unknown) =>
      messageOf(() => Connection.connect(loop, "127.0.0.1", 1, handlers as object));
    expect(connect(undefined)).toContain(
      "handlers must be an object such as { data() {} }, not un",
    );
    expect(connect("data")).toContain('such as { data() {} }, not "data"');
    expect(connect({ data: 7 })).toContain("data must be a function, not number");
    expect(loop.alive).toBe(false);
  });

  test("signals that nobody may catch: the message says why", () => {
    using loop = new Loop();
    for (const signal of [9, 19]) {
      expect(messageOf(() => new Signal(loop).start(signal, () => {}))).toBe(
        `Cannot start signal ${signal}: EINVAL ` +
          "(the kernel lets nobody catch SIGKILL (9) and SIGSTOP (19))",
      );
    }
    expect(messageOf(() => new Signal(loop).start(11, () => {}))).toContain("are the runtime's");
  });

  test("names instead of addresses: the message says what to give", () => {
    using loop = new Loop();
    const words = 'hostname must be an IP address such as "127.0.0.1", not "localhost": resolve';
    const listen = () => new Server(loop).listen({ hostname: "localhost" }, () => ({}));
    expect(messageOf(listen)).toContain(`Cannot listen at localhost:0: EINVAL (${words}`);
    const connect = () => Connection.connect(loop, "localhost", 80, {});
    expect(messageOf(connect)).toContain(`Cannot connect to localhost:80: EINVAL (${words}`);
    const nothing = undefined as unknown as string;
    expect(messageOf(() => Connection.connect(loop, nothing, 80, {}))).toContain("not undefined");
  });

  test("text instead of bytes: the message says how to make bytes of it", () => {
    using loop = new Loop();
    const server = new Server(loop).listen({}, () => ({}));
    const connection = Connection.connect(loop, "127.0.0.1", server.port, {});
    const write = (bytes: unknown) => messageOf(() => connection.write(bytes as Uint8Array));
    expect(write("text")).toBe(
      "Cannot write: EINVAL (bytes must be a Uint8Array, not a string: " +
        "give new TextEncoder().encode(text))",
    );
    expect(write(new ArrayBuffer(1))).toContain("bytes must be a Uint8Array, not an object");
    expect(write(undefined)).toContain("not undefined");
    expect(connection.buffered).toBe(0);
  });

  test("descriptors that are none: the message says what is needed", () => {
    using loop = new Loop();
    const words = "fd, the number of a descriptor, must be a whole number from 0 to 2147483647";
    for (
      const [fd, shown] of [[-1, "-1"], [1.5, "1.5"], ["3", '"3"'], [NaN, "NaN"], [{}, "an o"]]
    ) {
      expect(messageOf(() => new Poll(loop, fd as number))).toContain(
        `Cannot make poll: EINVAL (${words}, not ${shown as string}`,
      );
    }
  });

  test("a watch of nothing, or of no kind: the message says what is needed", () => {
    using loop = new Loop();
    const start = (path: unknown, event = KEVENT_INODE_CREATE) =>
      messageOf(() => new Inode(loop).start(path as string, event, () => {}));
    for (const event of [0, 1 << 20]) {
      expect(start("/tmp", event)).toContain(
        "Cannot watch /tmp: EINVAL (event must be of KEVENT_INODE_CREATE, ",
      );
    }
    expect(start("/nowhere/at/all")).toBe(
      "Cannot watch /nowhere/at/all: ENOENT (no such file or directory)",
    );
    expect(start(undefined)).toContain("path must be a path or a URL object, not undefined");
    expect(start("file:///tmp")).toContain('a URL object, not "file:///tmp"');
    expect(start(new URL("http://localhost/tmp"))).toContain("must be of the kind file:");
    expect(start(new URL("file://elsewhere/tmp"))).toContain("must be here, not at elsewhere");
    expect(start(new URL("file:///tmp%2Fx"))).toContain("%2F");
    using queue = new Queue();
    expect(messageOf(() => queue.addInode(7 as unknown as string, 1, 0, 0, 0))).toContain(
      "path must be a string, not 7",
    );
  });

  test("a file: URL object is a path", async () => {
    using folder = new Folder();
    using loop = new Loop();
    mkdirSync(folder.at("ä b"));
    const url = pathToFileURL(folder.at("ä b"));
    const name = await new Promise<string | undefined>((resolve) => {
      new Inode(loop).start(url, KEVENT_INODE_CREATE, (event) => resolve(event.name));
      writeFileSync(folder.at("ä b/new"), "");
    });
    expect(name).toBe("new");
  });

  test("a trigger of what is gone says what happened", () => {
    const loop = new Loop();
    const user = new User(loop);
    const shared = user.start(() => {}).share();
    const async = new Async(loop, () => {});
    const sharedAsync = async.share();
    user.close();
    async.close();
    loop.apply();
    expect(messageOf(() => triggerShared(shared))).toBe(
      "Cannot trigger user event: ENOENT (it was stopped or closed there)",
    );
    expect(messageOf(() => sendShared(sharedAsync))).toContain("ENOENT (it was stopped or closed");
    loop.close();
    expect(messageOf(() => triggerShared(shared))).toBe(
      "Cannot trigger user event: EBADF (its loop was closed, or its thread has ended)",
    );
    expect(messageOf(() => triggerShared(undefined as unknown as typeof shared))).toContain(
      "shared must be what share() gave, not undefined",
    );
  });

  test("a back-end that there is not: the message names those that there are", async () => {
    const known = "auto, epoll, io_uring, simulated";
    expect(messageOf(() => new Queue({ backend: "kqueue" as "epoll" }))).toContain(
      `backend must be one of ${known}, not "kqueue"`,
    );
    const end = await runFixture("narrow", [], { env: { KEVENT_BACKEND: "kqueue" } });
    expect(end.code).toBe(1);
    expect(end.errors).toContain(
      "Cannot make queue: EINVAL (KEVENT_BACKEND in the environment names none that works here: " +
        `set it to one of ${known}, or unset it)`,
    );
  });

  test("a handle that the kernel refuses tells its onError", async () => {
    using loop = new Loop();
    const poll = new Poll(loop, 0x7ffffff0);
    const error = await new Promise<KeventError>((resolve) => {
      poll.onError = resolve;
      poll.start(KEVENT_POLL_IN, () => {});
    });
    expect(error.message).toContain("Cannot start poll: ");
    expect(poll.active).toBe(false);
  });

  test("a closed loop refuses handles", () => {
    const loop = new Loop();
    const timer = new Timer(loop);
    loop.close();
    loop.close();
    expect(codeOf(() => new Timer(loop))).toBe("EBADF");
    expect(codeOf(() => timer.start(() => {}, 1))).toBe("EBADF");
    timer.stop();
    timer.close();
    expect(codeOf(() => loop.run())).toBe("EBADF");
  });

  test("memory under pressure of the collector stays where it is", () => {
    using queue = new Queue({ entries: 8 });
    using event = eventFd();
    add(queue, { id: [event.a, 0], type: KEVENT_POLL, event: KEVENT_POLL_IN, reqFlags: QUEUED });
    const collect = globalThis as { gc?: () => void; Bun?: { gc(force: boolean): void } };
    for (let round = 0; round < 50; round++) {
      const garbage = Array.from({ length: 1000 }, () => new Uint8Array(64));
      collect.Bun?.gc(true);
      collect.gc?.();
      signalEvent(event.a);
      expect(turn(queue, SECOND)).toHaveLength(1);
      read(event.a, 8);
      expect(garbage.length).toBe(1000);
    }
  });

  test("records of one queue are no records of another", () => {
    using one = new Queue();
    using other = new Queue();
    add(one, { ...USER, user: [1, 0] });
    expect(errno(ctl(other, KEVENT_CTL_REMOVE, { ...USER, user: [1, 0] }))).toBe(2);
    expectWorks(one);
    expectWorks(other);
  });
});
