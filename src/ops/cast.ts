import { HalftoneError } from "../errors.ts";
import { isFloat, isInteger } from "../graph/tensors.ts";
import type { DType, Fact, GraphNode, Tensor } from "../graph/types.ts";
import { toInteger } from "./arithmetic.ts";
import { asNumbers, fill, fillIntegers, integers } from "./dtypes.ts";
import type { Operator } from "./operator.ts";
import { contents, fact, number, place, required } from "./shape.ts";

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
  21: "uint4",
  22: "int4",
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

/**
 * Every element in another type: floats round once, ties to even; float to integer truncates towards zero and wraps; integers wrap;
 * anything but 0 is true (NaN too).
 */
export function cast(x: Tensor, dtype: DType): Tensor {
  if (x.dtype === dtype) return x;
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
    reference: (node, inputs) => [cast(required(node, inputs, 0), dtypeAttribute(node, "to"))],
  },
  {
    op: "CastLike",
    arity: [2, 2],
    infer: (node, inputs) => [castFact(required(node, inputs, 0), required(node, inputs, 1).dtype)],
    reference: (node, inputs) => [cast(required(node, inputs, 0), required(node, inputs, 1).dtype)],
  },
];

export const castOperators: readonly Operator[] = rows;
