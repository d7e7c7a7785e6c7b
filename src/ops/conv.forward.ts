// Conv and ConvTranspose in float.wasm: channels-last activations, weights packed once per node.
import type { FloatKernels } from "../engine/kernels.ts";
import type { DeviceTensor, ForwardContext, ForwardKernel } from "../engine/types.ts";
import type { GraphNode } from "../graph/types.ts";
import { depthwise, direct, pointwise } from "./conv.direct.ts";
import {
  type Clamp,
  type Convolution,
  convolutionOf,
  filtersOf,
  fitsKernels,
  noClamp,
  type Operands,
  transposedConvolutionOf,
} from "./conv.geometry.ts";
import { scatter } from "./conv.transposed.ts";
import { winograd2, winograd4 } from "./conv.winograd.ts";

export type Algorithm = "pointwise" | "depthwise" | "direct" | "winograd2" | "winograd4";

const algorithms: Readonly<Record<Algorithm, (operands: Operands, shape: Convolution) => void>> = {
  pointwise,
  depthwise,
  direct,
  winograd2,
  winograd4,
};

/** Narrower layers pay for the transforms more than they save. */
const FEWEST_CHANNELS = 8;

const roundUp4 = (x: number): number => Math.ceil(x / 4) * 4;

/**
 * The algorithm, from the shape of the node alone (never from the batch, values or the machine), because it changes last bits.
 *
 * A 3×3 convolution of stride 1 takes the form with the fewest products per pair of channels, counting a last tile whole and the
 * four rows of the product kernel: direct 9·⌈hw⌉₄, F(4×4) 36·⌈⌈h/4⌉⌈w/4⌉⌉₄, F(2×2) 16·⌈⌈h/2⌉⌈w/2⌉⌉₄. So F(4×4) on maps of 5×5
 * and more, F(2×2) on smaller ones, direct on four positions and fewer.
 */
export function algorithmFor(s: Convolution): Algorithm {
  const dense = s.sy === 1 && s.sx === 1;
  const whole = s.h === s.oh && s.w === s.ow && s.top === 0 && s.left === 0;
  if (s.kh === 1 && s.kw === 1 && dense && whole) return "pointwise";
  if (s.groups > 1) return s.groups === s.c ? "depthwise" : "direct";
  const suited = s.kh === 3 && s.kw === 3 && dense && s.dy === 1 && s.dx === 1 && Math.min(s.c, s.o) >= FEWEST_CHANNELS;
  if (!suited) return "direct";
  const tiles = (side: number): number => roundUp4(Math.ceil(s.oh / side) * Math.ceil(s.ow / side));
  const products = { direct: 9 * roundUp4(s.oh * s.ow), winograd2: 16 * tiles(2), winograd4: 36 * tiles(4) };
  if (products.winograd4 <= Math.min(products.direct, products.winograd2)) return "winograd4";
  return products.winograd2 < products.direct ? "winograd2" : "direct";
}

/** A convolution by the algorithm of its shape. */
export function runConvolution(operands: Operands, shape: Convolution): void {
  algorithms[algorithmFor(shape)](operands, shape);
}

/**
 * Conv (ONNX) of [N,C,L] or [N,C,H,W] with any stride, dilation, padding and groups, and an optional clamp of the result.
 */
export function convolve(
  context: ForwardContext<FloatKernels>,
  node: GraphNode,
  inputs: readonly (DeviceTensor | undefined)[],
  y: DeviceTensor,
  clamp: Clamp = noClamp,
): void {
  const [x, weights, bias] = inputs as [DeviceTensor, DeviceTensor, DeviceTensor | undefined];
  const shape = convolutionOf(node, x.dims, weights.dims, y.dims);
  runConvolution({ context, node, x: x.ptr, filters: filtersOf(weights, shape), bias: bias?.ptr ?? 0, y: y.ptr, clamp }, shape);
}

/** ConvTranspose (ONNX) of [N,C,L] or [N,C,H,W] with any stride, dilation, padding and groups. */
function transposed(
  context: ForwardContext<FloatKernels>,
  node: GraphNode,
  inputs: readonly (DeviceTensor | undefined)[],
  y: DeviceTensor,
): void {
  const [x, weights, bias] = inputs as [DeviceTensor, DeviceTensor, DeviceTensor | undefined];
  const shape = transposedConvolutionOf(node, x.dims, weights.dims, y.dims);
  const filters = filtersOf(weights, shape);
  scatter({ context, node, x: x.ptr, filters, bias: bias?.ptr ?? 0, y: y.ptr, clamp: noClamp }, shape);
}

export const convolutionKernels: readonly ForwardKernel<FloatKernels>[] = [
  {
    op: "Conv",
    layout: "channels-last",
    accepts: (_, dims) => fitsKernels(dims),
    run: (context, node, inputs, outputs) => convolve(context, node, inputs, outputs[0]!),
  },
  {
    op: "ConvTranspose",
    layout: "channels-last",
    accepts: (_, dims) => fitsKernels(dims),
    run: (context, node, inputs, outputs) => transposed(context, node, inputs, outputs[0]!),
  },
];
