// A network fed with stored numbers (bytes of pictures) instead of normalised ones: x = (v · scale − mean) / std goes into the first layers.
// With σ the std of channel 0, x[c] = gain[c] · step · (v − mean[c]): the gain goes into the weights before they are rounded, the step into
// the scale of their sums, the mean into the bias, and what stands for x = 0 around a picture is the code nearest to the mean.
import type { Preprocessing, SampleFormat } from "../data/types.ts";
import type { Encoding } from "../formats/encoding.ts";
import { encodeLinear } from "../formats/linear.ts";
import { dequantizeWeights } from "../formats/weights.ts";
import { withConstants } from "../graph/infer.ts";
import type { Graph, GraphNode, Tensor } from "../graph/types.ts";
import { biasCode, biasScale } from "./bias.ts";
import { isWeighted, readers } from "./fusions.ts";
import { movingOps } from "./sites.ts";
import type { PixelCodes, PixelInput, Quantized, QuantizedWeight } from "./types.ts";

const zeros: Readonly<Record<string, number>> = { uint8: -128, int8: 0 };

/** Undefined where samples are not stored as 8-bit integers, or the mean lies outside of them. */
export function pixelCodes({ scale, mean, std }: Preprocessing, format: SampleFormat): PixelCodes | undefined {
  const zero = zeros[format.kind === "array" ? format.dtype : "uint8"];
  if (zero === undefined || !(scale > 0)) return undefined;
  const reference = Math.fround(std[0]!);
  const means = mean.map((m) => Math.fround(m) / scale);
  const gains = std.map((s) => reference / Math.fround(s));
  const inside = means.every((m) => m + zero >= -128.5 && m + zero <= 127.5);
  return inside ? { zero, step: scale / reference, means, gains } : undefined;
}

const ofChannel = (list: readonly number[], c: number): number => list[list.length === 1 ? 0 : c]!;

/** Who reads the input: undefined where that is more than layers with weights, or where channels have parted from their place. */
export function pixelReaders(graph: Graph, { means, gains }: PixelCodes): { values: string[]; nodes: GraphNode[] } | undefined {
  const [input, ...others] = graph.inputs;
  const dims = graph.facts.get(input ?? "")?.dims;
  if (input === undefined || others.length > 0 || !dims) return undefined;
  const alike = [means, gains].every((list) => list.every((value) => value === list[0]));
  if (!alike && [means, gains].some((list) => list.length > 1 && (dims.length !== 4 || list.length !== dims[1]))) return undefined;
  const readersOf = readers(graph);
  const values = [input];
  const nodes: GraphNode[] = [];
  for (const value of values) {
    for (const node of readersOf.get(value) ?? []) {
      if (node?.inputs[0] !== value) return undefined;
      if (alike && movingOps.has(node.op) && node.op !== "Pad") values.push(...node.outputs.filter((name) => name));
      else if (isWeighted(graph, node) && node.op !== "ConvTranspose" && (alike || node.op === "Conv")) nodes.push(node);
      else return undefined;
    }
  }
  return { values, nodes };
}

/** W · gain: the gain of each input channel is that of the network's. */
export function foldedWeights(graph: Graph, node: GraphNode, { gains }: PixelCodes): Tensor {
  const tensor = graph.constants.get(node.inputs[1]!)!;
  return scaledInputs(tensor, node, gains);
}

function scaledInputs(tensor: Tensor, node: GraphNode, gains: readonly number[]): Tensor {
  const { dims, data } = tensor;
  if (gains.every((gain) => gain === 1)) return tensor;
  const [outputs, inputs] = dims as [number, number];
  const taps = data.length / (outputs * inputs);
  const outputsPerGroup = outputs / Number(node.attributes.group ?? 1);
  const channelOf = (i: number): number => {
    const o = Math.floor(i / (inputs * taps));
    return Math.floor(o / outputsPerGroup) * inputs + (Math.floor(i / taps) % inputs);
  };
  return { dtype: "float32", dims, data: (data as Float32Array).map((w, i) => w * ofChannel(gains, channelOf(i))) };
}

/**
 * The same network behind its gains, for methods that learn: its input is step · (v − mean), exact, its first weights are W · gain.
 */
export function behindGains(quantized: Quantized, pixels: PixelInput): Quantized {
  const moved = new Set(pixels.values);
  const encoding: Encoding = {
    bits: 8,
    levels: { kind: "linear", lo: 0, hi: 255 },
    granularity: { kind: "tensor" },
    scale: Float32Array.of(pixels.step),
    scaleKind: "real",
    zeroPoint: Int32Array.of(0),
  };
  return {
    ...quantized,
    graph: withGains(quantized.graph, pixels),
    // Nothing is rounded there: stored numbers are what codes count.
    sites: quantized.sites.filter(({ value }) => !moved.has(value)),
    activations: new Map([...quantized.activations].map(([value, own]) => [value, moved.has(value) ? encoding : own] as const)),
    weights: new Map([...quantized.weights, ...pixels.weights]),
    biases: quantized.biases && new Map([...quantized.biases, ...(pixels.biases ?? [])]),
    pixels: undefined,
  };
}

/** What prepares samples for it. */
export const preparedBehindGains = (given: Preprocessing): Preprocessing => ({ ...given, std: given.std.slice(0, 1) });

/** Samples of the network, [count, channels, …], as those of the one behind its gains. */
export function valuesBehindGains({ dtype, dims, data }: Tensor, { gains }: PixelCodes): Tensor {
  if (gains.every((gain) => gain === 1)) return { dtype, dims, data };
  const channels = dims[1]!;
  const plane = data.length / (dims[0]! * channels);
  const inverse = gains.map((gain) => 1 / gain);
  return { dtype, dims, data: (data as Float32Array).map((x, i) => x * ofChannel(inverse, Math.floor(i / plane) % channels)) };
}

function withGains(graph: Graph, pixels: PixelInput): Graph {
  if (pixels.gains.every((gain) => gain === 1)) return graph;
  const folded = new Map<string, Tensor>();
  const nodes = graph.nodes.map((node): GraphNode => {
    if (!pixels.weights.has(node.name)) return node;
    const name = `${node.inputs[1]}~${node.name}`;
    folded.set(name, foldedWeights(graph, node, pixels));
    return { ...node, inputs: node.inputs.with(1, name) };
  });
  return { ...withConstants(graph, folded), nodes };
}

/**
 * What was learned behind the gains, back in front of them. A QDQ file's weights are those, rounded to its own scales.
 *
 * @param behind  what `behindGains` made of it
 * @param learned the same with other codes
 */
export function beforeGains(quantized: Quantized, pixels: PixelInput, behind: Quantized, learned: Quantized): Quantized {
  const weights = new Map(learned.weights);
  const own = new Map<string, QuantizedWeight>();
  const biases = new Map(learned.biases);
  const ownBiases = new Map<string, Int32Array>();
  for (const node of quantized.graph.nodes) {
    if (!pixels.weights.has(node.name)) continue;
    const weight = learned.weights.get(node.name)!;
    own.set(node.name, weight);
    const plain = rounded(quantized.weights.get(node.name)!, realWeights(node, weight, pixels), weight, pixels);
    weights.set(node.name, plain);
    const codes = biases.get(node.name);
    if (!codes) continue;
    ownBiases.set(node.name, codes);
    const scaleOf = ({ encoding: { scale } }: QuantizedWeight, o: number): number => scale[scale.length === 1 ? 0 : o]!;
    const step = quantized.activations.get(node.inputs[0]!)!.scale[0]!;
    biases.set(
      node.name,
      codes.map((code, o) => biasCode(code * biasScale(pixels.step, scaleOf(weight, o)), step, scaleOf(plain, o))),
    );
  }
  const scales = new Map([...learned.activations, ...pixels.values.map((value) => [value, quantized.activations.get(value)!] as const)]);
  return {
    ...learned,
    graph: quantized.graph,
    sites: quantized.sites,
    activations: learned.activations === behind.activations ? quantized.activations : scales,
    weights,
    biases: learned.biases && biases,
    pixels: { ...pixels, weights: own, biases: ownBiases },
  };
}

/** Where all gains are 1, learned codes are codes of W. */
function rounded(before: QuantizedWeight, reals: Tensor, learned: QuantizedWeight, { gains }: PixelCodes): QuantizedWeight {
  if (gains.every((gain) => gain === 1)) return learned;
  const codes = encodeLinear(reals.data as Float32Array, before.dims, before.encoding, new Int8Array(before.codes.length));
  return { ...before, codes };
}

/** What the codes of W · gain say of W. */
export function realWeights(node: GraphNode, weight: QuantizedWeight, { gains }: PixelCodes): Tensor {
  return scaledInputs(
    dequantizeWeights(weight),
    node,
    gains.map((gain) => 1 / gain),
  );
}
