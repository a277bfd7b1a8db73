// libuv's tests of the loop itself, by name.
import { describe, expect, test } from "vitest";
import {
  Async,
  Check,
  Connection,
  type Handle,
  Idle,
  Inode,
  KEVENT_INODE_CREATE,
  KEVENT_POLL_IN,
  type Loop,
  Poll,
  Prepare,
  Process,
  Server,
  Signal,
  Timer,
  User,
} from "../../adapters/mod.ts";
import { counter, driven, limitBlocking, pause } from "../support/driven.ts";
import { Folder } from "../support/folder.ts";
import { pipe, readableWithin, socketPair, write } from "../support/libc.ts";
import { gate } from "../support/queue.ts";
import { TestWorker } from "../support/worker.ts";

limitBlocking();

describe("life", () => {
  test("loop_alive: a loop is alive while a handle is active or a close is not told", () => {
    using loop = driven();
    expect(loop.alive).toBe(false);
    const timer = new Timer(loop).start(() => {}, 5);
    expect(loop.alive).toBe(true);
    expect(loop.run()).toBe(false);
    expect(loop.alive).toBe(false);
    timer.close(() => {});
    expect(loop.alive).toBe(true);
    expect(loop.run()).toBe(false);
    expect(loop.alive).toBe(false);
  });

  test("loop_close: a loop that was stopped ends with its last handle, and closes", async () => {
    const loop = driven();
    const timer = new Timer(loop).start(() => loop.stop(), 5, 5);
    expect(loop.run()).toBe(true);
    timer.close();
    expect(loop.run()).toBe(false);
    await loop.close();
    expect(loop.closed).toBe(true);
    expect(() => loop.run()).toThrow("EBADF");
  });

  test("loop_instant_close: a loop with all under way closes at once, and calls nobody", async () => {
    const loop = driven();
    using fds = pipe();
    const called = counter();
    write(fds.b);
    new Timer(loop).start(called, 0);
    new Idle(loop).start(called);
    new Poll(loop, fds.a).start(KEVENT_POLL_IN, called);
    new Async(loop, called).send();
    new Timer(loop).close(called);
    await loop.close();
    expect(loop.alive).toBe(false);
    expect(() => loop.run()).toThrow("EBADF");
    expect(called.calls).toBe(0);
  });

  test("active: a handle is active from start to stop, and closed from close on", () => {
    using loop = driven();
    const fired = counter();
    const closed = counter();
    const timer = new Timer(loop);
    const state = () => [timer.active, timer.closed];
    expect(state()).toEqual([false, false]);
    timer.start(fired, 1000);
    expect(state()).toEqual([true, false]);
    timer.stop();
    expect(state()).toEqual([false, false]);
    timer.start(fired, 1000);
    expect(state()).toEqual([true, false]);
    timer.close(closed);
    expect(state()).toEqual([false, true]);
    expect(loop.run()).toBe(false);
    expect([fired.calls, closed.calls]).toEqual([0, 1]);
  });

  test("walk_handles: a walk meets each handle that was not closed", () => {
    using loop = driven();
    const seen: Handle[] = [];
    const timer: Timer = new Timer(loop).start(() => {
      loop.walk((handle) => seen.push(handle));
      timer.close();
    }, 1);
    expect(loop.run()).toBe(false);
    expect(seen).toEqual([timer]);
    loop.walk((handle) => seen.push(handle));
    expect(seen).toHaveLength(1);
  });

  test("getters_setters: a handle tells its loop and keeps what is put on it", () => {
    using loop = driven();
    using fds = pipe();
    const kinds = [Check, Idle, Inode, Prepare, Process, Server, Signal, Timer, User];
    const handles: Handle[] = [
      ...kinds.map((Kind) => new Kind(loop)),
      new Async(loop, () => {}),
      new Poll(loop, fds.a),
    ];
    const data = new Map(
      handles.map((handle) => [handle, Object.assign(handle, { data: {} }).data]),
    );
    // What is put on it is still there when somebody meets it.
    loop.walk((handle) => {
      expect(handle.loop).toBe(loop);
      expect((handle as Handle & { data: object }).data).toBe(data.get(handle));
      data.delete(handle);
    });
    expect(data.size).toBe(0);
  });
});

describe("run", () => {
  test("run_once: each run takes one round, and says whether there is more", () => {
    using loop = driven();
    const rounds = counter();
    const idle: Idle = new Idle(loop).start(() => {
      rounds();
      if (rounds.calls === 64) idle.stop();
    });
    let runs = 1;
    while (loop.run("once")) runs++;
    expect([rounds.calls, runs]).toEqual([64, 64]);
  });

  test("run_nowait: a timer that is not due is not waited for", () => {
    using loop = driven();
    const fired = counter();
    new Timer(loop).start(fired, 60_000, 60_000);
    expect(loop.run("nowait")).toBe(true);
    expect(fired.calls).toBe(0);
  });

  test("loop_stop: stop ends a run, and the next one goes on", () => {
    using loop = driven();
    const prepared = counter();
    const fired = counter();
    const prepare: Prepare = new Prepare(loop).start(() => {
      prepared();
      if (prepared.calls === 10) prepare.stop();
    });
    const timer: Timer = new Timer(loop).start(
      () => {
        fired();
        if (fired.calls === 1) loop.stop();
        if (fired.calls === 10) timer.stop();
      },
      5,
      5,
    );
    expect(loop.run()).toBe(true);
    expect(fired.calls).toBe(1);
    expect(loop.run("nowait")).toBe(true);
    expect(prepared.calls).toBeGreaterThan(1);
    expect(loop.run()).toBe(false);
    expect([fired.calls, prepared.calls]).toEqual([10, 10]);
  });

  test("loop_stop_before_run: a stop before a run makes it return at once, and only that one", () => {
    using loop = driven();
    const fired = counter();
    new Timer(loop).start(fired, 0);
    loop.stop();
    expect(loop.run()).toBe(true);
    expect(fired.calls).toBe(0);
    expect(loop.run()).toBe(false);
    expect(fired.calls).toBe(1);
  });

  test("loop_update_time: a run brings the loop's time forward, also when nothing is alive", (context) => {
    gate(context, "simulated", "its clock stands still while nobody looks");
    using loop = driven();
    const start = loop.now;
    pause(2);
    expect(loop.now).toBe(start);
    expect(loop.run("nowait")).toBe(false);
    expect(loop.now - start).toBeGreaterThanOrEqual(2e6);
    const before = loop.now;
    pause(2);
    expect(loop.updateTime() - before).toBeGreaterThanOrEqual(2e6);
  });

  test("loop_backend_timeout: whoever sleeps on the descriptor is woken when a timer is due", () => {
    using loop = driven();
    const timer = new Timer(loop);
    expect([loop.alive, timer.dueIn]).toEqual([false, 0]);
    // Longer than a busy machine needs until it sleeps.
    timer.start(() => timer.close(), 100);
    loop.updateTime();
    expect(timer.dueIn).toBeLessThanOrEqual(100);
    expect(sleepOnDescriptor(loop)).toBeGreaterThan(0);
    expect([timer.closed, timer.dueIn]).toEqual([true, 0]);
  });

  test("embed: a program that sleeps on the descriptor of a loop is woken by another thread", async () => {
    using loop = driven();
    using worker = new TestWorker("sender");
    expect(await worker.next()).toBe("ready");
    const async: Async = new Async(loop, () => async.close());
    // Nothing was sent yet, so it may sleep, however soon it is woken.
    expect(loop.rest()).toBe(true);
    worker.send({ shared: async.share(), afterMs: 20 });
    expect(sleepOnDescriptor(loop)).toBeGreaterThan(0);
    expect(async.closed).toBe(true);
    expect(await worker.next()).toBe("sent");
  });
});

/** Moves a loop from one of our own, which sleeps in poll(2). @returns How often it slept. */
function sleepOnDescriptor(loop: Loop): number {
  let sleeps = 0;
  while (loop.alive) {
    if (loop.rest()) {
      sleeps++;
      if (!readableWithin(loop.queue.fd, 10_000)) throw new Error("nobody woke it");
    }
    loop.run("nowait");
  }
  return sleeps;
}

/** Handles that start each other, and how often each was called. */
function startEachOther(loop: Loop, roundsMax: number) {
  const calls = { first: 0, second: 0, early: 0, check: 0, idle: 0, extra: 0 };
  const closed = counter();
  const idles = Array.from({ length: 7 }, () => new Idle(loop));
  let extra: Idle | undefined;
  const onExtra = () => {
    calls.extra++;
    extra!.close(closed);
    extra = undefined;
  };
  const onIdle = (idle: Idle) => {
    if (++calls.idle % 5 === 0) idle.stop();
    extra ??= new Idle(loop).start(onExtra);
  };
  const second = new Prepare(loop);
  // Started by the first in a round of an even number, so called in the next one, behind the first.
  const onSecond = () => {
    calls.second++;
    calls.early += calls.first % 2;
    second.stop();
  };
  const first = new Prepare(loop).start(() => {
    if (calls.first++ % 2 === 0) second.start(onSecond);
  });
  const check = new Check(loop).start(() => {
    calls.check++;
    if (calls.first < roundsMax) {
      const some = idles.slice(0, 1 + calls.first % idles.length);
      for (const idle of some) idle.start(() => onIdle(idle));
    } else {
      for (const handle of [first, check, second, ...idles]) handle.close(closed);
      extra?.close(closed);
    }
  });
  return { calls, closed };
}

describe("phases", () => {
  test("loop_handles: what a callback starts waits for the next round of its phase", () => {
    using loop = driven();
    const { calls, closed } = startEachOther(loop, 21);
    // Ends waits of rounds without an idle handle, and keeps nothing alive.
    new Timer(loop).start(() => {}, 1, 1).unref();
    expect(loop.run()).toBe(false);
    expect(calls).toMatchObject({ first: 21, second: 10, early: 0, check: 21 });
    expect(calls.idle).toBeGreaterThan(21);
    expect(calls.extra).toBeGreaterThan(0);
    // Each extra handle is closed once, by itself or at the end.
    expect(closed.calls - 10 - calls.extra).toBeGreaterThanOrEqual(0);
    expect(closed.calls - 10 - calls.extra).toBeLessThanOrEqual(1);
  });

  test("close_order: closes are told after the check phase, and due timers ran before", () => {
    using loop = driven();
    const log: string[] = [];
    const check: Check = new Check(loop).start(() => {
      log.push("check");
      check.close(() => log.push("check closed"));
      never.close(() => log.push("never closed"));
    });
    const timer: Timer = new Timer(loop).start(() => {
      log.push("timer");
      timer.close(() => log.push("timer closed"));
    }, 0);
    const never = new Timer(loop).start(() => log.push("never"), 100_000);
    expect(loop.run()).toBe(false);
    const closed = ["timer closed", "check closed", "never closed"];
    expect(log).toEqual(["timer", "check", ...closed]);
  });

  test("idle_starvation: a loop that is never idle still runs timers", () => {
    using loop = driven();
    const [idled, checked, fired, closed] = [counter(), counter(), counter(), counter()];
    const idle = new Idle(loop).start(idled);
    const check = new Check(loop).start(checked);
    const timer: Timer = new Timer(loop).start(() => {
      fired();
      for (const handle of [idle, check, timer]) handle.close(closed);
    }, 5);
    expect(loop.run()).toBe(false);
    expect(idled.calls).toBeGreaterThan(0);
    expect(checked.calls).toBeGreaterThan(0);
    expect([fired.calls, closed.calls]).toEqual([1, 3]);
  });

  test("idle_check: an idle handle that stops itself leaves the check of its round", () => {
    using loop = driven();
    const [checked, closed] = [counter(), counter()];
    // It keeps the round from waiting even so: it was active when the loop would have slept.
    const idle: Idle = new Idle(loop).start(() => idle.stop());
    const check = new Check(loop).start(checked);
    expect(loop.run("once")).toBe(true);
    expect([checked.calls, closed.calls]).toEqual([1, 0]);
    idle.close(closed);
    check.close(closed);
    expect(loop.run("once")).toBe(false);
    expect(closed.calls).toBe(2);
  });

  test("queue_foreach_delete: a callback may close itself and the next of its phase", () => {
    using loop = driven();
    const starts = {
      idle: (called: () => void) => new Idle(loop).start(called),
      prepare: (called: () => void) => new Prepare(loop).start(called),
      check: (called: () => void) => new Check(loop).start(called),
    };
    const counts = Object.entries(starts).map(([name, start]) => {
      const calls = [0, 0, 0];
      const handles = calls.map((_, index) =>
        start(() => {
          calls[index]!++;
          if (index > 0) return;
          handles[0]!.close();
          handles[1]!.close();
        })
      );
      return [name, calls];
    });
    expect(loop.run("nowait")).toBe(true);
    const once = [1, 0, 1];
    expect(Object.fromEntries(counts)).toEqual({ idle: once, prepare: once, check: once });
    expect(inodesThatCloseTheNext(loop)).toEqual(once);
  });
});

/** How often each of three handles of one directory was called, whose first closes itself and the next. */
function inodesThatCloseTheNext(loop: Loop): number[] {
  using folder = new Folder();
  const calls = [0, 0, 0];
  const inodes: Inode[] = calls.map((_, index) =>
    new Inode(loop).start(folder.path, KEVENT_INODE_CREATE, () => {
      calls[index]!++;
      if (index > 0) return inodes[2]!.close();
      inodes[0]!.close();
      inodes[1]!.close();
    })
  );
  folder.file("new");
  while (inodes.some((inode) => inode.active)) loop.run("once");
  return calls;
}

/** What the client of an echo does; each callback must come by itself, out of no call of ours. */
function callbackStack(loop: Loop) {
  const message = new TextEncoder().encode("out of no call of ours");
  const log: string[] = [];
  let depth = 0;
  let received = 0;
  const told = (name: string) => log.push(depth === 0 ? name : `${name}, nested`);
  const within = (call: () => void) => {
    depth++;
    call();
    depth--;
  };
  const server = new Server(loop).listen({}, () => ({
    data: (connection, bytes) => void connection.write(bytes),
    end: (connection) => connection.end(),
  }));
  const startLater = (connection: Connection) => {
    const timer: Timer = new Timer(loop).start(() => {
      told("timer");
      // The echo waits in the kernel, which tempts to hand it on at once.
      within(() => connection.resume());
      within(() => timer.close(() => told("timer closed")));
    }, 20);
  };
  within(() => {
    Connection.connect(loop, "127.0.0.1", server.port, {
      open(connection) {
        told("open");
        within(() => connection.pause());
        within(() => connection.write(message));
        startLater(connection);
      },
      data(connection, bytes) {
        received += bytes.length;
        if (received < message.length) return;
        told("data");
        within(() => connection.end());
      },
      end(connection) {
        told("end");
        within(() => connection.close(() => told("closed")));
        within(() => server.close(() => told("server closed")));
      },
    });
  });
  return log;
}

describe("calls", () => {
  test("callback_stack: no callback comes from within the call that causes it", () => {
    using loop = driven();
    const log = callbackStack(loop);
    expect(log).toEqual([]);
    expect(loop.run()).toBe(false);
    // How far the echo is when the timer fires is up to the machine.
    const all = ["open", "timer", "timer closed", "data", "end", "closed", "server closed"];
    expect(log.sort()).toEqual(all.sort());
  });

  test("watcher_cross_stop: what is closed among hundreds of ready ones is not called", () => {
    using loop = driven();
    const pairs = Array.from({ length: 600 }, () => socketPair());
    const [called, closed] = [counter(), counter()];
    const polls = pairs.map((pair) => {
      write(pair.b);
      return new Poll(loop, pair.a).start(KEVENT_POLL_IN, () => {
        called();
        if (called.calls === 5) { for (const poll of polls) poll.close(closed); }
      });
    });
    expect(loop.run()).toBe(false);
    expect([called.calls, closed.calls]).toEqual([5, polls.length]);
    for (const pair of pairs) pair[Symbol.dispose]();
  });
});
