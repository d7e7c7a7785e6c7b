import fc from "fast-check";
import { expect, test } from "vitest";
import { type CodeRange, linearParameters, symmetricCodes, unsignedCodes } from "../../src/formats/linear.ts";
import { type Norm, pnormError, power2_4, searchGrid, searchShrink, searchShrinkRefined, sideOf } from "../../src/formats/search.ts";
import { golden, readGolden } from "./golden.ts";

interface PnormRow {
  bits: number;
  p: Norm;
  index: number;
  err: number;
}
const ranges = readGolden("b-04_ranges.json") as { data: number[]; pnorm: PnormRow[] };
const data = Float64Array.from(ranges.data, Math.fround);
const absMax = Math.max(...data.map(Math.abs));

test.for(ranges.pnorm)("$bits bits, p = $p: the 80-point grid stops at index $index", ({ bits, p, index, err }) => {
  const hi = 2 ** (bits - 1) - 1;
  const codes: CodeRange = { bits, lo: -hi, hi, symmetric: true };
  const { range, error } = searchShrink({ values: data }, { min: -absMax, max: absMax }, codes, p);
  expect(range.max).toBeCloseTo(absMax * (1 - index / 100), 4);
  expect(Math.abs(error / err - 1)).toBeLessThan(1e-6);
});

const rows = (values: number[], shape: readonly number[], axis: number | null): Float64Array[] => {
  const count = axis === null ? 1 : shape[axis]!;
  const size = values.length / count;
  return Array.from({ length: count }, (_, c) => Float64Array.from(values.slice(c * size, (c + 1) * size)));
};

test.for(["range_1d_pos", "range_2d_3bit", "range_2d_channel", "range_1d_sym_channel"])(
  "%s: the grid reaches the published score",
  (name) => {
    const { in: input, out } = golden(name);
    const codes: CodeRange = { bits: 4, lo: input.qmin, hi: input.qmax, symmetric: input.sym };
    const whole = input.x.d as number[];
    const side = sideOf(Math.min(...whole), Math.max(...whole));
    rows(whole, input.x.s, input.axis).forEach((values, c) => {
      const found = searchGrid({ values }, { min: Math.min(...values), max: Math.max(...values) }, codes, side);
      expect(Math.abs(found.error / values.length / out.score.d[c] - 1)).toBeLessThan(1e-5);
      const { scale, zeroPoint } = linearParameters(found.range, codes);
      expect(Math.abs(scale / out.scale.d[c] - 1)).toBeLessThan(1e-6);
      expect(zeroPoint).toBe(out.zero_point.d[c]);
    });
  },
);

test.for(["range_brecq_tensor", "range_brecq_channel"])("%s: the shrinking search reaches the published score", (name) => {
  const { in: input, out } = golden(name);
  const codes = unsignedCodes(input.bits);
  rows(input.x.d, input.x.s, input.axis).forEach((values, c) => {
    const found = searchShrink({ values }, { min: Math.min(...values), max: Math.max(...values) }, codes);
    expect(Math.abs(found.error / values.length / out.score.d[c] - 1)).toBeLessThan(1e-5);
    const { scale, zeroPoint } = linearParameters(found.range, codes);
    expect(Math.abs(scale / out.scale.d[c] - 1)).toBeLessThan(1e-6);
    expect(zeroPoint).toBe(out.zero_point.d[c]);
  });
});

test("|e|^2.4 without a logarithm is right to 8 digits", () => {
  fc.assert(
    fc.property(fc.double({ min: 1e-17, max: 1e60, noNaN: true }), fc.boolean(), (e, negative) => {
      expect(Math.abs(power2_4(negative ? -e : e) / e ** 2.4 - 1)).toBeLessThan(2e-8);
    }),
  );
  expect(power2_4(0)).toBe(0);
});

const samples = fc.array(fc.float({ min: -50, max: 50, noNaN: true }), { minLength: 1, maxLength: 60 });

test("the refined search is never worse than the grid, and the grid never worse than min-max", () => {
  fc.assert(
    fc.property(samples, fc.constantFrom(...[2, 3, 4, 8].flatMap((b) => [unsignedCodes(b), symmetricCodes(b)])), (values, codes) => {
      const points = { values: Float64Array.from(values) };
      const range = { min: Math.min(0, ...values), max: Math.max(0, ...values) };
      const least = pnormError(points, linearParameters(range, codes), codes, 2.4);
      const grid = searchShrink(points, range, codes);
      const refined = searchShrinkRefined(points, range, codes);
      expect(grid.error).toBeLessThanOrEqual(least);
      expect(refined.error).toBeLessThanOrEqual(grid.error);
      expect(pnormError(points, linearParameters(refined.range, codes), codes, 2.4)).toBe(refined.error);
    }),
  );
});

test("a point counted n times weighs as n points", () => {
  const values = Float64Array.of(0.3, -1.2, 5);
  const counted = pnormError({ values, counts: Float64Array.of(2, 1, 3) }, { scale: 0.5, zeroPoint: 0 }, symmetricCodes(4), 2);
  const spelled = pnormError({ values: Float64Array.of(0.3, 0.3, -1.2, 5, 5, 5) }, { scale: 0.5, zeroPoint: 0 }, symmetricCodes(4), 2);
  expect(counted).toBeCloseTo(spelled, 12);
});
