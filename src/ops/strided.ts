// Views of float32 values in linear memory: a base pointer, logical sizes and one stride per logical axis.

import type { FloatKernels } from "../engine/kernels.ts";
import type { DeviceTensor, Layout } from "../engine/types.ts";
import { assert } from "../errors.ts";

/** Distance between neighbours along each logical axis, in elements. */
export function stridesOf(dims: readonly number[], layout: Layout): number[] {
  const strides = new Array<number>(dims.length).fill(0);
  let stride = 1;
  for (const axis of physicalOrder(dims.length, layout).reverse()) {
    strides[axis] = stride;
    stride *= dims[axis]!;
  }
  return strides;
}

/** Logical axes from the slowest to the fastest in memory: [0, 2, 3, 1] for channels-last images. */
export function physicalOrder(rank: number, layout: Layout): number[] {
  const axes = Array.from({ length: rank }, (_, axis) => axis);
  if (layout === "channels-last" && rank >= 3) axes.push(...axes.splice(1, 1));
  return axes;
}

/** True when both layouts put every element at the same place: one channel, or one pixel. */
export function sameInBothLayouts(dims: readonly number[]): boolean {
  return dims.length < 3 || dims[1] === 1 || sizeOf(dims.slice(2)) <= 1;
}

/** Number of elements. */
export function sizeOf(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

/** The strides with which `value` reads as an operand of `rank` axes of sizes `dims`: 0 along every axis it is spread over. */
export function broadcastStrides(value: DeviceTensor, dims: readonly number[]): number[] {
  const missing = dims.length - value.dims.length;
  const strides = stridesOf(value.dims, value.layout);
  return dims.map((_, axis) => (axis < missing || value.dims[axis - missing] === 1 ? 0 : strides[axis - missing]!));
}

/** Axes of one loop nest: sizes, and for each operand its strides. */
export interface LoopNest {
  readonly dims: number[];
  readonly strides: number[][];
}

/**
 * The same loop over fewer axes: sorted by the strides of the first operand (the destination), axes of size 1 dropped,
 * neighbours merged where every operand walks through both in one stride.
 */
export function collapse(dims: readonly number[], ...strides: readonly (readonly number[])[]): LoopNest {
  const target = strides[0]!;
  const axes = dims.map((_, axis) => axis).filter((axis) => dims[axis] !== 1);
  axes.sort((a, b) => Math.abs(target[b]!) - Math.abs(target[a]!) || a - b);
  const nest: LoopNest = { dims: [], strides: strides.map(() => []) };
  for (const axis of axes) {
    const last = nest.dims.length - 1;
    const merges = last >= 0 && strides.every((s, i) => nest.strides[i]![last] === s[axis]! * dims[axis]!);
    if (merges) {
      nest.dims[last]! *= dims[axis]!;
      nest.strides.forEach((s, i) => {
        s[last] = strides[i]![axis]!;
      });
    } else {
      nest.dims.push(dims[axis]!);
      nest.strides.forEach((s, i) => {
        s.push(strides[i]![axis]!);
      });
    }
  }
  return nest;
}

/**
 * Calls `inner` for each position of all axes but the last four, with offsets in elements per operand; missing axes have size 1.
 * `inner` gets the four sizes and each operand's four strides.
 */
export function forFour(
  { dims, strides }: LoopNest,
  inner: (offsets: readonly number[], dims: readonly number[], strides: readonly (readonly number[])[]) => void,
): void {
  if (dims.includes(0)) return;
  const missing = Math.max(0, 4 - dims.length);
  const outer = Math.max(0, dims.length - 4);
  const lastDims = [...new Array<number>(missing).fill(1), ...dims.slice(outer)];
  const lastStrides = strides.map((s) => [...new Array<number>(missing).fill(0), ...s.slice(outer)]);
  const index = new Array<number>(outer).fill(0);
  const offsets = strides.map(() => 0);
  for (;;) {
    inner(offsets, lastDims, lastStrides);
    let axis = outer - 1;
    for (; axis >= 0; axis--) {
      const step = ++index[axis]! < dims[axis]! ? 1 : 1 - dims[axis]!;
      for (let i = 0; i < offsets.length; i++) offsets[i]! += step * strides[i]![axis]!;
      if (step === 1) break;
      index[axis] = 0;
    }
    if (axis < 0) return;
  }
}

/**
 * dst[Σ iₐ·dstStridesₐ] = src[Σ iₐ·srcStridesₐ] for all i < dims: slices, transpositions, paddings and broadcasts of float32.
 * Pointers in bytes, strides in elements.
 */
export function copyStrided(
  kernels: FloatKernels,
  dst: number,
  src: number,
  dims: readonly number[],
  dstStrides: readonly number[],
  srcStrides: readonly number[],
): void {
  const nest = collapse(dims, dstStrides, srcStrides);
  bringUnitStrideBeforeLast(nest);
  forFour(nest, ([to, from], d, [t, s]) => {
    assert(to !== undefined && from !== undefined && t && s, "two operands");
    kernels.copy4(dst + to * 4, src + from * 4, d[0]!, d[1]!, d[2]!, d[3]!, s[0]!, s[1]!, s[2]!, s[3]!, t[0]!, t[1]!, t[2]!, t[3]!);
  });
}

/** The kernel transposes blocks when the last two axes are the contiguous ones of destination and source. */
function bringUnitStrideBeforeLast({ dims, strides: [dst, src] }: LoopNest): void {
  const last = dims.length - 1;
  const unit = src!.indexOf(1);
  if (unit < 0 || unit >= last - 1 || dst![last] !== 1) return;
  for (const list of [dims, dst!, src!]) list.splice(last - 1, 0, ...list.splice(unit, 1));
}

/** Copies a value to `dst` in another layout. */
export function convertLayout(kernels: FloatKernels, dst: number, value: DeviceTensor, layout: Layout): void {
  copyStrided(kernels, dst, value.ptr, value.dims, stridesOf(value.dims, layout), stridesOf(value.dims, value.layout));
}
