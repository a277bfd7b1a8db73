import process from "node:process";
import {
  KEVENT_CTL_ADD,
  type Queue,
  readRecord,
  type RecordFields,
  Records,
} from "../../adapters/mod.ts";

/** Which back-end this run is for. */
export const backend: string = process.env["KEVENT_BACKEND"] ?? "auto";

/** What a test context of Vitest offers for skipping. */
interface Context {
  skip(note: string): void;
}

/**
 * Skips a case on a back-end that cannot run it; the reason is printed.
 */
export function gate(context: Context, skippedBackend: string, reason: string): void {
  if (backend === skippedBackend) context.skip(reason);
}

/** Applies one command to one record; gives the record as it came back. */
export function ctl(queue: Queue, cmd: number, fields: Partial<RecordFields>): RecordFields {
  const records = Records.of(fields);
  queue.ctl(cmd, records);
  return records.get(0);
}

/** Adds a registration that must be accepted. */
export function add(queue: Queue, fields: Partial<RecordFields>): void {
  const records = Records.of(fields);
  queue.ctl(KEVENT_CTL_ADD, records);
  records.check("add");
}

/** Takes one turn and consumes all that is in the ring. */
export function turn(queue: Queue, timeoutNs = 0): RecordFields[] {
  const list: RecordFields[] = [];
  const ring = queue.ring!;
  for (let waiting = queue.turn(timeoutNs); waiting > 0; waiting--) {
    list.push(readRecord(ring.words, ring.consume()));
  }
  return list;
}

/** Collects by call what is ready, waiting for one at most `timeoutNs`. */
export function collect(queue: Queue, timeoutNs = 0, min = 1, max = 64): RecordFields[] {
  const records = new Records(max);
  const count = queue.getEvents(records, timeoutNs === 0 ? 0 : min, max, timeoutNs);
  return Array.from({ length: count }, (_, index) => records.get(index));
}

export const MS = 1e6;
export const SECOND = 1e9;
