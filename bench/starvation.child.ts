/**
 * One program that `bench/starvation.mjs` measures: how often things of the runtime happen beside all
 * the load that a loop of ours can make, and things of ours beside the load of the runtime. Prints
 * one JSON object: for each thing, times a second alone and under load.
 *
 *   <program> <milliseconds of each measurement>
 */

import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import process from "node:process";
import { defaultLoop, KEVENT_POLL_IN, Poll, setTimer } from "../adapters/mod.ts";
import { openHelper } from "./helper.ts";

const spanMs = Number(process.argv[2]);
const loop = defaultLoop();
const helper = await openHelper();

/** Something that happens again and again: calls `happened` each time, until that is false. */
type Work = (happened: () => boolean) => void;

// An echo on this machine, both ends in this process.
const server = createServer({ noDelay: true }, (socket) => socket.pipe(socket)).listen(
  0,
  "127.0.0.1",
);
await once(server, "listening");
const client = connect({ port: (server.address() as AddressInfo).port, noDelay: true });
await once(client, "connect");

const theirs: Record<string, Work> = {
  "setTimeout(1)": (happened) => {
    const again = (): void => void (happened() && setTimeout(again, 1));
    setTimeout(again, 1);
  },
  setImmediate: (happened) => {
    const again = (): void => void (happened() && setImmediate(again));
    setImmediate(again);
  },
  "round trips of a socket": (happened) => {
    const again = (): void => {
      if (happened()) client.write("x");
      else client.off("data", again);
    };
    client.on("data", again).write("x");
  },
};

// A descriptor that is always ready, because nobody reads it.
const ready = helper.bench_eventfd();
helper.bench_make_ready(new Uint8Array(Int32Array.of(ready).buffer), 1);

const ours: Record<string, Work> = {
  "setTimer, 1 ms": (happened) => {
    const again = (): void => void (happened() && setTimer(again, 1e6));
    setTimer(again, 1e6);
  },
  "a Poll that is always ready": (happened) => {
    const poll = new Poll(loop, ready);
    poll.start(KEVENT_POLL_IN, () => void (happened() || poll.close()));
  },
};

/** Everything at once, as often as the loop lets it. */
const ourLoad: Record<string, Work> = {
  immediate: (happened) => {
    const item = { onImmediate: (): void => void (happened() && loop.immediates.add(item, true)) };
    loop.immediates.add(item, true);
  },
  timer: (happened) => {
    const again = (): void => void (happened() && setTimer(again, 0));
    setTimer(again, 0);
  },
  poll: ours["a Poll that is always ready"]!,
};

/** Times a second that something happens while some load runs; who makes the load ends it. */
async function rate(work: Work, load: Record<string, Work>, end: typeof later): Promise<number> {
  let running = true;
  let count = 0;
  for (const one of Object.values(load)) one(() => running);
  const begin = performance.now();
  work(() => {
    count++;
    return running;
  });
  await end(spanMs);
  running = false;
  const perSecond = count * 1000 / (performance.now() - begin);
  // Whatever still waits sees that it is over.
  await later(10);
  return perSecond;
}

function later(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function laterOfOurs(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimer(() => resolve(), ms * 1e6));
}

const results: Record<string, { alone: number; loaded: number }> = {};
for (const [name, work] of Object.entries(theirs)) {
  const alone = await rate(work, {}, later);
  results[name] = { alone, loaded: await rate(work, ourLoad, laterOfOurs) };
}
for (const [name, work] of Object.entries(ours)) {
  const alone = await rate(work, {}, laterOfOurs);
  results[name] = { alone, loaded: await rate(work, theirs, later) };
}
console.log(JSON.stringify({ backend: loop.info().queue.backend, results }));
process.exit();
