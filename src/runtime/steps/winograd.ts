import type { ConvStep } from "../../plan/types.ts";
import { plus } from "../program.ts";
import type { Layer } from "./conv.ts";
import { packBias } from "./bias.ts";
import { type Image, pixels, roundUp } from "./image.ts";
import type { Producer } from "./producer.ts";
import { panelStore, type Source } from "./weights.ts";

/**
 * F(m×m, 3×3): tiles of m×m outputs from (m + 2)² inputs by as many products. The accumulator must lie in [−limit, limit) for the exact
 * division by the form's scale.
 */
const forms = [
  { tile: 4, points: 36, limit: 33554432, transformInput: "transformInput4", transformWeights: "transformWeights4", multiply: "winograd4" },
  {
    tile: 2,
    points: 16,
    limit: 536870912,
    transformInput: "transformInput2",
    transformWeights: "transformWeights2",
    multiply: "winograd2",
  },
] as const;
type Form = (typeof forms)[number];

/** Products of 4 tiles make one step of the kernel. */
const tilesOf = (y: Image, tile: number): number => roundUp(Math.ceil(y.height / tile) * Math.ceil(y.width / tile), 4);

/**
 * The form with the fewest products per channel pair, or undefined where the direct sum has no more. Only 3×3 windows of stride 1 over
 * whole vectors of channels, and only where the step's accumulator interval admits the form: beyond it a result would jump, not saturate.
 */
export function winogradForm(step: ConvStep, x: Image, y: Image): ((layer: Layer) => Producer) | undefined {
  const threes = step.window.every((n) => n === 3) && [...step.stride, ...step.dilation].every((n) => n === 1);
  if (!threes || groupChannels(step, x) % 8 !== 0) return undefined;
  const [lo, hi] = step.accumulator;
  let best = 9 * roundUp(pixels(y), 4);
  let chosen: Form | undefined;
  for (const form of forms) {
    const products = form.points * tilesOf(y, form.tile);
    const better = form.tile === 4 ? products <= best : products < best;
    if (!better || lo < -form.limit || hi >= form.limit) continue;
    best = products;
    chosen = form;
  }
  return chosen && ((layer) => winograd(layer, chosen));
}

/** A slice holds at least this many tiles, so that weights are used more than once. */
const sliceTiles = 24;
/** Kept out of step with powers of two: 36 streams 4096 bytes apart would share one set of the first-level cache. */
const stagger = 64;
/** F(4×4)'s transformed weights are 8 times as large: for few tiles and many channels they are made for the one slice instead of kept. */
const streamedChannels = 256;
const streamedTiles = 16;

/** Input channels of a group; of a single one padding lanes included, their weights are 0. */
const groupChannels = (step: ConvStep, x: Image): number => (step.groups === 1 ? x.pitch : x.channels / step.groups);

function winograd(layer: Layer, form: Form): Producer {
  const { program, kernels, step, x, y } = layer;
  const { tile, points } = form;
  const [rows, columns] = [Math.ceil(y.height / tile), Math.ceil(y.width / tile)];
  const sliceRows = Math.min(rows, Math.ceil(sliceTiles / columns));
  const sliceSize = roundUp(sliceRows * columns, 4);
  const channels = groupChannels(step, x);
  const pairs = channels / 2;
  const panels = Math.ceil(layer.count / 8);
  const vPoint = sliceSize * channels * 2 + stagger;
  const uPoint = pairs * 32 + stagger;
  const panelBytes = roundUp(Math.min(sliceRows * tile, y.height) * y.width, 4) * 32;

  const store = panelStore(layer, pairs * 144, channels > layer.inputs, (source) => packTaps(layer, pairs, source));
  const bias = program.constant(packBias(layer));
  const v = program.scratch(points * vPoint);
  const temporary = program.scratch(Math.max(96 * (4 * columns + 2), 384 + points * sliceSize * 32));
  const streamed = tile === 4 && rows * columns <= streamedTiles && channels >= streamedChannels;
  const panelU = points * uPoint;
  const u = streamed ? program.scratch(panelU) : program.space(panels * panelU);
  if (!streamed) {
    for (const { weights, first, count } of store.runs(0, panels, "setup"))
      program.setup(kernels[form.transformWeights], weights, pairs, plus(u, first * panelU), uPoint, count, temporary);
  }
  const pixelsBefore = (r: number): number => Math.min(r * tile, y.height) * y.width;
  return {
    input: x,
    shape: { window: [tile + 2, tile + 2], stride: [tile, tile], dilation: [1, 1], pads: step.pads },
    rows,
    columns,
    sliceRows,
    panelBytes,
    pixelsBefore,
    begin: ({ from, xTap, yTap }, r0, r1) => {
      program.call(
        kernels[form.transformInput],
        plus(from, layer.firstInput),
        xTap,
        yTap,
        r1 - r0,
        columns,
        channels,
        v,
        vPoint,
        temporary,
      );
    },
    panels: (_frame, r0, r1, p0, p1, acc) => {
      const height = (pixelsBefore(r1) - pixelsBefore(r0)) / y.width;
      const multiply = (first: number, count: number): void => {
        const weights = streamed ? u : plus(u, first * panelU);
        const b = plus(bias, first * 32);
        const to = plus(acc, (first - p0) * panelBytes);
        program.call(
          kernels[form.multiply],
          v,
          vPoint,
          channels,
          r1 - r0,
          columns,
          height,
          y.width,
          weights,
          uPoint,
          b,
          to,
          panelBytes,
          count,
          temporary,
        );
      };
      if (!streamed) {
        multiply(p0, p1 - p0);
        return;
      }
      for (let p = p0; p < p1; p++) {
        for (const { weights } of store.runs(p, p + 1, "call"))
          program.call(kernels[form.transformWeights], weights, pairs, u, uPoint, 1, temporary);
        multiply(p, 1);
      }
    },
  };
}

/** [O][3][3][I] → [panels][pairs][9][8][2]. */
function packTaps({ first, count, inputs }: Layer, pairs: number, { bytes, none }: Source): Int8Array {
  const packed = new Int8Array(Math.ceil(count / 8) * pairs * 144).fill(none);
  for (let o = 0; o < count; o++) {
    const panel = (o >> 3) * pairs * 144 + (o & 7) * 2;
    for (let t = 0; t < 9; t++) {
      for (let i = 0; i < inputs; i++) packed[panel + (i >> 1) * 144 + t * 16 + (i & 1)] = bytes[((first + o) * 9 + t) * inputs + i]!;
    }
  }
  return packed;
}
