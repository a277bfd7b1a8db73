// What a callback may count on: order, microtasks, async context, exceptions.
import { describe, expect, test } from "vitest";
import { isDeno, runFixture } from "./support/program.ts";

async function lines(name: string, errors = /^$/): Promise<string[]> {
  const end = await runFixture("order", [name]);
  expect(end.errors).toMatch(errors);
  return end.output.trim().split("\n");
}

describe.concurrent("order", () => {
  test("microtasks and ticks run between two callbacks of one batch", async () => {
    const log = await lines("microtasks");
    for (const number of [1, 2, 3]) {
      const from = log.indexOf(`callback${number}`);
      const until = number === 3 ? log.length : log.indexOf(`callback${number + 1}`);
      expect(log.slice(from, until)).toContain(`microtask${number}`);
      expect(log.slice(from, until)).toContain(`tick${number}`);
    }
  });

  test("what follows an await runs before the next callback", async () => {
    expect(await lines("awaits")).toEqual(["before1", "after1", "before2", "after2", "exit 0"]);
  });

  test("each callback has the async context of its registration", async () => {
    const log = await lines("context");
    expect(log).toEqual(["plain=undefined", "one=one", "timer=two", "nested=two", "exit 0"]);
  });

  test("the context a loop was made in is not that of its callbacks", async () => {
    expect(await lines("context-of-loop")).toEqual(["store=undefined", "exit 0"]);
  });

  test("an exception reaches uncaughtException and stops no other callback", async () => {
    expect(await lines("uncaught")).toEqual([
      "callback1",
      "uncaught thrown1",
      "callback2",
      "uncaught thrown2",
      "callback3",
      "exit 0",
    ]);
  });

  test("a repeating timer goes on after its callback threw", async () => {
    const thrown = [1, 2, 3].map((number) => `uncaught thrown${number}`);
    expect(await lines("uncaught-repeat")).toEqual([...thrown, "exit 0"]);
  });

  test("an exception that nobody listens for ends the process with code 1", async () => {
    const end = await runFixture("order", ["uncaught-unheard"]);
    expect(end.code).toBe(1);
    expect(end.errors).toContain("nobody listens");
  });

  test("an exception in run() is told at once, and run goes on", async () => {
    const log = await lines("uncaught-run");
    expect(log).toEqual(["first", "uncaught thrown", "second", "returned false", "exit 0"]);
  });

  test("an exception in run() that nobody listens for ends the process when run has returned", async () => {
    const end = await runFixture("order", ["uncaught-run-unheard"]);
    expect(end.code).toBe(1);
    expect(end.errors).toContain("thrown");
    expect(end.output).toMatch(/^first\nsecond\nreturned false\n/);
  });

  test("a rejection in a callback reaches unhandledRejection", async () => {
    expect(await lines("rejection")).toEqual(["rejection rejected", "exit 0"]);
  });

  test("a handle closed by an earlier callback of the batch is not called", async () => {
    expect(await lines("closed")).toEqual(["first", "exit 0"]);
  });

  test("a loop closed by a callback calls nobody any more", async () => {
    expect(await lines("closed-loop")).toEqual(["first", "exit 0"]);
  });

  test("a busy loop leaves the runtime its turns", async () => {
    expect(await lines("busy")).toEqual(["runtime", "exit 0"]);
  });

  test("a loop busy with unref'd handles leaves the runtime its turns and lets it end", async () => {
    expect(await lines("busy-unref")).toEqual(["runtime", "exit 0"]);
  });

  test("a busy runtime leaves the loop its turns", async () => {
    expect(await lines("busy-theirs")).toEqual(["fired 20, runtime busy", "exit 0"]);
  });

  test("a callback cannot run its loop", async () => {
    const [message] = await lines("reentry");
    expect(message).toContain("Cannot run loop: EBUSY");
  });

  test("Deno's error event sees the exception", async (context) => {
    if (!isDeno) context.skip("Bun has no error event of the main thread");
    const end = await runFixture("error-event");
    expect(end.output).toBe("error event: thrown\nlater\n");
    expect(end.code).toBe(0);
  });
});

/** What docs/order.md says, by the place of the callbacks. */
const AFTER_BATCH: Readonly<Record<string, readonly string[]>> = {
  timer: ["our immediate", "our timer"],
  event: ["our immediate", "our timer"],
  immediate: ["our timer", "our immediate"],
};

describe("order table", async () => {
  const { output, errors } = await runFixture("order-table");
  const traces = new Map(
    output.trim().split("\n").map((line) => {
      const [place, words] = line.split(": ");
      return [place!, words!.split(", ")];
    }),
  );

  test("it was taken", () => {
    expect(errors).toBe("");
    expect([...traces.keys()]).toEqual(Object.keys(AFTER_BATCH));
  });

  for (const [place, after] of Object.entries(AFTER_BATCH)) {
    const trace = traces.get(place) ?? [];
    const next = trace.indexOf("next callback");

    test(`${place}: microtasks and ticks run before the next callback`, () => {
      const before = trace.slice(0, next);
      // Bun takes ticks for microtasks that come when they were asked for first.
      if (isDeno) expect(before).toEqual(["nextTick", "microtask", "await"]);
      else expect([...before].sort()).toEqual(["await", "microtask", "nextTick"]);
      expect(before.indexOf("await")).toBeGreaterThan(before.indexOf("microtask"));
    });

    test(`${place}: timers and immediates of ours run after the batch, in this order`, () => {
      expect(trace.slice(next + 1, next + 3)).toEqual(after);
    });

    test(`${place}: what is the runtime's comes when it gets its turn`, () => {
      expect(trace.slice(next + 3).sort()).toEqual(["runtime's immediate", "runtime's timer"]);
    });
  }
});
