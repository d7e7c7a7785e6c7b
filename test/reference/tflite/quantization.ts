// Between real numbers and codes: ranges, float32 conversions, packed codes.
import { packCodes, unpackSigned, unpackUnsigned } from "../../../src/formats/packing.ts";
import { type Case, type Reference, rows } from "./case.ts";
import { roundAway } from "./tables.ts";

const f32 = Math.fround;

/** Scale and zero point of [lo, hi] in float64; the zero point comes from the end whose own error is smaller, rounded into the codes. */
function chooseParameters(lo: number, hi: number, narrow: boolean): readonly number[] {
  const [least, most] = [narrow ? -127 : -128, 127];
  const scale = (hi - lo) / (most - least);
  if (lo === hi) return [0, 0];
  const fromLeast = least - lo / scale;
  const fromMost = most - hi / scale;
  const nearer = Math.abs(least) + Math.abs(lo / scale) < Math.abs(most) + Math.abs(hi / scale) ? fromLeast : fromMost;
  return [scale, Math.min(most, Math.max(least, roundAway(nearer)))];
}

/** round(x / scale) + zero, clamped, and back. */
const affine: Reference = {
  compute: (c: Case) => {
    const codes = c.input.data.map((x: number) => Math.min(127, Math.max(-128, roundAway(f32(f32(x) / f32(c.scale))) + c.zero_point)));
    return { codes, values: codes.map((code: number) => f32(f32(c.scale) * (code - c.zero_point))) };
  },
  expected: (c) => ({ codes: c.output.data, values: c.dequantized.data.map(f32) }),
};

const packing: Reference = {
  compute: (c) => {
    const packed = packCodes(c.values.data, c.bit_width);
    const n = c.values.data.length;
    return [[...packed], [...unpackSigned(packed, c.bit_width, n)], [...unpackUnsigned(packed, c.bit_width, n)]];
  },
  expected: (c) => [c.packed, c.values.data, c.unpacked_unsigned],
};

export const quantization: Readonly<Record<string, Reference>> = {
  choose_quantization_params_i8: rows(([lo, hi, narrow]) => chooseParameters(lo!, hi!, narrow === 1), 2),
  affine_quantize_f32_i8: affine,
  pack_int2_int4: packing,
};
