// What every runtime offers, that all compute the same bytes, and how fast they run the same programs, as a Markdown table:
//   npm run matrix [-- --rounds 3] [-- --only NAME]
// Golden hash: of all ranges, plans, QDQ files, outputs and errors of test/runtimes/suite/golden.js, in-line and with 1 and 2 workers.
// Milliseconds: one run, one thread, real numbers to codes: the best of 25 times in each of some rounds in which the runtimes take turns, and
// the median. Exit code 1 if any byte differs.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { layOut } from "../runtimes/lay-out.mjs";
import { runtimes } from "../runtimes/runtimes.mjs";
import { workerd } from "../runtimes/workerd.mjs";
import { folder as models, makeModels } from "./models.mjs";

const { values: options } = parseArgs({ options: { rounds: { type: "string", default: "3" }, only: { type: "string", default: "" } } });
const networks = ["resnet20", "mobilenetv2", "resnet18"];
/** No engine may be slower than half of the best one. */
const mostRatio = 2;

const root = fileURLToPath(new URL("../../", import.meta.url));
await makeModels(networks);
const plans = Object.fromEntries(networks.map((name) => [name, readFileSync(`${models}${name}.halftone`)]));
// The one that threads share.
const laid = await layOut(`${root}build/matrix`, `${root}dist`, { "resnet18.halftone": plans.resnet18 }, plans);
const job = { files: laid.files, plans: [], passes: [0, 1, 2].map((workers) => ({ workers, threads: Math.max(1, workers) })) };
const timing = { files: [], plans: networks, passes: [] };

const all = [...runtimes, workerd].filter(({ name }) => name.includes(options.only));
for (const { name, found, install } of all) if (!found) console.error(`${name} is missing: ${install}`);
const present = all.filter(({ found }) => found);

const hashOf = (value) =>
  createHash("sha256")
    .update(JSON.stringify(value ?? null))
    .digest("hex")
    .slice(0, 12);
const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1];

const problems = [];
/** The answer of a runtime, or nothing where it fails: the others still have theirs. */
const ask = (runtime, what) =>
  runtime.run(laid, what).catch((error) => {
    problems.push(`${runtime.name}: ${error.message}`);
  });

const rows = [];
for (const runtime of present) {
  const answer = await ask(runtime, job);
  if (!answer) continue;
  rows.push({ runtime, ...answer, times: Object.fromEntries(networks.map((name) => [name, []])), codes: {} });
  console.error(`${runtime.name} ${answer.version}: ${answer.passes.map(({ hashes }) => hashOf(hashes)).join(" ")}`);
}
for (let round = 0; round < Number(options.rounds); round++)
  for (const row of rows) {
    const answer = await ask(row.runtime, timing);
    for (const [name, time] of Object.entries(answer?.times ?? {})) {
      row.times[name].push(time);
      row.codes[name] = time.codes;
    }
  }

const expected = rows.find(({ passes }) => passes.length > 0)?.passes[0].hashes;
for (const { runtime, passes, codes } of rows) {
  for (const { workers, hashes } of passes)
    for (const [name, hash] of Object.entries(expected))
      if (hashes[name] !== hash) problems.push(`${runtime.name}, ${workers} workers: '${name}' is ${hashes[name]}, expected ${hash}`);
  for (const name of networks)
    if (hashOf(codes[name]) !== hashOf(rows[0].codes[name])) problems.push(`${runtime.name}: ${name} answers other codes`);
}
const bestOf = (list) => Math.min(...list.map(({ best }) => best));
const fastest = Object.fromEntries(networks.map((name) => [name, Math.min(...rows.map(({ times }) => bestOf(times[name])))]));
const slow = [];
const digits = (ms) => ms.toFixed(ms < 10 ? 2 : 1);
const cell = (row, name) => {
  if (row.times[name].length === 0) return "failed";
  const best = bestOf(row.times[name]);
  const ratio = best / fastest[name];
  if (ratio > mostRatio) slow.push(`${row.runtime.name} ${name}`);
  return `${digits(best)} (${digits(median(row.times[name].map((round) => round.median)))}) ${ratio.toFixed(2)}×`;
};
const head = ["", "version", "SIMD", "shared memory", "pool", "golden hash", "codes", ...networks.map((name) => `${name} int8 ms`)];
console.log(`Load ${loadavg()[0].toFixed(1)}, ${options.rounds} rounds. Milliseconds: best (median), and the best as a multiple of the fastest engine's.

| ${head.join(" | ")} |
|${" --- |".repeat(head.length)}`);
for (const row of rows) {
  const { runtime, version, simd, sharedMemory, workers, passes, codes } = row;
  const golden = [...new Set(passes.map(({ hashes }) => hashOf(hashes)))].join(" ≠ ") || "runs plans only";
  const yes = (flag) => (flag ? "yes" : "no");
  const cells = [
    runtime.name,
    version,
    yes(simd),
    yes(sharedMemory),
    workers,
    golden,
    hashOf(codes),
    ...networks.map((name) => cell(row, name)),
  ];
  console.log(`| ${cells.join(" | ")} |`);
}
for (const problem of problems) console.error(problem);
if (slow.length > 0) console.error(`slower than half of the fastest engine: ${slow.join(", ")}`);
process.exit(problems.length > 0 ? 1 : 0);
