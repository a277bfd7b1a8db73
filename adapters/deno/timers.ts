/**
 * The timers of Deno, on a loop of kevent: what `node:timers` and the globals are there, and
 * `Deno.refTimer` and `Deno.unrefTimer`.
 *
 * @module
 */
import { defaultLoop } from "../../loop/default.ts";
import { delayOf, NONE, NS_PER_MS, startNsOf } from "../drop_in.ts";
import {
  apply,
  type Arguments,
  argumentsFrom,
  type Callback,
  inDomain,
  type Timers,
  timers as native,
} from "../native.ts";
import { nextNumber, NUMBER_START, Numbers } from "../numbers.ts";
import { real } from "../real.ts";
import { dress } from "../shape.ts";
import { host } from "./host.ts";
import { inspect } from "node:util";

const refed = Symbol("refed");
const timerId = Symbol("timerId");
const custom = Symbol.for("nodejs.util.inspect.custom");
// Captured at load: a program may replace these.
const { now: wallMs } = real(globalThis, "Date");
const { floor } = Math;
const { call } = Function.prototype;
/** Throws what the runtime throws when a program has written something else where the callback was. */
const notAFunction: (value: unknown) => void = call.bind(call);

/** Timers that wait and whose number is known. */
const numbers = new Numbers<Timeout>();
/** Numbers that were asked of something else in the place of a timer, such as a proxy. */
const ofOthers = new Set<number>();
/** So many are remembered. */
const OF_OTHERS_MAX = 1024;

function inspectFlat(value: unknown, options: object): string {
  return inspect(value, { ...options, depth: 0, customInspect: false });
}

/** What few timers have, or what a program has written to them. */
interface Rest {
  context: unknown;
  // `undefined` is what nobody has written.
  idleStart: unknown;
}

/**
 * What `setTimeout` and `setInterval` give. A million of them wait, so what no program needs to find
 * among its own properties is an accessor.
 */
class Timeout {
  declare _idleTimeout: number;
  declare _idlePrev: null;
  declare _idleNext: null;
  declare _onTimeout: Callback | null;
  declare _timerArgs: Arguments | undefined;
  declare _repeat: unknown;
  declare [timerId]: number;
  // None: it was cleared, or has fired.
  #slot: number;
  #ref: boolean;
  #rest: Rest | undefined;

  constructor(
    callback: Callback,
    delay: unknown,
    args: Arguments | undefined,
    repeat: unknown,
    ref: boolean,
    _system?: boolean,
  ) {
    this._idleTimeout = delayOf(delay);
    this._idlePrev = null;
    this._idleNext = null;
    this._onTimeout = inDomain(callback);
    this._timerArgs = args;
    this._repeat = repeat;
    this[timerId] = nextNumber();
    this.#slot = -1;
    this.#ref = ref;
    this.#rest = undefined;
    Timeout.#start(this);
  }

  // Private methods would cost each object a word, functions of the class do not.

  static #start(timeout: Timeout): void {
    const { timers } = defaultLoop();
    const slot = timers.open(timeout, timeout.#ref);
    const context = host.capture();
    timeout.#slot = slot;
    if (context !== undefined || timeout.#rest !== undefined) {
      timeout.#rest = { context, idleStart: undefined };
    }
    timers.arm(slot, Timeout.#periodNs(timeout));
  }

  /** What a program wrote to `_idleTimeout` may be anything. */
  static #periodNs(timeout: Timeout): number {
    return timeout._idleTimeout >= 1 ? timeout._idleTimeout * NS_PER_MS : NS_PER_MS;
  }

  static #call(timeout: Timeout): void {
    if (typeof timeout._onTimeout !== "function") notAFunction(timeout._onTimeout);
    else if (timeout._timerArgs === NONE) timeout._onTimeout();
    else apply(timeout._onTimeout, timeout, timeout._timerArgs ?? NONE);
  }

  /** After its callback, if that has not cleared it. */
  static #goOn(timeout: Timeout, slot: number, nowNs: number): void {
    const { timers } = defaultLoop();
    if (timers.isArmed(slot)) return;
    if (!timeout._repeat) return Timeout.#close(timeout);
    if (timeout._onTimeout === null || timeout._idleTimeout < 0) return Timeout.end(timeout);
    const periodNs = Timeout.#periodNs(timeout);
    timers.armAt(slot, nowNs + periodNs, periodNs);
  }

  static #close(timeout: Timeout): void {
    defaultLoop().timers.close(timeout.#slot);
    timeout.#slot = -1;
    numbers.forget(timeout[timerId]);
  }

  static is(value: unknown): value is Timeout {
    return typeof value === "object" && value !== null && #slot in value;
  }

  /** Says whether it keeps the process alive. */
  static keep(timeout: Timeout, ref: boolean): void {
    if (timeout.#slot >= 0) defaultLoop().timers.setRef(timeout.#slot, ref);
  }

  /** The timer of a number that was asked of a proxy: all must be looked at. */
  static find(number: number): Timeout | undefined {
    if (!ofOthers.delete(number)) return undefined;
    return defaultLoop().timers.find((item): item is Timeout =>
      Timeout.is(item) && item[timerId] === number
    );
  }

  /** What `clearTimeout` does. */
  static end(timeout: Timeout): void {
    if (timeout.#slot < 0) return;
    Timeout.#close(timeout);
    timeout._idleTimeout = -1;
    timeout._onTimeout = null;
  }

  onTimer(slot: number, _deadlineNs: number, nowNs: number): void {
    try {
      if (this._onTimeout === null) return;
      const context = this.#rest?.context;
      if (context === undefined) Timeout.#call(this);
      else host.within(context, Timeout.#call, this);
    } finally {
      if (this.#slot === slot) Timeout.#goOn(this, slot, nowNs);
    }
  }

  refresh(): this {
    if (this.#slot >= 0) defaultLoop().timers.arm(this.#slot, Timeout.#periodNs(this));
    else if (this._onTimeout !== null) Timeout.#start(this);
    return this;
  }

  unref(): this {
    if (this[refed]) Timeout.#setRef(this, false);
    return this;
  }

  ref(): this {
    if (!this[refed]) Timeout.#setRef(this, true);
    return this;
  }

  static #setRef(timeout: Timeout, ref: boolean): void {
    // Also called with what is no timer at all.
    if (Timeout.is(timeout)) timeout.#ref = ref;
    else (timeout as Timeout)[refed] = ref;
    Timeout.keep(timeout, ref);
  }

  close(): this {
    Timeout.end(this);
    return this;
  }

  hasRef(): boolean {
    return this[refed];
  }

  get _idleStart(): unknown {
    if (!Timeout.is(this)) return undefined;
    return this.#rest?.idleStart ?? Timeout.#startMs(this);
  }

  set _idleStart(value: unknown) {
    (this.#rest ??= { context: undefined, idleStart: undefined }).idleStart = value;
  }

  /** When it was started, by the clock on the wall. */
  static #startMs(timeout: Timeout): number {
    const { timers } = defaultLoop();
    const nowNs = timers.clock.now();
    const startNs = startNsOf(timers, timeout.#slot, Timeout.#periodNs(timeout), nowNs);
    return floor(wallMs() + (startNs - nowNs) / NS_PER_MS);
  }

  get _destroyed(): boolean | undefined {
    return Timeout.is(this) ? this.#slot < 0 : undefined;
  }

  // Nobody who sets these means anything by it, but it must not throw.

  set _destroyed(_value: unknown) {}

  get [refed](): boolean {
    return Timeout.is(this) ? this.#ref : undefined as unknown as boolean;
  }

  set [refed](ref: boolean) {
    Object.defineProperty(this, refed, { value: ref, writable: true, configurable: true });
  }

  // What async_hooks would read, which do not hear of our timers.

  get _asyncId(): number {
    return 0;
  }

  get _triggerAsyncId(): number {
    return 0;
  }

  get _asyncDestroyed(): boolean {
    return false;
  }

  [custom](_depth: unknown, options: object): string {
    return inspectFlat(asInspected(this), options);
  }

  [Symbol.dispose](): void {
    Timeout.end(this);
  }

  [Symbol.toPrimitive](): number {
    const number = this[timerId];
    if (!Timeout.is(this)) rememberOther(number);
    else if (this.#slot >= 0) numbers.set(number, this);
    return number;
  }
}

function rememberOther(number: number): void {
  if (ofOthers.size === OF_OTHERS_MAX) ofOthers.clear();
  ofOthers.add(number);
}

/** What the runtime's own timers show of themselves, in order. */
const INSPECTED = [
  ...[
    "_idleTimeout",
    "_idleStart",
    "_idlePrev",
    "_idleNext",
    "_onTimeout",
    "_timerArgs",
    "_repeat",
  ],
  ...["_destroyed", "_asyncId", "_triggerAsyncId", "_asyncDestroyed", refed, timerId],
] as const;

function asInspected(timeout: Timeout): object {
  const shown: Record<PropertyKey, unknown> = Object.create(Timeout.prototype);
  for (const key of [...INSPECTED, ...Reflect.ownKeys(timeout)]) {
    const value = timeout[key as keyof Timeout];
    Object.defineProperty(shown, key, { value, enumerable: true, configurable: true });
  }
  return shown;
}

/** What `setImmediate` gives. */
class Immediate {
  declare _idleNext: null;
  declare _idlePrev: null;
  declare _onImmediate: Callback | null;
  declare _argv: Arguments;
  declare _destroyed: boolean;
  declare asyncId: number;
  declare triggerAsyncId: number;
  declare [custom]: typeof showImmediate;
  declare [refed]: boolean | null;
  #place: number;
  #context: unknown;

  constructor(callback: Callback, args = NONE) {
    this._idleNext = null;
    this._idlePrev = null;
    this._onImmediate = inDomain(callback);
    this._argv = args;
    this._destroyed = false;
    this.asyncId = 0;
    this.triggerAsyncId = 0;
    this[custom] = showImmediate;
    this[refed] = true;
    this.#context = host.capture();
    this.#place = defaultLoop().immediates.add(this, true);
  }

  static is(value: unknown): value is Immediate {
    return typeof value === "object" && value !== null && #place in value;
  }

  static end(immediate: Immediate): void {
    if (immediate._destroyed) return;
    Immediate.#finish(immediate);
    defaultLoop().immediates.delete(immediate.#place);
  }

  static #finish(immediate: Immediate): void {
    immediate._destroyed = true;
    immediate._onImmediate = null;
    immediate[refed] = null;
  }

  static #setRef(immediate: Immediate, ref: boolean): void {
    immediate[refed] = ref;
    // Also called with what is no immediate at all.
    if (Immediate.is(immediate)) defaultLoop().immediates.setRef(immediate.#place, ref);
  }

  onImmediate(): void {
    const callback = this._onImmediate!;
    Immediate.#finish(this);
    if (this.#context === undefined) apply(callback, this, this._argv);
    else host.within(this.#context, applyTo, callback, this);
  }

  ref(): this {
    if (this[refed] === false) Immediate.#setRef(this, true);
    return this;
  }

  unref(): this {
    if (this[refed] === true) Immediate.#setRef(this, false);
    return this;
  }

  hasRef(): boolean {
    return !!this[refed];
  }

  [Symbol.dispose](): void {
    if (Immediate.is(this)) Immediate.end(this);
  }
}

/** What shows an immediate: each has it as a property of its own. */
function showImmediate(this: Immediate, _depth: unknown, options: object): string {
  return inspectFlat(this, options);
}
Object.defineProperty(showImmediate, "name", { value: "[nodejs.util.inspect.custom]" });

function applyTo(callback: Callback, immediate: Immediate): void {
  apply(callback, immediate, immediate._argv);
}

dress(Timeout.prototype, [
  ...["constructor", "refresh", "unref", "ref", "close", "hasRef"],
  ...[custom, Symbol.dispose, Symbol.toPrimitive],
  ...["_idleStart", "_destroyed", "_asyncId", "_triggerAsyncId", "_asyncDestroyed"],
], { enumerable: true, configurable: true, nameless: true });

/** As `setTimeout` of `node:timers` in Deno. */
function setTimeout(callback: Callback, delay?: unknown): unknown {
  if (typeof callback !== "function") return native.setTimeout(callback);
  const args = arguments.length > 2 ? argumentsFrom(arguments, 2) : NONE;
  return new Timeout(callback, delay, args, false, true);
}

/** As `setInterval` of `node:timers` in Deno. */
function setInterval(callback: Callback, delay?: unknown): unknown {
  if (typeof callback !== "function") return native.setInterval(callback);
  const args = arguments.length > 2 ? argumentsFrom(arguments, 2) : NONE;
  return new Timeout(callback, delay, args, true, true);
}

/** As `setImmediate` of `node:timers` in Deno. */
function setImmediate(callback: Callback): unknown {
  if (typeof callback !== "function") return native.setImmediate(callback);
  return new Immediate(callback, arguments.length > 1 ? argumentsFrom(arguments, 1) : NONE);
}

/** Ends what `clearTimeout` or `clearInterval` was given: both clear both. */
function clear(timer: unknown): void {
  if (Timeout.is(timer)) return Timeout.end(timer);
  const number = +(timer as number);
  const ours = numbers.get(number) ?? Timeout.find(number);
  if (ours !== undefined) Timeout.end(ours);
  else if (number < NUMBER_START) native.clearTimeout(number);
}

/** As `clearTimeout` of `node:timers` in Deno. */
function clearTimeout(timer?: unknown): void {
  if (timer != null) clear(timer);
}

/** As `clearInterval` of `node:timers` in Deno. */
function clearInterval(timer?: unknown): void {
  if (timer != null) clear(timer);
}

/** As `clearImmediate` of `node:timers` in Deno. */
function clearImmediate(immediate?: unknown): void {
  if (Immediate.is(immediate)) Immediate.end(immediate);
  else native.clearImmediate(immediate as NodeJS.Immediate);
}

/** As `Deno.refTimer`; also takes what `setTimer` gave. */
function refTimer(timer: unknown): void {
  if (typeof timer !== "number") return void (timer as Partial<Timeout> | null)?.ref?.();
  if (!keepNumber(timer, true) && timer < NUMBER_START) nativeRefs.refTimer(timer);
}

/** As `Deno.unrefTimer`; also takes what `setTimer` gave. */
function unrefTimer(timer: unknown): void {
  if (typeof timer !== "number") return void (timer as Partial<Timeout> | null)?.unref?.();
  if (!keepNumber(timer, false) && timer < NUMBER_START) nativeRefs.unrefTimer(timer);
}

/** Whether a number is that of a timer of ours, of either kind. The numbers of `setTimeout` go first. */
function keepNumber(number: number, ref: boolean): boolean {
  const ours = numbers.get(number);
  if (ours !== undefined) {
    Timeout.keep(ours, ref);
    return true;
  }
  const { timers } = defaultLoop();
  const slot = timers.slotOf(number);
  if (slot < 0) return false;
  timers.setRef(slot, ref);
  return true;
}

const nativeRefs = { refTimer: Deno.refTimer, unrefTimer: Deno.unrefTimer };

/** What takes the place of `node:timers` and of the globals. */
export const timers = {
  setTimeout,
  setInterval,
  setImmediate,
  clearTimeout,
  clearInterval,
  clearImmediate,
} as unknown as Timers;

/** What takes the place of what is in `Deno`. */
export const namespace = { refTimer, unrefTimer };
