// `kevent/register`: what it replaces, that all of it can be undone, and that it never is in the way.
import { describe, expect, test } from "vitest";
import { currentRuntime } from "../loop/host.ts";
import "../adapters/mod.ts";
import {
  type Ended,
  fixturePath,
  isDeno,
  type ProgramOptions,
  runFixture,
} from "./support/program.ts";

const register = fixturePath("../../adapters/register");
const preloaded = ["--preload", register];
const { path } = currentRuntime().library;
const VARIABLE = "--allow-env=KEVENT_LIBRARY";

/** What a program says that went well, by lines of `name: what`. */
async function said(
  way: string,
  options: ProgramOptions = {},
  ...args: readonly string[]
): Promise<Map<string, string>> {
  const end = await runFixture("register", [way, ...args], options);
  expect(end.errors).toBe("");
  expect(end.code).toBe(0);
  return linesOf(end);
}

function linesOf({ output }: Ended): Map<string, string> {
  const lines = output.trim().split("\n").map((line) => line.split(": ") as [string, string?]);
  return new Map(lines.map(([name, what = ""]) => [name, what]));
}

function expectAll(lines: Map<string, string>, names: readonly string[], what: string): void {
  expect(names.map((name) => [name, lines.get(name)])).toEqual(names.map((name) => [name, what]));
}

const PLACES = [
  ...["globalThis", "node:timers", "timers by require", "node:timers as a built-in module"],
  ...["node:timers/promises", "timers/promises by require", "promises of node:timers"],
  ...["node:fs", "fs by require", "node:fs/promises", "promises of node:fs", "namespace"],
];
/** What holds of the runtime's own, and must of ours. */
const PARTS = ["one object", "promisify", "globals"];

/** The runtime's own are in place, and the program works. */
function expectNative(end: Ended): void {
  const lines = linesOf(end);
  expectAll(lines, PARTS, "true");
  expect(lines.get("by name")).toBe("the same");
  expect(lines.has("fired")).toBe(true);
  expect(end.code).toBe(0);
}

describe.concurrent("register", () => {
  test("replaces what is in all places, but not what is imported by name", async () => {
    const lines = await said("before others load");
    expectAll(lines, PLACES, "ours");
    expectAll(lines, PARTS, "true");
    expect(lines.get("by name")).toBe("the runtime's");
    const beyond = ["by await import", "promises by await import", "AbortSignal.timeout"];
    expectAll(lines, beyond, "the runtime's");
    expect(lines.get("the default by await import")).toBe("ours");
    expect(lines.has("fired")).toBe(true);
  });

  test("does the same when it is preloaded", async () => {
    expectAll(await said("places", { flags: preloaded }), PLACES, "ours");
    expectAll(await said("works", { flags: preloaded }), PARTS, "true");
  });

  test("without it the runtime's own are there", async () => {
    const lines = await said("works");
    expectAll(lines, PARTS, "true");
    expect(lines.get("by name")).toBe("the same");
  });

  test("unregister() puts back what was there, and what waits goes on", async () => {
    const lines = await said("undone");
    expectAll(lines, ["registered", "replaced", "as before", "still", "waits", ...PARTS], "true");
    expect([lines.has("fired"), lines.has("ours fired"), lines.has("never")])
      .toEqual([true, true, false]);
  });

  test("two copies do not get in each other's way", async () => {
    const lines = await said("twice from the same files");
    expectAll(lines, ["as before", ...PARTS], "true");
    expect(lines.has("fired")).toBe(true);
  });

  test.each(["first first", "last first"])("two versions can be undone, the %s", async (order) => {
    const env = { KEVENT_LIBRARY: path };
    const lines = await said("as two packages", { env }, order);
    expectAll(lines, ["registered", "undone", ...PARTS], "true");
    expect(lines.get("as before")).toBe("false");
    expect(lines.has("fired")).toBe(true);
  });

  test("what somebody had put over ours meanwhile can be undone when it is gone", async () => {
    const lines = await said("beneath fake timers");
    expectAll(lines, ["as before", ...PARTS], "true");
    expect(lines.has("fired")).toBe(true);
  });

  test("stands beside imports of the timers themselves", async () => {
    const end = await runFixture("package-timers");
    expect(end.errors).toBe("");
    expect(end.output).toBe("timers, promises, register\n");
    expect(end.code).toBe(0);
  });

  test("what somebody has replaced since then stays", async () => {
    expectAll(await said("replaced by others"), ["theirs", "gone", "the runtime's"], "true");
  });
});

/** One line, and nothing of a stack. */
const STAYS = /^kevent: the runtime's own timers stay in place: Cannot [^\n]+\n$/;

describe.concurrent("where the library cannot run", () => {
  test("the runtime's own stay, and it is said once: no library", async () => {
    const env = { KEVENT_LIBRARY: "/nonexistent" };
    const end = await runFixture("register", ["works"], { flags: preloaded, env });
    expect(end.errors).toMatch(STAYS);
    expectNative(end);
  });

  test("the runtime's own stay, and it is said once: no queue", async () => {
    const env = { KEVENT_BACKEND: "nonsense" };
    const end = await runFixture("register", ["works"], { flags: preloaded, env });
    expect(end.errors).toMatch(STAYS);
    expectNative(end);
  });

  test("the runtime's own stay, and it is said once: no permission", async (context) => {
    if (!isDeno) context.skip("Bun has no permissions");
    // Deno grants a child of the same runtime everything when it is given no grants at all.
    const end = await runFixture("register", ["works"], { allow: [VARIABLE, ...preloaded] });
    expect(end.errors).toMatch(STAYS);
    expect(end.errors).toContain("--allow-ffi=");
    expectNative(end);
  });

  test("a grant for the library alone is enough", async (context) => {
    if (!isDeno) context.skip("Bun has no permissions");
    const allow = [`--allow-ffi=${path}`, VARIABLE, ...preloaded];
    expectAll(await said("places", { allow }), PLACES, "ours");
  });
});

describe("everyday programs", () => {
  test("see no difference", async () => {
    const native = await runFixture("everyday");
    const end = await runFixture("everyday", [], { flags: preloaded });
    expect(end.errors).toBe("");
    expect(end.output).toBe(native.output);
    expect([end.code, native.code]).toEqual([0, 0]);
    expect(end.output.split("\n").length).toBeGreaterThan(8);
  });
});
