// Permutations of axes, and the two operators that are a reshape, a permutation and a reshape.
import { areKnown, divideDims, multiplyDims } from "../graph/dims.ts";
import type { Dim, Fact, GraphNode } from "../graph/types.ts";
import { strided } from "./broadcast.ts";
import { type Movement, movement } from "./movement.ts";
import type { Operator } from "./operator.ts";
import { axisOf, freshDim, integer, mismatch, numbersAttribute, show, stridesOf, text } from "./shape.ts";

/** Source indices of a tensor of shape `dims` with its axes in the order `perm`. */
function permuted(dims: readonly number[], perm: readonly number[]): Int32Array {
  const strides = stridesOf(dims);
  return strided(
    perm.map((a) => dims[a]!),
    perm.map((a) => strides[a]!),
  );
}

/** y[i_perm[0], i_perm[1], …] = x[i₀, i₁, …]; without `perm` the axes are reversed. */
const transpose = movement("Transpose", [1, 1], (node, x) => {
  const { dims } = x;
  const given = numbersAttribute(node, "perm");
  if (!dims) return { dims: given?.map((_, a) => freshDim(node, a)), source: undefined };
  const perm = given?.map((a) => axisOf(node, a, dims.length)) ?? dims.map((_, a) => dims.length - 1 - a);
  if (perm.length !== dims.length || new Set(perm).size !== dims.length)
    throw mismatch(node, `perm ${show(perm)} for ${show(dims)}`, "each axis once");
  return { dims: perm.map((a) => dims[a]!), source: areKnown(dims) ? () => permuted(dims, perm) : undefined };
});

interface Blocks {
  /** Sizes [N, C, H, W] → the output's. */
  readonly dims: readonly Dim[];
  /** The six sizes that the input's are split into, and their order in the output. */
  readonly split: readonly Dim[];
  readonly perm: readonly number[];
}

function blocks(op: string, plan: (node: GraphNode, dims: readonly Dim[], block: number) => Blocks): Operator {
  return movement(op, [1, 1], (node: GraphNode, x: Fact): Movement => {
    if (!x.dims) return { dims: undefined };
    const block = integer(node, "blocksize", 0);
    if (x.dims.length !== 4 || !(block >= 1))
      throw mismatch(node, `${show(x.dims)} and blocksize ${block}`, "[N, C, H, W] and a blocksize of 1 or more");
    const { dims, split, perm } = plan(node, x.dims, block);
    return { dims, source: areKnown(split) ? () => permuted(split, perm) : undefined };
  });
}

function divided(node: GraphNode, d: Dim, by: number, axis: number): Dim {
  const q = divideDims(d, by);
  if (q === undefined && typeof d === "number") throw mismatch(node, `size ${d} at axis ${axis}`, `a multiple of ${by}`);
  return q ?? freshDim(node, axis);
}

const depthToSpace = blocks("DepthToSpace", (node, [n, c, h, w], b) => {
  const depth = divided(node, c!, b * b, 1);
  const dims = [n!, depth, multiplyDims(h!, b), multiplyDims(w!, b)];
  const mode = text(node, "mode", "DCR");
  if (mode !== "DCR" && mode !== "CRD") throw mismatch(node, `mode '${mode}'`, "DCR or CRD");
  return mode === "CRD"
    ? { dims, split: [n!, depth, b, b, h!, w!], perm: [0, 1, 4, 2, 5, 3] }
    : { dims, split: [n!, b, b, depth, h!, w!], perm: [0, 3, 4, 1, 5, 2] };
});

const spaceToDepth = blocks("SpaceToDepth", (node, [n, c, h, w], b) => {
  const rows = divided(node, h!, b, 2);
  const columns = divided(node, w!, b, 3);
  return { dims: [n!, multiplyDims(c!, b * b), rows, columns], split: [n!, c!, rows, b, columns, b], perm: [0, 3, 5, 1, 2, 4] };
});

export const transposeOperators: readonly Operator[] = [transpose, depthToSpace, spaceToDepth];
