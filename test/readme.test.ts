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

/** What a block prints stands in its last comment, if it prints. */
const blocks = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code], index) => ({
  number: index + 1,
  code: code!.replaceAll('"kevent"', JSON.stringify(new URL("adapters/mod.ts", root).href)),
  output: /^console\.log.* \/\/ (.*)$/m.exec(code!)?.[1],
}));

test("the README has examples", () => expect(blocks.length).toBeGreaterThanOrEqual(5));

test.for(blocks)("example $number of the README runs", (block, context) => {
  gate(context, "simulated", "examples deal with the real world");
  const folder = mkdtempSync(join(tmpdir(), "kevent-readme-"));
  try {
    const file = join(folder, "main.ts");
    writeFileSync(file, block.code);
    const args = isDeno ? ["run", "-A", "--no-check", file] : [file];
    const env = { ...process.env, NO_COLOR: "1" };
    const options = { cwd: fileURLToPath(root), env, encoding: "utf8", timeout: 10_000 } as const;
    const { status, stdout, stderr } = spawnSync(process.execPath, args, options);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    if (block.output !== undefined) expect(stdout.trim()).toBe(block.output);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
