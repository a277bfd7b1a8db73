/** What the benches share: settings, statistics, the native helper, and how results are told. */

import { appendFileSync } from "node:fs";
import process from "node:process";
import type { Library } from "../ffi/library.ts";

/** Where a number was measured. */
export type Place = "bun" | "deno";

/** The runtime this is. */
export const place: Place = "Bun" in globalThis ? "bun" : "deno";

/** Sizes small enough for `npm test`: whether it runs, not how fast. */
export const tiny: boolean = process.argv.includes("--tiny");

/** One number beside its target and its peers. */
export interface Result {
  /** The row of the table. */
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** Decimals that mean something. Default 1. */
  readonly digits?: number;
  /** What the project promised; left out for a number that is only told. */
  readonly target?: string;
  readonly met?: boolean;
  /** The same work done by others in the same run. */
  readonly peers?: readonly { readonly name: string; readonly value: number }[];
  /** Whether a larger value is the better one. Default `false`. */
  readonly more?: boolean;
  readonly backend?: string;
}

/** Picks a size: the real one, or one for `--tiny`. */
export function size(real: number, small: number): number {
  return tiny ? small : real;
}

/** The value in the middle, or at another share of the sorted values. */
export function quantile(values: readonly number[], share = 0.5): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? NaN;
}

/**
 * Runs each measurement once a round, so that what disturbs the machine disturbs all of them, and
 * gives the median of each. The first round warms up and does not count.
 */
export async function interleaved<Name extends string>(
  rounds: number,
  measurements: Record<Name, () => number | Promise<number>>,
): Promise<Record<Name, number>> {
  const names = Object.keys(measurements) as Name[];
  const values = new Map<Name, number[]>(names.map((name) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const name of names) {
      const value = await measurements[name]();
      if (round > 0) values.get(name)!.push(value);
    }
  }
  const medians = names.map((name) => [name, quantile(values.get(name)!)]);
  return Object.fromEntries(medians) as Record<Name, number>;
}

/** Prints a result for people, and for `bench/run.mjs` into the file it named. */
export function report(result: Result): void {
  const { what, value, unit, digits = 1, target, met, peers = [], backend } = result;
  const parts = [
    `${place}${backend ? ` ${backend}` : ""}: ${what}: ${value.toFixed(digits)} ${unit}`,
  ];
  if (target !== undefined) {
    parts.push(`target ${target}${met === false && !tiny ? " MISSED" : ""}`);
  }
  for (const peer of peers) {
    const times = result.more ? value / peer.value : peer.value / value;
    parts.push(`${peer.name} ${peer.value.toFixed(digits)} ${unit} (x${times.toFixed(2)})`);
  }
  console.log(parts.join("; "));
  const file = process.env.KEVENT_BENCH_OUT;
  if (file) appendFileSync(file, `${JSON.stringify({ ...result, place })}\n`);
}

/** Prints a line that belongs to no number: settings, and proofs that the work was done. */
export function note(text: string): void {
  console.log(`${place}: ${text}`);
}

/** Stops a bench whose work was not done: its numbers would mean nothing. */
export function must(ok: boolean, what: string): asserts ok {
  if (!ok) throw new Error(`Bench: ${what}`);
}

/** Counts the native calls made through a library. */
export function counted(library: Library): { library: Library; count: () => number } {
  let made = 0;
  const calls = Object.fromEntries(
    Object.entries(library.calls).map(([name, call]) => [
      name,
      (...parameters: never[]) => {
        made++;
        return (call as (...parameters: never[]) => unknown)(...parameters);
      },
    ]),
  ) as unknown as Library["calls"];
  return { library: { ...library, calls }, count: () => made };
}
