// Convolutions as matrix products over pixels, and depthwise ones over channels.
import type { GraphNode } from "../graph/types.ts";
import type { Convolution, Filters, Operands } from "./conv.geometry.ts";
import { packed, packVectors, padded } from "./packed.ts";

/** Floats of windows laid out at a time: half of a 1 MiB L2. */
const BLOCK_FLOATS = 131_072;

/** Weights as panels per group, [groups][⌈o/8⌉][kh][kw][c][8], and bias padded alike. */
function operandsOf({ context, node, filters, bias }: Operands, s: Convolution): { panels: number; group: number; shift: number } {
  const inner = s.c / s.groups;
  const outer = s.o / s.groups;
  const taps = s.kh * s.kw;
  const group = taps * inner * padded(outer);
  const panels = packed(context, node, 1, `panels of ${filters.reading}`, s.groups * group, (ptr) => {
    for (let g = 0; g < s.groups; g++) {
      const from = filters.ptr + g * filters.group * 4;
      context.kernels.packPanels(ptr + g * group * 4, from, taps, filters.tap, inner, filters.inner, 1, 0, outer, filters.outer);
    }
  });
  return { panels, group, shift: packVectors(context, node, 2, bias, s.groups, outer) };
}

/** 1×1, stride 1, no padding: the image is the matrix. */
export function pointwise(operands: Operands, s: Convolution): void {
  const { context, x, y, clamp } = operands;
  const { panels, group, shift } = operandsOf(operands, s);
  const inner = s.c / s.groups;
  const outer = s.o / s.groups;
  for (let g = 0; g < s.groups; g++) {
    const bias = shift && shift + g * padded(outer) * 4;
    const [to, from, b] = [y + g * outer * 4, x + g * inner * 4, panels + g * group * 4];
    context.kernels.gemm(to, s.o, from, s.c, b, bias, s.n * s.h * s.w, outer, inner, clamp.low, clamp.high);
  }
}

/** Any convolution: windows of a block of pixels laid out as rows, times the weights. Blocks run over all images. */
export function direct(operands: Operands, s: Convolution): void {
  const { context, x, y, clamp } = operands;
  const { kernels } = context;
  const { panels, group, shift } = operandsOf(operands, s);
  const inner = s.c / s.groups;
  const outer = s.o / s.groups;
  const k = s.kh * s.kw * inner;
  const pixels = s.n * s.oh * s.ow;
  const block = Math.min(pixels, Math.max(16, Math.min(64, Math.floor(BLOCK_FLOATS / k / 4) * 4)));
  const windows = context.scratch(block * k * 4 + 16);
  for (let first = 0; first < pixels; first += block) {
    const end = Math.min(pixels, first + block);
    for (let g = 0; g < s.groups; g++) {
      for (let p = first; p < end; ) {
        const ox = p % s.ow;
        const row = (p - ox) / s.ow;
        const oy = row % s.oh;
        const run = Math.min(end - p, s.ow - ox);
        const image = x + (((row - oy) / s.oh) * s.h * s.w * s.c + g * inner) * 4;
        const to = windows + (p - first) * k * 4;
        const [iy, ix] = [oy * s.sy - s.top, ox * s.sx - s.left];
        kernels.im2col(to, image, s.h, s.w, s.c, inner, s.kh, s.kw, s.dy, s.dx, iy, ix, s.sx, run);
        p += run;
      }
      const bias = shift && shift + g * padded(outer) * 4;
      const to = y + (first * s.o + g * outer) * 4;
      kernels.gemm(to, s.o, windows, k, panels + g * group * 4, bias, end - first, outer, k, clamp.low, clamp.high);
    }
  }
}

/** Depthwise filters as [kh][kw][o]. */
export function depthwiseTaps(context: Operands["context"], node: GraphNode, filters: Filters, s: Convolution): number {
  const taps = s.kh * s.kw;
  return packed(context, node, 1, `taps of ${filters.reading}`, taps * s.o, (ptr) =>
    context.kernels.copy4(ptr, filters.ptr, 1, 1, taps, s.o, 0, 0, filters.tap, (filters.group * s.c) / s.o, 0, 0, s.o, 1),
  );
}

/** One filter per output; outputs of one channel stand together, so with several of them the image is spread over the outputs first. */
export function depthwise({ context, node, x, filters, bias, y, clamp }: Operands, s: Convolution): void {
  const { kernels } = context;
  const multiplier = s.o / s.c;
  const pixels = s.h * s.w;
  const weights = depthwiseTaps(context, node, filters, s);
  const spread = multiplier > 1 ? context.scratch(pixels * s.o * 4) : 0;
  const { low, high } = clamp;
  for (let n = 0; n < s.n; n++) {
    let image = x + n * pixels * s.c * 4;
    if (spread) {
      kernels.copy4(spread, image, 1, multiplier, pixels, s.c, 0, 0, s.c, 1, 0, 1, s.o, multiplier);
      image = spread;
    }
    for (let oy = 0; oy < s.oh; oy++) {
      const to = y + (n * s.oh + oy) * s.ow * s.o * 4;
      const iy = oy * s.sy - s.top;
      kernels.depthwise(to, image, weights, bias, s.h, s.w, s.o, s.kh, s.kw, s.dy, s.dx, iy, -s.left, s.sx, s.ow, low, high);
    }
  }
}
