import type { IntegerKernels } from "../kernels.ts";
import { type Address, inArena, type Program } from "../program.ts";
import { type Image, pixelBytes } from "./image.ts";

export interface WindowShape {
  readonly window: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
}

/** Where the windows of some output rows lie: all of them inside memory, no tap cut. Steps in bytes. */
export interface Frame {
  /** The first tap of the first output pixel. */
  readonly from: Address;
  readonly xStep: number;
  readonly yStep: number;
  readonly xTap: number;
  readonly yTap: number;
}

/**
 * The int8 input of windows, a slice of output rows at a time: in place where no window leaves the image, else as a bordered copy of the
 * slice's input rows in scratch. `fill` is the code of taps outside.
 */
export class Windows {
  private readonly bordered: boolean;
  private readonly columns: number;
  private readonly copy: Address | undefined;
  private readonly program: Program;
  private readonly kernels: IntegerKernels;
  private readonly x: Image;
  private readonly shape: WindowShape;
  private readonly fill: number;

  /**
   * @param columns output columns
   * @param rows    output rows of the whole image; sliceRows of the largest slice
   */
  constructor(
    program: Program,
    kernels: IntegerKernels,
    x: Image,
    shape: WindowShape,
    output: { readonly rows: number; readonly columns: number; readonly sliceRows: number },
    fill: number,
  ) {
    this.program = program;
    this.kernels = kernels;
    this.x = x;
    this.shape = shape;
    this.fill = fill;
    const [top, left] = shape.pads;
    const columns = this.extent(output.columns, 1);
    this.bordered = top > 0 || left > 0 || this.extent(output.rows, 0) > x.height || columns > x.width;
    this.columns = this.bordered ? Math.max(columns, left + x.width) : x.width;
    if (this.bordered) this.copy = program.scratch(this.extent(output.sliceRows, 0) * this.columns * pixelBytes(x));
  }

  /** Input rows (axis 0) or columns (axis 1) that n outputs see. */
  private extent(n: number, axis: 0 | 1): number {
    const { window, stride, dilation } = this.shape;
    return (n - 1) * stride[axis] + (window[axis] - 1) * dilation[axis] + 1;
  }

  /** The frame of output rows [r0, r1). */
  rows(r0: number, r1: number): Frame {
    const { x, shape } = this;
    const pixel = pixelBytes(x);
    const pitch = this.columns * pixel;
    const frame = {
      xStep: shape.stride[1] * pixel,
      yStep: shape.stride[0] * pitch,
      xTap: shape.dilation[1] * pixel,
      yTap: shape.dilation[0] * pitch,
    };
    const first = r0 * shape.stride[0] - shape.pads[0];
    if (!this.copy) return { ...frame, from: inArena(x.offset + first * pitch) };
    const count = this.extent(r1 - r0, 0);
    const begin = Math.min(Math.max(first, 0), x.height);
    const end = Math.min(Math.max(first + count, begin), x.height);
    const rowBytes = x.width * pixel;
    const from = inArena(x.offset + begin * rowBytes);
    const left = shape.pads[1] * pixel;
    this.program.call(this.kernels.border, from, rowBytes, this.copy, pitch, count, begin - first, end - begin, left, this.fill);
    return { ...frame, from: this.copy };
  }
}
