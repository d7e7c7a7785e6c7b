// First layers: windows 7 rows high, 2 rows apart, of an image with few channels. Exact as winograd.ts, in the vertical direction alone:
// even rows carry 4 of the taps, odd rows 3, both by F(3, 4) at F(4×4, 3×3)'s six points, so that they share the output transform: 6 · 2
// products per column and tap for 3 outputs instead of 21. Across, windows are read where they lie in transformed rows.
import { innerPoints4, outerPoints4, products } from "./winograd";

/** 3 · inverse3 = 1 modulo 2³². */
const inverse3 = -1431655765;

/**
 * Twelve image rows → six rows of pairs (even rows' value, odd rows' value). |V| ≤ 10 · 128.
 *
 * @param from    first code; yTap bytes between rows
 * @param codes   of a row, rounded up to 8
 * @param v       int16[6][codes][2]; vPoint bytes between points
 * @param scratch 192 bytes
 */
export function transformStem(from: usize, yTap: i32, codes: i32, v: usize, vPoint: i32, scratch: usize): void {
  for (let i = 0; i < codes; i += 8, from += 8, v += 32) {
    half(from, yTap, scratch);
    half(from + yTap, yTap, scratch + 96);
    for (let s = scratch, end = scratch + 96, to = v; s < end; s += 16, to += vPoint) {
      const e = v128.load(s);
      const o = v128.load(s, 96);
      v128.store(to, v128.shuffle<i16>(e, o, 0, 8, 1, 9, 2, 10, 3, 11));
      v128.store(to, v128.shuffle<i16>(e, o, 4, 12, 5, 13, 6, 14, 7, 15), 16);
    }
  }
}

/** Every other one of 12 rows. */
function half(from: usize, yTap: i32, to: usize): void {
  const step = yTap << 1;
  const d0 = v128.load8x8_s(from);
  from += step;
  const d1 = v128.load8x8_s(from);
  from += step;
  const d2 = v128.load8x8_s(from);
  from += step;
  const d3 = v128.load8x8_s(from);
  from += step;
  const d4 = v128.load8x8_s(from);
  outerPoints4(d0, d1, d2, d3, d4, v128.load8x8_s(from + step), to, to + 80);
  innerPoints4(d1, d2, d3, d4, to + 16, 16);
}

/**
 * Accumulators of up to 3 rows of output pixels.
 *
 * @param v       from transformStem; windows of pairs, xStep bytes apart, are read up to the next multiple of 4 columns
 * @param height  rows stored, 1…3
 * @param u       int16[panels][6][pairs][8][2]
 * @param bias    int32[panels][8]; |y + bias| < 2²⁸
 * @param acc     int32[panels][height · columns][8]; panelPitch bytes between panels
 * @param scratch 192 · columns (rounded up to 4) bytes
 */
export function stem(
  v: usize,
  vPoint: i32,
  xStep: i32,
  columns: i32,
  height: i32,
  u: usize,
  pairs: i32,
  bias: usize,
  acc: usize,
  panelPitch: i32,
  panels: i32,
  scratch: usize,
): void {
  const mPoint = ((columns + 3) & ~3) << 5;
  const uPoint = pairs << 5;
  for (let n = 0; n < panels; n++, u += uPoint * 6, bias += 32, acc += panelPitch) {
    products(v, vPoint, xStep, columns, u, uPoint, pairs, scratch, 6);
    const end = columns << 5;
    const row = columns << 5;
    for (let half: i32 = 0; half < 32; half += 16) {
      const b = i32x4.shl(v128.load(bias + half), 3);
      for (let x = half; x < end; x += 32) output(scratch + x, mPoint, b, acc + x, row, height);
    }
  }
}

/** Rows of Aᵀ: 1 1 1 1 1 0 · 0 1 −1 2 −2 0 · 0 1 1 4 4 1; X = 24 · y. */
function output(m: usize, mPoint: i32, bias: v128, to: usize, row: i32, height: i32): void {
  const m0 = v128.load(m);
  m += mPoint;
  const m1 = v128.load(m);
  m += mPoint;
  const m2 = v128.load(m);
  m += mPoint;
  const m3 = v128.load(m);
  m += mPoint;
  const m4 = v128.load(m);
  const a = i32x4.add(m1, m2);
  const c = i32x4.add(m3, m4);
  const inverse = i32x4.splat(inverse3);
  v128.store(to, unscale(i32x4.add(i32x4.add(m0, a), c), inverse, bias));
  if (height > 1) v128.store(to + row, unscale(i32x4.add(i32x4.sub(m1, m2), i32x4.shl(i32x4.sub(m3, m4), 1)), inverse, bias));
  if (height > 2) {
    const last = i32x4.add(i32x4.add(a, i32x4.shl(c, 2)), v128.load(m + mPoint));
    v128.store(to + (row << 1), unscale(last, inverse, bias));
  }
}

function unscale(x: v128, inverse: v128, bias: v128): v128 {
  return i32x4.shr_s(i32x4.add(i32x4.mul(x, inverse), bias), 3);
}
