import { readFileSync } from "node:fs";
import { create, fromBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { ErrorCode } from "../../src/errors.ts";
import { HalftoneError } from "../../src/errors.ts";
import { AttributeProto_AttributeType, AttributeProtoSchema, GraphProtoSchema, ModelProtoSchema } from "../../src/onnx/onnx_pb.ts";
import { readModel } from "../../src/onnx/read.ts";
import { protoOf } from "../../src/onnx/tensor.ts";
import { float32, int64s } from "../../src/graph/tensors.ts";
import { dataDir, withData } from "../data.ts";
import { type ModelParts, modelBytes, proto, valueInfo } from "./protos.ts";

const read = (parts: ModelParts): ReturnType<typeof readModel> => readModel(modelBytes(parts));

/** The error of `run`, which must be one that a user can act on. */
function errorOf(run: () => unknown): HalftoneError {
  try {
    run();
  } catch (error) {
    if (error instanceof HalftoneError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

test("a model keeps its names, and shapes are inferred for a symbolic batch", () => {
  const graph = readModel(readFileSync(new URL("../fixtures/tiny.onnx", import.meta.url)));
  expect(graph.inputs).toEqual(["input"]);
  expect(graph.outputs).toEqual(["logits"]);
  expect(graph.facts.get("input")).toEqual({ dtype: "float32", dims: ["N", 1, 28, 28] });
  expect(graph.facts.get("logits")).toMatchObject({ dtype: "float32", dims: ["N", 10] });
  for (const node of graph.nodes) for (const output of node.outputs) expect(graph.facts.get(output)?.dims).toBeDefined();
});

test("nodes may come in any order, and nameless ones are numbered", () => {
  const graph = read({ nodes: [proto("y = Relu(b)"), proto("b = Neg(a)", {}, "negate"), proto("a = Abs(x)")] });
  expect(graph.nodes.map(({ name }) => name)).toEqual(["Abs_2", "negate", "Relu_0"]);
});

test("nodes of one name are told apart", () => {
  const graph = read({ nodes: [proto("a = Relu(x)", {}, "same"), proto("y = Neg(a)", {}, "same")] });
  expect(graph.nodes.map(({ name }) => name)).toEqual(["same", "same_2"]);
});

test("several inputs and outputs; an output may be a constant or an input", () => {
  const graph = read({
    inputs: [valueInfo("x", [2]), valueInfo("z", ["M"])],
    nodes: [proto("s = Abs(x)"), proto("c = Constant()", { value: float32([1], [3]) })],
    outputs: ["s", "c", "z"],
  });
  expect(graph.inputs).toEqual(["x", "z"]);
  expect(graph.outputs).toEqual(["s", "c", "z"]);
  expect(graph.constants.get("c")?.data).toEqual(Float32Array.of(3));
});

test("an input that is also an initializer is a constant", () => {
  const w = float32([3, 1, 1], [1, 2, 3]);
  const graph = read({
    ir: 3,
    opset: 8,
    inputs: [valueInfo("x", [1, 3, 6, 6]), valueInfo("w", [3, 1, 1])],
    nodes: [proto("y = Mul(x, w)")],
    initializers: [protoOf("w", w)],
  });
  expect(graph.inputs).toEqual(["x"]);
  expect(graph.constants.get("w")).toEqual(w);
});

test.for<readonly [string, Record<string, number | readonly number[]>, unknown]>([
  ["value_float", { "value_float.": 1.5 }, { dtype: "float32", dims: [], data: Float32Array.of(1.5) }],
  ["value_floats", { "value_floats.": [1, 2] }, { dtype: "float32", dims: [2], data: Float32Array.of(1, 2) }],
  ["value_int", { value_int: 7 }, { dtype: "int64", dims: [], data: BigInt64Array.of(7n) }],
  ["value_ints", { value_ints: [7, 8] }, { dtype: "int64", dims: [2], data: BigInt64Array.of(7n, 8n) }],
])("Constant with %s", ([, attributes, expected]) => {
  expect(read({ nodes: [proto("y = Constant()", attributes)] }).constants.get("y")).toEqual(expected);
});

test("a half-precision model is computed in float32, or kept when asked", () => {
  const bytes = modelBytes({
    inputs: [valueInfo("x", [2], 10)],
    nodes: [proto("a = Mul(x, w)"), proto("b = Cast(a)", { to: 1 }), proto("y = Cast(b)", { to: 10 })],
    initializers: [protoOf("w", { ...float32([2], [0.5, 1.5]), dtype: "float16" })],
  });
  const widened = readModel(bytes);
  expect(widened.constants.get("w")).toEqual(float32([2], [0.5, 1.5]));
  expect([...widened.facts.values()].map(({ dtype }) => dtype)).toEqual(["float32", "float32", "float32", "float32", "float32"]);
  const kept = readModel(bytes, { float16: "keep" });
  expect(kept.facts.get("y")?.dtype).toBe("float16");
  expect(kept.constants.get("w")?.dtype).toBe("float16");
});

const relu = [proto("y = Relu(x)")];
const nan = protoOf("w", float32([3, 1, 1], [1, Number.NaN, 3]));

const broken: readonly (readonly [string, ErrorCode, RegExp, ModelParts])[] = [
  ["no node", "GRAPH_INVALID", /model: found no node/, { nodes: [] }],
  ["no output", "GRAPH_INVALID", /no output/, { nodes: relu, outputs: [] }],
  ["a cycle", "GRAPH_INVALID", /cycle through/, { nodes: [proto("a = Add(x, b)"), proto("b = Neg(a)"), proto("y = Relu(b)")] }],
  ["a node that reads itself", "GRAPH_INVALID", /Add 'Add_0'.*cycle/, { nodes: [proto("y = Add(x, y)")] }],
  ["two producers", "GRAPH_INVALID", /Neg 'Neg_1'.*'y'.*Relu 'Relu_0'/, { nodes: [...relu, proto("y = Neg(x)")] }],
  ["a node that makes an input", "GRAPH_INVALID", /'x'.*input/, { nodes: [proto("x = Relu(x)")] }],
  ["two inputs of one name", "GRAPH_INVALID", /second input/, { nodes: relu, inputs: [valueInfo("x", [1]), valueInfo("x", [1])] }],
  [
    "two constants of one name",
    "GRAPH_INVALID",
    /second tensor/,
    { nodes: relu, initializers: [protoOf("w", int64s([1])), protoOf("w", int64s([1]))] },
  ],
  ["a missing producer", "GRAPH_INVALID", /Relu 'Relu_0'.*'nobody'/, { nodes: [proto("y = Relu(nobody)")] }],
  ["a missing output", "GRAPH_INVALID", /output 'z'/, { nodes: relu, outputs: ["z"] }],
  ["an old opset", "ONNX_MALFORMED", /opset 6 .*opset from 7 to 27/, { nodes: relu, opset: 6 }],
  ["an opset of the future", "ONNX_MALFORMED", /opset 99 \(IR version 14\)/, { nodes: relu, opset: 99, ir: 14 }],
  ["a text input", "ONNX_UNSUPPORTED_TYPE", /input 'x': found string/, { nodes: relu, inputs: [valueInfo("x", [1], 8)] }],
  ["a negative size", "ONNX_MALFORMED", /input 'x': found the size -3/, { nodes: relu, inputs: [valueInfo("x", [-3])] }],
  ["sizes that overflow", "SHAPE_OVERFLOW", /input 'x'.*65536, 65536/, { nodes: relu, inputs: [valueInfo("x", [65536, 65536])] }],
  [
    "sizes that overflow inside",
    "SHAPE_OVERFLOW",
    /Expand 'Expand_0'/,
    { nodes: [proto("y = Expand(x, to)")], inputs: [valueInfo("x", [1])], initializers: [protoOf("to", int64s([99999, 99999]))] },
  ],
  [
    "shapes that do not fit",
    "SHAPE_MISMATCH",
    /Add 'Add_0'/,
    { nodes: [proto("y = Add(x, w)")], initializers: [protoOf("w", float32([5], [1, 2, 3, 4, 5]))] },
  ],
  ["NaN in a weight", "NOT_FINITE", /constant 'w': found NaN at element 1/, { nodes: [proto("y = Mul(x, w)")], initializers: [nan] }],
  ["an attribute twice", "ONNX_MALFORMED", /'alpha' twice/, { nodes: [proto("y = Elu(x)", { "alpha.": 1, alpha: 1 })] }],
  ["too many inputs", "GRAPH_INVALID", /Relu 'Relu_0': found 3 inputs, expected at most 1/, { nodes: [proto("y = Relu(x, x, x)")] }],
  [
    "training outputs in use",
    "ONNX_UNSUPPORTED_OP",
    /BatchNormalization.*training output 'm'/,
    {
      opset: 9,
      nodes: [proto("z, m = BatchNormalization(x, s, s, s, s)"), proto("y = Relu(m)")],
      initializers: [protoOf("s", float32([3], [1, 1, 1]))],
    },
  ],
];

test.for(broken)("%s: refused", ([, code, message, parts]) => {
  const error = errorOf(() => read(parts));
  expect(error.code).toBe(code);
  expect(error.message).toMatch(message);
});

test("infinity is refused as a weight and allowed as a bound", () => {
  const w = protoOf("w", float32([], [Number.POSITIVE_INFINITY]));
  expect(errorOf(() => read({ nodes: [proto("y = Mul(x, w)")], initializers: [w] })).code).toBe("NOT_FINITE");
  expect(read({ nodes: [proto("y = Clip(x,, w)")], initializers: [w] }).nodes).toHaveLength(1);
});

test("all unsupported nodes are named in one error", () => {
  const branch = create(AttributeProtoSchema, { name: "body", type: AttributeProto_AttributeType.GRAPH, g: create(GraphProtoSchema) });
  const loop = proto("b = Loop(a)", {}, "again");
  loop.attribute.push(branch);
  const error = errorOf(() =>
    read({ nodes: [proto("a = Bogus(x)"), loop, proto("c = com.acme.Relu(b)", {}, "theirs"), proto("y = Relu(c)")] }),
  );
  expect(error.code).toBe("ONNX_UNSUPPORTED_OP");
  expect(error.found).toBe("Bogus 'Bogus_0', Loop 'again', com.acme.Relu 'theirs'");
});

test("no file, half a file and another file are told apart from a model", () => {
  const bytes = modelBytes({ nodes: relu });
  const lfs = new TextEncoder().encode("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
  for (const [garbage, found] of [
    [new Uint8Array(0), /no node/],
    [bytes.subarray(0, bytes.length - 3), /bytes that do not decode/],
    [lfs, /bytes that do not decode/],
    [Uint8Array.from({ length: 100 }, (_, i) => 255 - i), /bytes that do not decode/],
  ] as const) {
    expect(errorOf(() => readModel(garbage)).message).toMatch(found);
  }
});

withData.for(["fashion/tiny", "mnist/cntk", "mnist/lenet", "kws/dscnn", "cifar10/resnet8", "imagenet/squeezenet11"])(
  "%s imports whole",
  (name) => {
    const bytes = readFileSync(`${dataDir}/${name}/model.onnx`);
    const graph = readModel(bytes);
    const nodes = fromBinary(ModelProtoSchema, bytes).graph!.node.filter(({ opType }) => opType !== "Constant");
    expect(graph.nodes.map(({ op }) => op).toSorted()).toEqual(nodes.map(({ opType }) => opType).toSorted());
    for (const fact of graph.facts.values()) expect(fact.dims).toBeDefined();
  },
);
