// Loops on hosts that offer less, or are slower, than those of today.
import { describe, expect, test } from "vitest";
import { Async, Check, Loop, sendShared, Timer, User } from "../adapters/mod.ts";
import { currentRuntime, type Host, type Wake } from "../loop/host.ts";
import { fixturePath, isDeno, runFixture } from "./support/program.ts";
import { until } from "./support/worker.ts";

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
    const timer = new Timer(loop).start(() => void fired++, 60_000);
    await new Promise((resolve) => setTimeout(resolve, 5));
    for (let count = 0; count < 100; count++) wakeUp();
    expect(fired).toBe(0);
    timer.start(() => void fired++, 1);
    await until(() => fired > 0);
    wakeUp();
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(fired).toBe(1);
    loop.close();
    wakeUp();
  });

  test.each([1, 2, 3])(
    "a wake-up that comes while round %i runs is not forgotten",
    async (round) => {
      let onWake = () => {};
      let deaf = false;
      const wake = (fd: number, callback: () => void): Wake => {
        onWake = callback;
        return host.wake(fd, () => deaf || callback());
      };
      using loop = loopOn({ wake, meanwhile: undefined });
      let told = 0;
      const async = new Async(loop, () => void told++);
      await new Promise((resolve) => setTimeout(resolve, 5));
      // After the turn, which may have asked for a wake-up: and here it comes.
      let rounds = 0;
      new Check(loop).start(() => {
        if (++rounds !== round) return;
        sendShared(async.share());
        onWake();
        deaf = true;
      });
      await until(() => {
        if (rounds < round) new Timer(loop).start(() => {}, 0);
        return told === 1;
      });
    },
  );

  test("where a callback may run the runtime's loop, ours goes on in there", async () => {
    const waiting: (() => void)[] = [];
    const macrotask = (callback: () => void, keepAlive: boolean) => {
      waiting.push(callback);
      host.macrotask(() => {
        if (waiting.includes(callback)) waiting.splice(waiting.indexOf(callback), 1)[0]!();
      }, keepAlive);
    };
    /** What the runtime does when a callback waits for something in its loop. */
    const spin = (over: () => boolean): void => {
      for (const end = performance.now() + 1000; !over() && performance.now() < end;) {
        for (const callback of waiting.splice(0)) callback();
      }
    };
    const meanwhile = (callback: () => void) => void waiting.push(callback);
    using loop = loopOn({ macrotask, meanwhile });
    const log: string[] = [];
    const users = [1, 2, 3].map((number) => {
      return new User(loop).start(() => {
        log.push(`user ${number}`);
        if (number !== 1) return;
        new Timer(loop).start(() => log.push("timer"), 0);
        loop.immediates.add({ onImmediate: () => log.push("immediate") }, true);
        spin(() => log.length === 5);
        log.push("over");
      });
    });
    for (const user of users) user.trigger();
    await until(() => log.length === 6);
    expect(log).toEqual(["user 1", "user 2", "user 3", "immediate", "timer", "over"]);
    for (let count = 1; count <= 5; count++) {
      const onImmediate = (): void => {
        log.push(`${count}`);
        if (count === 2) spin(() => log.includes("5"));
      };
      loop.immediates.add({ onImmediate }, true);
    }
    await until(() => log.includes("5"));
    loop.immediates.add({ onImmediate: () => log.push("6") }, true);
    await until(() => log.includes("6"));
    expect(log.slice(6)).toEqual(["1", "2", "3", "4", "5", "6"]);
    expect(loop.immediates.size).toBe(0);
  });

  test("bun:test waits for ours within our callbacks", async (context) => {
    if (isDeno) context.skip("bun:test is Bun's");
    const flags = ["test", "--preload", fixturePath("../../adapters/register")];
    const end = await runFixture("nested-jest", [], { flags, limitMs: 25_000 });
    expect(end.errors).toContain("4 pass");
    expect(end.code).toBe(0);
  }, 30_000);

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
