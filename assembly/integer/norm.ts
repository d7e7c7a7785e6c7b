// Normalization of rows of codes: one square root and one division a row, all in 64-bit integers.

/** ⌊√n⌋: Newton's iteration from a power of two that is at least √n decreases until it has reached the floor. @param n below 2⁶² */
function isqrt(n: u64): u64 {
  if (n === 0) return 0;
  let next: u64 = (<u64>1) << ((65 - clz(n)) >> 1);
  let x: u64;
  do {
    x = next;
    next = (x + n / x) >> 1;
  } while (next < x);
  return x;
}

/**
 * With S₁ = Σ x, S₂ = Σ x² and V = n S₂ − S₁² + ε of each row, z = ⌊((n x − S₁) · ⌊2⁵⁴ / ⌊√(V 2¹⁶)⌋⌋ + 2³⁰) / 2³¹⌋ and
 * y = zero + ⌊(z γ + β + 2²⁶) / 2²⁷⌋, clamped.
 *
 * @param x       int8[rows][pitch], n codes of each row, n at most 16 384; out likewise
 * @param epsilon int64 in [1, 2⁴⁵)
 * @param gamma   int32[n]
 * @param beta    int64[n], below 2⁶⁰ in magnitude
 */
export function layernorm(
  x: usize,
  out: usize,
  rows: i32,
  n: i32,
  pitch: i32,
  outPitch: i32,
  epsilon: usize,
  gamma: usize,
  beta: usize,
  zero: i32,
  lo: i32,
  hi: i32,
): void {
  const least: i64 = lo - zero;
  const most: i64 = hi - zero;
  for (let y = 0; y < rows; y++, x += pitch, out += outPitch) {
    let sum = 0;
    let squares = 0;
    for (let i = 0; i < n; i++) {
      const code = <i32>load<i8>(x + i);
      sum += code;
      squares += code * code;
    }
    const variance = <i64>n * squares - <i64>sum * sum + load<i64>(epsilon);
    const inverse = ((<i64>1) << 54) / isqrt((<u64>variance) << 16);
    for (let i = 0; i < n; i++) {
      const z = (<i64>(n * <i32>load<i8>(x + i) - sum) * inverse + 0x40000000) >> 31;
      const scaled = (z * load<i32>(gamma + (i << 2)) + load<i64>(beta + (i << 3)) + 0x4000000) >> 27;
      store<i8>(out + i, <i8>(zero + <i32>min(max(scaled, least), most)));
    }
  }
}
