// When a process ends that hangs on timers alone, and with what code: as with the runtime's own.
import { describe, expect, test } from "vitest";
import { type Ended, isDeno, runFixture } from "./support/program.ts";
import { gate } from "./support/queue.ts";

/** What is compared: the lines without their order, which other tests look at. */
function shown({ code, signal, output, errors }: Ended): object {
  const lines = output.trim().split("\n").sort();
  return { code, signal, lines, deliberate: reported(errors) };
}

/** How often a deliberate error was reported. */
function reported(errors: string): number {
  return errors.split(/error: deliberate/i).length - 1;
}

const names = (await runFixture("timers-exit", ["names"])).output.trim().split("\n");

describe.concurrent("the process", () => {
  for (const mode of ["kevent", "registered"]) {
    for (const way of ["by their numbers", "by numbers of setTimer"]) {
      test(`lives for what Deno.refTimer was given: ${way} (${mode})`, async (context) => {
        if (!isDeno) context.skip("Bun has no such function");
        const end = await runFixture("timers-exit", [mode, way]);
        expect([end.output, end.errors, end.code]).toEqual(["near\n", "", 0]);
      });
    }
  }

  for (const mode of ["native", "kevent", "registered"]) {
    test(`does not live for an immediate that is unref'd (${mode})`, async () => {
      const end = await runFixture("timers-exit", [mode, "an immediate unref'd"]);
      expect([end.errors, end.code, end.signal]).toEqual(["", 0, null]);
      expect(["", "immediate\n"]).toContain(end.output);
    });
  }

  test("runs nothing of ours after an error that ends it", async () => {
    const end = await runFixture("throw-fatal");
    expect([end.output, end.code]).toEqual(["", 1]);
    expect(end.errors).toMatch(/the end/);
  });

  test("there are ways to end", () => expect(names.length).toBeGreaterThan(20));

  for (const name of names) {
    test(`ends as with the runtime's own: ${name}`, async () => {
      const native = await runFixture("timers-exit", ["native", name]);
      expect(native.signal).toBe(null);
      for (const mode of ["kevent", "registered"]) {
        const end = await runFixture("timers-exit", [mode, name]);
        expect(shown(end)).toEqual(shown(native));
        // Deno and Bun say nothing else on their own, and neither do we.
        if (native.errors === "") expect(end.errors).toBe("");
      }
    });
  }
});

/** What timers by number print, and the code of the exit. */
const BY_NUMBER: Readonly<Record<string, readonly [string, number]>> = {
  "unref'd": ["", 0],
  "ref'd": ["once then ref'd at slept wall", 0],
  "ref'd after it fired": ["once", 0],
  "unref'd in its callback": ["tick", 0],
  "a sleep that is aborted": ["AbortError", 0],
  "a group that is cleared": ["100", 0],
  "thrown": ["", 1],
  "exit": ["", 7],
};

describe.concurrent("the process, with timers by number", () => {
  for (const [name, [output, code]] of Object.entries(BY_NUMBER)) {
    test(`ends: ${name}`, async () => {
      const end = await runFixture("set-timer-exit", [name]);
      expect([end.output.trim().replaceAll("\n", " "), end.code]).toEqual([output, code]);
      if (code !== 1) expect(end.errors).toBe("");
      else expect(reported(end.errors)).toBe(1);
    });
  }
});

describe.concurrent("a process with a far timer as its only work", () => {
  for (const mode of ["kevent", "registered"]) {
    test(`sleeps (${mode})`, async (context) => {
      gate(context, "simulated", "its waits jump");
      const end = await runFixture("timers-exit", [mode, "asleep"]);
      expect(end.errors).toBe("");
      // One that arms the kernel's timer, one when it has fired, and a few that the runtime may ask for.
      expect(Number(end.output)).toBeLessThan(10);
      expect(end.ms).toBeGreaterThan(1000);
    });
  }
});
