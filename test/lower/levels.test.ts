import { expect, test } from "vitest";
import { unpackUnsigned } from "../../src/formats/packing.ts";
import { packLevels } from "../../src/lower/levels.ts";

test.for([
  ["int4", [-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7], 4],
  ["symmetric int4", [-7, 7, 0, 3, -2, 1, 5, 4, 6], 4],
  ["ternary", [-1, 0, 1], 2],
  ["binary", [-1, 1], 1],
  ["a single value", [5], 1],
  ["the greatest codes", [125, 126, 127], 2],
  ["the least", [-128], 1],
  ["a power grid", [-64, -16, -4, -1, 1, 4, 16, 64], 3],
  ["both ends", [-128, 127], 1],
] as const)("%s", ([, values, bits]) => {
  const weights = Int8Array.from({ length: 100 }, (_, i) => values[(i * 7) % values.length]!);
  const packed = packLevels(weights)!;
  expect(packed.bits).toBe(bits);
  expect(packed.stream.length).toBe(Math.ceil((100 * bits) / 8));
  expect(Int8Array.from(unpackUnsigned(packed.stream, bits, 100), (i) => packed.levels[i]!)).toEqual(weights);
});

test("levels are even steps where the values allow it", () => {
  expect([...packLevels(Int8Array.of(-1, 0, 1))!.levels]).toEqual([-1, 0, 1, 2]);
  expect([...packLevels(Int8Array.of(125, 127, 126))!.levels]).toEqual([124, 125, 126, 127]);
  expect([...packLevels(Int8Array.of(-9, 9, 0))!.levels]).toEqual([-9, 0, 9, 9]);
});

test("more than 16 values are no table", () => {
  expect(packLevels(Int8Array.from({ length: 17 }, (_, i) => i))).toBeUndefined();
});
