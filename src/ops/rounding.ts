// Rounding to narrow types by exact float64 arithmetic.

import { powerOfTwo } from "../formats/powers.ts";
import { roundHalfEven } from "../formats/rounding.ts";

export { powerOfTwo };

const scratch = new Float64Array(1);
const words = new Uint32Array(scratch.buffer);

/** ⌊log₂|x|⌋ of a finite number other than 0, read from its bits; subnormal doubles count as −1023. */
export function exponent(x: number): number {
  scratch[0] = x;
  return ((words[1]! >>> 20) & 0x7ff) - 1023;
}

/** Nearest integer, ties to even, the sign of zero kept. */
export function roundEven(x: number): number {
  const y = roundHalfEven(x);
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
