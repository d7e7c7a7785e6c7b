// Rounding by element-wise division: Ŵ = s₁ · clip(rne(W / (s₁ · S₂ ⊙ s₃ ⊙ s₄)), lo, hi), every factor the exponential of what is learned.
// Source: Lee et al. 2023, "FlexRound: Learnable Rounding based on Element-wise Division", equations 1–4, in the log space of its released code.

import { exp4 } from "./functions";
import { high2, low2, storeSome, sumLanes } from "./lanes";

/**
 * Weights of the factors.
 *
 * @param w     float32[rows][columns], written: Ŵ
 * @param u     float32[rows][columns], written: W / (s₁ D), before rounding
 * @param real  float32[rows][columns]: W
 * @param d2    float32[rows][columns]: ln S₂
 * @param row   float32[rows]: ln s₁ + ln s₃
 * @param column float32[columns], readable to the next multiple of 4: ln s₄ of the column's input channel
 * @param scale float32[rows]: s₁
 * @param low   float32[rows]: least code minus zero point; `high` the greatest
 */
export function divisionWeights(
  w: usize,
  u: usize,
  real: usize,
  d2: usize,
  rows: i32,
  columns: i32,
  row: usize,
  column: usize,
  scale: usize,
  low: usize,
  high: usize,
): void {
  for (; rows > 0; rows--, row += 4, scale += 4, low += 4, high += 4) {
    const s = v128.load32_splat(scale);
    const lo = v128.load32_splat(low);
    const hi = v128.load32_splat(high);
    const shift = v128.load32_splat(row);
    let c = column;
    for (let left = columns; left > 0; left -= 4, c += 16) {
      const divisor = exp4(f32x4.add(f32x4.add(v128.load(d2), shift), v128.load(c)));
      const quotient = f32x4.div(v128.load(real), divisor);
      const level = f32x4.pmin(f32x4.pmax(f32x4.nearest(quotient), lo), hi);
      const n: usize = min(4, left);
      if (n == 4) {
        v128.store(u, quotient);
        v128.store(w, f32x4.mul(level, s));
      } else {
        storeSome(u, quotient, <i32>n);
        storeSome(w, f32x4.mul(level, s), <i32>n);
      }
      w += n << 2;
      u += n << 2;
      real += n << 2;
      d2 += n << 2;
    }
  }
}

/**
 * Gradients by the logarithms of the factors, rounding passed straight through.
 *
 * @param e       float32[rows][columns], written: ∂L/∂ln S₂ = −g · s₁ · u inside the code range, else 0
 * @param g       float32[rows][columns]: ∂L/∂Ŵ
 * @param u       as `divisionWeights` left it
 * @param step    float32[rows], written: ∂L/∂ln s₁
 * @param rowSums float32[rows], written: ∂L/∂ln s₃
 * @param columnSums float32[columns rounded up to 4], added to: Σ over rows of e
 */
export function divisionGradient(
  e: usize,
  g: usize,
  u: usize,
  rows: i32,
  columns: i32,
  scale: usize,
  low: usize,
  high: usize,
  step: usize,
  rowSums: usize,
  columnSums: usize,
): void {
  for (; rows > 0; rows--, scale += 4, low += 4, high += 4, step += 4, rowSums += 4) {
    const s = v128.load32_splat(scale);
    const lo = v128.load32_splat(low);
    const hi = v128.load32_splat(high);
    let c = columnSums;
    let stepLow = f64x2.splat(0);
    let stepHigh = stepLow;
    let sumLow = stepLow;
    let sumHigh = stepLow;
    for (let left = columns; left > 0; left -= 4, c += 16) {
      const quotient = v128.load(u);
      const r = f32x4.nearest(quotient);
      const inside = v128.and(f32x4.ge(r, lo), f32x4.le(r, hi));
      const level = f32x4.pmin(f32x4.pmax(r, lo), hi);
      const live = v128.and(quotient, inside);
      let scaled = f32x4.mul(v128.load(g), s);
      const n: usize = min(4, left);
      if (n < 4) scaled = v128.and(scaled, i32x4.gt_s(i32x4.splat(left), i32x4(0, 1, 2, 3)));
      const share = f32x4.mul(scaled, f32x4.sub(level, live));
      const out = f32x4.neg(f32x4.mul(scaled, live));
      if (n == 4) v128.store(e, out);
      else storeSome(e, out, <i32>n);
      v128.store(c, f32x4.add(v128.load(c), out));
      stepLow = f64x2.add(stepLow, low2(share));
      stepHigh = f64x2.add(stepHigh, high2(share));
      sumLow = f64x2.add(sumLow, low2(out));
      sumHigh = f64x2.add(sumHigh, high2(out));
      e += n << 2;
      g += n << 2;
      u += n << 2;
    }
    store<f32>(step, <f32>sumLanes(stepLow, stepHigh));
    store<f32>(rowSums, <f32>sumLanes(sumLow, sumHigh));
  }
}
