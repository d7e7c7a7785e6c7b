// The plain references of foreign arithmetic against TensorFlow Lite's reference kernels, in both of its rounding modes.
import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { doublingHigh16, expOnNegative, logistic, oneOverOnePlus, reciprocal, tanh } from "../../../src/ops/integer/gemmlowp.ts";
import { doublingHigh, shiftAway } from "../../../src/ops/integer/requantize.ts";
import {
  addTflite,
  type Factor,
  hardSwishTflite,
  leakyReluTflite,
  meanTflite,
  mulTflite,
  sigmoidTflite,
  softmaxTflite,
  sumTflite,
  type TfliteRounding,
} from "../../../src/ops/integer/tflite.ts";

interface Tensor {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}
// biome-ignore lint/suspicious/noExplicitAny: every operator has fields of its own
type Case = Record<string, any>;

function casesOf(operator: string, mode: TfliteRounding): Case[] {
  const file = (folder: TfliteRounding) => new URL(`../../golden/tflite/${folder}/${operator}.json`, import.meta.url);
  const url = mode === "single" && existsSync(file("single")) ? file("single") : file("double");
  return (JSON.parse(readFileSync(url, "utf8")) as { cases: Case[] }).cases;
}

/** The expected tensor of every case against `compute`. */
function forEachMode(operator: string, compute: (c: Case, mode: TfliteRounding) => number[]): void {
  test.for(["double", "single"] as const)(`${operator}, %s rounding`, (mode) => {
    const cases = casesOf(operator, mode);
    expect(cases.length).toBeGreaterThan(0);
    for (const c of cases) expect(compute(c, mode), c.id).toEqual(c.output.data);
  });
}

/** Every row [...arguments, result] of a scalar function. */
function rowsOf(operator: string, compute: (...args: number[]) => number | number[], results = 1): void {
  test(operator, () => {
    for (const row of casesOf(operator, "double").flatMap((c) => c.rows as number[][])) {
      const expected = row.slice(-results);
      expect([compute(...row.slice(0, -results))].flat(), String(row)).toEqual(expected);
    }
  });
}

/** Elements of `t` as `shape` sees them (broadcast from the last axis). */
function broadcast(t: Tensor, shape: readonly number[]): number[] {
  const own = [...new Array<number>(shape.length - t.shape.length).fill(1), ...t.shape];
  const count = shape.reduce((a, b) => a * b, 1);
  return Array.from({ length: count }, (_, i) => {
    let [rest, at, stride] = [i, 0, 1];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      if (own[axis]! > 1) at += (rest % shape[axis]!) * stride;
      stride *= own[axis]!;
      rest = Math.floor(rest / shape[axis]!);
    }
    return t.data[at]!;
  });
}

const factor = (c: Case, name: string, suffix = ""): Factor => ({
  multiplier: c[`${name}_multiplier${suffix}`],
  shift: c[`${name}_shift${suffix}`],
});
const rangeOf = (c: Case) => ({ zero: c.output_offset, lo: c.activation_min, hi: c.activation_max });
const domain = Array.from({ length: 256 }, (_, i) => i - 128);

/** Differences code − zero point of both operands, at every output element. */
const differences = (c: Case): [number, number][] => {
  const [a, b] = [broadcast(c.input1, c.output.shape), broadcast(c.input2, c.output.shape)];
  return a.map((x, i) => [x + c.input1_offset, b[i]! + c.input2_offset]);
};
const sum = (sign: 1 | -1) => (c: Case, mode: TfliteRounding) =>
  differences(c).map(([a, b]) => addTflite(a, b, factor(c, "input1"), factor(c, "input2"), factor(c, "output"), sign, rangeOf(c), mode));

forEachMode("add_i8", sum(1));
forEachMode("sub_i8", sum(-1));
forEachMode("mul_i8", (c, mode) => differences(c).map(([a, b]) => mulTflite(a, b, factor(c, "output"), rangeOf(c), mode)));

forEachMode("leaky_relu_i8", (c, mode) => {
  const [positive, negative] = [factor(c, "output", "_identity"), factor(c, "output", "_alpha")];
  return domain.map((x) => leakyReluTflite(x - c.input_zero_point, 1, positive, negative, c.output_zero_point, mode));
});

forEachMode("prelu_i8", (c, mode) => {
  const slopes = broadcast(c.alpha, c.output.shape);
  const [positive, negative] = [factor(c, "output", "_1"), factor(c, "output", "_2")];
  return broadcast(c.input, c.output.shape).map((x, i) =>
    leakyReluTflite(x + c.input_offset, slopes[i]! + c.alpha_offset, positive, negative, c.output_offset, mode),
  );
});

/** Σ (code − zero point) over the reduced axes, for each output. */
function sums(c: Case): number[] {
  const { shape, data } = c.input as Tensor;
  const axes = (c.axes as number[]).map((a) => (a + shape.length) % shape.length);
  const out = new Map<string, number>();
  data.forEach((x, i) => {
    const index = shape.map((n, axis) => Math.floor(i / shape.slice(axis + 1).reduce((a, b) => a * b, 1)) % n);
    const key = index.filter((_, axis) => !axes.includes(axis)).join();
    out.set(key, (out.get(key) ?? 0) + x - c.input_zero_point);
  });
  return [...out.values()];
}
forEachMode("mean_i8", (c, mode) =>
  sums(c).map((s) => meanTflite(s, c.elements_per_output, { multiplier: c.multiplier, shift: c.shift }, c.output_zero_point, mode)),
);
forEachMode("reduce_sum_i8", (c, mode) =>
  sums(c).map((s) => sumTflite(s, { multiplier: c.multiplier, shift: c.shift }, c.output_zero_point, mode)),
);

for (const kind of ["logistic", "tanh"] as const) {
  forEachMode(`${kind}_i8`, (c, mode) => {
    const input = { multiplier: c.input_multiplier, shift: c.input_left_shift };
    return domain.map((x) => sigmoidTflite(kind, x - c.input_zero_point, input, c.input_range_radius, mode));
  });
}

forEachMode("softmax_i8", (c, mode) => {
  const { shape, data } = c.input as Tensor;
  const n = shape.at(-1)!;
  const input = { multiplier: c.input_multiplier, shift: c.input_left_shift };
  return Array.from({ length: data.length / n }, (_, row) =>
    softmaxTflite(data.slice(row * n, (row + 1) * n), input, c.diff_min, mode),
  ).flat();
});

forEachMode("hard_swish_i8", (c) => {
  const output = { multiplier: c.output_multiplier_fixedpoint_int16, exponent: c.output_multiplier_exponent };
  const reluish = { multiplier: c.reluish_multiplier_fixedpoint_int16, exponent: c.reluish_multiplier_exponent };
  return domain.map((x) => hardSwishTflite(x - c.input_zero_point, output, reluish, c.output_zero_point));
});

rowsOf("rounding_divide_by_pot_i32", (x, k) => shiftAway(x!, k!));
rowsOf("saturating_rounding_doubling_high_mul_i32", (a, b) => doublingHigh(a!, b!));
rowsOf("saturating_rounding_doubling_high_mul_i16", (a, b) => doublingHigh16(a!, b!));
rowsOf("gemmlowp_exp_on_negative_values_q5", (x) => expOnNegative(x!, 5));
rowsOf("gemmlowp_logistic_q4", (x) => logistic(x!));
rowsOf("gemmlowp_tanh_q4", (x) => tanh(x!));
rowsOf("gemmlowp_one_over_one_plus_x_q0", (x) => oneOverOnePlus(x!));
rowsOf(
  "get_reciprocal_q12",
  (x) => {
    const { value, bits } = reciprocal(x!, 12);
    return [value, bits];
  },
  2,
);
