// The core alone: zig/bench.zig, which prints "what: value unit".

import { join } from "node:path";
import { root, run } from "../.ci/shell.mjs";

/** The first line whose start fits gives target and limit. */
const targets = [
  ["core: timer added to fresh", undefined],
  ["core: timer added", 100],
  ["core: timer removed", 50],
  ["core: timer fired", 50],
  ["memory: per", 128],
  // What one page more or less is worth.
  ["memory: growth", 64],
];

export async function benchCore(bench) {
  const args = ["build", "bench", ...(bench.tiny ? ["--", "--tiny"] : [])];
  const env = { KEVENT_BACKEND: bench.backends[0] };
  const options = { cwd: join(root, "zig"), env, limit_s: 600 };
  const { ok, output } = await run(bench.tools.zig, args, options);
  bench.ok &&= ok;
  for (const [, what, value, unit] of output.matchAll(/^(\w+: .*): ([\d.]+) (\S+)$/gm)) {
    const limit = targets.find(([start]) => what.startsWith(start))?.[1];
    bench.tell({
      what,
      place: "native",
      value: Number(value),
      unit,
      ...(limit === undefined
        ? {}
        : { target: `<= ${limit} ${unit}`, met: Number(value) <= limit }),
    });
  }
}
