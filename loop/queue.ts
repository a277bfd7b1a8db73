import {
  KEVENT_BACKEND_AUTO,
  KEVENT_BACKEND_EPOLL,
  KEVENT_BACKEND_IO_URING,
  KEVENT_BACKEND_SIMULATED,
  KEVENT_CLOCK_MONOTONIC,
  KEVENT_CLOCK_WALL,
  KEVENT_CTL_ADD,
  KEVENT_CTL_MODIFY,
  KEVENT_CTL_READY,
  KEVENT_CTL_REMOVE,
  KEVENT_CTL_TRIGGER,
  KEVENT_FLAGS_ABSTIME,
  KEVENT_FLAGS_SINGLE,
  KEVENT_INODE,
  KEVENT_NO_NAME,
  KEVENT_RET_BROKEN,
  KEVENT_USER,
  NAMES_BYTES_MIN,
  PARAMS_BACKEND,
  PARAMS_BYTES,
  PARAMS_CHANGES_BYTES,
  PARAMS_FLAGS,
  PARAMS_NAMES_BYTES,
  PARAMS_RING_BYTES,
  PARAMS_RING_ENTRIES,
  PARAMS_RING_FD,
  PARAMS_SEED_HIGH,
  PARAMS_SEED_LOW,
  PARAMS_SIZE,
  RECORD_BYTES,
  RING_ENTRIES_MAX,
} from "../ffi/abi.ts";
import { check, checkWhole, errorNumber, KeventError, shown } from "../ffi/errors.ts";
import { askLibrary, type Bytes, type Calls, type Library, NO_BYTES } from "../ffi/library.ts";
import {
  brokenError,
  EVENT,
  ID_0,
  ID_1,
  RECORD_WORDS,
  Records,
  RECORDS_MAX,
  REQ_FLAGS,
  RET_DATA,
  RET_EXTRA,
  RET_FLAGS,
  TYPE,
  U32_MAX,
  USER_0,
  USER_1,
} from "../ffi/record.ts";
import { ringBytes, RingReader } from "../ffi/ring.ts";
import type { Clock } from "./clock.ts";
import { currentRuntime } from "./host.ts";

/**
 * Memory that native code writes to. It must neither move nor be freed before `kevent_close` has
 * returned, whatever happens to the `Queue` object.
 */
const pinned = new Set<ArrayBufferLike>();

/** One native wait. A Worker is terminated between two instructions of script, so none is long. */
const SLICE_NS = 500e6;

/** Records of the change area, unless the caller says otherwise. */
const CHANGES_DEFAULT = 256;
/** Records of the ring, unless the caller says otherwise. */
const ENTRIES_DEFAULT = 256;
/** Bytes of the name area, unless the caller says otherwise: some 64 names of the longest kind. */
const NAMES_DEFAULT = 64 * 264;
/** The largest name area: offsets into it are u32, and one must stay free for "no name". */
const NAMES_MAX = 1 << 30;
/** Stands in `RET_EXTRA` of a change until the library has put its answer there. */
const UNANSWERED = U32_MAX;
const EINVAL = -errorNumber("EINVAL");

const BACKENDS = {
  auto: KEVENT_BACKEND_AUTO,
  epoll: KEVENT_BACKEND_EPOLL,
  io_uring: KEVENT_BACKEND_IO_URING,
  simulated: KEVENT_BACKEND_SIMULATED,
} as const;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** How a queue is made. */
export interface QueueOptions {
  /** Records the ring holds, from 1 to 2^20; `null` for a queue without a ring. Default 256. */
  readonly entries?: number | null;
  /** Ring memory that Workers can read (`SharedArrayBuffer`). Default `false`. */
  readonly shared?: boolean;
  /** A file or memfd that holds the ring instead of script memory, for readers elsewhere. */
  readonly ringFd?: number;
  /** Records of the change area, from 1 to 2^20. Default 256. */
  readonly changes?: number;
  /** Bytes of the name area: 0 for none, or a multiple of 4 from 260 on. Default 16,896. */
  readonly names?: number;
  /** Only the thread that makes the queue drives it, which is faster. Default: not `shared`. */
  readonly single?: boolean;
  /** Which back-end; `"auto"` follows `KEVENT_BACKEND`, then probes. Default `"auto"`. */
  readonly backend?: keyof typeof BACKENDS;
  /** Seed of the simulated back-end, a whole number below 2^53. Default 0. */
  readonly seed?: number;
  /** The library to use. Default: the one the adapter opened. */
  readonly library?: Library;
  /** What `share` gave on another thread: use that queue instead of making one. */
  readonly adopt?: SharedQueue;
  /**
   * Told of each change that the queue refused (`ret_flags` BROKEN, errno in `ret_data`), as
   * words and the index of the record. Without it, the call that applied them throws.
   */
  readonly onBroken?: (words: Uint32Array, at: number) => void;
}

/** What another thread needs to use a queue: pass it through `postMessage`. */
export interface SharedQueue {
  /** The queue's descriptor. */
  readonly fd: number;
  /** Ring memory, when the queue was made with `shared`. */
  readonly ring: SharedArrayBuffer | undefined;
  /** Records the ring holds. */
  readonly entries: number;
}

/** What a queue reports about itself. */
export interface QueueInfo {
  /** `"epoll"`, `"io_uring"` or `"simulated"`. */
  readonly backend: string;
  /** Why that one. */
  readonly reason: string;
  /** Features of the kernel that the back-end found. */
  readonly features: Readonly<Record<string, unknown>>;
  /** Whether only one thread drives it. */
  readonly single: boolean;
  /** Registrations it holds. */
  readonly registrations: number;
  /** Those that are ready and not handed out. */
  readonly ready: number;
  /** What it did since the start. */
  readonly counters: Readonly<Record<string, number>>;
}

/** The memory of a queue. */
interface Memory {
  readonly ring: ArrayBufferLike | undefined;
  readonly changes: Records;
  readonly names: Bytes;
}

/**
 * A kevent queue: registrations, and the ring their events come through. S0-12.
 *
 * `ctl` answers at once. `add`, `modify`, `remove`, `ready` and `trigger` write change records,
 * which the next `turn` applies in one call; the events are then read from `ring` without a call.
 *
 * @example A timer that fires once
 * ```ts
 * import {
 *   KEVENT_REQ_ALWAYS_QUEUE,
 *   KEVENT_REQ_ONESHOT,
 *   KEVENT_TIMER,
 *   KEVENT_TIMER_FIRED,
 *   Queue,
 * } from "../adapters/mod.ts";
 *
 * using queue = new Queue();
 * const flags = KEVENT_REQ_ONESHOT | KEVENT_REQ_ALWAYS_QUEUE;
 * queue.add(KEVENT_TIMER, 0, 1_000_000, KEVENT_TIMER_FIRED, flags, 7, 0);
 * if (queue.turn(1e9) !== 1) throw new Error("the timer of 1 ms did not fire within 1 s");
 * const at = queue.ring!.consume();
 * if (queue.ring!.words[at + 8] !== 7) throw new Error("user[0] was not carried");
 * ```
 */
export class Queue implements Disposable {
  /** The queue's descriptor: readable for `poll` and `select` while events wait. S4-25. */
  readonly fd: number;
  /** Reads the ring; `undefined` without one, or when it lies in a file. */
  readonly ring: RingReader | undefined;
  /** The change area; results of the last applied changes stand in its first records. */
  readonly changes: Records;
  readonly #calls: Calls;
  readonly #memory: Memory;
  readonly #nameView: DataView;
  readonly #entries: number;
  readonly #adopted: boolean;
  readonly #onBroken: ((words: Uint32Array, at: number) => void) | undefined;
  readonly #words: Uint32Array;
  // Changes that may be written before somebody must look: 0 when none may be at all.
  #room: number;
  #pending = 0;
  #committed = 0;
  #simulated: boolean | undefined;
  #closed = false;

  /**
   * @param options How to make it, or what `share` gave on another thread.
   * @throws {KeventError} EINVAL for an option out of bounds; EMFILE, ENOMEM and others from the
   * system.
   */
  constructor(options: QueueOptions = {}) {
    this.#calls = (options.library ?? currentRuntime().library).calls;
    this.#onBroken = options.onBroken;
    this.#adopted = options.adopt !== undefined;
    this.#entries = options.adopt?.entries ?? entriesOf(options);
    this.#memory = allocate(options, this.#entries);
    this.changes = this.#memory.changes;
    this.#words = this.changes.words;
    this.#room = this.#adopted ? 0 : this.changes.length;
    this.#nameView = new DataView(this.#memory.names.buffer);
    this.fd = options.adopt?.fd ?? setup(this.#calls, options, this.#entries, this.#memory);
    const ring = this.#memory.ring;
    this.ring = ring === undefined ? undefined : new RingReader(ring, this.#entries);
    this.#committed = this.ring?.position ?? 0;
  }

  /** Whether `close` was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Changes written and not applied yet. */
  get pending(): number {
    return this.#pending;
  }

  /**
   * Applies a command to an array of records, at once: `kevent_ctl`, S2-14 to S2-23. Results stand in the
   * records: a record that was refused has BROKEN in `retFlags` and the errno in `retData`.
   *
   * @param cmd `KEVENT_CTL_ADD`, `REMOVE`, `MODIFY`, `READY` or `TRIGGER`.
   * @param records The records; may be left out for READY, which then wakes one waiting thread.
   * @param num How many of them. Default: all.
   * @returns How many were processed.
   * @throws {KeventError} EINVAL for an unknown command or a wrong `num`, EPERM on a thread that
   * must not, EBADF after `close`.
   */
  ctl(cmd: number, records?: Records, num: number = records?.length ?? 0): number {
    this.#checkOpen("change queue");
    checkWhole(cmd, 0, U32_MAX, "change queue", "cmd");
    checkWhole(num, 0, records?.length ?? 0, "change queue", "num");
    const bytes = records?.bytes ?? NO_BYTES;
    return check(this.#calls.kevent_ctl(this.fd, cmd, num, bytes), "change queue", "kevent_ctl");
  }

  /**
   * Collects events into an array (and into the ring, where there is one): `kevent_get_events`, S2-24 to
   * S2-34.
   *
   * @param records Where to put them.
   * @param minNr How many to wait for. 0 does not wait. Default 1.
   * @param maxNr The most to take. Default: as many as `records` holds.
   * @param timeoutNs Nanoseconds to wait; negative or `Infinity` for ever. With `abstime`: the
   * date on the wall clock, in nanoseconds since 1970.
   * @param abstime Whether `timeoutNs` is a date. Default `false`.
   * @returns How many there are; fewer than `minNr` when the time is over.
   * @throws {KeventError} EINVAL for a wrong number, EBADF after `close`.
   */
  getEvents(
    records: Records,
    minNr = 1,
    maxNr: number = records.length,
    timeoutNs = Infinity,
    abstime = false,
  ): number {
    this.#checkOpen("get events");
    checkWhole(maxNr, 1, records.length, "get events", "maxNr");
    checkWhole(minNr, 0, maxNr, "get events", "minNr");
    let got = 0;
    this.#sliced("get events", timeoutNs, abstime, (seconds, rest, flags) => {
      // What an earlier slice collected stays; this one waits for what is missing.
      const least = Math.max(minNr - got, 0);
      const buffer = records.bytes.subarray(got * RECORD_BYTES);
      const result = this.#calls
        .kevent_get_events(this.fd, least, maxNr - got, seconds, rest, buffer, flags);
      got += check(result, "get events", "kevent_get_events");
      return got >= Math.max(minNr, 1);
    });
    return got;
  }

  /**
   * Waits until events are ready and publishes them into the ring: `kevent_wait`, S2-35 to S2-43.
   *
   * @param num The most to publish; 0 for as many as fit. Default 0.
   * @param timeoutNs Nanoseconds to wait; negative or `Infinity` for ever. With `abstime`: the
   * date on the wall clock, in nanoseconds since 1970.
   * @param abstime Whether `timeoutNs` is a date. Default `false`.
   * @param oldUidx The last slot the caller knows of: if the ring is past it already, the call
   * returns at once. Default: where this reader stands.
   * @returns How many were published; 0 when the ring is full, the time is over, or READY woke it.
   * @throws {KeventError} EINVAL for a wrong number or without a ring, EBADF after `close`.
   */
  wait(
    num = 0,
    timeoutNs = Infinity,
    abstime = false,
    oldUidx: number = this.ring?.slot ?? 0,
  ): number {
    this.#checkOpen("wait for events");
    checkWhole(num, 0, U32_MAX, "wait for events", "num");
    checkWhole(oldUidx, 0, U32_MAX, "wait for events", "oldUidx");
    let published = 0;
    this.#sliced("wait for events", timeoutNs, abstime, (seconds, rest, flags) => {
      const result = this.#calls.kevent_wait(this.fd, num, oldUidx, seconds, rest, flags);
      published = check(result, "wait for events", "kevent_wait");
      return published > 0;
    });
    return published;
  }

  /**
   * Frees ring slots: `kevent_commit`, S2-44 to S2-49.
   *
   * @param newUidx The first slot not yet processed. Default: where this reader stands.
   * @param over How often that index went round. Default: as this reader counts.
   * @returns How many records were committed: fewer, or 0, when others committed them already.
   * @throws {KeventError} EINVAL ahead of the producer or without a ring, EBADF after `close`.
   */
  commit(newUidx: number = this.ring?.slot ?? 0, over: number = this.ring?.over ?? 0): number {
    this.#checkOpen("commit");
    checkWhole(newUidx, 0, U32_MAX, "commit", "newUidx");
    checkWhole(over, 0, U32_MAX, "commit", "over");
    const freed = check(
      this.#calls.kevent_commit(this.fd, newUidx, over),
      "commit",
      "kevent_commit",
    );
    this.#committed = (this.#committed + freed) | 0;
    return freed;
  }

  /**
   * One turn of a loop, in one call: commits what `ring` consumed, applies the changes written,
   * waits, and publishes.
   *
   * @param timeoutNs Nanoseconds to wait when nothing is there; negative or `Infinity` for ever.
   * Default 0.
   * @param flags `KEVENT_TURN_ARM` asks for a wake-up byte if the ring stays empty. Default 0.
   * @returns How many records in the ring this reader has not consumed.
   * @throws {KeventError} EINVAL for a wrong number, EPERM on another thread, EBADF after `close`: then
   * nothing was done. ENOSPC, ENOMEM and others of the system when the wait or the wake-up failed: the
   * changes are applied all the same. Without `onBroken`, the error of the first change that was refused.
   */
  turn(timeoutNs = 0, flags = 0): number {
    if (timeoutNs >= 0 && timeoutNs <= SLICE_NS) return this.#turnOnce(timeoutNs, flags);
    let waiting = 0;
    this.#sliced("turn", timeoutNs, false, (seconds, rest) => {
      waiting = this.#turnOnce(seconds < 0 ? -1 : seconds * 1e9 + rest, flags);
      return waiting > 0;
    });
    return waiting;
  }

  /**
   * Applies the changes written so far, at once, without committing anything: records that were
   * consumed stay readable.
   *
   * @returns How many records in the ring this reader has not consumed.
   * @throws {KeventError} As of `turn`.
   */
  apply(): number {
    return this.#turnOnce(0, 0, 0);
  }

  #turnOnce(timeoutNs: number, flags: number, commit: number = this.#consumed()): number {
    this.#checkOwner("turn");
    if (this.#entries === 0) {
      const detail = "a queue without a ring has no turns: use ctl and getEvents";
      throw new KeventError("turn", "kevent_turn", "EINVAL", detail);
    }
    const changes = this.#pending;
    const result = this.#calls.kevent_turn(this.fd, changes, commit, timeoutNs, flags);
    if (result < 0) throw this.#turnFailed(result);
    this.#committed = (this.#committed + commit) | 0;
    this.#pending = 0;
    if (changes > 0) this.#reportBroken(changes);
    return result - this.#consumed();
  }

  /**
   * What comes first in a turn is done though a later step failed, and must not be done twice.
   *
   * @returns The error.
   */
  #turnFailed(result: number): KeventError {
    if (this.ring !== undefined) this.#committed = this.ring.committed;
    const changes = this.#pending;
    if (changes > 0 && this.#words[(changes - 1) * RECORD_WORDS + RET_EXTRA] !== UNANSWERED) {
      this.#pending = 0;
      this.#reportBroken(changes);
    }
    return KeventError.of("turn", "kevent_turn", result);
  }

  /** Records that were consumed and not committed. */
  #consumed(): number {
    return ((this.ring?.position ?? 0) - this.#committed) >>> 0;
  }

  /** Changes are applied in any case; only then may an error be thrown. */
  #reportBroken(changes: number): void {
    const { words } = this.changes;
    let first = -1;
    for (let at = 0; at < changes * RECORD_WORDS; at += RECORD_WORDS) {
      if ((words[at + RET_FLAGS]! & KEVENT_RET_BROKEN) === 0) continue;
      if (this.#onBroken !== undefined) this.#onBroken(words, at);
      else if (first < 0) first = at;
    }
    if (first >= 0) throw brokenError(words, first);
  }

  /**
   * Writes a change record: start watching. S2-73. An event that has happened already is answered in the
   * record, in `changes`, and comes not through the ring, unless `reqFlags` has `KEVENT_REQ_ALWAYS_QUEUE`.
   *
   * @param type `KEVENT_SOCKET` ... `KEVENT_USER`.
   * @param id0 Which thing; see the type.
   * @param id1 Which thing; see the type.
   * @param event Kinds to watch for.
   * @param reqFlags `KEVENT_REQ_*`.
   * @param user0 Carried; with `id` it names the registration.
   * @param user1 Carried; with `id` it names the registration.
   */
  add(
    type: number,
    id0: number,
    id1: number,
    event: number,
    reqFlags: number,
    user0: number,
    user1: number,
  ): void {
    this.#change(KEVENT_CTL_ADD, type, id0, id1, event, reqFlags, user0, user1);
  }

  /** Writes a change record: replace `event` and `reqFlags`. Parameters as of `add`. S2-75 to S2-78. */
  modify(
    type: number,
    id0: number,
    id1: number,
    event: number,
    reqFlags: number,
    user0: number,
    user1: number,
  ): void {
    this.#change(KEVENT_CTL_MODIFY, type, id0, id1, event, reqFlags, user0, user1);
  }

  /** Writes a change record: stop watching. Parameters as of `add`. S2-79, S2-80. */
  remove(type: number, id0: number, id1: number, user0: number, user1: number): void {
    this.#change(KEVENT_CTL_REMOVE, type, id0, id1, 0, 0, user0, user1);
  }

  /** Writes a change record: mark as ready, though the source is silent, S2-19. Parameters as of `add`. */
  ready(type: number, id0: number, id1: number, user0: number, user1: number): void {
    this.#change(KEVENT_CTL_READY, type, id0, id1, 0, 0, user0, user1);
  }

  /**
   * Writes a change record: trigger a user event. S0-28.
   *
   * @param id0 As it was added.
   * @param id1 As it was added.
   * @param event `KEVENT_USER_NOP`, `AND`, `OR` or `COPY`, with 24 payload bits.
   * @param user0 As it was added.
   * @param user1 As it was added.
   */
  trigger(id0: number, id1: number, event: number, user0: number, user1: number): void {
    this.#change(KEVENT_CTL_TRIGGER, KEVENT_USER, id0, id1, event, 0, user0, user1);
  }

  #change(
    command: number,
    type: number,
    id0: number,
    id1: number,
    event: number,
    reqFlags: number,
    user0: number,
    user1: number,
  ): void {
    if (this.#pending >= this.#room) this.#makeRoom();
    const words = this.#words;
    const at = this.#pending++ * RECORD_WORDS;
    words[at + ID_0] = id0;
    words[at + ID_1] = id1;
    words[at + TYPE] = type;
    words[at + EVENT] = event;
    words[at + REQ_FLAGS] = reqFlags;
    words[at + RET_FLAGS] = command;
    words[at + RET_DATA] = 0;
    words[at + RET_EXTRA] = UNANSWERED;
    words[at + USER_0] = user0;
    words[at + USER_1] = user1;
  }

  #makeRoom(): void {
    this.#checkOwner("write change");
    this.apply();
  }

  /**
   * Watches an inode by path, at once: inotify_add_watch(2), S4-3.
   *
   * @param path What to watch.
   * @param event `KEVENT_INODE_*`.
   * @param reqFlags `KEVENT_REQ_*`.
   * @param user0 Carried.
   * @param user1 Carried.
   * @returns The watch number: `id0` of the registration, for `modify` and `remove`.
   * @throws {KeventError} ENOENT and others of the path, EINVAL when `event` names no kind, ENOSPC at
   * the limit of watches.
   */
  addInode(path: string, event: number, reqFlags: number, user0: number, user1: number): number {
    this.#checkOwner("watch inode");
    if (typeof path !== "string") {
      const detail = `path must be a string, not ${shown(path)}`;
      throw new KeventError("watch inode", "argument", "EINVAL", detail);
    }
    const bytes = encoder.encode(path);
    const record = Records.of({
      type: KEVENT_INODE,
      event,
      reqFlags,
      user: [user0, user1],
    });
    const result = this.#calls.kevent_inode_add(this.fd, bytes, bytes.length, record.bytes);
    if (result < 0) throw inodeError(result, path);
    return record.words[ID_0]!;
  }

  /**
   * Reads the name that came with an inode event.
   *
   * @param words Where the event is.
   * @param at Index of its first word.
   * @returns The name within the watched directory; `undefined` when the event has none.
   * @throws {KeventError} ENODEV when the name area was overwritten.
   */
  nameOf(words: Uint32Array, at: number): string | undefined {
    const offset = words[at + RET_DATA]!;
    if (offset === KEVENT_NO_NAME) return undefined;
    const view = this.#nameView;
    const start = offset + 4;
    const end = start > view.byteLength ? Infinity : start + view.getUint32(offset, true);
    if (end > view.byteLength) throw new KeventError("read name", "kevent_turn", "ENODEV");
    return decoder.decode(this.#memory.names.subarray(start, end));
  }

  /**
   * Opens the descriptor on which wake-up bytes arrive.
   *
   * @returns A socket that the caller must close.
   * @throws {KeventError} EMFILE and others of the system.
   */
  openWake(): number {
    this.#checkOwner("open wake-up");
    return check(this.#calls.kevent_wake_open(this.fd), "open wake-up", "kevent_wake_open");
  }

  /**
   * Closes what `openWake` gave, for a caller that has no other way.
   *
   * @param fd The socket.
   */
  closeWake(fd: number): void {
    this.#calls.kevent_sock_close(fd);
  }

  /**
   * What this queue is made of and what it did.
   *
   * @returns Back-end, reason for it, kernel features, counters.
   * @throws {KeventError} EBADF after `close`.
   */
  info(): QueueInfo {
    this.#checkOpen("ask for info");
    return askLibrary(this.#calls, this.fd) as QueueInfo;
  }

  /**
   * A clock as the queue sees it: its own where time is simulated, else the kernel's.
   *
   * @param id `KEVENT_CLOCK_MONOTONIC` (default) or `KEVENT_CLOCK_WALL`.
   * @returns The clock.
   */
  clock(id: number = KEVENT_CLOCK_MONOTONIC): Clock {
    const { kevent_clock, kevent_now } = this.#calls;
    const { fd } = this;
    if (this.simulated) {
      // After `close` it stands still: the number may belong to something else by then.
      let lastNs = kevent_clock(fd, id);
      return { now: () => this.#closed ? lastNs : lastNs = kevent_clock(fd, id) };
    }
    return { now: () => kevent_now(id) };
  }

  /**
   * Steers the simulated back-end.
   *
   * @param op `KEVENT_SIMULATE_*`.
   * @param value What the operation takes.
   * @returns What the operation gives.
   * @throws {KeventError} EINVAL with another back-end.
   */
  simulate(op: number, value: number): number {
    this.#checkOwner("simulate");
    return check(this.#calls.kevent_simulate(this.fd, op, value), "simulate", "kevent_simulate");
  }

  /**
   * What another thread needs to use this queue, with `new Queue({ adopt })`. S2-12.
   *
   * @returns An object for `postMessage`.
   * @throws {KeventError} EBADF after `close`.
   */
  share(): SharedQueue {
    this.#checkOpen("share queue");
    const ring = this.#memory.ring;
    return {
      fd: this.fd,
      ring: ring instanceof SharedArrayBuffer ? ring : undefined,
      entries: this.#entries,
    };
  }

  /** Ends the queue: registrations are gone, threads that wait in it get EBADF. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#room = 0;
    if (this.#adopted) return;
    this.#calls.kevent_close(this.fd);
    // Only now nobody writes to the memory any more.
    for (const buffer of buffersOf(this.#memory)) pinned.delete(buffer);
  }

  /** The same as `close`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Whether time and order are its own, for tests. */
  get simulated(): boolean {
    return this.#simulated ??= this.info().backend === "simulated";
  }

  #checkOpen(operation: string): void {
    // The number may belong to something else by now, so the library must not be asked.
    if (this.#closed) throw new KeventError(operation, "queue", "EBADF", "the queue is closed");
  }

  #checkOwner(operation: string): void {
    this.#checkOpen(operation);
    if (this.#adopted) {
      throw new KeventError(
        operation,
        "queue",
        "EPERM",
        "only the thread that made the queue may: use ctl, wait, getEvents and commit",
      );
    }
  }

  /**
   * Waits in slices: a Worker can be ended only between two instructions of script.
   *
   * @param attempt One native wait of so many seconds and nanoseconds (-1 seconds: for ever);
   * returns whether it is over.
   */
  #sliced(
    operation: string,
    timeoutNs: number,
    abstime: boolean,
    attempt: (seconds: number, nanoseconds: number, flags: number) => boolean,
  ): void {
    if (Number.isNaN(timeoutNs)) {
      throw new KeventError(operation, "argument", "EINVAL", "timeoutNs must be a number");
    }
    const clock = abstime ? KEVENT_CLOCK_WALL : KEVENT_CLOCK_MONOTONIC;
    const flags = abstime ? KEVENT_FLAGS_ABSTIME : 0;
    const endless = timeoutNs < 0 || timeoutNs === Infinity;
    if (!endless && !abstime && timeoutNs <= SLICE_NS) {
      attempt(0, Math.ceil(timeoutNs), flags);
      return;
    }
    if (this.simulated) {
      // Its clock is its own, and it never sleeps.
      const seconds = endless ? -1 : Math.floor(timeoutNs / 1e9);
      attempt(seconds, endless ? 0 : Math.ceil(timeoutNs - seconds * 1e9), flags);
      return;
    }
    const now = this.#calls.kevent_now;
    const deadline = endless ? Infinity : abstime ? timeoutNs : now(clock) + timeoutNs;
    for (;;) {
      const start = now(clock);
      const length = Math.max(Math.min(deadline - start, SLICE_NS), 0);
      const time = abstime ? start + length : length;
      const seconds = Math.floor(time / 1e9);
      if (attempt(seconds, Math.ceil(time - seconds * 1e9), flags)) return;
      const end = now(clock);
      // Back before its time: READY woke it.
      if (end - start < length || end >= deadline) return;
    }
  }
}

/** What the general words of these two errors would not say of a path. */
function inodeError(result: number, path: string): KeventError {
  const operation = `watch ${path}`;
  const { code } = KeventError.of(operation, "kevent_inode_add", result);
  const detail = code === "ENOENT"
    ? "no such file or directory"
    : code === "EINVAL" && !path.includes("\0")
    ? "event must be of KEVENT_INODE_CREATE, KEVENT_INODE_MODIFY and the like, one or more"
    : undefined;
  return new KeventError(operation, "kevent_inode_add", code, detail);
}

function entriesOf({ entries = ENTRIES_DEFAULT }: QueueOptions): number {
  if (entries === null) return 0;
  return checkWhole(entries, 1, RING_ENTRIES_MAX, "make queue", "entries");
}

function allocate(options: QueueOptions, entries: number): Memory {
  if (options.adopt !== undefined) {
    return { ring: options.adopt.ring, changes: new Records(1), names: NO_BYTES };
  }
  const changes = checkWhole(
    options.changes ?? CHANGES_DEFAULT,
    1,
    RECORDS_MAX,
    "make queue",
    "changes",
  );
  const names = namesOf(options);
  const inScript = entries > 0 && options.ringFd === undefined;
  return {
    ring: inScript ? ringMemory(entries, options.shared ?? false) : undefined,
    changes: new Records(changes),
    names: names === 0 ? NO_BYTES : new Uint8Array(new ArrayBuffer(names)),
  };
}

function namesOf({ names = NAMES_DEFAULT }: QueueOptions): number {
  if (names === 0) return 0;
  checkWhole(names, NAMES_BYTES_MIN, NAMES_MAX, "make queue", "names");
  if (names % 4 === 0) return names;
  throw new KeventError("make queue", "argument", "EINVAL", "names must be a multiple of 4");
}

function ringMemory(entries: number, shared: boolean): ArrayBufferLike {
  const bytes = ringBytes(entries);
  return shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes);
}

function buffersOf({ ring, changes, names }: Memory): ArrayBufferLike[] {
  const buffers = [changes.bytes.buffer, names.buffer];
  if (ring !== undefined) buffers.push(ring);
  return buffers;
}

function setup(calls: Calls, options: QueueOptions, entries: number, memory: Memory): number {
  const params = paramsOf(options, entries, memory);
  const ring = memory.ring === undefined ? NO_BYTES : new Uint8Array(memory.ring);
  for (const buffer of buffersOf(memory)) pinned.add(buffer);
  const result = calls.kevent_setup(params, ring, memory.changes.bytes, memory.names);
  if (result < 0) { for (const buffer of buffersOf(memory)) pinned.delete(buffer); }
  if (result === EINVAL && (options.backend ?? "auto") === "auto" && options.ringFd === undefined) {
    // All else was checked here, or would have led to another back-end.
    const known = Object.keys(BACKENDS).join(", ");
    const detail = `KEVENT_BACKEND in the environment names none that works here: ` +
      `set it to one of ${known}, or unset it`;
    throw new KeventError("make queue", "kevent_setup", "EINVAL", detail);
  }
  return check(result, "make queue", "kevent_setup");
}

function paramsOf(options: QueueOptions, entries: number, memory: Memory): Bytes {
  const seed = checkWhole(
    options.seed ?? 0,
    0,
    Number.MAX_SAFE_INTEGER,
    "make queue",
    "seed",
  );
  const backend = BACKENDS[options.backend ?? "auto"];
  if (backend === undefined) {
    const known = Object.keys(BACKENDS).join(", ");
    throw new KeventError(
      "make queue",
      "argument",
      "EINVAL",
      `backend must be one of ${known}, not ${shown(options.backend)}`,
    );
  }
  const single = options.single ?? !(options.shared ?? false);
  const view = new DataView(new ArrayBuffer(PARAMS_BYTES));
  view.setUint32(PARAMS_SIZE, PARAMS_BYTES, true);
  view.setUint32(PARAMS_FLAGS, single ? KEVENT_FLAGS_SINGLE : 0, true);
  view.setUint32(PARAMS_RING_ENTRIES, entries, true);
  view.setUint32(PARAMS_RING_BYTES, entries === 0 ? 0 : ringBytes(entries), true);
  view.setUint32(PARAMS_CHANGES_BYTES, memory.changes.bytes.byteLength, true);
  view.setUint32(PARAMS_NAMES_BYTES, memory.names.byteLength, true);
  view.setInt32(PARAMS_RING_FD, options.ringFd ?? -1, true);
  view.setUint32(PARAMS_BACKEND, backend, true);
  view.setUint32(PARAMS_SEED_LOW, seed % 2 ** 32, true);
  view.setUint32(PARAMS_SEED_HIGH, Math.floor(seed / 2 ** 32), true);
  return new Uint8Array(view.buffer);
}
