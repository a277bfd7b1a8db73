/**
 * `kevent/watch`: directories and files that are watched without losing anything, on a loop of kevent.
 *
 * `watchTree` is an async iterator, `Tree` a handle that calls back. `watch`, `watchFile`, `unwatchFile` and
 * `promises.watch` are those of `node:fs` in the runtime that imports this.
 *
 * @module
 */
import type { FileWatching } from "./fs_watch.ts";
import "./mod.ts";

export { Tree } from "../loop/tree.ts";
export { TreeLimitError } from "../loop/tree_change.ts";
export type {
  Ignore,
  TreeEvent,
  TreeEventKind,
  TreeInfo,
  TreeOptions,
  TreeStat,
} from "../loop/tree_event.ts";
export { TreeWatcher, watchTree, type WatchTreeOptions } from "../loop/watch_tree.ts";

// --- in the shape of `node:fs` -----------------------------------------------------------------

// Each folder here has files of the same names with the same exports, so either will do.
const files: FileWatching = "Bun" in globalThis
  ? await import("./bun/fs_watch.ts")
  : await import("./deno/fs_watch.ts");

type NodeFs = typeof import("node:fs");

/**
 * As `watch` of `node:fs`: a watcher of a directory, of all directories in it (`recursive`), or of a file.
 * Arguments, results, errors and their order are those of the runtime; what it cannot make sense of goes
 * to the runtime's own function.
 *
 * What is told differs where the runtime's own loses something, says what is not so, or says it more often:
 *
 * - Directories that are made later are watched with all that is in them already, and nothing that
 *   the kernel dropped in a burst is lost.
 * - A file is watched by its path: each time it is saved in place, or replaced by another, is one `change`; it may be
 *   removed and made again. So may a directory.
 * - What was moved out of a directory is not told any more. A rename within it is told as two, not three.
 * - A change is told once for each writer that has closed the file, or each ten milliseconds of one that
 *   goes on: not for each time it is opened, written and closed. A file that comes with content from elsewhere
 *   is told as `rename` and `change`.
 * - Names that are not UTF-8 are whole in other encodings, also in Deno; and `persistent`, which Deno takes no
 *   heed of, says whether the process waits. So does `encoding` of `promises.watch`, and in the place of options.
 * - A file that is watched through a symbolic link has the name of the link, also in Bun, and one that is watched
 *   with `recursive` has a name, also in Deno.
 * - Directories that match a pattern such as `node_modules/**` of `ignore` are not watched at all.
 *
 * @param path A path, as the runtime takes it. It is watched, with all that is in it, when this returns.
 * @param options `recursive`, `persistent`, `encoding`, `signal`, `ignore`; or an encoding.
 * @param listener Called with `"rename"` or `"change"` and the name, relative to the directory.
 * @returns An `FSWatcher`.
 * @throws {TypeError} ERR_INVALID_ARG_TYPE and others of wrong arguments.
 * @throws {Error} ENOENT and others of the path: in Bun. In Deno they are told as `error`.
 *
 * @example
 * ```ts
 * import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
 * import { watch } from "../adapters/watch.ts";
 *
 * const folder = mkdtempSync("/tmp/kevent-");
 * await new Promise<void>((resolve) => {
 *   const watcher = watch(folder, { recursive: true }, (type, name) => {
 *     if (type !== "rename" || name !== "new.txt") return;
 *     watcher.close();
 *     resolve();
 *   });
 *   writeFileSync(`${folder}/new.txt`, "");
 * });
 * rmSync(folder, { recursive: true });
 * ```
 */
export const watch: NodeFs["watch"] = files.watchers.watch as NodeFs["watch"];

/**
 * As `watchFile` of `node:fs`: looks at a file again and again, whether it is there or not. Unlike the runtimes'
 * own it keeps the process alive only while it is `persistent`, and what it gives has `ref` and `unref` that give
 * it back.
 *
 * @param path A path, as the runtime takes it.
 * @param options `interval` in milliseconds, 5007 by default; `persistent`; `bigint`.
 * @param listener Called with what is known of the file now and before: zeros while it is not there.
 * @returns A `StatWatcher`, one for each path.
 * @throws {TypeError} ERR_INVALID_ARG_TYPE and others of wrong arguments.
 */
export const watchFile: NodeFs["watchFile"] = files.watchers.watchFile as NodeFs["watchFile"];

/**
 * As `unwatchFile` of `node:fs`.
 *
 * @param path A path, as the runtime takes it.
 * @param listener Who is not called any more. Default: all of the path.
 * @throws {TypeError} ERR_INVALID_ARG_TYPE and others of wrong arguments.
 */
export const unwatchFile: NodeFs["unwatchFile"] = files.watchers
  .unwatchFile as NodeFs["unwatchFile"];

/** What `watch` gives; it has no use but `instanceof`. */
export const FSWatcher: abstract new () => import("node:fs").FSWatcher = files
  .FSWatcher as abstract new () => import("node:fs").FSWatcher;

/**
 * As `promises` of `node:fs`, of which it has `watch`: an async iterator of `{ eventType, filename }`. Differences are those
 * of `watch`; all that happens is kept until it is asked for, unless `maxQueue` says how much, and `overflow`
 * whether more is dropped with a warning (`"ignore"`) or ends it with ERR_FS_WATCH_QUEUE_OVERFLOW (`"throw"`).
 */
export const promises: Pick<NodeFs["promises"], "watch"> = files.promised as unknown as Pick<
  NodeFs["promises"],
  "watch"
>;
