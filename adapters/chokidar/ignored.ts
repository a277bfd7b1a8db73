// What a watcher leaves out, in the ways of chokidar.
import type { Stats } from "node:fs";
import { isAbsolute, join, normalize, relative } from "node:path";

/** Whether a path is left out. Asked without `stats` first, then with them. */
export type MatchFunction = (path: string, stats?: Stats) => boolean;

/** A path, with all that is in it if it is `recursive`. */
export interface MatcherObject {
  path: string;
  recursive?: boolean;
}

/** What is left out: exactly this path (no glob), what matches, or what a function says. */
export type Matcher = string | RegExp | MatchFunction | MatcherObject;

/** What editors leave beside a file while they save it: not told when `atomic` is on. */
const OF_EDITORS = /\..*\.sw[px]$|~$|\.subl.*\.tmp/;

/**
 * Makes one test of many.
 *
 * @param matchers What is left out.
 * @param cwd Where relative paths begin; `undefined` when they stay as they are.
 * @param atomic Whether what editors leave is left out as well.
 * @returns The test; `undefined` when nothing is left out.
 */
export function testOf(
  matchers: readonly Matcher[],
  cwd: string | undefined,
  atomic: boolean,
): MatchFunction | undefined {
  const tests = matchers.map((matcher) => testOfOne(matcher, cwd));
  if (atomic) tests.push((path) => OF_EDITORS.test(path));
  if (tests.length === 0) return undefined;
  return (path, stats) => tests.some((test) => test(path, stats));
}

function testOfOne(matcher: Matcher, cwd: string | undefined): MatchFunction {
  if (typeof matcher === "function") return matcher;
  if (typeof matcher === "string") {
    const wanted = normalize(
      cwd === undefined || isAbsolute(matcher) ? matcher : join(cwd, matcher),
    );
    return (path) => path === wanted;
  }
  // `search` does not go on from where a global pattern stopped last, as `test` does.
  if (matcher instanceof RegExp) return (path) => path.search(matcher) >= 0;
  if (typeof matcher === "object" && matcher !== null) return (path) => isOrIsIn(path, matcher);
  return () => false;
}

function isOrIsIn(path: string, { path: folder, recursive }: MatcherObject): boolean {
  if (path === folder) return true;
  if (!recursive) return false;
  const way = relative(folder, path);
  return way !== "" && !way.startsWith("..") && !isAbsolute(way);
}
