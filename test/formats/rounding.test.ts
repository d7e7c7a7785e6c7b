import fc from "fast-check";
import { expect, test } from "vitest";
import { divide32, roundHalfAway, roundHalfEven } from "../../src/formats/rounding.ts";
import { golden } from "./golden.ts";

const { in: input, out } = golden("rounding");

test("halves go to the even integer", () => {
  expect(input.x.d.map((x: number) => roundHalfEven(x) + 0)).toEqual(out.half_even.d);
});

test("the foreign rounding sends halves away from zero", () => {
  expect(input.x.d.map((x: number) => roundHalfAway(x) + 0)).toEqual(out.half_away.d.map((x: number) => x + 0));
});

test("every double is rounded to a nearest integer, even on a tie", () => {
  fc.assert(
    fc.property(fc.oneof(fc.double({ noNaN: true }), fc.double({ min: -1e16, max: 1e16, noNaN: true })), (x) => {
      const y = roundHalfEven(x);
      if (!Number.isFinite(x)) {
        expect(y).toBe(x);
        return;
      }
      expect(Number.isInteger(y)).toBe(true);
      const distance = Math.abs(x - y);
      expect(distance).toBeLessThanOrEqual(0.5);
      if (distance === 0.5) expect(y % 2).toBe(y < 0 ? -0 : 0);
    }),
    { numRuns: 2000 },
  );
  for (const x of [2 ** 51 + 0.5, 2 ** 51 + 1, 2 ** 52 - 0.5, -(2 ** 51) - 1.5]) {
    expect(Math.abs(roundHalfEven(x) - x)).toBeLessThanOrEqual(0.5);
  }
});

test("dividing in float64 and rounding is float32 division", () => {
  // 1/3 in float32 and a quotient whose float64 value lies next to a float32 tie
  expect(divide32(1, 3)).toBe(Math.fround(0.3333333432674408));
  expect(divide32(Math.fround(0.1), Math.fround(0.3))).toBe(Math.fround(Math.fround(0.1) / Math.fround(0.3)));
});
