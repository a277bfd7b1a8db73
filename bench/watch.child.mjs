// One watcher that `bench/watch.mjs` measures, in Bun, Deno or Node. Prints a line when all is watched;
// once its input ends and nothing came for a while, one JSON object, and writes to <times> when each
// file `f<index>` was heard of. With <go> the script has no time for anything until there is that file.
//
//   <program> <face> <folder> <files> <times> <milliseconds of quiet> [<go>]

import { existsSync, watch, writeFileSync } from "node:fs";
import process from "node:process";

const [, , face, folder, count, times, quiet, go] = process.argv;
const files = Number(count);
const at = new Float64Array(files);
const churned = new Uint8Array(files);
let events = 0;
let said = 0;
let last = 0;

/** Milliseconds since 1970 at which `performance.now()` was 0, found by looking for a full one. */
function epoch() {
  let best = -Infinity;
  for (let n = 0; n < 10; n++) {
    const before = Date.now();
    let now = Date.now();
    while (now === before) now = Date.now();
    best = Math.max(best, now - performance.now());
  }
  return best;
}

const began = epoch();

/** An event that names something: a new file, or one that came with another name. */
function came(path) {
  events++;
  last = performance.now();
  const name = path.lastIndexOf("/") + 1;
  const kind = path.charCodeAt(name);
  if (kind !== 102 && kind !== 98) return;
  const index = Number(path.slice(name + 1));
  if (kind === 98) churned[index] |= 1;
  else if (at[index] === 0) at[index] = began + last;
}

/** An event of something that is gone now; `bits`: what of it is told by that. */
function went(path, bits = 2) {
  events++;
  last = performance.now();
  const name = path.lastIndexOf("/") + 1;
  if (path.charCodeAt(name) === 98) churned[Number(path.slice(name + 1))] |= bits;
}

/** An event of any other kind. */
function other() {
  events++;
  last = performance.now();
}

/** Where the names come from, by the face that is measured; each resolves when all is watched. */
const faces = {
  "own": () => own({}),
  "own, raw": () => own({ raw: true }),
  "own, no snapshot": () => own({ snapshot: false }),
  "Deno.watchFs"() {
    const watcher = globalThis.Deno.watchFs(folder);
    const read = async () => {
      for await (const { kind, paths, flag } of watcher) {
        if (flag === "rescan") said++;
        for (const path of paths) {
          // A rename is told as `remove` of both names when the new one is gone already.
          if (kind === "remove") went(path, 3);
          else if (kind === "create" || kind === "rename") came(path);
          else other();
        }
      }
    };
    read();
  },
  "fs.watch"() {
    watch(folder, { recursive: true }, (kind, name) => {
      if (name === null) said++;
      else if (kind !== "rename") other();
      // What became of a name is not told: one event is enough to look at it.
      else if (isNew(name)) went(name, 3);
      else came(name);
    });
  },
  async chokidar() {
    const { watch } = await import("chokidar");
    await fromChokidar(watch);
  },
  async "own, as chokidar"() {
    const { watch } = await import("../adapters/chokidar.ts");
    await fromChokidar(watch);
  },
  async "@parcel/watcher"() {
    const { subscribe } = await import("@parcel/watcher");
    await subscribe(folder, (error, list) => {
      if (error) said++;
      for (const { type, path } of list ?? []) {
        (type === "create" ? came : type === "delete" ? went : other)(path);
      }
    });
  },
};

function fromChokidar(watch) {
  const watcher = watch(folder, { ignoreInitial: true });
  watcher.on("all", (kind, path) => {
    (kind.startsWith("add") ? came : kind.startsWith("unlink") ? went : other)(path);
  });
  return new Promise((resolve) => watcher.on("ready", resolve));
}

let tree;
let unpaired = 0;

async function own(options) {
  const { defaultLoop, Tree } = await import("../adapters/mod.ts");
  tree = new Tree(defaultLoop());
  rss = resident();
  begin = performance.now();
  await new Promise((resolve) => {
    tree.start(folder, options, ({ kind, path, oldPath }) => {
      if (kind === "create" || kind === "rename") {
        came(path);
        if (kind === "create" ? isNew(path) : oldPath === "") unpaired++;
      } else if (kind === "remove") went(path);
      else if (kind === "overflow") said++;
      else if (kind === "ready") resolve();
      else other();
    });
  });
}

/** Whether it is the second name of a file. */
function isNew(path) {
  return path.charCodeAt(path.lastIndexOf("/") + 1) === 98;
}

function resident() {
  globalThis.gc?.();
  globalThis.Bun?.gc(true);
  return process.memoryUsage.rss();
}

/** Longest time between two turns of the runtime, from now on. */
function longestTurn() {
  const result = { ms: 0 };
  let before = performance.now();
  const turn = () => {
    const now = performance.now();
    result.ms = Math.max(result.ms, now - before);
    before = now;
    setImmediate(turn);
  };
  setImmediate(turn);
  return result;
}

let rss = resident();
let begin = performance.now();
await faces[face]();
console.log(JSON.stringify({ ready_ms: performance.now() - begin, rss: resident() - rss }));
const before = process.cpuUsage();
// Opening it takes a runtime some milliseconds.
process.stdin.resume();
if (go !== undefined) {
  const nobody = new Int32Array(new SharedArrayBuffer(4));
  while (!existsSync(go)) Atomics.wait(nobody, 0, 0, 2);
}
const free = performance.now();
const turn = go === undefined ? undefined : longestTurn();

process.stdin.on("end", () => {
  const ended = performance.now();
  const look = setInterval(() => {
    if (performance.now() - Math.max(last, ended) < Number(quiet)) return;
    clearInterval(look);
    report();
  }, 20);
});

function report() {
  const { user, system } = process.cpuUsage(before);
  writeFileSync(times, new Uint8Array(at.buffer));
  console.log(JSON.stringify({
    events,
    lost: at.filter((time) => time === 0).length,
    churnLost: churned.filter((bits) => bits !== 3).length,
    unpaired,
    said,
    cpu_ms: (user + system) / 1000,
    info: tree?.info(),
    // From when the script had time again.
    told_ms: last - free,
    turn_ms: turn?.ms,
  }));
  process.exit();
}
