/** Waits in a row that brought nothing before a driven loop sleeps in the runtime's. */
const LINGERS_MAX = 16;

/** A loop that is moved by `drive`: how long it waits in our own call, and who waits for its end. */
export class Drive {
  #lingerNs = 0;
  // How many waits more may bring nothing.
  #lingers = 0;
  #resolve: ((alive: boolean) => void) | undefined;

  /** Whether somebody drives. */
  get active(): boolean {
    return this.#resolve !== undefined;
  }

  /** How long the next round may wait; 0 when nothing came for a while, or nobody drives. */
  get lingerNs(): number {
    return this.active && this.#lingers > 0 ? this.#lingerNs : 0;
  }

  /**
   * @param lingerNs How long a wait is.
   * @returns Resolves at the end.
   */
  begin(lingerNs: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#resolve = resolve;
    this.#lingerNs = lingerNs;
    this.#lingers = LINGERS_MAX;
    return promise;
  }

  /**
   * A round is over.
   *
   * @param brought Whether anything came.
   */
  went(brought: boolean): void {
    if (brought) this.#lingers = LINGERS_MAX;
    else if (this.#lingers > 0) this.#lingers--;
  }

  /** @param alive What the one who waits is told. */
  end(alive: boolean): void {
    const resolve = this.#resolve;
    this.#resolve = undefined;
    resolve?.(alive);
  }
}
