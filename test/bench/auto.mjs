// What `--method auto` reaches, in the two tables of RESULTS.md. After npm run build:
//   HALFTONE_DATA=… node test/bench/auto.mjs [NETWORK W/A …] [--budget 10m] [--seeds 0,1,2] [--workers 2] [--results out/auto.jsonl]
//     [--method qdrop --iterations 500 [--rate 3e-3]]: another row of the table of methods
// Each row is written down when it is done, and not made again: a killed run goes on where it stopped. `--print` only prints
// the tables: of each setting the rows of the longest budget.
// W/A: weights/activations in bits; "f": float activations, the quantized weights measured in the float engine; "4/8t": a scale a tensor.
import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { openData, readPreprocessing } from "../../dist/src/cli/data-flags.js";
import { parseDuration } from "../../dist/src/cli/terminal.js";
import { createExecutor, evaluate, hardenedGraph, lower, quantize, writeModel, writePlan } from "../../dist/src/index.js";
import { accuracyOn, openNetwork } from "./networks.mjs";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    budget: { type: "string", default: "10m" },
    seeds: { type: "string", default: "0" },
    workers: { type: "string", default: "2" },
    method: { type: "string", default: "auto" },
    iterations: { type: "string" },
    rate: { type: "string" },
    results: { type: "string", default: "out/auto.jsonl" },
    print: { type: "boolean", default: false },
  },
});
const data = process.env.HALFTONE_DATA;
if (!data && !flags.print) throw new Error("HALFTONE_DATA is not set: it names the folder with the networks and their data");

/** Of each network and setting: cifar10 least agreement and top-1; the others most points of top-1 lost, where something is asked. */
const settings = {
  "cifar10/resnet20": {
    ...{ "2/2": [78.5, 82.0], "2/4": [88.0, 89.0], "4/4": [93.0, 90.8], "3/3": [88.0, 89.3], "2/f": [90.5, 90.0] },
    ...{ "3/f": [94.5, 90.8], "4/8": [97.0, 91.2], "4/f": [97.5, 91.2], "8/8": [99.0, 91.4] },
  },
  "fashion/resnet20": { "2/2": [3.0], "4/4": [0.3], "2/4": [0.8], "3/3": [0.7], "2/8": [0.5], "4/8t": [0.3] },
  "fashion/mobilenetv2": { "2/2": [9.0], "4/4": [0.5], "2/4": [1.8], "3/3": [1.5], "2/8": [1.2], "4/8t": [1.5] },
  "fashion/vit": { "4/f": [] },
  "kws/dscnn": { "4/8": [], "4/4": [] },
  "imagenet/mobilenetv2": { "4/8": [], "4/4": [] },
};

const number = (text) => (text === undefined ? undefined : Number(text));
const isAuto = flags.method === "auto";
const learning = isAuto ? { budget: parseDuration(flags.budget) } : { iterations: number(flags.iterations), rate: number(flags.rate) };
/** What a row's result grows with. */
const effort = isAuto ? flags.budget : [flags.iterations, flags.rate].filter(Boolean).join(" steps at ");
const read = () =>
  existsSync(flags.results)
    ? readFileSync(flags.results, "utf8")
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line))
    : [];
/** The first 1,024 samples: what the other methods' tables are calibrated on. */
function calibration(whole) {
  return { name: whole.name, length: Math.min(1024, whole.length), labelled: false, read: (start, end) => whole.read(start, end) };
}

async function measure(name, setting, seed, executor) {
  const network = await openNetwork(data, name, { openData, readPreprocessing });
  const { model, preprocessing } = network;
  const [, weights, activations, tensor] = /^(\d)\/(\d|f)(t?)$/.exec(setting);
  const float = activations === "f";
  const [begun, used] = [performance.now(), process.cpuUsage()];
  const options = {
    method: flags.method,
    learning,
    weights: Number(weights),
    activations: float ? 8 : Number(activations),
    floatActivations: float,
    granularity: tensor ? "tensor" : "channel",
    samples: 1024,
    seed,
  };
  const dataset = calibration(network.dataset);
  const quantized = await quantize({ model, name, dataset, preprocessing }, options, { executor });
  const { user, system } = process.cpuUsage(used);
  const seconds = Math.round((performance.now() - begun) / 1000);
  const candidate = float ? writeModel(hardenedGraph(quantized)) : await writePlan(lower(quantized));
  const { agreement, top1, float: own } = await accuracyOn(network, candidate, evaluate, { executor });
  const row = { network: name, setting, seed, method: flags.method, budget: effort };
  return { ...row, agreement, top1, float: own, seconds, cpu: Math.round((user + system) / 1e6) };
}

const wanted = (name, setting) =>
  positionals.length === 0 ||
  ((positionals.includes(name) || !positionals.some((p) => settings[p])) &&
    (positionals.includes(setting) || !positionals.some((p) => !settings[p])));
const same = (row, name, setting, seed) =>
  row.network === name && row.setting === setting && row.seed === seed && row.method === flags.method && row.budget === effort;

if (!flags.print) {
  mkdirSync(dirname(flags.results), { recursive: true });
  const executor = await createExecutor({ workers: Number(flags.workers) });
  for (const seed of flags.seeds.split(",").map(Number)) {
    for (const [name, aims] of Object.entries(settings)) {
      for (const setting of Object.keys(aims)) {
        if (!wanted(name, setting) || read().some((row) => same(row, name, setting, seed))) continue;
        const row = await measure(name, setting, seed, executor);
        console.log(JSON.stringify(row));
        appendFileSync(flags.results, `${JSON.stringify(row)}\n`);
      }
    }
  }
  await executor.close();
}

const rows = read().filter((row) => row.method === flags.method);
const mean = (list) => list.reduce((sum, x) => sum + x, 0) / list.length;
for (const [name, aims] of Object.entries(settings)) {
  const loses = !name.startsWith("cifar10");
  console.log(`\n${name}\n`);
  console.log(
    loses
      ? "| W/A | float | top-1 | lost | at most | agreement | budget | processor seconds | seeds |"
      : "| W/A | agreement | at least | top-1 | at least | budget | processor seconds | seeds |",
  );
  console.log(
    loses ? "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |" : "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
  );
  for (const [setting, aim] of Object.entries(aims)) {
    const all = rows.filter((row) => row.network === name && row.setting === setting);
    if (all.length === 0) continue;
    const longest = isAuto ? all.reduce((a, b) => (parseDuration(b.budget) > parseDuration(a.budget) ? b : a)).budget : effort;
    const own = all.filter(({ budget }) => budget === longest);
    const [agreement, top1, float] = ["agreement", "top1", "float"].map((key) => mean(own.map((row) => row[key])));
    const cells = loses
      ? [float.toFixed(2), top1.toFixed(2), (float - top1).toFixed(2), aim[0] ?? "", agreement.toFixed(2)]
      : [agreement.toFixed(2), aim[0], top1.toFixed(2), aim[1]];
    const cpu = Math.round(mean(own.map((row) => row.cpu)));
    console.log(`| ${[setting, ...cells, longest, cpu, own.length].join(" | ")} |`);
  }
}
