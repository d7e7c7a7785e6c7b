import type { ConvStep } from "../../plan/types.ts";
import { type Address, type Argument, plus } from "../program.ts";
import type { Layer } from "./conv.ts";
import { packBias } from "./bias.ts";
import type { Image } from "./image.ts";
import type { Producer } from "./producer.ts";
import type { Frame } from "./windows.ts";

/** Accumulators of a slice, per panel: one panel's stay in the first-level cache. */
const slicePixels = 256;

/** One filter per channel, and whole vectors of channels to read. */
export function isDepthwise(step: ConvStep, x: Image, y: Image): boolean {
  return step.groups === x.channels && y.channels === x.channels && x.channels > 1;
}

/** Windows of some rows, and the arguments that all kernels end with: weights, bias, acc, panelPitch, panels. */
type Multiply = (frame: Frame, rows: number, columns: number, operands: readonly Argument[]) => void;

interface Form {
  /** Taps that are multiplied together; −1 for none. */
  readonly pairs: readonly (readonly [number, number])[];
  readonly multiply: Multiply;
}

/** The 3×3 window has kernels for neighbouring windows as far apart as taps, and twice as far. */
function form({ program, kernels, step: { window, stride, dilation } }: Layer): Form {
  const [kh, kw] = window;
  const apart = stride[1] / dilation[1];
  if (kh === 3 && kw === 3 && (apart === 1 || apart === 2)) {
    const run = apart === 1 ? kernels.depthwise3x3 : kernels.depthwise3x3Strided;
    return {
      pairs: [[0, 3], [1, 4], [2, 5], [6, 7], apart === 1 ? [-1, 8] : [8, -1]],
      multiply: ({ from, yStep, xTap, yTap }, rows, columns, operands) =>
        program.call(run, from, rows, columns, yStep, xTap, yTap, ...operands),
    };
  }
  const taps = kh * kw;
  const count = Math.ceil(taps / 2);
  let table: Address | undefined;
  return {
    pairs: Array.from({ length: count }, (_, i) => [2 * i, 2 * i + 1 < taps ? 2 * i + 1 : -1] as const),
    multiply: ({ from, xStep, yStep, xTap, yTap }, rows, columns, operands) => {
      // The same for all slices. The tap that makes the last pair whole is read, so it lies in the window.
      table ??= program.constant(
        Int32Array.from({ length: count * 2 }, (_, i) => {
          const tap = Math.min(i, taps - 1);
          return Math.floor(tap / kw) * yTap + (tap % kw) * xTap;
        }),
      );
      program.call(kernels.depthwise, from, rows, columns, xStep, yStep, table, count, ...operands);
    },
  };
}

/** All channels of a slice, 8 at a time. */
export function depthwise(layer: Layer): Producer {
  const { program, x, y } = layer;
  const rows = y.height;
  const columns = y.width;
  const sliceRows = Math.min(rows, Math.max(1, Math.floor(slicePixels / columns)));
  const panelBytes = sliceRows * columns * 32;
  const { pairs, multiply } = form(layer);
  const weights = program.constant(packPairs(layer, pairs));
  const bias = program.constant(packBias(layer));
  return {
    input: x,
    shape: layer.step,
    rows,
    columns,
    sliceRows,
    panelBytes,
    pixelsBefore: (r) => r * columns,
    begin: () => {},
    panels: (frame, r0, r1, p0, p1, acc) => {
      const operands = [plus(weights, p0 * pairs.length * 16), plus(bias, p0 * 32), acc, panelBytes, p1 - p0];
      multiply({ ...frame, from: plus(frame.from, p0 * 8) }, r1 - r0, columns, operands);
    },
  };
}

/** int8[C][taps] → int8[panels][pairs][8][2]. */
function packPairs({ step, weights, count }: Layer, pairs: Form["pairs"]): Int8Array {
  const taps = step.window[0] * step.window[1];
  const packed = new Int8Array(Math.ceil(count / 8) * pairs.length * 16);
  for (let c = 0; c < count; c++) {
    const panel = (c >> 3) * pairs.length * 16 + (c & 7) * 2;
    for (const [i, pair] of pairs.entries()) {
      for (const [half, tap] of pair.entries()) if (tap >= 0) packed[panel + i * 16 + half] = weights[c * taps + tap]!;
    }
  }
  return packed;
}
