/**
 * The watchers of `node:fs` as Deno has them, on a loop of kevent.
 *
 * What is told differs where Deno loses something or says it too often: see `kevent/watch`.
 *
 * @module
 */
import { EventEmitter } from "node:events";
import nodePath from "node:path";
import process from "node:process";
import {
  byNative,
  type ChangeType,
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
import type { Arguments, Callback } from "../native.ts";

// Captured at load: a program may replace these.
const { nextTick } = process;
const { matchesGlob } = nodePath;

const traits: Traits = {
  takesUrls: true,
  takesUrlText: false,
  takesNullSignal: false,
  rootName: "",
  glob: (pattern) => (name) => matchesGlob(name, pattern),
};

/** What `watch` gives. */
export class FSWatcher extends EventEmitter {
  #watch: PathWatch | undefined;
  #closed = false;

  // Deno's takes two arguments.
  constructor(plan: Plan, _watcher?: unknown) {
    super();
    const onChange = (type: ChangeType, name: Name): void => void this.emit("change", type, name);
    const onError = (error: Error): void => {
      if (this.listenerCount("error") > 0) this.emit("error", error);
    };
    this.#watch = PathWatch.open(plan, traits, { onChange, onError });
  }

  /** Whether the runtime must have its say. */
  static isIdle(watcher: FSWatcher): boolean {
    return watcher.#watch === undefined;
  }

  /** Closes it when the signal comes. */
  static obey(watcher: FSWatcher, signal: AbortSignal): void {
    const onAbort = (): void => watcher.close();
    if (signal.aborted) return void nextTick(onAbort);
    signal.addEventListener("abort", onAbort, { once: true });
    watcher.once("close", () => signal.removeEventListener("abort", onAbort));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch?.close();
    this.emit("close");
  }

  ref(): this {
    this.#watch?.setRef(true);
    return this;
  }

  unref(): this {
    this.#watch?.setRef(false);
    return this;
  }
}

/** Of two arguments the first that is of a kind: Deno finds its arguments by what they are. */
function firstOf(isOfKind: (value: unknown) => boolean, ...args: Arguments): unknown {
  return args.find(isOfKind);
}

const isFunction = (value: unknown): value is Callback => typeof value === "function";
const isOptions = (value: unknown): boolean => typeof value === "object";

/** As `watch` of `node:fs`. */
function watch(path: unknown, options: unknown, listener: unknown): unknown {
  const given = typeof options === "string" ? options : firstOf(isOptions, options, listener);
  const heard = firstOf(isFunction, options, listener) as Callback | undefined;
  const plan = planOf(path, given, traits);
  const watcher = plan && new FSWatcher(plan);
  if (watcher === undefined || FSWatcher.isIdle(watcher)) {
    return byNative(native.watch, [path, options, listener]);
  }
  if (heard !== undefined) watcher.on("change", heard.bind({ _handle: watcher }));
  if (plan!.signal !== undefined) FSWatcher.obey(watcher, plan!.signal);
  return watcher;
}

// --- watchFile ---------------------------------------------------------------------------------

/** What `watchFile` gives. */
class StatWatcher extends EventEmitter {
  #poll: StatPoll | undefined;

  // Deno's takes one argument.
  constructor(start: { readonly path: string; readonly plan: PollPlan }) {
    super();
    const { path, plan } = start;
    this.#poll = new StatPoll(path, plan, (...stats) => void this.emit("change", ...stats));
  }

  stop(): void {
    if (this.#poll === undefined) return;
    this.#poll.close();
    this.#poll = undefined;
    nextTick(() => this.emit("stop"));
  }

  ref(): this {
    this.#poll?.setRef(true);
    return this;
  }

  unref(): this {
    this.#poll?.setRef(false);
    return this;
  }
}

const statWatchers = new StatWatchers<StatWatcher>();

/** As `watchFile` of `node:fs`. */
function watchFile(path: unknown, options: unknown, listener: unknown): unknown {
  const text = textOfPath(path, traits);
  const heard = typeof options === "function" ? options : listener;
  const plan = pollPlanOf(typeof options === "object" ? options : {});
  if (text === undefined || plan === undefined || typeof heard !== "function") {
    return byNative(native.watchFile, [path, options, listener]);
  }
  return statWatchers.add(text, heard, () => new StatWatcher({ path: text, plan }));
}

/** As `unwatchFile` of `node:fs`. Those of Deno's own watchers end as well. */
function unwatchFile(path: unknown, listener: unknown): unknown {
  const text = textOfPath(path, traits);
  if (text !== undefined) statWatchers.remove(text, listener);
  return byNative(native.unwatchFile, [path, listener]);
}

/** What takes the place of these in `node:fs`. */
export const watchers: Watchers = { watch, watchFile, unwatchFile };

// --- promises ----------------------------------------------------------------------------------

/** What takes the place of `watch` in `node:fs/promises`. */
export const promised: { readonly watch: Callback } = {
  watch: (...args: Arguments): unknown => {
    const [path, options] = args;
    const plan = planOf(path, options, traits);
    if (plan === undefined || plan.signal?.aborted) return byNative(native.promised, args);
    // In Deno only who asks for a change waits for one.
    const changes = Changes.open(plan, traits, limitOf(options), false);
    if (changes === undefined) return byNative(native.promised, args);
    return {
      next: async () => await changes.next(),
      return(value: unknown) {
        changes.end();
        return Promise.resolve({ value, done: true });
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  },
};
