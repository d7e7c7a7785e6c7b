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
 * @param dst f64[⌈channels / 2⌉][positions][taps + 1, made even][2]
 * @param src f32[positions][taps][channels]
 */
export function packDepthwise64(dst: usize, src: usize, positions: i32, taps: i32, channels: i32, step: f64): void {
  const pixel = (<usize>channels) << 2;
  for (let c = 0; c < channels; c += 2, src += 8) {
    const both = c + 1 < channels;
    let from = src;
    for (let p = 0; p < positions; p++) {
      for (let t = 0; t < taps; t++, from += pixel, dst += 16) {
        store<f64>(dst, element(load<f32>(from), step));
        store<f64>(dst, both ? element(load<f32>(from, 4), step) : 0, 8);
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
 * @param out   f64[pairs][taps][taps][2]
 * @param a     f64[pairs][positions][taps][2], as `packDepthwise64` makes it
 * @param b     likewise
 * @param pairs of channels
 * @param taps  even
 * @param upper 1: only s ≤ t is needed
 */
export function outerDepthwise64(out: usize, a: usize, b: usize, pairs: i32, positions: i32, taps: i32, upper: i32): void {
  const step = (<usize>taps) << 4;
  const plane = step * positions;
  for (; pairs > 0; pairs--, a += plane, b += plane, out += step * taps) {
    for (let s = 0; s < taps; s += 2) {
      for (let t = upper ? s : 0; t < taps; t += 2) {
        const to = out + step * s + ((<usize>t) << 4);
        const next = to + step;
        let c00 = v128.load(to);
        let c01 = v128.load(to, 16);
        let c10 = v128.load(next);
        let c11 = v128.load(next, 16);
        let p = a + ((<usize>s) << 4);
        let q = b + ((<usize>t) << 4);
        for (let k = positions; k > 0; k--, p += step, q += step) {
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
