import { expect, test } from "vitest";
import { HalftoneError } from "../../src/errors.ts";
import { checkPlan } from "../../src/plan/reader.ts";
import type { AddStep, ConvStep, CopyStep, LookupStep, Plan, PlanTensor, PlanValue, PoolStep, SoftmaxStep } from "../../src/plan/types.ts";

function image(name: string, channels: number, size: number, offset: number, type: PlanValue["type"] = "int8"): PlanValue {
  return { name, dims: [channels, size, size], order: [1, 2, 0], pitch: 8, type, offset, scale: [0.5], zeroPoint: type === "int8" ? 3 : 0 };
}

const whole = { zero: 0, lo: -128, hi: 127 };
const windowed = { window: [3, 3], stride: [1, 1], dilation: [1, 1], pads: [1, 1, 1, 1] } as const;
const requantize = { kind: "requantize", multiplier: "q", shift: "s", rounding: "even", ...whole } as const;
const lanes = { dims: [16, 5], inStrides: [8, 1], inOffset: 0, outStrides: [8, 1], outOffset: 0 };

/** Input 0 → conv → 1; conv with residual 0 → 2; add(1, 2) → 3; lookup → 4; pool → 5; copy → 6; softmax → 7. All 5 channels of 4×4. */
const steps = {
  conv: {
    kernel: "conv",
    nodes: ["first"],
    input: 0,
    output: 1,
    ...windowed,
    groups: 1,
    weights: "w",
    bias: "b",
    epilogue: requantize,
    // 45 taps of weight 1 and codes −128…127, bias 7
    accumulator: [-45 * 128 + 7, 45 * 127 + 7],
  } as ConvStep,
  residual: {
    kernel: "conv",
    nodes: ["second"],
    input: 1,
    output: 2,
    ...windowed,
    groups: 5,
    weights: "d",
    bias: "b",
    epilogue: { kind: "residual", value: 0, residualZero: 3, multiplier: "q", residualMultiplier: "q", bits: 40, ...whole },
    accumulator: [-9 * 128 + 7, 9 * 127 + 7],
  } as ConvStep,
  add: { kernel: "add", nodes: [], inputs: [1, 2], output: 3, multipliers: [1000, -1000], bits: 12, ...whole } as AddStep,
  lookup: { kernel: "lookup", nodes: [], input: 3, output: 4, table: "l", perChannel: true } as LookupStep,
  pool: {
    kernel: "avgpool",
    nodes: ["mean"],
    input: 4,
    output: 5,
    ...windowed,
    includePads: false,
    requantization: { multiplier: "q9", shift: "s9", rounding: "even", ...whole },
  } as PoolStep,
  copy: { kernel: "copy", nodes: [], input: 5, output: 6, ...lanes } as CopyStep,
  softmax: { kernel: "softmax", nodes: [], input: 6, output: 7, table: "e" } as SoftmaxStep,
};
type Steps = typeof steps;

interface Parts {
  readonly steps: Steps;
  readonly values: PlanValue[];
  readonly tensors: Map<string, PlanTensor>;
  readonly plan: Partial<Plan>;
}

function parts(): Parts {
  return {
    steps: structuredClone(steps),
    values: [0, 1, 2, 3, 4, 5, 6, 7].map((i) => image(`v${i}`, 5, 4, i * 128)),
    tensors: new Map<string, PlanTensor>([
      ["w", new Int8Array(5 * 9 * 5).fill(1)],
      ["d", new Int8Array(5 * 9).fill(1)],
      ["b", new Int32Array(5).fill(7)],
      ["q", new Int32Array(5).fill(2 ** 30 + 1)],
      ["s", new Int32Array(5).fill(-7)],
      ["q9", new Int32Array(9).fill(2 ** 30)],
      ["s9", new Int32Array(9).fill(-3)],
      ["l", new Int8Array(5 * 256)],
      ["e", new Uint32Array(256).fill(1)],
    ]),
    plan: {},
  };
}

function planOf({ steps, values, tensors, plan }: Parts): Plan {
  const all = {
    version: 1,
    arithmetic: "halftone-integer/1",
    values,
    inputs: [0],
    outputs: [7],
    steps: Object.values(steps),
    arenaBytes: 1024,
  };
  return { ...all, tensors, ...plan };
}

type Damage = (parts: Parts) => void;

// biome-ignore lint/suspicious/noExplicitAny: damage writes what the types forbid
const set = (holder: unknown, fields: Record<string, unknown>): void => void Object.assign(holder as any, fields);

/** The first convolution's weights as codes; level 1 is 2, all others 1. */
const coded =
  (bits: number, stream: Uint8Array): Damage =>
  (p) => {
    set(p.steps.conv, { codes: { bits, levels: "t" } });
    p.tensors.set("w", stream);
    p.tensors.set("t", new Int8Array(16).fill(1).fill(2, 1, 2));
  };

const preprocessing = { scale: 1 / 255, mean: [0.5], std: [0.25] };

/** A plan that takes stored numbers, but for `fields`. */
const pixels =
  (fields: Record<string, unknown>): Damage =>
  (p) => {
    set(p.values[0], { scale: [1] });
    set(p.plan, { pixels: true, preprocessing, ...fields });
  };

interface Product {
  readonly values?: readonly number[];
  readonly out?: readonly number[];
  readonly accumulator?: readonly number[];
  readonly multipliers?: number;
}

/** A plan of one product, [3, 5] by [5, 2], but for what is told. Zero points 3: differences of −131 … 124. */
const product =
  ({ values = [3, 5], out = [3, 2], accumulator = [-81_220, 85_805], multipliers = 2 }: Product): Damage =>
  (p) => {
    const matrix = (name: string, dims: readonly number[], offset: number): PlanValue => ({
      ...image(name, 1, 1, offset),
      dims,
      order: [0, 1],
      pitch: 8,
    });
    p.tensors.set("q2", new Int32Array(multipliers).fill(2 ** 30 + 1));
    p.tensors.set("s2", new Int32Array(2).fill(-7));
    const requantization = { multiplier: "q2", shift: "s2", rounding: "even", ...whole };
    set(p.plan, {
      values: [matrix("a", values, 0), matrix("b", [5, 2], 64), matrix("c", out, 128)],
      inputs: [0, 1],
      outputs: [2],
      steps: [{ kernel: "matmul", nodes: [], inputs: [0, 1], output: 2, requantization, accumulator }],
    });
  };

/** A normalization in place of the softmax. */
const normalization =
  (damage: Damage): Damage =>
  (p) => {
    p.steps.softmax = { kernel: "layernorm", nodes: [], input: 6, output: 7, epsilon: 1, gamma: "b", beta: "beta", ...whole } as never;
    p.tensors.set("beta", new Int32Array(10));
    damage(p);
  };

const rows: Record<string, [Damage, RegExp]> = {
  "a newer version": [(p) => set(p.plan, { version: 3 }), /plan version: found 3, expected 1 to 2. It was written by a newer Halftone/],
  "an older version": [(p) => set(p.plan, { version: 0 }), /plan version: found 0, expected 1 to 2. It was written by an older Halftone/],
  "another arithmetic": [(p) => set(p.plan, { arithmetic: "x/2" }), /plan arithmetic: found "x\/2"/],
  "an unknown field": [(p) => set(p.plan, { extra: 1 }), /plan\.extra: found an unknown field/],
  "an unknown kernel": [(p) => set(p.steps.add, { kernel: "sub" }), /plan\.steps\[2\]\.kernel: found "sub", expected 'conv' or/],
  "an arena above the cap": [(p) => set(p.plan, { arenaBytes: 2 ** 30 + 16 }), /plan\.arenaBytes/],
  "an odd arena": [(p) => set(p.plan, { arenaBytes: 1025 }), /plan arenaBytes: found 1025/],
  "a value past the arena": [(p) => set(p.plan, { arenaBytes: 1008 }), /plan value 7 'v7': found bytes up to 1024/],
  "sizes whose product overflows": [(p) => set(p.values[0], { dims: [8, 2 ** 30, 2 ** 30] }), /plan value 0 'v0': found bytes up to/],
  "an order that is no permutation": [(p) => set(p.values[0], { order: [1, 1, 0] }), /order: found \[1,1,0\], expected a permutation of 3/],
  "a pitch below the channels": [(p) => set(p.values[0], { pitch: 4 }), /pitch: found 4, expected 5 to 20/],
  "a pitch far above them": [(p) => set(p.values[0], { pitch: 21 }), /pitch: found 21/],
  "an offset between lines": [(p) => set(p.values[0], { offset: 8 }), /offset: found 8, expected a multiple of 16/],
  "a scale of zero": [(p) => set(p.values[0], { scale: [0] }), /plan\.values\[0\]\.scale\[0\]: found 0/],
  "a scale that is NaN": [(p) => set(p.values[0], { scale: [Number.NaN] }), /scale\[0\]: found NaN/],
  "too many scales": [(p) => set(p.values[0], { scale: [1, 1] }), /scale: found 2 numbers, expected 1/],
  "a zero point that is no code": [(p) => set(p.values[0], { zeroPoint: 128 }), /zeroPoint: found 128/],
  "an input index out of range": [(p) => set(p.plan, { inputs: [8] }), /plan inputs: found value 8, expected one of the 8/],
  "an output that nothing writes": [(p) => set(p.plan, { steps: Object.values(p.steps).slice(0, 6) }), /plan output 'v7': found no step/],
  "an int32 input": [(p) => set(p.values[0], { type: "int32", zeroPoint: 0, offset: 0 }), /plan input 'v0': found int32, expected int8/],
  "a step that reads later values": [
    (p) => set(p.steps.conv, { input: 2 }),
    /plan step 0 \(conv 'first'\): found input 'v2', expected a value written/,
  ],
  "codes of more than 4 bits": [
    (p) => set(p.steps.conv, { codes: { bits: 5, levels: "t" } }),
    /codes\.bits: found 5, expected an integer from 1 to 4/,
  ],
  "coded weights that are int8": [
    (p) => set(p.steps.conv, { codes: { bits: 4, levels: "t" } }),
    /found tensor 'w' of type Int8Array\[225\], expected Uint8Array\[113\]/,
  ],
  "a stream of another length": [coded(4, new Uint8Array(112)), /found tensor 'w' of type Uint8Array\[112\], expected Uint8Array\[113\]/],
  "bits after the last index": [coded(4, new Uint8Array(113).fill(16)), /found bits after the last of 225 indices, expected zeros/],
  "a table of another length": [coded(3, new Uint8Array(85)), /found tensor 't' of type Int8Array\[16\], expected Int8Array\[8\]/],
  "a stream that reaches further than was proven": [
    coded(4, new Uint8Array(113).fill(0x11).fill(1, 112)),
    /found an accumulator interval \[-5753, 5722\], expected one that holds/,
  ],
  "a value written twice": [(p) => set(p.steps.add, { output: 1 }), /plan step 2 \(add\): found output 'v1'/],
  "an input written": [(p) => set(p.steps.add, { output: 0 }), /found output 'v0'/],
  "values that share bytes": [(p) => set(p.values[3], { offset: 128 }), /plan step 2: found values 'v1' and 'v3' in the same bytes/],
  "golden answers for another number of outputs": [
    (p) => set(p.plan, { golden: [{ seed: 1, outputs: ["w", "w"] }] }),
    /plan golden 0: found 2 outputs, expected the 1 of the plan/,
  ],
  "a golden answer that is missing": [
    (p) => set(p.plan, { golden: [{ seed: 1, outputs: ["y"] }] }),
    /plan golden 0 output 'v7': found no tensor 'y', expected int8\[/,
  ],
  "a golden answer of another length": [
    (p) => set(p.plan, { golden: [{ seed: 1, outputs: ["w"] }] }),
    /plan golden 0 output 'v7': found tensor 'w' of Int8Array\[225\]/,
  ],
  "more golden inputs than anybody needs": [
    (p) => set(p.plan, { golden: Array.from({ length: 17 }, () => ({ seed: 1, outputs: ["w"] })) }),
    /plan\.golden: found 17 elements/,
  ],
  "a golden seed that is no seed": [(p) => set(p.plan, { golden: [{ seed: -1, outputs: ["w"] }] }), /plan\.golden\[0\]\.seed: found -1/],
  "a missing tensor": [(p) => void p.tensors.delete("w"), /plan step 0 \(conv 'first'\): found no tensor 'w', expected int8\[225\]/],
  "a tensor too short": [
    (p) => void p.tensors.set("w", new Int8Array(224)),
    /found tensor 'w' of type Int8Array\[224\], expected Int8Array\[225\]/,
  ],
  "a tensor of another type": [(p) => void p.tensors.set("w", new Uint8Array(225)), /found tensor 'w' of type Uint8Array\[225\]/],
  "groups that do not divide": [(p) => set(p.steps.conv, { groups: 2 }), /found 2 groups of 5 and 5 channels/],
  "a window that gives another size": [(p) => set(p.steps.conv, { stride: [2, 1] }), /found an output of 4×4, expected 2×4/],
  "a window larger than the image": [(p) => set(p.steps.conv, { window: [9, 9] }), /found an output of 4×4, expected 0×0/],
  "a stride of zero": [(p) => set(p.steps.conv, { stride: [0, 1] }), /stride\[0\]: found 0/],
  "a negative pad": [(p) => set(p.steps.conv, { pads: [-1, 1, 1, 1] }), /pads\[0\]: found -1/],
  "a multiplier below its range": [(p) => void p.tensors.set("q", new Int32Array(5).fill(5)), /found multiplier 5 at 0/],
  "a negative multiplier": [(p) => void p.tensors.set("q", new Int32Array(5).fill(-(2 ** 30))), /found multiplier -1073741824 at 0/],
  "a shift out of range": [(p) => void p.tensors.set("s", new Int32Array(5).fill(31)), /found shift 31 at 0, expected −31 to 30/],
  "a clamp upside down": [(p) => set(p.steps.conv.epilogue, { lo: 5, hi: 4 }), /found a clamp from 5 to 4/],
  "single rounding with ties": [
    (p) => {
      p.tensors.set("q", new Int32Array(5).fill(2 ** 30));
      set(p.steps.conv.epilogue, { rounding: "single" });
    },
    /found rounding 'single' where accumulator 0 can be a tie/,
  ],
  "an accumulator interval too narrow below": [
    (p) => set(p.steps.conv, { accumulator: [-45 * 128 + 8, 45 * 127 + 7] }),
    /found an accumulator interval \[-5752, 5722\], expected one that holds \[-5753, 5722\]/,
  ],
  "an accumulator interval too narrow above": [
    (p) => set(p.steps.conv, { accumulator: [-45 * 128 + 7, 45 * 127 + 6] }),
    /accumulator interval/,
  ],
  "an accumulator past 32 bits": [(p) => void p.tensors.set("b", new Int32Array(5).fill(2 ** 31 - 1)), /accumulator interval/],
  "a residual sum past 62 bits": [
    (p) => {
      p.tensors.set("q", new Int32Array(5).fill(2 ** 31 - 1));
      p.tensors.set("b", new Int32Array(5).fill(2 ** 31 - 1 - 9 * 127));
      set(p.steps.conv, { accumulator: [-(2 ** 31), 2 ** 31 - 1], epilogue: { kind: "accumulator" } });
      set(p.steps.residual, { accumulator: [-(2 ** 31), 2 ** 31 - 1], input: 0 });
      p.tensors.set("w", new Int8Array(225));
      set(p.values[1], { type: "int32", zeroPoint: 0, offset: 1024 });
      set(p.steps.residual.epilogue, { value: 1, residualZero: 0 });
      set(p.plan, { arenaBytes: 2048 });
    },
    /found a residual sum of up to \d+ at channel 0, expected less than 2⁶²/,
  ],
  "a residual of another size": [(p) => set(p.values[0], { dims: [5, 4, 3], offset: 0 }), /found an output of 4×4, expected 4×3/],
  "residual bits past 62": [(p) => set(p.steps.residual.epilogue, { bits: 63 }), /epilogue\.bits: found 63/],
  "an addition of other shapes": [
    (p) => {
      set(p.values[3], { pitch: 16, offset: 1024 });
      set(p.plan, { arenaBytes: 2048 });
    },
    /found 'v1' of \[4,4,5\] with pitch 8 and 'v3' of \[4,4,5\] with pitch 16, expected equal extents/,
  ],
  "a table for too few channels": [(p) => void p.tensors.set("l", new Int8Array(256)), /expected Int8Array\[1280\]/],
  "an average without its multipliers": [(p) => set(p.steps.pool, { requantization: undefined }), /found no requantization/],
  "multipliers for fewer taps": [(p) => void p.tensors.set("q9", new Int32Array(8).fill(2 ** 30)), /expected Int32Array\[9\]/],
  "a pool window in the padding": [
    (p) => set(p.steps.pool, { stride: [2, 1], pads: [3, 1, 2, 1] }),
    /found windows of height 3, dilation 1 that can lie in the padding alone/,
  ],
  "a copy past its input": [(p) => set(p.steps.copy, { inOffset: 8 }), /found a read of elements 8 to 132 of 'v5', expected 0 to 127/],
  "a copy before its output": [(p) => set(p.steps.copy, { outOffset: -1 }), /found a write of elements -1 to/],
  "a copy with a stride too many": [(p) => set(p.steps.copy, { inStrides: [8, 1, 1] }), /found 2 dims with 3 and 2 strides/],
  "a copy of padding": [(p) => set(p.steps.copy, { inOffset: 3 }), /found padding of 'v5' copied to element 2 of 'v6'/],
  "a copy that writes twice": [(p) => set(p.steps.copy, { outStrides: [0, 1] }), /found element 0 of 'v6' copied twice/],
  "a copy of more than its output": [
    (p) => set(p.steps.copy, { dims: [2 ** 30, 2 ** 30], inStrides: [0, 0], outStrides: [0, 0] }),
    /elements copied, expected at most the 128/,
  ],
  "a copy that leaves elements unwritten": [
    (p) => set(p.steps.copy, { dims: [15, 5] }),
    /plan step 6 \(softmax\): found input 'v6' with elements that no step/,
  ],
  "a fill that is no code": [(p) => set(p.steps.copy, { fill: 200 }), /found fill 200, expected an int8 code/],
  "fills for fewer channels": [
    (p) => {
      set(p.steps.copy, { fills: "f" });
      p.tensors.set("f", new Int8Array(4));
    },
    /found tensor 'f' of type Int8Array\[4\], expected Int8Array\[5\]/,
  ],
  "a fill beside fills": [(p) => set(p.steps.copy, { fill: 1, fills: "l" }), /found fills beside a fill or of int32/],
  "pixels of another scale": [(p) => set(p.plan, { pixels: true, preprocessing }), /plan pixels: found an input of scale 0.5, expected 1/],
  "pixels that nothing explains": [pixels({ preprocessing: undefined }), /plan pixels: found no preprocessing/],
  "pixels of several inputs": [pixels({ inputs: [0, 2] }), /plan pixels: found 2 inputs/],
  "pixels of no size": [pixels({ preprocessing: { ...preprocessing, scale: 0 } }), /plan pixels: found a preprocessing of scale 0/],
  "pixels with means of other channels": [
    pixels({ preprocessing: { ...preprocessing, mean: [1, 2, 3] } }),
    /plan pixels: found a mean of 3 channels, expected 1 or 5/,
  ],
  "pixels that are a number": [(p) => set(p.plan, { pixels: 1 }), /plan\.pixels: found 1/],
  "factors of other sizes": [product({ values: [3, 4] }), /found factors of \[3,4\] and \[5,2\], expected matrices of equal inner extents/],
  "a product of another size": [product({ out: [2, 3] }), /found an output of \[2,3\] in order \[0,1\], expected \[3,2\] as it is/],
  "a product's interval too narrow": [
    product({ accumulator: [-5 * 131 * 131, 5 * 131 * 131 - 1] }),
    /found an accumulator interval \[-85805, 85804\], expected one that holds \[-81220, 85805\]/,
  ],
  "a product with multipliers for fewer columns": [product({ multipliers: 1 }), /expected Int32Array\[2\]/],
  "a normalization without room for its shift": [
    normalization((p) => p.tensors.set("beta", new Int32Array(10).fill(2 ** 28))),
    /found a beta of 268435456 · 2³² at 0, expected less than 2⁶⁰/,
  ],
  "a normalization of an epsilon that leaves no variance": [normalization((p) => set(p.steps.softmax, { epsilon: 0 })), /epsilon: found 0/],
  "a normalization with words for fewer shifts": [
    normalization((p) => p.tensors.set("beta", new Int32Array(5))),
    /expected Int32Array\[10\]/,
  ],
  "a constant of another length": [
    (p) => {
      p.steps.softmax = { kernel: "constant", nodes: [], output: 7, data: "b" } as never;
    },
    /found tensor 'b' of type Int32Array\[5\], expected Int8Array\[80\]/,
  ],
  "a softmax that divides by zero": [(p) => void p.tensors.set("e", new Uint32Array(256)), /found table\[0\] = 0/],
};

test("the undamaged plan is let through", () => {
  checkPlan(planOf(parts()));
  const taking = parts();
  pixels({})(taking);
  checkPlan(planOf(taking));
  for (const more of [product({}), normalization(() => {})]) {
    const all = parts();
    more(all);
    checkPlan(planOf(all));
  }
});

test.for(Object.entries(rows))("%s is refused in one sentence", ([, [damage, message]]) => {
  const damaged = parts();
  damage(damaged);
  let refusal: unknown;
  try {
    checkPlan(planOf(damaged));
  } catch (error) {
    refusal = error;
  }
  expect(refusal).toBeInstanceOf(HalftoneError);
  expect((refusal as HalftoneError).message).toMatch(message);
});

test("a hostile plan of giant copies and pools is refused quickly", () => {
  const giant = (name: string, offset: number): PlanValue => ({
    ...image(name, 1, 1, offset),
    dims: [2 ** 29],
    order: [0],
    pitch: 2 ** 29,
  });
  const copy = {
    kernel: "copy",
    nodes: [],
    input: 0,
    output: 1,
    dims: [],
    inStrides: [],
    outStrides: [],
    inOffset: 0,
    outOffset: 0,
    fill: 1,
  } as const;
  const started = performance.now();
  const plan: Plan = {
    version: 1,
    arithmetic: "halftone-integer/1",
    values: [giant("a", 0), giant("b", 2 ** 29)],
    inputs: [0],
    outputs: [1],
    steps: Array.from({ length: 60_000 }, () => copy),
    arenaBytes: 2 ** 30,
    tensors: new Map(),
  };
  expect(() => checkPlan(plan)).toThrow(/more than 4294967296 moved elements/);
  expect(performance.now() - started).toBeLessThan(5000);
});

test("a convolution of a million groups is refused before its calls fill the memory", () => {
  const wide = (name: string, channels: number, offset: number): PlanValue => ({
    ...image(name, 1, 1, offset),
    dims: [channels, 64],
    order: [1, 0],
    pitch: channels,
  });
  const groups = 2 ** 20;
  const { plan: _plan, ...rest } = parts();
  const conv: ConvStep = {
    ...steps.conv,
    window: [1, 1],
    pads: [0, 0, 0, 0],
    groups,
    accumulator: [-300, 300],
    epilogue: requantize,
  };
  const plan = planOf({
    ...rest,
    plan: {
      values: [wide("a", 2 * groups, 0), wide("b", groups, 2 ** 27)],
      steps: [conv],
      outputs: [1],
      arenaBytes: 2 ** 28,
      tensors: new Map<string, PlanTensor>([
        ["w", new Int8Array(2 * groups).fill(1)],
        ["b", new Int32Array(groups)],
        ["q", new Int32Array(groups)],
        ["s", new Int32Array(groups)],
      ]),
    },
  });
  expect(() => checkPlan(plan)).toThrow(/more than 4294967296 moved elements/);
});

test("single rounding is let through up to the last accumulator before a tie", () => {
  // 2³⁰ · 2^(−7 − 31) = 2⁻⁸: multiples of 128 that are odd lie halfway.
  const within = (bias: number): Parts => {
    const all = parts();
    all.tensors.set("w", new Int8Array(225));
    all.tensors.set("b", new Int32Array(5).fill(bias));
    all.tensors.set("q", new Int32Array(5).fill(2 ** 30));
    set(all.steps.conv, { accumulator: [bias, bias], epilogue: { ...requantize, rounding: "single" } });
    set(all.steps.residual, { accumulator: [-9 * 128 + bias, 9 * 127 + bias] });
    return all;
  };
  for (const bias of [127, -127]) checkPlan(planOf(within(bias)));
  for (const bias of [128, -128]) expect(() => checkPlan(planOf(within(bias)))).toThrow(/rounding 'single'/);
});
