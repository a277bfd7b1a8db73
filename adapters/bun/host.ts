import { AsyncLocalStorage } from "node:async_hooks";
import { setImmediate } from "node:timers";
import { drainMicrotasks } from "bun:jsc";
import { dialect } from "../../ffi/bun.ts";
import type { Library } from "../../ffi/library.ts";
import { openLibrary } from "../../ffi/open.ts";
import type { Host, Wake } from "../../loop/host.ts";

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
    socket: { open(socket: Socket): void; data(): void; error(): void };
  }): Promise<Socket>;
}

/** The library, opened at load. */
export const library: Library = openLibrary(dialect);

// Captured at load: a program may replace these.
const { queueMicrotask, reportError } = globalThis;
const { connect } = (globalThis as unknown as { Bun: Runtime }).Bun;

/** Runs a function outside of any async context: that of the load. */
const outside = AsyncLocalStorage.snapshot();

/** What Bun offers. */
export const host: Host = {
  wake(fd: number, onWake: () => void): Wake {
    let socket: Socket | undefined;
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
            // The other end goes away with the queue; that is not an error of anybody.
            error() {},
          },
        } as unknown as Parameters<typeof connect>[0],
      );
    });
    return {
      ref: () => socket?.ref(),
      unref: () => socket?.unref(),
      close: () => socket?.terminate(),
    };
  },

  macrotask(callback: () => void, keepAlive: boolean): void {
    outside(() => {
      const immediate = setImmediate(callback);
      if (!keepAlive) immediate.unref();
    });
  },

  microtask(callback: () => void): void {
    outside(() => queueMicrotask(callback));
  },

  checkpoint: drainMicrotasks,

  bind: (callback) => AsyncLocalStorage.bind(callback),

  report: (error: unknown) => reportError(error),
};
