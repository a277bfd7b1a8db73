// libuv's tests of timers and clocks, by name.
import { describe, expect, test } from "vitest";
import {
  Check,
  KEVENT_CLOCK_MONOTONIC,
  KEVENT_CLOCK_WALL,
  now,
  Prepare,
  Timer,
} from "../../adapters/mod.ts";
import { counter, driven, limitBlocking, pause } from "../support/driven.ts";
import { gate } from "../support/queue.ts";

limitBlocking();

/** The longest delay there is, in milliseconds. */
const LONGEST_MS = 0xffffffff * 1000;

describe("start and stop", () => {
  test("timer: timers fire once or again and again, none early, and stopped ones never", () => {
    using loop = driven();
    const [once, onceClosed, repeated, repeatClosed, never] = Array.from({ length: 5 }, counter);
    const start = loop.now;
    expect(start).toBeGreaterThan(0);
    const active: boolean[] = [];
    for (let index = 0; index < 10; index++) {
      const timer: Timer = new Timer(loop).start(() => {
        once!();
        active.push(timer.active);
        timer.close(onceClosed);
        loop.updateTime();
      }, index * 5);
    }
    const repeat: Timer = new Timer(loop).start(
      () => {
        repeated!();
        if (repeated!.calls === 5) repeat.close(repeatClosed);
      },
      10,
      10,
    );
    new Timer(loop).start(never!, 10, 10).unref().stop();
    expect(loop.run()).toBe(false);
    expect([once!.calls, onceClosed!.calls]).toEqual([10, 10]);
    expect(active).not.toContain(true);
    expect([repeated!.calls, repeatClosed!.calls, never!.calls]).toEqual([5, 1, 0]);
    expect(loop.now - start).toBeGreaterThanOrEqual(45e6);
  });

  test("timer_start_twice: the second start is the one that counts", () => {
    using loop = driven();
    const [first, second] = [counter(), counter()];
    const timer = new Timer(loop).start(first, 86_400_000);
    timer.start(second, 5);
    expect(loop.run()).toBe(false);
    expect([first.calls, second.calls]).toEqual([0, 1]);
  });

  test("timer_init: a new timer is not active, not due, and does not repeat", () => {
    using loop = driven();
    const timer = new Timer(loop);
    expect([timer.active, timer.repeat, timer.dueIn]).toEqual([false, 0, 0]);
  });

  test("timer_is_closing: a closed timer cannot be started", () => {
    using loop = driven();
    const never = counter();
    const timer = new Timer(loop);
    timer.close();
    expect(() => timer.start(never, 1, 1)).toThrow("EBADF");
    expect(() => timer.again()).toThrow("EBADF");
    expect(loop.run()).toBe(false);
    expect(never.calls).toBe(0);
  });

  test("timer_null_callback: a timer without a callback is refused at its start", () => {
    using loop = driven();
    const timer = new Timer(loop);
    expect(() => timer.start(undefined as unknown as () => void, 1, 1)).toThrow("EINVAL");
    expect([timer.active, loop.alive]).toEqual([false, false]);
  });

  test("timer_again: again puts a timer off by its period, which may change while it waits", () => {
    using loop = driven();
    const log: string[] = [];
    expect(() => new Timer(loop).again()).toThrow("EINVAL");
    const first: Timer = new Timer(loop).start(() => {
      log.push("first");
      second.again();
      if (log.length === 10) first.close();
    }, 5);
    expect(first.repeat).toBe(0);
    first.repeat = 5;
    expect(first.repeat).toBe(5);
    const second: Timer = new Timer(loop).start(
      () => {
        log.push(`second ${second.repeat} ${second.active}`);
        // Comes too late for the time that it waits for already.
        if (second.repeat > 0) second.repeat = 0;
        else second.close();
      },
      10,
      10,
    );
    expect(second.repeat).toBe(10);
    expect(loop.run()).toBe(false);
    const firsts = Array.from({ length: 10 }, () => "first");
    expect(log).toEqual([...firsts, "second 10 true", "second 0 false"]);
  });
});

describe("order and limits", () => {
  test("timer_order: equal deadlines go by the order of their start, not of their making", () => {
    using loop = driven();
    const [a, b] = [new Timer(loop), new Timer(loop)];
    for (const order of [[a, b], [b, a]]) {
      const log: Timer[] = [];
      for (const timer of order) timer.start(() => log.push(timer), 0);
      expect(loop.run()).toBe(false);
      expect(log.map((timer) => order.indexOf(timer))).toEqual([0, 1]);
    }
  });

  test("timer_zero_timeout: a timer that starts itself anew with no delay fires once a round", () => {
    using loop = driven();
    const fired = counter();
    const timer = new Timer(loop);
    const onTimer = () => {
      fired();
      timer.start(onTimer, 0);
      loop.stop();
    };
    timer.start(onTimer, 0);
    expect(loop.run()).toBe(true);
    expect(fired.calls).toBe(1);
    timer.close();
    expect(loop.run()).toBe(false);
    expect(fired.calls).toBe(1);
  });

  test("timer_huge_timeout: the longest delay neither overflows nor delays others", () => {
    using loop = driven();
    const never = counter();
    const tiny = new Timer(loop);
    const huge = [LONGEST_MS / 2, LONGEST_MS].map((ms) => new Timer(loop).start(never, ms));
    tiny.start(() => [tiny, ...huge].forEach((timer) => timer.close()), 1);
    expect(tiny.dueIn).toBeGreaterThanOrEqual(1);
    expect(huge[0]!.dueIn / LONGEST_MS).toBeCloseTo(0.5, 6);
    expect(huge[1]!.dueIn / LONGEST_MS).toBeCloseTo(1, 6);
    expect(() => new Timer(loop).start(never, LONGEST_MS + 1)).toThrow("EINVAL");
    expect(() => new Timer(loop).start(never, Infinity)).toThrow("EINVAL");
    expect(loop.run()).toBe(false);
    expect(never.calls).toBe(0);
  });

  test("timer_huge_repeat: the longest period neither overflows nor delays others", () => {
    using loop = driven();
    const log: string[] = [];
    const onTimer = (name: string) => {
      if (log.push(name) === 10) { for (const timer of [tiny, huge]) timer.close(); }
    };
    const tiny = new Timer(loop).start(() => onTimer("tiny"), 2, 2);
    const huge = new Timer(loop).start(() => onTimer("huge"), 1, LONGEST_MS);
    expect(loop.run()).toBe(false);
    expect(log).toEqual(["huge", ...Array.from({ length: 9 }, () => "tiny")]);
  });

  test("timer_early_check: no timer fires before its time", () => {
    using loop = driven();
    const due = loop.now + 10e6;
    let fired = 0;
    const timer = new Timer(loop).start(() => fired = loop.clock.now(), 10);
    expect(loop.run()).toBe(false);
    expect(fired).toBeGreaterThanOrEqual(due);
    timer.close();
    expect(loop.run()).toBe(false);
  });
});

describe("rounds", () => {
  test("timer_run_once: once waits for what comes next and runs it, and only that", () => {
    using loop = driven();
    const fired = counter();
    const timer = new Timer(loop).start(fired, 0);
    expect(loop.run("once")).toBe(false);
    expect(fired.calls).toBe(1);
    timer.start(fired, 1);
    expect(loop.run("once")).toBe(false);
    expect(fired.calls).toBe(2);
    timer.close();
    expect(loop.run("once")).toBe(false);
    expect(fired.calls).toBe(2);
  });

  test("timer_no_double_call_once: a period that was missed is one call of once", (context) => {
    gate(context, "simulated", "its clock stands still while the script sleeps");
    using loop = driven();
    const fired = counter();
    new Timer(loop).start(fired, 5, 5);
    pause(15);
    expect(loop.run("once")).toBe(true);
    expect(fired.calls).toBe(1);
  });

  test("timer_no_double_call_nowait: a period that was missed is one call of nowait", (context) => {
    gate(context, "simulated", "its clock stands still while the script sleeps");
    using loop = driven();
    const misses: number[] = [];
    new Timer(loop).start((missed) => misses.push(missed), 5, 5);
    pause(15);
    expect(loop.run("nowait")).toBe(true);
    expect(misses).toHaveLength(1);
    expect(misses[0]).toBeGreaterThanOrEqual(2);
  });

  test("timer_no_run_on_unref: a due timer that keeps nothing alive is not run", () => {
    using loop = driven();
    const fired = counter();
    new Timer(loop).start(fired, 0).unref();
    expect(loop.run()).toBe(false);
    expect(fired.calls).toBe(0);
  });

  test("timer_from_check: a timer that check starts anew waits for its new time", () => {
    using loop = driven();
    const log: string[] = [];
    const prepare = new Prepare(loop);
    const onTimer = () => log.push("timer");
    const check: Check = new Check(loop).start(() => {
      log.push("check");
      check.stop();
      timer.stop();
      timer.start(onTimer, 50);
      prepare.start(() => {
        log.push("prepare");
        prepare.stop();
      });
    });
    const timer = new Timer(loop).start(onTimer, 5);
    // Due when the first wait is over, so only check can keep it from firing.
    expect(loop.run()).toBe(false);
    expect(log).toEqual(["check", "prepare", "timer"]);
    for (const handle of [prepare, check, timer]) handle.close();
    expect(loop.run("once")).toBe(false);
  });
});

describe("clocks", () => {
  test("hrtime: the monotonic clock moves as time does", () => {
    for (let round = 0; round < 5; round++) {
      const before = now();
      pause(5);
      expect(now() - before).toBeGreaterThan(3e6);
    }
  });

  test("clock_gettime: both clocks are there, and others are not a number", () => {
    expect(now(1337)).toBeNaN();
    expect(now(KEVENT_CLOCK_MONOTONIC)).toBeGreaterThan(0);
    expect(now(KEVENT_CLOCK_WALL)).toBeGreaterThan(Date.UTC(2026, 0) * 1e6);
  });

  test("gettimeofday: the wall clock is that of the runtime", () => {
    const before = Date.now();
    const wall = now(KEVENT_CLOCK_WALL) / 1e6;
    const after = Date.now();
    // The runtime's milliseconds are whole, and somebody may set the clock by a little.
    expect(wall).toBeGreaterThan(before - 1000);
    expect(wall).toBeLessThan(after + 1000);
  });
});
