import { expect, test } from "vitest";
import { isqrt } from "../../../src/ops/integer/norm.ts";
import type { ConstantStep, LayernormStep, MatmulStep } from "../../../src/plan/types.ts";
import { readGolden } from "../../formats/golden.ts";
import { Bench, Random, referenceStep, runStep } from "../harness.ts";

const whole = { zero: 0, lo: -128, hi: 127 };

/** A product of matrices of these sizes. @param turned the right factor lies with its columns one behind the other */
function product(random: Random, outer: readonly number[], m: number, k: number, n: number, turned: boolean) {
  const bench = new Bench();
  const identity = (rank: number): number[] => Array.from({ length: rank }, (_, i) => i);
  const value = (dims: readonly number[], order = identity(dims.length)): number => {
    const last = dims[order.at(-1)!]!;
    const index = bench.value(
      order.map((axis) => dims[axis]!),
      { zeroPoint: random.between(-128, 127), pitch: last <= 4 ? last : Math.ceil(last / 8) * 8 },
    );
    bench.values[index] = { ...bench.values[index]!, dims, order };
    return index;
  };
  const rank = outer.length + 2;
  const b = [...outer, k, n];
  const inputs = [value([...outer, m, k]), value(b, turned ? [...identity(rank - 2), rank - 1, rank - 2] : identity(rank))] as const;
  const output = value([...outer, m, n]);
  const multiplier = bench.tensor(Int32Array.from({ length: n }, () => 2 ** 30 + random.between(0, 2 ** 30 - 1)));
  const shift = bench.tensor(new Int32Array(n).fill(-8 - Math.ceil(Math.log2(k)) + random.between(-1, 2)));
  const requantization = { multiplier, shift, rounding: "even", ...whole, zero: random.between(-30, 30) } as const;
  const reach = k * 255 * 255;
  const step: MatmulStep = { kernel: "matmul", nodes: [], inputs, output, requantization, accumulator: [-reach, reach] };
  return { bench, step };
}

const sizes: readonly (readonly [outer: readonly number[], m: number, k: number, n: number])[] = [
  [[4], 49, 16, 49],
  [[4], 49, 49, 16],
  [[], 1, 1, 1],
  [[], 5, 7, 3],
  [[2], 4, 8, 8],
  [[3], 65, 5, 9],
  [[], 130, 33, 70],
  [[2, 3], 3, 2, 17],
  [[1], 1, 300, 4],
];

test.for(sizes)("matrices %j of %d×%d by ×%d equal their reference, whichever way the right ones lie", ([outer, m, k, n]) => {
  for (const turned of [false, true]) {
    const random = new Random(m + k + n);
    const { bench, step } = product(random, outer, m, k, n, turned);
    const count = outer.reduce((total, d) => total * d, 1);
    // The harness packs values as they lie; the reference wants the right factor row by row.
    const [a, b] = [random.codes(count * m * k), random.codes(count * k * n)];
    const lying = turned ? Int8Array.from(b, (_, i) => b[i - (i % (k * n)) + (i % k) * n + Math.floor((i % (k * n)) / k)]!) : b;
    const plan = bench.plan(step);
    const found = runStep(
      plan,
      step,
      new Map([
        [step.inputs[0], a],
        [step.inputs[1], lying],
      ]),
    );
    const expected = referenceStep(
      plan,
      step,
      new Map([
        [step.inputs[0], a],
        [step.inputs[1], b],
      ]),
    );
    expect(found).toEqual(expected);
  }
});

test("both ends of a product's interval are exact", () => {
  const random = new Random(1);
  const k = 33_000;
  const { bench, step } = product(random, [], 1, k, 1, false);
  for (const index of step.inputs) bench.values[index] = { ...bench.values[index]!, zeroPoint: -128 };
  bench.tensors.set(step.requantization.multiplier, Int32Array.of(2 ** 30));
  bench.tensors.set(step.requantization.shift, Int32Array.of(-23));
  const codes = new Int8Array(k).fill(127);
  // 33 000 · 255² = 2 145 825 000 < 2³¹
  const plan = bench.plan({ ...step, accumulator: [0, k * 255 * 255] });
  const given = new Map([
    [step.inputs[0], codes],
    [step.inputs[1], codes],
  ]);
  const exact = plan.steps[0]!;
  expect(runStep(plan, exact, given)).toEqual(referenceStep(plan, exact, given));
});

function normalization(bench: Bench, random: Random, n: number, epsilon: number): Pick<LayernormStep, "epsilon" | "gamma" | "beta"> {
  return {
    epsilon,
    gamma: bench.tensor(random.words(n, -300_000, 300_000)),
    beta: bench.tensor(Int32Array.from({ length: 2 * n }, (_, i) => (i % 2 ? random.between(-3, 3) : random.next() | 0))),
  };
}

test.for([
  [[49, 64], 7],
  [[1], 1],
  [[7, 1], 9],
  [[3, 5], 1],
  [[2, 3, 10], 123],
  [[5, 67], 2 ** 45 - 1],
  [[2, 16_384], 1],
] as const)("layer normalization of %j with ε' = %d equals its reference", ([dims, epsilon]) => {
  const random = new Random(dims.length);
  const bench = new Bench();
  const [input, output] = [bench.value(dims), bench.value(dims)];
  const [first = 1] = dims.length === 3 ? dims : [dims.at(-1)!];
  const range = { zero: random.between(-50, 50), lo: -120, hi: 127 };
  const step: LayernormStep = { kernel: "layernorm", nodes: [], input, output, ...normalization(bench, random, first, epsilon), ...range };
  const count = dims.reduce((total: number, d) => total * d, 1);
  for (const codes of [random.codes(count), new Int8Array(count).fill(-128), random.codes(count, 3, 4)]) {
    const plan = bench.plan(step);
    expect(runStep(plan, step, new Map([[input, codes]]))).toEqual(referenceStep(plan, step, new Map([[input, codes]])));
  }
});

test("layer normalization reproduces the golden codes", () => {
  const { layernorm } = readGolden("b-08_integer.json") as {
    layernorm: { x: number[]; gamma_q12: number[]; beta_q27: number[]; s_x: number; eps: number; z_y: number; y: number[] };
  };
  const { x, gamma_q12, beta_q27, s_x, eps, z_y, y } = layernorm;
  const bench = new Bench();
  const [input, output] = [bench.value([x.length]), bench.value([x.length])];
  const words = new Int32Array(BigInt64Array.from(beta_q27, BigInt).buffer);
  const step: LayernormStep = {
    kernel: "layernorm",
    nodes: [],
    input,
    output,
    epsilon: Math.max(1, Math.round((eps * x.length ** 2) / s_x ** 2)),
    gamma: bench.tensor(Int32Array.from(gamma_q12)),
    beta: bench.tensor(words),
    ...whole,
    zero: z_y - 128, // unsigned codes there
  };
  const found = runStep(bench.plan(step), step, new Map([[input, Int8Array.from(x)]]));
  expect(Array.from(found, (code) => code + 128)).toEqual(y);
});

test("the root in the kernel is the floor: rows of two codes meet every kind of variance", () => {
  // V = (a − b)² + ε' for n = 2, and z = ±(a − b) · ⌊2⁵⁴ / ⌊√(V 2¹⁶)⌋⌋ / 2³¹ shows the root through γ.
  const bench = new Bench();
  const [input, output] = [bench.value([256, 2]), bench.value([256, 2])];
  const codes = Int8Array.from({ length: 512 }, (_, i) => (i % 2 ? -128 : Math.floor(i / 2) - 128));
  for (const epsilon of [1, 2, 255, 65_025, 2 ** 31 + 1, 2 ** 44 + 12_345]) {
    const gamma = bench.tensor(Int32Array.of(300_000, -300_000));
    const step: LayernormStep = {
      kernel: "layernorm",
      nodes: [],
      input,
      output,
      epsilon,
      gamma,
      beta: bench.tensor(new Int32Array(4)),
      ...whole,
    };
    const plan = bench.plan(step);
    expect(runStep(plan, step, new Map([[input, codes]]))).toEqual(referenceStep(plan, step, new Map([[input, codes]])));
  }
  expect(isqrt(65_536n)).toBe(256n);
});

test.for([[[10]], [[7, 3]], [[3, 4, 5]], [[70, 2, 9]]] as const)("a constant %j is written where steps read it", ([dims]) => {
  const random = new Random(3);
  const bench = new Bench();
  const output = bench.value(dims);
  const data = bench.tensor(random.codes(dims.reduce((total: number, d) => total * d, 1)));
  const step: ConstantStep = { kernel: "constant", nodes: [], output, data };
  const plan = bench.plan(step);
  expect(runStep(plan, step, new Map())).toEqual(referenceStep(plan, step, new Map()));
});
