/** The same numbers from the same seed, in every process: xorshift of 32 bits. */
export class Random {
  #state: number;

  /** @param seed Any number; neighbours give unlike sequences. */
  constructor(seed: number) {
    // Never 0: xorshift would stay there.
    this.#state = Math.imul(seed | 0, 0x9e3779b1) || 1;
  }

  /** @returns The next 32 bits. */
  next(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return state >>> 0;
  }

  /** @returns A whole number from `least` to `most`. */
  between(least: number, most: number): number {
    return least + this.next() % (most - least + 1);
  }
}

/**
 * Bytes in which a part that is lost, doubled or out of place shows.
 *
 * @param seed Which bytes.
 * @param length How many.
 * @returns The bytes.
 */
export function payload(seed: number, length: number): Uint8Array<ArrayBuffer> {
  const random = new Random(seed);
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let index = 0; index < words.length; index++) words[index] = random.next();
  return new Uint8Array(words.buffer, 0, length);
}
