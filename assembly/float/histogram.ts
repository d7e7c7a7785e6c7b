// Log-linear histogram over float32 bit patterns: the bucket of x is its sign, exponent and first 7 mantissa bits,
// that is u >> 16 of its bits u. Everything kept is an integer, so that any order of counting gives the same table.
//
// A bucket is four 64-bit counters, one per SIMD lane: neighbours that fall into the same bucket (the zeros behind a ReLU)
// would otherwise wait for each other's store. A counter holds the number of members in its upper 24 bits and the sum of
// their low 16 bits in the lower 40, so that one addition does both.
//
// The table spans all 65 536 patterns, but a tensor touches 20–40 octaves of 4 kB. NaN and infinity have buckets like any
// other; zeros share bucket 0 of their sign with the smallest subnormals and are counted apart.

/**
 * Counts n float32 values.
 *
 * @param x     float32[n], 16-byte aligned
 * @param n     at most 2²⁴ − 1 between two clearings of the table, so that neither half of a counter overflows
 * @param table u64[65536][4], added to: counter [u >> 16][i & 3] += 2⁴⁰ + (u & 0xffff)
 * @param facts float32 max(x, 0), float32 min(x, 0) (NaN is ignored), u32 number of +0, u32 number of −0, u32 least magnitude
 *              above 0 as bits, less one, u32 greatest magnitude as bits: combined with what is there
 */
export function histogramCount(x: usize, n: i32, table: usize, facts: usize): void {
  let high = f32x4.splat(load<f32>(facts));
  let low = f32x4.splat(load<f32>(facts, 4));
  let zeros = i32x4.splat(0);
  let minusZeros = i32x4.splat(0);
  let least = v128.load32_splat(facts, 16);
  let greatest = v128.load32_splat(facts, 20);
  const one = i32x4.splat(1);
  const noSign = i32x4.splat(0x7fffffff);
  const plus = i32x4.splat(0);
  const minus = i32x4.splat(0x80000000);
  const end = x + ((<usize>n >> 2) << 4);
  while (x < end) {
    const v = v128.load(x);
    high = f32x4.pmax(high, v);
    low = f32x4.pmin(low, v);
    zeros = i32x4.sub(zeros, i32x4.eq(v, plus));
    minusZeros = i32x4.sub(minusZeros, i32x4.eq(v, minus));
    const magnitude = v128.and(v, noSign);
    least = i32x4.min_u(least, i32x4.sub(magnitude, one)); // 0 wraps to the largest number
    greatest = i32x4.max_u(greatest, magnitude);
    countOne(table, load<u32>(x));
    countOne(table + 8, load<u32>(x, 4));
    countOne(table + 16, load<u32>(x, 8));
    countOne(table + 24, load<u32>(x, 12));
    x += 16;
  }
  let top = larger(
    larger(f32x4.extract_lane(high, 0), f32x4.extract_lane(high, 1)),
    larger(f32x4.extract_lane(high, 2), f32x4.extract_lane(high, 3)),
  );
  let bottom = smaller(
    smaller(f32x4.extract_lane(low, 0), f32x4.extract_lane(low, 1)),
    smaller(f32x4.extract_lane(low, 2), f32x4.extract_lane(low, 3)),
  );
  let zeroCount = sumLanes(zeros) + load<i32>(facts, 8);
  let minusCount = sumLanes(minusZeros) + load<i32>(facts, 12);
  let leastBits: u32 = min(
    min(<u32>i32x4.extract_lane(least, 0), <u32>i32x4.extract_lane(least, 1)),
    min(<u32>i32x4.extract_lane(least, 2), <u32>i32x4.extract_lane(least, 3)),
  );
  let greatestBits: u32 = max(
    max(<u32>i32x4.extract_lane(greatest, 0), <u32>i32x4.extract_lane(greatest, 1)),
    max(<u32>i32x4.extract_lane(greatest, 2), <u32>i32x4.extract_lane(greatest, 3)),
  );
  for (let rest = n & 3; rest > 0; rest--, x += 4, table += 8) {
    const u = load<u32>(x);
    countOne(table, u);
    top = larger(top, load<f32>(x));
    bottom = smaller(bottom, load<f32>(x));
    zeroCount += i32(u == 0);
    minusCount += i32(u == 0x80000000);
    leastBits = min(leastBits, (u & 0x7fffffff) - 1);
    greatestBits = max(greatestBits, u & 0x7fffffff);
  }
  store<f32>(facts, top);
  store<f32>(facts, bottom, 4);
  store<i32>(facts, zeroCount, 8);
  store<i32>(facts, minusCount, 12);
  store<u32>(facts, leastBits, 16);
  store<u32>(facts, greatestBits, 20);
}

function countOne(table: usize, u: u32): void {
  const counter = table + ((<usize>(u >> 16)) << 5);
  store<u64>(counter, load<u64>(counter) + (((<u64>1) << 40) | <u64>(u & 0xffff)));
}

/** The larger; `value` when it is NaN never wins. */
function larger(best: f32, value: f32): f32 {
  return best < value ? value : best;
}

function smaller(best: f32, value: f32): f32 {
  return value < best ? value : best;
}

function sumLanes(v: v128): i32 {
  return i32x4.extract_lane(v, 0) + i32x4.extract_lane(v, 1) + i32x4.extract_lane(v, 2) + i32x4.extract_lane(v, 3);
}

/**
 * Adds the table to sums in float64 and clears it. Exact while the sums stay below 2⁵³.
 *
 * @param table as of histogramCount; only the octaves from `first` up to but without `last` (128 buckets each, index u >> 23) are visited
 * @param pages float64[last − first][2][128], written: members, then sums of their low 16 bits
 * @param used  uint8[last − first], written: 1 where the octave has members
 */
export function histogramDrain(table: usize, first: i32, last: i32, pages: usize, used: usize): void {
  for (let octave = first; octave < last; octave++, pages += 2048, used++) {
    let any: u64 = 0;
    let counter = table + ((<usize>octave) << 12);
    for (let i = 0; i < 128; i++, counter += 32) {
      const a = load<u64>(counter);
      const b = load<u64>(counter, 8);
      const c = load<u64>(counter, 16);
      const d = load<u64>(counter, 24);
      const all = a | b | c | d;
      any |= all;
      store<f64>(pages + ((<usize>i) << 3), <f64>((a >> 40) + (b >> 40) + (c >> 40) + (d >> 40)));
      store<f64>(pages + ((<usize>i) << 3), <f64>((a & mask40) + (b & mask40) + (c & mask40) + (d & mask40)), 1024);
      if (all) {
        v128.store(counter, i64x2.splat(0));
        v128.store(counter, i64x2.splat(0), 16);
      }
    }
    store<u8>(used, u8(any != 0));
  }
}

const mask40: u64 = 0xffffffffff;
