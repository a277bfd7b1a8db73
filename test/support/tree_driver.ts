// The other process that works on a tree while this one watches it.
import { type ChildProcessByStdio, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fixturePath, isDeno } from "./program.ts";
import type { ActorOptions, Counts } from "./tree_actor.ts";

/** Random steps, or many files at once. */
export type Work = { readonly steps: number; readonly pauseMs: number; readonly calm: boolean } | {
  readonly flood: { readonly directories: number; readonly files: number };
};

/** What to do on a new tree, or before a last file is made. */
export type Order = Work & ({ readonly begin: ActorOptions } | { readonly sentinel: string });

/** What was done. */
export interface Answer {
  readonly log: readonly string[];
  readonly counts: Counts;
  readonly exact: boolean;
  /** Files in the tree that have or had several names, and those of them that were written by one outside. */
  readonly linked: readonly string[];
  readonly aside: readonly string[];
}

/** Starts `test/fixture/tree-driver.ts`, which ends with this. */
export class TreeDriver implements Disposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #answers: AsyncIterator<string>;

  constructor() {
    const flags = isDeno ? ["run", "-A", "--no-prompt"] : [];
    this.#child = spawn(process.execPath, [...flags, fixturePath("tree-driver")], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Gives an order; resolves when it was done. */
  async ask(order: Order): Promise<Answer> {
    this.#child.stdin.write(`${JSON.stringify(order)}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error("the driver ended");
    const answer = JSON.parse(value);
    if (answer.error) throw new Error(answer.error);
    return answer;
  }

  [Symbol.dispose](): void {
    this.#child.kill();
  }
}
