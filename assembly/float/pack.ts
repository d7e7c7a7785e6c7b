// Reordering of operands for the product kernel.

/**
 * Panels of 8 columns of a matrix B[k × n] whose two indices may each be made of two: k = (i₁, i₂), n = (j₁, j₂).
 * One routine serves matrices (plain or transposed), convolution weights in any axis order, flipped taps (negative strides)
 * and transposed convolutions. Strides in floats. Columns beyond n are 0.
 *
 * @param dst f32[⌈n/8⌉][k][8], 16-byte aligned
 * @param src element (0, 0, 0, 0)
 */
export function packPanels(
  dst: usize,
  src: usize,
  k1: i32,
  k1Stride: i32,
  k2: i32,
  k2Stride: i32,
  n1: i32,
  n1Stride: i32,
  n2: i32,
  n2Stride: i32,
): void {
  const n = n1 * n2;
  const k = k1 * k2;
  for (let column = 0; column < ((n + 7) & -8); column++) {
    let out = dst + ((<usize>(column & -8) * k + (column & 7)) << 2);
    if (column >= n) {
      for (let i = 0; i < k; i++, out += 32) store<f32>(out, 0);
      continue;
    }
    let outer = src + (((column / n2) * n1Stride + (column % n2) * n2Stride) << 2);
    for (let i1 = 0; i1 < k1; i1++, outer += k1Stride << 2) {
      let from = outer;
      for (let i2 = 0; i2 < k2; i2++, from += k2Stride << 2, out += 32) store<f32>(out, load<f32>(from));
    }
  }
}

/**
 * `packPanels` of a row-major matrix B[k × n], by vectors: for products of two activations, where packing is part of every run.
 *
 * @param dst f32[⌈n/8⌉][k][8], 16-byte aligned
 * @param src f32[k × n], rows `ld` floats apart
 */
export function packRows(dst: usize, src: usize, k: i32, n: i32, ld: i32): void {
  const row = (<usize>ld) << 2;
  for (let left = n; left > 0; left -= 8, src += 32) {
    const end = dst + ((<usize>k) << 5);
    let from = src;
    if (left >= 8) {
      for (; dst < end; dst += 32, from += row) {
        v128.store(dst, v128.load(from));
        v128.store(dst, v128.load(from, 16), 16);
      }
    } else {
      for (; dst < end; dst += 32, from += row) {
        for (let i: usize = 0; i < 8; i++) store<f32>(dst + (i << 2), i < <usize>left ? load<f32>(from + (i << 2)) : 0);
      }
    }
  }
}

/**
 * dst[columns × rows] = transpose of src[rows × columns], both dense.
 */
export function transpose(dst: usize, src: usize, rows: i32, columns: i32): void {
  const down = (<usize>columns) << 2;
  for (let x = 0; x < columns; x++) {
    let from = src + ((<usize>x) << 2);
    for (let y = 0; y < rows; y++, dst += 4, from += down) store<f32>(dst, load<f32>(from));
  }
}
