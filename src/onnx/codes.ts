// What QuantizeLinear and DequantizeLinear nodes say: encodings of activations, codes of constants.
import { HalftoneError } from "../errors.ts";
import type { Encoding } from "../formats/encoding.ts";
import { numbersOf } from "../graph/tensors.ts";
import type { DType, Graph, GraphNode, Tensor } from "../graph/types.ts";
import { dtypeAttribute } from "../ops/cast.ts";
import { biasScale } from "../quantized/bias.ts";
import type { QuantizedWeight } from "../quantized/types.ts";
import { boundsOf } from "./narrow.ts";

/** Element types of codes, with their range. */
const codeRanges: Partial<Record<DType, readonly [lo: number, hi: number]>> = {
  uint8: [0, 255],
  int8: [-128, 127],
  uint4: [0, 15],
  int4: [-8, 7],
  uint2: [0, 3],
  int2: [-2, 1],
};

export const lowestCode = (dtype: DType): number => codeRanges[dtype]?.[0] ?? 0;

export const isCodes = (dtype: DType | undefined): boolean => dtype !== undefined && codeRanges[dtype] !== undefined;

export function refuse(node: GraphNode, found: string, expected: string, hint = ""): HalftoneError {
  return new HalftoneError("NO_INTEGER_FORM", `${node.op} '${node.name}'`, found, expected, hint);
}

/** A constant behind DequantizeLinear: real = scale · (code − zero). */
export interface Coded {
  readonly node: GraphNode;
  readonly codes: Tensor;
  readonly scale: readonly number[];
  readonly zero: readonly number[];
  /** Of the scales, when there are several. */
  readonly axis: number;
}

function parametersOf(graph: Graph, node: GraphNode): { scale: Tensor; zero: Tensor | undefined } {
  const [, scaleName = "", zeroName = ""] = node.inputs;
  const scale = graph.constants.get(scaleName);
  const zero = graph.constants.get(zeroName);
  if (!scale || (zeroName && !zero))
    throw refuse(node, "a scale computed at run time", "a constant one", "Quantize the model statically, with calibrated scales.");
  return { scale, zero };
}

/**
 * The encoding of an activation, as unsigned codes: signed ones are shifted, zero point and all.
 *
 * @throws HalftoneError NO_INTEGER_FORM for scales per channel and for codes of more than 8 bits
 */
export function encodingOf(graph: Graph, node: GraphNode): Encoding {
  const { scale, zero } = parametersOf(graph, node);
  const quantizes = node.op === "QuantizeLinear";
  const dtype = quantizes ? (zero?.dtype ?? dtypeAttribute(node, "output_dtype", "uint8")) : graph.facts.get(node.inputs[0]!)!.dtype;
  const range = codeRanges[dtype];
  if (!range) throw refuse(node, `${dtype} codes`, "activations of 8 bits or fewer", "Quantize activations to uint8 or int8.");
  if (scale.data.length !== 1)
    throw refuse(
      node,
      `${scale.data.length} scales`,
      "one for the whole activation",
      "Quantize activations per tensor; weights may be per channel.",
    );
  const [lo, hi] = range;
  const [s] = numbersOf(scale);
  if (!(s! > 0)) throw refuse(node, `scale ${s}`, "a positive number");
  const { least = lo, greatest = hi } = boundsOf(node);
  return {
    bits: 32 - Math.clz32(greatest - least),
    levels: { kind: "linear", lo: least - lo, hi: greatest - lo },
    granularity: { kind: "tensor" },
    scale: Float32Array.of(s!),
    scaleKind: "real",
    zeroPoint: Int32Array.of((zero ? numbersOf(zero)[0]! : 0) - lo),
  };
}

/** Whether equal codes stand for equal numbers. */
export const sameMeaning = (a: Encoding, b: Encoding): boolean => a.scale[0] === b.scale[0] && a.zeroPoint[0] === b.zeroPoint[0];

/** The same, and the same codes can occur. */
export function sameEncoding(a: Encoding, b: Encoding): boolean {
  const [p, q] = [a.levels, b.levels];
  return sameMeaning(a, b) && p.kind === "linear" && q.kind === "linear" && p.lo === q.lo && p.hi === q.hi;
}

export const showEncoding = ({ scale, zeroPoint }: Encoding): string => `scale ${scale[0]}, zero point ${zeroPoint[0]} of unsigned codes`;

/** The constant that a DequantizeLinear node decodes. */
export function codedOf(graph: Graph, node: GraphNode): Coded {
  const { scale, zero } = parametersOf(graph, node);
  const codes = graph.constants.get(node.inputs[0]!)!;
  if (node.attributes.block_size)
    throw refuse(node, "a scale for each block", "one for each channel, or for all", "Quantize weights per channel.");
  const axis = Number(node.attributes.axis ?? 1);
  const coded: Coded = {
    node,
    codes,
    scale: numbersOf(scale),
    zero: zero ? numbersOf(zero) : scale.dims.length ? new Array<number>(scale.data.length).fill(0) : [0],
    axis: axis < 0 ? axis + codes.dims.length : axis,
  };
  if (coded.scale.length > 1 && codes.dims[coded.axis] !== coded.scale.length)
    throw refuse(node, `${coded.scale.length} scales for axis ${axis} of [${codes.dims.join(", ")}]`, "one for each index");
  return coded;
}

/** Which scale an element has. */
export function scaleIndex({ codes, scale, axis }: Coded): (i: number) => number {
  if (scale.length === 1) return () => 0;
  const inner = codes.dims.slice(axis + 1).reduce((product, d) => product * d, 1);
  return (i) => Math.floor(i / inner) % scale.length;
}

/** The real numbers of a coded constant, as DequantizeLinear gives them. */
export function decode(coded: Coded): Tensor {
  const { codes, scale, zero } = coded;
  const which = scaleIndex(coded);
  const data = Float32Array.from(codes.data as Int8Array, (c, i) => Math.fround(c - (zero[which(i)] ?? zero[0]!)) * scale[which(i)]!);
  return { dtype: "float32", dims: codes.dims, data };
}

/**
 * Weight codes as signed bytes, with their zero points.
 *
 * @param axis of the output channels
 * @throws HalftoneError NO_INTEGER_FORM where scales stand on another axis or a code less its zero point leaves int8
 */
export function weightOf(node: GraphNode, coded: Coded, axis: number): QuantizedWeight {
  const { codes, scale, zero } = coded;
  if (!isCodes(codes.dtype)) throw refuse(node, `${codes.dtype} weights`, "weights of 8 bits or fewer");
  if (scale.length > 1 && coded.axis !== axis)
    throw refuse(
      node,
      `weight scales along axis ${coded.axis}`,
      `along the output channels: axis ${axis}`,
      "Quantize weights per output channel, or per tensor.",
    );
  const which = scaleIndex(coded);
  const zeroOf = (i: number): number => zero[which(i)] ?? zero[0]!;
  // Bytes become signed: codes and zero points alike.
  const base = codes.dtype === "uint8" ? 128 : 0;
  const data = codes.data as Int8Array;
  const shifted = Int8Array.from(data, (c) => c - base);
  let [least, greatest] = [0, 0];
  for (const [i, c] of data.entries()) {
    const level = c - zeroOf(i);
    if (level < -128 || level > 127)
      throw refuse(
        node,
        `weight ${c} with zero point ${zeroOf(i)}`,
        "weights that less their zero point fit int8",
        "Quantize weights symmetrically: int8 with zero point 0, or uint8 with zero point 128.",
      );
    [least, greatest] = [Math.min(least, shifted[i]!), Math.max(greatest, shifted[i]!)];
  }
  return {
    dims: codes.dims,
    codes: shifted,
    encoding: {
      // Files keep few-bit weights in wider types.
      bits: Math.max(1, 32 - Math.clz32(greatest - least)),
      levels: { kind: "linear", lo: least, hi: greatest },
      granularity: scale.length === 1 ? { kind: "tensor" } : { kind: "channel", axis },
      scale: Float32Array.from(scale),
      scaleKind: "real",
      zeroPoint: Int32Array.from(scale, (_, o) => (zero[o] ?? zero[0]!) - base),
    },
  };
}

/** Scales of a bias may differ from s_x·s_w by this much relatively: writers multiply in float32 or float64. */
const biasTolerance = 1e-5;

/**
 * The int32 codes of a bias as they are; undefined where their scale is not that of the accumulators, so that the real numbers must be
 * rounded anew.
 */
export function biasOf(coded: Coded, input: Encoding, weight: QuantizedWeight): Int32Array | undefined {
  const { codes, scale, zero } = coded;
  if (codes.dtype !== "int32" || zero.some((z) => z !== 0)) return undefined;
  const right = Array.from(weight.encoding.scale, (s) => biasScale(input.scale[0]!, s));
  const of = (list: readonly number[], o: number): number => list[list.length === 1 ? 0 : o]!;
  const same = Array.from({ length: Math.max(scale.length, right.length) }, (_, o) => Math.abs(of(scale, o) / of(right, o) - 1));
  return same.every((difference) => difference <= biasTolerance) ? Int32Array.from(codes.data as Int32Array) : undefined;
}
