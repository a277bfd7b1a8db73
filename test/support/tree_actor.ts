// Random operations on a directory of the disk, and what of them a watcher of it must count.
import {
  appendFileSync,
  chmodSync,
  closeSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { Random } from "../../examples/demo/random.ts";
import { libc, text } from "./libc.ts";

/** What several names of one file have in common. */
interface Inode {
  linked: boolean;
  /** Whether it was written by a name that is not in the tree. */
  aside: boolean;
}

/** A name on the disk, as we know it without looking. */
interface Node {
  name: string;
  parent: Node | undefined;
  /** Of a directory. */
  readonly children: Map<string, Node> | undefined;
  /** Of a file. */
  readonly inode: Inode | undefined;
}

/** What happened in a burst, as the directory that is watched sees it. */
export interface Counts {
  create: number;
  remove: number;
  rename: number;
}

/** How a tree is worked on. */
export interface ActorOptions {
  readonly seed: number;
  /** Where the directory is; beside it lies one that nobody watches. */
  readonly folder: string;
  /** Whether files get several names. */
  readonly links: boolean;
}

const AT_FDCWD = -100;
const RENAME_EXCHANGE = 2;
const OPEN_MAX = 3;
const NODES_MAX = 250;
const DEPTH_MAX = 6;
/** Of a directory that is moved: paths stay below PATH_MAX with names as long as they get. */
const MOVED_DEPTH_MAX = 12;
const LONG = "l".repeat(255);
const NAMES = ["a", "b", "c", "d", "e", "f", "g.txt", "ü n", "ignored", LONG];

function directory(name: string, parent: Node | undefined): Node {
  return { name, parent, children: new Map(), inode: undefined };
}

function pathOf(node: Node): string {
  return node.parent === undefined ? node.name : `${pathOf(node.parent)}/${node.name}`;
}

function depthOf(node: Node): number {
  return node.parent === undefined ? 0 : depthOf(node.parent) + 1;
}

function rootOf(node: Node): Node {
  return node.parent === undefined ? node : rootOf(node.parent);
}

function isWithin(node: Node, above: Node): boolean {
  return node === above || (node.parent !== undefined && isWithin(node.parent, above));
}

/** All that is in a directory, itself last. */
function listed(node: Node): Node[] {
  return [...[...node.children?.values() ?? []].flatMap(listed), node];
}

/** Levels below. */
function heightOf(node: Node): number {
  return 1 + Math.max(-1, ...[...node.children?.values() ?? []].map(heightOf));
}

/** Works on the tree, each step at random. */
export class TreeActor implements Disposable {
  readonly #numbers: Random;
  readonly #links: boolean;
  readonly #root: Node;
  readonly #outside: Node;
  readonly #open: { readonly fd: number; readonly node: Node }[] = [];
  /** What was done, with the time of each. */
  log: string[] = [];
  /** Names that files got besides theirs since the last look. */
  readonly #fresh = new Set<Node>();
  counts: Counts = { create: 0, remove: 0, rename: 0 };
  /** No directory came, so a watcher sees each step and not its outcome. */
  exact = true;

  constructor({ seed, folder, links }: ActorOptions) {
    this.#numbers = new Random(seed);
    this.#links = links;
    this.#root = directory(`${folder}/tree`, undefined);
    this.#outside = directory(`${folder}/outside`, undefined);
    mkdirSync(pathOf(this.#root));
    mkdirSync(pathOf(this.#outside));
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#open.splice(0)) closeSync(fd);
  }

  /**
   * Paths in the tree, from its root, of files that have or had several names.
   *
   * @param aside Only of those that were written by a name that is not in the tree.
   */
  linked(aside: boolean): string[] {
    const start = pathOf(this.#root).length + 1;
    return listed(this.#root)
      .filter(({ inode }) => inode?.linked && (inode.aside || !aside))
      .map((node) => pathOf(node).slice(start));
  }

  /**
   * Some steps.
   *
   * @param pauseMs Most milliseconds of the pauses between some of them.
   * @param calm Without directories that come.
   */
  burst(steps: number, pauseMs: number, calm: boolean): void {
    this.#begin();
    for (let step = 0; step < steps; step++) {
      this.step(calm);
      if (pauseMs > 0 && this.#random(4) === 0) this.#pause(pauseMs);
    }
  }

  /** A file of that name in the root, after all that was done before. */
  sentinel(name: string): void {
    this.#write(this.#root, name, 1);
  }

  /** Directories of so many files each, in the root; the second time files change, go and move. */
  flood(directories: number, files: number): void {
    this.#begin();
    this.#write(this.#outside, "begun", 0);
    for (let index = 0; index < directories; index++) {
      const known = this.#root.children!.get(`flood-${index}`);
      const folder = known ?? this.#mkdir(this.#root, `flood-${index}`);
      for (let file = 0; file < files; file++) {
        const node = folder.children!.get(`${file}`);
        if (node === undefined || file % 4 === 0) this.#write(folder, `${file}`, file % 50);
        else if (file % 4 === 1) this.#move(node, folder, `${file}-moved`);
        else if (file % 4 === 2) this.#unlink(node);
      }
    }
  }

  /** One operation. */
  step(calm = false): void {
    const calmly: readonly (readonly [number, () => void])[] = [
      [14, () => this.#writeSome()],
      [6, () => this.#append()],
      [4, () => this.#truncate()],
      [8, () => this.#handles()],
      [4, () => this.#attributes()],
      [14, () => this.#moveSome(this.#root, this.#root)],
      [5, () => this.#moveSome(this.#root, this.#outside)],
      [6, () => this.#moveSome(this.#outside, this.#root, calm)],
      [4, () => this.#writeOutside()],
      [4, () => this.#exchange(calm ? this.#root : undefined)],
      [8, () => this.#unlink()],
      [3, () => this.#removeSome()],
      [3, () => this.#link()],
      [3, () => this.#symlink()],
      [8, () => this.#save()],
    ];
    const operations = calm ? calmly : [
      ...calmly,
      [5, () => this.#makeDirectory()],
      [4, () => this.#makePath()],
      [3, () => this.#replaceDirectory()],
      [3, () => this.#makeAndMove()],
    ] as const;
    if (listed(this.#root).length > NODES_MAX) return this.#removeSome();
    let at = this.#random(operations.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, operation] of operations) {
      if ((at -= weight) < 0) return operation();
    }
  }

  #begin(): void {
    this.log = [];
    this.#fresh.clear();
    this.counts = { create: 0, remove: 0, rename: 0 };
    this.exact = true;
  }

  #random(below: number): number {
    return this.#numbers.between(0, below - 1);
  }

  #one<Item>(items: readonly Item[]): Item | undefined {
    return items[this.#random(Math.max(items.length, 1))];
  }

  #name(): string {
    return this.#one(NAMES)!;
  }

  #pause(ms: number): void {
    const nobody = new Int32Array(new SharedArrayBuffer(4));
    Atomics.wait(nobody, 0, 0, 1 + this.#random(ms));
  }

  #note(what: string): void {
    const now = performance.timeOrigin + performance.now();
    this.log.push(`${now.toFixed(3)} ${what}`);
  }

  /** Something in a directory or below, itself left out. */
  #any(from: Node, holds: (node: Node) => boolean): Node | undefined {
    return this.#one(listed(from).filter((node) => node !== from && holds(node)));
  }

  #anyFile(from = this.#root): Node | undefined {
    return this.#any(from, (node) => node.inode !== undefined);
  }

  /** A directory, perhaps the one given. */
  #anyDirectory(from = this.#root): Node {
    return this.#one(listed(from).filter((node) => node.children && depthOf(node) < DEPTH_MAX))!;
  }

  #seen(node: Node): boolean {
    return rootOf(node) === this.#root;
  }

  /** By a name that the file has no more, or has elsewhere, nothing is told. */
  #wrote(node: Node): void {
    const { name, parent, inode } = node;
    if (inode === undefined) return;
    const known = parent!.children!.get(name)?.inode === inode;
    // Nobody knows what a name was that is gone before it could be looked at.
    if (!known || !this.#seen(parent!) || this.#fresh.has(node)) inode.aside = true;
  }

  #came(node: Node): void {
    if (!this.#seen(node)) return;
    this.counts.create++;
    if (node.children !== undefined) this.exact = false;
  }

  #went(node: Node): void {
    if (this.#seen(node)) this.counts.remove += listed(node).length;
  }

  // What is on the disk and what we know of it.

  #write(folder: Node, name: string, size: number): Node | undefined {
    const known = folder.children!.get(name);
    if (known !== undefined && known.inode === undefined) return undefined;
    const node = known ??
      { name, parent: folder, children: undefined, inode: { linked: false, aside: false } };
    this.#note(`write ${size} ${pathOf(node)}`);
    writeFileSync(pathOf(node), "x".repeat(size));
    folder.children!.set(name, node);
    this.#wrote(node);
    if (known === undefined) this.#came(node);
    return node;
  }

  #mkdir(folder: Node, name: string): Node {
    const node = directory(name, folder);
    this.#note(`mkdir ${pathOf(node)}`);
    mkdirSync(pathOf(node));
    folder.children!.set(name, node);
    this.#came(node);
    return node;
  }

  #removeAll(node: Node): void {
    this.#note(`rm -rf ${pathOf(node)}`);
    this.#went(node);
    rmSync(pathOf(node), { recursive: true });
    node.parent!.children!.delete(node.name);
  }

  /** Whether rename(2) would do it, and something would happen. */
  #canMove(node: Node, folder: Node, name: string): boolean {
    const target = folder.children!.get(name);
    if (isWithin(folder, node) || target === node) return false;
    if (depthOf(folder) + heightOf(node) >= MOVED_DEPTH_MAX) return false;
    if (target === undefined) return true;
    const directories = node.children !== undefined;
    if (directories !== (target.children !== undefined)) return false;
    if (directories) return target.children!.size === 0 && !isWithin(node, target);
    return node.inode === undefined || node.inode !== target.inode;
  }

  #move(node: Node, folder: Node, name: string): boolean {
    if (!this.#canMove(node, folder, name)) return false;
    const target = folder.children!.get(name);
    const [seen, sees] = [this.#seen(node), this.#seen(folder)];
    const path = `${pathOf(folder)}/${name}`;
    this.#note(`rename ${pathOf(node)} ${path}`);
    renameSync(pathOf(node), path);
    if (seen && !sees) this.#went(node);
    node.parent!.children!.delete(node.name);
    node.parent = folder;
    node.name = name;
    folder.children!.set(name, node);
    if (seen && sees) this.counts.rename++;
    // What was there went with it, and of that nothing is told but a flag.
    else if (sees) target === undefined ? this.#came(node) : this.exact = false;
    return true;
  }

  // Steps.

  #writeSome(): void {
    this.#write(this.#anyDirectory(), this.#name(), this.#random(3) * this.#random(5000));
  }

  #append(): void {
    const node = this.#anyFile();
    if (node === undefined) return;
    this.#note(`append ${pathOf(node)}`);
    this.#wrote(node);
    appendFileSync(pathOf(node), "y".repeat(1 + this.#random(100)));
  }

  #truncate(): void {
    const node = this.#anyFile();
    if (node === undefined) return;
    const size = this.#random(2) * this.#random(300);
    this.#note(`truncate ${size} ${pathOf(node)}`);
    this.#wrote(node);
    truncateSync(pathOf(node), size);
  }

  /** Writers that stay; what they have open may move and go meanwhile. */
  #handles(): void {
    const open = this.#one(this.#open);
    const path = open && pathOf(open.node);
    if (open) this.#wrote(open.node);
    switch (this.#random(open ? 5 : 1)) {
      case 0:
        return this.#openSome();
      case 1:
        this.#note(`close ${path}`);
        closeSync(open!.fd);
        return void this.#open.splice(this.#open.indexOf(open!), 1);
      case 2:
        this.#note(`open truncate ${path}`);
        return ftruncateSync(open!.fd, this.#random(100));
      default:
        this.#note(`open write ${path}`);
        return void writeSync(open!.fd, "z".repeat(1 + this.#random(1000)));
    }
  }

  #openSome(): void {
    const node = this.#anyFile();
    if (node === undefined || this.#open.length >= OPEN_MAX) return;
    this.#note(`open ${pathOf(node)}`);
    this.#open.push({ fd: openSync(pathOf(node), "a"), node });
  }

  #attributes(): void {
    const node = this.#any(this.#root, ({ children, inode }) => Boolean(children ?? inode));
    if (node === undefined) return;
    if (this.#random(2) === 0) {
      this.#note(`chmod ${pathOf(node)}`);
      chmodSync(pathOf(node), this.#random(2) ? 0o755 : 0o700);
    } else {
      this.#note(`utimes ${pathOf(node)}`);
      this.#wrote(node);
      utimesSync(pathOf(node), 1e9, 1e9 + this.#random(1e6));
    }
  }

  #makeDirectory(): void {
    const folder = this.#anyDirectory();
    const name = this.#name();
    if (!folder.children!.has(name)) this.#mkdir(folder, name);
  }

  /** Directories in each other, with files at once. */
  #makePath(folder = this.#anyDirectory()): Node | undefined {
    const name = this.#name();
    if (folder.children!.has(name)) return undefined;
    const first = this.#mkdir(folder, name);
    let last = first;
    for (let depth = this.#random(3); depth > 0; depth--) {
      for (let files = this.#random(3); files > 0; files--) this.#write(last, this.#name(), 2);
      const next = this.#name();
      if (!last.children!.has(next)) last = this.#mkdir(last, next);
    }
    this.#write(last, this.#name(), 3);
    return first;
  }

  /** A directory that moves before anybody can have looked at it, and another in its place. */
  #makeAndMove(): void {
    const node = this.#makePath();
    if (node === undefined) return;
    const { parent, name } = node;
    this.#move(
      node,
      this.#anyDirectory(this.#random(3) ? this.#root : this.#outside),
      this.#name(),
    );
    if (this.#random(2) === 0 && !parent!.children!.has(name)) {
      this.#write(this.#mkdir(parent!, name), this.#name(), 4);
    }
  }

  #moveSome(from: Node, to: Node, calm = false): void {
    const node = this.#any(from, ({ children }) => !calm || children === undefined);
    if (node !== undefined) this.#move(node, this.#anyDirectory(to), this.#name());
  }

  /** Nobody may hear of it; perhaps it is in a directory that was in the tree before. */
  #writeOutside(): void {
    const folder = this.#anyDirectory(this.#outside);
    if (this.#random(3) === 0) this.#makePath(folder);
    else this.#write(folder, this.#name(), this.#random(100));
    if (listed(this.#outside).length < NODES_MAX) return;
    for (const node of [...this.#outside.children!.values()]) this.#removeAll(node);
  }

  #exchange(within = this.#random(5) ? this.#root : this.#outside): void {
    const from = this.#any(this.#root, () => true);
    const to = this.#any(within, () => true);
    if (!from || !to || isWithin(from, to) || isWithin(to, from)) return;
    if (from.inode !== undefined && from.inode === to.inode) return;
    const depth = Math.max(depthOf(from) + heightOf(to), depthOf(to) + heightOf(from));
    if (depth > MOVED_DEPTH_MAX) return;
    this.#note(`exchange ${pathOf(from)} ${pathOf(to)}`);
    const paths = [text(pathOf(from)), text(pathOf(to))] as const;
    const result = libc.renameat2(AT_FDCWD, paths[0], AT_FDCWD, paths[1], RENAME_EXCHANGE);
    if (result !== 0) throw new Error(`exchange ${pathOf(from)} ${pathOf(to)}`);
    if (this.#seen(from) && this.#seen(to)) this.counts.rename++;
    else this.exact = false;
    const { name, parent } = from;
    Object.assign(from, { name: to.name, parent: to.parent });
    Object.assign(to, { name, parent });
    from.parent!.children!.set(from.name, from);
    to.parent!.children!.set(to.name, to);
  }

  #unlink(node = this.#any(this.#root, ({ children }) => children === undefined)): void {
    if (node === undefined) return;
    this.#note(`unlink ${pathOf(node)}`);
    this.#went(node);
    unlinkSync(pathOf(node));
    node.parent!.children!.delete(node.name);
  }

  #removeSome(): void {
    const node = this.#any(this.#root, ({ children }) => children !== undefined);
    if (node !== undefined) this.#removeAll(node);
  }

  #link(): void {
    const node = this.#anyFile(this.#random(4) ? this.#root : this.#outside);
    const folder = this.#anyDirectory(this.#random(4) ? this.#root : this.#outside);
    const name = this.#name();
    if (!this.#links || node === undefined || folder.children!.has(name)) return;
    this.#note(`link ${pathOf(node)} ${pathOf(folder)}/${name}`);
    linkSync(pathOf(node), `${pathOf(folder)}/${name}`);
    node.inode!.linked = true;
    const other: Node = { name, parent: folder, children: undefined, inode: node.inode };
    folder.children!.set(name, other);
    this.#fresh.add(other);
    this.#came(other);
  }

  #symlink(): void {
    const folder = this.#anyDirectory();
    const name = this.#name();
    if (folder.children!.has(name)) return;
    const target = this.#any(this.#root, () => true);
    const node: Node = { name, parent: folder, children: undefined, inode: undefined };
    this.#note(`symlink ${pathOf(node)}`);
    symlinkSync(target === undefined ? "nothing" : pathOf(target), pathOf(node));
    folder.children!.set(name, node);
    this.#came(node);
  }

  /** As editors do it: a new file in place of the old one, or the old one aside first. */
  #save(): void {
    const node = this.#anyFile();
    if (node === undefined) return;
    const { parent, name } = node;
    const size = this.#random(2000);
    const spare = name.length > 200 ? "spare" : `${name}~`;
    if (parent!.children!.has(spare)) return;
    if (this.#random(2) === 0) {
      const fresh = this.#write(parent!, spare, size)!;
      this.#move(fresh, parent!, name);
      return;
    }
    this.#move(node, parent!, spare);
    this.#write(parent!, name, size);
    if (this.#random(4) > 0) this.#unlink(node);
  }

  /** Another directory in place of one, as installers do it. */
  #replaceDirectory(): void {
    const node = this.#any(this.#root, ({ children }) => children !== undefined);
    if (node === undefined) return;
    const { parent, name } = node;
    const [fresh, old] = [".fresh", ".old"];
    const taken = [this.#outside, parent!].some(({ children }) => children!.has(fresh));
    if (taken || parent!.children!.has(old)) return;
    const other = this.#mkdir(this.#random(2) ? parent! : this.#outside, fresh);
    for (let files = this.#random(4); files > 0; files--) this.#write(other, this.#name(), 5);
    if (this.#move(node, parent!, old)) this.#move(other, parent!, name);
    if (this.#random(4) > 0) this.#removeAll(node);
  }
}
