// The integer runtime's rounding, in plain TypeScript: what every epilogue kernel must equal bit for bit.

/** even: once, halves to even (the contract). single: once, halves towards +∞. double: gemmlowp's two roundings, TensorFlow Lite's default. */
export type Rounding = "even" | "single" | "double";

/**
 * A positive real factor as multiplier · 2^(shift − 31), multiplier in [2³⁰, 2³¹), relative error at most 2⁻³¹; factors below 2⁻³² give (0, 0).
 * The mantissa is rounded half up and taken from the bits of the float64, so that no logarithm is involved.
 *
 * @param m finite, below 2³⁰
 * @source TensorFlow Lite, QuantizeMultiplier
 */
export function quantizeMultiplier(m: number): { multiplier: number; shift: number } {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, m);
  const high = view.getUint32(0);
  if (m === 0 || high >>> 20 === 0) return { multiplier: 0, shift: 0 };
  let shift = (high >>> 20) - 1022;
  view.setUint32(0, (high & 0xfffff) | (1022 << 20)); // the mantissa in [1/2, 1)
  let multiplier = Math.floor(view.getFloat64(0) * 2147483648 + 0.5);
  if (multiplier === 2147483648) {
    multiplier = 1073741824;
    shift++;
  }
  if (shift < -31) return { multiplier: 0, shift: 0 };
  if (shift > 30) return { multiplier: 2147483647, shift: 30 };
  return { multiplier, shift };
}

/** p · 2^−bits, rounded once, halves to even. */
export function shiftEven(p: bigint, bits: number): bigint {
  const t = BigInt(bits);
  const down = p >> t;
  const rest = p - (down << t);
  const half = 1n << (t - 1n);
  return rest > half || (rest === half && (down & 1n) === 1n) ? down + 1n : down;
}

const roundings: { readonly [R in Rounding]: (x: number, q: number, shift: number) => number } = {
  even: (x, q, shift) => Number(shiftEven(BigInt(x) * BigInt(q), 31 - shift)),
  single: (x, q, shift) => Number((BigInt(x) * BigInt(q) + (1n << BigInt(30 - shift))) >> BigInt(31 - shift)),
  double: (x, q, shift) => shiftAway(doublingHigh(x * (1 << Math.max(shift, 0)), q), Math.max(-shift, 0)),
};

/** SaturatingRoundingDoublingHighMul: a · b / 2³¹, halves towards +∞. */
export function doublingHigh(a: number, b: number): number {
  if (a === b && a === -2147483648) return 2147483647;
  const product = BigInt(a) * BigInt(b);
  return Number((product + (product >= 0n ? 1073741824n : 1n - 1073741824n)) / 2147483648n);
}

/** RoundingDivideByPOT: x / 2^k, halves away from zero. */
export function shiftAway(x: number, k: number): number {
  const divisor = 1n << BigInt(k);
  const magnitude = (BigInt(Math.abs(x)) + (divisor >> 1n)) / divisor;
  return Number(x < 0 ? -magnitude : magnitude);
}

/**
 * x · q · 2^(shift − 31), rounded.
 *
 * @param x     int32 accumulator
 * @param q     multiplier in [2³⁰, 2³¹), or 0
 * @param shift in [−31, 30]
 * @returns     exact; the caller adds the zero point and clamps
 */
export function requantize(x: number, q: number, shift: number, rounding: Rounding): number {
  return roundings[rounding](x, q, shift);
}

export interface CodeRange {
  readonly zero: number;
  readonly lo: number;
  readonly hi: number;
}

/** zero + y, clamped to [lo, hi]. */
export function toCode(y: number, { zero, lo, hi }: CodeRange): number {
  return Math.min(Math.max(y + zero, lo), hi);
}

/**
 * round_even((x · q1 + r · q2) · 2^−bits): an accumulator and its residual, rounded once. The exact sum is below 2⁶² in magnitude.
 */
export function addRounded(x: number, q1: number, r: number, q2: number, bits: number): number {
  return Number(shiftEven(BigInt(x) * BigInt(q1) + BigInt(r) * BigInt(q2), bits));
}
