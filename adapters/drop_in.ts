// What the drop-in timers of the two runtimes have in common. Their objects have not: each looks like its
// runtime's own, down to the last property.
import type { Timers } from "../loop/timers.ts";
import { type Arguments, DELAY_MS_MAX, oddDelay } from "./native.ts";

/** Nanoseconds in a millisecond. */
export const NS_PER_MS = 1e6;

/** What timers without arguments share. */
export const NONE: Arguments = [];

/**
 * What a runtime makes of a delay.
 *
 * @param delay Anything.
 * @returns Milliseconds, from 1 on, perhaps with a fraction.
 * @throws {TypeError} For a symbol or a bigint.
 */
export function delayOf(delay: unknown): number {
  if (typeof delay === "number" && delay >= 1 && delay <= DELAY_MS_MAX) return delay;
  return delay === undefined || delay === 0 ? 1 : oddDelay(delay);
}

/**
 * When a timer was started, on the loop's clock.
 *
 * @param timers Those of the loop.
 * @param slot The timer, negative when it is gone.
 * @param periodNs How long it waits.
 * @param nowNs What time it is.
 * @returns Nanoseconds; the present when it does not wait.
 */
export function startNsOf(timers: Timers, slot: number, periodNs: number, nowNs: number): number {
  return slot >= 0 && timers.isArmed(slot) ? timers.deadlineOf(slot) - periodNs : nowNs;
}
