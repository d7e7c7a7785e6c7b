// Normalization in integers alone: sums, one square root and one division per row.
import { type CodeRange, toCode } from "./requantize.ts";

/**
 * ⌊√n⌋ of any n ≥ 0, exactly.
 *
 * @source Newton's iteration from a power of two ≥ √n, which decreases until it has reached the floor
 */
export function isqrt(n: bigint): bigint {
  if (n === 0n) return 0n;
  let x = 1n << BigInt((n.toString(2).length + 1) >> 1);
  for (;;) {
    const next = (x + n / x) >> 1n;
    if (next >= x) return x;
    x = next;
  }
}

/** What a row is normalized with; γ and β are the real scale and shift of the element, s_x and s_y the scales of the codes. */
export interface Normalization extends CodeRange {
  /** round(ε n² / s_x²), at least 1 so that a constant row has a variance, below 2⁴⁵ */
  readonly epsilon: bigint;
  /** int32[n]: round(γ / s_y · 2¹²) */
  readonly gamma: Int32Array;
  /** int64[n]: round(β / s_y · 2²⁷) */
  readonly beta: BigInt64Array;
}

/**
 * Layer or instance normalization: with S₁ = Σ x, S₂ = Σ x² and V = n S₂ − S₁² + ε' of each row (n² times the variance),
 * z = (n x − S₁) · ⌊2⁵⁴ / ⌊√(V 2¹⁶)⌋⌋ / 2³¹ is the normalized element in units of 2⁻¹⁵, and y = zero + (z γ + β) / 2²⁷.
 * Both quotients round once, halves towards +∞. The zero point of x cancels.
 *
 * @param x int8[rows][n], n = gamma.length at most 16 384: |n x − S₁| ≤ √(n − 1) √V keeps z below 2²² and its product below 2⁵³, and
 *          V 2¹⁶ stays below 2⁶²
 */
export function layerNormCodes(x: Int8Array, normalization: Normalization): Int8Array {
  const { epsilon, gamma, beta } = normalization;
  const n = gamma.length;
  const y = new Int8Array(x.length);
  for (let row = 0; row < x.length; row += n) {
    const codes = Array.from(x.subarray(row, row + n), BigInt);
    const sum = codes.reduce((a, b) => a + b, 0n);
    const squares = codes.reduce((a, b) => a + b * b, 0n);
    const variance = BigInt(n) * squares - sum * sum + epsilon;
    const inverse = (1n << 54n) / isqrt(variance << 16n);
    codes.forEach((code, i) => {
      const z = ((BigInt(n) * code - sum) * inverse + (1n << 30n)) >> 31n;
      const scaled = (z * BigInt(gamma[i]!) + beta[i]! + (1n << 26n)) >> 27n;
      y[row + i] = toCode(Number(scaled), normalization);
    });
  }
  return y;
}
