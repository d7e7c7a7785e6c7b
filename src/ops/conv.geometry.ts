// The shape of a convolution on the device: one-dimensional ones are images of one row.
import type { DeviceTensor, ForwardContext } from "../engine/types.ts";
import type { FloatKernels } from "../engine/kernels.ts";
import type { GraphNode } from "../graph/types.ts";
import { number, numbersAttribute, text } from "./shape.ts";

/** y[n, oy, ox] reads x[n, oy·sy − top + ky·dy, ox·sx − left + kx·dx]; images are channels-last. */
export interface Convolution {
  /** Images. */
  readonly n: number;
  readonly h: number;
  readonly w: number;
  /** Channels of x and y, of all groups. */
  readonly c: number;
  readonly o: number;
  readonly oh: number;
  readonly ow: number;
  readonly groups: number;
  readonly kh: number;
  readonly kw: number;
  /** Strides. */
  readonly sy: number;
  readonly sx: number;
  /** Dilations. */
  readonly dy: number;
  readonly dx: number;
  /** Padding before the first row and column. */
  readonly top: number;
  readonly left: number;
}

/** Range that results are clamped to. */
export interface Clamp {
  readonly low: number;
  readonly high: number;
}

export const noClamp: Clamp = { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };

/** What an algorithm works on. `weights` may be constant or computed. */
export interface Operands {
  readonly context: ForwardContext<FloatKernels>;
  readonly node: GraphNode;
  readonly x: DeviceTensor;
  readonly weights: DeviceTensor;
  readonly bias: DeviceTensor | undefined;
  readonly y: DeviceTensor;
  readonly clamp: Clamp;
}

/** Strides in floats of weights [outer, inner, kh, kw] in either layout. */
export function weightStrides(weights: DeviceTensor): { outer: number; inner: number; tap: number } {
  const [, inner, ...kernel] = weights.dims as [number, number, ...number[]];
  const taps = kernel.reduce((product, k) => product * k, 1);
  return weights.layout === "row-major" ? { outer: inner * taps, inner: taps, tap: 1 } : { outer: inner * taps, inner: 1, tap: inner };
}

/** [rows, columns] of the spatial sizes of a rank-3 or rank-4 value. */
const plane = (sizes: readonly number[]): [number, number] => (sizes.length === 1 ? [1, sizes[0]!] : [sizes[0]!, sizes[1]!]);

/** Rank 3 or 4, nothing empty: what the kernels are made for. */
export function fitsKernels(dims: readonly (readonly number[] | undefined)[]): boolean {
  const [x, weights] = dims;
  if (!x || !weights || (x.length !== 3 && x.length !== 4) || weights.length !== x.length) return false;
  return [...x, ...weights].every((size) => size > 0);
}

interface Axis {
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  /** Explicit padding before the first position. */
  readonly pad: number;
}

function axesOf(node: GraphNode, weights: readonly number[]): Axis[] {
  const kernel = weights.slice(2);
  const strides = numbersAttribute(node, "strides");
  const dilations = numbersAttribute(node, "dilations");
  const pads = numbersAttribute(node, "pads");
  return kernel.map((k, i) => ({ kernel: k, stride: strides?.[i] ?? 1, dilation: dilations?.[i] ?? 1, pad: pads?.[i] ?? 0 }));
}

const extent = ({ kernel, dilation }: Axis): number => (kernel - 1) * dilation + 1;

function assemble(
  node: GraphNode,
  axes: readonly Axis[],
  x: readonly number[],
  y: readonly number[],
  starts: readonly number[],
): Convolution {
  const [h, w] = plane(x.slice(2));
  const [oh, ow] = plane(y.slice(2));
  const flat = axes.length === 1;
  const column = axes.at(-1)!;
  const row: Axis = flat ? { kernel: 1, stride: 1, dilation: 1, pad: 0 } : axes[0]!;
  return {
    n: x[0]!,
    h,
    w,
    c: x[1]!,
    o: y[1]!,
    oh,
    ow,
    groups: number(node, "group", 1),
    kh: row.kernel,
    kw: column.kernel,
    sy: row.stride,
    sx: column.stride,
    dy: row.dilation,
    dx: column.dilation,
    top: flat ? 0 : starts[0]!,
    left: starts.at(-1)!,
  };
}

/** The shape of a Conv node (ONNX), with `auto_pad` resolved. */
export function convolutionOf(node: GraphNode, x: readonly number[], weights: readonly number[], y: readonly number[]): Convolution {
  const axes = axesOf(node, weights);
  const mode = text(node, "auto_pad", "NOTSET");
  const starts = axes.map((axis, i) => {
    if (mode === "NOTSET") return axis.pad;
    if (mode === "VALID") return 0;
    const total = Math.max(0, (y[i + 2]! - 1) * axis.stride + extent(axis) - x[i + 2]!);
    return mode === "SAME_UPPER" ? Math.floor(total / 2) : Math.ceil(total / 2);
  });
  return assemble(node, axes, x, y, starts);
}

/**
 * The convolution whose adjoint a ConvTranspose node (ONNX) is: it reads the node's output and yields its input, so x and y
 * change places.
 */
export function transposedConvolutionOf(
  node: GraphNode,
  x: readonly number[],
  weights: readonly number[],
  y: readonly number[],
): Convolution {
  const axes = axesOf(node, weights);
  const mode = text(node, "auto_pad", "NOTSET");
  const computed = mode.startsWith("SAME") || numbersAttribute(node, "output_shape") !== undefined;
  const extra = numbersAttribute(node, "output_padding");
  const starts = axes.map((axis, i) => {
    if (mode === "VALID") return 0;
    if (!computed) return axis.pad;
    const total = Math.max(0, (x[i + 2]! - 1) * axis.stride + (extra?.[i] ?? 0) + extent(axis) - y[i + 2]!);
    return mode === "SAME_UPPER" ? Math.floor(total / 2) : Math.ceil(total / 2);
  });
  return assemble(node, axes, y, x, starts);
}
