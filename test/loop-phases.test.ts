// A round of the loop: its phases, who may move it and when, what it tells about itself, its end.
import process from "node:process";
import { describe, expect, test } from "vitest";
import {
  Async,
  Check,
  defaultLoop,
  type Handle,
  Idle,
  KEVENT_POLL_IN,
  Loop,
  type LoopOptions,
  ManualClock,
  Poll,
  Prepare,
  Process,
  Timer,
  User,
} from "../adapters/mod.ts";
import { DelayHistogram } from "../loop/metrics.ts";
import { currentRuntime } from "../loop/host.ts";
import { openDescriptors } from "./support/descriptors.ts";
import { counter, driven, limitBlocking, pause } from "./support/driven.ts";
import { absentPid, pipe, read, write } from "./support/libc.ts";
import { gate } from "./support/queue.ts";
import { sleep, until } from "./support/worker.ts";

limitBlocking();

const PHASES = ["pending", "idle", "prepare", "poll", "check", "immediate", "closing", "timers"];

/** Makes one thing happen in each phase of the next round; `told` may throw. */
function oneOfEach(loop: Loop, told: (phase: string) => void): Disposable {
  const fds = pipe();
  write(fds.b);
  const handles: Handle[] = [
    new Idle(loop).start(() => told("idle")),
    new Prepare(loop).start(() => told("prepare")),
    new Check(loop).start(() => told("check")),
    new Timer(loop).start(() => told("timers"), 0),
    new Poll(loop, fds.a).start(KEVENT_POLL_IN, () => {
      read(fds.a);
      told("poll");
    }),
  ];
  const refused = new Process(loop);
  refused.onError = () => told("pending");
  refused.start(absentPid(), () => {});
  new Timer(loop).close(() => told("closing"));
  loop.immediates.add({ onImmediate: () => told("immediate") }, true);
  return {
    [Symbol.dispose]() {
      for (const handle of handles) handle.close();
      fds[Symbol.dispose]();
    },
  };
}

/** Runs a test outside of any microtask: within one, V8 runs no others. */
function ownTurn(body: () => void): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    setTimeout(() => {
      try {
        resolve(body());
      } catch (error) {
        reject(error);
      }
    });
  });
}

/** A loop that sleeps in the runtime, with all it opens for that. */
async function asleep(): Promise<Loop> {
  const loop = new Loop();
  new Timer(loop).start(() => {}, 60_000);
  new Async(loop, () => {});
  await sleep(5);
  return loop;
}

describe("phases", () => {
  test("one round goes through all phases in their order", () => {
    using loop = driven();
    const log: string[] = [];
    using _all = oneOfEach(loop, (phase) => log.push(phase));
    expect(loop.run("nowait")).toBe(true);
    expect(log).toEqual(PHASES);
  });

  test("run runs the timers that are due once more before the first round", () => {
    using loop = driven();
    const log: string[] = [];
    using _all = oneOfEach(loop, (phase) => {
      log.push(phase);
      loop.stop();
    });
    // A stop in that pass is before the first round.
    expect(loop.run()).toBe(true);
    expect(log).toEqual(["timers"]);
    expect(loop.run()).toBe(true);
    expect(log).toEqual(["timers", ...PHASES.filter((phase) => phase !== "timers")]);
  });

  test("an attached loop has the same phases", async () => {
    using loop = new Loop();
    const log: string[] = [];
    using _all = oneOfEach(loop, (phase) => log.push(phase));
    await until(() => new Set(log).size === PHASES.length);
    const firsts = [...new Set(log)].filter((phase) => phase !== "timers");
    // When it was woken the timers are looked at first.
    expect(firsts).toEqual(PHASES.filter((phase) => phase !== "timers"));
  });

  test("immediates that wait come before timers that fell due meanwhile", async () => {
    using loop = new Loop();
    const log: string[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    new Timer(loop).start(() => resolve(void log.push("timer")), 1);
    loop.immediates.add({ onImmediate: () => log.push("immediate") }, true);
    // Nobody could run either while this blocks.
    for (const end = performance.now() + 5; performance.now() < end;);
    await promise;
    expect(log).toEqual(["immediate", "timer"]);
  });

  test("what a phase starts for a later one comes in the same round", () => {
    using loop = driven();
    const log: string[] = [];
    const idle: Idle = new Idle(loop).start(() => {
      idle.stop();
      new Prepare(loop).start(() => {
        log.push("prepare");
        new User(loop).start(() => {
          log.push("poll");
          new Check(loop).start(() => {
            log.push("check");
            new Timer(loop).close(() => {
              log.push("closing");
              new Timer(loop).start(() => log.push("timers"), 0);
            });
          });
        }).trigger();
      });
    });
    loop.run("nowait");
    expect(log).toEqual(["prepare", "poll", "check", "closing", "timers"]);
  });

  test("what a phase starts for itself waits for the next round", () => {
    using loop = driven();
    const log: string[] = [];
    let round = 1;
    const again = {
      idle: () => void new Idle(loop).start(() => tell("idle")),
      prepare: () => void new Prepare(loop).start(() => tell("prepare")),
      poll: () => void new User(loop).start(() => tell("poll")).trigger(),
      check: () => void new Check(loop).start(() => tell("check")),
      immediate: () => void loop.immediates.add({ onImmediate: () => tell("immediate") }, true),
      closing: () => new Timer(loop).close(() => tell("closing")),
      timers: () => void new Timer(loop).start(() => tell("timers"), 0),
    };
    const tell = (phase: keyof typeof again) => {
      log.push(`${phase} ${round}`);
      again[phase]();
    };
    for (const start of Object.values(again)) start();
    loop.run("nowait");
    expect(log).toEqual(PHASES.slice(1).map((phase) => `${phase} 1`));
    round = 2;
    loop.run("nowait");
    // Those that repeat come twice by now: the first, and the one that it started.
    const second = ["idle", "idle", "prepare", "prepare", "poll", "check", "check"];
    const rest = ["immediate", "closing", "timers"];
    expect(log.slice(7)).toEqual([...second, ...rest].map((phase) => `${phase} 2`));
  });

  test("a handle that starts anew in its own phase keeps its callback and is called once a round", () => {
    using loop = driven();
    const log: string[] = [];
    const idle: Idle = new Idle(loop).start(() => {
      log.push("first");
      idle.start(() => log.push("ignored"));
    });
    for (let round = 0; round < 2; round++) loop.run("nowait");
    expect(log).toEqual(["first", "first"]);
    idle.stop();
    idle.start(() => {
      log.push("second");
      idle.stop();
      idle.start(() => log.push("third"));
    });
    for (let round = 0; round < 2; round++) loop.run("nowait");
    expect(log).toEqual(["first", "first", "second", "third"]);
  });

  test("a handle that starts while its loop sleeps is called, ref'd or not", async () => {
    const kinds = [[Idle, 3], [Prepare, 1], [Check, 1]] as const;
    const cases = [true, false].flatMap((ref) => kinds.map((kind) => [ref, ...kind] as const));
    for (const [ref, Kind, times] of cases) {
      await using loop = await asleep();
      const calls = counter();
      const handle = new Kind(loop).start(() => void (calls(), calls.calls === 3 && handle.stop()));
      if (!ref) handle.unref();
      await until(() => calls.calls === times);
    }
  });

  test("handles that start each other in turns do not keep a loop from its sleep", async () => {
    using loop = await asleep();
    const { promise, resolve } = Promise.withResolvers<void>();
    const check = new Check(loop);
    const prepare = new Prepare(loop);
    const other = (stops: Handle, starts: () => void) => (stops.stop(), starts());
    const toCheck = (): void => other(prepare, () => check.start(toPrepare));
    const toPrepare = (): void => other(check, () => (prepare.start(toCheck), resolve()));
    prepare.start(toCheck);
    await promise;
    const { turns } = loop.metrics();
    await sleep(30);
    expect(loop.metrics().turns - turns).toBeLessThan(3);
  });

  test("an exception is reported, and neither its phase nor the later ones suffer", () => {
    const { host, library } = currentRuntime();
    const reported: string[] = [];
    const report = (error: unknown) => void reported.push((error as Error).message);
    using loop = new Loop({ attached: false, runtime: { host: { ...host, report }, library } });
    using _all = oneOfEach(loop, (phase) => {
      throw new Error(phase);
    });
    expect(loop.run("nowait")).toBe(true);
    expect(reported).toEqual(PHASES);
  });

  test("after an exception the runtime has a turn, and the round goes on behind it", async () => {
    const { host, library } = currentRuntime();
    const report = () => {};
    using loop = new Loop({ runtime: { host: { ...host, report }, library } });
    const log: string[] = [];
    const turns: number[] = [];
    let turn = 0;
    const count = () => void (immediate = setImmediate(count), turn++);
    let immediate = setImmediate(count);
    using _all = oneOfEach(loop, (phase) => {
      log.push(phase);
      turns.push(turn);
      throw new Error(phase);
    });
    await until(() => log.length >= PHASES.length);
    clearImmediate(immediate);
    expect(log.slice(0, PHASES.length)).toEqual(PHASES);
    expect(new Set(turns.slice(0, PHASES.length)).size).toBe(PHASES.length);
  });

  test("those of a phase that an exception left out come first in the next round", async () => {
    const { host, library } = currentRuntime();
    const report = () => {};
    using loop = new Loop({ runtime: { host: { ...host, report }, library } });
    const log: string[] = [];
    const failing = (name: string) => () => {
      log.push(name);
      throw new Error(name);
    };
    const idles = ["one", "two", "three"].map((name) => new Idle(loop).start(failing(name)));
    const closing: string[] = [];
    for (const name of ["first", "second"]) {
      new Timer(loop).close(() => {
        closing.push(name);
        throw new Error(name);
      });
    }
    await until(() => log.length >= 6 && closing.length === 2);
    for (const idle of idles) idle.close();
    expect(log.slice(0, 6)).toEqual(["one", "two", "three", "one", "two", "three"]);
    expect(closing).toEqual(["first", "second"]);
  });

  test("microtasks run between two callbacks of each phase", () =>
    ownTurn(() => {
      using loop = driven();
      const log: string[] = [];
      using _all = oneOfEach(loop, (phase) => {
        log.push(phase);
        queueMicrotask(() => log.push("microtask"));
      });
      loop.run("nowait");
      expect(log).toEqual(PHASES.flatMap((phase) => [phase, "microtask"]));
    }));
});

describe("who moves it", () => {
  test("an unknown mode of run is refused with those there are", () => {
    using loop = new Loop({ attached: false });
    expect(() => loop.run("onec" as "once")).toThrow('mode must be "default", "once" or "nowait"');
  });

  test("a callback of any phase cannot move its loop, but another one", () => {
    using loop = driven();
    using other = driven();
    const clock = new ManualClock();
    loop.clock = clock;
    const calls = {
      run: () => loop.run("nowait"),
      rest: () => loop.rest(),
      next: () => clock.next(),
      advance: () => clock.advance(0),
      clock: () => loop.clock = undefined,
    };
    const refusals: Record<string, string[]> = {};
    const ran = counter();
    using _all = oneOfEach(loop, (phase) => {
      // A timer, so that `next` has somewhere to go.
      new Timer(loop).start(() => {}, 60_000);
      refusals[phase] = Object.values(calls).map((call) => codeOf(call));
      new Timer(other).start(ran, 0);
      other.run();
    });
    loop.run("nowait");
    const all = PHASES.map((phase) => [phase, Object.keys(calls).map(() => "EBUSY")]);
    expect(refusals).toEqual(Object.fromEntries(all));
    expect(ran.calls).toBe(PHASES.length);
    expect([clock.now(), loop.clock]).toEqual([0, clock]);
    // Refused is not broken.
    expect(loop.run("nowait")).toBe(true);
  });

  test("what is asked of the runtime twice is one turn of the loop", async () => {
    const { host, library } = currentRuntime();
    const asked: (() => void)[] = [];
    const macrotask = (callback: () => void) => void asked.push(callback);
    using loop = new Loop({ runtime: { host: { ...host, macrotask }, library } });
    const calls = counter();
    new Idle(loop).unref().start(calls);
    new Check(loop).start(() => {});
    await sleep(5);
    expect(asked).toHaveLength(2);
    asked[0]!();
    const before = calls.calls;
    asked[1]!();
    expect([calls.calls, asked.length]).toEqual([before, 3]);
    asked[2]!();
    expect(calls.calls).toBeGreaterThan(before);
  });

  test("rounds that take long are not taken in a row", async (context) => {
    gate(context, "simulated", "its clock stands still while a callback works");
    const { host, library } = currentRuntime();
    const asked: (() => void)[] = [];
    const macrotask = (callback: () => void) => void asked.push(callback);
    using loop = new Loop({ runtime: { host: { ...host, macrotask }, library } });
    const calls = counter();
    new Idle(loop).start(() => {
      calls();
      const end = performance.now() + 2;
      while (performance.now() < end);
    });
    await sleep(5);
    asked[0]!();
    expect(calls.calls).toBe(1);
  });

  test("a loop that is asleep in the runtime can be run from there", async () => {
    using loop = new Loop();
    const fired = counter();
    new Timer(loop).start(fired, 60_000);
    await sleep(5);
    const timer: Timer = new Timer(loop).start(() => loop.stop(), 1);
    expect(loop.run()).toBe(true);
    expect([timer.active, fired.calls]).toEqual([false, 0]);
  });

  test("drive resolves when nothing is alive, and gives the runtime its turns meanwhile", async () => {
    using loop = new Loop();
    using fds = pipe();
    const events = counter();
    const turns = counter();
    const poll: Poll = new Poll(loop, fds.a).start(KEVENT_POLL_IN, () => {
      events();
      // Readable all the time, until the runtime had some turns.
      if (turns.calls < 5) return;
      poll.close();
    });
    write(fds.b);
    const interval = setInterval(turns, 1);
    expect(await loop.drive()).toBe(false);
    clearInterval(interval);
    expect(turns.calls).toBeGreaterThanOrEqual(5);
    expect(events.calls).toBeGreaterThan(5);
  });

  test("drive sleeps while nothing comes, and goes on when something does", async () => {
    using loop = new Loop();
    const async: Async = new Async(loop, () => async.close());
    const driven = loop.drive();
    await sleep(200);
    const { turns } = loop.metrics();
    await sleep(30);
    expect(loop.metrics().turns - turns).toBeLessThan(5);
    async.send();
    expect(await driven).toBe(false);
  });

  test("stop ends drive, which can go on later; what is wrong with it is said", async () => {
    using loop = new Loop();
    const timer = new Timer(loop).start(() => {}, 60_000);
    const first = loop.drive();
    expect(codeOf(() => loop.drive())).toBe("EBUSY");
    loop.stop();
    expect(await first).toBe(true);
    const second = loop.drive();
    timer.close();
    expect(await second).toBe(false);
    for (const lingerNs of [0, -1, NaN, 2e9]) {
      expect(codeOf(() => loop.drive(lingerNs))).toBe("EINVAL");
    }
    using byHand = driven();
    expect(codeOf(() => byHand.drive())).toBe("EINVAL");
  });
});

/** The errno that a call is refused with. */
function codeOf(call: () => unknown): string {
  try {
    call();
    return "none";
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe("what it tells", () => {
  test("walk meets handles of all kinds in the order of their making, and they may close each other", () => {
    using loop = driven();
    const handles = [Timer, Idle, User, Check, Prepare, Process].map((Kind) => new Kind(loop));
    const seen: Handle[] = [];
    loop.walk((handle) => seen.push(handle));
    expect(seen).toEqual(handles);
    const closed = counter();
    loop.walk((handle) => {
      handle.close(closed);
      new Timer(loop);
    });
    const left = new Set<Handle>();
    loop.walk((handle) => left.add(handle));
    expect([left.size, handles.some((handle) => left.has(handle))]).toEqual([6, false]);
    expect(loop.run()).toBe(false);
    expect(closed.calls).toBe(6);
  });

  test("metrics count what was done, and how long was slept", () => {
    using loop = driven();
    const before = loop.metrics();
    expect(before).toMatchObject({ turns: 0, events: 0, timers: 0, immediates: 0, losses: 0 });
    const users = Array.from({ length: 12 }, () => new User(loop).start(() => {}));
    for (const user of users) user.trigger();
    for (let count = 0; count < 3; count++) {
      loop.immediates.add({ onImmediate: () => {} }, true);
    }
    loop.run("nowait");
    expect(loop.metrics()).toMatchObject({ events: 12, ringHigh: 12, immediates: 3, timers: 0 });
    for (const user of users) user.close();
    new Timer(loop).start(() => {}, 20);
    loop.run();
    const after = loop.metrics();
    expect(after).toMatchObject({ timers: 1, losses: 0, delays: { count: 1 } });
    expect(after.turns).toBeGreaterThanOrEqual(2);
    // The timer may have waited for us in part.
    expect(after.idleNs).toBeGreaterThan(5e6);
    const { delays } = after;
    expect(delays.buckets.reduce((sum, bucket) => sum + bucket)).toBe(1);
    expect(delays.maxNs).toBe(delays.meanNs);
  });

  test("metrics count a sleep that a change interrupts", async (context) => {
    gate(context, "simulated", "its clock stands still while nobody looks");
    using loop = new Loop();
    for (let count = 0; count < 4; count++) {
      new Timer(loop).start(() => {}, 60_000 - count);
      await sleep(30);
      if (count === 2) loop.apply();
    }
    await new Promise<void>((resolve) => new Timer(loop).start(() => resolve(), 1));
    expect(loop.metrics().idleNs).toBeGreaterThan(100e6);
  });

  test("metrics have the losses that the queue counted", () => {
    using loop = driven();
    const info = loop.queue.info();
    const counters = { ...info.counters, inode_overflows: 3 };
    Object.defineProperty(loop.queue, "info", { value: () => ({ ...info, counters }) });
    expect([loop.metrics().losses, loop.info().metrics.losses]).toEqual([3, 3]);
  });

  test("delays are counted by powers of two", () => {
    const delays = new DelayHistogram();
    delays.record(1000);
    // From 512 to 1023.
    expect(delays.read().buckets[10]).toBe(1);
  });

  test("metrics count sleep in the runtime's loop as well, and how late a blocked loop is", async (context) => {
    gate(context, "simulated", "its clock stands still while the script blocks");
    using loop = new Loop();
    await new Promise<void>((resolve) => new Timer(loop).start(() => resolve(), 30));
    const { idleNs, delays } = loop.metrics();
    expect(idleNs).toBeGreaterThan(5e6);
    expect(delays.count).toBe(1);
    const late = new Promise<void>((resolve) => new Timer(loop).start(() => resolve(), 1));
    pause(20);
    await late;
    expect(loop.metrics().delays.maxNs).toBeGreaterThan(15e6);
  });

  test("info says who moves it, what it holds and what keeps it alive", () => {
    using loop = driven();
    expect(loop.info()).toMatchObject({ mode: "driven", alive: false, handles: 0, timers: 0 });
    const timer = new Timer(loop).start(() => {}, 60_000);
    new User(loop).start(() => {}).unref();
    loop.immediates.add({ onImmediate: () => {} }, false);
    expect(loop.info()).toMatchObject({ alive: true, handles: 2, timers: 1, immediates: 1 });
    loop.run("nowait");
    const { queue, metrics } = loop.info();
    expect(queue).toMatchObject({ backend: loop.queue.info().backend, single: true });
    // The user event, and the one timer of the kernel that stands for all.
    expect(queue.registrations).toBe(2);
    expect(metrics).toMatchObject({ immediates: 1 });
    timer.close();
    expect(loop.info()).toMatchObject({ alive: false, handles: 1, timers: 0, immediates: 0 });
    using attached = new Loop();
    expect(attached.info().mode).toBe("attached");
  });

  test("now stands still during a callback, and moves between rounds", (context) => {
    gate(context, "simulated", "its clock stands still while the script blocks");
    using loop = driven();
    const times: number[] = [];
    const idle: Idle = new Idle(loop).start(() => {
      times.push(loop.now);
      pause(2);
      times.push(loop.now);
      if (times.length === 4) idle.close();
    });
    loop.run();
    expect(times[1]).toBe(times[0]);
    expect(times[2]! - times[1]!).toBeGreaterThanOrEqual(2e6);
  });
});

describe("end", () => {
  test("close resolves when neither the kernel nor the runtime holds anything of it", async () => {
    // What the first one opens for all of the process goes with the last one, in a thread's own time.
    using _other = await asleep();
    const before = openDescriptors();
    const loops = await Promise.all(Array.from({ length: 4 }, asleep));
    expect(openDescriptors().size).toBeGreaterThanOrEqual(before.size + 3 * loops.length);
    await Promise.all(loops.map((loop) => loop.close()));
    expect([...openDescriptors()].filter((fd) => !before.has(fd))).toEqual([]);
    expect(loops.map((loop) => [loop.closed, loop.alive])).toEqual(loops.map(() => [true, false]));
  });

  test("close may be called again, and from within a callback, which is the last", async () => {
    const loop = driven();
    const log: string[] = [];
    using _all = oneOfEach(loop, (phase) => {
      log.push(phase);
      if (phase === "prepare") void loop.close();
    });
    expect(loop.run()).toBe(false);
    expect(log).toEqual(["timers", "pending", "idle", "prepare"]);
    expect(loop.close()).toBe(loop.close());
    await loop.close();
  });

  test("close ends a drive that waits", async () => {
    const loop = await asleep();
    const driven = loop.drive();
    await sleep(5);
    await loop.close();
    expect(await driven).toBe(false);
  });

  test("a loop that is closed refuses everything but the end of its handles", async () => {
    const loop = driven();
    const timer = new Timer(loop).start(() => {}, 60_000);
    const user = new User(loop).start(() => {});
    const idle = new Idle(loop).start(() => {});
    const unstarted = new Check(loop);
    await loop.close();
    const calls = [
      () => loop.run(),
      () => loop.rest(),
      () => void loop.drive(),
      () => new Timer(loop),
      () => timer.start(() => {}, 1),
      () => user.start(() => {}),
      () => new Idle(loop),
      () => idle.start(() => {}),
      () => unstarted.start(() => {}),
      () => loop.clock = new ManualClock(),
    ];
    expect(calls.map(codeOf)).toEqual(calls.map(() => "EBADF"));
    for (const handle of [timer, user, idle]) {
      handle.stop();
      handle.unref().ref();
      handle.close(() => expect.unreachable("nobody moves the loop any more"));
      expect([handle.active, handle.closed]).toEqual([false, true]);
    }
    expect(loop.alive).toBe(false);
  });

  test("await using closes a loop at the end of its scope, and waits for that", async () => {
    let outside: Loop;
    using _other = await asleep();
    const before = openDescriptors();
    {
      await using loop = await asleep();
      outside = loop;
      expect(loop.closed).toBe(false);
    }
    expect(outside.closed).toBe(true);
    expect([...openDescriptors()].filter((fd) => !before.has(fd))).toEqual([]);
  });
});

describe("manual clock", () => {
  const HOUR_MS = 3_600_000;

  function withClock(loop: Loop): ManualClock {
    const clock = new ManualClock();
    loop.clock = clock;
    return clock;
  }

  test("advance runs each timer at its time and in order, in no time", () => {
    using loop = driven();
    const clock = withClock(loop);
    const log: [string, number][] = [];
    const told = (name: string) => log.push([name, clock.now() / 1e6]);
    new Timer(loop).start(() => told("last"), 3 * HOUR_MS);
    new Timer(loop).start(() => told("hour"), HOUR_MS, HOUR_MS);
    new Timer(loop).start(() => told("first"), 0.5);
    new Timer(loop).start(() => told("same hour"), HOUR_MS);
    const start = performance.now();
    expect(clock.advance(0.4e6)).toBe(0);
    expect(clock.advance(3 * HOUR_MS * 1e6)).toBe(6);
    expect(performance.now() - start).toBeLessThan(5000);
    expect(log).toEqual([
      ["first", 0.5],
      ["hour", HOUR_MS],
      ["same hour", HOUR_MS],
      ["hour", 2 * HOUR_MS],
      ["last", 3 * HOUR_MS],
      ["hour", 3 * HOUR_MS],
    ]);
    expect(clock.now()).toBe(3 * HOUR_MS * 1e6 + 0.4e6);
    expect(loop.now).toBe(clock.now());
  });

  test("intervals fire once each, miss nothing, and what they start fires in its time", () => {
    using loop = driven();
    const clock = withClock(loop);
    const missed: number[] = [];
    const nested: number[] = [];
    new Timer(loop).start(
      (count) => {
        missed.push(count);
        new Timer(loop).start(() => nested.push(clock.now() / 1e6), 4);
      },
      10,
      10,
    );
    clock.advance(1000e6);
    expect(missed).toEqual(Array.from({ length: 100 }, () => 0));
    expect(nested).toEqual(Array.from({ length: 99 }, (_, index) => 14 + index * 10));
    clock.advance(4e6);
    expect(nested.at(-1)).toBe(1004);
  });

  test("next goes to the next timer only; without one nothing moves", () => {
    using loop = driven();
    const clock = withClock(loop);
    const fired = counter();
    for (const ms of [5, 5, 9]) new Timer(loop).start(fired, ms);
    expect([clock.next(), clock.now(), fired.calls]).toEqual([2, 5e6, 2]);
    expect([clock.next(), clock.now(), fired.calls]).toEqual([1, 9e6, 3]);
    expect([clock.next(), clock.now()]).toEqual([0, 9e6]);
  });

  test("at most 4096 timers, and as many immediates, run in a round", () => {
    using loop = driven();
    const clock = withClock(loop);
    const ran = { timers: 0, immediates: 0 };
    for (let count = 0; count < 10_000; count++) {
      loop.timers.once(() => void ran.timers++, 0);
      loop.immediates.add({ onImmediate: () => void ran.immediates++ }, true);
    }
    for (const most of [4096, 8192, 10_000]) {
      loop.run("nowait");
      expect(ran).toEqual({ timers: most, immediates: most });
    }
    expect(clock.now()).toBe(0);
  });

  test("a timer that does not wait counts for nobody's life, ref'd or not", () => {
    using loop = driven();
    withClock(loop);
    const item = { onTimer: () => {} };
    const idle = loop.timers.open(item);
    const armed = loop.timers.open(item);
    loop.timers.arm(armed, 1e9);
    for (const ref of [false, true, false]) loop.timers.setRef(idle, ref);
    expect(loop.alive).toBe(true);
    loop.timers.setRef(idle, true);
    loop.timers.close(armed);
    expect(loop.alive).toBe(false);
  });

  test("real time fires nothing, attached or not", async () => {
    using loop = new Loop();
    const clock = withClock(loop);
    const fired = counter();
    new Timer(loop).start(fired, 1);
    await sleep(20);
    expect(loop.run("nowait")).toBe(true);
    await sleep(5);
    expect([fired.calls, clock.now()]).toEqual([0, 0]);
    clock.advance(1e6);
    expect(fired.calls).toBe(1);
  });

  test("a loop that would wait goes to its next timer instead, and events still come", () => {
    using loop = driven();
    const clock = withClock(loop);
    const log: string[] = [];
    const user = new User(loop).start(() => {
      log.push(`event at ${clock.now() / 1e6}`);
      user.close();
    });
    new Timer(loop).start(() => {
      log.push(`timer at ${clock.now() / 1e6}`);
      user.trigger();
    }, HOUR_MS);
    new Timer(loop).start(() => log.push(`timer at ${clock.now() / 1e6}`), 2 * HOUR_MS);
    expect(loop.run()).toBe(false);
    const hours = [`timer at ${HOUR_MS}`, `event at ${HOUR_MS}`, `timer at ${2 * HOUR_MS}`];
    expect(log).toEqual(hours);
  });

  test("microtasks run between two timers of an advance", () =>
    ownTurn(() => {
      using loop = driven();
      const clock = withClock(loop);
      const log: string[] = [];
      for (const name of ["one", "two"]) {
        new Timer(loop).start(() => {
          log.push(name);
          queueMicrotask(() => log.push(`after ${name}`));
        }, 1);
      }
      clock.advance(1e6);
      expect(log).toEqual(["one", "after one", "two", "after two"]);
    }));

  test("another clock keeps what is left of each timer", () => {
    using loop = driven();
    const clock = withClock(loop);
    const fired = counter();
    const timer = new Timer(loop).start(fired, 100);
    clock.advance(90e6);
    expect(timer.dueIn).toBe(10);
    const other = new ManualClock(7e15);
    loop.clock = other;
    expect(timer.dueIn).toBeCloseTo(10, 3);
    // The one before moves nothing any more.
    clock.advance(100e6);
    expect(fired.calls).toBe(0);
    expect(other.advance(10e6)).toBe(1);
    timer.start(fired, 100);
    other.advance(95e6);
    // The kernel's again.
    (loop as { clock: unknown }).clock = undefined;
    expect(timer.dueIn).toBeLessThanOrEqual(5);
    expect(loop.run()).toBe(false);
    expect(fired.calls).toBe(2);
  });

  test("advanceAsync gives a turn between the steps, also within a microtask", async () => {
    using loop = new Loop();
    const clock = withClock(loop);
    // From here on this function is a microtask.
    await undefined;
    const log: string[] = [];
    const tell = (name: string) => async () => {
      log.push(name);
      await undefined;
      log.push(`${name} awaited`);
      setTimeout(() => log.push(`${name} slept`), 0);
    };
    new Timer(loop).start(tell("first"), 1);
    new Timer(loop).start(tell("second"), 100);
    const advanced = clock.advanceAsync(99e6);
    expect(log).toEqual([]);
    expect(await advanced).toBe(1);
    expect(log.slice(0, 2)).toEqual(["first", "first awaited"]);
    expect(clock.now()).toBe(99e6);
    expect(await clock.advanceAsync(1e6)).toBe(1);
    expect(log.filter((line) => !line.endsWith("slept")).slice(2)).toEqual([
      "second",
      "second awaited",
    ]);
    await expect(new ManualClock().advanceAsync(5)).resolves.toBe(0);
    expect(() => clock.advanceAsync(-1)).toThrow("byNs must be 0 or more");
  });

  test("advanceAsync that was overtaken by another ends", async () => {
    using loop = new Loop();
    const clock = withClock(loop);
    const results = [clock.advanceAsync(1e6), clock.advanceAsync(3e6)];
    clock.advance(5e6);
    expect(await Promise.all(results)).toEqual([0, 0]);
    expect(clock.now()).toBe(5e6);
  });

  test("it is one loop's: another is refused until that one has left it", async () => {
    const loop = new Loop();
    const clock = withClock(loop);
    using other = new Loop();
    expect(() => other.clock = clock).toThrow("EBUSY (another loop goes by this clock");
    loop.clock = clock;
    await loop.close();
    other.clock = clock;
    expect(other.clock).toBe(clock);
  });

  test("a clock that nobody can wait for is refused, the one before is not", () => {
    using loop = driven();
    const before = loop.clock;
    const others = [loop.queue.clock(), loop.wallClock, { now: () => 0 }, null, 5];
    for (const clock of others) {
      expect(codeOf(() => loop.clock = clock as typeof before)).toBe("EINVAL");
    }
    withClock(loop);
    loop.clock = before;
    expect(loop.clock).toBe(before);
    const fired = counter();
    new Timer(loop).start(fired, 1);
    loop.run();
    expect(fired.calls).toBe(1);
  });

  test("time neither goes back nor for ever", () => {
    const clock = new ManualClock(5);
    for (const byNs of [-1, NaN, Infinity]) {
      expect(codeOf(() => clock.advance(byNs))).toBe("EINVAL");
    }
    expect([clock.advance(0), clock.advance(1), clock.now()]).toEqual([0, 0, 6]);
  });

  test("a callback of an advance may close the loop", async () => {
    const loop = driven();
    const clock = withClock(loop);
    const fired = counter();
    new Timer(loop).start(() => void loop.close(), 1);
    new Timer(loop).start(fired, 2);
    expect(clock.advance(10e6)).toBe(1);
    expect([fired.calls, clock.now()]).toEqual([0, 10e6]);
    await loop.close();
  });
});

describe("making", () => {
  test("a loop without a ring in its memory is refused, and nothing is left of it", () => {
    using _other = new Loop();
    const before = openDescriptors();
    expect(() => new Loop({ entries: null })).toThrow("a loop needs a ring in its memory");
    expect([...openDescriptors()].filter((fd) => !before.has(fd))).toEqual([]);
  });

  test("its queue has the library of its runtime, whatever else is given", () => {
    const { library } = currentRuntime();
    const calls = new Proxy(library.calls, { get: () => expect.unreachable("the wrong library") });
    using loop = new Loop({ attached: false, library: { ...library, calls } } as LoopOptions);
    expect(loop.run("nowait")).toBe(false);
  });

  test("a simulated clock stands still once its loop was closed", async () => {
    const loop = new Loop({ backend: "simulated", attached: false });
    const { clock } = loop;
    const before = clock.now();
    await loop.close();
    expect([clock.now(), loop.updateTime()]).toEqual([before, before]);
  });
});

describe("immediates", () => {
  test("those that are taken back leave nothing while none runs", async () => {
    using loop = new Loop();
    const immediate = { onImmediate: () => expect.unreachable("it was taken back") };
    const many = async (): Promise<void> => {
      for (let round = 0; round < 20; round++) {
        for (let count = 0; count < 200_000; count++) {
          loop.immediates.delete(loop.immediates.add(immediate, true));
        }
        await sleep(1);
      }
    };
    await many();
    const { rss } = process.memoryUsage();
    await many();
    // As holes they were 32 MB.
    expect(process.memoryUsage().rss - rss).toBeLessThan(20e6);
    const kept = loop.immediates.add({ onImmediate() {} }, true);
    loop.immediates.delete(kept - 1);
    await until(() => loop.immediates.ran === 1);
  });
});

describe("default loop", () => {
  test("it is made on first use, attached, and one for the thread", async () => {
    // What loops of other tests held is gone by then.
    await sleep(50);
    const before = openDescriptors();
    const loop = defaultLoop();
    expect(openDescriptors().size).toBeGreaterThan(before.size);
    expect(defaultLoop()).toBe(loop);
    expect(loop.info()).toMatchObject({ mode: "attached", alive: false, handles: 0 });
    await new Promise<void>((resolve) => new Timer(loop).start(() => resolve(), 1));
    // All of the thread use it.
    expect(codeOf(() => void loop.close())).toBe("EPERM");
    expect([defaultLoop(), loop.closed]).toEqual([loop, false]);
  });
});
