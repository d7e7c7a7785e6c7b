import type { Dim, GraphNode } from "../graph/types.ts";
import { count } from "./dtypes.ts";
import { freshDim, mismatch, show, stridesOf } from "./shape.ts";

/**
 * Multidirectional broadcasting: right-aligned sizes are equal, or one of them is 1. A number > 1 against a symbol is the number.
 *
 * @returns undefined when a rank is unknown
 * @throws HalftoneError SHAPE_MISMATCH
 * @source ONNX "Broadcasting in ONNX"; NumPy
 */
export function broadcastDims(node: GraphNode, shapes: readonly (readonly Dim[] | undefined)[]): Dim[] | undefined {
  if (shapes.some((s) => s === undefined)) return undefined;
  const all = shapes as readonly (readonly Dim[])[];
  const rank = Math.max(0, ...all.map((s) => s.length));
  return Array.from({ length: rank }, (_, axis) => {
    let size: Dim = 1;
    for (const dims of all) {
      const d = dims[axis - rank + dims.length] ?? 1;
      if (d === size || d === 1) continue;
      if (size === 1) size = d;
      else if (typeof d === "number" && typeof size === "number")
        throw mismatch(node, all.map(show).join(" and "), "shapes that broadcast (equal sizes or 1, from the right)");
      else size = typeof d === "number" ? d : typeof size === "number" ? size : freshDim(node, axis);
    }
    return size;
  });
}

/** @throws HalftoneError SHAPE_MISMATCH when `from` is not spread over `to` alone */
export function mustSpread(node: GraphNode, from: readonly Dim[] | undefined, to: readonly Dim[] | undefined): void {
  if (!from || !to) return;
  const fits = from.length <= to.length && from.every((d, i) => d === 1 || spreads(d, to[i + to.length - from.length]!));
  if (!fits) throw mismatch(node, `a parameter ${show(from)}`, `a shape that broadcasts to ${show(to)}`);
}

const spreads = (from: Dim, to: Dim): boolean => from === to || typeof from === "string" || typeof to === "string";

/**
 * Where element i of the broadcast result comes from: `index[i]` is a flat index into a tensor of shape `from`.
 * Undefined stands for the identity.
 */
export function broadcastIndex(from: readonly number[], to: readonly number[]): Int32Array | undefined {
  if (from.length === to.length && from.every((d, a) => d === to[a])) return undefined;
  const strides = stridesOf(from);
  const lead = to.length - from.length;
  return strided(
    to,
    to.map((_, a) => (a < lead || from[a - lead] === 1 ? 0 : strides[a - lead]!)),
  );
}

/** Flat source indices `start + Σ position[a] · strides[a]` over all positions of `dims`, row-major. */
export function strided(dims: readonly number[], strides: readonly number[], start = 0): Int32Array {
  const index = new Int32Array(count(dims));
  const position = new Int32Array(dims.length);
  let at = start;
  for (let i = 0; i < index.length; i++) {
    index[i] = at;
    for (let a = dims.length - 1; a >= 0; a--) {
      at += strides[a]!;
      if (++position[a]! < dims[a]!) break;
      at -= strides[a]! * dims[a]!;
      position[a] = 0;
    }
  }
  return index;
}
