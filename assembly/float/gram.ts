// Sums of products in float64, for Gram matrices and what is solved from them. Sums run over k upwards from what `out` holds, so that
// cutting k, m or n anywhere gives the same bits.
// A tile is 4 × 4: 8 accumulators + 2 of b + 1 of a fill the 16 vector registers of x86.

import { high2, low2 } from "./lanes";

/** Rows of a and b that are read before the next columns: 128 × 64 bytes of each stay in L1, whatever lies between the rows. */
const CHUNK: i32 = 128;

/** One tile over `k` rows. */
function tile(out: usize, outRow: usize, a: usize, aStep: usize, b: usize, bStep: usize, k: i32): void {
  const out1 = out + outRow;
  const out2 = out1 + outRow;
  const out3 = out2 + outRow;
  let c00 = v128.load(out);
  let c01 = v128.load(out, 16);
  let c10 = v128.load(out1);
  let c11 = v128.load(out1, 16);
  let c20 = v128.load(out2);
  let c21 = v128.load(out2, 16);
  let c30 = v128.load(out3);
  let c31 = v128.load(out3, 16);
  do {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load64_splat(a);
    c00 = f64x2.add(c00, f64x2.mul(x, b0));
    c01 = f64x2.add(c01, f64x2.mul(x, b1));
    x = v128.load64_splat(a, 8);
    c10 = f64x2.add(c10, f64x2.mul(x, b0));
    c11 = f64x2.add(c11, f64x2.mul(x, b1));
    x = v128.load64_splat(a, 16);
    c20 = f64x2.add(c20, f64x2.mul(x, b0));
    c21 = f64x2.add(c21, f64x2.mul(x, b1));
    x = v128.load64_splat(a, 24);
    c30 = f64x2.add(c30, f64x2.mul(x, b0));
    c31 = f64x2.add(c31, f64x2.mul(x, b1));
    a += aStep;
    b += bStep;
  } while (--k);
  v128.store(out, c00);
  v128.store(out, c01, 16);
  v128.store(out1, c10);
  v128.store(out1, c11, 16);
  v128.store(out2, c20);
  v128.store(out2, c21, 16);
  v128.store(out3, c30);
  v128.store(out3, c31, 16);
}

/**
 * out[m × n] += Σₖ a[k][m] · b[k][n], the products of rows k.
 *
 * @param out   f64, rows `outRow` bytes apart
 * @param a     f64, rows `aStep` bytes apart, 4 neighbouring columns together, the next 4 `aPanel` bytes on (32: a plain matrix)
 * @param b     likewise
 * @param m, n  multiples of 4
 * @param upper 1: only tiles on and above the diagonal
 */
export function outer64(
  out: usize,
  outRow: usize,
  a: usize,
  aStep: usize,
  aPanel: usize,
  b: usize,
  bStep: usize,
  bPanel: usize,
  k: i32,
  m: i32,
  n: i32,
  upper: i32,
): void {
  for (; k > 0; k -= CHUNK, a += aStep * CHUNK, b += bStep * CHUNK) {
    const rows = min(k, CHUNK);
    let p = a;
    let line = out;
    for (let i = 0; i < m; i += 4, p += aPanel, line += outRow << 2) {
      const first = upper ? i : 0;
      let q = b + bPanel * (first >> 2);
      let to = line + ((<usize>first) << 3);
      for (let j = first; j < n; j += 4, q += bPanel, to += 32) tile(to, outRow, p, aStep, q, bStep, rows);
    }
  }
}

/** y += factor · x over n elements of f64, n even. */
export function axpy64(y: usize, x: usize, factor: f64, n: i32): void {
  const f = f64x2.splat(factor);
  const end = y + ((<usize>n) << 3);
  while (y < end) {
    v128.store(y, f64x2.add(v128.load(y), f64x2.mul(f, v128.load(x))));
    y += 16;
    x += 16;
  }
}

/** An element as float64: itself, or with a step the whole number of steps that it is. */
function element(x: f32, step: f64): f64 {
  return step == 0 ? <f64>x : nearest<f64>(<f64>x / step);
}

/**
 * Rows of float32 as float64 panels of 4 columns, with a 1 after the last column and zeros up to a whole panel.
 *
 * @param dst     f64[⌈(columns + 1) / 4⌉][rows][4]
 * @param src     f32, rows `srcRow` bytes apart; readable 3 floats beyond
 * @param step    0: as they are. Else elements are whole multiples of it, and the multiples are what is stored: exact sums
 */
export function packPanels64(dst: usize, src: usize, srcRow: usize, rows: i32, columns: i32, step: f64): void {
  const steps = f64x2.splat(step);
  for (let left = columns; left >= 0; left -= 4, src += 16) {
    let from = src;
    for (let r = 0; r < rows; r++, from += srcRow, dst += 32) {
      if (left >= 4) {
        const x = v128.load(from);
        const low = low2(x);
        const high = high2(x);
        v128.store(dst, step == 0 ? low : f64x2.nearest(f64x2.div(low, steps)));
        v128.store(dst, step == 0 ? high : f64x2.nearest(f64x2.div(high, steps)), 16);
        continue;
      }
      for (let i = 0; i < 4; i++) {
        const at = (<usize>i) << 2;
        const value = i < left ? element(load<f32>(from + at), step) : i == left ? 1 : 0;
        store<f64>(dst + (at << 1), value);
      }
    }
  }
}

/**
 * Windows of a depthwise convolution as float64, two channels together, with a constant 1 as one more tap (and zeros as another where
 * that makes their number even).
 *
 * @param dst f64[⌈channels / 2⌉][positions][taps + 1, made even][2]; where the channels are odd, the last second one is without meaning
 * @param src f32[positions][taps][channels], readable one float beyond
 */
export function packDepthwise64(dst: usize, src: usize, positions: i32, taps: i32, channels: i32, step: f64): void {
  const pixel = (<usize>channels) << 2;
  const steps = f64x2.splat(step);
  for (let c = 0; c < channels; c += 2, src += 8) {
    let from = src;
    for (let p = 0; p < positions; p++) {
      for (let t = 0; t < taps; t++, from += pixel, dst += 16) {
        const both = low2(v128.load64_zero(from));
        v128.store(dst, step == 0 ? both : f64x2.nearest(f64x2.div(both, steps)));
      }
      v128.store(dst, f64x2.splat(1));
      dst += 16;
      if ((taps & 1) == 0) {
        v128.store(dst, f64x2.splat(0));
        dst += 16;
      }
    }
  }
}

/**
 * out[s][t] += Σ a[position][s] · b[position][t] for each channel.
 *
 * @param out   f64[pairs][aTaps][bTaps][2]
 * @param a     f64[pairs][positions][aTaps][2], as `packDepthwise64` makes it
 * @param b     f64[pairs][positions][bTaps][2]
 * @param pairs of channels
 * @param aTaps even, as bTaps
 * @param upper 1: only s ≤ t is needed
 */
export function outerDepthwise64(out: usize, a: usize, aTaps: i32, b: usize, bTaps: i32, pairs: i32, positions: i32, upper: i32): void {
  const aStep = (<usize>aTaps) << 4;
  const bStep = (<usize>bTaps) << 4;
  for (; pairs > 0; pairs--, a += aStep * positions, b += bStep * positions, out += bStep * aTaps) {
    for (let s = 0; s < aTaps; s += 2) {
      for (let t = upper ? s : 0; t < bTaps; t += 2) {
        const to = out + bStep * s + ((<usize>t) << 4);
        const next = to + bStep;
        let c00 = v128.load(to);
        let c01 = v128.load(to, 16);
        let c10 = v128.load(next);
        let c11 = v128.load(next, 16);
        let p = a + ((<usize>s) << 4);
        let q = b + ((<usize>t) << 4);
        for (let k = positions; k > 0; k--, p += aStep, q += bStep) {
          const a0 = v128.load(p);
          const a1 = v128.load(p, 16);
          const b0 = v128.load(q);
          const b1 = v128.load(q, 16);
          c00 = f64x2.add(c00, f64x2.mul(a0, b0));
          c01 = f64x2.add(c01, f64x2.mul(a0, b1));
          c10 = f64x2.add(c10, f64x2.mul(a1, b0));
          c11 = f64x2.add(c11, f64x2.mul(a1, b1));
        }
        v128.store(to, c00);
        v128.store(to, c01, 16);
        v128.store(next, c10);
        v128.store(next, c11, 16);
      }
    }
  }
}

/** Four sums of whole numbers on top of float64 ones. */
function addWhole(out: usize, sums: v128): void {
  v128.store(out, f64x2.add(v128.load(out), low2(sums)));
  v128.store(out, f64x2.add(v128.load(out, 16), high2(sums)), 16);
}

/**
 * `packPanels64` in float32, for whole multiples of a step.
 *
 * @param dst f32[⌈(columns + 1) / 4⌉][rows][4]
 */
export function packPanels32(dst: usize, src: usize, srcRow: usize, rows: i32, columns: i32, step: f32): void {
  const steps = f32x4.splat(step);
  for (let left = columns; left >= 0; left -= 4, src += 16) {
    let from = src;
    for (let r = 0; r < rows; r++, from += srcRow, dst += 16) {
      if (left >= 4) {
        v128.store(dst, f32x4.nearest(f32x4.div(v128.load(from), steps)));
        continue;
      }
      for (let i = 0; i < 4; i++) {
        const at = (<usize>i) << 2;
        store<f32>(dst + at, i < left ? nearest<f32>(load<f32>(from + at) / step) : i == left ? 1 : 0);
      }
    }
  }
}

/**
 * out += Σ over rows of x xᵀ, on and above the diagonal, for whole numbers of magnitude at most 255: exact, since 256 · 255² < 2²⁴.
 *
 * @param out  f64[n][n], rows `outRow` bytes apart
 * @param x    f32[n / 4][rows][4], as `packPanels32` makes it
 * @param rows at most 256
 * @param n    multiple of 4
 */
export function outer32(out: usize, outRow: usize, x: usize, rows: i32, n: i32): void {
  const panel = (<usize>rows) << 4;
  let p = x;
  for (let i = 0; i < n; i += 4, p += panel, out += (outRow << 2) + 32) {
    let q = p;
    let to = out;
    for (let j = i; j < n; j += 8, q += panel << 1, to += 64) {
      const second: usize = j + 4 < n ? panel : 0;
      let c00 = f32x4.splat(0);
      let c01 = f32x4.splat(0);
      let c10 = f32x4.splat(0);
      let c11 = f32x4.splat(0);
      let c20 = f32x4.splat(0);
      let c21 = f32x4.splat(0);
      let c30 = f32x4.splat(0);
      let c31 = f32x4.splat(0);
      let a = p;
      let b = q;
      let k = rows;
      do {
        const b0 = v128.load(b);
        const b1 = v128.load(b + second);
        let v = v128.load32_splat(a);
        c00 = f32x4.add(c00, f32x4.mul(v, b0));
        c01 = f32x4.add(c01, f32x4.mul(v, b1));
        v = v128.load32_splat(a, 4);
        c10 = f32x4.add(c10, f32x4.mul(v, b0));
        c11 = f32x4.add(c11, f32x4.mul(v, b1));
        v = v128.load32_splat(a, 8);
        c20 = f32x4.add(c20, f32x4.mul(v, b0));
        c21 = f32x4.add(c21, f32x4.mul(v, b1));
        v = v128.load32_splat(a, 12);
        c30 = f32x4.add(c30, f32x4.mul(v, b0));
        c31 = f32x4.add(c31, f32x4.mul(v, b1));
        a += 16;
        b += 16;
      } while (--k);
      addWhole(to, c00);
      addWhole(to + outRow, c10);
      addWhole(to + (outRow << 1), c20);
      addWhole(to + outRow * 3, c30);
      if (!second) continue;
      addWhole(to + 32, c01);
      addWhole(to + outRow + 32, c11);
      addWhole(to + (outRow << 1) + 32, c21);
      addWhole(to + outRow * 3 + 32, c31);
    }
  }
}
