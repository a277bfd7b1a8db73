import { KeventError, shown } from "../ffi/errors.ts";

/**
 * The path of a URL, as `fileURLToPath` of `node:url` does it on this system.
 *
 * @param path A path, or a URL object of the kind `file:`.
 * @param operation What needs it, in words that follow "Cannot".
 * @returns A path.
 * @throws {KeventError} EINVAL when it is neither.
 */
export function pathOf(path: string | URL, operation: string): string {
  if (typeof path === "string" && !path.startsWith("file://")) return path;
  if (!(path instanceof URL)) {
    throw badPath(operation, `path must be a path or a URL object, not ${shown(path)}`);
  }
  if (path.protocol !== "file:") {
    throw badPath(operation, `a URL must be of the kind file:, not ${path.href}`);
  }
  if (path.host !== "") {
    throw badPath(operation, `the file of a URL must be here, not at ${path.host}`);
  }
  if (/%2f/i.test(path.pathname)) {
    throw badPath(operation, "a name in a URL must not hold a slash (%2F)");
  }
  return decodeURIComponent(path.pathname);
}

function badPath(operation: string, detail: string): KeventError {
  return new KeventError(operation, "argument", "EINVAL", detail);
}
