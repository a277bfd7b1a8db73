// Idle: processor time and wake-ups of a program with 10,000 registrations, as the kernel counts
// them from outside, beside the bare runtime. All programs sleep through the same seconds.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { root } from "../.ci/shell.mjs";

export async function benchIdle(bench) {
  const registrations = bench.tiny ? 100 : 10_000;
  const seconds = bench.tiny ? 1 : 10;
  const programs = await Promise.all(
    bench.runtimes.flatMap(([place, ...command]) => [
      start(bench, place, command, "", 0),
      ...bench.backends.map((backend) => start(bench, place, command, backend, registrations)),
    ]),
  );
  try {
    // What runtimes do after their start, such as collecting garbage, is over by then.
    await sleep(bench.tiny ? 500 : 5000);
    const before = programs.map(({ child }) => sample(child.pid));
    await sleep(seconds * 1000);
    const spent = programs.map(({ child }, n) => difference(sample(child.pid), before[n]));
    tellAll(bench, programs, spent, registrations, seconds);
  } finally {
    for (const { child } of programs) child.kill();
  }
}

async function start(bench, place, [command, ...args], backend, registrations) {
  const child = spawn(command, [...args, "bench/idle.child.ts", String(registrations)], {
    cwd: root,
    env: { ...process.env, ...bench.env, KEVENT_BACKEND: backend },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(createInterface(child.stdout), "line");
  const told = JSON.parse(line);
  if (told.handles !== registrations || told.backend !== backend) {
    throw new Error(`Bench: ${place} has ${line} instead of ${registrations} on ${backend}`);
  }
  return { child, place, backend };
}

/** Nanoseconds on a processor, and how often a thread went to sleep, over all threads. */
function sample(pid) {
  const sum = { cpu_ns: 0, switches: 0 };
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const folder = `/proc/${pid}/task/${thread}`;
    sum.cpu_ns += Number(readFileSync(`${folder}/schedstat`, "utf8").split(" ")[0]);
    const status = readFileSync(`${folder}/status`, "utf8");
    sum.switches += Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)[1]);
  }
  return sum;
}

function difference(after, before) {
  return {
    cpu_percent: Math.max(after.cpu_ns - before.cpu_ns, 0) / 1e9,
    switches: Math.max(after.switches - before.switches, 0),
  };
}

function tellAll(bench, programs, spent, registrations, seconds) {
  for (const [n, { place, backend }] of programs.entries()) {
    if (backend === "") continue;
    const bare = spent[programs.findIndex((other) => other.place === place && !other.backend)];
    const cpu = spent[n].cpu_percent / seconds * 100;
    const bare_cpu = bare.cpu_percent / seconds * 100;
    const { switches } = spent[n];
    console.log(
      `${place} ${backend}: ${registrations} idle registrations, ${seconds} s: ` +
        `${cpu.toFixed(3)} % CPU, ${switches} wake-ups; ` +
        `bare ${bare_cpu.toFixed(3)} %, ${bare.switches} wake-ups`,
    );
    const shared = { place, backend };
    bench.tell({
      ...shared,
      what: `idle: processor time with ${registrations} registrations`,
      value: cpu,
      unit: "%",
      digits: 3,
      target: "0.0 %",
      met: cpu < 0.05,
      peers: [{ name: "bare runtime", value: bare_cpu }],
    });
    bench.tell({
      ...shared,
      what: `idle: wake-ups in ${seconds} s`,
      value: switches,
      unit: "",
      digits: 0,
      target: "none of ours",
      met: switches <= bare.switches,
      peers: [{ name: "bare runtime", value: bare.switches }],
    });
  }
}
