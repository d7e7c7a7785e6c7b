// What the Winograd forms share: products of transformed tiles, and runs outside the image.
// Layouts: V f32[points][tiles][channels], U f32[⌈outputs/8⌉][points][channels][8], M f32[points][tiles][8].
// Points of V and M stand `pitch` bytes apart, never a power of two: streams 4096 bytes apart share one set of the L1 cache.

import { panel } from "./gemm";

/**
 * M[p] = V[p] · U[p] for every point p and one panel of 8 outputs.
 *
 * @param m        rows of M are rounded up to a multiple of 4
 * @param u        the panel: f32[points][channels][8]
 * @param points   36 for F(4×4, 3×3), 16 for F(2×2, 3×3)
 */
export function winogradProducts(m: usize, mPitch: usize, v: usize, vPitch: usize, u: usize, points: i32, tiles: i32, channels: i32): void {
  const uPoint = (<usize>channels) << 5;
  for (; points > 0; points--, m += mPitch, v += vPitch, u += uPoint) panel(m, v, (<usize>channels) << 2, u, tiles, channels);
}

/** Zeros in n vectors. */
export function clearVectors(dst: usize, n: i32): void {
  for (; n > 0; n--, dst += 16) v128.store(dst, f32x4.splat(0));
}

/**
 * The 3×3 filters of 8 outputs and one input channel, times `factor`: f32[9][8], zeros beyond `outputs`. Strides in floats.
 */
export function gatherFilters(dst: usize, src: usize, outputs: i32, outputStride: i32, tapStride: i32, factor: f32): void {
  for (let o = 0; o < 8; o++, dst += 4, src += outputStride << 2) {
    let from = src;
    for (let tap: usize = 0; tap < 288; tap += 32, from += tapStride << 2)
      store<f32>(dst + tap, o < outputs ? load<f32>(from) * factor : 0);
  }
}

/** Copies a block of pixels, `channels` floats each: the part of an output tile that lies inside image and tensor. */
export function copyPixels(dst: usize, dstPixel: usize, src: usize, srcPixel: usize, pixels: i32, channels: i32): void {
  for (; pixels > 0; pixels--, dst += dstPixel, src += srcPixel) {
    for (let i: usize = 0; i < (<usize>channels) << 2; i += 4) store<f32>(dst + i, load<f32>(src + i));
  }
}
