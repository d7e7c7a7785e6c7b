const bits = new DataView(new ArrayBuffer(8));

/** 2^n exactly, n in [−1022, 1023], from the exponent field: `Math.pow` need not be the same everywhere. */
export function powerOfTwo(n: number): number {
  bits.setUint32(0, (n + 1023) << 20);
  bits.setUint32(4, 0);
  return bits.getFloat64(0);
}
