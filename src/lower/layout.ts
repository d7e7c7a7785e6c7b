// The one place that decides how a sample lies in memory: images channels last, everything else as it is.
import type { PlanValue } from "../plan/types.ts";

/** Usual order of the axes of one sample in memory. */
export const orderOf = (dims: readonly number[]): number[] => (dims.length === 3 ? [1, 2, 0] : dims.map((_, i) => i));

/** Elements between two positions of the last but one physical axis: kernels work on 8 channels at a time, first layers on up to 4. */
export function pitchOf(dims: readonly number[], order: readonly number[] = orderOf(dims)): number {
  const last = dims.length === 0 ? 1 : dims[order.at(-1)!]!;
  return last <= 4 ? last : Math.ceil(last / 8) * 8;
}

type Placed = Pick<PlanValue, "dims" | "order" | "pitch">;

/** Elements between neighbours along each logical axis. */
export function stridesOf(value: Placed): number[] {
  const strides = new Array<number>(value.dims.length);
  let stride = 1;
  for (const [depth, axis] of [...value.order].reverse().entries()) {
    strides[axis] = stride;
    stride *= depth === 0 ? value.pitch : value.dims[axis]!;
  }
  return strides;
}

/** Elements the value takes, padding included. */
export function sizeOf(value: Placed): number {
  return value.order.slice(0, -1).reduce((product, axis) => product * value.dims[axis]!, value.pitch);
}

/** A sample seen as an image: [C,H,W] as it is, rows of features [T,D] as one line of T pixels, [C] as one pixel. */
export function imageOf(dims: readonly number[]): { channels: number; height: number; width: number } | undefined {
  if (dims.length === 3) return { channels: dims[0]!, height: dims[1]!, width: dims[2]! };
  if (dims.length === 2) return { channels: dims[1]!, height: 1, width: dims[0]! };
  if (dims.length === 1) return { channels: dims[0]!, height: 1, width: 1 };
  return undefined;
}

/** Row-major index of each element, in the order of memory. */
export function placesOf({ dims, order }: Placed): number[] {
  const rowMajor = dims.map((_, axis) => dims.slice(axis + 1).reduce((product, d) => product * d, 1));
  return order.reduce(
    (all, axis) => all.flatMap((start) => Array.from({ length: dims[axis]! }, (_, i) => start + i * rowMajor[axis]!)),
    [0],
  );
}
