// Matrix products. The meaning: products summed in float64 in the order of the inner axis, rounded once.
import type { Dim, GraphNode, Tensor } from "../graph/types.ts";
import { broadcastDims, broadcastIndex } from "./broadcast.ts";
import { asNumbers, count, fill, fillIntegers, toInteger } from "./dtypes.ts";
import { isFloat } from "../graph/tensors.ts";
import type { Operator } from "./operator.ts";
import { commonType, concrete, fact, factOf, mismatch, number, required, show } from "./shape.ts";

function sameInner(node: GraphNode, a: Dim, b: Dim, shapes: readonly (readonly Dim[] | undefined)[]): void {
  if (typeof a === "number" && typeof b === "number" && a !== b) throw mismatch(node, shapes.map(show).join(" and "), "equal inner sizes");
}

/** Sizes of NumPy's matmul: a vector on the left is a row, on the right a column, and that axis is dropped again. */
export function matmulDims(node: GraphNode, a: readonly Dim[] | undefined, b: readonly Dim[] | undefined): Dim[] | undefined {
  if (!a || !b) return undefined;
  if (a.length === 0 || b.length === 0) throw mismatch(node, `${show(a)} and ${show(b)}`, "vectors or matrices");
  const left = a.length === 1 ? [1, ...a] : a;
  const right = b.length === 1 ? [...b, 1] : b;
  sameInner(node, left.at(-1)!, right.at(-2)!, [a, b]);
  const batch = broadcastDims(node, [left.slice(0, -2), right.slice(0, -2)])!;
  return [...batch, ...(a.length === 1 ? [] : [left.at(-2)!]), ...(b.length === 1 ? [] : [right.at(-1)!])];
}

/** Sums of a product in float64, row-major as `matmulDims`; exact for integers while |Σ| < 2⁵³. */
export function matmulSums(
  a: ArrayLike<number>,
  aDims: readonly number[],
  b: ArrayLike<number>,
  bDims: readonly number[],
  batch: readonly number[],
): Float64Array {
  const [m, k] = aDims.length === 1 ? [1, aDims[0]!] : (aDims.slice(-2) as [number, number]);
  const n = bDims.length === 1 ? 1 : bDims.at(-1)!;
  const left = broadcastIndex(aDims.slice(0, -2), batch);
  const right = broadcastIndex(bDims.slice(0, -2), batch);
  const sums = new Float64Array(count(batch) * m * n);
  for (let matrix = 0; matrix < count(batch); matrix++)
    for (let i = 0; i < m; i++)
      for (let p = 0; p < k; p++) {
        const x = a[((left ? left[matrix]! : matrix) * m + i) * k + p]!;
        const row = ((right ? right[matrix]! : matrix) * k + p) * n;
        const to = (matrix * m + i) * n;
        for (let j = 0; j < n; j++) sums[to + j]! += x * b[row + j]!;
      }
  return sums;
}

/** Leading axes of the product of two shapes. */
export function batchOf(node: GraphNode, a: readonly number[], b: readonly number[]): readonly number[] {
  return broadcastDims(node, [a.slice(0, -2), b.slice(0, -2)]) as readonly number[];
}

const matmul: Operator = {
  op: "MatMul",
  arity: [2, 2],
  infer(node, inputs) {
    const [a, b] = [required(node, inputs, 0), required(node, inputs, 1)];
    return [fact(commonType(node, [a, b]), matmulDims(node, a.dims, b.dims))];
  },
  reference(node, inputs) {
    const [a, b] = [required(node, inputs, 0), required(node, inputs, 1)];
    const dims = concrete(matmul.infer(node, [factOf(a), factOf(b)]));
    const sums = matmulSums(asNumbers(a), a.dims, asNumbers(b), b.dims, batchOf(node, a.dims, b.dims));
    return [rounded(a, dims, sums)];
  },
};

/** Integer products wrap; sums beyond 2⁵³ are outside of what the reference promises. */
function rounded(like: Tensor, dims: readonly number[], sums: Float64Array): Tensor {
  return isFloat(like.dtype) ? fill(like.dtype, dims, (i) => sums[i]!) : fillIntegers(like.dtype, dims, (i) => toInteger(sums[i]!));
}

/** α A B + β C, A and B transposed by attribute, C broadcast. Summed in float64, rounded once. */
const gemm: Operator = {
  op: "Gemm",
  arity: [2, 3],
  infer(node, inputs) {
    const [a, b] = [required(node, inputs, 0), required(node, inputs, 1)];
    commonType(node, [a, b, inputs[2]]);
    if (!a.dims || !b.dims) return [fact(a.dtype, undefined)];
    if (a.dims.length !== 2 || b.dims.length !== 2) throw mismatch(node, `${show(a.dims)} and ${show(b.dims)}`, "two matrices");
    const left = number(node, "transA", 0) ? [...a.dims].reverse() : a.dims;
    const right = number(node, "transB", 0) ? [...b.dims].reverse() : b.dims;
    sameInner(node, left[1]!, right[0]!, [a.dims, b.dims]);
    const dims = [left[0]!, right[1]!];
    const c = inputs[2]?.dims;
    if (
      c &&
      (c.length > 2 ||
        c.some((d, i) => typeof d === "number" && d !== 1 && typeof dims[i + 2 - c.length] === "number" && d !== dims[i + 2 - c.length]))
    )
      throw mismatch(node, `C ${show(c)}`, `a shape that broadcasts to ${show(dims)}`);
    return [fact(a.dtype, dims)];
  },
  reference(node, inputs) {
    const [a, b, c] = [required(node, inputs, 0), required(node, inputs, 1), inputs[2]];
    const dims = concrete(gemm.infer(node, [factOf(a), factOf(b), c && factOf(c)]));
    const left = number(node, "transA", 0) ? transposed(a) : { dims: a.dims, data: asNumbers(a) };
    const right = number(node, "transB", 0) ? transposed(b) : { dims: b.dims, data: asNumbers(b) };
    const sums = matmulSums(left.data, left.dims, right.data, right.dims, []);
    const [alpha, beta] = [number(node, "alpha", 1), number(node, "beta", 1)];
    const bias = c && asNumbers(c);
    const index = c && broadcastIndex(c.dims, dims);
    const scaled = bias ? sums.map((sum, i) => alpha * sum + beta * bias[index ? index[i]! : i]!) : sums.map((sum) => alpha * sum);
    return [rounded(a, dims, isFloat(a.dtype) ? scaled : scaled.map(Math.trunc))];
  },
};

function transposed(x: Tensor): { dims: readonly number[]; data: ArrayLike<number> } {
  const [rows, columns] = x.dims as [number, number];
  const from = asNumbers(x);
  return {
    dims: [columns, rows],
    data: Float64Array.from({ length: from.length }, (_, i) => from[(i % rows) * columns + Math.floor(i / rows)]!),
  };
}

export const matmulOperators: readonly Operator[] = [matmul, gemm];
