// Rounding by a rectified sigmoid: Ŵ = s · clip(⌊W/s⌋ + h(V), lo, hi), h(V) = clip(1.2 σ(V) − 0.1, 0, 1).
// Source: Nagel et al. 2020, "Up or Down? Adaptive Rounding for Post-Training Quantization" (AdaRound), equations 21–24.
// Weights are rows of one scale each. The forward pass leaves σ(V) behind, so that a step needs no exponential for it.

import { beta, blend, flush } from "./optimizer";
import { storeSome } from "./lanes";

/**
 * ζ − γ, γ, 0, 1, and the tolerant ends of the interval where h moves: a weight on the grid starts exactly at the end, and whether it
 * may leave must not depend on the last bit of σ.
 */
// prettier-ignore
const H: usize = memory.data<f32>([/*  0 */ 1.2, -0.1, 0.0, 1.0, /* 16 */ -1e-6, 1.000001, 1e-30]);

/**
 * For xᵖ of x in (0, 1]: the polynomial of log(1 + m), and that of 2ᶠ from the highest power down. Source: S. Moshier, Cephes Mathematical
 * Library (logf.c, exp2f.c), public domain.
 */
const P: usize = memory.data<f32>([
  7.0376836292e-2, -1.151461031e-1, 1.167699874e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1,
  3.3333331174e-1, -0.5, 1.44269504088896341, 12582912.0, -100.0, 1.5353361883195e-4, 1.339887440266574e-3, 9.61843735767464e-3,
  5.550332471162809e-2, 2.402264791363012e-1, 6.931472028550421e-1,
]);

const ROOT_HALF: i32 = 0x3f3504f3;

/** Elements whose regularizer is computed at once: a loop of its own needs fewer registers, and 2 KiB stay in L1. */
const CHUNK: i32 = 512;
const pulls: usize = memory.data(2048, 16);

function at(offset: usize): v128 {
  return v128.load32_splat(H + offset);
}

function term(offset: usize): v128 {
  return v128.load32_splat(P + offset);
}

function fma(x: v128, y: v128, z: v128): v128 {
  return f32x4.add(f32x4.mul(x, y), z);
}

/** xᵖ for x in [10⁻³⁰, 1] and p > 0, to 10⁻⁵ of its value; not below 2⁻¹⁰⁰. */
function power4(x: v128, p: v128): v128 {
  const e = i32x4.shr_s(i32x4.sub(x, i32x4.splat(ROOT_HALF)), 23);
  const m = f32x4.sub(i32x4.sub(x, i32x4.shl(e, 23)), at(12));
  let y = fma(term(0), m, term(4));
  y = fma(y, m, term(8));
  y = fma(y, m, term(12));
  y = fma(y, m, term(16));
  y = fma(y, m, term(20));
  y = fma(y, m, term(24));
  y = fma(y, m, term(28));
  y = fma(y, m, term(32));
  const logarithm = fma(f32x4.mul(m, m), fma(y, m, term(36)), m);
  const t = f32x4.pmax(f32x4.mul(p, fma(logarithm, term(40), f32x4.convert_i32x4_s(e))), term(48));
  return powerOfTwo4(t);
}

/** 2ᵗ for t in [−126, 126], to 10⁻⁷ of its value. */
function powerOfTwo4(t: v128): v128 {
  const shifted = f32x4.add(t, term(44));
  const f = f32x4.sub(t, f32x4.sub(shifted, term(44)));
  let z = fma(term(52), f, term(56));
  z = fma(z, f, term(60));
  z = fma(z, f, term(64));
  z = fma(z, f, term(68));
  z = fma(z, f, term(72));
  z = fma(z, f, at(12));
  // The low bits of the shifted sum are the whole part of t: added to the exponent field they multiply by its power of two.
  return i32x4.add(z, i32x4.shl(shifted, 23));
}

/** 1 / (1 + e⁻ˣ). Beyond 69 it is 1, and below −69 10⁻³⁰: nothing subnormal. */
function logistic4(x: v128): v128 {
  const t = f32x4.pmin(f32x4.pmax(f32x4.mul(x, f32x4.neg(term(40))), term(48)), f32x4.neg(term(48)));
  return f32x4.div(at(12), f32x4.add(at(12), powerOfTwo4(t)));
}

/** pulls[i] = factor · |2h − 1|^(b − 1) · sign(2h − 1) of n ≤ CHUNK elements, read and written to the next multiple of 4. */
function pull(sigma: usize, n: i32, exponent: f32, factor: f32): void {
  const p = f32x4.splat(exponent);
  const weight = f32x4.splat(factor);
  let to = pulls;
  for (let left = n; left > 0; left -= 4, sigma += 16, to += 16) {
    const h = f32x4.pmin(f32x4.pmax(fma(at(0), v128.load(sigma), at(4)), at(8)), at(12));
    const d = f32x4.sub(f32x4.add(h, h), at(12));
    const sign = v128.and(d, i32x4.splat(<i32>0x80000000));
    v128.store(to, f32x4.mul(weight, v128.or(power4(f32x4.pmax(f32x4.abs(d), at(24)), p), sign)));
  }
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
      const sg = logistic4(v128.load(v));
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

/** ∂L/∂V of four weights from g = ∂L/∂Ŵ; `regularizer` is what `pull` gives for them. */
function gradient<F>(g: v128, sg: v128, base: v128, s: v128, lo: v128, hi: v128, regularizer: v128): v128 {
  const one = at(12);
  const raw = fma(at(0), sg, at(4));
  const alive = v128.and(f32x4.ge(raw, at(16)), f32x4.le(raw, at(20)));
  const slope = v128.and(f32x4.mul(f32x4.mul(at(0), sg), f32x4.sub(one, sg)), alive);
  const t = f32x4.add(base, f32x4.pmin(f32x4.pmax(raw, at(8)), one));
  const inside = v128.and(f32x4.ge(t, lo), f32x4.le(t, hi));
  const data = v128.and(f32x4.mul(g, s), inside);
  if (idof<F>() == idof<Free>()) return f32x4.mul(data, slope);
  return f32x4.mul(f32x4.add(data, regularizer), slope);
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
  const tiny = flush(0);
  const tinier = flush(1);
  for (; rows > 0; rows--, scale += 4, low += 4, high += 4) {
    const s = v128.load32_splat(scale);
    const lo = v128.load32_splat(low);
    const hi = v128.load32_splat(high);
    let at = pulls;
    for (let left = columns, ready = 0; left > 0; left -= 4, ready -= 4, at += 16) {
      if (idof<F>() == idof<Regularized>()) {
        if (ready <= 0) {
          ready = min(left, CHUNK);
          at = pulls;
          pull(sigma, ready, power, factor);
        }
      }
      const d = gradient<F>(v128.load(g), v128.load(sigma), v128.load(base), s, lo, hi, v128.load(at));
      const mean = f32x4.sub(f32x4.add(blend(v128.load(m), d, b0, b1), tiny), tiny);
      const square = f32x4.pmax(blend(v128.load(q), f32x4.mul(d, d), b2, b3), tinier);
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
    let at = pulls;
    for (let left = columns, ready = 0; left > 0; left -= 4, ready -= 4, at += 16) {
      if (ready <= 0) {
        ready = min(left, CHUNK);
        at = pulls;
        pull(sigma, ready, b - 1, -2 * b * lambda);
      }
      const d = gradient<Regularized>(v128.load(g), v128.load(sigma), v128.load(base), s, lo, hi, v128.load(at));
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
