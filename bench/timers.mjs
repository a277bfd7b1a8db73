// Timers: what each costs to make, to clear, to hold and to fire, and how late it is. The limit is a
// bare wheel in C (`bench/peers/wheel.c`), which takes turns with the runtimes' own timers.

import { join } from "node:path";
import { must, root } from "../.ci/shell.mjs";
import { median, printedBy } from "./common.mjs";

/** A process for each; `--tiny` needs none of that. */
const groups = ["allocate", "memory", "fire", "lateness", "intervals"];

const rows = [
  ["create", "create, 1,000,000 live, mixed durations", "ns"],
  ["clear", "clear", "ns"],
  ["churn", "create and clear, a thousand live", "ns"],
  ["fire", "processor time per fired timer, 1,000,000 in 1 s", "ns"],
  ["memory", "memory per timer that waits", "bytes"],
  ["idle50", "lateness of 1 ms, idle loop, p50", "us"],
  ["idle99", "lateness of 1 ms, idle loop, p99", "us"],
  ["busy50", "lateness of 1 ms, 10,000 wait, p50", "us"],
  ["busy99", "lateness of 1 ms, 10,000 wait, p99", "us"],
  ["drift", "setInterval(1) over 2 s, drift", "ms"],
  ["immediate", "setImmediate, a batch, each", "ns"],
  ["cpu", "1,000 x setInterval(10), processor time", "%"],
];

export function benchTimers(bench) {
  const wheel = join(bench.output, "wheel");
  const source = join(root, "bench/peers/wheel.c");
  must(bench.tools.zig, ["cc", "-O2", "-Wall", "-Wextra", "-o", wheel, source]);
  // Timers, samples of lateness, seconds of intervals.
  const sizes = bench.tiny ? ["2000", "20", "0.2"] : ["1000000", "2000", "2"];
  const values = new Map();
  for (let round = 0; round < (bench.tiny ? 1 : 3); round++) {
    keep(values, "C wheel", printedBy(wheel, sizes.map((size) => String(Math.ceil(Number(size))))));
    for (const group of bench.tiny ? [groups.join(",")] : groups) {
      for (const [place, command, ...args] of bench.runtimes) {
        const flags = place === "deno" ? ["--v8-flags=--expose-gc"] : [];
        const child = [...args, ...flags, "bench/timers.child.ts", group, ...sizes];
        keep(values, place, printedBy(command, child));
      }
    }
  }
  for (const [key, what, unit] of rows) {
    const limit = values.get(`C wheel ${key}`);
    for (const [place] of bench.runtimes) {
      bench.tell({
        what: `timers, the runtime's own: ${what}`,
        place,
        value: median(values.get(`${place} ${key}`)),
        unit,
        peers: limit === undefined ? [] : [{ name: "C wheel", value: median(limit) }],
      });
    }
  }
}

function keep(values, name, output) {
  for (const [key, value] of Object.entries(JSON.parse(output))) {
    const known = values.get(`${name} ${key}`) ?? [];
    values.set(`${name} ${key}`, [...known, value]);
  }
}
