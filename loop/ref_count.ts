/** What counts reasons for the process to live. */
interface Counting {
  /** One more. */
  retain(): void;
  /** One less. */
  release(): void;
}

/** Counts reasons for the process to live, and is itself one of its owner's while there are any. */
export class RefCount implements Counting {
  readonly #owner: Counting;
  #count = 0;

  /** @param owner Told of the first, and when none is left. */
  constructor(owner: Counting) {
    this.#owner = owner;
  }

  /** How many there are. */
  get count(): number {
    return this.#count;
  }

  /** One more. */
  retain(): void {
    if (this.#count++ === 0) this.#owner.retain();
  }

  /** One less. */
  release(): void {
    if (--this.#count === 0) this.#owner.release();
  }

  /** None any more; the owner is not told. */
  clear(): void {
    this.#count = 0;
  }
}
