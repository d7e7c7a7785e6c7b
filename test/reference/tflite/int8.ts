// TensorFlow Lite's int8 operators whose arithmetic differs from the runtime's (three roundings in an addition, fixed-point exponentials),
// in plain TypeScript: references for comparing with its programs, never part of a plan.
// Source: tensorflow/tflite-micro, kernels/internal/reference.
import { doublingHigh16, doublingHighTruncated16, logistic, shiftLeftSaturating16, tanh } from "./gemmlowp.ts";
import { type CodeRange, type Rounding, requantize, shiftAway, toCode } from "../../../src/ops/integer/requantize.ts";

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

/** a · b of differences code − zero point. */
export function mulTflite(a: number, b: number, out: Factor, range: CodeRange, r: TfliteRounding): number {
  return toCode(rescale(a * b, out, r), range);
}

/** x ≥ 0 by one factor, x < 0 (times the slope's difference, for PRelu) by another. */
export function leakyReluTflite(x: number, slope: number, positive: Factor, negative: Factor, zero: number, r: TfliteRounding): number {
  return toCode(x >= 0 ? rescale(x, positive, r) : rescale(x * slope, negative, r), { ...int8, zero });
}

/** logistic (8 fraction bits, zero point −128) or tanh (7, zero point 0) of a difference; beyond ±radius the output saturates. */
export function sigmoidTflite(kind: "logistic" | "tanh", x: number, input: Factor, radius: number, r: TfliteRounding): number {
  if (x <= -radius) return -128;
  if (x >= radius) return 127;
  const q4 = rescale(x, input, r);
  return kind === "logistic" ? toCode(shiftAway(logistic(q4), 23), { ...int8, zero: -128 }) : toCode(shiftAway(tanh(q4), 24), int8);
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
