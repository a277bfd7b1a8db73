// Makes a fresh clone ready: npm packages, Zig, the native library. What is there already is found
// in well under a second, so every other script calls setup() first.

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { ask, fail, must, root } from "./shell.mjs";

const node_major_min = 20;

/** Returns the paths of the tools: `{ zig, deno, bun }`. */
export function setup() {
  checkMachine();
  installPackages();
  const tools = { zig: zig(), deno: deno(), bun: bun() };
  buildNative(tools.zig);
  return tools;
}

/** Builds this machine's library; Zig's own cache knows what is stale, in about 50 ms. */
export function buildNative(zig, optimize = "safe") {
  must(zig, ["build", "native", `-Doptimize=${optimize}`], { cwd: join(root, "zig") });
}

function checkMachine() {
  if (Number(process.versions.node.split(".")[0]) < node_major_min) {
    fail(
      `Node ${process.versions.node} is too old, ${node_major_min} is needed: ${install("nodejs")}`,
    );
  }
  if (process.platform !== "linux" || !["x64", "arm64"].includes(process.arch)) {
    fail(`kevent runs on Linux, x86_64 or aarch64; this is ${process.platform} ${process.arch}`);
  }
}

/** The lock file against the one npm leaves in node_modules: true when every package is in place. */
function packagesInPlace() {
  const hidden = join(root, "node_modules/.package-lock.json");
  if (!existsSync(hidden)) return false;
  const want = readJson(join(root, "package-lock.json")).packages;
  const have = readJson(hidden).packages;
  return Object.entries(want).every(([path, { version, optional }]) =>
    path === "" || have[path]?.version === version || (optional && have[path] === undefined)
  );
}

function installPackages() {
  if (packagesInPlace()) return;
  say("npm packages: npm ci");
  const args = ["ci", "--no-audit", "--no-fund"];
  // Under `npm test` this is the npm that runs us, which need not be the first on the path.
  const npm = process.env.npm_execpath;
  if (npm?.endsWith(".js")) must(process.execPath, [npm, ...args]);
  else if (ask("npm", ["--version"])) must("npm", args);
  else fail(`npm is missing: ${install("npm")}`);
}

function zig() {
  const requirement = readFileSync(join(root, ".ci/zig.txt"), "utf8");
  const version = /^ziglang==(\S+)/m.exec(requirement)[1];
  if (ask("zig", ["version"]) === version) return "zig";

  const folder = join(root, ".zig", version);
  const path = join(folder, "ziglang/zig");
  if (existsSync(path)) return path;

  const python = ["python3", "python"].find((name) =>
    ask(name, ["-c", "import sys; assert sys.version_info.major == 3; print(1)"])
  );
  if (!python) {
    fail(`Python 3 is missing, Zig comes with its pip: ${install("python3", "python3-pip")}`);
  }
  if (!ask(python, ["-m", "pip", "--version"])) {
    fail(`pip is missing, Zig comes with it: ${install("python3-pip")}`);
  }
  say(`Zig ${version}: pip install (about 100 MB, once)`);
  // Into a folder of our own first: half an installation must never look like one.
  const partial = `${folder}.${process.pid}`;
  mkdirSync(partial, { recursive: true });
  must(python, [
    ...["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"],
    ...["--only-binary=:all:", "--require-hashes", "--no-compile", "--target", partial],
    ...["--requirement", ".ci/zig.txt"],
  ], { env: { ...process.env, PIP_USER: "0", PIP_ROOT_USER_ACTION: "ignore" } });
  try {
    renameSync(partial, folder);
  } catch {
    // Another setup was faster; its copy is as good.
    rmSync(partial, { recursive: true });
  }
  if (ask(path, ["version"]) !== version) fail(`${path} does not run here`);
  return path;
}

// npm 11 asks before it runs the install scripts of deno and bun, which only move these files into
// another place. So take the binary from wherever it is.

function deno() {
  const cpu = process.arch;
  return tool("deno", [`@deno/linux-${cpu}-glibc/deno`, "deno/deno"]);
}

function bun() {
  const cpu = process.arch === "arm64" ? "aarch64" : "x64";
  return tool("bun", [
    `@oven/bun-linux-${cpu}/bin/bun`,
    `@oven/bun-linux-${cpu}-musl/bin/bun`,
    "bun/bin/bun.exe",
  ]);
}

function tool(name, candidates) {
  const { devDependencies } = readJson(join(root, "package.json"));
  const version = devDependencies[name];
  const found = candidates
    .map((path) => join(root, "node_modules", path))
    // Without its install script, bun/bin/bun.exe is a shell script of a few hundred bytes.
    .find((path) => existsSync(path) && statSync(path).size > 1_000_000);
  if (found) return found;
  if (ask(name, ["--version"])?.includes(version)) return name;
  return fail(`npm installed no ${name} ${version} for this machine: rm -r node_modules && npm ci`);
}

/** The command that installs packages here, for a message. */
function install(...names) {
  const known = {
    apk: "apk add",
    dnf: "dnf install",
    pacman: "pacman -S",
    zypper: "zypper install",
  };
  const manager = Object.keys(known).find((name) => ask(name, ["--version"]));
  return `${known[manager] ?? "apt-get install"} ${names.join(" ")}`;
}

function readJson(path) {
  return JSON.parse(readFileSync(path, "utf8"));
}

function say(text) {
  console.error(`set-up: ${text}`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const tools = setup();
  for (const [name, path] of Object.entries(tools)) console.log(`${name.padEnd(5)} ${path}`);
}
