import { expect, test } from "vitest";
import { evaluateReference } from "../../src/graph/evaluate.ts";
import { prepare } from "../../src/graph/prepare.ts";
import type { Attribute, Dim, Graph, GraphNode, Tensor } from "../../src/graph/types.ts";
import { float32, graphOf, int64s, node, opsOf, randomTensor } from "./build.ts";

interface Row {
  readonly says: string;
  readonly inputs?: Record<string, readonly Dim[]>;
  readonly nodes: readonly GraphNode[];
  readonly constants?: Record<string, Tensor>;
  readonly outputs?: readonly string[];
  readonly becomes: readonly string[];
  /** Attributes of the last node afterwards. */
  readonly attributes?: Record<string, Attribute>;
}

const scalar = (x: number): Tensor => float32([], [x]);
const image = { x: ["N", 3, 6, 6] } as const;
const conv3 = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] };
const weights = { w: randomTensor([4, 3, 3, 3], 1), b: randomTensor([4], 2) };
const statistics = { g: randomTensor([4], 3, 2), t: randomTensor([4], 4), m: randomTensor([4], 5), v: randomTensor([4], 6, 1.5) };
const explicitConv = { dilations: [1, 1], group: 1, kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [1, 1] };
const normalization = (square: GraphNode, mul = true): GraphNode[] => [
  node("mean = ReduceMean(x, last)"),
  node("d = Sub(x, mean)"),
  square,
  node("var = ReduceMean(sq, last)"),
  node("shifted = Add(var, eps)"),
  node("root = Sqrt(shifted)"),
  node("n = Div(d, root)"),
  ...(mul ? [node("scaled = Mul(n, gamma)"), node("y = Add(scaled, beta)")] : []),
];
const tokens = { x: ["N", 5, 8] } as const;
const layer = {
  last: int64s([-1]),
  eps: scalar(Math.fround(1e-5)),
  two: scalar(2),
  gamma: randomTensor([8], 7),
  beta: randomTensor([8], 8),
};

const rows: readonly Row[] = [
  {
    says: "a node of constants is a constant",
    nodes: [node("c = Mul(p, q)"), node("y = Add(x, c)")],
    inputs: { x: [2, 3] },
    constants: { p: randomTensor([3], 1), q: randomTensor([3], 2) },
    becomes: ["Add"],
  },
  {
    says: "shape arithmetic on a symbolic batch becomes a Reshape target",
    nodes: [
      node("s = Shape(x)"),
      node("n = Gather(s, i)", { axis: 0 }),
      node("n1 = Unsqueeze(n, axis)"),
      node("target = Concat(n1, rest)", { axis: 0 }),
      node("y = Reshape(x, target)"),
    ],
    inputs: image,
    constants: { i: { ...int64s([0]), dims: [] }, axis: int64s([0]), rest: int64s([-1]) },
    becomes: ["Reshape"],
  },
  {
    says: "Identity, Dropout, Cast and Pad of nothing vanish",
    nodes: [
      node("a = Identity(x)"),
      node("b = Dropout(a)"),
      node("c = Cast(b)", { to: 1 }),
      node("d = Pad(c, none)"),
      node("e = Transpose(d)", { perm: [0, 1, 2, 3] }),
      node("y = Relu(e)"),
    ],
    inputs: image,
    constants: { none: int64s([0, 0, 0, 0, 0, 0, 0, 0]) },
    becomes: ["Relu"],
  },
  {
    says: "an idle node that makes the graph's output gives its name to the producer",
    nodes: [node("a = Relu(x)"), node("y = Identity(a)")],
    inputs: image,
    becomes: ["Relu"],
  },
  {
    says: "Flatten and Squeeze become Reshape",
    nodes: [node("f = Flatten(x)", { axis: 1 }), node("y = Relu(f)")],
    inputs: image,
    becomes: ["Reshape", "Relu"],
  },
  {
    says: "Reshapes and Transposes in a row become one",
    nodes: [
      node("a = Reshape(x, p)"),
      node("b = Reshape(a, q)"),
      node("c = Transpose(b)", { perm: [1, 0, 2] }),
      node("y = Transpose(c)", { perm: [2, 1, 0] }),
    ],
    inputs: { x: [2, 3, 4] },
    constants: { p: int64s([24]), q: int64s([4, 3, 2]) },
    becomes: ["Reshape", "Transpose"],
    attributes: { perm: [2, 0, 1] },
  },
  {
    says: "slices of different axes become one",
    nodes: [node("a = Slice(x, zero, end, h, two)"), node("y = Slice(a, zero, end, w, two)")],
    inputs: image,
    constants: { zero: int64s([0]), end: int64s([2 ** 31 - 1]), h: int64s([2]), w: int64s([-1]), two: int64s([2]) },
    becomes: ["Slice"],
  },
  {
    says: "a Slice that walks backwards stays what it is",
    nodes: [node("y = Slice(x, start, end, axes, steps)")],
    inputs: image,
    constants: { start: int64s([-1]), end: int64s([-100]), axes: int64s([3]), steps: int64s([-2]) },
    becomes: ["Slice"],
  },
  {
    says: "a constant that a node reads twice changes once for each",
    nodes: [node("y = Slice(x, last, end, last)")],
    inputs: image,
    constants: { last: int64s([-1]), end: int64s([100]) },
    becomes: ["Slice"],
  },
  {
    says: "a Gemm whose weight is its bias too",
    nodes: [node("y = Gemm(x, w, w)", { alpha: 2, beta: 3 })],
    inputs: { x: ["N", 1] },
    constants: { w: randomTensor([1, 4], 1) },
    becomes: ["Gemm"],
  },
  {
    says: "BatchNormalization goes into Conv",
    nodes: [node("c = Conv(x, w, b)", conv3), node("y = BatchNormalization(c, g, t, m, v)", { epsilon: Math.fround(1e-5) })],
    inputs: image,
    constants: { ...weights, ...statistics },
    becomes: ["Conv"],
    attributes: explicitConv,
  },
  {
    says: "BatchNormalization goes into a grouped Conv without bias",
    nodes: [node("c = Conv(x, w)", { group: 3, kernel_shape: [1, 1] }), node("y = BatchNormalization(c, g, t, m, v)")],
    inputs: image,
    constants: {
      w: randomTensor([6, 1, 1, 1], 1),
      g: randomTensor([6], 3, 2),
      t: randomTensor([6], 4),
      m: randomTensor([6], 5),
      v: randomTensor([6], 6, 1.5),
    },
    becomes: ["Conv"],
  },
  {
    says: "BatchNormalization goes into a grouped ConvTranspose",
    nodes: [node("c = ConvTranspose(x, w)", { group: 2, strides: [2, 2] }), node("y = BatchNormalization(c, g, t, m, v)")],
    inputs: { x: [2, 4, 5, 5] },
    constants: {
      w: randomTensor([4, 3, 2, 2], 1),
      g: randomTensor([6], 3, 2),
      t: randomTensor([6], 4),
      m: randomTensor([6], 5),
      v: randomTensor([6], 6, 1.5),
    },
    becomes: ["ConvTranspose"],
  },
  {
    says: "BatchNormalization goes into Gemm",
    nodes: [node("c = Gemm(x, w, b)"), node("y = BatchNormalization(c, g, t, m, v)")],
    inputs: { x: ["N", 5] },
    constants: { w: randomTensor([5, 4], 1), b: weights.b, ...statistics },
    becomes: ["Gemm"],
  },
  {
    says: "BatchNormalization stays where somebody else reads the convolution",
    nodes: [node("c = Conv(x, w, b)", conv3), node("n = BatchNormalization(c, g, t, m, v)"), node("y = Add(n, c)")],
    inputs: image,
    constants: { ...weights, ...statistics },
    becomes: ["Conv", "BatchNormalization", "Add"],
  },
  {
    says: "Mul, Add, Div and Sub by constants per channel go into Conv, from either side",
    nodes: [
      node("c = Conv(x, w, b)", conv3),
      node("p = Mul(k, c)"),
      node("q = Add(p, h)"),
      node("r = Div(q, three)"),
      node("y = Sub(r, k)"),
    ],
    inputs: image,
    constants: { ...weights, k: randomTensor([4, 1, 1], 9), h: randomTensor([1, 4, 1, 1], 10), three: scalar(3) },
    becomes: ["Conv"],
  },
  {
    says: "Add of a constant image stays",
    nodes: [node("c = Conv(x, w, b)", conv3), node("y = Add(c, h)")],
    inputs: image,
    constants: { ...weights, h: randomTensor([4, 6, 6], 9) },
    becomes: ["Conv", "Add"],
  },
  {
    says: "two layers may share weights, and each folds its own copy",
    nodes: [
      node("c = Conv(x, w, b)", conv3),
      node("e = Conv(z, w, b)", conv3),
      node("n = BatchNormalization(c, g, t, m, v)"),
      node("y = Add(n, e)"),
    ],
    inputs: { ...image, z: ["N", 3, 6, 6] },
    constants: { ...weights, ...statistics },
    becomes: ["Conv", "Conv", "Add"],
  },
  {
    says: "MatMul by a matrix and Add become Gemm; alpha, beta and transB are settled",
    nodes: [node("m = MatMul(x, w)"), node("h = Add(m, b)"), node("y = Gemm(h, u, r)", { alpha: 0.5, beta: 2 })],
    inputs: { x: ["N", 5] },
    constants: { w: randomTensor([5, 4], 1), b: randomTensor([1, 4], 2), u: randomTensor([4, 3], 3), r: scalar(0.25) },
    becomes: ["Gemm", "Gemm"],
    attributes: { alpha: 1, beta: 1, transA: 0, transB: 1 },
  },
  {
    says: "Pad of zeros goes into Conv",
    nodes: [node("p = Pad(x, pads)", { mode: "constant" }), node("y = Conv(p, w, b)", { strides: [2, 2], pads: [1, 0, 0, 1] })],
    inputs: image,
    constants: { ...weights, pads: int64s([0, 0, 1, 2, 0, 0, 0, 1]) },
    becomes: ["Conv"],
    attributes: { ...explicitConv, strides: [2, 2], pads: [2, 2, 0, 2] },
  },
  {
    says: "Pad stays when it is not of zeros, not spatial, or crops",
    nodes: [
      node("p = Pad(x, pads, one)", { mode: "constant" }),
      node("c = Conv(p, w, b)", conv3),
      node("q = Pad(c, channels)", { mode: "constant" }),
      node("d = Conv(q, u)", conv3),
      node("r = Pad(d, crop)", { mode: "constant" }),
      node("y = Conv(r, u2)", conv3),
    ],
    inputs: image,
    constants: {
      ...weights,
      pads: int64s([0, 0, 1, 1, 0, 0, 1, 1]),
      one: scalar(1),
      channels: int64s([0, 1, 0, 0, 0, 0, 0, 0]),
      u: randomTensor([2, 5, 3, 3], 11),
      crop: int64s([0, 0, -1, 0, 0, 0, 0, 0]),
      u2: randomTensor([2, 2, 3, 3], 12),
    },
    becomes: ["Pad", "Conv", "Pad", "Conv", "Pad", "Conv"],
  },
  {
    says: "Pad of zeros goes into AveragePool, which then counts it",
    nodes: [node("p = Pad(x, pads)", { mode: "constant" }), node("y = AveragePool(p)", { kernel_shape: [3, 3] })],
    inputs: image,
    constants: { pads: int64s([0, 0, 1, 1, 0, 0, 1, 1]) },
    becomes: ["AveragePool"],
  },
  {
    says: "Pad of zeros stays before AveragePool that does not count its own padding, and before MaxPool",
    nodes: [
      node("p = Pad(x, pads)", { mode: "constant" }),
      node("a = AveragePool(p)", { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }),
      node("q = Pad(a, pads)", { mode: "constant" }),
      node("y = MaxPool(q)", { kernel_shape: [3, 3] }),
    ],
    inputs: image,
    constants: { pads: int64s([0, 0, 1, 1, 0, 0, 1, 1]) },
    becomes: ["Pad", "AveragePool", "Pad", "MaxPool"],
  },
  {
    says: "auto_pad becomes pads",
    nodes: [node("y = Conv(x, w, b)", { auto_pad: "SAME_UPPER", strides: [2, 2] })],
    inputs: image,
    constants: weights,
    becomes: ["Conv"],
    attributes: { ...explicitConv, strides: [2, 2], pads: [0, 0, 1, 1] },
  },
  {
    says: "AveragePool over the whole image is GlobalAveragePool",
    nodes: [node("y = AveragePool(x)", { kernel_shape: [6, 6] })],
    inputs: image,
    becomes: ["GlobalAveragePool"],
  },
  {
    says: "ReduceMean over the whole image is GlobalAveragePool",
    nodes: [node("y = ReduceMean(x, axes)", { keepdims: 0 })],
    inputs: image,
    constants: { axes: int64s([-1, 2]) },
    becomes: ["GlobalAveragePool", "Reshape"],
  },
  {
    says: "clamps in a row become one",
    nodes: [node("r = Relu(x)"), node("a = Clip(r, low, high)"), node("b = Max(a, c)"), node("y = Min(b, d)")],
    inputs: image,
    constants: { low: scalar(-1), high: scalar(0.75), c: scalar(0.125), d: scalar(0.5) },
    becomes: ["Clip"],
  },
  {
    says: "Clip from 0 up is Relu",
    nodes: [node("y = Clip(x, low)")],
    inputs: image,
    constants: { low: scalar(0) },
    becomes: ["Relu"],
  },
  {
    says: "a clamp that somebody else reads stays",
    nodes: [node("r = Relu(x)"), node("c = Clip(r,, high)"), node("y = Add(r, c)")],
    inputs: image,
    constants: { high: scalar(0.5) },
    becomes: ["Relu", "Clip", "Add"],
  },
  {
    says: "LayerNormalization spelled with Pow",
    nodes: normalization(node("sq = Pow(d, two)")),
    inputs: tokens,
    constants: layer,
    becomes: ["LayerNormalization"],
  },
  {
    says: "LayerNormalization spelled with Mul",
    nodes: normalization(node("sq = Mul(d, d)")),
    inputs: tokens,
    constants: layer,
    becomes: ["LayerNormalization"],
  },
  {
    says: "LayerNormalization without scale and bias",
    nodes: normalization(node("sq = Mul(d, d)"), false),
    inputs: tokens,
    constants: layer,
    becomes: ["LayerNormalization"],
  },
  {
    says: "a norm with another centre is no LayerNormalization",
    nodes: normalization(node("sq = Mul(x, x)")),
    inputs: tokens,
    constants: layer,
    becomes: ["ReduceMean", "Sub", "Mul", "ReduceMean", "Add", "Sqrt", "Div", "Mul", "Add"],
  },
  ...[
    [node("p = Mul(x, one_erf)"), node("y = Mul(p, half)")],
    [node("p = Mul(half, one_erf)"), node("y = Mul(x, p)")],
    [node("p = Mul(x, half)"), node("y = Mul(one_erf, p)")],
  ].map(
    (product, i): Row => ({
      says: `Gelu spelled with Erf, order ${i + 1}`,
      nodes: [node("u = Div(x, root2)"), node("e = Erf(u)"), node("one_erf = Add(e, one)"), ...product],
      inputs: tokens,
      constants: { root2: scalar(Math.SQRT2), one: scalar(1), half: scalar(0.5) },
      becomes: ["Gelu"],
    }),
  ),
  ...[[node("cube = Pow(x, three)")], [node("square = Mul(x, x)"), node("cube = Mul(square, x)")]].map(
    (cube, i): Row => ({
      says: `Gelu's approximation by Tanh, cube ${i + 1}`,
      nodes: [
        ...cube,
        node("small = Mul(cube, little)"),
        node("sum = Add(x, small)"),
        node("scaled = Mul(sum, root)"),
        node("t = Tanh(scaled)"),
        node("one_tanh = Add(one, t)"),
        node("h = Mul(half, x)"),
        node("y = Mul(h, one_tanh)"),
      ],
      inputs: tokens,
      constants: { three: scalar(3), little: scalar(0.044715), root: scalar(0.7978845608), one: scalar(1), half: scalar(0.5) },
      becomes: ["Gelu"],
      attributes: { approximate: "tanh" },
    }),
  ),
  { says: "x times its sigmoid is Swish", nodes: [node("s = Sigmoid(x)"), node("y = Mul(x, s)")], inputs: tokens, becomes: ["Swish"] },
  {
    says: "x times its hard sigmoid is HardSwish",
    nodes: [node("s = HardSigmoid(x)", { alpha: Math.fround(1 / 6), beta: 0.5 }), node("y = Mul(s, x)")],
    inputs: tokens,
    becomes: ["HardSwish"],
  },
  {
    says: "HardSwish spelled with Clip",
    nodes: [node("a = Add(x, three)"), node("c = Clip(a, zero, six)"), node("m = Mul(x, c)"), node("y = Div(m, six)")],
    inputs: tokens,
    constants: { three: scalar(3), zero: scalar(0), six: scalar(6) },
    becomes: ["HardSwish"],
  },
  {
    says: "division by a power of two is multiplication, subtraction of a constant is addition",
    nodes: [node("a = Div(x, four)"), node("b = Sub(a, one)"), node("y = Div(b, three)")],
    inputs: tokens,
    constants: { four: scalar(4), one: scalar(1), three: scalar(3) },
    becomes: ["Mul", "Add", "Div"],
  },
  {
    says: "what no output needs is gone",
    nodes: [node("dead = Exp(x)"), node("y = Relu(x)")],
    inputs: tokens,
    becomes: ["Relu"],
  },
];

function feedsOf(graph: Graph, seed: number): Map<string, Tensor> {
  return new Map(
    graph.inputs.map((name, i) => {
      const dims = graph.facts.get(name)!.dims!.map((dim) => (typeof dim === "number" ? dim : 2));
      return [name, randomTensor(dims, seed + 100 * i)];
    }),
  );
}

/** Largest difference, relative to the largest magnitude. */
function distance(a: Tensor, b: Tensor): number {
  expect(b.dims).toEqual(a.dims);
  const [x, y] = [a.data as Float32Array, b.data as Float32Array];
  const size = x.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-30);
  return x.reduce((largest, value, i) => Math.max(largest, Math.abs(value - y[i]!)), 0) / size;
}

test.for(rows)("$says", ({ inputs = {}, nodes, constants, outputs, becomes, attributes }) => {
  const graph = graphOf(inputs, nodes, constants, outputs);
  const prepared = prepare(graph);
  expect(opsOf(prepared)).toEqual(becomes);
  if (attributes) expect(prepared.nodes.at(-1)!.attributes).toEqual(attributes);
  expect(prepared.outputs).toEqual(graph.outputs);
  expect(prepare(prepared)).toBe(prepared);
  for (const output of graph.outputs) expect(prepared.facts.get(output)!.dims).toEqual(graph.facts.get(output)!.dims);
  for (const seed of [1, 2, 3]) {
    const feeds = feedsOf(graph, seed);
    const before = evaluateReference(graph, feeds);
    const after = evaluateReference(prepared, feeds);
    for (const output of graph.outputs) expect(distance(before.get(output)!, after.get(output)!)).toBeLessThan(2e-6);
  }
});

test("the folded statistics are kept under the convolution's name", () => {
  const graph = prepare(
    graphOf(image, [node("c = Conv(x, w, b)", conv3), node("y = BatchNormalization(c, g, t, m, v)", { epsilon: 0.5 })], {
      ...weights,
      ...statistics,
    }),
  );
  const name = graph.nodes[0]!.name;
  expect(name).toBe("c");
  const { g, t, m, v } = statistics;
  expect(graph.notes.get(name)).toEqual({ scale: g, bias: t, mean: m, variance: v, epsilon: scalar(0.5) });
});

test("a folded weight keeps the model's name", () => {
  const graph = prepare(
    graphOf(image, [node("c = Conv(x, w, b)", conv3), node("y = BatchNormalization(c, g, t, m, v)")], { ...weights, ...statistics }),
  );
  expect([...graph.constants.keys()].toSorted()).toEqual(["b", "w"]);
});
