// Finding and opening the library, and what happens when that fails.
import { copyFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { describe, expect, test } from "vitest";
import "../adapters/mod.ts";
import type { Calls, Dialect } from "../ffi/library.ts";
import { openLibrary } from "../ffi/open.ts";
import { currentRuntime } from "../loop/host.ts";
import { Folder } from "./support/folder.ts";
import { isDeno, runFixture } from "./support/program.ts";

const { path, calls } = currentRuntime().library;

/** A dialect that opens what it is told to. */
function dialect(changes: Partial<Dialect>): Dialect {
  return {
    platform: { os: "linux", arch: "x86_64" },
    open: () => calls,
    environment: () => undefined,
    permitted: () => true,
    permissionHint: (file) => `allow ${file}`,
    ...changes,
  };
}

function refuse(): never {
  throw new Error("no such file\nand more");
}

function thrown(body: () => unknown): Error {
  try {
    body();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}

describe("open", () => {
  test("Deno needs --allow-ffi for the library and nothing else", async (context) => {
    if (!isDeno) context.skip("Bun has no permissions");
    const variables = "--allow-env=KEVENT_LIBRARY";
    const end = await runFixture("narrow", [], { allow: [`--allow-ffi=${path}`, variables] });
    expect(end.errors).toBe("");
    expect(end.output).toBe(`7 hello ${path}\n`);
    expect(end.code).toBe(0);
  });

  test("a program whose grant names another file is told which flag to give", async (context) => {
    if (!isDeno) context.skip("Bun has no permissions");
    const allow = ["--allow-ffi=/nowhere.so", "--allow-env=KEVENT_LIBRARY"];
    const end = await runFixture("narrow", [], { allow });
    expect(end.code).toBe(1);
    expect(end.errors).toContain(`--allow-ffi=${path}`);
  });

  test("a path that was named must work", async () => {
    const end = await runFixture("narrow", [], { env: { KEVENT_LIBRARY: "/nowhere/lib.so" } });
    expect(end.code).toBe(1);
    expect(end.errors).toContain("Cannot open the kevent library: check the path");
    expect(end.errors).toContain("/nowhere/lib.so");
  });

  test("a file that is no library is named, with what is wrong", async () => {
    using folder = new Folder();
    const file = folder.at("lib.so");
    writeFileSync(file, "not ELF");
    const end = await runFixture("narrow", [], { env: { KEVENT_LIBRARY: file } });
    expect(end.code).toBe(1);
    expect(end.errors).toContain(file);
  });

  test("a library elsewhere works when the variable names it", async () => {
    using folder = new Folder();
    const file = folder.at("lib.so");
    copyFileSync(path, file);
    const end = await runFixture("narrow", [], { env: { KEVENT_LIBRARY: file } });
    expect(end.errors).toBe("");
    expect(end.output).toContain(file);
  });

  test("what is for the other runtime says so", async () => {
    const other = isDeno ? "bun" : "deno";
    const end = await runFixture(`../../adapters/${other}/mod`);
    expect(end.code).toBe(1);
    expect(end.errors).toMatch(
      new RegExp(
        `Cannot import kevent/${other}: ENOTSUP \\(kevent/${other} is for ${other}: ` +
          'import "kevent", which is for both\\)',
        "i",
      ),
    );
  });

  test("an explicit path comes before the variable", () => {
    const opened: string[] = [];
    const open = (file: string): Calls => (opened.push(file), calls);
    openLibrary(dialect({ open, environment: () => "/variable.so" }), "/explicit.so");
    openLibrary(dialect({ open, environment: () => "/variable.so" }));
    expect(opened).toEqual(["/explicit.so", "/variable.so"]);
  });

  test("local builds are tried, safe before fast, glibc before musl, and all of them named", () => {
    const tried: string[] = [];
    const open = (file: string): Calls => (tried.push(file), refuse());
    const error = thrown(() => openLibrary(dialect({ open })));
    expect(tried.map((file) => file.replace(/.*\/zig\/zig-out\//, ""))).toEqual(
      ["safe", "fast", "debug"].flatMap((mode) =>
        ["gnu", "musl"].map((abi) => `${mode}/libkevent-x86_64-linux-${abi}.so`)
      ),
    );
    expect(error.message).toContain("npm run setup");
    for (const file of tried) expect(error.message).toContain(`  ${file}: no such file`);
    expect(error.message).not.toContain("and more");
  });

  test("without a grant, the flag is named, with the path to grant", () => {
    const error = thrown(() => openLibrary(dialect({ open: refuse, permitted: () => false })));
    expect(error.message).toMatch(/: allow \S+\/safe\/libkevent-x86_64-linux-gnu\.so\. Tried:\n/);
  });

  test("a library that the program may open is preferred to one it would be asked about", () => {
    const tried: string[] = [];
    const open = (file: string): Calls => (tried.push(file), calls);
    openLibrary(dialect({ open, permitted: (file) => file.includes("/fast/") }));
    expect(tried[0]).toContain("/fast/");
  });

  test("a library of another ABI version is refused with what to do", () => {
    const other = { ...calls, kevent_abi_version: () => 99 };
    expect(() => openLibrary(dialect({ open: () => other }))).toThrow(
      /its ABI version is 99, this code needs 1 \(rebuild it .* or reinstall the package\)/,
    );
  });

  test("a library with records of another size is refused", () => {
    const answer = new TextEncoder().encode(JSON.stringify({ sizes: [48, 40, 8, 64] }));
    const kevent_info = (_fd: number, bytes: Uint8Array): number => {
      bytes.set(answer);
      return answer.length;
    };
    expect(() => openLibrary(dialect({ open: () => ({ ...calls, kevent_info }) }))).toThrow(
      "its sizes are 48 40 8 64, this code needs 40 40 8 64",
    );
  });

  test("other platforms are told that there is no build", () => {
    for (const platform of [{ os: "darwin", arch: "aarch64" }, { os: "linux", arch: "riscv64" }]) {
      expect(() => openLibrary(dialect({ platform }))).toThrow(
        `there is no build for ${platform.os} on ${platform.arch}`,
      );
    }
  });

  test("a relative path is refused, since a grant names an absolute one", () => {
    expect(() => openLibrary(dialect({}), "lib.so")).toThrow("give an absolute one");
  });

  test("KEVENT_BACKEND is obeyed", () => {
    const wanted = process.env["KEVENT_BACKEND"];
    if (wanted === undefined) return;
    expect(["epoll", "io_uring", "simulated"]).toContain(wanted);
  });
});
