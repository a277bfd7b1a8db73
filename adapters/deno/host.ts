import "./only.ts";
import { AsyncLocalStorage } from "node:async_hooks";
import { Socket } from "node:net";
import process from "node:process";
import nodeTimers from "node:timers";
import { dialect } from "../../ffi/deno.ts";
import type { Library } from "../../ffi/library.ts";
import { openLibrary } from "../../ffi/open.ts";
import type { Host, Wake } from "../../loop/host.ts";
import { real } from "../real.ts";

/** What `process.nextTick` makes of a callback. */
interface Tick {
  readonly callback: () => void;
  readonly args: undefined;
  readonly asyncId: number;
  readonly triggerAsyncId: number;
  readonly snapshot: undefined;
}

/** The parts of Deno's core that are used; each may be gone in a later version. */
interface Core {
  runMicrotasks?: () => void;
  /** Runs microtasks and `process.nextTick` callbacks until there are none. */
  runNextTicks?: () => void;
  queueNextTick?: (tick: Tick) => void;
  getAsyncContext?: () => unknown;
  setAsyncContext?: (context: unknown) => void;
}

type Snapshot = ReturnType<typeof AsyncLocalStorage.snapshot>;

/** The library, opened at load. */
export const library: Library = openLibrary(dialect);

const core = findCore();
// One is of no use without the other.
const { getAsyncContext, setAsyncContext } = core.getAsyncContext && core.setAsyncContext
  ? core
  : {} as Core;
// Captured at load: a program may replace these.
const { reportError } = globalThis;
const queueMicrotask = real(globalThis, "queueMicrotask");
const setImmediate = real(nodeTimers, "setImmediate");
const setTimeout = real(nodeTimers, "setTimeout");
const nextTick = real(process, "nextTick");

function findCore(): Core {
  // Not part of Deno's promises, hence the care.
  const { internal } = Deno as unknown as { internal?: symbol };
  const holder = internal === undefined
    ? undefined
    : (Deno as unknown as Record<symbol, { core?: Core } | undefined>)[internal];
  return holder?.core ?? {};
}

/** Runs a function outside of any async context. */
function outside(callback: () => void): void {
  if (getAsyncContext === undefined || setAsyncContext === undefined) return callback();
  const before = getAsyncContext();
  if (before === undefined) return callback();
  setAsyncContext(undefined);
  try {
    callback();
  } finally {
    setAsyncContext(before);
  }
}

/** Runs a function as a tick outside of any async context, with the id of the top level, as timers have. */
function asTick(callback: () => void): void {
  if (core.queueNextTick === undefined) return nextTick(callback);
  core.queueNextTick({
    callback,
    args: undefined,
    asyncId: 0,
    triggerAsyncId: 0,
    snapshot: undefined,
  });
}

/** What Deno offers. */
export const host: Host = {
  wake(fd: number, onWake: () => void): Wake {
    let socket: Socket | undefined;
    // The socket would keep the context it is made in and hand it to all that it wakes.
    outside(() => {
      // What is read goes into the same few bytes each time, past the stream's queue. As a tick: of an
      // error that a microtask throws within the callback of a socket, Deno's last words are "Uncaught null".
      const callback = (): boolean => (asTick(onWake), true);
      const onread = { buffer: new Uint8Array(64), callback };
      socket = new Socket({ fd, readable: true, writable: false, onread });
      socket.resume();
      // The other end goes away with the queue; that is not an error of anybody.
      socket.on("error", () => {});
      socket.unref();
    });
    return {
      ref: () => void socket?.ref(),
      unref: () => void socket?.unref(),
      close: (onClosed) => void socket?.once("close", onClosed).destroy(),
    };
  },

  macrotask(callback: () => void, keepAlive: boolean): void {
    outside(() => {
      // An immediate that is unref'd does not run while the process lives for something else.
      if (keepAlive) setImmediate(callback);
      else setTimeout(callback, 0).unref();
    });
  },

  meanwhile: undefined,

  microtask(callback: () => void): void {
    outside(() => queueMicrotask(callback));
  },

  checkpoint: core.runNextTicks ?? core.runMicrotasks,

  // Without the core's functions, by the public API, at ten times the cost.
  capture: getAsyncContext ?? (() => AsyncLocalStorage.snapshot()),

  outside,

  within(context, callback, ...parameters): void {
    if (getAsyncContext === undefined || setAsyncContext === undefined) {
      return (context as Snapshot)(callback, ...parameters);
    }
    const before = getAsyncContext();
    setAsyncContext(context);
    try {
      callback(...parameters);
    } finally {
      setAsyncContext(before);
    }
  },

  report(error: unknown): void {
    if (process.listenerCount("uncaughtException") > 0) return reportError(error);
    // With nobody to hear it this ends the process, and from within the callback of a socket the
    // last words would be "Uncaught null": the error itself is known only to a turn of its own.
    setImmediate(() => {
      throw error;
    });
  },
};
