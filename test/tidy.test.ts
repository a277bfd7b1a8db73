// Rules of the repository that a reader counts on: which way imports go, who names a runtime, that
// nothing is dead or typed twice, and that each row of the checklist has its test.
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { version } from "../adapters/mod.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/** What git ignores, and git itself. */
const IGNORED = /^(\.git|node_modules|dist|\.zig|\.zig-cache|zig-out|zig-pkg|.*\.(tgz|log))$/;

function walk(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter((entry) => !IGNORED.test(entry.name))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? walk(path) : [path];
    });
}

/** Every file of the repository, by its path from the root. */
const all = walk("");

function sources(folder: string, ending = ".ts"): string[] {
  return all.filter((file) => file.startsWith(`${folder}/`) && file.endsWith(ending));
}

const texts = new Map<string, string>();

function textOf(file: string): string {
  const text = texts.get(file) ?? readFileSync(join(root, file), "utf8");
  texts.set(file, text);
  return text;
}

/** The code without comments, whose examples may import and name anything. */
function codeOf(file: string): string {
  return textOf(file).replace(/\/\*[^]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}

/** Files that a file imports, from the root on; others by their name. */
function importsOf(file: string): string[] {
  const zig = file.endsWith(".zig");
  const found = codeOf(file).matchAll(
    zig ? /@import\("([^"]+\.zig)"\)/g : /(?:from|import)\s*\(?\s*"([^"]+)"/g,
  );
  return [...found].map(([, name]) =>
    zig || name!.startsWith(".") ? relative(root, join(root, dirname(file), name!)) : name!
  );
}

/** All files that are reached from these by imports. */
function reachedFrom(start: readonly string[]): Set<string> {
  const reached = new Set<string>();
  const visit = (file: string): void => {
    if (reached.has(file) || !all.includes(file)) return;
    reached.add(file);
    importsOf(file).forEach(visit);
  };
  start.forEach(visit);
  return reached;
}

/** Folders each folder may import from, besides itself. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  ffi: [],
  loop: ["ffi"],
  adapters: ["loop", "ffi"],
};

describe("layers", () => {
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

  test("every public file of loop/ is exported by its face", () => {
    const face = importsOf("loop/mod.ts");
    const inner = [
      ...["mod", "host", "attachment", "kernel_timer", "path", "forest", "ignore"],
      ...["immediates", "slab", "slots", "timers"],
      // What a loop is made of.
      ...["attendance", "changes", "drive", "phases", "ref_count", "round", "turns"],
    ].map((name) => `loop/${name}.ts`);
    const missing = sources("loop").filter((file) => !inner.includes(file) && !face.includes(file));
    expect(missing).toEqual([]);
  });
});

/** Parts that a queue is made of: they know each other and the system, not the queue. */
const PARTS = [
  ...["abi", "errors", "identity", "kevent", "list", "names", "pool", "ring", "sockets"],
  ...["storage", "sync", "wheel"],
].map((name) => `zig/${name}.zig`);

/** What files of zig/ may import, by the first pattern that matches; tests may import anything. */
const ZIG_ALLOWED: readonly (readonly [RegExp, (name: string) => boolean])[] = [
  [/_test\.zig$/, () => true],
  [/^zig\/sys\//, (name) => name.startsWith("zig/sys/") || name === "zig/errors.zig"],
  [
    new RegExp(`^(${PARTS.join("|")})$`),
    (name) => PARTS.includes(name) || name.startsWith("zig/sys/"),
  ],
  [/^zig\/inotify\//, (name) => PARTS.includes(name) || /^zig\/(inotify|sys)\//.test(name)],
  [/^zig\/source\//, (name) => !/^zig\/(backend\/|exports|registry|wait|wake)/.test(name)],
  [
    /^zig\/backend\//,
    (name) => !/^zig\/(inotify\/|source\/|exports|registry|wait|wake)/.test(name),
  ],
  [/^zig\/(queue|source|backend|wait|wake|registry|info|helper|lookahead)\.zig$/, (name) => {
    return name !== "zig/exports.zig";
  }],
];

describe("layers of zig/", () => {
  const edges = sources("zig", ".zig").flatMap((file) =>
    importsOf(file).map((name) => [file, name] as const)
  );

  test("imports go from calls to the queue, its parts, and the system", () => {
    const wrong = edges.filter(([file, name]) =>
      ZIG_ALLOWED.find(([pattern]) => pattern.test(file))?.[1](name) === false
    );
    expect(wrong).toEqual([]);
  });

  test("a source is known to the table of sources, a back-end to the choice of back-ends", () => {
    const outside = edges.filter(([file, name]) =>
      /^zig\/(source|backend)\/[a-z]+\.zig$/.test(name) && !file.startsWith(dirname(name)) &&
      !/_(test|fuzz)\.zig$|^zig\/tests\.zig$/.test(file)
    );
    // Hubs are left when a queue ends; timers and user events are moved by the queue itself; a path
    // and the steering of a simulation come by calls of their own.
    const known = [
      ...["inode", "signal", "timer", "user"].map((name) => `zig/queue.zig zig/source/${name}.zig`),
      "zig/exports.zig zig/source/inode.zig",
      "zig/exports.zig zig/backend/simulated.zig",
    ];
    const wrong = outside
      .filter(([file]) => file !== "zig/source.zig" && file !== "zig/backend.zig")
      .map((edge) => edge.join(" "))
      .filter((edge) => !known.includes(edge));
    expect(wrong).toEqual([]);
  });

  test("only sys/ makes system calls", () => {
    const calls = /\bstd\.os\.linux\b|\bstd\.posix\b|\bstd\.c\b|\bextern "c"/;
    const wrong = [...reachedFrom(["zig/exports.zig"])]
      .filter((file) => !file.startsWith("zig/sys/") && calls.test(codeOf(file)));
    expect(wrong).toEqual([]);
  });

  test("zig/tests.zig names every file with tests", () => {
    const named = importsOf("zig/tests.zig");
    const wrong = sources("zig", ".zig").filter((file) =>
      /^test /m.test(textOf(file)) && file !== "zig/tests.zig" && !named.includes(file)
    );
    expect(wrong).toEqual([]);
  });
});

describe("nothing twice", () => {
  test("no number of the binary interface is typed by hand", () => {
    const printed = new Set(
      [...textOf("ffi/abi.ts").matchAll(/export const (\w+) =/g)].map(([, name]) => name!),
    );
    const files = all.filter((file) => /\.(ts|mjs)$/.test(file) && file !== "ffi/abi.ts");
    const typed = files.flatMap((file) =>
      [...codeOf(file).matchAll(/const ([A-Z][A-Z0-9_]+)(?:: number)? = [\d(-]/g)]
        .map(([, name]) => name!)
        .filter((name) => printed.has(name))
        .map((name) => `${file}: ${name}`)
    );
    expect(typed).toEqual([]);
  });

  test("the version is that of the package", () => {
    expect(version).toBe(JSON.parse(textOf("package.json")).version);
  });
});

describe("nothing dead", () => {
  test("the top level holds what it should", () => {
    const visible = all.map((file) => file.split("/")[0]!).filter((name) => !name.startsWith("."));
    const known = [
      ...["adapters", "bench", "docs", "examples", "ffi", "loop", "test", "zig"],
      ...["LICENSE", "README.md", "deno.json", "package-lock.json", "package.json"],
    ];
    expect([...new Set(visible)].filter((name) => !known.includes(name))).toEqual([]);
  });

  test("every file of the library is reached from an entry point", () => {
    const entries = Object.values<string>(JSON.parse(textOf("deno.json")).exports);
    const reached = reachedFrom(entries.map((path) => path.replace("./", "")));
    const files = [...sources("ffi"), ...sources("loop"), ...sources("adapters")];
    expect(files.filter((file) => !reached.has(file))).toEqual([]);
  });

  test("every file of zig/ is reached from a step of the build", () => {
    const build = textOf("zig/build.zig");
    const steps = [
      ...[...build.matchAll(/"(\w+\.zig)"/g)].map(([, name]) => name!),
      ...[...build.matchAll(/addProgram\(b, "(\w+)"/g)].map(([, name]) => `${name}.zig`),
    ];
    const reached = reachedFrom(steps.map((name) => `zig/${name}`));
    const files = sources("zig", ".zig").filter((file) => file !== "zig/build.zig");
    expect(files.filter((file) => !reached.has(file))).toEqual([]);
  });

  test("every other program is started or imported by something", () => {
    const files = all.filter((file) =>
      /^(test|examples|bench|\.ci)\/.*\.(ts|mjs|c|h|py|zig)$/.test(file) &&
      !/\.(test|bench)\.ts$|vitest\.config/.test(file)
    );
    const texts = all.filter((file) => !/lock|abi\.ts$/.test(file)).map(textOf).join("\n");
    // Named in full, or without its ending in quotes, as fixtures and examples are.
    const wrong = files.filter((file) => {
      const name = basename(file);
      const stem = name.replace(/\.\w+$/, "");
      return !texts.includes(`/${name}`) && !texts.includes(`"${name}"`) &&
        !new RegExp(`["'/]${stem}["']`).test(texts);
    });
    expect(wrong).toEqual([]);
  });

  test("zig declares nothing for nobody", () => {
    const wrong = sources("zig", ".zig").flatMap((file) =>
      [...codeOf(file).matchAll(/^const (\w+) = .*$/gm)]
        .filter(([line, name]) =>
          !new RegExp(`\\b${name}\\b`).test(codeOf(file).replace(line, "").replace(/\/\/.*$/gm, ""))
        )
        .map(([, name]) => `${file}: ${name}`)
    );
    expect(wrong).toEqual([]);
  });
});

describe("documents", () => {
  const files = [...sources("ffi"), ...sources("loop"), ...sources("adapters")];

  test("everything that is exported says what it is", () => {
    const start = /^export (?:abstract |async )?(?:class|function|const|interface|type) (\w+)/;
    const wrong = files.flatMap((file) => {
      const lines = textOf(file).split("\n");
      return lines.flatMap((line, number) => {
        const name = start.exec(line)?.[1];
        // Offsets in abi.ts are named after the fields that zig/abi.zig describes.
        if (name === undefined || (file === "ffi/abi.ts" && !/^KEVENT/.test(name))) return [];
        return lines[number - 1]!.endsWith("*/") ? [] : [`${file}: ${name}`];
      });
    });
    expect(wrong).toEqual([]);
  });

  test("every handle has an example", () => {
    const handles = sources("loop").filter((file) =>
      /^export class .* (Handle|PhaseHandle|Watcher|User)\b/m.test(textOf(file))
    );
    expect(handles.length).toBeGreaterThan(6);
    expect(handles.filter((file) => !textOf(file).includes("@example"))).toEqual([]);
  });

  test("files that are named in comments and pages are there", () => {
    // Sources of 2006 that are told of, and names of a user's own files.
    const known = /^(ring_buffer\.c|main\.ts)$/;
    const wrong = all.filter((file) => /\.(ts|mjs|zig|md)$/.test(file)).flatMap((file) =>
      [...textOf(file).matchAll(/`([\w./-]+\.(?:ts|mjs|zig|md))`/g)]
        .map(([, name]) => basename(name!))
        .filter((name) => !known.test(name) && !all.some((other) => basename(other) === name))
        .map((name) => `${file}: ${name}`)
    );
    expect(wrong).toEqual([]);
  });
});

/** The most lines of a function: what fits a screen. */
const LINES_MAX = 70;

describe("text", () => {
  test(`no function has more than ${LINES_MAX} lines`, () => {
    const files = all.filter((file) => /\.(ts|mjs|zig)$/.test(file) && file !== "ffi/abi.ts");
    // What has no keyword is a method if a body opens behind it.
    const start =
      /^( *)(?:pub |export |inline |noinline |static |async |override |protected |get )*(?:(?:fn|function) (\w+)\(.*|(#?\w+)\(.*\)(?:: .*)? \{)$/;
    const wrong = files.flatMap((file) => {
      const lines = textOf(file).split("\n");
      return lines.flatMap((line, first) => {
        const [, indent] = start.exec(line) ?? [];
        if (indent === undefined || line.endsWith("}")) return [];
        const length = lines.slice(first).findIndex((later) =>
          [`${indent}}`, `${indent}},`].includes(later)
        );
        return length >= LINES_MAX ? [`${file}:${first + 1}: ${line.trim()}`] : [];
      });
    });
    expect(wrong).toEqual([]);
  });

  test("no addresses of registries, no paths of one machine, nothing left to do", () => {
    const banned = [
      /registry\.[a-z]+\.[a-z]/,
      /pypi\.|\bnpm\.pkg\b/,
      /(?<![\w.])\/(work|home|root|Users)\//,
      /\b(TODO|FIXME|XXX|HACK)\b/,
      /\b(this|last|next|earlier) session\b/i,
    ];
    const wrong = all
      .filter((file) => file !== "test/tidy.test.ts")
      .flatMap((file) =>
        banned.filter((one) => one.test(textOf(file))).map((one) => `${file}: ${one}`)
      );
    expect(wrong).toEqual([]);
  });
});

/** Rows of each source document; see README.md for what is not built yet. */
const ROWS = { S0: 29, S1: 8, S2: 84, S3: 13, S4: 34 } as const;

/** Network AIO is not part of this version. */
const LATER: Readonly<Record<string, readonly (readonly [number, number])[]>> = {
  S0: [[5, 7], [20, 27]],
  S1: [[7, 7]],
  S2: [[50, 53]],
  S4: [[26, 34]],
};

describe("rows", () => {
  const files = [...sources("test"), ...sources("zig", ".zig")];
  // Names of tests begin with the rows they are for.
  const names = files.flatMap((file) => codeOf(file).match(/["`](S[0-4]-\d+ )+/g) ?? []);
  const covered = new Set(names.flatMap((name) => name.match(/S\d-\d+/g) ?? []));
  // A row that is a benchmark; `npm test` runs all of them, tiny.
  if (textOf("bench/readiness.mjs").includes("S1-6")) covered.add("S1-6");

  test.each(Object.entries(ROWS))(
    "every row of %s has a test named after it",
    (document, count) => {
      const later = LATER[document] ?? [];
      const missing = Array.from({ length: count }, (_, index) => index + 1)
        .filter((row) => !later.some(([first, last]) => row >= first && row <= last))
        .map((row) => `${document}-${row}`)
        .filter((row) => !covered.has(row));
      expect(missing).toEqual([]);
    },
  );
});
