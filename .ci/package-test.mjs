// What a user gets: packs, installs the tarball into an empty folder, and runs from there, in both
// runtimes, a timer, a socket and a watch, and the runtime's timers replaced. Deno gets no more than
// the one library file, and what the program itself needs.

import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { ask, fail, must, root, run } from "./shell.mjs";
import { setup } from "./setup.mjs";

const bytes_max = 1_600_000;
const libraries = ["x86_64", "aarch64"].flatMap((cpu) =>
  ["gnu", "musl"].map((abi) => `libkevent-${cpu}-linux-${abi}.so`)
);

const { deno, bun } = setup();
// The real path: Deno compares grants with it.
const folder = mkdtempSync(join(tmpdir(), "kevent-package-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

must("npm", ["pack", "--silent", "--pack-destination", folder]);
const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"));
const { size } = statSync(join(folder, tarball));
if (size > bytes_max) fail(`${tarball} has ${size} bytes, ${bytes_max} are allowed`);

const files = ask("tar", ["-tzf", join(folder, tarball)]).split("\n");
for (const name of libraries) {
  if (!files.includes(`package/dist/native/${name}`)) fail(`${tarball} lacks ${name}`);
}
const stray = files.filter((name) => !/^package\/(dist\/|package\.json|README|LICENSE)/.test(name));
if (stray.length > 0) fail(`${tarball} holds ${stray.join(" ")}`);
const source = files.filter((name) => name.endsWith(".zig") || /(?<!\.d)\.ts$/.test(name));
if (source.length > 0) fail(`${tarball} holds sources: ${source.join(" ")}`);
console.log(`${tarball}: ${size} bytes, ${files.length} files`);

writeFileSync(join(folder, "package.json"), `{ "private": true, "type": "module" }\n`);
must("npm", ["install", "--silent", "--no-audit", "--no-fund", join(folder, tarball)], {
  cwd: folder,
});
// As after an installation from a registry: Deno finds no `npm:kevent` in what came from a file.
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const manifest = { private: true, type: "module", dependencies: { kevent: version } };
writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
cpSync(join(root, "test/fixture/package.ts"), join(folder, "main.ts"));
cpSync(join(root, "test/fixture/package-timers.ts"), join(folder, "timers.ts"));

// The declarations must serve somebody who has none of our types.
const tsc = join(root, "node_modules/typescript/bin/tsc");
const types = join(root, "node_modules/@types");
const strict = [
  "--ignoreConfig",
  "--strict",
  "--noEmit",
  "--module",
  "nodenext",
  "--target",
  "esnext",
];
const programs = ["main.ts", "timers.ts"];
for (const name of ["node", "bun"]) {
  must(process.execPath, [tsc, ...strict, "--typeRoots", types, "--types", name, ...programs], {
    cwd: folder,
  });
}

// Examples must be of use to a reader of the declarations, who has no folder of ours.
const installed = join(folder, "node_modules/kevent");
const readable = readdirSync(installed, { recursive: true })
  .filter((name) => /\.(d\.ts|js)$/.test(name))
  .map((name) => [name, readFileSync(join(installed, name), "utf8")]);
const byPath = readable.filter(([, text]) => /^\s*\* .*\b(from|import) "\./m.test(text));
if (byPath.length > 0) fail(`examples import by path in ${byPath.map(([name]) => name).join(" ")}`);
if (!readable.some(([, text]) => /^\s*\* .*\bfrom "kevent"/m.test(text))) {
  fail("no example is left");
}
// Nor has that reader the files that the README could link to.
const links = [
  ...readFileSync(join(installed, "README.md"), "utf8").matchAll(/\]\((?!\w+:)([^)]+)\)/g),
]
  .map(([, path]) => path)
  .filter((path) => !existsSync(join(installed, path)));
if (links.length > 0) fail(`README.md links to what the package does not hold: ${links.join(" ")}`);

const cpu = process.arch === "arm64" ? "aarch64" : "x86_64";
const native = join(folder, "node_modules/kevent/dist/native");
const grants = ["gnu", "musl"].map((abi) => join(native, `libkevent-${cpu}-linux-${abi}.so`));
// A folder each: a file is created only where there is none.
const watched = { deno: join(folder, "deno"), bun: join(folder, "bun") };
for (const path of Object.values(watched)) mkdirSync(path);
const granted = ["run", "--no-prompt", `--allow-ffi=${grants}`];
for (
  const [program, ...args] of [
    [deno, ...granted, `--allow-write=${watched.deno}`, "main.ts", watched.deno],
    [deno, ...granted, "timers.ts"],
    [deno, ...granted, "--preload", "npm:kevent/register", "timers.ts"],
    [deno, ...granted, "--preload", "./node_modules/kevent/dist/adapters/register.js", "timers.ts"],
    [bun, "run", "main.ts", watched.bun],
    [bun, "run", "timers.ts"],
    [bun, "run", "--preload", "kevent/register", "timers.ts"],
  ]
) {
  const { ok, why } = await run(program, args, {
    cwd: folder,
    // Nothing of this repository may help.
    env: { KEVENT_LIBRARY: "" },
    limit_s: 30,
  });
  if (!ok) fail(`the installed package failed in ${program} ${args.join(" ")}: ${why}`);
}
