// Loops on hosts that offer less, or are slower, than those of today.
import { describe, expect, test } from "vitest";
import { Loop, Timer, User } from "../adapters/mod.ts";
import { currentRuntime, type Host, type Wake } from "../loop/host.ts";

const { host, library } = currentRuntime();

function loopOn(changes: Partial<Host>): Loop {
  return new Loop({ runtime: { host: { ...host, ...changes }, library } });
}

describe("host", () => {
  test("without a checkpoint each callback gets a turn of its own", async () => {
    using loop = loopOn({ checkpoint: undefined });
    const log: string[] = [];
    await new Promise<void>((resolve) => {
      const users = [1, 2, 3].map((number) =>
        new User(loop).start(() => {
          log.push(`callback${number}`);
          queueMicrotask(() => log.push(`microtask${number}`));
          if (number === 3) setTimeout(resolve, 5);
        })
      );
      for (const user of users) user.trigger();
    });
    expect(log).toEqual([1, 2, 3].flatMap((number) => [`callback${number}`, `microtask${number}`]));
  });

  test("a wake-up that comes for nothing does no harm", async () => {
    let wakeUp = () => {};
    const wake = (fd: number, onWake: () => void): Wake => {
      wakeUp = onWake;
      return host.wake(fd, onWake);
    };
    using loop = loopOn({ wake });
    let fired = 0;
    const timer = new Timer(loop).start(() => void fired++, 20);
    await new Promise((resolve) => setTimeout(resolve, 5));
    for (let count = 0; count < 100; count++) wakeUp();
    expect(fired).toBe(0);
    while (timer.active) await new Promise((resolve) => setTimeout(resolve, 5));
    wakeUp();
    expect(fired).toBe(1);
    loop.close();
    wakeUp();
  });

  test("the wake source is ref'd exactly while a ref'd handle is active", async () => {
    const log: string[] = [];
    const wake = (fd: number, onWake: () => void): Wake => {
      const inner = host.wake(fd, onWake);
      return {
        ref: () => (log.push("ref"), inner.ref()),
        unref: () => (log.push("unref"), inner.unref()),
        close: (onClosed) => (log.push("close"), inner.close(onClosed)),
      };
    };
    const loop = loopOn({ wake });
    const turn = () => new Promise((resolve) => setTimeout(resolve, 5));
    const one = new Timer(loop).start(() => {}, 1000);
    const two = new Timer(loop).start(() => {}, 1000);
    await turn();
    expect(log).toEqual(["ref"]);
    one.stop();
    two.unref();
    two.ref();
    two.close();
    await turn();
    // What comes and goes within one turn of the runtime is not told to it.
    expect(log).toEqual(["ref", "unref"]);
    await loop.close();
    expect(log.at(-1)).toBe("close");
  });

  test("an error of the queue itself is reported, not thrown into the runtime", async () => {
    const reported: unknown[] = [];
    const loop = loopOn({ report: (error) => reported.push(error) });
    new Timer(loop).start(() => {}, 1000);
    await new Promise((resolve) => setTimeout(resolve, 5));
    loop.queue.close();
    new Promise<void>((resolve) => resolve()).then(() => {
      try {
        new Timer(loop).start(() => {}, 1);
      } catch (error) {
        reported.push(error);
      }
    });
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(reported.length).toBeGreaterThan(0);
    expect(String(reported[0])).toContain("EBADF");
  });
});
