// Gradients of a convolution y = x ∗ w: of its input and of its weights. Activations are channels-last.
import type { FloatKernels } from "../engine/kernels.ts";
import type { DeviceTensor, ForwardContext, GradientKernel } from "../engine/types.ts";
import type { GraphNode } from "../graph/types.ts";
import { depthwiseTaps } from "./conv.direct.ts";
import { algorithmFor, runConvolution } from "./conv.forward.ts";
import {
  type Convolution,
  convolutionOf,
  type Filters,
  filtersOf,
  fitsKernels,
  mirrored,
  noClamp,
  transposedConvolutionOf,
} from "./conv.geometry.ts";
import { scatter } from "./conv.transposed.ts";
import { tiledWeightGradient } from "./conv.winograd.gradient.ts";
import { padded } from "./packed.ts";
import { sizeOf } from "./strided.ts";

type Context = ForwardContext<FloatKernels>;

/** Positions of a block: a cache line of x and of dY each, 16 KiB of a 32 KiB L1. */
const BLOCK_POSITIONS = 128;

/**
 * dX [N,C,H,W] from dY and the weights of a Conv node: a mirrored convolution, or for strides above 1 the adjoint by windows.
 * Weights that are a constant of the context are packed once; those being learned must not be.
 */
export function inputGradient(context: Context, node: GraphNode, dy: DeviceTensor, weights: DeviceTensor, dx: DeviceTensor): void {
  const forward = convolutionOf(node, dx.dims, weights.dims, dy.dims);
  const filters = filtersOf(weights, forward);
  const operands = { context, node, x: dy.ptr, bias: 0, y: dx.ptr, clamp: noClamp };
  if (forward.sy > 1 || forward.sx > 1) {
    const narrow = forward.groups === forward.c && forward.o === forward.c;
    if (narrow) depthwiseInputGradient(context, node, forward, dy.ptr, filters, dx.ptr);
    else scatter({ ...operands, filters }, forward);
  } else {
    const mirror = mirrored(forward, filters);
    runConvolution({ ...operands, filters: mirror.filters }, mirror.shape);
  }
}

/**
 * dW from x and dY of a Conv node, summed over the batch in order: by F(4×4) tiles where the forward pass uses them, else directly.
 * Errors relative to the largest entry grow with the number of positions: about 10⁻⁵ by tiles, 10⁻⁶ directly.
 */
export function weightGradient(context: Context, node: GraphNode, x: DeviceTensor, dy: DeviceTensor, dw: DeviceTensor): void {
  const s = convolutionOf(node, x.dims, dw.dims, dy.dims);
  filterGradient(context, s, x.ptr, dy.ptr, filtersOf(dw, s));
}

/** `weightGradient` of a convolution of any origin. */
function filterGradient(context: Context, s: Convolution, x: number, dy: number, dw: Filters): void {
  const algorithm = algorithmFor(s);
  if (algorithm === "winograd4") tiledWeightGradient(context, s, x, dy, dw);
  else if (algorithm === "depthwise" && s.o === s.c) depthwiseGradient(context, s, x, dy, dw);
  else directGradient(context, s, x, dy, dw);
}

/** First output position whose tap lies inside the image, and one beyond the last. */
function insideTap(offset: number, stride: number, size: number, positions: number): [number, number] {
  const first = Math.max(0, Math.ceil(-offset / stride));
  return [first, Math.max(first, Math.min(positions, Math.ceil((size - offset) / stride)))];
}

function directGradient(context: Context, s: Convolution, x: number, dy: number, dw: Filters): void {
  const { kernels } = context;
  const inner = s.c / s.groups;
  const outer = s.o / s.groups;
  const taps = s.kh * s.kw;
  const length = padded(outer) * taps * inner;
  const sums = context.scratch(length * 4);
  const block = Math.max(1, Math.floor(BLOCK_POSITIONS / s.ow));
  /** Adds a tap's share of output rows `first` to `end` of image n, for the 8 outputs from o on. */
  const addTap = (n: number, g: number, first: number, end: number, o: number, ky: number, kx: number): void => {
    const [iy, ix] = [ky * s.dy - s.top, kx * s.dx - s.left];
    const [top, bottom] = insideTap(iy, s.sy, s.h, s.oh);
    const [left, right] = insideTap(ix, s.sx, s.w, s.ow);
    const row = Math.max(first, top);
    const rows = Math.min(end, bottom) - row;
    if (rows <= 0 || right <= left) return;
    const to = sums + ((o / 8) * taps + ky * s.kw + kx) * inner * 32;
    const a = x + (((n * s.h + row * s.sy + iy) * s.w + left * s.sx + ix) * s.c + g * inner) * 4;
    const b = dy + (((n * s.oh + row) * s.ow + left) * s.o + g * outer + o) * 4;
    const [aStep, aRow] = [s.sx * s.c * 4, s.sy * s.w * s.c * 4];
    kernels.outerProducts(to, a, aStep, aRow, b, s.o * 4, s.ow * s.o * 4, outer - o > 4 ? 16 : 0, rows, right - left, inner);
  };
  for (let g = 0; g < s.groups; g++) {
    kernels.fill(sums, 0, length);
    for (let n = 0; n < s.n; n++) {
      for (let first = 0; first < s.oh; first += block) {
        const end = Math.min(s.oh, first + block);
        for (let o = 0; o < outer; o += 8) {
          for (let ky = 0; ky < s.kh; ky++) for (let kx = 0; kx < s.kw; kx++) addTap(n, g, first, end, o, ky, kx);
        }
      }
    }
    kernels.unpackPanels(dw.ptr + g * dw.group * 4, sums, taps, dw.tap, inner, dw.inner, 1, 0, outer, dw.outer);
  }
}

function depthwiseInputGradient(context: Context, node: GraphNode, s: Convolution, dy: number, filters: Filters, dx: number): void {
  const { kernels } = context;
  const taps = depthwiseTaps(context, node, filters, s);
  const [image, row] = [s.h * s.w * s.c * 4, s.ow * s.c * 4];
  kernels.fill(dx, 0, s.n * s.h * s.w * s.c);
  for (let n = 0; n < s.n; n++) {
    for (let oy = 0; oy < s.oh; oy++) {
      const [to, from] = [dx + n * image, dy + (n * s.oh + oy) * row];
      const iy = oy * s.sy - s.top;
      kernels.depthwiseScatter(to, from, taps, s.h, s.w, s.c, s.kh, s.kw, s.dy, s.dx, iy, -s.left, s.sx, s.ow);
    }
  }
}

function depthwiseGradient(context: Context, s: Convolution, x: number, dy: number, dw: Filters): void {
  const { kernels } = context;
  const taps = s.kh * s.kw;
  const sums = context.scratch(taps * s.c * 4);
  kernels.fill(sums, 0, taps * s.c);
  for (let n = 0; n < s.n; n++) {
    const image = x + n * s.h * s.w * s.c * 4;
    for (let oy = 0; oy < s.oh; oy++) {
      const from = dy + (n * s.oh + oy) * s.ow * s.c * 4;
      const iy = oy * s.sy - s.top;
      kernels.depthwiseOuter(sums, from, image, s.h, s.w, s.c, s.kh, s.kw, s.dy, s.dx, iy, -s.left, s.sx, s.ow);
    }
  }
  kernels.copy4(dw.ptr, sums, 1, 1, taps, s.c, 0, 0, s.c, 1, 0, 0, dw.tap, dw.group);
}

/** Sums of channels-last dy over images and pixels. */
function biasGradient({ kernels }: Context, dy: DeviceTensor, db: DeviceTensor): void {
  const channels = dy.dims[1]!;
  kernels.sum(db.ptr, dy.ptr, 1, sizeOf(dy.dims) / channels, channels, 1);
}

/** The gradient of x reads w, that of w reads x, that of the bias reads nothing. */
const reads = [{ inputs: [1] }, { inputs: [0] }, {}];

export const convolutionGradients: readonly GradientKernel<FloatKernels>[] = [
  {
    op: "Conv",
    layout: "channels-last",
    reads,
    accepts: (_, dims) => fitsKernels(dims),
    backward(context, node, [x, weights], _, [dy], [dx, dw, db]) {
      if (dx) inputGradient(context, node, dy!, weights!, dx);
      if (dw) weightGradient(context, node, x!, dy!, dw);
      if (db) biasGradient(context, dy!, db);
    },
  },
  {
    // The adjoint of a convolution: its gradients are the convolution itself, and that convolution's with x and dy in each other's place.
    op: "ConvTranspose",
    layout: "channels-last",
    reads,
    accepts: (_, dims) => fitsKernels(dims),
    backward(context, node, [x, weights], _, [dy], [dx, dw, db]) {
      const s = transposedConvolutionOf(node, x!.dims, weights!.dims, dy!.dims);
      const operands = { context, node, x: dy!.ptr, bias: 0, clamp: noClamp };
      if (dx) runConvolution({ ...operands, filters: filtersOf(weights!, s), y: dx.ptr }, s);
      if (dw) filterGradient(context, s, dy!.ptr, x!.ptr, filtersOf(dw, s));
      if (db) biasGradient(context, dy!, db);
    },
  },
];
