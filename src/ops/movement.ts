// Operators that only move elements of their first input: one rule gives the output sizes and where each element comes from,
// and serves inference, known contents (shape arithmetic) and tensors alike.
import { areKnown } from "../graph/dims.ts";
import type { Dim, Fact, GraphNode } from "../graph/types.ts";
import { count, pick } from "./dtypes.ts";
import type { Operator } from "./operator.ts";
import { MAX_ELEMENTS, concrete, contents, fact, factOf, required, stridesOf } from "./shape.ts";

export interface Movement {
  /** Sizes of the output; undefined when even the rank is unknown. */
  readonly dims: readonly Dim[] | undefined;
  /**
   * Flat source index of each output element, once all sizes are known: an array, or "same" when the elements stay in order.
   * Absent when the inputs that steer it are unknown.
   */
  readonly source?: (() => Int32Array | "same") | undefined;
}

export function movement(
  op: string,
  arity: readonly [number, number],
  plan: (node: GraphNode, x: Fact, inputs: readonly (Fact | undefined)[]) => Movement,
): Operator {
  return {
    op,
    arity,
    infer(node, inputs) {
      const x = required(node, inputs, 0);
      const { dims, source } = plan(node, x, inputs);
      const elements = contents(x);
      // A few elements may be spread over billions: only what stays small is followed.
      const small = areKnown(dims) && dims.reduce((n, d) => n * d, 1) <= MAX_ELEMENTS;
      if (!elements || !source || !small || !areKnown(x.dims)) return [fact(x.dtype, dims)];
      const from = source();
      return [fact(x.dtype, dims, from === "same" ? elements : Array.from(from, (at) => elements[at]))];
    },
    reference(node, inputs) {
      const x = required(node, inputs, 0);
      const { dims, source } = plan(
        node,
        factOf(x),
        inputs.map((t) => t && factOf(t)),
      );
      const sizes = concrete([{ dtype: x.dtype, dims }]);
      const from = source!();
      if (from === "same") return [{ dtype: x.dtype, dims: sizes, data: x.data }];
      return [pick(x, sizes, (i) => from[i]!)];
    },
  };
}

/**
 * Flat indices of a tensor of shape `from`, when position p of output axis a reads position maps[a][p]; −1 anywhere gives −1.
 *
 * @param maps one per axis; its length is the output's size along that axis
 */
export function separable(from: readonly number[], maps: readonly ArrayLike<number>[]): Int32Array {
  const strides = stridesOf(from);
  const index = new Int32Array(count(maps.map((m) => m.length)));
  if (index.length === 0) return index;
  let outer = 1; // index[0…outer) holds the answer for the axes seen so far; each axis expands it from the back, in place
  for (const [axis, map] of maps.entries()) {
    const stride = strides[axis]!;
    for (let i = outer - 1; i >= 0; i--) {
      const base = index[i]!;
      for (let p = map.length - 1; p >= 0; p--) {
        const at = map[p]!;
        index[i * map.length + p] = base < 0 || at < 0 ? -1 : base + at * stride;
      }
    }
    outer *= map.length;
  }
  return index;
}

/** 0, 1, … n − 1 */
export const identityMap = (n: number): Int32Array => Int32Array.from({ length: n }, (_, i) => i);
