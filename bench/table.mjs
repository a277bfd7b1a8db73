// The table of results: as text, and as bench/RESULTS.md with what people wrote below it.

import { existsSync, readFileSync, writeFileSync } from "node:fs";

const head = ["what", "target", "native", "Bun", "Deno", "peer", "ratio", "back-end", "command"];
const marker = "<!-- Below: by hand. -->";
const data_line = /^<!-- data: (.*) -->$/m;

/** One line per thing and back-end, whatever places it was measured in. */
function lines(results) {
  const groups = new Map();
  for (const result of results) {
    const key = `${result.what}|${result.backend ?? ""}`;
    groups.set(key, [...(groups.get(key) ?? []), result]);
  }
  return [...groups.values()].map(lineOf);
}

function lineOf(group) {
  const { what, backend, row } = group[0];
  const targets = new Set(group.map(({ target }) => target).filter(Boolean));
  return [
    what,
    [...targets].join(", "),
    ...["native", "bun", "deno"].map((place) => valueOf(group.find((one) => one.place === place))),
    told(group, (one) => one.peers?.map((peer) => `${peer.name} ${numberOf(one, peer.value)}`)),
    told(group, (one) => one.peers?.map((peer) => ratioOf(one, peer))),
    backend ?? "any",
    `npm run bench -- ${row}`,
  ];
}

/** The same cell of each place, those of several places told apart. */
function told(group, cell) {
  const cells = group.flatMap((one) => {
    const parts = cell(one)?.join(", ");
    return parts ? [group.length > 1 ? `${capital(one.place)}: ${parts}` : parts] : [];
  });
  return cells.join("; ");
}

function valueOf(result) {
  if (result === undefined) return "";
  return `${numberOf(result, result.value)} ${result.unit}${
    result.met === false ? " (missed)" : ""
  }`;
}

function numberOf({ digits = 1 }, value) {
  return value.toFixed(digits);
}

/** How many times better than the peer. */
function ratioOf({ value, more }, peer) {
  if (value === 0 || peer.value === 0) return "-";
  return `${(more ? value / peer.value : peer.value / value).toFixed(2)}`;
}

function capital(word) {
  return word[0].toUpperCase() + word.slice(1);
}

/** For the terminal: without the columns that do not fit there. */
export function printed(results) {
  const shown = [0, 1, 2, 3, 4, 5, 6, 7];
  const rows = [head, ...lines(results)].map((line) => shown.map((column) => line[column]));
  const widths = shown.map((column) => Math.max(...rows.map((row) => row[column].length)));
  return rows
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd())
    .join("\n");
}

/** Writes the file; rows that were not measured this time keep their last numbers. */
export function saved(path, results, machine) {
  const before = existsSync(path) ? readFileSync(path, "utf8") : "";
  const known = JSON.parse(data_line.exec(before)?.[1] ?? "[]");
  const measured = new Set(results.map(({ row }) => row));
  const fresh = results.map((result) => ({ ...result, machine }));
  const all = [...known.filter(({ row }) => !measured.has(row)), ...fresh].sort(byRow);
  const byHand = before.includes(marker) ? before.slice(before.indexOf(marker)) : `${marker}\n`;
  writeFileSync(path, `${textOf(all)}\n${byHand}`);
}

const order = [
  ...["ring", "ctl", "core", "timers", "starvation"],
  ...["readiness", "wake", "idle", "memory", "watch", "library"],
];

function byRow(a, b) {
  return order.indexOf(a.row) - order.indexOf(b.row);
}

function textOf(results) {
  const machines = new Set(results.map(({ machine }) => machine));
  const rows = [head, head.map(() => "---"), ...lines(results)];
  return `# Results

Written by \`npm run bench -- --save\`; the last column prints its line again. Medians of interleaved
rounds; "ratio" says how many times better than the peer, which did the same work in the same run.

${[...machines].map((machine) => `- ${machine}`).join("\n")}

${rows.map((row) => `| ${row.join(" | ")} |`).join("\n")}

<!-- data: ${JSON.stringify(results)} -->
`;
}
