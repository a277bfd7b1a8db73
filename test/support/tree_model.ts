// What a tree should be after its events: those of the old tree, each applied in the simplest way.
import { lstatSync, readdirSync } from "node:fs";
import type { TreeEvent, TreeStat } from "../../adapters/mod.ts";
import { bytes, libc, text } from "./libc.ts";

/** One name. */
interface Entry {
  readonly directory: boolean;
  /** Not known of what was gone when its creation was told. */
  symlink: boolean;
  /** As last told; `undefined` when it was gone by then. */
  stat: TreeStat | undefined;
}

/** What a tree is asked to tell. */
export interface ModelOptions {
  /** Whether files are remembered. */
  readonly snapshot: boolean;
  /** Whether it is looked at from time to time: a directory in place of one looks the same. */
  readonly polled: boolean;
  /** Whether files are left out. */
  readonly filtered: boolean;
  /** Whether a path is one of those that are told. */
  readonly visible: (path: string) => boolean;
}

type Key = keyof TreeStat;

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const STATX_BASIC = 0x7ff;

/** As lstat(2) gives it, which in Deno has milliseconds only; `undefined` when it is gone. */
export function statOf(path: string): TreeStat | undefined {
  const memory = bytes(256);
  const failed = libc.statx(AT_FDCWD, text(path), AT_SYMLINK_NOFOLLOW, STATX_BASIC, memory) !== 0;
  if (failed) return undefined;
  const view = new DataView(memory.buffer);
  const seconds = view.getBigInt64(112, true);
  return {
    inode: Number(view.getBigUint64(32, true)),
    size: Number(view.getBigUint64(40, true)),
    mtimeNs: Number(seconds * 1_000_000_000n + BigInt(view.getUint32(120, true))),
  };
}

/** Applies events to the old tree, and compares with the new one. */
export class TreeModel {
  readonly #root: string;
  readonly #options: ModelOptions;
  readonly #entries = new Map<string, Entry>();
  /** What went with a directory of which the files were not remembered. */
  #gone = new Set<string>();
  /** What was wrong. */
  readonly problems: string[] = [];
  /** How often each kind was told. */
  readonly counts: Record<TreeEvent["kind"], number> = {
    ready: 0,
    create: 0,
    modify: 0,
    attribute: 0,
    close: 0,
    remove: 0,
    rename: 0,
    overflow: 0,
    limit: 0,
    error: 0,
  };
  /** Events that were found by comparing: names that changed hands faster than one could look. */
  reconciled = 0;
  /** What was told, with the time of each. */
  readonly log: string[] = [];

  constructor(root: string, options: ModelOptions) {
    this.#root = root;
    this.#options = options;
  }

  /** Takes what is there as known. */
  load(): void {
    for (const [path, entry] of this.#walk()) this.#entries.set(path, entry);
  }

  /** Whether a path was told and is still there. */
  has(path: string): boolean {
    return this.#entries.has(path);
  }

  /** Applies an event. */
  replay(event: TreeEvent): void {
    this.counts[event.kind]++;
    if (event.reconciled) this.reconciled++;
    this.log.push(lineOf(event));
    const { kind, path } = event;
    if (kind === "error" || kind === "limit") return this.#wrong(event, String(event.error));
    if (kind === "ready" || kind === "overflow" || path === "") return;
    if (!this.#options.visible(path)) return this.#wrong(event, "is left out");
    if (kind === "rename") return this.#rename(event);
    if (kind === "create") return this.#create(event);
    if (kind === "remove") return this.#remove(event);
    const entry = this.#entries.get(path);
    if (entry === undefined) {
      this.#wrong(event, "is not there");
      return this.#makeUp(event);
    }
    if (entry.directory !== event.directory) this.#wrong(event, "is of another kind");
    this.#see(entry, event);
  }

  /** A file that was not remembered. */
  #makeUp({ path, directory, symlink, stat }: TreeEvent): void {
    if (
      this.#options.snapshot && this.counts.overflow === 0 ||
      statOf(`${this.#root}/${path}`) === undefined
    ) return;
    this.#entries.set(path, { directory, symlink, stat });
  }

  /**
   * What the events did not tell, or told wrongly.
   *
   * @param linked Files that were written by names that nobody watches.
   */
  difference(linked: readonly string[] = []): string[] {
    const real = this.#walk();
    const aside = new Set(linked);
    const looked = this.#options.polled || this.counts.overflow > 0;
    const keysOf = (path: string, { directory }: Entry): readonly Key[] => {
      if (directory) return looked || this.reconciled > 0 ? [] : ["inode"];
      if (!this.#options.snapshot) return [];
      return aside.has(path) ? ["inode"] : ["inode", "size", "mtimeNs"];
    };
    const wrong = [...this.#entries.keys()]
      .filter((path) => !real.has(path))
      .map((path) => `${path} is gone, which was not told`);
    for (const [path, entry] of real) {
      const known = this.#entries.get(path);
      if (known === undefined) wrong.push(`${path} is there, which was not told`);
      else wrong.push(...differences(path, known, entry, keysOf(path, entry)));
    }
    return wrong;
  }

  #wrong(event: TreeEvent, what: string): void {
    // Where files are not remembered, an event of one that was deleted may look like one of its successor; and
    // between events that were lost and the look that finds what they were, others come that do not fit.
    if (!this.#options.snapshot || this.counts.overflow > 0) return;
    this.problems.push(`${lineOf(event)}: ${what}`);
  }

  #walk(): Map<string, Entry> {
    const found = new Map<string, Entry>();
    const visit = (folder: string): void => {
      for (const entry of readdirSync(`${this.#root}/${folder}`, { withFileTypes: true })) {
        const path = folder + entry.name;
        if (!this.#options.visible(path)) continue;
        const directory = entry.isDirectory();
        const stat = statOf(`${this.#root}/${path}`);
        found.set(path, { directory, symlink: entry.isSymbolicLink(), stat });
        if (directory) visit(`${path}/`);
      }
    };
    visit("");
    return found;
  }

  #below(path: string): [string, Entry][] {
    if (!this.#entries.get(path)?.directory) return [];
    return [...this.#entries].filter(([other]) => other.startsWith(`${path}/`));
  }

  /** The directory of a path must be there. */
  #needParent(event: TreeEvent): void {
    const end = event.path.lastIndexOf("/");
    if (end < 0 || this.#entries.get(event.path.slice(0, end))?.directory) return;
    this.#wrong(event, "its directory is not there");
  }

  /** Something takes the place of what is there, which must be said. */
  #replace(event: TreeEvent): void {
    if (!this.#entries.has(event.path)) {
      if (event.replaced) this.#wrong(event, "it replaced nothing");
      return;
    }
    if (!event.replaced && this.#options.snapshot) this.#wrong(event, "something is there");
    if (this.#below(event.path).length > 0) this.#wrong(event, "a full directory is there");
    this.#drop(event.path);
  }

  #drop(path: string): void {
    for (const [below] of this.#below(path)) this.#entries.delete(below);
    this.#entries.delete(path);
  }

  #create(event: TreeEvent): void {
    this.#needParent(event);
    this.#replace(event);
    const { directory, symlink, stat } = event;
    this.#entries.set(event.path, { directory, symlink, stat });
  }

  #remove(event: TreeEvent): void {
    const { path, implied } = event;
    const entry = this.#entries.get(path);
    if (entry === undefined) {
      // Before the first look is done nobody knows what was there.
      const early = this.counts.ready === 0;
      if (!early && (!implied || !this.#gone.has(path))) this.#wrong(event, "is not there");
      return;
    }
    if (entry.directory !== event.directory) this.#wrong(event, "is of another kind");
    if (implied || this.#options.snapshot) return void this.#entries.delete(path);
    // Nobody can tell of files that were not remembered.
    this.#gone = new Set(this.#below(path).map(([below]) => below));
    this.#drop(path);
  }

  #rename(event: TreeEvent): void {
    const { path, oldPath, exchanged } = event;
    const entry = this.#entries.get(oldPath);
    if (entry === undefined) {
      this.#wrong(event, "what it was is not there");
      return this.#makeUp(event);
    }
    if (entry.directory !== event.directory) this.#wrong(event, "is of another kind");
    this.#needParent(event);
    const moved = this.#taken(oldPath);
    const back = exchanged ? this.#taken(path) : [];
    if (!exchanged) this.#replace(event);
    else if (back.length === 0) this.#wrong(event, "nothing to exchange with");
    for (const [below, one] of moved) this.#entries.set(path + below, one);
    for (const [below, one] of back) this.#entries.set(oldPath + below, one);
    this.#see(entry, event);
  }

  #see(entry: Entry, { path, kind, replaced, stat, symlink }: TreeEvent): void {
    if (stat !== undefined) Object.assign(entry, { stat, symlink });
    // It changed places with what is left out, of which nothing is told.
    else if (this.#options.filtered && kind === "modify" && replaced) this.#look(entry, path);
  }

  #look(entry: Entry, path: string): void {
    const found = lstatSync(`${this.#root}/${path}`, { throwIfNoEntry: false });
    if (found === undefined) return;
    entry.stat = statOf(`${this.#root}/${path}`) ?? entry.stat;
    entry.symlink = found.isSymbolicLink();
  }

  /** Takes something away with all that is in it; paths are from there on. */
  #taken(path: string): [string, Entry][] {
    const entry = this.#entries.get(path);
    if (entry === undefined) return [];
    const all: [string, Entry][] = [[path, entry], ...this.#below(path)];
    this.#drop(path);
    return all.map(([below, one]) => [below.slice(path.length), one]);
  }
}

function differences(path: string, known: Entry, real: Entry, keys: readonly Key[]): string[] {
  if (known.directory !== real.directory || known.symlink !== real.symlink) {
    return [`${path} is of another kind than told`];
  }
  // Of directories nobody needs more.
  if (known.stat === undefined && real.directory) return [];
  if (keys.length === 0) return [];
  if (known.stat === undefined) return [`${path} was told as gone already and is there`];
  return keys
    .filter((key) => known.stat![key] !== real.stat?.[key])
    .map((key) => `${path}: ${key} is ${real.stat?.[key]}, ${known.stat![key]} was told`);
}

const FLAGS = ["directory", "symlink", "reconciled", "closed", "replaced", "implied", "initial"];

function lineOf(event: TreeEvent): string {
  const now = performance.timeOrigin + performance.now();
  const flags = [...FLAGS, "exchanged"].filter((name) => event[name as keyof TreeEvent] === true);
  const { stat } = event;
  const seen = stat === undefined ? "" : `${stat.inode} ${stat.size} ${stat.mtimeNs}`;
  const paths = event.oldPath === "" ? event.path : `${event.oldPath} -> ${event.path}`;
  return `${now.toFixed(3)}   -> ${event.kind} ${paths} [${flags.join(" ")}] ${seen}`;
}
