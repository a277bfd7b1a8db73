/**
 * `Deno.watchFs` over the watched trees of kevent.
 *
 * @module
 */
import { defaultLoop } from "../../loop/default.ts";
import { Tree } from "../../loop/tree.ts";
import type { TreeEvent } from "../../loop/tree_event.ts";
import { resolve } from "node:path";

// Captured at load: a program may replace these, `register` does replace the first.
const { watchFs: nativeWatchFs, lstatSync, statSync, realPathSync, permissions } = Deno;
const { NotFound } = Deno.errors;
const { isArray } = Array;

/**
 * So many events wait for a reader; then they are dropped and one `"rescan"` is there instead. Forty thousand files
 * that are made and written fit. Deno keeps 1024.
 */
const UNREAD_MAX = 2 ** 18;

/** As `Deno.FsEvent`. */
export interface FsEvent {
  /** What happened. */
  kind: "any" | "access" | "create" | "modify" | "rename" | "remove" | "other";
  /** What it happened to: absolute paths. */
  paths: string[];
  /** `"rescan"` when events were lost, else `null`, as in Deno. */
  flag?: "rescan";
}

/** As the options of `Deno.watchFs`. */
export interface WatchFsOptions {
  /** Whether directories in it are watched too. Default `true`. */
  recursive?: boolean;
  /** Paths that are left out, with all that is in them. */
  ignore?: string | string[];
}

/** One path that is watched, and how it is written in events. */
interface Root {
  readonly path: string;
  readonly directory: boolean;
}

type Result = IteratorResult<FsEvent, undefined>;

const DONE = { value: undefined, done: true } as const;

/** As `Deno.FsWatcher`: what `watchFs` gives. Its members are in the order of Deno's. */
class FsWatcher implements AsyncIterable<FsEvent>, Disposable {
  readonly #trees: Tree[];
  readonly #unread: Unread;
  readonly #waiting: ((result: Result) => void)[] = [];
  #ref = true;
  #kept = false;
  #closed = false;

  constructor(paths: unknown[], options: WatchFsOptions) {
    const { recursive = true, ignore } = options;
    const ignored = ignore === undefined ? [] : isArray(ignore) ? ignore : [ignore];
    // Deno takes `true` alone for true.
    const deep = (recursive as unknown) === true;
    const roots = checked(paths, ignored, deep);
    this.#unread = new Unread(roots.map(({ path }) => path));
    this.#trees = [];
    try {
      this.#start(roots, deep, ignored.map(absolute));
    } catch (error) {
      this.#close();
      refuse(paths, ignored, deep, error);
    }
  }

  /** Lets the process end while somebody waits for an event. */
  unref(): void {
    this.#ref = false;
    this.#keep();
  }

  /** Keeps the process alive while somebody waits for an event: the default. */
  ref(): void {
    this.#ref = true;
    this.#keep();
  }

  /** @returns The next event, as soon as there is one. */
  async next(): Promise<Result> {
    if (this.#closed) return { ...DONE };
    const value = this.#unread.take();
    if (value !== undefined) return { value, done: false };
    return await new Promise((tell) => {
      this.#waiting.push(tell);
      this.#keep();
    });
  }

  /** The same as `close`. @returns What it was given. */
  return(value?: unknown): Promise<IteratorReturnResult<unknown>> {
    this.#close();
    return Promise.resolve({ value, done: true });
  }

  /** Stops watching: those who wait are told that it is over. */
  close(): void {
    this.#close();
  }

  /** @returns Itself. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The same as `close`. */
  [Symbol.dispose](): void {
    this.#close();
  }

  #start(roots: readonly Root[], recursive: boolean, ignored: readonly string[]): void {
    const tell = (root: Root) => (event: TreeEvent) => this.#tell(root.path, event);
    for (const root of withoutCovered(roots, recursive)) {
      const left = relativesOf(root.path, ignored);
      if (left.includes("")) continue;
      const tree = new Tree(defaultLoop()).unref();
      this.#trees.push(tree);
      const ignore = left.length > 0 ? { ignore: isIn(left) } : {};
      tree.start(root.path, { recursive, raw: true, ...ignore }, tell(root));
      // Who was given the watcher may count on all events from now on.
      tree.scan();
    }
  }

  #tell(root: string, event: TreeEvent): void {
    for (const told of eventsOf(root, event)) {
      if (told === undefined) this.#unread.lost();
      else this.#unread.add(told);
    }
    while (this.#waiting.length > 0 && this.#unread.size > 0) {
      this.#waiting.shift()!({ value: this.#unread.take()!, done: false });
    }
    this.#keep();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const tree of this.#trees) tree.close();
    for (const tell of this.#waiting.splice(0)) tell({ ...DONE });
    this.#keep();
  }

  /** Only who waits keeps the process alive. */
  #keep(): void {
    const kept = this.#ref && this.#waiting.length > 0;
    if (kept === this.#kept) return;
    this.#kept = kept;
    if (kept) defaultLoop().retain();
    else defaultLoop().release();
  }
}
export type { FsWatcher };

/** Events that nobody has asked for yet. */
class Unread {
  readonly #roots: readonly string[];
  #events: FsEvent[] = [];
  #first = 0;

  constructor(roots: readonly string[]) {
    this.#roots = roots;
  }

  get size(): number {
    return this.#events.length - this.#first;
  }

  add(event: FsEvent): void {
    if (this.size === UNREAD_MAX) this.#drop();
    this.#events.push(event);
  }

  /** Says that the kernel has lost some. */
  lost(): void {
    this.#events.push(toldOf("any", [...this.#roots], "rescan"));
  }

  take(): FsEvent | undefined {
    if (this.size === 0) return undefined;
    const event = this.#events[this.#first++]!;
    if (this.#first === this.#events.length) {
      this.#events = [];
      this.#first = 0;
    }
    return event;
  }

  #drop(): void {
    this.#events = [];
    this.#first = 0;
    this.lost();
  }
}

/** An event as Deno makes them: without a prototype, and with a flag that is `null`. */
function toldOf(kind: FsEvent["kind"], paths: string[], flag: "rescan" | null = null): FsEvent {
  return Object.assign(Object.create(null), { kind, paths, flag }) as FsEvent;
}

const KINDS = {
  create: "create",
  modify: "modify",
  attribute: "modify",
  close: "access",
  remove: "remove",
} as const satisfies Partial<Record<TreeEvent["kind"], FsEvent["kind"]>>;

/** What a program is told of an event of a tree; `undefined` is a loss. */
function eventsOf(root: string, event: TreeEvent): (FsEvent | undefined)[] {
  const { kind, path, oldPath, replaced, implied, exchanged } = event;
  if (kind === "overflow") return [undefined];
  const full = pathIn(root, path);
  if (kind === "rename") {
    const old = pathIn(root, oldPath);
    return [
      toldOf(exchanged ? "rename" : "remove", [old]),
      toldOf("rename", [full]),
      toldOf("rename", [old, full]),
    ];
  }
  // What a directory takes with it is not told one by one, as in Deno.
  if (implied || !(kind in KINDS)) return [];
  // Of a file that is watched by itself, this is what saving it looks like.
  if (kind === "create" && replaced && path === "") return [toldOf("modify", [full])];
  return [toldOf(KINDS[kind as keyof typeof KINDS], [full])];
}

function pathIn(root: string, path: string): string {
  if (path === "") return root;
  return root === "/" ? `/${path}` : `${root}/${path}`;
}

/** A path without dots and a slash at the end, as Deno tells it. */
function absolute(path: unknown): string {
  return resolve(`${path}`);
}

/** Whether a path is within another, or the same. */
function within(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === "/" ? folder : `${folder}/`);
}

/** Each path once: what is watched by way of another is told by that one. */
function withoutCovered(roots: readonly Root[], recursive: boolean): readonly Root[] {
  const covers = (outer: Root, inner: Root) =>
    outer.directory && outer.path !== inner.path && within(inner.path, outer.path) &&
    (recursive || !inner.directory && resolve(inner.path, "..") === outer.path);
  const first = (root: Root, index: number) =>
    roots.findIndex(({ path }) => path === root.path) === index;
  return roots.filter((root, index) =>
    first(root, index) && !roots.some((other) => covers(other, root))
  );
}

function realPathOf(path: string): string {
  try {
    return realPathSync(path);
  } catch {
    // It may come later, under this name.
    return path;
  }
}

/** What is ignored below a root, relative to it; `""` when all of it is. */
function relativesOf(root: string, ignored: readonly string[]): string[] {
  const found = new Set<string>();
  for (const [folder, path] of ignored.flatMap((one) => bothNames(root, one))) {
    if (within(folder, path)) found.add("");
    else if (within(path, folder)) found.add(path.slice(folder === "/" ? 1 : folder.length + 1));
  }
  return [...found];
}

/** As they are written, and with symbolic links resolved: either name ignores, as in Deno. */
function bothNames(root: string, path: string): [string, string][] {
  return [[root, path], [realPathOf(root), realPathOf(path)]];
}

function isIn(folders: readonly string[]): (path: string) => boolean {
  return (path) => folders.some((folder) => within(path, folder));
}

/**
 * Paths that are there and may be read, as those that are ignored may be: what asks for that asks the user, if
 * need be.
 *
 * @throws {Error} As Deno would.
 */
function checked(paths: unknown[], ignored: unknown[], recursive: boolean): Root[] {
  try {
    ignored.forEach(mustBeReadable);
    return paths.map((path) => {
      const { isDirectory: directory } = statSync(textOf(path));
      return { path: absolute(path), directory };
    });
  } catch (error) {
    refuse(paths, ignored, recursive, error);
  }
}

function mustBeReadable(path: unknown): void {
  const text = textOf(path);
  if (permissions.querySync({ name: "read", path: text }).state === "granted") return;
  try {
    lstatSync(text);
  } catch (error) {
    if (!(error instanceof NotFound)) throw error;
  }
}

/** Deno takes what is no text for text, and no name for the working directory if it may read everything. */
function textOf(path: unknown): string {
  const text = `${path}`;
  if (text === "" && permissions.querySync({ name: "read" }).state !== "granted") {
    throw new NotFound();
  }
  return text === "" ? "." : text;
}

/** Deno has its own words for what is wrong. */
function refuse(paths: unknown[], ignore: unknown[], recursive: boolean, error: unknown): never {
  nativeWatchFs(paths as string[], { recursive, ignore } as { recursive: boolean }).close();
  throw error;
}

/**
 * As `Deno.watchFs`: watches files and directories, and is an iterator of what happens to them.
 *
 * It differs from Deno's own where that loses, doubles or invents something:
 *
 * - What is in a directory that is new, or that was moved into the tree, is told as `"create"`, however fast
 *   it came; Deno tells the directory alone.
 * - A file that is watched by itself stays watched when it is replaced (`"modify"`), or deleted and made again
 *   (`"remove"`, `"create"`).
 * - Each change is told once, also of paths that overlap, of symbolic links, and beside other watchers.
 * - What comes into the tree is `"create"`, also by being renamed; between two paths that are watched it is
 *   `"remove"` and `"create"`. A symbolic link that leads nowhere is created like others, not removed.
 * - 262,144 events wait for a reader, not 1024. If there are more, or the kernel has lost some, one event
 *   has the flag `"rescan"`, as in Deno, and what the kernel lost follows.
 * - Slashes that follow each other in a path are one in events.
 * - `ref` and `unref` are valid before the first `next`, and hold for all that follow.
 *
 * @param paths One path, or several.
 * @param options `recursive`: whether directories in it are watched too, default `true`. `ignore`: paths that
 * are left out with all that is in them.
 * @returns An async iterator of events, which keeps the process alive while somebody waits for the next one.
 * @throws {Deno.errors.NotFound} When a path is not there.
 * @throws {Deno.errors.NotCapable} When a path may not be read.
 *
 * @example
 * ```ts
 * import { watchFs } from "./mod.ts";
 *
 * const folder = Deno.makeTempDirSync();
 * using watcher = watchFs(folder);
 * Deno.writeTextFileSync(`${folder}/letter`, "Dear");
 * const { value } = await watcher.next();
 * if (value?.kind !== "create" || value.paths[0] !== `${folder}/letter`) throw new Error("not told");
 * Deno.removeSync(folder, { recursive: true });
 * ```
 */
export function watchFs(
  paths: string | string[],
  options: WatchFsOptions = { recursive: true },
): FsWatcher {
  return new FsWatcher(isArray(paths) ? paths : [paths], options);
}

/** What takes the place of what is in `Deno`. */
export const namespace = { watchFs };
