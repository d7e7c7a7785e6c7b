// Codes learned over a power grid, with its exponent: Ŵ = m · sign(q̃) · (|q̃| / n)^(1/a), q̃ = clip(B + D(V), −n, n), D(V) = (1 + 2R) σ(V) − R.
// Rounding up or down is too narrow a space for such a grid, so a code may move R steps beyond its neighbours.
// Source: Yvinec et al. 2023, "NUPES: Non-Uniform Post-Training Quantization via Power Exponent Search"; the form of D is ours.
import { log, pow, sigmoid as logistic } from "../../ops/math.ts";

/** One weight tensor's grid: n greatest code, R reach of a displacement. */
export interface PowerGrid {
  readonly n: number;
  readonly reach: number;
}

/** D(V) */
export function displacement(v: number, reach: number): number {
  return (1 + 2 * reach) * logistic(v) - reach;
}

/** V with B + D(V) = u. @param rest u − B, in [0, 1) */
export function initialDisplacement(rest: number, reach: number): number {
  return -log((1 + 2 * reach) / (rest + reach) - 1);
}

/** q̃ */
export function softCode(base: number, v: number, { n, reach }: PowerGrid): number {
  return Math.max(-n, Math.min(n, base + displacement(v, reach)));
}

/** ∂L/∂V of one element without the regularizer, given g = ∂L/∂Ŵ; the level's slope is taken at half a code at least, so that 0 can be left. */
export function softCodeGradient(base: number, v: number, g: number, m: number, a: number, { n, reach }: PowerGrid): number {
  const t = base + displacement(v, reach);
  if (t < -n || t > n) return 0;
  const share = Math.max(Math.abs(t) / n, 0.5 / n);
  const s = logistic(v);
  return g * (m / (a * n)) * pow(share, 1 / a - 1) * (1 + 2 * reach) * s * (1 - s);
}

/** ∂Ŵ/∂a of one element, its code held: −sign(q̃) m c^(1/a) ln c / a², 0 at c = 0. */
export function levelByExponent(q: number, m: number, a: number, n: number): number {
  const share = Math.abs(q) / n;
  return share === 0 ? 0 : (-Math.sign(q) * m * pow(share, 1 / a) * log(share)) / (a * a);
}

/** ∂/∂V of 1 − |2 frac(D) − 1|^b. */
export function displacementPenaltySlope(v: number, b: number, reach: number): number {
  const d = displacement(v, reach);
  const centred = 2 * (d - Math.floor(d)) - 1;
  const s = logistic(v);
  return -2 * b * pow(Math.abs(centred), b - 1) * Math.sign(centred) * (1 + 2 * reach) * s * (1 - s);
}

/** 1 − |2 frac(D) − 1|^b. */
export function displacementPenalty(v: number, b: number, reach: number): number {
  const d = displacement(v, reach);
  return 1 - pow(Math.abs(2 * (d - Math.floor(d)) - 1), b);
}

/**
 * ∂ŵ/∂a of the plain quantizer, rounding passed straight through both ways: sign(w) (m/a) [c^(1/a − 1) t ln r − c^(1/a) ln(c) / a] with
 * r = |w|/m, t = r^a, c = |q|/n and 0 ln 0 = 0. The composite ∂ŵ/∂w is 1 inside the range: the product of its two factors is 0·∞ at 0.
 */
export function quantizerByExponent(w: number, q: number, m: number, a: number, n: number): number {
  const r = Math.abs(w) / m;
  const c = Math.abs(q) / n;
  if (r === 0 || c === 0) return 0;
  return Math.sign(w) * (m / a) * (pow(c, 1 / a - 1) * pow(r, a) * log(r) - (pow(c, 1 / a) * log(c)) / a);
}
