import type { Tensor } from "../../../src/graph/types.ts";

export interface Geometry {
  readonly groups: number;
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  /** top, left, bottom, right */
  readonly pads: readonly [number, number, number, number];
}

export const plain: Geometry = { groups: 1, strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0] };

export function outputSize(size: number, kernel: number, stride: number, dilation: number, before: number, after: number): number {
  return Math.floor((size + before + after - (kernel - 1) * dilation - 1) / stride) + 1;
}

/** Conv of [N,C,H,W] by the definition, sums in float64. */
export function convolution(x: Tensor, weights: Tensor, bias: Tensor | undefined, g: Geometry, dims: readonly number[]): Float64Array {
  const [, c, h, w] = x.dims as [number, number, number, number];
  const [, inner, kh, kw] = weights.dims as [number, number, number, number];
  const [n, o, oh, ow] = dims as [number, number, number, number];
  const y = new Float64Array(n * o * oh * ow);
  let at = 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < o; j++) {
      const first = Math.floor(j / (o / g.groups)) * inner;
      for (let oy = 0; oy < oh; oy++) {
        for (let ox = 0; ox < ow; ox++) {
          let sum = bias ? (bias.data[j] as number) : 0;
          for (let k = 0; k < inner; k++) {
            for (let ky = 0; ky < kh; ky++) {
              const iy = oy * g.strides[0] - g.pads[0] + ky * g.dilations[0];
              if (iy < 0 || iy >= h) continue;
              for (let kx = 0; kx < kw; kx++) {
                const ix = ox * g.strides[1] - g.pads[1] + kx * g.dilations[1];
                if (ix < 0 || ix >= w) continue;
                const tap = weights.data[((j * inner + k) * kh + ky) * kw + kx] as number;
                sum += (x.data[((i * c + first + k) * h + iy) * w + ix] as number) * tap;
              }
            }
          }
          y[at++] = sum;
        }
      }
    }
  }
  return y;
}

/** ConvTranspose of [N,C,H,W] by the definition: every input scatters its window. Sums in float64. */
export function transposedConvolution(
  x: Tensor,
  weights: Tensor,
  bias: Tensor | undefined,
  g: Geometry,
  dims: readonly number[],
): Float64Array {
  const [, c, h, w] = x.dims as [number, number, number, number];
  const [, outer, kh, kw] = weights.dims as [number, number, number, number];
  const [n, o, oh, ow] = dims as [number, number, number, number];
  const y = new Float64Array(n * o * oh * ow);
  if (bias) y.forEach((_, i) => void (y[i] = bias.data[Math.floor(i / (oh * ow)) % o] as number));
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < c; k++) {
      const first = Math.floor(k / (c / g.groups)) * outer;
      for (let iy = 0; iy < h; iy++) {
        for (let ix = 0; ix < w; ix++) {
          const value = x.data[((i * c + k) * h + iy) * w + ix] as number;
          for (let j = 0; j < outer; j++) {
            for (let ky = 0; ky < kh; ky++) {
              const oy = iy * g.strides[0] - g.pads[0] + ky * g.dilations[0];
              if (oy < 0 || oy >= oh) continue;
              for (let kx = 0; kx < kw; kx++) {
                const ox = ix * g.strides[1] - g.pads[1] + kx * g.dilations[1];
                if (ox < 0 || ox >= ow) continue;
                y[((i * o + first + j) * oh + oy) * ow + ox]! += value * (weights.data[((k * outer + j) * kh + ky) * kw + kx] as number);
              }
            }
          }
        }
      }
    }
  }
  return y;
}

/** Gradient of the weights of a Conv by the definition: Σ over images and positions of x · dy. Sums in float64. */
export function weightGradient(x: Tensor, dy: Tensor, g: Geometry, weights: readonly number[]): Float64Array {
  const [, c, h, w] = x.dims as [number, number, number, number];
  const [n, o, oh, ow] = dy.dims as [number, number, number, number];
  const [, inner, kh, kw] = weights as [number, number, number, number];
  const dw = new Float64Array(o * inner * kh * kw);
  let at = 0;
  for (let j = 0; j < o; j++) {
    const first = Math.floor(j / (o / g.groups)) * inner;
    for (let k = 0; k < inner; k++) {
      for (let ky = 0; ky < kh; ky++) {
        for (let kx = 0; kx < kw; kx++) {
          let sum = 0;
          for (let i = 0; i < n; i++) {
            for (let oy = 0; oy < oh; oy++) {
              const iy = oy * g.strides[0] - g.pads[0] + ky * g.dilations[0];
              if (iy < 0 || iy >= h) continue;
              for (let ox = 0; ox < ow; ox++) {
                const ix = ox * g.strides[1] - g.pads[1] + kx * g.dilations[1];
                if (ix < 0 || ix >= w) continue;
                const value = x.data[((i * c + first + k) * h + iy) * w + ix] as number;
                sum += value * (dy.data[((i * o + j) * oh + oy) * ow + ox] as number);
              }
            }
          }
          dw[at++] = sum;
        }
      }
    }
  }
  return dw;
}
