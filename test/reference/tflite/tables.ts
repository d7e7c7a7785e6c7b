// Tables of functions, made in float32 as TensorFlow Lite makes them, and their interpolation.
import { erf, exp, tanh } from "../../../src/ops/math.ts";
import { type Case, inputCodes, type Reference, tensor } from "./case.ts";

const f32 = Math.fround;

/** Nearest integer, halves away from zero. */
export const roundAway = (x: number): number => Math.sign(x) * Math.floor(Math.abs(x) + 0.5);

const clamp16 = (x: number): number => Math.min(32767, Math.max(-32768, x));

/**
 * int16[513]: f at the ends of 512 equal intervals of [lo, hi], outputs from −1 to 1, each entry moved by half the error that linear
 * interpolation would make in the middle of its interval.
 */
function table16(f: (x: number) => number, inputScale: number, inputZero: number): number[] {
  const at = (code: number): number => f32(inputScale * (code - inputZero));
  const [lo, hi] = [at(-32768), at(32767)];
  const outputScale = f32(2 / 65535);
  const unit = f32(65536 / f32(f32(outputScale * 32767) - f32(outputScale * -32768)));
  const step = f32(f32(hi - lo) / 512);
  const half = f32(step / 2);
  const entries = Array.from({ length: 512 }, (_, i) => {
    const x = f32(lo + f32(i * step));
    const [value, middle, next] = [f(x), f(f32(x + half)), f(f32(lo + f32((i + 1) * step)))];
    const sample = roundAway(f32(value * unit));
    const interpolated = roundAway(f32(f32(f32(next * unit) + sample) / 2));
    const error = interpolated - roundAway(f32(middle * unit));
    return clamp16(sample - roundAway(error / 2));
  });
  return [...entries, clamp16(roundAway(f32(f(hi) * unit)))];
}

/** exp on [−10, 0] */
export const expTable: readonly number[] = table16((x) => f32(exp(x)), f32(10 / 65535), 32767);

/** 1 / (1 + x) on [0, 1] */
export const reciprocalTable: readonly number[] = table16((x) => f32(1 / f32(1 + x)), f32(1 / 65535), -32768);

/** The table's value at an int16 code: 9 bits of index, 7 of interpolation. */
export function interpolate(code: number, table: readonly number[]): number {
  const i = 256 + (code >> 7);
  const base = table[i]!;
  return base + (((table[i + 1]! - base) * (code & 127) + 64) >> 7);
}

/** Where the published table is one above the nearest value (mostly where the curve bends, which favours interpolation). */
const raised: ReadonlySet<number> = new Set([
  4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39, 40, 41, 43, 44, 45, 46, 49, 50, 54, 62, 63, 64, 66,
  82, 86, 93, 100, 103, 112, 116, 135, 255,
]);

/** uint16[256]: 2¹⁶ sigmoid(i / 24) */
export const sigmoidTable: readonly number[] = Array.from(
  { length: 256 },
  (_, i) => roundAway(65536 / (1 + exp(-i / 24))) + (raised.has(i) ? 1 : 0),
);

const functions: Readonly<Record<string, (x: number) => number>> = {
  sigmoid: (x) => 1 / f32(1 + f32(exp(-x))),
  tanh,
  exp,
  gelu_erf: (x) => f32(0.5 * x) * f32(1 + f32(erf(f32(x * f32(Math.SQRT1_2))))),
  silu: (x) => x / f32(1 + f32(exp(-x))),
};

/** T[c] = round(f(scale (c − zero)) / output scale) + zero', clamped, for every int8 code. */
const populate = tensor((c) => {
  const f = functions[c.function]!;
  const [scale, inverse] = [f32(c.input_scale), f32(1 / f32(c.output_scale))];
  return inputCodes(c).map((code) => {
    const value = f32(f(f32(scale * (code - c.input_zero_point))));
    return Math.min(127, Math.max(-128, roundAway(f32(value * inverse)) + c.output_zero_point));
  });
});

const tables: Readonly<Record<string, readonly number[]>> = {
  exp: expTable,
  one_over_one_plus_x: reciprocalTable,
  sigmoid_table_uint16: sigmoidTable,
};

export const lookups: Readonly<Record<string, Reference>> = {
  lut_i16: { compute: (c: Case) => tables[c.name], expected: (c) => c.lut.data ?? c.lut },
  lut_populate_i8: populate,
};
