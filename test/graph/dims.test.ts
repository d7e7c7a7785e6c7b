import fc from "fast-check";
import { expect, test } from "vitest";
import {
  addDims,
  divideDims,
  elementCount,
  multiplyDims,
  productOfDims,
  substituteDim,
  subtractDims,
  symbolOf,
  unknownDim,
} from "../../src/graph/dims.ts";
import type { Dim } from "../../src/graph/types.ts";

const symbols = ["N", "T", "batch size", "h.0[2]"];
const sizes = new Map<string, Dim>([
  ["N", 5],
  ["T", 7],
  ["batch size", 3],
  ["h.0[2]", 2],
]);
const dim = fc
  .record({ coefficient: fc.integer({ min: 1, max: 60 }), symbols: fc.array(fc.constantFrom(...symbols), { maxLength: 3 }) })
  .map(({ coefficient, symbols: list }) => list.reduce<Dim>(multiplyDims, coefficient));
const value = (each: Dim): number => Number(substituteDim(each, sizes));

test("monomials have one spelling", () => {
  expect(multiplyDims("N", 49)).toBe("49*N");
  expect(multiplyDims("T", "N")).toBe("N*T");
  expect(multiplyDims("49*N", "2*T")).toBe("98*N*T");
  expect(multiplyDims("N", 1)).toBe("N");
  expect(multiplyDims("N", 0)).toBe(0);
});

test("division is exact or not at all", () => {
  expect(divideDims("98*N*T", "49*N")).toBe("2*T");
  expect(divideDims("N", "N")).toBe(1);
  expect(divideDims("3*N", 2)).toBeUndefined();
  expect(divideDims("N", "T")).toBeUndefined();
});

test("sums of equal symbols are monomials, others are not", () => {
  expect(addDims("N", "3*N")).toBe("4*N");
  expect(subtractDims("3*N", "N")).toBe("2*N");
  expect(subtractDims("N", "N")).toBe(0);
  expect(addDims("N", 1)).toBeUndefined();
});

test("arithmetic on symbols is arithmetic on what they stand for", () => {
  fc.assert(
    fc.property(dim, dim, (a, b) => {
      expect(value(multiplyDims(a, b))).toBe(value(a) * value(b));
      expect(divideDims(multiplyDims(a, b), b)).toBe(a);
      expect(multiplyDims(a, b)).toBe(multiplyDims(b, a));
      const sum = addDims(a, b);
      if (sum !== undefined) expect(value(sum)).toBe(value(a) + value(b));
      const quotient = divideDims(a, b);
      if (quotient !== undefined) expect(value(quotient) * value(b)).toBe(value(a));
    }),
  );
});

test("a substitution leaves other symbols alone", () => {
  expect(substituteDim("6*N*T", new Map([["N", 4]]))).toBe("24*T");
  expect(productOfDims(["N", 3, "T", 2])).toBe("6*N*T");
  expect(productOfDims([])).toBe(1);
});

test("names of the model become legal symbols", () => {
  expect(symbolOf("a*b")).not.toContain("*");
  expect(multiplyDims(symbolOf("12"), 2)).toBe("2*'12'");
  expect(unknownDim("x*y", 1)).toBe(unknownDim("x*y", 1));
});

test("2^31 elements are too many, one fewer is not", () => {
  expect(elementCount([2 ** 31 - 1], "here")).toBe(2 ** 31 - 1);
  expect(() => elementCount([2 ** 16, 2 ** 15], "here")).toThrow(/here: found sizes \[65536, 32768\]/);
  expect(elementCount([2 ** 40, 2 ** 40, 0], "here")).toBe(0);
});
