// Windows of convolutions and pools with every implicit rule of ONNX (auto_pad, ceil_mode) made explicit.
import type { GraphNode } from "../graph/types.ts";
import { noIntegerForm } from "./builder.ts";

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

/**
 * The window that a ConvTranspose is over its spread input: padding where the transpose cuts, and the other way round.
 *
 * @param size   [height, width] of the input
 * @param out    [height, width] of the output, which settles output_padding and output_shape
 * @param window [kh, kw]
 * @returns      `stride` is the distance at which the input's pixels are spread
 */
export function transposedWindow(node: GraphNode, size: readonly number[], out: readonly number[], window: Pair): WindowGeometry {
  const list = (name: string, absent: number[]): number[] => [...((node.attributes[name] as readonly number[] | undefined) ?? absent)];
  const stride = list("strides", [1, 1]);
  const dilation = list("dilations", [1, 1]);
  const extra = list("output_padding", [0, 0]);
  const auto = (node.attributes.auto_pad as string | undefined) ?? "NOTSET";
  const found = auto.startsWith("SAME") || node.attributes.output_shape !== undefined;
  const cut = auto === "VALID" ? [0, 0, 0, 0] : list("pads", [0, 0, 0, 0]);
  const pads = [0, 0, 0, 0];
  for (const axis of [0, 1] as const) {
    const reach = (window[axis] - 1) * dilation[axis]!;
    const spread = (size[axis]! - 1) * stride[axis]! + 1;
    const total = Math.max(0, spread + reach + extra[axis]! - out[axis]!);
    const before = found ? (auto === "SAME_UPPER" ? Math.floor(total / 2) : Math.ceil(total / 2)) : cut[axis]!;
    pads[axis] = reach - before;
    pads[axis + 2] = out[axis]! - spread + reach - pads[axis]!;
  }
  if (pads.some((pad) => pad < 0))
    throw noIntegerForm(node, `pads [${cut.join(", ")}] wider than the kernel reaches`, "pads within the kernel");
  return { stride: [stride[0]!, stride[1]!], dilation: [dilation[0]!, dilation[1]!], pads: pads as [number, number, number, number] };
}
