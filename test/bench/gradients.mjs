// Milliseconds of processor time for a forward and backward pass of blocks (gradients of all weights), best and median of the rounds,
// and of whole networks with the peak of linear memory:
//   HALFTONE_DATA=… node test/bench/gradients.mjs [--batch 32] [--rounds 40] [--networks] [model.onnx]
// --networks adds imagenet/mobilenetv2, everything kept and recomputed. Inputs are random: only time and memory are measured.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import "./typescript.mjs";

const { createDifferentiable } = await import("../../src/engine/reverse.ts");
const { prepare } = await import("../../src/graph/prepare.ts");
const { findBlocks } = await import("../../src/graph/units.ts");
const { readModel } = await import("../../src/onnx/read.ts");
const { gradientKernels } = await import("../../src/ops/gradient.ts");
const { forwardKernels } = await import("../../src/ops/forward.ts");

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    batch: { type: "string", default: "32" },
    rounds: { type: "string", default: "40" },
    networks: { type: "boolean", default: false },
    operators: { type: "boolean", default: false },
  },
});
const batch = Number(values.batch);
const model = (name) => prepare(readModel(new Uint8Array(readFileSync(`${process.env.HALFTONE_DATA}/${name}/model.onnx`))));

const processorTime = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

const random = (dims) => ({
  dtype: "float32",
  dims,
  data: Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => ((i * 7919) % 256) / 128 - 1),
});

const weightsOf = (nodes, graph) =>
  nodes
    .filter(({ op }) => ["Conv", "Gemm", "MatMul"].includes(op))
    .map(({ inputs }) => inputs[1])
    .filter((name) => graph.constants.has(name));

/** A pass as reconstruction makes it: input, output and gradient on the device. */
async function passOf(graph, options) {
  const d = await createDifferentiable(graph, options);
  const place = (tensor, layout) => {
    const ptr = d.allocate(tensor.data.byteLength);
    new Float32Array(d.memory.buffer).set(tensor.data, ptr / 4);
    return { dims: tensor.dims, layout, ptr };
  };
  const sized = (name) => graph.facts.get(name).dims.map((dim) => (typeof dim === "number" ? dim : batch));
  const layoutOf = (dims) => (dims.length === 4 ? "channels-last" : "row-major");
  const given = (name) => place(random(sized(name)), layoutOf(sized(name)));
  const feeds = new Map(d.graph.inputs.map((name) => [name, given(name)]));
  const gradients = new Map(d.graph.outputs.map((name) => [name, given(name)]));
  const sums = new Map(options.parameters.map((name) => [name, place(random(graph.constants.get(name).dims), "row-major")]));
  const run = () => {
    d.forward(feeds);
    d.backward(gradients, sums);
  };
  return { d, run };
}

function measure(run, rounds) {
  const times = Array.from({ length: rounds }, () => {
    const start = processorTime();
    run();
    return processorTime() - start;
  }).toSorted((a, b) => a - b);
  return `${times[0].toFixed(2)} ms, median ${times[rounds >> 1].toFixed(2)}`;
}

function watch() {
  const times = new Map();
  const wrap = (kernel, key, name) => {
    const run = kernel[key];
    kernel[key] = (...args) => {
      const start = performance.now();
      run(...args);
      times.set(name, (times.get(name) ?? 0) + performance.now() - start);
    };
  };
  for (const [op, kernel] of forwardKernels) wrap(kernel, "run", op);
  for (const [op, kernel] of gradientKernels) wrap(kernel, "backward", `d${op}`);
  return times;
}

const name = positionals[0] ?? "cifar10/resnet20";
const graph = model(name);
const times = values.operators ? watch() : new Map();
const chosen =
  positionals.length > 0 ? findBlocks(graph) : findBlocks(graph).filter(({ name }) => ["layer1.1", "layer2.1", "layer3.1"].includes(name));
for (const block of chosen) {
  const options = { inputs: block.inputs, outputs: [block.output], parameters: weightsOf(block.nodes, graph) };
  const { d, run } = await passOf(graph, options);
  measure(run, 10);
  times.clear();
  const rounds = Number(values.rounds);
  console.log(`${name} ${block.name}  batch ${batch}  ${measure(run, rounds)}  peak ${(d.peakBytes / 2 ** 20).toFixed(1)} MiB`);
  const list = [...times].toSorted((a, b) => b[1] - a[1]).map(([op, ms]) => `${op} ${(ms / rounds).toFixed(2)}`);
  if (list.length > 0) console.log(`  ${list.join(", ")}`);
}

if (values.networks) {
  const network = model("imagenet/mobilenetv2");
  for (const recompute of ["none", "segments"]) {
    const options = { parameters: weightsOf(network.nodes, network), recompute };
    const { d, run } = await passOf(network, options);
    const result = measure(run, 2);
    console.log(`imagenet/mobilenetv2 recompute ${recompute}  batch ${batch}  ${result}  peak ${(d.peakBytes / 2 ** 20).toFixed(0)} MiB`);
  }
}
