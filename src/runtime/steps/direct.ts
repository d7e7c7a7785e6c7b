import { type Address, plus } from "../program.ts";
import type { Layer } from "./conv.ts";
import { type Image, pixels, roundUp } from "./image.ts";
import { type Producer, panelGroup } from "./producer.ts";
import { panelStore, type Source } from "./weights.ts";
import type { WindowShape } from "./windows.ts";

/** Bytes of widened windows per slice: they stay in a 1 MiB second-level cache next to the weights. */
const sliceBytes = 262144;
/** More pixels than this per slice reuse nothing more, and their accumulators leave the first-level cache. */
const slicePixels = 128;

/** Windows as rows of codes, widened in fours, times weights int8[panels][K/2][8][2]: any window, stride, dilation and group. */
export function direct(layer: Layer): Producer {
  const { program, kernels, step } = layer;
  const { input, shape, rows, columns } = grid(layer);
  const [kh, kw] = shape.window;
  const ungrouped = step.groups === 1;
  // One group takes whole pixels, padding lanes included (their weights are 0): neighbouring taps are then one run.
  const tap = ungrouped ? input.pitch : layer.inputs;
  const merged = ungrouped && shape.dilation[1] === 1;
  const run = merged ? kw * tap : tap;
  const runs = merged ? 1 : kw;
  const inner = kh * kw * tap;
  const pairs = Math.ceil(inner / 2);
  // Only a flat grid's pixels lie one behind the other: strides and borders also lead to a single column.
  const pointwise = input !== layer.x && ungrouped;
  const padded = roundUp(inner, 8);
  const rowPitch = padded * 2;

  const wanted = Math.max(8, Math.min(slicePixels, Math.floor(sliceBytes / rowPitch)));
  const sliceRows = Math.min(rows, Math.max(1, Math.floor(wanted / columns)));
  const tile = tileOf(layer, inner);
  const sliceSize = roundUp(sliceRows * columns, tile.rows);
  const holes = tap > layer.inputs || inner % 2 !== 0;
  const store = panelStore(layer, pairs * 16, holes, (source) => packPairs(layer, tap, pairs, source));
  const bias = program.constant(packBias(layer));
  const multiply = tile.prepare(pairs, bias);
  const codes = pointwise ? undefined : program.scratch(sliceSize * padded);
  const tiles = program.scratch((sliceSize / tile.rows) * 4 * rowPitch);
  const single = program.scratch(rowPitch);
  return {
    input,
    shape,
    rows,
    columns,
    sliceRows,
    panelBytes: sliceSize * 32,
    pixelsBefore: (r) => r * columns,
    begin: (frame, r0, r1) => {
      const from = plus(frame.from, layer.firstInput);
      const tiled = inTiles((r1 - r0) * columns, tile);
      if (codes)
        program.call(
          kernels.patches,
          from,
          codes,
          padded,
          r1 - r0,
          columns,
          frame.xStep,
          frame.yStep,
          kh,
          runs,
          run,
          frame.xTap,
          frame.yTap,
        );
      const [image, pitch] = codes ? [codes, padded] : [from, tap];
      if (tiled > 0) tile.widen(image, pitch, tiles, tiled);
      if (tiled < (r1 - r0) * columns) program.call(kernels.widen, plus(image, tiled * pitch), single, inner);
    },
    panels: (_frame, r0, r1, p0, p1, acc) => {
      const pixels = (r1 - r0) * columns;
      const tiled = inTiles(pixels, tile);
      const panelPitch = sliceSize * 32;
      for (const { weights, first, count } of store.runs(p0, p1, "call")) {
        const b = plus(bias, first * 32);
        const to = plus(acc, (first - p0) * panelPitch);
        if (tiled > 0) multiply(tiles, rowPitch * 4, tiled, weights, first, to, panelPitch, count);
        if (tiled < pixels) program.call(kernels.gemv, single, weights, pairs, b, plus(to, tiled * 32), panelPitch, count);
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

/** The tile of a layer whose windows hold `inner` codes. */
function tileOf(layer: Layer, inner: number): Tile {
  const every = pairsBetweenLooks(layer, inner);
  return every === undefined ? fours(layer, inner) : eights(layer, inner, every);
}

function fours({ program, kernels }: Layer, inner: number): Tile {
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
function eights(layer: Layer, inner: number, every: number): Tile {
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

/** The bias that stands for codes counted from `origin` on. */
function shiftedBias(layer: Layer, origin: number): Int32Array {
  const { weights, step, first, count, inputs } = layer;
  const taps = step.window[0] * step.window[1] * inputs;
  const packed = packBias(layer);
  for (let o = 0; o < count; o++) {
    const row = weights.subarray((first + o) * taps, (first + o + 1) * taps);
    packed[o]! += origin * row.reduce((sum, w) => sum + w, 0);
  }
  return packed;
}

interface Grid {
  readonly input: Image;
  readonly shape: WindowShape;
  readonly rows: number;
  readonly columns: number;
}

/** The grid of output pixels; a 1×1 window of stride 1 without border sees the image as one column of pixels. */
function grid({ step, x, y }: Layer): Grid {
  const flat = [...step.window, ...step.stride].every((n) => n === 1) && step.pads.every((n) => n === 0);
  if (!flat) return { input: x, shape: step, rows: y.height, columns: y.width };
  return { input: { ...x, height: pixels(x), width: 1 }, shape: step, rows: pixels(y), columns: 1 };
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

/** int32[panels][8]; room for a whole group of panels. */
export function packBias({ bias, first, count }: Layer): Int32Array {
  const packed = new Int32Array(roundUp(count, 8 * panelGroup));
  packed.set(bias.subarray(first, first + count));
  return packed;
}
