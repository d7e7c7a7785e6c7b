// Float and integer accuracy of every network of the accuracy table: quantize with --test, or a QDQ file and evaluate.
//   HALFTONE_DATA=… node test/bench/accuracy.mjs [name …]        (after npm run build)
// Prints a Markdown table and fails when a bound is missed. The data sets' READMEs give the float counts.
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { networks } from "./networks.mjs";

const data = process.env.HALFTONE_DATA;
if (!data) throw new Error("HALFTONE_DATA is not set: it names the folder with the networks and their data");
const out = new URL("../../out/accuracy/", import.meta.url).pathname;
mkdirSync(out, { recursive: true });

/** What a command prints as JSON, or why it failed. */
function halftone(args) {
  const program = new URL("../../dist/src/cli/main.js", import.meta.url).pathname;
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args, "--json"], { encoding: "utf8", maxBuffer: 1 << 26 });
  return status === 0 ? JSON.parse(stdout) : { failure: stdout + stderr };
}

const wanted = process.argv.slice(2);
const done = new Map();
let missed = 0;
console.log("| network | samples | float | integer | lost | agreement | SQNR dB | seconds | peak MB |");
console.log("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
for (const row of networks(data)) {
  if (wanted.length && !wanted.some((name) => row.name.startsWith(name))) continue;
  const test = row.test
    .split(",")
    .map((part) => `${data}/${part}`)
    .join(",");
  const output = `${out}${row.name.replaceAll(/[/ ]/g, "-")}.${row.qdq ? "onnx" : "halftone"}`;
  const model = `${data}/${row.model ?? row.name}/model.onnx`;
  const quantize = ["quantize", model, "--data", `${data}/${row.data}`, ...row.flags, "-o", output];
  const run = row.qdq ? halftone(quantize) : halftone([...quantize, "--test", test]);
  const evaluation = row.qdq && !run.failure ? halftone(["evaluate", output, "--data", test, ...row.flags, "--against", model]) : run;
  const failure = run.failure ?? evaluation.failure;
  if (failure) {
    missed++;
    console.log(`| ${row.name} | failed: ${failure} |`);
    continue;
  }
  const accuracy = row.qdq ? evaluation : run.accuracy;
  const { seconds, peakBytes } = run;
  done.set(row.name, accuracy);
  const right = (top1) => Math.round((top1 / 100) * accuracy.samples);
  const lost = accuracy.against.top1 - accuracy.top1;
  // "on both together" for the two halves of one test set
  const first = done.get(row.with);
  const agreement = first
    ? (first.agreement * first.samples + accuracy.agreement * accuracy.samples) / (first.samples + accuracy.samples)
    : accuracy.agreement;
  const problems = [
    row.float !== undefined && right(accuracy.against.top1) !== row.float && `float ${right(accuracy.against.top1)} is not ${row.float}`,
    row.lost !== undefined && lost > row.lost + 1e-9 && `lost more than ${row.lost}`,
    row.agreement !== undefined && agreement < row.agreement && `agreement below ${row.agreement}`,
  ].filter(Boolean);
  missed += problems.length;
  const cells = [
    row.name,
    accuracy.samples,
    `${right(accuracy.against.top1)} = ${accuracy.against.top1.toFixed(2)}`,
    `${right(accuracy.top1)} = ${accuracy.top1.toFixed(2)}`,
    lost.toFixed(2),
    `${agreement.toFixed(2)}${row.with ? " (both)" : ""}`,
    accuracy.logitSqnrDb.toFixed(1),
    seconds.toFixed(1),
    Math.round(peakBytes / 1e6),
    ...problems.map((text) => `**${text}**`),
  ];
  console.log(`| ${cells.join(" | ")} |`);
}
process.exitCode = missed ? 1 : 0;
