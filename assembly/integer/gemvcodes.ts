// One int16 row times weights of few bits, where reading weights is what takes the time: they are used as they lie in memory, 32 output
// channels (4 panels of 8) at a time. Exact modulo 2³².

// V8 builds vector constants anew in every turn of a loop: these are loaded before it.
const lowOf16: usize = memory.data<u16>([0x000f, 0x000f]);
const highOf16: usize = memory.data<u16>([0x00f0, 0x00f0]);
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
 * Codes are masked where they stand in their 16-bit lane; those that stand 4 bits up give 16 times their sum.
 *
 * @param a     int16[2 · pairs, rounded up to 8, the rest 0]
 * @param codes uint16[panels / 4][pairs][2][4][2]: lane (h, c, e) holds k = 2 · pair + e of channels 16h + c + 0, 4, 8, 12, 4 bits each,
 *              lowest first
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
  const base = i32x4.splat(first * sum(a, ((pairs << 1) + 7) & ~7));
  const factor = i32x4.splat(step);
  for (let n = 0; n < panels; n += 4, codes += pairs << 5, bias += 128, acc += panelPitch << 2) {
    linear(a, codes, codes + (pairs << 5), base, factor, bias, acc, panelPitch);
  }
}

function linear(a: usize, w: usize, end: usize, base: v128, factor: v128, bias: usize, to: usize, panelPitch: i32): void {
  const low = v128.load32_splat(lowOf16);
  const high = v128.load32_splat(highOf16);
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
    c1 = i32x4.add(c1, i32x4.dot_i16x8_s(x, v128.and(v, high)));
    v = i16x8.shr_u(v, 8);
    c2 = i32x4.add(c2, i32x4.dot_i16x8_s(x, v128.and(v, low)));
    c3 = i32x4.add(c3, i32x4.dot_i16x8_s(x, v128.and(v, high)));
    v = v128.load(w, 16);
    c4 = i32x4.add(c4, i32x4.dot_i16x8_s(x, v128.and(v, low)));
    c5 = i32x4.add(c5, i32x4.dot_i16x8_s(x, v128.and(v, high)));
    v = i16x8.shr_u(v, 8);
    c6 = i32x4.add(c6, i32x4.dot_i16x8_s(x, v128.and(v, low)));
    c7 = i32x4.add(c7, i32x4.dot_i16x8_s(x, v128.and(v, high)));
    a += 4;
    w += 32;
  } while (w < end);
  store(to, bias, base, i32x4.mul(c0, factor), i32x4.mul(i32x4.shr_s(c1, 4), factor));
  to += panelPitch;
  store(to, bias + 32, base, i32x4.mul(c2, factor), i32x4.mul(i32x4.shr_s(c3, 4), factor));
  to += panelPitch;
  store(to, bias + 64, base, i32x4.mul(c4, factor), i32x4.mul(i32x4.shr_s(c5, 4), factor));
  to += panelPitch;
  store(to, bias + 96, base, i32x4.mul(c6, factor), i32x4.mul(i32x4.shr_s(c7, 4), factor));
}

/**
 * The same with any 16 levels, read from a table.
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
 * The sums of all 16 subsets of each 4 neighbours of a row: low bytes, then high bytes.
 *
 * @param a      int16[4 · groups], |a| ≤ 128
 * @param tables uint8[groups][2][16]
 */
export function partialSums(a: usize, tables: usize, groups: i32): void {
  const m0 = i8x16(0, 0, -1, -1, 0, 0, -1, -1, 0, 0, -1, -1, 0, 0, -1, -1);
  const m1 = i8x16(0, 0, 0, 0, -1, -1, -1, -1, 0, 0, 0, 0, -1, -1, -1, -1);
  const m2 = i8x16(0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1);
  const lowByte = v128.load32_splat(byteOf16);
  for (const end = a + (groups << 3); a < end; a += 8, tables += 32) {
    const s = i16x8.add(
      i16x8.add(v128.and(v128.load16_splat(a), m0), v128.and(v128.load16_splat(a, 2), m1)),
      v128.and(v128.load16_splat(a, 4), m2),
    );
    const t = i16x8.add(s, v128.load16_splat(a, 6));
    v128.store(tables, i8x16.narrow_i16x8_u(v128.and(s, lowByte), v128.and(t, lowByte)));
    v128.store(tables, i8x16.narrow_i16x8_s(i16x8.shr_s(s, 8), i16x8.shr_s(t, 8)), 16);
  }
}

/** |Σ of a table's entry| ≤ 4 · 128: so many of them fit int16. */
const sumsPerWord = 64;

/**
 * acc[channel] = bias[channel] + Σₖ a[k] · (first + Σₚ factor[p] · bit[p][k][channel]): any weights of 1 bit are one plane of bits,
 * those of 2 bits two planes, or three with both bits' product. Four neighbours' bits are an index into their table of sums.
 *
 * @param a       int16[4 · groups, rounded up to 8, the rest 0]
 * @param tables  from partialSums
 * @param bits    uint8[panels / 4][planes][groups][16]: byte j holds the indices of channels j (low 4 bits) and 16 + j
 * @param factors int32[planes]
 * @param acc     int32[panels][…]: the first row of every panel is written; room for a multiple of 4
 */
export function gemvSums(
  a: usize,
  tables: usize,
  bits: usize,
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
  const base = i32x4.splat(first * sum(a, ((groups << 2) + 7) & ~7));
  for (let n = 0; n < panels; n += 4, bias += 128, acc += panelPitch << 2) {
    for (let i: usize = 0, to = acc; i < 128; i += 32, to += panelPitch) store(to, bias + i, base, zero, zero);
    for (let p = 0; p < planes; p++) {
      const factor = v128.load32_splat(factors + (p << 2));
      let t = tables;
      for (let g = 0; g < groups; g += sumsPerWord) {
        const bytes = min(groups - g, sumsPerWord) << 4;
        sums(t, bits, bits + bytes, factor, acc, panelPitch);
        bits += bytes;
        t += bytes << 1;
      }
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
    const v = v128.load(w);
    const t0 = v128.load(t);
    const t1 = v128.load(t, 16);
    let i = v128.and(v, low);
    let l = i8x16.swizzle(t0, i);
    let h = i8x16.swizzle(t1, i);
    s0 = i16x8.add(s0, v128.shuffle<i8>(l, h, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
    s1 = i16x8.add(s1, v128.shuffle<i8>(l, h, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
    i = v128.and(i16x8.shr_u(v, 4), low);
    l = i8x16.swizzle(t0, i);
    h = i8x16.swizzle(t1, i);
    s2 = i16x8.add(s2, v128.shuffle<i8>(l, h, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
    s3 = i16x8.add(s3, v128.shuffle<i8>(l, h, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
    w += 16;
    t += 32;
  } while (w < end);
  gather(to, s0, factor);
  to += panelPitch;
  gather(to, s1, factor);
  to += panelPitch;
  gather(to, s2, factor);
  to += panelPitch;
  gather(to, s3, factor);
}

function sumsU(t: usize, w: usize, end: usize, factor: v128, to: usize, panelPitch: i32): void {
  const low = v128.load32_splat(lowOf8);
  let s0 = i16x8.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  do {
    const v = v128.load(w);
    const t0 = v128.load(t);
    const t1 = v128.load(t, 16);
    let i = v128.and(v, low);
    let l = i8x16.swizzle(t0, i);
    let h = i8x16.swizzle(t1, i);
    s0 = i16x8.add(s0, v128.shuffle<i8>(l, h, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
    s1 = i16x8.add(s1, v128.shuffle<i8>(l, h, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
    i = v128.and(i16x8.shr_u(v, 4), low);
    l = i8x16.swizzle(t0, i);
    h = i8x16.swizzle(t1, i);
    s2 = i16x8.add(s2, v128.shuffle<i8>(l, h, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
    s3 = i16x8.add(s3, v128.shuffle<i8>(l, h, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
    const v2 = v128.load(w, 16);
    const t2 = v128.load(t, 32);
    const t3 = v128.load(t, 48);
    i = v128.and(v2, low);
    l = i8x16.swizzle(t2, i);
    h = i8x16.swizzle(t3, i);
    s0 = i16x8.add(s0, v128.shuffle<i8>(l, h, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
    s1 = i16x8.add(s1, v128.shuffle<i8>(l, h, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
    i = v128.and(i16x8.shr_u(v2, 4), low);
    l = i8x16.swizzle(t2, i);
    h = i8x16.swizzle(t3, i);
    s2 = i16x8.add(s2, v128.shuffle<i8>(l, h, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
    s3 = i16x8.add(s3, v128.shuffle<i8>(l, h, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
    w += 32;
    t += 64;
  } while (w < end);
  gather(to, s0, factor);
  to += panelPitch;
  gather(to, s1, factor);
  to += panelPitch;
  gather(to, s2, factor);
  to += panelPitch;
  gather(to, s3, factor);
}

function gather(to: usize, s: v128, factor: v128): void {
  v128.store(to, i32x4.add(v128.load(to), i32x4.mul(i32x4.extend_low_i16x8_s(s), factor)));
  v128.store(to, i32x4.add(v128.load(to, 16), i32x4.mul(i32x4.extend_high_i16x8_s(s), factor)), 16);
}
