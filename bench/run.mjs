// All benches: builds what they need, runs them row by row, prints one table.
//
//   npm run bench                    everything, about twenty minutes; the machine should be quiet
//   npm run bench -- ring ctl        rows whose name holds one of the words
//   npm run bench -- --tiny          a minute at most: whether it runs, not how fast
//   npm run bench -- --save          puts what was measured into bench/RESULTS.md
//   KEVENT_BACKEND=epoll npm run bench

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { buildNative } from "../.ci/setup.mjs";
import { ask, must, root, run } from "../.ci/shell.mjs";
import { benchCore } from "./core.mjs";
import { benchIdle } from "./idle.mjs";
import { benchLibrary } from "./load.mjs";
import { benchReadiness } from "./readiness.mjs";
import { benchStarvation } from "./starvation.mjs";
import { printed, saved } from "./table.mjs";
import { benchTimers } from "./timers.mjs";
import { benchWatch } from "./watch.mjs";

/** Each row measures and tells its results to `bench.tell`. */
const rows = {
  ring: (bench) => bench.scripts("ring", bench.backends.slice(0, 1)),
  ctl: (bench) => bench.scripts("ctl", bench.backends.slice(0, 1)),
  core: benchCore,
  timers: benchTimers,
  starvation: benchStarvation,
  readiness: benchReadiness,
  wake: (bench) => bench.scripts("wake", bench.backends),
  idle: benchIdle,
  memory: (bench) => bench.scripts("memory", bench.backends),
  watch: benchWatch,
  library: benchLibrary,
};

/**
 * Runs the rows that were asked for.
 *
 * @param tools Paths of `zig`, `deno` and `bun`.
 * @param args What was given on the command line.
 * @returns Whether all of them ran to their end; a missed target is no failure.
 */
export async function bench(tools, args) {
  const words = args.filter((arg) => !arg.startsWith("--"));
  const tiny = args.includes("--tiny");
  const scratch = mkdtempSync(join(tmpdir(), "kevent-bench-"));
  process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));
  const bench = prepare(tools, tiny, scratch);
  for (const [name, row] of Object.entries(rows)) {
    if (words.length > 0 && !words.some((word) => name.includes(word))) continue;
    console.log(`\n--- ${name}`);
    bench.row = name;
    try {
      await row(bench);
    } catch (error) {
      // The other rows are still worth having.
      console.error(error);
      bench.ok = false;
    }
  }
  console.log(`\n${printed(bench.results)}`);
  if (args.includes("--save") && !tiny && bench.ok) save(bench);
  return bench.ok;
}

/** Builds the library, the helper of the scripts and the peers; gives what rows work with. */
function prepare(tools, tiny, scratch) {
  buildNative(tools.zig, "fast");
  const output = join(root, "bench/zig-out");
  mkdirSync(output, { recursive: true });
  const helper = join(output, "helper.so");
  const flags = ["-O2", "-Wall", "-Wextra", "-shared", "-fPIC"];
  must(tools.zig, ["cc", ...flags, "-o", helper, "bench/native/helper.c", "-lpthread"]);
  const env = {
    KEVENT_LIBRARY: nativeLibrary(),
    KEVENT_BENCH_HELPER: helper,
    KEVENT_BENCH_OUT: join(scratch, "results"),
  };
  const bench = {
    tools,
    tiny,
    output,
    env,
    backends: backends(tools),
    runtimes: [["bun", tools.bun, "run"], ["deno", tools.deno, "run", "-A"]],
    row: "",
    results: [],
    ok: true,
  };
  bench.tell = (result) => tell(bench, result);
  bench.scripts = (name, chosen) => scripts(bench, name, chosen);
  return bench;
}

/** The fast build of this machine, as `zig build native` names it. */
function nativeLibrary() {
  const cpu = process.arch === "arm64" ? "aarch64" : "x86_64";
  const c = process.report.getReport().header.glibcVersionRuntime ? "gnu" : "musl";
  return join(root, `zig/zig-out/fast/libkevent-${cpu}-linux-${c}.so`);
}

/** Both, or the one that KEVENT_BACKEND names. */
function backends({ bun }) {
  const forced = process.env.KEVENT_BACKEND;
  if (forced) return [forced];
  if (ask(bun, [".ci/io_uring.ts"]) !== "no") return ["io_uring", "epoll"];
  console.log("io_uring: left out, this kernel denies it");
  return ["epoll"];
}

function tell(bench, result) {
  // Sizes of `--tiny` meet or miss nothing.
  const judged = bench.tiny ? { ...result, met: undefined } : result;
  bench.results.push({ row: bench.row, ...judged });
}

/** Runs `<name>.bench.ts` in both runtimes; alternating, so that both see the same machine. */
async function scripts(bench, name, chosen) {
  for (const backend of chosen) {
    for (const [, command, ...args] of bench.runtimes) {
      const file = join("bench", `${name}.bench.ts`);
      const flags = bench.tiny ? ["--tiny"] : [];
      writeFileSync(bench.env.KEVENT_BENCH_OUT, "");
      const env = { ...bench.env, KEVENT_BACKEND: backend };
      const { ok } = await run(command, [...args, file, ...flags], { env, limit_s: 300 });
      bench.ok &&= ok;
      const lines = readFileSync(bench.env.KEVENT_BENCH_OUT, "utf8").split("\n").filter(Boolean);
      for (const line of lines) tell(bench, JSON.parse(line));
    }
  }
}

function save(bench) {
  const version = (command, args) => ask(command, args)?.split("\n")[0] ?? "?";
  const { tools } = bench;
  const machine = [
    `${availableParallelism()} x ${cpus()[0]?.model.trim()}, Linux ${release()}`,
    version(tools.bun, ["--version"]).replace(/^/, "Bun "),
    version(tools.deno, ["--version"]).replace(/ \(.*/, "").replace("deno", "Deno"),
    version(tools.zig, ["version"]).replace(/^/, "Zig "),
    `${new Date().toISOString().slice(0, 10)}, load ${loadavg()[0].toFixed(1)}`,
  ];
  saved(join(root, "bench/RESULTS.md"), bench.results, machine.join("; "));
  console.log("bench/RESULTS.md is written");
}
