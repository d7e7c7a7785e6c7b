// Weights of few bits. Every format of up to 4 bits (int4, ternary, 4-bit floats, power grids, learned codebooks) is a table of int8
// levels, so one kernel serves them all.

// V8 builds vector constants anew in every turn of a loop: these are loaded before it.
const masks: usize = memory.data<u32>([0, 0x01010101, 0x03030303, 0, 0x0f0f0f0f]);

/**
 * Codes → levels, vectors of 16. Each 16 bytes hold 8 / bits vectors: byte j has code j of vector v in bits v · bits … (v + 1) · bits − 1.
 *
 * @param codes  uint8[bytes], bytes a multiple of 16
 * @param to     int8[bytes · 8 / bits]
 * @param levels int8[16], the first 2^bits used
 * @param bits   1, 2 or 4
 */
export function decode(codes: usize, to: usize, bytes: i32, levels: usize, bits: i32): void {
  const table = v128.load(levels);
  const mask = v128.load32_splat(masks + (bits << 2));
  const end = codes + bytes;
  // A loop for each width: shifts by a variable go through a scalar register.
  if (bits == 4) {
    for (; codes < end; codes += 16, to += 32) {
      const packed = v128.load(codes);
      look(to, table, packed, mask);
      look(to + 16, table, i16x8.shr_u(packed, 4), mask);
    }
  } else if (bits == 2) {
    for (; codes < end; codes += 16, to += 64) {
      const packed = v128.load(codes);
      look(to, table, packed, mask);
      look(to + 16, table, i16x8.shr_u(packed, 2), mask);
      look(to + 32, table, i16x8.shr_u(packed, 4), mask);
      look(to + 48, table, i16x8.shr_u(packed, 6), mask);
    }
  } else {
    for (; codes < end; codes += 16) {
      let packed = v128.load(codes);
      for (const stop = to + 128; to < stop; to += 16, packed = i16x8.shr_u(packed, 1)) look(to, table, packed, mask);
    }
  }
}

/** Shifts are of 16 bits, since those of bytes are slow: what they bring in from the neighbour is masked away. */
function look(to: usize, table: v128, codes: v128, mask: v128): void {
  v128.store(to, i8x16.swizzle(table, v128.and(codes, mask)));
}
