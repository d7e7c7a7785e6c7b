import type { ConvStep } from "../../plan/types.ts";
import { plus } from "../program.ts";
import type { Layer } from "./conv.ts";
import { packBias } from "./bias.ts";
import { type Image, roundUp } from "./image.ts";
import type { Producer } from "./producer.ts";

/** Outputs of one column, input rows they see, points of the transform. */
const [tile, span, points] = [3, 12, 6] as const;
/** The division by 24 is exact for accumulators in [−limit, limit). */
const limit = 268435456;

/** First layers by the vertical form of stem.ts: 7 rows, 2 apart, over an image of up to 4 channels. */
export function stemForm(step: ConvStep, x: Image): ((layer: Layer) => Producer) | undefined {
  const { window, stride, dilation, groups, accumulator } = step;
  const fits = window[0] === 7 && stride[0] === 2 && dilation.every((n) => n === 1) && groups === 1 && x.pitch <= 4;
  return fits && accumulator[0] >= -limit && accumulator[1] < limit ? stem : undefined;
}

function stem(layer: Layer): Producer {
  const { program, kernels, step, x, y } = layer;
  const columns = y.width;
  const pairs = step.window[1] * x.pitch;
  const xStep = step.stride[1] * x.pitch * 4;
  const codes = (columns - 1) * step.stride[1] * x.pitch + pairs;
  const vPoint = roundUp(Math.max(codes * 4, (roundUp(columns, 4) - 1) * xStep + pairs * 4), 32);
  const panelBytes = tile * columns * 32;
  const weights = program.constant(transformed(layer));
  const bias = program.constant(packBias(layer));
  const v = program.scratch(points * vPoint);
  const temporary = program.scratch(Math.max(192, points * roundUp(columns, 4) * 32));
  const pixelsBefore = (r: number): number => Math.min(r * tile, y.height) * columns;
  return {
    input: x,
    shape: { window: [span, step.window[1]], stride: [2 * tile, step.stride[1]], dilation: [1, 1], pads: step.pads },
    rows: Math.ceil(y.height / tile),
    columns,
    sliceRows: 1,
    panelBytes,
    pixelsBefore,
    begin: ({ from, yTap }) => program.call(kernels.transformStem, from, yTap, codes, v, vPoint, temporary),
    panels: (_frame, r0, r1, p0, p1, acc) => {
      const height = (pixelsBefore(r1) - pixelsBefore(r0)) / columns;
      const u = plus(weights, p0 * points * pairs * 32);
      const b = plus(bias, p0 * 32);
      program.call(kernels.stem, v, vPoint, xStep, columns, height, u, pairs, b, acc, panelBytes, p1 - p0, temporary);
    },
  };
}

/** G of F(3, 4); odd rows have a fourth tap of 0. |U| ≤ 24 · 128. */
const G = [
  [6, 0, 0, 0],
  [4, 4, 4, 4],
  [4, -4, 4, -4],
  [1, 2, 4, 8],
  [1, -2, 4, -8],
  [0, 0, 0, 24],
] as const;

/** int8[O][7][kw][I] → int16[panels][6][kw · pitch][8][even rows, odd rows]; padding lanes get 0. */
function transformed({ step, x, weights, count, inputs }: Layer): Int16Array {
  const width = step.window[1];
  const pairs = width * x.pitch;
  const u = new Int16Array(Math.ceil(count / 8) * points * pairs * 16);
  for (let o = 0; o < count; o++) {
    for (let t = 0; t < width; t++) {
      for (let i = 0; i < inputs; i++) {
        const tap = (row: number): number => (row < 7 ? weights[((o * 7 + row) * width + t) * inputs + i]! : 0);
        for (const [p, g] of G.entries()) {
          const to = (((o >> 3) * points + p) * pairs + t * x.pitch + i) * 16 + (o & 7) * 2;
          for (const odd of [0, 1]) u[to + odd] = g.reduce((sum: number, factor, k) => sum + factor * tap(2 * k + odd), 0);
        }
      }
    }
  }
  return u;
}
