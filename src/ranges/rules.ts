// From a histogram to the interval that the codes span. One row per rule.

import type { Encoding } from "../formats/encoding.ts";
import type { CodeRange, Interval } from "../formats/linear.ts";
import { tensorEncoding } from "../formats/linear.ts";
import { searchShrinkRefined } from "../formats/search.ts";
import type { Norm } from "../formats/search.ts";
import { HalftoneError } from "../errors.ts";
import { entropyBins } from "./entropy.ts";
import type { Histogram } from "./histogram.ts";

export interface RuleOptions {
  /** percentile: the share of values that are kept, in percent. */
  readonly percentile: number;
  /** mse: exponent of the error. */
  readonly norm: Norm;
}

/** 99.99 as in NVIDIA's calibrators; 2.4 as in BRECQ and GPTQ. */
export const ruleDefaults: RuleOptions = { percentile: 99.99, norm: 2.4 };

export interface RangeRule {
  /** Only finite, non-empty histograms are asked. The answer lies within [min, max] of the histogram. */
  find(histogram: Histogram, codes: CodeRange, options: RuleOptions): Interval;
}

/** |x| ≤ threshold, within what was seen. */
function within(histogram: Histogram, threshold: number): Interval {
  return { min: Math.max(histogram.min, -threshold), max: Math.min(histogram.max, threshold) };
}

const minmax: RangeRule = {
  find: ({ min, max }) => ({ min, max }),
};

/** Symmetric: of |x|. Otherwise half of the rest is given up at either end, or all of it at the only end there is. */
const percentile: RangeRule = {
  find(histogram, codes, options) {
    const q = options.percentile / 100;
    if (codes.symmetric) return within(histogram, histogram.quantile(q));
    const twoSided = histogram.min < 0 && histogram.max > 0;
    const each = twoSided ? 1 - (1 - q) / 2 : q;
    return { min: 0 - histogram.tail(each, "negative"), max: histogram.tail(each, "positive") };
  },
};

/** Least Σ|x̂ − x|^p over shrunken intervals, the buckets standing at their exact means. */
const mse: RangeRule = {
  find: (histogram, codes, options) =>
    searchShrinkRefined(histogram.points(), { min: histogram.min, max: histogram.max }, codes, options.norm).range,
};

/** Bins of |x| for the entropy rule; 2 049 … 4 096 of them are used. */
const entropyBinCount = 4096;
/** Fewest bins kept, as in the source. */
const entropyStart = 128;

const entropy: RangeRule = {
  find(histogram, codes) {
    const { width, counts } = histogram.linear(entropyBinCount);
    const used = counts.subarray(0, Math.floor(histogram.absMax / width) + 1);
    const oneSided = !codes.symmetric && (histogram.min === 0 || histogram.max === 0);
    const levels = 1 << (oneSided ? codes.bits : codes.bits - 1);
    return within(histogram, entropyBins(used, levels, entropyStart) * width);
  },
};

export type RangeRuleName = "minmax" | "percentile" | "mse" | "entropy";
export const rangeRules: Readonly<Record<RangeRuleName, RangeRule>> = { minmax, percentile, mse, entropy };

/**
 * The interval that a rule chooses for one activation.
 *
 * @param place the value's name, for messages
 * @throws HalftoneError NOT_FINITE when the value was NaN or infinite in some sample
 */
export function chooseRange(
  rule: RangeRuleName,
  histogram: Histogram,
  codes: CodeRange,
  place: string,
  options: Partial<RuleOptions> = {},
): Interval {
  if (histogram.bad > 0) {
    throw new HalftoneError(
      "NOT_FINITE",
      `value '${place}'`,
      `${histogram.bad} NaN or infinite element(s) while calibrating`,
      "finite activations",
      "Check the preprocessing and the calibration data; the float model itself overflows on them.",
    );
  }
  if (histogram.absMax === 0) return { min: 0, max: 0 };
  return rangeRules[rule].find(histogram, codes, { ...ruleDefaults, ...options });
}

/** `chooseRange`, as the encoding of the activation: one scale and zero point for the tensor. */
export function chooseEncoding(
  rule: RangeRuleName,
  histogram: Histogram,
  codes: CodeRange,
  place: string,
  options: Partial<RuleOptions> = {},
): Encoding {
  return tensorEncoding(chooseRange(rule, histogram, codes, place, options), codes);
}

/** Outputs whose interval is known without data: [0, 1) and [−1, 1), so that scales are powers of two. */
const boundedOperators: Readonly<Record<string, Interval>> = {
  Sigmoid: { min: 0, max: 1 },
  Softmax: { min: 0, max: 1 },
  HardSigmoid: { min: 0, max: 1 },
  Tanh: { min: -1, max: 1 },
};

/**
 * The interval of an operator's output that needs no calibration, or undefined. One code is left above the greatest level, so 8-bit
 * sigmoid and softmax have scale 1/256 and zero point 0, tanh 1/128 and 128 (the convention of TensorFlow Lite).
 */
export function fixedRange(op: string, bits: number): Interval | undefined {
  const bounds = boundedOperators[op];
  return bounds && { min: bounds.min, max: bounds.max - (bounds.max - bounds.min) / (1 << bits) };
}
