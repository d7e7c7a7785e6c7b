// Learned rounding on real networks, each row in this process: agreement with the float network, top-1, loss and time.
//   HALFTONE_DATA=… node test/bench/reconstruct.mjs METHOD WEIGHTS/ACTIVATIONS [--network cifar10/resnet20] [--iterations 500] [--rate 1e-3]
//     [--seed 1005] [--samples 1024] [--scale-rate 4e-5] [--scope block] [--limit 2000]
// ACTIVATIONS "f" leaves activations in float: the hardened codes are then measured in the float engine.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
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
const root = `${process.env.HALFTONE_DATA}/`;
const imagenet = {
  data: "imagenet/calib_512",
  tests: ["imagenet/val_650"],
  flags: { preprocess: `${root}${values.network}/preprocessor_config.json` },
};
const networks = {
  cifar10: {
    data: "cifar10/train_2048.bin",
    tests: ["cifar10/test_first1017.bin", "cifar10/test_jpeg_1017_4999.bin"],
    flags: { mean: "0.485,0.456,0.406", std: "0.229,0.224,0.225" },
  },
  fashion: {
    data: "fashion/train_1024-images-idx3-ubyte.gz",
    tests: ["fashion/test_0_4999-images-idx3-ubyte.gz,fashion/test_0_4999-labels-idx1-ubyte.gz"],
    flags: { mean: "0.2860", std: "0.3530" },
  },
  kws: {
    data: "kws/x_calib_int8.npy",
    tests: ["kws/x_test_int8.npy,kws/y_test.npy"],
    flags: { scale: 0.5847029089927673, mean: "48.53034144639969", std: "1" },
  },
  imagenet,
};
const { data, tests, flags } = networks[values.network.split("/")[0]];
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

const model = new Uint8Array(readFileSync(`${root}${values.network}/model.onnx`));
const open = (path) =>
  openData(
    path
      .split(",")
      .map((part) => root + part)
      .join(","),
    0,
  );
const whole = await open(data);
const preprocessing = await readPreprocessing(flags, whole);
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
let [agree, total] = [0, 0];
const line = [];
for (const path of tests) {
  const test = await open(path);
  const result = await evaluate(candidate, test, { against: model, preprocessing, limit: values.limit && Number(values.limit) });
  agree += (result.agreement / 100) * result.samples;
  total += result.samples;
  line.push(`top-1 ${result.top1} of ${result.against.top1} on ${result.samples}, logits ${result.logitSqnrDb.toFixed(1)} dB`);
}
console.log(`${values.network} ${name} ${bits} ${JSON.stringify(learning)}: agree ${Math.round(agree)} of ${total}; ${line.join("; ")}`);
