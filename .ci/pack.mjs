// `prepack`: fills dist/ with what the package holds: four libraries, JavaScript, declarations.

import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, posix } from "node:path";
import process from "node:process";
import { fail, must, root } from "./shell.mjs";
import { setup } from "./setup.mjs";

const { zig } = setup();
const dist = join(root, "dist");
rmSync(dist, { recursive: true, force: true });
must(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "test/tsconfig.build.json"]);
nameInExamples();
must(zig, ["build", "-Doptimize=fast"], { cwd: join(root, "zig") });
cpSync(join(root, "zig/zig-out/fast"), join(dist, "native"), { recursive: true });

/**
 * Examples in comments import by path, because they run in the repository as well. Who reads them in
 * the package needs the names.
 */
function nameInExamples() {
  const names = publicNames();
  for (const file of readdirSync(dist, { recursive: true })) {
    if (!/\.(js|d\.ts)$/.test(file)) continue;
    const before = readFileSync(join(dist, file), "utf8");
    const after = before.replace(
      /^(\s*\* .*\bfrom )"(\.[^"]*\.ts)"/gm,
      (_line, start, path) => `${start}"${nameOf(posix.join(posix.dirname(file), path), file)}"`,
    );
    if (after !== before) writeFileSync(join(dist, file), after);
  }

  function nameOf(path, file) {
    return names.get(path) ??
      fail(`dist/${file} has an example that imports ${path}, which the package does not export`);
  }
}

/** Names that users import, by the source files behind them. */
function publicNames() {
  const { name, exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  return new Map(
    Object.entries(exports).map(([key, { default: path }]) => [
      path.replace("./dist/", "").replace(/\.js$/, ".ts"),
      posix.join(name, key),
    ]),
  );
}
