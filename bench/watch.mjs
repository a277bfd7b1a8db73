// Watching trees: what is lost, what it costs, how soon it is told, and how long it takes to start. Our
// own face beside what each runtime has, chokidar, @parcel/watcher and, as the limit, bare inotify in C
// (`bench/peers/inotify.c`); a process each, and `bench/native/files.c` makes the files.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { must, root } from "../.ci/shell.mjs";
import { median } from "./common.mjs";

/** Who watches: our own face in both runtimes, and the others. */
const ours = [["own", "bun"], ["own", "deno"]];
const raw = [["own, raw", "bun"], ["own, raw", "deno"]];
const light = [["own, no snapshot", "bun"], ["own, no snapshot", "deno"]];
const built_in = [
  ["Deno.watchFs", "deno"],
  ["fs.watch", "bun"],
  ["fs.watch", "deno"],
  ["fs.watch", "node"],
];
const packages = [["chokidar", "bun"], ["chokidar", "node"], ["@parcel/watcher", "node"]];
const as_chokidar = [["own, as chokidar", "bun"], ["own, as chokidar", "deno"]];
const limit = [["C inotify", "native"]];
const all = [...limit, ...ours, ...built_in, ...packages];

/** Silence after which nothing more is expected, in milliseconds; these gather for long. */
const quiet_ms = (face, blocked) => blocked || /chokidar|parcel/.test(face) ? 800 : 250;

/**
 * What is done, on disk or in memory, and who watches. Work is given to `bench/native/files.c`, `before`
 * what is there at the start; `blocked`: the script has no time until it is done.
 */
function scenarios(tiny) {
  const files = tiny ? 200 : 10_000;
  const fan = tiny ? 5 : 100;
  const before = ["tree", 10, 10, 0];
  return {
    creates: {
      files,
      before,
      work: ["creates", files, 5000],
      watchers: [...all, ...raw, ...as_chokidar],
    },
    folders: { files, work: ["folders", files / 50, 50], watchers: all },
    fast: { files, before, work: ["creates", files, 64_000], memory: true, watchers: all },
    unread: {
      files: 4 * files,
      before,
      work: ["creates", 4 * files, 0],
      memory: true,
      blocked: true,
      watchers: [...ours, ...built_in],
    },
    churn: { files: files / 2.5, work: ["churn", files / 2.5, 4000], watchers: all },
    start: { files: 0, before: ["tree", fan, fan, 0], watchers: [...all, ...light] },
    full: { files: 0, before: ["tree", fan, fan, 10], memory: true, watchers: ours },
    rescan: {
      files: 0,
      before: ["tree", 10, 10, tiny ? 10 : 1000],
      work: ["touch", 10, 10, tiny ? 2 : 200],
      memory: true,
      blocked: true,
      watchers: ours,
    },
  };
}

export async function benchWatch(bench) {
  const { tools, output } = bench;
  const programs = { files: join(output, "files"), inotify: join(output, "inotify") };
  for (const [name, folder] of [["files", "native"], ["inotify", "peers"]]) {
    const source = join(root, `bench/${folder}/${name}.c`);
    must(tools.zig, ["cc", "-O2", "-Wall", "-Wextra", "-o", programs[name], source]);
  }
  const values = new Map();
  for (const [name, scenario] of Object.entries(scenarios(bench.tiny))) {
    for (let round = 0; round < (bench.tiny ? 1 : 3); round++) {
      // The others take minutes: once must do. When nothing is measured, it is enough that they run.
      const watchers = scenario.watchers.filter(([face]) =>
        face.startsWith("own") ||
        (bench.tiny ? name === "creates" : round === 0 || face === limit[0][0])
      );
      await measured(bench, programs, name, { ...scenario, watchers }, values);
    }
    console.log(`watch: ${name} is measured`);
  }
  tellAll(bench, (face, place, key) => {
    const found = values.get(`${face} ${place} ${key}`)?.filter((value) => value !== undefined);
    return found?.length ? median(found) : undefined;
  });
}

/** One round of one scenario: each watcher on a tree of its own, or on one that nobody changes. */
async function measured(bench, programs, name, scenario, values) {
  const shared = scenario.work === undefined ? placeOf(programs, scenario) : undefined;
  for (const [face, place] of scenario.watchers) {
    const folder = shared ?? placeOf(programs, scenario);
    const told = await watched(bench, programs, scenario, face, place, folder).catch((error) => {
      if (face.startsWith("own")) throw error;
      console.log(`watch: ${name}: ${error.message}`);
      return {};
    });
    for (const [key, value] of Object.entries(told)) {
      const full = `${face} ${place} ${name} ${key}`;
      values.set(full, [...values.get(full) ?? [], value]);
    }
    if (shared === undefined) rmSync(folder, { recursive: true });
  }
  if (shared !== undefined) rmSync(shared, { recursive: true });
}

/** A folder with what is there before. */
function placeOf(programs, { before, memory }) {
  const folder = mkdtempSync(join(memory ? "/dev/shm" : tmpdir(), "kevent-watch-"));
  if (before) must(programs.files, [before[0], folder, ...before.slice(1).map(String)]);
  return folder;
}

/** What one watcher tells about the work. */
async function watched(bench, programs, scenario, face, place, folder) {
  const { files, work, blocked } = scenario;
  const [made, heard, go] = ["made", "heard", "go"].map((name) => `${folder}.${name}`);
  const common = [folder, `${files}`, heard, `${quiet_ms(face, blocked)}`];
  const watcher = place === "native"
    ? new Watcher(programs.inotify, common)
    : new Watcher(...commandOf(bench, place, [face, ...common, ...(blocked ? [go] : [])]));
  try {
    const ready = await watcher.line();
    if (work !== undefined) {
      const [what, ...sizes] = work;
      const times = what === "creates" || what === "folders" ? [made] : [];
      await ended(spawn(programs.files, [what, folder, ...sizes.map(String), ...times]));
    }
    if (blocked) writeFileSync(go, "");
    const told = await watcher.end();
    const { info, ...numbers } = told;
    return {
      ready_ms: ready.ready_ms,
      rss: ready.rss,
      ...numbers,
      ...info,
      each: numbers.events / files,
      ...(files > 0 && work?.[0] !== "churn" ? latencies(made, heard) : {}),
    };
  } finally {
    for (const file of [made, heard, go]) rmSync(file, { force: true });
  }
}

/** From when each file was made until it was heard of, in milliseconds. */
function latencies(made, heard) {
  const [before, after] = [made, heard].map((file) => {
    const { buffer, byteOffset, length } = readFileSync(file);
    return new Float64Array(buffer.slice(byteOffset, byteOffset + length));
  });
  const sorted = after.map((time, index) => time - before[index]).filter((ms) => ms > -1e6).sort();
  const quantile = (share) => sorted[Math.floor(sorted.length * share)];
  return { p50_ms: quantile(0.5), p99_ms: quantile(0.99) };
}

function commandOf({ tools, env }, place, args) {
  const child = join(root, "bench/watch.child.mjs");
  const all_args = [child, ...args];
  switch (place) {
    case "bun":
      return [tools.bun, ["run", ...all_args], env];
    case "deno":
      return [tools.deno, ["run", "-A", "--v8-flags=--expose-gc", ...all_args], env];
    default:
      return [process.execPath, ["--expose-gc", ...all_args], env];
  }
}

/** A process that watches, and speaks in lines of JSON. */
class Watcher {
  #child;
  #lines;

  constructor(command, args, env = {}) {
    this.#child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ["pipe", "pipe", "inherit"],
      timeout: 60_000,
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async line() {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`Bench: ${this.#child.spawnargs.join(" ")} ended`);
    return JSON.parse(value);
  }

  /** Tells it that the work is done. */
  async end() {
    this.#child.stdin.end();
    const told = await this.line();
    await ended(this.#child);
    return told;
  }
}

async function ended(child) {
  const code = child.exitCode ?? await new Promise((resolve) => child.once("exit", resolve));
  if (code !== 0) throw new Error(`Bench: ${child.spawnargs.join(" ")} ended with ${code}`);
}

/** Rows of the table: the key of the value, its name and unit, and targets in Bun and in Deno. */
const rows = [
  ...[
    ["creates", "10,000 creates at 5,000/s: lost"],
    ["folders", "200 new directories x 50 files: lost"],
    ["fast", "10,000 creates at 64,000/s, in memory: lost"],
    ["unread", "40,000 creates unread: lost"],
  ].map(([key, what]) => ({ key: `${key} lost`, what, unit: "files", digits: 0, most: [0, 0] })),
  { key: "unread said", what: "the same: overflow said", unit: "times", digits: 0 },
  {
    key: "churn churnLost",
    what: "4,000 x (create, write, rename, delete): renames or deletes lost",
    unit: "files",
    digits: 0,
    most: [0, 0],
  },
  {
    key: "churn unpaired",
    what: "the same: renames not paired",
    alone: true,
    unit: "files",
    digits: 0,
    most: [0, 0],
  },
  {
    key: "creates each",
    what: "events per created file",
    unit: "events",
    digits: 2,
    most: [1, 1],
  },
  {
    key: "creates each",
    face: "own, raw",
    what: "events per created file, raw",
    unit: "events",
    digits: 2,
    most: [2, 2],
  },
  {
    key: "creates cpu_ms",
    what: "processor time for 10,000 creates",
    unit: "ms",
    most: [220, 300],
  },
  {
    key: "creates cpu_ms",
    face: "own, raw",
    what: "processor time for 10,000 creates, raw",
    unit: "ms",
  },
  { key: "creates p50_ms", what: "file made until callback, p50", unit: "ms", most: [0.4, 0.4] },
  { key: "creates p99_ms", what: "file made until callback, p99", unit: "ms", most: [2, 2] },
  {
    key: "creates cpu_ms",
    face: "own, as chokidar",
    what: "processor time for 10,000 creates, as chokidar",
    unit: "ms",
    most: [600, 600],
  },
  {
    key: "creates p50_ms",
    face: "own, raw",
    what: "file made until callback, raw, p50",
    unit: "ms",
  },
  { key: "creates p99_ms", face: "own, raw", what: "the same, raw, p99", unit: "ms" },
  {
    key: "start ready_ms",
    face: "own, no snapshot",
    what: "start on 10,000 directories, no snapshot: ready",
    unit: "ms",
    most: [130, 130],
  },
  {
    key: "start ready_ms",
    what: "start on 10,000 directories: ready",
    unit: "ms",
    most: [250, 250],
  },
  { key: "full ready_ms", what: "the same with 100,000 files in them: ready", unit: "ms" },
  { key: "folder bytes", what: "memory per directory", unit: "bytes", most: [160, 160] },
  { key: "file bytes", what: "memory per file in the snapshot", unit: "bytes", most: [96, 96] },
  { key: "rss bytes", what: "memory per directory, resident", unit: "bytes" },
  {
    key: "rescan told_ms",
    what: "rescan after overflow, 100,000 files, 20,000 changed",
    unit: "ms",
    most: [400, 400],
  },
  {
    key: "rescan turn_ms",
    what: "the same: the script was blocked for",
    unit: "ms",
    most: [5, 5],
  },
];

/** Whose numbers stand beside ours: those of the same runtime, and the rest beside the limit in C. */
const peers = {
  bun: [["fs.watch", "bun"], ["chokidar", "bun"]],
  deno: [["Deno.watchFs", "deno"], ["fs.watch", "deno"]],
  native: [["fs.watch", "node"], ["chokidar", "node"], ["@parcel/watcher", "node"]],
};

function tellAll(bench, value) {
  const places = { native: "C inotify", bun: "own", deno: "own" };
  for (const row of rows) {
    for (const [place, own] of Object.entries(places)) {
      const face = place === "native" ? own : row.face ?? own;
      if (place === "native" && row.face !== undefined) continue;
      const others = row.alone || row.face === "own, raw" ? [] : peers[place];
      tell(
        bench,
        row,
        place,
        valueOf(value, row, face, place),
        others.map(([name, runtime]) => ({
          name: runtime === "node" ? `${name} in Node` : name,
          value: valueOf(value, row, name, runtime),
        })),
      );
    }
  }
}

/** Some are made of others. */
function valueOf(value, { key }, face, place) {
  const get = (name) => value(face, place, name);
  const [start, full] = ["start", "full"].map((
    name,
  ) => [get(`${name} bytes`), get(`${name} nodes`)]);
  switch (key) {
    case "folder bytes":
      return start[0] / start[1];
    case "rss bytes":
      return get("start nodes") && get("start rss") / start[1];
    case "file bytes":
      return (full[0] - start[0]) / (full[1] - start[1]);
    default:
      return get(key);
  }
}

function tell(bench, row, place, value, others) {
  if (value === undefined || Number.isNaN(value)) return;
  const { what, unit, digits = 1, most } = row;
  const target = most?.[place === "deno" ? 1 : 0];
  bench.tell({
    what: `watch: ${what}`,
    place,
    value,
    unit,
    digits,
    peers: others.filter((peer) => peer.value !== undefined && !Number.isNaN(peer.value)),
    ...(target === undefined || place === "native"
      ? {}
      : { target: `<= ${target} ${unit}`, met: Number(value.toFixed(digits)) <= target }),
  });
}
