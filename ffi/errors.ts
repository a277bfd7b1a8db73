import { ERRORS } from "./abi.ts";

/** One entry of the list that Zig prints: errno, its name, and what to do about it. */
interface Entry {
  readonly number: number;
  readonly name: string;
  readonly message: string;
}

const entries: ReadonlyMap<number, Entry> = new Map(ERRORS.map((entry) => [entry.number, entry]));
const numbers: ReadonlyMap<string, number> = new Map(
  ERRORS.map((entry) => [entry.name, entry.number]),
);

/**
 * An error of kevent: what was tried, the errno (errno(3)), and what to do about it.
 *
 * @example A bad argument
 * ```ts
 * import { KeventError } from "../adapters/mod.ts";
 *
 * const error = new KeventError("add timer", "kevent_ctl", "EINVAL", "id.raw[1] must be below 1e9");
 * if (error.message !== "Cannot add timer: EINVAL (id.raw[1] must be below 1e9)") throw error;
 * if (error.code !== "EINVAL" || error.errno !== -22) throw error;
 * ```
 */
export class KeventError extends Error {
  override readonly name = "KeventError";
  /** Name of the errno, such as `"EINVAL"`. */
  readonly code: string;
  /** Negative errno, as in Node. */
  readonly errno: number;
  /** The native call that refused, such as `"kevent_ctl"`. */
  readonly syscall: string;

  /**
   * @param operation What was tried, in words that follow "Cannot".
   * @param syscall The native call that refused.
   * @param code Name of the errno.
   * @param detail What is wrong and what to do; the message of the errno when left out.
   */
  constructor(operation: string, syscall: string, code: string, detail?: string) {
    const number = numbers.get(code) ?? 0;
    super(`Cannot ${operation}: ${code} (${detail ?? messageOf(number)})`);
    this.code = code;
    this.errno = -number;
    this.syscall = syscall;
  }

  /**
   * Makes the error of a negative result.
   *
   * @param operation What was tried, in words that follow "Cannot".
   * @param syscall The native call that refused.
   * @param result What the call returned, or an errno from `ret_data`: the sign does not matter.
   * @returns The error, not thrown.
   */
  static of(operation: string, syscall: string, result: number): KeventError {
    return new KeventError(operation, syscall, errorName(result), messageOf(Math.abs(result)));
  }
}

/**
 * Name of an errno.
 *
 * @param errno The number, with either sign.
 * @returns Its name, or `E<number>` for one that kevent does not know.
 */
export function errorName(errno: number): string {
  const number = Math.abs(errno);
  return entries.get(number)?.name ?? `E${number}`;
}

/**
 * Number of an errno by its name.
 *
 * @param name Such as `"EAGAIN"`.
 * @returns The positive number, 0 for a name that kevent does not know.
 */
export function errorNumber(name: string): number {
  return numbers.get(name) ?? 0;
}

function messageOf(number: number): string {
  return entries.get(number)?.message ?? "see errno(3)";
}

/**
 * Passes a result on, or throws its error.
 *
 * @param result What a native call returned: `>= 0`, or a negative errno.
 * @param operation What was tried, in words that follow "Cannot".
 * @param syscall The native call.
 * @returns `result`.
 * @throws {KeventError} When `result` is negative.
 */
export function check(result: number, operation: string, syscall: string): number {
  if (result < 0) throw KeventError.of(operation, syscall, result);
  return result;
}

/**
 * Checks a whole number against its bounds.
 *
 * @param value The number given.
 * @param least The smallest that is allowed.
 * @param most The largest that is allowed.
 * @param operation What was tried, in words that follow "Cannot".
 * @param what Name of the argument.
 * @returns `value`.
 * @throws {KeventError} EINVAL when it is a fraction, not a number, or out of bounds.
 */
export function checkWhole(
  value: number,
  least: number,
  most: number,
  operation: string,
  what: string,
): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new KeventError(
    operation,
    "argument",
    "EINVAL",
    `${what} must be a whole number from ${least} to ${most}, not ${shown(value)}`,
  );
}

/**
 * Checks a number against its bounds.
 *
 * @param value The number given.
 * @param least The smallest that is allowed.
 * @param most The largest that is allowed.
 * @param operation What was tried, in words that follow "Cannot".
 * @param what Name of the argument.
 * @returns `value`.
 * @throws {KeventError} EINVAL when it is not a number, or out of bounds.
 */
export function checkRange(
  value: number,
  least: number,
  most: number,
  operation: string,
  what: string,
): number {
  if (typeof value === "number" && value >= least && value <= most) return value;
  const detail = `${what} must be from ${least} to ${most}, not ${shown(value)}`;
  throw new KeventError(operation, "argument", "EINVAL", detail);
}

/**
 * A wrong value for the message of an error: text in quotes, and of objects no more than that they are.
 *
 * @param value Anything.
 * @returns Some words.
 */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "object" && value !== null) return "an object";
  return typeof value === "function" ? "a function" : String(value);
}

/**
 * Checks that something can be called, so that who forgot it hears of it at once.
 *
 * @param value What was given.
 * @param operation What was tried, in words that follow "Cannot".
 * @param what Name of the argument. Default `"callback"`.
 * @throws {KeventError} EINVAL when it is no function.
 */
export function checkFunction(value: unknown, operation: string, what = "callback"): void {
  if (typeof value === "function") return;
  const detail = `${what} must be a function, not ${value === null ? "null" : typeof value}`;
  throw new KeventError(operation, "argument", "EINVAL", detail);
}
