/**
 * `kevent/watch`: directories and files that are watched without losing anything, on a loop of kevent.
 *
 * `watchTree` is an async iterator, `Tree` a handle that calls back.
 *
 * @module
 */
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
