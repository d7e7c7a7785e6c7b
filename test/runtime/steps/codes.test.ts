// Weights of 1 to 4 bits by any table of levels give the bits of the same weights as int8, in every kernel they can reach.
import { expect, test } from "vitest";
import { packCodes } from "../../../src/formats/packing.ts";
import type { ConvStep } from "../../../src/plan/types.ts";
import { Bench, bindStep, kernels, Random, referenceStep } from "../harness.ts";

type Kernel =
  | "gemvSums"
  | "gemvLinear"
  | "gemvTable"
  | "decode"
  | "gemm"
  | "gemv"
  | "winograd4"
  | "winograd2"
  | "depthwise3x3"
  | "depthwise";

interface Shape {
  readonly size: readonly [height: number, width: number];
  readonly inputs: number;
  readonly outputs: number;
  readonly window?: readonly [number, number];
  readonly pad?: number;
  readonly groups?: number;
  readonly stride?: readonly [number, number];
}

/** Tables by name; all of their levels occur. */
const tables: Record<string, { bits: number; levels: readonly number[] }> = {
  binary: { bits: 1, levels: [-1, 1] },
  "bits 0 and 1": { bits: 1, levels: [0, 1] },
  "one level": { bits: 1, levels: [-128, -128] },
  ternary: { bits: 2, levels: [-1, 0, 1, 2] },
  "2-bit power grid": { bits: 2, levels: [-2, -1, 1, 2] },
  "2-bit codebook": { bits: 2, levels: [-128, 3, 90, 127] },
  "3-bit": { bits: 3, levels: [-4, -3, -2, -1, 0, 1, 2, 3] },
  "3-bit codebook": { bits: 3, levels: [-128, -50, -11, -3, 4, 12, 60, 127] },
  int4: { bits: 4, levels: [-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7] },
  "int4, wide and falling": { bits: 4, levels: Array.from({ length: 16 }, (_, i) => 120 - 15 * i) },
  "4-bit float": { bits: 4, levels: [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12] },
  "4-bit codebook without 0": { bits: 4, levels: [-128, -96, -71, -50, -33, -20, -9, -1, 2, 10, 21, 34, 51, 72, 97, 127] },
};

function problem({ size, inputs, outputs, window = [1, 1], pad = 0, groups = 1, stride = [1, 1] }: Shape, table: string, seed: number) {
  const random = new Random(seed);
  const { bits, levels } = tables[table]!;
  const out = [0, 1].map((a) => Math.floor((size[a as 0 | 1] + 2 * pad - window[a as 0 | 1]) / stride[a as 0 | 1]) + 1);
  const bench = new Bench();
  const input = bench.value([inputs, ...size], { zeroPoint: random.between(-128, 127), pitch: Math.ceil(inputs / 8) * 8 });
  const output = bench.value([outputs, ...out], { type: "int32" });
  const taps = window[0] * window[1] * (inputs / groups);
  const extreme = seed % 3 === 0;
  const indices = Uint8Array.from({ length: outputs * taps }, () =>
    extreme ? (seed % 5 === 0 ? levels.length - 1 : random.pick([0, levels.length - 1])) : random.next() % levels.length,
  );
  const x = extreme ? new Int8Array(inputs * size[0] * size[1]).fill(seed % 2 ? -128 : 127) : random.codes(inputs * size[0] * size[1]);
  const bound = 128 * taps * Math.max(...levels.map(Math.abs)) + 1e6;
  const step: ConvStep = {
    kernel: "conv",
    nodes: [],
    input,
    output,
    window,
    stride,
    dilation: [1, 1],
    pads: [pad, pad, pad, pad],
    groups,
    weights: bench.tensor(packCodes(indices, bits)),
    codes: { bits, levels: bench.tensor(Int8Array.from(levels)) },
    bias: bench.tensor(random.words(outputs, -1e6, 1e6)),
    epilogue: { kind: "accumulator" },
    accumulator: [-bound, bound],
  };
  return { plan: bench.plan(step), step, given: new Map([[input, x]]) };
}

/** The kernels that ran, after the sums were found right. */
function check(shape: Shape, table: string, seed: number): Set<string> {
  const { plan, step, given } = problem(shape, table, seed);
  const bound = bindStep(plan, step, given);
  expect(bound.run(), `${JSON.stringify(shape)} ${table} ${seed}`).toEqual(referenceStep(plan, step, given));
  const names = Object.keys(kernels) as Kernel[];
  return new Set(bound.calls.map(({ run }) => names.find((name) => kernels[name] === (run as unknown))!));
}

const shapes: Record<string, Shape> = {
  pointwise: { size: [5, 9], inputs: 16, outputs: 24 },
  "padding lanes": { size: [4, 5], inputs: 13, outputs: 10 },
  "an odd number of taps": { size: [5, 5], inputs: 3, outputs: 9, window: [3, 3] },
  "many slices": { size: [30, 31], inputs: 8, outputs: 20, window: [3, 2] },
  "F(4×4)": { size: [9, 10], inputs: 24, outputs: 17, window: [3, 3], pad: 1 },
  "F(4×4), weights per slice": { size: [5, 6], inputs: 256, outputs: 9, window: [3, 3], pad: 1 },
  "F(4×4), padding lanes": { size: [8, 8], inputs: 11, outputs: 8, window: [3, 3], pad: 1 },
  "F(2×2)": { size: [4, 3], inputs: 16, outputs: 9, window: [3, 3], pad: 1 },
  depthwise: { size: [6, 5], inputs: 20, outputs: 20, window: [3, 3], pad: 1, groups: 20 },
  groups: { size: [6, 5], inputs: 12, outputs: 20, window: [3, 3], pad: 1, groups: 4 },
  "groups, one pixel": { size: [3, 3], inputs: 4, outputs: 4, window: [3, 3], groups: 2 },
  "one pixel": { size: [1, 1], inputs: 40, outputs: 70 },
  "one pixel, one channel": { size: [1, 1], inputs: 1, outputs: 1 },
  "one pixel, padding lanes": { size: [1, 1], inputs: 21, outputs: 33 },
  "one pixel of a window": { size: [3, 4], inputs: 5, outputs: 7, window: [3, 4] },
  "one pixel of a padded window": { size: [3, 3], inputs: 16, outputs: 40, window: [5, 5], pad: 1 },
  "one long row": { size: [1, 1], inputs: 2999, outputs: 40 },
};

for (const [name, shape] of Object.entries(shapes)) {
  test.for(Object.keys(tables))(`${name}: weights %s`, (table) => {
    for (const seed of [1, 3, 6]) check(shape, table, seed);
  });
}

test("any shape of any table equals its reference", () => {
  for (let seed = 0; seed < 200; seed++) {
    const random = new Random(seed * 131 + 7);
    const window = random.pick([
      [1, 1],
      [3, 3],
      [2, 3],
      [1, 4],
    ] as const);
    const size = random.pick([window, [random.between(3, 12), random.between(4, 12)] as const]);
    const shape = {
      size,
      inputs: random.between(1, 70),
      outputs: random.between(1, 70),
      window,
      pad: size === window ? 0 : random.between(0, 1),
    };
    check(shape, random.pick(Object.keys(tables)), seed);
  }
});

test("more output channels than one block of panels", () => {
  for (const table of ["binary", "int4", "4-bit codebook without 0"]) check({ size: [1, 1], inputs: 9, outputs: 4500 }, table, 1);
});

test.for([
  ["binary", "gemvSums"],
  ["ternary", "gemvSums"],
  ["2-bit codebook", "gemvSums"],
  ["3-bit", "gemvLinear"],
  ["int4", "gemvLinear"],
  ["3-bit codebook", "gemvTable"],
  ["4-bit float", "gemvTable"],
] as const)("one pixel of %s weights is multiplied by %s", ([table, kernel]) => {
  expect(check({ size: [1, 1], inputs: 64, outputs: 64 }, table, 1)).toContain(kernel);
});

test("masked nibbles stay in 32 bits up to their longest row; a longer one is looked up", () => {
  for (const [inputs, kernel] of [
    [65536, "gemvLinear"],
    [65537, "gemvTable"],
  ] as const) {
    for (const seed of [15, 30]) expect(check({ size: [1, 1], inputs, outputs: 20 }, "int4", seed)).toContain(kernel);
  }
});

test.for([
  ["4-bit codebook without 0", 16, true],
  ["4-bit codebook without 0", 13, false],
  ["2-bit power grid", 13, true],
] as const)("%s over %i channels stays coded in memory: %s", ([table, inputs, coded]) => {
  expect(check({ size: [4, 4], inputs, outputs: 8 }, table, 1).has("decode")).toBe(coded);
});

test("coded weights take the memory of their bits", () => {
  const bytes = (table: string): number => {
    const { plan, step, given } = problem({ size: [8, 8], inputs: 512, outputs: 64 }, table, 1);
    return bindStep(plan, step, given).constantBytes;
  };
  for (const [table, share] of [
    ["binary", 8],
    ["ternary", 4],
    ["int4", 2],
  ] as const) {
    expect(bytes(table)).toBeLessThan((512 * 64) / share + 1024);
  }
});
