// What is done to a tree in front of chokidar and of ours, which must tell the same.
import * as fs from "node:fs";

/** The face both have. */
export interface Watcher {
  on(event: string, listener: (...args: never[]) => void): unknown;
  add(paths: string | string[]): unknown;
  unwatch(paths: string | string[]): unknown;
  getWatched(): Record<string, string[]>;
  close(): Promise<void>;
}

/** One case: what is there, what is watched and how, and what happens then. */
export interface Case {
  readonly options?: (folder: string) => object;
  /** Besides `file` and `sub/inner`. */
  readonly before?: (folder: string) => void;
  readonly paths?: (folder: string) => string | string[];
  readonly act?: (folder: string, watcher: Watcher) => void | Promise<void>;
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What every folder holds at the start. */
export function fill(folder: string): void {
  fs.mkdirSync(`${folder}/sub`);
  fs.writeFileSync(`${folder}/sub/inner`, "1");
  fs.writeFileSync(`${folder}/file`, "1");
}

const write = (path: string) => fs.writeFileSync(path, "more than before");

/** One operation each. */
const OPERATIONS: Readonly<Record<string, Case>> = {
  "nothing": {},
  "a file is created": { act: (folder) => write(`${folder}/new`) },
  "a file is created deep": { act: (folder) => write(`${folder}/sub/new`) },
  "a file is written": { act: (folder) => write(`${folder}/file`) },
  "a file is appended to": { act: (folder) => fs.appendFileSync(`${folder}/sub/inner`, "2") },
  "a file is truncated": { act: (folder) => fs.truncateSync(`${folder}/file`) },
  "a file is deleted": { act: (folder) => fs.rmSync(`${folder}/file`) },
  "a file is renamed": { act: (folder) => fs.renameSync(`${folder}/file`, `${folder}/other`) },
  "a file moves down": { act: (folder) => fs.renameSync(`${folder}/file`, `${folder}/sub/file`) },
  "a file is renamed over another": {
    before: (folder) => write(`${folder}/other`),
    act: (folder) => fs.renameSync(`${folder}/file`, `${folder}/other`),
  },
  "a file is touched": { act: (folder) => fs.utimesSync(`${folder}/file`, 5, 5) },
  "a file is read": { act: (folder) => void fs.readFileSync(`${folder}/file`) },
  "a file becomes executable": { act: (folder) => fs.chmodSync(`${folder}/file`, 0o700) },
  "a directory is made": { act: (folder) => void fs.mkdirSync(`${folder}/made`) },
  "a directory is made, and filled later": {
    async act(folder) {
      fs.mkdirSync(`${folder}/made`);
      await sleep(100);
      write(`${folder}/made/new`);
    },
  },
  "a directory is deleted": {
    act: (folder) => fs.rmSync(`${folder}/sub`, { recursive: true }),
  },
  "a directory is renamed": { act: (folder) => fs.renameSync(`${folder}/sub`, `${folder}/sub2`) },
  "a save by way of another file": {
    act(folder) {
      write(`${folder}/file.tmp`);
      fs.renameSync(`${folder}/file.tmp`, `${folder}/file`);
    },
  },
  "a save that keeps the old file for a while": {
    act(folder) {
      fs.renameSync(`${folder}/file`, `${folder}/file~`);
      write(`${folder}/file`);
      fs.rmSync(`${folder}/file~`);
    },
  },
  "a file is deleted and made again": {
    act(folder) {
      fs.rmSync(`${folder}/file`);
      write(`${folder}/file`);
    },
  },
  "what editors leave": {
    act(folder) {
      for (const name of [".file.swp", ".file.swx", "file~", "a.subl1.tmp"]) {
        write(`${folder}/${name}`);
      }
    },
  },
};

const there = (folder: string) => `${folder}/there`;

/** What is watched. */
const PATHS: Readonly<Record<string, Case>> = {
  "a file": { paths: (folder) => `${folder}/file`, act: (folder) => write(`${folder}/file`) },
  "a file that is deleted": {
    paths: (folder) => `${folder}/file`,
    act: (folder) => fs.rmSync(`${folder}/file`),
  },
  "a file that goes and comes": {
    paths: (folder) => `${folder}/file`,
    async act(folder) {
      fs.rmSync(`${folder}/file`);
      await sleep(400);
      write(`${folder}/file`);
    },
  },
  "files": {
    paths: (folder) => [`${folder}/file`, `${folder}/sub/inner`],
    act(folder) {
      for (const name of ["file", "sub/inner", "sub/unknown"]) write(`${folder}/${name}`);
    },
  },
  "paths that overlap": {
    paths: (folder) => [folder, `${folder}/sub`, `${folder}/file`],
    act(folder) {
      for (const name of ["file", "sub/inner", "sub/new"]) write(`${folder}/${name}`);
    },
  },
  "paths that overlap, the inner ones first": {
    paths: (folder) => [`${folder}/file`, `${folder}/sub`, folder],
    act(folder) {
      for (const name of ["file", "sub/inner", "sub/new"]) write(`${folder}/${name}`);
    },
  },
  "a path twice": { paths: (folder) => [folder, folder], act: (folder) => write(there(folder)) },
  "a slash at the end": { paths: (folder) => `${folder}/`, act: (folder) => write(there(folder)) },
  "dots": { paths: (folder) => `${folder}/./sub/..`, act: (folder) => write(there(folder)) },
  "a file that is not there yet": { paths: there, act: (folder) => write(there(folder)) },
  "a directory that is not there yet": {
    paths: there,
    act: (folder) => void fs.mkdirSync(there(folder)),
  },
  "a directory that is deleted": {
    paths: (folder) => `${folder}/sub`,
    act: (folder) => fs.rmSync(`${folder}/sub`, { recursive: true }),
  },
  "a link to a directory": {
    before: (folder) => fs.symlinkSync("sub", there(folder)),
    paths: there,
    act: (folder) => write(`${folder}/sub/new`),
  },
  "links": {
    before: links,
    paths: there,
    act(folder) {
      for (const name of ["file", "sub/inner", "sub/new"]) write(`${folder}/${name}`);
    },
  },
  "what moves in": {
    before: (folder) => fs.mkdirSync(there(folder)),
    paths: there,
    act(folder) {
      for (const name of ["file", "sub"]) {
        fs.renameSync(`${folder}/${name}`, `${folder}/there/${name}`);
      }
    },
  },
  "what moves out": {
    paths: (folder) => `${folder}/sub`,
    act: (folder) => fs.renameSync(`${folder}/sub/inner`, `${folder}/inner`),
  },
  "what is added later": {
    paths: (folder) => `${folder}/sub`,
    async act(folder, watcher) {
      watcher.add(`${folder}/file`);
      await sleep(200);
      write(`${folder}/file`);
    },
  },
  "a file that is not watched any more": {
    async act(folder, watcher) {
      watcher.unwatch(`${folder}/file`);
      await sleep(50);
      write(`${folder}/file`);
      fs.rmSync(`${folder}/file`);
    },
  },
};

function links(folder: string): void {
  fs.mkdirSync(there(folder));
  fs.symlinkSync("../sub", `${folder}/there/directory`);
  fs.symlinkSync("../file", `${folder}/there/link`);
}

const many = (folder: string) => {
  for (const name of ["a.js", "b.log", "sub/a.js", "sub/b.log"]) write(`${folder}/${name}`);
  fs.rmSync(`${folder}/file`);
};
const isNoScript = (path: string, stats?: fs.Stats) => stats?.isFile() && !path.endsWith(".js");
const AWAITING = { awaitWriteFinish: { stabilityThreshold: 300, pollInterval: 50 } };

/** How it is watched. */
const OPTIONS: Readonly<Record<string, Case>> = {
  "ignoreInitial": { options: () => ({ ignoreInitial: true }), act: many },
  "depth 0": {
    options: () => ({ depth: 0 }),
    act(folder) {
      many(folder);
      fs.mkdirSync(there(folder));
    },
  },
  "depth 1": {
    options: () => ({ depth: 1 }),
    before: (folder) => void fs.mkdirSync(`${folder}/sub/deeper`),
    act: (folder) => write(`${folder}/sub/deeper/new`),
  },
  "cwd": { options: (cwd) => ({ cwd }), paths: () => ".", act: many },
  "cwd and a directory in it": { options: (cwd) => ({ cwd }), paths: () => "sub", act: many },
  "cwd and what is above it": {
    options: (folder) => ({ cwd: `${folder}/sub` }),
    paths: () => ["../file", "."],
    act: many,
  },
  "ignored: text": { options: (folder) => ({ ignored: `${folder}/sub` }), act: many },
  "ignored: text that is no glob": {
    options: (folder) => ({ ignored: `${folder}/*.log` }),
    act: many,
  },
  "ignored: a file": { options: (folder) => ({ ignored: [`${folder}/file`] }), act: many },
  "ignored: a pattern": { options: () => ({ ignored: /\.log$/ }), act: many },
  "ignored: a function": { options: () => ({ ignored: isNoScript }), act: many },
  "ignored: an object": {
    options: (folder) => ({ ignored: { path: `${folder}/sub` } }),
    act: many,
  },
  "ignored: what is in it": {
    options: (folder) => ({ ignored: { path: `${folder}/sub`, recursive: true } }),
    act: many,
  },
  "ignored: from cwd": {
    options: (cwd) => ({ cwd, ignored: ["sub", /\.log$/] }),
    paths: () => ".",
    act: many,
  },
  "ignored: all": { options: (folder) => ({ ignored: folder }), act: many },
  "a name becomes one that is ignored, and back": {
    options: () => ({ ignored: /hidden/ }),
    async act(folder) {
      fs.renameSync(`${folder}/file`, `${folder}/hidden`);
      await sleep(300);
      fs.renameSync(`${folder}/hidden`, `${folder}/seen`);
    },
  },
  "links that are not followed": {
    options: () => ({ followSymlinks: false }),
    before: links,
    paths: there,
    act(folder) {
      many(folder);
      fs.symlinkSync("../sub", `${folder}/there/another`);
      fs.rmSync(`${folder}/there/link`);
    },
  },
  "not atomic": {
    options: () => ({ atomic: false }),
    async act(folder) {
      write(`${folder}/.file.swp`);
      fs.rmSync(`${folder}/file`);
      await sleep(300);
      write(`${folder}/file`);
    },
  },
  "awaitWriteFinish": {
    options: () => AWAITING,
    async act(folder) {
      const fd = fs.openSync(`${folder}/new`, "w");
      for (let times = 0; times < 3; times++) {
        fs.writeSync(fd, "more");
        await sleep(50);
      }
      fs.closeSync(fd);
      write(`${folder}/file`);
    },
  },
  "awaitWriteFinish and what nobody writes": {
    options: () => AWAITING,
    paths: (folder) => `${folder}/sub`,
    act: (folder) => fs.renameSync(`${folder}/file`, `${folder}/sub/moved`),
  },
  "usePolling": {
    options: () => ({ usePolling: true, interval: 50 }),
    async act(folder) {
      write(`${folder}/new`);
      await sleep(300);
      fs.appendFileSync(`${folder}/new`, "2");
      await sleep(300);
      fs.rmSync(`${folder}/new`);
      fs.rmSync(`${folder}/sub`, { recursive: true });
    },
  },
};

/** All cases, by their names. */
export const CASES: Readonly<Record<string, Case>> = { ...OPERATIONS, ...PATHS, ...OPTIONS };
