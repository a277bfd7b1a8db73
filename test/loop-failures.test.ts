// Turns that fail: what they did before that is not done twice, and the loop goes on when it can.
import { describe, expect, test } from "vitest";
import {
  type Handle,
  KEVENT_USER,
  KEVENT_USER_TRIGGERED,
  Loop,
  Queue,
  Timer,
  User,
} from "../adapters/mod.ts";
import { errorNumber } from "../ffi/errors.ts";
import { currentRuntime } from "../loop/host.ts";
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
});
