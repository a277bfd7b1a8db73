// Timers that are numbers, of any clock, and what goes with them.
import { describe, expect, test } from "vitest";
import {
  Alarm,
  clearTimer,
  defaultLoop,
  KEVENT_SIMULATE_MANUAL_CLOCK,
  KEVENT_SIMULATE_SET_WALL,
  Loop,
  ManualClock,
  refTimer,
  setTimer,
  sleep,
  Timer,
  TimerGroup,
  type TimerOptions,
  unrefTimer,
} from "../adapters/mod.ts";
import { currentRuntime } from "../loop/host.ts";
import { gate } from "./support/queue.ts";

/** Counts the calls of a method of one object. */
function counted<Name extends string>(
  object: Readonly<Record<Name, (...parameters: never[]) => unknown>>,
  name: Name,
): { readonly calls: number } {
  const method = object[name];
  const count = { calls: 0 };
  const value = (...parameters: never[]): unknown => {
    count.calls++;
    return method.apply(object, parameters);
  };
  Object.defineProperty(object, name, { value });
  return count;
}

function onManualClock(): { loop: Loop; clock: ManualClock } {
  const loop = new Loop();
  const clock = new ManualClock();
  loop.clock = clock;
  return { loop, clock };
}

describe("setTimer", () => {
  test("a number fires once, never early, and is gone", async () => {
    const { clock } = defaultLoop();
    const start = clock.now();
    let id = 0;
    await new Promise<void>((resolve) => id = setTimer(() => resolve(), 2.5e6));
    expect(clock.now() - start).toBeGreaterThanOrEqual(2.5e6);
    expect(clearTimer(id)).toBe(false);
  });

  test("each form says what it missed: nothing, when there was nothing to miss", async () => {
    const told: unknown[] = [];
    for (const when of [1e6, { after: 1e6 }, { every: 1e6 }]) {
      await new Promise<void>((resolve) => {
        const id = setTimer((...missed) => {
          told.push(missed.length, typeof missed[0]);
          if (typeof when === "number") told.push(missed[0]);
          clearTimer(id);
          resolve();
        }, when);
      });
    }
    expect(told).toEqual([1, "number", 0, 1, "number", 1, "number"]);
  });

  test("clear ends it, also in its own callback, and only it", () => {
    const { loop, clock } = onManualClock();
    using _loop = loop;
    const log: string[] = [];
    const first = setTimer(() => log.push("first"), { after: 10, loop });
    const every: number = setTimer(() => {
      log.push("every");
      expect(clearTimer(every, loop)).toBe(true);
    }, { every: 5, loop });
    expect(clearTimer(first, loop)).toBe(true);
    expect(clearTimer(first, loop)).toBe(false);
    setTimer(() => log.push("third"), { after: 10, loop });
    expect(clearTimer(first, loop)).toBe(false);
    clock.advance(100);
    expect(log).toEqual(["every", "third"]);
    expect(loop.alive).toBe(false);
  });

  test("numbers that name nothing clear nothing", () => {
    setTimer(() => {}, 1e9);
    for (const id of [0, -1, 1.5, NaN, Infinity, 2 ** 53, -(2 ** 40), 1 << 24]) {
      expect(clearTimer(id), String(id)).toBe(false);
    }
  });

  test("undefined clears nothing, and anything else that is no number is refused", () => {
    const group = new TimerGroup();
    for (const clear of [clearTimer, refTimer, unrefTimer, (id: never) => group.clearTimer(id)]) {
      expect(clear(undefined as never) ?? false).toBe(false);
      for (const id of [5n, Symbol("id"), "5", null, {}, setTimeout(() => {}, 1)]) {
        expect(() => clear(id as never)).toThrow(/timer: EINVAL \(id must be a number that/);
      }
    }
    expect(() => clearTimer(5n as never)).toThrow("not 5n");
  });

  test("numbers of what others started end nothing", () => {
    const { loop, clock } = onManualClock();
    using _loop = loop;
    const log: string[] = [];
    const timer = new Timer(loop).start(() => log.push("handle"), 1);
    const dropIn = { onTimer: () => log.push("drop-in") };
    const slot = loop.timers.open(dropIn);
    loop.timers.arm(slot, 1e6);
    const { count } = loop.timers;
    for (let index = 0; index < 3; index++) {
      const id = loop.timers.idOf(index);
      expect(clearTimer(id, loop)).toBe(false);
      unrefTimer(id, loop);
    }
    expect([loop.timers.count, loop.alive]).toEqual([count, true]);
    clock.advance(1e6);
    expect(log).toEqual(["handle", "drop-in"]);
    loop.timers.close(slot);
    timer.close();
    expect([loop.timers.count, loop.alive]).toEqual([0, false]);
  });

  test("the number of a timer names nothing in another loop", () => {
    using one = new Loop();
    using other = new Loop();
    const ids = [one, other].map((loop) => setTimer(() => {}, { after: 1e9, loop }));
    expect(new Set(ids).size).toBe(2);
    expect([clearTimer(ids[0]!, other), clearTimer(ids[1]!, one)]).toEqual([false, false]);
    expect([clearTimer(ids[0]!, one), clearTimer(ids[1]!, other)]).toEqual([true, true]);
  });

  test("every goes on from the deadline and counts what it missed", () => {
    const { loop, clock } = onManualClock();
    using _loop = loop;
    const missed: number[] = [];
    setTimer((count) => {
      missed.push(count);
      // As if the callback took so long.
      if (missed.length === 1) clock.moveTo(35e6);
    }, { after: 1e6, every: 10e6, loop });
    clock.advance(1e6);
    expect(missed).toEqual([0]);
    clock.advance(0);
    expect(missed).toEqual([0, 2]);
    clock.advance(6e6);
    expect(missed).toEqual([0, 2, 0]);
  });

  test("where a double is too coarse for the period, time goes on all the same", () => {
    using loop = new Loop();
    // Steps of 256 ns.
    const clock = new ManualClock(1.7e18);
    loop.clock = clock;
    const start = clock.now();
    const times: number[] = [];
    let ticks = 0;
    setTimer((missed) => {
      times.push(clock.now() - start);
      ticks += 1 + missed;
    }, { every: 100, loop });
    clock.advance(2560);
    expect(times.length).toBeGreaterThan(5);
    expect(times).toEqual([...new Set(times)]);
    expect(ticks).toBeGreaterThanOrEqual(20);
  });

  test("at is a time of the loop's clock; one that is over fires at once", () => {
    const { loop, clock } = onManualClock();
    using _loop = loop;
    clock.advance(100);
    const log: number[] = [];
    setTimer(() => log.push(clock.now()), { at: 150, loop });
    setTimer(() => log.push(clock.now()), { at: 50, loop });
    clock.advance(0);
    expect(log).toEqual([100]);
    clock.advance(100);
    expect(log).toEqual([100, 150]);
  });

  test.each<[string, unknown, unknown, string]>([
    ["a callback that is none", 1, 1, "callback must be a function, not number"],
    ["a negative delay", () => {}, -1, "delay must be 0 or more nanoseconds, not -1"],
    ["a delay that is no number", () => {}, NaN, "delay must be 0 or more nanoseconds, not NaN"],
    ["a negative every", () => {}, { every: -1 }, "every must be 0 or more nanoseconds, not -1"],
    ["a clock that is none", () => {}, { clock: "sun" }, 'clock must be "monotonic" or "wall"'],
    ["a date after 2106", () => {}, { at: 1e19, clock: "wall" }, "must be due before 2106"],
    ["a text", () => {}, "5", "nanoseconds from now, or options, not a string"],
    ["null", () => {}, null, "nanoseconds from now, or options, not null"],
    ["a bigint", () => {}, 5n, "nanoseconds from now, or options, not a bigint"],
    ["a Date", () => {}, new Date(0), '{ at: date.getTime() * 1e6, clock: "wall" }'],
    ["a time that is a text", () => {}, { after: "5" }, "nanoseconds, not a string"],
    ["after together with at", () => {}, { after: 1, at: 2 }, "give after or at, not both"],
    ["a period below a nanosecond", () => {}, { every: 1e-310 }, "every must be 0, for once"],
    ["the same of dates", () => {}, { every: 0.5, clock: "wall" }, "every must be 0, for once"],
    ["a loop that is none", () => {}, { loop: {} }, "loop must be a Loop, not an object"],
  ])("%s is refused with what to do, and nothing is left", (_name, callback, when, message) => {
    const held = (): number[] => {
      const { handles, queue, timers } = defaultLoop().info();
      return [handles, queue.registrations, timers];
    };
    const before = held();
    expect(() => setTimer(callback as () => void, when as TimerOptions)).toThrow(message);
    expect(held()).toEqual(before);
  });

  test("a loop that is closed takes no timer", async () => {
    const loop = new Loop();
    await loop.close();
    expect(() => setTimer(() => {}, { after: 1, loop })).toThrow("Cannot start timer: EBADF");
    expect(() => setTimer(() => {}, { after: 1, loop, clock: "wall" })).toThrow("EBADF");
  });

  test("a delay for ever neither fires nor harms", async () => {
    const ids = [Infinity, Number.MAX_VALUE, 2 ** 62].map((ns) => setTimer(() => {}, ns));
    await sleep(1e6);
    expect(ids.map((id) => clearTimer(id))).toEqual([true, true, true]);
  });

  test("the wall clock: a date, then again and again, cleared by number", async () => {
    const loop = defaultLoop();
    const date = loop.wallClock.now() + 2e6;
    let count = 0;
    await new Promise<void>((resolve) => {
      const id: number = setTimer((missed) => {
        expect(loop.wallClock.now()).toBeGreaterThanOrEqual(date + count * 1e6);
        count += 1 + missed;
        if (count < 3) return;
        expect([clearTimer(id), clearTimer(id)]).toEqual([true, false]);
        resolve();
      }, { at: date, every: 1e6, clock: "wall" });
    });
  });

  test("who waits for a date is told that the clock was set, and the date stays", async () => {
    using loop = new Loop({ backend: "simulated", attached: false });
    loop.queue.simulate(KEVENT_SIMULATE_MANUAL_CLOCK, 1);
    const log: string[] = [];
    const date = loop.wallClock.now() + 3600e9;
    const onClockSet = () => log.push("set");
    setTimer(() => log.push("date"), { at: date, clock: "wall", onClockSet, loop });
    loop.run("nowait");
    loop.queue.simulate(KEVENT_SIMULATE_SET_WALL, -60e9);
    loop.run("nowait");
    expect(log).toEqual(["set"]);
    loop.queue.simulate(KEVENT_SIMULATE_SET_WALL, 3661e9);
    for (let round = 0; round < 3; round++) loop.run("nowait");
    expect(log.filter((word) => word === "date")).toEqual(["date"]);
    expect(loop.alive).toBe(false);
    await loop.close();
  });

  test("ref and unref by number, of both clocks", () => {
    using loop = new Loop();
    for (const clock of ["monotonic", "wall"] as const) {
      const id = setTimer(() => {}, { after: 60e9, clock, loop });
      expect(loop.alive).toBe(true);
      unrefTimer(id, loop);
      expect(loop.alive).toBe(false);
      refTimer(id, loop);
      expect(loop.alive).toBe(true);
      clearTimer(id, loop);
      expect(loop.alive).toBe(false);
      setTimer(() => {}, { after: 60e9, clock, loop, ref: false });
      expect(loop.alive).toBe(false);
    }
  });

  test("10,000 timers that end within a millisecond of each other all fire", async () => {
    let left = 10_000;
    await new Promise<void>((resolve) => {
      for (let count = left; count > 0; count--) {
        setTimer(() => --left === 0 && resolve(), 5e6 + count * 100);
      }
    });
    expect(left).toBe(0);
    const { timers } = defaultLoop();
    const { count } = timers;
    await sleep(2e6);
    // None of them fires once more.
    expect([left, timers.count]).toEqual([0, count]);
  });
});

describe("sleep", () => {
  test("it ends after its time, or with the reason of its signal", async () => {
    const { clock } = defaultLoop();
    const start = clock.now();
    await sleep(1e6);
    expect(clock.now() - start).toBeGreaterThanOrEqual(1e6);
    const controller = new AbortController();
    const slept = sleep(60e9, { signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(slept).rejects.toThrow("enough");
    await expect(sleep(1, { signal: controller.signal })).rejects.toThrow("enough");
    await expect(sleep(-1)).rejects.toThrow("EINVAL");
  });

  test("a signal that is none is refused, and no timer is left", async () => {
    const { timers } = defaultLoop();
    const { count } = timers;
    for (const signal of [{}, null, 5, { aborted: false }]) {
      const slept = sleep(60e9, { signal: signal as never });
      await expect(slept).rejects.toThrow("Cannot sleep: EINVAL (signal must be an AbortSignal");
    }
    expect(timers.count).toBe(count);
  });
});

describe("TimerGroup", () => {
  test("clear ends all of a group, and no others", () => {
    const { loop, clock } = onManualClock();
    using _loop = loop;
    const log: string[] = [];
    using group = new TimerGroup(loop);
    for (let count = 1; count <= 1000; count++) group.setTimer(() => log.push("group"), count);
    group.setTimer(() => log.push("again"), { every: 300 });
    setTimer(() => log.push("other"), { after: 2000, loop });
    clock.advance(500);
    expect(group.size).toBe(501);
    expect(group.clear()).toBe(501);
    log.length = 0;
    clock.advance(5000);
    expect([log, group.size]).toEqual([["other"], 0]);
  });

  test("one of them can be ended alone", () => {
    using loop = new Loop();
    const group = new TimerGroup(loop);
    const id = group.setTimer(() => {}, 1e9);
    expect([group.clearTimer(id), group.clearTimer(id), group.size]).toEqual([true, false, 0]);
  });

  test("it forgets those that are over", () => {
    const { loop, clock } = onManualClock();
    using _loop = loop;
    const group = new TimerGroup(loop);
    for (let round = 0; round < 100; round++) {
      for (let count = 0; count < 100; count++) group.setTimer(() => {}, 1);
      clock.advance(1);
    }
    // Its size would make it look.
    const cleared = counted(loop.timers, "clear");
    expect(group.clear()).toBe(0);
    expect(cleared.calls).toBeLessThan(300);
    expect(group.size).toBe(0);
  });
});

describe("Alarm", () => {
  test("it is told once that it fired, and may be started anew in its callback", async (context) => {
    gate(context, "simulated", "its wall clock stands still while nobody looks");
    using loop = new Loop();
    const dates: number[] = [];
    const alarm = new Alarm(loop);
    await new Promise<void>((resolve) => {
      const fire = () => {
        dates.push(loop.wallClock.now());
        if (dates.length === 2) return resolve();
        expect(alarm.active).toBe(false);
        alarm.start({ fire }, loop.wallClock.now() + 1e6);
      };
      alarm.start({ fire }, loop.wallClock.now() + 1e6);
    });
    expect([alarm.active, loop.alive]).toEqual([false, false]);
    expect(dates[1]! - dates[0]!).toBeGreaterThanOrEqual(1e6);
  });

  /** An alarm in an hour, whose clock is then set two hours ahead. */
  async function setAhead(clockSet: (alarm: Alarm, fire: () => void) => void): Promise<number> {
    const { host, library } = currentRuntime();
    const runtime = { host: { ...host, report() {} }, library };
    const loop = new Loop({ backend: "simulated", attached: false, runtime });
    loop.queue.simulate(KEVENT_SIMULATE_MANUAL_CLOCK, 1);
    let fired = 0;
    const fire = (): void => void fired++;
    const alarm = new Alarm(loop);
    const handlers = { fire, clockSet: () => clockSet(alarm, fire) };
    alarm.start(handlers, loop.wallClock.now() + 3600e9);
    loop.run("nowait");
    loop.queue.simulate(KEVENT_SIMULATE_SET_WALL, 7200e9);
    for (let round = 0; round < 3; round++) loop.run("nowait");
    await loop.close();
    return fired;
  }

  test("one that is started anew when the clock is set waits for its new date", async () => {
    const later = (alarm: Alarm, fire: () => void) => {
      alarm.start({ fire }, alarm.loop.wallClock.now() + 36_000e9);
    };
    expect(await setAhead(later)).toBe(0);
    expect(await setAhead((alarm) => alarm.close())).toBe(0);
    expect(await setAhead(() => {})).toBe(1);
  });

  test("it fires though the handler of the set clock throws", async () => {
    const fails = () => {
      throw new Error("clockSet");
    };
    expect(await setAhead(fails)).toBe(1);
  });

  test("a period that ends after 2106 brings no second date, and none early", async () => {
    using loop = new Loop();
    const everyNs = 2 ** 32 * 0.75e9;
    let fired = 0;
    const alarm = new Alarm(loop).start({ fire: () => fired++ }, loop.wallClock.now(), everyNs);
    const id: number = setTimer(() => fired++, { after: 0, every: everyNs, clock: "wall", loop });
    while (fired < 2) await sleep(1e6);
    await sleep(5e6);
    expect([fired, alarm.active, loop.alive]).toEqual([2, true, true]);
    alarm.stop();
    expect(clearTimer(id, loop)).toBe(true);
    expect([alarm.active, loop.alive, loop.info().queue.registrations]).toEqual([false, false, 0]);
  });

  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["a function", () => {}],
    ["fire that is none", { fire: 1 }],
  ])("%s instead of handlers is refused at once", (_name, handlers) => {
    using loop = new Loop();
    const start = () => new Alarm(loop).start(handlers as never, 0);
    expect(start).toThrow("Cannot start alarm: EINVAL (handlers.fire must be a function");
  });
});
