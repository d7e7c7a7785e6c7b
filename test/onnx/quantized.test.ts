// Quantized models as ONNX Runtime answers them: converted, lowered and run, every code is compared.
import { expect, test } from "vitest";
import { inferFacts } from "../../src/graph/infer.ts";
import { evaluateReference } from "../../src/graph/evaluate.ts";
import { allocate, numbersOf } from "../../src/graph/tensors.ts";
import type { Dim, DType, Graph, Tensor } from "../../src/graph/types.ts";
import { lower } from "../../src/lower/lower.ts";
import { readQuantized } from "../../src/onnx/quantized.ts";
import { readModel } from "../../src/onnx/read.ts";
import type { Quantized } from "../../src/quantized/types.ts";
import { createSession } from "../../src/runtime/index.ts";
import { readGolden } from "../formats/golden.ts";
import { integerModule } from "../runtime/kernels.ts";

interface Listed {
  readonly type: DType;
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

interface Case {
  readonly id: string;
  readonly op: string;
  readonly model: string;
  readonly run_inputs: readonly string[];
  readonly tensors: Readonly<Record<string, Listed>>;
  readonly outputs: Readonly<Record<string, Listed>>;
}

const cases = ["onnxruntime.qlinear.json", "onnxruntime.contrib.json"].flatMap((file) =>
  (readGolden(file) as { cases: Case[] }).cases.filter(({ op }) => op !== "MatMulNBits"),
);
const provenance = { source: "test", sourceHash: "", options: {}, seed: 0 };

function tensorOf({ type, shape, data }: Listed): Tensor {
  const array = allocate(type, data.length) as Float32Array | Int8Array | Uint8Array | Int32Array;
  array.set(data);
  return { dtype: type, dims: shape, data: array };
}

/** Second operands that are weights become constants, batches free: a program runs any number of samples, a vector is one. */
function graphOf(c: Case): Graph {
  const graph = readModel(Uint8Array.from(Buffer.from(c.model, "base64")));
  const weights = /MatMul|ConvInteger/.test(c.op) ? graph.inputs.slice(1) : [];
  const facts = new Map(graph.facts);
  for (const name of graph.inputs) {
    const { dtype, dims } = facts.get(name)!;
    facts.set(name, { dtype, dims: dims!.length === 1 ? [1, ...dims!] : ["N" as Dim, ...dims!.slice(1)] });
  }
  const constants = new Map([...graph.constants, ...weights.map((name) => [name, tensorOf(c.tensors[name]!)] as const)]);
  return inferFacts({ ...graph, inputs: graph.inputs.filter((name) => !weights.includes(name)), constants, facts });
}

/** Codes as a program takes them: signed. */
const signed = ({ type, data }: Listed): Int8Array | Float32Array =>
  type === "float32" ? Float32Array.from(data) : Int8Array.from(data, (c) => (type === "uint8" ? c - 128 : c));

/** Reals of an input: what its DequantizeLinear makes of the codes. */
function realOf(quantized: Quantized, name: string, listed: Listed): Tensor {
  if (listed.type === "float32") return tensorOf(listed);
  const { scale, zeroPoint } = quantized.activations.get(name)!;
  const data = Float32Array.from(signed(listed), (code) => Math.fround(code + 128 - zeroPoint[0]!) * scale[0]!);
  return { dtype: "float32", dims: listed.shape.length === 1 ? [1, ...listed.shape] : listed.shape, data };
}

interface Outcome {
  readonly got: readonly number[];
  readonly expected: readonly number[];
  /** Distance of each exact result from the middle between two codes, in codes. */
  readonly fromTie: readonly number[];
}

async function run(c: Case): Promise<Outcome> {
  const graph = graphOf(c);
  const quantized = readQuantized(graph, provenance);
  using session = await createSession(lower(quantized), { wasm: await integerModule() });
  const outputs = session.run(Object.fromEntries(graph.inputs.map((name) => [name, signed(c.tensors[name]!)])));
  const [name, listed] = Object.entries(c.outputs)[0]!;
  const shift = listed.type === "uint8" ? 128 : 0;
  const feeds = new Map(graph.inputs.map((input) => [input, realOf(quantized, input, c.tensors[input]!)]));
  const real = numbersOf(evaluateReference(quantized.graph, feeds).get(name)!);
  const scale = quantized.activations.get(name)?.scale[0] ?? 1;
  return {
    got: Array.from(outputs[name]!.codes, (code) => code + shift),
    expected: listed.data,
    fromTie: real.map((x) => Math.abs(x / scale - Math.floor(x / scale) - 0.5)),
  };
}

/** Results that lie in the middle between two codes are decided by float32 rounding there, exactly here; and sums and products of ONNX
 * Runtime round halves to even with the zero point added, those of QuantizeLinear and ours before. */
const ties: Readonly<Record<string, number>> = { qc_u8i8_nobias_1x1: 1, qadd_u8_ties: 18, qmul_u8_ties: 2 };
const refusals: Readonly<Record<string, string>> = {
  qc_u8u8: "Conv 'QLinearConv_0': found weight 252 with zero point 120, expected weights that less their zero point fit int8",
  qmm_u8u8: "MatMul 'QLinearMatMul_0': found weight 251 with zero point 120",
  mmi_u8u8: "MatMul 'MatMulInteger_0': found weight 68 with zero point 200",
  ci_u8u8_pad: "Conv 'ConvInteger_0': found weight 0 with zero point 130",
  qmm_batch: "MatMul 'QLinearMatMul_0': found weight 252 with zero point 120",
};

test.for(cases.filter(({ id }) => !(id in refusals)))("$op ($id): the program's codes are ONNX Runtime's", async (c) => {
  const { got, expected, fromTie } = await run(c);
  expect(got.length).toBe(expected.length);
  const different = got.flatMap((code, i) => (code === expected[i] ? [] : [i]));
  for (const i of different) {
    expect(Math.abs(got[i]! - expected[i]!)).toBe(1);
    expect(fromTie[i]!).toBeLessThan(1e-4);
  }
  expect(different.length).toBe(ties[c.id] ?? 0);
});

test.for(cases.filter(({ id }) => id in refusals))("$op ($id) is refused by name", async (c) => {
  await expect(run(c)).rejects.toThrow(refusals[c.id]);
});

test("float weights in blocks are refused by name", () => {
  const blocks = (readGolden("onnxruntime.contrib.json") as { cases: Case[] }).cases.filter(({ op }) => op === "MatMulNBits");
  expect(blocks.length).toBe(3);
  for (const { model } of blocks)
    expect(() => readModel(Uint8Array.from(Buffer.from(model, "base64")))).toThrow("com.microsoft.MatMulNBits");
});
