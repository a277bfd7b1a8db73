// What the drivers of several rows need.

import { spawnSync } from "node:child_process";
import process from "node:process";
import { root } from "../.ci/shell.mjs";

export function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

/** What a program prints, which must end well. */
export function printedBy(command, args, env = {}) {
  const { status, signal, stdout, error } = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"],
    timeout: 120_000,
  });
  if (status === 0) return stdout.trim();
  throw new Error(
    `Bench: ${command} ${args.join(" ")}: ${error ?? `ended with ${signal ?? status}`}`,
  );
}
