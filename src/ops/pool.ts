// Pools over sliding windows and over whole planes.
import { allocate } from "../graph/tensors.ts";
import type { Dim, Fact, GraphNode, Tensor } from "../graph/types.ts";
import { asNumbers, count, fill } from "./dtypes.ts";
import type { Operator } from "./operator.ts";
import { concrete, fact, factOf, mismatch, mustBeFloat, number, numbersAttribute, required, show } from "./shape.ts";
import { outputSize, paddingOf, positions, type Window, windowOf } from "./windows.ts";

function poolWindow(node: GraphNode): Window {
  const kernel = numbersAttribute(node, "kernel_shape");
  if (!kernel || kernel.some((k) => !(Number.isInteger(k) && k >= 1)))
    throw mismatch(node, `kernel_shape ${show(kernel)}`, "sizes of 1 and more");
  return windowOf(node, kernel);
}

/** [N, C, spatial…] → [N, C, windows…] */
function poolDims(node: GraphNode, x: Fact): readonly Dim[] | undefined {
  const { dims } = x;
  if (!dims) return undefined;
  const window = poolWindow(node);
  if (dims.length !== window.kernel.length + 2)
    throw mismatch(node, `input ${show(dims)}`, `rank ${window.kernel.length + 2} for kernel_shape ${show(window.kernel)}`);
  return [dims[0]!, dims[1]!, ...dims.slice(2).map((size, axis) => outputSize(node, window, size, axis))];
}

/** Flat index of a plane's element when the spatial axes are counted from the first (storage_order 1). */
function columnMajor(at: number, sizes: readonly number[]): number {
  let index = 0;
  for (const size of sizes.toReversed()) {
    index = index * size + (at % size);
    at = Math.floor(at / size);
  }
  return index;
}

/** Largest element of each window, and its flat index in the whole input. NaN wins; of equals, the first. Padding never does. */
const maxPool: Operator = {
  op: "MaxPool",
  arity: [1, 1],
  infer(node, inputs) {
    const x = required(node, inputs, 0);
    if (x.dtype === "int64" || x.dtype === "uint64") mustBeFloat(node, x);
    const dims = poolDims(node, x);
    return [fact(x.dtype, dims), fact("int64", dims)].slice(0, Math.max(1, node.outputs.length));
  },
  reference(node, inputs) {
    const x = required(node, inputs, 0);
    const dims = concrete(maxPool.infer(node, [factOf(x)]));
    const sizes = x.dims.slice(2);
    const { index, outputs, taps } = positions(poolWindow(node), sizes, dims.slice(2));
    const [from, plane] = [asNumbers(x), count(sizes)];
    const columns = number(node, "storage_order", 0) !== 0;
    const data = allocate(x.dtype, count(dims)) as Float64Array;
    const where = new BigInt64Array(data.length);
    for (let i = 0; i < data.length; i++) {
      const base = Math.floor(i / outputs) * plane;
      let best = -1;
      for (let t = 0; t < taps; t++) {
        const at = index[(i % outputs) * taps + t]!;
        if (at < 0) continue;
        const value = from[base + at]!;
        if (best < 0 || value > from[base + best]! || (Number.isNaN(value) && !Number.isNaN(from[base + best]!))) best = at;
      }
      data[i] = best < 0 ? -Infinity : from[base + best]!;
      where[i] = best < 0 ? -1n : BigInt(base + (columns ? columnMajor(best, sizes) : best));
    }
    const y: Tensor[] = [
      { dtype: x.dtype, dims, data },
      { dtype: "int64", dims, data: where },
    ];
    return y.slice(0, Math.max(1, node.outputs.length));
  },
};

/**
 * Mean of each window. With count_include_pad the padding counts as zeros; what ceil_mode adds beyond the padding never counts.
 * Summed in float64, divided and rounded once.
 */
const averagePool: Operator = {
  op: "AveragePool",
  arity: [1, 1],
  infer(node, inputs) {
    const x = required(node, inputs, 0);
    mustBeFloat(node, x);
    return [fact(x.dtype, poolDims(node, x))];
  },
  reference(node, inputs) {
    const x = required(node, inputs, 0);
    const dims = concrete(averagePool.infer(node, [factOf(x)]));
    const [sizes, window] = [x.dims.slice(2), poolWindow(node)];
    const { index, outputs, taps } = positions(window, sizes, dims.slice(2));
    const counts = number(node, "count_include_pad", 0) ? paddedCounts(window, sizes, dims.slice(2)) : undefined;
    const [from, plane] = [asNumbers(x), count(sizes)];
    return [
      fill(x.dtype, dims, (i) => {
        const base = Math.floor(i / outputs) * plane;
        let [sum, n] = [0, 0];
        for (let t = 0; t < taps; t++) {
          const at = index[(i % outputs) * taps + t]!;
          if (at < 0) continue;
          sum += from[base + at]!;
          n++;
        }
        return sum / (counts ? counts[i % outputs]! : n);
      }),
    ];
  },
};

/** Taps of each window that lie in the padded input. */
function paddedCounts(w: Window, sizes: readonly number[], out: readonly number[]): Int32Array {
  const padded = sizes.map((size, axis) => size + paddingOf(w, size, axis)[0] + paddingOf(w, size, axis)[1]);
  const { index, outputs, taps } = positions({ ...w, auto: "NOTSET", pads: w.pads.map(() => 0) }, padded, out);
  return Int32Array.from({ length: outputs }, (_, o) => index.subarray(o * taps, (o + 1) * taps).reduce((n, at) => n + Number(at >= 0), 0));
}

function globalPool(op: string, plane: (x: ArrayLike<number>, start: number, length: number) => number): Operator {
  const infer = (node: GraphNode, inputs: readonly (Fact | undefined)[]): Fact[] => {
    const x = required(node, inputs, 0);
    mustBeFloat(node, x);
    if (x.dims && x.dims.length < 3) throw mismatch(node, `input ${show(x.dims)}`, "[N, C, spatial…]");
    return [
      fact(
        x.dtype,
        x.dims?.map((size, axis) => (axis < 2 ? size : 1)),
      ),
    ];
  };
  return {
    op,
    arity: [1, 1],
    infer,
    reference(node, inputs) {
      const x = required(node, inputs, 0);
      const dims = concrete(infer(node, [factOf(x)]));
      const [data, length] = [asNumbers(x), count(x.dims.slice(2))];
      return [fill(x.dtype, dims, (i) => plane(data, i * length, length))];
    },
  };
}

const globalAverage = globalPool("GlobalAveragePool", (x, start, length) => {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += x[start + i]!;
  return sum / length;
});

const globalMax = globalPool("GlobalMaxPool", (x, start, length) => {
  let best = -Infinity;
  for (let i = 0; i < length; i++) best = Math.max(best, x[start + i]!);
  return best;
});

export const poolOperators: readonly Operator[] = [maxPool, averagePool, globalAverage, globalMax];
