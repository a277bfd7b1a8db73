/**
 * `kevent/register`: puts the timers and file watchers of kevent in the place of the runtime's own, for the
 * program that imports it, or that preloads it: the globals, the default exports of `node:timers`,
 * `node:timers/promises`, `node:fs` (`watch`, `watchFile`, `unwatchFile`) and `node:fs/promises` (`watch`),
 * what `require` gives for them, and what the runtime has in `Deno` (also `Deno.watchFs`) or `Bun`.
 *
 * ```sh
 * bun --preload kevent/register main.ts
 * deno run --allow-ffi --preload ./node_modules/kevent/dist/adapters/register.js main.ts
 * ```
 *
 * It does not reach what a module imports from one of these by name, by `* as` or by `await import`: the runtimes fix these names when anything first imports the module, which kevent does, and
 * nobody can change them then. Nor does it reach timers that the runtime makes itself, such as those of
 * `AbortSignal.timeout`.
 *
 * Where the library cannot run the runtime's own timers stay, and it is said once.
 *
 * @module
 */
import nodeFs from "node:fs";
import nodeFsPromises from "node:fs/promises";
import nodeTimers from "node:timers";
import nodePromises from "node:timers/promises";
import type { FileWatching } from "./fs_watch.ts";

type Loops = typeof import("../loop/mod.ts");
/** What `timers.ts` of a runtime has; other files have a part for its namespace as well. */
interface Runtimes {
  readonly timers: object;
  readonly namespace: object;
}

/** One property that was replaced. */
interface Replaced {
  readonly holder: object;
  readonly name: string;
  readonly value: unknown;
  readonly before: PropertyDescriptor;
}

// Captured at load: a program may replace it.
const { error: complain } = console;

let replaced: Replaced[] = [];

/**
 * Under this name something of ours says what it had replaced, by holder: it was undone while something else was
 * in its place, perhaps of another copy of kevent, which must not put it back then.
 */
const undone = Symbol.for("kevent.undone");

type Undone = { [undone]?: WeakMap<object, PropertyDescriptor> } | undefined;

/** What is to be there when something goes that had replaced this. */
function standing(holder: object, before: PropertyDescriptor): PropertyDescriptor {
  const further = (before.value as Undone)?.[undone]?.get(holder);
  return further === undefined ? before : standing(holder, further);
}

/** Replaces what is there already, and nothing else. */
function replace(holder: object, values: object): void {
  for (const [name, value] of Object.entries(values)) {
    const before = Object.getOwnPropertyDescriptor(holder, name);
    // Also when another copy of this file has done so.
    if (before === undefined || before.value === value) continue;
    // What cannot be defined anew can be written to.
    const flags = before.configurable ? { writable: true, enumerable: before.enumerable! } : {};
    Object.defineProperty(holder, name, { value, ...flags });
    replaced.push({ holder, name, value, before });
  }
}

/** What is wrong, in one line: without the files that were tried. */
function wordsOf(error: unknown): string {
  const words = error instanceof Error ? error.message : String(error);
  return words.split("\n", 1)[0]!.replace(/ Tried:$/, "");
}

const isBun = "Bun" in globalThis;

/**
 * Files that themselves wait for an import are not imported here: of one that another module has begun
 * to load, Deno would give out what is not there yet.
 */
function load(): Promise<
  readonly [
    Loops,
    Runtimes,
    typeof import("./deno/timers_promises.ts"),
    FileWatching,
    Pick<Runtimes, "namespace">?,
  ]
> {
  return isBun
    ? Promise.all([
      import("./bun/mod.ts"),
      import("./bun/timers.ts"),
      import("./bun/timers_promises.ts"),
      import("./bun/fs_watch.ts"),
    ])
    : Promise.all([
      import("./deno/mod.ts"),
      import("./deno/timers.ts"),
      import("./deno/timers_promises.ts"),
      import("./deno/fs_watch.ts"),
      import("./deno/watch_fs.ts"),
    ]);
}

function replaceWatchers({ watchers, promised }: FileWatching): void {
  // Deno has one name more for the same.
  replace(nodeFs, { ...watchers, watchPromise: promised.watch });
  for (const holder of new Set([nodeFsPromises, nodeFs.promises])) replace(holder, promised);
}

async function register(): Promise<void> {
  const [{ defaultLoop }, { timers, namespace }, { promised }, files, more] = await load();
  // A queue that cannot be made is better known now.
  defaultLoop();
  replace(globalThis, timers);
  replace(nodeTimers, timers);
  // One object in Bun, and two in Deno.
  for (const holder of new Set([nodePromises, nodeTimers.promises])) replace(holder, promised);
  replaceWatchers(files);
  const holder = (globalThis as unknown as Record<string, object>)[isBun ? "Bun" : "Deno"]!;
  replace(holder, { ...namespace, ...more?.namespace });
}

/**
 * Puts the runtime's own timers back. Those of ours that wait go on, and can be cleared with the
 * methods they have. What somebody has replaced since then stays; when ours are back, such as by the end of fake
 * timers, it can be called again.
 *
 * @example
 * ```ts
 * import { registered, unregister } from "../adapters/register.ts";
 *
 * const ours = setTimeout;
 * unregister();
 * if (registered && setTimeout === ours) throw new Error("it is still there");
 * ```
 */
export function unregister(): void {
  // What is not in place may be put there again, by whoever took its place.
  replaced = replaced.filter(({ holder, name, value, before }) => {
    const isThere = Object.getOwnPropertyDescriptor(holder, name)?.value === value;
    if (isThere) Object.defineProperty(holder, name, standing(holder, before));
    else ((value as NonNullable<Undone>)[undone] ??= new WeakMap()).set(holder, before);
    return !isThere;
  });
}

/** Whether the timers of kevent were put in place. */
export const registered: boolean = await register().then(() => true, (error) => {
  unregister();
  complain(`kevent: the runtime's own timers stay in place: ${wordsOf(error)}`);
  return false;
});
