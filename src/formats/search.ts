// Ranges by least quantization error Σ |x̂ − x|^p over weighted points.

import type { CodeRange, Interval, LinearParameters } from "./linear.ts";
import { linearParameters } from "./linear.ts";
import { roundHalfEven } from "./rounding.ts";

/** Exponents of the error norm. 2.4, the default of the published searches, weighs clipping more than 2 does. */
export type Norm = 2 | 2.4 | 3 | 4;

/** Real numbers, each standing for `counts` (1 where absent) elements. Finite. */
export interface Points {
  readonly values: Float64Array | Float32Array;
  readonly counts?: Float64Array | undefined;
}

const scratch = new Float32Array(1);
const bits = new Int32Array(scratch.buffer);

/**
 * |e|^2.4 to 8 digits; 0 for |e| below 10⁻¹⁸. It is x²·r⁴ with x = e² and r = x^(−1/5), since
 * x²·x^(−4/5) = x^(6/5). r comes from its float32 bits (within 4 %) and three Newton steps r ← r·(6 − x·r⁵)/5, which need no
 * division, and no logarithm that hosts could round differently.
 */
export function power2_4(e: number): number {
  const x = e * e;
  if (x < 1e-36) return 0;
  if (x > 1e36) return power2_4(e / 1125899906842624) * 1.329227995784916e36; // 2⁵⁰ to the power 2.4 is 2¹²⁰
  scratch[0] = x;
  bits[0] = 1277928000 - ((bits[0]! / 5) | 0);
  let r = scratch[0]!;
  const fifth = x * 0.2;
  for (let step = 0; step < 3; step++) {
    const r2 = r * r;
    r *= 1.2 - fifth * r2 * r2 * r;
  }
  const xr2 = x * r * r;
  return xr2 * xr2;
}

const powers: Readonly<Record<Norm, (e: number) => number>> = {
  2: (e) => e * e,
  2.4: power2_4,
  3: (e) => Math.abs(e) * e * e,
  4: (e) => e * e * (e * e),
};

/**
 * Σ count · |x̂ − x|^p, summed in the order of the points, in steps of the scale: s^p · Σ count · |level − x / s|^p.
 *
 * @param limit stop as soon as the sum reaches it: terms are never negative, so a search for the least loses nothing by it
 */
export function pnormError(
  points: Points,
  { scale, zeroPoint }: LinearParameters,
  codes: CodeRange,
  p: Norm,
  limit: number = Infinity,
): number {
  const { values, counts } = points;
  const lowest = codes.lo - zeroPoint;
  const highest = codes.hi - zeroPoint;
  const power = powers[p];
  const unit = power(scale);
  const limitInSteps = limit / unit;
  let sum = 0;
  for (let i = 0; i < values.length && sum < limitInSteps; i++) {
    const x = values[i]! / scale;
    let level = roundHalfEven(x);
    if (level > highest) level = highest;
    else if (level < lowest) level = lowest;
    sum += counts ? counts[i]! * power(level - x) : power(level - x);
  }
  return unit * sum;
}

/** Keeps the first of the best candidates (strict <), as the published searches do. */
class Best {
  readonly #points: Points;
  readonly #codes: CodeRange;
  readonly #p: Norm;
  range: Interval;
  error = Infinity;

  constructor(points: Points, codes: CodeRange, p: Norm, start: Interval) {
    this.#points = points;
    this.#codes = codes;
    this.#p = p;
    this.range = start;
  }

  /** True when this candidate is better than all before it. */
  try(range: Interval): boolean {
    return this.measure(range, this.error) < Infinity;
  }

  /** The candidate's error, or infinity once it is known to reach `limit`. */
  measure(range: Interval, limit = Infinity): number {
    const error = pnormError(this.#points, linearParameters(range, this.#codes), this.#codes, this.#p, limit);
    if (error < this.error) {
      this.error = error;
      this.range = range;
    }
    return error < limit ? error : Infinity;
  }
}

const shrunk = (range: Interval, factor: number): Interval => ({ min: range.min * factor, max: range.max * factor });

/** Result of a search: the range, and its error Σ |x̂ − x|^p over the points. */
export interface Found {
  readonly range: Interval;
  readonly error: number;
}

/** The 80 factors 1, 0.99 … 0.21 of GPTQ (grid 100, maxshrink 0.8) and BRECQ. */
const gridFactors: readonly number[] = Array.from({ length: 80 }, (_, i) => 1 - i / 100);

/**
 * "MSE-80": both ends shrink together in 80 steps of 1 %, the zero point being rounded anew for each.
 * Source: Frantar et al. 2022 (GPTQ, `Quantizer.find_params`), Li et al. 2021 (BRECQ, `init_quantization_scale`).
 */
export function searchShrink(points: Points, range: Interval, codes: CodeRange, p: Norm = 2.4): Found {
  const best = new Best(points, codes, p, range);
  for (const factor of gridFactors) best.try(shrunk(range, factor));
  return best;
}

/** Σ over the real line is not unimodal at few bits, so the bracket comes from a grid: the 80 factors, and 48 geometric ones down to 1/64. */
const bracketFactors: readonly number[] = [...gridFactors, ...Array.from({ length: 48 }, (_, i) => geometric(i))].sort((a, b) => b - a);

/** 64^(−i/47) by repeated roots: 2^(−6i/47). The constant is 2^(−6/47) to double precision. */
function geometric(i: number): number {
  let factor = 1;
  for (let k = 0; k < i; k++) factor *= 0.9153151249791006;
  return factor;
}

/** (√5 − 1) / 2 */
const golden = (Math.sqrt(5) - 1) / 2;

/**
 * The 80-point grid with a finer ending: the best of the grid and its neighbours bracket 24 steps of golden section. Every point
 * evaluated is remembered, so the error is never above that of `searchShrink`.
 */
export function searchShrinkRefined(points: Points, range: Interval, codes: CodeRange, p: Norm = 2.4): Found {
  const best = new Best(points, codes, p, range);
  let at = 0;
  bracketFactors.forEach((factor, i) => {
    if (best.try(shrunk(range, factor))) at = i;
  });
  let low = bracketFactors[Math.min(at + 1, bracketFactors.length - 1)]!;
  let high = bracketFactors[Math.max(at - 1, 0)]!;
  const error = (factor: number): number => best.measure(shrunk(range, factor));
  let left = high - (high - low) * golden;
  let right = low + (high - low) * golden;
  let leftError = error(left);
  let rightError = error(right);
  for (let step = 0; step < 24; step++) {
    if (leftError <= rightError) {
      [high, right, rightError] = [right, left, leftError];
      left = high - (high - low) * golden;
      leftError = error(left);
    } else {
      [low, left, leftError] = [left, right, rightError];
      right = low + (high - low) * golden;
      rightError = error(right);
    }
  }
  return best;
}

/** Which signs a tensor has: decided once for the whole tensor, also for ranges per channel. */
export type Side = "positive" | "negative" | "both";

export function sideOf(min: number, max: number): Side {
  return min >= 0 ? "positive" : max <= 0 ? "negative" : "both";
}

/**
 * "MSE-100": one-sided or symmetric, 100 thresholds; otherwise 100 widths × every zero point (100 · 2^bits passes: for at most
 * 4 bits; wider codes gain nothing over `searchShrink` that would pay for 25 600 passes).
 * Source: Wei et al. 2022 (QDrop, `MSEObserver`), also in PD-Quant and FlexRound.
 */
export function searchGrid(points: Points, range: Interval, codes: CodeRange, side: Side, p: Norm = 2.4): Found {
  const best = new Best(points, codes, p, range);
  if (side !== "both" || codes.symmetric) {
    const widest = Math.max(Math.abs(range.min), range.max);
    for (let i = 1; i <= 100; i++) {
      const threshold = (widest / 100) * i;
      best.try({ min: side === "positive" ? 0 : -threshold, max: side === "negative" ? 0 : threshold });
    }
    return best;
  }
  const width = Math.max(range.max, 0) - Math.min(range.min, 0);
  for (let i = 1; i <= 100; i++) {
    const step = ((width / 100) * i) / (codes.hi - codes.lo);
    for (let zero = codes.lo; zero <= codes.hi; zero++) {
      best.try({ min: (codes.lo - zero) * step, max: (codes.hi - zero) * step });
    }
  }
  return best;
}
