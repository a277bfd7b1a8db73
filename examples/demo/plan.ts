import { Random } from "./random.ts";

/** What the writer does to one name of the directory. */
export interface Step {
  /** What to do. `write` makes a file or writes it anew, `append` needs one that is there. */
  readonly act: "write" | "append" | "rename" | "remove" | "mkdir" | "rmdir";
  /** To which name. */
  readonly name: string;
  /** The new name, for `rename`. */
  readonly to?: string;
  /** How many bytes, for `write` and `append`. */
  readonly bytes?: number;
}

const FILES = 80;
/** Names that programs trip over; the last is as long as a name may be. */
const ODD_NAMES = ["with space", "ümläut", "日本語.txt", "🦕", "-dash", "n".repeat(255)];

/**
 * What happens in the directory; the writer does it, the watch expects it.
 *
 * @param seed Decides on the order.
 * @returns The steps.
 */
export function plan(seed: number): Step[] {
  const random = new Random(seed);
  const names = [...ODD_NAMES];
  while (names.length < FILES) names.push(`file-${names.length}`);
  const todo = names.map((name) => stepsOf(name, random));
  // One step of any file at a time, each file's own steps in order.
  const steps: Step[] = [];
  while (todo.length > 0) {
    const index = random.between(0, todo.length - 1);
    const list = todo[index]!;
    steps.push(list.shift()!);
    if (list.length === 0) todo.splice(index, 1);
  }
  return steps;
}

function stepsOf(name: string, random: Random): Step[] {
  const kind = random.between(0, 9);
  if (kind === 0) return [{ act: "mkdir", name }, { act: "rmdir", name }];
  const steps: Step[] = [{ act: "write", name, bytes: random.between(0, 50_000) }];
  if (kind < 4) steps.push({ act: "append", name, bytes: random.between(1, 5_000) });
  if (kind < 6) return [...steps, { act: "remove", name }];
  const to = `${name.slice(0, 200)}.new`;
  steps.push({ act: "rename", name, to });
  if (kind < 9) steps.push({ act: "remove", name: to });
  return steps;
}
