/** A name that was told. */
export interface KnownName {
  readonly path: string;
  readonly directory: boolean;
}

/** Whether a path is within another, or the same. */
export function within(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === "/" ? folder : `${folder}/`);
}

/** All names that were told, by absolute paths: what is gone with a directory, or has moved with one. */
export class Known {
  /** What is in each directory, and whether it is one itself. */
  readonly #folders = new Map<string, Map<string, boolean>>();
  // Names come in runs from one directory.
  #lastPath: string | undefined;
  #last: Map<string, boolean> | undefined;

  /** @returns Whether it is a directory; `undefined` when the name is not known. */
  kindOf(path: string): boolean | undefined {
    return this.#find(parentOf(path))?.get(nameOf(path));
  }

  /** Whether names in it are told. */
  isFolder(path: string): boolean {
    return this.kindOf(path) === true;
  }

  add(path: string, directory: boolean): void {
    this.#folder(parentOf(path)).set(nameOf(path), directory);
    if (directory) this.#folder(path);
  }

  /**
   * Forgets a name with all that is in it.
   *
   * @param path Any path.
   * @returns What was known, what is in a directory before the directory.
   */
  take(path: string): KnownName[] {
    const directory = this.kindOf(path);
    if (directory === undefined) return [];
    this.#folder(parentOf(path)).delete(nameOf(path));
    const taken = [{ path, directory }];
    if (directory) this.#takeContent(path, taken);
    return taken.reverse();
  }

  /** @returns Names in each directory, sorted, by directories. */
  entries(): [string, string[]][] {
    return [...this.#folders].map(([path, names]) => [path, [...names.keys()].sort()]);
  }

  clear(): void {
    this.#lastPath = undefined;
    this.#folders.clear();
  }

  /** Without recursion: trees may be deep. */
  #takeContent(top: string, taken: KnownName[]): void {
    const folders = [top];
    this.#lastPath = undefined;
    for (let path = folders.pop(); path !== undefined; path = folders.pop()) {
      const names = this.#folders.get(path) ?? [];
      this.#folders.delete(path);
      for (const [name, directory] of names) {
        const inner = path === "/" ? `/${name}` : `${path}/${name}`;
        taken.push({ path: inner, directory });
        if (directory) folders.push(inner);
      }
    }
  }

  #folder(path: string): Map<string, boolean> {
    const known = this.#find(path);
    if (known !== undefined) return known;
    const names = new Map<string, boolean>();
    this.#folders.set(path, names);
    this.#lastPath = undefined;
    return names;
  }

  #find(path: string): Map<string, boolean> | undefined {
    if (path !== this.#lastPath) {
      this.#lastPath = path;
      this.#last = this.#folders.get(path);
    }
    return this.#last;
  }
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
