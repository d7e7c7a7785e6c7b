// The integer runtime against ONNX Runtime Web, in Node and (where there is one) Chromium, there against LiteRT.js too, as Markdown:
//   node test/bench/runtime.mjs [--only NAME] [--rounds 31] [--no-browser]      after npm run build, npm ci --prefix test/bench/peers
// One thread, batch 1, float input and codes or numbers out, everything else within the call. Networks have random weights.
import { readFileSync } from "node:fs";
import os from "node:os";
import { parseArgs } from "node:util";
import { bareKernel } from "./bare.mjs";
import { browserMeasure } from "./chromium.mjs";
import { measure } from "./contenders.mjs";
import { folder, makeModels, models } from "./models.mjs";
import { productFiles } from "./products.mjs";
import { clock, controls } from "./rounds.mjs";

const { values: options } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    rounds: { type: "string", default: "31" },
    browser: { type: "boolean", default: true },
  },
  allowNegative: true,
});
/** GOP/s of 128-bit dot products, and of multiplications and additions of floats, that the machine of RESULTS.md can do on one core. */
const ceilings = { int8: 117, f32: 58 };
const size = 512;

async function nodeEngines() {
  const { createSession } = await import("../../dist/runtime.js");
  const { createEngine, prepare, readModel } = await import("../../dist/src/index.js");
  const { default: ort } = await import("./peers/ort-web.mjs");
  const floatProduct = async (n) => {
    const engine = await createEngine(prepare(readModel((await productFiles(n)).float)));
    const feeds = new Map([["a", { dtype: "float32", dims: [n, n], data: new Float32Array(n * n).fill(0.3) }]]);
    return () => void engine.run(feeds);
  };
  return { createSession, ort, floatProduct };
}

async function jobs() {
  const bare = { int8: await bareKernel("int8"), f32: await bareKernel("f32") };
  const common = { bare, rounds: Number(options.rounds) };
  const list = models.map(({ name, dims, operations }) => {
    const file = (suffix) => new Uint8Array(readFileSync(`${folder}${name}${suffix}`));
    const files = { plan: file(".halftone"), int8: file(".int8.onnx"), float: file(".onnx"), tflite: file(".tflite") };
    return { name, kind: "network", dims, operations, files, ...common };
  });
  const name = `product ${size}³`;
  list.push({ name, kind: "products", size, operations: 2 * size ** 3, files: await productFiles(size), ...common });
  return list.filter((job) => job.name.includes(options.only));
}

const digits = (t) => t.toFixed(t < 10 ? 2 : 1);
const ms = (t) => (t === undefined ? "" : `${digits(t.median)} (${digits(t.best)})`);
const ratio = (a, b) => (a && b ? `${(a.median / b.median).toFixed(2)}×` : "");

function row(engine, job, { counted, rounds, rates, times }) {
  const [ours, int8, float] = [times.halftone, times["ort int8"], times["ort float"]];
  const rate = job.operations / ours.median / 1e6;
  const own = times["halftone float"];
  const ownRate = own && job.operations / own.median / 1e6;
  return [
    job.name,
    engine,
    ms(ours),
    ms(int8),
    ms(float),
    ratio(int8, ours),
    ratio(float, ours),
    ms(times["litert int8"]),
    ratio(times["litert int8"], ours),
    rate.toFixed(1),
    (rate / ceilings.int8).toFixed(2),
    ownRate ? `${ownRate.toFixed(1)} (${(ownRate / ceilings.f32).toFixed(2)})` : "",
    `${rates.int8.toFixed(0)} / ${rates.f32.toFixed(0)}`,
    `${counted} of ${rounds}`,
  ];
}

const head = [
  "",
  "engine",
  "Halftone ms",
  "ORT Web int8 ms",
  "ORT Web float ms",
  "× int8",
  "× float",
  "LiteRT.js int8 ms",
  "× LiteRT.js",
  "GOP/s",
  "of 117",
  "float GF/s (of 58)",
  "bare int8 / f32",
  "quiet rounds",
];

await makeModels();
const engines = await nodeEngines();
const rows = [];
for (const job of await jobs()) {
  rows.push(row(`Node ${process.versions.node}`, job, await measure(engines, job)));
  console.error(rows.at(-1).join("  "));
  if (!options.browser) continue;
  const { version, result } = await browserMeasure(job);
  rows.push(row(`Chromium ${version}`, job, result));
  console.error(rows.at(-1).join("  "));
}
const version = (name) => JSON.parse(readFileSync(new URL(`./peers/node_modules/${name}/package.json`, import.meta.url))).version;
const [ort, liteRt] = ["onnxruntime-web", "@litertjs/core"].map(version);
console.log(`${os.cpus()[0].model}, ${os.cpus().length} cores, ${new Date().toISOString().slice(0, 10)}; onnxruntime-web ${ort}, @litertjs/core ${liteRt}, one thread.
Medians (in brackets the best) over the rounds in which the bare kernels reached 80 % of ${controls.int8} GOP/s and ${controls.f32} GF/s (of all rounds, where fewer
than five did); ${clock} in Node, wall clock in Chromium. GOP/s count the direct sums, so Winograd's are larger than what was done.

| ${head.join(" | ")} |
|${" --- |".repeat(head.length)}
${rows.map((cells) => `| ${cells.join(" | ")} |`).join("\n")}`);
