import type { FloatKernels } from "../engine/kernels.ts";
import type { ForwardContext } from "../engine/types.ts";
import type { Convolution, Filters } from "./conv.geometry.ts";
import { blocksOf, f4, pitch } from "./conv.winograd.ts";
import { padded } from "./packed.ts";

/** Floats of V and Z in a block: half of a 1 MiB L2. The order of the sums depends on these three. */
const BLOCK_FLOATS = 131_072;
const FEWEST_TILES = 16;
const MOST_TILES = 48;

/**
 * dW of a convolution by F(4×4, 3×3) tiles: dU = Σ V ∘ Z over the tiles of the batch in order, dg = Gᵀ dU G. The adjoint of the
 * forward form, with a quarter of the products of the direct sum.
 *
 * @param x  [n, h, w, c]
 * @param dy [n, oh, ow, o]
 * @param dw where the gradient goes
 */
export function tiledWeightGradient(context: ForwardContext<FloatKernels>, s: Convolution, x: number, dy: number, dw: Filters): void {
  const { kernels } = context;
  const { tile, points } = f4;
  const mostTiles = Math.max(FEWEST_TILES, Math.min(MOST_TILES, Math.floor(BLOCK_FLOATS / (points * (s.c + s.o)))));
  const vPitch = pitch(mostTiles * s.c * 4);
  const zPitch = pitch(mostTiles * s.o * 4);
  const v = context.scratch(points * vPitch);
  const z = context.scratch(points * zPitch);
  const columns = context.scratch((tile * mostTiles + 2) * (tile + 2) * 16);
  const zeros = context.scratch(Math.max(s.w * s.c, s.ow * s.o) * 4);
  kernels.fill(zeros, 0, Math.max(s.w * s.c, s.ow * s.o));
  const panel = points * s.c * 8;
  const length = (padded(s.o) / 8) * panel;
  const u = context.scratch(length * 4);
  kernels.fill(u, 0, length);
  for (const runs of blocksOf(s, f4, mostTiles)) {
    for (const { image, ty, tx, tiles, before } of runs) {
      const [oy, ox] = [ty * tile, tx * tile];
      const from = x + image * s.h * s.w * s.c * 4;
      kernels.winograd4Input(v + before * s.c * 4, vPitch, columns, from, zeros, s.h, s.w, s.c, oy - s.top, ox - s.left, tiles);
      const gradient = dy + image * s.oh * s.ow * s.o * 4;
      kernels.winograd4Spread(z + before * s.o * 4, zPitch, columns, gradient, zeros, s.oh, s.ow, s.o, oy, ox, tiles);
    }
    const last = runs.at(-1)!;
    const tiles = last.before + last.tiles;
    for (let o = 0; o < s.o; o += 8) {
      const to = u + (o / 8) * panel * 4;
      kernels.winogradOuter(to, v, vPitch, z + o * 4, zPitch, s.o, s.o - o > 4 ? 16 : 0, points, tiles, s.c);
    }
  }
  kernels.winograd4Gather(dw.ptr, u, s.o, dw.outer, s.c, dw.inner, dw.tap);
}
