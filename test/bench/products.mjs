// 512³ products in three forms: a plan, and one-node ONNX models of MatMulInteger (uint8 × int8 → int32) and MatMul.
import "./typescript.mjs";

const { writeModel } = await import("../../src/onnx/write.ts");
const { writePlan } = await import("../../src/plan/writer.ts");
const { arithmeticVersion, planVersion } = await import("../../src/plan/types.ts");

const weightAt = (i) => ((i * 7919) % 255) - 127;

function oneNode(op, dtypes, size, data) {
  const dims = [size, size];
  const facts = new Map([
    ["a", { dtype: dtypes.a, dims }],
    ["c", { dtype: dtypes.c, dims }],
  ]);
  const constants = new Map([["b", { dtype: dtypes.b, dims, data }]]);
  const nodes = [{ name: "product", op, inputs: ["a", "b"], outputs: ["c"], attributes: {} }];
  return writeModel({ name: op, inputs: ["a"], outputs: ["c"], nodes, constants, facts, notes: new Map() });
}

/** [size, size] codes times int8[size][size], as a dense layer whose accumulators are the output. */
async function productPlan(size) {
  const value = (name, type, offset) => ({
    name,
    dims: [size, size],
    order: [0, 1],
    pitch: size,
    type,
    offset,
    scale: [1],
    zeroPoint: 0,
  });
  const weights = Int8Array.from({ length: size * size }, (_, i) => weightAt((i % size) * size + Math.floor(i / size)));
  const step = {
    kernel: "conv",
    nodes: ["product"],
    output: 1,
    input: 0,
    window: [1, 1],
    stride: [1, 1],
    dilation: [1, 1],
    pads: [0, 0, 0, 0],
    groups: 1,
    weights: "b",
    bias: "bias",
    epilogue: { kind: "accumulator" },
    accumulator: [-(128 * 127 * size), 128 * 128 * size],
  };
  return writePlan({
    version: planVersion,
    arithmetic: arithmeticVersion,
    values: [value("a", "int8", 0), value("c", "int32", size * size)],
    inputs: [0],
    outputs: [1],
    steps: [step],
    arenaBytes: 5 * size * size,
    tensors: new Map([
      ["b", weights],
      ["bias", new Int32Array(size)],
    ]),
  });
}

export async function productFiles(size) {
  const int8 = Int8Array.from({ length: size * size }, (_, i) => weightAt(i));
  return {
    plan: await productPlan(size),
    int8: oneNode("MatMulInteger", { a: "uint8", b: "int8", c: "int32" }, size, int8),
    float: oneNode(
      "MatMul",
      { a: "float32", b: "float32", c: "float32" },
      size,
      Float32Array.from(int8, (w) => w / 128),
    ),
  };
}
