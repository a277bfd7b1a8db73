import {
  KEVENT_TREE_ASKING,
  KEVENT_TREE_FOLLOW,
  KEVENT_TREE_POLL,
  KEVENT_TREE_RAW,
  KEVENT_TREE_SNAPSHOT,
  KEVENT_TREE_TELL_INITIAL,
  KEVENT_TREE_WAIT,
  TREE_PARAMS_BYTES,
  TREE_PARAMS_DEPTH,
  TREE_PARAMS_FLAGS,
  TREE_PARAMS_POLL_MS,
  TREE_PARAMS_SIZE,
  TREE_PARAMS_WINDOW_MS,
} from "../ffi/abi.ts";
import { checkWhole, KeventError, shown } from "../ffi/errors.ts";
import type { Bytes } from "../ffi/library.ts";
import { type Forest, forestOf } from "./forest.ts";
import { Handle } from "./handle.ts";
import { bind } from "./host.ts";
import { compileIgnore } from "./ignore.ts";
import { pathOf } from "./path.ts";
import type { TreeEvent, TreeInfo, TreeOptions } from "./tree_event.ts";

const OPERATION = "watch tree";

/** Levels of a tree that has no limit. */
const DEPTH_ALL = 0xffffffff;
const WINDOW_MS_DEFAULT = 10;
const WINDOW_MS_MAX = 60_000;
const POLL_MS_DEFAULT = 500;
const POLL_MS_MAX = 24 * 3600 * 1000;

/** Options that are yes or no, and what yes means. */
const SWITCHES = {
  recursive: 0,
  snapshot: KEVENT_TREE_SNAPSHOT,
  initial: KEVENT_TREE_TELL_INITIAL,
  followSymlinks: KEVENT_TREE_FOLLOW,
  raw: KEVENT_TREE_RAW,
  usePolling: KEVENT_TREE_POLL,
  wait: KEVENT_TREE_WAIT,
} as const;

const SWITCH_NAMES = Object.keys(SWITCHES) as readonly (keyof typeof SWITCHES)[];

const encoder = new TextEncoder();

/**
 * Watches a directory with all that is in it, or one file: inotify(7), and lists of directories where
 * that says too little.
 *
 * After quiet, the events that were told turn what was there at the start into what is there now.
 * When the kernel lost some, that is told (`"overflow"`), and what they were is found and told
 * after it. A file is watched by its path: it may be replaced, removed and made again.
 *
 * @example What happens in a new directory
 * ```ts
 * import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
 * import { Loop, Tree } from "../adapters/mod.ts";
 *
 * using loop = new Loop();
 * const folder = mkdtempSync("/tmp/kevent-");
 * const tree = new Tree(loop);
 * await new Promise<void>((resolve) => {
 *   tree.start(folder, { ignore: ["node_modules", "*.tmp"] }, (event) => {
 *     if (event.kind === "create" && event.path === "src/deep/main.ts") resolve();
 *   });
 *   mkdirSync(`${folder}/src/deep`, { recursive: true });
 *   writeFileSync(`${folder}/src/deep/main.ts`, "");
 * });
 * tree.close();
 * rmSync(folder, { recursive: true });
 * ```
 */
export class Tree extends Handle {
  #forest: Forest | undefined;
  #number = 0;

  /**
   * Starts it, or starts it anew with something else. Its root is watched when this returns, and what
   * happens in it is told from then on; directories in it are when `"ready"` was told.
   *
   * @param path The directory or file: a path, or a URL object of the kind `file:`.
   * @param options How.
   * @param callback Called with each event, in order. What it throws is the runtime's to report, and
   * the next events come all the same.
   * @returns This handle.
   * @throws {KeventError} EINVAL for an argument that cannot be meant; ENOENT, EACCES, ELOOP and others
   * of the path; ENOSPC at the limit of watches, EMFILE at that of descriptors; EBADF when it or its loop
   * was closed. What it watched before goes on then.
   */
  start(
    path: string | URL,
    options: TreeOptions,
    callback: (event: TreeEvent) => void,
  ): this {
    this.checkOpen(OPERATION);
    if (this.loop.closed) throw new KeventError(OPERATION, "loop", "EBADF", "the loop is closed");
    const root = checkPath(pathOf(path, OPERATION));
    checkOptions(options);
    const ignoring = compileIgnore(options.ignore, root, OPERATION);
    const params = paramsOf(options, ignoring !== undefined);
    const listener = { ignoring, onEvent: bind(this.loop.host, callback, OPERATION) };
    const forest = forestOf(this.loop, OPERATION);
    const number = forest.add(params, encoder.encode(root), listener);
    if (number < 0) throw rootError(number, root);
    this.stop();
    this.#forest = forest;
    this.#number = number;
    this.setActive(true);
    return this;
  }

  /** Stops it: nothing is told any more, not even what happened already. Can be started again. */
  override stop(): void {
    if (!this.active) return;
    this.setActive(false);
    this.#forest!.remove(this.#number);
    this.#forest = undefined;
  }

  /** The loop has ended. */
  override letGo(): void {
    this.#forest?.letGo();
    this.#forest = undefined;
    this.setActive(false);
  }

  /**
   * Does the first look at once, however long it takes: all of it is watched when this returns. What is
   * told of it, `"ready"` at last, is told later as ever.
   *
   * @throws {KeventError} EINVAL when it was not started; ENOMEM and others of the system.
   */
  scan(): void {
    this.#started("scan tree").scan(this.#number);
  }

  /**
   * Asks about it.
   *
   * @returns What it is and holds.
   * @throws {KeventError} EINVAL when it was not started.
   */
  info(): TreeInfo {
    const info = this.#started("ask for info").info(this.#number) as TreeInfo;
    return { ...info, reason: info.reason === "none" ? undefined : info.reason };
  }

  #started(operation: string): Forest {
    if (this.#forest !== undefined) return this.#forest;
    throw new KeventError(operation, "tree", "EINVAL", "it was not started, or was stopped");
  }
}

function checkPath(path: string): string {
  const wrong = path === "" ? "must not be empty" : "must not hold a zero byte";
  if (path === "" || path.includes("\0")) throw bad(`path ${wrong}`);
  return path;
}

function checkOptions(options: TreeOptions): void {
  if (typeof options !== "object" || options === null) {
    throw bad(`options must be an object such as {}, not ${shown(options)}`);
  }
  for (const name of SWITCH_NAMES) {
    const value: unknown = options[name];
    if (value === undefined || typeof value === "boolean") continue;
    throw bad(`${name} must be true or false, not ${shown(value)}`);
  }
}

function paramsOf(options: TreeOptions, asks: boolean): Bytes {
  const { recursive = true, depth = Infinity } = options;
  const { coalesceMs = WINDOW_MS_DEFAULT, pollMs = POLL_MS_DEFAULT } = options;
  checkWhole(coalesceMs, 0, WINDOW_MS_MAX, OPERATION, "coalesceMs");
  checkWhole(pollMs, 1, POLL_MS_MAX, OPERATION, "pollMs");
  if (depth !== Infinity) checkWhole(depth, 0, DEPTH_ALL - 1, OPERATION, "depth");
  const view = new DataView(new ArrayBuffer(TREE_PARAMS_BYTES));
  view.setUint32(TREE_PARAMS_SIZE, TREE_PARAMS_BYTES, true);
  view.setUint32(TREE_PARAMS_FLAGS, flagsOf(options) | (asks ? KEVENT_TREE_ASKING : 0), true);
  view.setUint32(TREE_PARAMS_DEPTH, recursive ? Math.min(depth, DEPTH_ALL) : 0, true);
  view.setUint32(TREE_PARAMS_WINDOW_MS, coalesceMs, true);
  view.setUint32(TREE_PARAMS_POLL_MS, pollMs, true);
  return new Uint8Array(view.buffer);
}

function flagsOf(options: TreeOptions): number {
  const given = { ...options, snapshot: options.snapshot ?? true };
  return SWITCH_NAMES.reduce((flags, name) => given[name] ? flags | SWITCHES[name] : flags, 0);
}

/** What the general words of these errors would not say of a path. */
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory: with the option wait it may come later",
  ENOTDIR: "a part of the path is no directory",
  EACCES: "permission denied",
  ENOSPC: "all inotify watches of this user are in use: raise fs.inotify.max_user_watches",
};

function rootError(result: number, root: string): KeventError {
  const operation = `${OPERATION} ${root}`;
  const { code, syscall, message } = KeventError.of(operation, "kevent_tree_add", result);
  const general = message.slice(message.indexOf("(") + 1, -1);
  return new KeventError(operation, syscall, code, REASONS[code] ?? general);
}

function bad(detail: string): KeventError {
  return new KeventError(OPERATION, "argument", "EINVAL", detail);
}
