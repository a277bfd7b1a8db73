// libuv's tests of `uv_async_t`, by name.
import { describe, expect, test } from "vitest";
import { Async, Check, Prepare } from "../../adapters/mod.ts";
import { counter, driven, limitBlocking } from "../support/driven.ts";
import { TestWorker } from "../support/worker.ts";

limitBlocking();

async function sender(): Promise<TestWorker> {
  const worker = new TestWorker("sender");
  expect(await worker.next()).toBe("ready");
  return worker;
}

describe("async", () => {
  test("async: what another thread sends wakes a loop that blocks, again and again", async () => {
    using loop = driven();
    using worker = await sender();
    const calls = new Int32Array(new SharedArrayBuffer(4));
    const closed = counter();
    const prepared = counter();
    const async = new Async(loop, () => {
      if (Atomics.add(calls, 0, 1) + 1 < 3) return;
      async.close(closed);
      prepare.close(closed);
    });
    const prepare: Prepare = new Prepare(loop).start(() => {
      prepared();
      if (prepared.calls === 1) worker.send({ shared: async.share(), calls, until: 3 });
    });
    expect(loop.run()).toBe(false);
    expect(await worker.next()).toBe("sent");
    expect(prepared.calls).toBeGreaterThan(0);
    expect(calls[0]).toBe(3);
    expect(closed.calls).toBe(2);
  });

  test("async_null_cb: a send ends a wait, also when its callback does nothing", async () => {
    using loop = driven();
    using worker = await sender();
    const checked = counter();
    const async = new Async(loop, () => {});
    const check: Check = new Check(loop).start(() => {
      checked();
      async.close();
      check.close();
    });
    worker.send({ shared: async.share() });
    expect(loop.run()).toBe(false);
    expect(await worker.next()).toBe("sent");
    expect(checked.calls).toBe(1);
  });
});
