import { expect, test } from "vitest";
import type { Graph, Tensor } from "../../src/graph/types.ts";
import { float32, graphOf, int64s, node, randomTensor } from "../graph/build.ts";
import { errorsOf } from "./run.ts";

interface Row {
  readonly name: string;
  readonly graph: Graph;
  readonly steps?: number;
}

const image = { x: ["N", 6, 4, 8] };
const one = (
  text: string,
  attributes: Parameters<typeof node>[1] = {},
  constants: Record<string, Tensor> = {},
  dims: number[] = [6, 4, 8],
): Graph => graphOf({ x: ["N", ...dims] }, [node(text, attributes)], constants);

/** Of values that only move: half a step of the input, which is up to a step of an output that spans less. */
const moves: Row[] = [
  { name: "MaxPool", graph: one("y = MaxPool(x)", { kernel_shape: [2, 2], strides: [2, 2] }) },
  { name: "MaxPool 3×3 with pads", graph: one("y = MaxPool(x)", { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }) },
  { name: "MaxPool with ceil_mode", graph: one("y = MaxPool(x)", { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 }) },
  { name: "MaxPool with dilations", graph: one("y = MaxPool(x)", { kernel_shape: [2, 2], dilations: [2, 3] }) },
  { name: "MaxPool SAME_UPPER", graph: one("y = MaxPool(x)", { kernel_shape: [3, 3], strides: [2, 2], auto_pad: "SAME_UPPER" }) },
  { name: "GlobalMaxPool", graph: one("y = GlobalMaxPool(x)") },
  { name: "Flatten", graph: one("y = Flatten(x)") },
  { name: "Reshape to rows", graph: one("y = Reshape(x, s)", {}, { s: int64s([0, 24, -1]) }) },
  { name: "Reshape to an image", graph: one("y = Reshape(x, s)", {}, { s: int64s([0, 3, 16, 4]) }) },
  { name: "Reshape of a row", graph: one("y = Reshape(x, s)", {}, { s: int64s([0, 3, 4, 5]) }, [60]) },
  { name: "Reshape to five axes", graph: one("y = Reshape(x, s)", {}, { s: int64s([0, 2, 3, 2, 16]) }) },
  {
    name: "Reshape of rows to heads and Transpose",
    graph: graphOf({ x: ["N", 5, 12] }, [node("r = Reshape(x, s)"), node("y = Transpose(r)", { perm: [0, 2, 1, 3] })], {
      s: int64s([0, 0, 3, 4]),
    }),
  },
  { name: "Transpose of rows", graph: one("y = Transpose(x)", { perm: [0, 2, 1] }, {}, [5, 9]) },
  { name: "Transpose of an image", graph: one("y = Transpose(x)", { perm: [0, 2, 3, 1] }) },
  { name: "Squeeze", graph: one("y = Squeeze(x, a)", {}, { a: int64s([2, 3]) }, [6, 1, 1]) },
  { name: "Unsqueeze", graph: one("y = Unsqueeze(x, a)", {}, { a: int64s([1, -1]) }, [7]) },
  { name: "Slice", graph: one("y = Slice(x, s, e, a)", {}, { s: int64s([1, -6]), e: int64s([5, 7]), a: int64s([1, 3]) }) },
  {
    name: "Slice with steps",
    graph: one("y = Slice(x, s, e, a, t)", {}, { s: int64s([0, 1]), e: int64s([6, 8]), a: int64s([1, 3]), t: int64s([2, 3]) }),
  },
  {
    name: "Slice backwards",
    graph: one("y = Slice(x, s, e, a, t)", {}, { s: int64s([-1]), e: int64s([-9]), a: int64s([3]), t: int64s([-1]) }),
  },
  { name: "Split along channels", graph: graphOf(image, [node("a, b = Split(x, s)", { axis: 1 })], { s: int64s([2, 4]) }, ["a", "b"]) },
  {
    name: "Split along width in equal parts",
    graph: graphOf(image, [node("a, b = Split(x)", { axis: 3, num_outputs: 2 })], {}, ["a", "b"]),
  },
  { name: "Pad", graph: one("y = Pad(x, p)", {}, { p: int64s([0, 0, 1, 2, 0, 0, 3, 0]) }) },
  {
    name: "Pad of channels, with a value",
    graph: one("y = Pad(x, p, v)", {}, { p: int64s([0, 1, 0, 0, 0, 2, 0, 0]), v: float32([], [0.5]) }),
  },
  { name: "Pad with negative counts", graph: one("y = Pad(x, p)", {}, { p: int64s([0, 0, -1, 2, 0, 0, 1, -3]) }) },
  {
    name: "Gather of one index",
    graph: one("y = Gather(x, i)", { axis: 1 }, { i: { dtype: "int64", dims: [], data: BigInt64Array.of(-2n) } }, [5, 9]),
  },
  { name: "Gather of evenly spaced indices", graph: one("y = Gather(x, i)", { axis: 2 }, { i: int64s([0, 2]) }) },
  { name: "Gather of indices in any order", graph: one("y = Gather(x, i)", { axis: 1 }, { i: int64s([4, 0, -1, 0]) }) },
  { name: "Expand", graph: one("y = Expand(x, s)", {}, { s: int64s([1, 6, 4, 8]) }, [6, 1, 1]) },
  { name: "Tile", graph: one("y = Tile(x, r)", {}, { r: int64s([1, 2, 1, 3]) }) },
  { name: "DepthToSpace DCR", graph: one("y = DepthToSpace(x)", { blocksize: 2 }, {}, [12, 3, 4]) },
  { name: "DepthToSpace CRD", graph: one("y = DepthToSpace(x)", { blocksize: 2, mode: "CRD" }, {}, [12, 3, 4]) },
  { name: "SpaceToDepth", graph: one("y = SpaceToDepth(x)", { blocksize: 2 }) },
  {
    name: "Resize nearest by scales",
    graph: one(
      "y = Resize(x, , s)",
      { mode: "nearest", coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" },
      { s: float32([4], [1, 1, 2, 3]) },
    ),
  },
  { name: "Resize nearest by half pixels", graph: one("y = Resize(x, , s)", { mode: "nearest" }, { s: float32([4], [1, 1, 2, 2]) }) },
  {
    name: "Resize nearest to sizes",
    graph: graphOf({ x: [1, 6, 4, 8] }, [node("y = Resize(x, , , s)", { mode: "nearest" })], { s: int64s([1, 6, 12, 16]) }),
  },
];

/** Of means: the rounding of the output comes on top. */
const pools: Row[] = [
  { name: "AveragePool", graph: one("y = AveragePool(x)", { kernel_shape: [2, 2], strides: [2, 2] }) },
  { name: "AveragePool without its pads", graph: one("y = AveragePool(x)", { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }) },
  {
    name: "AveragePool with its pads",
    graph: one("y = AveragePool(x)", { kernel_shape: [3, 3], pads: [1, 1, 1, 1], count_include_pad: 1 }),
  },
  { name: "AveragePool with ceil_mode", graph: one("y = AveragePool(x)", { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 }) },
  {
    name: "AveragePool with its pads and more by ceil_mode",
    graph: one(
      "y = AveragePool(x)",
      { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 0, 0], count_include_pad: 1, ceil_mode: 1 },
      {},
      [6, 4, 7],
    ),
  },
  {
    name: "AveragePool with pads and ceil_mode",
    graph: one("y = AveragePool(x)", { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 0, 0], count_include_pad: 1, ceil_mode: 1 }),
  },
  { name: "AveragePool with dilations", graph: one("y = AveragePool(x)", { kernel_shape: [2, 2], dilations: [2, 3] }) },
  { name: "GlobalAveragePool", graph: one("y = GlobalAveragePool(x)") },
  { name: "GlobalAveragePool and Relu", graph: graphOf(image, [node("p = GlobalAveragePool(x)"), node("y = Relu(p)")]) },
  { name: "ReduceMean of an image", graph: one("y = ReduceMean(x, a)", { keepdims: 0 }, { a: int64s([2, 3]) }) },
  { name: "ReduceMean of rows", graph: one("y = ReduceMean(x, a)", { keepdims: 0 }, { a: int64s([1]) }, [7, 12]) },
  { name: "ReduceMean of rows, kept", graph: one("y = ReduceMean(x, a)", { keepdims: 1 }, { a: int64s([1]) }, [7, 12]) },
];

const three = (a: number[], b: number[], c: number[]): Record<string, (number | string)[]> => ({
  a: ["N", ...a],
  b: ["N", ...b],
  c: ["N", ...c],
});
const scaled = (axis: number): Parameters<typeof graphOf>[1] => [node("d = Mul(b, ten)"), node("y = Concat(a, d, c)", { axis })];
const ten = { ten: float32([], [10]) };
const concats: Row[] = [
  { name: "Concat along channels", graph: graphOf(three([3, 4, 5], [6, 4, 5], [1, 4, 5]), [node("y = Concat(a, b, c)", { axis: 1 })]) },
  { name: "Concat of other scales along channels", graph: graphOf(three([3, 4, 5], [6, 4, 5], [1, 4, 5]), scaled(1), ten) },
  { name: "Concat of other scales along height", graph: graphOf(three([3, 4, 5], [3, 1, 5], [3, 2, 5]), scaled(2), ten) },
  { name: "Concat of other scales along width", graph: graphOf(three([3, 4, 5], [3, 4, 1], [3, 4, 9]), scaled(-1), ten) },
  { name: "Concat of rows", graph: graphOf(three([2, 9], [1, 9], [4, 9]), scaled(1), ten) },
  { name: "Concat of vectors", graph: graphOf(three([2], [11], [4]), scaled(1), ten) },
  {
    name: "Concat of values that others read too",
    graph: graphOf(
      image,
      [
        node("p = Conv(x, v)"),
        node("a = Relu(p)"),
        node("q = Conv(a, w)"),
        node("b = Relu(q)"),
        node("c = Concat(a, b, x)", { axis: 1 }),
        node("y = MaxPool(c)", { kernel_shape: [2, 2] }),
        node("z = Add(a, b)"),
      ],
      { v: randomTensor([6, 6, 1, 1], 1), w: randomTensor([6, 6, 1, 1], 8) },
      ["y", "z"],
    ),
  },
  {
    name: "branches made for their Concat alone",
    graph: graphOf(
      image,
      [node("p = Conv(x, v)"), node("a = Relu(p)"), node("q = Conv(x, w)"), node("b = Relu(q)"), node("y = Concat(a, b)", { axis: 1 })],
      {
        v: randomTensor([4, 6, 1, 1], 1),
        w: randomTensor([5, 6, 1, 1], 8),
      },
    ),
  },
];

concats.push({
  name: "Concat of a sigmoid, a clipped and a free value",
  graph: graphOf(
    image,
    [
      node("s = Sigmoid(x)"),
      node("t = Mul(x, four)"),
      node("c = Clip(t, lo, hi)"),
      node("f = Conv(x, w)"),
      node("y = Concat(s, c, f)", { axis: 1 }),
    ],
    {
      ...{ four: float32([], [4]), lo: float32([], [-1]), hi: float32([], [2]), w: randomTensor([4, 6, 1, 1], 1) },
    },
  ),
});

const networks: Row[] = [
  {
    name: "two inputs, three outputs, one of them an input of others",
    graph: graphOf(
      { a: ["N", 6, 4, 4], b: ["N", 6, 4, 4] },
      [
        node("s = Add(a, b)"),
        node("r = Relu(s)"),
        node("c = Conv(r, w)", { pads: [1, 1, 1, 1] }),
        node("d = Add(c, r)"),
        node("p = GlobalAveragePool(d)"),
      ],
      { w: randomTensor([6, 6, 3, 3], 2) },
      ["r", "d", "p"],
    ),
  },
  { name: "an input that is an output", graph: graphOf(image, [node("y = Relu(x)")], {}, ["x", "y"]) },
  {
    name: "a convolution's sum that is an output and read inside",
    graph: graphOf(image, [node("c = Conv(x, w)"), node("y = Relu(c)")], { w: randomTensor([5, 6, 1, 1], 2) }, ["c", "y"]),
  },
  {
    name: "a value read by many",
    graph: graphOf(
      image,
      [
        node("c = Conv(x, w)"),
        node("t = Tanh(c)"),
        node("m = MaxPool(c)", { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }),
        node("s = Mul(t, m)"),
        node("u = Add(s, c)"),
        node("y = Concat(u, c, t)", { axis: 1 }),
      ],
      { w: randomTensor([6, 6, 1, 1], 2) },
    ),
    steps: 4,
  },
];

test.for(moves)("$name: codes only move", async ({ graph }) => {
  const { wide, codes, qdq, plan } = await errorsOf(graph);
  expect(new Set(plan.values.map(({ scale }) => scale[0]))).toHaveLength(1);
  expect(wide).toBeLessThan(1);
  expect(codes).toBeLessThan(1);
  expect(qdq).toBeLessThan(0.01);
});

test.for(pools)("$name: one rounding", async ({ graph }) => {
  const { wide, codes, qdq } = await errorsOf(graph);
  expect(wide).toBeLessThan(4);
  expect(codes).toBeLessThan(4);
  expect(qdq).toBeLessThan(1.01);
});

test.for([...concats, ...networks])("$name", async ({ graph, steps = 3 }) => {
  const { wide, codes, qdq } = await errorsOf(graph);
  expect(wide).toBeLessThan(steps);
  expect(codes).toBeLessThan(steps);
  expect(qdq).toBeLessThan(1.01);
});

test("a batch that the model fixes at 1 is the same program", async () => {
  const nodes = [node("c = Conv(x, w)"), node("r = Relu(c)"), node("f = Flatten(r)")];
  const constants = { w: randomTensor([5, 6, 3, 3], 2) };
  const free = graphOf({ x: ["N", 6, 4, 8] }, nodes, constants);
  const fixed = graphOf({ x: [1, 6, 4, 8] }, nodes, constants);
  const [a, b] = [await errorsOf(free), await errorsOf(fixed)];
  expect(b.plan.steps).toEqual(a.plan.steps);
  expect(b.plan.values).toEqual(a.plan.values);
});
