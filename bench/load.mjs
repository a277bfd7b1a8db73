// The library: its size for each target, and what it costs a program to open it and make a queue.

import { statSync } from "node:fs";
import { join } from "node:path";
import { must, root } from "../.ci/shell.mjs";
import { median, printedBy } from "./common.mjs";

const libraries = ["x86_64", "aarch64"].flatMap((cpu) =>
  ["gnu", "musl"].map((c) => `${cpu}-linux-${c}`)
);
const bytes_most = 400_000;
const ms_most = 5;

export function benchLibrary(bench) {
  must(bench.tools.zig, ["build"], { cwd: join(root, "zig") });
  for (const target of libraries) {
    const { size } = statSync(join(root, `zig/zig-out/fast/libkevent-${target}.so`));
    console.log(`libkevent-${target}.so: ${size} bytes, stripped`);
    bench.tell({
      what: `library: ${target}, stripped`,
      place: "native",
      value: size / 1000,
      unit: "kB",
      target: `< ${bytes_most / 1000} kB`,
      met: size < bytes_most,
    });
  }
  for (const backend of bench.backends) benchLoad(bench, backend);
}

/** Fresh processes, alternating between the runtimes. */
function benchLoad(bench, backend) {
  const times = new Map(bench.runtimes.map(([place]) => [place, []]));
  for (let n = 0; n < (bench.tiny ? 1 : 20); n++) {
    for (const [place, command, ...args] of bench.runtimes) {
      const env = { ...bench.env, KEVENT_BACKEND: backend };
      const output = printedBy(command, [...args, "bench/load.child.ts"], env);
      times.get(place).push(JSON.parse(output).ms);
    }
  }
  for (const [place, values] of times) {
    const ms = median(values);
    bench.tell({
      what: "library: opened, a queue made",
      place,
      backend,
      value: ms,
      unit: "ms",
      digits: 2,
      target: `<= ${ms_most} ms`,
      met: ms <= ms_most,
    });
  }
}
