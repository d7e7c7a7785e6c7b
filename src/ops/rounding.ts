// Rounding to narrow types by exact float64 arithmetic.

const scratch = new Float64Array(1);
const words = new Uint32Array(scratch.buffer);

/** ⌊log₂|x|⌋ of a finite number other than 0, read from its bits; subnormal doubles count as −1023. */
export function exponent(x: number): number {
  scratch[0] = x;
  return ((words[1]! >>> 20) & 0x7ff) - 1023;
}

/** 2^e as a double, exact for −1022 ≤ e ≤ 1023. */
export function powerOfTwo(e: number): number {
  words[0] = 0;
  words[1] = (e + 1023) << 20;
  return scratch[0]!;
}

/** Nearest integer, ties to even. Adding 1.5·2⁵² pushes the fraction out of the significand; larger doubles are integers already. */
export function roundEven(x: number): number {
  if (!(x > -4503599627370496 && x < 4503599627370496)) return x;
  const y = x + 6755399441055744 - 6755399441055744;
  return y === 0 && (x < 0 || Object.is(x, -0)) ? -0 : y;
}

/**
 * Nearest value, ties to even, of the binary float type with `mantissa` stored bits, least normal exponent `emin` and greatest
 * finite value `max`; beyond it (after rounding) the answer is infinite. Subnormals included.
 */
export function roundToFloat(x: number, mantissa: number, emin: number, max: number): number {
  if (x === 0 || !Number.isFinite(x)) return x;
  const quantum = powerOfTwo(Math.max(exponent(x), emin) - mantissa);
  const y = roundEven(x / quantum) * quantum;
  return y > max ? Infinity : y < -max ? -Infinity : y;
}
