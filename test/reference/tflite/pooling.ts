// Windows and axes reduced to one code each.
import { toCode } from "../../../src/ops/integer/requantize.ts";
import { eachTap } from "../../../src/ops/integer/window.ts";
import { activationRange, type Case, coordinates, factor, type Factor, type Reference, tensor, typeRange } from "./case.ts";
import { rescale } from "./fixedpoint.ts";

/** The codes inside each window of images [N,H,W,C], reduced and clamped; taps outside are skipped. */
const pool = (reduce: (codes: readonly number[]) => number): Reference =>
  tensor((c) => {
    const [, height, width, channels] = c.input.shape;
    const shape = {
      window: [c.filter_h, c.filter_w],
      stride: [c.stride_h, c.stride_w],
      dilation: [1, 1],
      pads: [c.pad_top, c.pad_left, c.pad_bottom, c.pad_right],
    } as const;
    return c.output.data.map((_: number, i: number) => {
      const [n, oy, ox, channel] = coordinates(i, c.output.shape) as [number, number, number, number];
      const codes: number[] = [];
      eachTap(shape, [height, width, channels], oy, ox, (y, x, _ky, _kx, inside) => {
        if (inside) codes.push(c.input.data[((n * height + y) * width + x) * channels + channel]);
      });
      return toCode(reduce(codes), activationRange(c));
    });
  });

/** The mean, halves away from zero. */
export function meanAway(codes: readonly number[]): number {
  const sum = codes.reduce((a, b) => a + b, 0);
  const magnitude = Math.floor((Math.abs(sum) + (codes.length >> 1)) / codes.length);
  return sum < 0 ? 0 - magnitude : magnitude; // never −0
}

/** Σ (code − zero point) over the reduced axes, for each output. */
function sums(c: Case): number[] {
  const { shape, data } = c.input;
  const axes = c.axes.map((axis: number) => (axis + shape.length) % shape.length);
  const totals = new Map<string, number>();
  data.forEach((x: number, i: number) => {
    const key = coordinates(i, shape)
      .filter((_, axis) => !axes.includes(axis))
      .join();
    totals.set(key, (totals.get(key) ?? 0) + x - c.input_zero_point);
  });
  return [...totals.values()];
}

/** 1 / n goes into the multiplier, which is first shifted left to keep its bits. */
function dividedBy(n: number, { multiplier, shift }: Factor): Factor {
  const bits = Math.min(31 - Math.clz32(n), 32, 31 + shift);
  return { multiplier: Number((BigInt(multiplier) << BigInt(bits)) / BigInt(n)), shift: shift - bits };
}

const reduction = (factorOf: (c: Case) => Factor): Reference =>
  tensor((c, rounding) => sums(c).map((sum) => toCode(rescale(sum, factorOf(c), rounding), typeRange(c.output, c.output_zero_point))));

const mean = reduction((c) => dividedBy(c.elements_per_output, factor(c, "")));
const total = reduction((c) => factor(c, ""));

export const pooling: Readonly<Record<string, Reference>> = {
  average_pool_i8: pool(meanAway),
  average_pool_i16: pool(meanAway),
  max_pool_i8: pool((codes) => Math.max(...codes)),
  max_pool_i16: pool((codes) => Math.max(...codes)),
  mean_i8: mean,
  mean_i16: mean,
  reduce_sum_i8: total,
  reduce_sum_i16: total,
};
