// Weights to codes by nearest rounding, and the ranges that the codes span.

import { assert, HalftoneError } from "../errors.ts";
import type { Tensor } from "../graph/types.ts";
import type { Encoding, Granularity } from "./encoding.ts";
import { runsOf, scaleCount } from "./granularity.ts";
import type { CodeRange, Interval, LinearParameters } from "./linear.ts";
import { decodeCodes, encodeLinear, linearEncoding, linearParameters, symmetricCodes, unsignedCodes } from "./linear.ts";
import { searchGrid, searchShrink, sideOf } from "./search.ts";
import type { Side } from "./search.ts";

/** How the range of a channel's weights is found. */
export type WeightRange = "minmax" | "mse" | "mse-grid";

export interface WeightOptions {
  /** 2…8 */
  readonly bits: number;
  /** Zero point 0. 8-bit weights are always symmetric; fewer bits may be affine. */
  readonly symmetric: boolean;
  /**
   * minmax: nothing is clipped. At 8 bits it is the right default: a step is 1/127 of the largest weight, so that the error of
   * clipping one large weight by a step outweighs what a finer step saves on the others.
   * mse: least Σ|x̂−x|^2.4 over 80 shrunken ranges (BRECQ, GPTQ); from 4 bits down clearly better than minmax.
   * mse-grid: 100 widths × every zero point (QDrop), for at most 4 bits.
   */
  readonly range: WeightRange;
}

/** The codes of one weight tensor: `codes` has the tensor's dims, row-major. */
export interface CodedWeight {
  readonly encoding: Encoding;
  readonly dims: readonly number[];
  readonly codes: Int8Array;
}

type RangeSearch = (weights: Float64Array, range: Interval, codes: CodeRange, side: Side) => Interval;

const searches: Readonly<Record<WeightRange, RangeSearch>> = {
  minmax: (_weights, range) => range,
  mse: (weights, range, codes) => searchShrink({ values: weights }, range, codes).range,
  "mse-grid": (weights, range, codes, side) => searchGrid({ values: weights }, range, codes, side).range,
};

/** Codes for weights: symmetric two's complement, or 0 … 2^bits − 1 with a zero point. */
export function weightCodes(bits: number, symmetric: boolean, place = "weights"): CodeRange {
  if (!Number.isInteger(bits) || bits < 2 || bits > 8) {
    throw new HalftoneError("OPTION_INVALID", place, `${bits} bits`, "2 to 8 bits");
  }
  if (bits === 8 && !symmetric) {
    const hint = "Use symmetric 8-bit weights, or affine ones of at most 7 bits.";
    throw new HalftoneError(
      "OPTION_INVALID",
      place,
      "affine 8-bit weights",
      "levels that fit int8 after the zero point is taken off",
      hint,
    );
  }
  return symmetric ? symmetricCodes(bits) : unsignedCodes(bits);
}

/**
 * Weights to their nearest codes: clamp(rne(w / s) + z), w / s in float32.
 * A channel of nothing but zeros gets scale 1 and codes that stand for 0.
 *
 * @param tensor float32, row-major
 * @param axis   the output channels (one scale each), or null for one scale in all
 * @param place  the weight's name, for messages
 * @throws HalftoneError NOT_FINITE, OPTION_INVALID
 */
export function quantizeWeights(tensor: Tensor, axis: number | null, options: WeightOptions, place = "weights"): CodedWeight {
  const { dims, data } = tensor;
  assert(data instanceof Float32Array, "weights are float32");
  const codes = weightCodes(options.bits, options.symmetric, place);
  const granularity: Granularity = axis === null ? { kind: "tensor" } : { kind: "channel", axis };
  const channels = gather(data, dims, granularity);
  const extrema = channels.map((weights) => extremaOf(weights, place));
  const side = sideOf(Math.min(...extrema.map(({ min }) => min)), Math.max(...extrema.map(({ max }) => max)));
  const parameters = channels.map((weights, c): LinearParameters => {
    const range = searches[options.range](weights, extrema[c]!, codes, side);
    return linearParameters(range, codes);
  });
  const encoding = linearEncoding(codes, granularity, parameters);
  return { encoding, dims, codes: encodeLinear(data, dims, encoding, new Int8Array(data.length)) };
}

/** The real weights that codes stand for, float32, row-major. */
export function dequantizeWeights(weight: CodedWeight): Tensor {
  return { dtype: "float32", dims: weight.dims, data: decodeCodes(weight.codes, weight.dims, weight.encoding) };
}

/** The elements of each scale, in row-major order. */
function gather(data: Float32Array, dims: readonly number[], granularity: Granularity): Float64Array[] {
  const scales = scaleCount(dims, granularity);
  const channels = Array.from({ length: scales }, () => new Float64Array(scales === 0 ? 0 : data.length / scales));
  const filled = new Uint32Array(scales);
  for (const { start, count, stride, index } of runsOf(dims, granularity)) {
    const channel = channels[index]!;
    let to = filled[index]!;
    for (let i = 0, at = start; i < count; i++, at += stride) channel[to++] = data[at]!;
    filled[index] = to;
  }
  return channels;
}

function extremaOf(weights: Float64Array, place: string): Interval {
  let min = Infinity;
  let max = -Infinity;
  for (const w of weights) {
    if (!Number.isFinite(w)) {
      const hint = "Check the training run or the export: a network with such weights has no meaningful output.";
      throw new HalftoneError("NOT_FINITE", place, String(w), "finite weights", hint);
    }
    if (w < min) min = w;
    if (w > max) max = w;
  }
  return weights.length > 0 ? { min, max } : { min: 0, max: 0 };
}
