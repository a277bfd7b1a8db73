/**
 * kevent for the runtime that imports it.
 *
 * The library is opened here, at load: a program may drop its permissions afterwards.
 *
 * @module
 */
import type { Adapter } from "./contract.ts";
import { setRuntime } from "../loop/host.ts";

const adapter: Adapter = "Bun" in globalThis
  ? await import("./bun/host.ts")
  : await import("./deno/host.ts");
setRuntime(adapter);

export * from "../loop/mod.ts";
