// Exact Winograd convolution is a choice of kernel: the same bits as the direct sum, for every size, or it is not chosen.
import { expect, test } from "vitest";
import type { ConvStep } from "../../../src/plan/types.ts";
import { readGolden } from "../../formats/golden.ts";
import { Bench, bindStep, type Codes, kernels, Random, referenceStep } from "../harness.ts";

type Kernel = "winograd4" | "winograd2" | "gemm";
const winograds: readonly Kernel[] = ["winograd4", "winograd2", "gemm"];

interface Problem {
  readonly size: readonly [height: number, width: number];
  readonly inputs: number;
  readonly weights: Int8Array;
  readonly bias: Int32Array;
  readonly pads: readonly [number, number, number, number];
  readonly zeroPoint: number;
  readonly accumulator: readonly [number, number];
}

/** A 3×3 layer that keeps its accumulators. */
function layer({ size, inputs, weights, bias, pads, zeroPoint, accumulator }: Problem) {
  const bench = new Bench();
  const out = [size[0] + pads[0] + pads[2] - 2, size[1] + pads[1] + pads[3] - 2];
  const input = bench.value([inputs, ...size], { zeroPoint, pitch: Math.ceil(inputs / 8) * 8 });
  const output = bench.value([bias.length, ...out], { type: "int32" });
  const step: ConvStep = {
    kernel: "conv",
    nodes: [],
    input,
    output,
    window: [3, 3],
    stride: [1, 1],
    dilation: [1, 1],
    pads,
    groups: 1,
    weights: bench.tensor(weights),
    bias: bench.tensor(bias),
    epilogue: { kind: "accumulator" },
    accumulator,
  };
  return { plan: bench.plan(step), step, input };
}

/** The accumulators, and which kernel multiplied. */
function run(problem: Problem, x: Int8Array): { acc: Codes; kernel: Kernel | undefined; reference: () => Codes } {
  const { plan, step, input } = layer(problem);
  const given = new Map([[input, x]]);
  const bound = bindStep(plan, step, given);
  const kernel = winograds.find((name) => bound.calls.some((call) => call.run === (kernels[name] as unknown)));
  return { acc: bound.run(), kernel, reference: () => referenceStep(plan, step, given) };
}

const narrow = [-33554432, 33554431] as const;
const middle = [-33554433, 33554432] as const;
const wide = [-2147483648, 2147483647] as const;

test("F(4×4), F(2×2) and the direct sum are equal for every size up to 20×20", () => {
  const used = new Set<Kernel | undefined>();
  for (let height = 1; height <= 20; height++) {
    for (let width = 1; width <= 20; width++) {
      const random = new Random(height * 32 + width);
      const inputs = random.pick([8, 12, 16, 24]);
      const outputs = random.between(1, 20);
      const extremes = random.next() % 3 === 0;
      const codes = (n: number): Int8Array => (extremes ? Int8Array.from({ length: n }, () => random.pick([-128, 127])) : random.codes(n));
      const pads =
        height > 2 && width > 2
          ? random.pick([[1, 1, 1, 1] as const, [0, 1, 2, 0] as const, [0, 0, 0, 0] as const])
          : ([1, 1, 1, 1] as const);
      const problem = {
        size: [height, width] as const,
        inputs,
        weights: codes(outputs * 9 * inputs),
        bias: random.words(outputs, -1e6, 1e6),
        pads,
        zeroPoint: random.between(-128, 127),
      };
      const x = codes(inputs * height * width);
      const direct = run({ ...problem, accumulator: wide }, x);
      expect(direct.kernel).not.toBe("winograd4");
      for (const accumulator of [narrow, middle]) {
        const fast = run({ ...problem, accumulator }, x);
        used.add(fast.kernel);
        expect(fast.acc, `${height}×${width}, ${fast.kernel}`).toEqual(direct.acc);
      }
      if ((height * width) % 7 === 0) expect(direct.acc).toEqual(direct.reference());
    }
  }
  expect([...used]).toEqual(expect.arrayContaining(["winograd4", "winograd2"]));
});

test("weights made per slice (few tiles, many channels) give the same sums", () => {
  const random = new Random(3);
  const [inputs, outputs] = [256, 24];
  const problem = {
    size: [7, 7] as const,
    inputs,
    weights: random.codes(outputs * 9 * inputs),
    bias: random.words(outputs, -1e6, 1e6),
    pads: [1, 1, 1, 1] as const,
    zeroPoint: 5,
  };
  const x = random.codes(inputs * 49);
  const fast = run({ ...problem, accumulator: narrow }, x);
  expect(fast.kernel).toBe("winograd4");
  expect(fast.acc).toEqual(run({ ...problem, accumulator: wide }, x).acc);
  expect(fast.acc).toEqual(fast.reference());
});

interface Tile {
  readonly F: string;
  readonly C: number;
  readonly kind: string;
  readonly bias: number;
  readonly d?: number[][][];
  readonly g?: number[][][];
  readonly y: number[][];
}
interface GoldenLayer {
  readonly H: number;
  readonly W: number;
  readonly C: number;
  readonly N: number;
  readonly zero_point: number;
  readonly pad: number;
  readonly x_hwc: number[][][];
  readonly w_nhwc: number[][][][];
  readonly folded_bias: number[];
  readonly acc_hwn: number[][][];
}
const golden = readGolden("b-09_winograd.json") as {
  matrices: { F4: { BT: number[][] } };
  tiles: Tile[];
  layers: GoldenLayer[];
  limit: { y: number; recovered: number }[];
};

const { BT } = golden.matrices.F4;
/** Tiles given by a formula: channel c, row i, column j. With `rule-wrap`, 18 of the 36 sums leave 32 bits. */
const rules: Record<string, { d: (c: number, i: number, j: number) => number; g: (c: number, i: number, j: number) => number }> = {
  rule: { d: (c, i, j) => ((31 * c + 7 * i + 13 * j) % 256) - 128, g: (c, i, j) => ((17 * c + 5 * i + 3 * j) % 255) - 127 },
  "rule-wrap": { d: (_, i, j) => (BT[1]![i]! * BT[1]![j]! >= 0 ? 127 : -128), g: () => 57 },
};
const cube = (n: number, side: number, at: (c: number, i: number, j: number) => number): number[][][] =>
  Array.from({ length: n }, (_, c) => Array.from({ length: side }, (_, i) => Array.from({ length: side }, (_, j) => at(c, i, j))));

const inPlan = golden.tiles
  .filter((t) => (t.F === "F4" || t.F === "F2") && t.kind !== "d255")
  .map((t) => (rules[t.kind] ? { ...t, d: cube(t.C, 6, rules[t.kind]!.d), g: cube(t.C, 3, rules[t.kind]!.g) } : t));
test.for(inPlan)("golden tile $F, $C channels, $kind", ({ C, bias, d, g, y }) => {
  const side = d![0]!.length;
  const x = new Int8Array(side * side * C);
  for (let i = 0; i < x.length; i++) x[i] = d![i % C]![Math.floor(i / C / side)]![Math.floor(i / C) % side]!;
  const weights = Int8Array.from({ length: 9 * C }, (_, i) => g![i % C]![Math.floor(i / C / 3)]![Math.floor(i / C) % 3]!);
  const problem = { size: [side, side] as const, inputs: C, weights, bias: Int32Array.of(bias), pads: [0, 0, 0, 0] as const, zeroPoint: 0 };
  for (const accumulator of [narrow, middle, wide]) expect([...run({ ...problem, accumulator }, x).acc]).toEqual(y.flat());
});

test.for(golden.layers)("golden layer $H×$W, $C → $N", (each) => {
  const problem = {
    size: [each.H, each.W] as const,
    inputs: each.C,
    weights: Int8Array.from(each.w_nhwc.flat(3)),
    bias: Int32Array.from(each.folded_bias),
    pads: [each.pad, each.pad, each.pad, each.pad] as const,
    zeroPoint: each.zero_point,
  };
  const x = Int8Array.from(each.x_hwc.flat(2));
  for (const accumulator of [narrow, middle, wide]) expect([...run({ ...problem, accumulator }, x).acc]).toEqual(each.acc_hwn.flat(2));
});

test.for(golden.limit)(
  "an accumulator of $y is kept or jumps to $recovered by F(4×4), and is right by what the plan chooses",
  ({ y, recovered }) => {
    const problem = {
      size: [5, 5] as const,
      inputs: 8,
      weights: new Int8Array(72),
      bias: Int32Array.of(y),
      pads: [1, 1, 1, 1] as const,
      zeroPoint: 0,
    };
    const x = new Int8Array(200);
    const forced = run({ ...problem, accumulator: [0, 0] }, x);
    expect(forced.kernel).toBe("winograd4");
    expect(forced.acc[0]).toBe(recovered);
    const honest = run({ ...problem, accumulator: [y, y] }, x);
    expect(honest.kernel === "winograd4").toBe(y === recovered);
    expect(honest.acc[0]).toBe(y);
  },
);

test("a layer whose aligned signs leave the range is refused by F(4×4) and exact all the same", () => {
  const inputs = 256; // 9 · 256 · 127 · 128 > 2²⁵
  const weights = new Int8Array(9 * inputs).fill(127);
  const top = 9 * inputs * 127 * 127;
  const problem = {
    size: [9, 9] as const,
    inputs,
    weights,
    bias: Int32Array.of(0),
    pads: [0, 0, 0, 0] as const,
    zeroPoint: 0,
    accumulator: [-9 * inputs * 127 * 128, top] as const,
  };
  const { acc, kernel } = run(problem, new Int8Array(81 * inputs).fill(127));
  expect(kernel).toBe("winograd2");
  expect([...new Set(acc)]).toEqual([top]);
});
