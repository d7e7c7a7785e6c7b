// Process start to first result, and memory after it, in processes of their own that take turns:
//   node test/bench/start.mjs [--rounds 9]       after npm run build, npm ci --prefix test/bench/peers
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import { folder, makeModels } from "./models.mjs";

const { values: options } = parseArgs({ options: { rounds: { type: "string", default: "9" } } });
const script = (name) => new URL(`./start/${name}.mjs`, import.meta.url).pathname;
const MB = (bytes) => (bytes / 2 ** 20).toFixed(1);
const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1];

const contenders = [
  { name: "resnet20, Node alone", script: "bare", file: "resnet20.halftone" },
  { name: "resnet20, Halftone", script: "halftone", file: "resnet20.halftone" },
  { name: "resnet20, ORT Web int8", script: "ort-web", file: "resnet20.int8.onnx", size: 32 },
  { name: "mobilenetv2, Node alone", script: "bare", file: "mobilenetv2.halftone" },
  { name: "mobilenetv2, Halftone", script: "halftone", file: "mobilenetv2.halftone" },
  { name: "mobilenetv2, ORT Web int8", script: "ort-web", file: "mobilenetv2.int8.onnx", size: 224 },
];

await makeModels();
const results = contenders.map(() => []);
for (let round = 0; round < Number(options.rounds); round++) {
  for (const [i, { script: name, file, size }] of contenders.entries()) {
    const output = execFileSync(process.execPath, ["--expose-gc", script(name), `${folder}${file}`, `${size}`], { encoding: "utf8" });
    results[i].push(JSON.parse(output));
  }
}
console.log("|  | CPU ms to the first result, median | clock ms, best (median) | MB resident | MB linear |");
console.log("| --- | --- | --- | --- | --- |");
for (const [i, { name }] of contenders.entries()) {
  const of = (key) => results[i].map((r) => r[key]);
  const clock = `${Math.min(...of("first")).toFixed(0)} (${median(of("first")).toFixed(0)})`;
  const linear = of("linear")[0] ? MB(of("linear")[0]) : "";
  console.log(`| ${name} | ${median(of("cpu")).toFixed(0)} | ${clock} | ${MB(median(of("rss")))} | ${linear} |`);
  const { bytes } = results[i][0];
  if (bytes)
    console.error(
      `${name}: ${Object.entries(bytes)
        .map(([key, n]) => `${key} ${MB(n)}`)
        .join(", ")} MB`,
    );
}
