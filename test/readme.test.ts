import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { isDeno } from "./support/program.ts";
import { gate } from "./support/queue.ts";

const root = new URL("..", import.meta.url);
const readme = readFileSync(new URL("README.md", root), "utf8");

/** The file behind a name that people import. */
function entryOf(name: string): string {
  const { imports } = JSON.parse(readFileSync(new URL("deno.json", root), "utf8"));
  return new URL(imports[name], root).href;
}

/** What a block prints stands in its last comment, if it prints. */
const blocks = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code], index) => ({
  number: index + 1,
  code: code!.replace(/"kevent(\/\w+)*"/g, (name) => JSON.stringify(entryOf(JSON.parse(name)))),
  output: /^console\.log.* \/\/ (.*)$/m.exec(code!)?.[1],
}));

test("the README has examples", () => expect(blocks.length).toBeGreaterThanOrEqual(5));

test.for(blocks)("example $number of the README runs", (block, context) => {
  gate(context, "simulated", "examples deal with the real world");
  const folder = mkdtempSync(join(tmpdir(), "kevent-readme-"));
  try {
    const file = join(folder, "main.ts");
    writeFileSync(file, block.code);
    // The example lies elsewhere; what the sources import is known to the configuration of this folder.
    const config = fileURLToPath(new URL("deno.json", root));
    const args = isDeno ? ["run", "-A", "--no-check", "--config", config, file] : [file];
    const env = { ...process.env, NO_COLOR: "1" };
    const options = { cwd: fileURLToPath(root), env, encoding: "utf8", timeout: 10_000 } as const;
    const { status, stdout, stderr } = spawnSync(process.execPath, args, options);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    if (block.output !== undefined) expect(stdout.trim()).toBe(block.output);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
