// Fixtures as programs of their own, in the runtime that runs the tests.
import { spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";

export const isDeno = "Deno" in globalThis;

/** How a program ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly output: string;
  readonly errors: string;
  readonly ms: number;
}

/** What a program is started with. */
export interface ProgramOptions {
  /** Permissions in Deno. Default: all. */
  readonly allow?: readonly string[];
  /** Arguments of the runtime itself, in both. Default: none. */
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** After so long it is killed. Default 10,000. */
  readonly limitMs?: number;
  /** So long after its first output it is killed, if it lives then. Default: only after `limitMs`. */
  readonly livesMs?: number;
  /** A program and arguments that start the rest of the command. Default: none. */
  readonly through?: readonly string[];
}

export function fixturePath(name: string): string {
  return fileURLToPath(new URL(`../fixture/${name}.ts`, import.meta.url));
}

/** Runs `test/fixture/<name>.ts` to its end. */
export function runFixture(
  name: string,
  args: readonly string[] = [],
  options: ProgramOptions = {},
): Promise<Ended> {
  const { allow = ["-A"], flags = [], env = {}, limitMs = 10_000, livesMs, through = [] } = options;
  const file = fixturePath(name);
  const before = isDeno ? ["run", "--no-prompt", ...allow, ...flags] : flags;
  const [program, ...command] = [...through, process.execPath, ...before, file, ...args];
  const start = performance.now();
  const child = spawn(program!, command, {
    env: { ...process.env, NO_COLOR: "1", ...env } as Record<string, string>,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let errors = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => output += text);
  child.stderr.setEncoding("utf8").on("data", (text: string) => errors += text);
  const kill = () => void child.kill("SIGKILL");
  const limits = [setTimeout(kill, limitMs)];
  if (livesMs !== undefined) {
    child.stdout.once("data", () => limits.push(setTimeout(kill, livesMs)));
  }
  return new Promise((resolve) => {
    child.on("close", (code, signal) => {
      for (const limit of limits) clearTimeout(limit);
      resolve({ code, signal, output, errors, ms: performance.now() - start });
    });
  });
}
