// `npm run bench`: bench/run.mjs on the fast build. Arguments are explained there.

import process from "node:process";
import { bench } from "../bench/run.mjs";
import { setup } from "./setup.mjs";

process.exitCode = await bench(setup(), process.argv.slice(2)) ? 0 : 1;
