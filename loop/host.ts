import { checkFunction } from "../ffi/errors.ts";
import type { Library } from "../ffi/library.ts";

/** The runtime's end of the wake-up socketpair. */
export interface Wake {
  /** Keeps the process alive. */
  ref(): void;
  /** Lets the process end. A new wake source is in this state. */
  unref(): void;
  /**
   * Closes the descriptor. No wake-up comes afterwards.
   *
   * @param onClosed Called when the runtime has let it go.
   */
  close(onClosed: () => void): void;
}

/** What a runtime must offer. `adapters/deno/host.ts` and `adapters/bun/host.ts` satisfy it. */
export interface Host {
  /**
   * Calls back from the runtime's own loop, outside of any async context, whenever bytes arrive.
   *
   * @param fd The script's end of a socketpair; the runtime owns it from here on.
   * @param onWake Called once or more for any number of bytes.
   * @returns The source, unref'd.
   */
  wake(fd: number, onWake: () => void): Wake;

  /**
   * Calls back after the runtime had a turn of its own.
   *
   * @param callback Called once, outside of any async context.
   * @param keepAlive Whether the process waits for it.
   */
  macrotask(callback: () => void, keepAlive: boolean): void;

  /**
   * Calls back after some milliseconds, also from within a callback, or the checkpoint after it, that runs
   * the runtime's own loop until something has happened: it may be ours that is waited for. The process
   * does not wait for it. `undefined` where callbacks cannot do that.
   */
  readonly meanwhile: ((callback: () => void) => void) | undefined;

  /** Calls back in the microtask phase. */
  microtask(callback: () => void): void;

  /**
   * Runs the microtasks and ticks that wait, between two callbacks; `undefined` where the runtime
   * has no such thing, and then each callback gets a turn of its own.
   */
  readonly checkpoint: (() => void) | undefined;

  /** @returns The async context (`AsyncLocalStorage`) of this moment; `undefined` for none at all. */
  capture(): unknown;

  /** Calls a function outside of any async context. */
  outside(callback: () => void): void;

  /**
   * Calls a function within an async context.
   *
   * @param context What `capture` gave, and not `undefined`.
   * @param callback Any function.
   * @param parameters Its arguments.
   */
  within<Arguments extends unknown[]>(
    context: unknown,
    callback: (...parameters: Arguments) => void,
    ...parameters: Arguments
  ): void;

  /**
   * Hands an error to the runtime's path for uncaught ones.
   *
   * @param error What a callback threw.
   */
  report(error: unknown): void;
}

/**
 * Ties a function to the async context of this moment.
 *
 * @param host What the runtime offers.
 * @param callback Any function.
 * @param operation What needs it, in words that follow "Cannot".
 * @returns It, or one that restores the context around it.
 * @throws {KeventError} EINVAL when it is no function.
 */
export function bind<Arguments extends unknown[]>(
  host: Host,
  callback: (...parameters: Arguments) => void,
  operation: string,
): (...parameters: Arguments) => void {
  checkFunction(callback, operation);
  const context = host.capture();
  // Callbacks are called outside of any context, so there is nothing to restore.
  if (context === undefined) return callback;
  return (...parameters) => host.within(context, callback, ...parameters);
}

/** A host and the library opened for it. */
export interface Runtime {
  /** What the runtime offers. */
  readonly host: Host;
  /** The opened native library. */
  readonly library: Library;
}

let installed: Runtime | undefined;

/**
 * Makes a runtime the one that loops and queues use when they are not given another. Each adapter
 * does it when it is imported.
 *
 * @param runtime Host and library.
 */
export function setRuntime(runtime: Runtime): void {
  installed = runtime;
}

/**
 * @returns The installed runtime.
 * @throws {Error} When no adapter was imported.
 */
export function currentRuntime(): Runtime {
  if (installed !== undefined) return installed;
  throw new Error('Cannot use kevent: no runtime is installed (import "kevent", not a file of it)');
}
