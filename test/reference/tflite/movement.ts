// Codes moved: concatenation with a change of scale, padding, resizing.
import { toCode } from "../../../src/ops/integer/requantize.ts";
import { type Case, type Codes, coordinates, count, type Reference, type TfliteRounding, tensor, typeRange } from "./case.ts";
import { rescale } from "./fixedpoint.ts";
import { roundAway } from "./tables.ts";

const f32 = Math.fround;

/** `element(i, at)` for every output element: input i and position in it. */
const concatenation = (element: (c: Case, i: number, code: number, rounding: TfliteRounding) => number): Reference =>
  tensor((c, rounding) => {
    const inputs = c.inputs as Codes[];
    const before = count(c.output.shape.slice(0, c.axis));
    return Array.from({ length: before }, (_, outer) =>
      inputs.flatMap(({ data }, i) => {
        const n = data.length / before;
        return data.slice(outer * n, (outer + 1) * n).map((code) => element(c, i, code, rounding));
      }),
    ).flat();
  });

const requantized = concatenation((c, i, code, rounding) => {
  const own = { multiplier: c.multipliers[i], shift: c.shifts[i] };
  return toCode(rescale(code - c.input_zero_points[i], own, rounding), typeRange(c.output, c.output_zero_point));
});

/** round(code · s + b) in float32: s the ratio of the scales, b = −zero · s. Inputs of the output's own encoding are copied. */
const rescaledInFloat = concatenation((c, i, code) => {
  const [scale, zero] = [f32(c.input_scales[i]), c.input_zero_points[i]];
  if (scale === f32(c.output_scale) && zero === c.output_zero_point) return code;
  const ratio = f32(scale * f32(1 / f32(c.output_scale)));
  const bias = f32(-zero * ratio);
  return toCode(roundAway(f32(f32(code * ratio) + bias)), typeRange(c.output, c.output_zero_point));
});

const pad = tensor((c) => {
  const { shape, data } = c.input;
  return c.output.data.map((_: number, i: number) => {
    const from = coordinates(i, c.output.shape).map((x, axis) => x - c.pad_before[axis]);
    if (from.some((x, axis) => x < 0 || x >= shape[axis])) return c.pad_value;
    return data[from.reduce((at, x, axis) => at * shape[axis] + x, 0)];
  });
});

/** Output pixel (n, y, x, channel) of images [N,H,W,C] from `sample`, which reads the input at a row and column. */
const resize = (
  sample: (c: Case, y: number, x: number, read: (row: number, column: number) => number, r: TfliteRounding) => number,
): Reference =>
  tensor((c, rounding) => {
    const [, height, width, channels] = c.input.shape;
    return c.output.data.map((_: number, i: number) => {
      const [n, y, x, channel] = coordinates(i, c.output.shape) as [number, number, number, number];
      return sample(c, y, x, (row, column) => c.input.data[((n * height + row) * width + column) * channels + channel], rounding);
    });
  });

const sizes = (c: Case): [input: number, output: number][] => [
  [c.input.shape[1], c.output_h],
  [c.input.shape[2], c.output_w],
];

const nearest = resize((c, y, x, read) => {
  const [row, column] = sizes(c).map(([input, output], axis) => {
    const corners = c.align_corners && output > 1;
    const scale = corners ? f32((input - 1) / (output - 1)) : f32(input / output);
    const position = f32(((axis ? x : y) + (c.half_pixel_centers ? 0.5 : 0)) * scale);
    return Math.min(Math.max(0, c.align_corners ? roundAway(position) : Math.floor(position)), input - 1);
  });
  return read(row!, column!);
});

/** Rows or columns on both sides of an output position and the weight of the second, in units of 2⁻¹⁰. */
function neighbours(c: Case, i: number, input: number, output: number): { near: number; far: number; weight: number } {
  const scale =
    c.align_corners && output > 1
      ? Math.trunc((1024 * (input - 1) + ((output - 1) >> 1)) / (output - 1))
      : Math.trunc((1024 * input + (output >> 1)) / output);
  const position = i * scale + (c.half_pixel_centers ? (scale >> 1) - 512 : 0);
  const near = Math.max(Math.trunc(position / 1024), 0);
  return { near, far: Math.min(Math.trunc((position + 1023) / 1024), input - 1), weight: position - 1024 * near };
}

/** One rounding of the sum in units of 2⁻²⁰: halves away from zero, towards +∞ in the single-rounding build. */
const bilinear = resize((c, y, x, read, rounding) => {
  const [[height, outHeight], [width, outWidth]] = sizes(c) as [[number, number], [number, number]];
  const [v, h] = [neighbours(c, y, height, outHeight), neighbours(c, x, width, outWidth)];
  const along = (row: number): number => read(row, h.near) * (1024 - h.weight) + read(row, h.far) * h.weight;
  const mean = (along(v.near) * (1024 - v.weight) + along(v.far) * v.weight) / 2 ** 20;
  return rounding === "single" ? Math.floor(mean + 0.5) : roundAway(mean);
});

export const movements: Readonly<Record<string, Reference>> = {
  concatenation_i8_requantize: requantized,
  concatenation_u8_float_rescale: rescaledInFloat,
  pad_i8: pad,
  resize_nearest_i8: nearest,
  resize_bilinear_i8: bilinear,
};
