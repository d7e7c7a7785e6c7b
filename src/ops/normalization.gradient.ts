// Gradients of normalizations in float.wasm.
import type { FloatKernels } from "../engine/kernels.ts";
import type { DeviceTensor, ForwardContext, GradientKernel } from "../engine/types.ts";
import { runBinary } from "./binary.forward.ts";
import { affineOf, epsilonOf } from "./normalization.forward.ts";
import { axisOf, number } from "./shape.ts";
import { sizeOf } from "./strided.ts";

type Context = ForwardContext<FloatKernels>;
type Row = GradientKernel<FloatKernels>;

/** Inference: y = x · scale + shift with constant vectors, so dx = dy · scale. */
const batchNormalization: Row = {
  op: "BatchNormalization",
  layout: "channels-last",
  reads: [{}],
  inPlace: true,
  accepts: (node, [dims], constant) =>
    dims!.length >= 2 &&
    dims!.length <= 5 &&
    number(node, "training_mode", 0) === 0 &&
    node.outputs.length === 1 &&
    node.inputs.slice(1).every(constant),
  backward(context, node, _, __, [dy], [dx]) {
    const channels = dy!.dims[1]!;
    const { scale } = affineOf(context, node);
    const zeros = context.once(node, "zeros", channels, (view) => view.fill(0));
    context.kernels.scaleShift(dx!.ptr, dy!.ptr, scale, zeros, sizeOf(dy!.dims) / channels, channels);
  },
};

const layerNormalization: Row = {
  op: "LayerNormalization",
  layout: "row-major",
  reads: [{ inputs: [0, 1] }, { inputs: [0, 1] }, {}],
  accepts(node, [x, gamma, beta]) {
    const n = sizeOf(x!.slice(axisOf(node, number(node, "axis", -1), x!.length)));
    return n > 0 && sizeOf(gamma!) === n && (!beta || sizeOf(beta) === n) && node.outputs.length === 1;
  },
  backward(context, node, [x, gamma], _, [dy], [dx, dgamma, dbeta]) {
    const { kernels } = context;
    const n = sizeOf(gamma!.dims);
    const size = sizeOf(dy!.dims);
    const rows = size / n;
    if (dx || dgamma) {
      const standard = context.scratch(size * 4);
      kernels.layerNormGradient(dx?.ptr ?? context.scratch(size * 4), standard, dy!.ptr, x!.ptr, gamma!.ptr, rows, n, epsilonOf(node));
      if (dgamma) sumOfProducts(context, dgamma.ptr, { ...dy!, ptr: standard }, dy!, 1, rows, n);
    }
    if (dbeta) kernels.sum(dbeta.ptr, dy!.ptr, 1, rows, n, 1);
  },
};

/** to[outer, inner] = Σ a·b over the middle axis of [outer, n, inner]; a is overwritten. */
function sumOfProducts(context: Context, to: number, a: DeviceTensor, b: DeviceTensor, outer: number, n: number, inner: number): void {
  runBinary(context.kernels, "mul", a, a, b);
  context.kernels.sum(to, a.ptr, outer, n, inner, 1);
}

/** A layer normalization of each channel of each image, whose γ and β are one number a row. */
const instanceNormalization: Row = {
  op: "InstanceNormalization",
  layout: "row-major",
  reads: [{ inputs: [0, 1] }, { inputs: [0] }, {}],
  accepts: (_, [dims]) => dims!.length >= 3 && dims!.length <= 5 && !dims!.includes(0),
  backward(context, node, [x, gamma], _, [dy], [dx, dgamma, dbeta]) {
    const { kernels } = context;
    const [images, channels] = x!.dims as [number, number];
    const size = sizeOf(x!.dims);
    const pixels = size / images / channels;
    const sums = context.scratch(images * channels * 4);
    if (dx || dgamma) {
      const standard: DeviceTensor = { ...dy!, ptr: context.scratch(size * 4) };
      const to: DeviceTensor = { ...dy!, ptr: dx?.ptr ?? context.scratch(size * 4) };
      const ones = context.scratch(pixels * 4);
      kernels.fill(ones, 1, pixels);
      kernels.layerNormGradient(to.ptr, standard.ptr, dy!.ptr, x!.ptr, ones, images * channels, pixels, epsilonOf(node));
      if (dx) {
        const column: DeviceTensor = { ...gamma!, dims: [channels, ...x!.dims.slice(2).map(() => 1)], layout: "row-major" };
        runBinary(kernels, "mul", to, to, column);
      }
      if (dgamma) {
        sumOfProducts(context, sums, standard, dy!, images * channels, pixels, 1);
        kernels.sum(dgamma.ptr, sums, 1, images, channels, 1);
      }
    }
    if (dbeta) {
      kernels.sum(sums, dy!.ptr, images * channels, pixels, 1, 1);
      kernels.sum(dbeta.ptr, sums, 1, images, channels, 1);
    }
  },
};

export const normalizationGradients: readonly Row[] = [batchNormalization, layerNormalization, instanceNormalization];
