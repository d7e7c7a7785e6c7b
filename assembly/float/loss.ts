// Distances between an output and its target, with their gradients: Σ |out − target|^p · unit. The caller's `unit` makes it a mean.

import { exp4, log4 } from "./functions";
import { high2, low2, storeSome, sumLanes } from "./lanes";

class Square {}
class Power {}
class Weighted {}

/** 10⁻³⁰: the logarithm's argument where the difference is 0. */
const tiny: f32 = 1e-30;

function distance<F>(d: usize, out: usize, target: usize, weight: usize, n: i32, p: f32, unit: f32): f64 {
  const lessOne = f32x4.splat(p - 1);
  const factor = f32x4.splat(p * unit);
  const least = f32x4.splat(tiny);
  let low = f64x2.splat(0);
  let high = low;
  for (let left = n; left > 0; left -= 4, d += 16, out += 16, target += 16) {
    const difference = f32x4.sub(v128.load(out), v128.load(target));
    let slope = difference;
    if (idof<F>() == idof<Power>()) {
      const size = exp4(f32x4.mul(lessOne, log4(f32x4.pmax(f32x4.abs(difference), least))));
      slope = v128.or(size, v128.and(difference, i32x4.splat(<i32>0x80000000)));
    }
    if (idof<F>() == idof<Weighted>()) {
      const w = v128.load(weight);
      slope = f32x4.mul(difference, f32x4.mul(w, w));
      weight += 16;
    }
    let value = f32x4.mul(difference, slope);
    const gradient = f32x4.mul(factor, slope);
    if (left >= 4) v128.store(d, gradient);
    else {
      storeSome(d, gradient, left);
      value = v128.and(value, i32x4.gt_s(i32x4.splat(left), i32x4(0, 1, 2, 3)));
    }
    low = f64x2.add(low, low2(value));
    high = f64x2.add(high, high2(value));
  }
  return sumLanes(low, high) * <f64>unit;
}

/**
 * Σ |out − target|^p · unit, and its gradient by out.
 *
 * @param d      float32[n], written; may be out or target
 * @param p      above 1
 * @param unit   1 / (number of elements summed per mean)
 */
export function lpLoss(d: usize, out: usize, target: usize, n: i32, p: f32, unit: f32): f64 {
  return p == 2 ? distance<Square>(d, out, target, 0, n, p, unit) : distance<Power>(d, out, target, 0, n, p, unit);
}

/** Σ (out − target)² · weight² · unit: the diagonal Fisher weighting of Li et al. 2021 (BRECQ). @param weight float32[n] */
export function weightedLoss(d: usize, out: usize, target: usize, weight: usize, n: i32, unit: f32): f64 {
  return distance<Weighted>(d, out, target, weight, n, 2, unit);
}
