import type { FloatKernels } from "../engine/kernels.ts";
import type { ForwardContext, ForwardKernel } from "../engine/types.ts";
import type { GraphNode } from "../graph/types.ts";
import { axisOf, number } from "./shape.ts";
import { sizeOf } from "./strided.ts";

type Row = ForwardKernel<FloatKernels>;

export const epsilonOf = (node: GraphNode): number => Math.fround(number(node, "epsilon", 1e-5));

/** Scale s = γ / √(variance + ε) and shift β − mean · s, in float64, once per node. */
export function affineOf(context: ForwardContext<FloatKernels>, node: GraphNode): { scale: number; shift: number } {
  const [gamma, beta, mean, variance] = node.inputs.slice(1).map((name) => context.constant(name)!.data as Float32Array);
  const epsilon = epsilonOf(node);
  const factor = (c: number): number => gamma![c]! / Math.sqrt(variance![c]! + epsilon);
  const make = (key: string, value: (c: number) => number): number =>
    context.once(node, key, gamma!.length, (view) => {
      for (let c = 0; c < view.length; c++) view[c] = value(c);
    });
  return { scale: make("scale", factor), shift: make("shift", (c) => beta![c]! - mean![c]! * factor(c)) };
}

const batchNormalization: Row = {
  op: "BatchNormalization",
  layout: "channels-last",
  inPlace: true,
  accepts: (node, [dims], constant) =>
    dims!.length >= 2 &&
    dims!.length <= 5 &&
    number(node, "training_mode", 0) === 0 &&
    node.outputs.length === 1 &&
    node.inputs.slice(1).every(constant),
  run(context, node, [x], [y]) {
    const { scale, shift } = affineOf(context, node);
    const channels = x!.dims[1]!;
    context.kernels.scaleShift(y!.ptr, x!.ptr, scale, shift, sizeOf(x!.dims) / channels, channels);
  },
};

const layerNormalization: Row = {
  op: "LayerNormalization",
  layout: "row-major",
  inPlace: true,
  accepts(node, [x, gamma, beta]) {
    const n = sizeOf(x!.slice(axisOf(node, number(node, "axis", -1), x!.length)));
    return n > 0 && sizeOf(gamma!) === n && (!beta || sizeOf(beta) === n) && node.outputs.length === 1;
  },
  run(context, node, [x, gamma, beta], [y]) {
    const n = sizeOf(gamma!.dims);
    const shift = beta?.ptr ?? context.once(node, "zeros", n, (view) => view.fill(0));
    context.kernels.layerNorm(y!.ptr, x!.ptr, gamma!.ptr, shift, sizeOf(x!.dims) / n, n, epsilonOf(node));
  },
};

const instanceNormalization: Row = {
  op: "InstanceNormalization",
  layout: "channels-last",
  accepts: (_, [dims]) => dims!.length >= 3 && dims!.length <= 5 && !dims!.includes(0),
  run({ kernels }, node, [x, gamma, beta], [y]) {
    const [images, channels] = x!.dims as [number, number];
    const pixels = sizeOf(x!.dims.slice(2));
    kernels.instanceNorm(y!.ptr, x!.ptr, gamma!.ptr, beta!.ptr, images, pixels, channels, epsilonOf(node));
  },
};

export const normalizationKernels: readonly Row[] = [batchNormalization, layerNormalization, instanceNormalization];
