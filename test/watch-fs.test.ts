// `Deno.watchFs` of kevent beside Deno's own: a program must not see any difference but those that are meant.
import * as fs from "node:fs";
import { beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { FsWatcher, WatchFsOptions } from "../adapters/deno/watch_fs.ts";
import { Folder } from "./support/folder.ts";
import { isDeno, runFixture } from "./support/program.ts";

beforeEach((context) => {
  if (!isDeno) context.skip("it is in the shape of Deno's, for Deno");
});

async function observe(mode: string): Promise<Map<string, string>> {
  const end = await runFixture("watch-fs-shape", [mode], { limitMs: 19_000 });
  expect(end.errors).toBe("");
  expect(end.code).toBe(0);
  const lines = end.output.trim().split("\n").map((line) => JSON.parse(line));
  return new Map(lines.map(({ name, value }) => [name, value]));
}

describe("as Deno's own", () => {
  let native: Map<string, string>;
  beforeAll(async () => {
    if (isDeno) native = await observe("native");
  });

  test("more than a hundred things are looked at", () => {
    expect(native.size).toBeGreaterThan(150);
  });

  test.each(["kevent", "registered"])("a program sees no difference (%s)", async (mode) => {
    const ours = await observe(mode);
    const names = new Set([...native.keys(), ...ours.keys()]);
    const different = [...names].filter((name) => native.get(name) !== ours.get(name));
    expect(different.map((name) => [name, native.get(name), ours.get(name)])).toEqual([]);
  });
});

/** Whether the process lives in each way, in Deno's own and in ours. */
const ALIVE: readonly (readonly [way: string, native: boolean | "throws", ours: boolean])[] = [
  ["nobody waits", false, false],
  ["somebody waits", true, true],
  ["unref'd", false, false],
  ["unref'd and ref'd", true, true],
  ["unref'd before", "throws", false],
  ["unref'd, after an event", true, false],
  ["closed", false, false],
];

describe.concurrent("the process", () => {
  test.each(ALIVE)("%s: lives with Deno's %s, with ours %s", async (way, native, ours) => {
    const [their, our] = await Promise.all([
      runFixture("watch-fs-alive", ["native", way]),
      runFixture("watch-fs-alive", ["kevent", way]),
    ]);
    expect(their.code !== 0 ? "throws" : their.output === "alive\n").toBe(native);
    expect(our.errors).toBe("");
    expect(our.output === "alive\n").toBe(ours);
  });
});

const { watchFs } = isDeno
  ? await import("../adapters/deno/mod.ts")
  : { watchFs: undefined as never };

/** A watcher with all that it told. */
class Told {
  readonly folder = new Folder();
  readonly lines: string[] = [];
  readonly watcher: FsWatcher;

  constructor(
    before: (folder: string) => string | string[] | void = () => {},
    options?: WatchFsOptions,
  ) {
    const paths = before(this.folder.path) ?? this.folder.path;
    this.watcher = watchFs(paths, options);
    this.#listen();
    onTestFinished(() => {
      this.watcher.close();
      this.folder[Symbol.dispose]();
    });
  }

  async #listen(): Promise<void> {
    for await (const { kind, paths } of this.watcher) {
      this.lines.push(
        `${kind} ${paths.map((path) => path.replace(this.folder.path, "~")).join(" ")}`,
      );
    }
  }

  /** What was told as soon as a line of it was. */
  async until(last: string): Promise<string[]> {
    const end = performance.now() + 8000;
    while (!this.lines.includes(last) && performance.now() < end) await sleep(5);
    return this.lines.splice(0);
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function range<Value>(count: number, value: (index: number) => Value): Value[] {
  return Array.from({ length: count }, (_, index) => value(index));
}

describe("where Deno's own loses, doubles or invents", () => {
  test("what is in new directories (pain 9)", async () => {
    const told = new Told();
    const { folder } = told;
    fs.mkdirSync(folder.at("a/b/c"), { recursive: true });
    folder.file("a/b/c/file");
    for (let index = 0; index < 300; index++) {
      fs.mkdirSync(folder.at(`d${index}`));
      folder.file(`d${index}/file`);
    }
    folder.file("end");
    const lines = await told.until("access ~/end");
    const creates = lines.filter((line) => line.startsWith("create "));
    const expected = [
      ...["~/a", "~/a/b", "~/a/b/c", "~/a/b/c/file", "~/end"],
      ...range(300, (index) => `~/d${index}`),
      ...range(300, (index) => `~/d${index}/file`),
    ];
    expect(creates.sort()).toEqual(expected.map((path) => `create ${path}`).sort());
  });

  test("a burst that nobody reads meanwhile (pain 10)", async () => {
    const told = new Told();
    const { folder } = told;
    for (let index = 0; index < 1500; index++) folder.file(`f${index}`);
    folder.file("end");
    const lines = await told.until("access ~/end");
    const creates = new Set(lines.filter((line) => /create ~.f/.test(line)));
    expect(creates.size).toBe(1500);
  });

  test("saves of a file that is watched by itself (pain 11)", async () => {
    const told = new Told((folder) => {
      fs.writeFileSync(`${folder}/file`, "");
      return `${folder}/file`;
    });
    const { folder } = told;
    for (let times = 0; times < 3; times++) {
      fs.renameSync(folder.file("file.tmp", `${times}`), folder.at("file"));
      expect(await told.until("modify ~/file")).toEqual(["modify ~/file"]);
    }
    fs.rmSync(folder.at("file"));
    expect(await told.until("remove ~/file")).toEqual(["remove ~/file"]);
    folder.file("file");
    expect(await told.until("access ~/file")).toEqual(["create ~/file", "access ~/file"]);
  });

  test("each change of a save by way of another file once (pain 14)", async () => {
    const told = new Told((folder) => fs.writeFileSync(`${folder}/file`, ""));
    const { folder } = told;
    fs.renameSync(folder.file("file.tmp", "new"), folder.at("file"));
    const lines = await told.until("rename ~/file.tmp ~/file");
    expect(lines).toEqual([
      ...["create ~/file.tmp", "modify ~/file.tmp", "access ~/file.tmp"],
      ...["remove ~/file.tmp", "rename ~/file", "rename ~/file.tmp ~/file"],
    ]);
  });

  test("what is removed beside it is nobody's business (pain 14)", async () => {
    const told = new Told((folder) => {
      fs.mkdirSync(`${folder}/in`);
      fs.writeFileSync(`${folder}/beside`, "");
      return `${folder}/in`;
    });
    const other = new Told();
    fs.rmSync(told.folder.at("beside"));
    other.folder.file("file");
    fs.rmSync(other.folder.at("file"));
    told.folder.file("in/file");
    expect(await told.until("access ~/in/file")).toEqual(["create ~/in/file", "access ~/in/file"]);
  });

  test("a file that is made and removed, and a link that leads nowhere", async () => {
    const told = new Told();
    const { folder } = told;
    fs.rmSync(folder.file("file", "content"));
    fs.symlinkSync("nowhere", folder.at("link"));
    expect(await told.until("create ~/link")).toEqual([
      ...["create ~/file", "modify ~/file", "access ~/file", "remove ~/file"],
      "create ~/link",
    ]);
  });

  test("a directory with what is in it comes and goes", async () => {
    const told = new Told((folder) => {
      fs.mkdirSync(`${folder}/in`);
      fs.mkdirSync(`${folder}/out`);
      fs.writeFileSync(`${folder}/out/file`, "");
      return `${folder}/in`;
    });
    const { folder } = told;
    fs.renameSync(folder.at("out"), folder.at("in/came"));
    expect(await told.until("create ~/in/came/file")).toEqual([
      ...["create ~/in/came", "create ~/in/came/file"],
    ]);
    fs.renameSync(folder.at("in/came"), folder.at("out"));
    expect(await told.until("remove ~/in/came")).toEqual(["remove ~/in/came"]);
    folder.file("out/unseen");
    folder.file("in/end");
    expect(await told.until("access ~/in/end")).toEqual(["create ~/in/end", "access ~/in/end"]);
  });

  test("what is ignored stays so when it comes later, and names go into it and out of it", async () => {
    const ignore: string[] = [];
    const told = new Told((folder) => {
      fs.writeFileSync(`${folder}/file`, "");
      ignore.push(`${folder}/left`);
    }, { ignore });
    const { folder } = told;
    fs.mkdirSync(folder.at("left"));
    folder.file("left/unseen");
    await sleep(50);
    fs.renameSync(folder.at("file"), folder.at("left/file"));
    expect(await told.until("remove ~/file")).toEqual(["remove ~/file"]);
    fs.renameSync(folder.at("left/file"), folder.at("back"));
    expect(await told.until("create ~/back")).toEqual(["create ~/back"]);
  });

  test("the root goes and comes back", async () => {
    const told = new Told((folder) => {
      fs.mkdirSync(`${folder}/top`);
      return `${folder}/top`;
    });
    const { folder } = told;
    fs.rmdirSync(folder.at("top"));
    expect(await told.until("remove ~/top")).toEqual(["remove ~/top"]);
    fs.mkdirSync(folder.at("top"));
    await told.until("create ~/top");
    folder.file("top/file");
    expect(await told.until("access ~/top/file")).toContain("create ~/top/file");
  });
});

/** Many changes at no cost: equal ones that follow each other would be one, hence two files. */
function touch(folder: Folder, times: number): void {
  for (let index = 0; index < times; index++) fs.utimesSync(folder.at(`f${index % 2}`), index, 0);
}

describe("what is lost is said", () => {
  const before = (folder: string) => {
    for (const name of ["f0", "f1"]) fs.writeFileSync(`${folder}/${name}`, "");
  };

  test("by the kernel", async (context) => {
    const limit = Number(fs.readFileSync("/proc/sys/fs/inotify/max_queued_events", "utf8"));
    if (limit > 200_000) context.skip("the kernel keeps more events than a test should make");
    const told = new Told(before);
    const { folder } = told;
    touch(folder, limit + 1000);
    fs.rmSync(folder.at("f0"));
    folder.file("end");
    const lines = await told.until("create ~/end");
    expect(lines.filter((line) => line.startsWith("any"))).toEqual(["any ~"]);
    expect(lines.slice(lines.indexOf("any ~"))).toContain("remove ~/f0");
  });

  test("by us, when nobody reads two hundred thousand", async () => {
    using folder = new Folder();
    before(folder.path);
    using watcher = watchFs(folder.path);
    for (let round = 0; round < 30; round++) {
      touch(folder, 10_000);
      // Long enough for the watcher, whose reader is not there.
      await sleep(100);
    }
    const { value } = await watcher.next();
    expect(value).toMatchObject({ kind: "any", paths: [folder.path], flag: "rescan" });
    folder.file("end");
    for await (const { kind, paths } of watcher) {
      if (kind === "create" && paths[0] === folder.at("end")) break;
    }
  });
});
