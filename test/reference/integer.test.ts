// The golden values of integer arithmetic that no kernel's own test reads: intervals, folding, means, tables, I-BERT's exponential.
import { expect, test } from "vitest";
import { roundHalfEven } from "../../src/formats/rounding.ts";
import { accumulatorIntervals } from "../../src/lower/accumulator.ts";
import { convAccumulators } from "../../src/ops/integer/conv.ts";
import { quantizeMultiplier, requantize, type Rounding } from "../../src/ops/integer/requantize.ts";
import { erf, sigmoid, tanh } from "../../src/ops/math.ts";
import { readGolden } from "../formats/golden.ts";
import { f32, list, run } from "../ops/run.ts";
import { Random } from "../runtime/harness.ts";
import { integerExp } from "./ibert.ts";
import { meanAway } from "./tflite/pooling.ts";

interface Lookup {
  readonly s_in: number;
  readonly z_in: number;
  readonly s_out: number;
  readonly z_out: number;
  readonly table: readonly number[];
}

const golden = readGolden("b-08_integer.json") as {
  acc_interval: { w: number[]; x: [number, number]; b: number; interval: [number, number] }[];
  zero_point: { w: number[][]; x: number[][]; zx: number; b: number[]; b_folded: number[]; y: number[][] };
  avgpool: { sum: number; n: number; away: number }[];
  luts: Record<"sigmoid" | "tanh" | "hardswish" | "gelu", Lookup>;
  ibert_exp: { s: number; max_abs_err: number; cases: [x: number, value: number][] };
  float32_mismatch: Record<"even" | "up" | "double", [different: number, of: number]>;
};

test.for(golden.acc_interval)("accumulators from $interval.0 to $interval.1", ({ w, x: [lo, hi], b, interval }) => {
  const [found] = accumulatorIntervals(Int8Array.from(w), Float64Array.of(b), { lo, hi }, "layer");
  expect([found!.lo, found!.hi]).toEqual(interval);
  const reached = (end: (weight: number) => number): number => w.reduce((sum, weight) => sum + weight * end(weight), b);
  expect([reached((weight) => (weight > 0 ? lo : hi)), reached((weight) => (weight > 0 ? hi : lo))]).toEqual(interval);
});

test("a folded zero point leaves the accumulators as they are, for codes of either sign", () => {
  const { w, x, zx, b, b_folded, y } = golden.zero_point;
  const fold = (zero: number): number[] => w.map((row, o) => b[o]! - zero * row.reduce((sum, each) => sum + each, 0));
  expect(fold(zx)).toEqual(b_folded);
  // The kernel's codes are signed: 128 less, the zero point too.
  const [outputs, taps, positions] = [w.length, x.length, x[0]!.length];
  const codes = Int8Array.from({ length: positions * taps }, (_, i) => x[i % taps]![Math.floor(i / taps)]! - 128);
  const shape = { window: [1, 1], stride: [1, 1], dilation: [1, 1], pads: [0, 0, 0, 0] } as const;
  const [weights, bias] = [Int8Array.from(w.flat()), Int32Array.from(fold(zx - 128))];
  const acc = convAccumulators(codes, [1, positions, taps], weights, bias, [1, positions, outputs], shape, 1, zx - 128);
  expect(w.map((_, o) => x[0]!.map((_, p) => acc[p * outputs + o]))).toEqual(y);
});

test.for(golden.avgpool)("the mean of $n codes of sum $sum, halves away from zero", ({ sum, n, away }) => {
  expect(meanAway([sum, ...new Array<number>(n - 1).fill(0)])).toBe(away);
});

const functions = {
  sigmoid: { exact: sigmoid, operator: "Sigmoid" },
  tanh: { exact: tanh, operator: "Tanh" },
  hardswish: { exact: (x: number) => (x * Math.min(Math.max(x + 3, 0), 6)) / 6, operator: "HardSwish" },
  gelu: { exact: (x: number) => 0.5 * x * (1 + erf(x / Math.SQRT2)), operator: "Gelu" },
} as const;

test.for(Object.entries(functions))("the table of %s, by our own functions and by the operator", ([name, { exact, operator }]) => {
  const { s_in, z_in, s_out, z_out, table } = golden.luts[name as keyof typeof functions];
  const encode = (y: number): number => Math.min(255, Math.max(0, roundHalfEven(y / s_out) + z_out));
  const x = Array.from({ length: 256 }, (_, code) => s_in * (code - z_in));
  expect(x.map((each) => encode(exact(each)))).toEqual(table);
  // In float32 a value may fall on the tie that it is next to.
  const steps = x.map((each) => exact(each) / s_out);
  const clear = steps.flatMap((step, code) => (Math.abs(step - Math.floor(step) - 0.5) > 1e-4 ? [code] : []));
  const found = list(run(operator, {}, f32([256], x))).map(encode);
  expect(clear.map((code) => found[code])).toEqual(clear.map((code) => table[code]));
});

test("I-BERT's exponential, and how far it is from the real one", () => {
  const { s, max_abs_err, cases } = golden.ibert_exp;
  for (const [x, value] of cases) expect(integerExp(x, s).value, String(x)).toBe(value);
  let worst = 0;
  for (let x = -1500; x <= 0; x++) {
    const { value, scale } = integerExp(x, s);
    worst = Math.max(worst, Math.abs(value * scale - Math.exp(x * s)));
  }
  expect(worst).toBeCloseTo(max_abs_err, 6);
});

test("rounding half to even comes closest to requantization in float32, and none is more than one code away", () => {
  const random = new Random(1);
  const different: Record<Rounding, number> = { even: 0, single: 0, double: 0 };
  let furthest = 0;
  for (const real of [0.00183, 0.0007712, 0.0031, 2 ** -9].map(Math.fround)) {
    const { multiplier, shift } = quantizeMultiplier(real);
    for (let i = 0; i < 50_000; i++) {
      const x = random.between(-60_000, 60_000);
      const float = roundHalfEven(Math.fround(x * real));
      for (const rounding of ["even", "single", "double"] as const) {
        const distance = Math.abs(requantize(x, multiplier, shift, rounding) - float);
        furthest = Math.max(furthest, distance);
        different[rounding] += distance;
      }
    }
  }
  expect(furthest).toBe(1);
  expect(different.even).toBeLessThanOrEqual(5 * golden.float32_mismatch.even[0]);
  expect(different.even).toBeLessThan(different.single);
  expect(different.single).toBeLessThan(different.double);
});
