// The watchers of `node:fs` beside the runtime's own: a program must not see any difference but those that
// are known, and those are where the runtime's lose something.
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { beforeAll, describe, expect, test } from "vitest";
import { ours, type Watcher } from "./fixture/fs-watch-shape/subject.ts";
import { Folder } from "./support/folder.ts";
import { isDeno, runFixture } from "./support/program.ts";

/** A difference that is meant, and why. */
interface Known {
  readonly names: RegExp;
  readonly reason: string;
}

const KNOWN_IN_DENO: readonly Known[] = [
  {
    names: /^objects: (un)?ref\(\)/,
    reason: "ref and unref give the watcher, as in Node; in Deno undefined",
  },
  { names: /^objects: stat watcher$/, reason: "two hidden methods that only Deno itself calls" },
  {
    names: /^promises: encoding/,
    reason: "Deno takes no heed of an encoding here, nor of one in the place of options",
  },
];

const KNOWN_IN_BUN: readonly Known[] = [
  {
    names: /^objects: stat watcher (un)?ref\(\)$/,
    reason: "ref and unref give the watcher, as in Node; in Bun undefined",
  },
  { names: /^options: options that are read$/, reason: "verbose is Bun's own affair" },
];

const known = isDeno ? KNOWN_IN_DENO : KNOWN_IN_BUN;

/**
 * What ours tell where one of the runtimes tells something else, or sometimes does: it loses what is in new
 * directories, goes on with what was moved away, ends with the first atomic save or with a name that is
 * no UTF-8, tells one rename in three, or a change of what is empty.
 */
const TOLD: Readonly<Record<string, string | RegExp>> = {
  "directory: create empty": "rename:a",
  "directory: create": "rename:a change:a",
  "directory: create, later write": "rename:a change:a",
  "directory: rename within": "rename:a rename:b",
  "directory: rename over": "rename:a rename:b",
  // What comes with content from elsewhere is told as if it was written here.
  "directory: rename in": "rename:n change:n",
  "directory: atomic save": "rename:a.tmp change:a.tmp rename:a.tmp rename:a",
  "directory: create and unlink": "rename:a change:a rename:a",
  "directory: rm -r of itself": "rename:a rename:dir",
  "directory: rmdir of itself, mkdir, create": "rename:dir rename:a",
  "recursive: mkdir, later create": "rename:s rename:s/f change:s/f",
  "recursive: mkdir -p, create":
    /^rename:s rename:s\/t rename:s\/t\/u rename:s\/t\/u\/f( change:s\/t\/u\/f)?$/,
  "recursive: rename of a directory, create": "rename:s rename:t rename:t/f",
  "recursive: rename of a directory out, create": "rename:s",
  "recursive: rename of a directory in, create": "rename:s rename:s/f rename:s/g",
  "recursive: rm -r of a directory": "rename:s/f rename:s",
  "recursive: rename between directories": "rename:s/f rename:t/g",
  "recursive: symlink to a directory": "rename:l",
  "file: unlink": "rename:a",
  "file: replaced": "change:a",
  "file: replaced three times": "change:a",
  "file: unlink, later create": "rename:a change:a",
  "file: with its directory": "rename:a",
  "file: recursive": "change:a",
  "file: through a link": "change:l",
  ...(isDeno
    ? {
      "no UTF-8: utf8": "rename:x\ufffd",
      "no UTF-8: buffer": "rename:<120 255>",
      "no UTF-8: hex": "rename:78ff",
      "ignore s/**": "rename:f rename:x rename:a.log rename:.h",
    }
    : {}),
};

async function observe(mode: string): Promise<Map<string, string>> {
  const end = await runFixture("fs-watch-shape", [mode], { limitMs: 19_000 });
  expect(end.errors).toBe("");
  expect(end.code).toBe(0);
  const lines = end.output.trim().split("\n").map((line) => JSON.parse(line));
  return new Map(lines.map(({ name, value }) => [name, value]));
}

describe("as the runtime's own", () => {
  const titles = Object.keys(TOLD).map((title) => `events: ${title}`);
  let native: Map<string, string>;
  let again: Promise<Map<string, string>> | undefined;
  beforeAll(async () => void (native = await observe("native")));

  /** Names of what is seen otherwise. What is told of events has its own table above. */
  function differences(theirs: Map<string, string>, ours: Map<string, string>): string[] {
    const names = [...new Set([...theirs.keys(), ...ours.keys()])];
    return names.filter((name) => theirs.get(name) !== ours.get(name) && !titles.includes(name));
  }

  function isTold(ours: Map<string, string>, name: string): boolean {
    const told = TOLD[name.slice("events: ".length)]!;
    const value = JSON.parse(ours.get(name)!);
    return typeof told === "string" ? value === told : told.test(value);
  }

  /** Names of what should be otherwise. */
  function problems(theirs: Map<string, string>, ours: Map<string, string>): string[] {
    const unknown = differences(theirs, ours)
      .filter((name) => !known.some(({ names }) => names.test(name)));
    return [...unknown, ...titles.filter((name) => !isTold(ours, name))];
  }

  test("more than five hundred things are looked at", () => {
    expect(native.size).toBeGreaterThan(500);
  });

  for (const mode of ["kevent", "registered"]) {
    test(`a program sees no difference but those that are known (${mode})`, async () => {
      const ours = await observe(mode);
      let wrong = problems(native, ours);
      if (wrong.length > 0) {
        // A busy machine gives either too little time to hear of something: it must be so twice.
        const repeated = problems(await (again ??= observe("native")), await observe(mode));
        wrong = wrong.filter((name) => repeated.includes(name));
      }
      expect(wrong.map((name) => [name, native.get(name), ours.get(name)])).toEqual([]);
      // A difference that is gone must not stay in the list.
      const different = differences(native, ours);
      const stale = known.filter(({ names }) => !different.some((name) => names.test(name)));
      expect(stale.map(({ reason }) => reason)).toEqual([]);
    }, 90_000);
  }
});

// --- what is better ------------------------------------------------------------------------------

const PATIENCE_MS = 10_000;

/** Waits until it is so. */
async function until(isSo: () => boolean): Promise<void> {
  const start = performance.now();
  while (!isSo() && performance.now() - start < PATIENCE_MS) await rest(5);
  expect(isSo()).toBe(true);
}

function rest(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}

/** What a watcher tells, as `type:name`. */
function listen(watcher: Watcher): string[] {
  const told: string[] = [];
  watcher.on("change", (type, name) => told.push(`${type}:${name}`));
  watcher.on("error", (error) => told.push(`error:${error}`));
  return told;
}

describe("nothing is lost", async () => {
  const { watch, promised } = await ours();

  test("files in new directories, at once", async () => {
    using folder = new Folder();
    const watcher = watch(folder.path, { recursive: true });
    const told = listen(watcher);
    const names: string[] = [];
    for (let directory = 0; directory < 150; directory++) {
      mkdirSync(folder.at(`${directory}/deep`), { recursive: true });
      names.push(`${directory}`, `${directory}/deep`, `${directory}/deep/file`);
      folder.file(`${directory}/deep/file`);
    }
    await until(() => told.length >= names.length);
    watcher.close();
    expect(told.toSorted()).toEqual(names.map((name) => `rename:${name}`).sort());
  });

  test("more at once than the kernel keeps", async (context) => {
    const limit = Number(readFileSync("/proc/sys/fs/inotify/max_queued_events", "utf8"));
    if (limit > 20_000) context.skip(`the kernel keeps ${limit} events`);
    using folder = new Folder();
    const watcher = watch(folder.path);
    const told = new Set<string>();
    watcher.on("change", (_type, name) => told.add(name as string));
    const count = Math.floor(limit / 2) + 1000;
    // Nothing is read meanwhile.
    for (let number = 0; number < count; number++) {
      closeSync(openSync(folder.at(`${number}`), "w"));
    }
    await until(() => told.size >= count);
    watcher.close();
    expect(told.size).toBe(count);
  }, 20_000);

  test("what is written right after watch()", async () => {
    using folder = new Folder();
    folder.file("a", "old");
    for (const path of [folder.path, folder.at("a")]) {
      const watcher = watch(path);
      const told = listen(watcher);
      folder.file("a", "new");
      await until(() => told.length > 0);
      watcher.close();
      expect(told).toEqual(["change:a"]);
    }
  });

  test("each atomic save of a watched file, once", async () => {
    using folder = new Folder();
    const watcher = watch(folder.file("a", "old"));
    const told = listen(watcher);
    for (let save = 1; save <= 4; save++) {
      renameSync(folder.file("a.tmp", `new ${save}`), folder.at("a"));
      await until(() => told.length >= save);
      await rest(30);
    }
    watcher.close();
    expect(told).toEqual(Array(4).fill("change:a"));
  });

  test("what a writer that stays has written", async () => {
    using folder = new Folder();
    const watcher = watch(folder.path);
    const told = listen(watcher);
    const file = openSync(folder.at("log"), "a");
    for (let line = 1; line <= 3; line++) {
      writeSync(file, "line\n");
      await until(() => told.length >= line);
      await rest(30);
    }
    closeSync(file);
    watcher.close();
    expect(told.slice(0, 3)).toEqual(["rename:log", "change:log", "change:log"]);
  });

  test("a listener that throws stands in nobody's way", async () => {
    using folder = new Folder();
    const errors: unknown[] = [];
    const hear = (error: unknown): void => void errors.push(error);
    const before = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException").on("uncaughtException", hear);
    const told: unknown[] = [];
    const watcher = watch(folder.path, (_type: unknown, name: unknown) => {
      told.push(name);
      throw new RangeError("not today");
    });
    mkdirSync(folder.at("a"));
    mkdirSync(folder.at("b"));
    await until(() => told.length === 2);
    await rest(20);
    watcher.close();
    process.off("uncaughtException", hear);
    for (const listener of before) process.on("uncaughtException", listener);
    expect(told).toEqual(["a", "b"]);
    expect(errors.map(String)).toEqual(Array(2).fill("RangeError: not today"));
  });

  test("an iterator that nobody reads keeps all, or what maxQueue says", async () => {
    using folder = new Folder();
    const all = promised(folder.path)[Symbol.asyncIterator]();
    const two = promised(folder.path, { maxQueue: 2, overflow: "throw" })[Symbol.asyncIterator]();
    for (let number = 0; number < 5; number++) mkdirSync(folder.at(`${number}`));
    const names: unknown[] = [];
    for (let number = 0; number < 5; number++) names.push((await all.next()).value.filename);
    expect(names).toEqual(["0", "1", "2", "3", "4"]);
    await expect((async () => {
      for (let number = 0; number < 5; number++) await two.next();
    })()).rejects.toMatchObject({ code: "ERR_FS_WATCH_QUEUE_OVERFLOW" });
    expect((await two.next()).done).toBe(true);
    await all.return!();
  });

  test("several that ask an iterator at once get one each", async () => {
    using folder = new Folder();
    const iterator = promised(folder.path)[Symbol.asyncIterator]();
    const asked = [iterator.next(), iterator.next()];
    mkdirSync(folder.at("a"));
    mkdirSync(folder.at("b"));
    const results = await Promise.all(asked);
    expect(results.map(({ value }) => value.filename)).toEqual(["a", "b"]);
    await iterator.return!();
  });
});

test("watchers that are closed hold nothing", async () => {
  const { watch } = await ours();
  using folder = new Folder();
  mkdirSync(folder.at("s"));
  const kept = watch(folder.path);
  const before = [readdirSync("/proc/self/fd").length, watches()];
  for (let turn = 0; turn < 500; turn++) {
    watch(join(folder.path, turn % 2 === 0 ? "." : "s"), { recursive: true }).close();
  }
  await rest(50);
  expect([readdirSync("/proc/self/fd").length, watches()]).toEqual(before);
  kept.close();
});

/** How many directories the process watches. */
function watches(): number {
  const infos = readdirSync("/proc/self/fdinfo").map((fd) => {
    try {
      return readFileSync(`/proc/self/fdinfo/${fd}`, "utf8");
    } catch {
      return "";
    }
  });
  return infos.join("").split("inotify wd:").length - 1;
}

describe.concurrent("the process", () => {
  const HELD = 7;
  const WAYS: Readonly<Record<string, boolean>> = {
    ...{ "watch": true, "watch, recursive": true, "watch, not persistent": false },
    ...{ "watch, unref": false, "watch, unref and ref": true, "watch, closed": false },
    ...{ "watch, not persistent, ref": true, "watch, aborted": false },
    ...{ "watch, aborted before": false },
    ...{ "watchFile": true, "watchFile, not persistent": false, "watchFile, unref": false },
    ...{ "watchFile, unwatched": false, "promises, asked": true },
    ...{ "promises, not persistent": false, "promises, returned": false },
    ...{ "promises, aborted": false },
  };
  for (const [way, held] of Object.entries(WAYS)) {
    test(`${held ? "waits for" : "does not wait for"}: ${way}`, async () => {
      using folder = new Folder();
      folder.file("f");
      const end = await runFixture("fs-watch-exit", [way, folder.path]);
      expect(end.errors).toBe("");
      expect(end.code).toBe(held ? HELD : 0);
    });
  }
});
