/** Windows over an image [H,W,C] of codes. */
export interface IntegerWindow {
  readonly window: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly dilation: readonly [number, number];
  /** top, left, bottom, right */
  readonly pads: readonly [number, number, number, number];
}

/** Sizes of a dense image: [H,W,C]. */
export type Size = readonly [height: number, width: number, channels: number];

/** Calls `visit` with the position of each tap of output pixel (oy, ox) and whether it lies inside the image. */
export function eachTap(
  { window, stride, dilation, pads }: IntegerWindow,
  [height, width]: Size,
  oy: number,
  ox: number,
  visit: (y: number, x: number, ky: number, kx: number, inside: boolean) => void,
): void {
  for (let ky = 0; ky < window[0]; ky++) {
    const y = oy * stride[0] - pads[0] + ky * dilation[0];
    for (let kx = 0; kx < window[1]; kx++) {
      const x = ox * stride[1] - pads[1] + kx * dilation[1];
      visit(y, x, ky, kx, y >= 0 && y < height && x >= 0 && x < width);
    }
  }
}
