// Reductions of [outer, n, inner] over n to [outer, inner]. Sums are float64 inside, in an order that depends on n alone.
// Values are readable up to 16 bytes beyond their end.

import { high2, low2, narrow4, storeSome, sumLanes } from "./lanes";

class Max {}
class Min {}

/** Σ x / divisor: a sum with divisor 1, a mean with divisor n. */
export function sum(dst: usize, src: usize, outer: i32, n: i32, inner: i32, divisor: f64): void {
  if (inner == 1) {
    const row = (<usize>n) << 2;
    for (let i = 0; i < outer; i++, src += row, dst += 4) store<f32>(dst, <f32>(sumRow(src, n) / divisor));
    return;
  }
  const line = (<usize>inner) << 2;
  const d = f64x2.splat(divisor);
  for (let i = 0; i < outer; i++, src += line * n, dst += line) {
    for (let c = 0; c < inner; c += 4) {
      let low = f64x2.splat(0);
      let high = low;
      let p = src + ((<usize>c) << 2);
      for (let k = 0; k < n; k++, p += line) {
        const v = v128.load(p);
        low = f64x2.add(low, low2(v));
        high = f64x2.add(high, high2(v));
      }
      const to = dst + ((<usize>c) << 2);
      const result = narrow4(f64x2.div(low, d), f64x2.div(high, d));
      if (c + 4 <= inner) v128.store(to, result);
      else storeSome(to, result, inner & 3);
    }
  }
}

/** Σ of n float32. */
export function sumRow(src: usize, n: i32): f64 {
  let low = f64x2.splat(0);
  let high = low;
  const end = src + ((<usize>(n & ~3)) << 2);
  for (; src < end; src += 16) {
    const v = v128.load(src);
    low = f64x2.add(low, low2(v));
    high = f64x2.add(high, high2(v));
  }
  let total = sumLanes(low, high);
  const last = end + ((<usize>(n & 3)) << 2);
  for (; src < last; src += 4) total += <f64>load<f32>(src);
  return total;
}

export function maximum(dst: usize, src: usize, outer: i32, n: i32, inner: i32): void {
  extreme<Max>(dst, src, outer, n, inner);
}

export function minimum(dst: usize, src: usize, outer: i32, n: i32, inner: i32): void {
  extreme<Min>(dst, src, outer, n, inner);
}

function choose<F>(x: v128, y: v128): v128 {
  if (idof<F>() == idof<Max>()) return f32x4.max(x, y);
  return f32x4.min(x, y);
}

function start<F>(): v128 {
  if (idof<F>() == idof<Max>()) return f32x4.splat(-Infinity);
  return f32x4.splat(Infinity);
}

function extreme<F>(dst: usize, src: usize, outer: i32, n: i32, inner: i32): void {
  const line = (<usize>inner) << 2;
  for (let i = 0; i < outer; i++, src += line * n, dst += line) {
    if (inner == 1) {
      store<f32>(dst, extremeOfRow<F>(src, n));
      continue;
    }
    for (let c = 0; c < inner; c += 4) {
      let m = start<F>();
      let p = src + ((<usize>c) << 2);
      for (let k = 0; k < n; k++, p += line) m = choose<F>(m, v128.load(p));
      const to = dst + ((<usize>c) << 2);
      if (c + 4 <= inner) v128.store(to, m);
      else storeSome(to, m, inner & 3);
    }
  }
}

function extremeOfRow<F>(src: usize, n: i32): f32 {
  let m = start<F>();
  const end = src + ((<usize>(n & ~3)) << 2);
  for (; src < end; src += 16) m = choose<F>(m, v128.load(src));
  const last = end + ((<usize>(n & 3)) << 2);
  for (; src < last; src += 4) m = choose<F>(m, v128.load32_splat(src));
  m = choose<F>(m, v128.shuffle<i64>(m, m, 1, 0));
  m = choose<F>(m, v128.shuffle<i32>(m, m, 1, 0, 3, 2));
  return f32x4.extract_lane(m, 0);
}
