import { checkFunction, KeventError, shown } from "../ffi/errors.ts";
import { defaultLoop } from "./default.ts";
import type { Loop } from "./loop.ts";
import { Tree } from "./tree.ts";
import type { TreeEvent, TreeInfo, TreeOptions } from "./tree_event.ts";

/** How `watchTree` watches. */
export interface WatchTreeOptions extends TreeOptions {
  /** Ends it: who waits for an event, or does so next, gets the reason as a rejection. */
  readonly signal?: AbortSignal;
  /** Whether the process lives while it watches. Default `true`. */
  readonly ref?: boolean;
  /** The loop it belongs to. Default: that of the thread. */
  readonly loop?: Loop;
}

type Result = IteratorResult<TreeEvent, undefined>;

const DONE: Result = { value: undefined, done: true };

/** Who waits for an event. */
interface Waiting {
  resolve(result: Result): void;
  reject(reason: unknown): void;
}

/**
 * A watched tree as an async iterator, made by `watchTree`.
 *
 * Nothing is dropped: what happens while nobody asks waits here, however much it is. Who wants to
 * know whether it is too slow looks at `waiting`.
 */
export class TreeWatcher
  implements AsyncIterableIterator<TreeEvent, undefined>, AsyncDisposable, Disposable {
  readonly #tree: Tree;
  readonly #signal: AbortSignal | undefined;
  readonly #abort = (): void => this.#end({ reason: this.#signal!.reason });
  #events: TreeEvent[] = [];
  // Of the first event that was not taken.
  #first = 0;
  readonly #takers: Waiting[] = [];
  #ended = false;
  // Told to who asks next, once.
  #failure: { readonly reason: unknown } | undefined;

  /**
   * @param path What to watch.
   * @param options How.
   * @throws {KeventError} As of `watchTree`.
   */
  constructor(path: string | URL, options: WatchTreeOptions) {
    this.#signal = checkSignal(options.signal);
    this.#tree = new Tree(options.loop ?? defaultLoop());
    if (options.ref === false) this.#tree.unref();
    try {
      this.#tree.start(path, options, (event) => this.#take(event));
    } catch (error) {
      this.#tree.close();
      throw error;
    }
    this.#signal?.addEventListener("abort", this.#abort, { once: true });
  }

  /** Events that wait to be taken. */
  get waiting(): number {
    return this.#events.length - this.#first;
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#ended;
  }

  /**
   * Takes the next event, or waits for it.
   *
   * @returns The event; done when it was closed. Rejects with the reason of `signal`, once.
   */
  next(): Promise<Result> {
    if (this.#failure !== undefined) return this.#failed(this.#failure.reason);
    if (this.#first < this.#events.length) return Promise.resolve(this.#shift());
    if (this.#ended) return Promise.resolve(DONE);
    return new Promise((resolve, reject) => this.#takers.push({ resolve, reject }));
  }

  /** Closes it: what `for await` does when it is left. @returns Done. */
  return(): Promise<Result> {
    this.close();
    return Promise.resolve(DONE);
  }

  /** Stops watching. Events that wait are dropped, who waits for one gets done. */
  close(): void {
    this.#end(undefined);
  }

  /** The same as `close`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** The same as `close`. @returns Resolves at once. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  /** @returns Itself: who iterates twice takes turns. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Keeps the process alive until it is closed. @returns This watcher. */
  ref(): this {
    this.#tree.ref();
    return this;
  }

  /** Lets the process end while it watches. @returns This watcher. */
  unref(): this {
    this.#tree.unref();
    return this;
  }

  /** Does the first look at once; as of `Tree`. */
  scan(): void {
    this.#tree.scan();
  }

  /** @returns What it is and holds; as of `Tree`. */
  info(): TreeInfo {
    return this.#tree.info();
  }

  #take(event: TreeEvent): void {
    const taker = this.#takers.shift();
    if (taker === undefined) this.#events.push(event);
    else taker.resolve({ value: event, done: false });
  }

  #shift(): Result {
    const value = this.#events[this.#first]!;
    this.#first++;
    // Half of it at a time: an array that is shifted moves all that follows, each time.
    if (this.#first * 2 >= this.#events.length) {
      this.#events = this.#events.slice(this.#first);
      this.#first = 0;
    }
    return { value, done: false };
  }

  #failed(reason: unknown): Promise<never> {
    this.#failure = undefined;
    return Promise.reject(reason);
  }

  #end(failure: { readonly reason: unknown } | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#tree.close();
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#events = [];
    this.#first = 0;
    const [first, ...others] = this.#takers.splice(0);
    if (failure === undefined) first?.resolve(DONE);
    else if (first === undefined) this.#failure = failure;
    else first.reject(failure.reason);
    for (const { resolve } of others) resolve(DONE);
  }
}

function checkSignal(signal: AbortSignal | undefined): AbortSignal | undefined {
  if (signal === undefined) return undefined;
  if (typeof signal !== "object" || signal === null || !("aborted" in signal)) {
    const detail = `signal must be an AbortSignal, not ${shown(signal)}`;
    throw new KeventError("watch tree", "argument", "EINVAL", detail);
  }
  checkFunction(signal.addEventListener, "watch tree", "addEventListener of signal");
  signal.throwIfAborted();
  return signal;
}

/**
 * Watches a directory with all that is in it, or one file, on the loop of the thread.
 *
 * @param path The directory or file: a path, or a URL object of the kind `file:`.
 * @param options How, and what ends it.
 * @returns An async iterator of what happens from now on, in order; with `close`, for `using` and
 * `await using` as well. Nothing is lost when events come faster than they are taken: they wait in
 * memory.
 * @throws {KeventError} As of `Tree.start`; the reason of a `signal` that was aborted before.
 *
 * @example The first two events of a new file
 * ```ts
 * import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
 * import { watchTree } from "../adapters/watch.ts";
 *
 * const folder = mkdtempSync("/tmp/kevent-");
 * await using watcher = watchTree(folder, { signal: AbortSignal.timeout(5000) });
 * writeFileSync(`${folder}/letter`, "hello");
 * for await (const { kind, path, stat } of watcher) {
 *   if (kind === "create" && path === "letter" && stat?.size === 5) break;
 * }
 * rmSync(folder, { recursive: true });
 * ```
 */
export function watchTree(path: string | URL, options: WatchTreeOptions = {}): TreeWatcher {
  if (typeof options !== "object" || options === null) {
    const detail = `options must be an object such as {}, not ${shown(options)}`;
    throw new KeventError("watch tree", "argument", "EINVAL", detail);
  }
  return new TreeWatcher(path, options);
}
