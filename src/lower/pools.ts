import type { GraphNode } from "../graph/types.ts";
import type { Clamp } from "../quantized/fusions.ts";
import { type Builder, clampCodes, noIntegerForm } from "./builder.ts";
import { imageOf } from "./layout.ts";
import { spreadImage } from "./spread.ts";
import { requantization } from "./weighted.ts";
import { type WindowGeometry, windowOf } from "./window.ts";

const wholeGeometry: WindowGeometry = { stride: [1, 1], dilation: [1, 1], pads: [0, 0, 0, 0] };

/** Window of a pool on [C,H,W]; global pools take all of it. */
function poolOf(b: Builder, node: GraphNode): { index: number; window: [number, number]; geometry: WindowGeometry } {
  const index = b.inUsualOrder(node, b.index(node.inputs[0]!));
  const input = b.value(index);
  const image = imageOf(input.dims);
  if (!image || input.type !== "int8" || (input.dims.length !== 3 && !node.op.startsWith("Reduce"))) {
    throw noIntegerForm(node, `an input of shape [${input.dims.join(", ")}]`, "[channels, height, width]");
  }
  const size: [number, number] = [image.height, image.width];
  const kernel = node.attributes.kernel_shape as readonly number[] | undefined;
  if (!kernel) return { index, window: size, geometry: wholeGeometry };
  const window: [number, number] = [kernel[0]!, kernel[1]!];
  return { index, window, geometry: windowOf(node, size, window) };
}

type Pads = [number, number, number, number];

const none: Pads = [0, 0, 0, 0];

/** top, left, bottom, right as the node gives them */
const padsOf = (node: GraphNode): Pads => [...((node.attributes.pads as Pads | undefined) ?? none)];

/** Codes only move: scale and zero point stay. */
export function lowerMaxPool(b: Builder, node: GraphNode): void {
  const { index, window, geometry } = poolOf(b, node);
  b.emit({
    kernel: "maxpool",
    nodes: [node.name],
    input: index,
    output: b.codes(node.outputs[0]!),
    window,
    ...geometry,
    includePads: false,
  });
}

/** y = z_y + round(Σ(c − z_x) · s_x / (s_y·taps)): one rounding, a multiplier for each number of taps. */
export function lowerAveragePool(
  b: Builder,
  node: GraphNode,
  nodes: readonly GraphNode[],
  outputName: string,
  clamp: Clamp | undefined,
): void {
  const { index: source, window, geometry } = poolOf(b, node);
  const includePads = Boolean(node.attributes.count_include_pad);
  // What ceil_mode adds at the edges never counts: there, the padding that does count becomes pixels of value 0.
  const counted = includePads && node.attributes.ceil_mode ? padsOf(node) : none;
  const index = spreadImage(b, node, source, [1, 1], counted);
  const pads = geometry.pads.map((pad, i) => pad - counted[i]!) as Pads;
  const input = b.value(index);
  const y = b.encoding(outputName);
  const taps = window[0] * window[1];
  const factors = Array.from({ length: taps }, (_, i) => input.scale[0]! / (y.scale * (i + 1)));
  const { lo, hi } = b.range(index);
  const intervals = Array.from({ length: taps }, (_, i) => ({
    lo: (lo - input.zeroPoint) * (i + 1),
    hi: (hi - input.zeroPoint) * (i + 1),
  }));
  b.emit({
    kernel: "avgpool",
    nodes: nodes.map(({ name }) => name),
    input: index,
    output: b.codes(outputName),
    window,
    ...geometry,
    pads,
    includePads: includePads && counted === none,
    requantization: requantization(b, node, factors, intervals, { zero: y.zeroPoint, ...clampCodes(y, clamp) }),
  });
}

/** A mean over all positions is a global pool: over [H,W] of an image, or the rows of [T,D]. */
export function isSpatialMean(b: Builder, node: GraphNode): boolean {
  const rank = b.dims(node.inputs[0]!).length + 1;
  const axes = b.graph.constants.get(node.inputs[1] ?? "");
  const list = axes ? Array.from(axes.data as BigInt64Array, (a) => (Number(a) + rank) % rank).sort((p, q) => p - q) : [];
  return rank === 4 ? list.join() === "2,3" : rank === 3 && list.join() === "1";
}
