import type { Host } from "../loop/host.ts";
import type { Library } from "../ffi/library.ts";

/**
 * What each folder of this directory offers, in files of the same names: core code never imports
 * one of them, `mod.ts` picks.
 */
export interface Adapter {
  /** `host.ts`: the hooks of the runtime. */
  readonly host: Host;
  /** `host.ts`: the library, opened when the file is imported. */
  readonly library: Library;
}
