// Weights rounded from Gram matrices beside nearest ones: accuracy of the integer programs, and time.
//   HALFTONE_DATA=… node test/bench/gram.mjs [network …] [--bits 4/8,3/8] [--methods nearest,gptq …] [--workers N] [--limit N]
// (after npm run build). METHOD+fisher is a method with weights of outputs. First and last weights have 8 bits. "agreement" is the share
// of test samples on which the integer program and the float network say the same.
import { parseArgs } from "node:util";
import { openData, readPreprocessing } from "../../dist/src/cli/data-flags.js";
import { createExecutor, evaluate, lower, quantize, reconstructGram, writePlan } from "../../dist/src/index.js";
import { accuracyOn, openNetwork } from "./networks.mjs";

const data = process.env.HALFTONE_DATA;
if (!data) throw new Error("HALFTONE_DATA is not set: it names the folder with the networks and their data");
const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    bits: { type: "string", default: "4/8,3/8,2/8" },
    methods: { type: "string", default: "nearest,gptq,gptq-descent" },
    workers: { type: "string", default: "2" },
    limit: { type: "string" },
    layers: { type: "boolean" },
    zeros: { type: "string", default: "affine" },
  },
});

const names = ["cifar10/resnet20", "fashion/resnet20", "fashion/mobilenetv2", "imagenet/mobilenetv2"];

/** Options of each method; undefined: the codes of calibration. */
const methods = {
  nearest: undefined,
  "gptq-float": { inputs: "float", sweeps: 0 },
  "gptq-float-descent": { inputs: "float" },
  "gptq-natural": { order: "natural", sweeps: 0 },
  gptq: { sweeps: 0 },
  descent: { start: "nearest" },
  "gptq-descent": {},
  "gram-adaround": { start: "adaround", sweeps: 0 },
  "gram-adaround-descent": { start: "adaround" },
};

const optionsOf = (method) => {
  const [row, outputs] = method.split("+");
  return methods[row] && { ...methods[row], ...(outputs ? { outputs } : {}) };
};

const executor = await createExecutor({ workers: Number(flags.workers) });
const limit = flags.limit === undefined ? undefined : Number(flags.limit);

const cpu = () => process.cpuUsage().user / 1e6;
console.log("| network | weights/activations | method | float top-1 | top-1 | agreement | seconds | processor seconds | codes moved |");
console.log("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |");
for (const name of positionals.length > 0 ? positionals : names) {
  const network = await openNetwork(data, name, { openData, readPreprocessing });
  const { model, dataset, preprocessing } = network;
  const samples = Math.min(1024, dataset.length);
  for (const bits of flags.bits.split(",")) {
    const [weights, activations] = bits.split("/").map(Number);
    const options = { weights, activations, samples, weightZeros: flags.zeros };
    const started = performance.now();
    const start = await quantize({ model, name, dataset, preprocessing }, options, { executor });
    const calibrated = (performance.now() - started) / 1000;
    for (const method of flags.methods.split(",")) {
      const [begun, used] = [performance.now(), cpu()];
      const own = optionsOf(method);
      const done = own && (await reconstructGram(start, { model, dataset, preprocessing }, { samples, ...own }, { executor }));
      const seconds = own ? (performance.now() - begun) / 1000 : calibrated;
      const processor = own ? (cpu() - used).toFixed(1) : "";
      const { float, top1, agreement } = await accuracyOn(network, await writePlan(lower(done?.quantized ?? start)), evaluate, {
        limit,
        executor,
      });
      const moved = done
        ? `${(100 * (done.layers.reduce((sum, layer) => sum + layer.moved, 0) / done.layers.reduce((sum, layer) => sum + layer.elements, 0))).toFixed(1)} %`
        : "";
      console.log(
        `| ${name} | ${bits} | ${method} | ${float.toFixed(2)} | ${top1.toFixed(2)} | ${agreement.toFixed(2)} | ${seconds.toFixed(1)} | ${processor} | ${moved} |`,
      );
      if (flags.layers && done) {
        for (const { name, lossBefore, lossAfter, moved, elements, damping, drift } of done.layers) {
          const share = ((100 * moved) / elements).toFixed(1);
          console.log(
            `  ${name}: ${lossBefore.toExponential(2)} → ${lossAfter.toExponential(2)}, ${share} % moved, λ ${damping}, drift ${drift.toFixed(3)}`,
          );
        }
      }
    }
  }
}
await executor.close();
