// y = k·x + t per channel after a layer with constant weights goes into the weights: BatchNormalization, and Mul, Div, Add, Sub by constants.
// Everything is computed in float64 in one fixed order and rounded to float32 once.

import { type Editor, rewriteEach } from "../editor.ts";
import { float32, numbersOf } from "../tensors.ts";
import type { GraphNode, Rewrite, Tensor } from "../types.ts";

/** Per output channel: y = scale·x + shift. A missing list means 1 or 0. */
interface Affine {
  readonly scale?: readonly number[] | undefined;
  readonly shift: (bias: number, channel: number) => number;
}

interface Layer {
  readonly node: GraphNode;
  readonly weight: Tensor;
  readonly bias: Tensor | undefined;
  readonly channels: number;
  /** The output channel that weight element i belongs to. */
  channelOf(i: number): number;
}

/** The layer that makes `value` for its only reader, if its weights and bias are constants. */
function layerBefore(value: string | undefined, edit: Editor): Layer | undefined {
  const node = edit.ownProducer(value, "Conv", "ConvTranspose", "Gemm");
  const weight = edit.constant(node?.inputs[1]);
  if (!node || weight?.dtype !== "float32") return undefined;
  const bias = edit.constant(node.inputs[2]);
  if (node.inputs[2] && !bias) return undefined;
  const shape = channelsOf(node, weight);
  if (!shape || (bias && (bias.data.length !== shape.channels || bias.dims.length !== 1))) return undefined;
  return { node, weight, bias, ...shape };
}

/** Where the output channels of a weight are: [O, I/g, …] of Conv, [I, O/g, …] of ConvTranspose, [O, I] of a Gemm in canonical form. */
function channelsOf(node: GraphNode, { dims, data }: Tensor): Pick<Layer, "channels" | "channelOf"> | undefined {
  const [first = 1, second = 1] = dims;
  const { group = 1, transB, alpha, beta } = node.attributes as Record<string, number>;
  if (node.op === "ConvTranspose") {
    const each = data.length / (first * second);
    const inputsPerGroup = first / group;
    return {
      channels: second * group,
      channelOf: (i) => {
        const row = Math.floor(i / each);
        return Math.floor(Math.floor(row / second) / inputsPerGroup) * second + (row % second);
      },
    };
  }
  if (node.op === "Gemm" && !(transB === 1 && alpha === 1 && beta === 1)) return undefined;
  const each = data.length / first;
  return { channels: first, channelOf: (i) => Math.floor(i / each) };
}

/** Replaces layer and follower by the layer with folded weights. The layer's name stays: statistics and messages go by it. */
function fold(layer: Layer, follower: GraphNode, { scale, shift }: Affine, edit: Editor): void {
  const { node, weight, bias, channels, channelOf } = layer;
  const inputs = [node.inputs[0]!, node.inputs[1]!, ""];
  if (scale) {
    const scaled = Float32Array.from(weight.data as Float32Array, (w, i) => w * scale[channelOf(i)]!);
    inputs[1] = edit.addConstant(node.inputs[1]!, float32(weight.dims, scaled), node);
  }
  const shifted = Float32Array.from({ length: channels }, (_, c) => shift(Number(bias?.data[c] ?? 0), c));
  inputs[2] = edit.addConstant(node.inputs[2] || `${node.name}.bias`, float32([channels], shifted), node);
  edit.replace(follower);
  edit.replace(node, { ...node, inputs, outputs: [follower.outputs[0]!] });
}

/**
 * BatchNormalization after Conv, ConvTranspose or Gemm: k = γ / √(σ² + ε), W′ = k·W, b′ = (b − μ)·k + β.
 * The statistics are kept as notes of the layer: scale γ, bias β, mean μ, variance σ², epsilon.
 * Legal where nothing else reads the layer's output and all five are constants. Ioffe & Szegedy 2015, §3.1.
 */
export const foldBatchNormalization: Rewrite = rewriteEach("fold-batch-normalization", ["BatchNormalization"], (node, edit) => {
  const layer = layerBefore(node.inputs[0], edit);
  const tensors = node.inputs.slice(1).map((input) => edit.constant(input));
  const [gamma, beta, mean, variance] = tensors.map((tensor) => tensor && numbersOf(tensor));
  if (!layer || !gamma || !beta || !mean || !variance || node.attributes.training_mode) return;
  const epsilon = (node.attributes.epsilon as number | undefined) ?? Math.fround(1e-5);
  const exact = shortestDecimal(epsilon);
  const k = gamma.map((g, c) => g / Math.sqrt(variance[c]! + exact));
  const [scale, bias, mu, sigma] = tensors as [Tensor, Tensor, Tensor, Tensor];
  edit.addNote(layer.node.name, { scale, bias, mean: mu, variance: sigma, epsilon: float32([], [epsilon]) });
  fold(layer, node, { scale: k, shift: (b, c) => (b - mean[c]!) * k[c]! + beta[c]! }, edit);
});

/**
 * The shortest decimal that is `x` in float32: the file says 0.000009999999747378752 where its author wrote 1e-5. Training tools fold with
 * the decimal, in float64; so do we, and a model folded there or here has the same weights.
 */
function shortestDecimal(x: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const decimal = Number(x.toPrecision(digits));
    if (Math.fround(decimal) === x) return decimal;
  }
  return x;
}

/** One number per output channel of the layer, from a constant that broadcasts along channels only; undefined otherwise. */
function perChannel(name: string | undefined, layer: Layer, output: string, edit: Editor): number[] | undefined {
  const tensor = edit.constant(name);
  const rank = edit.fact(output)?.dims?.length;
  if (tensor?.dtype !== "float32" || rank === undefined || tensor.dims.length > rank) return undefined;
  const values = numbersOf(tensor);
  if (values.length === 1) return new Array<number>(layer.channels).fill(values[0]!);
  const padded = [...new Array<number>(rank - tensor.dims.length).fill(1), ...tensor.dims];
  const alongChannels = padded.every((size, axis) => size === (axis === 1 ? layer.channels : 1));
  return alongChannels ? values : undefined;
}

type Combine = (values: readonly number[]) => Affine;

/** What a constant on the right does per channel. */
const combined: Readonly<Record<string, Combine>> = {
  Add: (t) => ({ shift: (b, c) => b + t[c]! }),
  Sub: (t) => ({ shift: (b, c) => b - t[c]! }),
  Mul: (k) => ({ scale: k, shift: (b, c) => b * k[c]! }),
  Div: (d) => ({ scale: d.map((x) => 1 / x), shift: (b, c) => b / d[c]! }),
};

/** Add, Sub, Mul and Div by one constant per channel (or one for all) after Conv, ConvTranspose or Gemm. Constants stand on the right. */
export const foldChannelArithmetic: Rewrite = rewriteEach("fold-channel-arithmetic", Object.keys(combined), (node, edit) => {
  const [x, constant] = node.inputs;
  const layer = layerBefore(x, edit);
  const values = layer && perChannel(constant, layer, x!, edit);
  // A constant of higher rank would have raised the rank of the output.
  if (!layer || !values || edit.fact(x)?.dims?.length !== edit.fact(node.outputs[0])?.dims?.length) return;
  if (node.op === "Div" && values.includes(0)) return;
  fold(layer, node, combined[node.op]!(values), edit);
});
