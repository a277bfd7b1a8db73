// What the two runtimes have in common of `watchFile` of `node:fs`.
import nodeFs from "node:fs";
import { defaultLoop } from "../loop/default.ts";

// Captured at load: a program may replace these.
const { stat, statSync } = nodeFs;
const { create, defineProperty, getOwnPropertyDescriptors, getPrototypeOf } = Object;
const { Date } = globalThis;

const NS_PER_MS = 1e6;
const INTERVAL_MS_DEFAULT = 5007;
const INTERVAL_MS_MAX = 2 ** 31 - 1;

/** What is known of a file. */
export type AnyStats = Readonly<Record<string, unknown>>;

/** How a file is looked at. */
export interface PollPlan {
  readonly bigint: boolean;
  readonly persistent: boolean;
  readonly intervalMs: number;
}

/**
 * Reads the options of `watchFile`.
 *
 * @param options An object.
 * @returns The plan; `undefined` for all that is out of the ordinary.
 */
export function pollPlanOf(options: unknown): PollPlan | undefined {
  if (typeof options !== "object" || options === null) return undefined;
  const { bigint = false, persistent = true, interval = INTERVAL_MS_DEFAULT } = options as Record<
    string,
    unknown
  >;
  const plain = typeof bigint === "boolean" && typeof persistent === "boolean" &&
    typeof interval === "number" && interval >= 1 && interval <= INTERVAL_MS_MAX;
  return plain ? { bigint, persistent, intervalMs: interval } : undefined;
}

/** What says that a file is another than before, as in libuv. Some is not in all stats. */
const COMPARED = [
  ...["ctimeNs", "mtimeNs", "ctimeMs", "mtimeMs"],
  ...["size", "mode", "ino", "uid", "gid", "dev"],
];

function isChanged(before: AnyStats, after: AnyStats): boolean {
  return COMPARED.some((name) => before[name] !== after[name]);
}

const missing = new Map<boolean, AnyStats>();

/** What is told of a file that is not there: zeros, in what the runtime has for it. */
function statsOfMissing(bigint: boolean): AnyStats {
  const known = missing.get(bigint);
  if (known !== undefined) return known;
  const model = statSync("/", { bigint });
  const stats = create(getPrototypeOf(model)) as AnyStats;
  for (const [name, property] of Object.entries(getOwnPropertyDescriptors(model))) {
    defineProperty(stats, name, { ...property, value: zeroOf(property.value) });
  }
  missing.set(bigint, stats);
  return stats;
}

function zeroOf(value: unknown): unknown {
  if (typeof value === "bigint") return value - value;
  if (typeof value === "number") return 0;
  return value instanceof Date ? new Date(0) : value;
}

/** Looks at a file again and again. */
export class StatPoll {
  readonly #path: string;
  readonly #plan: PollPlan;
  readonly #hear: (current: AnyStats, previous: AnyStats) => void;
  #previous: AnyStats | undefined;
  #timer: number | undefined;
  #ref: boolean;
  #closed = false;

  /**
   * @param path The file, which need not be there.
   * @param plan How.
   * @param hear Called when it has changed, and at first when it is not there.
   */
  constructor(
    path: string,
    plan: PollPlan,
    hear: (current: AnyStats, previous: AnyStats) => void,
  ) {
    this.#path = path;
    this.#plan = plan;
    this.#hear = hear;
    this.#ref = plan.persistent;
    this.#look();
  }

  #look(): void {
    const { bigint } = this.#plan;
    stat(this.#path, { bigint }, (error, stats) => {
      if (this.#closed) return;
      const current = error ? statsOfMissing(bigint) : stats as unknown as AnyStats;
      try {
        this.#compare(current);
      } finally {
        if (!this.#closed) this.#wait();
      }
    });
  }

  #compare(current: AnyStats): void {
    const isFirst = this.#previous === undefined;
    const previous = this.#previous ?? current;
    this.#previous = current;
    const tells = isFirst
      ? current === statsOfMissing(this.#plan.bigint)
      : isChanged(previous, current);
    if (tells) this.#hear(current, previous);
  }

  #wait(): void {
    const { timers } = defaultLoop();
    this.#timer = timers.once(() => {
      this.#timer = undefined;
      this.#look();
    }, this.#plan.intervalMs * NS_PER_MS);
    this.setRef(this.#ref);
  }

  /** Ends it: nothing is told any more. */
  close(): void {
    this.#closed = true;
    if (this.#timer !== undefined) defaultLoop().timers.clear(this.#timer);
    this.#timer = undefined;
  }

  /** Says whether the process waits for it. */
  setRef(ref: boolean): void {
    this.#ref = ref;
    const { timers } = defaultLoop();
    if (this.#timer !== undefined) timers.setRef(timers.slotOf(this.#timer), ref);
  }
}

/** A `StatWatcher` of one of the runtimes. */
export interface StatWatcher {
  addListener(name: "change", listener: unknown): unknown;
  removeListener(name: "change", listener: unknown): unknown;
  removeAllListeners(name: "change"): unknown;
  listenerCount(name: "change"): number;
  stop(): void;
}

/** The watchers of all paths: one for each. */
export class StatWatchers<Watcher extends StatWatcher> {
  readonly #watchers = new Map<string, Watcher>();

  /** Adds a listener to the watcher of a path, which is made if there is none. */
  add(path: string, listener: unknown, make: () => Watcher): Watcher {
    const watcher = this.#watchers.get(path) ?? make();
    this.#watchers.set(path, watcher);
    watcher.addListener("change", listener);
    return watcher;
  }

  /** Removes a listener, or all of them. The watcher ends with its last. */
  remove(path: string, listener: unknown): void {
    const watcher = this.#watchers.get(path);
    if (watcher === undefined) return;
    if (typeof listener === "function") watcher.removeListener("change", listener);
    else watcher.removeAllListeners("change");
    if (watcher.listenerCount("change") > 0) return;
    watcher.stop();
    this.#watchers.delete(path);
  }
}
