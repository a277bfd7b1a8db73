// Starvation: how much of what the runtime does is left beside a loop of ours that is never idle, and
// how much of ours beside the runtime's. Told and not targeted, but nothing may come near to
// standing still.

import { median, printedBy } from "./common.mjs";

/** What does not even reach this share of what it does alone is starved. */
const share_min = 0.002;

export function benchStarvation(bench) {
  const span_ms = bench.tiny ? "20" : "1000";
  const rounds = bench.tiny ? 1 : 3;
  for (const backend of bench.backends) {
    const values = new Map(bench.runtimes.map(([place]) => [place, []]));
    for (let round = 0; round < rounds; round++) {
      for (const [place, command, ...args] of bench.runtimes) {
        const env = { ...bench.env, KEVENT_BACKEND: backend };
        const output = printedBy(command, [...args, "bench/starvation.child.ts", span_ms], env);
        const told = JSON.parse(output);
        if (told.backend !== backend) throw new Error(`Bench: ${place} has no ${backend}`);
        values.get(place).push(told.results);
      }
    }
    for (const [place, results] of values) tell(bench, place, backend, results);
  }
}

function tell(bench, place, backend, results) {
  for (const name of Object.keys(results[0])) {
    for (const { [name]: { alone, loaded } } of results) {
      // In so short a time nothing may come at all.
      if (bench.tiny || alone > 0 && loaded > alone * share_min) continue;
      const rates = `${alone} /s alone, ${loaded} /s beside`;
      throw new Error(`Bench: ${place}, ${backend}: ${name} is starved: ${rates}`);
    }
    bench.tell({
      what: `starvation: ${name}, beside the other side's load`,
      place,
      backend,
      value: median(results.map(({ [name]: { loaded } }) => loaded)),
      unit: "/s",
      digits: 0,
      more: true,
      peers: [{ name: "alone", value: median(results.map(({ [name]: { alone } }) => alone)) }],
    });
  }
}
