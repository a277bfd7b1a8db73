/**
 * The timers of Bun, on a loop of kevent: what `node:timers` and the globals are there, and
 * `Bun.sleep`.
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
  type Timers,
  timers as native,
} from "../native.ts";
import { nextNumber, NUMBER_START, Numbers } from "../numbers.ts";
import { real } from "../real.ts";
import { dress } from "../shape.ts";
import { host } from "./host.ts";

// Captured at load: a program may replace these.
const { Promise, String, TypeError } = globalThis;
const Date = real(globalThis, "Date");
const { now } = Date;
const { floor } = Math;
const { construct, get } = Reflect;
const { sleep: nativeSleep } = (globalThis as unknown as {
  Bun: { sleep(ms: number | Date): Promise<void> };
}).Bun;

type Members = Record<PropertyKey, Callback>;

// What a timer is besides.
const REF = 1;
const REPEATS = 2;
const CLEARED = 4;

const made = { timeout: native.setTimeout(() => {}, 1), immediate: native.setImmediate(() => {}) };
native.clearTimeout(made.timeout);
native.clearImmediate(made.immediate);
const nativeTimeout = Object.getPrototypeOf(made.timeout) as Members;
const nativeImmediate = Object.getPrototypeOf(made.immediate) as Members;

/** Timers that wait and whose number is known. */
const timeouts = new Numbers<Timeout>();
/** The same of immediates. */
const immediates = new Numbers<Immediate>();

/** Reads a property, or calls a method, as the runtime does for an object that is none of ours. */
function ofNative<Value>(prototype: object, key: PropertyKey, receiver: unknown): Value {
  return get(prototype, key, receiver) as Value;
}

function byNative(prototype: Members, method: PropertyKey, receiver: unknown): unknown {
  return apply(prototype[method]!, receiver, NONE);
}

/** The public constructor of a class, with which nobody can construct anything. */
function illegal(native: Members, ours: object, name: string): void {
  const Native = native["constructor"] as unknown as new () => object;
  const stub = {
    [name]: function (): unknown {
      return new.target === undefined
        ? (Native as unknown as () => unknown)()
        : construct(Native, []);
    },
  }[name]!;
  Object.defineProperty(stub, "prototype", { value: ours, writable: false });
  Object.defineProperty(ours, "constructor", { value: stub });
}

/** What few timers have, or what a program has written to them. */
interface Rest {
  args: Arguments;
  context: unknown;
  // `undefined` is what nobody has written.
  idleStart: unknown;
  idleTimeout: unknown;
  repeat: unknown;
}

function makeRest(args: Arguments = NONE, context: unknown): Rest {
  return {
    args,
    context,
    idleStart: undefined,
    idleTimeout: undefined,
    repeat: undefined,
  };
}

/** What a program has written, or what it finds when it has written nothing. */
function written(value: unknown, otherwise: unknown): unknown {
  return value === undefined ? otherwise : value;
}

/** What the runtime throws when a program has written something else where the callback was. */
function notAFunction(value: unknown): TypeError {
  const isObject = typeof value === "object" && value !== null;
  const words = isObject ? value.constructor?.name ?? "Object" : shown(value);
  return new TypeError(`${words} is not a function`);
}

function shown(value: unknown): string {
  return typeof value === "string" ? `"${value}"` : String(value);
}

/** What `setTimeout` and `setInterval` give. A million of them wait: it is as small as can be. */
class Timeout {
  // None: it was cleared, or has fired.
  #slot: number;
  #state: number;
  #callback: unknown;
  #number: number;
  #periodMs: number;
  #rest: Rest | undefined;

  constructor(callback: Callback, ms: number, args: Arguments | undefined, state: number) {
    const { timers } = defaultLoop();
    const periodNs = ms * NS_PER_MS;
    const context = host.capture();
    this.#slot = timers.open(this, true);
    this.#state = state;
    this.#callback = callback;
    this.#number = nextNumber();
    this.#periodMs = ms;
    this.#rest = args === undefined && context === undefined ? undefined : makeRest(args, context);
    timers.arm(this.#slot, periodNs);
  }

  // Private methods would cost each object a word, functions of the class do not.

  static #restOf(timeout: Timeout): Rest {
    return timeout.#rest ??= makeRest(undefined, undefined);
  }

  static #call(timeout: Timeout): void {
    const callback = timeout.#callback;
    if (typeof callback !== "function") throw notAFunction(callback);
    apply(callback as Callback, timeout, timeout.#rest?.args ?? NONE);
  }

  /** After its callback, if that has not cleared it. */
  static #goOn(timeout: Timeout, slot: number, nowNs: number): void {
    const { timers } = defaultLoop();
    if (timers.isArmed(slot)) return;
    if (!Timeout.#repeats(timeout)) return Timeout.#close(timeout);
    const periodNs = timeout.#periodMs * NS_PER_MS;
    timers.armAt(slot, nowNs + periodNs, periodNs);
  }

  static #repeats(timeout: Timeout): boolean {
    const rest = timeout.#rest;
    const isInterval = (timeout.#state & REPEATS) !== 0;
    if (rest === undefined) return isInterval && timeout.#callback != null;
    const { idleTimeout, repeat } = rest;
    if (timeout.#callback == null || (idleTimeout as number) < 0) return false;
    if (isInterval) return repeat !== null;
    if (!((repeat as number) >= 1)) return false;
    // A program may make an interval of a timer, once.
    timeout.#state |= REPEATS;
    rest.idleTimeout = repeat;
    timeout.#periodMs = floor(repeat as number);
    return true;
  }

  static is(value: unknown): value is Timeout {
    return typeof value === "object" && value !== null && #slot in value;
  }

  /** What `clearTimeout` does. */
  static end(timeout: Timeout): void {
    timeout.#state |= CLEARED;
    if (timeout.#slot >= 0) Timeout.#close(timeout);
  }

  static #close(timeout: Timeout): void {
    defaultLoop().timers.close(timeout.#slot);
    timeout.#slot = -1;
    timeouts.forget(timeout.#number);
  }

  static #setRef(timeout: Timeout, ref: boolean): void {
    timeout.#state = ref ? timeout.#state | REF : timeout.#state & ~REF;
    if (timeout.#slot >= 0) defaultLoop().timers.setRef(timeout.#slot, ref);
  }

  static #refresh(timeout: Timeout): void {
    if ((timeout.#state & CLEARED) !== 0) return;
    const { timers } = defaultLoop();
    const periodNs = timeout.#periodMs * NS_PER_MS;
    if (timeout.#slot < 0) {
      timeout.#slot = timers.open(timeout, (timeout.#state & REF) !== 0);
    }
    timers.arm(timeout.#slot, periodNs);
  }

  /** When it was started, in milliseconds of the loop's clock. */
  static #startMs(timeout: Timeout): number {
    const { timers } = defaultLoop();
    const periodNs = timeout.#periodMs * NS_PER_MS;
    return floor(startNsOf(timers, timeout.#slot, periodNs, timers.clock.now()) / NS_PER_MS);
  }

  onTimer(slot: number, _deadlineNs: number, nowNs: number): void {
    try {
      if (this.#callback == null) return;
      const context = this.#rest?.context;
      if (context === undefined) Timeout.#call(this);
      else host.within(context, Timeout.#call, this);
    } finally {
      if (this.#slot === slot) Timeout.#goOn(this, slot, nowNs);
    }
  }

  get _destroyed(): boolean {
    return Timeout.is(this) ? this.#slot < 0 : ofNative(nativeTimeout, "_destroyed", this);
  }

  get _idleStart(): unknown {
    return Timeout.is(this)
      ? this.#rest?.idleStart ?? Timeout.#startMs(this)
      : ofNative(nativeTimeout, "_idleStart", this);
  }

  set _idleStart(value: unknown) {
    Timeout.#restOf(this).idleStart = value;
  }

  get _idleTimeout(): unknown {
    return Timeout.is(this)
      ? written(this.#rest?.idleTimeout, this.#periodMs)
      : ofNative(nativeTimeout, "_idleTimeout", this);
  }

  set _idleTimeout(value: unknown) {
    Timeout.#restOf(this).idleTimeout = value;
  }

  get _onTimeout(): unknown {
    return Timeout.is(this) ? this.#callback : ofNative(nativeTimeout, "_onTimeout", this);
  }

  set _onTimeout(value: unknown) {
    this.#callback = value;
  }

  get _repeat(): unknown {
    return Timeout.is(this)
      ? written(this.#rest?.repeat, (this.#state & REPEATS) === 0 ? null : this.#periodMs)
      : ofNative(nativeTimeout, "_repeat", this);
  }

  set _repeat(value: unknown) {
    Timeout.#restOf(this).repeat = value;
  }

  close(): unknown {
    if (!Timeout.is(this)) return byNative(nativeTimeout, "close", this);
    Timeout.end(this);
    return this;
  }

  hasRef(): unknown {
    if (!Timeout.is(this)) return byNative(nativeTimeout, "hasRef", this);
    return this.#slot >= 0 && (this.#state & REF) !== 0;
  }

  ref(): unknown {
    if (!Timeout.is(this)) return byNative(nativeTimeout, "ref", this);
    Timeout.#setRef(this, true);
    return this;
  }

  refresh(): unknown {
    if (!Timeout.is(this)) return byNative(nativeTimeout, "refresh", this);
    Timeout.#refresh(this);
    return this;
  }

  unref(): unknown {
    if (!Timeout.is(this)) return byNative(nativeTimeout, "unref", this);
    Timeout.#setRef(this, false);
    return this;
  }

  [Symbol.dispose](): unknown {
    if (!Timeout.is(this)) return byNative(nativeTimeout, Symbol.dispose, this);
    return Timeout.end(this);
  }

  [Symbol.toPrimitive](): unknown {
    if (!Timeout.is(this)) return byNative(nativeTimeout, Symbol.toPrimitive, this);
    if (this.#slot >= 0) timeouts.set(this.#number, this);
    return this.#number;
  }
}

/** What `setImmediate` gives. */
class Immediate {
  #place: number;
  #callback: Callback;
  #args: Arguments | undefined;
  #context: unknown;
  #number: number;
  #ref = true;
  #destroyed = false;

  constructor(callback: Callback, args: Arguments | undefined) {
    this.#callback = callback;
    this.#args = args;
    this.#context = host.capture();
    this.#number = nextNumber();
    this.#place = defaultLoop().immediates.add(this, true);
  }

  static is(value: unknown): value is Immediate {
    return typeof value === "object" && value !== null && #place in value;
  }

  /** What `clearImmediate` does. */
  static end(immediate: Immediate): void {
    immediate.#destroyed = true;
    defaultLoop().immediates.delete(immediate.#place);
    immediates.forget(immediate.#number);
  }

  static #call(immediate: Immediate): void {
    apply(immediate.#callback, immediate, immediate.#args ?? NONE);
  }

  static #setRef(immediate: Immediate, ref: boolean): void {
    if (immediate.#destroyed) return;
    immediate.#ref = ref;
    defaultLoop().immediates.setRef(immediate.#place, ref);
  }

  onImmediate(): void {
    this.#ref = false;
    try {
      if (this.#context === undefined) Immediate.#call(this);
      else host.within(this.#context, Immediate.#call, this);
    } finally {
      this.#destroyed = true;
      immediates.forget(this.#number);
    }
  }

  get _destroyed(): boolean {
    return Immediate.is(this) ? this.#destroyed : ofNative(nativeImmediate, "_destroyed", this);
  }

  hasRef(): unknown {
    if (!Immediate.is(this)) return byNative(nativeImmediate, "hasRef", this);
    return this.#ref && !this.#destroyed;
  }

  ref(): unknown {
    if (!Immediate.is(this)) return byNative(nativeImmediate, "ref", this);
    Immediate.#setRef(this, true);
    return this;
  }

  unref(): unknown {
    if (!Immediate.is(this)) return byNative(nativeImmediate, "unref", this);
    Immediate.#setRef(this, false);
    return this;
  }

  [Symbol.dispose](): unknown {
    if (!Immediate.is(this)) return byNative(nativeImmediate, Symbol.dispose, this);
    return Immediate.end(this);
  }

  [Symbol.toPrimitive](): unknown {
    if (!Immediate.is(this)) return byNative(nativeImmediate, Symbol.toPrimitive, this);
    if (!this.#destroyed) immediates.set(this.#number, this);
    return this.#number;
  }
}

for (
  const [name, native, { prototype }] of [
    ["Timeout", nativeTimeout, Timeout],
    ["Immediate", nativeImmediate, Immediate],
  ] as const
) {
  dress(prototype, Reflect.ownKeys(native).filter((key) => key !== Symbol.toStringTag), {
    enumerable: true,
    configurable: false,
    nameless: false,
  });
  Object.defineProperty(prototype, Symbol.toStringTag, { value: name, configurable: true });
  illegal(native, prototype, name);
}

/** Arguments for the callback; a single `undefined` is none. */
function given(all: IArguments, from: number): Arguments | undefined {
  if (all.length === from + 1 && all[from] === undefined) return undefined;
  return argumentsFrom(all, from);
}

/** One of ours by the number in a text, which must be written as we would. */
function byText<Timer>(timers: Numbers<Timer>, text: string): Timer | undefined {
  const number = +text;
  return String(number) === text ? timers.get(number) : undefined;
}

/** What `clearTimeout` and `clearInterval` do with anything that is none of our objects. */
function clear(timer: unknown): void {
  if (Timeout.is(timer)) return Timeout.end(timer);
  if (typeof timer === "number" && timer >= NUMBER_START || typeof timer === "string") {
    const ours = typeof timer === "number" ? timeouts.get(timer) : byText(timeouts, timer);
    if (ours !== undefined) return Timeout.end(ours);
  }
  if (typeof timer === "number" && timer >= NUMBER_START) return;
  native.clearTimeout(timer as NodeJS.Timeout);
}

/**
 * Whether `useFakeTimers` of `bun:test` is in force. It fakes what is native, and gives the global
 * `setTimeout` a property for others to know.
 */
function faked(): boolean {
  return (timers.setTimeout as { clock?: unknown }).clock !== undefined;
}

/** What takes the place of `node:timers` and of the globals. Methods: they are no constructors. */
export const timers = {
  setTimeout(callback: Callback, delay: unknown = undefined): unknown {
    if (typeof callback !== "function" || faked()) return byNatives(native.setTimeout, arguments);
    const args = arguments.length > 2 ? given(arguments, 2) : undefined;
    return new Timeout(callback, floor(delayOf(delay)), args, REF);
  },

  setInterval(callback: Callback, delay: unknown = undefined): unknown {
    if (typeof callback !== "function" || faked()) return byNatives(native.setInterval, arguments);
    const args = arguments.length > 2 ? given(arguments, 2) : undefined;
    return new Timeout(callback, floor(delayOf(delay)), args, REF | REPEATS);
  },

  setImmediate(callback: Callback): unknown {
    if (typeof callback !== "function") return byNatives(native.setImmediate, arguments);
    return new Immediate(callback, arguments.length > 1 ? given(arguments, 1) : undefined);
  },

  clearTimeout(timer: unknown): void {
    clear(timer);
  },

  clearInterval(timer: unknown): void {
    clear(timer);
  },

  clearImmediate(immediate: unknown): void {
    if (Immediate.is(immediate)) {
      return Immediate.end(immediate);
    }
    native.clearImmediate(immediate as NodeJS.Immediate);
  },
} as unknown as Timers;

/** Does what the runtime does with such arguments: it throws, or has a clock of its own. */
function byNatives(start: unknown, args: IArguments): unknown {
  return apply(start as Callback, undefined, args);
}

/** What takes the place of what is in `Bun`. */
export const namespace = {
  sleep(time: number | Date): Promise<void> {
    const ms = time instanceof Date ? +time - now() : time;
    if (!(typeof ms === "number" && ms >= 1) || faked()) return nativeSleep(time);
    return new Promise((resolve) => void timers.setTimeout(resolve, ms));
  },
};
