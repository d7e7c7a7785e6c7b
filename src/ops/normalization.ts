// Normalizations: (x − mean) / √(variance + ε), scaled and shifted. All in float64, rounded once at the end.
import { HalftoneError } from "../errors.ts";
import type { Dim, Fact, GraphNode, Tensor } from "../graph/types.ts";
import { broadcastIndex, mustSpread } from "./broadcast.ts";
import { asNumbers, count, fill } from "./dtypes.ts";
import type { Operator } from "./operator.ts";
import { axisOf, fact, integer, mismatch, mustBeFloat, number, place, required, show } from "./shape.ts";

const real = (node: GraphNode, key: string, otherwise: number): number => Math.fround(number(node, key, otherwise));

function mustBeVector(node: GraphNode, role: string, x: Fact | undefined, length: Dim | undefined): void {
  const d = x?.dims;
  if (d && (d.length !== 1 || (typeof d[0] === "number" && typeof length === "number" && d[0] !== length)))
    throw mismatch(node, `${role} ${show(d)}`, `[${length}]`);
}

/** [N, C, …] with per-channel parameters as inputs 1 … n. */
function channelFact(node: GraphNode, inputs: readonly (Fact | undefined)[], roles: readonly string[]): Fact[] {
  const x = required(node, inputs, 0);
  mustBeFloat(node, x);
  if (number(node, "training_mode", 0) !== 0)
    throw new HalftoneError("ONNX_UNSUPPORTED_OP", place(node), "training_mode 1", "inference", "Export the model in evaluation mode.");
  if (x.dims && x.dims.length < 2) throw mismatch(node, `input ${show(x.dims)}`, "[N, C, …]");
  for (const [i, role] of roles.entries()) mustBeVector(node, role, inputs[i + 1], x.dims?.[1]);
  return [fact(x.dtype, x.dims)];
}

/** Inference: y = scale · (x − mean) / √(var + ε) + bias per channel. Inputs: x, scale, bias, mean, var. */
const batchNormalization: Operator = {
  op: "BatchNormalization",
  arity: [5, 5],
  infer: (node, inputs) => channelFact(node, inputs, ["scale", "bias", "mean", "variance"]),
  reference(node, inputs) {
    const x = required(node, inputs, 0);
    const [scale, bias, mean, variance] = [1, 2, 3, 4].map((i) => asNumbers(required(node, inputs, i))) as ArrayLike<number>[];
    const epsilon = real(node, "epsilon", 1e-5);
    const [data, plane, channels] = [asNumbers(x), count(x.dims.slice(2)), x.dims[1]!];
    return [
      fill(x.dtype, x.dims, (i) => {
        const c = Math.floor(i / plane) % channels;
        return (scale![c]! * (data[i]! - mean![c]!)) / Math.sqrt(variance![c]! + epsilon) + bias![c]!;
      }),
    ];
  },
};

interface Moments {
  readonly mean: Float64Array;
  /** 1 / √(variance + ε) */
  readonly scale: Float64Array;
}

/** Moments of consecutive rows of `length` elements; with `centre` false the mean is taken as 0 (root mean square). */
function moments(x: ArrayLike<number>, length: number, epsilon: number, centre = true): Moments {
  const rows = length === 0 ? 0 : x.length / length;
  const mean = new Float64Array(rows);
  const scale = new Float64Array(rows);
  for (let r = 0; r < rows; r++) {
    let sum = 0;
    for (let i = 0; i < length; i++) sum += x[r * length + i]!;
    const m = centre ? sum / length : 0;
    let squares = 0;
    for (let i = 0; i < length; i++) squares += (x[r * length + i]! - m) * (x[r * length + i]! - m);
    mean[r] = m;
    scale[r] = 1 / Math.sqrt(squares / length + epsilon);
  }
  return { mean, scale };
}

/** Rows normalized, then scaled and shifted per channel. `rows` of them make one image. */
function perChannel(node: GraphNode, inputs: readonly (Tensor | undefined)[], groups: number): Tensor[] {
  const x = required(node, inputs, 0);
  const [scale, bias] = [asNumbers(required(node, inputs, 1)), asNumbers(required(node, inputs, 2))];
  const [channels, plane, data] = [x.dims[1]!, count(x.dims.slice(2)), asNumbers(x)];
  if (!(groups >= 1) || channels % groups !== 0) throw mismatch(node, `${channels} channels in ${groups} groups`, "a multiple");
  const length = (channels / groups) * plane;
  const { mean, scale: inverse } = moments(data, length, real(node, "epsilon", 1e-5));
  return [
    fill(x.dtype, x.dims, (i) => {
      const [row, c] = [Math.floor(i / length), Math.floor(i / plane) % channels];
      return scale[c]! * ((data[i]! - mean[row]!) * inverse[row]!) + bias[c]!;
    }),
  ];
}

/** Inputs: x, scale, bias; each image's channel is normalized by itself. */
const instanceNormalization: Operator = {
  op: "InstanceNormalization",
  arity: [3, 3],
  infer: (node, inputs) => channelFact(node, inputs, ["scale", "bias"]),
  reference: (node, inputs) => perChannel(node, inputs, required(node, inputs, 0).dims[1]!),
};

/** Inputs: x, scale, bias per channel; channels are normalized in `num_groups` groups. */
const groupNormalization: Operator = {
  op: "GroupNormalization",
  arity: [3, 3],
  infer: (node, inputs) => channelFact(node, inputs, ["scale", "bias"]),
  reference: (node, inputs) => perChannel(node, inputs, integer(node, "num_groups", 1)),
};

/** Normalization over the axes from `axis` on; scale and bias broadcast to x. */
function layer(op: string, arity: readonly [number, number], centre: boolean): Operator {
  return {
    op,
    arity,
    infer(node, inputs) {
      const x = required(node, inputs, 0);
      mustBeFloat(node, x);
      const axis = x.dims && axisOf(node, number(node, "axis", -1), x.dims.length);
      for (const p of inputs.slice(1)) mustSpread(node, p?.dims, x.dims);
      const rows = x.dims?.map((size, a) => (a < axis! ? size : 1));
      return [fact(x.dtype, x.dims), fact("float32", rows), fact("float32", rows)].slice(0, Math.max(1, node.outputs.length));
    },
    reference(node, inputs) {
      const [x, scale, bias] = [required(node, inputs, 0), required(node, inputs, 1), inputs[2]];
      const axis = axisOf(node, number(node, "axis", -1), x.dims.length);
      const [length, data] = [count(x.dims.slice(axis)), asNumbers(x)];
      const { mean, scale: inverse } = moments(data, length, real(node, "epsilon", 1e-5), centre);
      const gain = parameter(scale, x.dims);
      const shift = bias ? parameter(bias, x.dims) : undefined;
      const y = fill(x.dtype, x.dims, (i) => {
        const row = Math.floor(i / length);
        const value = (data[i]! - mean[row]!) * inverse[row]! * gain(i);
        return shift ? value + shift(i) : value;
      });
      const rows = x.dims.map((size, a) => (a < axis ? size : 1));
      const outputs = [y, fill("float32", rows, (r) => mean[r]!), fill("float32", rows, (r) => inverse[r]!)];
      return outputs.slice(0, Math.max(1, node.outputs.length));
    },
  };
}

function parameter(p: Tensor, to: readonly number[]): (i: number) => number {
  const data = asNumbers(p);
  const index = broadcastIndex(p.dims, to);
  return index ? (i) => data[index[i]!]! : (i) => data[i]!;
}

export const normalizationOperators: readonly Operator[] = [
  batchNormalization,
  instanceNormalization,
  groupNormalization,
  layer("LayerNormalization", [2, 3], true),
  layer("RMSNormalization", [2, 2], false),
];
