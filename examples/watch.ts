// Watches a directory: which file, what happened to it, and both halves of a rename.
//
//   deno run -A examples/watch.ts
//   bun examples/watch.ts

import { mkdtempSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  Inode,
  type InodeEvent,
  KEVENT_INODE_CLOSE_WRITE,
  KEVENT_INODE_CREATE,
  KEVENT_INODE_MOVED_FROM,
  KEVENT_INODE_MOVED_TO,
  KEVENT_INODE_REMOVE,
  Loop,
} from "../adapters/mod.ts";

const KINDS: Readonly<Record<number, string>> = {
  [KEVENT_INODE_CREATE]: "created",
  [KEVENT_INODE_CLOSE_WRITE]: "written",
  [KEVENT_INODE_MOVED_FROM]: "moved from",
  [KEVENT_INODE_MOVED_TO]: "moved to",
  [KEVENT_INODE_REMOVE]: "removed",
};
const mask = Object.keys(KINDS).reduce((bits, kind) => bits | Number(kind), 0);

const folder = mkdtempSync(join(tmpdir(), "kevent-watch-"));
using loop = new Loop();

const removed = Promise.withResolvers<void>();
let renaming = 0;
const watch = new Inode(loop).start(folder, mask, ({ event, name, cookie }: InodeEvent) => {
  // The cookie of the two halves is the same, and that of no other rename.
  if (event === KEVENT_INODE_MOVED_FROM) renaming = cookie;
  const same = event === KEVENT_INODE_MOVED_TO && cookie === renaming ? " (the same file)" : "";
  console.log(`${name} ${KINDS[event]}${same}`);
  if (event === KEVENT_INODE_REMOVE) removed.resolve();
});

// It watches from the moment `start` returns.
writeFileSync(join(folder, "draft.txt"), "hello");
renameSync(join(folder, "draft.txt"), join(folder, "letter.txt"));
unlinkSync(join(folder, "letter.txt"));

await removed.promise;
watch.close();
rmSync(folder, { recursive: true });
