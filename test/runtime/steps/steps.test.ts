// Every step but convolution: the kernels equal the plain references over odd shapes, random and extreme operands.
import { expect, test } from "vitest";
import type { AddStep, CopyStep, LookupStep, MulStep, PoolStep, SoftmaxStep, Step } from "../../../src/plan/types.ts";
import { readGolden } from "../../formats/golden.ts";
import { Bench, type Codes, Random, referenceStep, runStep } from "../harness.ts";

function same(bench: Bench, step: Step, given: ReadonlyMap<number, Codes>, what: string): Codes {
  const plan = bench.plan(step);
  const found = runStep(plan, step, given);
  expect(found, what).toEqual(referenceStep(plan, step, given));
  return found;
}

const shapes: readonly (readonly number[])[] = [[8, 3, 5], [16, 4, 4], [3, 5, 7], [1, 3, 3], [10], [7, 24], [5, 13], [1], [67, 2, 3]];
const broadcasts = ["same", "channel", "element"] as const;
type Broadcast = (typeof broadcasts)[number];

function operands(random: Random, dims: readonly number[], how: Broadcast, swap: boolean) {
  const bench = new Bench();
  const channels = dims.length === 3 ? dims[0]! : dims.at(-1)!;
  const small = how === "same" ? dims : how === "channel" ? (dims.length === 3 && random.next() & 1 ? [channels, 1, 1] : [channels]) : [1];
  const a = bench.value(dims, { zeroPoint: random.between(-128, 127) });
  const b = bench.value(small, { zeroPoint: random.between(-128, 127) });
  const output = bench.value(dims);
  const count = (d: readonly number[]): number => d.reduce((x, y) => x * y, 1);
  const given = new Map<number, Codes>([
    [a, random.codes(count(dims))],
    [b, random.codes(count(small))],
  ]);
  const inputs: readonly [number, number] = swap ? [b, a] : [a, b];
  const range = { zero: random.between(-128, 127), lo: random.between(-128, -90), hi: random.between(90, 127) };
  return { bench, inputs, output, given, range };
}

test.for(broadcasts)("add equals its reference, operand two: %s", (how) => {
  shapes.forEach((dims, i) => {
    for (const bits of [10, 20, 22, 31, 32, 40, 53]) {
      const random = new Random(i * 100 + bits);
      const { bench, inputs, output, given, range } = operands(random, dims, how, how !== "same" && i % 2 === 0);
      const unit = Math.min(2 ** bits, 2147483647);
      // half of them powers of two, so that ties happen
      const multiplier = (): number => (random.next() & 1 ? 2 ** Math.floor(Math.log2(unit / 2)) : random.between(1, unit));
      const step: AddStep = { kernel: "add", nodes: [], inputs, output, multipliers: [multiplier(), multiplier()], bits, ...range };
      same(bench, step, given, `[${dims}] bits ${bits}`);
    }
  });
});

test.for(broadcasts)("mul equals its reference, operand two: %s", (how) => {
  shapes.forEach((dims, i) => {
    for (const shift of [-31, -12, -8, -5, -3, -1, 0, 1, 12, 13, 14, 30]) {
      const random = new Random(i * 100 + shift);
      const { bench, inputs, output, given, range } = operands(random, dims, how, how !== "same" && i % 2 === 1);
      const multiplier = random.next() & 1 ? 1 << 30 : random.between(1 << 30, 2147483647);
      const step: MulStep = { kernel: "mul", nodes: [], inputs, output, multiplier, shift, ...range };
      same(bench, step, given, `[${dims}] shift ${shift}`);
    }
  });
});

test.for([false, true])("lookup equals its reference, per channel: %s", (perChannel) => {
  shapes.forEach((dims, i) => {
    const random = new Random(i);
    const bench = new Bench();
    const channels = dims.length === 3 ? dims[0]! : dims.at(-1)!;
    const input = bench.value(dims);
    const output = bench.value(dims);
    const table = bench.tensor(random.codes(perChannel ? channels * 256 : 256));
    const step: LookupStep = { kernel: "lookup", nodes: [], input, output, table, perChannel };
    const count = dims.reduce((x, y) => x * y, 1);
    same(bench, step, new Map([[input, random.codes(count)]]), `[${dims}]`);
  });
});

interface PoolShape {
  readonly size: readonly [number, number];
  readonly window: readonly [number, number];
  readonly stride?: readonly [number, number];
  readonly dilation?: readonly [number, number];
  readonly pads?: readonly [number, number, number, number];
  readonly ceil?: boolean;
}
const poolShapes: readonly PoolShape[] = [
  { size: [8, 8], window: [2, 2], stride: [2, 2] },
  { size: [7, 9], window: [3, 3], stride: [2, 2], pads: [1, 1, 1, 1] },
  { size: [7, 7], window: [7, 7] },
  { size: [5, 6], window: [3, 2], pads: [1, 0, 0, 1], dilation: [2, 1] },
  { size: [6, 6], window: [3, 3], stride: [2, 2], ceil: true },
  { size: [40, 33], window: [3, 3], pads: [1, 1, 1, 1] },
];

function poolProblem(random: Random, shape: PoolShape, channels: number) {
  const { size, window, stride = [1, 1], dilation = [1, 1], pads = [0, 0, 0, 0], ceil } = shape;
  const bench = new Bench();
  const input = bench.value([channels, ...size], { zeroPoint: random.between(-128, 127) });
  const out = ([0, 1] as const).map((a) => {
    const steps = (size[a] + pads[a]! + pads[a + 2]! - (window[a] - 1) * dilation[a] - 1) / stride[a];
    return (ceil ? Math.ceil(steps) : Math.floor(steps)) + 1;
  });
  const output = bench.value([channels, ...out]);
  const given = new Map([[input, random.codes(channels * size[0] * size[1])]]);
  return { bench, given, common: { nodes: [], input, output, window, stride, dilation, pads } };
}

test.for(poolShapes)("maxpool equals its reference: %o", (shape) => {
  for (const channels of [1, 3, 8, 13, 16, 40]) {
    const { bench, given, common } = poolProblem(new Random(channels), shape, channels);
    const step: PoolStep = { kernel: "maxpool", includePads: false, ...common };
    same(bench, step, given, `${channels} channels`);
  }
});

test.for(poolShapes)("avgpool equals its reference: %o", (shape) => {
  for (const channels of [1, 3, 8, 13, 16, 40]) {
    for (const includePads of [false, true]) {
      for (const rounding of ["even", "single"] as const) {
        const random = new Random(channels);
        const { bench, given, common } = poolProblem(random, shape, channels);
        const taps = shape.window[0] * shape.window[1];
        const scale = random.pick([0.5, 1, 1.37]);
        const multipliers = Int32Array.from({ length: taps }, (_, i) => 2 ** 30 * (scale / (i + 1)) * 2 ** Math.ceil(Math.log2(i + 1)));
        const shifts = Int32Array.from({ length: taps }, (_, i) => 1 - Math.ceil(Math.log2(i + 1)));
        const requantization = {
          multiplier: bench.tensor(multipliers),
          shift: bench.tensor(shifts),
          rounding,
          zero: random.between(-20, 20),
          lo: -120,
          hi: 127,
        };
        const step: PoolStep = { kernel: "avgpool", includePads, requantization, ...common };
        same(bench, step, given, `${channels} channels, includePads ${includePads}`);
      }
    }
  }
});

test("softmax equals its reference, and its codes sum to about 256", () => {
  for (const dims of [[10], [4, 7], [1000], [3, 2, 2], [1]]) {
    const random = new Random(dims[0]!);
    const bench = new Bench();
    const [input, output] = [bench.value(dims), bench.value(dims)];
    const table = bench.tensor(Uint32Array.from({ length: 256 }, (_, k) => Math.round(Math.exp(-k * 0.05) * 2 ** 23)));
    const step: SoftmaxStep = { kernel: "softmax", nodes: [], input, output, table };
    const count = dims.reduce((x, y) => x * y, 1);
    const y = same(bench, step, new Map([[input, random.codes(count)]]), `[${dims}]`);
    if (dims.length === 1) expect(Math.abs(Array.from(y).reduce((s, c) => s + c + 128, 0) - 256)).toBeLessThanOrEqual(count / 2 + 1);
  }
});

test("softmax reproduces the golden codes", () => {
  const { softmax } = readGolden("b-08_integer.json") as { softmax: { x: number[]; scale: number; y: number[]; table_head: number[] } };
  const bench = new Bench();
  const [input, output] = [bench.value([softmax.x.length]), bench.value([softmax.x.length])];
  const entries = Uint32Array.from({ length: 256 }, (_, k) => Math.round(Math.exp(-k * softmax.scale) * 2 ** 23));
  expect([...entries.slice(0, softmax.table_head.length)]).toEqual(softmax.table_head);
  const step: SoftmaxStep = { kernel: "softmax", nodes: [], input, output, table: bench.tensor(entries) };
  const y = runStep(bench.plan(step), step, new Map([[input, Int8Array.from(softmax.x)]]));
  expect(Array.from(y, (code) => code + 128)).toEqual(softmax.y);
});

test("softmax is exact where the sum of exponentials leaves 32 bits", () => {
  const bench = new Bench();
  const [input, output] = [bench.value([1100]), bench.value([1100])];
  const table = bench.tensor(new Uint32Array(256).fill(2 ** 23));
  const step: SoftmaxStep = { kernel: "softmax", nodes: [], input, output, table };
  same(bench, step, new Map([[input, new Int8Array(1100).fill(5)]]), "1100 equal codes");
});

interface CopyCase {
  readonly name: string;
  readonly from: readonly number[];
  readonly to: readonly number[];
  readonly type?: "int8" | "int32";
  readonly copy: Omit<CopyStep, "kernel" | "nodes" | "input" | "output">;
}
// Values of 3 axes [C,H,W] lie H, W, C with the pitch of C.
const copies: readonly CopyCase[] = [
  {
    name: "concat: channels 8…23 of 24",
    from: [16, 3, 4],
    to: [24, 3, 4],
    copy: { dims: [12, 16], inStrides: [16, 1], inOffset: 0, outStrides: [24, 1], outOffset: 8, fill: 7 },
  },
  {
    name: "spatial pad",
    from: [8, 3, 4],
    to: [8, 5, 7],
    copy: { dims: [3, 4, 8], inStrides: [32, 8, 1], inOffset: 0, outStrides: [56, 8, 1], outOffset: 64, fill: -128 },
  },
  {
    name: "flatten to the order of the model",
    from: [3, 4, 5],
    to: [60],
    copy: { dims: [3, 4, 5], inStrides: [1, 15, 3], inOffset: 0, outStrides: [20, 5, 1], outOffset: 0, fill: 0 },
  },
  {
    name: "nearest upsampling by 2",
    from: [16, 3, 4],
    to: [16, 6, 8],
    copy: { dims: [3, 2, 4, 2, 16], inStrides: [64, 0, 16, 0, 1], inOffset: 0, outStrides: [256, 128, 32, 16, 1], outOffset: 0, fill: 1 },
  },
  {
    name: "depth to space, six axes",
    from: [16, 2, 3],
    to: [4, 4, 6],
    copy: { dims: [2, 3, 2, 2, 4], inStrides: [48, 16, 2, 1, 4], inOffset: 0, outStrides: [48, 8, 24, 4, 1], outOffset: 0, fill: 0 },
  },
  {
    name: "reversed",
    from: [24],
    to: [24],
    copy: { dims: [24], inStrides: [-1], inOffset: 23, outStrides: [1], outOffset: 0 },
  },
  {
    name: "int32 transposed",
    type: "int32",
    from: [8, 16],
    to: [16, 8],
    copy: { dims: [8, 16], inStrides: [16, 1], inOffset: 0, outStrides: [1, 8], outOffset: 0, fill: -5 },
  },
  {
    name: "int32 runs",
    type: "int32",
    from: [4, 40],
    to: [4, 16],
    copy: { dims: [4, 16], inStrides: [40, 1], inOffset: 8, outStrides: [16, 1], outOffset: 0, fill: 70000 },
  },
  {
    name: "nothing",
    from: [8],
    to: [8],
    copy: { dims: [0, 8], inStrides: [8, 1], inOffset: 0, outStrides: [8, 1], outOffset: 0, fill: 3 },
  },
];

test.for(copies)("copy equals its reference: $name", ({ from, to, type = "int8", copy }) => {
  const random = new Random(1);
  const bench = new Bench();
  const input = bench.value(from, { type });
  const output = bench.value(to, { type });
  const count = from.reduce((x, y) => x * y, 1);
  const step: CopyStep = { kernel: "copy", nodes: [], input, output, ...copy };
  same(bench, step, new Map([[input, type === "int8" ? random.codes(count) : random.words(count, -1e9, 1e9)]]), "copy");
});
