// Convolution 3×3, stride 1, as F(4×4, 3×3): 36 products for 16 outputs instead of 144 (Winograd; Lavin & Gray, "Fast algorithms for
// convolutional neural networks"). Points 0, ±1, ±2, ∞. One dimension: y = Aᵀ[(G g) ∘ (Bᵀ d)], with G = (rows below) / 24,
//   Bᵀ = [4  0 −5  0  1  0]   24 G = [6  0  0]   Aᵀ = [1  1  1  1  1  0]
//        [0  4  4 −1 −1  0]          [4  4  4]        [0  1 −1  2 −2  0]
//        [0 −4  4  1 −1  0]          [4 −4  4]        [0  1  1  4  4  0]
//        [0 −2 −1  2  1  0]          [1  2  4]        [0  1 −1  8 −8  1]
//        [0  2 −1 −2  1  0]          [1 −2  4]
//        [0  4  0 −5  0  1]          [0  0 24]
// 36 values do not fit 16 registers, so each transform is two passes along one axis each, through memory.

import { clearVectors, copyPixels, gatherFilters } from "./winograd";

/** Constants stay in memory: V8 would rebuild a v128.const in every round of a loop. */
const FOUR: usize = memory.data<f32>([4, 4, 4, 4], 16);
const SIX: usize = memory.data<f32>([6, 6, 6, 6], 16);

const filters: usize = memory.data(288, 16); // f32[3][3][8]
const halfway: usize = memory.data(576, 16); // f32[6][3][8]: columns of the filters transformed
const edge: usize = memory.data(128, 16); // f32[4][8]: one row of a tile that is not stored whole

/** Bᵀ on six streams s0…s5, `next` bytes per round; result i of a round goes to dst + i · step, `dstNext` bytes per round. */
function input(
  dst: usize,
  step: usize,
  dstNext: usize,
  s0: usize,
  s1: usize,
  s2: usize,
  s3: usize,
  s4: usize,
  s5: usize,
  next: usize,
  count: i32,
): void {
  const four = v128.load(FOUR);
  for (; count > 0; count--) {
    const d1 = v128.load(s1);
    const d2 = v128.load(s2);
    const d3 = v128.load(s3);
    const d4 = v128.load(s4);
    const v = f32x4.sub(d4, d2);
    let w = f32x4.sub(d3, d1);
    w = f32x4.add(w, w);
    const t = f32x4.sub(f32x4.mul(d2, four), d4);
    const u = f32x4.sub(f32x4.mul(d1, four), d3);
    v128.store(dst, f32x4.add(f32x4.mul(f32x4.sub(v128.load(s0), d2), four), v));
    let p = dst + step;
    v128.store(p, f32x4.add(t, u));
    p += step;
    v128.store(p, f32x4.sub(t, u));
    p += step;
    v128.store(p, f32x4.add(v, w));
    p += step;
    v128.store(p, f32x4.sub(v, w));
    v128.store(p + step, f32x4.sub(f32x4.sub(v128.load(s5), d3), f32x4.add(w, w)));
    s0 += next;
    s1 += next;
    s2 += next;
    s3 += next;
    s4 += next;
    s5 += next;
    dst += dstNext;
  }
}

/**
 * V = Bᵀ d B of a run of tiles in one tile row.
 *
 * @param v       V of the first tile and point 0: f32[tiles][c] there
 * @param scratch f32[4 · tiles + 2][6][4]
 * @param src     f32[h][w][c], one image
 * @param zeros   f32[w][c] of zeros, standing for the rows outside
 * @param c       at least 4
 * @param y, x    image position of the first tile's first value (negative in the padding)
 */
export function winograd4Input(
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
  const columns = 4 * tiles + 2;
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
  const r4 = start + (<u32>(y + 4) < <u32>h ? p + 4 * row : zeros);
  const r5 = start + (<u32>(y + 5) < <u32>h ? p + 5 * row : zeros);
  clearVectors(scratch, head * 6);
  clearVectors(scratch + end * 96, (columns - end) * 6);
  for (let i = 0; i < c; i += 4) {
    // The last vector overlaps the one before rather than leave the pixel.
    const at = (<usize>min(i, c - 4)) << 2;
    input(scratch + head * 96, 16, 96, r0 + at, r1 + at, r2 + at, r3 + at, r4 + at, r5 + at, pixel, end - head);
    let s = scratch;
    let out = v + at;
    for (let k = 0; k < 6; k++, s += 16, out += 6 * pitch) {
      input(out, pitch, pixel, s, s + 96, s + 192, s + 288, s + 384, s + 480, 384, tiles);
    }
  }
}

/** 24 G on three streams `srcStep` apart, `next` bytes per round; result i of a round goes to dst + i · step, 16 bytes per round. */
function filter(dst: usize, step: usize, src: usize, srcStep: usize, count: i32): void {
  const four = v128.load(FOUR);
  const six = v128.load(SIX);
  for (; count > 0; count--, src += 16, dst += 16) {
    const g0 = v128.load(src);
    const g1 = v128.load(src + srcStep);
    const g2 = v128.load(src + 2 * srcStep);
    const s = f32x4.mul(f32x4.add(g0, g2), four);
    const h = f32x4.mul(g1, four);
    const f = f32x4.add(g0, f32x4.mul(g2, four));
    const k = f32x4.add(g1, g1);
    v128.store(dst, f32x4.mul(g0, six));
    v128.store(dst + step, f32x4.add(s, h));
    v128.store(dst + 2 * step, f32x4.sub(s, h));
    v128.store(dst + 3 * step, f32x4.add(f, k));
    v128.store(dst + 4 * step, f32x4.sub(f, k));
    v128.store(dst + 5 * step, f32x4.mul(f32x4.mul(g2, six), four));
  }
}

/**
 * U = G g Gᵀ of all filters. Strides in floats: any order of axes, and flipped taps from the last one with a negative stride.
 *
 * @param u   f32[⌈outputs/8⌉][36][channels][8]
 * @param src filter (0, 0), tap (0, 0)
 */
export function winograd4Weights(
  u: usize,
  src: usize,
  outputs: i32,
  outputStride: i32,
  channels: i32,
  channelStride: i32,
  tapStride: i32,
): void {
  const point = (<usize>channels) << 5;
  for (let left = outputs; left > 0; left -= 8, u += 36 * point, src += outputStride << 5) {
    for (let c = 0; c < channels; c++) {
      gatherFilters(filters, src + ((c * channelStride) << 2), left, outputStride, tapStride, 1.0 / 576.0);
      filter(halfway, 96, filters, 96, 6);
      let out = u + ((<usize>c) << 5);
      for (let i: usize = 0; i < 6; i++, out += 6 * point) filter(out, point, halfway + i * 96, 32, 2);
    }
  }
}

/** Aᵀ down the columns of M, in place: result k of column j takes the place of point (k, j). `count` vectors per point. */
function outputColumns(m: usize, pitch: usize, count: i32): void {
  const four = v128.load(FOUR);
  const step = pitch * 6;
  for (let j = 0; j < 6; j++, m += pitch) {
    let p = m;
    for (let i = count; i > 0; i--, p += 16) {
      const m1 = v128.load(p + step);
      const m2 = v128.load(p + 2 * step);
      const m3 = v128.load(p + 3 * step);
      const m4 = v128.load(p + 4 * step);
      const a = f32x4.add(m1, m2);
      const b = f32x4.sub(m1, m2);
      const c = f32x4.add(m3, m4);
      let e = f32x4.sub(m3, m4);
      e = f32x4.add(e, e);
      v128.store(p, f32x4.add(f32x4.add(v128.load(p), a), c));
      v128.store(p + step, f32x4.add(b, e));
      v128.store(p + 2 * step, f32x4.add(a, f32x4.mul(c, four)));
      v128.store(p + 3 * step, f32x4.add(f32x4.add(b, f32x4.mul(e, four)), v128.load(p + 5 * step)));
    }
  }
}

/** Aᵀ along one row of M, bias and clamp: 4 pixels × 8 channels per tile. */
function outputRow(dst: usize, pixel: usize, m: usize, pitch: usize, tiles: i32, bias: usize, low: f32, high: f32): void {
  const four = v128.load(FOUR);
  const lo = f32x4.splat(low);
  const hi = f32x4.splat(high);
  for (let half: usize = 0; half < 32; half += 16) {
    const shift = v128.load(bias + half);
    let p = m + half;
    let out = dst + half;
    for (let i = tiles; i > 0; i--, p += 32) {
      const m1 = v128.load(p + pitch);
      const m2 = v128.load(p + 2 * pitch);
      const m3 = v128.load(p + 3 * pitch);
      const m4 = v128.load(p + 4 * pitch);
      const a = f32x4.add(m1, m2);
      const b = f32x4.sub(m1, m2);
      const c = f32x4.add(m3, m4);
      let e = f32x4.sub(m3, m4);
      e = f32x4.add(e, e);
      v128.store(out, f32x4.pmax(f32x4.pmin(f32x4.add(f32x4.add(f32x4.add(v128.load(p), a), c), shift), hi), lo));
      out += pixel;
      v128.store(out, f32x4.pmax(f32x4.pmin(f32x4.add(f32x4.add(b, e), shift), hi), lo));
      out += pixel;
      v128.store(out, f32x4.pmax(f32x4.pmin(f32x4.add(f32x4.add(a, f32x4.mul(c, four)), shift), hi), lo));
      out += pixel;
      const last = f32x4.add(f32x4.add(b, f32x4.mul(e, four)), v128.load(p + 5 * pitch));
      v128.store(out, f32x4.pmax(f32x4.pmin(f32x4.add(last, shift), hi), lo));
      out += pixel;
    }
  }
}

/**
 * y = min(max(Aᵀ M A + bias, low), high) of a run of tiles in one tile row, 8 output channels. Overwrites M.
 *
 * @param dst      output pixel of the first tile, first channel of the panel
 * @param pixel    bytes between output pixels
 * @param row      bytes between output rows
 * @param rows     output rows inside the image, 1 to 4
 * @param columns  output columns inside the image from the first tile on, at least 1
 * @param channels outputs of the panel, 1 to 8
 * @param m        M of the first tile and point 0: f32[tiles][8] there
 * @param bias     f32[8]
 */
export function winograd4Output(
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
  const whole = channels == 8 ? min(tiles, columns >> 2) : 0;
  for (let k = 0; k < rows; k++, dst += row, m += 6 * pitch) {
    outputRow(dst, pixel, m, pitch, whole, bias, low, high);
    let out = dst + pixel * (whole * 4);
    for (let t = whole; t < tiles; t++, out += 4 * pixel) {
      outputRow(edge, 32, m + ((<usize>t) << 5), pitch, 1, bias, low, high);
      copyPixels(out, pixel, edge, 32, min(4, columns - 4 * t), channels);
    }
  }
}
