// One seed: a random tree is watched in a random way while another process works on it.
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Loop, Tree, type TreeOptions } from "../../adapters/mod.ts";
import { Random } from "../../examples/demo/random.ts";
import { pause } from "./driven.ts";
import type { Folder } from "./folder.ts";
import { quiet } from "./quiet.ts";
import type { Answer, Order, TreeDriver, Work } from "./tree_driver.ts";
import { TreeModel } from "./tree_model.ts";
import { sleep } from "./worker.ts";

/** What a run may do. */
export interface RunOptions {
  readonly seed: number;
  /** Most steps between two looks. */
  readonly steps: number;
  /** Whether trees that leave something out, or remember nothing, are tried too. Default `false`. */
  readonly all?: boolean;
  /** How the tree is watched. Default: by chance. */
  readonly shape?: TreeOptions;
}

const BURSTS = 3;
/** Without events for so long, all was told. */
const QUIET_MS = 30;
/** The same, when something is missing yet; a comparison of all may wait for its turn. */
const QUIET_LAST_MS = 400;
/** The last file of a burst must have been told by then. */
const SENTINEL_MS = 5000;

/** Watches what the driver does, and keeps a model of it. */
export class TreeRun implements Disposable {
  readonly #driver: TreeDriver;
  readonly #folder: Folder;
  readonly #random: Random;
  readonly #options: RunOptions;
  readonly #model: TreeModel;
  readonly #loop: Loop = new Loop();
  readonly #tree: Tree = new Tree(this.#loop);
  readonly #log: string[] = [];
  /** How the tree is watched. */
  readonly shape: TreeOptions;
  /** What was wrong. */
  readonly problems: string[] = [];

  constructor(driver: TreeDriver, folder: Folder, options: RunOptions) {
    this.#driver = driver;
    this.#folder = folder;
    this.#options = options;
    this.#random = new Random(options.seed);
    this.shape = options.shape ?? this.#shapeOf();
    const { depth = Infinity, ignore, snapshot = true, usePolling = false } = this.shape;
    this.#model = new TreeModel(folder.at("tree"), {
      snapshot,
      polled: usePolling,
      filtered: ignore !== undefined,
      visible: (path) =>
        path.split("/").length <= depth + 1 && !(ignore && path.split("/").includes("ignored")),
    });
  }

  /** How often events were lost. */
  get overflows(): number {
    return this.#model.counts.overflow;
  }

  /** How many events were told. */
  get told(): number {
    return this.#model.log.length;
  }

  [Symbol.dispose](): void {
    this.#loop[Symbol.dispose]();
  }

  /** All of it; what is wrong ends in `problems`. */
  async run(): Promise<void> {
    const { steps } = this.#options;
    await this.begin({ steps: this.#below(steps), pauseMs: 0, calm: false });
    for (let burst = 0; burst < BURSTS && this.problems.length === 0; burst++) {
      await this.burst(`.end-${burst}`, {
        steps: 1 + this.#below(steps),
        pauseMs: this.#chance(2) ? 15 : 0,
        calm: this.#chance(2),
      });
    }
  }

  /** Lets the driver make the old tree, and watches that. */
  async begin(work: Work): Promise<void> {
    const { seed } = this.#options;
    const begin = { seed, folder: this.#folder.path, links: this.#chance(4) };
    await this.#ask({ begin, ...work });
    const { initial = false } = this.shape;
    if (!initial) this.#model.load();
    this.#tree.start(this.#folder.at("tree"), this.shape, (event) => {
      this.#model.replay(event);
    });
    // What is there at the start is told while the first burst changes it.
    if (initial && this.#chance(2) && this.#options.all === true) return;
    if (this.#chance(2)) this.#tree.scan();
    else while (!this.#tree.info().ready) await sleep(1);
  }

  /**
   * Lets the driver work, and compares.
   *
   * @param sentinel Name of the file that is made last.
   * @param work What to do before.
   * @param blocked Whether the script has no time at all meanwhile.
   */
  async burst(sentinel: string, work: Work, blocked = false): Promise<void> {
    const before = { ...this.#model.counts };
    const wasReady = this.#model.counts.ready > 0;
    rmSync(this.#folder.at("outside/begun"), { force: true });
    const asked = this.#ask({ sentinel, ...work });
    if (blocked) await this.#blockUntil(sentinel);
    else if (this.#chance(2)) await this.#blockDuring(asked);
    const answer = await asked;
    const limit = performance.now() + SENTINEL_MS;
    while (!this.#model.has(sentinel) && performance.now() < limit) await sleep(2);
    if (!this.#model.has(sentinel)) this.problems.push(`${sentinel} was not told`);
    const told = (): number => this.told;
    await quiet(QUIET_MS, told);
    const apart = this.#apart(answer);
    const late = this.#model.difference(apart);
    if (late.length > 0) await quiet(QUIET_LAST_MS, told);
    this.problems.push(...this.#model.problems, ...this.#model.difference(apart));
    if (this.#tree.info().overflows !== this.overflows) this.problems.push("overflow: not told");
    if (wasReady) this.#compareCounts(answer, before);
  }

  /** Files that may have been written by a name that nobody watches. */
  #apart({ linked, aside }: Answer): readonly string[] {
    const { ignore, depth } = this.shape;
    return ignore === undefined && depth === undefined ? aside : linked;
  }

  /** Each step is told once when nobody had to look. */
  #compareCounts({ counts, exact }: Answer, before: TreeModel["counts"]): void {
    const { usePolling, ignore, depth, snapshot = true } = this.shape;
    const { overflow } = this.#model.counts;
    if (!exact || usePolling || ignore || depth !== undefined || overflow > 0) return;
    // Names that changed hands faster than one could look; files that nobody remembers.
    if (this.#model.reconciled > 0 || !snapshot) return;
    for (const kind of ["create", "remove", "rename"] as const) {
      const told = this.#model.counts[kind] - before[kind];
      if (told !== counts[kind]) this.problems.push(`${counts[kind]} x ${kind}, ${told} told`);
    }
  }

  /** Writes down what was done and told, in order. @returns Where. */
  dump(): string {
    const { seed } = this.#options;
    const file = join(tmpdir(), `kevent-tree-${seed}-${"Bun" in globalThis ? "bun" : "deno"}.log`);
    const lines = [...this.#log, ...this.#model.log].sort((a, b) => parseFloat(a) - parseFloat(b));
    const shape = JSON.stringify({ ...this.shape, ignore: String(this.shape.ignore) });
    const head = [`seed ${seed}`, shape, ...this.problems];
    const text = [...head, ...lines].join("\n").replaceAll(`${this.#folder.path}/`, "");
    writeFileSync(file, text.replace(/l{200,}/g, "LONG"));
    return file;
  }

  async #ask(order: Order): Promise<Answer> {
    const answer = await this.#driver.ask(order);
    this.#log.push(...answer.log);
    return answer;
  }

  /** From when the driver has begun. */
  async #blockUntil(sentinel: string): Promise<void> {
    while (!existsSync(this.#folder.at("outside/begun"))) await sleep(1);
    while (!existsSync(this.#folder.at(`tree/${sentinel}`))) pause(5);
  }

  /** Now and then the script has other things to do. */
  async #blockDuring(asked: Promise<unknown>): Promise<void> {
    let done = false;
    asked.finally(() => done = true).catch(() => {});
    while (!done) {
      await sleep(this.#below(10));
      pause(this.#below(20));
    }
  }

  #shapeOf(): TreeOptions {
    const { all = false } = this.#options;
    const snapshot = !this.#chance(5) || !all;
    const polled = snapshot && this.#chance(12);
    return {
      snapshot,
      initial: this.#chance(4),
      ...[{ raw: true }, { coalesceMs: 0 }, { coalesceMs: 50 }, {}, {}][this.#below(5)],
      ...(this.#chance(8) && all ? { ignore: /(^|\/)ignored$/ } : {}),
      ...(this.#chance(8) && all ? { depth: this.#below(4) } : {}),
      ...(polled ? { usePolling: true, pollMs: 20 } : {}),
    };
  }

  #below(limit: number): number {
    return this.#random.between(0, limit - 1);
  }

  /** Once in so many times. */
  #chance(times: number): boolean {
    return this.#below(times) === 0;
  }
}
