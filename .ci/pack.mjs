// `prepack`: fills dist/ with what the package holds: four libraries, JavaScript, declarations.

import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { must, root } from "./shell.mjs";
import { setup } from "./setup.mjs";

const { zig } = setup();
const dist = join(root, "dist");
rmSync(dist, { recursive: true, force: true });
must(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "test/tsconfig.build.json"]);
must(zig, ["build", "-Doptimize=fast"], { cwd: join(root, "zig") });
cpSync(join(root, "zig/zig-out/fast"), join(dist, "native"), { recursive: true });
