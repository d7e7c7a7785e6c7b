import type { FloatKernels } from "../engine/kernels.ts";
import type { ForwardContext } from "../engine/types.ts";
import type { GraphNode } from "../graph/types.ts";

type Context = ForwardContext<FloatKernels>;

/**
 * `length` floats derived from input `i` of a node: made once where that input is constant, on every run where it is computed.
 *
 * @param key  names this form of the input; must contain whatever else the form depends on
 * @param fill writes the form to an address
 */
export function packed(context: Context, node: GraphNode, i: number, key: string, length: number, fill: (ptr: number) => void): number {
  if (context.constant(node.inputs[i]!)) return context.once(node, key, length, (view) => fill(view.byteOffset));
  const ptr = context.scratch(length * 4);
  fill(ptr);
  return ptr;
}

/** n floats rounded up to the width of a panel. */
export const padded = (n: number): number => Math.ceil(n / 8) * 8;

/** `count` vectors of `n` floats, input `i` of a node dense at `src`, each padded with zeros to panels of 8. An absent one stays 0. */
export function packVectors(context: Context, node: GraphNode, i: number, src: number, count: number, n: number): number {
  if (!src) return 0;
  return packed(context, node, i, "bias", count * padded(n), (ptr) => {
    for (let v = 0; v < count; v++) context.kernels.packRows(ptr + v * padded(n) * 4, src + v * n * 4, 1, n, n);
  });
}
