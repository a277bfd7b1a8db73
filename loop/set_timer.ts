import { checkFunction, KeventError, shown } from "../ffi/errors.ts";
import { Alarm, DATE_NS_MAX } from "./alarm.ts";
import { defaultLoop } from "./default.ts";
import { checkLoop } from "./handle.ts";
import { bind } from "./host.ts";
import type { Loop } from "./loop.ts";
import { missedOf, type TimerItem } from "./timers.ts";

/** When a timer fires, and on what clock. Times are in nanoseconds; `Infinity` is never. */
export interface TimerOptions {
  /** How long from now. Default: `every`, or at once. */
  readonly after?: number;
  /**
   * When, instead of `after`: on the loop's clock, such as `loop.clock.now() + 5e6`, or since 1970 on
   * the wall clock, such as `Date.now() * 1e6`.
   */
  readonly at?: number;
  /** Again after so long, counted from the time it was due. Default: once. */
  readonly every?: number;
  /**
   * `"monotonic"`: the loop's clock, which nobody sets but a test (`ManualClock`). `"wall"`: the date of
   * the kernel, up to 2106; the timer follows when it is set. Default `"monotonic"`.
   */
  readonly clock?: "monotonic" | "wall";
  /** Called when the wall clock was set while the timer waits. */
  readonly onClockSet?: () => void;
  /** Whether the process lives while it waits. Default `true`. */
  readonly ref?: boolean;
  /** The loop it belongs to. Default: that of the thread. */
  readonly loop?: Loop;
}

/** How `sleep` waits. */
export interface SleepOptions {
  /** Ends the sleep early: it rejects with the reason. */
  readonly signal?: AbortSignal;
  /** Whether the process lives while it sleeps. Default `true`. */
  readonly ref?: boolean;
}

/** Fires again and again, from deadline to deadline. */
class Interval implements TimerItem {
  readonly #loop: Loop;
  readonly #callback: (missed: number) => void;
  readonly #everyNs: number;

  constructor(loop: Loop, callback: (missed: number) => void, everyNs: number) {
    this.#loop = loop;
    this.#callback = bind(loop.host, callback, "set timer");
    this.#everyNs = everyNs;
  }

  onTimer(slot: number, deadlineNs: number, nowNs: number): void {
    const every = this.#everyNs;
    let missed = 0;
    if (every === 0) this.#loop.timers.close(slot);
    else {
      missed = missedOf(deadlineNs, nowNs, every);
      this.#loop.timers.armAt(slot, deadlineNs + (missed + 1) * every, every);
    }
    this.#callback(missed);
  }
}

/** A timer of the wall clock: its slot is only there for the number that names it. */
class Dated implements TimerItem {
  readonly #alarm: Alarm;

  constructor(loop: Loop, callback: (missed: number) => void, options: TimerOptions) {
    const { after = options.every ?? 0, every = 0, onClockSet } = options;
    const { at = loop.wallClock.now() + after } = options;
    if (at > DATE_NS_MAX || every > DATE_NS_MAX) {
      throw bad("a timer of the wall clock must be due before 2106");
    }
    const alarm = new Alarm(loop);
    const slot = loop.timers.open(this, true, true);
    const fire = (missed: number): void => {
      if (every === 0) {
        loop.timers.close(slot);
        alarm.close();
      }
      callback(missed);
    };
    // Times and callback were checked: now nothing is refused.
    this.#alarm = alarm.start({ fire, clockSet: () => onClockSet?.() }, at, every);
    this.id = loop.timers.idOf(slot);
  }

  readonly id: number;

  onTimer(): void {}

  onClear(): void {
    this.#alarm.close();
  }

  onRef(ref: boolean): void {
    if (ref) this.#alarm.ref();
    else this.#alarm.unref();
  }
}

/**
 * Calls a function after a delay, or at a time, once or again and again. Never early; a delay in
 * nanoseconds without options is the cheapest timer there is.
 *
 * @param callback Called with the number of times it should have fired besides but could not.
 * @param when Nanoseconds from now, or options.
 * @returns A number for `clearTimer`, `refTimer` and `unrefTimer`.
 * @throws {KeventError} EINVAL for a time that is negative or not a number, for a period between 0 and 1, for
 * `after` together with `at`, and for a date after 2106; ENOMEM for more than 2^24 timers; EBADF when the loop was closed.
 *
 * @example Every half millisecond, without drift
 * ```ts
 * import { clearTimer, setTimer } from "../adapters/mod.ts";
 *
 * let times = 0;
 * await new Promise<void>((resolve) => {
 *   const timer = setTimer((missed) => {
 *     times += 1 + missed;
 *     if (times >= 10 && clearTimer(timer)) resolve();
 *   }, { every: 500_000 });
 * });
 * ```
 */
export function setTimer(
  callback: (missed: number) => void,
  when: number | TimerOptions = 0,
): number {
  checkFunction(callback, "set timer");
  if (typeof when !== "number") return setTimerWith(callback, checkWhen(when));
  // Also for NaN.
  if (!(when >= 0)) throw badTime("delay", when);
  return defaultLoop().timers.once(callback, when);
}

function setTimerWith(callback: (missed: number) => void, options: TimerOptions): number {
  checkTimes(options);
  const { ref = true, every = 0, loop = defaultLoop(), clock = "monotonic" } = options;
  if (clock === "wall") {
    const { id } = new Dated(loop, callback, options);
    if (!ref) setRef(loop, id, false);
    return id;
  }
  const { after = every } = options;
  const { at = loop.clock.now() + after } = options;
  const slot = loop.timers.open(new Interval(loop, callback, every), ref, true);
  loop.timers.armAt(slot, at, every > 0 ? every : after);
  return loop.timers.idOf(slot);
}

/**
 * Checks the second argument of `setTimer`.
 *
 * @param when A number, or options.
 * @returns Options.
 * @throws {KeventError} EINVAL for anything else.
 */
export function checkWhen(when: number | TimerOptions): TimerOptions {
  if (typeof when === "number") return { after: when };
  if (typeof when === "object" && when !== null && !(when instanceof Date)) return when;
  const hint = when instanceof Date ? `: { at: date.getTime() * 1e6, clock: "wall" }` : "";
  throw bad(`when must be nanoseconds from now, or options, not ${kindOf(when)}${hint}`);
}

function checkTimes(options: TimerOptions): void {
  for (const name of ["after", "at", "every"] as const) {
    const time: unknown = options[name];
    if (time !== undefined && !(typeof time === "number" && time >= 0)) throw badTime(name, time);
  }
  const { after, at, every = 0, clock = "monotonic", loop } = options;
  if (every > 0 && every < 1) throw bad(`every must be 0, for once, or at least 1, not ${every}`);
  if (loop !== undefined) checkLoop(loop, "set timer");
  if (after !== undefined && at !== undefined) throw bad("give after or at, not both");
  if (clock !== "monotonic" && clock !== "wall") {
    throw bad(`clock must be "monotonic" or "wall", not ${String(clock)}`);
  }
}

function badTime(name: string, time: unknown): KeventError {
  const shown = typeof time === "number" ? time : kindOf(time);
  return bad(`${name} must be 0 or more nanoseconds, not ${shown}`);
}

function kindOf(value: unknown): string {
  if (value instanceof Date) return "a Date";
  return value === null ? "null" : `a ${typeof value}`;
}

function bad(detail: string): KeventError {
  return new KeventError("set timer", "argument", "EINVAL", detail);
}

/**
 * Ends a timer: it does not fire any more.
 *
 * @param id What `setTimer` gave. Any other number does nothing: of a timer that is gone, of another loop, or
 * of `setTimeout`. Nor does `undefined`.
 * @param loop The loop it belongs to. Default: that of the thread.
 * @returns Whether it was waiting.
 * @throws {KeventError} EINVAL for what is neither a number nor `undefined`.
 *
 * @example
 * ```ts
 * import { clearTimer, setTimer } from "../adapters/mod.ts";
 *
 * const timer = setTimer(() => {}, 1e9);
 * if (!clearTimer(timer) || clearTimer(timer)) throw new Error("once, and not twice");
 * ```
 */
export function clearTimer(id: number | undefined, loop: Loop = defaultLoop()): boolean {
  if (typeof id === "number") return loop.timers.clear(id);
  checkId(id, "clear timer");
  return false;
}

/** Lets the process live while a timer waits. Parameters as of `clearTimer`. */
export function refTimer(id: number | undefined, loop: Loop = defaultLoop()): void {
  setRef(loop, id, true);
}

/** Lets the process end while a timer waits. Parameters as of `clearTimer`. */
export function unrefTimer(id: number | undefined, loop: Loop = defaultLoop()): void {
  setRef(loop, id, false);
}

function setRef(loop: Loop, id: number | undefined, ref: boolean): void {
  if (typeof id !== "number") return checkId(id, ref ? "ref timer" : "unref timer");
  const slot = loop.timers.slotOf(id);
  if (slot >= 0) loop.timers.setRef(slot, ref);
}

/** Somebody who has not started a timer yet may clear it; with an object of `setTimeout` it is a mistake. */
function checkId(id: unknown, operation: string): void {
  if (id === undefined) return;
  const detail = `id must be a number that setTimer gave, not ${shown(id)}`;
  throw new KeventError(operation, "argument", "EINVAL", detail);
}

/**
 * Waits, on the loop of the thread.
 *
 * @param delayNs Nanoseconds.
 * @param options A signal to end it early, and whether the process lives meanwhile.
 * @returns Resolves after the delay, never before; rejects with the reason of `signal`.
 * @throws {KeventError} As of `setTimer`, and EINVAL for a signal that is none; as a rejection.
 *
 * @example
 * ```ts
 * import { sleep } from "../adapters/mod.ts";
 *
 * const start = performance.now();
 * await sleep(250_000);
 * if (performance.now() - start < 0.25) throw new Error("early");
 * ```
 */
export function sleep(delayNs: number, options: SleepOptions = {}): Promise<void> {
  return new Promise((resolve, reject) => {
    const { signal, ref = true } = options;
    checkSignal(signal);
    if (signal?.aborted) return reject(signal.reason);
    const abort = (): void => {
      clearTimer(timer);
      reject(signal!.reason);
    };
    const timer = setTimer(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, delayNs);
    if (!ref) unrefTimer(timer);
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/** What a program or its test environment has for signals may be a class of its own. */
function checkSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  const { aborted, addEventListener, removeEventListener } = Object(signal) as Partial<AbortSignal>;
  const isSignal = typeof aborted === "boolean" && typeof addEventListener === "function" &&
    typeof removeEventListener === "function";
  if (isSignal) return;
  const detail = `signal must be an AbortSignal, not ${shown(signal)}`;
  throw new KeventError("sleep", "argument", "EINVAL", detail);
}
