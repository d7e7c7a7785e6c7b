// Operands of a product of two activations, as winograd.ts's `products` multiplies them: int16 differences from the zero points, so that
// no correction remains. Steps in bytes of int8 codes.

/**
 * Rows of the left operand: to[r][k] = from[r][k] − zero. Reads up to 7 codes and writes up to 14 bytes further than a row's where `step`
 * is 1.
 *
 * @param rowStep between rows; step between neighbours in a row
 * @param to      int16[rows][toPitch / 2], toPitch at least 2 · pairs of k; an odd k is made even by a 0
 */
export function packRows(from: usize, rowStep: i32, step: i32, rows: i32, k: i32, zero: i32, to: usize, toPitch: i32): void {
  const zeros = i16x8.splat(<i16>zero);
  for (let r = 0; r < rows; r++, from += rowStep, to += toPitch) {
    if (step === 1) {
      for (let i = 0; i < k; i += 8) v128.store(to + (i << 1), i16x8.sub(v128.load8x8_s(from + i), zeros));
    } else {
      for (let i = 0, x = from; i < k; i++, x += step) store<i16>(to + (i << 1), <i16>(<i32>load<i8>(x) - zero));
    }
    if (k & 1) store<i16>(to + (k << 1), 0);
  }
}

/**
 * Columns of the right operand in panels of 8: to[n / 8][k / 2][n % 8][k % 2] = from[k][n] − zero; an odd k is made even by a 0.
 * Lanes of columns that are not there stay as they are.
 *
 * @param kStep between rows, nStep between columns
 * @param to    int16[panels][pairs][8][2]
 */
export function packColumns(from: usize, kStep: i32, nStep: i32, k: i32, n: i32, zero: i32, to: usize): void {
  const panel = ((k + 1) >> 1) << 5;
  for (let c = 0; c < n; c++, from += nStep) {
    let lane = to + (c >> 3) * panel + ((c & 7) << 2);
    let x = from;
    let i = 0;
    for (; i + 2 <= k; i += 2, x += kStep << 1, lane += 32) {
      store<i16>(lane, <i16>(<i32>load<i8>(x) - zero));
      store<i16>(lane, <i16>(<i32>load<i8>(x + kStep) - zero), 2);
    }
    if (i < k) store<i32>(lane, (<i32>load<i8>(x) - zero) & 0xffff);
  }
}
