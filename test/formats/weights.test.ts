import fc from "fast-check";
import { expect, test } from "vitest";
import { HalftoneError } from "../../src/errors.ts";
import { pnormError } from "../../src/formats/search.ts";
import { linearParameters } from "../../src/formats/linear.ts";
import { dequantizeWeights, quantizeWeights, weightCodes } from "../../src/formats/weights.ts";
import type { Tensor } from "../../src/graph/types.ts";

const tensor = (dims: number[], data: ArrayLike<number>): Tensor => ({ dtype: "float32", dims, data: Float32Array.from(data) });
const minmax8 = { bits: 8, symmetric: true, range: "minmax" } as const;

test("8-bit weights use −127…127 and reach both ends' magnitude", () => {
  const { codes, encoding } = quantizeWeights(tensor([2, 3], [1, -0.5, 0.25, -8, 4, 0]), 0, minmax8);
  expect([...codes]).toEqual([127, -64, 32, -127, 64, 0]); // ties 63.5 and 31.75 to even
  expect([...encoding.scale]).toEqual([Math.fround(1 / 127), Math.fround(8 / 127)]);
});

test("the channel axis may be any: [K, N] by columns equals its transpose by rows", () => {
  fc.assert(
    fc.property(fc.array(fc.float({ min: -9, max: 9, noNaN: true }), { minLength: 12, maxLength: 12 }), (values) => {
      const columns = quantizeWeights(tensor([4, 3], values), 1, minmax8);
      const turned = Array.from({ length: 12 }, (_, i) => values[(i % 4) * 3 + Math.floor(i / 4)]!);
      const rows = quantizeWeights(tensor([3, 4], turned), 0, minmax8);
      expect(columns.encoding.scale).toEqual(rows.encoding.scale);
      expect([...columns.codes]).toEqual(Array.from({ length: 12 }, (_, i) => rows.codes[(i % 3) * 4 + Math.floor(i / 3)]!));
    }),
  );
});

test.for([2, 3, 4, 7].flatMap((bits) => [true, false].map((symmetric) => ({ bits, symmetric }))))(
  "$bits bits, symmetric $symmetric: codes stay in range and decode to within half a step",
  ({ bits, symmetric }) => {
    const values = Float32Array.from({ length: 60 }, (_, i) => Math.fround(((i * 37) % 61) / 30 - 0.6));
    const { lo, hi } = weightCodes(bits, symmetric);
    for (const range of ["minmax", "mse"] as const) {
      const weight = quantizeWeights(tensor([3, 20], values), 0, { bits, symmetric, range });
      expect(Math.min(...weight.codes)).toBeGreaterThanOrEqual(lo);
      expect(Math.max(...weight.codes)).toBeLessThanOrEqual(hi);
      const back = dequantizeWeights(weight).data as Float32Array;
      const step = (i: number): number => weight.encoding.scale[Math.floor(i / 20)]!;
      if (range === "minmax") back.forEach((w, i) => void expect(Math.abs(w - values[i]!)).toBeLessThanOrEqual(step(i) * 0.5001));
    }
  },
);

test("mse at 3 bits has a smaller error than minmax on weights with an outlier", () => {
  const values = Float32Array.from({ length: 200 }, (_, i) => (i === 7 ? 4 : Math.sin(i) * 0.5));
  const codes = weightCodes(3, true);
  const error = (range: "minmax" | "mse"): number => {
    const { encoding } = quantizeWeights(tensor([1, 200], values), 0, { bits: 3, symmetric: true, range });
    return pnormError({ values }, { scale: encoding.scale[0]!, zeroPoint: 0 }, codes, 2.4);
  };
  expect(error("mse")).toBeLessThan(error("minmax") * 0.9);
});

test("a channel of zeros has scale 1 and codes that mean 0", () => {
  for (const symmetric of [true, false]) {
    const weight = quantizeWeights(tensor([2, 2], [0, 0, 1, -1]), 0, { bits: 4, symmetric, range: "mse" });
    expect(weight.encoding.scale[0]).toBe(1);
    expect([...(dequantizeWeights(weight).data as Float32Array)].slice(0, 2)).toEqual([0, 0]);
  }
  expect(linearParameters({ min: 0, max: 0 }, weightCodes(8, true))).toEqual({ scale: 1, zeroPoint: 0 });
});

test("weights that are not finite, and widths without a form, are refused by name", () => {
  const refuse = (run: () => unknown, code: string, text: RegExp): void => {
    try {
      run();
    } catch (error) {
      expect(error).toBeInstanceOf(HalftoneError);
      expect((error as HalftoneError).code).toBe(code);
      expect((error as HalftoneError).message).toMatch(text);
      return;
    }
    expect.unreachable();
  };
  refuse(() => quantizeWeights(tensor([1, 2], [1, Number.NaN]), 0, minmax8, "weight 'fc.w'"), "NOT_FINITE", /weight 'fc\.w': found NaN/);
  refuse(() => quantizeWeights(tensor([1, 1], [1]), 0, { ...minmax8, symmetric: false }), "OPTION_INVALID", /at most 7 bits/);
  refuse(() => quantizeWeights(tensor([1, 1], [1]), 0, { ...minmax8, bits: 9 }), "OPTION_INVALID", /9 bits/);
});
