// The shape of a convolution on the device: one-dimensional ones are images of one row.
import type { DeviceTensor, ForwardContext } from "../engine/types.ts";
import type { FloatKernels } from "../engine/kernels.ts";
import type { GraphNode } from "../graph/types.ts";
import { number, numbersAttribute } from "./shape.ts";
import { extent, paddingOf, type Window, windowOf } from "./windows.ts";

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

/** [rows, columns] of one or two spatial axes. */
const plane = (sizes: readonly number[], missing: number): [number, number] =>
  sizes.length === 1 ? [missing, sizes[0]!] : [sizes[0]!, sizes[1]!];

/** Rank 3 or 4, nothing empty: what the kernels are made for. */
export function fitsKernels(dims: readonly (readonly number[] | undefined)[]): boolean {
  const [x, weights] = dims;
  if (!x || !weights || (x.length !== 3 && x.length !== 4) || weights.length !== x.length) return false;
  return [...x, ...weights].every((size) => size > 0);
}

function assemble(node: GraphNode, window: Window, x: readonly number[], y: readonly number[], starts: readonly number[]): Convolution {
  const [h, w] = plane(x.slice(2), 1);
  const [oh, ow] = plane(y.slice(2), 1);
  const [kh, kw] = plane(window.kernel, 1);
  const [sy, sx] = plane(window.strides, 1);
  const [dy, dx] = plane(window.dilations, 1);
  const [top, left] = plane(starts, 0);
  const groups = number(node, "group", 1);
  return { n: x[0]!, h, w, c: x[1]!, o: y[1]!, oh, ow, groups, kh, kw, sy, sx, dy, dx, top, left };
}

/** The shape of a Conv node (ONNX), with `auto_pad` resolved. */
export function convolutionOf(node: GraphNode, x: readonly number[], weights: readonly number[], y: readonly number[]): Convolution {
  const window = windowOf(node, weights.slice(2));
  const starts = window.kernel.map((_, axis) => paddingOf(window, x[axis + 2]!, axis)[0]);
  return assemble(node, window, x, y, starts);
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
  const window = windowOf(node, weights.slice(2));
  const { auto, pads, strides } = window;
  const given = auto === "NOTSET" && numbersAttribute(node, "output_shape") === undefined;
  const extra = numbersAttribute(node, "output_padding");
  const starts = window.kernel.map((_, axis) => {
    if (auto === "VALID") return 0;
    if (given) return pads[axis]!;
    const full = (x[axis + 2]! - 1) * strides[axis]! + (extra?.[axis] ?? 0) + extent(window, axis);
    const half = Math.max(0, full - y[axis + 2]!) / 2;
    return auto === "SAME_UPPER" ? Math.floor(half) : Math.ceil(half);
  });
  return assemble(node, window, y, x, starts);
}
