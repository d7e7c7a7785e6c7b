// Activations as their codes would say them, with the gradients of a learned step size, and random dropping of the quantization.
// Source: Esser et al. 2020 (LSQ), Wei et al. 2022 (QDrop: each element stays float with some probability while weights are learned).

import { high2, low2, storeSome, sumLanes } from "./lanes";
import { indices4, random4 } from "./random";

class All {}
class Some {}

/** Bits of a lane that is quantized. */
function kept<F>(index: v128, most: v128, key0: v128, key1: v128): v128 {
  if (idof<F>() == idof<All>()) return i32x4.splat(-1);
  return i32x4.le_u(random4(index, key0, key1), most);
}

function forward<F>(y: usize, x: usize, n: i32, s: f32, lo: f32, hi: f32, control: usize): void {
  const scale = f32x4.splat(s);
  const bottom = f32x4.splat(lo);
  const top = f32x4.splat(hi);
  const most = v128.load32_splat(control);
  const key0 = v128.load32_splat(control, 4);
  const key1 = v128.load32_splat(control, 8);
  const four = i32x4.splat(4);
  let index = indices4(load<u32>(control, 12));
  for (let left = n; left > 0; left -= 4, x += 16, y += 16, index = i32x4.add(index, four)) {
    const value = v128.load(x);
    const level = f32x4.pmin(f32x4.pmax(f32x4.nearest(f32x4.div(value, scale)), bottom), top);
    const out = v128.bitselect(f32x4.mul(level, scale), value, kept<F>(index, most, key0, key1));
    if (left >= 4) v128.store(y, out);
    else storeSome(y, out, left);
  }
}

/**
 * y = s · clamp(rne(x / s), lo, hi) for each element that is kept, else x.
 *
 * @param y       float32[n]; may be x
 * @param s       positive
 * @param lo      least code minus zero point; `hi` the greatest
 * @param control uint32[4]: element i is kept when word first + i of the stream (key0, key1) is at most `limit`; limit 2³² − 1 keeps
 *                all. In the order limit, key0, key1, first.
 */
export function fakeQuantizeSome(y: usize, x: usize, n: i32, s: f32, lo: f32, hi: f32, control: usize): void {
  if (load<u32>(control) == 0xffffffff) forward<All>(y, x, n, s, lo, hi, control);
  else forward<Some>(y, x, n, s, lo, hi, control);
}

function backward<F>(dx: usize, x: usize, g: usize, n: i32, s: f32, lo: f32, hi: f32, control: usize): f64 {
  const scale = f32x4.splat(s);
  const bottom = f32x4.splat(lo);
  const top = f32x4.splat(hi);
  const most = v128.load32_splat(control);
  const key0 = v128.load32_splat(control, 4);
  const key1 = v128.load32_splat(control, 8);
  const four = i32x4.splat(4);
  let index = indices4(load<u32>(control, 12));
  let low = f64x2.splat(0);
  let high = low;
  for (let left = n; left > 0; left -= 4, x += 16, g += 16, dx += 16, index = i32x4.add(index, four)) {
    const u = f32x4.div(v128.load(x), scale);
    const r = f32x4.nearest(u);
    const inside = v128.and(f32x4.ge(r, bottom), f32x4.le(r, top));
    const keep = kept<F>(index, most, key0, key1);
    const gradient = v128.load(g);
    const level = f32x4.pmin(f32x4.pmax(r, bottom), top);
    let share = v128.and(f32x4.mul(gradient, f32x4.sub(level, v128.and(u, inside))), keep);
    const out = v128.and(gradient, v128.or(inside, v128.not(keep)));
    if (left >= 4) v128.store(dx, out);
    else {
      storeSome(dx, out, left);
      share = v128.and(share, i32x4.gt_s(i32x4.splat(left), i32x4(0, 1, 2, 3)));
    }
    low = f64x2.add(low, low2(share));
    high = f64x2.add(high, high2(share));
  }
  return sumLanes(low, high);
}

/**
 * Gradients of `fakeQuantizeSome`, rounding passed straight through: ∂L/∂x = g inside the code range and where x was not quantized, else 0;
 * ∂L/∂s = Σ g · (level − x/s inside, level beyond) over the quantized elements.
 *
 * @param dx float32[n], written; may be g
 * @returns  ∂L/∂s
 */
export function fakeQuantizeSomeGradient(dx: usize, x: usize, g: usize, n: i32, s: f32, lo: f32, hi: f32, control: usize): f64 {
  if (load<u32>(control) == 0xffffffff) return backward<All>(dx, x, g, n, s, lo, hi, control);
  return backward<Some>(dx, x, g, n, s, lo, hi, control);
}
