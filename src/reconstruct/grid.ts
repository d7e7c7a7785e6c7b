// A weight tensor as rows of one scale each, and back.
import { outputAxis } from "../quantized/fusions.ts";
import type { Encoding } from "../formats/encoding.ts";
import type { GraphNode } from "../graph/types.ts";
import { assert } from "../errors.ts";
import type { QuantizedWeight } from "../quantized/types.ts";
import type { Hardened, WeightGrid } from "./parametrizations/types.ts";

/** How rows lie in the tensor: element [r][o][i] of the rows is element [o][r][i] of the tensor. */
export interface RowOrder {
  readonly rows: number;
  readonly outer: number;
  readonly inner: number;
}

const product = (dims: readonly number[]): number => dims.reduce((p, d) => p * d, 1);

export function rowOrder(dims: readonly number[], axis: number): RowOrder {
  return { rows: dims[axis]!, outer: product(dims.slice(0, axis)), inner: product(dims.slice(axis + 1)) };
}

/** Tensor order → rows. */
export function toRows<T extends Float32Array | Int8Array>(values: T, { rows, outer, inner }: RowOrder): T {
  const out = values.slice() as T;
  for (let o = 0; o < outer; o++)
    for (let r = 0; r < rows; r++) for (let i = 0; i < inner; i++) out[(r * outer + o) * inner + i] = values[(o * rows + r) * inner + i]!;
  return out;
}

/** Rows → tensor order. */
export function fromRows<T extends Float32Array | Int8Array>(values: T, { rows, outer, inner }: RowOrder): T {
  const out = values.slice() as T;
  for (let o = 0; o < outer; o++)
    for (let r = 0; r < rows; r++) for (let i = 0; i < inner; i++) out[(o * rows + r) * inner + i] = values[(r * outer + o) * inner + i]!;
  return out;
}

/** The grid of a weight's encoding. @param values W in tensor order */
export function gridOf(node: GraphNode, weight: QuantizedWeight, values: Float32Array): WeightGrid {
  const { encoding, dims } = weight;
  const order = rowOrder(dims, outputAxis(node));
  const { levels, scale, zeroPoint } = encoding;
  assert(levels.kind === "linear" && encoding.granularity.kind !== "group", "learned weights have linear levels per channel or tensor");
  const { lo, hi } = levels;
  const zero = Int32Array.from({ length: order.rows }, (_, r) => zeroPoint[zeroPoint.length === 1 ? 0 : r]!);
  return {
    rows: order.rows,
    columns: order.outer * order.inner,
    values: toRows(values, order),
    scale: Float32Array.from({ length: order.rows }, (_, r) => scale[scale.length === 1 ? 0 : r]!),
    low: Float32Array.from(zero, (z) => lo - z),
    high: Float32Array.from(zero, (z) => hi - z),
    zero,
    taps: node.op === "Conv" ? product(dims.slice(2)) : 1,
    convolution: node.op === "Conv",
    perTensor: scale.length === 1 && order.rows > 1,
  };
}

/** The weight with learned codes and scales. */
export function hardenedWeight(node: GraphNode, weight: QuantizedWeight, { codes, scale, levels }: Hardened): QuantizedWeight {
  const { encoding, dims } = weight;
  const linear: Encoding = { ...encoding, scale: encoding.scale.length === 1 ? scale.slice(0, 1) : scale.slice() };
  const own = levels ? { ...linear, levels: { kind: "table" as const, levels }, zeroPoint: new Int32Array(linear.scale.length) } : linear;
  return { encoding: own, dims, codes: fromRows(codes, rowOrder(dims, outputAxis(node))) };
}
