// Pooling of one image in channels-last order: src [h, w, c] to dst [oh, ow, c]. One-dimensional pools have h = oh = kh = 1.
// Window of output (y, x): rows y·sh − ph + i·dh for i < kh, columns alike; positions outside the image hold nothing.
// Values are readable up to 16 bytes beyond their end.

import { storeSome } from "./lanes";

/** Largest value of each window; −∞ where a window lies outside. NaN wins. */
export function maxPool(
  dst: usize,
  src: usize,
  h: i32,
  w: i32,
  c: i32,
  oh: i32,
  ow: i32,
  kh: i32,
  kw: i32,
  sh: i32,
  sw: i32,
  ph: i32,
  pw: i32,
  dh: i32,
  dw: i32,
): void {
  const pixel = (<usize>c) << 2;
  for (let y = 0; y < oh; y++) {
    const top = y * sh - ph;
    for (let x = 0; x < ow; x++, dst += pixel) {
      const left = x * sw - pw;
      for (let k = 0; k < c; k += 4) {
        let m = f32x4.splat(-Infinity);
        for (let i = 0, row = top; i < kh; i++, row += dh) {
          if (<u32>row >= <u32>h) continue;
          const line = src + ((<usize>k) << 2) + <usize>(row * w) * pixel;
          for (let j = 0, column = left; j < kw; j++, column += dw) {
            if (<u32>column >= <u32>w) continue;
            const v = v128.load(line + <usize>column * pixel);
            m = v128.bitselect(m, v, v128.or(f32x4.gt(m, v), f32x4.ne(m, m)));
          }
        }
        const to = dst + ((<usize>k) << 2);
        if (k + 4 <= c) v128.store(to, m);
        else storeSome(to, m, c & 3);
      }
    }
  }
}

/**
 * Mean of each window: over the positions inside the image, or with `border` 1 inside the image and its border
 * (ph, pw before, eh, ew after). Windows summed row by row.
 */
export function averagePool(
  dst: usize,
  src: usize,
  h: i32,
  w: i32,
  c: i32,
  oh: i32,
  ow: i32,
  kh: i32,
  kw: i32,
  sh: i32,
  sw: i32,
  ph: i32,
  pw: i32,
  dh: i32,
  dw: i32,
  eh: i32,
  ew: i32,
  border: i32,
): void {
  const pixel = (<usize>c) << 2;
  for (let y = 0; y < oh; y++) {
    const top = y * sh - ph;
    const rows = border ? inside(top, kh, dh, -ph, h + eh) : inside(top, kh, dh, 0, h);
    for (let x = 0; x < ow; x++, dst += pixel) {
      const left = x * sw - pw;
      const columns = border ? inside(left, kw, dw, -pw, w + ew) : inside(left, kw, dw, 0, w);
      const count = f32x4.splat(<f32>(rows * columns));
      for (let k = 0; k < c; k += 4) {
        let sum = f32x4.splat(0);
        for (let i = 0, row = top; i < kh; i++, row += dh) {
          if (<u32>row >= <u32>h) continue;
          const line = src + ((<usize>k) << 2) + <usize>(row * w) * pixel;
          for (let j = 0, column = left; j < kw; j++, column += dw) {
            if (<u32>column < <u32>w) sum = f32x4.add(sum, v128.load(line + <usize>column * pixel));
          }
        }
        const mean = f32x4.div(sum, count);
        const to = dst + ((<usize>k) << 2);
        if (k + 4 <= c) v128.store(to, mean);
        else storeSome(to, mean, c & 3);
      }
    }
  }
}

/** How many of start, start + step, … (k of them) lie in [from, to). */
export function inside(start: i32, k: i32, step: i32, from: i32, to: i32): i32 {
  let count = 0;
  for (let i = 0, at = start; i < k; i++, at += step) if (at >= from && at < to) count++;
  return count;
}
