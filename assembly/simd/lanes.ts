// Idioms that kernels share: vectors of 8 channels, copies that may overrun, blocks transposed, exact rounding of 64-bit sums.

/** Writes the first `lanes` (1…7) bytes of v. */
export function storeBytes(out: usize, v: v128, lanes: i32): void {
  let bits = i64x2.extract_lane(v, 0);
  for (const end = out + lanes; out < end; out++, bits >>= 8) store<u8>(out, <u8>bits);
}

/** Copies n bytes in steps of 16; reads and writes up to 15 bytes further. */
export function copyBytes(from: usize, to: usize, n: i32): void {
  for (const end = to + n; to < end; from += 16, to += 16) v128.store(to, v128.load(from));
}

/** Fills n bytes in steps of 16; writes up to 15 bytes further. */
export function fillBytes(to: usize, value: v128, n: i32): void {
  for (const end = to + n; to < end; to += 16) v128.store(to, value);
}

/** The 4×4 block of 32-bit lanes with rows x0 … x3, transposed: 64 bytes. */
export function storeTransposed(to: usize, x0: v128, x1: v128, x2: v128, x3: v128): void {
  const upper01 = v128.shuffle<i32>(x0, x1, 0, 4, 1, 5);
  const upper23 = v128.shuffle<i32>(x2, x3, 0, 4, 1, 5);
  const lower01 = v128.shuffle<i32>(x0, x1, 2, 6, 3, 7);
  const lower23 = v128.shuffle<i32>(x2, x3, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<i64>(upper01, upper23, 0, 2));
  v128.store(to, v128.shuffle<i64>(upper01, upper23, 1, 3), 16);
  v128.store(to, v128.shuffle<i64>(lower01, lower23, 0, 2), 32);
  v128.store(to, v128.shuffle<i64>(lower01, lower23, 1, 3), 48);
}

/** Σ over 8 channels → 8 codes in the low half: saturate to int16, add the zero point, saturate to int8. */
export function toCodes(r0: v128, r1: v128, zero: v128): v128 {
  const codes = i16x8.add_sat_s(i16x8.narrow_i32x4_s(r0, r1), zero);
  return i8x16.narrow_i16x8_s(codes, codes);
}

/**
 * round(p · 2^−t) of four 64-bit sums (lanes 0, 1 in p0, 2, 3 in p1), halves to even; t = 32 + shift. After adding one half, a tie is a
 * sum whose low t bits are all zero; its result loses its lowest bit. Only high words are shifted: i64x2.shr_s is several times slower
 * than i32x4.shr_s on x86.
 *
 * @param half 2^(t−1) in both lanes; |p| + half < 2⁶³
 * @param mask 2^shift − 1 in every lane
 * @param one  1 in every lane
 */
export function roundEven(p0: v128, p1: v128, half: v128, shift: i32, mask: v128, one: v128): v128 {
  const s0 = i64x2.add(p0, half);
  const s1 = i64x2.add(p1, half);
  const high = v128.shuffle<i32>(s0, s1, 1, 3, 5, 7);
  const low = v128.shuffle<i32>(s0, s1, 0, 2, 4, 6);
  const rest = v128.or(low, v128.and(high, mask));
  const tie = i32x4.eq(rest, v128.xor(rest, rest));
  const rounded = i32x4.shr_s(high, shift);
  return i32x4.sub(rounded, v128.and(v128.and(tie, rounded), one));
}
