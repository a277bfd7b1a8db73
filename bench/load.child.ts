/** One measurement of `bench/load.mjs`: milliseconds to open the library and make a queue. */

import { openLibrary } from "../ffi/open.ts";
import { Queue } from "../loop/queue.ts";

const { dialect } = "Bun" in globalThis
  ? await import("../ffi/bun.ts")
  : await import("../ffi/deno.ts");

const start = performance.now();
const library = openLibrary(dialect);
const queue = new Queue({ library });
const end = performance.now();
queue.close();
console.log(JSON.stringify({ ms: end - start }));
