import { KEVENT_SIGNAL, KEVENT_SIGNAL_DELIVERED } from "../ffi/abi.ts";
import { checkWhole, KeventError } from "../ffi/errors.ts";
import { RET_DATA, RET_EXTRA } from "../ffi/record.ts";
import { bind } from "./host.ts";
import { Watcher } from "./watcher.ts";

/** Signals that nobody can be told of by a queue, and why. */
const REFUSED: Readonly<Record<number, string>> = {
  ...forAll([9, 19], "the kernel lets nobody catch SIGKILL (9) and SIGSTOP (19)"),
  ...forAll(
    [4, 5, 6, 7, 8, 11, 31],
    "faults of the program itself (SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS) are the runtime's",
  ),
};

function forAll(signals: readonly number[], why: string): Record<number, string> {
  return Object.fromEntries(signals.map((signal) => [signal, why]));
}

/**
 * Watches a signal: signal(7). Handlers of the runtime for the same signal go on working; what the
 * signal does by default, such as end the process, does not happen.
 *
 * @example SIGUSR2 from this process
 * ```ts
 * import process from "node:process";
 * import { Loop, Signal } from "../adapters/mod.ts";
 *
 * using loop = new Loop();
 * const sender = await new Promise<number>((resolve) => {
 *   new Signal(loop).start(12, (_count, pid) => resolve(pid));
 *   process.kill(process.pid, "SIGUSR2");
 * });
 * if (sender !== process.pid) throw new Error(`not from here: ${sender}`);
 * ```
 */
export class Signal extends Watcher {
  #signal = 0;
  #callback: (count: number, pid: number) => void = () => {};

  /**
   * Starts it, or starts it anew with another signal.
   *
   * @param signal Number of the signal, such as 10 for SIGUSR1.
   * @param callback Called with the number of deliveries since the last call, and the pid of the
   * last sender (0 when the kernel sent it).
   * @returns This handle.
   * @throws {KeventError} EINVAL when `signal` is no signal number, or one that cannot be caught.
   */
  start(signal: number, callback: (count: number, pid: number) => void): this {
    checkWhole(signal, 1, 64, "start signal", "signal");
    const why = REFUSED[signal];
    if (why !== undefined) {
      throw new KeventError(`start signal ${signal}`, "argument", "EINVAL", why);
    }
    const bound = bind(this.loop.host, callback, "start signal");
    this.stop();
    this.#signal = signal;
    this.#callback = bound;
    this.loop.add(this.slot, KEVENT_SIGNAL, signal, 0, KEVENT_SIGNAL_DELIVERED, 0);
    // A signal that comes before would do what it does by default, such as end the process.
    this.loop.apply();
    this.setActive(true);
    return this;
  }

  /** Stops it; can be started again. */
  override stop(): void {
    if (!this.active) return;
    this.loop.remove(this.slot, KEVENT_SIGNAL, this.#signal, 0);
    this.setActive(false);
  }

  protected override onRecord(words: Uint32Array, at: number): void {
    this.#callback(words[at + RET_DATA]!, words[at + RET_EXTRA]!);
  }
}
