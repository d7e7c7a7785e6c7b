// Products of codes of 1 bit with weights of 1 bit: what they have in common is counted, 64 at a time. Exact modulo 2³².

/**
 * Rows of codes of two values as bits: 1 where a code is not `least`.
 *
 * @param from   int8[rows][pitch]; up to 15 bytes further than n are read
 * @param to     uint64[rows][⌈n / 64⌉], bits from n on unspecified
 * @param mask   uint64[⌈n / 64⌉]: the bits that are counted
 * @param counts int32[rows]
 */
export function packBits(from: usize, pitch: i32, to: usize, rows: i32, n: i32, least: i32, mask: usize, counts: usize): void {
  const none = i8x16.splat(<i8>least);
  const bytes: usize = ((n + 63) >> 6) << 3;
  for (let r = 0; r < rows; r++, from += pitch, counts += 4) {
    const row = to;
    for (let at = from, end = from + n; at < end; at += 16, to += 2) store<u16>(to, <u16>i8x16.bitmask(i8x16.ne(v128.load(at), none)));
    to = row + bytes;
    let count: i64 = 0;
    for (let w = row, m = mask; w < to; w += 8, m += 8) count += popcnt<i64>(load<i64>(w) & load<i64>(m));
    store<i32>(counts, <i32>count);
  }
}

/**
 * acc[n][m][j] = bias[n][j] + base · counts[m] + factor · Σ over words of popcount(a[m] & w[n][j]).
 *
 * @param a      uint64[rows][words], from packBits, as counts int32[rows]
 * @param w      uint64[panels][words][8]
 * @param acc    int32[panels][…rows][8]
 */
export function gemmBits(
  a: usize,
  counts: usize,
  words: i32,
  rows: i32,
  w: usize,
  base: i32,
  factor: i32,
  bias: usize,
  acc: usize,
  panelPitch: i32,
  panels: i32,
): void {
  const scale = i32x4.splat(factor);
  for (let n = 0; n < panels; n++, w += words << 6, bias += 32, acc += panelPitch) {
    for (let m = 0, x = a, to = acc; m < rows; m++, to += 32) {
      let s0: i64 = 0;
      let s1: i64 = 0;
      let s2: i64 = 0;
      let s3: i64 = 0;
      let s4: i64 = 0;
      let s5: i64 = 0;
      let s6: i64 = 0;
      let s7: i64 = 0;
      for (let v = w, end = w + ((<usize>words) << 6); v < end; v += 64, x += 8) {
        const bits = load<i64>(x);
        s0 += popcnt<i64>(bits & load<i64>(v));
        s1 += popcnt<i64>(bits & load<i64>(v, 8));
        s2 += popcnt<i64>(bits & load<i64>(v, 16));
        s3 += popcnt<i64>(bits & load<i64>(v, 24));
        s4 += popcnt<i64>(bits & load<i64>(v, 32));
        s5 += popcnt<i64>(bits & load<i64>(v, 40));
        s6 += popcnt<i64>(bits & load<i64>(v, 48));
        s7 += popcnt<i64>(bits & load<i64>(v, 56));
      }
      const shared = i32x4.splat(base * load<i32>(counts + (m << 2)));
      const low = i32x4.replace_lane(i32x4.replace_lane(i32x4.replace_lane(i32x4.splat(<i32>s0), 1, <i32>s1), 2, <i32>s2), 3, <i32>s3);
      const high = i32x4.replace_lane(i32x4.replace_lane(i32x4.replace_lane(i32x4.splat(<i32>s4), 1, <i32>s5), 2, <i32>s6), 3, <i32>s7);
      v128.store(to, i32x4.add(i32x4.add(v128.load(bias), shared), i32x4.mul(low, scale)));
      v128.store(to, i32x4.add(i32x4.add(v128.load(bias, 16), shared), i32x4.mul(high, scale)), 16);
    }
  }
}
