// Our QDQ files in ONNX Runtime: they load, become integer kernels, and give the codes of a plan lowered with `residual: codes`.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { Graph, Tensor } from "../../src/graph/types.ts";
import { lower } from "../../src/lower/lower.ts";
import { ModelProtoSchema } from "../../src/onnx/onnx_pb.ts";
import { toQdq } from "../../src/onnx/qdq.ts";
import { readModel } from "../../src/onnx/read.ts";
import { writeModel } from "../../src/onnx/write.ts";
import type { QuantizeOptions } from "../../src/quantized/options.ts";
import type { Quantized } from "../../src/quantized/types.ts";
import { createSession } from "../../src/runtime/index.ts";
import {
  Agreement,
  layersOf,
  loadRuntime,
  openOptimized,
  type RuntimeSession,
  type RuntimeTensor,
  runOn,
  signed,
  withCodes,
} from "../bench/peers/onnxruntime.mjs";
import { readIdx } from "../engine/samples.ts";
import { float32, graphOf, int64s, node, randomTensor } from "../graph/build.ts";
import { type Feeds, quantizeGraph, runGraph, samplesOf } from "../lower/run.ts";
import { integerModule } from "../runtime/kernels.ts";

const runtime = loadRuntime();
/** Skipped by name where the peer is not installed (npm ci --prefix test/bench/peers). */
const withRuntime = test.skipIf(!runtime);

interface Peer {
  readonly session: RuntimeSession;
  readonly counts: Readonly<Record<string, number>>;
  run(feeds: Feeds): Promise<Readonly<Record<string, RuntimeTensor>>>;
}

async function peerOf(graph: Graph): Promise<Peer> {
  const { session, counts } = await openOptimized(runtime!, writeModel(graph), ModelProtoSchema);
  return {
    session,
    counts,
    run: (feeds) =>
      runOn(
        runtime!,
        session,
        Object.fromEntries([...feeds].map(([name, { dims, data }]) => [name, { dims, data: data as Float32Array }])),
      ),
  };
}

const opsOf = (graph: Graph, op: string): number => graph.nodes.filter((each) => each.op === op).length;

const examples = new URL("../../examples/fashion/", import.meta.url).pathname;
const idx = (set: string): ReturnType<typeof readIdx> =>
  readIdx(`${examples}${set}-images-idx3-ubyte.gz`, `${examples}${set}-labels-idx1-ubyte.gz`, 1 / 255, 0.286, 0.353);

function images(set: string, count: number): Feeds[] {
  const { values } = idx(set);
  return Array.from({ length: count }, (_, i) => new Map([["input", float32([1, 1, 28, 28], values.subarray(i * 784, (i + 1) * 784))]]));
}

/** The network of `npm start`, calibrated on a few of its images. */
let residual: Promise<Quantized> | undefined;
const residualNetwork = (): Promise<Quantized> =>
  (residual ??= quantizeGraph(readModel(new Uint8Array(readFileSync(`${examples}resnet20.onnx`))), images("test", 64), { ranges: "mse" }));

withRuntime("a residual network becomes integer kernels throughout", async () => {
  const quantized = await residualNetwork();
  const { graph } = quantized;
  const { counts } = await peerOf(toQdq(quantized));
  expect(counts).toEqual({
    QuantizeLinear: 1,
    QLinearConv: opsOf(graph, "Conv"),
    QLinearAdd: opsOf(graph, "Add"),
    QLinearGlobalAveragePool: 1,
    Reshape: 1,
    QGemm: 1,
    ...(counts.Transpose ? { Transpose: counts.Transpose } : {}),
  });
});

/** Every layer of the plan fed with the codes that ONNX Runtime's layer was fed with. */
async function compareLayers(quantized: Quantized, samples: readonly Feeds[]): Promise<Map<string, Agreement>> {
  const graph = withCodes(toQdq(quantized));
  const peer = await peerOf(graph);
  const shown = new Set(graph.outputs);
  const plan = lower(quantized, { residual: "codes" });
  const answers = await Promise.all(samples.map((feeds) => peer.run(feeds)));
  const agreements = new Map<string, Agreement>();
  for (const layer of layersOf(plan, (name) => shown.has(`${name}_quantized`))) {
    using session = await createSession(layer, { wasm: await integerModule() });
    const output = layer.values[layer.outputs[0]!]!;
    const agreement = new Agreement();
    for (const answer of answers) {
      const inputs = Object.fromEntries(
        layer.inputs.map((i) => [layer.values[i]!.name, signed(answer[`${layer.values[i]!.name}_quantized`]!.data)]),
      );
      const { codes, values } = session.run(inputs)[output.name]!;
      const theirs = answer[`${output.name}_quantized`];
      if (theirs) agreement.add(codes, signed(theirs.data));
      else {
        const reals = answer[output.name]!.data;
        const largest = (reals as Float32Array).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
        for (const [i, x] of values.entries()) expect(Math.abs(x - reals[i]!)).toBeLessThanOrEqual(1e-5 * largest);
      }
    }
    agreements.set(output.name, agreement);
  }
  return agreements;
}

function expectEqualCodes(agreements: ReadonlyMap<string, Agreement>): void {
  let [total, equal] = [0, 0];
  for (const [name, agreement] of agreements) {
    total += agreement.total;
    equal += agreement.equal;
    expect(agreement.most, name).toBeLessThanOrEqual(1);
  }
  expect(equal / total).toBeGreaterThanOrEqual(0.999);
}

withRuntime("layer by layer, a plan of codes gives its codes", async () => {
  const agreements = await compareLayers(await residualNetwork(), images("test", 8));
  expect(agreements.size).toBeGreaterThan(30);
  expectEqualCodes(agreements);
});

withRuntime("a plan with wide sums answers alike on 97 of 100 images", async () => {
  const quantized = await residualNetwork();
  const peer = await peerOf(toQdq(quantized));
  using session = await createSession(lower(quantized), { wasm: await integerModule() });
  const samples = images("test", 500);
  let alike = 0;
  for (const feeds of samples) {
    const theirs = (await peer.run(feeds)).logits!.data;
    const ours = session.run(feeds.get("input")!.data as Float32Array).logits!.values;
    if (best(ours) === best(theirs)) alike++;
  }
  expect(alike).toBeGreaterThanOrEqual(0.97 * samples.length);
});

const best = (logits: ArrayLike<number>): number => {
  let at = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[at]!) at = i;
  return at;
};

interface Row {
  readonly name: string;
  readonly graph: Graph;
  readonly options?: Partial<QuantizeOptions>;
  /** Operators after optimisation: at least so many, and none of those with 0. */
  readonly counts: Readonly<Record<string, number>>;
  /** Some nodes have no integer form, so that there is no plan to compare with. */
  readonly float?: boolean;
}

const w = (...dims: number[]): Tensor =>
  randomTensor(
    dims,
    dims.reduce((a, b) => 31 * a + b, 7),
  );
const image = { x: ["N", 8, 8, 8] };

const mobile = graphOf(
  image,
  [
    node("a = Conv(x, w1, b1)"),
    node("b = Clip(a, lo, hi)"),
    node("c = Conv(b, w2, b2)", { group: 24, pads: [1, 1, 1, 1] }),
    node("d = Clip(c, lo, hi)"),
    node("e = Conv(d, w3, b3)"),
    node("s = Add(x, e)"),
    node("p = GlobalAveragePool(s)"),
    node("f = Flatten(p)"),
    node("y = Gemm(f, w4, b4)", { transB: 1 }),
  ],
  {
    ...{ w1: w(24, 8, 1, 1), b1: w(24), w2: w(24, 1, 3, 3), b2: w(24), w3: w(8, 24, 1, 1), b3: w(8), w4: w(5, 8), b4: w(5) },
    ...{ lo: float32([], [0]), hi: float32([], [6]) },
  },
);
const mobileCounts = { QLinearConv: 3, QLinearAdd: 1, QLinearGlobalAveragePool: 1, QGemm: 1, Conv: 0, Gemm: 0, Add: 0 };

const rows: Row[] = [
  { name: "inverted residual", graph: mobile, counts: mobileCounts },
  { name: "one scale for all channels", graph: mobile, options: { granularity: "tensor" }, counts: mobileCounts },
  { name: "4-bit weights", graph: mobile, options: { weights: 4, firstLast: 0, weightZeros: "symmetric" }, counts: mobileCounts },
  {
    name: "6-bit weights around zero points",
    graph: mobile,
    options: { weights: 6, firstLast: 0, weightZeros: "affine" },
    counts: mobileCounts,
  },
  {
    name: "an excluded node",
    graph: mobile,
    options: { exclude: ["c"] },
    counts: { QLinearConv: 1, FusedConv: 1, Conv: 1, QLinearAdd: 1, QGemm: 1 },
    float: true,
  },
  {
    name: "squeeze and excitation",
    graph: graphOf(
      image,
      [
        node("h = HardSwish(x)"),
        node("p = GlobalAveragePool(h)"),
        node("c = Conv(p, w1, b1)"),
        node("r = Relu(c)"),
        node("d = Conv(r, w2, b2)"),
        node("g = HardSigmoid(d)", { alpha: 1 / 6, beta: 0.5 }),
        node("m = Mul(h, g)"),
        node("y = Conv(m, w3)"),
        node("z = LeakyRelu(y)", { alpha: 0.1 }),
      ],
      { w1: w(4, 8, 1, 1), b1: w(4), w2: w(8, 4, 1, 1), b2: w(8), w3: w(6, 8, 3, 3) },
    ),
    counts: { QLinearConv: 3, QLinearMul: 1, QLinearLeakyRelu: 1, Conv: 0 },
  },
  {
    name: "concatenation of two scales, pools",
    graph: graphOf(
      image,
      [
        node("a = Conv(x, w1)"),
        node("b = Relu(a)"),
        node("c = Concat(x, b)", { axis: 1 }),
        node("m = MaxPool(c)", { kernel_shape: [2, 2], strides: [2, 2] }),
        node("v = AveragePool(m)", { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }),
        node("y = Conv(v, w2)"),
        node("z = Sigmoid(y)"),
      ],
      { w1: w(8, 8, 1, 1), w2: w(6, 16, 3, 3) },
    ),
    counts: { QLinearConv: 2, QLinearConcat: 1, MaxPool: 1, QLinearAveragePool: 1, QLinearSigmoid: 1, Conv: 0, Concat: 0 },
  },
  {
    name: "projection shortcut",
    graph: graphOf(image, [node("a = Conv(x, w1, b1)"), node("b = Conv(x, w2, b1)"), node("s = Add(a, b)"), node("y = Relu(s)")], {
      w1: w(6, 8, 3, 3),
      b1: w(6),
      w2: randomTensor([6, 8, 3, 3], 9),
    }),
    counts: { QLinearConv: 2, QLinearAdd: 1, Conv: 0, Relu: 0 },
  },
  {
    name: "a transposed convolution and a resize",
    graph: graphOf(
      image,
      [
        node("a = ConvTranspose(x, w1, b1)", { strides: [2, 2] }),
        node("r = Relu(a)"),
        node("u = Resize(r, , s)", { mode: "nearest" }),
        node("c = Conv(u, w2)"),
        node("y = Relu(c)"),
      ],
      {
        w1: w(8, 6, 2, 2),
        b1: w(6),
        w2: w(4, 6, 1, 1),
        s: float32([4], [1, 1, 2, 2]),
      },
    ),
    counts: { QLinearConv: 1, Conv: 0 },
  },
  {
    name: "Swish",
    graph: graphOf(
      image,
      [node("a = Conv(x, w1)"), node("s = Sigmoid(a)"), node("m = Mul(a, s)"), node("c = Conv(m, w2)"), node("y = Relu(c)")],
      { w1: w(8, 8, 1, 1), w2: w(6, 8, 3, 3) },
    ),
    counts: { QLinearConv: 2, Conv: 0 },
  },
  {
    name: "a transformer block",
    graph: graphOf(
      { x: ["N", 6, 16] },
      [
        node("n = LayerNormalization(x, g, h)", { axis: -1, epsilon: 1e-5 }),
        ...["q", "k", "v"].flatMap((part) => [
          node(`${part}m = MatMul(n, w${part})`),
          node(`${part}a = Add(${part}m, b)`),
          node(`${part}r = Reshape(${part}a, heads)`),
        ]),
        node("q = Transpose(qr)", { perm: [0, 2, 1, 3] }),
        node("k = Transpose(kr)", { perm: [0, 2, 3, 1] }),
        node("v = Transpose(vr)", { perm: [0, 2, 1, 3] }),
        node("qk = MatMul(q, k)"),
        node("sc = Mul(qk, half)"),
        node("pr = Softmax(sc)"),
        node("av = MatMul(pr, v)"),
        node("at = Transpose(av)", { perm: [0, 2, 1, 3] }),
        node("ar = Reshape(at, rows)"),
        node("o = MatMul(ar, wo)"),
        node("ob = Add(o, b)"),
        node("r1 = Add(x, ob)"),
        node("m1 = MatMul(r1, wq)"),
        node("m2 = Add(m1, b)"),
        node("ge = Gelu(m2)"),
        node("y = MatMul(ge, wv)"),
      ],
      {
        ...{
          g: w(16),
          h: w(16),
          b: w(16),
          wq: w(16, 16),
          wk: randomTensor([16, 16], 2),
          wv: randomTensor([16, 16], 3),
          wo: randomTensor([16, 16], 4),
        },
        ...{ heads: int64s([0, 0, 4, 4]), rows: int64s([0, 0, 16]), half: float32([], [0.5]) },
      },
    ),
    counts: { LayerNormalization: 1, Gelu: 1, MatMul: 0 },
    float: true,
  },
];

withRuntime.for(rows)("$name: loads, fuses, and gives our answers", async ({ graph, options, counts, float }) => {
  const samples = samplesOf(graph, 4);
  const quantized = await quantizeGraph(graph, samples, options);
  const qdq = toQdq(quantized);
  const peer = await peerOf(qdq);
  for (const [op, count] of Object.entries(counts)) expect([op, peer.counts[op] ?? 0]).toEqual([op, count]);
  const ours = await runGraph(qdq, samples);
  for (const [i, feeds] of samples.entries()) {
    const theirs = await peer.run(feeds);
    for (const name of qdq.outputs) {
      const [a, b] = [ours[i]![name]!, theirs[name]!.data];
      const span = Math.max(...a) - Math.min(...a);
      // A code of difference somewhere inside is a step or two at the end.
      for (const [k, x] of a.entries()) expect(Math.abs(x - b[k]!) / span).toBeLessThan(3 / 255);
    }
  }
  if (!float) expectEqualCodes(await compareLayers(quantized, samplesOf(graph, 16, 2)));
});
