import { addRounded, type CodeRange, requantize, toCode } from "./requantize.ts";

/** One operand of an addition: codes, their zero point and multiplier. */
export interface Addend {
  readonly codes: Int8Array;
  readonly zeroPoint: number;
  readonly multiplier: number;
}

/** zero + round_even(((a − za)·qa + (b − zb)·qb) / 2^bits), clamped. b repeats: its length divides a's (per channel, or one element). */
export function addCodes(a: Addend, b: Addend, bits: number, range: CodeRange): Int8Array {
  return a.codes.map((code, i) => {
    const other = b.codes[i % b.codes.length]!;
    return toCode(addRounded(code - a.zeroPoint, a.multiplier, other - b.zeroPoint, b.multiplier, bits), range);
  });
}

/** zero + round_even((a − za)(b − zb) · multiplier · 2^(shift − 31)), clamped; b repeats as above. */
export function mulCodes(
  a: Omit<Addend, "multiplier">,
  b: Omit<Addend, "multiplier">,
  multiplier: number,
  shift: number,
  range: CodeRange,
): Int8Array {
  return a.codes.map((code, i) => {
    const product = (code - a.zeroPoint) * (b.codes[i % b.codes.length]! - b.zeroPoint);
    return toCode(requantize(product, multiplier, shift, "even"), range);
  });
}

/** y = table[x + 128]; int8[256] for all, or int8[channels][256]. */
export function lookupCodes(x: Int8Array, table: Int8Array): Int8Array {
  const channels = table.length / 256;
  return x.map((code, i) => table[(i % channels) * 256 + code + 128]!);
}
