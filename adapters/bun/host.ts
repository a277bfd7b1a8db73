import "./only.ts";
import { AsyncLocalStorage } from "node:async_hooks";
import process from "node:process";
import nodeTimers from "node:timers";
import { dialect } from "../../ffi/bun.ts";
import type { Library } from "../../ffi/library.ts";
import { openLibrary } from "../../ffi/open.ts";
import type { Host, Wake } from "../../loop/host.ts";
import { real } from "../real.ts";

/** What is used of the socket that `Bun.connect` gives. */
interface Socket {
  ref(): void;
  unref(): void;
  terminate(): void;
}

/** What is used of `Bun`: the published types know host, port and path, but not `fd`. */
interface Runtime {
  connect(options: {
    fd: number;
    socket: { open(socket: Socket): void; data(): void; close(): void; error(): void };
  }): Promise<Socket>;
}

/** The library, opened at load. */
export const library: Library = openLibrary(dialect);

// Not by an import, at which other runtimes would fail before they are told why.
const { drainMicrotasks } = process.getBuiltinModule("bun:jsc") as typeof import("bun:jsc");
// Captured at load: a program may replace these.
const { reportError } = globalThis;
const queueMicrotask = real(globalThis, "queueMicrotask");
const setImmediate = real(nodeTimers, "setImmediate");
const setTimeout = real(nodeTimers, "setTimeout");
const { connect } = (globalThis as unknown as { Bun: Runtime }).Bun;

/** Runs a function outside of any async context: that of the load. */
const outside = AsyncLocalStorage.snapshot();

/**
 * Whether any context was ever entered. A snapshot costs a hundred bytes, for each timer, and whether
 * the present context is an empty one Bun tells nobody. So the ways into a context are watched until
 * the first is taken, and are then as they were.
 */
let contexts = false;

type Method = (...parameters: unknown[]) => unknown;

const prototype = AsyncLocalStorage.prototype as unknown as Record<string, Method | undefined>;
const ways = ["run", "enterWith", "withScope"].flatMap((name) => {
  const native = prototype[name];
  if (native === undefined) return [];
  const watched = {
    [name](this: unknown, ...parameters: unknown[]): unknown {
      entered();
      return Reflect.apply(native, this, parameters);
    },
  }[name]!;
  return [{ name, native, watched }];
});

for (const { name, watched } of ways) replace(name, watched);

function entered(): void {
  contexts = true;
  for (const { name, native, watched } of ways) {
    // Whoever put theirs over ours keeps it.
    if (prototype[name] === watched) replace(name, native);
  }
}

/** As the native ones are: not enumerable. */
function replace(name: string, value: Method): void {
  Object.defineProperty(prototype, name, { value });
}

/**
 * An error was reported that nobody handles: the runtime ends after its turn. Immediates would still
 * have theirs before that, and callbacks of ours with them.
 */
let ending = false;

/** More than a busy machine takes to print the error: a timer that is due before the end would still run. */
const ENDING_MS = 25;

/** Until a callback that has not returned may be waiting in the runtime's loop. */
const MEANWHILE_MS = 4;

/** What Bun offers. */
export const host: Host = {
  wake(fd: number, onWake: () => void): Wake {
    let socket: Socket | undefined;
    let closed = (): void => {};
    outside(() => {
      // The promise settles later, but `open` has been called when `connect` returns.
      void connect(
        {
          fd,
          socket: {
            open(opened: Socket) {
              socket = opened;
              opened.unref();
            },
            data: onWake,
            close: () => closed(),
            // The other end goes away with the queue; that is not an error of anybody.
            error() {},
          },
        } as unknown as Parameters<typeof connect>[0],
      );
    });
    return {
      ref: () => socket?.ref(),
      unref: () => socket?.unref(),
      close(onClosed) {
        closed = onClosed;
        socket?.terminate();
      },
    };
  },

  macrotask(callback: () => void, keepAlive: boolean): void {
    outside(() => {
      const pending = ending ? setTimeout(callback, ENDING_MS) : setImmediate(callback);
      // If it has not ended by then, somebody did handle it.
      ending = false;
      if (!keepAlive) pending.unref();
    });
  },

  // `expect(promise).resolves` of `bun:test` does, and `require` of a module that awaits. Not as an
  // immediate: one that waits gives a runtime that ends of an error another pass.
  meanwhile(callback: () => void): void {
    outside(() => setTimeout(callback, MEANWHILE_MS).unref());
  },

  microtask(callback: () => void): void {
    outside(() => queueMicrotask(callback));
  },

  checkpoint: drainMicrotasks,

  capture: () => contexts ? AsyncLocalStorage.snapshot() : undefined,

  outside,

  within(context, callback, ...parameters): void {
    (context as typeof outside)(callback, ...parameters);
  },

  report(error: unknown): void {
    ending = process.listenerCount("uncaughtException") === 0;
    reportError(error);
  },
};
