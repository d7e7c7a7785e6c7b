// One int16 row times weights of few bits, where reading weights is what takes the time: they are used as they lie in memory, 32 output
// channels (4 panels of 8) at a time. Exact modulo 2³².

// V8 builds vector constants anew in every turn of a loop: these are loaded before it.
const lowOf16: usize = memory.data<u16>([0x000f, 0x000f]);
const byteOf16: usize = memory.data<u16>([0x00ff, 0x00ff]);
const lowOf8: usize = memory.data<u16>([0x0f0f, 0x0f0f]);

/** Σ of n int16, n a multiple of 8. */
function sum(a: usize, n: i32): i32 {
  const ones = i16x8.splat(1);
  let s = i32x4.splat(0);
  for (const end = a + (n << 1); a < end; a += 16) s = i32x4.add(s, i32x4.dot_i16x8_s(v128.load(a), ones));
  return i32x4.extract_lane(s, 0) + i32x4.extract_lane(s, 1) + i32x4.extract_lane(s, 2) + i32x4.extract_lane(s, 3);
}

function store(to: usize, bias: usize, base: v128, c0: v128, c1: v128): void {
  v128.store(to, i32x4.add(i32x4.add(v128.load(bias), base), c0));
  v128.store(to, i32x4.add(i32x4.add(v128.load(bias, 16), base), c1), 16);
}

/**
 * acc[channel] = bias[channel] + Σₖ a[k] · (first + step · code[k][channel]): levels that count evenly need no table.
 * A lane n₀ + 16 n₁ + 256 n₂ + 4096 n₃ is multiplied whole, shifted by 8, and masked before and after: the four sums give those of the
 * codes modulo 2³², for three operations instead of the seven that bring every code into a lane of its own.
 *
 * @param a     int16[2 · pairs, rounded up to 8, the rest 0], |a| ≤ 128
 * @param codes uint16[panels / 4][pairs][2][4][2]: lane (h, c, e) holds k = 2 · pair + e of channels 16h + c + 0, 4, 8, 12, 4 bits each,
 *              lowest first; the highest, n₃, has its top bit inverted, so that the signed lane stands for n₃ − 8
 * @param pairs at most 32768, so that 16 · 15 · 128 · 2 · pairs < 2³¹
 * @param bias  int32[panels][8]
 * @param acc   int32[panels][…]: the first row of every panel is written; room for a multiple of 4
 */
export function gemvLinear(
  a: usize,
  codes: usize,
  pairs: i32,
  first: i32,
  step: i32,
  bias: usize,
  acc: usize,
  panelPitch: i32,
  panels: i32,
): void {
  const all = sum(a, ((pairs << 1) + 7) & ~7);
  const base = i32x4.splat(first * all);
  const highest = i32x4.splat(all << 3);
  const factor = i32x4.splat(step);
  for (let n = 0; n < panels; n += 4, codes += pairs << 5, bias += 128, acc += panelPitch << 2) {
    linear(a, codes, codes + (pairs << 5), base, highest, factor, bias, acc, panelPitch);
  }
}

function linear(a: usize, w: usize, end: usize, base: v128, highest: v128, factor: v128, bias: usize, to: usize, panelPitch: i32): void {
  const low = v128.load32_splat(lowOf16);
  let c0 = i32x4.splat(0);
  let c1 = c0;
  let c2 = c0;
  let c3 = c0;
  let c4 = c0;
  let c5 = c0;
  let c6 = c0;
  let c7 = c0;
  do {
    const x = v128.load32_splat(a);
    let v = v128.load(w);
    c0 = i32x4.add(c0, i32x4.dot_i16x8_s(x, v128.and(v, low)));
    c1 = i32x4.add(c1, i32x4.dot_i16x8_s(x, v));
    v = i16x8.shr_s(v, 8);
    c2 = i32x4.add(c2, i32x4.dot_i16x8_s(x, v128.and(v, low)));
    c3 = i32x4.add(c3, i32x4.dot_i16x8_s(x, v));
    v = v128.load(w, 16);
    c4 = i32x4.add(c4, i32x4.dot_i16x8_s(x, v128.and(v, low)));
    c5 = i32x4.add(c5, i32x4.dot_i16x8_s(x, v));
    v = i16x8.shr_s(v, 8);
    c6 = i32x4.add(c6, i32x4.dot_i16x8_s(x, v128.and(v, low)));
    c7 = i32x4.add(c7, i32x4.dot_i16x8_s(x, v));
    a += 4;
    w += 32;
  } while (w < end);
  unmix(c0, c1, c2, c3, base, highest, factor, bias, to, panelPitch);
  unmix(c4, c5, c6, c7, base, highest, factor, bias + 64, to + panelPitch * 2, panelPitch);
}

/** Sums with n₀, the lane, n₂ and n₂ + 16 (n₃ − 8) → two panels. */
function unmix(
  s0: v128,
  lane: v128,
  s2: v128,
  upper: v128,
  base: v128,
  highest: v128,
  factor: v128,
  bias: usize,
  to: usize,
  panelPitch: i32,
): void {
  const s1 = i32x4.shr_s(i32x4.sub(i32x4.sub(lane, s0), i32x4.shl(upper, 8)), 4);
  const s3 = i32x4.add(i32x4.shr_s(i32x4.sub(upper, s2), 4), highest);
  store(to, bias, base, i32x4.mul(s0, factor), i32x4.mul(s1, factor));
  store(to + panelPitch, bias + 32, base, i32x4.mul(s2, factor), i32x4.mul(s3, factor));
}

/**
 * The same with any 16 levels, read from a table; all codes as they are.
 *
 * @param levels uint8[16]: level + 128, so that bytes become 16-bit lanes by a mask or a shift
 */
export function gemvTable(a: usize, codes: usize, pairs: i32, levels: usize, bias: usize, acc: usize, panelPitch: i32, panels: i32): void {
  const base = i32x4.splat(-128 * sum(a, ((pairs << 1) + 7) & ~7));
  const table = v128.load(levels);
  for (let n = 0; n < panels; n += 4, codes += pairs << 5, bias += 128, acc += panelPitch << 2) {
    looked(a, codes, codes + (pairs << 5), table, base, bias, acc, panelPitch);
  }
}

function looked(a: usize, w: usize, end: usize, table: v128, base: v128, bias: usize, to: usize, panelPitch: i32): void {
  const low = v128.load32_splat(lowOf8);
  const even = v128.load32_splat(byteOf16);
  let c0 = i32x4.splat(0);
  let c1 = c0;
  let c2 = c0;
  let c3 = c0;
  let c4 = c0;
  let c5 = c0;
  let c6 = c0;
  let c7 = c0;
  do {
    const x = v128.load32_splat(a);
    let v = v128.load(w);
    let u = i8x16.swizzle(table, v128.and(v, low));
    c0 = i32x4.add(c0, i32x4.dot_i16x8_s(x, v128.and(u, even)));
    c2 = i32x4.add(c2, i32x4.dot_i16x8_s(x, i16x8.shr_u(u, 8)));
    u = i8x16.swizzle(table, v128.and(i16x8.shr_u(v, 4), low));
    c1 = i32x4.add(c1, i32x4.dot_i16x8_s(x, v128.and(u, even)));
    c3 = i32x4.add(c3, i32x4.dot_i16x8_s(x, i16x8.shr_u(u, 8)));
    v = v128.load(w, 16);
    u = i8x16.swizzle(table, v128.and(v, low));
    c4 = i32x4.add(c4, i32x4.dot_i16x8_s(x, v128.and(u, even)));
    c6 = i32x4.add(c6, i32x4.dot_i16x8_s(x, i16x8.shr_u(u, 8)));
    u = i8x16.swizzle(table, v128.and(i16x8.shr_u(v, 4), low));
    c5 = i32x4.add(c5, i32x4.dot_i16x8_s(x, v128.and(u, even)));
    c7 = i32x4.add(c7, i32x4.dot_i16x8_s(x, i16x8.shr_u(u, 8)));
    a += 4;
    w += 32;
  } while (w < end);
  store(to, bias, base, c0, c1);
  to += panelPitch;
  store(to, bias + 32, base, c2, c3);
  to += panelPitch;
  store(to, bias + 64, base, c4, c5);
  to += panelPitch;
  store(to, bias + 96, base, c6, c7);
}

// Tables of partial sums ----------------------------------------------------------------------------------------------------------

/**
 * The sums of all 16 subsets of each 4 neighbours of a row, 512 added so that none is negative: low 5 bits, then high 5 bits. So bytes
 * hold the sum of 8 of them, and their 16-bit lanes come apart only once in 8.
 *
 * @param a      int16[4 · groups], |a| ≤ 128
 * @param tables uint8[groups][2][16]
 */
export function partialSums(a: usize, tables: usize, groups: i32): void {
  const m0 = i8x16(0, 0, -1, -1, 0, 0, -1, -1, 0, 0, -1, -1, 0, 0, -1, -1);
  const m1 = i8x16(0, 0, 0, 0, -1, -1, -1, -1, 0, 0, 0, 0, -1, -1, -1, -1);
  const m2 = i8x16(0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1);
  const low = i16x8.splat(31);
  const offset = i16x8.splat(512);
  for (const end = a + (groups << 3); a < end; a += 8, tables += 32) {
    const s = i16x8.add(
      i16x8.add(v128.and(v128.load16_splat(a), m0), v128.and(v128.load16_splat(a, 2), m1)),
      i16x8.add(v128.and(v128.load16_splat(a, 4), m2), offset),
    );
    const t = i16x8.add(s, v128.load16_splat(a, 6));
    v128.store(tables, i8x16.narrow_i16x8_u(v128.and(s, low), v128.and(t, low)));
    v128.store(tables, i8x16.narrow_i16x8_u(i16x8.shr_u(s, 5), i16x8.shr_u(t, 5)), 16);
  }
}

/** A table's entries are at most 1020: so many of them fit 16 bits, and so many tables the first-level cache. */
const sumsPerWord = 64;

/**
 * acc[channel] = bias[channel] + Σₖ a[k] · (first + Σₚ factor[p] · bit[p][k][channel]): any weights of 1 bit are one plane of bits,
 * those of 2 bits two planes, or three with both bits' product. Four neighbours' bits are an index into their table of sums.
 *
 * @param a       int16[4 · groups, rounded up to 8, the rest 0]
 * @param tables  from partialSums
 * @param bits    uint8[blocks of 64 groups][quads][planes][groups of the block][16]: bytes 2j and 2j + 1 hold the indices of channels j and j + 8 (low 4 bits) and
 *                j + 16 and j + 24
 * @param quads   fours of panels in all; the product begins with number `quad`
 * @param factors int32[planes]
 * @param acc     int32[panels][…]: the first row of every panel is written; room for a multiple of 4
 */
export function gemvSums(
  a: usize,
  tables: usize,
  bits: usize,
  quads: i32,
  quad: i32,
  groups: i32,
  planes: i32,
  first: i32,
  factors: usize,
  bias: usize,
  acc: usize,
  panelPitch: i32,
  panels: i32,
): void {
  const zero = i32x4.splat(0);
  let all = 0;
  for (let p = 0; p < planes; p++) all += load<i32>(factors + (p << 2));
  const base = i32x4.splat(first * sum(a, ((groups << 2) + 7) & ~7) - all * (groups << 9));
  const fours = (panels + 3) >> 2;
  for (let n = 0, to = acc; n < fours << 2; n++, bias += 32, to += panelPitch) store(to, bias, base, zero, zero);
  for (let g = 0; g < groups; g += sumsPerWord, tables += sumsPerWord << 5) {
    const bytes = min(groups - g, sumsPerWord) << 4;
    let w = bits + quads * planes * (g << 4) + quad * planes * bytes;
    for (let n = 0, to = acc; n < fours; n++, to += panelPitch << 2) {
      for (let p = 0; p < planes; p++, w += bytes) sums(tables, w, w + bytes, v128.load32_splat(factors + (p << 2)), to, panelPitch);
    }
  }
}

function sums(t: usize, w: usize, end: usize, factor: v128, to: usize, panelPitch: i32): void {
  const low = v128.load32_splat(lowOf8);
  let s0 = i16x8.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  do {
    let l0 = i8x16.splat(0);
    let l1 = l0;
    let h0 = l0;
    let h1 = l0;
    const stop = min(w + 128, end);
    do {
      const v = v128.load(w);
      const t0 = v128.load(t);
      const t1 = v128.load(t, 16);
      let i = v128.and(v, low);
      l0 = i8x16.add(l0, i8x16.swizzle(t0, i));
      h0 = i8x16.add(h0, i8x16.swizzle(t1, i));
      i = v128.and(i16x8.shr_u(v, 4), low);
      l1 = i8x16.add(l1, i8x16.swizzle(t0, i));
      h1 = i8x16.add(h1, i8x16.swizzle(t1, i));
      w += 16;
      t += 32;
    } while (w < stop);
    s0 = i16x8.add(s0, even(l0, h0));
    s1 = i16x8.add(s1, odd(l0, h0));
    s2 = i16x8.add(s2, even(l1, h1));
    s3 = i16x8.add(s3, odd(l1, h1));
  } while (w < end);
  gather(to, s0, factor);
  to += panelPitch;
  gather(to, s1, factor);
  to += panelPitch;
  gather(to, s2, factor);
  to += panelPitch;
  gather(to, s3, factor);
}

/** low + 32 · high of the even bytes. */
function even(low: v128, high: v128): v128 {
  const mask = i16x8.splat(255);
  return i16x8.add(v128.and(low, mask), i16x8.shl(v128.and(high, mask), 5));
}

function odd(low: v128, high: v128): v128 {
  return i16x8.add(i16x8.shr_u(low, 8), i16x8.shl(i16x8.shr_u(high, 8), 5));
}

function gather(to: usize, s: v128, factor: v128): void {
  v128.store(to, i32x4.add(v128.load(to), i32x4.mul(i32x4.extend_low_i16x8_u(s), factor)));
  v128.store(to, i32x4.add(v128.load(to, 16), i32x4.mul(i32x4.extend_high_i16x8_u(s), factor)), 16);
}
