// `kevent/chokidar` beside chokidar itself: the same is told of the same, and what chokidar loses is told by ours.
import * as theirs from "chokidar";
import * as fs from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import * as ours from "../adapters/chokidar.ts";
import { type Case, CASES, fill, sleep, type Watcher } from "./support/chokidar_cases.ts";
import { Folder } from "./support/folder.ts";
import { gate } from "./support/queue.ts";

const REAL_TIME = "chokidar and the kernel are in real time, which nothing here jumps over";

type Library = { watch(paths: string | string[], options?: object): unknown };

/** A watcher with all that it told. */
class Told {
  readonly folder = new Folder();
  readonly lines: string[] = [];
  readonly watcher: Watcher;
  readonly ready: Promise<void>;

  constructor(library: Library, { before, paths, options }: Case) {
    const { path } = this.folder;
    fill(path);
    before?.(path);
    this.watcher = library.watch(paths?.(path) ?? path, options?.(path)) as Watcher;
    this.watcher.on("all", (event: string, name: string) => this.#line(event, name));
    this.watcher.on("error", (error: Error) => this.#line("error", error.message));
    this.ready = new Promise((resolve) => void this.watcher.on("ready", () => resolve()));
    onTestFinished(async () => {
      await this.watcher.close();
      this.folder[Symbol.dispose]();
    });
  }

  /** What was told, each once. In Deno chokidar often tells of a new file that it has changed as well. */
  get set(): string[] {
    const isNew = (line: string) => this.lines.includes(line.replace(/^change /, "add "));
    return [...new Set(this.lines)].filter((line) => line.startsWith("add ") || !isNew(line))
      .sort();
  }

  /** Names that are watched, without the directories above, of which chokidar watches more. */
  get watched(): object {
    const { path } = this.folder;
    const entries = Object.entries(this.watcher.getWatched())
      .map(([name, names]) => [name.replace(path, "~"), names] as const)
      .filter(([name, names]) => name.startsWith("~") && names.length > 0);
    return Object.fromEntries(entries);
  }

  #line(event: string, name: string): void {
    this.lines.push(`${event} ${name.replace(this.folder.path, "~")}`);
  }
}

/** Waits, as long as is good for anything. */
async function until(holds: () => boolean, limitMs = 8000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!holds() && performance.now() < end) await sleep(10);
}

describe.concurrent("as chokidar", () => {
  for (const [title, one] of Object.entries(CASES)) {
    test(title, async (context) => {
      gate(context, "simulated", REAL_TIME);
      const both = [new Told(theirs, one), new Told(ours, one)] as const;
      await Promise.all(both.map(({ ready }) => ready));
      const [their, our] = both;
      await until(() => String(our.set) === String(their.set));
      expect(our.set).toEqual(their.set);
      expect(our.watched).toEqual(their.watched);
      for (const told of both) told.lines.length = 0;
      // What chokidar has begun to watch a moment ago it does not always see.
      await sleep(100);
      await Promise.all(both.map(({ folder, watcher }) => one.act?.(folder.path, watcher)));
      await sleep(400);
      await until(() => String(our.set) === String(their.set));
      expect(our.set).toEqual(their.set);
    });
  }
});

/** A watcher of ours that has said what is there. */
async function started(options: object = {}, paths?: Case["paths"]): Promise<Told> {
  const told = new Told(ours, { options: () => options, ...(paths ? { paths } : {}) });
  await told.ready;
  told.lines.length = 0;
  return told;
}

function range<Value>(count: number, value: (index: number) => Value): Value[] {
  return Array.from({ length: count }, (_, index) => value(index));
}

describe("what chokidar loses", () => {
  test("a hundred new directories with twenty files each", async () => {
    const { folder, lines } = await started();
    const directories = range(100, (index) => `d${index}`);
    const files = directories.flatMap((name) => range(20, (index) => `${name}/f${index}`));
    for (const name of directories) {
      fs.mkdirSync(folder.at(name));
      for (const file of range(20, (index) => `${name}/f${index}`)) {
        fs.writeFileSync(folder.at(file), "");
      }
    }
    const expected = [
      ...directories.map((name) => `addDir ~/${name}`),
      ...files.map((name) => `add ~/${name}`),
    ].sort();
    await until(() => lines.length >= expected.length);
    expect(lines.filter((line) => line.startsWith("add")).sort()).toEqual(expected);
  });

  test("files that are made, written, renamed and deleted at once", async () => {
    const { folder, lines } = await started({ atomic: false });
    const names = range(1000, (index) => `f${index}`);
    for (const name of names) {
      fs.writeFileSync(folder.at(name), "1");
      fs.renameSync(folder.at(name), folder.at(`${name}.done`));
      fs.rmSync(folder.at(`${name}.done`));
    }
    const expected = names.flatMap((name) =>
      [name, `${name}.done`].flatMap((one) => [`add ~/${one}`, `unlink ~/${one}`])
    );
    await until(() => lines.length >= expected.length);
    expect([...lines].sort()).toEqual(expected.sort());
  });

  test("each of many saves of one file (pain 11)", async () => {
    const { folder, lines } = await started({}, (path) => `${path}/file`);
    for (let times = 1; times <= 10; times++) {
      fs.writeFileSync(folder.at("file.tmp"), `${times}`);
      fs.renameSync(folder.at("file.tmp"), folder.at("file"));
      await until(() => lines.length >= times);
    }
    expect(lines).toEqual(range(10, () => "change ~/file"));
  });

  test("with alwaysStat, what is gone when it would be told is not told", async () => {
    const { folder, lines } = await started({ alwaysStat: true });
    fs.writeFileSync(folder.at("short"), "");
    fs.rmSync(folder.at("short"));
    fs.writeFileSync(folder.at("long"), "");
    await until(() => lines.length > 0);
    expect(lines).toEqual(["add ~/long"]);
  });

  test("what was unwatched is quiet at once, and told of again when it is added", async () => {
    const { folder, lines, watcher } = await started();
    watcher.unwatch(folder.at("sub"));
    fs.writeFileSync(folder.at("sub/inner"), "unseen");
    fs.writeFileSync(folder.at("seen"), "");
    await until(() => lines.length > 0);
    expect(lines).toEqual(["add ~/seen"]);
    watcher.add(folder.at("sub"));
    await until(() => lines.length >= 3);
    fs.writeFileSync(folder.at("sub/new"), "");
    await until(() => lines.length >= 4);
    expect(lines.slice(1)).toEqual(["addDir ~/sub", "add ~/sub/inner", "add ~/sub/new"]);
  });
});

describe("awaitWriteFinish (pain 23)", () => {
  const options = { awaitWriteFinish: { stabilityThreshold: 60_000 } };

  test("a file is told when its writer closes it, and not before", async () => {
    const { folder, lines } = await started(options);
    const fd = fs.openSync(folder.at("new"), "w");
    for (let times = 0; times < 3; times++) {
      fs.writeSync(fd, "more");
      await sleep(80);
    }
    expect(lines).toEqual([]);
    fs.closeSync(fd);
    await until(() => lines.length > 0);
    expect(lines).toEqual(["add ~/new"]);
  });

  test("what is deleted while it is written was never there", async () => {
    const { folder, lines } = await started(options);
    const fd = fs.openSync(folder.at("new"), "w");
    await sleep(100);
    fs.rmSync(folder.at("new"));
    fs.closeSync(fd);
    fs.writeFileSync(folder.at("next"), "");
    await until(() => lines.length > 0);
    expect(lines).toEqual(["add ~/next"]);
  });

  test("removal and return within the time of atomic are one change", async () => {
    const { folder, lines } = await started({ ...options, atomic: 5000 });
    fs.rmSync(folder.at("file"));
    await sleep(200);
    fs.writeFileSync(folder.at("file"), "back");
    await until(() => lines.length > 0);
    expect(lines).toEqual(["change ~/file"]);
  });
});

describe("the watcher", () => {
  test("gives what stat(2) gives with what is there, and nothing with what is gone", async () => {
    const { folder, watcher, lines } = await started({ atomic: false });
    const sizes: unknown[] = [];
    watcher.on("all", (_event: string, _path: string, ...rest: [fs.Stats?]) => {
      sizes.push(rest.length === 0 ? "none" : rest[0] instanceof fs.Stats && rest[0].size);
    });
    fs.writeFileSync(folder.at("file"), "four");
    await until(() => lines.length >= 1);
    fs.rmSync(folder.at("file"));
    await until(() => lines.length >= 2);
    expect(lines).toEqual(["change ~/file", "unlink ~/file"]);
    expect(sizes).toEqual([4, "none"]);
  });

  test("tells raw events with what they are of", async () => {
    const { folder, watcher } = await started();
    const raw = new Promise((resolve) => {
      watcher.on("raw", (...args: unknown[]) => resolve(args));
    });
    fs.writeFileSync(folder.at("new"), "");
    expect(await raw).toEqual(["rename", "new", { watchedPath: folder.path }]);
  });

  test("has its names, also where they go and come", async () => {
    const { folder, watcher, lines } = await started({ atomic: false });
    fs.renameSync(folder.at("sub"), folder.at("dir"));
    fs.rmSync(folder.at("file"));
    await until(() => lines.length >= 5);
    const { path } = folder;
    expect(watcher.getWatched()).toMatchObject({ [path]: ["dir"], [`${path}/dir`]: ["inner"] });
    expect(Object.keys(watcher.getWatched())).not.toContain(`${path}/sub`);
  });

  test("says nothing after close, which may be called twice", async () => {
    const { folder, watcher, lines } = await started();
    const closed = watcher.close();
    expect(watcher.close()).toBe(closed);
    expect(watcher).toHaveProperty("closed", true);
    expect(watcher.getWatched()).toEqual({});
    fs.writeFileSync(folder.at("new"), "");
    await closed;
    await sleep(100);
    expect(lines).toEqual([]);
  });

  test("watches again when something is added after close", async () => {
    const { folder, watcher } = await started();
    await watcher.close();
    const added = new Promise((resolve) => {
      watcher.on("add", (path: string) => resolve(path));
    });
    watcher.add(folder.at("file"));
    expect(await added).toBe(folder.at("file"));
  });

  test("goes on when a listener throws", async () => {
    const { folder, watcher, lines } = await started();
    const uncaught = new Promise((resolve) => {
      const listeners = process.listeners("uncaughtException");
      process.removeAllListeners("uncaughtException");
      process.once("uncaughtException", (error) => {
        for (const listener of listeners) process.on("uncaughtException", listener);
        resolve(error.message);
      });
    });
    watcher.on("unlinkDir", () => {
      throw new Error("of a listener");
    });
    fs.renameSync(folder.at("sub"), folder.at("dir"));
    expect(await uncaught).toBe("of a listener");
    await until(() => lines.length >= 3);
    expect(lines).toContain("add ~/dir/inner");
  });

  test("refuses what is no path", () => {
    const watcher = new ours.FSWatcher();
    expect(() => watcher.add([5] as unknown as string[])).toThrow(
      new TypeError("Non-string provided as watch path: 5"),
    );
    expect(() => watcher.unwatch(null as unknown as string)).not.toThrow();
  });

  test("shows its options as chokidar does", () => {
    const options = { depth: 2, awaitWriteFinish: true, ignored: "x" };
    const { options: shown } = new ours.FSWatcher(options);
    expect(shown).toEqual(new theirs.FSWatcher(options).options);
  });
});
