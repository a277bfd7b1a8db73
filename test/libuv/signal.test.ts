// libuv's tests of signals, by name.
import { spawn } from "node:child_process";
import process from "node:process";
import { describe, expect, test } from "vitest";
import { KEVENT_POLL_IN, type Loop, Poll, Signal, Timer } from "../../adapters/mod.ts";
import { counter, driven, limitBlocking } from "../support/driven.ts";
import { blockingPipe, libc, pipe, readText, write } from "../support/libc.ts";
import { TestWorker } from "../support/worker.ts";

limitBlocking();

const SIGHUP = 1;
const SIGINT = 2;
const SIGUSR2 = 12;
const SIGPIPE = 13;
const SIGTERM = 15;
const SIGCHLD = 17;
// Stands for libuv's SIGUSR1, which opens the inspector of Deno.
const SIGWINCH = 28;

/** How many signals are sent. */
const SIGNALS = 10;

function raise(signal: number): void {
  libc.kill(process.pid, signal);
}

/** Sends a signal again and again; counts how often. */
function sendAll(loop: Loop, signal: number): { sent: number } {
  const state = { sent: 0 };
  const timer: Timer = new Timer(loop).start(
    () => {
      raise(signal);
      if (++state.sent === SIGNALS) timer.close();
    },
    1,
    1,
  );
  return state;
}

/** A handle that counts signals, and stops after one or after all of them. */
class Watch {
  readonly handle: Signal;
  signals = 0;

  constructor(loop: Loop) {
    this.handle = new Signal(loop);
  }

  start(signal: number, most: number, end: "stop" | "close" = "close"): this {
    this.signals = 0;
    this.handle.start(signal, (count) => {
      // Those that came while a callback ran are one call.
      this.signals += count;
      if (this.signals >= most) this.handle[end]();
    });
    return this;
  }
}

describe("handles", () => {
  test("win32_signum_number: numbers of no signal are refused, all others are taken", () => {
    using loop = driven();
    const called = counter();
    for (const signal of [0, -1, 65, 1024, 1.5, NaN]) {
      expect(() => new Signal(loop).start(signal, called)).toThrow("EINVAL");
    }
    for (const signal of [SIGHUP, SIGINT, SIGTERM, SIGWINCH]) {
      const handle = new Signal(loop).start(signal, called);
      expect(handle.active).toBe(true);
      handle.close();
    }
    expect(loop.run()).toBe(false);
    expect(called.calls).toBe(0);
  });

  test("we_get_signal: each signal is told, until stop, and again after another start", () => {
    using loop = driven();
    const watch = new Watch(loop).start(SIGCHLD, SIGNALS, "stop");
    let sender = sendAll(loop, SIGCHLD);
    expect(loop.run()).toBe(false);
    expect([sender.sent, watch.signals]).toEqual([SIGNALS, SIGNALS]);

    sender = sendAll(loop, SIGCHLD);
    expect(loop.run()).toBe(false);
    expect([sender.sent, watch.signals]).toEqual([SIGNALS, SIGNALS]);

    watch.start(SIGCHLD, SIGNALS);
    expect(watch.signals).toBe(0);
    sender = sendAll(loop, SIGCHLD);
    expect(loop.run()).toBe(false);
    expect([sender.sent, watch.signals]).toEqual([SIGNALS, SIGNALS]);
  });

  test("we_get_signals: two signals with two handles each are told to all of them", () => {
    using loop = driven();
    const watches = [SIGWINCH, SIGWINCH, SIGUSR2, SIGUSR2].map((signal) =>
      new Watch(loop).start(signal, SIGNALS)
    );
    const senders = [SIGWINCH, SIGUSR2].map((signal) => sendAll(loop, signal));
    expect(loop.run()).toBe(false);
    expect(watches.map((watch) => watch.signals)).toEqual([SIGNALS, SIGNALS, SIGNALS, SIGNALS]);
    expect(senders.map((sender) => sender.sent)).toEqual([SIGNALS, SIGNALS]);
  });

  test("we_get_signal_one_shot: a handle that stops at the first signal hears of no other", () => {
    using loop = driven();
    const watch = new Watch(loop).start(SIGCHLD, 1, "stop");
    sendAll(loop, SIGCHLD);
    expect(loop.run()).toBe(false);
    expect([watch.signals, watch.handle.active]).toEqual([1, false]);

    sendAll(loop, SIGCHLD);
    expect(loop.run()).toBe(false);
    expect(watch.signals).toBe(1);

    watch.start(SIGCHLD, 1);
    sendAll(loop, SIGCHLD);
    expect(loop.run()).toBe(false);
    expect([watch.signals, watch.handle.closed]).toEqual([1, true]);
  });

  test("we_get_signals_mixed: handles of one signal end each by itself, whoever ends before", () => {
    // What each handle hears at most, and whether it is closed before anything is sent.
    const [one, all] = [{ most: 1, gone: false }, { most: SIGNALS, gone: false }];
    const [oneGone, allGone] = [{ ...one, gone: true }, { ...all, gone: true }];
    const mixes = [
      [one, one],
      [one, one, allGone],
      [all, all, oneGone],
      [allGone, allGone, one, one],
      [allGone, one, allGone, all],
    ];
    for (const mix of mixes) {
      using loop = driven();
      sendAll(loop, SIGCHLD);
      const watches = mix.map(({ most }) => new Watch(loop).start(SIGCHLD, most));
      watches.forEach((watch, index) => mix[index]!.gone && watch.handle.close());
      expect(loop.run()).toBe(false);
      const told = mix.map(({ most, gone }) => gone ? 0 : most);
      expect(watches.map((watch) => watch.signals)).toEqual(told);
    }
  });
});

describe("loops", () => {
  test("signal_multiple_loops: every loop of every thread hears of a signal, while others come and go", async () => {
    const wants = [[SIGWINCH, SIGWINCH], [SIGUSR2], [SIGWINCH, SIGWINCH, SIGUSR2]];
    const workers = wants.map(() => new TestWorker("signal-worker"));
    for (const worker of workers) expect(await worker.next()).toBe("ready");
    workers.forEach((worker, index) => worker.send(wants[index]));
    const unexpected = counter();
    for (let round = 0; round < 2; round++) {
      for (const worker of workers) expect(await worker.next()).toBe("armed");
      raise(SIGWINCH);
      raise(SIGUSR2);
      for (let count = 0; count < 20; count++) {
        using loop = driven();
        new Signal(loop).start(SIGTERM, unexpected).close();
        expect(loop.run()).toBe(false);
      }
    }
    const answers = await Promise.all(workers.map((worker) => worker.next()));
    expect(answers).toEqual([
      { calls: { [SIGWINCH]: 4 }, alive: false },
      { calls: { [SIGUSR2]: 2 }, alive: false },
      { calls: { [SIGWINCH]: 4, [SIGUSR2]: 2 }, alive: false },
    ]);
    expect(unexpected.calls).toBe(0);
    for (const worker of workers) worker.terminate();
  });

  test("signal_pending_on_close: a signal that came is not told to a handle closed since", () => {
    using loop = driven();
    using fds = pipe();
    using gone = pipe();
    gone.closeA();
    const [called, closed] = [counter(), counter()];
    const signal = new Signal(loop).start(SIGPIPE, called);
    const poll: Poll = new Poll(loop, fds.a).start(KEVENT_POLL_IN, () => {
      // Nobody can read it, which is a SIGPIPE.
      expect(write(gone.a)).toBe(-1);
      poll.close(closed);
      signal.close(closed);
    });
    write(fds.b);
    expect(loop.run()).toBe(false);
    expect([called.calls, closed.calls]).toEqual([0, 2]);
  });

  test("signal_close_loop_alive: a close that is not told keeps a loop alive, an unref'd signal does not", () => {
    using loop = driven();
    const [called, closed] = [counter(), counter()];
    const signal = new Signal(loop).start(SIGPIPE, called).unref();
    raise(SIGPIPE);
    expect(loop.run()).toBe(false);
    signal.close(closed);
    expect(loop.alive).toBe(true);
    expect(loop.run()).toBe(false);
    expect([loop.alive, closed.calls]).toEqual([false, 1]);
  });

  test("eintr_handling: a signal during a wait is told, and the wait goes on", () => {
    using loop = driven();
    using fds = blockingPipe();
    const log: string[] = [];
    const signal: Signal = new Signal(loop).start(SIGUSR2, () => {
      log.push("signal");
      signal.close();
    });
    const poll: Poll = new Poll(loop, fds.a).start(KEVENT_POLL_IN, () => {
      log.push(readText(fds.a)!);
      poll.close();
    });
    const script = `sleep 0.05; kill -USR2 ${process.pid}; sleep 0.05; printf text`;
    spawn("sh", ["-c", script], { stdio: ["ignore", fds.b, "ignore"] });
    expect(loop.run()).toBe(false);
    expect(log).toEqual(["signal", "text"]);
  });
});
