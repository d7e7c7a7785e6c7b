import { describe, expect, test } from "vitest";
import { createDifferentiable } from "../../src/engine/reverse.ts";
import type { DeviceTensor, Differentiable } from "../../src/engine/types.ts";
import { evaluateReference } from "../../src/graph/evaluate.ts";
import { float32, int64s } from "../../src/graph/tensors.ts";
import type { Attribute, Graph, Tensor } from "../../src/graph/types.ts";
import { factOf } from "../../src/ops/shape.ts";
import { gradientKernels } from "../../src/ops/gradient.ts";
import { type Operand, type Random, randomOf, type Single, singleGraph } from "../engine/single.ts";

interface Row {
  readonly op: string;
  draw(random: Random): Omit<Single, "op">;
}

/** Largest error of a derivative along a random direction, relative to the magnitudes summed in it and in the objective. */
const bound = 3e-7;

const feed = (tensor: Tensor): Operand => ({ tensor });
const constant = (tensor: Tensor): Operand => ({ tensor, constant: true });
const settings: WeakSet<Operand> = new WeakSet();
/** What steers the operator and has no gradient. */
function setting(tensor: Tensor): Operand {
  const operand = constant(tensor);
  settings.add(operand);
  return operand;
}
const dimsOf = (r: Random, rank = r.int(2, 5), most = 6): number[] => Array.from({ length: rank }, () => r.int(1, most));
const image = (r: Random, least = 1, most = 7): number[] => [
  r.int(1, 3),
  r.int(1, 9),
  ...Array.from({ length: r.int(1, 2) }, () => r.int(least, most)),
];

const unary = (op: string, low = -4, high = 4, attributes: (r: Random) => Record<string, Attribute> = () => ({})): Row => ({
  op,
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

const binary = (op: string, low = -2, high = 2): Row => ({
  op,
  draw(r) {
    const dims = dimsOf(r);
    const wrap = r.int(0, 1) ? constant : feed;
    const pair = [feed(r.tensor(dims, low, high)), wrap(r.tensor(spread(r, dims), low, high))];
    return { inputs: r.int(0, 3) === 0 && op !== "PRelu" ? pair.toReversed() : pair };
  },
});

const several = (op: string): Row => ({
  op,
  draw(r) {
    const dims = dimsOf(r);
    return { inputs: Array.from({ length: r.int(1, 4) }, (_, i) => feed(r.tensor(i === 0 ? dims : spread(r, dims)))) };
  },
});

const reduction = (op: string): Row => ({
  op,
  draw(r) {
    const dims = dimsOf(r);
    const axes = dims.map((_, axis) => axis).filter(() => r.int(0, 1));
    const given = axes.length ? [setting(int64s(axes.map((axis) => (r.int(0, 1) ? axis : axis - dims.length))))] : [];
    return { inputs: [feed(r.tensor(dims)), ...given], attributes: { keepdims: r.int(0, 1) } };
  },
});

const pooling = (op: string): Row => ({
  op,
  draw(r) {
    const dims = image(r, 4);
    const spatial = dims.length - 2;
    const each = (low: number, high: number): number[] => Array.from({ length: spatial }, () => r.int(low, high));
    const kernel = each(1, 3);
    const pads = kernel.map((k) => r.int(0, k - 1));
    const padding: Record<string, Attribute> = r.pick<Record<string, Attribute>>([
      { pads: [...pads, ...pads], ceil_mode: r.int(0, 1) },
      { auto_pad: r.pick(["SAME_UPPER", "SAME_LOWER", "VALID"]) },
    ]);
    const include: Record<string, Attribute> = op === "AveragePool" ? { count_include_pad: r.int(0, 1) } : {};
    return { inputs: [feed(r.tensor(dims))], attributes: { kernel_shape: kernel, strides: each(1, 3), ...padding, ...include } };
  },
});

const along = (op: string): Row => ({
  op,
  draw(r) {
    const dims = dimsOf(r);
    return { inputs: [feed(r.tensor(dims))], attributes: { axis: r.int(-dims.length, dims.length - 1) } };
  },
});

const convolution = (op: "Conv" | "ConvTranspose"): Row => ({
  op,
  draw(r) {
    const spatial = r.int(1, 2);
    const each = (low: number, high: number): number[] => Array.from({ length: spatial }, () => r.int(low, high));
    const groups = r.pick([1, 1, 2, 3]);
    const depthwise = r.int(0, 3) === 0;
    const [inner, outer] = depthwise ? [1, r.int(1, 2)] : [r.int(1, 9), r.int(1, 9)];
    const g = depthwise ? r.int(2, 9) : groups;
    const kernel = r.int(0, 1) ? each(3, 3) : each(1, 3);
    const strides = r.int(0, 1) ? each(1, 1) : each(1, 2);
    const pads = kernel.map((k) => r.int(0, Math.floor(k / 2)));
    const x = [r.int(1, 3), g * inner, ...each(5, 9)];
    const w = op === "Conv" ? [g * outer, inner, ...kernel] : [g * inner, outer, ...kernel];
    const bias = r.int(0, 1) ? [constant(r.tensor([g * outer]))] : [];
    return {
      inputs: [feed(r.tensor(x)), constant(r.tensor(w)), ...bias],
      attributes: { group: g, strides, pads: [...pads, ...pads], kernel_shape: kernel, dilations: r.int(0, 2) ? each(1, 1) : each(1, 2) },
    };
  },
});

const alpha = (r: Random): Record<string, number> => ({ alpha: r.real(0.1, 0.9) });

function permutation(r: Random, rank: number): number[] {
  const perm = Array.from({ length: rank }, (_, axis) => axis);
  for (let i = perm.length - 1; i > 0; i--) {
    const j = r.int(0, i);
    [perm[i], perm[j]] = [perm[j]!, perm[i]!];
  }
  return perm;
}

const movements: readonly Row[] = [
  { op: "Identity", draw: (r) => ({ inputs: [feed(r.tensor(dimsOf(r)))] }) },
  { op: "Dropout", draw: (r) => ({ inputs: [feed(r.tensor(dimsOf(r)))] }) },
  {
    op: "Reshape",
    draw(r) {
      const dims = dimsOf(r);
      return { inputs: [feed(r.tensor(dims)), setting(int64s([-1, ...dims.slice(2)]))] };
    },
  },
  { op: "Flatten", draw: (r) => ({ inputs: [feed(r.tensor(dimsOf(r)))], attributes: { axis: r.int(0, 2) } }) },
  {
    op: "Squeeze",
    draw: (r) => ({ inputs: [feed(r.tensor([r.int(1, 5), 1, r.int(1, 5), r.int(1, 5)])), setting(int64s([1]))] }),
  },
  { op: "Unsqueeze", draw: (r) => ({ inputs: [feed(r.tensor(dimsOf(r, 3))), setting(int64s([0, 2]))] }) },
  {
    op: "Transpose",
    draw(r) {
      const dims = dimsOf(r);
      return { inputs: [feed(r.tensor(dims))], attributes: r.int(0, 4) ? { perm: permutation(r, dims.length) } : {} };
    },
  },
  {
    op: "Concat",
    draw(r) {
      const dims = dimsOf(r);
      const axis = r.int(0, dims.length - 1);
      const part = (): number[] => dims.map((d, a) => (a === axis ? r.int(1, 5) : d));
      return { inputs: [feed(r.tensor(dims)), feed(r.tensor(part())), constant(r.tensor(part()))], attributes: { axis } };
    },
  },
  {
    op: "Split",
    draw(r) {
      const dims = dimsOf(r);
      const axis = r.int(0, dims.length - 1);
      const sizes = [r.int(1, 5), r.int(1, 5), r.int(1, 5)];
      dims[axis] = sizes.reduce((a, b) => a + b);
      return { inputs: [feed(r.tensor(dims)), setting(int64s(sizes))], attributes: { axis }, outputs: 3 };
    },
  },
  {
    op: "Slice",
    draw(r) {
      const dims = dimsOf(r);
      const axes = dims.map((_, axis) => axis).filter(() => r.int(0, 2));
      if (axes.length === 0) axes.push(0);
      const steps = axes.map(() => r.pick([1, 1, 2, 3, -1, -2]));
      const starts = axes.map((axis, i) => (steps[i]! > 0 ? r.int(0, dims[axis]! - 1) : r.int(-1, dims[axis]! - 1)));
      const ends = steps.map((step) => (step > 0 ? 99 : -99));
      return { inputs: [feed(r.tensor(dims)), ...[starts, ends, axes, steps].map((list) => setting(int64s(list)))] };
    },
  },
  {
    op: "Pad",
    draw(r) {
      const dims = dimsOf(r, r.int(2, 4));
      const pads = [...dims, ...dims].map((_, i) => (i < dims.length ? r.int(0, 3) : r.int(dims[i - dims.length]! > 1 ? -1 : 0, 3)));
      return { inputs: [feed(r.tensor(dims)), setting(int64s(pads))] };
    },
  },
  {
    op: "Expand",
    draw(r) {
      const dims = dimsOf(r);
      return { inputs: [feed(r.tensor(dims.map((d) => (r.int(0, 1) ? d : 1)))), setting(int64s(dims))] };
    },
  },
  {
    op: "Gather",
    draw(r) {
      const dims = dimsOf(r, r.int(2, 4));
      const axis = r.int(0, dims.length - 1);
      const indices = Array.from({ length: r.int(1, 6) }, () => r.int(-dims[axis]!, dims[axis]! - 1));
      return { inputs: [feed(r.tensor(dims)), setting(int64s(indices))], attributes: { axis } };
    },
  },
  {
    op: "DepthToSpace",
    draw: (r) => ({
      inputs: [feed(r.tensor([r.int(1, 2), 4 * r.int(1, 3), r.int(1, 4), r.int(1, 4)]))],
      attributes: { blocksize: 2, mode: r.pick(["DCR", "CRD"]) },
    }),
  },
  {
    op: "Resize",
    draw(r) {
      const dims = [r.int(1, 2), r.int(1, 9), r.int(2, 5), r.int(2, 5)];
      const sizes = [dims[0]!, dims[1]!, r.int(1, 9), r.int(1, 9)];
      const mode = r.pick(["nearest", "linear"]);
      return { inputs: [feed(r.tensor(dims)), undefined, undefined, setting(int64s(sizes))], attributes: { mode } };
    },
  },
];

const rows: readonly Row[] = [
  ...["Relu", "HardSwish", "Sigmoid", "Tanh", "Exp", "Erf", "Abs", "Neg", "Softplus"].map((op) => unary(op)),
  unary("Mish"),
  ...["LeakyRelu", "Elu", "Swish"].map((op) => unary(op, -3, 3, alpha)),
  unary("HardSigmoid", -3, 3, (r) => ({ alpha: r.real(0.1, 0.4), beta: r.real(0.3, 0.6) })),
  unary("Gelu", -4, 4, (r) => ({ approximate: r.pick(["none", "tanh"]) })),
  unary("Log", 0.1, 9),
  unary("Sqrt", 0.1, 9),
  unary("Reciprocal", 0.5, 9),
  {
    op: "Clip",
    draw: (r) => ({
      inputs: [feed(r.tensor(dimsOf(r))), r.int(0, 1) ? setting(float32([], [-0.5])) : undefined, setting(float32([], [1]))],
    }),
  },
  ...["Add", "Sub", "Mul", "PRelu"].map((op) => binary(op)),
  binary("Div", 0.5, 2),
  {
    op: "Pow",
    draw: (r) => ({ inputs: [feed(r.tensor(dimsOf(r), 0.2, 3)), setting(float32([], [r.pick([2, 3, 0.5, -1.5])]))] }),
  },
  ...["Min", "Max", "Sum"].map(several),
  ...["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"].map(reduction),
  ...["GlobalAveragePool", "GlobalMaxPool"].map((op): Row => ({ op, draw: (r) => ({ inputs: [feed(r.tensor(image(r)))] }) })),
  ...["MaxPool", "AveragePool"].map(pooling),
  ...["Softmax", "LogSoftmax"].map(along),
  ...movements,
  ...(["Conv", "ConvTranspose"] as const).map(convolution),
  {
    op: "MatMul",
    draw(r) {
      const [m, k, n] = [r.int(1, 19), r.int(1, 19), r.int(1, 19)];
      const [p, q] = [r.int(1, 3), r.int(1, 3)];
      const wrap = r.int(0, 1) ? constant : feed;
      const [left, right] = r.pick([
        [
          [m, k],
          [k, n],
        ],
        [
          [p, q, m, k],
          [k, n],
        ],
        [
          [p, q, m, k],
          [p, q, k, n],
        ],
        [
          [p, 1, m, k],
          [q, k, n],
        ],
        [
          [m, k],
          [p, k, n],
        ],
        [[k], [k, n]],
        [[m, k], [k]],
      ]);
      return { inputs: [feed(r.tensor(left!)), wrap(r.tensor(right!))] };
    },
  },
  {
    op: "Gemm",
    draw(r) {
      const [m, k, n] = [r.int(1, 19), r.int(1, 19), r.int(1, 19)];
      const [transA, transB] = [r.int(0, 1), r.int(0, 1)];
      const c = r.pick([undefined, [n], [1, n], [m, 1], [m, n], [1]]);
      const wrap = r.int(0, 1) ? constant : feed;
      const inputs = [
        feed(r.tensor(transA ? [k, m] : [m, k])),
        wrap(r.tensor(transB ? [n, k] : [k, n])),
        ...(c ? [wrap(r.tensor(c))] : []),
      ];
      return { inputs, attributes: { transA, transB, alpha: r.pick([1, 0.5]), beta: r.pick([1, 2]) } };
    },
  },
  {
    op: "BatchNormalization",
    draw(r) {
      const dims = [r.int(1, 3), r.int(1, 9), r.int(2, 9), ...(r.int(0, 1) ? [r.int(1, 9)] : [])];
      const vectors = Array.from({ length: 4 }, () => setting(r.tensor([dims[1]!], 0.5, 2)));
      return { inputs: [feed(r.tensor(dims)), ...vectors], attributes: { epsilon: 1e-3 } };
    },
  },
  {
    op: "InstanceNormalization",
    draw(r) {
      const dims = [r.int(1, 3), r.int(1, 9), r.int(3, 9), ...(r.int(0, 1) ? [r.int(1, 9)] : [])];
      const vectors = Array.from({ length: 2 }, () => constant(r.tensor([dims[1]!], 0.5, 2)));
      return { inputs: [feed(r.tensor(dims)), ...vectors], attributes: { epsilon: 1e-3 } };
    },
  },
  {
    op: "LayerNormalization",
    draw(r) {
      const dims = [...dimsOf(r, r.int(1, 3)), r.int(3, 9)];
      const axis = r.int(Math.max(0, dims.length - 2), dims.length - 1);
      const vectors = [constant(r.tensor(dims.slice(axis))), ...(r.int(0, 1) ? [constant(r.tensor(dims.slice(axis)))] : [])];
      return { inputs: [feed(r.tensor(dims)), ...vectors], attributes: { axis, epsilon: 1e-3 } };
    },
  },
];

const double = (tensor: Tensor): Tensor =>
  tensor.dtype === "float32" ? { dtype: "float64", dims: tensor.dims, data: Float64Array.from(tensor.data as Float32Array) } : tensor;

/** Σ weights · outputs by the references in float64. */
function objective(
  graph: Graph,
  feeds: ReadonlyMap<string, Tensor>,
  constants: ReadonlyMap<string, Tensor>,
  weights: readonly Tensor[],
): number {
  const results = evaluateReference({ ...graph, constants, facts: new Map([...feeds].map(([name, t]) => [name, factOf(t)])) }, feeds);
  return graph.outputs.reduce(
    (total, name, i) => total + dot(results.get(name)!.data as Float64Array, weights[i]!.data as Float32Array),
    0,
  );
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function magnitude(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += Math.abs(a[i]! * b[i]!);
  return sum;
}

function zeros(d: Differentiable, dims: readonly number[]): DeviceTensor {
  const size = dims.reduce((a, b) => a * b, 1);
  const ptr = d.allocate(size * 4);
  d.kernels.fill(ptr, 0, size);
  return { dims, layout: "row-major", ptr };
}

const step = 2 ** -22;

/** Largest relative error over the inputs that have gradients, each along three random directions. */
async function worstError(single: Single, channelsLast: boolean, r: Random): Promise<number> {
  const { graph, feeds } = singleGraph(single, channelsLast);
  const fixed = settingsOf(single);
  const parameters = [...feeds.keys(), ...graph.constants.keys()].filter((name) => !fixed.has(name));
  const d = await createDifferentiable(graph, { parameters });
  const outputs = [...d.forward(feeds)];
  const values = outputs.map(([, value]) => d.read(value).data as Float32Array);
  const weights = outputs.map(([, { dims }]) => r.tensor(dims));
  const size = weights.reduce((total, { data }, i) => total + magnitude(data as Float32Array, values[i]!), 0);
  const sums = new Map(parameters.map((name) => [name, zeros(d, (feeds.get(name) ?? graph.constants.get(name))!.dims)]));
  d.backward(new Map(outputs.map(([name], i) => [name, weights[i]!])), sums);
  const [f, c] = [feeds, graph.constants].map((map) => new Map([...map].map(([name, t]) => [name, double(t)]))) as [
    Map<string, Tensor>,
    Map<string, Tensor>,
  ];
  let worst = 0;
  for (const name of parameters) {
    const found = d.read(sums.get(name)!).data as Float32Array;
    for (let k = 0; k < 3; k++) {
      const direction = r.tensor([found.length], -1, 1).data as Float32Array;
      const moved = (sign: number): number => {
        const shift = (map: ReadonlyMap<string, Tensor>): Map<string, Tensor> =>
          new Map(
            [...map].map(([key, t]) => [
              key,
              key === name ? { ...t, data: Float64Array.from(t.data as Float64Array, (v, i) => v + sign * step * direction[i]!) } : t,
            ]),
          );
        return objective(graph, shift(f), shift(c), weights);
      };
      const expected = (moved(1) - moved(-1)) / (2 * step);
      const error = Math.abs(dot(found, direction) - expected);
      if (error > 0) worst = Math.max(worst, error / (magnitude(found, direction) + size));
    }
  }
  return worst;
}

/** Inputs without gradient: what only steers the operator. */
function settingsOf(single: Single): Set<string> {
  return new Set(single.inputs.flatMap((operand, i) => (operand && settings.has(operand) ? [`x${i}`] : [])));
}

describe("gradients equal central differences of the references", () => {
  test.for(rows)("$op", async ({ op, draw }) => {
    const r = randomOf(7);
    for (let i = 0; i < 12; i++) {
      const single = { op, ...draw(r) };
      const rank = single.inputs[0]!.tensor.dims.length;
      for (const channelsLast of rank === 3 || rank === 4 ? [false, true] : [false]) {
        expect(await worstError(single, channelsLast, r), JSON.stringify(single.attributes ?? {})).toBeLessThan(bound);
      }
    }
  });
});

test("every row of the table is tested", () => {
  expect(rows.map(({ op }) => op).sort()).toEqual([...gradientKernels.keys()].sort());
});
