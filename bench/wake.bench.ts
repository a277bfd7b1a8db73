/**
 * How long a sleeping script takes to notice: from the moment before a native thread triggers a user
 * event to the first line of the handler. Peer: the runtime's own threadsafe callback, called by the
 * same thread. And the path that the kernel alone takes: an eventfd that another process writes.
 */

import {
  KEVENT_CTL_TRIGGER,
  KEVENT_POLL_IN,
  KEVENT_USER,
  KEVENT_USER_COPY,
  Loop,
  now,
  Poll,
  Records,
  User,
} from "../adapters/mod.ts";
import { nativeCallback, openHelper } from "./helper.ts";
import { must, note, place, quantile, report, size } from "./support.ts";

const ROUNDS = size(8, 1);
const SAMPLES = size(250, 20);
const GAP_US = 500;
const LIMIT_US = place === "bun" ? 20 : 35;

const helper = await openHelper();
using loop = new Loop();
const backend = String(loop.queue.info().backend);

/** When each sample of this round arrived; 0: it was merged into a later one. */
const arrived = new Float64Array(SAMPLES);
let last: () => void = () => {};

function arrive(sample: number): void {
  arrived[sample] = now();
  if (sample === SAMPLES - 1) last();
}

/** One round: `start` lets samples come, the last of which ends it. Microseconds of each. */
async function round(start: () => number): Promise<number[]> {
  arrived.fill(0);
  const sent = new Float64Array(SAMPLES);
  await new Promise<void>((resolve) => {
    // Later: Deno's callback holds up the thread that `bench_waker_end` waits for.
    last = () => void setTimeout(resolve, 1);
    must(start() === 0, "the waker did not start");
  });
  helper.bench_waker_end(new Uint8Array(sent.buffer));
  return Array.from(arrived, (at, n) => (at - sent[n]!) / 1000).filter((us) => us >= 0);
}

// --- the three ways --------------------------------------------------------------------------

const user = new User(loop).start(arrive);
const path = new TextEncoder().encode(`${loop.library.path}\0`);
const record = Records.of({
  type: KEVENT_USER,
  event: KEVENT_USER_COPY,
  user: user.share().user,
}).bytes as Uint8Array<ArrayBuffer>;
const { fd } = loop.queue;

function trigger(): number {
  return helper.bench_trigger(path, fd, KEVENT_CTL_TRIGGER, record, SAMPLES, GAP_US);
}

const callback = await nativeCallback(arrive, true);

function callBack(): number {
  return helper.bench_call_back(callback.pointer, SAMPLES, GAP_US);
}

const eventfd = helper.bench_eventfd();
let written = 0;
const poll = new Poll(loop, eventfd).start(KEVENT_POLL_IN, () => {
  const at = now();
  written += helper.bench_read(eventfd);
  arrived[written - 1] = at;
  if (written === SAMPLES) last();
});

function write(): number {
  written = 0;
  return helper.bench_write_from_process(eventfd, SAMPLES, GAP_US);
}

// --- the run ---------------------------------------------------------------------------------

const us: Record<"trigger" | "callBack" | "write", number[]> = {
  trigger: [],
  callBack: [],
  write: [],
};
// A threadsafe callback keeps no runtime alive for certain.
const alive = setInterval(() => {}, 60_000);
note(`${ROUNDS} rounds of ${SAMPLES} wake-ups, ${GAP_US} us apart, ${backend}`);
for (let n = 0; n <= ROUNDS; n++) {
  const results = {
    trigger: await round(trigger),
    callBack: await round(callBack),
    write: await round(write),
  };
  // The first round warms up.
  if (n === 0 && ROUNDS > 1) continue;
  for (const way of ["trigger", "callBack", "write"] as const) us[way].push(...results[way]);
}
clearInterval(alive);
const total = Object.values(us).map((values) => values.length);
note(`samples that arrived alone: ${total.join(", ")}`);
for (const values of Object.values(us)) must(values.length > 0, "no sample arrived");

const p50 = quantile(us.trigger);
report({
  what: "wake-up: native thread to sleeping script, p50",
  value: p50,
  unit: "us",
  target: "<= 20 us Bun, <= 35 us Deno",
  met: p50 <= LIMIT_US,
  peers: [{ name: "threadsafe callback", value: quantile(us.callBack) }],
  backend,
});
report({
  what: "wake-up: the same, p99",
  value: quantile(us.trigger, 0.99),
  unit: "us",
  peers: [{ name: "threadsafe callback", value: quantile(us.callBack, 0.99) }],
  backend,
});
for (const [name, share] of [["p50", 0.5], ["p99", 0.99]] as const) {
  report({
    what: `wake-up: eventfd written by another process, ${name}`,
    value: quantile(us.write, share),
    unit: "us",
    backend,
  });
}
poll.close();
user.close();
callback.close();
helper.bench_close(eventfd);
