// Timers: fractions of a millisecond, intervals that do not drift, timers that let the process end.
//
//   deno run -A examples/timers.ts
//   bun examples/timers.ts

import { Loop, now, Timer } from "../adapters/mod.ts";

using loop = new Loop();

// Once. Never early, whatever the delay; a nanosecond counts.
const start = now();
const took = await new Promise<number>((resolve) => {
  new Timer(loop).start(() => resolve((now() - start) / 1e6), 2.25);
});
console.log(`asked for 2.25 ms: early ${took < 2.25}`);

// Again and again. The callback learns how many times were missed while the thread was busy.
let times = 0;
await new Promise<void>((resolve) => {
  const interval = new Timer(loop);
  interval.start(
    (missed) => {
      times += 1 + missed;
      if (times < 10) return;
      interval.stop();
      resolve();
    },
    1,
    1,
  );
});
console.log(`10 times a millisecond: ${times >= 10}`);

// Restarting moves the deadline: a debounce of one line.
let calls = 0;
const debounce = new Timer(loop);
const settled = new Promise<void>((resolve) => {
  for (let index = 0; index < 100; index++) debounce.start(() => resolve(void calls++), 5);
});
await settled;
console.log(`100 restarts: ${calls} call`);

// An hour; but it does not keep the process alive.
new Timer(loop).start(() => console.log("never seen"), 3_600_000).unref();
