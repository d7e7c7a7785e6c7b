// gemmlowp's fixed-point functions, which TensorFlow Lite's integer softmax, logistic and tanh are made of. Not an arithmetic of the
// runtime (which has tables): kept so that its golden vectors check the primitives they share with requantization.
// A Q format with i integer bits holds x · 2^(31 − i) in int32. Source: gemmlowp, fixedpoint/fixedpoint.h.
import { doublingHigh, shiftAway } from "../../../src/ops/integer/requantize.ts";

const one0 = 2147483647;

function shiftLeftSaturating(x: number, bits: number): number {
  const limit = 2147483647 >> bits;
  return x > limit ? 2147483647 : x < -limit ? -2147483648 : x << bits;
}

/** exp on [−1/4, 0), Q0: a Taylor series around −1/8. */
function expNearZero(a: number): number {
  const expMinusEighth = 1895147668;
  const third = 715827883;
  const x = (a + (1 << 28)) | 0;
  const x2 = doublingHigh(x, x);
  const x3 = doublingHigh(x2, x);
  const x4 = doublingHigh(x2, x2);
  const higher = shiftAway((doublingHigh((shiftAway(x4, 2) + x3) | 0, third) + x2) | 0, 1);
  return (expMinusEighth + doublingHigh(expMinusEighth, (x + higher) | 0)) | 0;
}

/** exp(−2^k) in Q0 for k = −2 … 4. */
const expOfPowers = [1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242];

/** exp(a) in Q0 for a ≤ 0 with `integerBits` integer bits (at most 5): the quarters by a product per bit, the rest by the series. */
export function expOnNegative(a: number, integerBits: number): number {
  if (a === 0) return one0;
  const fraction = 31 - integerBits;
  const quarter = 1 << (fraction - 2);
  const rest = (a & (quarter - 1)) - quarter;
  let result = expNearZero(shiftLeftSaturating(rest, integerBits));
  const quarters = (rest - a) | 0;
  for (let k = -2; k < integerBits; k++) {
    if (quarters & (1 << (fraction + k))) result = doublingHigh(result, expOfPowers[k + 2]!);
  }
  return result;
}

/** 2 / (1 + x) in Q2 for x of Q0 in [0, 1): three Newton steps. */
function twoOverOnePlus(x: number): number {
  const half = Math.floor((x + one0 + 1) / 2); // the rounded mean of x and 1: both are non-negative
  let y = (1515870810 + doublingHigh(half, -1010580540)) | 0;
  for (let i = 0; i < 3; i++) {
    const error = ((1 << 29) - doublingHigh(half, y)) | 0;
    y = (y + shiftLeftSaturating(doublingHigh(y, error), 2)) | 0;
  }
  return y;
}

/** 1 / (1 + x), Q0 → Q0, x in [0, 1). */
export const oneOverOnePlus = (x: number): number => shiftLeftSaturating(twoOverOnePlus(x), 1);

/** 1 / (1 + exp(−a)): Q4 → Q0. */
export function logistic(a: number): number {
  if (a === 0) return 1 << 30;
  const positive = oneOverOnePlus(expOnNegative(a > 0 ? -a : a, 4));
  return a > 0 ? positive : one0 - positive;
}

/** tanh(a): Q4 → Q0, by (1 − e) / (1 + e) with e = exp(−2|a|). */
export function tanh(a: number): number {
  if (a === 0) return 0;
  const e = expOnNegative(a > 0 ? -a : a, 5); // the same bits with one integer bit more: doubled
  const t = shiftLeftSaturating((twoOverOnePlus(e) - (1 << 29)) | 0, 2);
  return a > 0 ? t : -t;
}

/** 1 / x for x > 0 of `integerBits` integer bits: the reciprocal in Q0 of x scaled into [1, 2), and by how many bits it was scaled. */
export function reciprocal(x: number, integerBits: number): { readonly value: number; readonly bits: number } {
  const headroom = Math.clz32(x);
  return { value: oneOverOnePlus((x << headroom) & 2147483647), bits: integerBits - headroom };
}

const int16 = (x: number): number => Math.min(32767, Math.max(-32768, x));

/** SaturatingRoundingDoublingHighMul of int16: a · b / 2¹⁵, halves towards +∞. */
export function doublingHigh16(a: number, b: number): number {
  if (a === -32768 && b === -32768) return 32767;
  return ((a * b + (a * b >= 0 ? 1 << 14 : 1 - (1 << 14))) / 32768) | 0;
}

/** The same, truncated. */
export function doublingHighTruncated16(a: number, b: number): number {
  return a === -32768 && b === -32768 ? 32767 : ((a * b) / 32768) | 0;
}

export const shiftLeftSaturating16 = (x: number, bits: number): number => int16(x * (1 << bits));
