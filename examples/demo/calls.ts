import { SYMBOLS } from "../../ffi/abi.ts";
import type { Calls } from "../../ffi/library.ts";
import { currentRuntime, type Runtime } from "../../loop/host.ts";

/** How often script and native code met. */
export interface Counts {
  /** The runtime's loop woke ours. */
  wakes: number;
  /** Native calls by name. */
  readonly calls: Record<string, number>;
}

/** @returns The runtime, made to count, and where it counts. */
export function countingRuntime(): { runtime: Runtime; counts: Counts } {
  const { host, library } = currentRuntime();
  const counts: Counts = { wakes: 0, calls: {} };
  return {
    counts,
    runtime: {
      host: {
        ...host,
        wake(fd, onWake) {
          return host.wake(fd, () => {
            counts.wakes++;
            onWake();
          });
        },
      },
      library: { ...library, calls: countCalls(library.calls, counts.calls) },
    },
  };
}

function countCalls(calls: Calls, counts: Record<string, number>): Calls {
  const names = Object.keys(SYMBOLS) as (keyof Calls)[];
  const entries = names.map((name) => {
    const call = calls[name] as (...parameters: unknown[]) => number;
    counts[name] = 0;
    const counted = (...parameters: unknown[]) => {
      counts[name]!++;
      return call(...parameters);
    };
    return [name, counted];
  });
  return Object.fromEntries(entries) as unknown as Calls;
}

/** @returns How many calls were made, of all kinds or of those given. */
export function callsMade(counts: Counts, names: readonly string[]): number {
  return names.reduce((sum, name) => sum + (counts.calls[name] ?? 0), 0);
}
