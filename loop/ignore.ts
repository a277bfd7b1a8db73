import picomatch from "picomatch";
import { KeventError, shown } from "../ffi/errors.ts";
import type { Filter } from "./tree_change.ts";
import type { Ignore } from "./tree_event.ts";

/** Whether something is left out: by its path from the root, its name, and what it is. */
type Test = (path: string, name: string, directory: boolean) => boolean;

/** Leading `!` and `#` are part of a name: what is left out twice is left out. */
const GLOB = { dot: true, nonegate: true, windows: false } as const;

/** What a tree leaves out. */
export class Ignoring implements Filter {
  readonly #tests: readonly Test[];
  // Events come in runs from one directory: the answer for the last one.
  #directory = "";
  #ignored = false;

  /** @param tests Any of them is enough. */
  constructor(tests: readonly Test[]) {
    this.#tests = tests;
  }

  /** @returns Whether a path, or a directory above it, is left out. The root never is. */
  ignores(path: string, directory: boolean): boolean {
    if (path === "") return false;
    return this.#within(parentOf(path)) || this.matches(path, directory);
  }

  /** @returns Whether a path is left out for itself. The root never is. */
  matches(path: string, directory: boolean): boolean {
    if (path === "") return false;
    const name = path.slice(path.lastIndexOf("/") + 1);
    return this.#tests.some((test) => test(path, name, directory));
  }

  #within(directory: string): boolean {
    if (directory === "") return false;
    if (directory !== this.#directory) {
      const ignored = this.ignores(directory, true);
      this.#directory = directory;
      this.#ignored = ignored;
    }
    return this.#ignored;
  }
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}

/**
 * Compiles what is to be left out.
 *
 * @param ignore One, or several; `undefined` for nothing.
 * @param root The path of the tree as it was given.
 * @param operation What needs it, in words that follow "Cannot".
 * @returns What it compiles to; `undefined` when nothing is left out.
 * @throws {KeventError} EINVAL for what is no way to leave something out.
 */
export function compileIgnore(
  ignore: Ignore | readonly Ignore[] | undefined,
  root: string,
  operation: string,
): Ignoring | undefined {
  if (ignore === undefined) return undefined;
  const list = Array.isArray(ignore) ? ignore as readonly Ignore[] : [ignore as Ignore];
  const tests = list.map((one) => testOf(one, root, operation));
  return tests.length === 0 ? undefined : new Ignoring(tests);
}

function testOf(ignore: Ignore, root: string, operation: string): Test {
  if (typeof ignore === "string") return textTest(ignore, root, operation);
  if (ignore instanceof RegExp) return patternTest(ignore);
  if (typeof ignore === "function") return functionTest(ignore, operation);
  throw bad(operation, `ignore must be text, a RegExp or a function, not ${shown(ignore)}`);
}

function patternTest(pattern: RegExp): Test {
  // Without what makes its answers depend on earlier ones.
  const { source, flags } = pattern;
  const own = new RegExp(source, flags.replace(/[gy]/g, ""));
  return (path) => own.test(path);
}

function functionTest(
  test: (path: string, directory: boolean) => boolean,
  operation: string,
): Test {
  if (Object.prototype.toString.call(test) === "[object AsyncFunction]") {
    throw bad(operation, "a function in ignore must answer at once, not by a promise");
  }
  return (path, _name, directory) => Boolean(test(path, directory));
}

function textTest(text: string, root: string, operation: string): Test {
  if (text === "" || text.includes("\0")) {
    throw bad(operation, `ignore must name something, not ${shown(text)}`);
  }
  const absolute = text.startsWith("/");
  const inTree = absolute ? fromRoot(text, root, operation) : text.replace(/^(\.\/+)+/, "");
  // It lies elsewhere.
  if (inTree === undefined) return () => false;
  const onlyDirectories = inTree.endsWith("/");
  const pattern = inTree.replace(/\/+$/, "");
  if (pattern === "" || pattern === ".") {
    throw bad(operation, `ignore must not be the tree itself: ${shown(text)}`);
  }
  // A name alone is meant wherever it is.
  const byPath = absolute || pattern.includes("/");
  const matches = matcherOf(pattern, operation);
  return (path, name, directory) =>
    (directory || !onlyDirectories) && matches(byPath ? path : name);
}

function matcherOf(pattern: string, operation: string): (text: string) => boolean {
  const isGlob = picomatch.scan(pattern, GLOB).isGlob || pattern.includes("\\");
  if (!isGlob) return (text) => text === pattern;
  try {
    const matches = picomatch(pattern, GLOB);
    // Names such as "[id]" and "(group)" are common, and what is meant as one should not need escapes.
    return (text) => text === pattern || matches(text);
  } catch (error) {
    throw bad(operation, `ignore must be a glob that can be compiled: ${(error as Error).message}`);
  }
}

/** An absolute path or glob from the root on; `undefined` when it does not lead into it. */
function fromRoot(text: string, root: string, operation: string): string | undefined {
  if (!root.startsWith("/")) {
    const detail =
      `ignore has an absolute path (${text}), so the tree must be given by one as well`;
    throw bad(operation, detail);
  }
  const start = plain(root);
  const path = plain(text);
  const prefix = start === "/" ? start : `${start}/`;
  if (path === start) return "";
  if (!path.startsWith(prefix)) return undefined;
  // A slash at the end says "directory".
  return path.slice(prefix.length) + (text.endsWith("/") ? "/" : "");
}

/** Without double slashes and single dots. */
function plain(path: string): string {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  return `/${parts.join("/")}`;
}

function bad(operation: string, detail: string): KeventError {
  return new KeventError(operation, "argument", "EINVAL", detail);
}
