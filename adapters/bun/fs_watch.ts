/**
 * The watchers of `node:fs` as Bun has them, on a loop of kevent.
 *
 * What is told differs where Bun loses something or says what is not so: see `kevent/watch`.
 *
 * @module
 */
import { EventEmitter } from "node:events";
import { resolve } from "node:path";
import process from "node:process";
import { getSystemErrorMap } from "node:util";
import {
  byNative,
  type ChangeType,
  type Matcher,
  type Name,
  native,
  PathWatch,
  type Plan,
  planOf,
  textOfPath,
  type Traits,
  type Watchers,
} from "../fs_watch.ts";
import { type PollPlan, pollPlanOf, StatPoll, StatWatchers } from "../fs_watch_file.ts";
import { Changes, limitOf } from "../fs_watch_promises.ts";
import type { Callback } from "../native.ts";

// Captured at load: a program may replace these.
const { nextTick } = process;
const { Promise, queueMicrotask } = globalThis;
const { Glob } = (globalThis as unknown as {
  Bun: { readonly Glob: new (pattern: string) => { match(name: string): boolean } };
}).Bun;

const traits: Traits = {
  takesUrls: true,
  takesUrlText: true,
  takesNullSignal: true,
  rootName: undefined,
  glob(pattern) {
    const glob = new Glob(pattern);
    return (name) => glob.match(name);
  },
};

const kFSWatchStart = Symbol("kFSWatchStart");

function nothing(): void {}

/** What the runtime says of a handle that is none. */
function refuseHandle(): never {
  const watcher = native.watch("/", { persistent: false }) as FSWatcher;
  const handle = watcher._handle!;
  try {
    watcher._handle = { ...handle } as FSEvent;
    watcher.close();
    throw new TypeError("handle must be a FSEvent");
  } finally {
    handle.close();
  }
}

/** An error in the words of libuv. */
function errorOf(status: number, filename: unknown): Error {
  const [code, words] = getSystemErrorMap().get(status) ?? ["UNKNOWN", "unknown error"];
  const error = new Error(`${code}: ${words}, watch '${filename}'`);
  return Object.assign(error, { errno: status, code, syscall: "watch", path: filename, filename });
}

/** What some programs reach for as `_handle`. */
class FSEvent {
  #owner: FSWatcher;

  constructor(owner: FSWatcher) {
    this.#owner = owner;
  }

  onchange(status: number, eventType: string, filename: unknown): void {
    const owner = this.#owner;
    if (status >= 0) return FSWatcher.tell(owner, eventType, filename);
    FSWatcher.end(owner, false);
    owner._handle = null;
    owner.emit("error", errorOf(status, filename));
  }

  close(): void {
    FSWatcher.end(this.#owner, true);
  }

  ref(): void {
    FSWatcher.setRef(this.#owner, true);
  }

  unref(): void {
    FSWatcher.setRef(this.#owner, false);
  }
}

/** What `watch` gives. */
export class FSWatcher extends EventEmitter {
  #watch: PathWatch | undefined;
  #listener: Callback;
  #matchers: readonly Matcher[];
  #stopObeying: () => void = nothing;
  _handle: FSEvent | null;

  // Bun's takes three arguments.
  constructor(plan: Plan, listener: Callback, _listener?: unknown) {
    super();
    this.#listener = listener;
    this.#matchers = plan.matchers;
    this.#watch = PathWatch.open(plan, traits, {
      onChange: (type: ChangeType, name: Name) => this.#tell(type, name),
      onError: (error) => {
        if (this.listenerCount("error") > 0) this.emit("error", error);
      },
    });
    this._handle = new FSEvent(this);
  }

  #tell(type: string, name: unknown): void {
    this.emit("change", type, name);
    this.#listener(type, name);
  }

  /** Whether the runtime must have its say. */
  static isIdle(watcher: FSWatcher): boolean {
    return watcher.#watch === undefined;
  }

  /** Closes it when the signal comes, or soon when it has come. */
  static obey(watcher: FSWatcher, signal: AbortSignal): void {
    const onAbort = (): void => {
      if (watcher.#watch === undefined) return;
      if (watcher.listenerCount("error") > 0) watcher.emit("error", signal.reason);
      FSWatcher.end(watcher, true);
    };
    if (signal.aborted) return void queueMicrotask(onAbort);
    signal.addEventListener("abort", onAbort, { once: true });
    watcher.#stopObeying = () => signal.removeEventListener("abort", onAbort);
  }

  /** Tells what somebody says that happened. */
  static tell(watcher: FSWatcher, type: string, name: unknown): void {
    const isIgnored = name !== null && name !== undefined &&
      watcher.#matchers.some((match) => match(String(name)));
    if (!isIgnored) watcher.#tell(type, name);
  }

  static end(watcher: FSWatcher, tells: boolean): void {
    if (watcher.#watch === undefined) return;
    watcher.#watch.close();
    watcher.#watch = undefined;
    watcher.#stopObeying();
    if (tells) queueMicrotask(() => watcher.emit("close", undefined));
  }

  static setRef(watcher: FSWatcher, ref: boolean): void {
    watcher.#watch?.setRef(ref);
  }

  close(): void {
    this[kFSWatchStart]();
    this._handle?.close();
  }

  ref(): this {
    this._handle?.ref();
    return this;
  }

  unref(): this {
    this._handle?.unref();
    return this;
  }

  start(): void {}

  [kFSWatchStart](): void {
    if (this._handle !== null && !(this._handle instanceof FSEvent)) refuseHandle();
  }
}

// --- watchFile ---------------------------------------------------------------------------------

/** What some programs reach for as `_handle` of what `watchFile` gives. */
function handleOf(poll: StatPoll): object {
  const methods = {
    close: () => poll.close(),
    ref: () => poll.setRef(true),
    unref: () => poll.setRef(false),
    [Symbol.toStringTag]: "StatWatcher",
  };
  return Object.create(methods);
}

/** What `watchFile` gives. */
class StatWatcher extends EventEmitter {
  #poll: StatPoll;
  _handle: object | null;

  constructor(path: string, plan: PollPlan) {
    super();
    this.#poll = new StatPoll(path, plan, (...stats) => void this.emit("change", ...stats));
    this._handle = handleOf(this.#poll);
  }

  start(): void {}

  stop(): void {
    if (this._handle === null) return;
    nextTick(() => this.emit("stop"));
    this.#poll.close();
    this._handle = null;
  }

  ref(): this {
    if (this._handle !== null) this.#poll.setRef(true);
    return this;
  }

  unref(): this {
    if (this._handle !== null) this.#poll.setRef(false);
    return this;
  }
}

const statWatchers = new StatWatchers<StatWatcher>();

/** The path that a watcher is known by, if it is one as it should be. */
function statPathOf(path: unknown): string | undefined {
  const text = typeof path === "string" || path instanceof URL
    ? textOfPath(path, traits)
    : undefined;
  return text === undefined ? undefined : resolve(text);
}

/** What takes the place of these in `node:fs`. Methods: they are no constructors. */
export const watchers: Watchers = {
  watch(path: unknown, options: unknown, listener: unknown): unknown {
    const given = typeof options === "function" ? {} : options;
    const heard = typeof options === "function" ? options : listener;
    const plan = planOf(path, given, traits);
    const watcher = plan &&
      new FSWatcher(plan, typeof heard === "function" ? heard as Callback : nothing);
    if (watcher === undefined || FSWatcher.isIdle(watcher)) {
      return byNative(native.watch, [path, options, listener]);
    }
    if (plan!.signal !== undefined) FSWatcher.obey(watcher, plan!.signal);
    return watcher;
  },

  watchFile(filename: unknown, options: unknown, listener: unknown): unknown {
    const path = statPathOf(filename);
    const heard = typeof options === "function" ? options : listener;
    const plan = pollPlanOf(typeof options === "function" ? {} : options ?? {});
    if (path === undefined || plan === undefined || typeof heard !== "function") {
      return byNative(native.watchFile, [filename, options, listener]);
    }
    return statWatchers.add(path, heard, () => new StatWatcher(path, plan));
  },

  // Those of Bun's own watchers end as well.
  unwatchFile(filename: unknown, listener: unknown): unknown {
    const path = statPathOf(filename);
    if (path !== undefined) statWatchers.remove(path, listener);
    return byNative(native.unwatchFile, [filename, listener]);
  },
};

// --- promises ----------------------------------------------------------------------------------

const promisedTraits: Traits = {
  ...traits,
  takesUrls: false,
  takesUrlText: false,
  takesNullSignal: false,
};

/** What takes the place of `watch` in `node:fs/promises`. */
export const promised: { readonly watch: Callback } = {
  watch(filename: unknown, options: unknown = {}): unknown {
    const plan = planOf(filename, options, promisedTraits);
    if (plan === undefined || plan.signal?.aborted) {
      return byNative(native.promised, [filename, options]);
    }
    const changes = Changes.open(plan, promisedTraits, limitOf(options), true);
    if (changes === undefined) return byNative(native.promised, [filename, options]);
    return { [Symbol.asyncIterator]: () => iteratorOf(changes) };
  },
};

/** Whoever was told of an abort is done. */
function iteratorOf(changes: Changes): object {
  let done = false;
  return {
    async next() {
      if (done) return { value: undefined, done: true };
      try {
        return await changes.next();
      } catch (error) {
        done = true;
        throw error;
      }
    },
    return() {
      done = true;
      changes.end();
      return Promise.resolve({ value: undefined, done: true });
    },
  };
}
