import { describe, expect, test, vi } from "vitest";
import { createEngine } from "../../src/engine/index.ts";
import { evaluateReference } from "../../src/graph/evaluate.ts";
import { float32, int64s } from "../../src/graph/tensors.ts";
import type { Attribute } from "../../src/graph/types.ts";
import { forwardKernels } from "../../src/ops/forward.ts";
import { type Operand, type Random, randomOf, type Single, singleGraph } from "./single.ts";

interface Row {
  readonly op: string;
  draw(random: Random): Omit<Single, "op">;
  /** Largest |difference| / (1 + |reference|); 0 for operators that only move elements. */
  readonly bound: number;
}

const feed = (tensor: Operand["tensor"]): Operand => ({ tensor });
const constant = (tensor: Operand["tensor"]): Operand => ({ tensor, constant: true });
const dimsOf = (random: Random, rank = random.int(2, 5), most = 9): number[] => Array.from({ length: rank }, () => random.int(1, most));

/** Rounding of the operator's own float32 steps. */
const ulp = 2 ** -22;

const unary = (op: string, low = -6, high = 6, attributes: (r: Random) => Record<string, number | string> = () => ({})): Row => ({
  op,
  bound: 4 * ulp,
  draw: (r) => ({ inputs: [feed(r.tensor(dimsOf(r), low, high))], attributes: attributes(r) }),
});

/** An operand that broadcasts against `dims`: fewer axes, ones here and there, a scalar, one per channel. */
function spread(r: Random, dims: readonly number[]): number[] {
  const kind = r.int(0, 4);
  if (kind === 0) return [...dims];
  if (kind === 1) return [];
  if (kind === 2) return dims.slice(1).map((d, i) => (i === 0 ? d : 1));
  return dims.slice(r.int(0, dims.length - 1)).map((d) => (r.int(0, 2) ? d : 1));
}

const binary = (op: string, low = -2, high = 2, bound = ulp): Row => ({
  op,
  bound,
  draw(r) {
    const dims = dimsOf(r);
    const wrap = r.int(0, 1) ? constant : feed;
    const pair = [feed(r.tensor(dims, low, high)), wrap(r.tensor(spread(r, dims), low, high))];
    return { inputs: r.int(0, 3) === 0 && op !== "PRelu" ? pair.toReversed() : pair };
  },
});

const reduction = (op: string): Row => ({
  op,
  bound: 2 * ulp,
  draw(r) {
    const dims = dimsOf(r);
    const axes = dims.map((_, axis) => axis).filter(() => r.int(0, 1));
    const given = axes.length ? [constant(int64s(axes.map((axis) => (r.int(0, 1) ? axis : axis - dims.length))))] : [];
    return { inputs: [feed(r.tensor(dims)), ...given], attributes: { keepdims: r.int(0, 1) } };
  },
});

const image = (r: Random, least = 1): number[] => [r.int(1, 3), r.int(1, 9), ...Array.from({ length: r.int(1, 2) }, () => r.int(least, 9))];

const pooling = (op: string): Row => ({
  op,
  bound: 2 * ulp,
  draw(r) {
    const dims = image(r, 4);
    const spatial = dims.length - 2;
    const each = (low: number, high: number): number[] => Array.from({ length: spatial }, () => r.int(low, high));
    const kernel = each(1, 3);
    const begin = kernel.map((k) => r.int(0, k - 1));
    const end = kernel.map((k) => r.int(0, k - 1));
    const padding: Record<string, Attribute> = r.pick<Record<string, Attribute>>([
      { pads: [...begin, ...end], ceil_mode: r.int(0, 1) },
      { auto_pad: r.pick(["SAME_UPPER", "SAME_LOWER", "VALID"]) },
    ]);
    const include: Record<string, Attribute> = op === "AveragePool" ? { count_include_pad: r.int(0, 1) } : {};
    return {
      inputs: [feed(r.tensor(dims))],
      attributes: { kernel_shape: kernel, strides: each(1, 3), ...padding, ...include },
    };
  },
});

const along = (op: string, bound: number): Row => ({
  op,
  bound,
  draw(r) {
    const dims = dimsOf(r);
    return { inputs: [feed(r.tensor(dims, -9, 9))], attributes: { axis: r.int(-dims.length, dims.length - 1) } };
  },
});

const perChannel = (op: string, count: number): Row => ({
  op,
  bound: 32 * ulp,
  draw(r) {
    const dims = [r.int(1, 3), r.int(1, 9), r.int(2, 9), ...(r.int(0, 1) ? [r.int(1, 9)] : [])];
    const vectors = Array.from({ length: count }, () => constant(r.tensor([dims[1]!], 0.5, 2)));
    return { inputs: [feed(r.tensor(dims)), ...vectors], attributes: { epsilon: 1e-3 } };
  },
});

const alpha = (r: Random): Record<string, number> => ({ alpha: r.real(0.1, 0.9) });

const rows: readonly Row[] = [
  ...["Relu", "HardSwish", "Sigmoid", "Tanh", "Exp", "Erf", "Abs", "Neg", "Softplus", "Mish", "Floor", "Ceil"].map((op) => unary(op)),
  unary("LeakyRelu", -3, 3, alpha),
  unary("Elu", -3, 3, alpha),
  unary("Swish", -3, 3, alpha),
  unary("HardSigmoid", -3, 3, (r) => ({ alpha: r.real(0.1, 0.4), beta: r.real(0.3, 0.6) })),
  unary("Gelu", -5, 5, (r) => ({ approximate: r.pick(["none", "tanh"]) })),
  unary("Log", 0.01, 9),
  unary("Sqrt", 0, 9),
  unary("Reciprocal", 0.5, 9),
  {
    op: "Clip",
    bound: 0,
    draw: (r) => ({
      inputs: [feed(r.tensor(dimsOf(r))), r.int(0, 1) ? constant(float32([], [-0.5])) : undefined, constant(float32([], [1]))],
    }),
  },
  ...["Add", "Sub", "Mul", "PRelu"].map((op) => binary(op)),
  binary("Div", 0.5, 2),
  binary("Pow", 0.1, 3, 4 * ulp),
  ...["Min", "Max", "Sum"].map(
    (op): Row => ({
      op,
      bound: 2 * ulp,
      draw(r) {
        const dims = dimsOf(r);
        return { inputs: Array.from({ length: r.int(1, 4) }, (_, i) => feed(r.tensor(i === 0 ? dims : spread(r, dims)))) };
      },
    }),
  ),
  ...["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"].map(reduction),
  ...["GlobalAveragePool", "GlobalMaxPool"].map(
    (op): Row => ({ op, bound: 2 * ulp, draw: (r) => ({ inputs: [feed(r.tensor(image(r)))] }) }),
  ),
  ...["MaxPool", "AveragePool"].map(pooling),
  along("Softmax", 4 * ulp),
  along("LogSoftmax", 8 * ulp),
  perChannel("BatchNormalization", 4),
  perChannel("InstanceNormalization", 2),
  {
    op: "LayerNormalization",
    bound: 32 * ulp,
    draw(r) {
      const dims = [...dimsOf(r, r.int(1, 3)), r.int(2, 9)];
      const axis = r.int(0, dims.length - 1);
      const vectors = [constant(r.tensor(dims.slice(axis))), ...(r.int(0, 1) ? [constant(r.tensor(dims.slice(axis)))] : [])];
      return { inputs: [feed(r.tensor(dims)), ...vectors], attributes: { axis: r.int(0, 1) ? axis : axis - dims.length, epsilon: 1e-3 } };
    },
  },
  {
    op: "Transpose",
    bound: 0,
    draw(r) {
      const dims = dimsOf(r);
      const perm = dims.map((_, axis) => axis);
      for (let i = perm.length - 1; i > 0; i--) {
        const j = r.int(0, i);
        [perm[i], perm[j]] = [perm[j]!, perm[i]!];
      }
      return { inputs: [feed(r.tensor(dims))], attributes: r.int(0, 4) ? { perm } : {} };
    },
  },
  {
    op: "Concat",
    bound: 0,
    draw(r) {
      const dims = dimsOf(r);
      const axis = r.int(0, dims.length - 1);
      const part = (): number[] => dims.map((d, a) => (a === axis ? r.int(1, 5) : d));
      const inputs = [feed(r.tensor(dims)), feed(r.tensor(part())), constant(r.tensor(part()))];
      return { inputs, attributes: { axis: r.int(0, 1) ? axis : axis - dims.length } };
    },
  },
  {
    op: "Split",
    bound: 0,
    draw(r) {
      const dims = dimsOf(r);
      const axis = r.int(0, dims.length - 1);
      const sizes = [r.int(1, 5), r.int(1, 5), r.int(1, 5)];
      dims[axis] = sizes.reduce((a, b) => a + b);
      return { inputs: [feed(r.tensor(dims)), constant(int64s(sizes))], attributes: { axis }, outputs: 3 };
    },
  },
  {
    op: "Slice",
    bound: 0,
    draw(r) {
      const dims = dimsOf(r);
      const axes = dims.map((_, axis) => axis).filter(() => r.int(0, 2));
      if (axes.length === 0) axes.push(0);
      const steps = axes.map(() => r.pick([1, 1, 2, 3, -1, -2]));
      const starts = axes.map((axis, i) => (steps[i]! > 0 ? r.int(0, dims[axis]! - 1) : r.int(-1, dims[axis]!)));
      const ends = axes.map((axis, i) => (steps[i]! > 0 ? r.pick([dims[axis]!, 99, -1]) : -99));
      const list = (values: number[]): Operand => (r.int(0, 1) ? constant : feed)(int64s(values));
      return { inputs: [feed(r.tensor(dims)), list(starts), list(ends), list(axes), list(steps)] };
    },
  },
  {
    op: "Pad",
    bound: 0,
    draw(r) {
      const dims = dimsOf(r, r.int(2, 4));
      const pads = [...dims, ...dims].map((_, i) => (i < dims.length ? r.int(0, 3) : r.int(dims[i - dims.length]! > 1 ? -1 : 0, 3)));
      return { inputs: [feed(r.tensor(dims)), constant(int64s(pads)), constant(float32([], [r.real()]))] };
    },
  },
  {
    op: "Expand",
    bound: 0,
    draw(r) {
      const dims = dimsOf(r);
      return { inputs: [feed(r.tensor(spread(r, dims))), constant(int64s(dims))] };
    },
  },
  {
    op: "Gather",
    bound: 0,
    draw(r) {
      const dims = dimsOf(r, r.int(2, 4));
      const axis = r.int(0, dims.length - 1);
      const indices = Array.from({ length: 6 }, () => r.int(-dims[axis]!, dims[axis]! - 1));
      return {
        inputs: [feed(r.tensor(dims)), (r.int(0, 1) ? constant : feed)({ ...int64s(indices), dims: [2, 3] })],
        attributes: { axis },
      };
    },
  },
  {
    op: "DepthToSpace",
    bound: 0,
    draw(r) {
      const blocksize = r.int(1, 3);
      const dims = [r.int(1, 2), blocksize * blocksize * r.int(1, 5), r.int(1, 4), r.int(1, 4)];
      return { inputs: [feed(r.tensor(dims))], attributes: { blocksize, mode: r.pick(["DCR", "CRD"]) } };
    },
  },
  {
    op: "Resize",
    bound: 2 * ulp,
    draw(r) {
      const dims = image(r, 2);
      const sizes = [dims[0]!, dims[1]!, ...dims.slice(2).map(() => r.int(1, 12))];
      const scales = Float32Array.from(dims, (_, axis) => (axis < 2 ? 1 : r.real(0.5, 3)));
      const steering = r.pick<(Operand | undefined)[]>([
        [undefined, undefined, constant(int64s(sizes))],
        [undefined, constant(float32([dims.length], scales))],
      ]);
      const transform = r.pick(["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric"]);
      const mode = r.pick(["nearest", "linear"]);
      return { inputs: [feed(r.tensor(dims)), ...steering], attributes: { mode, coordinate_transformation_mode: transform } };
    },
  },
  { op: "Reshape", bound: 0, draw: (r) => ({ inputs: [feed(r.tensor([2, r.int(1, 5), r.int(1, 5), 3])), constant(int64s([0, -1, 3]))] }) },
  { op: "Flatten", bound: 0, draw: (r) => ({ inputs: [feed(r.tensor(dimsOf(r)))], attributes: { axis: r.int(0, 2) } }) },
  { op: "Squeeze", bound: 0, draw: (r) => ({ inputs: [feed(r.tensor([r.int(1, 3), 1, r.int(1, 5), 3])), constant(int64s([1]))] }) },
  { op: "Unsqueeze", bound: 0, draw: (r) => ({ inputs: [feed(r.tensor(dimsOf(r, 3))), constant(int64s([r.int(0, 3)]))] }) },
  { op: "Identity", bound: 0, draw: (r) => ({ inputs: [feed(r.tensor(dimsOf(r)))] }) },
  { op: "Dropout", bound: 0, draw: (r) => ({ inputs: [feed(r.tensor(dimsOf(r)))] }) },
];

/** NaN, infinities and zeros of both signs here and there in the first input. */
function withSpecials(single: Omit<Single, "op">, random: Random): Omit<Single, "op"> {
  const [first, ...rest] = single.inputs;
  const { tensor } = first!;
  const data = Float32Array.from(tensor.data as Float32Array, (v) =>
    random.int(0, 4) ? v : random.pick([NaN, Infinity, -Infinity, 0, -0]),
  );
  return { ...single, inputs: [{ ...first!, tensor: { ...tensor, data } }, ...rest] };
}

const draws: readonly [string, (row: Row, random: Random) => Omit<Single, "op">][] = [
  ["random values", ({ draw }, random) => draw(random)],
  ["NaN and infinities", ({ draw }, random) => withSpecials(draw(random), random)],
];

describe.each(draws)("%s", (_, drawOf) =>
  test.for(rows)("$op equals its reference on random shapes and both layouts", async (row) => {
    const { op, bound } = row;
    const kernel = vi.spyOn(forwardKernels.get(op)!, "run");
    for (let seed = 0; seed < 40; seed++) {
      const single = { op, ...drawOf(row, randomOf(seed)) };
      const { dims } = single.inputs[0]!.tensor;
      const turns = !single.inputs[0]!.constant && (dims.length === 3 || dims.length === 4);
      for (const channelsLast of turns ? [false, true] : [false]) {
        const { graph, feeds } = singleGraph(single, channelsLast);
        const expected = evaluateReference(graph, feeds);
        const found = (await createEngine(graph)).run(feeds);
        for (const [name, y] of expected) {
          const z = found.get(name)!;
          expect(z.dims).toEqual(y.dims);
          let worst = 0;
          for (let i = 0; i < y.data.length; i++) {
            const [a, b] = [Number(z.data[i]), Number(y.data[i])];
            if (!(Math.abs(a - b) / (1 + Math.abs(b)) <= worst))
              worst = Object.is(a, b) || a === b ? worst : Math.abs(a - b) / (1 + Math.abs(b));
          }
          expect(
            worst,
            `seed ${seed}, ${channelsLast ? "channels-last" : "row-major"}, ${JSON.stringify(single.inputs.map((o) => o?.tensor.dims))} ${JSON.stringify(single.attributes)}`,
          ).toBeLessThanOrEqual(bound);
        }
      }
    }
    // The reference would pass as well: the kernel must have run in most of the draws.
    expect(kernel.mock.calls.length).toBeGreaterThanOrEqual(30);
  }),
);

test("every kernel of the table is in this test or in that of its family", () => {
  const elsewhere = ["Conv", "ConvTranspose", "Gemm", "MatMul"];
  const here = new Set([...rows.map((row) => row.op), ...elsewhere]);
  expect([...forwardKernels.keys()].filter((op) => !here.has(op))).toEqual([]);
});
