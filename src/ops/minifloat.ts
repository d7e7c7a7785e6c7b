// The floats of 8 and 4 bits that ONNX casts to and from. Source: OCP 8-bit Floating Point Specification 1.0, OCP Microscaling
// Formats 1.0, and ONNX's pages "Float stored in 8 bits" and "Float stored in 4 bits".
import type { DType } from "../graph/types.ts";
import { exponent, powerOfTwo, roundToFloat } from "./rounding.ts";

/** A binary float with a sign bit, in few bits. */
export interface Minifloat {
  readonly bits: number;
  readonly mantissa: number;
  /** Least normal exponent; the bias is 1 − emin. */
  readonly emin: number;
  readonly max: number;
  /** Codes that are no finite number: all with full exponent as in IEEE 754, the single last one, the code of −0, or none. */
  readonly special: "ieee" | "last" | "negative-zero" | "none";
}

export const minifloats: ReadonlyMap<DType, Minifloat> = new Map<DType, Minifloat>([
  ["float8e4m3fn", { bits: 8, mantissa: 3, emin: -6, max: 448, special: "last" }],
  ["float8e4m3fnuz", { bits: 8, mantissa: 3, emin: -7, max: 240, special: "negative-zero" }],
  ["float8e5m2", { bits: 8, mantissa: 2, emin: -14, max: 57344, special: "ieee" }],
  ["float8e5m2fnuz", { bits: 8, mantissa: 2, emin: -15, max: 57344, special: "negative-zero" }],
  ["float4e2m1", { bits: 4, mantissa: 1, emin: 0, max: 6, special: "none" }],
]);

/**
 * Nearest value, ties to even. Beyond the largest: that one when saturating, else infinity where the format has it, else NaN.
 * A format without NaN makes it −0.
 */
export function roundToMinifloat({ mantissa, emin, max, special }: Minifloat, x: number, saturate: boolean): number {
  if (Number.isNaN(x)) return special === "none" ? -0 : x;
  const y = roundToFloat(x, mantissa, emin, max);
  if (Math.abs(y) === Infinity) {
    if (saturate || special === "none") return y < 0 ? -max : max;
    return special === "ieee" ? y : Number.NaN;
  }
  return y === 0 && special === "negative-zero" ? 0 : y;
}

export type ScaleRounding = "up" | "down" | "nearest";

/** A power of two from 2⁻¹²⁷ to 2¹²⁷ (E8M0), rounded as told, ties upward; what is not positive becomes the least, or NaN unsaturated. */
export function roundToScale(x: number, mode: ScaleRounding, saturate: boolean): number {
  if (Number.isNaN(x) || (!saturate && !(x > 0))) return Number.NaN;
  if (!(x > 5.877471754111438e-39)) return 5.877471754111438e-39;
  if (x === Infinity) return saturate ? powerOfTwo(127) : Number.NaN;
  const below = powerOfTwo(exponent(x));
  const up = mode === "up" ? x > below : mode === "nearest" && x >= 1.5 * below;
  const y = up ? 2 * below : below;
  return y > powerOfTwo(127) ? (saturate ? powerOfTwo(127) : Number.NaN) : y;
}
