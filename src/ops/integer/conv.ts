import { eachTap, type IntegerWindow, type Size } from "./window.ts";

/**
 * Accumulators of a convolution: bias[o] + Σ w · x, taps outside the image holding the zero point (whose product the bias has folded in).
 * Depthwise layers have groups = channels, dense layers a 1×1 window over one row.
 *
 * @param x       int8[H][W][I]
 * @param w       int8[O][kh][kw][I / groups]
 * @param bias    int32[O]
 * @param outSize [H, W, O] of the result
 * @returns       int32[H][W][O], modulo 2³²
 */
export function convAccumulators(
  x: Int8Array,
  size: Size,
  w: Int8Array,
  bias: Int32Array,
  outSize: Size,
  shape: IntegerWindow,
  groups: number,
  zeroPoint: number,
): Int32Array {
  const [outHeight, outWidth, outputs] = outSize;
  const [, width, channels] = size;
  const [kh, kw] = shape.window;
  const inputs = channels / groups;
  const acc = new Int32Array(outHeight * outWidth * outputs);
  for (let oy = 0; oy < outHeight; oy++) {
    for (let ox = 0; ox < outWidth; ox++) {
      for (let o = 0; o < outputs; o++) {
        const first = Math.floor(o / (outputs / groups)) * inputs;
        let sum = bias[o]!;
        eachTap(shape, size, oy, ox, (y, col, ky, kx, inside) => {
          const tap = ((o * kh + ky) * kw + kx) * inputs;
          const pixel = (y * width + col) * channels + first;
          for (let i = 0; i < inputs; i++) sum = (sum + w[tap + i]! * (inside ? x[pixel + i]! : zeroPoint)) | 0;
        });
        acc[(oy * outWidth + ox) * outputs + o] = sum;
      }
    }
  }
  return acc;
}
