/**
 * `kevent/chokidar`: watched trees in the shape of chokidar 5, for tools that were written for it.
 *
 * `watch` and `FSWatcher` take the same options and tell the same events. What differs on purpose:
 *
 * - Nothing is lost: what is in new directories, changes that follow each other fast, both names of
 *   a rename, a file that is replaced or comes back. So there can be more events, and each change is told by itself.
 * - `awaitWriteFinish` waits for the writer to close the file; `stabilityThreshold` is how long it waits at most
 *   after the last change, where there is no writer to wait for (files that were moved or linked, polled trees).
 * - `binaryInterval` is not looked at, and with `usePolling` directories are compared, not files.
 * - What has a backslash in its name can be watched.
 * - Only what is documented is there, not what begins with `_`.
 *
 * @module
 */
import "./mod.ts";
import { EventEmitter } from "node:events";
import { lstatSync, type Stats, statSync } from "node:fs";
import { dirname, isAbsolute, join, normalize, relative, resolve } from "node:path";
import type { Dialect } from "../ffi/library.ts";
import { defaultLoop } from "../loop/default.ts";
import { currentRuntime } from "../loop/host.ts";
import { Tree } from "../loop/tree.ts";
import type { TreeEvent, TreeOptions } from "../loop/tree_event.ts";
import { Held } from "./chokidar/held.ts";
import { type Matcher, type MatchFunction, testOf } from "./chokidar/ignored.ts";
import { Known, type KnownName, within } from "./chokidar/known.ts";

export type { Matcher, MatcherObject, MatchFunction } from "./chokidar/ignored.ts";

const { dialect }: { dialect: Dialect } = "Bun" in globalThis
  ? await import("../ffi/bun.ts")
  : await import("../ffi/deno.ts");

/** For how long a file that is gone may come back, as what a save looks like. */
const ATOMIC_MS = 100;
const INTERVAL_MS = 100;
const BINARY_INTERVAL_MS = 300;
const STABILITY_MS = 2000;
/** A file that somebody keeps open is told of so often at most, as chokidar does it. */
const COALESCE_MS = 50;

/** When a write counts as finished. */
export interface AwaitWriteFinish {
  /** Milliseconds without a change of a file that nobody closes. Default 2000. */
  stabilityThreshold?: number;
  /** Taken for chokidar's sake: nothing is polled. */
  pollInterval?: number;
}

/** As the options of chokidar. */
export interface ChokidarOptions {
  /** Whether the process lives while it watches. Default `true`. */
  persistent?: boolean;
  /** What is left out, directories with all that is in them. Paths are as they would be told, before `cwd`. */
  ignored?: Matcher | Matcher[];
  /** Whether what is there at the start is not told. Default `false`. */
  ignoreInitial?: boolean;
  /** Whether symbolic links are gone through. Default `true`. */
  followSymlinks?: boolean;
  /** Where relative paths begin, and what told paths are relative to. */
  cwd?: string;
  /** Whether to look from time to time instead of waiting for events. Default `false`. */
  usePolling?: boolean;
  /** Milliseconds between two looks. Default 100. */
  interval?: number;
  /** Taken for chokidar's sake: `interval` holds for all files. */
  binaryInterval?: number;
  /** Whether events without `Stats`, of what is gone again, are not told. Default `false`. */
  alwaysStat?: boolean;
  /** Levels of directories below a path that are watched. Default: all. */
  depth?: number;
  /** Whether files are told only when nobody writes any more. Default `false`. */
  awaitWriteFinish?: boolean | AwaitWriteFinish;
  /** Whether files that may not be read are told, and no error. Default `false`. */
  ignorePermissionErrors?: boolean;
  /**
   * Whether a file that is gone and comes back within 100 ms, or so many, has changed, and what editors leave
   * beside a file is left out. Default `true`.
   */
  atomic?: boolean | number;
}

/** Events of names. */
export type EventName = "add" | "addDir" | "change" | "unlink" | "unlinkDir";

/** What listeners are called with. */
export interface FSWatcherEventMap {
  /** All that is there was told. */
  ready: [];
  /** What the system says, before anything is made of it. */
  raw: [event: string, path: string, details: { watchedPath: string }];
  /** Something cannot be watched or read. */
  error: [error: unknown];
  /** Any of the others below. */
  all: [event: EventName, path: string, stats?: Stats];
  add: [path: string, stats?: Stats];
  addDir: [path: string, stats?: Stats];
  change: [path: string, stats?: Stats];
  unlink: [path: string];
  unlinkDir: [path: string];
}

/** One path that is watched. */
interface Root {
  /** As it is told, before `cwd`. */
  readonly text: string;
  readonly path: string;
  /** What stands before names in it: as they are told, and as the system has them. */
  readonly textPrefix: string;
  readonly pathPrefix: string;
  /** None when another root covers it. */
  readonly tree: Tree | undefined;
  ready: boolean;
}

/** What was told to be there, or to have changed. */
interface Pending {
  readonly event: "add" | "change";
  readonly path: string;
}

function listOf<Item>(value: Item | Item[] | undefined): Item[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [value];
}

/** Variables that whoever starts a program sets, as with chokidar. */
function fromEnvironment(): { usePolling?: boolean; interval?: number } {
  const polling = dialect.environment("CHOKIDAR_USEPOLLING")?.toLowerCase();
  const interval = Number.parseInt(dialect.environment("CHOKIDAR_INTERVAL") ?? "", 10);
  return {
    ...(polling === undefined ? {} : { usePolling: !["", "0", "false"].includes(polling) }),
    ...(interval > 0 ? { interval } : {}),
  };
}

/** Options as a watcher shows them: with what holds when they are left out. */
export type FSWatcherOptions = Readonly<
  & Required<Omit<ChokidarOptions, keyof Special>>
  & Pick<ChokidarOptions, "alwaysStat" | "cwd" | "depth">
  & { ignored: Matcher[]; awaitWriteFinish: false | Required<AwaitWriteFinish> }
>;

/** Options that may stay away, or take another form. */
type Special = Pick<
  ChokidarOptions,
  "alwaysStat" | "awaitWriteFinish" | "cwd" | "depth" | "ignored"
>;

function completed(options: ChokidarOptions): FSWatcherOptions {
  const { ignored, awaitWriteFinish: awaits = false, ...rest } = options;
  const given = Object.entries(rest).filter(([, value]) => value !== undefined);
  return Object.freeze({
    persistent: true,
    ignoreInitial: false,
    ignorePermissionErrors: false,
    interval: INTERVAL_MS,
    binaryInterval: BINARY_INTERVAL_MS,
    followSymlinks: true,
    usePolling: false,
    atomic: true,
    ...Object.fromEntries(given) as Partial<Omit<FSWatcherOptions, keyof Special>>,
    ignored: listOf(ignored),
    awaitWriteFinish: awaits !== false && {
      stabilityThreshold: STABILITY_MS,
      pollInterval: INTERVAL_MS,
      ...(awaits === true ? {} : awaits),
    },
    ...fromEnvironment(),
  });
}

/**
 * Watches files and directories, and tells of them as chokidar's class of that name does.
 *
 * @example
 * ```ts
 * import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
 * import { FSWatcher } from "../adapters/chokidar.ts";
 *
 * const folder = mkdtempSync("/tmp/kevent-");
 * const watcher = new FSWatcher({ cwd: folder, ignoreInitial: true });
 * watcher.on("ready", () => writeFileSync(`${folder}/letter`, "Dear"));
 * const path = await new Promise((resolve) => watcher.on("add", resolve).add("."));
 * if (path !== "letter") throw new Error("not told");
 * await watcher.close();
 * rmSync(folder, { recursive: true });
 * ```
 */
export class FSWatcher extends EventEmitter<FSWatcherEventMap> {
  /** Whether `close` was called, and nothing was added since. */
  closed = false;
  /** What it was made with, and what holds besides. */
  readonly options: FSWatcherOptions;
  readonly #roots = new Map<string, Root>();
  /** For links to files: what they lead to is elsewhere. */
  readonly #links = new Map<string, Tree>();
  readonly #known = new Known();
  /** Files that were gone before they could be told; how they went is told next. */
  readonly #ghosts = new Set<string>();
  readonly #unwatched = new Set<string>();
  readonly #ignores: MatchFunction | undefined;
  #gone: Held<string> | undefined;
  #written: Held<Pending> | undefined;
  #ready = false;
  #closing: Promise<void> | undefined;

  /**
   * @param options How it watches.
   * @throws {KeventError} As of `defaultLoop`.
   */
  constructor(options: ChokidarOptions = {}) {
    super();
    this.options = completed(options);
    const { ignored, cwd, atomic } = this.options;
    this.#ignores = testOf(ignored, cwd, atomic !== false);
  }

  /**
   * Watches more paths. They need not be there yet.
   *
   * @param paths Files or directories.
   * @returns This watcher.
   * @throws {TypeError} For a path that is no text.
   */
  add(paths: string | string[]): this {
    const texts = checked(paths);
    this.closed = false;
    this.#closing = undefined;
    for (const text of texts) this.#addRoot(this.#spelled(text));
    return this;
  }

  /**
   * Tells nothing more of these paths and what is in them, until they are added again.
   *
   * @param paths Files or directories.
   * @returns This watcher.
   * @throws {TypeError} For a path that is no text.
   */
  unwatch(paths: string | string[]): this {
    for (const text of checked(paths)) {
      const path = resolve(this.#spelled(text));
      this.#unwatched.add(path);
      this.#known.take(path);
      this.#closeTrees((other) => within(other, path));
    }
    return this;
  }

  /**
   * Stops watching, and forgets its listeners.
   *
   * @returns Fulfilled when it is done.
   */
  close(): Promise<void> {
    if (this.#closing !== undefined) return this.#closing;
    this.closed = true;
    this.#ready = false;
    this.removeAllListeners();
    this.#closeTrees(() => true);
    this.#known.clear();
    this.#ghosts.clear();
    this.#unwatched.clear();
    this.#gone?.close();
    this.#written?.close();
    this.#gone = this.#written = undefined;
    return this.#closing = Promise.resolve();
  }

  /** @returns Names that are watched, by directories, which are relative to `cwd` if there is one. */
  getWatched(): Record<string, string[]> {
    const { cwd } = this.options;
    return Object.fromEntries(
      this.#known.entries().map(([path, names]) => [
        (cwd === undefined ? path : relative(cwd, path)) || ".",
        names,
      ]),
    );
  }

  // --- roots -----------------------------------------------------------------------------------

  /** A path as it is told before `cwd` is taken off. */
  #spelled(text: string): string {
    const { cwd } = this.options;
    return normalize(cwd === undefined || isAbsolute(text) ? text : join(cwd, text));
  }

  #addRoot(text: string): void {
    const path = resolve(text);
    const was = this.#unwatched.delete(path);
    if (this.#roots.has(path)) return void queueMicrotask(() => this.#tellReady());
    const covered = !was && this.#isCovered(path);
    const tree = covered || this.#leavesOut(text, path) ? undefined : new Tree(defaultLoop());
    const textPrefix = text === "." ? "" : prefixOf(text);
    const pathPrefix = prefixOf(path);
    const root: Root = { text, path, textPrefix, pathPrefix, tree, ready: tree === undefined };
    this.#roots.set(path, root);
    if (tree === undefined) return void queueMicrotask(() => this.#tellReady());
    if (!this.options.persistent) tree.unref();
    try {
      tree.start(path, this.#treeOptions(root), (event) => this.#take(root, event));
    } catch (error) {
      queueMicrotask(() => this.#cannotStart(root, error));
    }
  }

  #treeOptions(root: Root): TreeOptions {
    const { depth, followSymlinks, usePolling, interval, ignored } = this.options;
    return {
      initial: true,
      wait: true,
      followSymlinks,
      usePolling,
      pollMs: Math.max(1, Math.round(interval)),
      coalesceMs: COALESCE_MS,
      ...(depth === undefined ? {} : { depth }),
      // Files are left out when they are told: for most events nobody needs to be asked.
      ...(ignored.length === 0 ? {} : {
        ignore: (inner, directory) => directory && this.#leavesOut(...namesOf(root, inner)),
      }),
    };
  }

  /** Whether a root that goes on tells all of a path. */
  #isCovered(path: string): boolean {
    if (this.options.depth !== undefined) return false;
    return [...this.#roots.values()].some((root) =>
      root.tree !== undefined && root.path !== path && within(path, root.path) &&
      this.#goesThrough(root, path)
    );
  }

  /** Whether there is neither a link nor anything left out on the way. */
  #goesThrough(root: Root, path: string): boolean {
    for (let inner = path; inner !== root.path; inner = dirname(inner)) {
      const text = textOf(root, inner);
      const isLink = lstatSync(inner, { throwIfNoEntry: false })?.isSymbolicLink();
      if (isLink || this.#leavesOut(text, inner) || this.#isUnwatched(inner)) return false;
    }
    return true;
  }

  #cannotStart(root: Root, error: unknown): void {
    if (this.closed || this.#roots.get(root.path) !== root) return;
    this.#fail(error);
    root.ready = true;
    this.#tellReady();
  }

  #closeTrees(concerns: (path: string) => boolean): void {
    for (const [path, { tree }] of this.#roots) {
      if (!concerns(path)) continue;
      tree?.close();
      this.#roots.delete(path);
    }
    for (const path of this.#links.keys()) {
      if (concerns(path)) this.#unlink(path);
    }
  }

  #tellReady(): void {
    if (this.#ready || this.closed) return;
    if (![...this.#roots.values()].every(({ ready }) => ready)) return;
    this.#ready = true;
    this.#call("ready");
  }

  // --- what trees tell -------------------------------------------------------------------------

  #take(root: Root, event: TreeEvent): void {
    if (!root.ready) this.#showRoot(root);
    const { kind } = event;
    if (kind === "ready") {
      root.ready = true;
      this.#tellReady();
    } else if (kind === "error") this.#fail(event.error);
    else if (kind === "limit") {
      // It is polled, so nothing is lost: nobody needs to stop for it.
      if (this.listenerCount("error") > 0) this.#fail(event.error);
    } else if (kind !== "overflow") this.#takeName(root, event);
  }

  /** A directory is there before what is in it; trees tell only of those that come later. */
  #showRoot(root: Root): void {
    if (this.#known.kindOf(root.path) !== undefined) return;
    const stats = this.#statsOf(root.path);
    if (stats?.isDirectory()) this.#appear(root, root.path, { initial: true });
  }

  #takeName(root: Root, event: TreeEvent): void {
    const { kind, oldPath, directory } = event;
    const [text, path] = namesOf(root, event.path);
    if (this.listenerCount("raw") > 0) this.#tellRaw(root, event);
    if (kind === "rename") this.#rename(root, namesOf(root, oldPath)[1], path, event);
    else if (!this.#concerns(root, path)) return;
    else if (kind === "create") this.#appear(root, path, event);
    else if (kind === "remove") this.#vanish(root, path);
    else if (!directory) this.#change(root, path, text, event);
  }

  #tellRaw(root: Root, event: TreeEvent): void {
    const name = event.kind === "modify" || event.kind === "attribute" ? "change" : "rename";
    this.#call("raw", name, event.path, { watchedPath: root.text });
  }

  /** Whether a root tells of a path, and not a root within it, nor nobody. */
  #concerns(root: Root, path: string): boolean {
    if (this.#isUnwatched(path)) return false;
    if (this.#roots.size === 1) return true;
    for (const other of this.#roots.values()) {
      const isInner = other.tree !== undefined && other.path.length > root.path.length;
      if (isInner && within(path, other.path)) return false;
    }
    return true;
  }

  /** The nearest path above that was added or unwatched says. */
  #isUnwatched(path: string): boolean {
    if (this.#unwatched.size === 0) return false;
    for (let inner = path;; inner = dirname(inner)) {
      if (this.#unwatched.has(inner)) return true;
      if (this.#roots.get(inner)?.tree !== undefined || inner === "/") return false;
    }
  }

  #leavesOut(text: string, path: string, stats?: Stats): boolean {
    if (this.#ignores === undefined) return false;
    if (this.#ignores(text)) return true;
    if (!this.options.ignored.some((one) => typeof one === "function")) return false;
    const now = stats ?? this.#statsOf(path);
    return now !== undefined && this.#ignores(text, now);
  }

  #appear(root: Root, path: string, event: Partial<TreeEvent>): void {
    const text = textOf(root, path);
    const was = this.#known.kindOf(path);
    // Names in what is left out are left out.
    if (path !== root.path && !this.#known.isFolder(dirname(path))) return;
    const stats = this.#statsOf(path);
    if (this.#leavesOut(text, path, stats) || this.#isHidden(event, stats)) return;
    const directory = stats?.isDirectory() ?? event.directory === true;
    if (was !== undefined && was !== directory) this.#vanish(root, path);
    else if (was !== undefined) {
      if (!directory && !event.initial) this.#change(root, path, text, event);
      return;
    }
    this.#known.add(path, directory);
    if (!directory && stats !== undefined) this.#follow(root, path, event);
    if (!directory && stats === undefined) return void this.#ghosts.add(path);
    if (event.initial && this.options.ignoreInitial) return;
    this.#emit(directory ? "addDir" : "add", path, text, stats, event.closed);
  }

  /** Whether chokidar would not see it either: links to nothing, and what may not be read. */
  #isHidden(event: Partial<TreeEvent>, stats: Stats | undefined): boolean {
    const { alwaysStat, followSymlinks, ignorePermissionErrors } = this.options;
    if (stats === undefined) return alwaysStat === true || event.symlink === true && followSymlinks;
    return !ignorePermissionErrors && stats.isFile() && (stats.mode & 0o400) === 0;
  }

  /** A change of the file that a link leads to is one of the link. */
  #follow(root: Root, path: string, { symlink }: Partial<TreeEvent>): void {
    if (!symlink || !this.options.followSymlinks || path === root.path) return;
    const { usePolling, persistent } = this.options;
    const tree = new Tree(defaultLoop());
    if (!persistent) tree.unref();
    this.#unlink(path);
    this.#links.set(path, tree);
    try {
      tree.start(path, { usePolling, wait: true, coalesceMs: COALESCE_MS }, (event) => {
        // That the link itself comes and goes is told by the tree it is in.
        if (event.kind === "modify") this.#change(root, path, textOf(root, path), event);
      });
    } catch {
      this.#unlink(path);
    }
  }

  #unlink(path: string): void {
    this.#links.get(path)?.close();
    this.#links.delete(path);
  }

  #change(root: Root, path: string, text: string, event: Partial<TreeEvent>): void {
    const kind = this.#known.kindOf(path);
    if (kind === undefined) return this.#appear(root, path, event);
    const stats = this.#statsOf(path);
    // Gone again: that is told next.
    const gone = stats === undefined && (this.options.alwaysStat || this.#ghosts.has(path));
    if (kind || gone) return;
    const told = this.#ghosts.delete(path) ? "add" : "change";
    this.#emit(told, path, text, stats, event.closed);
  }

  #vanish(root: Root, path: string): void {
    for (const gone of this.#known.take(path)) this.#tellGone(root, gone);
  }

  #tellGone(root: Root, { path, directory }: KnownName): void {
    const text = textOf(root, path);
    this.#unlink(path);
    if (this.#ghosts.delete(path)) this.#emit("add", path, text, undefined, true);
    this.#emit(directory ? "unlinkDir" : "unlink", path, text);
  }

  /** All that was in a directory has another path. */
  #rename(root: Root, old: string, path: string, event: TreeEvent): void {
    const from = this.#concerns(root, old) ? this.#known.take(old) : [];
    const to = event.exchanged && this.#concerns(root, path) ? this.#known.take(path) : [];
    // What a save goes through, too short for anybody to see.
    const hidden = event.replaced && this.options.atomic !== false && this.#ghosts.delete(old);
    if (!hidden) { for (const gone of [...from, ...to]) this.#tellGone(root, gone); }
    this.#arrive(root, from.map((one) => one.path), old, path, event);
    if (event.exchanged) this.#arrive(root, to.map((one) => one.path), path, old, event);
  }

  #arrive(root: Root, gone: string[], old: string, path: string, event: TreeEvent): void {
    const come = gone.reverse().map((one) => path + one.slice(old.length));
    // What was left out under its old name is not.
    if (come.length === 0) come.push(path);
    const { symlink, directory } = event;
    for (const one of come) {
      if (!this.#concerns(root, one)) continue;
      this.#appear(
        root,
        one,
        one === path ? { symlink, directory, closed: true } : { closed: true },
      );
    }
  }

  /** What is known of it at this moment; nothing when it is gone, or may not be looked at. */
  #statsOf(path: string): Stats | undefined {
    try {
      const look = this.options.followSymlinks ? statSync : lstatSync;
      return look(path, { throwIfNoEntry: false });
    } catch {
      return undefined;
    }
  }

  // --- what listeners are told -----------------------------------------------------------------

  #emit(event: EventName, path: string, text: string, stats?: Stats, closed = false): void {
    const { atomic, awaitWriteFinish } = this.options;
    const waiting = this.#written?.get(text);
    if (event === "unlink") {
      this.#written?.take(text);
      // Nobody was told of it.
      if (waiting?.event === "add") return;
      if (atomic !== false) return this.#goneNames().hold(text, path);
      return this.#tell(event, text);
    }
    let told = event;
    if (event === "add" && this.#gone?.take(text) !== undefined) told = "change";
    if (awaitWriteFinish === false || !this.#ready || (told !== "add" && told !== "change")) {
      return this.#tell(told, text, stats);
    }
    const pending = waiting ?? { event: told, path };
    if (!closed) return this.#writtenNames().hold(text, pending);
    this.#written?.take(text);
    this.#tell(pending.event, text, stats);
  }

  #goneNames(): Held<string> {
    const { atomic } = this.options;
    const ms = typeof atomic === "number" ? atomic : ATOMIC_MS;
    return this.#gone ??= new Held(defaultLoop(), ms, (text) => this.#tell("unlink", text));
  }

  #writtenNames(): Held<Pending> {
    const { awaitWriteFinish, usePolling, interval } = this.options;
    const threshold = awaitWriteFinish === false ? 0 : awaitWriteFinish.stabilityThreshold;
    // A look must be able to see that it goes on.
    const ms = usePolling ? Math.max(threshold, 2 * interval) : threshold;
    return this.#written ??= new Held(defaultLoop(), ms, (text, pending) => {
      this.#settle(text, pending, ms);
    });
  }

  /** Nothing was told of it for a while. */
  #settle(text: string, pending: Pending, ms: number): void {
    const { event, path } = pending;
    if (this.#known.kindOf(path) === undefined) return;
    const stats = this.#statsOf(path);
    const age = stats === undefined ? 0 : Date.now() - stats.mtimeMs;
    // This thread may have been too busy to hear that it goes on, or is gone.
    if (age >= 0 && age < ms) this.#writtenNames().hold(text, pending);
    else this.#tell(event, text, stats);
  }

  #tell(event: EventName, text: string, stats?: Stats): void {
    if (this.closed) return;
    const { cwd } = this.options;
    const path = cwd === undefined ? text : relative(cwd, text);
    const rest = stats === undefined ? [] : [stats] as const;
    this.#call(event, path, ...rest as []);
    this.#call("all", event, path, ...rest);
  }

  #fail(error: unknown): void {
    const { code } = error as { code?: string };
    if (code === "ENOENT" || code === "ENOTDIR") return;
    if (this.options.ignorePermissionErrors && (code === "EPERM" || code === "EACCES")) return;
    this.#call("error", error);
  }

  /** What a listener throws is the runtime's to report: others must hear of what follows. */
  #call<Name extends keyof FSWatcherEventMap>(name: Name, ...args: FSWatcherEventMap[Name]): void {
    if (this.closed) return;
    try {
      (this.emit as (name: string, ...args: unknown[]) => boolean).call(this, name, ...args);
    } catch (error) {
      currentRuntime().host.report(error);
    }
  }
}

function prefixOf(path: string): string {
  return path.endsWith("/") ? path : `${path}/`;
}

/** A path in a root as it is told, and as the system has it. */
function namesOf(root: Root, inner: string): [text: string, path: string] {
  if (inner === "") return [root.text, root.path];
  return [root.textPrefix + inner, root.pathPrefix + inner];
}

function textOf(root: Root, path: string): string {
  return path === root.path ? root.text : root.textPrefix + path.slice(root.pathPrefix.length);
}

function checked(paths: string | string[]): string[] {
  const list = listOf(paths).flat() as string[];
  if (list.every((path) => typeof path === "string")) return list;
  throw new TypeError(`Non-string provided as watch path: ${list}`);
}

/**
 * Watches files and directories, as chokidar's `watch`.
 *
 * @param paths One path or several; they need not be there yet.
 * @param options How.
 * @returns A watcher; `on` says what it tells.
 * @throws {TypeError} For a path that is no text.
 *
 * @example
 * ```ts
 * import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
 * import { watch } from "../adapters/chokidar.ts";
 *
 * const folder = mkdtempSync("/tmp/kevent-");
 * const watcher = watch(folder, { ignored: (path) => path.endsWith(".log") });
 * watcher.on("ready", () => {
 *   mkdirSync(`${folder}/src`);
 *   writeFileSync(`${folder}/src/main.ts`, "");
 * });
 * await new Promise<void>((resolve) => {
 *   watcher.on("all", (event, path) => {
 *     if (event === "add" && path === `${folder}/src/main.ts`) resolve();
 *   });
 * });
 * await watcher.close();
 * rmSync(folder, { recursive: true });
 * ```
 */
export function watch(paths: string | string[], options: ChokidarOptions = {}): FSWatcher {
  return new FSWatcher(options).add(paths);
}

export default { watch, FSWatcher };
