import {
  KEVENT_TREE_ATTRIBUTE,
  KEVENT_TREE_CLOSE,
  KEVENT_TREE_CLOSED,
  KEVENT_TREE_CREATE,
  KEVENT_TREE_DIRECTORY,
  KEVENT_TREE_ERROR,
  KEVENT_TREE_EXCHANGED,
  KEVENT_TREE_IMPLIED,
  KEVENT_TREE_INITIAL,
  KEVENT_TREE_LIMIT,
  KEVENT_TREE_MODIFY,
  KEVENT_TREE_OVERFLOW,
  KEVENT_TREE_READY,
  KEVENT_TREE_RECONCILED,
  KEVENT_TREE_REMOVE,
  KEVENT_TREE_RENAME,
  KEVENT_TREE_REPLACED,
  KEVENT_TREE_SEEN,
  KEVENT_TREE_SYMLINK,
  TREE_RECORD_BYTES,
  TREE_RECORD_ERROR_NUMBER,
  TREE_RECORD_FLAGS,
  TREE_RECORD_HEADER_BYTES,
  TREE_RECORD_INODE_0,
  TREE_RECORD_KIND,
  TREE_RECORD_MTIME_NS_0,
  TREE_RECORD_MTIME_NS_1,
  TREE_RECORD_NODE,
  TREE_RECORD_OLD_BYTES,
  TREE_RECORD_PATH_BYTES,
  TREE_RECORD_SIZE_0,
  TREE_RECORD_TREE,
} from "../ffi/abi.ts";
import { errorName, KeventError } from "../ffi/errors.ts";
import type { TreeEvent, TreeEventKind, TreeStat } from "./tree_event.ts";

const KINDS: Readonly<Record<number, TreeEventKind>> = {
  [KEVENT_TREE_READY]: "ready",
  [KEVENT_TREE_CREATE]: "create",
  [KEVENT_TREE_MODIFY]: "modify",
  [KEVENT_TREE_ATTRIBUTE]: "attribute",
  [KEVENT_TREE_CLOSE]: "close",
  [KEVENT_TREE_REMOVE]: "remove",
  [KEVENT_TREE_RENAME]: "rename",
  [KEVENT_TREE_OVERFLOW]: "overflow",
  [KEVENT_TREE_LIMIT]: "limit",
  [KEVENT_TREE_ERROR]: "error",
};

// Names that begin with a byte order mark keep it.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();
/** What the decoder puts where bytes are no UTF-8. */
const LOSS = "\ufffd";

/** A directory that is looked at from time to time, because a limit of the system was reached. */
export class TreeLimitError extends KeventError {
  /** What the system allows. */
  readonly limit: number;
  /** How many are in use here. */
  readonly used: number;

  /**
   * @param path The directory.
   * @param code Name of the errno.
   * @param limit What the system allows; 0 when it is not known.
   * @param used How many are in use here.
   */
  constructor(path: string, code: string, limit: number, used: number) {
    const detail = code === "ENOSPC"
      ? `${used} inotify watches are in use here and ${limit} are allowed for each user: ` +
        "raise fs.inotify.max_user_watches, or ignore directories. It is looked at every pollMs"
      : `${used} are in use here and ${limit} are allowed. It is looked at every pollMs`;
    super(`watch directory ${JSON.stringify(path)}`, "kevent_forest_read", code, detail);
    this.limit = limit;
    this.used = used;
  }
}

/** Memory for records, and which of them were read and not told yet. */
export class TreeBatch {
  /** The memory, as native calls take it. */
  bytes: Uint8Array<ArrayBuffer>;
  /** The same as words. */
  words: Uint32Array<ArrayBuffer>;
  /** Index of the first word that was not told. */
  at = 0;
  /** Index behind the last word that was read. */
  end = 0;

  /** @param size Bytes, a multiple of 8. */
  constructor(size: number) {
    const buffer = new ArrayBuffer(size);
    this.bytes = new Uint8Array(buffer);
    this.words = new Uint32Array(buffer);
  }

  /** Takes memory of twice the size; what it held is gone. */
  grow(): void {
    const buffer = new ArrayBuffer(this.bytes.length * 2);
    this.bytes = new Uint8Array(buffer);
    this.words = new Uint32Array(buffer);
  }

  /** @returns Index behind a record. */
  behind(at: number): number {
    return at + this.words[at + TREE_RECORD_BYTES / 4]! / 4;
  }

  /** @returns Which tree a record is of. */
  tree(at: number): number {
    return this.words[at + TREE_RECORD_TREE / 4]!;
  }

  /** @returns Its kind: `KEVENT_TREE_READY` and so on. */
  kind(at: number): number {
    return this.words[at + TREE_RECORD_KIND / 4]!;
  }

  /** @returns The number of the directory of an ASK. */
  node(at: number): number {
    return this.words[at + TREE_RECORD_NODE / 4]!;
  }

  /** @returns What tells that directory from others that had its number. */
  serial(at: number): number {
    return this.words[at + TREE_RECORD_SIZE_0 / 4]!;
  }

  /** @returns The path of a record, as text. */
  path(at: number): string {
    return decoder.decode(this.pathBytes(at));
  }

  /** @returns The path of a record, in the memory of the batch. */
  pathBytes(at: number): Uint8Array<ArrayBuffer> {
    const start = at * 4 + TREE_RECORD_HEADER_BYTES;
    return this.bytes.subarray(start, start + this.words[at + TREE_RECORD_PATH_BYTES / 4]!);
  }

  /** @returns The old path of a record, in the memory of the batch. */
  oldBytes(at: number): Uint8Array<ArrayBuffer> {
    const { words } = this;
    const start = at * 4 + TREE_RECORD_HEADER_BYTES + words[at + TREE_RECORD_PATH_BYTES / 4]!;
    return this.bytes.subarray(start, start + words[at + TREE_RECORD_OLD_BYTES / 4]!);
  }
}

/** What is left out of what is told. */
export interface Filter {
  /** @returns Whether a path, or a directory above it, is left out. */
  ignores(path: string, directory: boolean): boolean;
}

/** A path, and its bytes where the text cannot give them back. */
interface Name {
  readonly text: string;
  readonly bytes: Uint8Array<ArrayBuffer> | undefined;
}

const NO_NAME: Name = { text: "", bytes: undefined };

/** A copy, good after the memory was used again. */
function nameOf(bytes: Uint8Array<ArrayBuffer>): Name {
  const text = decoder.decode(bytes);
  return { text, bytes: text.includes(LOSS) ? bytes.slice() : undefined };
}

/** What was told of a name in a tree, without the memory it came in. */
export class TreeChange implements TreeEvent {
  readonly kind: TreeEventKind;
  readonly path: string;
  readonly oldPath: string;
  readonly #bytes: Uint8Array<ArrayBuffer> | undefined;
  readonly #oldBytes: Uint8Array<ArrayBuffer> | undefined;
  readonly #flags: number;
  readonly #stat: TreeStat | undefined;
  readonly #error: Error | undefined;

  /**
   * @param kind What happened.
   * @param path To what.
   * @param old What that was before.
   * @param flags `KEVENT_TREE_DIRECTORY` and so on.
   * @param stat What is known of it.
   * @param error What is wrong.
   */
  private constructor(
    kind: TreeEventKind,
    path: Name,
    old: Name,
    flags: number,
    stat: TreeStat | undefined,
    error: Error | undefined,
  ) {
    this.kind = kind;
    this.path = path.text;
    this.oldPath = old.text;
    this.#bytes = path.bytes;
    this.#oldBytes = old.bytes;
    this.#flags = flags;
    this.#stat = stat;
    this.#error = error;
  }

  /**
   * Reads a record.
   *
   * @param batch Where it is.
   * @param at Index of its first word.
   * @returns The event.
   */
  static read(batch: TreeBatch, at: number): TreeChange {
    const { words } = batch;
    const kind = KINDS[words[at + TREE_RECORD_KIND / 4]!] ?? "error";
    const path = nameOf(batch.pathBytes(at));
    const old = kind === "rename" ? nameOf(batch.oldBytes(at)) : NO_NAME;
    const flags = words[at + TREE_RECORD_FLAGS / 4]!;
    const stat = (flags & KEVENT_TREE_SEEN) === 0 ? undefined : statOf(words, at);
    const error = kind === "limit" || kind === "error"
      ? errorOf(kind, path.text, words, at)
      : undefined;
    return new TreeChange(kind, path, old, flags, stat, error);
  }

  /**
   * An event that no record is behind.
   *
   * @param error What is wrong with the whole tree.
   * @returns The event.
   */
  static failure(error: Error): TreeChange {
    return new TreeChange("error", NO_NAME, NO_NAME, 0, undefined, error);
  }

  get pathBytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes?.slice() ?? encoder.encode(this.path);
  }

  get oldPathBytes(): Uint8Array<ArrayBuffer> {
    return this.#oldBytes?.slice() ?? encoder.encode(this.oldPath);
  }

  get directory(): boolean {
    return (this.#flags & KEVENT_TREE_DIRECTORY) !== 0;
  }

  get symlink(): boolean {
    return (this.#flags & KEVENT_TREE_SYMLINK) !== 0;
  }

  get reconciled(): boolean {
    return (this.#flags & KEVENT_TREE_RECONCILED) !== 0;
  }

  get closed(): boolean {
    return (this.#flags & KEVENT_TREE_CLOSED) !== 0;
  }

  get replaced(): boolean {
    return (this.#flags & KEVENT_TREE_REPLACED) !== 0;
  }

  get implied(): boolean {
    return (this.#flags & KEVENT_TREE_IMPLIED) !== 0;
  }

  get initial(): boolean {
    return (this.#flags & KEVENT_TREE_INITIAL) !== 0;
  }

  get exchanged(): boolean {
    return (this.#flags & KEVENT_TREE_EXCHANGED) !== 0;
  }

  get stat(): TreeStat | undefined {
    return this.#stat;
  }

  get error(): Error | undefined {
    return this.#error;
  }

  /**
   * What is left of an event when some names are left out: of a rename with one such name, that the other
   * came or went.
   *
   * @param event What was told.
   * @param filter What is left out.
   * @returns The event; `undefined` for none.
   */
  static without(event: TreeChange, filter: Filter): TreeChange | undefined {
    const { path, oldPath, kind, directory } = event;
    // The root is what was asked for; the rest tells of what is watched, and not of a name.
    if (path === "" || kind === "overflow" || kind === "limit" || kind === "error") return event;
    const gone = filter.ignores(path, directory);
    if (kind !== "rename") return gone ? undefined : event;
    const wasGone = filter.ignores(oldPath, directory);
    if (gone && wasGone) return undefined;
    if (gone) return event.#onlyOld();
    return wasGone ? event.#onlyNew() : event;
  }

  /** It became something that is left out. */
  #onlyOld(): TreeChange {
    const old = { text: this.oldPath, bytes: this.#oldBytes };
    // What was left out has this name now, and nobody has looked at it.
    const kind = this.exchanged ? "modify" : "remove";
    const flags = this.exchanged ? KEVENT_TREE_REPLACED : this.#flags & ~KEVENT_TREE_REPLACED;
    return new TreeChange(kind, old, NO_NAME, flags, undefined, undefined);
  }

  /** It was something that is left out. */
  #onlyNew(): TreeChange {
    const name = { text: this.path, bytes: this.#bytes };
    const replaced = this.replaced || this.exchanged;
    // A save by way of a name that is left out.
    const kind = replaced && !this.directory ? "modify" : "create";
    const flags = replaced ? this.#flags | KEVENT_TREE_REPLACED : this.#flags;
    const mask = ~KEVENT_TREE_EXCHANGED;
    return new TreeChange(kind, name, NO_NAME, flags & mask, this.#stat, undefined);
  }
}

function statOf(words: Uint32Array, at: number): TreeStat {
  return {
    inode: wide(words, at + TREE_RECORD_INODE_0 / 4),
    size: wide(words, at + TREE_RECORD_SIZE_0 / 4),
    // Times before 1970 are negative.
    mtimeNs: words[at + TREE_RECORD_MTIME_NS_0 / 4]! +
      (words[at + TREE_RECORD_MTIME_NS_1 / 4]! | 0) * 2 ** 32,
  };
}

/** An unsigned number of 64 bits, as well as a double can hold it. */
function wide(words: Uint32Array, at: number): number {
  return words[at]! + words[at + 1]! * 2 ** 32;
}

function errorOf(kind: "limit" | "error", path: string, words: Uint32Array, at: number): Error {
  const errno = words[at + TREE_RECORD_ERROR_NUMBER / 4]! | 0;
  if (kind === "error") {
    return KeventError.of(`read directory ${JSON.stringify(path)}`, "kevent_forest_read", errno);
  }
  const limit = wide(words, at + TREE_RECORD_SIZE_0 / 4);
  return new TreeLimitError(
    path,
    errorName(errno),
    limit,
    wide(words, at + TREE_RECORD_INODE_0 / 4),
  );
}
