import { expect, test } from "vitest";
import { augment, noAugmentation } from "../../../src/reconstruct/network/augment.ts";
import { streamOf } from "../../../src/reconstruct/random.ts";

const image = { dtype: "float32", dims: [1, 1, 2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) } as const;
const views = (augmentation: Parameters<typeof augment>[1]): Set<string> =>
  new Set(Array.from({ length: 200 }, (_, i) => [...(augment(image, augmentation, streamOf(1, i)).data as Float32Array)].join(" ")));

test("an image is moved by whole pixels, its border repeated", () => {
  const seen = views({ ...noAugmentation, shift: 1 });
  expect(seen).toHaveLength(9);
  expect(seen).toContain("1 2 3 4 5 6");
  expect(seen).toContain("1 1 2 1 1 2"); // from above and from the left
  expect(seen).toContain("5 6 6 5 6 6"); // from below and from the right
});

test("an image is mirrored half of the time", () => {
  expect(views({ ...noAugmentation, mirror: true })).toEqual(new Set(["1 2 3 4 5 6", "3 2 1 6 5 4"]));
});

test("a warp keeps the middle, and lines straight", () => {
  const ramp = {
    dtype: "float32",
    dims: [1, 2, 9, 9],
    data: Float32Array.from({ length: 162 }, (_, i) => (i % 9) + (i < 81 ? 0 : 100)),
  } as const;
  const slopes = new Set<number>();
  for (let i = 0; i < 50; i++) {
    const seen = augment(ramp, { ...noAugmentation, warp: 0.2 }, streamOf(4, i)).data as Float32Array;
    expect(seen[40]).toBe(4);
    expect(seen[121]).toBe(104);
    const [right, down] = [seen[41]! - 4, seen[49]! - 4];
    expect(Math.abs(right - 1)).toBeLessThanOrEqual(0.2001);
    expect(Math.abs(down)).toBeLessThanOrEqual(0.2001);
    // Within the border a linear picture stays linear.
    expect(seen[30]).toBeCloseTo(4 - right - down, 4);
    expect(seen[50]).toBeCloseTo(4 + right + down, 4);
    slopes.add(right);
  }
  expect(slopes.size).toBe(50);
});

test("samples of any form are mixed with each other, and stay between both", () => {
  const pair = { dtype: "float32", dims: [2, 2], data: Float32Array.of(0, 0, 1, 10) } as const;
  for (let i = 0; i < 50; i++) {
    const [a, b, c, d] = augment(pair, { ...noAugmentation, mix: 1 }, streamOf(2, i)).data as Float32Array;
    for (const [x, y] of [
      [a, b],
      [c, d],
    ]) {
      expect(x).toBeGreaterThanOrEqual(0);
      expect(x).toBeLessThanOrEqual(1);
      expect(y).toBeCloseTo(10 * x!, 5);
    }
  }
});

test("the same stream gives the same views, and no augmentation leaves samples as they are", () => {
  const all = { shift: 2, mirror: true, warp: 0.1, mix: 0.5 };
  expect(augment(image, all, streamOf(3, 1))).toEqual(augment(image, all, streamOf(3, 1)));
  expect(augment(image, noAugmentation, streamOf(3, 1)).data).toEqual(image.data);
});
