// F(2×2, 3×3): as winograd.ts, with 4×4 tiles 2 pixels apart and 16 points. For maps with a side of at most 4 pixels, and for layers
// whose accumulators leave F(4×4, 3×3)'s range.
import { products } from "./winograd";

/**
 * V = Bᵀ d B of every 4×4 tile. |V| ≤ 4 · 128. Parameters as transformInput4.
 *
 * @param v       int16[16][rows · columns][channels]
 * @param scratch 256 bytes
 */
export function transformInput2(
  from: usize,
  xTap: i32,
  yTap: i32,
  rows: i32,
  columns: i32,
  channels: i32,
  v: usize,
  vPoint: i32,
  scratch: usize,
): void {
  const tileBytes = channels << 1;
  for (let y = 0; y < rows; y++, from += yTap << 1) {
    for (let x = 0, tile = from; x < columns; x++, tile += xTap << 1, v += tileBytes) {
      for (let c = 0; c < channels; c += 8) {
        for (let j = 0, p = tile + c, s = scratch; j < 4; j++, p += xTap, s += 64) {
          const q = p + (yTap << 1);
          inputPass2(v128.load8x8_s(p), v128.load8x8_s(p + yTap), v128.load8x8_s(q), v128.load8x8_s(q + yTap), s, 16);
        }
        for (let i = 0, s = scratch, to = v + (c << 1); i < 4; i++, s += 16, to += vPoint << 2) {
          inputPass2(v128.load(s), v128.load(s, 64), v128.load(s, 128), v128.load(s, 192), to, vPoint);
        }
      }
    }
  }
}

/** Rows of Bᵀ: 1 0 −1 0 · 0 1 1 0 · 0 −1 1 0 · 0 1 0 −1. */
function inputPass2(d0: v128, d1: v128, d2: v128, d3: v128, to: usize, step: i32): void {
  v128.store(to, i16x8.sub(d0, d2));
  to += step;
  v128.store(to, i16x8.add(d1, d2));
  to += step;
  v128.store(to, i16x8.sub(d2, d1));
  to += step;
  v128.store(to, i16x8.sub(d1, d3));
}

/**
 * U = G g Gᵀ. |U| ≤ 9 · 128. Parameters as transformWeights4.
 *
 * @param u       int16[panels][16][pairs][8][2]
 * @param scratch 192 bytes
 */
export function transformWeights2(w: usize, pairs: i32, u: usize, uPoint: i32, panels: i32, scratch: usize): void {
  for (let n = 0; n < panels; n++, u += uPoint << 4) {
    for (let k = 0, to = u; k < pairs; k++, w += 144, to += 32) {
      for (let half = 0; half < 16; half += 8) {
        const from = w + half;
        for (let j = 0, s = scratch; j < 3; j++, s += 64) {
          const g = from + (j << 4);
          weightPass2(v128.load8x8_s(g), v128.load8x8_s(g, 48), v128.load8x8_s(g, 96), s, 16);
        }
        for (let i = 0, s = scratch, out = to + (half << 1); i < 4; i++, s += 16, out += uPoint << 2) {
          weightPass2(v128.load(s), v128.load(s, 64), v128.load(s, 128), out, uPoint);
        }
      }
    }
  }
}

/** Rows of G: 2 0 0 · 1 1 1 · 1 −1 1 · 0 0 2. */
function weightPass2(g0: v128, g1: v128, g2: v128, to: usize, step: i32): void {
  const s = i16x8.add(g0, g2);
  v128.store(to, i16x8.shl(g0, 1));
  to += step;
  v128.store(to, i16x8.add(s, g1));
  to += step;
  v128.store(to, i16x8.sub(s, g1));
  to += step;
  v128.store(to, i16x8.shl(g2, 1));
}

/**
 * Panels of accumulators of rows · columns tiles of 2×2 pixels. Parameters as winograd4.
 *
 * @param bias    |y + bias| < 2²⁹
 * @param scratch 512 · tiles (rounded up to 4) bytes
 */
export function winograd2(
  v: usize,
  vPoint: i32,
  channels: i32,
  rows: i32,
  columns: i32,
  height: i32,
  width: i32,
  u: usize,
  uPoint: i32,
  bias: usize,
  acc: usize,
  panelPitch: i32,
  panels: i32,
  scratch: usize,
): void {
  const tiles = rows * columns;
  const mPoint = ((tiles + 3) & ~3) << 5;
  for (let n = 0; n < panels; n++, u += uPoint << 4, bias += 32, acc += panelPitch) {
    products(v, vPoint, channels << 1, tiles, u, uPoint, channels >> 1, scratch, 16);
    for (let half: usize = 0; half < 32; half += 16) {
      const b = i32x4.shl(v128.load(bias + half), 2);
      let from = scratch + half;
      for (let y = 0; y < rows; y++) {
        for (let x = 0; x < columns; x++, from += 32) {
          const to = acc + (((y * width + x) << 6) + <i32>half);
          output2(from, mPoint, b, to, width << 5, height - (y << 1) > 1, width - (x << 1) > 1);
        }
      }
    }
  }
}

/** Aᵀ M A / 4 + bias with Aᵀ = 1 1 1 0 · 0 1 −1 −1, of one tile, 4 channels. */
function output2(m: usize, mPoint: i32, bias: v128, to: usize, rowPitch: i32, secondRow: bool, secondColumn: bool): void {
  const row = mPoint << 2;
  let m0 = v128.load(m);
  let m1 = v128.load(m + row);
  let m2 = v128.load(m + row * 2);
  let m3 = v128.load(m + row * 3);
  const t0 = i32x4.add(i32x4.add(m0, m1), m2);
  const b0 = i32x4.sub(i32x4.sub(m1, m2), m3);
  m += mPoint;
  m0 = v128.load(m);
  m1 = v128.load(m + row);
  m2 = v128.load(m + row * 2);
  m3 = v128.load(m + row * 3);
  const t1 = i32x4.add(i32x4.add(m0, m1), m2);
  const b1 = i32x4.sub(i32x4.sub(m1, m2), m3);
  m += mPoint;
  m0 = v128.load(m);
  m1 = v128.load(m + row);
  m2 = v128.load(m + row * 2);
  m3 = v128.load(m + row * 3);
  const t2 = i32x4.add(i32x4.add(m0, m1), m2);
  const b2 = i32x4.sub(i32x4.sub(m1, m2), m3);
  m += mPoint;
  m0 = v128.load(m);
  m1 = v128.load(m + row);
  m2 = v128.load(m + row * 2);
  m3 = v128.load(m + row * 3);
  const t3 = i32x4.add(i32x4.add(m0, m1), m2);
  const b3 = i32x4.sub(i32x4.sub(m1, m2), m3);
  v128.store(to, unscale2(i32x4.add(i32x4.add(t0, t1), t2), bias));
  if (secondColumn) v128.store(to, unscale2(i32x4.sub(i32x4.sub(t1, t2), t3), bias), 32);
  if (secondRow) {
    v128.store(to + rowPitch, unscale2(i32x4.add(i32x4.add(b0, b1), b2), bias));
    if (secondColumn) v128.store(to + rowPitch, unscale2(i32x4.sub(i32x4.sub(b1, b2), b3), bias), 32);
  }
}

/** X = 4 · y: the shift is exact. */
function unscale2(x: v128, bias: v128): v128 {
  return i32x4.shr_s(i32x4.add(x, bias), 2);
}
