// Convolutions of codes that are proven to have 4 bits, where two rows share a lane, or 1 bit by weights of 1 bit, where bits are counted:
// both give the bits of the direct sum.
import { expect, test } from "vitest";
import { packCodes } from "../../../src/formats/packing.ts";
import { checkPlan } from "../../../src/plan/check.ts";
import { arithmeticVersion, type ConvStep, type Plan, planVersion } from "../../../src/plan/types.ts";
import { Bench, bindStep, kernels, Random, referenceStep } from "../harness.ts";

interface Shape {
  readonly size: readonly [height: number, width: number];
  readonly inputs: number;
  readonly outputs: number;
  readonly window?: readonly [number, number];
  readonly stride?: readonly [number, number];
  readonly pad?: number;
  readonly groups?: number;
  /** Codes of the input lie in [least, most]. */
  readonly range: readonly [least: number, most: number];
  readonly zeroPoint?: number;
  readonly largest: number;
  /** Weights of 1 bit, by their two values. */
  readonly levels?: readonly [number, number];
}

/** A table that writes the input, and the convolution that reads it. */
function problem(shape: Shape, seed: number): { plan: Plan; step: ConvStep; given: Map<number, Int8Array> } {
  const {
    size,
    inputs,
    outputs,
    window = [1, 1],
    stride = [1, 1],
    pad = 0,
    groups = 1,
    range,
    zeroPoint = range[0],
    largest,
    levels,
  } = shape;
  const random = new Random(seed);
  const bench = new Bench();
  const raw = bench.value([inputs, ...size]);
  const input = bench.value([inputs, ...size], { zeroPoint });
  const extent = (axis: 0 | 1): number => Math.floor((size[axis] + 2 * pad - window[axis]) / stride[axis]) + 1;
  const output = bench.value([outputs, extent(0), extent(1)], { type: "int32" });
  const table = Int8Array.from({ length: 256 }, (_, i) => (i < 2 ? range[i]! : random.between(range[0], range[1])));
  const taps = (window[0] * window[1] * inputs) / groups;
  // Every third seed: the largest sums there are.
  const extreme = seed % 3 === 0;
  const weights = extreme
    ? new Int8Array(outputs * taps).fill(seed % 2 ? largest : -largest)
    : random.codes(outputs * taps, -largest, largest);
  weights[0] = largest;
  const codes = random.codes(inputs * size[0] * size[1], range[0], range[1]);
  if (extreme) codes.fill(range[seed % 4 < 2 ? 0 : 1]);
  const bound = 128 * 2 * largest * taps + 1000;
  const bias = random.words(outputs, -1000, 1000);
  const step: ConvStep = {
    ...{ kernel: "conv", nodes: [], input, output, window, stride, dilation: [1, 1], pads: [pad, pad, pad, pad], groups },
    ...(levels ? binary(bench, weights, levels) : { weights: bench.tensor(weights) }),
    bias: bench.tensor(bias),
    epilogue: { kind: "accumulator" },
    accumulator: [-bound, bound],
  };
  const lookup = { kernel: "lookup", nodes: [], input: raw, output: input, table: bench.tensor(table), perChannel: false } as const;
  const plan: Plan = {
    ...bench.plan(lookup, step),
    version: planVersion,
    arithmetic: arithmeticVersion,
    inputs: [raw],
    outputs: [output],
  };
  checkPlan(plan);
  return { plan, step, given: new Map([[input, codes]]) };
}

/** The same number of weights, 1 where they were positive. */
function binary(bench: Bench, weights: Int8Array, levels: readonly [number, number]): Pick<ConvStep, "weights" | "codes"> {
  const indices = Uint8Array.from(weights, (w) => (w > 0 ? 1 : 0));
  return { weights: bench.tensor(packCodes(indices, 1)), codes: { bits: 1, levels: bench.tensor(Int8Array.from(levels)) } };
}

/** The kernels that ran, after the sums were found right. */
function kernelsOf(shape: Shape, seed: number): ReadonlySet<string> {
  const { plan, step, given } = problem(shape, seed);
  const bound = bindStep(plan, step, given);
  expect(bound.run(), `${JSON.stringify(shape)} ${seed}`).toEqual(referenceStep(plan, step, given));
  const names = Object.entries(kernels);
  return new Set(bound.calls.map(({ run }) => names.find(([, kernel]) => kernel === run)![0]));
}

const inPairs = (shape: Shape, seed: number): boolean => kernelsOf(shape, seed).has("gemmPairs");

const unsigned = [-128, -113] as const;
const signed = [-8, 7] as const;
const shapes: Record<string, Shape> = {
  pointwise: { size: [5, 9], inputs: 16, outputs: 24, range: unsigned, largest: 8 },
  "padding lanes": { size: [4, 5], inputs: 13, outputs: 10, range: signed, largest: 8 },
  "one row left": { size: [7, 7], inputs: 40, outputs: 8, range: unsigned, largest: 8 },
  "fewer rows than a tile": { size: [1, 3], inputs: 24, outputs: 8, range: signed, largest: 7 },
  "an odd number of taps": { size: [6, 6], inputs: 3, outputs: 9, window: [3, 3], stride: [3, 3], range: signed, largest: 8 },
  "stride, border": { size: [9, 9], inputs: 24, outputs: 17, window: [5, 5], stride: [2, 2], pad: 2, range: unsigned, largest: 8 },
  groups: { size: [6, 5], inputs: 12, outputs: 20, window: [3, 3], stride: [1, 2], pad: 1, groups: 4, range: unsigned, largest: 8 },
  "affine weights": { size: [8, 9], inputs: 70, outputs: 16, range: unsigned, largest: 15 },
  "ternary weights": { size: [8, 9], inputs: 300, outputs: 16, range: unsigned, largest: 1 },
  "the longest sums": { size: [2, 4], inputs: 4090, outputs: 8, range: unsigned, largest: 15 },
  "codes of 2 bits": { size: [5, 5], inputs: 33, outputs: 12, range: [0, 3], largest: 17 },
  "many slices": { size: [30, 31], inputs: 8, outputs: 20, window: [3, 2], range: signed, largest: 8 },
};

test.for(Object.entries(shapes))("%s", ([, shape]) => {
  for (let seed = 0; seed < 12; seed++) expect(inPairs(shape, seed)).toBe(true);
});

test("any small weights and ranges of 4 bits equal the reference", () => {
  for (let seed = 0; seed < 150; seed++) {
    const random = new Random(seed * 77 + 5);
    const least = random.between(-128, 112);
    const window = random.pick([
      [1, 1],
      [2, 3],
      [1, 4],
    ] as const);
    const range = [least, least + random.between(0, 15)] as const;
    const zeroPoint = random.between(...range);
    inPairs(
      {
        size: [random.between(window[0], 12), random.between(window[1], 12)],
        inputs: random.between(1, 90),
        outputs: random.between(1, 40),
        window,
        stride: [random.between(1, 2), random.between(1, 2)],
        pad: random.between(0, 1),
        range,
        zeroPoint,
        largest: random.between(1, 17),
      },
      seed,
    );
  }
});

test.for([
  ["codes of more than 4 bits", { range: [-8, 8] }],
  ["a border outside of them", { window: [3, 2], pad: 1, zeroPoint: 20 }],
  ["large weights", { largest: 18 }],
  ["sums beyond 31 bits", { inputs: 4400, largest: 15 }],
] as const)("%s are multiplied a row a lane", ([, given]) => {
  const shape: Shape = { size: [4, 4], inputs: 16, outputs: 8, range: signed, largest: 8, ...given };
  for (let seed = 0; seed < 6; seed++) expect(inPairs(shape, seed)).toBe(false);
});

const one = { range: [-1, 0], largest: 1, levels: [-1, 1] } as const;
const binaries: Record<string, Shape> = {
  pointwise: { ...one, size: [5, 9], inputs: 64, outputs: 24 },
  "part of a word": { ...one, size: [4, 5], inputs: 13, outputs: 10 },
  "border, padding lanes": { ...one, size: [9, 7], inputs: 20, outputs: 17, window: [5, 5], pad: 2, zeroPoint: 0 },
  "stride, groups": { ...one, size: [8, 8], inputs: 24, outputs: 16, window: [3, 3], stride: [2, 2], pad: 1, groups: 2 },
  "many words": { ...one, size: [3, 5], inputs: 1000, outputs: 12, range: [126, 127] },
  "0 and 1": { ...one, size: [6, 5], inputs: 96, outputs: 9, range: [0, 1], levels: [0, 1] },
  "any two levels": { ...one, size: [6, 5], inputs: 96, outputs: 9, range: [-128, -127], levels: [-128, 127], largest: 128 },
  "one code": { ...one, size: [6, 5], inputs: 96, outputs: 9, range: [7, 7], levels: [3, -90], largest: 90 },
  "many slices": { ...one, size: [30, 31], inputs: 8, outputs: 20, window: [3, 2] },
};

test.for(Object.entries(binaries))("1 bit: %s", ([, shape]) => {
  for (let seed = 0; seed < 12; seed++) expect(kernelsOf(shape, seed)).toContain("gemmBits");
});

test("1 bit: any shape equals the reference", () => {
  for (let seed = 0; seed < 100; seed++) {
    const random = new Random(seed * 91 + 3);
    const least = random.between(-128, 126);
    const window = random.pick([
      [1, 1],
      [2, 3],
      [3, 5],
    ] as const);
    const levels = [random.between(-128, 127), random.between(-128, 127)] as const;
    const range = [least, least + random.between(0, 1)] as const;
    const shape: Shape = {
      ...{
        size: [random.between(window[0], 9), random.between(window[1], 9)],
        inputs: random.between(1, 150),
        outputs: random.between(1, 30),
      },
      ...{ window, pad: random.between(0, 1), stride: [random.between(1, 2), 1], range, levels, largest: 128 },
      zeroPoint: random.between(...range),
    };
    kernelsOf(shape, seed);
  }
});
