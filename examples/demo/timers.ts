import { type Loop, now, Timer } from "../../adapters/mod.ts";
import { type Part, quantile } from "./part.ts";
import { Random } from "./random.ts";

const TIMERS = 300;
const DELAY_MAX_US = 1_500_000;

/**
 * Some hundred timers of any length, and how late each one was.
 *
 * @param loop The loop of the demo.
 * @param seed Decides on the delays.
 */
export function startTimers(loop: Loop, seed: number): Part {
  const random = new Random(seed);
  const late_ms: number[] = [];
  const problems: string[] = [];
  const timers: Timer[] = [];
  let fired = () => {};
  const done = new Promise<void>((resolve) => fired = resolve);

  for (let index = 0; index < TIMERS; index++) {
    // Microseconds: a delay that is no whole number of milliseconds must not be early either.
    const delayMs = random.between(1, DELAY_MAX_US) / 1000;
    // Counted from here, as the caller does, and on the clock of the kernel.
    const asked = now();
    const timer = new Timer(loop);
    timers.push(timer);
    timer.start(() => {
      const lateness = (now() - asked) / 1e6 - delayMs;
      late_ms.push(lateness);
      if (lateness < 0) problems.push(`timer of ${delayMs} ms was ${-lateness} ms early`);
      if (late_ms.length === TIMERS) fired();
    }, delayMs);
  }

  return {
    done,
    stop: () => timers.forEach((timer) => timer.close()),
    result() {
      const sorted = late_ms.toSorted((a, b) => a - b);
      const p50_ms = quantile(sorted, 0.5);
      const p99_ms = quantile(sorted, 0.99);
      const max_ms = quantile(sorted, 1);
      const missing = TIMERS - late_ms.length;
      return {
        what: `${late_ms.length} fired, none early; late p50 ${p50_ms.toFixed(2)}, ` +
          `p99 ${p99_ms.toFixed(2)}, max ${max_ms.toFixed(2)} ms`,
        events: late_ms.length,
        problems: missing === 0 ? problems : [...problems, `${missing} timers did not fire`],
        numbers: { fired: late_ms.length, p50_ms, p99_ms, max_ms },
      };
    },
  };
}
