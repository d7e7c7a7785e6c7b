// Rows of codes times weights as a matrix: a table of forms, by what is known of the codes and the weights. All give the same bits.
import type { CodedWeights } from "../../plan/weights.ts";
import { type Address, plus } from "../program.ts";
import type { Layer } from "./conv.ts";
import { roundUp } from "./image.ts";
import { panelGroup } from "./producer.ts";
import { panelStore, type Source } from "./weights.ts";

export interface RowShape {
  /** Codes of a tap, padding lanes included, and of a row: taps one behind the other. */
  readonly tap: number;
  readonly inner: number;
  /** At most so many rows at a time, a multiple of mostTile. */
  readonly rows: number;
  /** Bytes between panels of accumulators, for all of them. */
  readonly panelPitch: number;
}

export interface RowProducts {
  /** @param from int8[rows][pitch], up to 15 bytes further are read */
  begin(from: Address, pitch: number, rows: number): void;
  /** Writes int32[p1 − p0][rows][8]. */
  panels(rows: number, p0: number, p1: number, acc: Address): void;
}

/** No form makes more rows at once: room for them is kept behind the last. */
export const mostTile = 8;

/** The first form that fits is the fastest. */
export function rowProducts(layer: Layer, shape: RowShape): RowProducts {
  if (countsBits(layer)) return bits(layer, layer.coded!, shape);
  const every = pairsBetweenLooks(layer, shape.inner);
  return widened(layer, shape, every === undefined ? fours(layer, shape) : eights(layer, shape, every));
}

/** Codes and weights of two values each: three times as fast as any other form, so that windows become rows for it. */
export const countsBits = ({ coded, range: [least, most] }: Pick<Layer, "coded" | "range">): boolean =>
  coded?.levels.length === 2 && most - least <= 1;

/** Rows as int16, several in a tile, by weights int8[panels][K/2][8][2]. */
function widened(layer: Layer, { tap, inner, rows, panelPitch }: RowShape, tile: Tile): RowProducts {
  const { program, kernels } = layer;
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

// Bits ----------------------------------------------------------------------------------------------------------------------------

const wordBits = 64;

/**
 * Codes of 1 bit by weights of 1 bit, x = least + b and w = l₀ + (l₁ − l₀) v: Σ x w = least Σ w + l₀ Σ b + (l₁ − l₀) Σ b v, and the sums of
 * bits are counted a word at a time.
 */
function bits(layer: Layer, { levels, indices }: CodedWeights, { tap, inner, rows, panelPitch }: RowShape): RowProducts {
  const { program, kernels, range } = layer;
  const [least] = range;
  const [l0, l1] = levels as unknown as [number, number];
  const words = Math.ceil(inner / wordBits);
  const rowBytes = words * 8;
  const { matrix, taken } = packBits(layer, indices, tap, words);
  const weights = program.constant(matrix);
  const mask = program.constant(taken);
  const bias = program.constant(shiftedBias(layer, least));
  const packed = program.scratch(rows * rowBytes);
  const counts = program.scratch(rows * 4);
  return {
    begin: (from, pitch, count) => program.call(kernels.packBits, from, pitch, packed, count, inner, least, mask, counts),
    panels(count, p0, p1, acc) {
      const from = plus(weights, p0 * words * 64);
      program.call(kernels.gemmBits, packed, counts, words, count, from, l0, l1 - l0, plus(bias, p0 * 32), acc, panelPitch, p1 - p0);
    },
  };
}

/** uint64[panels][words][8] of a layer's indices in the order of its rows, and uint64[words] of the places that have weights. */
function packBits(
  { step, first, count, inputs }: Layer,
  indices: Uint8Array,
  tap: number,
  words: number,
): { matrix: Uint8Array; taken: Uint8Array } {
  const taps = step.window[0] * step.window[1];
  const matrix = new Uint8Array(Math.ceil(count / 8) * words * 64);
  const taken = new Uint8Array(words * 8);
  for (let t = 0; t < taps; t++) {
    for (let i = 0; i < inputs; i++) {
      const k = t * tap + i;
      const bit = 1 << (k & 7);
      taken[k >> 3]! |= bit;
      for (let o = 0; o < count; o++) {
        if (indices[((first + o) * taps + t) * inputs + i] !== 1) continue;
        const word = ((o >> 3) * words + (k >> 6)) * 8 + (o & 7);
        matrix[word * 8 + ((k & 63) >> 3)]! |= bit;
      }
    }
  }
  return { matrix, taken };
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
