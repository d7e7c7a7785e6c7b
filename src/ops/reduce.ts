// Reductions along axes, and those that keep the axis: Softmax, LogSoftmax.
// Floats are reduced in float64 in row-major order and rounded once; integers exactly, modulo 2^bits.
import { assert } from "../errors.ts";
import { isFloat } from "../graph/tensors.ts";
import type { Dim, Fact, GraphNode } from "../graph/types.ts";
import { strided } from "./broadcast.ts";
import { asNumbers, count, fill, fillIntegers, integers } from "./dtypes.ts";
import { exp, log } from "./math.ts";
import type { Operator } from "./operator.ts";
import { axisOf, concrete, fact, factOf, freshDims, listIn, mustBeFloat, number, required, stridesOf } from "./shape.ts";

interface Row {
  readonly op: string;
  /** Value of a list of elements, empty lists included. */
  readonly real: (values: Float64Array) => number;
  readonly integer?: (values: readonly bigint[]) => bigint;
}

const sum = (v: Float64Array): number => {
  let total = 0;
  for (let i = 0; i < v.length; i++) total += v[i]!;
  return total;
};
const sumSquares = (v: Float64Array): number => {
  let total = 0;
  for (let i = 0; i < v.length; i++) total += v[i]! * v[i]!;
  return total;
};
const sumBig = (v: readonly bigint[]): bigint => v.reduce((a, b) => a + b, 0n);

function logSumExp(v: Float64Array): number {
  const top = v.reduce((a, b) => Math.max(a, b), -Infinity);
  return Number.isFinite(top) ? top + log(v.reduce((a, b) => a + exp(b - top), 0)) : top;
}

/** One row per operator; an empty list gives the neutral element (ONNX: "reduction over an empty set"). */
const rows: readonly Row[] = [
  { op: "ReduceSum", real: sum, integer: sumBig },
  { op: "ReduceMean", real: (v) => sum(v) / v.length, integer: (v) => (v.length ? sumBig(v) / BigInt(v.length) : 0n) },
  { op: "ReduceProd", real: (v) => v.reduce((a, b) => a * b, 1), integer: (v) => v.reduce((a, b) => a * b, 1n) },
  {
    op: "ReduceMax",
    real: (v) => v.reduce((a, b) => Math.max(a, b), -Infinity),
    integer: (v) => v.reduce((a, b) => [a, b][Number(b > a)]!, v[0] ?? 0n),
  },
  {
    op: "ReduceMin",
    real: (v) => v.reduce((a, b) => Math.min(a, b), Infinity),
    integer: (v) => v.reduce((a, b) => [a, b][Number(b < a)]!, v[0] ?? 0n),
  },
  { op: "ReduceL1", real: (v) => v.reduce((a, b) => a + Math.abs(b), 0), integer: (v) => v.reduce((a, b) => a + (b < 0n ? -b : b), 0n) },
  { op: "ReduceL2", real: (v) => Math.sqrt(sumSquares(v)) },
  { op: "ReduceSumSquare", real: sumSquares, integer: (v) => v.reduce((a, b) => a + b * b, 0n) },
  { op: "ReduceLogSum", real: (v) => log(sum(v)) },
  { op: "ReduceLogSumExp", real: logSumExp },
];

/** Axes to reduce; undefined when unknown. No axes: all, or none with noop_with_empty_axes. */
function axesOf(node: GraphNode, rank: number, input: Fact | undefined): readonly number[] | undefined {
  const given = input ? listIn(node, input) : [];
  if (!given) return undefined;
  if (given.length > 0) return [...new Set(given.map((a) => axisOf(node, a, rank)))].sort((a, b) => a - b);
  return number(node, "noop_with_empty_axes", 0) ? [] : Array.from({ length: rank }, (_, a) => a);
}

function reducedDims(node: GraphNode, x: Fact, axesInput: Fact | undefined): readonly Dim[] | undefined {
  const { dims } = x;
  if (!dims) return undefined;
  const keep = number(node, "keepdims", 1) !== 0;
  const axes = axesOf(node, dims.length, axesInput);
  if (axes) return keep ? dims.map((d, a) => (axes.includes(a) ? 1 : d)) : dims.filter((_, a) => !axes.includes(a));
  if (keep) return freshDims(node, dims.length);
  const removed = axesInput?.dims?.[0];
  return typeof removed === "number" && removed > 0 ? freshDims(node, dims.length - removed) : undefined;
}

/** Flat indices grouped by result: those of result r are `base[r] + offset[k]`. */
function groups(dims: readonly number[], axes: readonly number[]): { base: Int32Array; offset: Int32Array } {
  const strides = stridesOf(dims);
  const kept = dims.map((_, a) => a).filter((a) => !axes.includes(a));
  const indices = (list: readonly number[]): Int32Array =>
    strided(
      list.map((a) => dims[a]!),
      list.map((a) => strides[a]!),
    );
  return { base: indices(kept), offset: indices(axes) };
}

function reduction(row: Row): Operator {
  const infer = (node: GraphNode, inputs: readonly (Fact | undefined)[]): Fact[] => {
    const x = required(node, inputs, 0);
    if (!row.integer) mustBeFloat(node, x);
    return [fact(x.dtype, reducedDims(node, x, inputs[1]))];
  };
  return {
    op: row.op,
    arity: [1, 2],
    infer,
    reference(node, inputs) {
      const x = required(node, inputs, 0);
      const facts = inputs.map((t) => t && factOf(t));
      const dims = concrete(infer(node, facts));
      const axes = axesOf(node, x.dims.length, facts[1])!;
      if (axes.length === 0 && row.op !== "ReduceSumSquare") return [x];
      const { base, offset } = groups(x.dims, axes);
      if (isFloat(x.dtype)) {
        const data = asNumbers(x);
        const values = new Float64Array(offset.length);
        return [
          fill(x.dtype, dims, (r) => {
            for (let k = 0; k < values.length; k++) values[k] = data[base[r]! + offset[k]!]!;
            return row.real(values);
          }),
        ];
      }
      const [f, read] = [row.integer, integers(x)];
      assert(f, "inference refuses integers where there is no meaning");
      return [fillIntegers(x.dtype, dims, (r) => f(Array.from(offset, (o) => read(base[r]! + o))))];
    },
  };
}

/** Index of the largest or smallest element along `axis`: the first of equals, or the last by attribute. NaN wins. */
function arg(op: string, better: (a: number, b: number) => boolean): Operator {
  const infer = (node: GraphNode, inputs: readonly (Fact | undefined)[]): Fact[] => {
    const { dims } = required(node, inputs, 0);
    if (!dims) return [fact("int64", undefined)];
    const axis = axisOf(node, number(node, "axis", 0), dims.length);
    return [fact("int64", number(node, "keepdims", 1) ? dims.map((d, a) => (a === axis ? 1 : d)) : dims.filter((_, a) => a !== axis))];
  };
  return {
    op,
    arity: [1, 1],
    infer,
    reference(node, inputs) {
      const x = required(node, inputs, 0);
      const dims = concrete(infer(node, [factOf(x)]));
      const { base, offset } = groups(x.dims, [axisOf(node, number(node, "axis", 0), x.dims.length)]);
      const [data, last] = [asNumbers(x), number(node, "select_last_index", 0) !== 0];
      return [
        fillIntegers("int64", dims, (r) => {
          let best = 0;
          for (let k = 1; k < offset.length; k++) {
            const [a, b] = [data[base[r]! + offset[k]!]!, data[base[r]! + offset[best]!]!];
            if (better(a, b) || (Number.isNaN(a) && !Number.isNaN(b)) || (last && a === b)) best = k;
          }
          return BigInt(best);
        }),
      ];
    },
  };
}

/** Functions of all elements along `axis`, one result per element. */
function along(op: string, f: (values: Float64Array) => Float64Array): Operator {
  return {
    op,
    arity: [1, 1],
    infer(node, inputs) {
      const x = required(node, inputs, 0);
      mustBeFloat(node, x);
      if (x.dims && x.dims.length > 0) axisOf(node, number(node, "axis", -1), x.dims.length);
      return [fact(x.dtype, x.dims)];
    },
    reference(node, inputs) {
      const x = required(node, inputs, 0);
      const axes = x.dims.length === 0 ? [] : [axisOf(node, number(node, "axis", -1), x.dims.length)];
      const { base, offset } = groups(x.dims, axes);
      const data = asNumbers(x);
      const y = new Float64Array(count(x.dims));
      for (const start of base) {
        const result = f(Float64Array.from(offset, (o) => data[start + o]!));
        for (let k = 0; k < offset.length; k++) y[start + offset[k]!] = result[k]!;
      }
      return [fill(x.dtype, x.dims, (i) => y[i]!)];
    },
  };
}

/** e^(x − max) / Σ e^(x − max) */
function softmax(v: Float64Array): Float64Array {
  const top = v.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = v.map((x) => exp(x - top));
  const total = sum(powers);
  return powers.map((p) => p / total);
}

/** x − max − log Σ e^(x − max) */
function logSoftmax(v: Float64Array): Float64Array {
  const top = v.reduce((a, b) => Math.max(a, b), -Infinity);
  const total = log(sum(v.map((x) => exp(x - top))));
  return v.map((x) => x - top - total);
}

export const reduceOperators: readonly Operator[] = [
  ...rows.map(reduction),
  arg("ArgMax", (a, b) => a > b),
  arg("ArgMin", (a, b) => a < b),
  along("Softmax", softmax),
  along("LogSoftmax", logSoftmax),
];
