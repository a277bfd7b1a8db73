/**
 * kevent in Deno.
 *
 * @module
 */
import { setRuntime } from "../../loop/host.ts";
import { host, library } from "./host.ts";

setRuntime({ host, library });

export * from "../../loop/mod.ts";
