// What the two runtimes have in common of the watchers of `node:fs`. All that is out of the ordinary, wrong
// arguments and paths that cannot be watched, goes to the runtime's own functions: they know its errors.
import { Buffer } from "node:buffer";
import nodeFs from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { defaultLoop } from "../loop/default.ts";
import { Tree } from "../loop/tree.ts";
import type { TreeEvent } from "../loop/tree_event.ts";
import type { Arguments, Callback } from "./native.ts";

// Captured at load: a program may replace these.
const { AbortSignal, RegExp, URL } = globalThis;
const { isArray } = Array;
const { lstatSync, realpathSync, statSync } = nodeFs;
const { isEncoding } = Buffer;

/** The watchers of `node:fs`. Types are loose: what is wrong in arguments is the runtime's to say. */
export interface Watchers {
  readonly watch: Callback;
  readonly watchFile: Callback;
  readonly unwatchFile: Callback;
}

/** What `fs_watch.ts` of a runtime has. */
export interface FileWatching {
  readonly watchers: Watchers;
  readonly promised: { readonly watch: Callback };
  readonly FSWatcher: unknown;
}

/** The runtime's own. */
export const native: Watchers & { readonly promised: Callback } = {
  watch: nodeFs.watch as Callback,
  watchFile: nodeFs.watchFile as Callback,
  unwatchFile: nodeFs.unwatchFile as Callback,
  promised: nodeFs.promises.watch as unknown as Callback,
};

/** The two types of `node:fs`. */
export type ChangeType = "rename" | "change";

/** A name in the encoding that was asked for; `undefined` where the runtime has none. */
export type Name = string | Buffer | undefined;

/** Whether a name is to be left out. */
export type Matcher = (name: string) => boolean;

/** What differs between the runtimes, and between the functions of one. */
export interface Traits {
  /** Whether URL objects are paths. */
  readonly takesUrls: boolean;
  /** Whether text that begins with `file:` is a URL. */
  readonly takesUrlText: boolean;
  /** Whether `null` is no signal. */
  readonly takesNullSignal: boolean;
  /** The name of the root of a recursive watch. */
  readonly rootName: "" | undefined;
  /** @returns A test of whole names for a pattern. */
  glob(pattern: string): Matcher;
}

/** What is to be watched, and how: arguments as they should be. */
export interface Plan {
  readonly path: string;
  readonly recursive: boolean;
  readonly persistent: boolean;
  /** `undefined`: UTF-8. */
  readonly encoding: BufferEncoding | "buffer" | undefined;
  readonly signal: AbortSignal | undefined;
  readonly matchers: readonly Matcher[];
  /** Patterns of directories with all that is in them. */
  readonly pruned: readonly Matcher[];
}

/**
 * Reads the arguments of a function that watches.
 *
 * @param path A path as the runtime takes it.
 * @param options An object, or an encoding, or nothing.
 * @param traits Of the function.
 * @returns The plan; `undefined` for all that is out of the ordinary.
 */
export function planOf(path: unknown, options: unknown, traits: Traits): Plan | undefined {
  const text = textOfPath(path, traits);
  const given = typeof options === "string" ? { encoding: options } : options ?? {};
  if (text === undefined || typeof given !== "object") return undefined;
  const { recursive, persistent, encoding, signal, ignore } = given as Record<string, unknown>;
  const plain = isSwitch(recursive) && isSwitch(persistent) && isEncodingName(encoding) &&
    isSignal(signal, traits);
  const ignored = plain ? listOf(ignore) : undefined;
  if (ignored === undefined) return undefined;
  return {
    path: text,
    recursive: recursive === true,
    persistent: persistent !== false,
    encoding: encodingOf(encoding as string | undefined),
    signal: (signal as AbortSignal | null) ?? undefined,
    matchers: ignored.map((one) => matcherOf(one, traits)),
    pruned: ignored.flatMap((one) => prunedBy(one, traits)),
  };
}

/** A path as text; `undefined` for what is none, or what text cannot hold. */
export function textOfPath(
  path: unknown,
  { takesUrls, takesUrlText }: Pick<Traits, "takesUrls" | "takesUrlText">,
): string | undefined {
  const isUrl = path instanceof URL
    ? takesUrls
    : takesUrlText && typeof path === "string" && path.startsWith("file:");
  if (isUrl) return textOfUrl(path as URL | string);
  const text = Buffer.isBuffer(path) ? textOfBytes(path) : path;
  return typeof text === "string" && text !== "" && !text.includes("\0") ? text : undefined;
}

function textOfUrl(url: URL | string): string | undefined {
  try {
    return textOfPath(fileURLToPath(url), { takesUrls: false, takesUrlText: false });
  } catch {
    return undefined;
  }
}

function textOfBytes(bytes: Buffer): string | undefined {
  const text = bytes.toString();
  return Buffer.from(text).equals(bytes) ? text : undefined;
}

function isSwitch(value: unknown): boolean {
  return value === undefined || value === null || typeof value === "boolean";
}

function isEncodingName(value: unknown): boolean {
  if (value === undefined || value === null || value === "") return true;
  return typeof value === "string" && (isEncoding(value) || value === "buffer");
}

function encodingOf(value: string | null | undefined): Plan["encoding"] {
  const name = (value || "utf8").toLowerCase();
  return name === "utf8" || name === "utf-8" ? undefined : name as BufferEncoding | "buffer";
}

function isSignal(value: unknown, { takesNullSignal }: Traits): boolean {
  if (value === undefined || value === null && takesNullSignal) return true;
  return value instanceof AbortSignal;
}

// --- what is left out --------------------------------------------------------------------------

type Ignored = string | RegExp | Matcher;

/** A list of what may be ignored; `undefined` when something in it may not. */
function listOf(ignore: unknown): readonly Ignored[] | undefined {
  if (ignore === undefined || ignore === null) return [];
  const list: readonly unknown[] = isArray(ignore) ? ignore : [ignore];
  return list.every(isIgnored) ? list as readonly Ignored[] : undefined;
}

function isIgnored(value: unknown): boolean {
  if (typeof value === "string") return value !== "";
  return typeof value === "function" || value instanceof RegExp;
}

/** As in `node:fs`: a pattern without slash is one of base names as well. */
function matcherOf(ignored: Ignored, { glob }: Traits): Matcher {
  if (typeof ignored === "function") return ignored;
  if (typeof ignored !== "string") return (name) => ignored.exec(name) !== null;
  const match = glob(ignored);
  return ignored.includes("/") ? match : (name) => match(name) || match(basename(name));
}

/** Of a directory of which all is left out, nothing needs to be watched. */
function prunedBy(ignored: Ignored, { glob }: Traits): readonly Matcher[] {
  if (typeof ignored !== "string" || !/[^/*]\/\*\*$/.test(ignored)) return [];
  return [glob(ignored.slice(0, -"/**".length))];
}

// --- watching ----------------------------------------------------------------------------------

/** Who is told. */
export interface Hearer {
  onChange(type: ChangeType, name: Name): void;
  onError(error: Error): void;
}

/** One watched path: events of a tree in the words of `node:fs`. */
export class PathWatch {
  readonly #tree = new Tree(defaultLoop());
  readonly #plan: Plan;
  readonly #rootName: string | undefined;
  readonly #hearer: Hearer;

  private constructor(plan: Plan, rootName: string | undefined, hearer: Hearer) {
    this.#plan = plan;
    this.#rootName = rootName;
    this.#hearer = hearer;
  }

  /**
   * Watches, with all that is there already: what happens after this is told.
   *
   * @param plan What, and how.
   * @param traits Of the function that watches.
   * @param hearer Who is told.
   * @returns The watch; `undefined` when it cannot be, which is the runtime's to say.
   */
  static open(plan: Plan, traits: Traits, hearer: Hearer): PathWatch | undefined {
    const found = find(plan.path);
    if (found === undefined) return undefined;
    const name = plan.recursive && found.directory ? traits.rootName : basename(plan.path);
    const watch = new PathWatch(plan, name, hearer);
    return watch.#start(found.path) ? watch : undefined;
  }

  #start(path: string): boolean {
    const { recursive, persistent, pruned } = this.#plan;
    const prunes = (name: string, directory: boolean): boolean =>
      directory && pruned.some((match) => match(name));
    const ignore = pruned.length > 0 ? prunes : [];
    try {
      this.#tree.start(path, { recursive, ignore }, (event) => this.#onEvent(event));
    } catch {
      this.#tree.close();
      return false;
    }
    if (!persistent) this.#tree.unref();
    try {
      this.#tree.scan();
    } catch {
      // It goes on by itself.
    }
    return true;
  }

  /** Ends it: nothing is told any more. */
  close(): void {
    this.#tree.close();
  }

  /** Says whether the process waits for it. */
  setRef(ref: boolean): void {
    if (this.#tree.closed) return;
    if (ref) this.#tree.ref();
    else this.#tree.unref();
  }

  #onEvent(event: TreeEvent): void {
    switch (event.kind) {
      case "create":
        this.#tell("rename", event);
        // What was written to it was told as one with its making.
        if (isWritten(event)) this.#tell("change", event);
        break;
      case "modify":
      case "attribute":
        this.#tell("change", event);
        break;
      case "remove":
        // What was in a directory that was moved away went with it.
        if (!event.implied) this.#tell("rename", event);
        break;
      case "rename":
        this.#tellName("rename", event.oldPath, event.oldPathBytes);
        this.#tell("rename", event);
        break;
      case "error":
        this.#hearer.onError(event.error!);
        break;
        // `node:fs` has no word for the others.
    }
  }

  #tell(type: ChangeType, event: TreeEvent): void {
    this.#tellName(type, event.path, event.pathBytes);
  }

  #tellName(type: ChangeType, path: string, bytes: Uint8Array<ArrayBuffer>): void {
    const text = path === "" ? this.#rootName : path;
    if (this.#tree.closed || this.#isIgnored(text)) return;
    this.#hearer.onChange(type, this.#encoded(text, path === "" ? undefined : bytes));
  }

  #isIgnored(name: string | undefined): boolean {
    return name !== undefined && this.#plan.matchers.some((match) => match(name));
  }

  #encoded(name: string | undefined, bytes: Uint8Array<ArrayBuffer> | undefined): Name {
    const { encoding } = this.#plan;
    if (encoding === undefined || name === undefined) return name;
    const buffer = bytes === undefined ? Buffer.from(name) : Buffer.from(bytes);
    return encoding === "buffer" ? buffer : buffer.toString(encoding);
  }
}

/** A path, as it was found: links are followed, as `node:fs` does. */
function find(path: string): { readonly path: string; readonly directory: boolean } | undefined {
  try {
    const real = lstatSync(path).isSymbolicLink() ? realpathSync(path) : path;
    return { path: real, directory: statSync(path).isDirectory() };
  } catch {
    return undefined;
  }
}

function isWritten({ directory, symlink, closed, stat }: TreeEvent): boolean {
  return closed && !directory && !symlink && stat?.size !== 0;
}

/**
 * Calls something of the runtime's own with the arguments of a call.
 *
 * @param callback One of `native`.
 * @param args The arguments, as they came.
 * @returns What it returns.
 */
export function byNative(callback: Callback, args: Arguments): unknown {
  return callback(...args);
}
