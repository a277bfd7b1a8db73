// libuv's own promises, by the names of its cases: each is a test here or has a reason why not.
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Case, CASES, casesOf, type Group } from "./cases.ts";
import { NOT_APPLICABLE } from "./not-applicable.ts";

const groups = Object.keys(CASES) as Group[];
const left = Object.keys(NOT_APPLICABLE) as Case[];

/** Names before the colon in the titles of a file's tests. */
function namesIn(file: string): string[] {
  const text = readFileSync(new URL(file, import.meta.url), "utf8");
  return [...text.matchAll(/^\s*test\(\s*"(\w+): \S/gm)].map(([, name]) => name!);
}

describe("cases of libuv", () => {
  test("each group has a file, and each file is a group", () => {
    const files = readdirSync(new URL(".", import.meta.url))
      .filter((file) => file.endsWith(".test.ts") && file !== "cases.test.ts");
    expect(files.sort()).toEqual(groups.map((group) => `${group}.test.ts`).sort());
  });

  test.each(groups)(
    "%s: every case is a test in its file, or has a reason, and not both",
    (group) => {
      const applied = namesIn(`${group}.test.ts`);
      const cases = casesOf(group);
      const expected = cases.filter((name) => !left.includes(name));
      expect(applied).toHaveLength(new Set(applied).size);
      expect(applied.sort()).toEqual(expected.sort());
    },
  );

  test("no case is in two files, and no reason is for none", () => {
    const all = groups.flatMap(casesOf);
    expect(new Set(all).size).toBe(all.length);
    expect(left.filter((name) => !all.includes(name))).toEqual([]);
  });

  test("there are as many as libuv has", () => {
    const counts = groups.map((group) => [group, casesOf(group).length]);
    expect(Object.fromEntries(counts)).toEqual({
      loop: 26,
      ref: 24,
      timer: 19,
      async: 2,
      poll: 13,
      signal: 10,
      process: 40,
    });
  });

  test("every reason is said in words", () => {
    const silent = Object.entries(NOT_APPLICABLE).filter(([, reason]) =>
      !/\w+ \w+ \w+/.test(reason)
    );
    expect(silent).toEqual([]);
  });
});
