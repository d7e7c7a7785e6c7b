// Softmax, logistic and tanh in fixed point and by tables, and the L2 norm.
import { expOnNegative, reciprocal } from "./gemmlowp.ts";
import { doublingHigh, shiftAway, toCode } from "../../../src/ops/integer/requantize.ts";
import { sigmoidTflite } from "./int8.ts";
import { type Case, type Factor, inputCodes, type Reference, type TfliteRounding, tensor, typeRange } from "./case.ts";
import { inverseSquareRoot, rescale } from "./fixedpoint.ts";
import { expTable, interpolate, reciprocalTable, sigmoidTable } from "./tables.ts";

/** Applies `row` to each vector along the last axis. */
const lastAxis = (row: (x: readonly number[], c: Case, rounding: TfliteRounding) => number[]): Reference =>
  tensor((c, rounding) => {
    const n = c.input.shape.at(-1);
    const { data } = c.input;
    return Array.from({ length: data.length / n }, (_, i) => row(data.slice(i * n, (i + 1) * n), c, rounding)).flat();
  });

const inputFactor = (c: Case): Factor => ({ multiplier: c.input_multiplier, shift: c.input_left_shift });

/** exp of the differences to the maximum in Q5, their sum in Q12, its reciprocal in Q0. Differences below `diff_min` give the lowest code. */
const softmax = (outputBits: number): Reference =>
  lastAxis((x, c, rounding) => {
    const top = Math.max(...x);
    const e = x.map((code) => (code - top < c.diff_min ? undefined : expOnNegative(rescale(code - top, inputFactor(c), rounding), 5)));
    const sum = e.reduce<number>((total, each) => total + (each === undefined ? 0 : shiftAway(each, 12)), 0);
    const { value, bits } = reciprocal(sum, 12);
    const range = typeRange(c.output, c.output_zero_point);
    return e.map((each) => (each === undefined ? range.lo : toCode(shiftAway(doublingHigh(value, each), bits + 31 - outputBits), range)));
  });

/** exp and the reciprocal of the sum by tables of 512 intervals; −65535 stands for −10. */
const softmax16 = lastAxis((x, c, rounding) => {
  const top = Math.max(...x);
  const range = typeRange(c.output, 0);
  const e = x.map((code) => interpolate(toCode(rescale(code - top, inputFactor(c), rounding) + 32767, range), expTable));
  const sum = e.reduce((a, b) => a + b, 0);
  const headroom = Math.clz32(sum);
  const scaled = Math.floor((sum * 2 ** (headroom - 1) + (1 << 13)) / (1 << 14)) - (1 << 15) - (1 << 16);
  const inverse = interpolate(toCode(scaled, range), reciprocalTable);
  const shift = 31 - headroom;
  return e.map((each) => Math.max(0, toCode(Math.floor((each * inverse + 2 ** (shift - 1)) / 2 ** shift), range)));
});

const sigmoid8 = (kind: "logistic" | "tanh"): Reference =>
  tensor((c, rounding) =>
    inputCodes(c).map((x) => sigmoidTflite(kind, x - c.input_zero_point, inputFactor(c), c.input_range_radius, rounding)),
  );

/**
 * The table of sigmoid(i / 24), interpolated: `bits` bits of the scaled input lie between two entries, so that tanh x = 2 sigmoid(2x) − 1
 * takes the same table with one bit less.
 */
function sigmoidOf(x: number, bits: 8 | 9): number {
  const entry = x >> bits;
  if (entry >= 255) return bits === 9 ? 0x7fff << 10 : 0xffff << 8;
  const [a, b] = [sigmoidTable[entry]!, sigmoidTable[entry + 1]!];
  return (a << bits) + (x & ((1 << bits) - 1)) * (b - a);
}

/** A multiplier of 0 stands for a power-of-two scale: 3 · 2^shift, and no shift right. */
const sigmoid16 = (ofScaled: (x: number) => number): Reference =>
  tensor((c) => {
    const power = c.input_multiplier === 0;
    const [multiplier, shift] = power ? [3 << c.input_left_shift, 0] : [c.input_multiplier, c.input_left_shift];
    return c.input.data.map((x: number) => ofScaled((x * multiplier + (shift > 0 ? 1 << (shift - 1) : 0)) >> shift));
  });

const logistic16 = sigmoid16((x) => {
  const y = sigmoidOf(Math.abs(x), 9);
  return (x >= 0 ? y + (1 << 9) : (1 << 25) - y + (1 << 9) - 1) >> 10;
});

const tanh16 = sigmoid16((x) => {
  const y = sigmoidOf(Math.abs(x), 8);
  return (x >= 0 ? y - (1 << 23) + (1 << 7) : (1 << 23) - y + (1 << 7) - 1) >> 8;
});

const l2Normalization = lastAxis((x, c, rounding) => {
  const differences = x.map((code) => code - c.input_zero_point);
  const { multiplier, shift } = inverseSquareRoot(differences.reduce((sum, d) => sum + d * d, 0));
  return differences.map((d) => toCode(rescale(d, { multiplier, shift: shift + 7 }, rounding), typeRange(c.output, 0)));
});

export const activations: Readonly<Record<string, Reference>> = {
  softmax_i8: softmax(8),
  softmax_i8_to_i16: softmax(16),
  softmax_i16: softmax16,
  logistic_i8: sigmoid8("logistic"),
  tanh_i8: sigmoid8("tanh"),
  logistic_i16: logistic16,
  tanh_i16: tanh16,
  l2_normalization_i8: l2Normalization,
};
