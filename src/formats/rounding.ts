// The roundings of codes. Math.round is neither: it sends halves towards +∞.

/** 1.5 · 2⁵²: adding it pushes the fraction of a number below 2⁵¹ out of the significand, by the processor's ties-to-even. */
const magic = 6755399441055744;

/** Nearest integer, ties to even: what IEEE 754 calls roundToIntegralTiesToEven, but that −0 may come back as 0. Exact for every number. */
export function roundHalfEven(x: number): number {
  if (x > -2251799813685248 && x < 2251799813685248) return x + magic - magic;
  const below = Math.floor(x);
  const rest = x - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below;
}

/** Nearest integer, ties away from zero: only for the arithmetic of foreign runtimes. */
export function roundHalfAway(x: number): number {
  const whole = Math.trunc(x);
  return Math.abs(x - whole) >= 0.5 ? whole + Math.sign(x) : whole;
}

/** The float32 quotient of two float32 numbers: dividing in float64 first changes nothing, since 53 ≥ 2 · 24 + 2 bits (Figueroa 1995). */
export function divide32(x: number, y: number): number {
  return Math.fround(x / y);
}

export function clamp(x: number, lo: number, hi: number): number {
  return Math.min(Math.max(x, lo), hi);
}
