import { expect, test } from "vitest";
import { evaluateReference } from "../../src/graph/evaluate.ts";
import { numbersOf } from "../../src/graph/tensors.ts";
import type { Dim, Graph, Tensor } from "../../src/graph/types.ts";
import type { NodeProto } from "../../src/onnx/onnx_pb.ts";
import { readModel } from "../../src/onnx/read.ts";
import { protoOf } from "../../src/onnx/tensor.ts";
import { float32, int64s, randomTensor } from "../graph/build.ts";
import { modelBytes, proto, valueInfo } from "./protos.ts";

interface Row {
  readonly says: string;
  readonly opset: number;
  readonly old: NodeProto;
  readonly newest?: number;
  readonly now: NodeProto;
  readonly dims?: readonly Dim[];
  readonly constants?: Record<string, Tensor>;
}

const ints = (list: readonly number[]): Tensor => int64s(list);
const scalar = (x: number): Tensor => float32([], [x]);
const image: readonly number[] = [2, 3, 4, 6];

/** An operator as an old opset wrote it, and as a new one does: the same answers. */
const rows: readonly Row[] = [
  {
    says: "Clip's bounds",
    opset: 7,
    old: proto("y = Clip(x)", { "min.": -0.25, "max.": 0.5 }),
    now: proto("y = Clip(x, a, b)"),
    constants: { a: scalar(-0.25), b: scalar(0.5) },
  },
  {
    says: "Clip with one bound",
    opset: 7,
    old: proto("y = Clip(x)", { "max.": 0.5 }),
    now: proto("y = Clip(x,, b)"),
    constants: { b: scalar(0.5) },
  },
  {
    says: "Pad's pads and value",
    opset: 7,
    old: proto("y = Pad(x)", { mode: "constant", pads: [0, 0, 1, 0, 0, 0, 0, 2], "value.": 3 }),
    now: proto("y = Pad(x, p, v)"),
    constants: { p: ints([0, 0, 1, 0, 0, 0, 0, 2]), v: scalar(3) },
  },
  {
    says: "Slice's starts, ends and axes",
    opset: 7,
    old: proto("y = Slice(x)", { starts: [1, 0], ends: [3, -2], axes: [2, 3] }),
    now: proto("y = Slice(x, s, e, a)"),
    constants: { s: ints([1, 0]), e: ints([3, -2]), a: ints([2, 3]) },
  },
  {
    says: "Slice without axes",
    opset: 9,
    old: proto("y = Slice(x)", { starts: [1], ends: [2] }),
    now: proto("y = Slice(x, s, e)"),
    constants: { s: ints([1]), e: ints([2]) },
  },
  {
    says: "Squeeze's axes",
    opset: 11,
    old: proto("y = Squeeze(x)", { axes: [1] }),
    now: proto("y = Squeeze(x, a)"),
    dims: [2, 1, 3],
    constants: { a: ints([1]) },
  },
  {
    says: "Unsqueeze's axes",
    opset: 11,
    old: proto("y = Unsqueeze(x)", { axes: [0, 2] }),
    now: proto("y = Unsqueeze(x, a)"),
    constants: { a: ints([0, 2]) },
  },
  {
    says: "ReduceMean's axes",
    opset: 13,
    old: proto("y = ReduceMean(x)", { axes: [1, 3], keepdims: 0 }),
    newest: 18,
    now: proto("y = ReduceMean(x, a)", { keepdims: 0 }),
    constants: { a: ints([1, 3]) },
  },
  { says: "ReduceMean over everything", opset: 13, old: proto("y = ReduceMean(x)"), newest: 18, now: proto("y = ReduceMean(x)") },
  {
    says: "ReduceMax's axes",
    opset: 13,
    old: proto("y = ReduceMax(x)", { axes: [2] }),
    newest: 18,
    now: proto("y = ReduceMax(x, a)"),
    constants: { a: ints([2]) },
  },
  {
    says: "ReduceSum's axes",
    opset: 11,
    old: proto("y = ReduceSum(x)", { axes: [2] }),
    now: proto("y = ReduceSum(x, a)"),
    constants: { a: ints([2]) },
  },
  {
    says: "Split's sizes",
    opset: 11,
    old: proto("y, z = Split(x)", { axis: 3, split: [2, 4] }),
    newest: 18,
    now: proto("y, z = Split(x, s)", { axis: 3 }),
    constants: { s: ints([2, 4]) },
  },
  {
    says: "Split into equal parts",
    opset: 13,
    old: proto("y, z = Split(x)", { axis: 3 }),
    newest: 18,
    now: proto("y, z = Split(x)", { axis: 3, num_outputs: 2 }),
  },
  { says: "Dropout's ratio", opset: 7, old: proto("y = Dropout(x)", { "ratio.": 0.3 }), now: proto("y = Dropout(x)") },
  { says: "Softmax over the last axis", opset: 11, old: proto("y = Softmax(x)", { axis: -1 }), now: proto("y = Softmax(x)", { axis: -1 }) },
  {
    says: "BatchNormalization with training outputs",
    opset: 7,
    old: proto("y, m, v, sm, sv = BatchNormalization(x, g, h, g, g)", { "momentum.": 0.5, spatial: 1 }),
    now: proto("y = BatchNormalization(x, g, h, g, g)"),
    constants: { g: float32([3], [1, 2, 3]), h: float32([3], [3, 2, 1]) },
  },
  {
    says: "Upsample with scales in an attribute",
    opset: 7,
    old: proto("y = Upsample(x)", { mode: "nearest", "scales.": [1, 1, 2, 3] }),
    now: proto("y = Resize(x,, s)", { mode: "nearest", nearest_mode: "floor", coordinate_transformation_mode: "asymmetric" }),
    constants: { s: float32([4], [1, 1, 2, 3]) },
  },
  {
    says: "Upsample with scales as an input",
    opset: 9,
    old: proto("y = Upsample(x, s)", { mode: "linear" }),
    now: proto("y = Resize(x,, s)", { mode: "linear", coordinate_transformation_mode: "asymmetric" }),
    constants: { s: float32([4], [1, 1, 2, 2]) },
  },
  {
    says: "Resize before regions of interest",
    opset: 10,
    old: proto("y = Resize(x, s)"),
    now: proto("y = Resize(x,, s)", { nearest_mode: "floor", coordinate_transformation_mode: "asymmetric" }),
    constants: { s: float32([4], [1, 1, 0.5, 2]) },
  },
  {
    says: "Resize with empty scales",
    opset: 11,
    old: proto("y = Resize(x, none, none, z)", { mode: "linear" }),
    now: proto("y = Resize(x,,, z)", { mode: "linear" }),
    constants: { none: float32([0], []), z: ints([2, 3, 8, 12]) },
  },
  {
    says: "Sum of three",
    opset: 8,
    old: proto("y = Sum(x, a, a)"),
    now: proto("y = Add(x, b)"),
    constants: { a: scalar(1), b: scalar(2) },
  },
];

function importAt(opset: number, each: NodeProto, dims: readonly Dim[], constants: Record<string, Tensor>): Graph {
  const initializers = Object.entries(constants).map(([name, tensor]) => protoOf(name, tensor));
  return readModel(modelBytes({ opset, inputs: [valueInfo("x", dims)], nodes: [each], initializers, outputs: [each.output[0]!] }));
}

function answer(graph: Graph, dims: readonly number[]): readonly [readonly number[], number[]] {
  const [output] = evaluateReference(graph, new Map([["x", randomTensor(dims, 5)]])).values();
  return [output!.dims, numbersOf(output!).map((x) => Math.round(x * 1e5) / 1e5)];
}

test.for(rows)("$says (opset $opset)", ({ opset, old, newest = 13, now, dims = image, constants = {} }) => {
  const before = importAt(opset, old, dims, constants);
  const after = importAt(newest, now, dims, constants);
  expect(answer(before, dims as number[])).toEqual(answer(after, dims as number[]));
  expect(before.facts.get("y")?.dims).toEqual(after.facts.get("y")?.dims);
});

test("Softmax before opset 13 runs over all axes from its axis on", () => {
  const [dims, got] = answer(importAt(11, proto("y = Softmax(x)"), image, {}), image);
  const x = numbersOf(randomTensor(image, 5));
  const half = x.length / 2;
  const expected = [x.slice(0, half), x.slice(half)].flatMap((row) => {
    const powers = row.map(Math.exp);
    const total = powers.reduce((sum, power) => sum + power, 0);
    return powers.map((power) => power / total);
  });
  expect(dims).toEqual(image);
  got.forEach((value, i) => {
    expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-5);
  });
});

test("BatchNormalization per element is refused", () => {
  const run = (): Graph =>
    importAt(7, proto("y = BatchNormalization(x, s, s, s, s)", { spatial: 0 }), [1, 3], { s: float32([3], [1, 1, 1]) });
  expect(run).toThrow(/BatchNormalization 'BatchNormalization_0': found spatial = 0/);
});

test("constants made by an upgrade never take a name of the model", () => {
  const graph = readModel(
    modelBytes({
      opset: 7,
      nodes: [proto("a = Clip(x)", { "min.": 0, "max.": 1 }, "c"), proto("y = Add(a, m)")],
      initializers: [protoOf("c/min", scalar(9)), protoOf("m", scalar(1))],
    }),
  );
  expect(graph.constants.get("c/min")?.data).toEqual(Float32Array.of(9));
  expect(graph.constants.get(graph.nodes[0]!.inputs[1]!)?.data).toEqual(Float32Array.of(0));
});
