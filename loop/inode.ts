import { KEVENT_INODE, KEVENT_INODE_IGNORED } from "../ffi/abi.ts";
import { EVENT, RET_EXTRA } from "../ffi/record.ts";
import { bind } from "./host.ts";
import { pathOf } from "./path.ts";
import { Watcher } from "./watcher.ts";

/** What happened to a watched file or directory: `struct inotify_event` of inotify(7). */
export interface InodeEvent {
  /** `KEVENT_INODE_*`: what happened, with `KEVENT_INODE_DIRECTORY` when to a directory. */
  readonly event: number;
  /** Name within the watched directory; `undefined` when it happened to the watched inode itself. */
  readonly name: string | undefined;
  /** The same for both halves of a rename; 0 otherwise. */
  readonly cookie: number;
}

/**
 * Watches one file or directory (not the directories in it): inotify(7), S4-3.
 *
 * @example A file that comes
 * ```ts
 * import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
 * import { Inode, KEVENT_INODE_CREATE, Loop } from "../adapters/mod.ts";
 *
 * using loop = new Loop();
 * const folder = mkdtempSync("/tmp/kevent-");
 * const name = await new Promise<string | undefined>((resolve) => {
 *   new Inode(loop).start(folder, KEVENT_INODE_CREATE, (event) => resolve(event.name));
 *   writeFileSync(`${folder}/letter`, "");
 * });
 * rmSync(folder, { recursive: true });
 * if (name !== "letter") throw new Error(`not the name: ${name}`);
 * ```
 */
export class Inode extends Watcher {
  #watch = 0;
  #callback: (event: InodeEvent) => void = () => {};

  /**
   * Starts it, or starts it anew with another path. It watches when the call returns.
   *
   * @param path The file or directory: a path, or a URL object of the kind `file:`.
   * @param event `KEVENT_INODE_*`: what to be told of.
   * @param callback Called with each event, in order.
   * @returns This handle.
   * @throws {KeventError} ENOENT and others of the path, EINVAL when `path` is none or `event` names no
   * kind, ENOSPC at the limit of watches.
   */
  start(path: string | URL, event: number, callback: (event: InodeEvent) => void): this {
    const bound = bind(this.loop.host, callback, "start inode");
    this.stop();
    this.#watch = this.loop.addInode(this.slot, pathOf(path, "start inode"), event);
    this.#callback = bound;
    this.setActive(true);
    return this;
  }

  /** Stops it; can be started again. */
  override stop(): void {
    if (!this.active) return;
    this.loop.remove(this.slot, KEVENT_INODE, this.#watch, 0);
    this.setActive(false);
  }

  protected override onRecord(words: Uint32Array, at: number): void {
    const event = words[at + EVENT]!;
    const name = this.loop.queue.nameOf(words, at);
    // The kernel has dropped the watch, so nothing is left to wait for.
    if ((event & KEVENT_INODE_IGNORED) !== 0) this.stop();
    this.#callback({ event, name, cookie: words[at + RET_EXTRA]! });
  }
}
