import { constants, release } from "node:os";
import { type Loop, Process } from "../../adapters/mod.ts";
import type { Part } from "./part.ts";
import { startShell } from "./processes.ts";

/** What a child does, and how it must be seen to end. */
const CHILDREN: readonly { line: string; code?: number; signal?: number }[] = [
  { line: "exit 0", code: 0 },
  { line: "sleep 0.1; exit 7", code: 7 },
  { line: "sleep 0.3; exit 255", code: 255 },
  { line: "sleep 0.2; kill -TERM $$", signal: constants.signals.SIGTERM },
  { line: "sleep 0.4; kill -KILL $$", signal: constants.signals.SIGKILL },
];

/** Whether the kernel tells how a child ended though the runtime has reaped it: since 6.15. */
function kernelTells(): boolean {
  const [major = 0, minor = 0] = release().split(".").map(Number);
  return major > 6 || (major === 6 && minor >= 15);
}

/**
 * Children that end in different ways.
 *
 * @param loop The loop of the demo.
 */
export function startChildren(loop: Loop): Part {
  const problems: string[] = [];
  const waiting = new Set<string>();
  const handles: Process[] = [];
  let seen = 0;
  let ended = () => {};
  const done = new Promise<void>((resolve) => ended = resolve);

  for (const { line, code, signal } of CHILDREN) {
    waiting.add(line);
    const child = startShell(line);
    const handle = new Process(loop);
    handles.push(handle);
    const over = (problem?: string) => {
      waiting.delete(line);
      if (problem !== undefined) problems.push(`"${line}": ${problem}`);
      if (waiting.size === 0) ended();
    };
    handle.onError = ({ message }) => over(message);
    handle.start(child.pid!, (end) => {
      seen++;
      const unknown = end.code === undefined && end.signal === undefined;
      const right = (end.code === code && end.signal === signal) || (unknown && !kernelTells());
      over(right ? undefined : `ended with code ${end.code}, signal ${end.signal}`);
    });
  }

  return {
    done,
    stop: () => handles.forEach((handle) => handle.close()),
    result() {
      return {
        what: `${seen} processes seen to end, with exit code or signal`,
        events: seen,
        problems: [...problems, ...[...waiting].map((line) => `"${line}" was not seen to end`)],
        numbers: { ended: seen },
      };
    },
  };
}
