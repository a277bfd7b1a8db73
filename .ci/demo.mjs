// `npm run demo`: the demo in both runtimes on both back-ends. Arguments go to the demo.

import process from "node:process";
import { ask, run } from "./shell.mjs";
import { setup } from "./setup.mjs";

const { deno, bun } = setup();
let failed = false;
for (const backend of ["io_uring", "epoll"]) {
  if (backend === "io_uring" && ask(bun, [".ci/io_uring.ts"]) === "no") {
    console.error("io_uring: left out, this kernel denies it");
    continue;
  }
  for (const command of [[deno, "run", "-A"], [bun, "run"]]) {
    const [program, ...args] = [...command, "examples/demo.ts", ...process.argv.slice(2)];
    const { ok } = await run(program, args, { env: { KEVENT_BACKEND: backend }, limit_s: 120 });
    failed ||= !ok;
  }
}
process.exitCode = failed ? 1 : 0;
