/** What can happen to a name in a watched tree. */
export type TreeEventKind =
  | "ready"
  | "create"
  | "modify"
  | "attribute"
  | "close"
  | "remove"
  | "rename"
  | "overflow"
  | "limit"
  | "error";

/** What a tree tells. */
export interface TreeEvent {
  /**
   * `"ready"`: the first look is done. `"create"`, `"modify"` (what it holds), `"attribute"` (mode, owner,
   * times), `"remove"`, `"rename"`: a name came, changed, went, became another. `"close"`: a writer closed it
   * (raw trees only). `"overflow"`: events were lost, and what they were follows as `reconciled` ones.
   * `"limit"`: a directory cannot be watched and is polled. `"error"`: a directory cannot be read.
   */
  readonly kind: TreeEventKind;
  /** Relative to the root, with `/`; `""` is the root itself. */
  readonly path: string;
  /** `path` as the kernel has it, for names that are not UTF-8. */
  readonly pathBytes: Uint8Array<ArrayBuffer>;
  /** What it was before a `"rename"`; `""` otherwise. */
  readonly oldPath: string;
  /** `oldPath` as the kernel has it. */
  readonly oldPathBytes: Uint8Array<ArrayBuffer>;
  /** Whether it is a directory. */
  readonly directory: boolean;
  /** Whether it is a symbolic link. */
  readonly symlink: boolean;
  /** Found by comparing with what was known, not told by the kernel. */
  readonly reconciled: boolean;
  /** Nobody who was told writes any more: of `"create"` and `"modify"`. */
  readonly closed: boolean;
  /** Something else took the place of what had this name. */
  readonly replaced: boolean;
  /** It went because a directory above it did. */
  readonly implied: boolean;
  /** It was there at the start. */
  readonly initial: boolean;
  /** The two names of a `"rename"` changed places. */
  readonly exchanged: boolean;
  /** Inode, size in bytes and time of the last change in nanoseconds since 1970, as lstat(2) gave them when this was told; `undefined` when it was gone already, and of what went. */
  readonly stat: TreeStat | undefined;
  /** What is wrong: of `"limit"` and `"error"`. */
  readonly error: Error | undefined;
}

/** What is known of a file. */
export interface TreeStat {
  /** The inode. */
  readonly inode: number;
  /** Bytes. */
  readonly size: number;
  /** Nanoseconds since 1970. */
  readonly mtimeNs: number;
}

/** What is left out: a path, a glob, or a test of a path relative to the root. */
export type Ignore = string | RegExp | ((path: string, directory: boolean) => boolean);

/** How a tree is watched. */
export interface TreeOptions {
  /** Whether directories in it are watched too. Default `true`. */
  readonly recursive?: boolean;
  /** Levels below the root that are watched; 0 is the root's own content. Default: all. */
  readonly depth?: number;
  /** Whether files are remembered, so that nothing is lost when events are. Default `true`. */
  readonly snapshot?: boolean;
  /** Whether what is there at the start is told as `"create"` with `initial`. Default `false`. */
  readonly initial?: boolean;
  /**
   * What is left out, directories with all that is in them. A directory that is renamed is told as removed and
   * created then, as with `depth`: where it is decides what is watched. Default: nothing.
   */
  readonly ignore?: Ignore | readonly Ignore[];
  /**
   * Whether symbolic links are gone through: what is in directories is watched, and files are looked at every
   * `pollMs`. Default `false`.
   */
  readonly followSymlinks?: boolean;
  /** Milliseconds for which changes of a file are held for others to join them. Default 10. */
  readonly coalesceMs?: number;
  /** Whether each change is told by itself, as the kernel tells it. Default `false`. */
  readonly raw?: boolean;
  /** Whether to look from time to time instead of waiting for events. Default: where there are none. */
  readonly usePolling?: boolean;
  /** Milliseconds between two looks. Default 500. */
  readonly pollMs?: number;
  /** Whether the root may be missing, and is waited for. Default `false`: ENOENT. */
  readonly wait?: boolean;
}

/** What a tree says about itself. */
export interface TreeInfo {
  /** Where events come from: the kernel, or looking; `"mixed"` when only parts are looked at. */
  readonly mode: "inotify" | "polling" | "mixed";
  /** Why it is polled: the file system, a limit, or it was asked for; `undefined` when it is not. */
  readonly reason: string | undefined;
  /** Whether the first look is done. */
  readonly ready: boolean;
  /** Directories that are watched. */
  readonly directories: number;
  /** Names that are remembered, directories among them. */
  readonly nodes: number;
  /** Bytes of memory for them. */
  readonly bytes: number;
  /** How often events were lost. */
  readonly overflows: number;
}
