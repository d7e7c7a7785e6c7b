// How each element type is held in memory, and small helpers on concrete tensors.

import { assert } from "../errors.ts";
import type { Dim, DType, Tensor, TensorData } from "./types.ts";

type ArrayConstructor = new (length: number) => TensorData;

/** One row per element type: its array, and what kind of number it is. */
const rows = {
  float32: { array: Float32Array, kind: "float" },
  float64: { array: Float64Array, kind: "float" },
  float16: { array: Float32Array, kind: "float" },
  bfloat16: { array: Float32Array, kind: "float" },
  float8e4m3fn: { array: Float32Array, kind: "float" },
  float8e4m3fnuz: { array: Float32Array, kind: "float" },
  float8e5m2: { array: Float32Array, kind: "float" },
  float8e5m2fnuz: { array: Float32Array, kind: "float" },
  float8e8m0: { array: Float32Array, kind: "float" },
  float4e2m1: { array: Float32Array, kind: "float" },
  int2: { array: Int8Array, kind: "integer" },
  uint2: { array: Uint8Array, kind: "integer" },
  int4: { array: Int8Array, kind: "integer" },
  uint4: { array: Uint8Array, kind: "integer" },
  int8: { array: Int8Array, kind: "integer" },
  uint8: { array: Uint8Array, kind: "integer" },
  int16: { array: Int16Array, kind: "integer" },
  uint16: { array: Uint16Array, kind: "integer" },
  int32: { array: Int32Array, kind: "integer" },
  uint32: { array: Uint32Array, kind: "integer" },
  int64: { array: BigInt64Array, kind: "integer" },
  uint64: { array: BigUint64Array, kind: "integer" },
  bool: { array: Uint8Array, kind: "bool" },
} as const satisfies Record<Exclude<DType, "string">, { array: ArrayConstructor; kind: string }>;

/** A zeroed array of `length` elements that holds values of `dtype`. */
export function allocate(dtype: DType, length: number): TensorData {
  assert(dtype !== "string", "strings are refused at the border");
  return new rows[dtype].array(length);
}

export function isFloat(dtype: DType): boolean {
  return dtype !== "string" && rows[dtype].kind === "float";
}

export function isInteger(dtype: DType): boolean {
  return dtype !== "string" && rows[dtype].kind === "integer";
}

export function isBig(data: TensorData): data is BigInt64Array | BigUint64Array {
  return data instanceof BigInt64Array || data instanceof BigUint64Array;
}

/** A float32 tensor, row-major. */
export function float32(dims: readonly number[], data: ArrayLike<number>): Tensor {
  return { dtype: "float32", dims, data: data instanceof Float32Array ? data : Float32Array.from(data) };
}

/** An int64 vector of `values`: the form in which ONNX passes sizes, axes and the like. */
export function int64s(values: readonly number[]): Tensor {
  return { dtype: "int64", dims: [values.length], data: BigInt64Array.from(values, BigInt) };
}

/** Elements as plain numbers. 64-bit integers beyond ±2⁵³ lose their low bits, as sizes and axes never are. */
export function numbersOf(tensor: Tensor): number[] {
  return Array.from<number | bigint, number>(tensor.data as ArrayLike<number | bigint>, Number);
}

/** Contents of a small integer tensor as known elements (Fact.elements), or undefined when it is a float or large. */
export function elementsOf(tensor: Tensor): Dim[] | undefined {
  return isInteger(tensor.dtype) && tensor.data.length <= 64 ? numbersOf(tensor) : undefined;
}
