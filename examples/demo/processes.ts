import { type ChildProcess, spawn, type StdioOptions } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** All that were started and have not ended. */
const running = new Set<ChildProcess>();
// Also after an uncaught error: nothing may be left behind.
process.on("exit", endAll);

/**
 * Starts a script of this folder in another process of this runtime.
 *
 * @param file Its name.
 * @param parameters What it gets.
 * @returns The process; its stdin and stdout are pipes.
 */
export function startScript(file: string, ...parameters: (string | number)[]): ChildProcess {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const run = "Bun" in globalThis ? ["run"] : ["run", "-A", "--no-check"];
  return start(process.execPath, [...run, path, ...parameters.map(String)], [
    "pipe",
    "pipe",
    "inherit",
  ]);
}

/**
 * Starts a line of shell.
 *
 * @param line The line.
 * @returns The process.
 */
export function startShell(line: string): ChildProcess {
  return start("sh", ["-c", line], "ignore");
}

function start(program: string, parameters: string[], stdio: StdioOptions): ChildProcess {
  const child = spawn(program, parameters, { stdio });
  running.add(child);
  child.on("exit", () => running.delete(child));
  return child;
}

/** Ends all that still run, each by its own pid. */
export function endAll(): void {
  for (const child of running) child.kill("SIGKILL");
  running.clear();
}

/**
 * Reads what a script prints.
 *
 * @param child The script's process.
 * @returns The JSON it printed.
 * @throws {Error} When it failed.
 */
export function answerOf<Answer>(child: ChildProcess): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdout!.setEncoding("utf8").on("data", (part: string) => text += part);
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0) resolve(JSON.parse(text) as Answer);
      else reject(new Error(`${child.spawnargs.at(-1)} ended with ${signal ?? code}: ${text}`));
    });
  });
}

/** For a script that was started: ends it, should the demo that waits for it be gone. */
export function bounded(seconds: number): void {
  setTimeout(() => {
    console.error(`${process.argv[1]}: not done after ${seconds} s`);
    process.exit(3);
  }, seconds * 1000).unref();
}
