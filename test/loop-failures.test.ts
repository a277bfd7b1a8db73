// Turns that fail: what they did before that is not done twice, and the loop goes on when it can.
import { writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  Async,
  type Handle,
  Inode,
  KEVENT_CTL_ADD,
  KEVENT_INODE_CREATE,
  KEVENT_TIMER,
  KEVENT_USER,
  KEVENT_USER_TRIGGERED,
  Loop,
  Queue,
  sendShared,
  Timer,
  User,
} from "../adapters/mod.ts";
import { errorNumber } from "../ffi/errors.ts";
import { RECORD_WORDS, RET_FLAGS, TYPE } from "../ffi/record.ts";
import { currentRuntime } from "../loop/host.ts";
import { openDescriptors } from "./support/descriptors.ts";
import { Folder } from "./support/folder.ts";
import { libc } from "./support/libc.ts";
import { gate } from "./support/queue.ts";
import { sleep, until } from "./support/worker.ts";

const { host, library } = currentRuntime();

/** A library whose turns fail while told so, after they have done what comes before the sleep. */
function failing(): { library: typeof library; fails: boolean; turns: number } {
  const state = {
    fails: false,
    turns: 0,
    library: {
      ...library,
      calls: {
        ...library.calls,
        kevent_turn(...parameters: Parameters<typeof library.calls.kevent_turn>): number {
          state.turns++;
          const result = library.calls.kevent_turn(...parameters);
          return state.fails ? -errorNumber("ENOSPC") : result;
        },
      },
    },
  };
  return state;
}

function loopOn(state: ReturnType<typeof failing>): { loop: Loop; told: string[] } {
  const told: string[] = [];
  const report = (error: unknown) => void told.push((error as { code: string }).code);
  const runtime = { host: { ...host, report }, library: state.library };
  return { loop: new Loop({ runtime }), told };
}

describe("a turn that fails", () => {
  test("what it committed and changed is neither done twice nor lost", () => {
    const state = failing();
    using queue = new Queue({ library: state.library, entries: 4 });
    const ring = queue.ring!;
    queue.add(KEVENT_USER, 0, 0, KEVENT_USER_TRIGGERED, 0, 1, 1);
    for (let round = 0; round < 10; round++) {
      queue.trigger(0, 0, 0, 1, 1);
      expect(queue.turn()).toBe(1);
      ring.consume();
      state.fails = true;
      queue.trigger(0, 0, 0, 1, 1);
      expect(() => queue.turn()).toThrow("ENOSPC");
      expect([queue.pending, ring.waiting]).toEqual([0, 1]);
      state.fails = false;
      expect(queue.turn()).toBe(1);
      ring.consume();
    }
    expect(queue.turn()).toBe(0);
  });

  test("changes of a turn that was refused are applied by the next", () => {
    using queue = new Queue();
    queue.add(KEVENT_USER, 0, 0, KEVENT_USER_TRIGGERED, 0, 1, 1);
    queue.trigger(0, 0, 0, 1, 1);
    expect(() => queue.turn(0, 1 << 30)).toThrow("EINVAL");
    expect(queue.pending).toBe(2);
    expect(queue.turn()).toBe(1);
  });

  test("it is told once, the loop does not spin, and goes on when turns work again", async () => {
    const state = failing();
    const { loop, told } = loopOn(state);
    using _loop = loop;
    const log: string[] = [];
    const user: User = new User(loop).start(() => log.push("user"));
    user.trigger();
    state.fails = true;
    await sleep(150);
    // What it brought all the same has come.
    expect([log, told]).toEqual([["user"], ["ENOSPC"]]);
    new Timer(loop).start(() => log.push("timer"), 1);
    loop.immediates.add({ onImmediate: () => log.push("immediate") }, true);
    const { turns } = state;
    await sleep(250);
    expect(state.turns - turns).toBeLessThan(20);
    expect(log).toEqual(["user", "immediate", "timer"]);
    state.fails = false;
    await sleep(150);
    user.trigger();
    await until(() => log.length === 4);
    await new Promise<void>((resolve) => new Timer(loop).start(() => resolve(), 1));
    state.fails = true;
    user.trigger();
    await until(() => told.length === 2);
    expect(log.at(-1)).toBe("user");
  });

  test("the kernel's timer is asked for again when it was refused", async () => {
    let refusals = 0;
    let refuses = true;
    const calls = {
      ...library.calls,
      kevent_turn(...parameters: Parameters<typeof library.calls.kevent_turn>): number {
        const { words } = loop.queue.changes;
        for (let at = 0; at < parameters[1] * RECORD_WORDS; at += RECORD_WORDS) {
          const adds = words[at + TYPE] === KEVENT_TIMER &&
            words[at + RET_FLAGS] === KEVENT_CTL_ADD;
          // There is no such type.
          if (adds && refuses) words[at + TYPE] = (refusals++, 99);
        }
        return library.calls.kevent_turn(...parameters);
      },
    };
    using loop: Loop = new Loop({ runtime: { host, library: { ...library, calls } } });
    const fired = new Promise<void>((resolve) => new Timer(loop).start(() => resolve(), 300));
    await sleep(50);
    expect(refusals).toBeGreaterThan(0);
    expect(refusals).toBeLessThan(10);
    refuses = false;
    await fired;
  });

  test("without its queue a loop ends, and says why", async () => {
    const { loop, told } = loopOn(failing());
    const handles: Handle[] = [new Timer(loop).start(() => {}, 60_000)];
    await sleep(5);
    library.calls.kevent_close(loop.queue.fd);
    handles.push(new User(loop));
    handles.push(new Timer(loop).start(() => {}, 1));
    await until(() => loop.closed);
    expect([told, loop.alive]).toEqual([["EBADF"], false]);
    await loop.close();
  });

  test("when its descriptor was closed by somebody it ends, and says so once", async (context) => {
    gate(context, "simulated", "it has no descriptor of the kernel to collect from");
    const { host, library } = currentRuntime();
    const told: string[] = [];
    const report = (error: unknown) => void told.push((error as Error).message);
    const loop = new Loop({ runtime: { host: { ...host, report }, library } });
    new Timer(loop).start(() => {}, 1, 1);
    const async = new Async(loop, () => {});
    await sleep(20);
    libc.close(loop.queue.fd);
    // Of epoll nobody else hears of it.
    async.send();
    await until(() => loop.closed);
    await sleep(5);
    const reason = "somebody closed a descriptor that the queue is made of: the loop has ended";
    expect(told).toEqual([`Cannot turn: EBADF (${reason})`]);
  });
});

describe("the way back from the runtime", () => {
  /** Whether a new file in a folder is told, when the watch is the first that needs to be woken. */
  async function tells(loop: Loop, start: (watch: () => void) => void): Promise<number> {
    using folder = new Folder();
    let seen = 0;
    await new Promise<void>((resolve) =>
      start(() => {
        new Inode(loop).start(folder.path, KEVENT_INODE_CREATE, () => seen++);
        resolve();
      })
    );
    await sleep(20);
    writeFileSync(`${folder.path}/file`, "");
    await sleep(100);
    return seen;
  }

  test("is there for what is started when the loop has been asleep without one", async () => {
    using loop = new Loop();
    loop.immediates.add({ onImmediate() {} }, false);
    await sleep(20);
    expect(await tells(loop, (watch) => watch())).toBe(1);
  });

  test("is asked for again after changes were applied in between", async () => {
    using loop = new Loop();
    new Timer(loop).start(() => {}, 60_000);
    await sleep(20);
    let told = 0;
    const async = new Async(loop, () => void told++);
    const shared = async.share();
    await sleep(20);
    sendShared(shared);
    await until(() => told === 1);
  });

  test("is there for what the first callback starts", async () => {
    using loop = new Loop();
    const start = (watch: () => void) => loop.immediates.add({ onImmediate: watch }, false);
    expect(await tells(loop, start)).toBe(1);
  });

  test("is tried again when the runtime refuses it, and nothing is left open", async () => {
    using _other = new Loop();
    new Timer(_other).start(() => {}, 60_000);
    await sleep(5);
    const before = openDescriptors();
    let refusals = 0;
    const told: unknown[] = [];
    const wake = (fd: number, onWake: () => void) => {
      if (refusals++ < 2) throw new Error("not now");
      return host.wake(fd, onWake);
    };
    const changes = { wake, report: (error: unknown) => told.push(error) };
    const runtime = { host: { ...host, ...changes }, library };
    for (const patience of [0, 10]) {
      const loop = new Loop({ runtime });
      const fired = new Promise<void>((resolve) => new Timer(loop).start(() => resolve(), 1));
      await sleep(patience);
      if (patience === 0) await loop.close();
      else await fired.then(() => loop.close());
    }
    expect(told.map(String)).toEqual(["Error: not now", "Error: not now"]);
    expect([...openDescriptors()].filter((fd) => !before.has(fd))).toEqual([]);
  });
});
