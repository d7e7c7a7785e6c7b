// Adjoints of linear kernels: each takes the arguments of its forward kernel with source and destination in each other's place, and adds.

import { storeSome } from "./lanes";
import { inside } from "./pool";

/** dst[i] += src[i], n float32. */
export function accumulate(dst: usize, src: usize, n: i32): void {
  const end = dst + ((<usize>(n & ~3)) << 2);
  for (; dst < end; dst += 16, src += 16) v128.store(dst, f32x4.add(v128.load(dst), v128.load(src)));
  storeSome(dst, f32x4.add(v128.load(dst), v128.load(src)), n & 3);
}

/**
 * dst[i·t0 + j·t1 + k·t2 + l·t3] += src[i·s0 + j·s1 + k·s2 + l·s3] for i < d0 … l < d3, in this order: the adjoint of `copy4`.
 * Strides in elements; a destination stride of 0 sums.
 */
export function add4(
  dst: usize,
  src: usize,
  d0: i32,
  d1: i32,
  d2: i32,
  d3: i32,
  s0: i32,
  s1: i32,
  s2: i32,
  s3: i32,
  t0: i32,
  t1: i32,
  t2: i32,
  t3: i32,
): void {
  for (let i = 0; i < d0; i++) {
    for (let j = 0; j < d1; j++) {
      let from = src + ((i * s0 + j * s1) << 2);
      let to = dst + ((i * t0 + j * t1) << 2);
      for (let k = 0; k < d2; k++, from += s2 << 2, to += t2 << 2) {
        if (s3 == 1 && t3 == 1) accumulate(to, from, d3);
        else addStrided(to, from, d3, s3, t3);
      }
    }
  }
}

function addStrided(dst: usize, src: usize, n: i32, s: i32, t: i32): void {
  for (let i = 0; i < n; i++, src += s << 2, dst += t << 2) store<f32>(dst, load<f32>(dst) + load<f32>(src));
}

/** src pixels taps[i, t] get weights[i, t] · dst[i], pixels i in order: the adjoint of `blendPixels`, with its arguments but `dst` first. */
export function spreadPixels(to: usize, from: usize, taps: usize, weights: usize, n: i32, count: i32, c: i32): void {
  const pixel = (<usize>c) << 2;
  const step = (<usize>count) << 2;
  for (let i = 0; i < n; i++, from += pixel) {
    for (let t = 0; t < count; t++, taps += 4, weights += 4) {
      const w = v128.load32_splat(weights);
      const p = to + <usize>load<u32>(taps) * pixel;
      addScaled(p, from, w, c);
    }
  }
}

/** dst[i] += src[i] · w, c float32. */
function addScaled(dst: usize, src: usize, w: v128, c: i32): void {
  const end = dst + ((<usize>(c & ~3)) << 2);
  for (; dst < end; dst += 16, src += 16) v128.store(dst, f32x4.add(v128.load(dst), f32x4.mul(v128.load(src), w)));
  storeSome(dst, f32x4.add(v128.load(dst), f32x4.mul(v128.load(src), w)), c & 3);
}

/** dx += the shares of dy: the adjoint of `averagePool`, windows in order. Arguments as there. */
export function averagePoolGradient(
  dx: usize,
  dy: usize,
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
    for (let x = 0; x < ow; x++, dy += pixel) {
      const left = x * sw - pw;
      const columns = border ? inside(left, kw, dw, -pw, w + ew) : inside(left, kw, dw, 0, w);
      const share = f32x4.splat(<f32>1 / <f32>(rows * columns));
      for (let i = 0, row = top; i < kh; i++, row += dh) {
        if (<u32>row >= <u32>h) continue;
        for (let j = 0, column = left; j < kw; j++, column += dw) {
          if (<u32>column < <u32>w) addScaled(dx + <usize>(row * w + column) * pixel, dy, share, c);
        }
      }
    }
  }
}

/** dx += dy at the first largest position of each window, windows in order: the gradient of `maxPool`. Arguments as there, and y. */
export function maxPoolGradient(
  dx: usize,
  dy: usize,
  src: usize,
  result: usize,
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
    for (let x = 0; x < ow; x++, dy += pixel, result += pixel) {
      const left = x * sw - pw;
      for (let k = 0; k < c; k += 4) {
        const at = (<usize>k) << 2;
        const m = v128.load(result + at);
        let rest = v128.load(dy + at);
        for (let i = 0, row = top; i < kh; i++, row += dh) {
          if (<u32>row >= <u32>h) continue;
          for (let j = 0, column = left; j < kw; j++, column += dw) {
            if (<u32>column >= <u32>w) continue;
            const place = <usize>(row * w + column) * pixel + at;
            const share = v128.and(rest, f32x4.eq(v128.load(src + place), m));
            const sum = f32x4.add(v128.load(dx + place), share);
            if (k + 4 <= c) v128.store(dx + place, sum);
            else storeSome(dx + place, sum, c & 3);
            rest = v128.andnot(rest, f32x4.eq(v128.load(src + place), m));
          }
        }
      }
    }
  }
}

/**
 * [outer, n, inner]: dx = dy[outer, inner] at the first position along n where x equals the result y, 0 elsewhere: the gradient of
 * `maximum` and `minimum`.
 */
export function extremeGradient(dx: usize, dy: usize, x: usize, y: usize, outer: i32, n: i32, inner: i32): void {
  const line = (<usize>inner) << 2;
  for (let i = 0; i < outer; i++, dx += line * n, x += line * n, dy += line, y += line) {
    for (let c: usize = 0; c < line; c += 4) {
      const m = load<f32>(y + c);
      let rest = load<f32>(dy + c);
      let at = c;
      for (let k = 0; k < n; k++, at += line) {
        const found = load<f32>(x + at) == m;
        store<f32>(dx + at, found ? rest : 0);
        if (found) rest = 0;
      }
    }
  }
}
