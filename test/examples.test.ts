import { beforeEach, expect, test } from "vitest";
import { backend, gate } from "./support/queue.ts";
import { type Ended, runFixture } from "./support/program.ts";

const NAMES = ["ring_buffer", "timers", "watch", "echo"] as const;

const OUTPUTS: Readonly<Record<(typeof NAMES)[number], RegExp>> = {
  ring_buffer:
    /^fast: \d+, medium: \d+, slow: \d+\n14 events .* ring of 4 records, \d times round$/,
  timers: /^asked for 2.25 ms: early false\n10 times a millisecond: true\n100 restarts: 1 call$/,
  watch: new RegExp(
    "^draft.txt created\ndraft.txt written\ndraft.txt moved from\n" +
      "letter.txt moved to \\(the same file\\)\nletter.txt removed$",
  ),
  echo: /^1300000 of 1300000 bytes came back, 0 wrong$/,
};

/** Examples are programs of real files, sockets and clocks. */
function run(name: string, args: readonly string[] = [], limitMs = 10_000): Promise<Ended> {
  return runFixture(`../../examples/${name}`, args, { limitMs });
}

beforeEach((context) => gate(context, "simulated", "examples deal with the real world"));

async function keepsItsWord(name: (typeof NAMES)[number]): Promise<void> {
  const { code, signal, output, errors } = await run(name);
  expect({ code, signal, errors }).toEqual({ code: 0, signal: null, errors: "" });
  expect(output.trim()).toMatch(OUTPUTS[name]);
}

test("S2-10 the example ring_buffer reads the ring by hand", () => keepsItsWord("ring_buffer"));

test.each(NAMES.slice(1))("the example %s does what it says and ends by itself", keepsItsWord);

test("the demo loses nothing, and sleeps without a call", async () => {
  const { code, output, errors } = await run("demo", ["--json", "--seed=1"], 19_000);
  const report = JSON.parse(output);
  expect(report.problems, errors).toEqual([]);
  expect(code).toBe(0);
  expect(report).toMatchObject({ ok: true, seed: 1, idle: { calls: 0 } });
  if (backend !== "auto") expect(report.backend).toBe(backend);
  expect(report.parts.timers.numbers.fired).toBe(300);
});

test("the demo names what was wrong and exits with 1", async () => {
  const { code, output } = await run("demo", ["--only=timers,nonsense"]);
  expect(code).toBe(1);
  expect(output).toMatch(/WRONG:\n {2}nonsense: /);
});
