import { expect, test } from "vitest";
import type { ConvStep, Epilogue } from "../../../src/plan/types.ts";
import { Bench, bindStep, type Codes, kernels, Random, referenceStep, runStep } from "../harness.ts";

interface Shape {
  readonly size: readonly [h: number, w: number];
  readonly inputs: number;
  readonly outputs: number;
  readonly window?: readonly [number, number];
  readonly stride?: readonly [number, number];
  readonly dilation?: readonly [number, number];
  readonly pads?: readonly [number, number, number, number];
  readonly groups?: number;
}

type Kind = "even" | "single" | "double" | "wild" | "residual" | "residual-wild" | "residual-int32" | "accumulator";
const kinds: readonly Kind[] = ["even", "single", "double", "wild", "residual", "residual-wild", "residual-int32", "accumulator"];

/** A convolution with random operands whose outputs spread over the code range, and its inputs. */
function problem(shape: Shape, kind: Kind, seed: number) {
  const random = new Random(seed);
  const { size, inputs, outputs, window = [1, 1], stride = [1, 1], dilation = [1, 1], pads = [0, 0, 0, 0], groups = 1 } = shape;
  const out = [0, 1].map((a) => {
    const span = (window[a as 0 | 1] - 1) * dilation[a as 0 | 1] + 1;
    return Math.floor((size[a as 0 | 1] + pads[a as 0 | 1] + pads[(a + 2) as 2 | 3] - span) / stride[a as 0 | 1]) + 1;
  }) as [number, number];
  const bench = new Bench();
  const x = bench.value([inputs, ...size], { zeroPoint: random.between(-128, 127) });
  const taps = window[0] * window[1] * (inputs / groups);
  const weights = random.codes(outputs * taps);
  const bias = random.words(outputs, -100000, 100000);
  const given = new Map<number, Codes>([[x, random.codes(inputs * size[0] * size[1])]]);
  const typical = 74 * 74 * Math.sqrt(taps); // of an accumulator; codes have about 74 as standard deviation
  const range = { zero: random.between(-100, 100), lo: random.between(-128, -100), hi: random.between(100, 127) };

  const multipliers = random.words(outputs, 1 << 30, 2147483647);
  const magnitude = Math.round(Math.log2(50 / typical));
  const shifts = random.words(outputs, magnitude - 2, magnitude + 2);
  if (kind === "even" || kind === "single") multipliers.fill(1 << 30, 0, outputs >> 1); // powers of two: ties happen
  if (kind === "wild") {
    for (let c = 0; c < outputs; c++) shifts[c] = random.pick([-31, -20, -10, 0, 10, 30]);
    multipliers[0] = 0;
  }
  let epilogue: Epilogue;
  if (kind === "accumulator") {
    epilogue = { kind };
  } else if (kind.startsWith("residual")) {
    const wide = kind === "residual-int32";
    const value = bench.value([outputs, ...out], wide ? { type: "int32" } : { zeroPoint: random.between(-128, 127) });
    const n = outputs * out[0] * out[1];
    given.set(value, wide ? random.words(n, -200000, 200000) : random.codes(n));
    // ties need small odd sums: multipliers of a few bits
    const bits = kind === "residual-wild" ? random.pick([1, 10, 20, 40]) : 30;
    const scale = 2 ** bits;
    const q1 = Int32Array.from({ length: outputs }, () => Math.min(2147483647, Math.max(1, (scale / typical) * random.between(20, 60))));
    const q2 = Int32Array.from({ length: outputs }, () =>
      Math.min(2147483647, Math.max(1, (wide ? (scale / 200000) * 60 : scale / 2) * (random.between(1, 100) / 100))),
    );
    q2.fill(2 ** Math.min(bits - 1, 30) / (wide ? 4096 : 1) || 1, 0, outputs >> 1);
    epilogue = {
      kind: "residual",
      value,
      residualZero: wide ? 0 : bench.values[value]!.zeroPoint,
      multiplier: bench.tensor(q1),
      residualMultiplier: bench.tensor(q2),
      bits,
      ...range,
    };
  } else {
    const rounding = (kind === "wild" ? random.pick(["even", "single"] as const) : kind) as "even" | "single";
    epilogue = { kind: "requantize", multiplier: bench.tensor(multipliers), shift: bench.tensor(shifts), rounding, ...range };
  }
  const step: ConvStep = {
    kernel: "conv",
    nodes: ["conv"],
    input: x,
    output: bench.value([outputs, ...out], { type: kind === "accumulator" ? "int32" : "int8" }),
    window,
    stride,
    dilation,
    pads,
    groups,
    weights: bench.tensor(weights),
    bias: bench.tensor(bias),
    epilogue,
    accumulator: [-128 * 128 * taps - 100000, 128 * 128 * taps + 100000],
  };
  return { plan: bench.plan(step), step, given };
}

function check(shape: Shape, kind: Kind, seed: number): void {
  const { plan, step, given } = problem(shape, kind, seed);
  const expected = referenceStep(plan, step, given);
  const found = runStep(plan, step, given);
  expect(found, `${JSON.stringify(shape)} ${kind} ${seed}`).toEqual(expected);
  if (expected.length > 64 && !kind.endsWith("wild")) expect(new Set(expected).size, "outputs vary").toBeGreaterThan(2);
}

const same3 = [1, 1, 1, 1] as const;
const shapes: Record<string, Shape> = {
  pointwise: { size: [5, 7], inputs: 16, outputs: 24 },
  "pointwise, odd channels": { size: [3, 3], inputs: 13, outputs: 10 },
  "pointwise, three channels": { size: [4, 5], inputs: 3, outputs: 3 },
  "one pixel": { size: [1, 1], inputs: 40, outputs: 70 },
  "one pixel, one channel": { size: [1, 1], inputs: 1, outputs: 1 },
  "pointwise, stride 2": { size: [7, 6], inputs: 16, outputs: 8, stride: [2, 2] },
  "3×3": { size: [9, 10], inputs: 8, outputs: 16, window: [3, 3], pads: same3, dilation: [1, 1] },
  "3×3 of an image": { size: [11, 13], inputs: 3, outputs: 16, window: [3, 3], pads: same3, stride: [2, 2] },
  "7×7 of an image": { size: [20, 19], inputs: 3, outputs: 9, window: [7, 7], pads: [3, 3, 3, 3], stride: [2, 2] },
  "grey image": { size: [12, 12], inputs: 1, outputs: 6, window: [5, 5] },
  dilated: { size: [12, 11], inputs: 5, outputs: 12, window: [3, 3], pads: [2, 2, 2, 2], dilation: [2, 2] },
  "asymmetric padding": { size: [6, 9], inputs: 9, outputs: 11, window: [2, 3], pads: [0, 2, 1, 0], stride: [1, 2] },
  groups: { size: [6, 6], inputs: 12, outputs: 20, window: [3, 3], pads: same3, groups: 4 },
  "groups of whole panels": { size: [6, 7], inputs: 24, outputs: 27, window: [3, 3], pads: same3, groups: 3 },
  "groups by F(4×4)": { size: [8, 8], inputs: 16, outputs: 20, window: [3, 3], pads: same3, groups: 2 },
  "groups of 4 by F(4×4)": { size: [8, 8], inputs: 32, outputs: 32, window: [3, 3], pads: same3, groups: 8 },
  "groups of 5 outputs": { size: [6, 6], inputs: 12, outputs: 20, window: [2, 3], groups: 4 },
  "many groups of 1 output": { size: [6, 6], inputs: 36, outputs: 18, window: [3, 3], groups: 18 },
  "depth multiplier 3": { size: [6, 5], inputs: 6, outputs: 18, window: [3, 3], pads: same3, groups: 6 },
  "depthwise 3×3": { size: [10, 9], inputs: 24, outputs: 24, window: [3, 3], pads: same3, groups: 24 },
  "depthwise 3×3, stride 2, odd channels": {
    size: [11, 8],
    inputs: 19,
    outputs: 19,
    window: [3, 3],
    pads: [0, 0, 1, 1],
    stride: [2, 2],
    groups: 19,
  },
  "depthwise 3×3, one column": { size: [7, 1], inputs: 16, outputs: 16, window: [3, 3], pads: same3, groups: 16 },
  "depthwise 3×3, stride 2, one column": { size: [7, 2], inputs: 16, outputs: 16, window: [3, 3], pads: same3, stride: [2, 2], groups: 16 },
  "depthwise 3×3, not bordered": { size: [6, 9], inputs: 40, outputs: 40, window: [3, 3], stride: [1, 2], groups: 40 },
  "depthwise 1×1": { size: [4, 4], inputs: 8, outputs: 8, groups: 8 },
  "depthwise 5×5, three channels": { size: [9, 9], inputs: 3, outputs: 3, window: [5, 5], pads: [2, 2, 2, 2], groups: 3 },
  "depthwise, dilated": { size: [9, 9], inputs: 8, outputs: 8, window: [3, 2], pads: [2, 0, 2, 0], dilation: [2, 3], groups: 8 },
  "many slices": { size: [40, 41], inputs: 8, outputs: 16, window: [3, 3], pads: same3, stride: [1, 1] },
  "window larger than the image": { size: [2, 2], inputs: 8, outputs: 8, window: [5, 5], pads: [2, 2, 2, 2] },
};

for (const [name, shape] of Object.entries(shapes)) {
  test.for(kinds)(`conv ${name} equals its reference: %s`, (kind) => {
    for (let seed = 1; seed <= 3; seed++) check(shape, kind, seed);
  });
}

test("any shape equals its reference", () => {
  for (let seed = 0; seed < 400; seed++) {
    const random = new Random(seed * 77 + 5);
    const window = [random.between(1, 4), random.between(1, 4)] as const;
    const size = [random.between(4, 12), random.between(4, 12)] as const;
    const groups = random.pick([1, 1, 1, 2, 3]);
    const [inputs, outputs] = [groups * random.between(1, 20), groups * random.between(1, 20)];
    const pads = [0, 1, 2, 3].map(() => random.between(0, 2)) as unknown as [number, number, number, number];
    const stride = [random.between(1, 3), random.between(1, 3)] as const;
    check({ size, inputs, outputs, window, pads, stride, groups }, random.pick(kinds), seed);
  }
});

const epilogueKernels = [
  ["single", "requantizeSingle"],
  ["even", "requantizeEven"],
  ["double", "requantizeAny"],
  ["residual", "residualCodes"],
  ["residual-int32", "residualAccumulators"],
  ["accumulator", "storeAccumulators"],
] as const;
test.for(epilogueKernels)("an ordinary layer with epilogue %s leaves by %s", ([kind, kernel]) => {
  const { plan, step, given } = problem({ size: [6, 6], inputs: 16, outputs: 16, window: [3, 3], pads: same3 }, kind, 1);
  expect(bindStep(plan, step, given).calls.some((call) => call.run === (kernels[kernel] as unknown))).toBe(true);
});

/** A 1×1 layer of one weight, so that every accumulator from 128 · w down can be had, by one multiplier. */
function scaled(weight: number, multiplier: number, shift: number, zero: number) {
  const bench = new Bench();
  const input = bench.value([1, 16, 16]);
  const output = bench.value([1, 16, 16]);
  const epilogue = {
    kind: "requantize",
    multiplier: bench.tensor(Int32Array.of(multiplier)),
    shift: bench.tensor(Int32Array.of(shift)),
    rounding: "single",
    zero,
    lo: -128,
    hi: 127,
  } as const;
  const step: ConvStep = {
    kernel: "conv",
    nodes: [],
    input,
    output,
    window: [1, 1],
    stride: [1, 1],
    dilation: [1, 1],
    pads: [0, 0, 0, 0],
    groups: 1,
    weights: bench.tensor(Int8Array.of(weight)),
    bias: bench.tensor(Int32Array.of(0)),
    epilogue,
    accumulator: [-16384, 16384],
  };
  return { plan: bench.plan(step), step, given: new Map([[input, Int8Array.from({ length: 256 }, (_, i) => i - 128)]]) };
}

test("high words alone are right up to the largest shift that leaves them room, ties and saturation included", () => {
  const used = new Set<boolean>();
  for (const weight of [1, -1, 3, 127, -128]) {
    for (let shift = -27; shift <= 2; shift++) {
      for (const multiplier of [1 << 30, 1518500249, 2147483647]) {
        for (const zero of [-128, 0, 127]) {
          const { plan, step, given } = scaled(weight, multiplier, shift, zero);
          const bound = bindStep(plan, step, given);
          used.add(bound.calls.some((call) => call.run === (kernels.requantizeSingle as unknown)));
          expect(bound.run(), `${weight} × ${multiplier} · 2^${shift}, zero ${zero}`).toEqual(referenceStep(plan, step, given));
        }
      }
    }
  }
  expect(used).toEqual(new Set([true, false]));
});

test("depthwise 3×3 windows have kernels of their own one and two taps apart, and all keep the extremes exact", () => {
  for (const [side, stride, dilation, kernel] of [
    [3, 1, 1, kernels.depthwise3x3],
    [3, 2, 2, kernels.depthwise3x3],
    [3, 2, 1, kernels.depthwise3x3Strided],
    [3, 1, 2, kernels.depthwise],
    [3, 3, 1, kernels.depthwise],
    [5, 1, 1, kernels.depthwise],
    [4, 2, 1, kernels.depthwise],
  ] as const) {
    const apart = { stride: [1, stride], dilation: [1, dilation] } as const;
    const shape = { size: [5, 7], inputs: 16, outputs: 16, window: [side, side], pads: [1, 1, 1, 1], groups: 16, ...apart } as const;
    const { plan, step } = problem(shape, "accumulator", 1);
    const half = 8 * side * side;
    for (const lowest of [-127, -128]) {
      const weights = new Int8Array(2 * half).map((_, i) => (i % 2 || i < half ? lowest : 127));
      const extreme = { ...plan, tensors: new Map([...plan.tensors, [step.weights, weights]]) };
      for (const code of [-128, 127]) {
        const given = new Map([[step.input, new Int8Array(35 * 16).fill(code)]]);
        const bound = bindStep(extreme, step, given);
        expect(bound.calls.some((call) => call.run === (kernel as unknown))).toBe(true);
        expect(bound.run()).toEqual(referenceStep(extreme, step, given));
      }
    }
  }
});

test("the accumulator interval of a step is attained at both ends", () => {
  const random = new Random(9);
  const [inputs, outputs] = [16, 8];
  const weights = random.codes(outputs * 9 * inputs);
  const bias = random.words(outputs, -1000, 1000);
  const taps = 9 * inputs;
  const interval = (c: number, sign: 1 | -1): number =>
    weights.slice(c * taps, (c + 1) * taps).reduce((sum, w) => sum + w * (w * sign > 0 ? 127 : -128), bias[c]!);
  for (let c = 0; c < outputs; c++) {
    for (const sign of [1, -1] as const) {
      const bench = new Bench();
      const input = bench.value([inputs, 3, 3]);
      const output = bench.value([outputs, 1, 1], { type: "int32" });
      const step: ConvStep = {
        kernel: "conv",
        nodes: [],
        input,
        output,
        window: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        pads: [0, 0, 0, 0],
        groups: 1,
        weights: bench.tensor(weights),
        bias: bench.tensor(bias),
        epilogue: { kind: "accumulator" },
        accumulator: [interval(c, -1), interval(c, 1)],
      };
      const x = weights.slice(c * taps, (c + 1) * taps).map((w) => (w * sign > 0 ? 127 : -128));
      const acc = runStep(bench.plan(step), step, new Map([[input, x]]));
      expect(acc[c]).toBe(step.accumulator[sign > 0 ? 1 : 0]);
    }
  }
});
