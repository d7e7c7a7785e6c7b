// Winograd convolution 3×3, stride 1: blocks of tiles through transform, products and transform back.
import type { Convolution, Operands } from "./conv.geometry.ts";
import { packed, packVectors, padded } from "./packed.ts";

/** A form F(tile×tile, 3×3) and its kernels. */
export interface Form {
  readonly name: string;
  readonly tile: 2 | 4;
  readonly points: 16 | 36;
  readonly weights: "winograd2Weights" | "winograd4Weights";
  readonly input: "winograd2Input" | "winograd4Input";
  readonly output: "winograd2Output" | "winograd4Output";
}

const f2: Form = {
  name: "F(2×2, 3×3)",
  tile: 2,
  points: 16,
  weights: "winograd2Weights",
  input: "winograd2Input",
  output: "winograd2Output",
};
export const f4: Form = {
  name: "F(4×4, 3×3)",
  tile: 4,
  points: 36,
  weights: "winograd4Weights",
  input: "winograd4Input",
  output: "winograd4Output",
};

// The result of a convolution does not depend on these three; a gradient of weights depends on its own.
/** Floats of V in a block: what leaves room in a 1 MiB L2 for the panel of U that streams through. */
const V_FLOATS = 98_304;
/** Tiles of a block: enough to use a panel of U well, few enough that M (1152 bytes each) stays near L1. */
const FEWEST_TILES = 16;
const MOST_TILES = 32;

/** Bytes between points: an odd number of cache lines, so that the points' streams fall into different sets. */
export const pitch = (bytes: number): number => Math.ceil(bytes / 128) * 128 + 64;

/** Neighbouring tiles of one tile row of one image. */
export interface Run {
  readonly image: number;
  /** Tile row, first tile, number of tiles. */
  readonly ty: number;
  readonly tx: number;
  readonly tiles: number;
  /** Tiles of the block before this run. */
  readonly before: number;
}

/** Runs in blocks of at most `most` tiles: whole tile rows, or equal pieces of wide ones; a block may span images. */
export function blocksOf(s: Convolution, form: Form, most: number): Run[][] {
  const down = Math.ceil(s.oh / form.tile);
  const across = Math.ceil(s.ow / form.tile);
  const width = Math.ceil(across / Math.ceil(across / most));
  const blocks: Run[][] = [];
  let block: Run[] = [];
  let before = 0;
  for (let image = 0; image < s.n; image++) {
    for (let ty = 0; ty < down; ty++) {
      for (let tx = 0; tx < across; tx += width) {
        const tiles = Math.min(width, across - tx);
        if (before + tiles > most) {
          blocks.push(block);
          block = [];
          before = 0;
        }
        block.push({ image, ty, tx, tiles, before });
        before += tiles;
      }
    }
  }
  blocks.push(block);
  return blocks;
}

/** Transforms of the weights: [⌈o/8⌉][points][c][8]. */
function transformed({ context, node, filters }: Operands, s: Convolution, form: Form): number {
  const { ptr, outer, inner, tap } = filters;
  const length = padded(s.o) * form.points * s.c;
  return packed(context, node, 1, `${form.name} of ${filters.reading}`, length, (u) =>
    context.kernels[form.weights](u, ptr, s.o, outer, s.c, inner, tap),
  );
}

function winograd(operands: Operands, s: Convolution, form: Form): void {
  const { context, node, x, bias, y, clamp } = operands;
  const { kernels } = context;
  const { tile, points } = form;
  const u = transformed(operands, s, form);
  const shift = packVectors(context, node, 2, bias, 1, s.o);
  const mostTiles = Math.max(FEWEST_TILES, Math.min(MOST_TILES, Math.floor(V_FLOATS / (points * s.c))));
  const vPitch = pitch(mostTiles * s.c * 4);
  const mPitch = pitch(Math.ceil(mostTiles / 4) * 128);
  const v = context.scratch(points * vPitch);
  const m = context.scratch(points * mPitch);
  const columns = context.scratch((tile * mostTiles + 2) * (tile + 2) * 16);
  const zeros = context.scratch(s.w * s.c * 4);
  kernels.fill(zeros, 0, s.w * s.c);
  const [pixel, row] = [s.o * 4, s.ow * s.o * 4];
  for (const runs of blocksOf(s, form, mostTiles)) {
    for (const { image, ty, tx, tiles, before } of runs) {
      const from = x + image * s.h * s.w * s.c * 4;
      const [iy, ix] = [ty * tile - s.top, tx * tile - s.left];
      kernels[form.input](v + before * s.c * 4, vPitch, columns, from, zeros, s.h, s.w, s.c, iy, ix, tiles);
    }
    const last = runs.at(-1)!;
    for (let o = 0; o < s.o; o += 8) {
      kernels.winogradProducts(m, mPitch, v, vPitch, u + o * points * s.c * 4, points, last.before + last.tiles, s.c);
      for (const { image, ty, tx, tiles, before } of runs) {
        const to = y + image * s.oh * row + ty * tile * row + tx * tile * pixel + o * 4;
        const rows = Math.min(tile, s.oh - ty * tile);
        const [from, b] = [m + before * 32, shift ? shift + o * 4 : zeros];
        const [wide, channels] = [s.ow - tx * tile, Math.min(8, s.o - o)];
        kernels[form.output](to, pixel, row, rows, wide, channels, from, mPitch, tiles, b, clamp.low, clamp.high);
      }
    }
  }
}

export const winograd2 = (operands: Operands, s: Convolution): void => winograd(operands, s, f2);
export const winograd4 = (operands: Operands, s: Convolution): void => winograd(operands, s, f4);
