// The adjoints of F(4×4, 3×3) that a gradient of weights needs: with V = Bᵀ d B of the input and Z = A dY Aᵀ of the output's gradient,
// dU = Σ V ∘ Z over tiles and dg = Gᵀ dU G. Matrices: winograd4.ts.

import { clearVectors } from "./winograd";

const FOUR: usize = memory.data<f32>([4, 4, 4, 4], 16);
const SIX: usize = memory.data<f32>([6, 6, 6, 6], 16);
const SCALE: usize = memory.data<f32>([1.0 / 576.0, 1.0 / 576.0, 1.0 / 576.0, 1.0 / 576.0], 16);

const halfway: usize = memory.data(576, 16); // f32[3][6][8]
const filters: usize = memory.data(288, 16); // f32[3][3][8]

/** A on four streams, `next` bytes per round; result i of a round goes to dst + i · step, `dstNext` bytes per round. */
function spread(dst: usize, step: usize, dstNext: usize, s0: usize, s1: usize, s2: usize, s3: usize, next: usize, count: i32): void {
  const four = v128.load(FOUR);
  for (; count > 0; count--) {
    const y0 = v128.load(s0);
    const y1 = v128.load(s1);
    const y2 = v128.load(s2);
    const y3 = v128.load(s3);
    const e = f32x4.add(y0, y2);
    const o = f32x4.add(y1, y3);
    const f = f32x4.add(y0, f32x4.mul(y2, four));
    let h = f32x4.add(y1, f32x4.mul(y3, four));
    h = f32x4.add(h, h);
    v128.store(dst, y0);
    let p = dst + step;
    v128.store(p, f32x4.add(e, o));
    p += step;
    v128.store(p, f32x4.sub(e, o));
    p += step;
    v128.store(p, f32x4.add(f, h));
    p += step;
    v128.store(p, f32x4.sub(f, h));
    v128.store(p + step, y3);
    s0 += next;
    s1 += next;
    s2 += next;
    s3 += next;
    dst += dstNext;
  }
}

/**
 * Z = A dY Aᵀ of a run of tiles in one tile row; positions outside the image count as 0.
 *
 * @param z       Z of the first tile and point 0: f32[tiles][c] there
 * @param scratch f32[4 · tiles][6][4]
 * @param src     f32[h][w][c], the gradient of one output image
 * @param zeros   f32[w][c] of zeros
 * @param c       outputs, at least 4
 * @param y, x    position of the first tile's first value, inside the image
 */
export function winograd4Spread(
  z: usize,
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
  const columns = 4 * tiles;
  const inside = min(columns, w - x);
  const pixel = (<usize>c) << 2;
  const row = pixel * w;
  const start = pixel * x;
  const p = src + row * y;
  const r0 = start + p;
  const r1 = start + (y + 1 < h ? p + row : zeros);
  const r2 = start + (y + 2 < h ? p + 2 * row : zeros);
  const r3 = start + (y + 3 < h ? p + 3 * row : zeros);
  clearVectors(scratch + inside * 96, (columns - inside) * 6);
  for (let i = 0; i < c; i += 4) {
    // The last vector overlaps the one before rather than leave the pixel.
    const at = (<usize>min(i, c - 4)) << 2;
    spread(scratch, 16, 96, r0 + at, r1 + at, r2 + at, r3 + at, pixel, inside);
    let s = scratch;
    let out = z + at;
    for (let k = 0; k < 6; k++, s += 16, out += 6 * pitch) spread(out, pitch, pixel, s, s + 96, s + 192, s + 288, 384, tiles);
  }
}

/** 24 Gᵀ on six streams `srcStep` apart, 16 bytes per round; result i of a round goes to dst + i · step, 16 bytes per round. */
function gather(dst: usize, step: usize, src: usize, srcStep: usize, count: i32): void {
  const four = v128.load(FOUR);
  const six = v128.load(SIX);
  for (; count > 0; count--, src += 16, dst += 16) {
    const u1 = v128.load(src + srcStep);
    const u2 = v128.load(src + srcStep * 2);
    const u3 = v128.load(src + srcStep * 3);
    const u4 = v128.load(src + srcStep * 4);
    const a = f32x4.add(u1, u2);
    const b = f32x4.sub(u1, u2);
    const c = f32x4.add(u3, u4);
    const d = f32x4.sub(u3, u4);
    v128.store(dst, f32x4.add(f32x4.add(f32x4.mul(v128.load(src), six), f32x4.mul(a, four)), c));
    v128.store(dst + step, f32x4.add(f32x4.mul(b, four), f32x4.add(d, d)));
    v128.store(dst + 2 * step, f32x4.mul(f32x4.add(f32x4.add(a, c), f32x4.mul(v128.load(src + srcStep * 5), six)), four));
  }
}

/**
 * dg = Gᵀ dU G of all filters; strides in floats.
 *
 * @param dst filter (0, 0), tap (0, 0)
 * @param u   f32[⌈outputs/8⌉][36][channels][8]
 */
export function winograd4Gather(
  dst: usize,
  u: usize,
  outputs: i32,
  outputStride: i32,
  channels: i32,
  channelStride: i32,
  tapStride: i32,
): void {
  const point = (<usize>channels) << 5;
  const scale = v128.load(SCALE);
  for (let left = outputs; left > 0; left -= 8, u += 36 * point, dst += outputStride << 5) {
    for (let c = 0; c < channels; c++) {
      let from = u + ((<usize>c) << 5);
      // Down the columns: point (i, j) is 6i + j; halfway holds [3][6][8].
      for (let j: usize = 0; j < 6; j++, from += point) gather(halfway + j * 32, 192, from, 6 * point, 2);
      for (let k: usize = 0; k < 3; k++) gather(filters + k * 96, 32, halfway + k * 192, 32, 2);
      for (let i: usize = 0; i < 288; i += 16) v128.store(filters + i, f32x4.mul(v128.load(filters + i), scale));
      let to = dst + ((c * channelStride) << 2);
      for (let tap: usize = 0; tap < 288; tap += 32, to += tapStride << 2) {
        for (let o = 0; o < min(8, left); o++) store<f32>(to + ((o * outputStride) << 2), load<f32>(filters + tap + (o << 2)));
      }
    }
  }
}
