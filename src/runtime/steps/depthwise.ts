import type { ConvStep } from "../../plan/types.ts";
import { plus } from "../program.ts";
import type { Layer } from "./conv.ts";
import { packBias } from "./direct.ts";
import type { Image } from "./image.ts";
import type { Producer } from "./producer.ts";

/** Accumulators of a slice, per panel: one panel's stay in the first-level cache. */
const slicePixels = 256;

/** One filter per channel, and whole vectors of channels to read. */
export function isDepthwise(step: ConvStep, x: Image, y: Image): boolean {
  return step.groups === x.channels && y.channels === x.channels && x.channels > 1;
}

/** All channels of a slice, 8 at a time; weights int8[panels][kh · kw][8]. */
export function depthwise(layer: Layer): Producer {
  const { program, kernels, step, x, y } = layer;
  const [kh, kw] = step.window;
  const rows = y.height;
  const columns = y.width;
  const sliceRows = Math.min(rows, Math.max(1, Math.floor(slicePixels / columns)));
  const panelBytes = sliceRows * columns * 32;
  const weights = program.constant(packChannels(layer));
  const bias = program.constant(packBias(layer));
  const small = layer.weights.every((w) => w !== -128);
  const wide = small ? kernels.depthwisePairs : kernels.depthwise;
  return {
    input: x,
    shape: step,
    rows,
    columns,
    sliceRows,
    panelBytes,
    pixelsBefore: (r) => r * columns,
    begin: () => {},
    panels: ({ from, xStep, yStep, xTap, yTap }, r0, r1, p0, p1, acc) => {
      const first = plus(from, p0 * 8);
      const w = plus(weights, p0 * kh * kw * 8);
      const b = plus(bias, p0 * 32);
      if (small && kh === 3 && kw === 3)
        program.call(kernels.depthwise3x3, first, r1 - r0, columns, xStep, yStep, xTap, yTap, w, b, acc, panelBytes, p1 - p0);
      else program.call(wide, first, r1 - r0, columns, xStep, yStep, kh, kw, xTap, yTap, w, b, acc, panelBytes, p1 - p0);
    },
  };
}

/** int8[C][taps] → int8[panels][taps][8]. */
function packChannels({ step, weights, count }: Layer): Int8Array {
  const taps = step.window[0] * step.window[1];
  const packed = new Int8Array(Math.ceil(count / 8) * taps * 8);
  for (let c = 0; c < count; c++) {
    for (let t = 0; t < taps; t++) packed[((c >> 3) * taps + t) * 8 + (c & 7)] = weights[c * taps + t]!;
  }
  return packed;
}
