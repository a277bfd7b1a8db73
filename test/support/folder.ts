import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A temporary folder that goes away with the scope. */
export class Folder implements Disposable {
  readonly path: string;

  /** @param place Where. Default: where temporary folders are. */
  constructor(place: string = tmpdir()) {
    this.path = mkdtempSync(join(place, "kevent-"));
  }

  /** Path of something in it. */
  at(name: string): string {
    return join(this.path, name);
  }

  /** Makes a file in it; gives its path. */
  file(name: string, content: string | Uint8Array = ""): string {
    writeFileSync(this.at(name), content);
    return this.at(name);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
