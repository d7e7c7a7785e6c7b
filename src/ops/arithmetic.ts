// Binary and variadic arithmetic with broadcasting.
// The meaning: floats are computed in float64 and rounded once to the type; integers are exact and wrap modulo 2^bits.
import { addDims, divideDims, multiplyDims, subtractDims } from "../graph/dims.ts";
import { isFloat, isInteger } from "../graph/tensors.ts";
import type { Dim, Fact, GraphNode, Tensor } from "../graph/types.ts";
import { broadcastDims, broadcastIndex } from "./broadcast.ts";
import { asNumbers, fill, fillIntegers, integers, toInteger } from "./dtypes.ts";
import { pow } from "./math.ts";
import type { Operator } from "./operator.ts";
import { commonType, concrete, contents, fact, factOf, number, required } from "./shape.ts";

export interface Row {
  readonly op: string;
  readonly arity: readonly [number, number];
  real(a: number, b: number, node: GraphNode): number;
  integer(a: bigint, b: bigint, node: GraphNode): bigint;
  /** The same on sizes, where it is a size again. */
  size?(a: Dim, b: Dim): Dim | undefined;
}

/** Elements read by the broadcast result's flat index. */
export function spread<T>(read: (i: number) => T, from: readonly number[], to: readonly number[]): (i: number) => T {
  const index = broadcastIndex(from, to);
  return index ? (i) => read(index[i]!) : read;
}

const reader = (x: Tensor): ((i: number) => number) => {
  const data = asNumbers(x);
  return (i) => data[i]!;
};

/** Known contents of a broadcast result, from those of the operands. */
export function spreadContents<T>(
  inputs: readonly Fact[],
  f: (values: (Dim | undefined)[]) => T | undefined,
): (T | undefined)[] | undefined {
  const all = inputs.map(contents);
  const dims = inputs.map((x) => x.dims);
  if (all.some((e) => e === undefined) || dims.some((d) => d === undefined)) return undefined;
  const size = Math.max(...all.map((e) => e!.length));
  // Vectors and scalars only: shape arithmetic has no other.
  if (dims.some((d) => d!.length > 1) || all.some((e) => e!.length !== size && e!.length !== 1)) return undefined;
  return Array.from({ length: size }, (_, i) => f(all.map((e) => e![e!.length === 1 ? 0 : i])));
}

function inferArithmetic(row: Row, node: GraphNode, inputs: readonly (Fact | undefined)[]): Fact[] {
  const given = inputs.map((_, i) => required(node, inputs, i));
  const dtype = commonType(node, given);
  const size = row.size;
  const elements = size && isInteger(dtype) ? spreadContents(given, fold(size)) : undefined;
  return [
    fact(
      dtype,
      broadcastDims(
        node,
        given.map((x) => x.dims),
      ),
      elements,
    ),
  ];
}

const fold =
  (f: (a: Dim, b: Dim) => Dim | undefined) =>
  (values: (Dim | undefined)[]): Dim | undefined =>
    values.reduce((a, b) => (a === undefined || b === undefined ? undefined : f(a, b)));

function arithmetic(row: Row): Operator {
  const infer = (node: GraphNode, inputs: readonly (Fact | undefined)[]): Fact[] => inferArithmetic(row, node, inputs);
  return {
    op: row.op,
    arity: row.arity,
    infer,
    reference(node, inputs) {
      const tensors = inputs.map((_, i) => required(node, inputs, i));
      const dims = concrete(infer(node, tensors.map(factOf)));
      const { dtype } = tensors[0]!;
      if (isFloat(dtype)) {
        const read = tensors.map((t) => spread(reader(t), t.dims, dims));
        return [fill(dtype, dims, (i) => read.slice(1).reduce((a, r) => row.real(a, r(i), node), read[0]!(i)))];
      }
      const read = tensors.map((t) => spread(integers(t), t.dims, dims));
      return [fillIntegers(dtype, dims, (i) => read.slice(1).reduce((a, r) => row.integer(a, r(i), node), read[0]!(i)))];
    },
  };
}

/** a mod b with the divisor's sign (Python's %), or the dividend's (C's fmod) by attribute. */
function modulo(a: number, b: number, node: GraphNode): number {
  const r = a % b;
  return number(node, "fmod", 0) || r === 0 || r < 0 === b < 0 ? r : r + b;
}

function integerModulo(a: bigint, b: bigint, node: GraphNode): bigint {
  if (b === 0n) return 0n;
  const r = a % b;
  return number(node, "fmod", 0) || r === 0n || r < 0n === b < 0n ? r : r + b;
}

/** Sizes divide as integers do, towards zero. */
function sizeQuotient(a: Dim, b: Dim): Dim | undefined {
  if (b === 0) return undefined;
  return typeof a === "number" && typeof b === "number" ? Math.trunc(a / b) : divideDims(a, b);
}

const both =
  (f: (a: number, b: number) => number) =>
  (a: Dim, b: Dim): Dim | undefined =>
    typeof a === "number" && typeof b === "number" ? f(a, b) : a === b ? a : undefined;

const lesser = (a: bigint, b: bigint): bigint => [a, b][Number(b < a)]!;
const greater = (a: bigint, b: bigint): bigint => [a, b][Number(b > a)]!;

const two: readonly [number, number] = [2, 2];
const many: readonly [number, number] = [1, Number.MAX_SAFE_INTEGER];
const add = { real: (a: number, b: number) => a + b, integer: (a: bigint, b: bigint) => a + b, size: addDims };

const rows: readonly Row[] = [
  { op: "Add", arity: two, ...add },
  { op: "Sub", arity: two, real: (a, b) => a - b, integer: (a, b) => a - b, size: subtractDims },
  { op: "Mul", arity: two, real: (a, b) => a * b, integer: (a, b) => a * b, size: multiplyDims },
  // An integer divided by zero has no meaning in ONNX; 0 here, never a trap.
  { op: "Div", arity: two, real: (a, b) => a / b, integer: (a, b) => (b === 0n ? 0n : a / b), size: sizeQuotient },
  { op: "Mod", arity: two, real: modulo, integer: integerModulo },
  // NaN in either operand is the answer, as in NumPy.
  { op: "Min", arity: many, real: (a, b) => Math.min(a, b), integer: lesser, size: both(Math.min) },
  { op: "Max", arity: many, real: (a, b) => Math.max(a, b), integer: greater, size: both(Math.max) },
  { op: "Sum", arity: many, ...add },
];

/** Mean of any number of tensors: summed in float64, divided and rounded once. */
const mean: Operator = {
  op: "Mean",
  arity: many,
  infer: (node, inputs) => inferArithmetic({ op: "Mean", arity: many, ...add, size: undefined } as Row, node, inputs),
  reference(node, inputs) {
    const tensors = inputs.map((_, i) => required(node, inputs, i));
    const dims = concrete(mean.infer(node, tensors.map(factOf)));
    const read = tensors.map((t) => spread(reader(t), t.dims, dims));
    return [fill(tensors[0]!.dtype, dims, (i) => read.reduce((sum, r) => sum + r(i), 0) / read.length)];
  },
};

/** xʸ in the type of x. Integer powers are exact; a negative or fractional exponent truncates towards zero. */
const power: Operator = {
  op: "Pow",
  arity: two,
  infer(node, inputs) {
    const x = required(node, inputs, 0);
    const y = required(node, inputs, 1);
    return [fact(x.dtype, broadcastDims(node, [x.dims, y.dims]))];
  },
  reference(node, inputs) {
    const x = required(node, inputs, 0);
    const y = required(node, inputs, 1);
    const dims = concrete(power.infer(node, [factOf(x), factOf(y)]));
    if (isFloat(x.dtype)) {
      const a = spread(reader(x), x.dims, dims);
      const b = spread(reader(y), y.dims, dims);
      return [fill(x.dtype, dims, (i) => pow(a(i), b(i)))];
    }
    const a = spread(integers(x), x.dims, dims);
    if (isFloat(y.dtype)) {
      const b = spread(reader(y), y.dims, dims);
      return [fillIntegers(x.dtype, dims, (i) => toInteger(pow(Number(a(i)), b(i))))];
    }
    const b = spread(integers(y), y.dims, dims);
    return [fillIntegers(x.dtype, dims, (i) => integerPower(a(i), b(i)))];
  },
};

/** Exact modulo 2⁶⁴, so that a large exponent costs no large number. */
function integerPower(base: bigint, exponent: bigint): bigint {
  if (exponent < 0n) return base === 1n ? 1n : base === -1n ? (exponent % 2n ? -1n : 1n) : 0n;
  let result = 1n;
  for (let square = base, e = exponent; e > 0n; e >>= 1n, square = BigInt.asIntN(64, square * square))
    if (e & 1n) result = BigInt.asIntN(64, result * square);
  return result;
}

export const arithmeticOperators: readonly Operator[] = [...rows.map(arithmetic), mean, power];
