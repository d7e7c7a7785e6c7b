import { expect, test } from "vitest";
import type { Graph, Tensor } from "../../src/graph/types.ts";
import { float32, graphOf, node, randomTensor } from "../graph/build.ts";
import { dequantizeWeights } from "../../src/formats/weights.ts";
import { lower } from "../../src/lower/lower.ts";
import { centred } from "../../src/quantized/weights.ts";
import type { ConvStep, Plan } from "../../src/plan/types.ts";
import { decodedWeights } from "../../src/plan/weights.ts";
import { createSession } from "../../src/runtime/index.ts";
import { integerModule } from "../runtime/kernels.ts";
import { errorsOf, quantizeGraph, samplesOf } from "./run.ts";

interface Row {
  readonly name: string;
  readonly graph: Graph;
  /** Output steps between integers and floats: half a step for the output, the rest for inputs and weights. Default 3. */
  readonly steps?: number;
}

const x = (...dims: number[]): Record<string, (number | string)[]> => ({ x: ["N", ...dims] });
const w = (...dims: number[]): Tensor =>
  randomTensor(
    dims,
    dims.reduce((a, b) => 31 * a + b, 7),
  );

const convolution = (input: number[], weight: number[], attributes: Parameters<typeof node>[1] = {}, bias = true): Graph =>
  graphOf(x(...input), [node(`y = Conv(x, w${bias ? ", b" : ""})`, attributes), node("z = Relu(y)")], {
    w: w(...weight),
    ...(bias ? { b: w(weight[0]!) } : {}),
  });

const transposed = (input: number[], weight: number[], attributes: Parameters<typeof node>[1] = {}): Graph =>
  graphOf(x(...input), [node("y = ConvTranspose(x, w, b)", attributes), node("z = Relu(y)")], {
    w: w(...weight),
    b: w(weight[1]! * Number(attributes.group ?? 1)),
  });

const rows: Row[] = [
  { name: "3×3", graph: convolution([3, 9, 8], [5, 3, 3, 3]) },
  { name: "1×1", graph: convolution([16, 5, 5], [24, 16, 1, 1]) },
  { name: "no bias", graph: convolution([8, 7, 7], [8, 8, 3, 3], { pads: [1, 1, 1, 1] }, false) },
  {
    name: "stride, dilation, asymmetric pads",
    graph: convolution([4, 11, 10], [6, 4, 3, 2], { strides: [2, 3], dilations: [2, 1], pads: [0, 1, 3, 2] }),
  },
  { name: "two groups", graph: convolution([6, 6, 6], [10, 3, 3, 3], { group: 2, pads: [1, 1, 1, 1] }) },
  { name: "depthwise", graph: convolution([12, 8, 8], [12, 1, 3, 3], { group: 12, pads: [1, 1, 1, 1], strides: [2, 2] }) },
  { name: "depthwise with a multiplier", graph: convolution([5, 6, 6], [10, 1, 3, 3], { group: 5 }) },
  { name: "SAME_UPPER", graph: convolution([3, 8, 7], [4, 3, 4, 4], { auto_pad: "SAME_UPPER", strides: [2, 2] }) },
  { name: "SAME_LOWER", graph: convolution([3, 8, 7], [4, 3, 4, 4], { auto_pad: "SAME_LOWER", strides: [2, 2] }) },
  { name: "VALID", graph: convolution([3, 8, 7], [4, 3, 3, 3], { auto_pad: "VALID" }) },
  { name: "ConvTranspose", graph: transposed([4, 5, 6], [4, 3, 3, 3]) },
  {
    name: "ConvTranspose with strides and output_padding",
    graph: transposed([4, 5, 6], [4, 3, 3, 2], { strides: [2, 3], pads: [1, 0, 1, 1], output_padding: [1, 0] }),
  },
  {
    name: "ConvTranspose with dilations and groups",
    graph: transposed([6, 5, 6], [6, 2, 3, 3], { group: 3, dilations: [1, 2], strides: [2, 1] }),
  },
  { name: "ConvTranspose to a given shape", graph: transposed([4, 5, 6], [4, 3, 3, 3], { strides: [2, 2], output_shape: [10, 12] }) },
  { name: "ConvTranspose SAME_UPPER", graph: transposed([4, 5, 6], [4, 3, 3, 3], { strides: [2, 2], auto_pad: "SAME_UPPER" }) },
  { name: "ConvTranspose SAME_LOWER", graph: transposed([4, 5, 6], [4, 3, 3, 3], { strides: [2, 2], auto_pad: "SAME_LOWER" }) },
  {
    name: "Conv, BatchNormalization, Clip",
    graph: graphOf(x(3, 6, 6), [node("c = Conv(x, w)"), node("n = BatchNormalization(c, g, b, m, v)"), node("y = Clip(n, lo, hi)")], {
      w: w(4, 3, 3, 3),
      g: randomTensor([4], 3, 1.5),
      b: w(4),
      m: w(4),
      v: randomTensor([4], 5, 2),
      lo: float32([], [0]),
      hi: float32([], [6]),
    }),
  },
  {
    name: "Clip with bounds on both sides of 0",
    graph: graphOf(x(3, 6, 6), [node("c = Conv(x, w)"), node("y = Clip(c, lo, hi)")], {
      w: w(4, 3, 3, 3),
      lo: float32([], [-0.5]),
      hi: float32([], [1]),
    }),
    // The sum spans four times what is let through, and its error counts in steps of what is.
    steps: 6,
  },
  { name: "accumulators as the output", graph: graphOf(x(8, 6, 6), [node("y = Conv(x, w, b)")], { w: w(6, 8, 3, 3), b: w(6) }) },
  {
    name: "identity residual",
    graph: graphOf(
      x(8, 6, 6),
      [
        node("a = Conv(x, w1, b1)", { pads: [1, 1, 1, 1] }),
        node("r = Relu(a)"),
        node("c = Conv(r, w2, b2)", { pads: [1, 1, 1, 1] }),
        node("s = Add(c, r)"),
        node("y = Relu(s)"),
      ],
      { w1: w(8, 8, 3, 3), b1: w(8), w2: w(8, 8, 3, 3), b2: w(8) },
    ),
  },
  {
    name: "projection residual",
    graph: graphOf(
      x(8, 6, 6),
      [
        node("a = Conv(x, w1, b1)", { pads: [1, 1, 1, 1], strides: [2, 2] }),
        node("r = Relu(a)"),
        node("c = Conv(r, w2, b2)", { pads: [1, 1, 1, 1] }),
        node("p = Conv(x, w3)", { strides: [2, 2] }),
        node("s = Add(p, c)"),
        node("y = Relu(s)"),
      ],
      { w1: w(16, 8, 3, 3), b1: w(16), w2: w(16, 16, 3, 3), b2: w(16), w3: w(16, 8, 1, 1) },
    ),
  },
  {
    name: "two residuals in a row, the second read twice",
    graph: graphOf(
      x(8, 5, 5),
      [
        node("a = Conv(x, w1)"),
        node("s = Add(x, a)"),
        node("c = Conv(s, w2)"),
        node("t = Add(c, s)"),
        node("d = Conv(t, w3)"),
        node("e = Conv(t, w4)"),
        node("y = Add(d, e)"),
      ],
      { w1: w(8, 8, 1, 1), w2: randomTensor([8, 8, 1, 1], 5), w3: randomTensor([8, 8, 1, 1], 6), w4: randomTensor([8, 8, 1, 1], 9) },
    ),
    steps: 4,
  },
  { name: "Gemm", graph: graphOf(x(20), [node("y = Gemm(x, w, b)"), node("z = Relu(y)")], { w: w(20, 7), b: w(7) }) },
  {
    name: "Gemm transposed, alpha, beta",
    graph: graphOf(x(20), [node("y = Gemm(x, w, b)", { transB: 1, alpha: 0.5, beta: 2 })], { w: w(7, 20), b: w(1, 7) }),
  },
  { name: "MatMul", graph: graphOf(x(20), [node("y = MatMul(x, w)")], { w: w(20, 7) }) },
  { name: "MatMul and Add", graph: graphOf(x(20), [node("y = MatMul(x, w)"), node("z = Add(b, y)")], { w: w(20, 7), b: w(7) }) },
  {
    name: "MatMul of rows of features, Add, residual",
    graph: graphOf(x(5, 12), [node("m = MatMul(x, w)"), node("a = Add(m, b)"), node("y = Add(x, a)"), node("z = MatMul(y, v)")], {
      w: w(12, 12),
      b: w(12),
      v: w(12, 3),
    }),
  },
  { name: "a single output channel", graph: graphOf(x(9), [node("y = Gemm(x, w, b)", { transB: 1 })], { w: w(1, 9), b: w(1) }) },
];

test.for(rows)("$name: session, interpreter and floats agree", async ({ graph, steps = 3 }) => {
  const { wide, codes, qdq } = await errorsOf(graph);
  expect(wide).toBeLessThan(steps);
  expect(codes).toBeLessThan(steps);
  expect(qdq).toBeLessThan(1.01);
});

test.for(rows)("$name: one scale for all channels", async ({ graph, steps = 3 }) => {
  const { wide, codes, qdq } = await errorsOf(graph, { granularity: "tensor" });
  expect(wide).toBeLessThan(steps + 1);
  expect(codes).toBeLessThan(steps + 1);
  expect(qdq).toBeLessThan(1.01);
});

test.for([2, 3, 4])("weights of %d bits take so many in the plan", async (weights) => {
  const { graph } = rows.find(({ name }) => name === "projection residual")!;
  const quantized = await quantizeGraph(graph, samplesOf(graph, 2), { weights, firstLast: 0, weightZeros: "symmetric" });
  const plan = lower(quantized);
  const convs = plan.steps.filter((step): step is ConvStep => step.kernel === "conv");
  expect(convs.length).toBe(quantized.weights.size);
  for (const step of convs) {
    const { codes } = quantized.weights.get(step.nodes[0]!)!;
    expect(step.codes?.bits).toBe(weights);
    expect(plan.tensors.get(step.weights)!.byteLength).toBe(Math.ceil((codes.length * weights) / 8));
    expect(decodedWeights(plan, step).toSorted()).toEqual(codes.toSorted());
  }
});

test.for([4, 5, 6, 7])("weights of %d bits: symmetric codes in range, and the plan runs", async (weights) => {
  const { graph } = rows.find(({ name }) => name === "projection residual")!;
  const options = { weights, firstLast: 0, weightZeros: "symmetric" } as const;
  const quantized = await quantizeGraph(graph, samplesOf(graph, 2), options);
  for (const { codes, encoding } of quantized.weights.values()) {
    expect(Math.max(...codes)).toBe(2 ** (weights - 1) - 1);
    expect(Math.min(...codes)).toBeGreaterThanOrEqual(-(2 ** (weights - 1)));
    expect(encoding.zeroPoint.every((z) => z === 0)).toBe(true);
  }
  const { wide, codes, qdq } = await errorsOf(graph, options);
  // Half a step of the weights, summed at random over 72 and 144 taps, twice.
  expect(wide).toBeLessThan(3 + 2 ** (10 - weights));
  expect(codes).toBeLessThan(3 + 2 ** (10 - weights));
  expect(qdq).toBeLessThan(1.01);
});

test.for([4, 5, 6, 7])("weights of %d bits with zero points of their own: levels around 0 in plan and QDQ graph", async (weights) => {
  const { graph } = rows.find(({ name }) => name === "projection residual")!;
  const options = { weights, firstLast: 0, weightZeros: "affine" } as const;
  const quantized = await quantizeGraph(graph, samplesOf(graph, 2), options);
  for (const weight of quantized.weights.values()) {
    const { codes, encoding } = centred(weight);
    expect(encoding.zeroPoint.every((z) => z === 0)).toBe(true);
    expect(dequantizeWeights({ ...weight, codes, encoding }).data).toEqual(dequantizeWeights(weight).data);
  }
  const { wide, codes, qdq } = await errorsOf(graph, options);
  expect(wide).toBeLessThan(3 + 2 ** (10 - weights));
  expect(codes).toBeLessThan(3 + 2 ** (10 - weights));
  expect(qdq).toBeLessThan(1.01);
});

test("fewer bits for activations: the plan and the QDQ graph clip alike", async () => {
  const { graph } = rows.find(({ name }) => name === "identity residual")!;
  const { qdq } = await errorsOf(graph, { activations: 4, ranges: "mse" });
  expect(qdq).toBeLessThan(0.1);
});

/** Codes that meet every tap of one output with the end of their range that its sign asks for. */
function aligned(plan: Plan, step: ConvStep, channel: number, end: "lo" | "hi"): Int8Array {
  const weights = plan.tensors.get(step.weights) as Int8Array;
  const [height, width] = step.window;
  const [channels, h, w] = plan.values[step.input]!.dims as [number, number, number];
  const codes = new Int8Array(channels * h * w);
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const weight = weights[((channel * height + y) * width + x) * channels + c]!;
        codes[(c * h + y) * w + x] = weight > 0 === (end === "hi") ? 127 : -128;
      }
  return codes;
}

test.for([
  { name: "codes of an input", nodes: [node("y = Conv(x, w, b)")] },
  { name: "codes that a Relu lets through", nodes: [node("r = Relu(x)"), node("y = Conv(r, w, b)")] },
])("both ends of an accumulator interval are attained by $name", async ({ nodes }) => {
  const graph = graphOf(x(9, 5, 5), nodes, { w: w(7, 9, 3, 3), b: w(7) });
  const plan = lower(await quantizeGraph(graph, samplesOf(graph, 4)));
  const step = plan.steps.at(-1)! as ConvStep;
  using session = await createSession(plan, { wasm: await integerModule() });
  const found = { lo: Number.POSITIVE_INFINITY, hi: Number.NEGATIVE_INFINITY };
  for (let channel = 0; channel < 7; channel++) {
    // The first output position meets the first rows and columns of the input.
    const at = channel * 9;
    found.lo = Math.min(found.lo, session.run(aligned(plan, step, channel, "lo")).y!.codes[at]!);
    found.hi = Math.max(found.hi, session.run(aligned(plan, step, channel, "hi")).y!.codes[at]!);
  }
  expect([found.lo, found.hi]).toEqual(step.accumulator);
});
