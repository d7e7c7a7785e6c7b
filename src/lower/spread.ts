// An image with room between and around its pixels: what transposed convolutions and counted padding read.
import type { GraphNode } from "../graph/types.ts";
import type { Builder } from "./builder.ts";
import { stridesOf } from "./layout.ts";

type Pair = readonly [number, number];

/**
 * A copy of [C,H,W] in which rows and columns stand `step` apart and `pads` (top, left, bottom, right) are added; what is new is 0, or
 * the code of its channel in `fills`. The value itself where nothing changes.
 */
export function spreadImage(
  b: Builder,
  node: GraphNode,
  index: number,
  step: Pair,
  pads: readonly [number, number, number, number],
  fills?: Int8Array,
): number {
  if (step[0] === 1 && step[1] === 1 && pads.every((pad) => pad === 0)) return index;
  const source = b.value(index);
  const [channels, height, width] = source.dims as [number, number, number];
  const dims = [channels, (height - 1) * step[0] + 1 + pads[0] + pads[2], (width - 1) * step[1] + 1 + pads[1] + pads[3]];
  const spread = b.temporary(source.name, dims, source);
  const [c, y, x] = stridesOf(b.value(spread)) as [number, number, number];
  b.emit({
    kernel: "copy",
    nodes: [node.name],
    input: index,
    output: spread,
    dims: source.dims,
    inStrides: stridesOf(source),
    inOffset: 0,
    outStrides: [c, y * step[0], x * step[1]],
    outOffset: pads[0] * y + pads[1] * x,
    ...(fills ? { fills: b.tensor(node, "border", fills) } : { fill: source.zeroPoint }),
  });
  return spread;
}
