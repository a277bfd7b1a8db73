// Delays that no runtime takes as they are meant.
import { afterEach, describe, expect, test } from "vitest";
import { defaultLoop, ManualClock } from "../adapters/mod.ts";
import {
  clearInterval,
  clearTimeout,
  configure,
  setInterval,
  setTimeout,
} from "../adapters/timers.ts";

const MS = 1e6;
const LONG_MS = 2 ** 31 + 1000;

describe("longDelays (pain 32)", () => {
  afterEach(() => configure({ longDelays: false }));

  /** Tests with a clock that stands still. */
  function withClock(test: (clock: ManualClock) => void): void {
    const clock = new ManualClock();
    defaultLoop().clock = clock;
    try {
      test(clock);
    } finally {
      defaultLoop().clock = undefined;
    }
  }

  test("a delay of 2^31 ms and more is meant as it is, as a number or a text", () =>
    withClock((clock) => {
      configure({ longDelays: true });
      const log: string[] = [];
      setTimeout(() => log.push("timeout"), LONG_MS);
      setTimeout(() => log.push("text"), String(LONG_MS) as unknown as number);
      const interval = setInterval(() => log.push("interval"), LONG_MS);
      clock.advance((LONG_MS - 1) * MS);
      expect(log).toEqual([]);
      clock.advance(MS);
      expect(log).toEqual(["timeout", "text", "interval"]);
      clock.advance(LONG_MS * MS);
      expect(log).toEqual(["timeout", "text", "interval", "interval"]);
      clearInterval(interval);
    }));

  test("Infinity is never", () =>
    withClock((clock) => {
      configure({ longDelays: true });
      const log: string[] = [];
      const timer = setTimeout(() => log.push("never"), Infinity);
      clock.advance(1e9 * 1e9);
      expect(log).toEqual([]);
      clearTimeout(timer);
    }));

  test("without it they are 1 ms, as the runtime's own", async () => {
    await new Promise<void>((resolve) => setTimeout(resolve, LONG_MS));
  });

  test("a setting that is no boolean is refused", () => {
    expect(() => configure({ longDelays: 1 as unknown as boolean })).toThrow(
      "EINVAL (longDelays must be",
    );
  });
});
