// Networks with random weights, for timing only: float ONNX, quantized ONNX (QDQ, uint8 activations) and plan of each.
//   node test/bench/models.mjs [name …]         writes out/bench/NAME{.onnx,.int8.onnx,.halftone}; those that exist are kept
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import "./typescript.mjs";

export const folder = fileURLToPath(new URL("../../out/bench/", import.meta.url));

/** Uniform in [−1, 1): a 32-bit mixer over a counter. */
class Noise {
  #state;
  constructor(seed) {
    this.#state = seed;
  }
  next() {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (z ^ (z >>> 16)) / 2 ** 31;
  }
  /** Nearly normal: a sum of four, of variance 1. */
  normal() {
    return (this.next() + this.next() + this.next() + this.next()) * Math.sqrt(0.75);
  }
  array(length, scale) {
    return Float32Array.from({ length }, () => this.normal() * scale);
  }
}

/** A graph under construction; values are names. */
class Net {
  nodes = [];
  constants = new Map();
  noise = new Noise(1);
  /** Multiplications of one sample. */
  products = 0;
  #sizes = new Map();

  constructor(name, dims) {
    this.name = name;
    this.dims = dims;
    this.#sizes.set("input", dims);
  }

  node(op, inputs, dims, attributes = {}) {
    const output = `${op}_${this.nodes.length}`;
    this.nodes.push({ name: output, op, inputs, outputs: [output], attributes });
    this.#sizes.set(output, dims);
    return output;
  }

  constant(name, dims, data) {
    this.constants.set(name, { dtype: "float32", dims, data });
    return name;
  }

  size(x) {
    return this.#sizes.get(x);
  }

  conv(x, outputs, kernel, { stride = 1, groups = 1, activation = "relu", gain = 1 } = {}) {
    const [channels, side] = this.size(x);
    const inputs = channels / groups;
    const out = Math.ceil(side / stride);
    const id = this.nodes.length;
    const taps = inputs * kernel * kernel;
    const weights = this.constant(
      `w${id}`,
      [outputs, inputs, kernel, kernel],
      this.noise.array(outputs * taps, gain * Math.sqrt(2 / taps)),
    );
    const bias = this.constant(`b${id}`, [outputs], this.noise.array(outputs, 0.05));
    this.products += out * out * outputs * taps;
    const pad = (kernel - 1) / 2;
    const attributes = {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: [pad, pad, pad, pad],
      group: groups,
      dilations: [1, 1],
    };
    const y = this.node("Conv", [x, weights, bias], [outputs, out], attributes);
    return activation === "none" ? y : this[activation](y);
  }

  relu(x) {
    return this.node("Relu", [x], this.size(x));
  }

  relu6(x) {
    const [lo, hi] = [this.constant("zero", [], Float32Array.of(0)), this.constant("six", [], Float32Array.of(6))];
    return this.node("Clip", [x, lo, hi], this.size(x));
  }

  add(a, b) {
    return this.node("Add", [a, b], this.size(a));
  }

  maxPool(x) {
    const [channels, side] = this.size(x);
    return this.node("MaxPool", [x], [channels, side / 2], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] });
  }

  classify(x, classes) {
    const [channels] = this.size(x);
    const flat = this.node("Flatten", [this.node("GlobalAveragePool", [x], [channels, 1])], [channels], { axis: 1 });
    const weights = this.constant("w", [classes, channels], this.noise.array(classes * channels, Math.sqrt(2 / channels)));
    const bias = this.constant("b", [classes], this.noise.array(classes, 0.05));
    this.products += classes * channels;
    return this.node("Gemm", [flat, weights, bias], [classes], { transB: 1 });
  }

  /** @param batch 1, or a symbol */
  graph(output, batch) {
    const [channels, side] = this.dims;
    const facts = new Map([
      ["input", { dtype: "float32", dims: [batch, channels, side, side] }],
      [output, { dtype: "float32", dims: [batch, ...this.size(output)] }],
    ]);
    const { name, nodes, constants } = this;
    return { name, inputs: ["input"], outputs: [output], nodes, constants, facts, notes: new Map() };
  }
}

/** He et al. 2016: stages of basic blocks. */
function resnet(net, x, widths, blocks) {
  widths.forEach((width, stage) => {
    for (let block = 0; block < blocks; block++) {
      const stride = stage > 0 && block === 0 ? 2 : 1;
      const y = net.conv(net.conv(x, width, 3, { stride }), width, 3, { activation: "none", gain: 0.5 });
      const shortcut = net.size(x)[0] === width ? x : net.conv(x, width, 1, { stride, activation: "none" });
      x = net.relu(net.add(y, shortcut));
    }
  });
  return x;
}

/** Sandler et al. 2018, table 2: expansion, channels, blocks, stride. */
const invertedResiduals = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
];

function mobilenetv2(net, x) {
  for (const [expansion, width, blocks, firstStride] of invertedResiduals) {
    for (let block = 0; block < blocks; block++) {
      const stride = block === 0 ? firstStride : 1;
      const channels = net.size(x)[0] * expansion;
      const wide = expansion === 1 ? x : net.conv(x, channels, 1, { activation: "relu6" });
      const y = net.conv(wide, channels, 3, { stride, groups: channels, activation: "relu6" });
      const narrow = net.conv(y, width, 1, { activation: "none" });
      x = block > 0 ? net.add(x, narrow) : narrow;
    }
  }
  return net.conv(x, 1280, 1, { activation: "relu6" });
}

/** One row per network: dims of a sample [C, side], and its layers. */
const networks = {
  resnet18: {
    dims: [3, 224],
    build: (net) => net.classify(resnet(net, net.maxPool(net.conv("input", 64, 7, { stride: 2 })), [64, 128, 256, 512], 2), 1000),
  },
  mobilenetv2: {
    dims: [3, 224],
    build: (net) => net.classify(mobilenetv2(net, net.conv("input", 32, 3, { stride: 2, activation: "relu6" })), 1000),
  },
  resnet20: { dims: [3, 32], build: (net) => net.classify(resnet(net, net.conv("input", 16, 3), [16, 32, 64], 3), 10) },
};

/** Name, dims of a sample, and operations (two per multiplication of the direct sums). */
export const models = Object.entries(networks).map(([name, { dims, build }]) => {
  const net = new Net(name, dims);
  build(net);
  return { name, dims: [dims[0], dims[1], dims[1]], operations: 2 * net.products };
});

/** Float samples as records of their own, as random as the weights. */
function randomDataset(dims, length) {
  const size = dims.reduce((product, d) => product * d, 1);
  const format = { kind: "array", dtype: "float32", dims };
  const sample = (i) => ({
    place: `random sample ${i}`,
    bytes: new Uint8Array(new Noise(1000 + i).array(size, 1).buffer),
    format,
    label: -1,
  });
  const read = async (start, end) => Array.from({ length: end - start }, (_, i) => sample(start + i));
  return { name: "random", length, labelled: false, read };
}

async function writeFiles(name) {
  const { quantize } = await import("../../src/quantize.ts");
  const { lower } = await import("../../src/lower/lower.ts");
  const { specialize } = await import("../../src/graph/infer.ts");
  const { toQdq } = await import("../../src/onnx/qdq.ts");
  const { writeModel } = await import("../../src/onnx/write.ts");
  const { writePlan } = await import("../../src/plan/writer.ts");
  const { dims, build } = networks[name];
  const net = new Net(name, dims);
  const output = build(net);
  const sample = [dims[0], dims[1], dims[1]];
  const model = writeModel(net.graph(output, "N"));
  const quantized = await quantize(
    { model, name, dataset: randomDataset(sample, 4), preprocessing: { scale: 1, mean: [0], std: [1] } },
    { ranges: "minmax" },
  );
  writeFileSync(`${folder}${name}.onnx`, writeModel(net.graph(output, 1)));
  writeFileSync(`${folder}${name}.int8.onnx`, writeModel(specialize(toQdq(quantized), { input: [1, ...sample] })));
  writeFileSync(`${folder}${name}.halftone`, await writePlan(lower(quantized)));
  await writeTflite(name, lower(quantized, { residual: "codes" }));
}

const peers = new URL("./peers/", import.meta.url);
const hasPeers = existsSync(new URL("node_modules/flatbuffers", peers));

/** Beside them where the peers are installed, which know that format. */
async function writeTflite(name, plan) {
  if (!hasPeers) return;
  const { toTflite } = await import(new URL("tflite.mjs", peers).href);
  writeFileSync(`${folder}${name}.tflite`, toTflite(plan));
}

/** Makes what is missing. */
export async function makeModels(names = Object.keys(networks)) {
  mkdirSync(folder, { recursive: true });
  for (const name of names) {
    if ([".halftone", ...(hasPeers ? [".tflite"] : [])].every((suffix) => existsSync(`${folder}${name}${suffix}`))) continue;
    await writeFiles(name);
    console.error(`${folder}${name}: written`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await makeModels(process.argv.length > 2 ? process.argv.slice(2) : undefined);
