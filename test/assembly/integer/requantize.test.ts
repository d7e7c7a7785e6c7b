import { expect, test } from "vitest";
import { addRounded, quantizeMultiplier, requantize } from "../../../src/ops/integer/requantize.ts";
import { readGolden } from "../../formats/golden.ts";
import { Random, requantizeByKernel } from "../../runtime/harness.ts";

interface Golden {
  quantize_multiplier: { m: number; q: number; shift: number }[];
  requant: { q: number; shift: number; x: number[]; double: number[]; up: number[]; even: number[] }[];
  residual: { T: number; q1: number; q2: number; cases: [acc: number, r: number, y: number][] };
  avgpool: { sum: number; n: number; even: number }[];
}
const golden = readGolden("b-08_integer.json") as Golden;

test.for(golden.quantize_multiplier)("$m as multiplier and shift", ({ m, q, shift }) => {
  expect(quantizeMultiplier(m)).toEqual({ multiplier: q, shift });
});

test.for(golden.requant)("×$q · 2^($shift − 31), each rounding", ({ q, shift, x, double, up, even }) => {
  expect(x.map((v) => requantize(v, q, shift, "double"))).toEqual(double);
  expect(x.map((v) => requantize(v, q, shift, "single"))).toEqual(up);
  expect(x.map((v) => requantize(v, q, shift, "even"))).toEqual(even);
});

test("an accumulator and its residual are rounded once", () => {
  const { T, q1, q2, cases } = golden.residual;
  for (const [acc, r, y] of cases) expect(addRounded(acc, q1, r, q2, T)).toBe(y);
});

test.for(golden.avgpool)("the mean of $n taps of sum $sum, halves to even", ({ sum, n, even }) => {
  const { multiplier, shift } = quantizeMultiplier(1 / n);
  expect(requantize(sum, multiplier, shift, "even")).toBe(even);
});

const range = { zero: 3, lo: -128, hi: 127 };
const clamp = (y: number): number => Math.min(127, Math.max(-128, y + 3));

test.for(["even", "single", "double"] as const)("the wasm epilogues reproduce the golden values, rounding %s", (rounding) => {
  for (const { q, shift, x, ...rounded } of golden.requant) {
    const expected = rounded[rounding === "single" ? "up" : rounding].map(clamp);
    const row = (v: number): Int32Array => Int32Array.of(v);
    expect([...requantizeByKernel(Int32Array.from(x), row(q), row(shift), rounding, 2147483648, range)]).toEqual(expected);
  }
});

test.for(["even", "single", "double"] as const)(
  "the wasm epilogues equal the reference for any multiplier and shift, rounding %s",
  (rounding) => {
    for (let seed = 0; seed < 300; seed++) {
      const random = new Random(seed);
      const channels = random.between(1, 20);
      const spread = random.pick([0, 3, 12]);
      const base = random.between(-31, rounding === "double" ? 0 : 30 - spread);
      const shift = random.words(channels, base, Math.min(base + spread, rounding === "double" ? 0 : 30));
      const multiplier = random.words(channels, 1 << 30, 2147483647);
      if (seed % 3 === 0) multiplier.fill(1 << 30); // powers of two: ties
      // half of the accumulators near a tie of their channel, or near nothing
      const bound = 2 ** random.between(4, 31) - 1;
      const acc = Int32Array.from({ length: channels * 9 }, (_, i) => {
        const step = 2 ** Math.min(30, Math.max(0, -shift[i % channels]! - 1));
        const near = step * random.between(-300, 300) + random.between(-1, 1);
        const any = random.pick([near, near, random.between(-bound, bound), bound, -bound]);
        return Math.max(-bound, Math.min(bound, any));
      });
      const expected = Array.from(acc, (a, i) => clamp(requantize(a, multiplier[i % channels]!, shift[i % channels]!, rounding)));
      expect([...requantizeByKernel(acc, multiplier, shift, rounding, bound, range)], `seed ${seed}`).toEqual(expected);
    }
  },
);
