// Elementary functions from + − × ÷ √ and bit operations on float64 alone, so that every engine gives the same bits
// (Math.exp and its like may differ between engines). Errors are a few units in the last place of float64.
import { exponent, powerOfTwo, roundEven } from "./rounding.ts";

// ln 2 = LN2_HIGH + LN2_LOW; the high part has 33 significant bits, so k · LN2_HIGH is exact for |k| < 2²⁰.
// Source: W. J. Cody, W. Waite, "Software Manual for the Elementary Functions", 1980 (two-part reduction).
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;
const INV_LN2 = Math.LOG2E;

/** x · 2^k without losing subnormals; |k| ≤ 2100. */
function scale(x: number, k: number): number {
  const half = Math.trunc(k / 2);
  return x * powerOfTwo(half) * powerOfTwo(k - half);
}

/** Coefficients 1/2!, 1/3!, … 1/15! of (eʳ − 1 − r) / r²; for |r| ≤ ½ ln 2 the rest is below 2⁻⁶⁰. */
const EXP_TAIL: readonly number[] = Array.from({ length: 14 }, (_, i) => {
  let factorial = 1;
  for (let k = 2; k <= i + 2; k++) factorial *= k;
  return 1 / factorial;
});

/** Σ c[i] xⁱ by Horner's rule. */
function polynomial(x: number, c: readonly number[]): number {
  let sum = 0;
  for (let i = c.length - 1; i >= 0; i--) sum = sum * x + c[i]!;
  return sum;
}

/** eʳ − 1 for |r| ≤ ½ ln 2, where r + low is the argument. */
function expm1Reduced(r: number, low: number): number {
  const tail = r * r * polynomial(r, EXP_TAIL);
  return r + (tail + low * (1 + r + tail));
}

/** e^(x + low): the second word carries what does not fit into x. */
function expOfPair(x: number, low: number): number {
  if (x > 709.79) return Infinity;
  if (x < -745.14) return 0;
  const k = roundEven(x * INV_LN2);
  const high = x - k * LN2_HIGH;
  const r = high - k * LN2_LOW;
  return scale(1 + expm1Reduced(r, high - r - k * LN2_LOW + low), k);
}

/** eˣ */
export function exp(x: number): number {
  return Number.isNaN(x) ? x : expOfPair(x, 0);
}

/** eˣ − 1, accurate near 0. */
export function expm1(x: number): number {
  if (Number.isNaN(x) || x === 0) return x;
  if (x > 709.79) return Infinity;
  if (x < -40) return -1;
  const k = roundEven(x * INV_LN2);
  const high = x - k * LN2_HIGH;
  const r = high - k * LN2_LOW;
  const m = expm1Reduced(r, high - r - k * LN2_LOW);
  if (k === 0) return m;
  if (k > 60) return scale(1 + m, k);
  return powerOfTwo(k) * (1 - powerOfTwo(-k) + m); // 2^k(1 + m) − 1 with the subtraction of like sizes first, exactly
}

/** 2/3, 2/5, … of log((1 + s)/(1 − s)) = 2s + ⅔s³ + …; for |s| ≤ 0.172 the rest is below 2⁻⁶⁰. */
const ATANH_TAIL: readonly number[] = Array.from({ length: 12 }, (_, i) => 2 / (2 * i + 3));

/** log(1 + f) + k ln 2 for 1 + f in [√½, √2], by s = f / (2 + f) and log(1 + f) = f − (f²/2 − s (f²/2 + R(s²))). */
function logReduced(f: number, k: number, low: number): number {
  const s = f / (2 + f);
  const half = 0.5 * f * f;
  const r = s * s * polynomial(s * s, ATANH_TAIL);
  return k * LN2_HIGH - (half - (s * (half + r) + (k * LN2_LOW + low)) - f);
}

/** x = m · 2^k with m in [√½, √2]; x positive and finite. */
function split(x: number): readonly [m: number, k: number] {
  const up = x < 2.2250738585072014e-308 ? 54 : 0; // subnormal
  const y = up ? x * 18014398509481984 : x;
  const e = exponent(y);
  const m = y * powerOfTwo(-Math.min(e, 1022)) * (e > 1022 ? 0.5 : 1);
  return m > Math.SQRT2 ? [m / 2, e + 1 - up] : [m, e - up];
}

/** Natural logarithm; −∞ at 0, NaN below. */
export function log(x: number): number {
  if (!(x > 0)) return x === 0 ? -Infinity : NaN;
  if (x === Infinity) return x;
  const [m, k] = split(x);
  return logReduced(m - 1, k, 0);
}

/** log(1 + x), accurate near 0. */
export function log1p(x: number): number {
  if (!(x > -1)) return x === -1 ? -Infinity : NaN;
  if (x === 0 || x === Infinity) return x;
  if (x > -0.29 && x < 0.41) return logReduced(x, 0, 0);
  const u = 1 + x;
  const lost = u >= 2 ? 1 - (u - x) : x - (u - 1);
  const [m, k] = split(u);
  return logReduced(m - 1, k, lost / u);
}

type Pair = readonly [high: number, low: number];

/** a · b exactly as high + low. Source: T. J. Dekker, "A floating-point technique for extending the available precision", 1971. */
function twoProduct(a: number, b: number): Pair {
  const p = a * b;
  const ca = 134217729 * a;
  const cb = 134217729 * b;
  const ah = ca - (ca - a);
  const bh = cb - (cb - b);
  const al = a - ah;
  const bl = b - bh;
  return [p, ah * bh - p + ah * bl + al * bh + al * bl];
}

/** a + b exactly as high + low, |a| ≥ |b|. */
function fastTwoSum(a: number, b: number): Pair {
  const s = a + b;
  return [s, b - (s - a)];
}

function multiplyPairs(a: Pair, b: Pair): Pair {
  const [p, e] = twoProduct(a[0], b[0]);
  return fastTwoSum(p, e + (a[0] * b[1] + a[1] * b[0]));
}

/** log x as a pair with about 2⁻⁶⁵ relative error: the first two terms of the series in s are summed in pairs. */
function logPair(x: number): Pair {
  const [m, k] = split(x);
  const f = m - 1;
  // s = f / (2 + f): 2 + f may round, so its error goes into the second word.
  const [d, dLow] = fastTwoSum(2, f);
  const s = f / d;
  const [p, e] = twoProduct(s, d);
  const sPair: Pair = fastTwoSum(s, (f - p - e - s * dLow) / d);
  const square = multiplyPairs(sPair, sPair);
  const z = square[0];
  const third = multiplyPairs(square, [0.3333333333333333, 1.850371707708594e-17]);
  const rest = z * z * polynomial(z, ATANH_TAIL.slice(1)) * 0.5;
  const [t, tLow] = fastTwoSum(third[0], third[1] + rest);
  const scaled = multiplyPairs(sPair, [t, tLow]);
  const [a, aLow] = fastTwoSum(sPair[0], scaled[0]);
  const high = 2 * a;
  const low = 2 * (aLow + sPair[1] + scaled[1]);
  if (k === 0) return fastTwoSum(high, low);
  const [b, bLow] = fastTwoSum(k * LN2_HIGH, high);
  return fastTwoSum(b, bLow + (low + k * LN2_LOW));
}

const isOddInteger = (y: number): boolean => Math.abs(y) < 9007199254740992 && Math.trunc(y) === y && Math.abs(y % 2) === 1;

/** xʸ with the special cases of IEEE 754 pow (as in C and NumPy): 1ʸ = x⁰ = 1 even for NaN. */
export function pow(x: number, y: number): number {
  if (y === 0 || x === 1) return 1;
  if (Number.isNaN(x) || Number.isNaN(y)) return NaN;
  if (y === 1) return x;
  if (y === 2) return x * x;
  if (y === -1) return 1 / x;
  const magnitude = Math.abs(x);
  const negative = (x < 0 || Object.is(x, -0)) && isOddInteger(y);
  if (x === 0 || magnitude === Infinity) {
    const value = (magnitude === 0) === y > 0 ? 0 : Infinity;
    return negative ? -value : value;
  }
  if (Math.abs(y) === Infinity) return magnitude === 1 ? 1 : magnitude > 1 === y > 0 ? Infinity : 0;
  if (x < 0 && Math.trunc(y) !== y) return NaN;
  if (y === 0.5) return Math.sqrt(x);
  const value = powPositive(magnitude, y);
  return negative ? -value : value;
}

function powPositive(x: number, y: number): number {
  if (x === 1) return 1;
  const [high, low] = logPair(x);
  const estimate = y * high;
  if (estimate > 720) return Infinity;
  if (estimate < -760) return 0;
  const [p, e] = twoProduct(y, high);
  return expOfPair(p, e + y * low);
}

/** 1 / (1 + e⁻ˣ) */
export function sigmoid(x: number): number {
  if (x >= 0) return 1 / (1 + exp(-x));
  const e = exp(x);
  return e / (1 + e);
}

/** log(1 + eˣ) without overflow. */
export function softplus(x: number): number {
  return Math.max(x, 0) + log1p(exp(-Math.abs(x)));
}

/** Hyperbolic tangent, from e^(2|x|) − 1. */
export function tanh(x: number): number {
  const a = Math.abs(x);
  if (Number.isNaN(x) || a < 1e-9) return x;
  const t = a > 22 ? Infinity : expm1(2 * a);
  const y = a >= 1 ? 1 - 2 / (t + 2) : t / (t + 2);
  return x < 0 ? -y : y;
}

const TWO_OVER_SQRT_PI = 1.1283791670955126;
const INV_SQRT_PI = 0.5641895835477563;

/** e^(−x²), the rounding error of the square included. */
function gaussian(x: number): number {
  const [square, low] = twoProduct(x, x);
  return expOfPair(-square, -low);
}

/** (−1)ⁿ 2/√π / (n! (2n + 1)); for |x| ≤ 1 the rest is below 2⁻⁶⁰. */
const ERF_SERIES: readonly number[] = Array.from({ length: 20 }, (_, n) => {
  let factorial = 1;
  for (let k = 2; k <= n; k++) factorial *= k;
  return ((n % 2 ? -1 : 1) * TWO_OVER_SQRT_PI) / (factorial * (2 * n + 1));
});

/** 2/√π e^(−x²) x (1 + 2x²/3 (1 + 2x²/5 (1 + …))), nothing cancels. Source: Abramowitz & Stegun 7.1.6. For |x| ≤ 2. */
function erfNested(x: number): number {
  let sum = 1;
  for (let n = 40; n >= 1; n--) sum = 1 + ((2 * x * x) / (2 * n + 1)) * sum;
  return TWO_OVER_SQRT_PI * gaussian(x) * x * sum;
}

/** Continued fraction of erfc for x ≥ 2, from its tail. Source: Abramowitz & Stegun 7.1.14. */
function erfcFraction(x: number): number {
  let tail = x;
  for (let k = 80; k >= 1; k--) tail = x + k / 2 / tail;
  return (INV_SQRT_PI * gaussian(x)) / tail;
}

/** 2/√π ∫₀ˣ e^(−t²) dt */
export function erf(x: number): number {
  if (Number.isNaN(x) || x === 0) return x;
  const a = Math.abs(x);
  if (a < 1) return x * polynomial(x * x, ERF_SERIES); // Abramowitz & Stegun 7.1.5
  if (a < 2) return erfNested(x);
  const y = a > 6 ? 1 : 1 - erfcFraction(a);
  return x < 0 ? -y : y;
}

/** 1 − erf x without cancellation for large x. */
export function erfc(x: number): number {
  if (x < 2) return 1 - erf(x);
  return x > 27.3 ? 0 : erfcFraction(x);
}
