// ONNX Runtime's own operators (com.microsoft) and a quantized convolution as it answers them: each case is a model, read and evaluated by
// our plain references.
import { expect, test } from "vitest";
import { unpackUnsigned } from "../../src/formats/packing.ts";
import { evaluateReference } from "../../src/graph/evaluate.ts";
import { allocate } from "../../src/graph/tensors.ts";
import type { DType, Tensor } from "../../src/graph/types.ts";
import { readModel } from "../../src/onnx/read.ts";
import { roundEven } from "../../src/ops/rounding.ts";
import { readGolden } from "../formats/golden.ts";
import { f32, list, run } from "../ops/run.ts";

interface Listed {
  readonly type: DType;
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

interface Case {
  readonly id: string;
  readonly op: string;
  /** base64 */
  readonly model: string;
  readonly run_inputs: readonly string[];
  readonly tensors: Readonly<Record<string, Listed>>;
  readonly outputs: Readonly<Record<string, Listed>>;
  readonly attributes: Readonly<Record<"K" | "N" | "bits" | "block_size", number>>;
  readonly tolerance: number;
}

const { cases } = readGolden("onnxruntime.contrib.json") as { cases: Case[] };

function tensorOf({ type, shape, data }: Listed): Tensor {
  const array = allocate(type, data.length) as Float32Array | Int8Array | Uint8Array | Int32Array;
  array.set(data);
  return { dtype: type, dims: shape, data: array };
}

const outputOf = (c: Case): Listed => Object.values(c.outputs)[0]!;

function evaluate(c: Case): Tensor {
  const feeds = new Map(c.run_inputs.map((name) => [name, tensorOf(c.tensors[name]!)]));
  return evaluateReference(readModel(Uint8Array.from(Buffer.from(c.model, "base64"))), feeds).get(Object.keys(c.outputs)[0]!)!;
}

const sums = cases.filter(({ op }) => op === "QLinearAdd" || op === "QLinearMul");
const blockwise = cases.filter(({ op }) => op === "MatMulNBits");
const exact = cases.filter((c) => !sums.includes(c) && !blockwise.includes(c));

test.for(exact)("$op ($id), every code", (c) => {
  const y = evaluate(c);
  expect(y.dims).toEqual(outputOf(c).shape);
  expect(list(y)).toEqual(outputOf(c).data);
});

/**
 * ONNX Runtime scales the codes of sums and products by float32 ratios and adds the zero point before it rounds, so that a tie goes to
 * the even code; the definition rounds first, so that it goes to the even multiple of the scale.
 */
function realCodes({ op, tensors }: Case): number[] {
  const f = Math.fround;
  const scalar = (name: string): number => tensors[name]!.data[0]!;
  const [sa, sb, sc] = [scalar("as"), scalar("bs"), scalar("cs")];
  return tensors.a!.data.map((code, i) => {
    const [a, b] = [code - scalar("az"), tensors.b!.data[i]! - scalar("bz")];
    return f((op === "QLinearAdd" ? a * f(sa / sc) + b * f(sb / sc) : a * b * f(f(sa * sb) / sc)) + scalar("cz"));
  });
}

test.for(sums)("$op ($id), every code but those of ties", (c) => {
  const [lo, hi] = outputOf(c).type === "int8" ? [-128, 127] : [0, 255];
  const real = realCodes(c);
  expect(real.map((value) => Math.min(hi, Math.max(lo, roundEven(value))))).toEqual(outputOf(c).data);
  list(evaluate(c)).forEach((code, i) => {
    const tie = Math.abs(real[i]! - Math.floor(real[i]!) - 0.5) < 1e-4;
    expect(Math.abs(code - outputOf(c).data[i]!), `element ${i}`).toBeLessThanOrEqual(tie ? 1 : 0);
  });
});

/** a · Wᵀ for W [N, K] of packed codes, each block of a row with its own scale and zero point (2^(bits−1) where there is none). */
function matMulNBits({ tensors, attributes: { K, N, bits, block_size: block } }: Case): Tensor {
  const blocks = K / block;
  const bytes = (name: string): Uint8Array => Uint8Array.from(tensors[name]!.data);
  const packed = tensors.z ? bytes("z") : undefined; // each row begins a byte
  const zeros = Uint8Array.from({ length: N * blocks }, (_, i) => {
    if (!packed) return 1 << (bits - 1);
    const row = Math.floor(i / blocks) * (packed.length / N);
    return unpackUnsigned(packed.subarray(row), bits, blocks)[i % blocks]!;
  });
  const weights = run(
    "DequantizeLinear",
    { axis: 1, block_size: block },
    { dtype: "uint8", dims: [N, K], data: unpackUnsigned(bytes("b"), bits, N * K) },
    f32([N, blocks], tensors.s!.data),
    { dtype: "uint8", dims: [N, blocks], data: zeros },
  );
  return run("MatMul", {}, tensorOf(tensors.a!), run("Transpose", { perm: [1, 0] }, weights));
}

test.for(blockwise)("$op ($id): blockwise codes, DequantizeLinear and MatMul", (c) => {
  const y = list(matMulNBits(c));
  expect(y.length).toBe(outputOf(c).data.length);
  y.forEach((value, i) => {
    expect(Math.abs(value - outputOf(c).data[i]!)).toBeLessThanOrEqual(c.tolerance);
  });
});
