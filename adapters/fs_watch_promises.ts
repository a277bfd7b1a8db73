// What the two runtimes have in common of `watch` of `node:fs/promises`.
import process from "node:process";
import { type ChangeType, type Name, PathWatch, type Plan, type Traits } from "./fs_watch.ts";
import { aborted } from "./promised.ts";

// Captured at load: a program may replace it.
const { Promise } = globalThis;

/** What is yielded. */
export interface Change {
  readonly eventType: ChangeType;
  readonly filename: Name;
}

/** How many changes wait to be taken, and what becomes of more. */
export interface Limit {
  readonly maxQueue: number;
  readonly throws: boolean;
}

/**
 * Reads `maxQueue` and `overflow` of the options. Without them nothing that happened is dropped.
 *
 * @param options Of `watch`.
 * @returns The limit.
 */
export function limitOf(options: unknown): Limit {
  const { maxQueue, overflow } = (options ?? {}) as Record<string, unknown>;
  const limited = Number.isInteger(maxQueue) && (maxQueue as number) > 0;
  return { maxQueue: limited ? maxQueue as number : Infinity, throws: overflow === "throw" };
}

const DONE: IteratorReturnResult<undefined> = { value: undefined, done: true };

interface Waiting {
  resolve(result: IteratorResult<Change, undefined> | Promise<never>): void;
  reject(error: unknown): void;
}

/** Changes of a path, as they are asked for. */
export class Changes {
  readonly #plan: Plan;
  readonly #limit: Limit;
  readonly #queue: Change[] = [];
  readonly #waiting: Waiting[] = [];
  readonly #onAbort = (): void => this.end();
  /** Whether the process waits for it also while nobody asks. */
  readonly #holds: boolean;
  #watch: PathWatch | undefined;
  #error: unknown;

  private constructor(plan: Plan, limit: Limit, holds: boolean) {
    this.#plan = plan;
    this.#limit = limit;
    this.#holds = holds;
  }

  /**
   * Watches.
   *
   * @param plan What, and how; its signal has not come yet.
   * @param traits Of the runtime.
   * @param limit How many changes wait.
   * @param holds Whether the process waits also while nobody asks for a change.
   * @returns The changes; `undefined` when it cannot be, which is the runtime's to say.
   */
  static open(plan: Plan, traits: Traits, limit: Limit, holds: boolean): Changes | undefined {
    const changes = new Changes(plan, limit, holds);
    const onChange = (eventType: ChangeType, filename: Name): void =>
      changes.#add({ eventType, filename });
    const onError = (error: Error): void => changes.#fail(error);
    changes.#watch = PathWatch.open(plan, traits, { onChange, onError });
    if (changes.#watch === undefined) return undefined;
    plan.signal?.addEventListener("abort", changes.#onAbort, { once: true });
    changes.#keep();
    return changes;
  }

  /** The next change. Rejects with an `AbortError` when the signal comes, or came. */
  next(): Promise<IteratorResult<Change, undefined>> {
    const { signal } = this.#plan;
    if (signal?.aborted) return aborted(signal);
    const change = this.#queue.shift();
    if (change !== undefined) return Promise.resolve({ value: change, done: false });
    if (this.#error !== undefined) return Promise.reject(this.#taken());
    if (this.#watch === undefined) return Promise.resolve({ ...DONE });
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#keep();
    });
  }

  /** Ends it: who waits is done, or aborted. */
  end(): void {
    if (this.#watch === undefined) return;
    const { signal } = this.#plan;
    this.#watch.close();
    this.#watch = undefined;
    this.#queue.length = 0;
    signal?.removeEventListener("abort", this.#onAbort);
    for (const { resolve } of this.#waiting.splice(0)) {
      resolve(signal?.aborted ? aborted(signal) : { ...DONE });
    }
  }

  #add(change: Change): void {
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) {
      waiting.resolve({ value: change, done: false });
      return this.#keep();
    }
    if (this.#queue.length < this.#limit.maxQueue) this.#queue.push(change);
    else this.#overflow();
  }

  /** As in Node: it is said, or it ends. */
  #overflow(): void {
    const { maxQueue, throws } = this.#limit;
    if (!throws) return process.emitWarning("fs.watch maxQueue exceeded");
    const error = new Error(`fs.watch() queued more than ${maxQueue} events`);
    this.#fail(Object.assign(error, { code: "ERR_FS_WATCH_QUEUE_OVERFLOW" }));
  }

  #fail(error: Error): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#error = error;
    else waiting.reject(error);
    this.end();
  }

  #taken(): unknown {
    const error = this.#error;
    this.#error = undefined;
    return error;
  }

  #keep(): void {
    const asked = this.#holds || this.#waiting.length > 0;
    this.#watch?.setRef(this.#plan.persistent && asked);
  }
}
