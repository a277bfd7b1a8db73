// Libraries that put fake timers over those in place: over ours too, and ours are there again afterwards.
import { afterEach, describe, expect, test, vi } from "vitest";
import { registered } from "../adapters/register.ts";
import timers from "../adapters/timers.ts";
import { fixturePath, isDeno, runFixture } from "./support/program.ts";

const preloaded = ["--preload", fixturePath("../../adapters/register")];
const FAR_MS = 60_000;

describe.concurrent("@sinonjs/fake-timers", () => {
  test("fakes ours as it does the runtime's own", async () => {
    const native = await runFixture("fake-timers");
    const end = await runFixture("fake-timers", [], { flags: preloaded });
    expect(end.errors).toBe("");
    expect(end.output).toBe(native.output);
    expect(end.output.match(/as before: true/g)).toHaveLength(2);
    expect(end.output).toMatch(/fired\n$/);
    expect(end.code).toBe(0);
  });
});

describe("kevent that is first imported while timers are faked", () => {
  test("goes by the real ones, then and when the fake ones are gone", async () => {
    const end = await runFixture("fake-first");
    expect(end.errors).toBe("");
    expect(end.output.split("\n")).toEqual([
      "while faked: setTimer, setTimeout, setImmediate",
      "fakes: 1",
      "afterwards: setTimer, setTimeout, setImmediate",
      "",
    ]);
  });
});

describe("bun:test", () => {
  for (const flags of [[], preloaded]) {
    test(`jest.useFakeTimers works (${flags.length > 0 ? "over ours" : "over Bun's own"})`, async (context) => {
      if (isDeno) context.skip("bun:test is Bun's");
      const end = await runFixture("fake-jest", [], { flags: ["test", ...flags] });
      expect(end.errors).toContain("2 pass");
      expect(end.code).toBe(0);
    });
  }
});

describe("Vitest", () => {
  afterEach(() => void vi.useRealTimers());

  test("ours are in place", () => {
    expect(registered).toBe(true);
    expect(globalThis.setTimeout).toBe(timers.setTimeout);
  });

  test("vi.useFakeTimers lets a minute pass at once", async () => {
    const before = { setTimeout, setInterval, setImmediate, clearTimeout, clearInterval };
    vi.useFakeTimers();
    expect(globalThis.setTimeout).not.toBe(before.setTimeout);
    const log: string[] = [];
    setTimeout((word: string) => log.push(word), FAR_MS, "timeout");
    const interval = setInterval(() => log.push("tick"), FAR_MS / 2);
    await vi.advanceTimersByTimeAsync(FAR_MS);
    clearInterval(interval);
    expect(log).toEqual(["tick", "timeout", "tick"]);
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
    expect(globalThis).toMatchObject(before);
  });

  test("what waits on ours goes on meanwhile", async () => {
    const real = new Promise((resolve) => setTimeout(resolve, 5, "real"));
    vi.useFakeTimers();
    const faked = new Promise((resolve) => setTimeout(resolve, FAR_MS, "faked"));
    expect(await real).toBe("real");
    vi.runAllTimers();
    expect(await faked).toBe("faked");
  });

  test("spies are called in the place of ours", async () => {
    const spy = vi.spyOn(globalThis, "setTimeout");
    await new Promise((resolve) => setTimeout(resolve, 1));
    expect(spy).toHaveBeenCalledTimes(1);
    spy.mockRestore();
    expect(globalThis.setTimeout).toBe(timers.setTimeout);
  });

  test("ours work afterwards", async () => {
    expect(await new Promise((resolve) => setTimeout(resolve, 5, "real"))).toBe("real");
  });
});
