// 3×3 windows 2 pixels apart, exact as winograd.ts: in each direction even pixels carry two of the taps, odd pixels one. Points 0, 1, −1,
// 2, ∞ serve the even part, all but 2 the odd part, so that both add into the same sums: 5 + 4 products for 4 outputs, in two dimensions
// 81 for 16 instead of 144. X = 36 · y.
import { products } from "./winograd";

/** 9 · inverse9 = 1 modulo 2³². */
const inverse9 = 954437177;

/**
 * V of every 9×9 patch, patches 8 pixels apart, 8 channels at a time. |V| ≤ 36 · 128. Of 25 points (i, j) those with i ≠ 3 and j ≠ 3 have
 * 4 parts (even and odd rows times even and odd columns), with one of them 3 two, point (3, 3) one.
 *
 * @param from     channel 0 of the first patch's first pixel; xTap bytes between pixels, yTap between rows; all patches inside memory
 * @param channels multiple of 8
 * @param v        int16[25][rows · columns][parts · channels]
 * @param places   int32[9][9]: where part (row, column) of a patch begins, in bytes from v: even rows 0, 1, 2, 3, 4, odd rows 0, 1, 2, 4
 *                 of the points, columns alike
 * @param scratch  1296 bytes
 */
export function transformStrided(
  from: usize,
  xTap: i32,
  yTap: i32,
  rows: i32,
  columns: i32,
  channels: i32,
  v: usize,
  places: usize,
  scratch: usize,
): void {
  const whole = channels << 3;
  let tile = 0;
  for (let y = 0; y < rows; y++, from += yTap << 3) {
    for (let x = 0, patch = from; x < columns; x++, patch += xTap << 3, tile++) {
      for (let c = 0; c < channels; c += 8) {
        for (let j = 0, p = patch + c, s = scratch; j < 9; j++, p += xTap, s += 144) {
          evenPoints(eight(p), eight(p + yTap * 2), eight(p + yTap * 4), eight(p + yTap * 6), eight(p + yTap * 8), s);
          oddPoints(eight(p + yTap), eight(p + yTap * 3), eight(p + yTap * 5), eight(p + yTap * 7), s + 80);
        }
        let place = places;
        for (let i = 0, s = scratch; i < 9; i++, s += 16, place += 36) {
          // Points of a row 3 have half the parts of others, so do points of a column 3.
          const pitch = i == 3 ? whole >> 1 : whole;
          const to = v + tile * pitch + (c << 1);
          across(s, to, v + tile * (pitch >> 1) + (c << 1), place);
        }
      }
    }
  }
}

function eight(p: usize): v128 {
  return v128.load8x8_s(p);
}

/** Rows of Bᵀ: 2 −1 −2 1 0 · 0 −2 −1 1 0 · 0 2 −3 1 0 · 0 −1 0 1 0 · 0 2 −1 −2 1. */
function evenPoints(a: v128, b: v128, c: v128, d: v128, e: v128, to: usize): void {
  const dc = i16x8.sub(d, c);
  const bc = i16x8.shl(i16x8.sub(b, c), 1);
  v128.store(to, i16x8.add(i16x8.shl(i16x8.sub(a, c), 1), i16x8.sub(d, b)));
  v128.store(to, i16x8.sub(dc, i16x8.shl(b, 1)), 16);
  v128.store(to, i16x8.add(bc, dc), 32);
  v128.store(to, i16x8.sub(d, b), 48);
  v128.store(to, i16x8.add(i16x8.shl(i16x8.sub(b, d), 1), i16x8.sub(e, c)), 64);
}

/** Rows of Bᵀ: −1 0 1 0 · 0 1 1 0 · 0 −1 1 0 · 0 −1 0 1. */
function oddPoints(p: v128, q: v128, r: v128, s: v128, to: usize): void {
  v128.store(to, i16x8.sub(r, p));
  v128.store(to, i16x8.add(q, r), 16);
  v128.store(to, i16x8.sub(r, q), 32);
  v128.store(to, i16x8.sub(s, q), 48);
}

/** The same along a row of the scratch, results where they belong; `third` stands for `to` at point 3. */
function across(s: usize, to: usize, third: usize, places: usize): void {
  const a = v128.load(s);
  const b = v128.load(s, 288);
  const c = v128.load(s, 576);
  const d = v128.load(s, 864);
  const e = v128.load(s, 1152);
  const dc = i16x8.sub(d, c);
  const db = i16x8.sub(d, b);
  v128.store(to + load<i32>(places), i16x8.add(i16x8.shl(i16x8.sub(a, c), 1), db));
  v128.store(to + load<i32>(places, 4), i16x8.sub(dc, i16x8.shl(b, 1)));
  v128.store(to + load<i32>(places, 8), i16x8.add(i16x8.shl(i16x8.sub(b, c), 1), dc));
  v128.store(third + load<i32>(places, 12), db);
  v128.store(to + load<i32>(places, 16), i16x8.sub(i16x8.sub(e, c), i16x8.shl(db, 1)));
  const p = v128.load(s, 144);
  const q = v128.load(s, 432);
  const r = v128.load(s, 720);
  v128.store(to + load<i32>(places, 20), i16x8.sub(r, p));
  v128.store(to + load<i32>(places, 24), i16x8.add(q, r));
  v128.store(to + load<i32>(places, 28), i16x8.sub(r, q));
  v128.store(to + load<i32>(places, 32), i16x8.sub(v128.load(s, 1008), q));
}

/**
 * Panels of accumulators of rows · columns tiles of 4×4 pixels, cut to height × width pixels.
 *
 * @param v       from transformStrided; points one behind the other, `stagger` bytes between them, tiles up to the next multiple of 4 read
 * @param u       int16[panels][81 · channels / 2][8][2], points and parts in V's order
 * @param bias    int32[panels][8]; |y + bias| < 2²⁹
 * @param acc     int32[panels][height · width][8]; panelPitch bytes between panels
 * @param scratch 800 · tiles (rounded up to 4) + 320 bytes
 */
export function strided(
  v: usize,
  stagger: i32,
  channels: i32,
  rows: i32,
  columns: i32,
  height: i32,
  width: i32,
  u: usize,
  bias: usize,
  acc: usize,
  panelPitch: i32,
  panels: i32,
  scratch: usize,
): void {
  const tiles = rows * columns;
  const rounded = (tiles + 3) & ~3;
  const mPoint = rounded << 5;
  for (let n = 0; n < panels; n++, bias += 32, acc += panelPitch) {
    let m = scratch + 320;
    let from = v;
    for (let i = 0; i < 5; i++) {
      for (let j = 0; j < 5; j++, m += mPoint) {
        const k = (channels << 2) >> (i32(i == 3) + i32(j == 3));
        products(from, 0, k << 1, tiles, u, 0, k >> 1, m, 1);
        from += rounded * (k << 1) + stagger;
        u += k << 4;
      }
    }
    for (let half: usize = 0; half < 32; half += 16) {
      const b = i32x4.shl(v128.load(bias + half), 2);
      let tile = scratch + 320 + half;
      for (let y = 0; y < rows; y++) {
        for (let x = 0; x < columns; x++, tile += 32) {
          const to = acc + (((y * width + x) << 7) + <i32>half);
          output(tile, mPoint, b, to, width << 5, min(height - (y << 2), 4), min(width - (x << 2), 4), scratch);
        }
      }
    }
  }
}

/** Rows of Aᵀ: 1 1 1 1 0 · 0 1 −1 2 0 · 0 1 1 4 0 · 0 1 −1 8 1; one tile, 4 channels. */
function output(m: usize, mPoint: i32, bias: v128, to: usize, rowPitch: i32, h: i32, w: i32, scratch: usize): void {
  const down = mPoint * 5;
  for (let j = 0, from = m, s = scratch; j < 5; j++, from += mPoint, s += 16) {
    let p = from;
    const m0 = v128.load(p);
    p += down;
    const m1 = v128.load(p);
    p += down;
    const m2 = v128.load(p);
    p += down;
    const m3 = v128.load(p);
    const a = i32x4.add(m1, m2);
    const b = i32x4.sub(m1, m2);
    v128.store(s, i32x4.add(i32x4.add(m0, a), m3));
    v128.store(s, i32x4.add(b, i32x4.shl(m3, 1)), 80);
    v128.store(s, i32x4.add(a, i32x4.shl(m3, 2)), 160);
    v128.store(s, i32x4.add(i32x4.add(b, i32x4.shl(m3, 3)), v128.load(p + down)), 240);
  }
  const inverse = i32x4.splat(inverse9);
  for (let i = 0, s = scratch; i < h; i++, s += 80, to += rowPitch) {
    const m1 = v128.load(s, 16);
    const m2 = v128.load(s, 32);
    const m3 = v128.load(s, 48);
    const a = i32x4.add(m1, m2);
    const b = i32x4.sub(m1, m2);
    v128.store(to, unscale(i32x4.add(i32x4.add(v128.load(s), a), m3), inverse, bias));
    if (w > 1) v128.store(to, unscale(i32x4.add(b, i32x4.shl(m3, 1)), inverse, bias), 32);
    if (w > 2) v128.store(to, unscale(i32x4.add(a, i32x4.shl(m3, 2)), inverse, bias), 64);
    if (w > 3) {
      const last = i32x4.add(i32x4.add(b, i32x4.shl(m3, 3)), v128.load(s, 64));
      v128.store(to, unscale(last, inverse, bias), 96);
    }
  }
}

function unscale(x: v128, inverse: v128, bias: v128): v128 {
  return i32x4.shr_s(i32x4.add(i32x4.mul(x, inverse), bias), 2);
}
