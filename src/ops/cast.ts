import { HalftoneError } from "../errors.ts";
import { isFloat, isInteger } from "../graph/tensors.ts";
import type { DType, Fact, GraphNode, Tensor } from "../graph/types.ts";
import { asNumbers, fill, fillIntegers, integers, toInteger } from "./dtypes.ts";
import { minifloats, roundToMinifloat, roundToScale, type ScaleRounding } from "./minifloat.ts";
import type { Operator } from "./operator.ts";
import { contents, fact, number, place, required, text } from "./shape.ts";

/** ONNX's numbers of element types, which attributes such as `to` hold. Source: onnx.proto, TensorProto.DataType. */
const byNumber: Readonly<Record<number, DType>> = {
  1: "float32",
  2: "uint8",
  3: "int8",
  4: "uint16",
  5: "int16",
  6: "int32",
  7: "int64",
  9: "bool",
  10: "float16",
  11: "float64",
  12: "uint32",
  13: "uint64",
  16: "bfloat16",
  17: "float8e4m3fn",
  18: "float8e4m3fnuz",
  19: "float8e5m2",
  20: "float8e5m2fnuz",
  21: "uint4",
  22: "int4",
  23: "float4e2m1",
  24: "float8e8m0",
  25: "uint2",
  26: "int2",
};

/** The element type that an attribute names; `otherwise` when it is absent. @throws HalftoneError ONNX_UNSUPPORTED_TYPE */
export function dtypeAttribute(node: GraphNode, key: string, otherwise?: DType): DType {
  const code = number(node, key, 0);
  const dtype = code === 0 ? otherwise : byNumber[code];
  if (!dtype) throw new HalftoneError("ONNX_UNSUPPORTED_TYPE", place(node), `element type number ${code}`, "a type of numbers or booleans");
  return dtype;
}

/** How the 8- and 4-bit floats treat what they cannot hold; ONNX saturates, and rounds power-of-two scales up, unless told otherwise. */
interface Overflow {
  readonly saturate?: boolean;
  readonly scale?: ScaleRounding;
}

/** Rounding to an 8- or 4-bit float; undefined for other types. */
export function narrowing(dtype: DType, { saturate = true, scale = "up" }: Overflow = {}): ((x: number) => number) | undefined {
  const format = minifloats.get(dtype);
  if (format) return (x) => roundToMinifloat(format, x, saturate);
  return dtype === "float8e8m0" ? (x) => roundToScale(x, scale, saturate) : undefined;
}

function overflowOf(node: GraphNode): Overflow {
  return { saturate: number(node, "saturate", 1) !== 0, scale: text(node, "round_mode", "up") as ScaleRounding };
}

/**
 * Every element in another type: floats round once, ties to even; float to integer truncates towards zero and wraps; integers wrap;
 * anything but 0 is true (NaN too).
 */
export function cast(x: Tensor, dtype: DType, overflow: Overflow = {}): Tensor {
  if (x.dtype === dtype) return x;
  const narrow = narrowing(dtype, overflow);
  if (narrow) {
    const data = asNumbers(x);
    return { dtype, dims: x.dims, data: Float32Array.from({ length: data.length }, (_, i) => narrow(data[i]!)) };
  }
  if (dtype === "bool" || isFloat(dtype)) {
    const data = asNumbers(x);
    return fill(dtype, x.dims, dtype === "bool" ? (i) => (data[i] === 0 ? 0 : 1) : (i) => data[i]!);
  }
  if (!isFloat(x.dtype)) return fillIntegers(dtype, x.dims, integers(x));
  const data = asNumbers(x);
  return fillIntegers(dtype, x.dims, (i) => toInteger(data[i]!));
}

function castFact(x: Fact, dtype: DType): Fact {
  const keeps = isInteger(dtype) && !isFloat(x.dtype);
  return fact(dtype, x.dims, keeps ? contents(x) : undefined);
}

const rows: readonly Operator[] = [
  {
    op: "Cast",
    arity: [1, 1],
    infer: (node, inputs) => [castFact(required(node, inputs, 0), dtypeAttribute(node, "to"))],
    reference: (node, inputs) => [cast(required(node, inputs, 0), dtypeAttribute(node, "to"), overflowOf(node))],
  },
  {
    op: "CastLike",
    arity: [2, 2],
    infer: (node, inputs) => [castFact(required(node, inputs, 0), required(node, inputs, 1).dtype)],
    reference: (node, inputs) => [cast(required(node, inputs, 0), required(node, inputs, 1).dtype, overflowOf(node))],
  },
];

export const castOperators: readonly Operator[] = rows;
