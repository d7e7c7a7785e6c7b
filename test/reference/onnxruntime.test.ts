// ONNX Runtime's own operators (com.microsoft) as it answers them. Most are the standard operator between DequantizeLinear and
// QuantizeLinear, so that our plain references reproduce its codes.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { unpackUnsigned } from "../../src/formats/packing.ts";
import { evaluateReference } from "../../src/graph/evaluate.ts";
import { allocate } from "../../src/graph/tensors.ts";
import type { Attribute, DType, Tensor } from "../../src/graph/types.ts";
import { roundEven } from "../../src/ops/rounding.ts";
import { readModel } from "../../src/onnx/read.ts";
import { dataDir, withData } from "../data.ts";
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
  readonly model: string;
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly tensors: Readonly<Record<string, Listed>>;
  readonly outputs: Readonly<Record<string, Listed>>;
  readonly tolerance?: number;
}

function tensorOf({ type, shape, data }: Listed): Tensor {
  const array = allocate(type, data.length) as Float32Array | Int8Array | Uint8Array | Int32Array;
  array.set(data);
  return { dtype: type, dims: shape, data: array };
}

const f = Math.fround;

type Tensors = (name: string) => Tensor;

const dequantized = (t: Tensors, name: string): Tensor => run("DequantizeLinear", {}, t(name), t(`${name}s`), t(`${name}z`));

/** The operator on the real values of `inputs`, in the codes of `output`. */
const between =
  (op: string, inputs: readonly string[], output: string) =>
  (t: Tensors, attributes: Case["attributes"]): Tensor => {
    const y = run(op, attributes, ...inputs.map((name) => dequantized(t, name)));
    return run("QuantizeLinear", {}, y, t(`${output}s`), t(`${output}z`));
  };

/**
 * Sums and products of two codes: ONNX Runtime scales the codes by float32 ratios and adds the zero point before it rounds to even, so
 * that a tie goes to the even code. `value` gives the real result in steps of the output.
 */
const beforeRounding =
  (value: (a: number, b: number, scales: readonly [a: number, b: number, c: number]) => number) =>
  (t: Tensors): Tensor => {
    const scalar = (name: string): number => Number(t(name).data[0]);
    const [za, zb, zc] = [scalar("az"), scalar("bz"), scalar("cz")];
    const [a, b] = [t("a"), t("b")];
    const [lo, hi] = a.dtype === "int8" ? [-128, 127] : [0, 255];
    const codes = list(a).map((code, i) => {
      const real = value(code - za, Number(b.data[i]) - zb, [scalar("as"), scalar("bs"), scalar("cs")]);
      return Math.min(hi, Math.max(lo, roundEven(Math.fround(real + zc))));
    });
    return { dtype: a.dtype, dims: a.dims, data: (a.dtype === "int8" ? Int8Array : Uint8Array).from(codes) };
  };

const onlyOf =
  (names: readonly string[], compute: (t: Tensors, attributes: Case["attributes"]) => Tensor) =>
  (t: Tensors, attributes: Case["attributes"]): Tensor =>
    compute(t, Object.fromEntries(names.flatMap((name) => (name in attributes ? [[name, attributes[name]!]] : []))));

/** a · Wᵀ for W [N, K] of packed codes, each block of a row with its own scale and zero point (2^(bits−1) where there is none). */
function matMulNBits(t: Tensors, attributes: Case["attributes"], packedZeros: Tensor | undefined): Tensor {
  const {
    K,
    N,
    bits,
    block_size: block,
  } = attributes as Readonly<Record<string, number>> as Record<"K" | "N" | "bits" | "block_size", number>;
  const blocks = K / block;
  const codes = unpackUnsigned(t("b").data as Uint8Array, bits, N * K);
  const zerosOf = (row: number): ArrayLike<number> => {
    if (!packedZeros) return new Uint8Array(blocks).fill(1 << (bits - 1));
    const bytes = packedZeros.data as Uint8Array;
    const each = bytes.length / N;
    return unpackUnsigned(bytes.subarray(row * each, (row + 1) * each), bits, blocks);
  };
  const zeros = Uint8Array.from(Array.from({ length: N }, (_, row) => Array.from(zerosOf(row))).flat());
  const weights = run(
    "DequantizeLinear",
    { axis: 1, block_size: block },
    { dtype: "uint8", dims: [N, K], data: codes },
    f32([N, blocks], list(t("s"))),
    { dtype: "uint8", dims: [N, blocks], data: zeros },
  );
  return run("MatMul", {}, t("a"), run("Transpose", { perm: [1, 0] }, weights));
}

const operators: Readonly<Record<string, (t: Tensors, attributes: Case["attributes"], c: Case) => Tensor>> = {
  QLinearAdd: beforeRounding((a, b, [sa, sb, sc]) => a * f(sa / sc) + b * f(sb / sc)),
  QLinearMul: beforeRounding((a, b, [sa, sb, sc]) => a * b * f(f(sa * sb) / sc)),
  QLinearSigmoid: between("Sigmoid", ["x"], "y"),
  QLinearLeakyRelu: between("LeakyRelu", ["x"], "y"),
  QLinearGlobalAveragePool: onlyOf([], between("GlobalAveragePool", ["x"], "y")),
  QLinearAveragePool: between("AveragePool", ["x"], "y"),
  QLinearSoftmax: onlyOf(["axis"], between("Softmax", ["x"], "y")),
  QLinearConcat: between("Concat", ["a", "b"], "y"),
  MatMulNBits: (t, attributes, c) => matMulNBits(t, attributes, c.tensors.z && t("z")),
};

const { cases } = readGolden("onnxruntime.contrib.json") as { cases: Case[] };

test("every operator of the vectors has a reference", () => {
  expect(Object.keys(operators).sort()).toEqual([...new Set(cases.map(({ op }) => op))].sort());
});

test.for(cases)("$op, $id", (c) => {
  const y = operators[c.op]!((name) => tensorOf(c.tensors[name]!), c.attributes, c);
  const [expected] = Object.values(c.outputs) as [Listed];
  expect(y.dims).toEqual(expected.shape);
  if (c.tolerance === undefined) expect(list(y)).toEqual(expected.data);
  else for (const [i, value] of list(y).entries()) expect(Math.abs(value - expected.data[i]!)).toBeLessThanOrEqual(c.tolerance);
});

const folder = `${dataDir}/golden/onnx`;

withData("a convolution and its activation between quantizers, as a model", () => {
  const [c] = JSON.parse(readFileSync(`${folder}/qdq_graph.json`, "utf8")).cases as [Case];
  const graph = readModel(new Uint8Array(readFileSync(`${folder}/${c.model}`)));
  const y = evaluateReference(graph, new Map([["x", tensorOf(c.tensors.x!)]])).get("y")!;
  expect(y.dims).toEqual(c.outputs.y!.shape);
  expect(list(y)).toEqual(c.outputs.y!.data);
});

withData.for(cases)("a model with $op ($id) is refused by name", (c) => {
  expect(() => readModel(new Uint8Array(readFileSync(`${folder}/${c.model}`)))).toThrow(c.op);
});
