// Weights of few bits. Every format of up to 4 bits (int4, ternary, 4-bit floats, power grids, learned codebooks) is a table of int8
// levels, so one kernel serves them all.

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
  const mask = i8x16.splat(<i8>(<i32>(1 << bits) - 1));
  for (const end = codes + bytes; codes < end; codes += 16) {
    const packed = v128.load(codes);
    for (let shift = 0; shift < 8; shift += bits, to += 16) {
      // Shifts of bytes are slow; what 16-bit shifts bring in from the neighbour is masked away.
      v128.store(to, i8x16.swizzle(table, v128.and(i16x8.shr_u(packed, shift), mask)));
    }
  }
}
