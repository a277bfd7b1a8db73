// Which handle keeps the process alive, and which does not: each kind in a process of its own.
import { describe, expect, test } from "vitest";
import { runFixture } from "./support/program.ts";

const KINDS = ["timer", "poll", "server", "connection", "inode", "signal", "process", "user"];
/** A process that lives is ended so long after it said that it is armed. */
const LIVES_MS = 500;

describe.concurrent("alive", () => {
  for (const kind of KINDS) {
    for (const state of ["ref", "unref-ref-twice"]) {
      test(`an active ${kind} keeps the process alive (${state})`, async () => {
        const end = await runFixture("alive", [kind, state], { livesMs: LIVES_MS });
        expect(end.errors).toBe("");
        expect(end.output).toBe("armed\n");
        expect(end.signal).toBe("SIGKILL");
      });
    }
    for (const state of ["unref", "closed", "stopped-later", "unref-later", "loop-closed"]) {
      test(`the process ends by itself with a ${kind} that is ${state}`, async () => {
        const end = await runFixture("alive", [kind, state]);
        expect(end.errors).toBe("");
        expect(end.output).toBe("armed\n");
        expect(end.code).toBe(0);
      });
    }
  }

  test("the process lives until a close is told, whatever else goes on", async () => {
    const end = await runFixture("alive", ["idle", "unref-and-another-closed"]);
    expect(end).toMatchObject({ code: 0, output: "armed\nclosed\n", errors: "" });
  });
});
