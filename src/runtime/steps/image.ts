import type { PlanValue } from "../../plan/types.ts";

/** A value as rows of pixels of channels: the last physical axis is the channels, the one before it the columns. */
export interface Image {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** Elements from pixel to pixel. */
  readonly pitch: number;
  /** Bytes from the start of the arena. */
  readonly offset: number;
  /** Bytes per element. */
  readonly size: 1 | 4;
  readonly zeroPoint: number;
}

/** [C,H,W] stored H, W, C; [T,D] is one row of T pixels; [C] is one pixel; further axes are rows. */
export function image(value: PlanValue): Image {
  const sizes = value.order.map((axis) => value.dims[axis]!);
  const channels = sizes.pop() ?? 1;
  const width = sizes.pop() ?? 1;
  const height = sizes.reduce((a, b) => a * b, 1);
  const { pitch, offset, zeroPoint } = value;
  return { height, width, channels, pitch, offset, size: value.type === "int8" ? 1 : 4, zeroPoint };
}

/** Bytes of one pixel. */
export const pixelBytes = (x: Image): number => x.pitch * x.size;

/** Most elements that one call of an element-wise kernel takes: the dearest, softmax, needs some 10 ns for each. */
export const callElements: number = 1 << 20;

export const pixels = (x: Image): number => x.height * x.width;

export const roundUp = (n: number, multiple: number): number => Math.ceil(n / multiple) * multiple;

/** [0, total) cut into parts of `size`, the last one possibly smaller. */
export function slices(total: number, size: number): [from: number, to: number][] {
  const count = Math.ceil(total / size);
  return Array.from({ length: count }, (_, i) => [i * size, Math.min((i + 1) * size, total)]);
}
