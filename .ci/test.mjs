// `npm test`: every check there is, one after the other. A failing step does not stop the next ones;
// the table at the end shows all of them, and the last line is the sum.
//
// `npm test -- vitest fmt` runs only the steps whose name holds one of the words. A word that no step
// has ends it with 2, before any step is run.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { ask, fail, root, run } from "./shell.mjs";
import { setup } from "./setup.mjs";

const words = process.argv.slice(2).map((word) => word.toLowerCase());
const started = performance.now();
const { zig, deno, bun } = setup();
const setup_s = seconds(started);
const scratch = mkdtempSync(join(tmpdir(), "kevent-test-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));

const in_zig = { cwd: join(root, "zig") };
const vitest = ["node_modules/vitest/vitest.mjs", "run", "--config", "test/vitest.config.ts"];
const runtimes = [
  { name: "Deno", command: deno, run: ["run", "-A"] },
  { name: "Bun", command: bun, run: ["--bun"] },
];
// Deno skips dot folders unless they are named.
const sources = [".", ".ci"];
const backends = ["io_uring", "epoll", "simulated"];

const io_uring = ask(bun, [".ci/io_uring.ts"]) !== "no";

// A short run with a seed of the day's: the same for everybody who looks into a failure today.
const fuzz_args = [
  "--seed",
  new Date().toISOString().slice(0, 10).replaceAll("-", ""),
  "--events-max",
  "20000",
];

/** Each step gives `{ passed, failed, skipped, why }`; a check without a count of its own is one test. */
const steps = [
  ["zig fmt", () => check(zig, ["fmt", "--check", "."], in_zig)],
  ["zig build test", zigTest],
  ["zig build fuzz", () => check(zig, ["build", "fuzz", "--", ...fuzz_args], in_zig)],
  ["zig build bindings", () => check(zig, ["build", "bindings", "-Dci"], in_zig)],
  ["deno fmt", () => check(deno, ["fmt", "--check", ...sources])],
  ["deno lint", () => check(deno, ["lint", ...sources])],
  ["tsc", () => check(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "test"])],
  ...runtimes.flatMap((runtime) =>
    backends.map((
      backend,
    ) => [`vitest ${runtime.name} ${backend}`, () => vitestOn(runtime, backend)])
  ),
  ["deno test --doc", docTest],
  ["demo", () => check(process.execPath, [".ci/demo.mjs"])],
  ["bench --tiny", () => check(process.execPath, [".ci/bench.mjs", "--tiny"])],
  ["package", () => check(process.execPath, [".ci/package-test.mjs"])],
];

const unknown = words.filter((word) => !steps.some(([name]) => hasWord(name, word)));
if (unknown.length > 0) {
  const names = steps.map(([name]) => `  ${name}`).join("\n");
  fail(`no step has "${unknown.join('", "')}" in its name. There are:\n${names}`, 2);
}

function hasWord(name, word) {
  return name.toLowerCase().includes(word);
}

async function check(command, args, options) {
  const { ok, why } = await run(command, args, options);
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0, why };
}

async function zigTest() {
  const { ok, output, why } = await run(zig, ["build", "test", "--summary", "all"], in_zig);
  const summary = /(\d+)\/(\d+) tests passed(?: \(.*?(\d+) skipped)?/.exec(output);
  if (!summary) return { passed: 0, failed: 1, skipped: 0, why };
  const [passed, total, skipped] = summary.slice(1).map((digits) => Number(digits ?? 0));
  return counted(ok, { passed, failed: total - passed - skipped, skipped, why });
}

async function vitestOn(runtime, backend) {
  if (backend === "io_uring" && !io_uring) {
    return { passed: 0, failed: 0, skipped: 1, why: "this kernel denies io_uring" };
  }
  const file = join(scratch, `${runtime.name}-${backend}.json`);
  const report = [
    ...["--reporter=default", "--reporter=./.ci/skips.mjs"],
    ...["--reporter=json", `--outputFile.json=${file}`],
  ];
  const { ok, why } = await run(runtime.command, [...runtime.run, ...vitest, ...report], {
    env: { KEVENT_BACKEND: backend, NO_COLOR: "1" },
    limit_s: 240,
  });
  try {
    const result = JSON.parse(readFileSync(file, "utf8"));
    // A file that does not even load holds no tests, but its suite failed.
    const broken = result.testResults.filter((one) =>
      one.status === "failed" && !one.assertionResults.some((test) => test.status === "failed")
    );
    return counted(ok, {
      passed: result.numPassedTests,
      failed: result.numFailedTests + broken.length,
      skipped: result.numPendingTests + result.numTodoTests,
      why: why || broken.map((one) => one.name).join(" "),
    });
  } catch (error) {
    return { passed: 0, failed: 1, skipped: 0, why: why || error.message };
  }
}

async function docTest() {
  // Types are tsc's part. What names Bun cannot be imported by Deno.
  const args = ["test", "--doc", "-A", "--no-check", "--ignore=adapters/bun,ffi/bun.ts"];
  const { ok, output, why } = await run(deno, [...args, "ffi", "loop", "adapters", "README.md"], {
    env: { NO_COLOR: "1" },
  });
  const summary = /(\d+) passed.*? (\d+) failed(?:.*? (\d+) ignored)?/.exec(output);
  if (!summary) return { passed: 0, failed: 1, skipped: 0, why };
  const [passed, failed, skipped] = summary.slice(1).map((digits) => Number(digits ?? 0));
  return counted(ok, { passed, failed, skipped, why });
}

/** Nothing counted, or a bad exit in spite of the counts, is a failure too. */
function counted(ok, result) {
  if (result.failed === 0 && !ok) return { ...result, failed: 1 };
  if (result.failed === 0 && result.passed === 0) {
    return { ...result, failed: 1, why: "no tests ran" };
  }
  return result;
}

function seconds(since) {
  return (performance.now() - since) / 1000;
}

const rows = [["set-up", "ok", "", "", "", setup_s.toFixed(1), ""]];
const sum = { passed: 0, failed: 0, skipped: 0 };
for (const [name, step] of steps) {
  if (words.length > 0 && !words.some((word) => hasWord(name, word))) continue;
  console.log(`\n--- ${name}`);
  const since = performance.now();
  const { passed, failed, skipped, why } = await step();
  sum.passed += passed;
  sum.failed += failed;
  sum.skipped += skipped;
  const state = failed > 0 ? "FAILED" : passed > 0 ? "ok" : "skipped";
  rows.push([
    name,
    state,
    passed,
    failed,
    skipped,
    seconds(since).toFixed(1),
    state === "ok" ? "" : why,
  ]);
}

console.log();
printTable(["step", "", "passed", "failed", "skipped", "seconds", ""], rows);
console.log(
  `\n${sum.skipped} skipped, the reasons are above; ${seconds(started).toFixed(0)} s in all`,
);
console.log(`${sum.passed} passed, ${sum.failed} failed`);
process.exitCode = sum.failed > 0 || sum.passed === 0 ? 1 : 0;

function printTable(head, body) {
  const lines = [head, ...body].map((row) => row.map(String));
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  for (const line of lines) {
    const cells = line.map((cell, column) =>
      column >= 2 && column <= 5 ? cell.padStart(widths[column]) : cell.padEnd(widths[column])
    );
    console.log(cells.join("  ").trimEnd());
  }
}
