// Exact integer Winograd convolution: the direct 3×3 stride-1 sum, bit for bit, with 36 products for 16 outputs (F(4×4, 3×3)) or
// 16 for 4 (F(2×2, 3×3)) instead of 9 each. The transforms have integer coefficients (the usual fractions are multiplied into G), so
// Aᵀ[(G g Gᵀ) ∘ (Bᵀ d B)]A = scale · y holds modulo 2³² whatever the sums overflow to; transformed 8-bit operands fit int16.
// The scale is undone by a modular inverse and an exact shift, which needs |y + bias| < 2²⁵ (F4: 576 = 9 · 64) or 2²⁹ (F2: 4).
// Source: minimal filtering (Lavin and Gray, arXiv 1509.09308); signs and scales of the matrices as written at each pass.

/** 9 · inverse9 = 1 modulo 2³². */
const inverse9 = 954437177;

// Products in the transformed domain ----------------------------------------------------------------------------------------------

/**
 * m[point][t][8] = Σₖ v[point][t][k] · u[point][k][8] over tiles t.
 *
 * @param v      int16[points][tiles][rowPitch bytes], 4-byte aligned; vPoint bytes between points, rows up to the next multiple of 4 are read
 * @param u      int16[points][pairs][8][2]; uPoint bytes between points
 * @param m      int32[points][tiles, rounded up to 4][8]
 */
export function products(v: usize, vPoint: i32, rowPitch: i32, tiles: i32, u: usize, uPoint: i32, pairs: i32, m: usize, points: i32): void {
  const uBytes = (<usize>pairs) << 5;
  for (let xi = 0; xi < points; xi++, v += vPoint, u += uPoint) {
    let row = v;
    for (let t = 0; t < tiles; t += 4, row += rowPitch << 2, m += 128) tile(row, rowPitch, u, u + uBytes, m);
  }
}

/** As the tile of gemm.ts, with int16 weights. */
function tile(a0: usize, aPitch: i32, w: usize, end: usize, to: usize): void {
  let a1 = a0 + aPitch;
  let a2 = a1 + aPitch;
  let a3 = a2 + aPitch;
  let c00 = i32x4.splat(0);
  let c01 = c00;
  let c10 = c00;
  let c11 = c00;
  let c20 = c00;
  let c21 = c00;
  let c30 = c00;
  let c31 = c00;
  const last = end - 32;
  do {
    let w0 = v128.load(w);
    let w1 = v128.load(w, 16);
    let x = v128.load32_splat(a0);
    c00 = i32x4.add(c00, i32x4.dot_i16x8_s(x, w0));
    c01 = i32x4.add(c01, i32x4.dot_i16x8_s(x, w1));
    x = v128.load32_splat(a1);
    c10 = i32x4.add(c10, i32x4.dot_i16x8_s(x, w0));
    c11 = i32x4.add(c11, i32x4.dot_i16x8_s(x, w1));
    x = v128.load32_splat(a2);
    c20 = i32x4.add(c20, i32x4.dot_i16x8_s(x, w0));
    c21 = i32x4.add(c21, i32x4.dot_i16x8_s(x, w1));
    x = v128.load32_splat(a3);
    c30 = i32x4.add(c30, i32x4.dot_i16x8_s(x, w0));
    c31 = i32x4.add(c31, i32x4.dot_i16x8_s(x, w1));
    if (w == last) break;
    w0 = v128.load(w, 32);
    w1 = v128.load(w, 48);
    x = v128.load32_splat(a0, 4);
    c00 = i32x4.add(c00, i32x4.dot_i16x8_s(x, w0));
    c01 = i32x4.add(c01, i32x4.dot_i16x8_s(x, w1));
    x = v128.load32_splat(a1, 4);
    c10 = i32x4.add(c10, i32x4.dot_i16x8_s(x, w0));
    c11 = i32x4.add(c11, i32x4.dot_i16x8_s(x, w1));
    x = v128.load32_splat(a2, 4);
    c20 = i32x4.add(c20, i32x4.dot_i16x8_s(x, w0));
    c21 = i32x4.add(c21, i32x4.dot_i16x8_s(x, w1));
    x = v128.load32_splat(a3, 4);
    c30 = i32x4.add(c30, i32x4.dot_i16x8_s(x, w0));
    c31 = i32x4.add(c31, i32x4.dot_i16x8_s(x, w1));
    w += 64;
    a0 += 8;
    a1 += 8;
    a2 += 8;
    a3 += 8;
  } while (w < end);
  v128.store(to, c00);
  v128.store(to, c01, 16);
  v128.store(to, c10, 32);
  v128.store(to, c11, 48);
  v128.store(to, c20, 64);
  v128.store(to, c21, 80);
  v128.store(to, c30, 96);
  v128.store(to, c31, 112);
}

// F(4×4, 3×3) ---------------------------------------------------------------------------------------------------------------------

/**
 * V = Bᵀ d B of every 6×6 tile, tiles 4 pixels apart, 8 channels at a time. |V| ≤ 100 · 128.
 *
 * @param from     channel 0 of the first tile's first pixel; xTap bytes between pixels, yTap between rows; all tiles inside memory
 * @param v        int16[36][rows · columns][channels]; vPoint bytes between points
 * @param scratch  96 · (4 · columns + 2) bytes
 * @param channels multiple of 8
 */
export function transformInput4(
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
  const width = (columns << 2) + 2;
  const tileBytes = channels << 1;
  for (let y = 0; y < rows; y++, from += yTap << 2, v += columns * tileBytes) {
    for (let c = 0; c < channels; c += 8) {
      // Each image column once for the whole row of tiles: neighbours share two.
      let t = scratch;
      for (let x = 0, p = from + c; x < width; x++, p += xTap, t += 96) {
        let q = p;
        const d0 = v128.load8x8_s(q);
        q += yTap;
        const d1 = v128.load8x8_s(q);
        q += yTap;
        const d2 = v128.load8x8_s(q);
        q += yTap;
        const d3 = v128.load8x8_s(q);
        q += yTap;
        const d4 = v128.load8x8_s(q);
        outerPoints4(d0, d1, d2, d3, d4, v128.load8x8_s(q + yTap), t, t + 80);
        innerPoints4(d1, d2, d3, d4, t + 16, 16);
      }
      t = scratch;
      for (let x = 0, to = v + (c << 1); x < columns; x++, to += tileBytes, t += 384) {
        for (let i = 0, s = t, out = to; i < 6; i++, s += 16, out += vPoint * 6) {
          const d1 = v128.load(s, 96);
          const d2 = v128.load(s, 192);
          const d3 = v128.load(s, 288);
          const d4 = v128.load(s, 384);
          outerPoints4(v128.load(s), d1, d2, d3, d4, v128.load(s, 480), out, out + vPoint * 5);
          innerPoints4(d1, d2, d3, d4, out + vPoint, vPoint);
        }
      }
    }
  }
}

/**
 * Rows of Bᵀ: 4 0 −5 0 1 0 · 0 4 4 −1 −1 0 · 0 −4 4 1 −1 0 · 0 −2 −1 2 1 0 · 0 2 −1 −2 1 0 · 0 4 0 −5 0 1.
 * In two parts, which -O3 inlines; one function would stay a call for each column.
 */
export function outerPoints4(d0: v128, d1: v128, d2: v128, d3: v128, d4: v128, d5: v128, first: usize, last: usize): void {
  v128.store(first, i16x8.add(i16x8.shl(i16x8.sub(d0, d2), 2), i16x8.sub(d4, d2)));
  v128.store(last, i16x8.sub(i16x8.sub(d5, d3), i16x8.shl(i16x8.sub(d3, d1), 2)));
}

export function innerPoints4(d1: v128, d2: v128, d3: v128, d4: v128, to: usize, step: i32): void {
  const v = i16x8.sub(d4, d2);
  const w = i16x8.shl(i16x8.sub(d3, d1), 1);
  const t = i16x8.sub(i16x8.shl(d2, 2), d4);
  const u = i16x8.sub(i16x8.shl(d1, 2), d3);
  v128.store(to, i16x8.add(t, u));
  to += step;
  v128.store(to, i16x8.sub(t, u));
  to += step;
  v128.store(to, i16x8.add(v, w));
  to += step;
  v128.store(to, i16x8.sub(v, w));
}

/**
 * U = G g Gᵀ. |U| ≤ 144 · 128.
 *
 * @param w       int8[panels][pairs][9][8][2]
 * @param u       int16[panels][36][pairs][8][2]; uPoint bytes between points, 36 · uPoint between panels
 * @param scratch 288 bytes
 */
export function transformWeights4(w: usize, pairs: i32, u: usize, uPoint: i32, panels: i32, scratch: usize): void {
  for (let n = 0; n < panels; n++, u += uPoint * 36) {
    for (let k = 0, to = u; k < pairs; k++, w += 144, to += 32) {
      for (let half = 0; half < 16; half += 8) {
        const from = w + half;
        for (let j = 0, s = scratch; j < 3; j++, s += 96) {
          const g = from + (j << 4);
          weightPass4(v128.load8x8_s(g), v128.load8x8_s(g, 48), v128.load8x8_s(g, 96), s, 16);
        }
        for (let i = 0, s = scratch, out = to + (half << 1); i < 6; i++, s += 16, out += uPoint * 6) {
          weightPass4(v128.load(s), v128.load(s, 96), v128.load(s, 192), out, uPoint);
        }
      }
    }
  }
}

/** Rows of G: 6 0 0 · 4 4 4 · 4 −4 4 · 1 2 4 · 1 −2 4 · 0 0 8. */
function weightPass4(g0: v128, g1: v128, g2: v128, to: usize, step: i32): void {
  const s = i16x8.shl(i16x8.add(g0, g2), 2);
  const h = i16x8.shl(g1, 2);
  const f = i16x8.add(g0, i16x8.shl(g2, 2));
  const k = i16x8.shl(g1, 1);
  v128.store(to, i16x8.add(i16x8.shl(g0, 2), i16x8.shl(g0, 1)));
  to += step;
  v128.store(to, i16x8.add(s, h));
  to += step;
  v128.store(to, i16x8.sub(s, h));
  to += step;
  v128.store(to, i16x8.add(f, k));
  to += step;
  v128.store(to, i16x8.sub(f, k));
  to += step;
  v128.store(to, i16x8.shl(g2, 3));
}

/**
 * Panels of accumulators of rows · columns tiles of 4×4 pixels, cut to height × width pixels.
 *
 * @param v, vPoint  from transformInput4; tiles up to the next multiple of 4 are read
 * @param u, uPoint  from transformWeights4
 * @param bias       int32[panels][8]; |y + bias| < 2²⁵
 * @param acc        int32[panels][height · width][8]; panelPitch bytes between panels
 * @param scratch    1152 · tiles (rounded up to 4) + 384 bytes
 */
export function winograd4(
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
  const m = scratch + 384;
  for (let n = 0; n < panels; n++, u += uPoint * 36, bias += 32, acc += panelPitch) {
    products(v, vPoint, channels << 1, tiles, u, uPoint, channels >> 1, m, 36);
    for (let half: usize = 0; half < 32; half += 16) {
      const b = i32x4.shl(v128.load(bias + half), 6);
      let from = m + half;
      for (let y = 0; y < rows; y++) {
        for (let x = 0; x < columns; x++, from += 32) {
          const to = acc + (((y * width + x) << 7) + <i32>half);
          output4(from, mPoint, b, to, width << 5, min(height - (y << 2), 4), min(width - (x << 2), 4), scratch);
        }
      }
    }
  }
}

/** Aᵀ M A / 576 + bias of one tile, 4 channels; `h` × `w` pixels of it are stored, 32 bytes apart. */
function output4(m: usize, mPoint: i32, bias: v128, to: usize, rowPitch: i32, h: i32, w: i32, scratch: usize): void {
  for (let j = 0, from = m, s = scratch; j < 6; j++, from += mPoint, s += 16) {
    const column = mPoint * 6;
    let p = from;
    const m0 = v128.load(p);
    p += column;
    const m1 = v128.load(p);
    p += column;
    const m2 = v128.load(p);
    p += column;
    const m3 = v128.load(p);
    p += column;
    const m4 = v128.load(p);
    p += column;
    const m5 = v128.load(p);
    const a = i32x4.add(m1, m2);
    const b = i32x4.sub(m1, m2);
    const c = i32x4.add(m3, m4);
    const e = i32x4.shl(i32x4.sub(m3, m4), 1);
    v128.store(s, i32x4.add(i32x4.add(m0, a), c));
    v128.store(s, i32x4.add(b, e), 96);
    v128.store(s, i32x4.add(a, i32x4.shl(c, 2)), 192);
    v128.store(s, i32x4.add(i32x4.add(b, i32x4.shl(e, 2)), i32x4.add(m5, i32x4.shl(m5, 1))), 288);
  }
  const inverse = i32x4.splat(inverse9);
  for (let i = 0, s = scratch; i < h; i++, s += 96, to += rowPitch) {
    const m0 = v128.load(s);
    const m1 = v128.load(s, 16);
    const m2 = v128.load(s, 32);
    const m3 = v128.load(s, 48);
    const m4 = v128.load(s, 64);
    const m5 = v128.load(s, 80);
    const a = i32x4.add(m1, m2);
    const b = i32x4.sub(m1, m2);
    const c = i32x4.add(m3, m4);
    const e = i32x4.shl(i32x4.sub(m3, m4), 1);
    v128.store(to, unscale4(i32x4.add(i32x4.add(m0, a), c), inverse, bias));
    if (w > 1) v128.store(to, unscale4(i32x4.add(b, e), inverse, bias), 32);
    if (w > 2) v128.store(to, unscale4(i32x4.add(a, i32x4.shl(c, 2)), inverse, bias), 64);
    if (w > 3) {
      const last = i32x4.add(i32x4.add(b, i32x4.shl(e, 2)), i32x4.add(m5, i32x4.shl(m5, 1)));
      v128.store(to, unscale4(last, inverse, bias), 96);
    }
  }
}

/** X = 576 · y: the inverse of 9 leaves 64 · y, the shift is exact. */
function unscale4(x: v128, inverse: v128, bias: v128): v128 {
  return i32x4.shr_s(i32x4.add(i32x4.mul(x, inverse), bias), 6);
}
