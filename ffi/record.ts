import {
  KEVENT_INODE,
  KEVENT_NAIO,
  KEVENT_POLL,
  KEVENT_PROCESS,
  KEVENT_RET_BROKEN,
  KEVENT_SIGNAL,
  KEVENT_SOCKET,
  KEVENT_TIMER,
  KEVENT_USER,
  RECORD_BYTES,
  RECORD_EVENT,
  RECORD_ID_0,
  RECORD_ID_1,
  RECORD_REQ_FLAGS,
  RECORD_RET_DATA,
  RECORD_RET_EXTRA,
  RECORD_RET_FLAGS,
  RECORD_TYPE,
  RECORD_USER_0,
  RECORD_USER_1,
} from "./abi.ts";
import { checkWhole, KeventError } from "./errors.ts";
import type { Bytes } from "./library.ts";

/** Words (u32) of one record: the distance between two records in a `Uint32Array`. */
export const RECORD_WORDS: number = RECORD_BYTES / 4;

/** The largest number that fits into a field. */
export const U32_MAX = 0xffffffff;

/** The latest time that a timer can name, in nanoseconds: seconds are a u32. */
export const TIMER_NS_MAX: number = U32_MAX * 1e9;

// Offsets of the fields in words, for `words[at + FIELD]`.
/** `id.raw[0]`. */
export const ID_0: number = RECORD_ID_0 / 4;
/** `id.raw[1]`. */
export const ID_1: number = RECORD_ID_1 / 4;
/** `type`. */
export const TYPE: number = RECORD_TYPE / 4;
/** `event`: kinds asked for, or kinds that fired. */
export const EVENT: number = RECORD_EVENT / 4;
/** `req_flags`. */
export const REQ_FLAGS: number = RECORD_REQ_FLAGS / 4;
/** `ret_flags`; in the change area, on the way in, the command. */
export const RET_FLAGS: number = RECORD_RET_FLAGS / 4;
/** `ret_data`; errno when BROKEN. */
export const RET_DATA: number = RECORD_RET_DATA / 4;
/** `ret_extra`. */
export const RET_EXTRA: number = RECORD_RET_EXTRA / 4;
/** `user[0]`. */
export const USER_0: number = RECORD_USER_0 / 4;
/** `user[1]`. */
export const USER_1: number = RECORD_USER_1 / 4;

/** The fields of a record (`ukevent`) as an object. Numbers are unsigned 32-bit. */
export interface RecordFields {
  /** Which thing: a descriptor, seconds and nanoseconds, a signal number, a pid, any number. */
  id: readonly [number, number];
  /** `KEVENT_SOCKET` ... `KEVENT_USER`. */
  type: number;
  /** Kinds asked for, or kinds that fired. */
  event: number;
  /** `KEVENT_REQ_*`. */
  reqFlags: number;
  /** `KEVENT_RET_*`. */
  retFlags: number;
  /** What the type says; errno when BROKEN. */
  retData: number;
  /** What the type says. */
  retExtra: number;
  /** Carried untouched. */
  user: readonly [number, number];
}

/**
 * Reads one record as an object: the whole structure, S2-81. For the hot path read the words themselves.
 *
 * @param words View of the memory.
 * @param at Index of the record's first word.
 * @returns A copy of the fields.
 */
export function readRecord(words: Uint32Array, at: number): RecordFields {
  return {
    id: [words[at + ID_0]!, words[at + ID_1]!],
    type: words[at + TYPE]!,
    event: words[at + EVENT]!,
    reqFlags: words[at + REQ_FLAGS]!,
    retFlags: words[at + RET_FLAGS]!,
    retData: words[at + RET_DATA]!,
    retExtra: words[at + RET_EXTRA]!,
    user: [words[at + USER_0]!, words[at + USER_1]!],
  };
}

/**
 * Writes one record; fields left out become 0.
 *
 * @param words View of the memory.
 * @param at Index of the record's first word.
 * @param fields What to write.
 */
export function writeRecord(words: Uint32Array, at: number, fields: Partial<RecordFields>): void {
  words[at + ID_0] = fields.id?.[0] ?? 0;
  words[at + ID_1] = fields.id?.[1] ?? 0;
  words[at + TYPE] = fields.type ?? 0;
  words[at + EVENT] = fields.event ?? 0;
  words[at + REQ_FLAGS] = fields.reqFlags ?? 0;
  words[at + RET_FLAGS] = fields.retFlags ?? 0;
  words[at + RET_DATA] = fields.retData ?? 0;
  words[at + RET_EXTRA] = fields.retExtra ?? 0;
  words[at + USER_0] = fields.user?.[0] ?? 0;
  words[at + USER_1] = fields.user?.[1] ?? 0;
}

const TYPES: Readonly<Record<number, string>> = {
  [KEVENT_SOCKET]: "socket",
  [KEVENT_INODE]: "inode",
  [KEVENT_TIMER]: "timer",
  [KEVENT_POLL]: "poll",
  [KEVENT_NAIO]: "network AIO",
  [KEVENT_SIGNAL]: "signal",
  [KEVENT_PROCESS]: "process",
  [KEVENT_USER]: "user event",
};

/**
 * The error of a record that came back BROKEN.
 *
 * @param words Where the record is.
 * @param at Index of its first word.
 * @param verb What was asked. Default: "change".
 * @returns The error, not thrown.
 */
export function brokenError(words: Uint32Array, at: number, verb = "change"): KeventError {
  const what = TYPES[words[at + TYPE]!] ?? `record of unknown type ${words[at + TYPE]}`;
  return KeventError.of(`${verb} ${what}`, "kevent_ctl", words[at + RET_DATA]!);
}

/** The largest array of records; the library would take more in one call. */
export const RECORDS_MAX: number = 1 << 20;

/**
 * An array of records in memory of its own, as `ctl` and `getEvents` take it. S2-22.
 *
 * @example Two fields there and back
 * ```ts
 * import { Records } from "../adapters/mod.ts";
 *
 * const records = new Records(2);
 * records.set(1, { id: [7, 0], type: 3 });
 * const { id, type } = records.get(1);
 * if (id[0] !== 7 || type !== 3) throw new Error("not what was written");
 * ```
 */
export class Records {
  /** How many records there is room for. */
  readonly length: number;
  /** The records as words; record `i` starts at `i * RECORD_WORDS`. */
  readonly words: Uint32Array;
  /** The same memory as bytes, as native calls take it. */
  readonly bytes: Bytes;

  /**
   * @param length How many records, from 1 to 2^20.
   * @param memory Memory to use, of exactly `length * 40` bytes; made when left out.
   * @throws {KeventError} EINVAL when `length` is out of bounds or does not match the memory.
   */
  constructor(length: number, memory?: ArrayBufferLike) {
    this.length = checkWhole(length, 1, RECORDS_MAX, "make records", "length");
    // An explicit buffer: a small typed array may live inside the heap, where it can move.
    const buffer = memory ?? new ArrayBuffer(length * RECORD_BYTES);
    if (buffer.byteLength !== length * RECORD_BYTES) {
      throw new KeventError(
        "make records",
        "argument",
        "EINVAL",
        `${length} records take ${length * RECORD_BYTES} bytes, not ${buffer.byteLength}`,
      );
    }
    this.words = new Uint32Array(buffer);
    this.bytes = new Uint8Array(buffer);
  }

  /**
   * Makes an array that holds the records given.
   *
   * @param list The records, at least one; fields left out become 0.
   * @returns The array.
   */
  static of(...list: Partial<RecordFields>[]): Records {
    const records = new Records(list.length);
    list.forEach((fields, index) => records.set(index, fields));
    return records;
  }

  /**
   * @param index Which record.
   * @returns A copy of its fields.
   * @throws {KeventError} EINVAL when there is no such record.
   */
  get(index: number): RecordFields {
    return readRecord(this.words, this.#at(index));
  }

  /**
   * @param index Which record.
   * @param fields What to write; fields left out become 0.
   * @throws {KeventError} EINVAL when there is no such record.
   */
  set(index: number, fields: Partial<RecordFields>): void {
    writeRecord(this.words, this.#at(index), fields);
  }

  /**
   * Throws the error of the first record that came back BROKEN.
   *
   * @param verb What was asked, such as "add".
   * @throws {KeventError} When there is such a record.
   */
  check(verb: string): void {
    for (let at = 0; at < this.words.length; at += RECORD_WORDS) {
      if ((this.words[at + RET_FLAGS]! & KEVENT_RET_BROKEN) !== 0) {
        throw brokenError(this.words, at, verb);
      }
    }
  }

  #at(index: number): number {
    return checkWhole(index, 0, this.length - 1, "use record", "index") * RECORD_WORDS;
  }
}
