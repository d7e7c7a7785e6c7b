// What an accumulator can reach, exactly, and what follows from it for rounding. Source: interval arithmetic over the codes that can occur.
import { HalftoneError } from "../errors.ts";
import { powerOfTwo } from "../formats/powers.ts";

export interface Interval {
  readonly lo: number;
  readonly hi: number;
}

/**
 * Interval of bias[o] + Σ w·c per output channel for codes in [lo, hi]; both ends are attained.
 *
 * @param weights int8[outputs][taps]
 * @param bias    folded bias, one per output
 * @throws HalftoneError ACCUMULATOR_OVERFLOW when an end leaves int32
 */
export function accumulatorIntervals(weights: Int8Array, bias: Float64Array, codes: Interval, place: string): Interval[] {
  const taps = weights.length / bias.length;
  return Array.from(bias, (start, o) => {
    let positive = 0;
    let negative = 0;
    for (let i = o * taps; i < (o + 1) * taps; i++) {
      if (weights[i]! > 0) positive += weights[i]!;
      else negative += weights[i]!;
    }
    const interval = { lo: start + positive * codes.lo + negative * codes.hi, hi: start + positive * codes.hi + negative * codes.lo };
    withinInt32(interval, `${place}, output channel ${o}`, "Use fewer weight bits for this layer, or split its input channels.");
    return interval;
  });
}

/** Interval of a sum of n products of numbers in a and b; both ends are attained. */
export function productInterval(a: Interval, b: Interval, n: number): Interval {
  const products = [a.lo * b.lo, a.lo * b.hi, a.hi * b.lo, a.hi * b.hi];
  return { lo: n * Math.min(...products), hi: n * Math.max(...products) };
}

/** @throws HalftoneError ACCUMULATOR_OVERFLOW */
export function withinInt32({ lo, hi }: Interval, place: string, hint: string): void {
  if (lo >= -0x80000000 && hi <= 0x7fffffff) return;
  throw new HalftoneError("ACCUMULATOR_OVERFLOW", place, `accumulators in [${lo}, ${hi}]`, "a sum within 32 bits", hint);
}

/** Codes that a window meets: padded taps hold the zero point, which need not be a code that the producer's clamp lets through. */
export function tapCodes(codes: Interval, zeroPoint: number, pads: readonly number[]): Interval {
  return pads.some((pad) => pad > 0) ? union([codes, { lo: zeroPoint, hi: zeroPoint }]) : codes;
}

export const union = (intervals: readonly Interval[]): Interval => ({
  lo: intervals.reduce((least, { lo }) => Math.min(least, lo), Number.POSITIVE_INFINITY),
  hi: intervals.reduce((most, { hi }) => Math.max(most, hi), Number.NEGATIVE_INFINITY),
});

export const magnitude = ({ lo, hi }: Interval): number => Math.max(Math.abs(lo), Math.abs(hi));

/**
 * Whether x·q / 2^(31 − shift) is never exactly halfway for |x| ≤ bound, so that rounding half up and half to even give the same bits.
 * A tie needs x·q to be an odd multiple of 2^(t−1), hence |x| ≥ 2^(t−1−v₂(q)).
 */
export function tiesExcluded(bound: number, q: number, shift: number): boolean {
  const t = 31 - shift;
  if (q === 0) return true;
  if (t < 1 || t > 62) return false;
  const twos = 31 - Math.clz32(q & -q);
  return bound < powerOfTwo(t - 1 - twos);
}
