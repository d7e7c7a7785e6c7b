import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import type { Dataset, Preprocessing, RawSample } from "../src/data/types.ts";
import { createEngine } from "../src/engine/index.ts";
import { decodeCodes, quantizeOne } from "../src/formats/linear.ts";
import { prepare } from "../src/graph/prepare.ts";
import type { Graph, Tensor } from "../src/graph/types.ts";
import { lower } from "../src/lower/lower.ts";
import { readModel } from "../src/onnx/read.ts";
import { writeModel } from "../src/onnx/write.ts";
import { writePlan } from "../src/plan/writer.ts";
import { quantize } from "../src/quantize.ts";
import { biasScale } from "../src/quantized/bias.ts";
import { behindGains, valuesBehindGains } from "../src/quantized/pixels.ts";
import type { Quantized } from "../src/quantized/types.ts";
import { type GramReconstructionOptions, reconstructGram } from "../src/gram.ts";
import { createExecutor } from "../src/tasks/index.ts";
import { graphOf, node, randomTensor } from "./graph/build.ts";
import { buildWorkers } from "./tasks/build.ts";

const workers = await buildWorkers();
afterAll(workers.remove);

/** A bit of everything that has weights: plain, depthwise, grouped and strided convolutions, a residual sum, a product. */
const model = writeModel(
  graphOf(
    { x: ["N", 3, 10, 10] },
    [
      node("a = Conv(x, wa, ba)", { pads: [1, 1, 1, 1] }),
      node("b = Relu(a)"),
      node("c = Conv(b, wc, bc)", { pads: [1, 1, 1, 1], group: 8 }),
      node("d = Relu(c)"),
      node("e = Conv(d, we, be)", { pads: [1, 1, 1, 1], group: 2 }),
      node("f = Add(e, b)"),
      node("g = Relu(f)"),
      node("h = Conv(g, wh, bh)", { strides: [2, 2], dilations: [2, 2], pads: [1, 1, 1, 1] }),
      node("i = Relu(h)"),
      node("j = GlobalAveragePool(i)"),
      node("k = Flatten(j)"),
      node("y = Gemm(k, wy, by)", { transB: 1 }),
    ],
    {
      wa: randomTensor([8, 3, 3, 3], 1),
      ba: randomTensor([8], 2),
      wc: randomTensor([8, 1, 3, 3], 3),
      bc: randomTensor([8], 4),
      we: randomTensor([8, 4, 3, 3], 5),
      be: randomTensor([8], 6),
      wh: randomTensor([12, 8, 3, 3], 7),
      bh: randomTensor([12], 8),
      wy: randomTensor([5, 12], 9),
      by: randomTensor([5], 10),
    },
  ),
);
const preprocessing: Preprocessing = { scale: 1 / 255, mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] };

/** Smooth random pictures: neighbouring pixels are alike, so that roundings can make up for each other. */
function pictures(length: number): Dataset {
  const sample = (index: number): RawSample => {
    const values = randomTensor([300], 100 + index).data as Float32Array;
    const bytes = Uint8Array.from(values, (_, i) => {
      const mean = (values[i]! + (values[i - 1] ?? 0) + (values[i - 10] ?? 0) + (values[i - 11] ?? 0)) / 4;
      return Math.round(127.5 + 127.5 * mean);
    });
    return { place: `picture ${index}`, bytes, format: { kind: "planes", dims: [3, 10, 10] }, label: -1 };
  };
  return {
    name: "pictures",
    length,
    labelled: false,
    async read(start, end) {
      return Array.from({ length: end - start }, (_, i) => sample(start + i));
    },
  };
}

const dataset = pictures(29);
const data = { model, dataset, preprocessing };
const nearest = await quantize(
  { model, name: "test.onnx", dataset, preprocessing },
  { weights: 3, activations: 8, firstLast: 0, samples: 29 },
);

async function reconstructed(options: GramReconstructionOptions, count = 0): ReturnType<typeof reconstructGram> {
  const executor = await createExecutor({ workers: count, workerUrl: workers.product });
  onTestFinished(() => executor.close());
  return reconstructGram(nearest, data, options, { executor });
}

const planOf = async (quantized: Quantized): Promise<Uint8Array> => writePlan({ ...lower(quantized), provenance: undefined as never });

/** Inputs of all samples as the float network sees them. */
async function samples(): Promise<Tensor> {
  const raw = await dataset.read(0, dataset.length);
  const floats = raw.flatMap(({ bytes }) => Array.from(bytes, (byte) => Math.fround((byte / 255 - 0.5) / 0.25)));
  return { dtype: "float32", dims: [dataset.length, 3, 10, 10], data: Float32Array.from(floats) };
}

/** The quantized network computed node by node: real numbers of the codes, every site rounded. */
async function simulate(quantized: Quantized, x: Tensor): Promise<Map<string, Tensor>> {
  const { graph } = quantized;
  const values = new Map<string, Tensor>([["x", round(quantized, "x", x)]]);
  for (const each of graph.nodes) {
    const constants = new Map(
      each.inputs.flatMap((name) => (graph.constants.has(name) ? [[name, graph.constants.get(name)!] as const] : [])),
    );
    const weight = quantized.weights.get(each.name);
    if (weight) {
      const dims = weight.dims;
      constants.set(each.inputs[1]!, { dtype: "float32", dims, data: decodeCodes(weight.codes, dims, weight.encoding) });
      const codes = quantized.biases?.get(each.name);
      const step = quantized.activations.get(each.inputs[0]!)!.scale[0]!;
      if (codes) {
        const reals = Float32Array.from(codes, (code, o) => code * biasScale(step, weight.encoding.scale[o]!));
        constants.set(each.inputs[2]!, { dtype: "float32", dims: [reals.length], data: reals });
      }
    }
    const inputs = each.inputs.filter((name) => values.has(name));
    const facts = new Map(graph.facts);
    const step: Graph = { ...graph, inputs, outputs: each.outputs, nodes: [each], constants, facts };
    const engine = await createEngine(step);
    const [result] = engine.run(new Map(inputs.map((name) => [name, values.get(name)!]))).values();
    values.set(each.outputs[0]!, round(quantized, each.outputs[0]!, result!));
  }
  return values;
}

function round(quantized: Quantized, value: string, tensor: Tensor): Tensor {
  const site = quantized.sites.find((each) => each.value === value);
  const encoding = quantized.activations.get(value);
  if (!site || site.branch || !encoding || encoding.levels.kind !== "linear") return tensor;
  const { lo, hi } = encoding.levels;
  const [s, z] = [encoding.scale[0]!, encoding.zeroPoint[0]!];
  return { ...tensor, data: Float32Array.from(tensor.data as Float32Array, (v) => (quantizeOne(v, s, z, lo, hi) - z) * s) };
}

const squares = (a: Tensor, b: Tensor): number =>
  (a.data as Float32Array).reduce((sum, value, i) => sum + (value - Number(b.data[i])) * (value - Number(b.data[i])), 0);

describe("a network reconstructed from Gram matrices", () => {
  test("has the same codes and biases with 0, 1 and 2 workers", async () => {
    for (const options of [{ inputs: "quantized" }, { inputs: "float" }, { outputs: "fisher" }] as const) {
      const runs = await Promise.all([0, 1, 2].map((count) => reconstructed(options, count)));
      const [first, ...others] = await Promise.all(runs.map(({ quantized }) => planOf(quantized)));
      for (const other of others) expect(Buffer.compare(other, first!)).toBe(0);
      expect(Buffer.compare(await planOf(nearest), first!)).not.toBe(0);
    }
  });

  test("loses less in every layer, and answers more like the float network", async () => {
    const x = await samples();
    const graph = prepare(readModel(model));
    const engine = await createEngine(graph);
    const float = engine.run(new Map([["x", x]])).get("y")!;
    const before = squares((await simulate(nearest, x)).get("y")!, float);
    for (const options of [
      {},
      { sweeps: 0 },
      { start: "nearest" },
      { start: "adaround" },
      { inputs: "float" },
      { passes: 2 },
      { order: "natural" },
      { outputs: "fisher" },
      { outputs: "fisher", start: "adaround", sweeps: 0 },
    ] as const) {
      const { quantized, layers } = await reconstructed(options);
      expect(layers.map(({ name }) => name)).toEqual(["a", "c", "e", "h", "y"]);
      for (const layer of layers) {
        expect(layer.lossAfter).toBeLessThan(layer.lossBefore);
        expect(layer.moved).toBeGreaterThan(0);
        expect(layer.moved).toBeLessThan(layer.elements);
        expect(layer.damping).toBe(0.01);
      }
      expect(squares((await simulate(quantized, x)).get("y")!, float)).toBeLessThan(0.5 * before);
    }
  });

  test("leaves each layer's outputs with the mean that they have in the float network", async () => {
    const { quantized: made } = await reconstructed({});
    // As the program computes it: the first layer has its input in stored numbers.
    const quantized = behindGains(made, made.pixels!);
    const x = valuesBehindGains(await samples(), made.pixels!);
    const engine = await createEngine(quantized.graph);
    const names = ["a", "c", "e", "h"];
    const float = engine.run(new Map([["x", x]]), { also: names });
    const simulated = await simulate(quantized, x);
    for (const name of names) {
      const [n, channels, ...plane] = float.get(name)!.dims as [number, number, ...number[]];
      const size = plane.reduce((p, d) => p * d, 1);
      const mean = (tensor: Tensor, c: number): number => {
        let sum = 0;
        for (let i = 0; i < n; i++) for (let p = 0; p < size; p++) sum += Number(tensor.data[(i * channels + c) * size + p]);
        return sum / (n * size);
      };
      const layer = quantized.graph.nodes.find((each) => each.name === name)!;
      const step = quantized.activations.get(layer.inputs[0]!)!.scale[0]!;
      for (let c = 0; c < channels; c++) {
        // A bias is a whole number of steps.
        const half = biasScale(step, quantized.weights.get(name)!.encoding.scale[c]!) / 2;
        expect(Math.abs(mean(simulated.get(name)!, c) - mean(float.get(name)!, c))).toBeLessThan(half + 1e-4);
      }
    }
  });

  test("keeps biases when asked to, and scales and activations always", async () => {
    const { quantized } = await reconstructed({ keepBias: true });
    expect(quantized.biases?.size).toBe(0);
    expect(quantized.activations).toBe(nearest.activations);
    for (const [name, { encoding, codes }] of quantized.weights) {
      expect(encoding).toStrictEqual(nearest.weights.get(name)!.encoding);
      expect(codes).not.toEqual(nearest.weights.get(name)!.codes);
    }
  });

  test("is refused a number of passes that is none, and weights of outputs that there are not", async () => {
    await expect(reconstructed({ passes: 0 })).rejects.toThrow(/passes: found 0/);
    await expect(reconstructed({ outputs: "hessian" as never })).rejects.toThrow(/outputs: found "hessian", expected identity or fisher/);
  });

  test("draws its output weights from the seed", async () => {
    const [first, same, other] = await Promise.all(
      [1, 1, 2].map(async (seed) => planOf((await reconstructed({ outputs: "fisher", seed })).quantized)),
    );
    expect(same).toEqual(first);
    expect(other).not.toEqual(first);
  });

  test("stops when it is told to", async () => {
    const stop = new AbortController();
    stop.abort();
    await expect(reconstructGram(nearest, data, {}, { signal: stop.signal })).rejects.toMatchObject({ code: "CANCELLED" });
  });
});

test("the methods gptq and gptq-descent are rows of the table", async () => {
  for (const [method, options] of [
    ["gptq", { sweeps: 0 }],
    ["gptq-descent", {}],
    ["gptq-descent", { outputs: "fisher" }],
  ] as const) {
    const learning = "outputs" in options ? { outputWeights: options.outputs } : {};
    const quantized = await quantize(
      { model, name: "test.onnx", dataset, preprocessing },
      { method, learning, weights: 3, activations: 8, firstLast: 0, samples: 29 },
    );
    expect(Buffer.compare(await planOf(quantized), await planOf((await reconstructed(options)).quantized))).toBe(0);
  }
});
