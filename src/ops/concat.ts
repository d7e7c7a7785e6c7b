import { addDims, areKnown, divideDims } from "../graph/dims.ts";
import { allocate } from "../graph/tensors.ts";
import type { Dim, Fact, GraphNode } from "../graph/types.ts";
import { count, pick } from "./dtypes.ts";
import { identityMap, separable } from "./movement.ts";
import type { Operator } from "./operator.ts";
import {
  MAX_ELEMENTS,
  axisOf,
  commonType,
  concrete,
  contents,
  fact,
  factOf,
  freshDim,
  listIn,
  mismatch,
  number,
  required,
  show,
} from "./shape.ts";

/** One size from two that must agree; a number tells more than a symbol. */
function unify(node: GraphNode, a: Dim, b: Dim, axis: number): Dim {
  if (typeof a === "number" && typeof b === "number" && a !== b) throw mismatch(node, `sizes ${a} and ${b} at axis ${axis}`, "equal sizes");
  return typeof a === "number" ? a : b;
}

const concat: Operator = {
  op: "Concat",
  arity: [1, Number.MAX_SAFE_INTEGER],
  infer(node, inputs) {
    const parts = inputs.map((_, i) => required(node, inputs, i));
    const dtype = commonType(node, parts);
    const shapes = parts.flatMap((p) => (p.dims ? [p.dims] : []));
    const first = shapes[0];
    if (!first) return [fact(dtype, undefined)];
    const axis = axisOf(node, number(node, "axis", 0), first.length);
    const odd = shapes.find((s) => s.length !== first.length);
    if (odd) throw mismatch(node, `${show(first)} and ${show(odd)}`, "parts of one rank");
    const dims = first.map((_, a) =>
      a === axis
        ? parts.reduce<Dim>((sum, p) => addDims(sum, p.dims?.[a] ?? freshDim(node, a)) ?? freshDim(node, a), 0)
        : shapes.map((s) => s[a]!).reduce((x, y) => unify(node, x, y, a)),
    );
    return [fact(dtype, dims, first.length === 1 ? joined(parts) : undefined)];
  },
  reference(node, inputs) {
    const parts = inputs.map((_, i) => required(node, inputs, i));
    const dims = concrete(concat.infer(node, parts.map(factOf)));
    const axis = axisOf(node, number(node, "axis", 0), dims.length);
    const inner = count(dims.slice(axis + 1));
    const outer = count(dims.slice(0, axis));
    const data = allocate(parts[0]!.dtype, count(dims));
    const row = dims[axis]! * inner;
    let start = 0;
    for (const part of parts) {
      const length = part.dims[axis]! * inner;
      for (let o = 0; o < outer; o++)
        (data as Float64Array).set(part.data.subarray(o * length, (o + 1) * length) as Float64Array, o * row + start);
      start += length;
    }
    return [{ dtype: parts[0]!.dtype, dims, data }];
  },
};

/** Contents of vectors one after the other; those of a vector of known length but unknown contents are unknown. */
function joined(parts: readonly Fact[]): (Dim | undefined)[] | undefined {
  const unknown = (size: Dim | undefined): undefined[] | undefined =>
    typeof size === "number" && size <= MAX_ELEMENTS ? new Array<undefined>(size).fill(undefined) : undefined;
  const lists = parts.map((p) => contents(p) ?? unknown(p.dims?.[0]));
  return lists.every((l) => l !== undefined) ? lists.flat() : undefined;
}

/** Sizes of the parts: given, or equal with a smaller last one. Undefined when unknown. */
function partSizes(node: GraphNode, size: Dim, inputs: readonly (Fact | undefined)[]): readonly Dim[] | undefined {
  const parts = node.outputs.length;
  if (inputs[1]) {
    const given = listIn(node, inputs[1]);
    if (!given) return undefined;
    const total = given.reduce((a, b) => a + b, 0);
    if (given.length !== parts || given.some((s) => s < 0) || (typeof size === "number" && total !== size))
      throw mismatch(node, `parts of ${show(given)}`, `${parts} sizes whose sum is ${size}`);
    return given;
  }
  if (typeof size !== "number") {
    const each = divideDims(size, parts);
    return each === undefined ? undefined : new Array<Dim>(parts).fill(each);
  }
  const each = Math.ceil(size / parts);
  return Array.from({ length: parts }, (_, i) => Math.max(0, Math.min(each, size - i * each)));
}

const split: Operator = {
  op: "Split",
  arity: [1, 2],
  infer(node, inputs) {
    const x = required(node, inputs, 0);
    const { dims } = x;
    if (!dims) return node.outputs.map(() => fact(x.dtype, undefined));
    const axis = axisOf(node, number(node, "axis", 0), dims.length);
    const sizes = partSizes(node, dims[axis]!, inputs);
    const elements = dims.length === 1 && areKnown(sizes) ? contents(x) : undefined;
    let start = 0;
    return node.outputs.map((_, k) => {
      const size = sizes?.[k] ?? freshDim(node, axis, k);
      const out = dims.map((d, a) => (a === axis ? size : d));
      if (!elements || typeof size !== "number") return fact(x.dtype, out);
      return fact(x.dtype, out, elements.slice(start, (start += size)));
    });
  },
  reference(node, inputs) {
    const x = required(node, inputs, 0);
    const facts = split.infer(
      node,
      inputs.map((t) => t && factOf(t)),
    );
    const axis = axisOf(node, number(node, "axis", 0), x.dims.length);
    let start = 0;
    return facts.map((_, k) => {
      const dims = concrete(facts, k);
      const from = start;
      const maps = dims.map((size, a) => (a === axis ? identityMap(size).map((p) => p + from) : identityMap(size)));
      const index = separable(x.dims, maps);
      start += dims[axis]!;
      return pick(x, dims, (i) => index[i]!);
    });
  },
};

export const concatOperators: readonly Operator[] = [concat, split];
