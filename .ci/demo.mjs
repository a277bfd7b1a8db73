// `npm run demo`: the demo in both runtimes on both back-ends, the four results side by side.
// `npm run demo -- --json` prints them for machines. Other arguments go to the demo.

import process from "node:process";
import { ask, run } from "./shell.mjs";
import { setup } from "./setup.mjs";

const { deno, bun } = setup();
const json = process.argv.includes("--json");
const args = process.argv.slice(2).filter((argument) => argument !== "--json");
// The same bytes, delays and files everywhere, so that the columns can be compared.
if (!args.some((argument) => argument.startsWith("--seed"))) {
  args.push(`--seed=${Date.now() % 100_000}`);
}
const runtimes = [
  { name: "Deno", command: [deno, "run", "-A"] },
  { name: "Bun", command: [bun, "run"] },
];

const results = [];
for (const { name, command } of runtimes) {
  for (const backend of ["io_uring", "epoll"]) {
    if (backend === "io_uring" && ask(bun, [".ci/io_uring.ts"]) === "no") {
      console.error(`${name} io_uring: left out, this kernel denies it`);
      continue;
    }
    console.error(`${name} ${backend} ...`);
    results.push(await demo(name, command, backend));
  }
}
console.log(json ? JSON.stringify(results) : table(results));
process.exitCode = results.length > 0 && results.every(({ ok }) => ok) ? 0 : 1;

async function demo(name, [program, ...first], backend) {
  const { output, why } = await run(program, [...first, "examples/demo.ts", "--json", ...args], {
    env: { KEVENT_BACKEND: backend },
    limit_s: 60,
    show: false,
  });
  const report = output.split("\n").findLast((line) => line.startsWith('{"ok":'));
  if (report !== undefined) return JSON.parse(report);
  // What it said on stderr stands above.
  return { ok: false, problems: [why || "no report"], runtime: name, backend, parts: {} };
}

function table(reports) {
  const rows = [
    ["", ({ runtime }) => runtime],
    ["back-end", ({ backend }) => backend],
    ["result", ({ ok, problems }) => ok ? "all of it right" : `${problems.length} WRONG`],
    ["echo: connections", ({ parts }) => parts.echo?.numbers.connections],
    ["  there and back, MiB", ({ parts }) => fixed(parts.echo?.numbers.bytes / 2 ** 20, 1)],
    ["  waits for slow readers", ({ parts }) => parts.echo?.numbers.stalls],
    ["  round trip p50, ms", ({ parts }) => fixed(parts.echo?.numbers.trip_p50_ms, 2)],
    ["  calls per event", ({ parts: { echo } }) => echo && fixed(echo.calls / echo.events, 2)],
    ["timers: fired, none early", ({ parts }) => parts.timers?.numbers.fired],
    ["  late p50, ms", ({ parts }) => fixed(parts.timers?.numbers.p50_ms, 2)],
    ["  late p99, ms", ({ parts }) => fixed(parts.timers?.numbers.p99_ms, 2)],
    ["watch: changes", ({ parts }) => parts.watch?.numbers.changes],
    ["  renames paired", ({ parts }) => parts.watch?.numbers.renames],
    ["children ended", ({ parts }) => parts.children?.numbers.ended],
    ["signals", ({ parts }) => parts.signals?.numbers.signals],
    ["events in all", ({ events }) => events],
    ["  turns per event", ({ turns, events }) => fixed(turns / events, 2)],
    ["  native calls per event", ({ calls, events }) => fixed(calls / events, 2)],
    ["woken by the runtime", ({ wakes }) => wakes],
    ["CPU, ms", ({ cpu_ms }) => fixed(cpu_ms, 0)],
    ["of, s", ({ wall_ms }) => fixed(wall_ms / 1000, 2)],
    ["native calls asleep", ({ idle }) => idle?.calls],
    ["own interval: longest gap, ms", ({ ticks }) => fixed(ticks?.gap_ms, 1)],
  ].map(([name, cell]) => [name, ...reports.map((report) => String(cell(report) ?? "-"))]);
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const lines = rows.map((row) =>
    row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])
    ).join("  ")
  );
  lines.splice(2, 0, widths.map((width) => "-".repeat(width)).join("  "));
  const wrong = reports.flatMap(({ runtime, backend, problems }) =>
    problems.map((problem) => `${runtime} ${backend}: ${problem}`)
  );
  const kernel = reports.find((report) => report.kernel)?.kernel ?? "";
  const end = wrong.length === 0
    ? `${kernel}. Nothing was lost, nothing was wrong.`
    : `${kernel}. WRONG:\n${wrong.map((line) => `  ${line}`).join("\n")}`;
  return [...lines, "", end].join("\n");
}

function fixed(number, digits) {
  return Number.isFinite(number) ? number.toFixed(digits) : undefined;
}
