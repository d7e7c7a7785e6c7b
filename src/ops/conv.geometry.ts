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

/**
 * Filters as the algorithms read them: weight (o, i, tap) of group g is the float at ptr + 4·(g·group + o·outer + i·inner + t·tap).
 */
export interface Filters {
  readonly ptr: number;
  readonly group: number;
  readonly outer: number;
  readonly inner: number;
  readonly tap: number;
  /** Tells this reading of the weights from others, for what is packed once. */
  readonly reading: string;
}

/** What an algorithm works on; x and y are channels-last. */
export interface Operands {
  readonly context: ForwardContext<FloatKernels>;
  readonly node: GraphNode;
  readonly x: number;
  readonly filters: Filters;
  readonly bias: number;
  readonly y: number;
  readonly clamp: Clamp;
}

/** Weights [o, c / groups, kernel…] in either layout. */
export function filtersOf({ ptr, dims, layout }: DeviceTensor, s: Convolution): Filters {
  const [, inner] = dims as [number, number];
  const taps = s.kh * s.kw;
  const outer = inner * taps;
  const group = (s.o / s.groups) * outer;
  const [innerStride, tap] = layout === "row-major" ? [taps, 1] : [1, inner];
  return { ptr, group, outer, inner: innerStride, tap, reading: "weights" };
}

/**
 * The convolution of stride 1 that takes the gradient of y to the gradient of x: inner and outer channels change places, taps are
 * read backwards, and the padding is what completes the kernel.
 */
export function mirrored(s: Convolution, { ptr, group, outer, inner, tap }: Filters): { shape: Convolution; filters: Filters } {
  const [top, left] = [(s.kh - 1) * s.dy - s.top, (s.kw - 1) * s.dx - s.left];
  const shape = { ...s, h: s.oh, w: s.ow, c: s.o, o: s.c, oh: s.h, ow: s.w, top, left };
  const last = ptr + (s.kh * s.kw - 1) * tap * 4;
  return { shape, filters: { ptr: last, group, outer: inner, inner: outer, tap: -tap, reading: "mirrored weights" } };
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
