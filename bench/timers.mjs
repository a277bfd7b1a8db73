// Timers: what each costs to make, to clear, to hold and to fire, and how late it is. Three forms take
// turns: the runtime's own, ours by number (`setTimer`), ours in the shape of the runtime's
// (`kevent/timers`). The limit is a bare wheel in C, `bench/peers/wheel.c`.

import { join } from "node:path";
import { must, root } from "../.ci/shell.mjs";
import { median, printedBy } from "./common.mjs";

/** What is measured on one back-end, on each, and in one round only: a process for each. */
const alone = ["create", "churn", "memory", "fire", "immediate"];
const on_backends = ["lateness", "intervals"];
const once = ["spread", "ordered"];

/** What a form is called. */
const forms = {
  native: "the runtime's own",
  number: "by number",
  dropin: "drop-in",
};

/**
 * Key, name, unit, and targets in Bun and in Deno: for the form that is a number in this unit, for
 * the drop-in one as a share of the runtime's own. `backends`: on each.
 */
const rows = [
  {
    key: "create",
    what: "create, 1,000,000 live, 1,000 durations",
    unit: "ns",
    number: { bun: 90, deno: 100 },
    dropin: { bun: 0.85, deno: 0.07 },
  },
  { key: "spread", what: "the same, 60,000 durations", unit: "ns" },
  { key: "clear", what: "clear, in order of creation", unit: "ns", number: { bun: 30, deno: 30 } },
  {
    key: "churn",
    what: "create and clear, 1,000 others live",
    unit: "ns",
    number: { bun: 80, deno: 80 },
    dropin: { bun: 0.6, deno: 0.05 },
  },
  { key: "window", what: "create, clear a thousand later", unit: "ns" },
  {
    key: "fire",
    what: "processor time per fired timer, 1,000,000 in 1 s",
    unit: "ns",
    number: { bun: 100, deno: 120 },
    dropin: { bun: 0.25, deno: 0.15 },
  },
  { key: "ordered", what: "the same, due in order of creation", unit: "ns" },
  {
    key: "memory",
    what: "memory per timer that waits",
    unit: "bytes",
    number: { bun: 72, deno: 72 },
    dropin: { bun: 0.9, deno: 0.3 },
  },
  // By number there is none: that row is the loop's own list, which ours stands on.
  {
    key: "immediate",
    what: "setImmediate, a batch, each",
    unit: "ns",
    dropin: { bun: 100, deno: 150 },
    absolute: true,
  },
  ...lateness("idle", "idle loop"),
  ...lateness("busy", "10,000 wait"),
  {
    key: "drift",
    what: "interval of 1 ms over 2 s, drift",
    unit: "ms",
    digits: 2,
    number: { bun: 1, deno: 1 },
    backends: true,
  },
  {
    key: "uncalled",
    what: "the same, callbacks that did not come",
    unit: "of 2,000",
    digits: 0,
    backends: true,
  },
  {
    key: "cpu",
    what: "1,000 intervals of 10 ms, processor time",
    unit: "%",
    digits: 2,
    number: { bun: 1.3, deno: 1.5 },
    backends: true,
  },
];

function lateness(key, where) {
  const row = (share, bun, deno) => ({
    key: `${key}${share}`,
    what: `lateness of 1 ms, ${where}, p${share}`,
    unit: "us",
    number: { bun, deno },
    backends: true,
  });
  return [row(50, 60, 80), row(99, 200, 250)];
}

export function benchTimers(bench) {
  const values = measured(bench);
  const value = (...names) => {
    const found = values.get(names.join(" "));
    return found === undefined ? undefined : median(found);
  };
  for (const row of rows) {
    for (const form of Object.keys(forms)) {
      const ours = form !== "native";
      for (const backend of ours && row.backends ? bench.backends : [undefined]) {
        for (const [place] of bench.runtimes) {
          const names = [form, place, ...(ours ? [backend ?? bench.backends[0]] : []), row.key];
          tell(bench, row, form, place, backend, value(...names), [
            { name: "own", value: ours ? value("native", place, row.key) : undefined },
            { name: "C wheel", value: value("C wheel", row.key) },
          ]);
        }
      }
    }
  }
}

/** All values of all rounds, by the words that name them. */
function measured(bench) {
  const wheel = join(bench.output, "wheel");
  const source = join(root, "bench/peers/wheel.c");
  must(bench.tools.zig, ["cc", "-O2", "-Wall", "-Wextra", "-o", wheel, source]);
  // Timers, samples of lateness, seconds of intervals.
  const sizes = bench.tiny ? ["2000", "20", "0.05"] : ["1000000", "1000", "2"];
  const values = new Map();
  for (let round = 0; round < (bench.tiny ? 1 : 3); round++) {
    keep(values, "C wheel", printedBy(wheel, sizes));
    for (const { form, backend, groups } of programs(bench, round)) {
      for (const [place, command, ...args] of bench.runtimes) {
        const flags = place === "deno" ? [flagsOf(groups)] : [];
        const child = [...args, ...flags, "bench/timers.child.ts", form, groups, ...sizes];
        const env = { ...bench.env, KEVENT_BACKEND: backend };
        const name = form === "native" ? `${form} ${place}` : `${form} ${place} ${backend}`;
        keep(values, name, printedBy(command, child, env));
      }
    }
  }
  return values;
}

/** For V8: a young generation that grows meanwhile is not the timers' memory. */
function flagsOf(groups) {
  const fixed = ["--min-semi-space-size=16", "--max-semi-space-size=16"];
  return `--v8-flags=${["--expose-gc", ...(groups.includes("memory") ? fixed : [])]}`;
}

/** In an order in which what is compared comes one after the other. */
function programs(bench, round) {
  const [first, ...others] = bench.backends;
  // Nothing is measured when all is tiny, so one process does for all.
  const batches = (groups) => bench.tiny ? [groups.join(",")] : groups;
  const each = (backends, groups, names) =>
    batches(groups).flatMap((group) =>
      names.flatMap((form) => backends.map((backend) => ({ form, backend, groups: group })))
    );
  return [
    ...each([first], [...alone, ...on_backends, ...(round > 0 ? [] : once)], Object.keys(forms)),
    ...each(others, on_backends, Object.keys(forms).filter((form) => form !== "native")),
  ];
}

function keep(values, name, output) {
  for (const [key, value] of Object.entries(JSON.parse(output))) {
    const known = values.get(`${name} ${key}`) ?? [];
    values.set(`${name} ${key}`, [...known, value]);
  }
}

function tell(bench, row, form, place, backend, value, peers) {
  const { what, unit, digits, absolute } = row;
  const limit = row[form]?.[place];
  const own = peers[0].value;
  const relative = form === "dropin" && !absolute;
  bench.tell({
    what: `timers, ${forms[form]}: ${what}`,
    place,
    value,
    unit,
    digits,
    backend,
    peers: peers.filter((peer) => peer.value !== undefined),
    ...(limit === undefined ? {} : {
      target: relative ? `<= ${limit} x own` : `<= ${limit} ${unit}`,
      met: value <= (relative ? limit * own : limit),
    }),
  });
}
