// Readiness, S1-6: the same work through kevent on each back-end, libuv and a bare epoll loop, each a
// native program of its own. The programs take turns, so that all see the same machine; the hash
// says that they did the same work. Then the same from script.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { ask, must, root } from "../.ci/shell.mjs";
import { median, printedBy } from "./common.mjs";

const descriptors = 1000;

/** What is made ready, how it is watched, and how many are written before anybody looks. */
const cases = [
  { kind: "eventfd", trigger: "level", burst: 1, target: true },
  { kind: "eventfd", trigger: "level", burst: descriptors, target: true },
  { kind: "pipe", trigger: "level", burst: 1, target: true },
  { kind: "eventfd", trigger: "edge", burst: 1, target: false },
  { kind: "eventfd", trigger: "edge", burst: descriptors, target: false },
];

export async function benchReadiness(bench) {
  const programs = build(bench);
  for (const one of cases) benchCase(bench, programs, one);
  await bench.scripts("readiness", bench.backends);
}

function build({ tools: { zig }, output, backends, env }) {
  const peers = join(root, "bench/peers");
  const cc = (name, ...sources) =>
    must(zig, ["cc", "-O2", "-o", join(output, name), join(peers, "work.c"), ...sources]);
  cc("none", join(peers, "none.c"));
  cc("epoll", join(peers, "epoll.c"));
  const object = join(output, "kevent.o");
  const abi = [`-Mroot=${join(peers, "kevent.zig")}`, `-Mabi=${join(root, "zig/abi.zig")}`];
  must(zig, ["build-obj", "-O", "fast", "-lc", `-femit-bin=${object}`, "--dep", "abi", ...abi]);
  cc("kevent", object);
  const programs = [
    { name: "work alone", file: "none" },
    { name: "bare epoll", file: "epoll" },
    ...backends.map((backend) => ({
      name: `kevent ${backend}`,
      file: "kevent",
      backend,
      env: { KEVENT_LIBRARY: env.KEVENT_LIBRARY, KEVENT_BACKEND: backend },
    })),
  ];
  if (hasLibuv()) {
    cc("uv_poll", join(peers, "uv_poll.c"), "-luv");
    programs.push({ name: "libuv", file: "uv_poll" });
  } else {
    console.log("libuv: left out, it is not installed here: apt-get install libuv1-dev");
  }
  return programs.map((program) => ({ ...program, path: join(output, program.file) }));
}

function hasLibuv() {
  return existsSync("/usr/include/uv.h") || ask("pkg-config", ["--exists", "libuv"]) !== undefined;
}

function benchCase(bench, programs, { kind, trigger, burst, target }) {
  // Many short ones: a round that other programs disturb must stay one of many.
  const rounds = bench.tiny ? 1 : 31;
  const events = bench.tiny ? 2000 : 50_000;
  const args = [kind, trigger, descriptors, burst, events].map(String);
  const times = new Map(programs.map(({ name }) => [name, []]));
  const hashes = new Set();
  for (let round = 0; round < rounds; round++) {
    for (const { name, path, env = {} } of programs) {
      const output = printedBy(path, args, env);
      if (output === "none") continue;
      const [ns, hash] = output.split(" ");
      times.get(name).push(Number(ns));
      hashes.add(hash);
    }
  }
  if (hashes.size !== 1) throw new Error(`Bench: the work was not the same: ${[...hashes]}`);
  const how = `${kind}s made ready ${burst === 1 ? "one by one" : "all at once"}, ${trigger}`;
  tellCase(bench, programs, times, { how, target, hash: [...hashes][0] });
}

function tellCase(bench, programs, times, { how, target, hash }) {
  const perSecond = (name) => 1e6 / median(times.get(name));
  const measured = programs.filter(({ name }) => times.get(name).length > 0);
  const told = measured.map(({ name }) => `${name} ${perSecond(name).toFixed(0)}`).join(", ");
  console.log(`${how}: ${told} k events/s; hash ${hash}`);
  const peers = measured
    .filter(({ backend }) => backend === undefined)
    .map(({ name }) => ({ name, value: perSecond(name) }));
  for (const { name, backend } of measured) {
    if (backend === undefined) continue;
    const value = perSecond(name);
    const times_of = (peer) => value / (peers.find((one) => one.name === peer)?.value ?? value);
    bench.tell({
      what: `readiness: ${how}`,
      place: "native",
      backend,
      value,
      unit: "k/s",
      digits: 0,
      more: true,
      peers: peers.filter((peer) => peer.name !== "work alone"),
      ...(target
        ? {
          target: ">= 1.0 x libuv, 0.8 x epoll",
          met: times_of("libuv") >= 1 && times_of("bare epoll") >= 0.8,
        }
        : {}),
    });
  }
}
