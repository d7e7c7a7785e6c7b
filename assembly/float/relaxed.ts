// Rounding by a rectified sigmoid: Ŵ = s · clip(⌊W/s⌋ + h(V), lo, hi), h(V) = clip(1.2 σ(V) − 0.1, 0, 1).
// Source: Nagel et al. 2020, "Up or Down? Adaptive Rounding for Post-Training Quantization" (AdaRound), equations 21–24.
// Weights are rows of one scale each. The forward pass leaves σ(V) behind, so that a step needs no exponential for it.

import { exp4, log4, sigmoid4 } from "./functions";
import { beta, blend } from "./optimizer";
import { storeSome } from "./lanes";

/**
 * ζ − γ, γ, 0, 1, and the tolerant ends of the interval where h moves: a weight on the grid starts exactly at the end, and whether it
 * may leave must not depend on the last bit of σ.
 */
// prettier-ignore
const H: usize = memory.data<f32>([/*  0 */ 1.2, -0.1, 0.0, 1.0, /* 16 */ -1e-6, 1.000001, 1e-30]);

function at(offset: usize): v128 {
  return v128.load32_splat(H + offset);
}

/**
 * Soft weights of V.
 *
 * @param w     float32[rows][columns], written
 * @param sigma float32[rows][columns], written: σ(V)
 * @param base  float32[rows][columns]: ⌊W/s⌋
 * @param v     float32[rows][columns]
 * @param scale float32[rows]
 * @param low   float32[rows]: least code minus zero point; `high` the greatest
 */
export function relaxedWeights(
  w: usize,
  sigma: usize,
  base: usize,
  v: usize,
  rows: i32,
  columns: i32,
  scale: usize,
  low: usize,
  high: usize,
): void {
  const width = at(0);
  const gamma = at(4);
  const zero = at(8);
  const one = at(12);
  for (; rows > 0; rows--, scale += 4, low += 4, high += 4) {
    const s = v128.load32_splat(scale);
    const lo = v128.load32_splat(low);
    const hi = v128.load32_splat(high);
    for (let left = columns; left > 0; left -= 4) {
      const sg = sigmoid4(v128.load(v));
      const h = f32x4.pmin(f32x4.pmax(f32x4.add(f32x4.mul(width, sg), gamma), zero), one);
      const t = f32x4.pmin(f32x4.pmax(f32x4.add(v128.load(base), h), lo), hi);
      const n: usize = min(4, left);
      if (n == 4) {
        v128.store(sigma, sg);
        v128.store(w, f32x4.mul(t, s));
      } else {
        storeSome(sigma, sg, <i32>n);
        storeSome(w, f32x4.mul(t, s), <i32>n);
      }
      const bytes = n << 2;
      w += bytes;
      sigma += bytes;
      base += bytes;
      v += bytes;
    }
  }
}

class Free {}
class Regularized {}

/** ∂L/∂V of four weights from g = ∂L/∂Ŵ. */
function gradient<F>(g: v128, sg: v128, base: v128, s: v128, lo: v128, hi: v128, power: v128, factor: v128): v128 {
  const one = at(12);
  const raw = f32x4.add(f32x4.mul(at(0), sg), at(4));
  const alive = v128.and(f32x4.ge(raw, at(16)), f32x4.le(raw, at(20)));
  const slope = v128.and(f32x4.mul(f32x4.mul(at(0), sg), f32x4.sub(one, sg)), alive);
  const h = f32x4.pmin(f32x4.pmax(raw, at(8)), one);
  const t = f32x4.add(base, h);
  const inside = v128.and(f32x4.ge(t, lo), f32x4.le(t, hi));
  const data = v128.and(f32x4.mul(g, s), inside);
  if (idof<F>() == idof<Free>()) return f32x4.mul(data, slope);
  // −2bλ · |2h − 1|^(b − 1) · sign(2h − 1): `power` is b − 1, `factor` −2bλ.
  const d = f32x4.sub(f32x4.add(h, h), one);
  const sign = v128.and(d, i32x4.splat(<i32>0x80000000));
  const size = exp4(f32x4.mul(power, log4(f32x4.pmax(f32x4.abs(d), at(24)))));
  return f32x4.mul(f32x4.add(data, f32x4.mul(factor, v128.or(size, sign))), slope);
}

function step<F>(
  v: usize,
  m: usize,
  q: usize,
  g: usize,
  sigma: usize,
  base: usize,
  rows: i32,
  columns: i32,
  scale: usize,
  low: usize,
  high: usize,
  size: f32,
  root: f32,
  floor: f32,
  power: f32,
  factor: f32,
): void {
  const b0 = beta(0);
  const b1 = beta(1);
  const b2 = beta(2);
  const b3 = beta(3);
  const stepSize = f32x4.splat(size);
  const rootScale = f32x4.splat(root);
  const least = f32x4.splat(floor);
  const exponent = f32x4.splat(power);
  const weight = f32x4.splat(factor);
  for (; rows > 0; rows--, scale += 4, low += 4, high += 4) {
    const s = v128.load32_splat(scale);
    const lo = v128.load32_splat(low);
    const hi = v128.load32_splat(high);
    for (let left = columns; left > 0; left -= 4) {
      const d = gradient<F>(v128.load(g), v128.load(sigma), v128.load(base), s, lo, hi, exponent, weight);
      const mean = blend(v128.load(m), d, b0, b1);
      const square = blend(v128.load(q), f32x4.mul(d, d), b2, b3);
      const change = f32x4.div(f32x4.mul(stepSize, mean), f32x4.add(f32x4.mul(rootScale, f32x4.sqrt(square)), least));
      const next = f32x4.sub(v128.load(v), change);
      const n: usize = min(4, left);
      if (n == 4) {
        v128.store(m, mean);
        v128.store(q, square);
        v128.store(v, next);
      } else {
        storeSome(m, mean, <i32>n);
        storeSome(q, square, <i32>n);
        storeSome(v, next, <i32>n);
      }
      const bytes = n << 2;
      v += bytes;
      m += bytes;
      q += bytes;
      g += bytes;
      sigma += bytes;
      base += bytes;
    }
  }
}

/**
 * One step of Adam (or RAdam) on V, given g = ∂L/∂Ŵ; the regularizer λ Σ 1 − |2h − 1|^b is added while λ > 0.
 *
 * @param v, m, q  float32[rows][columns]: V, and the running means of the gradient and its square
 * @param g        float32[rows][columns]
 * @param sigma    as `relaxedWeights` left it for this V
 * @param base, scale, low, high as in `relaxedWeights`
 * @param size, root, floor as in `adamStep`
 */
export function relaxedStep(
  v: usize,
  m: usize,
  q: usize,
  g: usize,
  sigma: usize,
  base: usize,
  rows: i32,
  columns: i32,
  scale: usize,
  low: usize,
  high: usize,
  size: f32,
  root: f32,
  floor: f32,
  lambda: f32,
  b: f32,
): void {
  if (lambda == 0) step<Free>(v, m, q, g, sigma, base, rows, columns, scale, low, high, size, root, floor, 0, 0);
  else step<Regularized>(v, m, q, g, sigma, base, rows, columns, scale, low, high, size, root, floor, b - 1, -2 * b * lambda);
}

/** ∂L/∂V itself, regularizer included: what `relaxedStep` descends. @param dv float32[rows][columns], written */
export function relaxedGradient(
  dv: usize,
  g: usize,
  sigma: usize,
  base: usize,
  rows: i32,
  columns: i32,
  scale: usize,
  low: usize,
  high: usize,
  lambda: f32,
  b: f32,
): void {
  for (; rows > 0; rows--, scale += 4, low += 4, high += 4) {
    const s = v128.load32_splat(scale);
    const lo = v128.load32_splat(low);
    const hi = v128.load32_splat(high);
    for (let left = columns; left > 0; left -= 4) {
      const d = gradient<Regularized>(
        v128.load(g),
        v128.load(sigma),
        v128.load(base),
        s,
        lo,
        hi,
        f32x4.splat(b - 1),
        f32x4.splat(-2 * b * lambda),
      );
      const n: usize = min(4, left);
      if (n == 4) v128.store(dv, d);
      else storeSome(dv, d, <i32>n);
      dv += n << 2;
      g += n << 2;
      sigma += n << 2;
      base += n << 2;
    }
  }
}
