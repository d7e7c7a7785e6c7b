// The 16-bit floats as numbers. Reading is exact; writing rounds once, half to even.

const scratch = new DataView(new ArrayBuffer(4));

/** The value of IEEE 754 binary16 bits. */
export function float16ToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  if (exponent === 0) return sign * (fraction / 0x1000000);
  scratch.setUint32(0, ((exponent + 112) << 23) | (fraction << 13));
  return sign * scratch.getFloat32(0);
}

/** The value of bfloat16 bits: the upper half of a float32. */
export function bfloat16ToNumber(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}

/** The binary16 bits nearest to `value`; overflow becomes infinity. */
export function numberToFloat16(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  // 65520, half-way between the largest half and 2^16, and everything above it.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  // Below 2^-14: count in units of 2^-24, rounded by adding and subtracting a number whose last bit is that unit.
  if (magnitude < 0x38800000) {
    const absolute = Math.abs(value);
    return sign | Math.round(Math.fround(Math.fround(absolute + 0.5) - 0.5) * 0x1000000);
  }
  const odd = (magnitude >> 13) & 1;
  return sign | ((magnitude - 0x38000000 + 0xfff + odd) >> 13);
}

/** The bfloat16 bits nearest to `value`. */
export function numberToBfloat16(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}
