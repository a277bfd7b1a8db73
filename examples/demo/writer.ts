// Writes, renames and removes the files that the demo watches, in a process of its own.
//
// Arguments: directory, seed. Prints the number of steps.

import {
  appendFileSync,
  mkdirSync,
  renameSync,
  rmdirSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { setTimeout } from "node:timers/promises";
import { plan, type Step } from "./plan.ts";
import { bounded } from "./processes.ts";

/** Steps in a row without a rest: many names at once, then none. */
const BURST = 40;

const [folder, seed] = process.argv.slice(2) as [string, string];

function act({ act, name, to = "", bytes = 0 }: Step): void {
  const path = join(folder, name);
  const content = new Uint8Array(bytes);
  if (act === "write") writeFileSync(path, content);
  else if (act === "append") appendFileSync(path, content);
  else if (act === "rename") renameSync(path, join(folder, to));
  else if (act === "remove") unlinkSync(path);
  else if (act === "mkdir") mkdirSync(path);
  else rmdirSync(path);
}

bounded(20);
const steps = plan(Number(seed));
for (const [index, step] of steps.entries()) {
  act(step);
  if (index % BURST === BURST - 1) await setTimeout(50);
}
console.log(steps.length);
