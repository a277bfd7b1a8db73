/** One thing the demo does, beside all the others, on the same loop. */
export interface Part {
  /** Resolves when all that is expected has come; never, when something got lost. */
  readonly done: Promise<void>;
  /** Lets go of what it holds. */
  stop(): void;
  /** What happened up to now. */
  result(): Result;
}

/** What a part tells about itself. */
export interface Result {
  /** What happened, in words. */
  readonly what: string;
  /** Events its callbacks got; `undefined` when they cannot tell. */
  readonly events?: number;
  /** What was lost or wrong. Empty: nothing. */
  readonly problems: readonly string[];
  /** The same for machines. */
  readonly numbers: Readonly<Record<string, number>>;
}

/** @returns `1,234`. */
export function count(number: number): string {
  return number.toLocaleString("en-US");
}

/** @returns `12.3 MiB`. */
export function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

/**
 * @param sorted Numbers in order.
 * @param part From 0 to 1.
 * @returns The number that this part of them does not exceed.
 */
export function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.max(Math.ceil(sorted.length * part) - 1, 0)] ?? 0;
}
