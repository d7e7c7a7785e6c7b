// TensorFlow Lite's int8 operators whose arithmetic differs from the runtime's (three roundings in an addition, fixed-point exponentials),
// in plain TypeScript: references for comparing with its programs, never part of a plan.
// Source: tensorflow/tflite-micro, kernels/internal/reference.
import { doublingHigh16, doublingHighTruncated16, expOnNegative, logistic, reciprocal, shiftLeftSaturating16, tanh } from "./gemmlowp.ts";
import { type CodeRange, doublingHigh, type Rounding, requantize, shiftAway, toCode } from "../../../src/ops/integer/requantize.ts";

/** A real factor multiplier · 2^(shift − 31); negative multipliers are applied as minus the rescale by their magnitude. */
export interface Factor {
  readonly multiplier: number;
  readonly shift: number;
}

export type TfliteRounding = Exclude<Rounding, "even">;

function rescale(x: number, { multiplier, shift }: Factor, rounding: TfliteRounding): number {
  return multiplier < 0 ? -requantize(x, -multiplier, shift, rounding) : requantize(x, multiplier, shift, rounding);
}

const int8: CodeRange = { zero: 0, lo: -128, hi: 127 };

/** (a ± b) of differences code − zero point: both shifted left by 20 and rescaled to twice the larger scale, then the sum to the output's. */
export function addTflite(
  a: number,
  b: number,
  fa: Factor,
  fb: Factor,
  out: Factor,
  sign: 1 | -1,
  range: CodeRange,
  r: TfliteRounding,
): number {
  const sum = rescale(a * (1 << 20), fa, r) + sign * rescale(b * (1 << 20), fb, r);
  return toCode(rescale(sum, out, r), range);
}

/** a · b of differences code − zero point. */
export function mulTflite(a: number, b: number, out: Factor, range: CodeRange, r: TfliteRounding): number {
  return toCode(rescale(a * b, out, r), range);
}

/** x ≥ 0 by one factor, x < 0 (times the slope's difference, for PRelu) by another. */
export function leakyReluTflite(x: number, slope: number, positive: Factor, negative: Factor, zero: number, r: TfliteRounding): number {
  return toCode(x >= 0 ? rescale(x, positive, r) : rescale(x * slope, negative, r), { ...int8, zero });
}

/** The sum of n differences, rescaled. */
export function sumTflite(sum: number, out: Factor, zero: number, r: TfliteRounding): number {
  return toCode(rescale(sum, out, r), { ...int8, zero });
}

/** The mean of n differences: 1 / n goes into the multiplier, which is first shifted left to keep its bits. */
export function meanTflite(sum: number, n: number, { multiplier, shift }: Factor, zero: number, r: TfliteRounding): number {
  const bits = Math.min(31 - Math.clz32(n), 32, 31 + shift);
  const divided = Number((BigInt(multiplier) << BigInt(bits)) / BigInt(n));
  return sumTflite(sum, { multiplier: divided, shift: shift - bits }, zero, r);
}

/** logistic (8 fraction bits, zero point −128) or tanh (7, zero point 0) of a difference; beyond ±radius the output saturates. */
export function sigmoidTflite(kind: "logistic" | "tanh", x: number, input: Factor, radius: number, r: TfliteRounding): number {
  if (x <= -radius) return -128;
  if (x >= radius) return 127;
  const q4 = rescale(x, input, r);
  return kind === "logistic" ? toCode(shiftAway(logistic(q4), 23), { ...int8, zero: -128 }) : toCode(shiftAway(tanh(q4), 24), int8);
}

/** Softmax of one row of codes: output scale 1/256, zero point −128. Differences below `least` give the lowest code. */
export function softmaxTflite(x: readonly number[], input: Factor, least: number, r: TfliteRounding): number[] {
  const top = Math.max(...x);
  const exponentials = x.map((code) => (code - top < least ? undefined : expOnNegative(rescale(code - top, input, r), 5)));
  const sum = exponentials.reduce<number>((s, e) => s + (e === undefined ? 0 : shiftAway(e, 12)), 0);
  const { value, bits } = reciprocal(sum, 12);
  return exponentials.map((e) => (e === undefined ? -128 : toCode(shiftAway(doublingHigh(value, e), bits + 23), { ...int8, zero: -128 })));
}

/** int16 multiplier · 2^(exponent − 15). */
export interface Factor16 {
  readonly multiplier: number;
  readonly exponent: number;
}

/** Hard-swish of a difference x in 16-bit fixed point. */
export function hardSwishTflite(x: number, output: Factor16, reluish: Factor16, zero: number): number {
  const fine = x * 128;
  const scaled = doublingHigh16(fine, output.multiplier);
  let gate = reluish.exponent > 0 ? shiftLeftSaturating16(fine, reluish.exponent - 1) : fine;
  gate = doublingHigh16(gate, reluish.multiplier);
  if (reluish.exponent > 0) gate = shiftLeftSaturating16(gate, 1);
  if (reluish.exponent < 0) gate = shiftAway(gate, -reluish.exponent);
  gate = (gate + 32768) >> 1;
  return toCode(shiftAway(doublingHighTruncated16(gate, scaled), -output.exponent), { ...int8, zero });
}
