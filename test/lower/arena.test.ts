import fc from "fast-check";
import { expect, test } from "vitest";
import { type Buffer, planArena } from "../../src/lower/arena.ts";

/** No plan can do with less: the most bytes that live at one step. */
function lowerBound(buffers: readonly Buffer[]): number {
  const steps = new Set(buffers.map((b) => b.firstStep));
  return Math.max(
    0,
    ...[...steps].map((step) =>
      buffers.reduce((sum, b) => sum + (b.firstStep <= step && step <= b.lastStep ? Math.ceil(b.bytes / 16) * 16 : 0), 0),
    ),
  );
}

const buffer = fc
  .tuple(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 8 }))
  .map(([bytes, firstStep, length]) => ({ bytes, firstStep, lastStep: firstStep + length }));

test("no two buffers that live at the same time share a byte, and every offset is a multiple of 16", () => {
  fc.assert(
    fc.property(fc.array(buffer, { maxLength: 60 }), (buffers) => {
      const { offsets, total } = planArena(buffers);
      for (const [i, a] of buffers.entries()) {
        expect(offsets[i]! % 16).toBe(0);
        expect(offsets[i]! + a.bytes).toBeLessThanOrEqual(total);
        for (const [j, b] of buffers.slice(0, i).entries()) {
          if (a.firstStep > b.lastStep || b.firstStep > a.lastStep) continue;
          expect(offsets[i]! + a.bytes <= offsets[j]! || offsets[j]! + b.bytes <= offsets[i]!).toBe(true);
        }
      }
      expect(total % 16).toBe(0);
      expect(total).toBeGreaterThanOrEqual(lowerBound(buffers));
      expect(planArena(buffers)).toEqual({ offsets, total });
    }),
    { seed: 1, numRuns: 300 },
  );
});

/** [H·W·C bytes] of a chain, each value read by the next step. */
function chain(sizes: readonly number[]): Buffer[] {
  return sizes.map((bytes, i) => ({ bytes, firstStep: i - 1, lastStep: i }));
}

/** Residual blocks of two convolutions: the block's input lives until the second writes. */
function residual(stages: readonly (readonly [bytes: number, blocks: number])[]): Buffer[] {
  const buffers: Buffer[] = [{ bytes: 150_528, firstStep: -1, lastStep: 0 }];
  let step = 0;
  for (const [bytes, blocks] of stages) {
    for (let block = 0; block < blocks; block++) {
      buffers.push({ bytes, firstStep: step, lastStep: step + 2 }, { bytes, firstStep: step + 1, lastStep: step + 2 });
      step += 2;
    }
  }
  return buffers;
}

/** MobileNetV2 at 224²: expansion, depthwise, projection with the block's input as a residual. */
function inverted(): Buffer[] {
  const rows: [side: number, input: number, output: number, stride: number, blocks: number][] = [
    [112, 16, 24, 2, 2],
    [56, 24, 32, 2, 3],
    [28, 32, 64, 2, 4],
    [14, 64, 96, 1, 3],
    [14, 96, 160, 2, 3],
    [7, 160, 320, 1, 1],
  ];
  const buffers: Buffer[] = [
    { bytes: 3 * 224 * 224, firstStep: -1, lastStep: 0 },
    { bytes: 32 * 112 * 112, firstStep: 0, lastStep: 1 },
    { bytes: 32 * 112 * 112, firstStep: 1, lastStep: 2 },
    { bytes: 16 * 112 * 112, firstStep: 2, lastStep: 3 },
  ];
  let step = 3;
  for (const [first, input, output, stride, blocks] of rows) {
    let [side, channels] = [first, input];
    for (let block = 0; block < blocks; block++) {
      const after = block === 0 ? side / stride : side;
      buffers.push({ bytes: side * side * channels * 6, firstStep: step, lastStep: step + 1 });
      buffers.push({ bytes: after * after * channels * 6, firstStep: step + 1, lastStep: step + 2 });
      const reused = block + 1 < blocks ? step + 5 : step + 3;
      buffers.push({ bytes: after * after * output, firstStep: step + 2, lastStep: reused });
      [side, channels] = [after, output];
      step += 3;
    }
  }
  return buffers;
}

/** SqueezeNet's fire modules: two expansions read one squeeze, both are copied into their concatenation. */
function fires(): Buffer[] {
  const modules: [side: number, squeeze: number, expand: number][] = [
    [55, 16, 64],
    [55, 16, 64],
    [27, 32, 128],
    [27, 32, 128],
    [13, 48, 192],
    [13, 48, 192],
    [13, 64, 256],
    [13, 64, 256],
  ];
  const buffers: Buffer[] = [{ bytes: 64 * 55 * 55, firstStep: -1, lastStep: 0 }];
  for (const [i, [side, squeeze, expand]] of modules.entries()) {
    const step = i * 5;
    const area = side * side;
    buffers.push({ bytes: area * squeeze, firstStep: step, lastStep: step + 2 });
    buffers.push({ bytes: area * expand, firstStep: step + 1, lastStep: step + 3 });
    buffers.push({ bytes: area * expand, firstStep: step + 2, lastStep: step + 4 });
    buffers.push({ bytes: area * expand * 2, firstStep: step + 3, lastStep: step + 5 });
  }
  return buffers;
}

test.for([
  ["a chain", chain([150_528, 802_816, 401_408, 401_408, 200_704, 100_352, 50_176, 1000])],
  [
    "residual blocks",
    residual([
      [802_816, 3],
      [401_408, 4],
      [200_704, 6],
      [100_352, 3],
    ]),
  ],
  ["inverted residual blocks", inverted()],
  ["fire modules", fires()],
] as const)("%s take at most 1.15 times the least possible", ([, buffers]) => {
  const { total } = planArena(buffers);
  expect(total / lowerBound(buffers)).toBeLessThanOrEqual(1.15);
});
