// Rows of codes widened to int16, several in a tile, times weights int8[panels][K/2][8][2].
import { type Address, plus } from "../program.ts";
import { packBias, shiftedBias } from "./bias.ts";
import type { Layer } from "./conv.ts";
import { roundUp } from "./image.ts";
import type { RowProducts, RowShape } from "./rows.ts";
import { panelStore, type Source } from "./weights.ts";

/** Rows as int16, several in a tile, by weights int8[panels][K/2][8][2]. */
export function widened(layer: Layer, shape: RowShape): RowProducts {
  const { program, kernels } = layer;
  const { tap, inner, rows, panelPitch } = shape;
  const every = pairsBetweenLooks(layer, inner);
  const tile = every === undefined ? fours(layer, shape) : eights(layer, shape, every);
  const pairs = Math.ceil(inner / 2);
  const rowPitch = roundUp(inner, 8) * 2;
  const holes = tap > layer.inputs || inner % 2 !== 0;
  const store = panelStore(layer, pairs * 16, holes, (source) => packPairs(layer, tap, pairs, source));
  const bias = program.constant(packBias(layer));
  const multiply = tile.prepare(pairs, bias);
  const tiles = program.scratch((rows / tile.rows) * 4 * rowPitch);
  const single = program.scratch(rowPitch);
  return {
    begin(from, pitch, count) {
      const tiled = inTiles(count, tile);
      if (tiled > 0) tile.widen(from, pitch, tiles, tiled);
      if (tiled < count) program.call(kernels.widen, plus(from, tiled * pitch), single, inner);
    },
    panels(count, p0, p1, acc) {
      const tiled = inTiles(count, tile);
      for (const { weights, first, count: panels } of store.runs(p0, p1, "call")) {
        const b = plus(bias, first * 32);
        const to = plus(acc, (first - p0) * panelPitch);
        if (tiled > 0) multiply(tiles, rowPitch * 4, tiled, weights, first, to, panelPitch, panels);
        if (tiled < count) program.call(kernels.gemv, single, weights, pairs, b, plus(to, tiled * 32), panelPitch, panels);
      }
    },
  };
}

/** One row more than tiles (a map of 7×7 has 49) is multiplied alone: a tile for it would be mostly waste. */
const inTiles = (count: number, { rows }: Tile): number => (count % rows === 1 ? count - 1 : count);

/** How rows are widened and multiplied, several at a time: always 4 lanes of int16. */
interface Tile {
  readonly rows: number;
  widen(from: Address, pitch: number, to: Address, rows: number): void;
  prepare(pairs: number, bias: Address): Multiply;
}

/** Writes int32[panels][rows][8] at `acc`, from panels of int8 weights, the first of them number `first` of the layer. */
type Multiply = (
  tiles: Address,
  tilePitch: number,
  rows: number,
  weights: Address,
  first: number,
  acc: Address,
  panelPitch: number,
  panels: number,
) => void;

function fours({ program, kernels }: Layer, { inner }: RowShape): Tile {
  return {
    rows: 4,
    widen: (from, pitch, to, rows) => program.call(kernels.widenFours, from, pitch, to, rows, inner),
    prepare(pairs, bias) {
      const wide = program.scratch(pairs * 32);
      return (tiles, tilePitch, rows, weights, first, acc, panelPitch, panels) =>
        program.call(kernels.gemm, tiles, tilePitch, rows, weights, pairs, wide, plus(bias, first * 32), acc, panelPitch, panels);
    },
  };
}

/** Two rows a lane, for codes of 4 bits: half as many products. */
function eights(layer: Layer, { inner }: RowShape, every: number): Tile {
  const { program, kernels, range } = layer;
  const [least] = range;
  return {
    rows: 8,
    widen: (from, pitch, to, rows) => program.call(kernels.widenPairs, from, pitch, to, rows, inner, least),
    prepare(pairs) {
      const low = program.constant(shiftedBias(layer, least));
      const high = program.constant(shiftedBias(layer, least + 8));
      const wide = program.scratch(pairs * 32);
      const looks = program.scratch(256);
      return (tiles, tilePitch, rows, weights, first, acc, panelPitch, panels) => {
        const [b0, b1] = [plus(low, first * 32), plus(high, first * 32)];
        program.call(kernels.gemmPairs, tiles, tilePitch, rows, weights, pairs, every, wide, looks, b0, b1, acc, panelPitch, panels);
      };
    },
  };
}

/** Looking at every fourth pair costs what two rows a lane win. */
const fewestBetweenLooks = 4;

/** How many pairs of taps gemmPairs takes from look to look; undefined where codes have more than 4 bits, or weights are too large. */
function pairsBetweenLooks({ range: [least, most], weights, step, first, count, inputs }: Layer, inner: number): number | undefined {
  if (most - least > 15) return undefined;
  const taps = step.window[0] * step.window[1] * inputs;
  const largest = weights.subarray(first * taps, (first + count) * taps).reduce((m, w) => Math.max(m, Math.abs(w)), 1);
  const every = Math.floor(2047 / (2 * 15 * largest));
  return every >= fewestBetweenLooks && (inner + 1) * 8 * largest < 2 ** 19 ? every : undefined;
}

/** [O][kh][kw][I] → [panels][pairs][8][2]. */
function packPairs({ step, first, count, inputs }: Layer, tap: number, pairs: number, { bytes, none }: Source): Int8Array {
  const taps = step.window[0] * step.window[1];
  const packed = new Int8Array(Math.ceil(count / 8) * pairs * 16).fill(none);
  for (let o = 0; o < count; o++) {
    const panel = (o >> 3) * pairs * 16 + (o & 7) * 2;
    const row = (first + o) * taps * inputs;
    for (let t = 0; t < taps; t++) {
      for (let i = 0; i < inputs; i++) {
        const k = t * tap + i;
        packed[panel + (k >> 1) * 16 + (k & 1)] = bytes[row + t * inputs + i]!;
      }
    }
  }
  return packed;
}
