// `npm run bench`: the core alone, then each bench/*.ts in both runtimes, on the fast build.
// `npm run bench -- timer` runs only the files whose name holds the word.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { must, root } from "./shell.mjs";
import { buildNative, setup } from "./setup.mjs";

const words = process.argv.slice(2);
const wanted = (name) => words.length === 0 || words.some((word) => name.includes(word));
const { zig, deno, bun } = setup();
buildNative(zig, "fast");
const folder = join(root, "zig/zig-out/fast");
const cpu = process.arch === "arm64" ? "aarch64" : "x86_64";
const abi = process.report.getReport().header.glibcVersionRuntime ? "gnu" : "musl";
const stdio = "inherit";
const env = { ...process.env, KEVENT_LIBRARY: join(folder, `libkevent-${cpu}-linux-${abi}.so`) };

if (wanted("core")) must(zig, ["build", "bench"], { cwd: join(root, "zig"), stdio });
for (const file of readdirSync(join(root, "bench")).filter((name) => name.endsWith(".bench.ts"))) {
  if (!wanted(file)) continue;
  for (const [command, ...args] of [[deno, "run", "-A"], [bun, "run"]]) {
    must(command, [...args, join("bench", file)], { env, stdio });
  }
}
