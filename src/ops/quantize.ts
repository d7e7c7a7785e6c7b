// Quantization operators as ONNX defines them: real = scale · (code − zero point), codes saturate, ties round to even.
import { areKnown, productOfDims } from "../graph/dims.ts";
import type { Dim, DType, Fact, GraphNode, Tensor } from "../graph/types.ts";
import { dtypeAttribute, narrowing } from "./cast.ts";
import { centered, convDims, convSums } from "./conv.ts";
import { asNumbers, count, fill, integerRange } from "./dtypes.ts";
import { batchOf, matmulDims, matmulSums } from "./matmul.ts";
import type { Operator } from "./operator.ts";
import { roundEven } from "./rounding.ts";
import { axisOf, concrete, fact, factOf, integer, mismatch, number, required, show } from "./shape.ts";

/** Rounded to even, shifted by the zero point, saturated; NaN, of which ONNX says nothing, becomes the lowest code. */
function coder(dtype: DType): (quotient: number, zero: number) => number {
  const [lo, hi] = integerRange(dtype).map(Number) as [number, number];
  return (quotient, zero) => {
    const code = roundEven(quotient) + zero;
    return code > lo ? Math.min(code, hi) : lo;
  };
}

function sameCount(node: GraphNode, scale: Fact | undefined, zero: Fact | undefined): void {
  const [s, z] = [scale?.dims, zero?.dims];
  if (areKnown(s) && areKnown(z) && productOfDims(s) !== productOfDims(z))
    throw mismatch(node, `scale ${show(s)} and zero point ${show(z)}`, "equally many elements");
}

/** @throws HalftoneError SHAPE_MISMATCH when a parameter has neither one element nor one per channel */
function oneOrPer(node: GraphNode, x: Fact | undefined, channels: Dim | undefined): void {
  const n = x?.dims && productOfDims(x.dims);
  if (typeof n === "number" && typeof channels === "number" && n !== 1 && n !== channels)
    throw mismatch(node, `a parameter ${show(x?.dims)}`, `one number, or ${channels}`);
}

/** Which element of a scale or zero point belongs to element i of a tensor: one for all, one per index of `axis`, or one per block. */
function parameterIndex(node: GraphNode, dims: readonly number[], scale: Tensor): (i: number) => number {
  if (scale.data.length === 1 && scale.dims.length <= 1) return () => 0;
  const axis = axisOf(node, number(node, "axis", 1), dims.length);
  const inner = count(dims.slice(axis + 1));
  const size = dims[axis]!;
  const block = integer(node, "block_size", 0);
  if (block > 0) {
    const blocks = Math.ceil(size / block);
    if (scale.dims.length !== dims.length || scale.dims.some((d, a) => d !== (a === axis ? blocks : dims[a])))
      throw mismatch(node, `scale ${show(scale.dims)}`, `${blocks} blocks along axis ${axis}`);
    return (i) => (Math.floor(i / (inner * size)) * blocks + Math.floor((Math.floor(i / inner) % size) / block)) * inner + (i % inner);
  }
  if (scale.data.length !== size) throw mismatch(node, `scale ${show(scale.dims)}`, `[${size}]`);
  return (i) => Math.floor(i / inner) % size;
}

/** Inputs: x, scale, zero point?; the output's type is the zero point's, or the attribute's, or uint8. */
const quantizeLinear: Operator = {
  op: "QuantizeLinear",
  arity: [2, 3],
  infer(node, inputs) {
    const x = required(node, inputs, 0);
    sameCount(node, inputs[1], inputs[2]);
    return [fact(inputs[2]?.dtype ?? dtypeAttribute(node, "output_dtype", "uint8"), x.dims)];
  },
  reference(node, inputs) {
    const [x, scale, zero] = [required(node, inputs, 0), required(node, inputs, 1), inputs[2]];
    const dtype = zero?.dtype ?? dtypeAttribute(node, "output_dtype", "uint8");
    const which = parameterIndex(node, x.dims, scale);
    const [data, s, z] = [asNumbers(x), asNumbers(scale), zero && asNumbers(zero)];
    // The quotient is a float32 in ONNX; dividing in float64 and rounding to float32 is the same.
    const quotient = (i: number): number => Math.fround(data[i]! / s[which(i)]!);
    const narrow = narrowing(dtype, { saturate: number(node, "saturate", 1) !== 0 });
    if (narrow) return [{ dtype, dims: x.dims, data: Float32Array.from({ length: data.length }, (_, i) => narrow(quotient(i))) }];
    const code = coder(dtype);
    return [fill(dtype, x.dims, (i) => code(quotient(i), z ? z[which(i)]! : 0))];
  },
};

/** (code − zero point) · scale, both steps in float32. Inputs: codes, scale, zero point?; the output's type is the scale's, or the attribute's. */
const dequantizeLinear: Operator = {
  op: "DequantizeLinear",
  arity: [2, 3],
  infer(node, inputs) {
    const [x, scale] = [required(node, inputs, 0), required(node, inputs, 1)];
    sameCount(node, scale, inputs[2]);
    return [fact(dtypeAttribute(node, "output_dtype", scale.dtype), x.dims)];
  },
  reference(node, inputs) {
    const [x, scale, zero] = [required(node, inputs, 0), required(node, inputs, 1), inputs[2]];
    const which = parameterIndex(node, x.dims, scale);
    const [data, s, z] = [asNumbers(x), asNumbers(scale), zero && asNumbers(zero)];
    return [
      fill(dtypeAttribute(node, "output_dtype", scale.dtype), x.dims, (i) => Math.fround(data[i]! - (z ? z[which(i)]! : 0)) * s[which(i)]!),
    ];
  },
};

/** uint8 codes over the range of x widened to hold 0. Outputs: codes, scale, zero point. All steps in float32 as ONNX writes them. */
const dynamicQuantizeLinear: Operator = {
  op: "DynamicQuantizeLinear",
  arity: [1, 1],
  infer: (node, inputs) => [fact("uint8", required(node, inputs, 0).dims), fact("float32", []), fact("uint8", [])],
  reference(node, inputs) {
    const x = required(node, inputs, 0);
    const data = asNumbers(x);
    let [lo, hi] = [0, 0];
    for (let i = 0; i < data.length; i++) [lo, hi] = [Math.min(lo, data[i]!), Math.max(hi, data[i]!)];
    const range = Math.fround(Math.fround(hi - lo) / 255);
    const scale = range === 0 ? 1 : range; // all zeros: any scale will do
    const code = coder("uint8");
    const zero = code(Math.fround(0 - Math.fround(lo / scale)), 0);
    return [
      fill("uint8", x.dims, (i) => code(Math.fround(data[i]! / scale), zero)),
      fill("float32", [], () => scale),
      fill("uint8", [], () => zero),
    ];
  },
};

/** An int32 sum in units of the output's scale, each step in float32: ONNX leaves the order open, and this is ONNX Runtime's. */
function requantized(sum: number, a: number, b: number, y: number): number {
  return Math.fround(Math.fround(sum) * Math.fround(Math.fround(a * b) / y));
}

/** Inputs: x, its scale and zero point; w, its (per-channel) scale and zero point; y's scale and zero point; int32 bias of scale sx · sw. */
const qlinearConv: Operator = {
  op: "QLinearConv",
  arity: [8, 9],
  infer(node, inputs) {
    const dims = convDims(node, required(node, inputs, 0), required(node, inputs, 3), inputs[8]);
    for (const i of [1, 2, 6, 7]) oneOrPer(node, inputs[i], 1);
    for (const i of [4, 5]) oneOrPer(node, inputs[i], dims?.[1]);
    return [fact(required(node, inputs, 7).dtype, dims)];
  },
  reference(node, inputs) {
    const [x, sx, zx, w, sw, zw, sy, zy] = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => required(node, inputs, i)) as [
      Tensor,
      Tensor,
      Tensor,
      Tensor,
      Tensor,
      Tensor,
      Tensor,
      Tensor,
    ];
    const dims = concrete(
      qlinearConv.infer(
        node,
        inputs.map((t) => t && factOf(t)),
      ),
    );
    const bias = inputs[8] && asNumbers(inputs[8]);
    const sums = convSums(node, centered(x, zx, 1), x.dims, centered(w, zw, count(w.dims.slice(1))), w.dims, dims);
    const plane = count(dims.slice(2));
    const code = coder(zy.dtype);
    const [a, b, c, z] = [asNumbers(sx)[0]!, asNumbers(sw), asNumbers(sy)[0]!, asNumbers(zy)[0]!];
    return [
      fill(zy.dtype, dims, (i) => {
        const channel = Math.floor(i / plane) % dims[1]!;
        const sum = sums[i]! + (bias ? bias[channel]! : 0);
        return code(requantized(sum, a, b[b.length === 1 ? 0 : channel]!, c), z);
      }),
    ];
  },
};

/** Codes of a matrix less their zero point: one number, or one per row (left) or column (right). */
function centeredMatrix(node: GraphNode, x: Tensor, zero: Tensor | undefined, side: "left" | "right"): ArrayLike<number> {
  if (!zero || zero.data.length === 1) return centered(x, zero, 1);
  const z = asNumbers(zero);
  const which = lineIndex(node, x.dims, zero, side);
  const data = asNumbers(x);
  return Float64Array.from({ length: data.length }, (_, i) => data[i]! - z[which(i)]!);
}

/** Index of a per-row or per-column parameter, batches included when it has them. */
function lineIndex(node: GraphNode, dims: readonly number[], p: Tensor, side: "left" | "right"): (i: number) => number {
  const columns = dims.at(-1)!;
  const rows = dims.at(-2) ?? 1;
  const lines = side === "left" ? rows : columns;
  const batched = p.data.length !== lines;
  if (batched && p.data.length !== (count(dims) / (rows * columns)) * lines)
    throw mismatch(node, `parameter ${show(p.dims)} for ${show(dims)}`, `one number, or ${lines}`);
  return (i) => {
    const line = side === "left" ? Math.floor(i / columns) % rows : i % columns;
    return batched ? Math.floor(i / (rows * columns)) * lines + line : line;
  };
}

/** Inputs: a, b, a's zero point? (one or per row), b's zero point? (one or per column). */
const matMulInteger: Operator = {
  op: "MatMulInteger",
  arity: [2, 4],
  infer: (node, inputs) => [fact("int32", matmulDims(node, required(node, inputs, 0).dims, required(node, inputs, 1).dims))],
  reference(node, inputs) {
    const [a, b] = [required(node, inputs, 0), required(node, inputs, 1)];
    const dims = concrete(matMulInteger.infer(node, [factOf(a), factOf(b)]));
    const left = centeredMatrix(node, a, inputs[2], "left");
    const right = centeredMatrix(node, b, inputs[3], "right");
    const sums = matmulSums(left, a.dims, right, b.dims, batchOf(node, a.dims, b.dims));
    return [fill("int32", dims, (i) => sums[i]!)];
  },
};

/** Inputs: a, its scale and zero point; b, its scale and zero point; y's scale and zero point. */
const qlinearMatMul: Operator = {
  op: "QLinearMatMul",
  arity: [8, 8],
  infer: (node, inputs) => [
    fact(required(node, inputs, 7).dtype, matmulDims(node, required(node, inputs, 0).dims, required(node, inputs, 3).dims)),
  ],
  reference(node, inputs) {
    const [a, sa, za, b, sb, zb, sy, zy] = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => required(node, inputs, i)) as [
      Tensor,
      Tensor,
      Tensor,
      Tensor,
      Tensor,
      Tensor,
      Tensor,
      Tensor,
    ];
    const dims = concrete(
      qlinearMatMul.infer(
        node,
        inputs.map((t) => t && factOf(t)),
      ),
    );
    const sums = matmulSums(
      centeredMatrix(node, a, za, "left"),
      a.dims,
      centeredMatrix(node, b, zb, "right"),
      b.dims,
      batchOf(node, a.dims, b.dims),
    );
    const [left, right, scale, zero] = [asNumbers(sa), asNumbers(sb), asNumbers(sy)[0]!, asNumbers(zy)[0]!];
    const code = coder(zy.dtype);
    const row = left.length === 1 ? () => 0 : lineIndex(node, dims, sa, "left");
    const column = right.length === 1 ? () => 0 : lineIndex(node, dims, sb, "right");
    return [fill(zy.dtype, dims, (i) => code(requantized(sums[i]!, left[row(i)]!, right[column(i)]!, scale), zero))];
  },
};

export const quantizeOperators: readonly Operator[] = [
  quantizeLinear,
  dequantizeLinear,
  dynamicQuantizeLinear,
  qlinearConv,
  matMulInteger,
  qlinearMatMul,
];
