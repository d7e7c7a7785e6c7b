import { areKnown, multiplyDims } from "../graph/dims.ts";
import type { GraphNode } from "../graph/types.ts";
import { broadcastDims, broadcastIndex } from "./broadcast.ts";
import { identityMap, movement, separable } from "./movement.ts";
import type { Operator } from "./operator.ts";
import { axisOf, sizesIn, freshDim, freshDims, listIn, mismatch, number, required, show, stridesOf } from "./shape.ts";

/** Indices counted from 0. @throws HalftoneError SHAPE_MISMATCH outside [−size, size) */
function positions(node: GraphNode, indices: readonly number[], size: number): number[] {
  return indices.map((i) => {
    if (!(i >= -size && i < size)) throw mismatch(node, `index ${i}`, `an index of an axis of size ${size}`);
    return i < 0 ? i + size : i;
  });
}

/** y = x taken at `indices` along `axis`: sizes x[:axis] + indices + x[axis + 1:]. */
const gather = movement("Gather", [2, 2], (node, x, inputs) => {
  const indices = required(node, inputs, 1);
  const { dims } = x;
  if (!dims || !indices.dims) return { dims: undefined };
  const axis = axisOf(node, number(node, "axis", 0), dims.length);
  const at = indices.dims;
  const out = [...dims.slice(0, axis), ...at, ...dims.slice(axis + 1)];
  const list = areKnown(dims) ? listIn(node, indices) : undefined;
  if (!list || !areKnown(dims)) return { dims: out };
  return {
    dims: out,
    source: () =>
      separable(
        dims,
        dims.map((size, a) => (a === axis ? positions(node, list, size) : identityMap(size))),
      ),
  };
});

/** y[i, j, …] = x[index[i, j, …], j, …] along `axis`: sizes of the indices. */
const gatherElements = movement("GatherElements", [2, 2], (node, x, inputs) => {
  const indices = required(node, inputs, 1);
  const { dims } = x;
  const out = indices.dims;
  if (!dims || !out) return { dims: out };
  if (out.length !== dims.length) throw mismatch(node, `indices ${show(out)} for ${show(dims)}`, "equal ranks");
  const axis = axisOf(node, number(node, "axis", 0), dims.length);
  const wide = out.findIndex((size, a) => a !== axis && typeof size === "number" && typeof dims[a] === "number" && size > dims[a]);
  if (wide >= 0) throw mismatch(node, `indices ${show(out)} for ${show(dims)}`, `at most ${dims[wide]} along axis ${wide}`);
  const list = areKnown(dims) && areKnown(out) ? listIn(node, indices) : undefined;
  if (!list || !areKnown(dims) || !areKnown(out)) return { dims: out };
  return {
    dims: out,
    source() {
      const step = stridesOf(dims)[axis]!;
      const rest = separable(
        dims,
        out.map((size, a) => (a === axis ? new Int32Array(size) : identityMap(size))),
      );
      const along = positions(node, list, dims[axis]!);
      return rest.map((base, i) => base + along[i]! * step);
    },
  };
});

/** Broadcasting to a given shape, in both directions. */
const expand = movement("Expand", [2, 2], (node, x, inputs) => {
  const shape = required(node, inputs, 1);
  const given = sizesIn(node, shape);
  if (!given) {
    const rank = shape.dims?.[0];
    return { dims: typeof rank === "number" && x.dims ? freshDims(node, Math.max(rank, x.dims.length)) : undefined };
  }
  const negative = given.find((size) => typeof size === "number" && size < 0);
  if (negative !== undefined) throw mismatch(node, `size ${negative}`, "sizes of 0 and more");
  const dims = broadcastDims(node, [x.dims, given.map((size, axis) => size ?? freshDim(node, axis))]);
  const from = x.dims;
  if (!areKnown(dims) || !areKnown(from) || given.includes(undefined)) return { dims };
  return { dims, source: () => broadcastIndex(from, dims) ?? "same" };
});

/** Each axis repeated `repeats` times. */
const tile = movement("Tile", [2, 2], (node, x, inputs) => {
  const { dims } = x;
  if (!dims) return { dims: undefined };
  const repeats = listIn(node, required(node, inputs, 1));
  if (!repeats) return { dims: freshDims(node, dims.length) };
  if (repeats.length !== dims.length || repeats.some((r) => r < 0))
    throw mismatch(node, `repeats ${show(repeats)} for ${show(dims)}`, "one of 0 or more per axis");
  const out = dims.map((d, a) => (repeats[a] === 1 ? d : multiplyDims(d, repeats[a]!)));
  if (!areKnown(dims) || !areKnown(out)) return { dims: out };
  return {
    dims: out,
    source: () =>
      separable(
        dims,
        dims.map((size, a) => Int32Array.from({ length: out[a]! }, (_, p) => p % size)),
      ),
  };
});

export const gatherOperators: readonly Operator[] = [gather, gatherElements, expand, tile];
