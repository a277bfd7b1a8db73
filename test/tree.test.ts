// Watched trees, by the complaints about other watchers that they answer.
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { pathToFileURL } from "node:url";
import process from "node:process";
import { describe, expect, test } from "vitest";
import {
  type Ignore,
  KEVENT_TREE_LIMIT,
  KeventError,
  Loop,
  Timer,
  Tree,
  TREE_RECORD_BYTES,
  TREE_RECORD_ERROR_NUMBER,
  TREE_RECORD_HEADER_BYTES,
  TREE_RECORD_INODE_0,
  TREE_RECORD_KIND,
  TREE_RECORD_PATH_BYTES,
  TREE_RECORD_SIZE_0,
  TREE_RECORD_TREE,
  type TreeEvent,
  TreeLimitError,
  type TreeOptions,
} from "../adapters/mod.ts";
import { watchTree } from "../adapters/watch.ts";
import { currentRuntime, type Runtime } from "../loop/host.ts";
import { openDescriptors } from "./support/descriptors.ts";
import { driven } from "./support/driven.ts";
import { Folder } from "./support/folder.ts";
import { libc } from "./support/libc.ts";
import { runFixture } from "./support/program.ts";
import { line, TreeWatch } from "./support/tree_watch.ts";
import { sleep } from "./support/worker.ts";

/** O_CREAT and O_WRONLY of open(2). */
const CREATE = 0o101;
const ENOMEM = 12;
const ENOSPC = 28;
const EMSGSIZE = 90;

/** A save as editors do it: another file takes the place. */
function saveAtomically(path: string, content: string): void {
  writeFileSync(`${path}.tmp`, content);
  renameSync(`${path}.tmp`, path);
}

describe("new directories", () => {
  test("pain 9 files in directories that were just made are told, each once", async () => {
    using folder = new Folder();
    using watch = new TreeWatch(folder.path);
    mkdirSync(folder.at("n/m/o"), { recursive: true });
    folder.file("n/m/o/deep");
    const names = Array.from({ length: 300 }, (_, index) => `d${index}`);
    for (const name of names) {
      mkdirSync(folder.at(name));
      folder.file(`${name}/file`);
    }
    await watch.until("create d299/file");
    await watch.quiet();
    const expected = ["n", "n/m", "n/m/o", "n/m/o/deep", ...names.flatMap((n) => [n, `${n}/file`])];
    expect(watch.lines.toSorted()).toEqual(expected.map((path) => `create ${path}`).toSorted());
  });

  test("pain 13 what was made after the start is watched as what was there before", async () => {
    using folder = new Folder();
    using watch = new TreeWatch(folder.path);
    mkdirSync(folder.at("new"));
    folder.file("new/file", "1");
    await watch.until("create new/file");
    await watch.quiet();
    watch.forget();
    appendFileSync(folder.at("new/file"), "2");
    await watch.until("modify new/file");
    unlinkSync(folder.at("new/file"));
    await watch.until("remove new/file");
    expect(watch.lines).toEqual(["modify new/file", "remove new/file"]);
  });
});

describe("losses", () => {
  test("pain 10 what the kernel drops is told all the same, after one overflow", async () => {
    const limit = Number(readFileSync("/proc/sys/fs/inotify/max_queued_events", "utf8"));
    using folder = new Folder();
    using watch = new TreeWatch(folder.path);
    await watch.ready();
    const count = Math.min(limit, 20_000) * 0.75;
    // In one go: nobody reads meanwhile. Each file is three events of the kernel.
    for (let index = 0; index < count; index++) folder.file(`f${index}`, "x");
    await watch.until(`create f${count - 1}`);
    await watch.quiet(200);
    const created = new Set(watch.of("create").map((event) => event.path));
    expect(created.size).toBe(count);
    expect(watch.of("create").length).toBe(count);
    expect(watch.of("overflow").length).toBe(watch.tree.info().overflows);
    if (limit <= 16384) expect(watch.of("overflow").length).toBeGreaterThan(0);
    if (watch.of("overflow").length > 0) {
      expect(watch.of("create").some((event) => event.reconciled)).toBe(true);
    }
  }, 20_000);
});

describe("one file", () => {
  test("pain 11 each atomic save is told once, and the file is watched on", async () => {
    using folder = new Folder();
    const path = folder.file("file", "0");
    using watch = new TreeWatch(path);
    await watch.ready();
    for (const content of ["1", "2", "3"]) {
      watch.forget();
      saveAtomically(path, content);
      await watch.quiet();
      expect(watch.lines.length, watch.lines.join()).toBe(1);
      expect(watch.events[0]!.path).toBe("");
    }
  });

  test("pain 11 it may be removed and made again", async () => {
    using folder = new Folder();
    const path = folder.file("file", "0");
    using watch = new TreeWatch(path);
    await watch.ready();
    unlinkSync(path);
    await watch.until("remove");
    folder.file("file", "again");
    await watch.until("create");
    await watch.quiet();
    watch.forget();
    appendFileSync(path, "more");
    await watch.until("modify");
    folder.file("sibling");
    await watch.quiet();
    expect(watch.lines).toEqual(["modify"]);
  });

  test("pain 12 of an atomic save in a tree the name that stays is told", async () => {
    using folder = new Folder();
    folder.file("file", "0");
    using watch = new TreeWatch(folder.path);
    await watch.ready();
    saveAtomically(folder.at("file"), "1");
    await watch.until("rename file.tmp -> file");
    expect(watch.of("rename")[0]!.replaced).toBe(true);
  });

  test("pain 12 with the temporary name left out it is a change of the file", async () => {
    using folder = new Folder();
    folder.file("file", "0");
    using watch = new TreeWatch(folder.path, { ignore: "*.tmp" });
    await watch.ready();
    saveAtomically(folder.at("file"), "11");
    await watch.quiet();
    expect(watch.lines).toEqual(["modify file"]);
    const [event] = watch.of("modify");
    expect([event!.replaced, event!.stat?.size]).toEqual([true, 2]);
  });
});

describe("renames", () => {
  test("pain 18 a rename is one event with both names, of directories too", async () => {
    using folder = new Folder();
    mkdirSync(folder.at("a"));
    folder.file("a/file");
    using watch = new TreeWatch(folder.path);
    await watch.ready();
    renameSync(folder.at("a/file"), folder.at("a/new"));
    renameSync(folder.at("a"), folder.at("b"));
    folder.file("b/later");
    await watch.until("create b/later");
    expect(watch.lines).toEqual(["rename a/file -> a/new", "rename a -> b", "create b/later"]);
  });

  test("pain 17 a directory that was moved out is silent afterwards", async () => {
    using folder = new Folder();
    mkdirSync(folder.at("tree/sub"), { recursive: true });
    folder.file("tree/sub/file");
    using watch = new TreeWatch(folder.at("tree"));
    await watch.ready();
    renameSync(folder.at("tree/sub"), folder.at("sub"));
    await watch.until("remove sub");
    await watch.quiet();
    const implied = watch.of("remove").map((event) => `${event.path} ${event.implied}`);
    expect(implied).toEqual(["sub/file true", "sub false"]);
    watch.forget();
    folder.file("sub/late");
    folder.file("tree/sentinel");
    await watch.until("create sentinel");
    expect(watch.lines).toEqual(["create sentinel"]);
  });
});

describe("who hears what", () => {
  test("pain 14 two trees hear of their own, and one event for each change", async () => {
    using folder = new Folder();
    for (const name of ["one", "two"]) mkdirSync(folder.at(name));
    using loop = new Loop();
    const heard: string[] = [];
    for (const name of ["one", "two"]) {
      new Tree(loop).start(folder.at(name), {}, (event) => {
        if (event.kind !== "ready") heard.push(`${name}: ${line(event)}`);
      });
    }
    folder.file("one/a", "1");
    folder.file("two/b", "2");
    saveAtomically(folder.at("two/b"), "3");
    await sleep(150);
    expect(heard.filter((text) => text.startsWith("one"))).toEqual(["one: create a"]);
    expect(heard.filter((text) => text === "two: rename b.tmp -> b").length).toBe(1);
    expect(heard.filter((text) => text.startsWith("two: create b")).length).toBe(2);
  });

  test("pain 20 the first write right after the start is told", async () => {
    using folder = new Folder();
    mkdirSync(folder.at("sub"));
    using watch = new TreeWatch(folder.path);
    folder.file("first", "1");
    await watch.until("create first");
    await watch.ready();
    folder.file("sub/second", "2");
    await watch.until("create sub/second");
  });

  test("pain 20 after a look at once it is told of directories too", async () => {
    using folder = new Folder();
    mkdirSync(folder.at("sub"));
    folder.file("sub/file", "0");
    using watch = new TreeWatch(folder.path);
    watch.tree.scan();
    appendFileSync(folder.at("sub/file"), "1");
    await watch.until("modify sub/file");
  });

  // The library looks before it has heard what came since the start.
  test("pain 20 a file that is made before a look at once is new", async () => {
    using folder = new Folder();
    using watch = new TreeWatch(folder.path);
    folder.file("first", "1");
    watch.tree.scan();
    await watch.quiet(100);
    expect(watch.lines).toEqual(["create first"]);
  });

  test("pain 19 symbolic links are names, and gone through on demand", async () => {
    using folder = new Folder();
    mkdirSync(folder.at("tree"));
    mkdirSync(folder.at("elsewhere"));
    symlinkSync(folder.at("elsewhere"), folder.at("tree/link"));
    // Round and round.
    symlinkSync("..", folder.at("elsewhere/up"));
    using plain = new TreeWatch(folder.at("tree"));
    using through = new TreeWatch(folder.at("tree"), { followSymlinks: true });
    await plain.ready();
    await through.ready();
    folder.file("elsewhere/file");
    await through.until("create link/file");
    await plain.quiet();
    expect(plain.lines).toEqual([]);
  });
});

test("pain 16 a root that is unmounted is compared with what is there then, and again when it is back", async (context) => {
  using folder = new Folder();
  const place = folder.at("place");
  mkdirSync(place);
  folder.file("place/below");
  const mount = (): void => void execFileSync("mount", ["-t", "tmpfs", "kevent", place]);
  const unmount = (): void => void execFileSync("umount", [place]);
  try {
    mount();
  } catch (error) {
    context.skip(`nothing can be mounted here: ${(error as Error).message}`);
  }
  using ending = new DisposableStack();
  ending.defer(unmount);
  folder.file("place/above");
  using watch = new TreeWatch(place, { pollMs: 20 });
  await watch.ready();
  unmount();
  await watch.until("remove above");
  await watch.until("create below");
  mount();
  folder.file("place/anew");
  await watch.until("create anew");
  await watch.until("remove below");
  folder.file("place/later");
  await watch.until("create later");
  expect(watch.of("error")).toEqual([]);
});

describe("names of one file", () => {
  test("pain 19 what is written by one of its hard links is told of the others too", async () => {
    using folder = new Folder();
    mkdirSync(folder.at("a"));
    folder.file("a/one", "1");
    using watch = new TreeWatch(folder.path);
    await watch.ready();
    linkSync(folder.at("a/one"), folder.at("two"));
    await watch.until("create two");
    folder.file("two", "22");
    await watch.until("modify a/one");
    await watch.quiet();
    expect(watch.lines).toEqual(["create two", "modify two", "modify a/one"]);
    expect(watch.of("modify").map(({ stat }) => stat!.size)).toEqual([2, 2]);
  });

  test("pain 19 a link to a file changes with it, and with where it leads, when links are gone through", async () => {
    using folder = new Folder();
    mkdirSync(folder.at("tree"));
    for (const name of ["one", "two"]) folder.file(name, "1");
    symlinkSync("../one", folder.at("tree/link"));
    using plain = new TreeWatch(folder.at("tree"));
    using through = new TreeWatch(folder.at("tree"), { followSymlinks: true, pollMs: 20 });
    await plain.ready();
    await through.ready();
    folder.file("one", "22");
    await through.until("modify link");
    expect(through.of("modify")[0]).toMatchObject({ symlink: true, stat: { size: 2 } });
    through.forget();
    // As those do who install things.
    folder.file("spare", "333");
    renameSync(folder.at("spare"), folder.at("one"));
    await through.until("modify link");
    expect(plain.lines).toEqual([]);
    through.forget();
    rmSync(folder.at("tree/link"));
    await through.until("remove link");
    symlinkSync("../two", folder.at("tree/link"));
    await through.until("create link");
    folder.file("two", "55555");
    await through.until("modify link");
    await through.quiet();
    expect(through.lines).toEqual(["remove link", "create link", "modify link"]);
  });
});

describe("links on the way to a root", () => {
  /** As Kubernetes mounts a ConfigMap: `key` leads through `..data`, which is replaced. */
  function configMap(folder: Folder): { next: (content: string) => void } {
    let version = 0;
    const next = (content: string): void => {
      const old = version++;
      mkdirSync(folder.at(`..${version}`));
      folder.file(`..${version}/key`, content);
      symlinkSync(`..${version}`, folder.at("..data_tmp"));
      renameSync(folder.at("..data_tmp"), folder.at("..data"));
      if (old > 0) rmSync(folder.at(`..${old}`), { recursive: true });
    };
    next("1");
    symlinkSync("..data/key", folder.at("key"));
    return { next };
  }

  test("a file is watched on when links to it are swapped, and each swap is told once", async () => {
    using folder = new Folder();
    const { next } = configMap(folder);
    using watch = new TreeWatch(folder.at("key"));
    await watch.ready();
    for (const content of ["22", "333"]) {
      watch.forget();
      next(content);
      await watch.until("modify");
      await watch.quiet();
      expect(watch.lines).toEqual(["modify"]);
      expect(watch.of("modify")[0]).toMatchObject({
        replaced: true,
        stat: { size: content.length },
      });
    }
    watch.forget();
    writeFileSync(folder.at("key"), "4444");
    await watch.until("modify");
    expect(watch.of("modify")[0]!.stat!.size).toBe(4);
  });

  test("a file whose link goes is gone, and back when the link is", async () => {
    using folder = new Folder();
    folder.file("one", "1");
    symlinkSync("one", folder.at("link"));
    using watch = new TreeWatch(folder.at("link"));
    await watch.ready();
    rmSync(folder.at("link"));
    await watch.until("remove");
    folder.file("two", "22");
    symlinkSync("two", folder.at("link"));
    await watch.until("create");
    folder.file("one", "silent");
    folder.file("two", "333");
    await watch.until("modify");
    await watch.quiet();
    expect(watch.lines).toEqual(["remove", "create", "modify"]);
  });

  test("a directory whose link is swapped is compared with the other one, and that is watched", async () => {
    using folder = new Folder();
    for (const name of ["one", "two"]) mkdirSync(folder.at(name));
    folder.file("one/old");
    folder.file("two/new");
    symlinkSync("one", folder.at("link"));
    using watch = new TreeWatch(folder.at("link"));
    await watch.ready();
    symlinkSync("two", folder.at("spare"));
    renameSync(folder.at("spare"), folder.at("link"));
    await watch.until("create new");
    await watch.until("remove old");
    folder.file("one/silent");
    folder.file("two/file");
    await watch.until("create file");
    expect(watch.lines.toSorted()).toEqual(["create file", "create new", "remove old"]);
  });
});

describe("ignore", () => {
  /** What is told of a fixed set of names. */
  async function told(ignore: Ignore | readonly Ignore[]): Promise<string[]> {
    using folder = new Folder();
    const path = folder.at("tree");
    mkdirSync(path);
    using watch = new TreeWatch(path, { ignore });
    mkdirSync(folder.at("tree/src/dist"), { recursive: true });
    mkdirSync(folder.at("tree/dist"));
    for (const name of ["dist/a.js", "src/dist/b.js", "src/main.ts", "src/.main.swp", "[id]"]) {
      folder.file(`tree/${name}`);
    }
    folder.file("tree/end");
    await watch.until("create end");
    await watch.quiet();
    return watch.of("create").map((event) => event.path).filter((name) => name !== "end")
      .toSorted();
  }

  const ALL = ["[id]", "dist", "dist/a.js", "src", "src/.main.swp", "src/dist", "src/dist/b.js"];
  const SEEN = [...ALL, "src/main.ts"];
  const without = (pattern: RegExp): string[] => SEEN.filter((path) => !pattern.test(path));

  test.each<[string, Ignore | readonly Ignore[], string[]]>([
    ["a name, at any depth", "dist", without(/dist/)],
    ["a path, from the root on", "src/dist", without(/src.dist/)],
    ["the same with ./", "./src/dist", without(/src.dist/)],
    ["a directory", "dist/", without(/dist/)],
    ["a directory, which a file is not", "main.ts/", SEEN],
    ["a glob of names", "*.swp", without(/swp/)],
    ["a glob of paths", "src/**", without(/src/)],
    ["a glob of both", "**/dist/**", without(/dist/)],
    ["a name that looks like a glob", "[id]", without(/\[id/)],
    ["a regular expression", /^src\/d/g, without(/src.dist/)],
    ["a function", (path, directory) => directory && path === "dist", without(/^dist/)],
    ["several", ["dist", /\.swp$/], without(/dist|swp/)],
    ["none of several", [], SEEN],
    ["a path elsewhere", "/nowhere/dist", SEEN],
  ])("pain 22 %s is left out", async (_name, ignore, expected) => {
    expect(await told(ignore)).toEqual(expected);
  });

  test("pain 22 an absolute path is one from the root on", async () => {
    using folder = new Folder();
    mkdirSync(folder.at("dist"));
    mkdirSync(folder.at("src/dist"), { recursive: true });
    using watch = new TreeWatch(folder.path, { ignore: folder.at("dist") });
    watch.tree.scan();
    folder.file("dist/a");
    folder.file("src/dist/b");
    await watch.until("create src/dist/b");
    await watch.quiet();
    expect(watch.lines).toEqual(["create src/dist/b"]);
  });

  test("pain 15 what is left out costs no watch, and its function is asked of directories first", async () => {
    using folder = new Folder();
    mkdirSync(folder.at("node_modules/a/b/c"), { recursive: true });
    mkdirSync(folder.at("src"));
    const asked: string[] = [];
    using watch = new TreeWatch(folder.path, {
      ignore: (path, directory) => {
        asked.push(`${path} ${directory}`);
        return path === "node_modules";
      },
    });
    await watch.ready();
    expect(watch.tree.info().directories).toBe(2);
    expect(asked.toSorted()).toEqual(["node_modules true", "src true"]);
  });

  test("pain 22 renames from and to what is left out are told of the other name", async () => {
    using folder = new Folder();
    folder.file("a.tmp");
    folder.file("b");
    using watch = new TreeWatch(folder.path, { ignore: "*.tmp" });
    await watch.ready();
    renameSync(folder.at("a.tmp"), folder.at("a"));
    renameSync(folder.at("b"), folder.at("b.tmp"));
    renameSync(folder.at("b.tmp"), folder.at("c.tmp"));
    await watch.quiet();
    expect(watch.lines).toEqual(["create a", "remove b"]);
  });

  test("pain 22 a directory that gets a name that is left out is silent, and back again", async () => {
    using folder = new Folder();
    mkdirSync(folder.at("src"));
    folder.file("src/file");
    using watch = new TreeWatch(folder.path, { ignore: "dist" });
    await watch.ready();
    renameSync(folder.at("src"), folder.at("dist"));
    await watch.until("remove src");
    folder.file("dist/new");
    await watch.quiet();
    expect(watch.lines.filter((text) => text.includes("dist"))).toEqual([]);
    watch.forget();
    renameSync(folder.at("dist"), folder.at("lib"));
    await watch.until("create lib");
    folder.file("lib/newer");
    await watch.until("create lib/newer");
  });

  test("an error of a function is told, and nothing is left out by it", async () => {
    using folder = new Folder();
    const { host, library } = currentRuntime();
    const reported: unknown[] = [];
    const runtime = { host: { ...host, report: (e: unknown) => void reported.push(e) }, library };
    const ignore = () => {
      throw new Error("on purpose");
    };
    using watch = new TreeWatch(folder.path, { ignore }, { runtime });
    mkdirSync(folder.at("sub"));
    folder.file("sub/file");
    await watch.until("create sub/file");
    await watch.quiet();
    expect(reported.length).toBeGreaterThan(1);
    expect(String(reported[0])).toBe("Error: on purpose");
  });
});

describe("life", () => {
  test("pain 22 it can be unref'd before the first event, and events come all the same", async () => {
    using folder = new Folder();
    using watcher = watchTree(folder.path).unref();
    const first = watcher.next();
    folder.file("file");
    const kinds = [(await first).value?.kind, (await watcher.next()).value?.kind];
    expect(kinds.toSorted()).toEqual(["create", "ready"]);
  });

  test("pain 22 the process lives for a tree that is ref'd, and for no other", async () => {
    using folder = new Folder();
    const { code, output, errors } = await runFixture("tree-alive", [folder.path]);
    expect({ code, errors }).toEqual({ code: 0, errors: "" });
    expect(output.trim()).toBe("create last");
  });

  test("it may close itself in its callback, and hears nothing more", async () => {
    using folder = new Folder();
    using loop = new Loop();
    const heard: string[] = [];
    const tree = new Tree(loop).start(folder.path, {}, (event) => {
      heard.push(line(event));
      if (event.kind === "create") tree.close();
    });
    for (let index = 0; index < 20; index++) folder.file(`f${index}`);
    await sleep(100);
    expect(heard.filter((text) => text !== "ready").length).toBe(1);
    expect(() => tree.start(folder.path, {}, () => {})).toThrow(KeventError);
  });

  test("a callback may stop others, start others, look at once and close the loop", async () => {
    using folder = new Folder();
    mkdirSync(folder.at("sub"));
    const loop = new Loop();
    const heard: string[] = [];
    const other = new Tree(loop).start(folder.path, {}, () => heard.push("other"));
    const second = new Tree(loop);
    const first = new Tree(loop).start(folder.path, {}, (event) => {
      if (event.kind !== "create" || heard.includes("first")) return;
      heard.push("first");
      other.stop();
      const before = heard.filter((text) => text === "other").length;
      second.start(folder.at("sub"), { initial: true, ignore: "x" }, (found) => {
        heard.push(`second ${line(found)}`);
        expect(heard.filter((text) => text === "other").length).toBe(before);
        if (found.kind === "ready") void loop.close();
      }).scan();
    });
    for (const name of ["a", "b", "sub/c"]) folder.file(name);
    while (!loop.closed) await sleep(1);
    folder.file("late");
    await sleep(50);
    expect(heard.filter((text) => text.startsWith("second"))).toEqual([
      "second create c",
      "second ready",
    ]);
    expect([first.active, second.active, other.active]).toEqual([false, false, false]);
  });

  test("it can be started anew with another path; a start that fails changes nothing", async () => {
    using folder = new Folder();
    mkdirSync(folder.at("one"));
    mkdirSync(folder.at("two"));
    using loop = new Loop();
    const heard: string[] = [];
    const record = (event: TreeEvent) => void (event.kind === "ready" || heard.push(line(event)));
    const tree = new Tree(loop).start(folder.at("one"), {}, record);
    expect(() => tree.start(folder.at("nowhere"), {}, record)).toThrow(/nowhere: ENOENT/);
    expect(() => tree.start(folder.at("two"), { depth: -1 }, record)).toThrow(/depth/);
    folder.file("one/a");
    await sleep(60);
    tree.start(folder.at("two"), {}, record);
    folder.file("one/b");
    folder.file("two/c");
    await sleep(60);
    expect(heard).toEqual(["create a", "create c"]);
  });

  test("an exception is the runtime's, and the other events come afterwards", async () => {
    using folder = new Folder();
    const { host, library } = currentRuntime();
    const reported: string[] = [];
    const runtime = {
      host: { ...host, report: (error: unknown) => void reported.push(String(error)) },
      library,
    };
    using loop = new Loop({ runtime });
    const heard: string[] = [];
    new Tree(loop).start(folder.path, {}, (event) => {
      heard.push(line(event));
      if (event.kind === "create") throw new Error(event.path);
    });
    const names = Array.from({ length: 20 }, (_, index) => `f${index}`);
    for (const name of names) folder.file(name);
    await sleep(200);
    expect(heard.filter((text) => text !== "ready")).toEqual(names.map((name) => `create ${name}`));
    expect(reported).toEqual(names.map((name) => `Error: ${name}`));
  });

  test("microtasks run between two callbacks", async () => {
    using folder = new Folder();
    using loop = new Loop();
    const order: string[] = [];
    new Tree(loop).start(folder.path, {}, ({ kind, path }) => {
      if (kind === "ready") return;
      order.push(path);
      queueMicrotask(() => order.push(`after ${path}`));
    });
    folder.file("a");
    folder.file("b");
    await sleep(100);
    expect(order).toEqual(["a", "after a", "b", "after b"]);
  });

  test("a flood does not starve timers", async () => {
    using folder = new Folder();
    using loop = new Loop();
    let told = 0;
    let toldAtTimer = 0;
    new Tree(loop).start(folder.path, {}, () => void told++);
    for (let index = 0; index < 3000; index++) folder.file(`f${index}`);
    await new Promise<void>((resolve) =>
      new Timer(loop).start(() => resolve(void (toldAtTimer = told)), 0)
    );
    expect(toldAtTimer).toBeLessThan(1500);
    while (told < 3001) await sleep(1);
  });

  test("run of a driven loop tells, and ends when the tree does", () => {
    using folder = new Folder();
    using loop = driven();
    const heard: string[] = [];
    const tree = new Tree(loop).start(folder.path, {}, (event) => {
      if (event.kind !== "ready") heard.push(line(event));
      if (event.path === "b") tree.close();
    });
    folder.file("a");
    folder.file("b");
    expect(loop.run()).toBe(false);
    expect(heard).toEqual(["create a", "create b"]);
  });

  test("nothing is left open", async () => {
    using folder = new Folder();
    const use = async (): Promise<void> => {
      const loop = new Loop();
      const tree = new Tree(loop).start(folder.path, {}, () => {});
      await sleep(5);
      tree.close();
      new Tree(loop).start(folder.path, {}, () => {});
      await loop.close();
    };
    await use();
    const before = openDescriptors();
    for (let times = 0; times < 5; times++) await use();
    expect([...openDescriptors()].filter((fd) => !before.has(fd))).toEqual([]);
  });
});

describe("limits", () => {
  test("pain 15 a directory that cannot be read is told, and the rest is watched", async (context) => {
    if (process.getuid?.() === 0) context.skip("root may read everything");
    using folder = new Folder();
    mkdirSync(folder.at("closed"));
    mkdirSync(folder.at("open"));
    chmodSync(folder.at("closed"), 0);
    using watch = new TreeWatch(folder.path);
    await watch.ready();
    chmodSync(folder.at("closed"), 0o700);
    expect(watch.of("error").map((event) => event.path)).toEqual(["closed"]);
    expect(watch.of("error")[0]!.error).toMatchObject({ code: "EACCES" });
    folder.file("open/file");
    await watch.until("create open/file");
  });

  test("pain 15 two hundred trees share what there is of inotify", () => {
    using folder = new Folder();
    using loop = new Loop();
    const before = openDescriptors().size;
    for (let count = 0; count < 200; count++) new Tree(loop).start(folder.path, {}, () => {});
    expect(openDescriptors().size - before).toBeLessThan(8);
  });

  test("pain 16 a tree can be polled, and says so", async () => {
    using folder = new Folder();
    using watch = new TreeWatch(folder.path, { usePolling: true, pollMs: 10 });
    await watch.ready();
    folder.file("file");
    await watch.until("create file");
    expect(watch.tree.info()).toMatchObject({ mode: "polling", ready: true });
    expect(watch.tree.info().reason).toBeTypeOf("string");
  });

  test("pain 13 a root may come later", async () => {
    using folder = new Folder();
    using watch = new TreeWatch(folder.at("a/b"), { wait: true });
    mkdirSync(folder.at("a/b"), { recursive: true });
    folder.file("a/b/file");
    await watch.until("create file");
  });

  test("pain 23 a file that was written and closed says so", async () => {
    using folder = new Folder();
    using watch = new TreeWatch(folder.path);
    await watch.ready();
    folder.file("file", "text");
    await watch.until("create file");
    const [event] = watch.of("create");
    expect(event).toMatchObject({ closed: true, directory: false, symlink: false });
    expect(event!.stat).toMatchObject({ size: 4 });
    expect(Math.abs(event!.stat!.mtimeNs / 1e6 - Date.now())).toBeLessThan(10_000);
  });

  test("names that are no UTF-8 keep their bytes", async () => {
    using folder = new Folder();
    using watch = new TreeWatch(folder.path);
    await watch.ready();
    const name = Uint8Array.of(0x61, 0xff, 0x62);
    const path = new Uint8Array([...new TextEncoder().encode(`${folder.path}/`), ...name, 0]);
    libc.close(libc.open(path, CREATE, 0o644));
    folder.file("\ufeffmark");
    await watch.until("create \ufeffmark");
    const [odd, marked] = watch.of("create");
    expect(odd!.path).toBe("a\ufffdb");
    expect([...odd!.pathBytes]).toEqual([...name]);
    expect(new TextDecoder("utf-8", { ignoreBOM: true }).decode(marked!.pathBytes)).toBe(
      "\ufeffmark",
    );
  });
});

describe("what the library may say", () => {
  type Read = Runtime["library"]["calls"]["kevent_forest_read"];

  /** The runtime with another way to read. */
  function reading(read: (native: Read, ...parameters: Parameters<Read>) => number): Runtime {
    const { host, library } = currentRuntime();
    const { calls } = library;
    const kevent_forest_read: Read = (...list) => read(calls.kevent_forest_read, ...list);
    return { host, library: { ...library, calls: { ...calls, kevent_forest_read } } };
  }

  test("a record that is too long for the buffer gets a longer one", async () => {
    using folder = new Folder();
    let longest = 0;
    const runtime = reading((native, fd, bytes, length, budget) => {
      longest = Math.max(longest, length);
      return length < 200_000 ? -EMSGSIZE : native(fd, bytes, length, budget);
    });
    using watch = new TreeWatch(folder.path, {}, { runtime });
    folder.file("file");
    await watch.until("create file");
    expect(longest).toBe(262_144);
  });

  test("a read that fails is told once, and tried again", async () => {
    using folder = new Folder();
    let fails = 2;
    const runtime = reading((native, ...list) => fails-- > 0 ? -ENOMEM : native(...list));
    using watch = new TreeWatch(folder.path, {}, { runtime });
    folder.file("file");
    await watch.until("create file");
    const errors = watch.of("error").map(({ path, error }) => [path, (error as KeventError).code]);
    expect(errors).toEqual([["", "ENOMEM"]]);
  });

  test("pain 15 a limit is told with its numbers", async () => {
    using folder = new Folder();
    let limits = 1;
    const runtime = reading((native, fd, bytes, length, budget) => {
      if (limits-- <= 0) return native(fd, bytes, length, budget);
      const words = new Uint32Array(bytes.buffer);
      const size = TREE_RECORD_HEADER_BYTES + 8;
      words.fill(0, 0, size / 4);
      words[TREE_RECORD_BYTES / 4] = size;
      words[TREE_RECORD_TREE / 4] = number;
      words[TREE_RECORD_KIND / 4] = KEVENT_TREE_LIMIT;
      words[TREE_RECORD_INODE_0 / 4] = 8191;
      words[TREE_RECORD_SIZE_0 / 4] = 8192;
      words[TREE_RECORD_ERROR_NUMBER / 4] = ENOSPC;
      words[TREE_RECORD_PATH_BYTES / 4] = 3;
      bytes.set(new TextEncoder().encode("sub"), TREE_RECORD_HEADER_BYTES);
      return size;
    });
    let number = 0;
    const { kevent_tree_add } = runtime.library.calls;
    const calls = {
      ...runtime.library.calls,
      kevent_tree_add: (...list: Parameters<typeof kevent_tree_add>) =>
        number = kevent_tree_add(...list),
    };
    const library = { ...runtime.library, calls };
    using watch = new TreeWatch(folder.path, {}, { runtime: { ...runtime, library } });
    await watch.until("limit sub");
    const { error } = watch.of("limit")[0]!;
    expect(error).toBeInstanceOf(TreeLimitError);
    expect(error).toMatchObject({ code: "ENOSPC", limit: 8192, used: 8191 });
    expect(error!.message).toContain("8191 inotify watches are in use here and 8192 are allowed");
  });
});

describe("arguments", () => {
  test.each<[string, unknown, RegExp]>([
    ["recursive", 1, /recursive must be true or false, not 1/],
    ["snapshot", "yes", /snapshot must be true or false, not "yes"/],
    ["depth", 1.5, /depth must be a whole number from 0/],
    ["coalesceMs", -1, /coalesceMs must be a whole number from 0 to 60000/],
    ["pollMs", 0, /pollMs must be a whole number from 1/],
    ["ignore", 7, /ignore must be text, a RegExp or a function, not 7/],
    ["ignore", "", /ignore must name something, not ""/],
    ["ignore", ["a", null], /ignore must be text, .* not null/],
    ["ignore", "./", /ignore must not be the tree itself/],
    ["ignore", async () => await Promise.resolve(true), /must answer at once, not by a promise/],
  ])("EINVAL for %s: %s", (name, value, message) => {
    using folder = new Folder();
    using loop = new Loop();
    const tree = new Tree(loop);
    const options = { [name]: value } as TreeOptions;
    expect(() => tree.start(folder.path, options, () => {})).toThrow(message);
    expect(() => tree.start(folder.path, options, () => {})).toThrow(
      expect.objectContaining({ code: "EINVAL" }),
    );
    expect(tree.active).toBe(false);
  });

  test.each<[unknown, string, RegExp]>([
    ["", "EINVAL", /path must not be empty/],
    ["a\0b", "EINVAL", /path must not hold a zero byte/],
    [7, "EINVAL", /path must be a path or a URL object, not 7/],
    [new URL("https://a.example/"), "EINVAL", /must be of the kind file:/],
    ["/nowhere/at/all", "ENOENT", /watch tree \/nowhere\/at\/all: ENOENT/],
    ["/proc/self/exe/sub", "ENOTDIR", /no directory/],
  ])("a path %j gets %s", (path, code, message) => {
    using loop = new Loop();
    const tree = new Tree(loop);
    const start = () => tree.start(path as string, {}, () => {});
    expect(start).toThrow(message);
    expect(start).toThrow(expect.objectContaining({ code }));
    expect(tree.active).toBe(false);
  });

  test("the rest of them", () => {
    using folder = new Folder();
    const loop = new Loop();
    const tree = new Tree(loop);
    const start = (options: unknown, callback: unknown) => () =>
      tree.start(folder.path, options as TreeOptions, callback as () => void);
    expect(start(undefined, () => {})).toThrow(/options must be an object/);
    expect(start(() => {}, undefined)).toThrow(
      /options must be an object such as {}, not a function/,
    );
    expect(start({}, undefined)).toThrow(/callback must be a function/);
    expect(() => tree.start("relative", { ignore: "/abs" }, () => {})).toThrow(/absolute path/);
    expect(() => tree.scan()).toThrow(/it was not started/);
    expect(() => tree.info()).toThrow(/it was not started/);
    tree.start(pathToFileURL(folder.path), {}, () => {});
    expect(tree.info()).toMatchObject({ mode: "inotify", reason: undefined, overflows: 0 });
    void loop.close();
    expect(start({}, () => {})).toThrow(/EBADF/);
    expect(() => tree.info()).toThrow(/it was not started/);
  });
});

describe("watchTree", () => {
  test("nothing is lost while nobody asks", async () => {
    using folder = new Folder();
    await using watcher = watchTree(folder.path);
    for (let index = 0; index < 2000; index++) folder.file(`f${index}`);
    while (watcher.waiting < 2001) await sleep(1);
    const seen: string[] = [];
    for await (const event of watcher) {
      seen.push(line(event));
      if (seen.length === 2001) break;
    }
    expect(watcher.closed).toBe(true);
    expect(new Set(seen).size).toBe(2001);
    expect(await watcher.next()).toEqual({ value: undefined, done: true });
  });

  test("closed, whoever waits gets done", async () => {
    using folder = new Folder();
    const watcher = watchTree(folder.path);
    await watcher.next();
    const waiting = [watcher.next(), watcher.next()];
    watcher.close();
    watcher.close();
    expect((await Promise.all(waiting)).map(({ done }) => done)).toEqual([true, true]);
  });

  test("a signal rejects who waits, or asks next, once", async () => {
    using folder = new Folder();
    const one = new AbortController();
    const waits = watchTree(folder.path, { signal: one.signal });
    await waits.next();
    const next = waits.next();
    one.abort(new Error("enough"));
    await expect(next).rejects.toThrow("enough");
    expect((await waits.next()).done).toBe(true);

    const two = new AbortController();
    const asks = watchTree(folder.path, { signal: two.signal });
    two.abort(new Error("too much"));
    await expect(asks.next()).rejects.toThrow("too much");
    expect((await asks.next()).done).toBe(true);
    expect(() => watchTree(folder.path, { signal: two.signal })).toThrow("too much");
  });

  test("its arguments are checked", () => {
    expect(() => watchTree("/nowhere")).toThrow(/ENOENT/);
    expect(() => watchTree("/", null as unknown as object)).toThrow(/options must be an object/);
    const signal = {} as AbortSignal;
    expect(() => watchTree("/", { signal })).toThrow(/signal must be an AbortSignal/);
  });
});
