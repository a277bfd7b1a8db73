// A tree that is watched, and what was told of it.
import {
  Loop,
  type LoopOptions,
  Tree,
  type TreeEvent,
  type TreeOptions,
} from "../../adapters/mod.ts";
import { quiet } from "./quiet.ts";
import { sleep } from "./worker.ts";

/** Without events for so long, all was told. */
const QUIET_MS = 60;
const LIMIT_MS = 5000;

/** An event in a line: `rename a -> b`, or the kind and the path. */
export function line({ kind, path, oldPath }: TreeEvent): string {
  return kind === "rename" ? `rename ${oldPath} -> ${path}` : `${kind} ${path}`.trimEnd();
}

/** Watches from the first look on; ends with the scope. */
export class TreeWatch implements Disposable {
  readonly loop: Loop;
  readonly tree: Tree;
  readonly events: TreeEvent[] = [];
  #told = 0;

  constructor(path: string, options: TreeOptions = {}, loopOptions: LoopOptions = {}) {
    this.loop = new Loop(loopOptions);
    this.tree = new Tree(this.loop).start(path, options, (event) => {
      this.events.push(event);
      this.#told++;
    });
  }

  /** What was told of names. */
  get lines(): string[] {
    return this.events.map(line).filter((text) => !/^(ready|overflow)$/.test(text));
  }

  /** Of one kind. */
  of(kind: TreeEvent["kind"]): TreeEvent[] {
    return this.events.filter((event) => event.kind === kind);
  }

  /** Waits for an event. */
  async until(text: string): Promise<void> {
    const end = performance.now() + LIMIT_MS;
    while (!this.events.some((event) => line(event) === text)) {
      if (performance.now() > end) throw new Error(`no "${text}" among: ${this.lines.join(", ")}`);
      await sleep(1);
    }
  }

  /** Waits until the first look is done. */
  ready(): Promise<void> {
    return this.until("ready");
  }

  /** Waits until nothing is told any more. */
  quiet(ms = QUIET_MS): Promise<void> {
    return quiet(ms, () => this.#told);
  }

  /** Forgets what was told. */
  forget(): void {
    this.events.length = 0;
  }

  [Symbol.dispose](): void {
    this.loop[Symbol.dispose]();
  }
}
