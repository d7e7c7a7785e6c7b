// Arithmetic of the element types: widths, rounding, wrap-around. How they are stored is graph/tensors.ts.
import { elementCount } from "../graph/dims.ts";
import { allocate, isBig } from "../graph/tensors.ts";
import type { DType, Tensor } from "../graph/types.ts";
import { roundToFloat } from "./rounding.ts";

export interface ElementType {
  readonly bits: number;
  readonly signed: boolean;
  /** Nearest value of a float type that its array does not round to by itself, ties to even. */
  readonly round?: (x: number) => number;
}

const type = (bits: number, signed: boolean): ElementType => ({ bits, signed });

/** One row per element type. */
export const elementTypes: Readonly<Record<DType, ElementType>> = {
  float32: type(32, true),
  float64: type(64, true),
  float16: { bits: 16, signed: true, round: (x) => roundToFloat(x, 10, -14, 65504) },
  bfloat16: { bits: 16, signed: true, round: (x) => roundToFloat(x, 7, -126, 3.3895313892515355e38) },
  float8e4m3fn: type(8, true),
  float8e4m3fnuz: type(8, true),
  float8e5m2: type(8, true),
  float8e5m2fnuz: type(8, true),
  float8e8m0: type(8, false),
  float4e2m1: type(4, true),
  int2: type(2, true),
  uint2: type(2, false),
  int4: type(4, true),
  uint4: type(4, false),
  int8: type(8, true),
  uint8: type(8, false),
  int16: type(16, true),
  uint16: type(16, false),
  int32: type(32, true),
  uint32: type(32, false),
  int64: type(64, true),
  uint64: type(64, false),
  bool: type(1, false),
  string: type(0, false),
};

/** Smallest and largest value of an integer type. */
export function integerRange(dtype: DType): readonly [bigint, bigint] {
  const { bits, signed } = elementTypes[dtype];
  const codes = 1n << BigInt(bits);
  return signed ? [-(codes >> 1n), (codes >> 1n) - 1n] : [0n, codes - 1n];
}

/** An integer modulo 2^bits, as two's complement hardware keeps it. */
export function wrap(dtype: DType, x: bigint): bigint {
  const { bits, signed } = elementTypes[dtype];
  return signed ? BigInt.asIntN(bits, x) : BigInt.asUintN(bits, x);
}

/** Row-major number of elements of concrete dims. @throws HalftoneError SHAPE_OVERFLOW */
export const count = (dims: readonly number[]): number => elementCount(dims, "a tensor");

/** A float or bool tensor whose element i is `f(i)`, rounded once to the type. Integers up to 32 bits must be in range. */
export function fill(dtype: DType, dims: readonly number[], f: (i: number) => number): Tensor {
  const data = allocate(dtype, count(dims));
  const { round } = elementTypes[dtype];
  if (isBig(data)) for (let i = 0; i < data.length; i++) data[i] = toInteger(f(i));
  else if (round) for (let i = 0; i < data.length; i++) data[i] = round(f(i));
  else for (let i = 0; i < data.length; i++) data[i] = f(i);
  return { dtype, dims, data };
}

/** Towards zero; what is no integer (NaN, ±∞) becomes 0. */
export function toInteger(x: number): bigint {
  return Number.isFinite(x) ? BigInt(Math.trunc(x)) : 0n;
}

/** An integer tensor whose element i is `f(i)` modulo 2^bits. */
export function fillIntegers(dtype: DType, dims: readonly number[], f: (i: number) => bigint): Tensor {
  const data = allocate(dtype, count(dims));
  if (isBig(data)) for (let i = 0; i < data.length; i++) data[i] = wrap(dtype, f(i));
  else for (let i = 0; i < data.length; i++) data[i] = Number(wrap(dtype, f(i)));
  return { dtype, dims, data };
}

/** Elements as an array of numbers, without a copy where they are; 64-bit integers beyond ±2⁵³ lose their low bits. */
export function asNumbers(x: Tensor): ArrayLike<number> {
  return isBig(x.data) ? Array.from<bigint, number>(x.data as ArrayLike<bigint>, Number) : x.data;
}

/** Reader of integer elements, exact in every width. */
export function integers(x: Tensor): (i: number) => bigint {
  const data = x.data;
  return isBig(data) ? (i) => data[i]! : (i) => BigInt(data[i]!);
}

/** A tensor of the same type whose element i is element `source(i)` of `x`, or for −1 the first of `blank` (0 without it). */
export function pick(x: Tensor, dims: readonly number[], source: (i: number) => number, blank?: Tensor): Tensor {
  const data = allocate(x.dtype, count(dims)) as Float64Array; // elements are only moved: any array will do
  const from = x.data as Float64Array;
  const other = blank?.data as Float64Array | undefined;
  for (let i = 0; i < data.length; i++) {
    const at = source(i);
    if (at >= 0) data[i] = from[at]!;
    else if (other) data[i] = other[0]!;
  }
  return { dtype: x.dtype, dims, data };
}
