// Gradients of what mixes the elements of a row: softmax and normalizations. Sums are float64, in an order that depends on the row's
// length alone. Values are readable up to 16 bytes beyond their end.

import { exp4 } from "./functions";
import { high2, low2, storeSome, sumLanes } from "./lanes";
import { sumRow } from "./reduce";

/** Σ a·b of n float32. */
function dotRow(a: usize, b: usize, n: i32): f64 {
  let low = f64x2.splat(0);
  let high = low;
  const end = a + ((<usize>(n & ~3)) << 2);
  for (; a < end; a += 16, b += 16) {
    const x = v128.load(a);
    const y = v128.load(b);
    low = f64x2.add(low, f64x2.mul(low2(x), low2(y)));
    high = f64x2.add(high, f64x2.mul(high2(x), high2(y)));
  }
  let total = sumLanes(low, high);
  const last = end + ((<usize>(n & 3)) << 2);
  for (; a < last; a += 4, b += 4) total += <f64>load<f32>(a) * <f64>load<f32>(b);
  return total;
}

/** Each row of n: dx = y (dy − Σ y dy), y the softmax. dx may be dy. */
export function softmaxGradient(dx: usize, dy: usize, y: usize, rows: i32, n: i32): void {
  const row = (<usize>n) << 2;
  for (let r = 0; r < rows; r++, dx += row, dy += row, y += row) {
    const sum = f32x4.splat(<f32>dotRow(y, dy, n));
    for (let i = 0; i < n; i += 4) {
      const at = (<usize>i) << 2;
      const v = f32x4.mul(v128.load(y + at), f32x4.sub(v128.load(dy + at), sum));
      if (i + 4 <= n) v128.store(dx + at, v);
      else storeSome(dx + at, v, n & 3);
    }
  }
}

/** Each row of n: dx = dy − e^y Σ dy, y the logarithm of softmax. dx may be dy. */
export function logSoftmaxGradient(dx: usize, dy: usize, y: usize, rows: i32, n: i32): void {
  const row = (<usize>n) << 2;
  for (let r = 0; r < rows; r++, dx += row, dy += row, y += row) {
    const sum = f32x4.splat(<f32>sumRow(dy, n));
    for (let i = 0; i < n; i += 4) {
      const at = (<usize>i) << 2;
      const v = f32x4.sub(v128.load(dy + at), f32x4.mul(exp4(v128.load(y + at)), sum));
      if (i + 4 <= n) v128.store(dx + at, v);
      else storeSome(dx + at, v, n & 3);
    }
  }
}

/**
 * Each row of n of y = x̂ γ + β, x̂ = (x − mean) / √(variance + epsilon): with g = dy γ,
 * dx = (g − mean(g) − x̂ mean(g x̂)) / √(variance + epsilon). Writes x̂ too.
 *
 * @param dx       f32[rows][n], neither dy nor x
 * @param standard f32[rows][n]: x̂
 */
export function layerNormGradient(dx: usize, standard: usize, dy: usize, x: usize, gamma: usize, rows: i32, n: i32, epsilon: f64): void {
  const row = (<usize>n) << 2;
  for (let r = 0; r < rows; r++, dx += row, standard += row, dy += row, x += row) {
    const mean = sumRow(x, n) / <f64>n;
    const center = f32x4.splat(<f32>mean);
    for (let i = 0; i < n; i += 4) {
      const at = (<usize>i) << 2;
      const d = f32x4.sub(v128.load(x + at), center);
      const g = f32x4.mul(v128.load(dy + at), v128.load(gamma + at));
      if (i + 4 <= n) {
        v128.store(standard + at, d);
        v128.store(dx + at, g);
      } else {
        storeSome(standard + at, d, n & 3);
        storeSome(dx + at, g, n & 3);
      }
    }
    const inverse = 1 / sqrt(dotRow(standard, standard, n) / <f64>n + epsilon);
    const scale = f32x4.splat(<f32>inverse);
    const meanG = f32x4.splat(<f32>(sumRow(dx, n) / <f64>n));
    const slope = f32x4.splat(<f32>((dotRow(dx, standard, n) / <f64>n) * inverse));
    for (let i = 0; i < n; i += 4) {
      const at = (<usize>i) << 2;
      const z = f32x4.mul(v128.load(standard + at), scale);
      const v = f32x4.mul(f32x4.sub(f32x4.sub(v128.load(dx + at), meanG), f32x4.mul(z, slope)), scale);
      if (i + 4 <= n) {
        v128.store(standard + at, z);
        v128.store(dx + at, v);
      } else {
        storeSome(standard + at, z, n & 3);
        storeSome(dx + at, v, n & 3);
      }
    }
  }
}
