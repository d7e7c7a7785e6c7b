// Windows of convolutions and pools with every implicit rule of ONNX (auto_pad, ceil_mode) made explicit.
import type { GraphNode } from "../graph/types.ts";

type Pair = readonly [number, number];

export interface WindowGeometry {
  readonly stride: Pair;
  readonly dilation: Pair;
  /** top, left, bottom, right */
  readonly pads: readonly [number, number, number, number];
}

/**
 * @param size   [height, width] of the input
 * @param window [kh, kw]
 */
export function windowOf(node: GraphNode, size: Pair, window: Pair): WindowGeometry {
  const list = (name: string, absent: number[]): number[] => [...((node.attributes[name] as readonly number[] | undefined) ?? absent)];
  const stride = list("strides", [1, 1]);
  const dilation = list("dilations", [1, 1]);
  const pads = list("pads", [0, 0, 0, 0]);
  const auto = (node.attributes.auto_pad as string | undefined) ?? "NOTSET";
  for (const axis of [0, 1] as const) {
    const extent = (window[axis] - 1) * dilation[axis]! + 1;
    if (auto === "VALID") pads[axis] = pads[axis + 2] = 0;
    else if (auto.startsWith("SAME")) {
      const needed = Math.max(0, (Math.ceil(size[axis] / stride[axis]!) - 1) * stride[axis]! + extent - size[axis]);
      const less = Math.floor(needed / 2);
      pads[axis] = auto === "SAME_UPPER" ? less : needed - less;
      pads[axis + 2] = needed - pads[axis]!;
    } else if (node.attributes.ceil_mode) {
      // The last window may hang over the edge, but must begin inside the input or its leading pad.
      const span = size[axis] + pads[axis]! + pads[axis + 2]! - extent;
      let count = Math.ceil(span / stride[axis]!) + 1;
      if ((count - 1) * stride[axis]! >= size[axis] + pads[axis]!) count--;
      pads[axis + 2] = Math.max(pads[axis + 2]!, (count - 1) * stride[axis]! + extent - size[axis] - pads[axis]!);
    }
  }
  return { stride: [stride[0]!, stride[1]!], dilation: [dilation[0]!, dilation[1]!], pads: [pads[0]!, pads[1]!, pads[2]!, pads[3]!] };
}
