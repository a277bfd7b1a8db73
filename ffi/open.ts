import {
  ABI_VERSION,
  PARAMS_BYTES,
  RECORD_BYTES,
  RING_HEADER_BYTES,
  RING_LINE_BYTES,
} from "./abi.ts";
import { askLibrary, type Calls, type Dialect, type Library } from "./library.ts";

/** Where to look first: set by people who build the library themselves. */
const VARIABLE = "KEVENT_LIBRARY";

/** glibc first: a musl system cannot open that one, while some glibc systems can open both. */
const C_LIBRARIES = ["gnu", "musl"];

/** The processors the library is built for. */
const ARCHITECTURES = ["x86_64", "aarch64"];

/** What went wrong with one file. */
interface Failure {
  readonly path: string;
  readonly reason: string;
}

/**
 * Opens the native library and checks that it and this code were made for each other.
 *
 * Looks at the path given, else at `KEVENT_LIBRARY`, else for the build of the package, or in a clone
 * for a local one. A path that was named must work: nothing else is tried after it.
 *
 * @param dialect The FFI of the runtime.
 * @param path Absolute path of the library; found when left out.
 * @returns The opened library.
 * @throws {Error} On a platform without a build, when no library is found, or on one of another
 * version; the message says what was tried and what to do.
 */
export function openLibrary(dialect: Dialect, path?: string): Library {
  checkPlatform(dialect);
  const named = path ?? dialect.environment(VARIABLE);
  const paths = named === undefined || named === "" ? candidates(dialect) : [absolute(named)];
  const failures: Failure[] = [];
  for (const candidate of permittedFirst(dialect, paths)) {
    const library = tryOpen(dialect, candidate, failures);
    if (library !== undefined) return library;
  }
  throw notFound(dialect, failures, named !== undefined);
}

function checkPlatform({ platform }: Dialect): void {
  if (platform.os === "linux" && ARCHITECTURES.includes(platform.arch)) return;
  throw new Error(
    `Cannot open the kevent library: there is no build for ${platform.os} on ${platform.arch} ` +
      `(kevent runs on Linux, on ${ARCHITECTURES.join(" and ")})`,
  );
}

/** A grant is tied to one absolute path, and a relative one would depend on the working folder. */
function absolute(path: string): string {
  if (path.startsWith("/")) return path;
  throw new Error(
    `Cannot open the kevent library: "${path}" is a relative path (give an absolute one)`,
  );
}

/** Whether this is the source, and not what was built from it for the package. */
const inClone = import.meta.url.endsWith(".ts");

/** The package has no local builds, and a clone no packaged ones; docs/design.md, "Build". */
const FOLDERS = inClone
  ? ["../zig/zig-out/safe/", "../zig/zig-out/fast/", "../zig/zig-out/debug/"]
  : ["../native/"];

function candidates({ platform }: Dialect): string[] {
  return FOLDERS.flatMap((folder) =>
    C_LIBRARIES.map((c) => {
      const file = `${folder}libkevent-${platform.arch}-linux-${c}.so`;
      return decodeURIComponent(new URL(file, import.meta.url).pathname);
    })
  );
}

/** A program with a grant for one file only must not be asked about the others. */
function permittedFirst(dialect: Dialect, paths: string[]): string[] {
  const permitted = paths.filter((path) => dialect.permitted(path));
  return permitted.length > 0 ? permitted : paths;
}

function tryOpen(dialect: Dialect, path: string, failures: Failure[]): Library | undefined {
  let calls: Calls;
  try {
    calls = dialect.open(path);
  } catch (error) {
    failures.push({ path, reason: firstLine(error) });
    return undefined;
  }
  checkAbi(calls, path);
  return { path, calls };
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n", 1)[0] ?? "";
}

/** Sizes of records and structs, in the order in which the library says its own. */
const SIZES = [RECORD_BYTES, PARAMS_BYTES, RING_HEADER_BYTES, RING_LINE_BYTES];

/** Both sides have them baked in: one wrong offset would make nonsense of every record. */
function checkAbi(calls: Calls, path: string): void {
  const version = calls.kevent_abi_version();
  if (version !== ABI_VERSION) {
    throw mismatch(path, `its ABI version is ${version}, this code needs ${ABI_VERSION}`);
  }
  const { sizes = [] } = askLibrary(calls, -1) as { sizes?: readonly number[] };
  if (SIZES.some((size, index) => sizes[index] !== size)) {
    throw mismatch(path, `its sizes are ${sizes.join(" ")}, this code needs ${SIZES.join(" ")}`);
  }
}

function mismatch(path: string, detail: string): Error {
  return new Error(
    `Cannot use the kevent library ${path}: ${detail} ` +
      `(rebuild it with "zig build" or reinstall the package)`,
  );
}

function notFound(dialect: Dialect, failures: readonly Failure[], named: boolean): Error {
  const tried = failures.map(({ path, reason }) => `  ${path}: ${reason}`).join("\n");
  // Without a grant nobody can look which is there: the first is the most likely.
  const denied = failures.find(({ path }) => !dialect.permitted(path));
  const advice = denied !== undefined
    ? dialect.permissionHint(denied.path)
    : named
    ? `check the path, or unset ${VARIABLE} to use the library of the package`
    : inClone
    ? `run "npm run setup", or set ${VARIABLE}`
    : `reinstall the package, or set ${VARIABLE}`;
  return new Error(`Cannot open the kevent library: ${advice}. Tried:\n${tried}`);
}
