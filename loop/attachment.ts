import type { Host, Wake } from "./host.ts";
import type { Queue } from "./queue.ts";

/** Until what failed for want of descriptors or memory is tried again. */
const RETRY_MS = 100;

// Captured at load: a program may replace it, also by ours.
const { setTimeout } = globalThis;

/** After so long without a call another one is asked for. */
const MEANWHILE_NS_MAX = 50e6;

/** Whether the runtime will call after a turn of its own. */
const Later = { NEVER: 0, UNLESS_IT_ENDS: 1, FOR_CERTAIN: 2 } as const;
type Later = typeof Later[keyof typeof Later];

/** No descriptor. */
const NONE = -1;

/** What the runtime calls. */
interface Attended {
  /** Whether the process lives for us. */
  alive(): boolean;
  /** From now on the runtime can be woken; a wake-up that was asked for before is none. */
  opened(): void;
  /** Something was written: it must reach the kernel before the runtime sleeps. */
  settle(): void;
  /** What failed a while ago may not fail now. */
  again(): void;
  /**
   * Something wants a round, perhaps.
   *
   * @param woken Whether a wake-up came.
   */
  attend(woken: boolean): void;
  /** It may be that a callback of ours waits in the runtime's loop. */
  meanwhile(): void;
}

/** What ties a loop to that of the runtime: who calls when, and who keeps the process alive. */
export class Attachment {
  readonly #host: Host;
  readonly #queue: Queue;
  readonly #attended: Attended;
  #wake: Wake | undefined;
  // The script's end, until the runtime has taken it.
  #fd = NONE;
  #opened = false;
  // No wake-up could be opened yet, and that was told.
  #deaf = false;
  #ref = false;
  #closed = false;
  #retries = false;
  // The runtime will call: in the microtask phase, or after a turn of its own.
  #microtask = false;
  // Until then it will call even within a callback.
  #meanwhileNs = 0;
  #macrotask: Later = Later.NEVER;
  // How often it has.
  #calls = 0;

  /**
   * @param host What the runtime offers.
   * @param queue Whose wake-ups go to the runtime.
   * @param attended What it calls.
   */
  constructor(host: Host, queue: Queue, attended: Attended) {
    this.#host = host;
    this.#queue = queue;
    this.#attended = attended;
  }

  /**
   * Opens what the runtime wakes us by. Only in a turn of our own: Bun drains the microtasks on the
   * way, those of the caller too, and with them whatever wants to open it.
   *
   * @returns Whether it is open. Without a descriptor for it nothing could wake us: that is told once,
   * and tried again until there is one.
   */
  open(): boolean {
    if (this.#opened) return true;
    try {
      if (this.#fd === NONE) this.#fd = this.#queue.openWake();
      // What runs on the way must not open it once more.
      this.#opened = true;
      this.#wake = this.#host.wake(this.#fd, () => this.#attended.attend(true));
      this.#fd = NONE;
      if (this.#closed) this.#wake.close(() => {});
      this.#attended.opened();
      return true;
    } catch (error) {
      this.#opened = false;
      if (!this.#deaf) this.#host.report(error);
      this.#deaf = true;
      this.retry();
      return false;
    }
  }

  /** Settles after a while: what failed for want of something may not fail then. */
  retry(): void {
    if (this.#retries) return;
    this.#retries = true;
    setTimeout(() => {
      this.#retries = false;
      this.#attended.again();
      this.soon();
    }, RETRY_MS);
  }

  /** Settles in the microtask phase. */
  soon(): void {
    if (this.#microtask || this.#closed) return;
    this.#microtask = true;
    this.#host.microtask(() => {
      this.#microtask = false;
      if (!this.#closed) this.#attended.settle();
    });
  }

  /**
   * Attends after a turn of the runtime.
   *
   * @param keepAlive Whether the process waits for it.
   */
  later(keepAlive: boolean): void {
    const later = keepAlive ? Later.FOR_CERTAIN : Later.UNLESS_IT_ENDS;
    // Another one if the first is not what the process waits for: whichever comes first will do.
    if (this.#macrotask >= later || this.#closed) return;
    this.#macrotask = later;
    const calls = this.#calls;
    this.#host.macrotask(() => {
      // The other one came, and what was asked for since has a turn of its own.
      if (calls !== this.#calls) return;
      this.#calls++;
      this.#macrotask = Later.NEVER;
      // What was the reason to live may have been unref'd meanwhile: without any, the runtime may end.
      if (keepAlive && !this.#attended.alive()) this.later(false);
      else this.#attended.attend(false);
    }, keepAlive);
  }

  /**
   * Attends from within a callback that has not returned by then.
   *
   * @param nowNs What time it is.
   */
  meanwhile(nowNs: number): void {
    const { meanwhile } = this.#host;
    // One that never came was taken away: by fake timers, say.
    if (meanwhile === undefined || this.#closed || nowNs < this.#meanwhileNs) return;
    this.#meanwhileNs = nowNs + MEANWHILE_NS_MAX;
    meanwhile(() => {
      this.#meanwhileNs = 0;
      if (!this.#closed) this.#attended.meanwhile();
    });
  }

  /** Says whether the process lives for us. What changes back within a turn is not told. */
  setRef(ref: boolean): void {
    if (this.#closed || this.#wake === undefined || ref === this.#ref) return;
    this.#ref = ref;
    if (ref) this.#wake.ref();
    else this.#wake.unref();
  }

  /** @returns Resolves when the runtime has let go. */
  close(): Promise<void> {
    this.#closed = true;
    const { promise, resolve } = Promise.withResolvers<void>();
    // Unless it is being opened right now.
    if (this.#fd !== NONE && !this.#opened) this.#queue.closeWake(this.#fd);
    if (this.#wake === undefined) resolve();
    else this.#wake.close(resolve);
    return promise;
  }
}
