import process from "node:process";
import { release } from "node:os";
import { type Loop } from "../../adapters/mod.ts";
import { callsMade, type Counts } from "./calls.ts";
import { count, type Part, type Result } from "./part.ts";

/** Calls of the loop and of making it; what else is called belongs to the streams. */
const LOOP_CALLS = ["kevent_turn"];
const SETUP_CALLS = ["kevent_setup", "kevent_wake_open", "kevent_close", "kevent_info"];

/** What was measured around the parts. */
export interface Measured {
  /** Which random numbers. */
  readonly seed: number;
  /** Milliseconds that all parts together took. */
  readonly wall_ms: number;
  /** Milliseconds of processor that this process took meanwhile. */
  readonly cpu_ms: number;
  /** How long nothing happened, on purpose, and what was done meanwhile. */
  readonly idle: { readonly ms: number; readonly cpu_ms: number; readonly calls: number };
  /** Ticks of the runtime's own interval beside us, and the longest time between two. */
  readonly ticks: { readonly count: number; readonly gap_ms: number };
}

/** All results, for machines. */
export interface Report extends Measured {
  readonly ok: boolean;
  readonly problems: readonly string[];
  readonly runtime: string;
  readonly backend: string;
  readonly reason: string;
  readonly kernel: string;
  readonly events: number;
  readonly calls: number;
  readonly turns: number;
  readonly wakes: number;
  readonly parts: Readonly<Record<string, PartReport>>;
}

/** The results of one part. */
export interface PartReport {
  readonly what: string;
  readonly events: number;
  /** Native calls beside those of the loop. */
  readonly calls: number;
  readonly numbers: Readonly<Record<string, number>>;
}

/**
 * Puts the results together.
 *
 * @param loop The loop, still open.
 * @param counts Calls and wake-ups.
 * @param parts The parts by name.
 * @param measured What was measured around them.
 * @param late What was not done in time.
 */
export function report(
  loop: Loop,
  counts: Counts,
  parts: Readonly<Record<string, Part>>,
  measured: Measured,
  late: readonly string[],
): Report {
  const { backend, reason, counters } = loop.queue.info();
  const events = (counters as Record<string, number>)["handed_out"] ?? 0;
  const results = Object.entries(parts).map(([name, part]) => [name, part.result()] as const);
  const known = results.reduce((sum, [, result]) => sum + (result.events ?? 0), 0);
  const turns = callsMade(counts, LOOP_CALLS);
  const inode = callsMade(counts, ["kevent_inode_add"]);
  const all = callsMade(counts, Object.keys(counts.calls)) - callsMade(counts, SETUP_CALLS);
  const problems = [...late, ...results.flatMap(([name, { problems }]) => named(name, problems))];
  return {
    ok: problems.length === 0,
    problems,
    runtime: runtimeName(),
    backend,
    reason: String(reason),
    kernel: `Linux ${release()}`,
    ...measured,
    events,
    calls: all,
    turns,
    wakes: counts.wakes,
    parts: Object.fromEntries(results.map(([name, result]) => {
      // Only the streams read and write by calls of their own, and only they cannot count records.
      const streams = result.events === undefined;
      const calls = streams ? all - turns - inode : name === "watch" ? inode : 0;
      return [name, partReport(result, streams ? events - known : result.events, calls)];
    })),
  };
}

function partReport({ what, numbers }: Result, events: number, calls: number): PartReport {
  return { what, events, calls, numbers };
}

function named(name: string, problems: readonly string[]): string[] {
  return problems.map((problem) => `${name}: ${problem}`);
}

function runtimeName(): string {
  const { bun, deno } = process.versions;
  return bun === undefined ? `Deno ${deno}` : `Bun ${bun}`;
}

/** @returns The table for people. */
export function table(report: Report): string {
  const { runtime, backend, kernel, seed, wall_ms, cpu_ms, idle, ticks } = report;
  const share = 100 * cpu_ms / wall_ms;
  const rows = [
    ["", "what happened", "events", "calls", "per event"],
    ...Object.entries(report.parts).map(([name, part]) => [
      name,
      part.what,
      count(part.events),
      count(part.calls),
      perEvent(part.calls, part.events),
    ]),
    [
      "loop",
      `${count(report.wakes)} times woken by the runtime's own loop`,
      "",
      count(report.turns),
      perEvent(report.turns, report.events),
    ],
    [
      "all",
      `${(wall_ms / 1000).toFixed(2)} s, ${cpu_ms.toFixed(0)} ms of CPU (${share.toFixed(0)} %)`,
      count(report.events),
      count(report.calls),
      perEvent(report.calls, report.events),
    ],
    [
      "asleep",
      `${idle.ms} ms with all of it open, ${idle.cpu_ms.toFixed(1)} ms of CPU`,
      "",
      count(idle.calls),
      "",
    ],
    [
      "runtime",
      `its own interval of 10 ms: ${ticks.count} ticks, longest gap ${ticks.gap_ms.toFixed(1)} ms`,
      "",
      "",
      "",
    ],
  ];
  const title = `kevent on ${backend} in ${runtime}, ${kernel}, seed ${seed}`;
  const end = report.ok
    ? "Nothing was lost, nothing was wrong."
    : `WRONG:\n${report.problems.map((problem) => `  ${problem}`).join("\n")}`;
  return [title, "", columns(rows, 2), "", end].join("\n");
}

function perEvent(calls: number, events: number): string {
  return events === 0 ? "-" : (calls / events).toFixed(2);
}

/**
 * @param rows Cells.
 * @param right From which column on numbers stand at the right edge.
 * @returns The rows, columns aligned.
 */
export function columns(rows: readonly (readonly string[])[], right: number): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) =>
    row.map((cell, column) => {
      const width = widths[column]!;
      return column < right ? cell.padEnd(width) : cell.padStart(width);
    }).join("  ").trimEnd()
  );
  const rule = widths.map((width) => "-".repeat(width)).join("  ");
  return [lines[0], rule, ...lines.slice(1)].join("\n");
}
