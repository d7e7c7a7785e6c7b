// Element by element over codes, 8 at a time. `rows` rows of n elements of a, each with the same n of b (one row: equal shapes).
// Exactly rows · n bytes are written; reads go up to 7 bytes further.
import { fillBytes, roundEven, storeBytes, toCodes } from "../simd/lanes";

/**
 * y = zero + round_even(((a − za) · qa + (b − zb) · qb) · 2^(lift − t)), clamped.
 *
 * @param t    in [32, 62]
 * @param lift in [0, 22]: the plan's bits = t − lift, which the differences make up for
 */
export function add(
  a: usize,
  b: usize,
  out: usize,
  rows: i32,
  n: i32,
  za: i32,
  zb: i32,
  qa: i32,
  qb: i32,
  t: i32,
  lift: i32,
  zero: i32,
  lo: i32,
  hi: i32,
): void {
  const half = i64x2.splat((<i64>1) << (t - 1));
  const shift = t - 32;
  const mask = i32x4.splat((1 << shift) - 1);
  const one = i32x4.splat(1);
  const zeros = i16x8.splat(<i16>zero);
  const low = i8x16.splat(<i8>lo);
  const high = i8x16.splat(<i8>hi);
  const zerosA = i16x8.splat(<i16>za);
  const zerosB = i16x8.splat(<i16>zb);
  const factorA = i32x4.splat(qa);
  const factorB = i32x4.splat(qb);
  for (let y = 0; y < rows; y++) {
    for (let i = 0; i < n; i += 8, a += 8, out += 8) {
      const da = i16x8.sub(v128.load8x8_s(a), zerosA);
      const db = i16x8.sub(v128.load8x8_s(b + i), zerosB);
      const a0 = i32x4.shl(i32x4.extend_low_i16x8_s(da), lift);
      const b0 = i32x4.shl(i32x4.extend_low_i16x8_s(db), lift);
      const a1 = i32x4.shl(i32x4.extend_high_i16x8_s(da), lift);
      const b1 = i32x4.shl(i32x4.extend_high_i16x8_s(db), lift);
      const r0 = roundEven(
        i64x2.add(i64x2.extmul_low_i32x4_s(a0, factorA), i64x2.extmul_low_i32x4_s(b0, factorB)),
        i64x2.add(i64x2.extmul_high_i32x4_s(a0, factorA), i64x2.extmul_high_i32x4_s(b0, factorB)),
        half,
        shift,
        mask,
        one,
      );
      const r1 = roundEven(
        i64x2.add(i64x2.extmul_low_i32x4_s(a1, factorA), i64x2.extmul_low_i32x4_s(b1, factorB)),
        i64x2.add(i64x2.extmul_high_i32x4_s(a1, factorA), i64x2.extmul_high_i32x4_s(b1, factorB)),
        half,
        shift,
        mask,
        one,
      );
      const codes = i8x16.min_s(i8x16.max_s(toCodes(r0, r1, zeros), low), high);
      if (n - i >= 8) v128.store64_lane(out, codes, 0);
      else storeBytes(out, codes, n - i);
    }
    a += n - ((n + 7) & ~7);
    out += n - ((n + 7) & ~7);
  }
}

/**
 * y = zero + round_even((a − za)(b − zb) · multiplier · 2^(lift − t)), clamped.
 *
 * @param t    in [32, 62]
 * @param lift in [0, 14]: |(a − za)(b − zb)| < 2¹⁶ is shifted by it
 */
export function mul(
  a: usize,
  b: usize,
  out: usize,
  rows: i32,
  n: i32,
  za: i32,
  zb: i32,
  multiplier: i32,
  t: i32,
  lift: i32,
  zero: i32,
  lo: i32,
  hi: i32,
): void {
  const half = i64x2.splat((<i64>1) << (t - 1));
  const shift = t - 32;
  const mask = i32x4.splat((1 << shift) - 1);
  const one = i32x4.splat(1);
  const zeros = i16x8.splat(<i16>zero);
  const low = i8x16.splat(<i8>lo);
  const high = i8x16.splat(<i8>hi);
  const zerosA = i16x8.splat(<i16>za);
  const zerosB = i16x8.splat(<i16>zb);
  const factor = i32x4.splat(multiplier);
  for (let y = 0; y < rows; y++) {
    for (let i = 0; i < n; i += 8, a += 8, out += 8) {
      const da = i16x8.sub(v128.load8x8_s(a), zerosA);
      const db = i16x8.sub(v128.load8x8_s(b + i), zerosB);
      const p0 = i32x4.shl(i32x4.extmul_low_i16x8_s(da, db), lift);
      const p1 = i32x4.shl(i32x4.extmul_high_i16x8_s(da, db), lift);
      const r0 = roundEven(i64x2.extmul_low_i32x4_s(p0, factor), i64x2.extmul_high_i32x4_s(p0, factor), half, shift, mask, one);
      const r1 = roundEven(i64x2.extmul_low_i32x4_s(p1, factor), i64x2.extmul_high_i32x4_s(p1, factor), half, shift, mask, one);
      const codes = i8x16.min_s(i8x16.max_s(toCodes(r0, r1, zeros), low), high);
      if (n - i >= 8) v128.store64_lane(out, codes, 0);
      else storeBytes(out, codes, n - i);
    }
    a += n - ((n + 7) & ~7);
    out += n - ((n + 7) & ~7);
  }
}

/**
 * y = table[x + 128], element i of a row by its own table if tablePitch = 256 (0: one table for all). Scalar: sixteen swizzles and
 * their blends cost more than sixteen loads.
 *
 * @param x     int8[rows][pitch], out likewise
 * @param table int8[256] or int8[n][256]
 */
export function lookup(x: usize, out: usize, rows: i32, n: i32, pitch: i32, table: usize, tablePitch: i32): void {
  for (let y = 0; y < rows; y++, x += pitch, out += pitch) {
    let entries = table + 128;
    for (let i = 0; i < n; i++, entries += tablePitch) store<u8>(out + i, load<u8>(entries + <isize>load<i8>(x + i)));
  }
}

/** n copies of one code; writes up to 15 bytes further. */
export function splat(from: usize, to: usize, n: i32): void {
  fillBytes(to, v128.load8_splat(from), n);
}
