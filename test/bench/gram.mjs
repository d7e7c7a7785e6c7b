// Weights rounded from Gram matrices beside nearest ones: accuracy of the integer programs, and time.
//   HALFTONE_DATA=… node test/bench/gram.mjs [network …] [--bits 4/8,3/8] [--methods nearest,gptq …] [--workers N] [--limit N]
// (after npm run build). METHOD+fisher is a method with weights of outputs. First and last weights have 8 bits. "agreement" is the share of test samples on which the integer program and the
// float network say the same.
import { parseArgs } from "node:util";
import { readFileSync } from "node:fs";
import { openData, readPreprocessing } from "../../dist/src/cli/data-flags.js";
import { createExecutor, evaluate, lower, quantize, reconstructGram, writePlan } from "../../dist/src/index.js";

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

const preprocessing = (mean, std) => ({ scale: 1 / 255, mean, std });
const fashion = (name) => ({
  name: `fashion/${name}`,
  data: "fashion/train_1024-images-idx3-ubyte.gz",
  samples: 1024,
  tests: ["fashion/test_0_4999-images-idx3-ubyte.gz,fashion/test_0_4999-labels-idx1-ubyte.gz"],
  preprocessing: preprocessing([0.286], [0.353]),
});
const networks = [
  {
    name: "cifar10/resnet20",
    data: "cifar10/train_2048.bin",
    samples: 1024,
    tests: ["cifar10/test_first1017.bin", "cifar10/test_jpeg_1017_4999.bin"],
    preprocessing: preprocessing([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
  },
  fashion("resnet20"),
  fashion("mobilenetv2"),
  {
    name: "imagenet/mobilenetv2",
    data: "imagenet/calib_512",
    samples: 512,
    tests: ["imagenet/val_650"],
    config: "imagenet/mobilenetv2/preprocessor_config.json",
  },
];

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

const wanted = positionals.length > 0 ? positionals : networks.map(({ name }) => name);
const executor = await createExecutor({ workers: Number(flags.workers) });
const limit = flags.limit === undefined ? undefined : Number(flags.limit);

async function accuracy(quantized, network, model, settings) {
  const plan = await writePlan(lower(quantized));
  const results = [];
  for (const test of network.tests) {
    const path = test
      .split(",")
      .map((part) => `${data}/${part}`)
      .join(",");
    results.push(await evaluate(plan, await openData(path, 0), { against: model, limit, preprocessing: settings, executor }));
  }
  const total = results.reduce((sum, { samples }) => sum + samples, 0);
  const agreement = results.reduce((sum, each) => sum + each.agreement * each.samples, 0) / total;
  return { float: results[0].against.top1, top1: results[0].top1, agreement };
}

const cpu = () => process.cpuUsage().user / 1e6;
console.log("| network | weights/activations | method | float top-1 | top-1 | agreement | seconds | processor seconds | codes moved |");
console.log("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |");
for (const network of networks) {
  if (!wanted.some((name) => network.name === name)) continue;
  const model = new Uint8Array(readFileSync(`${data}/${network.name}/model.onnx`));
  const dataset = await openData(`${data}/${network.data}`, 0);
  const settings = network.preprocessing ?? (await readPreprocessing({ preprocess: `${data}/${network.config}` }, dataset));
  for (const bits of flags.bits.split(",")) {
    const [weights, activations] = bits.split("/").map(Number);
    const options = { weights, activations, samples: network.samples, weightZeros: flags.zeros };
    const started = performance.now();
    const start = await quantize({ model, name: network.name, dataset, preprocessing: settings }, options, { executor });
    const calibrated = (performance.now() - started) / 1000;
    for (const method of flags.methods.split(",")) {
      const [begun, used] = [performance.now(), cpu()];
      const own = optionsOf(method);
      const done =
        own &&
        (await reconstructGram(start, { model, dataset, preprocessing: settings }, { samples: network.samples, ...own }, { executor }));
      const seconds = own ? (performance.now() - begun) / 1000 : calibrated;
      const processor = own ? (cpu() - used).toFixed(1) : "";
      const { float, top1, agreement } = await accuracy(done?.quantized ?? start, network, model, settings);
      const moved = done
        ? `${(100 * (done.layers.reduce((sum, layer) => sum + layer.moved, 0) / done.layers.reduce((sum, layer) => sum + layer.elements, 0))).toFixed(1)} %`
        : "";
      console.log(
        `| ${network.name} | ${bits} | ${method} | ${float.toFixed(2)} | ${top1.toFixed(2)} | ${agreement.toFixed(2)} | ${seconds.toFixed(1)} | ${processor} | ${moved} |`,
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
