// Operators that make tensors out of attributes and sizes.
import { areKnown, productOfDims } from "../graph/dims.ts";
import { isFloat } from "../graph/tensors.ts";
import { float32, int64s } from "../graph/tensors.ts";
import type { Dim, Fact, GraphNode, Tensor } from "../graph/types.ts";
import { asNumbers, fill, fillIntegers, integers, pick } from "./dtypes.ts";
import { HalftoneError } from "../errors.ts";
import type { Operator } from "./operator.ts";
import {
  commonType,
  contents,
  sizesIn,
  fact,
  factOf,
  freshDim,
  freshDims,
  mismatch,
  mustBeOne,
  integer,
  numbersAttribute,
  place,
  required,
  tensorAttribute,
} from "./shape.ts";

/** The attribute that holds the value: one of `value`, `value_float(s)`, `value_int(s)`. */
function constantOf(node: GraphNode): Tensor {
  const { value_float: real, value_int: integer } = node.attributes;
  const reals = numbersAttribute(node, "value_floats");
  const list = numbersAttribute(node, "value_ints");
  const value = tensorAttribute(node, "value");
  if (value) return value;
  if (typeof real === "number") return float32([], [real]);
  if (reals) return float32([reals.length], reals);
  if (typeof integer === "number") return { ...int64s([integer]), dims: [] };
  if (list) return int64s(list);
  throw new HalftoneError("GRAPH_INVALID", place(node), "no value", "one of value, value_float, value_floats, value_int, value_ints");
}

const constant: Operator = {
  op: "Constant",
  arity: [0, 0],
  infer: (node) => [factOf(constantOf(node))],
  reference: (node) => [constantOf(node)],
};

/** The fill value: one element, float32 0 when absent. */
function filling(node: GraphNode): Tensor {
  const value = tensorAttribute(node, "value") ?? float32([1], [0]);
  if (value.data.length !== 1) throw mismatch(node, `a value of ${value.data.length} elements`, "one element");
  return value;
}

const constantOfShape: Operator = {
  op: "ConstantOfShape",
  arity: [1, 1],
  infer(node, inputs) {
    const shape = required(node, inputs, 0);
    const value = filling(node);
    const sizes = sizesIn(node, shape);
    const rank = shape.dims?.[0];
    if (!sizes) return [fact(value.dtype, typeof rank === "number" ? freshDims(node, rank) : undefined)];
    const negative = sizes.find((s) => typeof s === "number" && s < 0);
    if (negative !== undefined) throw mismatch(node, `size ${negative}`, "sizes of 0 and more");
    const dims = sizes.map((size, axis) => size ?? freshDim(node, axis));
    const total = productOfDims(dims);
    const small = !isFloat(value.dtype) && dims.length <= 1 && typeof total === "number" && total <= 64;
    return [fact(value.dtype, dims, small ? new Array<Dim>(total).fill(Number(value.data[0])) : undefined)];
  },
  reference(node, inputs) {
    const facts = constantOfShape.infer(node, [factOf(required(node, inputs, 0))]);
    return [pick(filling(node), facts[0]!.dims as readonly number[], () => 0)];
  },
};

/** x.dims[start:end] as int64. */
const shape: Operator = {
  op: "Shape",
  arity: [1, 1],
  infer(node, inputs) {
    const { dims } = required(node, inputs, 0);
    if (!dims) return [fact("int64", [freshDim(node, 0)])];
    const clamp = (at: number): number => Math.min(Math.max(at < 0 ? at + dims.length : at, 0), dims.length);
    const part = dims.slice(clamp(integer(node, "start", 0)), clamp(integer(node, "end", dims.length)));
    return [fact("int64", [part.length], part)];
  },
  reference(node, inputs) {
    const [f] = shape.infer(node, [factOf(required(node, inputs, 0))]);
    return [int64s((f!.elements ?? []) as readonly number[])];
  },
};

const size: Operator = {
  op: "Size",
  arity: [1, 1],
  infer(node, inputs) {
    const { dims } = required(node, inputs, 0);
    return [fact("int64", [], dims && [productOfDims(dims)])];
  },
  reference: (node, inputs) => [{ ...int64s([required(node, inputs, 0).data.length]), dims: [] }],
};

/** start, start + delta, … below limit (above it for a negative delta). Floats: start + i · delta, rounded once. */
const range: Operator = {
  op: "Range",
  arity: [3, 3],
  infer(node, inputs) {
    const [start, limit, delta] = [0, 1, 2].map((i) => required(node, inputs, i)) as [Fact, Fact, Fact];
    commonType(node, [start, limit, delta]);
    for (const x of [start, limit, delta]) mustBeOne(node, x);
    const numbers = [start, limit, delta].map((f) => (f.constant ? asNumbers(f.constant)[0] : contents(f)?.[0]));
    if (areKnown(numbers)) {
      const [a, b, step] = numbers as [number, number, number];
      if (step === 0 || Number.isNaN(step)) throw mismatch(node, `step ${step}`, "a step other than 0");
      const length = Math.max(0, Math.ceil((b - a) / step));
      const listed = !isFloat(start.dtype) && length <= 64;
      return [fact(start.dtype, [length], listed ? Array.from({ length }, (_, i) => a + i * step) : undefined)];
    }
    const [a, b, step] = numbers;
    return [fact(start.dtype, [a === 0 && step === 1 && b !== undefined ? b : freshDim(node, 0)])];
  },
  reference(node, inputs) {
    const [start, limit, delta] = [0, 1, 2].map((i) => required(node, inputs, i)) as [Tensor, Tensor, Tensor];
    const dims = range.infer(node, [start, limit, delta].map(factOf))[0]!.dims as readonly number[];
    if (isFloat(start.dtype)) {
      const [a, step] = [asNumbers(start)[0]!, asNumbers(delta)[0]!];
      return [fill(start.dtype, dims, (i) => a + i * step)];
    }
    const [a, step] = [integers(start)(0), integers(delta)(0)];
    return [fillIntegers(start.dtype, dims, (i) => a + BigInt(i) * step)];
  },
};

export const constantOperators: readonly Operator[] = [constant, constantOfShape, shape, size, range];
