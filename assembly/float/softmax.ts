import { exp4, log4 } from "./functions";
import { firstLanes, high2, low2, storeSome, sumLanes } from "./lanes";

/** Each row of n: e^(x − max) / Σ e^(x − max). The sum is float64, in an order that depends on n alone. */
export function softmax(dst: usize, src: usize, rows: i32, n: i32): void {
  const row = (<usize>n) << 2;
  for (let i = 0; i < rows; i++, src += row, dst += row) {
    const max = f32x4.splat(rowMaximum(src, n));
    const total = f32x4.splat(<f32>shiftedExp(dst, src, max, n));
    let p = dst;
    const end = dst + ((<usize>(n & ~3)) << 2);
    for (; p < end; p += 16) v128.store(p, f32x4.div(v128.load(p), total));
    storeSome(p, f32x4.div(v128.load(p), total), n & 3);
  }
}

/** Each row of n: x − max − log Σ e^(x − max). `dst` is not `src`. */
export function logSoftmax(dst: usize, src: usize, rows: i32, n: i32): void {
  const row = (<usize>n) << 2;
  for (let i = 0; i < rows; i++, src += row, dst += row) {
    const max = f32x4.splat(rowMaximum(src, n));
    const log = log4(f32x4.splat(<f32>shiftedExp(dst, src, max, n)));
    let from = src;
    let p = dst;
    const end = dst + ((<usize>(n & ~3)) << 2);
    for (; p < end; p += 16, from += 16) v128.store(p, f32x4.sub(f32x4.sub(v128.load(from), max), log));
    storeSome(p, f32x4.sub(f32x4.sub(v128.load(from), max), log), n & 3);
  }
}

function rowMaximum(src: usize, n: i32): f32 {
  let m = f32x4.splat(-Infinity);
  const end = src + ((<usize>(n & ~3)) << 2);
  for (; src < end; src += 16) m = f32x4.max(m, v128.load(src));
  m = f32x4.max(m, v128.bitselect(v128.load(src), m, firstLanes(n & 3)));
  m = f32x4.max(m, v128.shuffle<i64>(m, m, 1, 0));
  m = f32x4.max(m, v128.shuffle<i32>(m, m, 1, 0, 3, 2));
  return f32x4.extract_lane(m, 0);
}

/** Writes e^(x − max) and returns its sum. */
function shiftedExp(dst: usize, src: usize, max: v128, n: i32): f64 {
  let low = f64x2.splat(0);
  let high = low;
  const end = dst + ((<usize>(n & ~3)) << 2);
  for (; dst < end; dst += 16, src += 16) {
    const e = exp4(f32x4.sub(v128.load(src), max));
    v128.store(dst, e);
    low = f64x2.add(low, low2(e));
    high = f64x2.add(high, high2(e));
  }
  const e = v128.and(exp4(f32x4.sub(v128.load(src), max)), firstLanes(n & 3));
  storeSome(dst, e, n & 3);
  return sumLanes(f64x2.add(low, low2(e)), f64x2.add(high, high2(e)));
}
