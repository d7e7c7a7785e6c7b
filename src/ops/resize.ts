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

/** Linear interpolation along one axis after the other, in float64. */
function linear(x: Tensor, dims: readonly number[], position: (axis: number, at: number) => number): Tensor {
  let data = Float64Array.from(asNumbers(x));
  const sizes = [...x.dims];
  for (const [axis, size] of dims.entries()) {
    const from = sizes[axis]!;
    const inner = count(sizes.slice(axis + 1));
    const outer = count(sizes.slice(0, axis));
    const next = new Float64Array(outer * size * inner);
    for (let p = 0; p < size; p++) {
      const at = position(axis, p);
      const low = Math.floor(at);
      const [a, b, weight] = [clamp(low, from), clamp(low + 1, from), at - low];
      for (let o = 0; o < outer; o++)
        for (let i = 0; i < inner; i++) {
          const [left, right] = [data[(o * from + a) * inner + i]!, data[(o * from + b) * inner + i]!];
          next[(o * size + p) * inner + i] = weight === 0 ? left : left * (1 - weight) + right * weight;
        }
    }
    data = next;
    sizes[axis] = size;
  }
  return fill(x.dtype, dims, (i) => data[i]!);
}

type Interpolate = (node: GraphNode, x: Tensor, dims: readonly number[], position: (axis: number, at: number) => number) => Tensor;

const modes: Readonly<Record<string, Interpolate>> = {
  nearest(node, x, dims, position) {
    const round = choice(node, "nearest_mode", "round_prefer_floor", nearest);
    const index = separable(
      x.dims,
      dims.map((size, axis) => Int32Array.from({ length: size }, (_, p) => clamp(round(position(axis, p)), x.dims[axis]!))),
    );
    return pick(x, dims, (i) => index[i]!);
  },
  linear: (_, x, dims, position) => linear(x, dims, position),
};

const resize: Operator = {
  op: "Resize",
  arity: [1, 4],
  infer(node, inputs) {
    const x = required(node, inputs, 0);
    const { dims } = x;
    if (!dims) return [fact(x.dtype, undefined)];
    const axes = plan(node, dims, inputs);
    return [fact(x.dtype, axes ? axes.map(({ size }, a) => size ?? freshDim(node, a)) : freshDims(node, dims.length))];
  },
  reference(node, inputs) {
    const x = required(node, inputs, 0);
    if (number(node, "antialias", 0)) throw new HalftoneError("ONNX_UNSUPPORTED_OP", place(node), "antialias 1", "plain interpolation");
    const facts = inputs.map((t) => t && factOf(t));
    const dims = concrete(resize.infer(node, facts));
    const axes = plan(node, x.dims, facts)!;
    const transform = choice(node, "coordinate_transformation_mode", "half_pixel", coordinates);
    const interpolate = choice(node, "mode", "nearest", modes);
    const sampling = axes.map(({ scale, length }, a): Sampling => ({ from: x.dims[a]!, to: dims[a]!, scale, length }));
    const still = sampling.map(({ from, to, scale }) => from === to && scale === 1);
    return [interpolate(node, x, dims, (a, at) => (still[a] ? at : transform(at, sampling[a]!)))];
  },
};

export const resizeOperators: readonly Operator[] = [resize];
