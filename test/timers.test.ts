// The timers beside the runtime's own: a program must not see any difference but those that are known.
import { beforeAll, describe, expect, test } from "vitest";
import { isDeno, runFixture } from "./support/program.ts";
import { backend } from "./support/queue.ts";

/** A difference that is meant, and why. */
interface Known {
  readonly names: RegExp;
  readonly reason: string;
}

const KNOWN_IN_DENO: readonly Known[] = [
  {
    names:
      /^objects: (timeout|interval)(: (own|enumerated|JSON|keys)| prototype (_|Symbol\(refed))/,
    reason:
      "half of the properties of its own are accessors of the class: they are shown all the same",
  },
  {
    names: /^objects: immediate.*(inspected|_onImmediate|cloned)/,
    reason: "_onImmediate is the callback itself, not one more function around it",
  },
  { names: /^context: hooks$/, reason: "async_hooks do not hear of our timers" },
  {
    names: /^firing: setTimeout whose callback was replaced$/,
    reason: "Deno calls the old callback, but only of a timer, not of an interval",
  },
  {
    names: /^refreshing: refreshed in its callback$/,
    reason: "Deno says it is destroyed, and cannot clear it any more",
  },
];

const KNOWN_IN_BUN: readonly Known[] = [
  {
    names: /^objects: \w+: cloned$/,
    reason: "structuredClone takes any object that is not built in, and makes an empty one of ours",
  },
  {
    names: /^firing: (between two|after an)|^exceptions: set\w+: others run$/,
    reason: "of what a callback leaves behind, microtasks run before ticks",
  },
];

const known = isDeno ? KNOWN_IN_DENO : KNOWN_IN_BUN;

/** Groups of observations, all but those that need real time where there is none. */
const GROUPS = [
  ...["functions", "callbacks", "delays", "objects", "clearing", "firing", "refreshing"],
  ...["exceptions", "promises", "iteration", "context", "extras", "tampering"],
  ...(backend === "simulated" ? [] : ["clocks"]),
];

async function observe(mode: string): Promise<Map<string, string>> {
  const end = await runFixture("timers-shape", [mode, ...GROUPS], { limitMs: 19_000 });
  expect(end.errors.replace(/^(\(node:.*|Timeout duration.*|\(Use `bun.*)\n/gm, "")).toBe("");
  expect(end.code).toBe(0);
  const lines = end.output.trim().split("\n").map((line) => JSON.parse(line));
  return new Map(lines.map(({ name, value }) => [name, value]));
}

describe("as the runtime's own", () => {
  let native: Map<string, string>;
  beforeAll(async () => void (native = await observe("native")));

  function differences(ours: Map<string, string>): string[] {
    const names = new Set([...native.keys(), ...ours.keys()]);
    return [...names].filter((name) => native.get(name) !== ours.get(name));
  }

  test("more than a thousand things are looked at", () => {
    expect(native.size).toBeGreaterThan(1000);
  });

  for (const mode of ["kevent", "registered"]) {
    test(`a program sees no difference but those that are known (${mode})`, async () => {
      const ours = await observe(mode);
      const different = differences(ours);
      const unknown = different.filter((name) => !known.some(({ names }) => names.test(name)));
      expect(unknown.map((name) => [name, native.get(name), ours.get(name)])).toEqual([]);
      // A difference that is gone must not stay in the list.
      const stale = known.filter(({ names }) => !different.some((name) => names.test(name)));
      expect(stale.map(({ reason }) => reason)).toEqual([]);
    });
  }
});

/** A leak of 24 bytes for each timer would be more. */
const GROWTH_MAX = 24e6;

test("a million timers that were cleared, or fired, leave nothing", async () => {
  // Without a limit V8's space for young objects grows for a while.
  const flags = isDeno ? ["--v8-flags=--expose-gc,--max-semi-space-size=2"] : [];
  const end = await runFixture("timers-leak", ["kevent"], { flags });
  expect(end.errors).toBe("");
  expect(Number(end.output)).toBeLessThan(GROWTH_MAX);
  expect(end.code).toBe(0);
});
