// A counter-based generator: element i of a stream is a function of (key, i), so it does not matter who draws it, when, or how many at once.
// Twin of src/reconstruct/random.ts; a test compares the bits.

import { storeSome } from "./lanes";

/**
 * A bijection of 32 bits in which every input bit flips every output bit with probability ½ up to 0.11 of a thousandth.
 * Source: C. Wellons, "Prospecting for Hash Functions" (form xorshift–multiply, constants of T. Ettenhofer's search), public domain.
 */
function scramble4(x: v128): v128 {
  x = v128.xor(x, i32x4.shr_u(x, 16));
  x = i32x4.mul(x, i32x4.splat(0x21f0aaad));
  x = v128.xor(x, i32x4.shr_u(x, 15));
  x = i32x4.mul(x, i32x4.splat(0xd35a2d97));
  return v128.xor(x, i32x4.shr_u(x, 15));
}

/** Four random words: scramble(scramble(index + k0) ^ k1). */
export function random4(index: v128, k0: v128, k1: v128): v128 {
  return scramble4(v128.xor(scramble4(i32x4.add(index, k0)), k1));
}

/** Indices first, first + 1, first + 2, first + 3. */
export function indices4(first: u32): v128 {
  return i32x4.add(i32x4.splat(first), i32x4(0, 1, 2, 3));
}

/** dst[i] = word first + i of the stream, n words. */
export function randomWords(dst: usize, n: i32, k0: u32, k1: u32, first: u32): void {
  const a = i32x4.splat(k0);
  const b = i32x4.splat(k1);
  const four = i32x4.splat(4);
  let index = indices4(first);
  for (let left = n; left > 0; left -= 4, dst += 16, index = i32x4.add(index, four)) {
    const word = random4(index, a, b);
    if (left >= 4) v128.store(dst, word);
    else storeSome(dst, word, left);
  }
}

/**
 * dst[i] = word(first + i) ≤ limit ? a[i] : b[i], so that a is taken with probability (limit + 1) / 2³².
 *
 * @param dst float32[n]; may be a or b
 */
export function mixRandomly(dst: usize, a: usize, b: usize, n: i32, limit: u32, k0: u32, k1: u32, first: u32): void {
  const key0 = i32x4.splat(k0);
  const key1 = i32x4.splat(k1);
  const most = i32x4.splat(limit);
  const four = i32x4.splat(4);
  let index = indices4(first);
  const end = dst + ((<usize>(n & ~3)) << 2);
  for (; dst < end; dst += 16, a += 16, b += 16, index = i32x4.add(index, four)) {
    v128.store(dst, v128.bitselect(v128.load(a), v128.load(b), i32x4.le_u(random4(index, key0, key1), most)));
  }
  const last = v128.bitselect(v128.load(a), v128.load(b), i32x4.le_u(random4(index, key0, key1), most));
  storeSome(dst, last, n & 3);
}
