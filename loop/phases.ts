import { Phase } from "./phase.ts";

/** The phases of a round whose handles are called each time. */
export class Phases {
  /** First of all; while one is active the loop does not sleep. */
  readonly idle: Phase;
  /** Before the poll. */
  readonly prepare: Phase;
  /** After the poll. */
  readonly check: Phase;
  readonly #onStart: () => void;
  #calling = false;
  #fresh = false;

  /** @param onStart Called when a handle was started outside of these phases: it wants a round. */
  constructor(onStart: () => void) {
    this.#onStart = onStart;
    const started = (): void => this.#started();
    this.idle = new Phase(started);
    this.prepare = new Phase(started);
    this.check = new Phase(started);
  }

  /** Whether a handle was started that had no round yet. */
  get fresh(): boolean {
    return this.#fresh;
  }

  /** Calls the handles of a phase. Parameters as of `Phase.run`. */
  run(phase: Phase, call: (callback: () => void) => boolean): void {
    // Whatever was started by now is called in this round.
    if (phase === this.prepare) this.#fresh = false;
    this.#calling = true;
    phase.run(call);
    this.#calling = false;
  }

  #started(): void {
    // Those that start each other in turns want none of their own: a loop of nothing else has to sleep.
    if (this.#calling) return;
    this.#fresh = true;
    this.#onStart();
  }
}
