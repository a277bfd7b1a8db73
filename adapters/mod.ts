/**
 * kevent for the runtime that imports it.
 *
 * The library is opened here, at load: a program may drop its permissions afterwards.
 *
 * @module
 */
import { type Runtime, setRuntime } from "../loop/host.ts";

// Each folder here has files of the same names with the same exports, so either will do.
const runtime: Runtime = "Bun" in globalThis
  ? await import("./bun/host.ts")
  : await import("./deno/host.ts");
setRuntime(runtime);

export * from "../loop/mod.ts";
