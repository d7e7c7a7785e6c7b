import { type CodeRange, requantize, type Rounding, toCode } from "./requantize.ts";
import { eachTap, type IntegerWindow, type Size } from "./window.ts";

function pool(size: Size, outSize: Size, pixel: (oy: number, ox: number, channel: number) => number): Int8Array {
  const [height, width, channels] = outSize;
  const y = new Int8Array(height * width * channels);
  for (let oy = 0; oy < height; oy++) {
    for (let ox = 0; ox < width; ox++) {
      for (let c = 0; c < size[2]; c++) y[(oy * width + ox) * channels + c] = pixel(oy, ox, c);
    }
  }
  return y;
}

/** The largest code of each window; taps outside are skipped. int8[H][W][C] → int8[OH][OW][C]. */
export function maxPoolCodes(x: Int8Array, size: Size, outSize: Size, shape: IntegerWindow): Int8Array {
  return pool(size, outSize, (oy, ox, c) => {
    let best = -128;
    eachTap(shape, size, oy, ox, (y, col, _ky, _kx, inside) => {
      if (inside) best = Math.max(best, x[(y * size[1] + col) * size[2] + c]!);
    });
    return best;
  });
}

/** Multiplier and shift for each number of taps n, at index n − 1. */
export interface Averaging extends CodeRange {
  readonly multiplier: Int32Array;
  readonly shift: Int32Array;
  readonly rounding: Rounding;
}

/** Σ (code − zeroPoint) of each window → `mean(sum, taps)`; taps outside add 0 and count only with `includePads` and inside the padding. */
function meanPool(
  x: Int8Array,
  size: Size,
  outSize: Size,
  shape: IntegerWindow,
  zeroPoint: number,
  includePads: boolean,
  mean: (sum: number, taps: number) => number,
): Int8Array {
  const { pads } = shape;
  return pool(size, outSize, (oy, ox, c) => {
    let sum = 0;
    let taps = 0;
    eachTap(shape, size, oy, ox, (y, col, _ky, _kx, inside) => {
      if (inside) sum += x[(y * size[1] + col) * size[2] + c]! - zeroPoint;
      const padded = y >= -pads[0] && y < size[0] + pads[2] && col >= -pads[1] && col < size[1] + pads[3];
      if (inside || (includePads && padded)) taps++;
    });
    return mean(sum, taps);
  });
}

/** zero + round(Σ (code − zeroPoint) · m[taps]), clamped: one rounding into a scale of its own. */
export function averagePoolCodes(
  x: Int8Array,
  size: Size,
  outSize: Size,
  shape: IntegerWindow,
  zeroPoint: number,
  includePads: boolean,
  averaging: Averaging,
): Int8Array {
  const { multiplier, shift, rounding } = averaging;
  return meanPool(x, size, outSize, shape, zeroPoint, includePads, (sum, taps) =>
    toCode(requantize(sum, multiplier[taps - 1]!, shift[taps - 1]!, rounding), averaging),
  );
}

/** TensorFlow Lite's average pool: Σ code / taps, halves away from zero, in the scale of the input. Not an arithmetic of the runtime. */
export function averagePoolAway(x: Int8Array, size: Size, outSize: Size, shape: IntegerWindow, lo: number, hi: number): Int8Array {
  return meanPool(x, size, outSize, shape, 0, false, (sum, taps) => {
    const magnitude = Math.floor((Math.abs(sum) + (taps >> 1)) / taps);
    return Math.min(Math.max(sum < 0 ? -magnitude : magnitude, lo), hi);
  });
}
