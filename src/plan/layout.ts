// Where the elements of a value lie in its buffer.
import type { PlanValue } from "./types.ts";

/** Extents in memory order, the last without its padding. */
export function physicalDims(value: PlanValue): number[] {
  return value.order.map((axis) => value.dims[axis]!);
}

/** Elements of the last axis in memory, without its padding. */
export function channelsOf(value: PlanValue): number {
  return value.dims[value.order.at(-1) ?? 0] ?? 1;
}

/** Elements of the buffer, padding lanes included. */
export function storedElements(value: PlanValue): number {
  return physicalDims(value)
    .slice(0, -1)
    .reduce((product, extent) => product * extent, value.pitch);
}

/** Elements of the value. */
export function logicalElements(value: PlanValue): number {
  return value.dims.reduce((product, extent) => product * extent, 1);
}

export function storedBytes(value: PlanValue): number {
  return storedElements(value) * (value.type === "int8" ? 1 : 4);
}

/** Distance in elements between neighbours along each logical axis. */
export function logicalStrides(value: PlanValue): number[] {
  const strides = value.dims.map(() => 1);
  let stride = value.pitch;
  for (let i = value.order.length - 2; i >= 0; i--) {
    const axis = value.order[i]!;
    strides[axis] = stride;
    stride *= value.dims[axis]!;
  }
  return strides;
}

/** A value as windows see it: rows of positions of channels. */
export interface ImageView {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly pitch: number;
}

/** The last physical axis is the channel, the one before it the width; all others are the height. */
export function imageView(value: PlanValue): ImageView {
  const dims = physicalDims(value);
  const channels = dims.at(-1) ?? 1;
  const width = dims.at(-2) ?? 1;
  return { height: dims.slice(0, -2).reduce((product, extent) => product * extent, 1), width, channels, pitch: value.pitch };
}
