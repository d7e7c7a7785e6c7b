import { type Convolution, noClamp, type Operands } from "./conv.geometry.ts";
import { packed, padded } from "./packed.ts";

/** Floats of windows held at a time: half of a 1 MiB L2. */
const BLOCK_FLOATS = 131_072;

/**
 * The adjoint of convolution `s`: operand x [n, oh, ow, o] goes to y [n, h, w, c] = bias + the sum of its windows.
 * Every pixel of x times the weights is a window of y; windows are added where they belong, pixels in order, then taps.
 */
export function scatter({ context, node, x, filters, bias, y }: Operands, s: Convolution): void {
  const { kernels } = context;
  const inner = s.o / s.groups;
  const outer = s.c / s.groups;
  const taps = s.kh * s.kw;
  const window = taps * outer;
  const group = padded(window) * inner;
  const panels = packed(context, node, 1, `windows of ${filters.reading}`, s.groups * group, (ptr) => {
    for (let g = 0; g < s.groups; g++) {
      const from = filters.ptr + g * filters.group * 4;
      kernels.packPanels(ptr + g * group * 4, from, 1, 0, inner, filters.outer, taps, filters.tap, outer, filters.inner);
    }
  });
  kernels.fillRows(y, s.c, s.n * s.h * s.w, bias, s.c);
  const pixels = s.n * s.oh * s.ow;
  const block = Math.min(pixels, Math.max(16, Math.min(64, Math.floor(BLOCK_FLOATS / window / 4) * 4)));
  const windows = context.scratch(block * window * 4);
  for (let first = 0; first < pixels; first += block) {
    const end = Math.min(pixels, first + block);
    for (let g = 0; g < s.groups; g++) {
      const from = x + (first * s.o + g * inner) * 4;
      kernels.gemm(windows, window, from, s.o, panels + g * group * 4, 0, end - first, window, inner, noClamp.low, noClamp.high);
      for (let p = first; p < end; ) {
        const ox = p % s.ow;
        const row = (p - ox) / s.ow;
        const oy = row % s.oh;
        const run = Math.min(end - p, s.ow - ox);
        const image = y + (((row - oy) / s.oh) * s.h * s.w * s.c + g * outer) * 4;
        const [iy, ix] = [oy * s.sy - s.top, ox * s.sx - s.left];
        kernels.col2im(image, windows + (p - first) * window * 4, s.h, s.w, s.c, outer, s.kh, s.kw, s.dy, s.dx, iy, ix, s.sx, run);
        p += run;
      }
    }
  }
}
