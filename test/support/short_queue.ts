// A short queue of inotify events, for a moment and on purpose.
import {
  accessSync,
  closeSync,
  constants,
  ftruncateSync,
  openSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { libc } from "./libc.ts";

/** Of the machine, for descriptors that are made from then on. */
const LIMIT = "/proc/sys/fs/inotify/max_queued_events";
/** Locked by who changes it, and holds what it was: who is ended in the midst cannot put it back, the next one does. */
const BEFORE = join(tmpdir(), "kevent-max-queued-events");
const LOCK_EX = 2;

/**
 * Does something while inotify descriptors get a short queue.
 *
 * @param events How short.
 * @param open Makes the descriptor.
 * @returns Why it could not be done; `undefined` when it was.
 */
export function withShortQueue(events: number, open: () => void): string | undefined {
  try {
    accessSync(LIMIT, constants.W_OK);
  } catch (error) {
    return `${LIMIT} cannot be written: ${(error as Error).message}`;
  }
  const lock = openSync(BEFORE, "a");
  try {
    libc.flock(lock, LOCK_EX);
    const before = readFileSync(BEFORE, "utf8") || readFileSync(LIMIT, "utf8");
    writeFileSync(BEFORE, before);
    writeFileSync(LIMIT, `${events}`);
    try {
      open();
    } finally {
      writeFileSync(LIMIT, before);
      ftruncateSync(lock);
    }
  } finally {
    closeSync(lock);
  }
  return undefined;
}
