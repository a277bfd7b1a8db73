import {
  Inode,
  type InodeEvent,
  KEVENT_INODE_CLOSE_WRITE,
  KEVENT_INODE_CREATE,
  KEVENT_INODE_DIRECTORY,
  KEVENT_INODE_MODIFY,
  KEVENT_INODE_MOVED_FROM,
  KEVENT_INODE_MOVED_TO,
  KEVENT_INODE_REMOVE,
  type Loop,
} from "../../adapters/mod.ts";
import type { Part } from "./part.ts";
import { plan, type Step } from "./plan.ts";
import { answerOf, startScript } from "./processes.ts";

const KINDS: readonly [number, string][] = [
  [KEVENT_INODE_CREATE, "create"],
  [KEVENT_INODE_MODIFY, "modify"],
  [KEVENT_INODE_CLOSE_WRITE, "close after writing"],
  [KEVENT_INODE_MOVED_FROM, "move from"],
  [KEVENT_INODE_MOVED_TO, "move to"],
  [KEVENT_INODE_REMOVE, "remove"],
];
const MASK = KINDS.reduce((mask, [bit]) => mask | bit, 0);

/** An event as it must come. */
interface Expected {
  readonly event: number;
  readonly name: string;
}

/**
 * A watch on a directory in which another process works.
 *
 * @param loop The loop of the demo.
 * @param folder The directory, empty.
 * @param seed Decides on the steps.
 */
export function startWatch(loop: Loop, folder: string, seed: number): Part {
  const expected = plan(seed).flatMap(expectedOf);
  const renames = expected.filter(({ event }) => event === KEVENT_INODE_MOVED_TO).length;
  const got: InodeEvent[] = [];
  const problems: string[] = [];
  let merged = 0;
  let complete = () => {};
  const all = new Promise<void>((resolve) => complete = resolve);

  const inode = new Inode(loop).start(folder, MASK, (event) => {
    // One write may be several for the kernel, which may merge them again.
    const before = got.at(-1);
    const again = event.event === KEVENT_INODE_MODIFY && before?.event === KEVENT_INODE_MODIFY;
    if (again && before.name === event.name) return void merged++;
    got.push(event);
    if (got.length === expected.length) complete();
  });

  async function work(): Promise<void> {
    await answerOf(startScript("writer.ts", folder, seed));
    await all;
  }

  return {
    done: work().catch((error: Error) => void problems.push(error.message)),
    stop: () => inode.close(),
    result() {
      const pairs = pairsOf(got);
      return {
        what: `${got.length} changes by another process, ${pairs} renames paired`,
        events: got.length + merged,
        problems: [
          ...problems,
          ...differences(got, expected),
          ...(pairs === renames ? [] : [`${pairs} of ${renames} renames have two halves`]),
        ],
        numbers: { changes: got.length, expected: expected.length, renames: pairs },
      };
    },
  };
}

function expectedOf({ act, name, to = "", bytes = 0 }: Step): Expected[] {
  const made = { event: KEVENT_INODE_CREATE, name };
  const written = [
    ...(bytes > 0 ? [{ event: KEVENT_INODE_MODIFY, name }] : []),
    { event: KEVENT_INODE_CLOSE_WRITE, name },
  ];
  const removed = { event: KEVENT_INODE_REMOVE, name };
  if (act === "write") return [made, ...written];
  if (act === "append") return written;
  if (act === "remove") return [removed];
  if (act === "mkdir") return [{ ...made, event: made.event | KEVENT_INODE_DIRECTORY }];
  if (act === "rmdir") return [{ ...removed, event: removed.event | KEVENT_INODE_DIRECTORY }];
  return [
    { event: KEVENT_INODE_MOVED_FROM, name },
    { event: KEVENT_INODE_MOVED_TO, name: to },
  ];
}

/** One process did it all, so the order is known too. */
function differences(got: readonly InodeEvent[], expected: readonly Expected[]): string[] {
  const length = Math.max(got.length, expected.length);
  for (let index = 0; index < length; index++) {
    const [is, should] = [got[index], expected[index]];
    if (is?.name === should?.name && is?.event === should?.event) continue;
    return [
      `change ${index} of ${expected.length} is ${describe(is)}, should be ${describe(should)}`,
    ];
  }
  return [];
}

function describe(event: { event: number; name: string | undefined } | undefined): string {
  if (event === undefined) return "nothing";
  const kind = KINDS.find(([bit]) => (event.event & bit) !== 0)?.[1];
  return `${kind ?? event.event.toString(16)} ${JSON.stringify(event.name)}`;
}

/** How many renames have two halves: next to each other, with a cookie that no other has. */
function pairsOf(got: readonly InodeEvent[]): number {
  const cookies = new Set<number>();
  for (const [index, { event, cookie }] of got.entries()) {
    const to = got[index + 1];
    if (event !== KEVENT_INODE_MOVED_FROM || to?.event !== KEVENT_INODE_MOVED_TO) continue;
    if (cookie !== 0 && cookie === to.cookie) cookies.add(cookie);
  }
  return cookies.size;
}
