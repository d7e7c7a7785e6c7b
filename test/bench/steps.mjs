// Milliseconds of a step of learning on blocks of cifar10/resnet20 at batch 32, one of each stage, with 0, 1 and 2 workers:
//   HALFTONE_DATA=… node test/bench/steps.mjs [--methods brecq,qdrop,pd-quant] [--steps 60] [--workers 0,2]      (after npm run build)
// wall: median of the steps, by the clock; CPU: processor time of all threads a step, which other programs disturb little; busy: CPU over
// wall. GF/s: products of convolutions forwards and both ways backwards (suffix included), a multiplication and an addition as two, over
// CPU time, whatever the algorithm; share: of the rate of the bare matrix product kernel in the same process (Winograd goes beyond it).
import { availableParallelism, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { openNetwork } from "./networks.mjs";

const dist = new URL("../../dist/src/", import.meta.url);
const from = (path) => import(new URL(path, dist));
const { quantize, createExecutor, chooseMethod } = await from("index.js");
const { findParts } = await from("reconstruct/scopes.js");
const { prepare } = await from("graph/prepare.js");
const { readModel } = await from("onnx/read.js");
const { openData, readPreprocessing } = await from("cli/data-flags.js");
const { loadFloat, instantiateKernels } = await from("engine/kernels.js");

const { values } = parseArgs({
  options: {
    methods: { type: "string", default: "brecq,qdrop,pd-quant" },
    steps: { type: "string", default: "60" },
    workers: { type: "string", default: "0,1,2" },
    network: { type: "string", default: "cifar10/resnet20" },
    parts: { type: "string", default: "2,5,8" },
  },
});
const batch = 32;
const steps = Number(values.steps);
const warm = Math.floor(steps / 4);
const parts = values.parts.split(",").map(Number);
const widths = {
  brecq: { weights: 2, floatActivations: true },
  qdrop: { weights: 2, activations: 4 },
  "pd-quant": { weights: 2, activations: 4 },
};

const cpu = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1];
const product = (dims) => dims.reduce((p, d) => p * (typeof d === "number" ? d : 1), 1);

/** GF/s of the float product kernel on packed operands: the best of its rounds. */
async function referenceRate() {
  const kernels = await instantiateKernels(await loadFloat());
  const [m, n, k] = [192, 96, 576];
  kernels.memory.grow(64);
  const base = Math.ceil(kernels.heapBase() / 65536) * 65536;
  const [a, b, c] = [base, base + m * k * 4 + 64, base + m * k * 4 + k * n * 4 + 128];
  let best = 0;
  for (let round = 0; round < 40; round++) {
    const start = cpu();
    for (let i = 0; i < 20; i++) kernels.gemm(c, n, a, k, b, 0, m, n, k, -1e30, 1e30);
    best = Math.max(best, (20 * 2 * m * n * k) / (cpu() - start) / 1e6);
  }
  return best;
}

/** Operations of the convolutions and products of some nodes for one sample, forwards. */
function operations(graph, nodes) {
  let sum = 0;
  for (const { op, inputs, outputs } of nodes) {
    const weights = graph.constants.get(inputs[1])?.dims;
    if (!["Conv", "Gemm", "MatMul"].includes(op) || !weights) continue;
    const out = product(graph.facts.get(outputs[0]).dims.slice(1));
    sum += op === "Conv" ? 2 * out * product(weights.slice(1)) : 2 * product(weights);
  }
  return sum;
}

const network = await openNetwork(process.env.HALFTONE_DATA, values.network, { openData, readPreprocessing });
const { model, preprocessing, dataset: whole } = network;
const graph = prepare(readModel(model));
const dataset = { name: whole.name, labelled: false, length: 256, read: (a, b) => whole.read(a, b) };

async function measure(method, workers) {
  const executor = await createExecutor({ workers });
  const times = new Map();
  let last;
  const onProgress = ({ stage, done }) => {
    if (stage !== "reconstruct" || done === 0) return;
    const [part, step] = [Math.floor((done - 1) / steps), ((done - 1) % steps) + 1];
    const now = [performance.now(), cpu()];
    if (last?.part === part && step > warm) {
      const entry = times.get(part) ?? { wall: [], cpu: [] };
      entry.wall.push(now[0] - last.now[0]);
      entry.cpu.push(now[1] - last.now[1]);
      times.set(part, entry);
    }
    last = { part, now };
  };
  const options = { method, samples: 256, learning: { iterations: steps }, ...widths[method] };
  await quantize({ model, name: values.network, dataset, preprocessing }, options, { executor, onProgress });
  await executor.close();
  return times;
}

console.log(
  `${availableParallelism()} processors, load ${loadavg()[0].toFixed(1)}; ${values.network}, batch ${batch}, ${steps - warm} steps a block`,
);
console.log("| method | block | workers | wall ms | CPU ms | busy | GF/s | share |\n|---|---|--:|--:|--:|--:|--:|--:|");
const reference = await referenceRate();
for (const method of values.methods.split(",")) {
  const scope = findParts(graph, "block");
  for (const workers of values.workers.split(",").map(Number)) {
    const times = await measure(method, workers);
    for (const part of parts) {
      const { wall, cpu: processor } = times.get(part);
      const own = operations(graph, scope[part].nodes);
      const behind = operations(
        graph,
        scope.slice(part + 1).flatMap(({ nodes }) => nodes),
      );
      const doubled = chooseMethod({ method }).objective.kind === "prediction";
      const perStep = batch * (3 * own * (doubled ? 2 : 1) + (doubled ? 2 * behind : 0));
      const mean = processor.reduce((a, b) => a + b, 0) / processor.length;
      const rate = perStep / mean / 1e6;
      const cells = [
        method,
        scope[part].name,
        workers,
        median(wall).toFixed(2),
        mean.toFixed(2),
        (mean / (wall.reduce((a, b) => a + b, 0) / wall.length)).toFixed(2),
        rate.toFixed(0),
        (rate / reference).toFixed(2),
      ];
      console.log(`| ${cells.join(" | ")} |`);
    }
  }
}
