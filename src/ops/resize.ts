// Resize: nearest and linear interpolation along separate axes.
import { HalftoneError } from "../errors.ts";
import { multiplyDims } from "../graph/dims.ts";
import type { Dim, Fact, GraphNode, Tensor } from "../graph/types.ts";
import { asNumbers, count, fill, pick } from "./dtypes.ts";
import { separable } from "./movement.ts";
import type { Operator } from "./operator.ts";
import {
  axisOf,
  concrete,
  fact,
  factOf,
  freshDim,
  freshDims,
  knownNumbers,
  mismatch,
  number,
  numbersAttribute,
  place,
  required,
  show,
  text,
} from "./shape.ts";

interface Axis {
  /** Output size; undefined while unknown. */
  readonly size: Dim | undefined;
  /** Output size / input size as the operator counts it. */
  readonly scale: number;
  /** Output size before rounding down: scale · input size, or the given size. */
  readonly length: number;
}

/** Nearest integer, halves up: keep_aspect_ratio's rounding. */
const halfUp = (x: number): number => Math.floor(x + 0.5);

/** Scale and size of every axis. Inputs: x, roi?, scales?, sizes? Source: ONNX Resize, opset 19. */
function plan(node: GraphNode, dims: readonly Dim[], inputs: readonly (Fact | undefined)[]): readonly Axis[] | undefined {
  const rank = dims.length;
  const axes = numbersAttribute(node, "axes")?.map((a) => axisOf(node, a, rank)) ?? dims.map((_, a) => a);
  const scales = inputs[2] && knownNumbers(inputs[2]);
  const sizes = inputs[3] && knownNumbers(inputs[3]);
  if (!inputs[2] && !inputs[3]) throw mismatch(node, "neither scales nor sizes", "one of them");
  const given = scales ?? sizes;
  if (!given) return undefined;
  if (given.length !== axes.length || given.some((v) => !(v > 0)))
    throw mismatch(node, `${scales ? "scales" : "sizes"} ${show(given)}`, `${axes.length} numbers above 0`);
  const policy = text(node, "keep_aspect_ratio_policy", "stretch");
  const ratios = sizes && axes.map((a, i) => (typeof dims[a] === "number" ? sizes[i]! / dims[a] : Number.NaN));
  const common = !ratios || policy === "stretch" ? undefined : policy === "not_larger" ? Math.min(...ratios) : Math.max(...ratios);
  return dims.map((d, a): Axis => {
    const i = axes.indexOf(a);
    const n = typeof d === "number" ? d : undefined;
    if (i < 0) return { size: d, scale: 1, length: n ?? Number.NaN };
    if (scales) {
      const scale = scales[i]!;
      const length = (n ?? Number.NaN) * scale;
      const symbolic = Number.isInteger(scale) ? multiplyDims(d, scale) : undefined;
      return { size: n === undefined ? symbolic : Math.floor(length), scale, length };
    }
    if (common === undefined) return { size: sizes![i]!, scale: ratios![i]!, length: sizes![i]! };
    const size = n === undefined || Number.isNaN(common) ? undefined : halfUp(common * n);
    return { size, scale: common, length: size ?? Number.NaN };
  });
}

/** How one axis is sampled. */
interface Sampling {
  readonly from: number;
  readonly to: number;
  readonly scale: number;
  readonly length: number;
}

/** Position in the input of output position `at`. */
const coordinates: Readonly<Record<string, (at: number, axis: Sampling) => number>> = {
  half_pixel: (at, { scale }) => (at + 0.5) / scale - 0.5,
  half_pixel_symmetric: (at, { from, to, scale, length }) => (from / 2) * (1 - to / length) + (at + 0.5) / scale - 0.5,
  pytorch_half_pixel: (at, { to, scale }) => (to > 1 ? (at + 0.5) / scale - 0.5 : 0),
  align_corners: (at, { from, to, length }) => (to > 1 ? (at * (from - 1)) / (length - 1) : 0),
  asymmetric: (at, { scale }) => at / scale,
};

const nearest: Readonly<Record<string, (x: number) => number>> = {
  round_prefer_floor: (x) => Math.ceil(x - 0.5),
  round_prefer_ceil: (x) => Math.floor(x + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
};

function choice<T>(node: GraphNode, key: string, otherwise: string, table: Readonly<Record<string, T>>): T {
  const name = text(node, key, otherwise);
  const row = Object.hasOwn(table, name) ? table[name] : undefined;
  if (row === undefined) throw new HalftoneError("ONNX_UNSUPPORTED_OP", place(node), `${key} '${name}'`, Object.keys(table).join(", "));
  return row;
}

const clamp = (at: number, size: number): number => Math.min(Math.max(at, 0), size - 1);

/** Where one output position reads along an axis: value(low) · (1 − weight) + value(high) · weight, with low = high where weight is 0. */
export interface Sample {
  readonly low: number;
  readonly high: number;
  readonly weight: number;
}

type Sampler = (node: GraphNode) => (at: number, from: number) => Sample;

const samplers: Readonly<Record<string, Sampler>> = {
  nearest(node) {
    const round = choice(node, "nearest_mode", "round_prefer_floor", nearest);
    return (at, from) => {
      const position = clamp(round(at), from);
      return { low: position, high: position, weight: 0 };
    };
  },
  linear: () => (at, from) => {
    const floor = Math.floor(at);
    const low = clamp(floor, from);
    return { low, high: at === floor ? low : clamp(floor + 1, from), weight: at - floor };
  },
};

/** How a node samples. @throws HalftoneError ONNX_UNSUPPORTED_OP for ways that are not here */
function methodOf(node: GraphNode): { transform: (at: number, axis: Sampling) => number; sample: ReturnType<Sampler> } {
  if (number(node, "antialias", 0)) throw new HalftoneError("ONNX_UNSUPPORTED_OP", place(node), "antialias 1", "plain interpolation");
  return {
    transform: choice(node, "coordinate_transformation_mode", "half_pixel", coordinates),
    sample: choice(node, "mode", "nearest", samplers)(node),
  };
}

/** The samples of every output position along every axis, for known sizes. Inputs: x, roi?, scales?, sizes? */
export function samplesOf(
  node: GraphNode,
  from: readonly number[],
  to: readonly number[],
  inputs: readonly (Fact | undefined)[],
): readonly (readonly Sample[])[] {
  const { transform, sample } = methodOf(node);
  return plan(node, from, inputs)!.map(({ scale, length }, a) => {
    const axis: Sampling = { from: from[a]!, to: to[a]!, scale, length };
    const still = axis.from === axis.to && scale === 1;
    return Array.from({ length: axis.to }, (_, at) => sample(still ? at : transform(at, axis), axis.from));
  });
}

/** Linear interpolation along one axis after the other, in float64. */
function linear(x: Tensor, dims: readonly number[], samples: readonly (readonly Sample[])[]): Tensor {
  let data = Float64Array.from(asNumbers(x));
  const sizes = [...x.dims];
  for (const [axis, size] of dims.entries()) {
    const from = sizes[axis]!;
    const inner = count(sizes.slice(axis + 1));
    const outer = count(sizes.slice(0, axis));
    const next = new Float64Array(outer * size * inner);
    for (const [p, { low, high, weight }] of samples[axis]!.entries()) {
      for (let o = 0; o < outer; o++)
        for (let i = 0; i < inner; i++) {
          const [left, right] = [data[(o * from + low) * inner + i]!, data[(o * from + high) * inner + i]!];
          next[(o * size + p) * inner + i] = weight === 0 ? left : left * (1 - weight) + right * weight;
        }
    }
    data = next;
    sizes[axis] = size;
  }
  return fill(x.dtype, dims, (i) => data[i]!);
}

/** The one position that every output position shows. */
function nearestOf(x: Tensor, dims: readonly number[], samples: readonly (readonly Sample[])[]): Tensor {
  const index = separable(
    x.dims,
    samples.map((axis) => axis.map(({ low }) => low)),
  );
  return pick(x, dims, (i) => index[i]!);
}

const resize: Operator = {
  op: "Resize",
  arity: [1, 4],
  infer(node, inputs) {
    const x = required(node, inputs, 0);
    const { dims } = x;
    methodOf(node);
    if (!dims) return [fact(x.dtype, undefined)];
    const axes = plan(node, dims, inputs);
    return [fact(x.dtype, axes ? axes.map(({ size }, a) => size ?? freshDim(node, a)) : freshDims(node, dims.length))];
  },
  reference(node, inputs) {
    const x = required(node, inputs, 0);
    const facts = inputs.map((t) => t && factOf(t));
    const dims = concrete(resize.infer(node, facts));
    const samples = samplesOf(node, x.dims, dims, facts);
    return [(text(node, "mode", "nearest") === "linear" ? linear : nearestOf)(x, dims, samples)];
  },
};

export const resizeOperators: readonly Operator[] = [resize];
