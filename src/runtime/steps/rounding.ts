// The vector epilogues round all channels by one shift of at least 32 bits. A channel's own shift becomes a power of two by which
// its multiplier, and for the rest its accumulator, is multiplied first: exact as long as nothing overflows, which is checked here.

const int32Limit = 2147483648;

export interface OneShift {
  readonly t: number;
  /** Powers of two for the accumulators. */
  readonly before: Int32Array;
  readonly multiplier: Int32Array;
}

/**
 * multiplier[c] · 2^−shifts[c] = before[c] · multiplier'[c] · 2^−t, or undefined where `before` would overflow the accumulator.
 *
 * @param shifts right shifts, in [1, 62]
 * @param bound  largest |accumulator| of channel c
 */
export function oneShift(multiplier: Int32Array, shifts: Int32Array, bound: (c: number) => number): OneShift | undefined {
  let t = 32;
  for (let c = 0; c < shifts.length; c++) if (multiplier[c] !== 0) t = Math.max(t, shifts[c]!);
  const before = new Int32Array(multiplier.length).fill(1);
  const scaled = Int32Array.from(multiplier);
  for (let c = 0; c < multiplier.length; c++) {
    if (multiplier[c] === 0) continue;
    let lift = t - shifts[c]!;
    for (; lift > 0 && Math.abs(scaled[c]!) < 1 << 30; lift--) scaled[c]! *= 2;
    if (lift > 30 || (lift > 0 && bound(c) * (1 << lift) >= int32Limit)) return undefined;
    before[c] = 1 << lift;
  }
  return { t, before, multiplier: scaled };
}

/** Powers of two that bring every channel's shift to `t` with |accumulator · before| < 2³⁰; undefined where there are none. */
export function fixedShift(multiplier: Int32Array, shifts: Int32Array, bound: (c: number) => number, t: number): Int32Array | undefined {
  const before = new Int32Array(multiplier.length).fill(1);
  for (let c = 0; c < multiplier.length; c++) {
    if (multiplier[c] === 0) continue;
    const lift = t - shifts[c]!;
    if (lift < 0 || lift > 30 || bound(c) * (1 << lift) >= int32Limit / 2) return undefined;
    before[c] = 1 << lift;
  }
  return before;
}

/** Columns of int32 per channel → [panels][columns][8], what an epilogue loads for a panel; missing channels get 0. */
export function packPanels(columns: readonly Int32Array[]): Int32Array {
  const channels = columns[0]!.length;
  const packed = new Int32Array(Math.ceil(channels / 8) * columns.length * 8);
  columns.forEach((column, i) => {
    column.forEach((v, c) => {
      packed[((c >> 3) * columns.length + i) * 8 + (c & 7)] = v;
    });
  });
  return packed;
}
