// Which choices of learned rounding matter: every arm of ablation.arms.mjs against the default row, the same seeds, one CSV line a run
// and a table of paired differences (agreement with the float network, in points).
//   HALFTONE_DATA=… node test/bench/ablation.mjs [--settings 4/8,4/4] [--seeds 8] [--iterations 1000] [--arms 'relaxation|loss'] [--csv FILE]
//     [--network cifar10/resnet20] [--limit 2000] [--method qdrop] [--rate 3e-3] [--workers 2]                                                    (after npm run build)
import { appendFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { ablate, arms, nameOf } from "./ablation.arms.mjs";
import { openNetwork } from "./networks.mjs";

const from = (path) => import(new URL(`../../dist/src/${path}`, import.meta.url));
const { quantize, lower, writePlan, evaluate, createExecutor } = await from("index.js");
const { openData, readPreprocessing } = await from("cli/data-flags.js");

const { values } = parseArgs({
  options: {
    network: { type: "string", default: "cifar10/resnet20" },
    settings: { type: "string", default: "4/8,4/4" },
    seeds: { type: "string", default: "8" },
    iterations: { type: "string", default: "1000" },
    rate: { type: "string", default: "3e-3" },
    method: { type: "string", default: "qdrop" },
    samples: { type: "string", default: "1024" },
    limit: { type: "string", default: "2000" },
    arms: { type: "string", default: "" },
    csv: { type: "string", default: "" },
    workers: { type: "string", default: "2" },
  },
});
const network = await openNetwork(process.env.HALFTONE_DATA, values.network, { openData, readPreprocessing });
const { model, preprocessing, dataset: whole } = network;
const judged = network.tests.at(-1);
const count = Number(values.samples);
const dataset = { name: whole.name, labelled: false, length: whole.length, read: (a, b) => whole.read(a, b) };
const executor = await createExecutor({ workers: Number(values.workers) });
const chosen = arms.filter((arm) => new RegExp(values.arms).test(nameOf(arm)));
const columns = [
  "setting",
  "arm",
  "seed",
  "agreement",
  "top1",
  "logitsDb",
  "lossBefore",
  "lossAfter",
  "moved",
  "undecided",
  "seconds",
  "peakMb",
];
if (values.csv) writeFileSync(values.csv, `${columns.join(",")}\n`);

/** One run: learned, lowered, and judged as an integer program. */
const runner =
  (weights, activations) =>
  async ({ learning, data, seed }) => {
    const started = performance.now();
    const options = { method: values.method, weights, activations, samples: count, ...data, seed, learning };
    const quantized = await quantize({ model, name: values.network, dataset, preprocessing }, options, { executor });
    const plan = await writePlan(lower(quantized));
    const { agreement, top1, logitSqnrDb } = await evaluate(plan, judged, {
      against: model,
      preprocessing,
      limit: Number(values.limit),
      executor,
    });
    const { parts } = quantized.provenance;
    const sum = (key) => parts.reduce((total, part) => total + part[key], 0);
    const elements = sum("elements");
    return {
      metric: agreement,
      agreement,
      top1,
      logitsDb: logitSqnrDb,
      lossBefore: sum("lossBefore"),
      lossAfter: sum("lossAfter"),
      moved: sum("moved") / elements,
      undecided: sum("undecided") / elements,
      seconds: (performance.now() - started) / 1000,
      peakMb: process.resourceUsage().maxRSS / 1024,
    };
  };

for (const setting of values.settings.split(",")) {
  const [weights, activations] = setting.split("/").map(Number);
  const results = await ablate({
    run: runner(weights, activations),
    defaults: { iterations: Number(values.iterations), rate: Number(values.rate) },
    chosen,
    seeds: Number(values.seeds),
    onRow(row) {
      if (values.csv) appendFileSync(values.csv, `${columns.map((key) => (key === "setting" ? setting : row[key])).join(",")}\n`);
    },
  });
  console.log(`\n${values.network} ${setting}, ${values.method}, ${values.iterations} steps, ${values.seeds} seeds; points of agreement\n`);
  console.log("| arm | rate | difference | 95 % | p | p (Holm) | |\n|---|--:|--:|---|--:|--:|---|");
  for (const { name, rate, mean, interval, p, adjusted, verdict } of results) {
    const range = interval.map((x) => x.toFixed(2)).join(" … ");
    console.log(
      `| ${name} | ${rate.toPrecision(2)} | ${mean.toFixed(2)} | ${range} | ${p.toFixed(3)} | ${adjusted.toFixed(3)} | ${verdict} |`,
    );
  }
}
await executor.close();
