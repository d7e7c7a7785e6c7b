import type { ConvStep } from "../../plan/types.ts";
import { plus } from "../program.ts";
import type { Layer } from "./conv.ts";
import { packBias } from "./bias.ts";
import { type Image, pixels, roundUp } from "./image.ts";
import type { Producer } from "./producer.ts";

const tile = 4;
/** The division by 36 is exact for accumulators in [−limit, limit). */
const limit = 536870912;
/** Beyond it the transformed weights come from memory faster than they can be used. */
const mostWeightBytes = 3e6;
const fewestPixels = 64;
/** A slice holds at least this many tiles, so that weights are used more than once. */
const sliceTiles = 24;
/** Between points of V: keeps them out of step with powers of two. */
const stagger = 64;

const tilesOf = (y: Image): number => roundUp(Math.ceil(y.height / tile) * Math.ceil(y.width / tile), 4);

/** 3×3 windows 2 apart by the 81 products of strided.ts, where they are at most three quarters of the direct sum's and fit the interval. */
export function stridedForm(step: ConvStep, x: Image, y: Image): ((layer: Layer) => Producer) | undefined {
  const { window, stride, dilation, groups, accumulator } = step;
  const shape = window.every((n) => n === 3) && stride.every((n) => n === 2) && dilation.every((n) => n === 1);
  if (!shape || groups !== 1 || x.pitch % 8 !== 0) return undefined;
  const fewer = 4 * 81 * tilesOf(y) <= 3 * 9 * roundUp(pixels(y), 4);
  const small = 162 * x.pitch * roundUp(y.channels, 8) <= mostWeightBytes;
  return fewer && small && pixels(y) >= fewestPixels && accumulator[0] >= -limit && accumulator[1] < limit ? strided : undefined;
}

function strided(layer: Layer): Producer {
  const { program, kernels, step, x, y } = layer;
  const [rows, columns] = [Math.ceil(y.height / tile), Math.ceil(y.width / tile)];
  const sliceRows = Math.min(rows, Math.ceil(sliceTiles / columns));
  const channels = x.pitch;
  const panelBytes = roundUp(Math.min(sliceRows * tile, y.height) * y.width, 4) * 32;
  const panelU = 81 * channels * 16;

  const weights = program.constant(transformed(layer));
  const bias = program.constant(packBias(layer));
  const sliceSize = (r0: number, r1: number): number => roundUp((r1 - r0) * columns, 4);
  const most = sliceSize(0, sliceRows);
  const v = program.scratch(81 * channels * 2 * most + 25 * stagger);
  const temporary = program.scratch(Math.max(1296, 320 + 800 * most));
  const last = sliceSize(rows - (rows % sliceRows || sliceRows), rows);
  const places = new Map([most, last].map((size) => [size, program.constant(partPlaces(size, channels))]));
  const pixelsBefore = (r: number): number => Math.min(r * tile, y.height) * y.width;
  return {
    input: x,
    shape: { window: [9, 9], stride: [8, 8], dilation: [1, 1], pads: step.pads },
    rows,
    columns,
    sliceRows,
    panelBytes,
    pixelsBefore,
    begin: ({ from, xTap, yTap }, r0, r1) => {
      const table = places.get(sliceSize(r0, r1))!;
      program.call(kernels.transformStrided, from, xTap, yTap, r1 - r0, columns, channels, v, table, temporary);
    },
    panels: (_frame, r0, r1, p0, p1, acc) => {
      const height = (pixelsBefore(r1) - pixelsBefore(r0)) / y.width;
      const u = plus(weights, p0 * panelU);
      const b = plus(bias, p0 * 32);
      const size = [channels, r1 - r0, columns, height, y.width] as const;
      program.call(kernels.strided, v, stagger, ...size, u, b, acc, panelBytes, p1 - p0, temporary);
    },
  };
}

/** One direction: points of even pixels, then of odd ones, with the taps' coefficients at each. |U| ≤ 36 · 128. */
const parts: readonly { readonly odd: 0 | 1; readonly point: number; readonly taps: readonly [number, number, number] }[] = [
  { odd: 0, point: 0, taps: [3, 0, 0] },
  { odd: 0, point: 1, taps: [-3, 0, -3] },
  { odd: 0, point: 2, taps: [-1, 0, 1] },
  { odd: 0, point: 3, taps: [1, 0, 2] },
  { odd: 0, point: 4, taps: [0, 0, 6] },
  { odd: 1, point: 0, taps: [0, -6, 0] },
  { odd: 1, point: 1, taps: [0, 3, 0] },
  { odd: 1, point: 2, taps: [0, 3, 0] },
  { odd: 1, point: 4, taps: [0, 6, 0] },
];

/** Parts that point (i, j) has, and which of them (down, across) is. */
const partsOf = (i: number, j: number): number => (i === 3 ? 1 : 2) * (j === 3 ? 1 : 2);
const partIndex = (i: number, j: number, down: number, across: number): number => (i === 3 ? across : j === 3 ? down : 2 * down + across);

/** Parts before point (i, j). */
function partsBefore(i: number, j: number): number {
  let sum = 0;
  for (let p = 0; p < i * 5 + j; p++) sum += partsOf(Math.floor(p / 5), p % 5);
  return sum;
}

/** int32[9][9]: bytes from V where each part of the first tile begins. */
function partPlaces(tiles: number, channels: number): Int32Array {
  return Int32Array.from({ length: 81 }, (_, n) => {
    const [down, across] = [parts[Math.floor(n / 9)]!, parts[n % 9]!];
    const [i, j] = [down.point, across.point];
    const point = partsBefore(i, j) * tiles * channels * 2 + (i * 5 + j) * stagger;
    return point + partIndex(i, j, down.odd, across.odd) * channels * 2;
  });
}

/** int8[O][3][3][I] → int16[panels][81 · pitch / 2][8][2]; padding lanes get 0. */
function transformed({ x, weights, count, inputs }: Layer): Int16Array {
  const channels = x.pitch;
  const u = new Int16Array(Math.ceil(count / 8) * 81 * channels * 8);
  for (const down of parts) {
    for (const across of parts) {
      const [i, j] = [down.point, across.point];
      const first = partsBefore(i, j) + partIndex(i, j, down.odd, across.odd);
      const factors = down.taps.flatMap((a) => across.taps.map((b) => a * b));
      for (let o = 0; o < count; o++) {
        const panel = (o >> 3) * 81 * channels * 8 + first * channels * 8 + (o & 7) * 2;
        for (let c = 0; c < inputs; c++) {
          let sum = 0;
          for (let t = 0; t < 9; t++) sum += factors[t]! * weights[(o * 9 + t) * inputs + c]!;
          u[panel + (c >> 1) * 16 + (c & 1)] = sum;
        }
      }
    }
  }
  return u;
}
