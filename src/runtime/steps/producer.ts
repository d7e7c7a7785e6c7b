import type { Address } from "../program.ts";
import type { Image } from "./image.ts";
import type { Frame, WindowShape } from "./windows.ts";

/** Panels that some kernels make together: room for them is kept behind the last. */
export const panelGroup = 4;

/**
 * A way to make the accumulators of a convolution, in panels of 8 output channels. It works on a grid of windows (output pixels, or
 * tiles of them), a slice of grid rows at a time: `begin` prepares the slice's input, `panels` multiplies.
 */
export interface Producer {
  readonly input: Image;
  readonly shape: WindowShape;
  readonly rows: number;
  readonly columns: number;
  readonly sliceRows: number;
  /** Most bytes of accumulators per panel and slice. */
  readonly panelBytes: number;
  /** Output pixels before grid row r. */
  pixelsBefore(r: number): number;
  begin(frame: Frame, r0: number, r1: number): void;
  /** Writes int32[p1 − p0][…][8]: panels [p0, p1), panelBytes apart. */
  panels(frame: Frame, r0: number, r1: number, p0: number, p1: number, acc: Address): void;
}
