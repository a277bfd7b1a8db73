// Idle: processor time and wake-ups of a program with 10,000 registrations, as the kernel counts
// them from outside, and how often its loop turned. Beside it the runtime with as many timers of its
// own. All programs sleep through the same seconds.

import { spawn } from "node:child_process";
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
      start(bench, place, command, "", [String(registrations), "bare"]),
      ...bench.backends.map((backend) =>
        start(bench, place, command, backend, [String(registrations)])
      ),
    ]),
  );
  try {
    // What runtimes do after their start, such as collecting garbage, is mostly over by then.
    await sleep(bench.tiny ? 500 : 40_000);
    const before = programs.map(({ child }) => sample(child.pid));
    await sleep(seconds * 1000);
    const spent = programs.map(({ child }, n) => difference(sample(child.pid), before[n]));
    const turns = await Promise.all(programs.map(turnsSinceStart));
    tellAll(bench, programs, spent, turns, registrations, seconds);
  } finally {
    for (const { child } of programs) child.kill();
  }
}

async function start(bench, place, [command, ...args], backend, rest) {
  const child = spawn(command, [...args, "bench/idle.child.ts", ...rest], {
    cwd: root,
    env: { ...process.env, ...bench.env, KEVENT_BACKEND: backend },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const program = { child, place, backend, lines, turns: 0 };
  const told = await lineOf(program);
  if (told.handles !== Number(rest[0]) || told.backend !== backend) {
    throw new Error(`Bench: ${place} has ${JSON.stringify(told)} instead of ${rest} on ${backend}`);
  }
  program.turns = told.turns;
  return program;
}

async function lineOf({ lines, place }) {
  const { value, done } = await lines.next();
  if (done) throw new Error(`Bench: ${place} ended`);
  return JSON.parse(value);
}

async function turnsSinceStart(program) {
  program.child.stdin.end();
  return (await lineOf(program)).turns - program.turns;
}

/** Of each thread: nanoseconds on a processor, and how often it went to sleep. */
function sample(pid) {
  const threads = new Map();
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const folder = `/proc/${pid}/task/${thread}`;
    const status = readFileSync(`${folder}/status`, "utf8");
    threads.set(thread, {
      cpu_ns: Number(readFileSync(`${folder}/schedstat`, "utf8").split(" ")[0]),
      switches: Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)[1]),
    });
  }
  return threads;
}

/** What was added between two samples; a thread that ended meanwhile cannot be asked any more. */
function difference(after, before) {
  const sum = { cpu_ns: 0, switches: 0 };
  for (const [thread, { cpu_ns, switches }] of after) {
    const start = before.get(thread) ?? { cpu_ns: 0, switches: 0 };
    sum.cpu_ns += cpu_ns - start.cpu_ns;
    sum.switches += switches - start.switches;
  }
  return sum;
}

function tellAll(bench, programs, spent, turns, registrations, seconds) {
  for (const [n, { place, backend }] of programs.entries()) {
    if (backend === "") continue;
    const bare = spent[programs.findIndex((other) => other.place === place && !other.backend)];
    const percent = ({ cpu_ns }) => cpu_ns / seconds / 1e7;
    const cpu = percent(spent[n]);
    const { switches } = spent[n];
    console.log(
      `${place} ${backend}: ${registrations} idle registrations, ${seconds} s: ` +
        `${cpu.toFixed(3)} % CPU, ${turns[n]} turns, ${switches} wake-ups of all threads; ` +
        `bare ${percent(bare).toFixed(3)} %, ${bare.switches} wake-ups`,
    );
    const peer = (value) => [{ name: "as many setTimeout", value }];
    const told = [
      ["processor time", cpu, "%", 3, "0.0 %", cpu < 0.05, peer(percent(bare))],
      [`turns in ${seconds} s`, turns[n], "turns", 0, "none", turns[n] === 0],
      [
        `wake-ups of all threads in ${seconds} s`,
        switches,
        "wake-ups",
        0,
        undefined,
        undefined,
        peer(bare.switches),
      ],
    ];
    for (const [what, value, unit, digits, target, met, peers] of told) {
      const name = `idle, ${registrations} registrations: ${what}`;
      bench.tell({ what: name, place, backend, value, unit, digits, target, met, peers });
    }
  }
}
