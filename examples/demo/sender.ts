// Sends signals to the demo, the next one when the last was answered: the kernel keeps one pending
// signal of a kind, so signals sent in a row may become one.
//
// Arguments: pid, number of signals. Prints how many were sent.

import process from "node:process";
import { bounded } from "./processes.ts";

const [pid, times] = process.argv.slice(2).map(Number) as [number, number];
let sent = 0;

function send(): void {
  if (sent === times) {
    console.log(sent);
    process.exit(0);
  }
  sent++;
  process.kill(pid, "SIGUSR2");
}

bounded(20);
process.stdin.on("data", send);
// The demo is gone; its pid may soon be somebody else's.
process.stdin.on("end", () => process.exit(1));
send();
