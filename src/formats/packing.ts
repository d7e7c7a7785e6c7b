// Codes of 1 to 8 bits as a little-endian bit stream: element i occupies bits i·b … i·b + b − 1, least significant bit first.
// At 4 and 2 bits this is ONNX's own packing of int4 and int2 tensors.

/** Bytes of `count` codes of `bits` bits. */
export function packedBytes(count: number, bits: number): number {
  return Math.ceil((count * bits) / 8);
}

/**
 * Packs the low `bits` bits of each code. Bits after the last code are 0.
 *
 * @param bits 1…8
 */
export function packCodes(codes: ArrayLike<number>, bits: number): Uint8Array {
  const bytes = new Uint8Array(packedBytes(codes.length, bits));
  const mask = (1 << bits) - 1;
  let held = 0; // low `width` bits wait for their byte
  let width = 0;
  let at = 0;
  for (let i = 0; i < codes.length; i++) {
    held |= (codes[i]! & mask) << width;
    width += bits;
    if (width >= 8) {
      bytes[at++] = held;
      held >>= 8;
      width -= 8;
    }
  }
  if (width > 0) bytes[at] = held;
  return bytes;
}

/** Reads back `count` unsigned codes. */
export function unpackUnsigned(bytes: Uint8Array, bits: number, count: number): Uint8Array {
  return unpack(bytes, bits, new Uint8Array(count), 0);
}

/** Reads back `count` codes in two's complement of `bits` bits. */
export function unpackSigned(bytes: Uint8Array, bits: number, count: number): Int8Array {
  return unpack(bytes, bits, new Int8Array(count), 1 << (bits - 1));
}

/** (v ^ sign) − sign extends the sign bit; sign = 0 leaves v. */
function unpack<T extends Int8Array | Uint8Array>(bytes: Uint8Array, bits: number, codes: T, sign: number): T {
  const mask = (1 << bits) - 1;
  let held = 0;
  let width = 0;
  let at = 0;
  for (let i = 0; i < codes.length; i++) {
    if (width < bits) {
      held |= bytes[at++]! << width;
      width += 8;
    }
    codes[i] = ((held & mask) ^ sign) - sign;
    held >>= bits;
    width -= bits;
  }
  return codes;
}
