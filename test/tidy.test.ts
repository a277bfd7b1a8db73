// Rules of the repository that a reader counts on: which way imports go, and who names a runtime.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name));
}

function textOf(file: string): string {
  return readFileSync(join(root, file), "utf8");
}

/** The code without comments, whose examples may import and name anything. */
function codeOf(file: string): string {
  return textOf(file).replace(/\/\*[^]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}

/** Files that a file imports, from the root on; others by their name. */
function importsOf(file: string): string[] {
  const found = codeOf(file).matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g);
  return [...found].map(([, name]) =>
    name!.startsWith(".") ? relative(root, join(root, dirname(file), name!)) : name!
  );
}

/** Folders each folder may import from, besides itself. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  ffi: [],
  loop: ["ffi"],
  adapters: ["loop", "ffi"],
};

describe("tidy", () => {
  for (const [folder, allowed] of Object.entries(ALLOWED)) {
    test(`${folder}/ imports only from itself${allowed.map((name) => `, ${name}/`).join("")}`, () => {
      const wrong = sources(folder).flatMap((file) =>
        importsOf(file)
          .filter((name) => name.includes("/") && !name.startsWith("node:"))
          .filter((name) => ![folder, ...allowed].includes(name.split("/")[0]!))
          .map((name) => `${file} imports ${name}`)
      );
      expect(wrong).toEqual([]);
    });
  }

  test("only adapters/, ffi/deno.ts and ffi/bun.ts name a runtime", () => {
    const named = /\b(Deno|Bun)\b|bun:|"node:/;
    const wrong = [...sources("ffi"), ...sources("loop")]
      .filter((file) => !["ffi/deno.ts", "ffi/bun.ts"].includes(file))
      .filter((file) => named.test(codeOf(file)));
    expect(wrong).toEqual([]);
  });

  test("no callbacks from native code, no pointers, no big integers", () => {
    const banned = /UnsafeCallback|UnsafePointer|JSCallback|CFunction|BigInt|\b\d+n\b/;
    const files = [...sources("ffi"), ...sources("loop"), ...sources("adapters")];
    expect(files.filter((file) => banned.test(codeOf(file)))).toEqual([]);
  });

  test("no number of the binary interface is typed by hand", () => {
    const printed = new Set(
      [...textOf("ffi/abi.ts").matchAll(/export const (\w+) =/g)].map(([, name]) => name!),
    );
    const files = [...sources("ffi"), ...sources("loop")].filter((file) => file !== "ffi/abi.ts");
    const typed = files.flatMap((file) =>
      [...codeOf(file).matchAll(/const (KEVENT_\w+|RECORD_\w+|RING_\w+) =/g)]
        .map(([, name]) => name!)
        .filter((name) => printed.has(name))
        .map((name) => `${file}: ${name}`)
    );
    expect(typed).toEqual([]);
  });

  test("every public file of loop/ is exported by its face", () => {
    const face = importsOf("loop/mod.ts");
    const inner = ["loop/mod.ts", "loop/host.ts"];
    const missing = sources("loop").filter((file) => !inner.includes(file) && !face.includes(file));
    expect(missing).toEqual([]);
  });
});
