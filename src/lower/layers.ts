// A weighted node as a convolution: which value it reads, its window, and its codes in the plan's order.
import { clamp, roundHalfEven } from "../formats/rounding.ts";
import type { GraphNode } from "../graph/types.ts";
import type { QuantizedWeight } from "../quantized/types.ts";
import { centred } from "../quantized/weights.ts";
import { type Builder, noIntegerForm } from "./builder.ts";
import { imageOf } from "./layout.ts";
import { spreadImage } from "./spread.ts";
import { transposedWindow, type WindowGeometry, windowOf } from "./window.ts";

/** Weights of one layer as the plan keeps them: [outputs][kh][kw][inputs per group]. */
export interface LayerWeights {
  readonly outputs: number;
  readonly window: readonly [number, number];
  readonly codes: Int8Array;
  /** Of the format: all codes are among 2^bits values, or a few more where zero points differ. */
  readonly bits: number;
  /** One per output. */
  readonly scales: Float64Array;
}

export interface Layer {
  /** Index of the value read. */
  readonly input: number;
  /** What its codes stand for in channel c: step · (code − zeros[c]), with one zero for all where there is but one. */
  readonly step: number;
  readonly zeros: readonly number[];
  readonly weights: LayerWeights;
  readonly geometry: WindowGeometry;
  readonly groups: number;
}

/** @throws HalftoneError NO_INTEGER_FORM */
export function layerOf(b: Builder, node: GraphNode): Layer {
  const dense = node.op === "Gemm" || node.op === "MatMul";
  const given = b.index(node.inputs[0]!);
  const input = dense ? b.inOrder(node, given, rowsOf(b.value(given).dims)) : b.inUsualOrder(node, given);
  const { type, dims, scale, zeroPoint } = b.value(input);
  const image = imageOf(dims);
  if (type !== "int8" || !image) throw noIntegerForm(node, `an input of shape [${dims.join(", ")}]`, "one to three axes besides the batch");
  if (!dense && dims.length !== 3) throw noIntegerForm(node, `a ${dims.length - 1}-D convolution`, "a 2-D convolution");
  const groups = Number(node.attributes.group ?? 1);
  const pixels = b.pixels?.weights.has(node.name) ? b.pixels : undefined;
  const codes = pixels
    ? { step: pixels.step, zeros: pixels.means.map((mean) => mean + pixels.zero) }
    : { step: scale[0]!, zeros: [zeroPoint] };
  if (dense) return { input, ...codes, weights: denseWeights(b, node), geometry: pointGeometry, groups: 1 };
  if (node.op === "ConvTranspose") return { ...codes, ...transposedLayer(b, node, input, groups) };
  const weights = convWeights(b, node);
  const geometry = windowOf(node, [image.height, image.width], weights.window);
  if (!pixels) return { input, ...codes, weights, geometry, groups };
  // No one zero point is 0 in every channel: the border becomes pixels of the codes nearest to it.
  const { length } = codes.zeros;
  const border = Int8Array.from({ length: dims[0]! }, (_, c) => clamp(roundHalfEven(codes.zeros[length === 1 ? 0 : c]!), -128, 127));
  const padded = spreadImage(b, node, input, [1, 1], geometry.pads, border);
  return { input: padded, ...codes, weights, geometry: { ...geometry, pads: [0, 0, 0, 0] }, groups };
}

/** Features last. */
const rowsOf = (dims: readonly number[]): number[] => dims.map((_, axis) => axis);

const pointGeometry: WindowGeometry = { stride: [1, 1], dilation: [1, 1], pads: [0, 0, 0, 0] };

/** Codes [O, I/g, kh, kw] → [O][kh][kw][I/g]. */
function convWeights(b: Builder, node: GraphNode): LayerWeights {
  const { codes, dims, encoding } = weightsOf(b, node);
  const [outputs, inputs, height, width] = dims as [number, number, number, number];
  const moved = new Int8Array(codes.length);
  const taps = height * width;
  for (let o = 0; o < outputs; o++)
    for (let i = 0; i < inputs; i++)
      for (let t = 0; t < taps; t++) moved[(o * taps + t) * inputs + i] = codes[(o * inputs + i) * taps + t]!;
  return { outputs, window: [height, width], codes: moved, bits: encoding.bits, scales: scalesOf(encoding.scale, outputs) };
}

/**
 * The transpose of a convolution is a convolution of its input with stride − 1 zeros between neighbours, by the kernel turned round.
 * Weights [I, O/g, kh, kw].
 */
function transposedLayer(b: Builder, node: GraphNode, index: number, groups: number): Omit<Layer, "step" | "zeros"> {
  const { codes, dims, encoding } = weightsOf(b, node);
  const [inputs, outputsPerGroup, height, width] = dims as [number, number, number, number];
  const taps = height * width;
  const perGroup = inputs / groups;
  const outputs = outputsPerGroup * groups;
  const turned = new Int8Array(codes.length);
  for (let o = 0; o < outputs; o++) {
    const group = Math.floor(o / outputsPerGroup);
    for (let i = 0; i < perGroup; i++) {
      const from = ((group * perGroup + i) * outputsPerGroup + (o % outputsPerGroup)) * taps;
      for (let t = 0; t < taps; t++) turned[(o * taps + taps - 1 - t) * perGroup + i] = codes[from + t]!;
    }
  }
  const weights = {
    outputs,
    window: [height, width] as const,
    codes: turned,
    bits: encoding.bits,
    scales: scalesOf(encoding.scale, outputs),
  };
  const { stride, dilation, pads } = transposedWindow(node, b.value(index).dims.slice(1), b.dims(node.outputs[0]!).slice(1), [
    height,
    width,
  ]);
  const input = spreadImage(b, node, index, stride, [0, 0, 0, 0]);
  return { input, weights, geometry: { stride: [1, 1], dilation, pads }, groups };
}

/** Gemm's [N,K] (transB) or [K,N], MatMul's [K,N] → [N][K]. */
function denseWeights(b: Builder, node: GraphNode): LayerWeights {
  const { codes, dims, encoding } = weightsOf(b, node);
  const { alpha = 1, beta = 1, transA = 0, transB = 0 } = node.attributes as Record<string, number>;
  if (dims.length !== 2 || alpha !== 1 || beta !== 1 || transA !== 0) {
    throw noIntegerForm(node, `alpha ${alpha}, beta ${beta}, transA ${transA}, weights of rank ${dims.length}`, "x·W + b with a matrix W");
  }
  const [rows, columns] = dims as [number, number];
  if (transB) return { outputs: rows, window: [1, 1], codes, bits: encoding.bits, scales: scalesOf(encoding.scale, rows) };
  const moved = new Int8Array(codes.length);
  for (let k = 0; k < rows; k++) for (let n = 0; n < columns; n++) moved[n * rows + k] = codes[k * columns + n]!;
  return { outputs: columns, window: [1, 1], codes: moved, bits: encoding.bits, scales: scalesOf(encoding.scale, columns) };
}

function weightsOf(b: Builder, node: GraphNode): QuantizedWeight {
  const weights = b.pixels?.weights.get(node.name) ?? b.quantized.weights.get(node.name);
  if (!weights) {
    throw noIntegerForm(
      node,
      "weights left in float",
      "weights with integer codes",
      "A plan is integer throughout: drop the --exclude, or write an ONNX file.",
    );
  }
  return centred(weights);
}

const scalesOf = (scale: Float32Array, outputs: number): Float64Array =>
  Float64Array.from({ length: outputs }, (_, o) => scale[scale.length === 1 ? 0 : o]!);
