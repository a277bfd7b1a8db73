import {
  KEVENT_CLOCK_MONOTONIC,
  KEVENT_POLL,
  KEVENT_POLL_IN,
  KEVENT_TREE_ASK,
  TREE_ANSWER_BYTES,
  TREE_ANSWER_NODE,
  TREE_ANSWER_SERIAL,
  TREE_ANSWER_TREE,
  TREE_ANSWER_WATCH,
} from "../ffi/abi.ts";
import { check, errorNumber, KeventError } from "../ffi/errors.ts";
import type { Bytes, Calls } from "../ffi/library.ts";
import type { Ignoring } from "./ignore.ts";
import type { Loop } from "./loop.ts";
import type { Slot } from "./slots.ts";
import { TreeBatch, TreeChange } from "./tree_change.ts";
import type { TreeEvent } from "./tree_event.ts";

/** Bytes read at a time: some 600 events. */
const BATCH_BYTES = 65536;
/** What is told in a row before other handles get their turn: as much as a ring holds. */
const EVENTS_MAX = 256;
/**
 * Microseconds of one read, so that the rounds which a loop takes in a row keep nobody waiting for more than a
 * few milliseconds.
 */
const BUDGET_US = 500;
/** A look that did nothing for so long does not come to an end. */
const STUCK_NS = 250e6;
/** Until what failed, for want of memory, say, is tried again. */
const PAUSE_NS = 100e6;

const EMSGSIZE = -errorNumber("EMSGSIZE");
const ANSWER_WORDS = TREE_ANSWER_BYTES / 4;

/** Who is told of a tree. */
export interface TreeListener {
  /** What is left out; `undefined` for nothing. */
  readonly ignoring: Ignoring | undefined;
  /** Called with each event, in order. */
  onEvent(event: TreeEvent): void;
}

const forests = new WeakMap<Loop, Forest>();

/**
 * The forest of a loop, made when the first tree is.
 *
 * @param loop The loop.
 * @param operation What needs it, in words that follow "Cannot".
 * @returns The forest.
 * @throws {KeventError} EMFILE, ENOMEM and others of the system, EBADF when the loop was closed.
 */
export function forestOf(loop: Loop, operation: string): Forest {
  const forest = forests.get(loop) ?? new Forest(loop, operation);
  forests.set(loop, forest);
  return forest;
}

/**
 * All watched trees of one loop: reads what the library tells of them, answers what it asks, and calls
 * whom it concerns. It ends with its last tree.
 */
export class Forest {
  readonly #loop: Loop;
  readonly #calls: Calls;
  readonly #slot: Slot;
  readonly #listeners = new Map<number, TreeListener>();
  // -1: it has ended.
  #fd: number;
  // Read and not told yet, in order. One can be read while another one is told.
  readonly #batches: TreeBatch[] = [];
  #spare: TreeBatch | undefined;
  // Called before the events that wait.
  readonly #calling: (() => void)[] = [];
  readonly #resume = (): void => this.#round();
  // Whether the last read failed, which was told.
  #failing = false;
  #pause: number | undefined;

  /**
   * @param loop Whose trees.
   * @param operation What needs it, in words that follow "Cannot".
   */
  constructor(loop: Loop, operation: string) {
    this.#loop = loop;
    this.#calls = loop.library.calls;
    this.#fd = check(this.#calls.kevent_forest_open(), operation, "kevent_forest_open");
    this.#slot = loop.slots.open({
      onRecord: () => {
        // What waits is told first, in the idle phase.
        if (!this.#waits()) this.#round();
      },
      onError: (error) => this.#fail(error as KeventError),
    });
    this.#watch();
  }

  /**
   * Starts a tree. Its root is watched when this returns.
   *
   * @param params How: a `TreeParams`.
   * @param path The root.
   * @param listener Who is told.
   * @returns The number of the tree, or a negative errno.
   */
  add(params: Bytes, path: Bytes, listener: TreeListener): number {
    const tree = this.#calls.kevent_tree_add(this.#fd, params, path, path.length);
    if (tree >= 0) this.#listeners.set(tree, listener);
    else this.#endUnused();
    return tree;
  }

  /** Ends a tree: its listener is not called any more. */
  remove(tree: number): void {
    if (!this.#listeners.delete(tree) || this.#fd < 0) return;
    this.#calls.kevent_tree_remove(this.#fd, tree);
    this.#endUnused();
  }

  /**
   * Does the first look at a tree at once. What it tells is told later, as ever.
   *
   * @throws {KeventError} ENOMEM and others of the system.
   */
  scan(tree: number): void {
    const { kevent_tree_scan, kevent_now } = this.#calls;
    const now = (): number => kevent_now(KEVENT_CLOCK_MONOTONIC);
    try {
      let since = now();
      while (this.#listeners.has(tree)) {
        const done = kevent_tree_scan(this.#fd, tree);
        if (check(done, "scan tree", "kevent_tree_scan") !== 0) break;
        // It waits for answers to what is read here, or a moment for the other half of a rename.
        if (this.#read(0)) since = now();
        else if (now() - since > STUCK_NS) {
          throw new KeventError("scan tree", "kevent_tree_scan", "EAGAIN");
        }
      }
    } finally {
      this.#settle();
      // The loop may sleep: it must look at its phases again.
      if (this.#waits()) this.#loop.afterApply(() => {});
    }
  }

  /**
   * Asks about a tree.
   *
   * @returns What the library says, parsed.
   */
  info(tree: number): unknown {
    const bytes = new Uint8Array(new ArrayBuffer(4096));
    const result = this.#calls.kevent_tree_info(this.#fd, tree, bytes, bytes.length);
    const length = check(result, "ask for info", "kevent_tree_info");
    return JSON.parse(new TextDecoder().decode(bytes.subarray(0, length)));
  }

  /** The loop has ended: gives back what it holds of the system, and calls nobody. */
  letGo(): void {
    this.#listeners.clear();
    this.#calling.length = 0;
    this.#end();
  }

  #endUnused(): void {
    if (this.#listeners.size > 0) return;
    this.#unwatch();
    this.#end();
    this.#loop.slots.free(this.#slot);
  }

  #end(): void {
    const fd = this.#fd;
    if (fd < 0) return;
    this.#fd = -1;
    forests.delete(this.#loop);
    this.#batches.length = 0;
    if (this.#pause !== undefined) this.#loop.timers.clear(this.#pause);
    this.#settle();
    // Its registration must be gone before the descriptor is.
    this.#loop.afterApply(() => void this.#calls.kevent_forest_close(fd));
    this.#loop.apply();
  }

  #watch(): void {
    this.#loop.add(this.#slot, KEVENT_POLL, this.#fd, 0, KEVENT_POLL_IN, 0);
  }

  #unwatch(): void {
    this.#loop.remove(this.#slot, KEVENT_POLL, this.#fd, 0);
  }

  // --- reading ---------------------------------------------------------------------------------

  /**
   * Reads some records, and answers what is asked in them.
   *
   * @param budgetUs For about how many microseconds the library may work; 0 for one step.
   * @returns Whether there were any.
   */
  #read(budgetUs: number): boolean {
    const batch = this.#spare ?? new TreeBatch(BATCH_BYTES);
    this.#spare = undefined;
    const bytes = this.#fill(batch, budgetUs);
    if (bytes === 0) {
      this.#spare = batch;
      return false;
    }
    batch.at = 0;
    batch.end = bytes / 4;
    // Before anybody is asked, who could read more.
    this.#batches.push(batch);
    this.#answer(batch);
    return true;
  }

  #fill(batch: TreeBatch, budgetUs: number): number {
    for (;;) {
      const { bytes } = batch;
      const result = this.#calls.kevent_forest_read(this.#fd, bytes, bytes.length, budgetUs);
      if (result !== EMSGSIZE) return check(result, "read trees", "kevent_forest_read");
      batch.grow();
    }
  }

  /** Says of directories whether they are watched: all that is asked in a batch, in one call. */
  #answer(batch: TreeBatch): void {
    const answers: number[] = [];
    for (let at = 0; at < batch.end; at = batch.behind(at)) {
      if (batch.kind(at) !== KEVENT_TREE_ASK) continue;
      const tree = batch.tree(at);
      const ignoring = this.#listeners.get(tree)?.ignoring;
      if (ignoring === undefined) continue;
      const path = batch.path(at);
      const watch = !this.#tried(false, () => ignoring.matches(path, true));
      putAnswer(answers, tree, batch, at, watch);
    }
    if (answers.length === 0 || this.#fd < 0) return;
    const words = new Uint32Array(new ArrayBuffer(answers.length * 4));
    words.set(answers);
    const bytes = new Uint8Array(words.buffer);
    const count = answers.length / ANSWER_WORDS;
    const result = this.#calls.kevent_tree_answer(this.#fd, bytes, count);
    check(result, "answer", "kevent_tree_answer");
  }

  /** What a test of the user gives; when it throws, that is told soon and nothing is left out. */
  #tried<Value>(otherwise: Value, test: () => Value): Value {
    try {
      return test();
    } catch (error) {
      this.#calling.push(() => {
        throw error;
      });
      return otherwise;
    }
  }

  // --- telling ---------------------------------------------------------------------------------

  /** Whether something was read that was not told yet. */
  #waits(): boolean {
    return this.#batches.length + this.#calling.length > 0;
  }

  /** Tells what waits; if nothing does, reads first. */
  #round(): void {
    try {
      if (!this.#waits()) this.#readOrPause();
      this.#tell();
    } finally {
      this.#settle();
    }
  }

  #readOrPause(): void {
    try {
      this.#read(BUDGET_US);
      this.#failing = false;
    } catch (error) {
      this.#fail(error as KeventError);
    }
  }

  /** So much that others get their turn. What a callback throws goes to the loop, and the rest waits. */
  #tell(): void {
    const { checkpoint } = this.#loop.host;
    for (let left = EVENTS_MAX; left > 0 && this.#waits(); left--) {
      if (!this.#tellNext()) continue;
      // Only the runtime's own turn drains its microtasks.
      if (checkpoint === undefined) return;
      checkpoint();
    }
  }

  /** @returns Whether anybody was called. */
  #tellNext(): boolean {
    const call = this.#calling.shift() ?? this.#nextEvent();
    if (call === undefined) return false;
    call();
    return true;
  }

  /** Takes a record; gives the call that tells it. The memory may be read into by then. */
  #nextEvent(): (() => void) | undefined {
    const batch = this.#batches[0]!;
    const { at } = batch;
    batch.at = batch.behind(at);
    const listener = this.#listeners.get(batch.tree(at));
    const event = listener === undefined || batch.kind(at) === KEVENT_TREE_ASK
      ? undefined
      : this.#filtered(TreeChange.read(batch, at), listener);
    if (batch.at >= batch.end && this.#batches[0] === batch) this.#spare = this.#batches.shift();
    if (event === undefined || listener === undefined) return undefined;
    return () => listener.onEvent(event);
  }

  #filtered(event: TreeChange, { ignoring }: TreeListener): TreeChange | undefined {
    if (ignoring === undefined) return event;
    return this.#tried<TreeChange | undefined>(event, () => TreeChange.without(event, ignoring));
  }

  /** Where the poll does not call again though something waits, the idle phase does. */
  #settle(): void {
    const { idle } = this.#loop.phases;
    if (this.#waits()) idle.add(this, this.#resume);
    else idle.delete(this);
  }

  /** Tells all of an error, once, and tries again after a while. */
  #fail(error: KeventError): void {
    if (!this.#failing) {
      for (const [tree, listener] of this.#listeners) {
        this.#calling.push(() => {
          if (this.#listeners.get(tree) === listener) listener.onEvent(TreeChange.failure(error));
        });
      }
    }
    this.#failing = true;
    this.#settle();
    if (this.#fd >= 0) this.#rest();
  }

  #rest(): void {
    const { timers } = this.#loop;
    this.#unwatch();
    this.#pause = timers.once(() => this.#watch(), PAUSE_NS);
    timers.setRef(timers.slotOf(this.#pause), false);
  }
}

function putAnswer(
  answers: number[],
  tree: number,
  batch: TreeBatch,
  record: number,
  watch: boolean,
): void {
  const at = answers.length;
  answers[at + TREE_ANSWER_TREE / 4] = tree;
  answers[at + TREE_ANSWER_NODE / 4] = batch.node(record);
  answers[at + TREE_ANSWER_SERIAL / 4] = batch.serial(record);
  answers[at + TREE_ANSWER_WATCH / 4] = watch ? 1 : 0;
}
