// The exact forms of stride 2 (81 products for 3×3 windows, the vertical one of 7×7 first layers) give the direct sum's bits.
import { expect, test } from "vitest";
import type { ConvStep } from "../../../src/plan/types.ts";
import { readGolden } from "../../formats/golden.ts";
import { Bench, bindStep, type Codes, kernels, Random, referenceStep } from "../harness.ts";

type Kernel = "strided" | "stem" | "gemm" | "gemv";
const producers: readonly Kernel[] = ["strided", "stem", "gemm", "gemv"];

interface Problem {
  readonly size: readonly [height: number, width: number];
  readonly inputs: number;
  readonly window: readonly [number, number];
  readonly stride?: readonly [number, number];
  readonly weights: Int8Array;
  readonly bias: Int32Array;
  readonly pads: readonly [number, number, number, number];
  readonly zeroPoint: number;
  readonly accumulator: readonly [number, number];
}

function run(problem: Problem, x: Int8Array): { acc: Codes; kernel: Kernel | undefined; reference: () => Codes } {
  const { size, inputs, window, stride = [2, 2], weights, bias, pads, zeroPoint, accumulator } = problem;
  const bench = new Bench();
  const out = [0, 1].map(
    (a) => Math.floor((size[a as 0 | 1] + pads[a as 0 | 1] + pads[(a + 2) as 2 | 3] - window[a as 0 | 1]) / stride[a as 0 | 1]) + 1,
  );
  const pitch = inputs <= 4 ? inputs : Math.ceil(inputs / 8) * 8;
  const input = bench.value([inputs, ...size], { zeroPoint, pitch });
  const output = bench.value([bias.length, ...out], { type: "int32" });
  const step: ConvStep = {
    kernel: "conv",
    nodes: [],
    input,
    output,
    window,
    stride,
    dilation: [1, 1],
    pads,
    groups: 1,
    weights: bench.tensor(weights),
    bias: bench.tensor(bias),
    epilogue: { kind: "accumulator" },
    accumulator,
  };
  const plan = bench.plan(step);
  const given = new Map([[input, x]]);
  const bound = bindStep(plan, step, given);
  const kernel = producers.find((name) => bound.calls.some((call) => call.run === (kernels[name] as unknown)));
  return { acc: bound.run(), kernel, reference: () => referenceStep(plan, step, given) };
}

const narrow = [-268435456, 268435455] as const;
const wide = [-2147483648, 2147483647] as const;

/** Random operands, every third time extremes only. */
function operands(random: Random): (n: number) => Int8Array {
  const extremes = random.next() % 3 === 0;
  return (n) => (extremes ? Int8Array.from({ length: n }, () => random.pick([-128, 127])) : random.codes(n));
}

test("81 products equal the direct sum for every output of 7×7 to 20×20", () => {
  const used = new Map<Kernel | undefined, number>();
  for (let height = 7; height <= 20; height++) {
    for (let width = 7; width <= 20; width++) {
      const random = new Random(height * 32 + width);
      const codes = operands(random);
      const inputs = random.pick([5, 8, 13, 16, 24]);
      const outputs = random.between(1, 20);
      const pads = random.pick([
        [1, 1, 1, 1],
        [0, 0, 1, 1],
        [0, 1, 2, 0],
        [0, 0, 0, 0],
      ] as const);
      const size = [2 * height + 1 - pads[0] - pads[2], 2 * width + 1 - pads[1] - pads[3]] as const;
      const weights = codes(outputs * 9 * inputs);
      const bias = random.words(outputs, -1e6, 1e6);
      const problem = { size, inputs, window: [3, 3] as const, weights, bias, pads, zeroPoint: random.between(-128, 127) };
      const x = codes(inputs * size[0] * size[1]);
      const fast = run({ ...problem, accumulator: narrow }, x);
      used.set(fast.kernel, (used.get(fast.kernel) ?? 0) + 1);
      const direct = run({ ...problem, accumulator: wide }, x);
      expect(direct.kernel).toBe("gemm");
      expect(fast.acc, `${height}×${width}`).toEqual(direct.acc);
      if ((height * width) % 5 === 0) expect(direct.acc).toEqual(direct.reference());
    }
  }
  expect(used.get("strided")).toBeGreaterThan(100);
});

test("the vertical form equals the direct sum for every output up to 14×14", () => {
  for (let height = 1; height <= 14; height++) {
    for (let width = 1; width <= 14; width++) {
      const random = new Random(height * 32 + width);
      const codes = operands(random);
      const inputs = random.between(1, 4);
      const outputs = random.between(1, 20);
      const window = [7, random.pick([7, 7, 1, 3, 4])] as const;
      const stride = [2, random.between(1, 3)] as const;
      const pads = random.pick([
        [3, 3, 3, 3],
        [2, 0, 3, 1],
        [0, 0, 0, 0],
      ] as const);
      const size = [
        Math.max(1, 2 * (height - 1) + 7 - pads[0] - pads[2] + random.between(0, 1)),
        Math.max(1, stride[1] * (width - 1) + window[1] - pads[1] - pads[3]),
      ] as const;
      const weights = codes(outputs * 7 * window[1] * inputs);
      const bias = random.words(outputs, -1e6, 1e6);
      const problem = { size, inputs, window, stride, weights, bias, pads, zeroPoint: random.between(-128, 127) };
      const x = codes(inputs * size[0] * size[1]);
      const fast = run({ ...problem, accumulator: narrow }, x);
      expect(fast.kernel).toBe("stem");
      const direct = run({ ...problem, accumulator: wide }, x);
      expect(["gemm", "gemv"]).toContain(direct.kernel);
      expect(fast.acc, `${height}×${width}, ${window}, ${stride}`).toEqual(direct.acc);
      if ((height * width) % 5 === 0) expect(direct.acc).toEqual(direct.reference());
    }
  }
});

const golden = readGolden("b-09_winograd.json") as {
  tiles: { F: string; C: number; kind: string; bias: number; d: number[][][]; g: number[][][]; y: number[][] }[];
  k7s2: { d: number[]; g: number[]; y: number[] }[];
};

test.for(golden.tiles.filter(({ F }) => F === "S2"))("golden patch of $C channels, $kind", ({ C, bias, d, g, y }) => {
  // The patch in a corner of an image large enough for the form; its outputs come first.
  const side = 17;
  const x = new Int8Array(side * side * C);
  for (let c = 0; c < C; c++) for (let i = 0; i < 9; i++) for (let j = 0; j < 9; j++) x[(i * side + j) * C + c] = d[c]![i]![j]!;
  const pitched = Math.max(C, 5); // pitches of up to 4 are first layers
  const wide5 = new Int8Array(side * side * pitched);
  for (let i = 0; i < side * side; i++) wide5.set(x.subarray(i * C, (i + 1) * C), i * pitched);
  const weights = new Int8Array(9 * pitched);
  for (let t = 0; t < 9; t++) for (let c = 0; c < C; c++) weights[t * pitched + c] = g[c]![Math.floor(t / 3)]![t % 3]!;
  const problem = {
    size: [side, side] as const,
    inputs: pitched,
    window: [3, 3] as const,
    weights,
    bias: Int32Array.of(bias),
    zeroPoint: 0,
  };
  const { acc, kernel } = run({ ...problem, pads: [0, 0, 0, 0], accumulator: narrow }, wide5);
  expect(kernel).toBe("strided");
  for (let i = 0; i < 4; i++) expect([...acc.subarray(i * 8, i * 8 + 4)]).toEqual(y[i]);
});

test("golden columns of 7 taps", () => {
  for (const { d, g, y } of golden.k7s2) {
    const problem = {
      size: [12, 1] as const,
      inputs: 1,
      window: [7, 1] as const,
      weights: Int8Array.from(g),
      bias: Int32Array.of(0),
      zeroPoint: 0,
    };
    const { acc, kernel } = run({ ...problem, pads: [0, 0, 0, 0], accumulator: narrow }, Int8Array.from(d));
    expect(kernel).toBe("stem");
    expect([...acc]).toEqual(y);
  }
});

test.for([
  { name: "strided", window: [3, 3], inputs: 8, limit: 536870912 },
  { name: "stem", window: [7, 7], inputs: 3, limit: 268435456 },
] as const)("$name is refused beyond its limit, where it would jump, and is right up to it", ({ name, window, inputs, limit }) => {
  const empty = {
    size: [24, 24] as const,
    inputs,
    window,
    weights: new Int8Array(window[0] * window[1] * inputs),
    pads: [1, 1, 1, 1] as const,
    zeroPoint: 0,
  };
  const x = new Int8Array(24 * 24 * inputs);
  for (const y of [limit - 1, limit, -limit, -limit - 1]) {
    const honest = run({ ...empty, bias: Int32Array.of(y), accumulator: [y, y] }, x);
    expect(honest.kernel === name).toBe(y >= -limit && y < limit);
    expect(new Set(honest.acc)).toEqual(new Set([y]));
    const forced = run({ ...empty, bias: Int32Array.of(y), accumulator: [0, 0] }, x);
    expect(forced.acc[0] === y).toBe(y >= -limit && y < limit);
  }
});

test("weights beyond 3 MB transformed, and few pixels, stay direct", () => {
  const sized = (side: number, inputs: number, outputs: number): Kernel | undefined => {
    const zeros = {
      weights: new Int8Array(9 * inputs * outputs),
      bias: new Int32Array(outputs),
      pads: [1, 1, 1, 1] as const,
      zeroPoint: 0,
    };
    return run({ size: [side, side], inputs, window: [3, 3], ...zeros, accumulator: [0, 0] }, new Int8Array(side * side * inputs)).kernel;
  };
  expect(sized(16, 128, 128)).toBe("strided");
  expect(sized(16, 128, 160)).toBe("gemm");
  expect(sized(14, 16, 16)).toBe("gemm");
});
