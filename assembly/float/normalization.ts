// Normalizations. Moments are float64 inside, in two passes (mean, then squares of differences), summed in an order that
// depends on the normalized length alone. Values are readable up to 16 bytes beyond their end.

import { high2, low2, narrow4, storeSome, sumLanes } from "./lanes";
import { sumRow } from "./reduce";

/** dst[r, c] = src[r, c] · scale[c] + shift[c] */
export function scaleShift(dst: usize, src: usize, scale: usize, shift: usize, rows: i32, columns: i32): void {
  const row = (<usize>columns) << 2;
  for (let r = 0; r < rows; r++, dst += row, src += row) affineRow(dst, src, scale, shift, columns);
}

function affineRow(dst: usize, src: usize, scale: usize, shift: usize, n: i32): void {
  const end = dst + ((<usize>(n & ~3)) << 2);
  for (; dst < end; dst += 16, src += 16, scale += 16, shift += 16) {
    v128.store(dst, f32x4.add(f32x4.mul(v128.load(src), v128.load(scale)), v128.load(shift)));
  }
  storeSome(dst, f32x4.add(f32x4.mul(v128.load(src), v128.load(scale)), v128.load(shift)), n & 3);
}

/** Each row of n: (x − mean) / √(variance + epsilon) · gamma + beta, gamma and beta [n]. */
export function layerNorm(dst: usize, src: usize, gamma: usize, beta: usize, rows: i32, n: i32, epsilon: f64): void {
  const row = (<usize>n) << 2;
  for (let r = 0; r < rows; r++, dst += row, src += row) {
    const mean = sumRow(src, n) / <f64>n;
    const inverse = 1 / sqrt(squaresOfRow(src, n, mean) / <f64>n + epsilon);
    standardizeRow(dst, src, f32x4.splat(<f32>mean), f32x4.splat(<f32>inverse), n);
    affineRow(dst, dst, gamma, beta, n);
  }
}

function standardizeRow(dst: usize, src: usize, mean: v128, inverse: v128, n: i32): void {
  const end = dst + ((<usize>(n & ~3)) << 2);
  for (; dst < end; dst += 16, src += 16) v128.store(dst, f32x4.mul(f32x4.sub(v128.load(src), mean), inverse));
  storeSome(dst, f32x4.mul(f32x4.sub(v128.load(src), mean), inverse), n & 3);
}

/** Σ (x − mean)² of n float32. */
function squaresOfRow(src: usize, n: i32, mean: f64): f64 {
  const m = f64x2.splat(mean);
  let low = f64x2.splat(0);
  let high = low;
  const end = src + ((<usize>(n & ~3)) << 2);
  for (; src < end; src += 16) {
    const v = v128.load(src);
    const a = f64x2.sub(low2(v), m);
    const b = f64x2.sub(high2(v), m);
    low = f64x2.add(low, f64x2.mul(a, a));
    high = f64x2.add(high, f64x2.mul(b, b));
  }
  let total = sumLanes(low, high);
  const last = end + ((<usize>(n & 3)) << 2);
  for (; src < last; src += 4) {
    const d = <f64>load<f32>(src) - mean;
    total += d * d;
  }
  return total;
}

/** Images [images, pixels, channels]: each channel of each image to mean 0 and variance 1, then · gamma + beta, [channels]. */
export function instanceNorm(
  dst: usize,
  src: usize,
  gamma: usize,
  beta: usize,
  images: i32,
  pixels: i32,
  channels: i32,
  epsilon: f64,
): void {
  const line = (<usize>channels) << 2;
  for (let i = 0; i < images; i++, dst += line * pixels, src += line * pixels) {
    for (let c = 0; c < channels; c += 4) {
      const at = (<usize>c) << 2;
      const count = min(4, channels - c);
      normalizeColumns(dst + at, src + at, v128.load(gamma + at), v128.load(beta + at), pixels, line, count, epsilon);
    }
  }
}

/** Four neighbouring columns, of which the first `count` are written. */
function normalizeColumns(dst: usize, src: usize, gamma: v128, beta: v128, n: i32, line: usize, count: i32, epsilon: f64): void {
  const divisor = f64x2.splat(<f64>n);
  let low = f64x2.splat(0);
  let high = low;
  const end = src + line * n;
  for (let p = src; p < end; p += line) {
    const v = v128.load(p);
    low = f64x2.add(low, low2(v));
    high = f64x2.add(high, high2(v));
  }
  const meanLow = f64x2.div(low, divisor);
  const meanHigh = f64x2.div(high, divisor);
  low = f64x2.splat(0);
  high = low;
  for (let p = src; p < end; p += line) {
    const v = v128.load(p);
    const a = f64x2.sub(low2(v), meanLow);
    const b = f64x2.sub(high2(v), meanHigh);
    low = f64x2.add(low, f64x2.mul(a, a));
    high = f64x2.add(high, f64x2.mul(b, b));
  }
  const one = f64x2.splat(1);
  const e = f64x2.splat(epsilon);
  const inverse = narrow4(
    f64x2.div(one, f64x2.sqrt(f64x2.add(f64x2.div(low, divisor), e))),
    f64x2.div(one, f64x2.sqrt(f64x2.add(f64x2.div(high, divisor), e))),
  );
  const mean = narrow4(meanLow, meanHigh);
  for (let p = src; p < end; p += line, dst += line) {
    const y = f32x4.add(f32x4.mul(f32x4.mul(f32x4.sub(v128.load(p), mean), inverse), gamma), beta);
    if (count == 4) v128.store(dst, y);
    else storeSome(dst, y, count);
  }
}
