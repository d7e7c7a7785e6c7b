// Convolution 3×3, stride 1, as F(2×2, 3×3): 16 products for 4 outputs instead of 36 (Winograd; Lavin & Gray, "Fast algorithms for
// convolutional neural networks"). Points 0, ±1, ∞. One dimension: y = Aᵀ[(G g) ∘ (Bᵀ d)], with G = (rows below) / 2,
//   Bᵀ = [1  0 −1  0]   2 G = [2  0  0]   Aᵀ = [1  1  1  0]
//        [0  1  1  0]         [1  1  1]        [0  1 −1 −1]
//        [0 −1  1  0]         [1 −1  1]
//        [0  1  0 −1]         [0  0  2]
// For maps so small that a 4×4 tile would be mostly empty.

import { clearVectors, copyPixels, gatherFilters } from "./winograd";

const filters: usize = memory.data(288, 16); // f32[3][3][8]
const halfway: usize = memory.data(384, 16); // f32[4][3][8]: columns of the filters transformed
const edge: usize = memory.data(64, 16); // f32[2][8]: one row of a tile that is not stored whole

/** Bᵀ on four streams s0…s3, `next` bytes per round; result i of a round goes to dst + i · step, `dstNext` bytes per round. */
function input(dst: usize, step: usize, dstNext: usize, s0: usize, s1: usize, s2: usize, s3: usize, next: usize, count: i32): void {
  for (; count > 0; count--) {
    const d1 = v128.load(s1);
    const d2 = v128.load(s2);
    v128.store(dst, f32x4.sub(v128.load(s0), d2));
    v128.store(dst + step, f32x4.add(d1, d2));
    v128.store(dst + 2 * step, f32x4.sub(d2, d1));
    v128.store(dst + 3 * step, f32x4.sub(d1, v128.load(s3)));
    s0 += next;
    s1 += next;
    s2 += next;
    s3 += next;
    dst += dstNext;
  }
}

/**
 * V = Bᵀ d B of a run of tiles in one tile row: as `winograd4Input`, with tiles of 2×2.
 *
 * @param scratch f32[2 · tiles + 2][4][4]
 */
export function winograd2Input(
  v: usize,
  pitch: usize,
  scratch: usize,
  src: usize,
  zeros: usize,
  h: i32,
  w: i32,
  c: i32,
  y: i32,
  x: i32,
  tiles: i32,
): void {
  const columns = 2 * tiles + 2;
  const head = min(columns, max(0, -x));
  const end = max(head, min(columns, w - x));
  const pixel = (<usize>c) << 2;
  const row = pixel * w;
  const start = pixel * (x + head);
  const p = src + row * y;
  const r0 = start + (<u32>y < <u32>h ? p : zeros);
  const r1 = start + (<u32>(y + 1) < <u32>h ? p + row : zeros);
  const r2 = start + (<u32>(y + 2) < <u32>h ? p + 2 * row : zeros);
  const r3 = start + (<u32>(y + 3) < <u32>h ? p + 3 * row : zeros);
  clearVectors(scratch, head * 4);
  clearVectors(scratch + end * 64, (columns - end) * 4);
  for (let i = 0; i < c; i += 4) {
    // The last vector overlaps the one before rather than leave the pixel.
    const at = (<usize>min(i, c - 4)) << 2;
    input(scratch + head * 64, 16, 64, r0 + at, r1 + at, r2 + at, r3 + at, pixel, end - head);
    let s = scratch;
    let out = v + at;
    for (let k = 0; k < 4; k++, s += 16, out += 4 * pitch) input(out, pitch, pixel, s, s + 64, s + 128, s + 192, 128, tiles);
  }
}

/** 2 G on three streams `srcStep` apart; result i of a round goes to dst + i · step, 16 bytes per round. */
function filter(dst: usize, step: usize, src: usize, srcStep: usize, count: i32): void {
  for (; count > 0; count--, src += 16, dst += 16) {
    const g0 = v128.load(src);
    const g1 = v128.load(src + srcStep);
    const g2 = v128.load(src + 2 * srcStep);
    const s = f32x4.add(g0, g2);
    v128.store(dst, f32x4.add(g0, g0));
    v128.store(dst + step, f32x4.add(s, g1));
    v128.store(dst + 2 * step, f32x4.sub(s, g1));
    v128.store(dst + 3 * step, f32x4.add(g2, g2));
  }
}

/**
 * U = G g Gᵀ of all filters: as `winograd4Weights`.
 *
 * @param u f32[⌈outputs/8⌉][16][channels][8]
 */
export function winograd2Weights(
  u: usize,
  src: usize,
  outputs: i32,
  outputStride: i32,
  channels: i32,
  channelStride: i32,
  tapStride: i32,
): void {
  const point = (<usize>channels) << 5;
  for (let left = outputs; left > 0; left -= 8, u += 16 * point, src += outputStride << 5) {
    for (let c = 0; c < channels; c++) {
      gatherFilters(filters, src + ((c * channelStride) << 2), left, outputStride, tapStride, 0.25);
      filter(halfway, 96, filters, 96, 6);
      let out = u + ((<usize>c) << 5);
      for (let i: usize = 0; i < 4; i++, out += 4 * point) filter(out, point, halfway + i * 96, 32, 2);
    }
  }
}

/** Aᵀ down the columns of M, in place: result k of column j takes the place of point (k, j). `count` vectors per point. */
function outputColumns(m: usize, pitch: usize, count: i32): void {
  const step = pitch * 4;
  for (let j = 0; j < 4; j++, m += pitch) {
    let p = m;
    for (let i = count; i > 0; i--, p += 16) {
      const m1 = v128.load(p + step);
      const m2 = v128.load(p + 2 * step);
      v128.store(p, f32x4.add(v128.load(p), f32x4.add(m1, m2)));
      v128.store(p + step, f32x4.sub(f32x4.sub(m1, m2), v128.load(p + 3 * step)));
    }
  }
}

/** Aᵀ along one row of M, bias and clamp: 2 pixels × 8 channels per tile. */
function outputRow(dst: usize, pixel: usize, m: usize, pitch: usize, tiles: i32, bias: usize, low: f32, high: f32): void {
  const lo = f32x4.splat(low);
  const hi = f32x4.splat(high);
  for (let half: usize = 0; half < 32; half += 16) {
    const shift = v128.load(bias + half);
    let p = m + half;
    let out = dst + half;
    for (let i = tiles; i > 0; i--, p += 32, out += 2 * pixel) {
      const m1 = v128.load(p + pitch);
      const m2 = v128.load(p + 2 * pitch);
      const y0 = f32x4.add(v128.load(p), f32x4.add(m1, m2));
      const y1 = f32x4.sub(f32x4.sub(m1, m2), v128.load(p + 3 * pitch));
      v128.store(out, f32x4.pmax(f32x4.pmin(f32x4.add(y0, shift), hi), lo));
      v128.store(out + pixel, f32x4.pmax(f32x4.pmin(f32x4.add(y1, shift), hi), lo));
    }
  }
}

/**
 * y = min(max(Aᵀ M A + bias, low), high) of a run of tiles in one tile row, 8 output channels: as `winograd4Output`, with tiles of 2×2.
 */
export function winograd2Output(
  dst: usize,
  pixel: usize,
  row: usize,
  rows: i32,
  columns: i32,
  channels: i32,
  m: usize,
  pitch: usize,
  tiles: i32,
  bias: usize,
  low: f32,
  high: f32,
): void {
  outputColumns(m, pitch, 2 * tiles);
  const whole = channels == 8 ? min(tiles, columns >> 1) : 0;
  for (let k = 0; k < rows; k++, dst += row, m += 4 * pitch) {
    outputRow(dst, pixel, m, pitch, whole, bias, low, high);
    let out = dst + pixel * (whole * 2);
    for (let t = whole; t < tiles; t++, out += 2 * pixel) {
      outputRow(edge, 32, m + ((<usize>t) << 5), pitch, 1, bias, low, high);
      copyPixels(out, pixel, edge, 32, min(2, columns - 2 * t), channels);
    }
  }
}
