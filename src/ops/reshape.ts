// Operators that keep every element and its order.
import { HalftoneError } from "../errors.ts";
import { areKnown, divideDims, multiplyDims, productOfDims } from "../graph/dims.ts";
import type { Dim, Fact, GraphNode } from "../graph/types.ts";
import { fill } from "./dtypes.ts";
import { type Movement, movement } from "./movement.ts";
import type { Operator } from "./operator.ts";
import { axisOf, sizesIn, fact, freshDim, freshDims, listIn, integer, mismatch, number, required, show, contents, place } from "./shape.ts";

const stay = (dims: readonly Dim[] | undefined): Movement => ({ dims, source: () => "same" });

const identity = movement("Identity", [1, 1], (_, x) => stay(x.dims));

/** 0 copies the input's size (unless allowzero), −1 is what is left. A single unknown size is also what is left. */
function reshapeDims(node: GraphNode, x: Fact, shape: Fact): readonly Dim[] | undefined {
  const wanted = sizesIn(node, shape);
  if (!wanted) {
    const rank = shape.dims?.[0];
    return typeof rank === "number" ? freshDims(node, rank) : undefined;
  }
  const allowZero = number(node, "allowzero", 0) !== 0;
  const total = x.dims && productOfDims(x.dims);
  const dims = wanted.map((size, axis) => {
    if (size !== 0 || allowZero) return size;
    if (x.dims && axis >= x.dims.length) throw mismatch(node, `a copied size at axis ${axis}`, `an axis of the input ${show(x.dims)}`);
    return x.dims?.[axis];
  });
  const open = dims.flatMap((size, axis) => (size === undefined || size === -1 ? [axis] : []));
  if (dims.filter((size) => size === -1).length > 1 || dims.some((size) => typeof size === "number" && size < -1))
    throw mismatch(node, `the shape ${show(dims)}`, "sizes of 0 and more, and at most one -1");
  const rest = dims.reduce<Dim>((product, size, axis) => (open.includes(axis) ? product : multiplyDims(product, size!)), 1);
  if (open.length === 0 && typeof total === "number" && typeof rest === "number" && total !== rest)
    throw mismatch(node, `${total} elements ${show(x.dims)}`, `${rest} elements ${show(dims)}`);
  if (open.length !== 1) return dims.map((size, axis) => (size === undefined || size === -1 ? freshDim(node, axis) : size));
  const left = total === undefined || rest === 0 ? undefined : divideDims(total, rest);
  if (left === undefined && typeof total === "number" && typeof rest === "number")
    throw mismatch(node, `${total} elements ${show(x.dims)}`, `a multiple of ${rest} for the shape ${show(dims)}`);
  return dims.map((size, axis) => (axis === open[0] ? (left ?? freshDim(node, axis)) : size!));
}

const reshape = movement("Reshape", [2, 2], (node, x, inputs) => stay(reshapeDims(node, x, required(node, inputs, 1))));

/** [d₀ … dₙ] → [Π before axis, Π from axis on] */
const flatten = movement("Flatten", [1, 1], (node, x) => {
  if (!x.dims) return stay(freshDims(node, 2));
  const axis = integer(node, "axis", 1);
  const at = axis === x.dims.length ? axis : axisOf(node, axis, x.dims.length);
  return stay([productOfDims(x.dims.slice(0, at)), productOfDims(x.dims.slice(at))]);
});

const squeeze = movement("Squeeze", [1, 2], (node, x, inputs) => {
  const dims = x.dims;
  if (!dims) return stay(undefined);
  if (!inputs[1]) return stay(areKnown(dims) ? dims.filter((d) => d !== 1) : undefined);
  const axes = listIn(node, inputs[1])?.map((a) => axisOf(node, a, dims.length));
  if (!axes) {
    const removed = inputs[1].dims?.[0];
    return stay(typeof removed === "number" ? freshDims(node, dims.length - removed) : undefined);
  }
  const wide = axes.find((a) => typeof dims[a] === "number" && dims[a] !== 1);
  if (wide !== undefined) throw mismatch(node, `size ${dims[wide]} at axis ${wide} of ${show(dims)}`, "size 1");
  return stay(dims.filter((_, a) => !axes.includes(a)));
});

const unsqueeze = movement("Unsqueeze", [2, 2], (node, x, inputs) => {
  const axesFact = required(node, inputs, 1);
  const list = listIn(node, axesFact);
  const added = list?.length ?? axesFact.dims?.[0];
  if (!x.dims || typeof added !== "number") return stay(undefined);
  const rank = x.dims.length + added;
  if (!list) return stay(freshDims(node, rank));
  const axes = new Set(list.map((a) => axisOf(node, a, rank)));
  if (axes.size !== list.length) throw mismatch(node, `axes ${show(list)}`, "axes that differ");
  const rest = x.dims.values();
  return stay(Array.from({ length: rank }, (_, a) => (axes.has(a) ? 1 : (rest.next().value as Dim))));
});

/** Inference: the input, and a mask of ones. */
const dropout: Operator = {
  op: "Dropout",
  arity: [1, 3],
  infer(node, inputs) {
    const x = required(node, inputs, 0);
    if (contents(inputs[2])?.[0] === 1)
      throw new HalftoneError(
        "ONNX_UNSUPPORTED_OP",
        place(node),
        "training_mode true",
        "inference",
        "Export the model in evaluation mode.",
      );
    const outputs = [fact(x.dtype, x.dims, x.elements), fact("bool", x.dims)];
    return outputs.slice(0, node.outputs.length);
  },
  reference(node, inputs) {
    const x = required(node, inputs, 0);
    return [x, fill("bool", x.dims, () => 1)].slice(0, node.outputs.length);
  },
};

export const reshapeOperators: readonly Operator[] = [identity, reshape, flatten, squeeze, unsqueeze, dropout];
