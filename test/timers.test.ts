// The timers beside the runtime's own: a program must not see any difference but those that are known.
import { beforeAll, describe, expect, test } from "vitest";
import { isDeno, runFixture } from "./support/program.ts";
import { backend } from "./support/queue.ts";
import { IN_BUN, IN_DENO } from "./support/timer_differences.ts";

const known = isDeno ? IN_DENO : IN_BUN;

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
  let again: Promise<Map<string, string>> | undefined;
  beforeAll(async () => void (native = await observe("native")));

  /** What should be seen of ours. */
  function expectedOf(
    theirs: Map<string, string>,
    ours: Map<string, string>,
  ): Map<string, string | undefined> {
    const expected = new Map<string, string | undefined>(theirs);
    for (const { seen, varies } of known) {
      for (const [name, value] of Object.entries(seen)) {
        const theirValue = theirs.get(name);
        const seenValue = varies ? ours.get(name) : value;
        // A difference that is gone must not stay in the list.
        expected.set(name, seenValue === theirValue ? "a difference" : seenValue);
      }
    }
    return expected;
  }

  /** Names of what is seen otherwise. */
  function wrong(theirs: Map<string, string>, ours: Map<string, string>): string[] {
    const expected = expectedOf(theirs, ours);
    const names = new Set([...expected.keys(), ...ours.keys()]);
    return [...names].filter((name) => expected.get(name) !== ours.get(name));
  }

  test("more than a thousand things are looked at", () => {
    expect(native.size).toBeGreaterThan(1000);
  });

  for (const mode of ["kevent", "registered"]) {
    test(`a program sees no difference but those that are known (${mode})`, async () => {
      const ours = await observe(mode);
      let names = wrong(native, ours);
      if (names.length > 0) {
        // A busy machine is late for either: it must be so twice.
        const repeated = wrong(await (again ??= observe("native")), await observe(mode));
        names = names.filter((name) => repeated.includes(name));
      }
      const expected = expectedOf(native, ours);
      expect(names.map((name) => [name, ours.get(name)]))
        .toEqual(names.map((name) => [name, expected.get(name)]));
    }, 90_000);
  }
});

/** A leak of 24 bytes for each timer would be more. */
const GROWTH_MAX = 24e6;

test("a million timers that were cleared, or fired, leave nothing", async () => {
  // Without a limit V8's space for young objects grows for a while.
  const flags = isDeno ? ["--v8-flags=--expose-gc,--max-semi-space-size=2"] : [];
  const end = await runFixture("timers-leak", ["kevent"], { flags, limitMs: 55_000 });
  expect(end.errors).toBe("");
  expect(Number(end.output)).toBeLessThan(GROWTH_MAX);
  expect(end.code).toBe(0);
}, 60_000);
