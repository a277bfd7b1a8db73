import { KeventError } from "../ffi/errors.ts";

/**
 * Refuses to go on in another runtime, in words, before something of this one is missing.
 *
 * @param runtime The one that is needed.
 * @param name What is imported from there.
 * @throws {KeventError} ENOTSUP in another one.
 */
export function only(runtime: "Bun" | "Deno", name: string): void {
  if (runtime in globalThis) return;
  const other = "Bun" in globalThis || "Deno" in globalThis;
  const detail = other
    ? `${name} is for ${runtime}: import "kevent", which is for both`
    : "kevent runs in Deno and in Bun, and this is neither";
  throw new KeventError(`import ${other ? name : "kevent"}`, "import", "ENOTSUP", detail);
}
