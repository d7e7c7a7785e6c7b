// Learned codes on a power grid: Ŵ = m · sign(q) · (|q| / n)^(1/a), q = clip(B + D(V), −n, n), D(V) = (1 + 2R) σ(V) − R, with a learned exponent a.
// Source: Yvinec et al. 2023 (PowerQuant: the grid, its exponent) and "NUPES: Non-Uniform Post-Training Quantization via Power Exponent Search".

import { exp4, log4, sigmoid4 } from "./functions";
import { high2, low2, storeSome, sumLanes } from "./lanes";

function raised(x: v128, exponent: v128): v128 {
  return exp4(f32x4.mul(exponent, log4(x)));
}

function sign4(x: v128): v128 {
  return v128.and(x, i32x4.splat(<i32>0x80000000));
}

/** Below any |q| / n that is not 0: its power is 0 for every exponent used. */
const tiny: f32 = 1e-30;

/**
 * Soft weights of V.
 *
 * @param w     float32[rows][columns], written
 * @param sigma float32[rows][columns], written: σ(V)
 * @param base  float32[rows][columns]: B = ⌊sign(W) (|W| / m)^a₀ n⌋
 * @param most  float32[rows]: m
 * @param n     greatest code
 * @param reach R
 * @param inverse 1 / a
 */
export function powerWeights(
  w: usize,
  sigma: usize,
  base: usize,
  v: usize,
  rows: i32,
  columns: i32,
  most: usize,
  n: f32,
  reach: f32,
  inverse: f32,
): void {
  const width = f32x4.splat(1 + 2 * reach);
  const least = f32x4.splat(-reach);
  const top = f32x4.splat(n);
  const bottom = f32x4.splat(-n);
  const exponent = f32x4.splat(inverse);
  const small = f32x4.splat(tiny);
  for (; rows > 0; rows--, most += 4) {
    const m = v128.load32_splat(most);
    for (let left = columns; left > 0; left -= 4) {
      const sg = sigmoid4(v128.load(v));
      const q = f32x4.pmin(f32x4.pmax(f32x4.add(v128.load(base), f32x4.add(f32x4.mul(width, sg), least)), bottom), top);
      const share = f32x4.pmax(f32x4.div(f32x4.abs(q), top), small);
      const level = v128.or(f32x4.mul(m, raised(share, exponent)), sign4(q));
      const count = min(4, left);
      if (count == 4) {
        v128.store(sigma, sg);
        v128.store(w, level);
      } else {
        storeSome(sigma, sg, count);
        storeSome(w, level, count);
      }
      const bytes = (<usize>count) << 2;
      w += bytes;
      sigma += bytes;
      base += bytes;
      v += bytes;
    }
  }
}

/**
 * Gradients by V and a. The derivative of a level by its code is taken at half a code at least, so that codes at 0 can leave it.
 *
 * @param dv     float32[rows][columns], written; the regularizer λ Σ 1 − |2 frac(D) − 1|^b included
 * @param g      float32[rows][columns]: ∂L/∂Ŵ
 * @param sigma  as `powerWeights` left it
 * @returns      ∂L/∂a
 */
export function powerGradient(
  dv: usize,
  g: usize,
  sigma: usize,
  base: usize,
  rows: i32,
  columns: i32,
  most: usize,
  n: f32,
  reach: f32,
  inverse: f32,
  lambda: f32,
  b: f32,
): f64 {
  const width = f32x4.splat(1 + 2 * reach);
  const least = f32x4.splat(-reach);
  const one = f32x4.splat(1);
  const top = f32x4.splat(n);
  const bottom = f32x4.splat(-n);
  const half = f32x4.splat(0.5 / n);
  const lessOne = f32x4.splat(inverse - 1);
  const exponent = f32x4.splat(inverse);
  const slopeUnit = f32x4.splat(inverse / n);
  const square = f32x4.splat(-inverse * inverse);
  const small = f32x4.splat(tiny);
  const factor = f32x4.splat(-2 * b * lambda);
  const power = f32x4.splat(b - 1);
  let low = f64x2.splat(0);
  let high = low;
  for (; rows > 0; rows--, most += 4) {
    const m = v128.load32_splat(most);
    for (let left = columns; left > 0; left -= 4) {
      const sg = v128.load(sigma);
      const d = f32x4.add(f32x4.mul(width, sg), least);
      const t = f32x4.add(v128.load(base), d);
      const inside = v128.and(f32x4.ge(t, bottom), f32x4.le(t, top));
      const q = f32x4.pmin(f32x4.pmax(t, bottom), top);
      const share = f32x4.div(f32x4.abs(q), top);
      const gradient = v128.load(g);
      const slope = f32x4.mul(f32x4.mul(m, slopeUnit), raised(f32x4.pmax(share, half), lessOne));
      const data = v128.and(f32x4.mul(gradient, slope), inside);
      const twice = f32x4.sub(d, f32x4.floor(d));
      const centred = f32x4.sub(f32x4.add(twice, twice), one);
      const pull = v128.or(raised(f32x4.pmax(f32x4.abs(centred), small), power), sign4(centred));
      const derivative = f32x4.mul(f32x4.mul(width, sg), f32x4.sub(one, sg));
      const out = f32x4.mul(f32x4.add(data, f32x4.mul(factor, pull)), derivative);
      const logarithm = log4(f32x4.pmax(share, small));
      const level = f32x4.mul(exp4(f32x4.mul(exponent, logarithm)), logarithm);
      let byA = f32x4.mul(f32x4.mul(gradient, v128.xor(f32x4.mul(m, level), sign4(q))), square);
      const count = min(4, left);
      if (count == 4) v128.store(dv, out);
      else {
        storeSome(dv, out, count);
        byA = v128.and(byA, i32x4.gt_s(i32x4.splat(left), i32x4(0, 1, 2, 3)));
      }
      low = f64x2.add(low, low2(byA));
      high = f64x2.add(high, high2(byA));
      const bytes = (<usize>count) << 2;
      dv += bytes;
      g += bytes;
      sigma += bytes;
      base += bytes;
    }
  }
  return sumLanes(low, high);
}
