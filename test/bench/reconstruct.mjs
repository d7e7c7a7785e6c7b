// Learned rounding on real networks, each row in this process: agreement with the float network, top-1, loss and time.
//   HALFTONE_DATA=… node test/bench/reconstruct.mjs METHOD WEIGHTS/ACTIVATIONS [--network cifar10/resnet20] [--iterations 500] [--rate 1e-3]
//     [--seed 1005] [--samples 1024] [--scale-rate 4e-5] [--scope block] [--limit 2000]
// ACTIVATIONS "f" leaves activations in float: the hardened codes are then measured in the float engine.
import { parseArgs } from "node:util";
import { accuracyOn, openNetwork } from "./networks.mjs";
import "./typescript.mjs";

const from = (path) => import(new URL(`../../src/${path}`, import.meta.url));
const { quantize } = await from("quantize.ts");
const { lower } = await from("lower/lower.ts");
const { writePlan } = await from("plan/writer.ts");
const { writeModel } = await from("onnx/write.ts");
const { hardenedGraph } = await from("onnx/hardened.ts");
const { evaluate } = await from("evaluate.ts");
const { openData, readPreprocessing } = await from("cli/data-flags.ts");

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    network: { type: "string", default: "cifar10/resnet20" },
    iterations: { type: "string" },
    rate: { type: "string" },
    seed: { type: "string", default: "1005" },
    samples: { type: "string", default: "1024" },
    "scale-rate": { type: "string" },
    scope: { type: "string" },
    limit: { type: "string" },
  },
});
const [name, bits] = positionals;
const [weights, activations] = bits.split("/");
const float = activations === "f";

const number = (text) => (text === undefined ? undefined : Number(text));
const learning = {
  iterations: number(values.iterations),
  rate: number(values.rate),
  scaleRate: number(values["scale-rate"]),
  scope: values.scope,
};

const network = await openNetwork(process.env.HALFTONE_DATA, values.network, { openData, readPreprocessing });
const { model, preprocessing, dataset: whole } = network;
const count = Math.min(Number(values.samples), whole.length);
const dataset = { ...whole, name: whole.name, labelled: whole.labelled, length: count, read: (a, b) => whole.read(a, b) };
const cpu = process.cpuUsage();
let last = performance.now();
const seconds = () => {
  const now = performance.now();
  const passed = (now - last) / 1000;
  last = now;
  return `${passed.toFixed(1)} s`;
};
const quantized = await quantize(
  { model, name, dataset, preprocessing },
  {
    method: name,
    learning: Object.fromEntries(Object.entries(learning).filter(([, value]) => value !== undefined)),
    weights: Number(weights),
    activations: float ? 8 : Number(activations),
    floatActivations: float,
    samples: count,
    seed: Number(values.seed),
  },
  {
    onPart(report, part, parts) {
      const share = (x) => `${((100 * x) / report.elements).toFixed(1)} %`;
      console.log(
        `${part + 1}/${parts} ${report.name}: loss ${report.lossBefore.toPrecision(4)} → ${report.lossAfter.toPrecision(4)} of ${report.signal.toPrecision(4)}, ` +
          `moved ${share(report.moved)}, decided ${share(report.elements - report.undecided)}, ${seconds()}`,
      );
    },
  },
);
const { user, system } = process.cpuUsage(cpu);
console.log(`quantize: CPU ${((user + system) / 1e6).toFixed(1)} s, peak ${Math.round(process.resourceUsage().maxRSS / 1024)} MB`);

const candidate = float ? writeModel(hardenedGraph(quantized)) : await writePlan(lower(quantized));
const { agreement, samples, results } = await accuracyOn(network, candidate, evaluate, { limit: number(values.limit) });
const line = results.map(
  (each) => `top-1 ${each.top1} of ${each.against.top1} on ${each.samples}, logits ${each.logitSqnrDb.toFixed(1)} dB`,
);
console.log(
  `${values.network} ${name} ${bits} ${JSON.stringify(learning)}: agree ${Math.round((agreement / 100) * samples)} of ${samples}; ${line.join("; ")}`,
);
