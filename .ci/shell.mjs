// What the scripts in this folder share: where the project is, how a program is run.

import { spawn, spawnSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));

/** Ends the script with a message for people; a stack would hide what to do. */
export function fail(message, code = 1) {
  console.error(`\nkevent: ${message}`);
  process.exit(code);
}

/** What a program prints on stdout, or undefined when it is missing or fails. */
export function ask(command, args) {
  const { status, stdout } = spawnSync(command, args, { cwd: root, encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}

/** Runs a program that must succeed. Its output goes to stderr: stdout is for what was asked for. */
export function must(command, args, options = {}) {
  const { status, signal, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ["ignore", 2, 2],
    ...options,
  });
  if (status === 0) return;
  fail(`${command} ${args.join(" ")}\n  ${error ?? `ended with ${signal ?? status}`}`);
}

/**
 * Runs a program, shows its output (stdout only with `show`) and keeps it. After `limit_s` seconds
 * the whole process group is killed: a hang must become a failure that names its step, also when a
 * child holds the pipe.
 */
export function run(command, args, { limit_s = 180, env = {}, show = true, ...options } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
      ...options,
    });
    let output = "";
    let timed_out = false;
    const killGroup = () => {
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch {
        // Already gone.
      }
    };
    const timer = setTimeout(() => {
      timed_out = true;
      killGroup();
    }, limit_s * 1000);
    const interrupt = (signal) => {
      killGroup();
      process.exit(signal === "SIGINT" ? 130 : 143);
    };
    process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
    const end = (ok, why) => {
      clearTimeout(timer);
      process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
      resolve({ ok, output, why: timed_out ? `killed after ${limit_s} s` : why });
    };
    for (const [from, to] of [[child.stdout, process.stdout], [child.stderr, process.stderr]]) {
      from.on("data", (bytes) => {
        output += bytes;
        if (show || to === process.stderr) to.write(bytes);
      });
    }
    child.on("error", (error) => end(false, error.message));
    child.on(
      "close",
      (code, signal) => end(code === 0, code === 0 ? "" : `exit ${signal ?? code}`),
    );
  });
}
