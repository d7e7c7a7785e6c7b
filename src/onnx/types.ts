// ONNX's numbers for element types (TensorProto.DataType), the ones newer than our schema included.

import { HalftoneError } from "../errors.ts";
import type { DType } from "../graph/types.ts";

/** Element types we hold. */
const held: readonly (readonly [number, DType])[] = [
  [1, "float32"],
  [2, "uint8"],
  [3, "int8"],
  [4, "uint16"],
  [5, "int16"],
  [6, "int32"],
  [7, "int64"],
  [9, "bool"],
  [10, "float16"],
  [11, "float64"],
  [12, "uint32"],
  [13, "uint64"],
  [16, "bfloat16"],
  [17, "float8e4m3fn"],
  [18, "float8e4m3fnuz"],
  [19, "float8e5m2"],
  [20, "float8e5m2fnuz"],
  [21, "uint4"],
  [22, "int4"],
  [23, "float4e2m1"],
  [24, "float8e8m0"],
  [25, "uint2"],
  [26, "int2"],
];

/** Names of the types that we only know to refuse. */
const refused: Readonly<Record<number, string>> = {
  0: "no element type",
  8: "string",
  14: "complex64",
  15: "complex128",
};

const byNumber: ReadonlyMap<number, DType> = new Map(held);
const byName: ReadonlyMap<DType, number> = new Map(held.map(([number, dtype]) => [dtype, number]));

/**
 * The element type behind ONNX's number.
 * @throws HalftoneError ONNX_UNSUPPORTED_TYPE at `place`
 */
export function dtypeOf(number: number, place: string): DType {
  const dtype = byNumber.get(number);
  if (dtype) return dtype;
  throw new HalftoneError(
    "ONNX_UNSUPPORTED_TYPE",
    place,
    refused[number] ?? `element type number ${number}`,
    "floating-point, integer or boolean elements",
    "Convert the tensor to one of float32, float16, bfloat16, int8, uint8, int32, int64 or bool before exporting.",
  );
}

/** ONNX's number of an element type. */
export function numberOf(dtype: DType): number {
  return byName.get(dtype) ?? 0;
}
