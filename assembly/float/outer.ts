// Products summed over positions, for the gradients of weights: both operands are read in place, nothing is transposed.

const sums: usize = memory.data(128, 16); // f32[4][8]

/**
 * out[channels × 8] += Σ a[r][t][channel] · b[r][t][0…7] over `rows` rows of `columns` positions, in that order.
 *
 * @param out    f32[channels][8]
 * @param a      positions `aStep` bytes apart, rows `aRow` bytes apart; readable 3 floats beyond the last channel
 * @param b      likewise
 * @param second bytes from the first 4 columns of b to the next 4: 16, or 0 where b ends before them (their sums are then without meaning)
 */
export function outerProducts(
  out: usize,
  a: usize,
  aStep: usize,
  aRow: usize,
  b: usize,
  bStep: usize,
  bRow: usize,
  second: usize,
  rows: i32,
  columns: i32,
  channels: i32,
): void {
  if (columns <= 0) return;
  for (let left = channels; left > 0; left -= 4, a += 16, out += 128) {
    let c00 = f32x4.splat(0);
    let c01 = f32x4.splat(0);
    let c10 = f32x4.splat(0);
    let c11 = f32x4.splat(0);
    let c20 = f32x4.splat(0);
    let c21 = f32x4.splat(0);
    let c30 = f32x4.splat(0);
    let c31 = f32x4.splat(0);
    let aLine = a;
    let bLine = b;
    for (let r = rows; r > 0; r--, aLine += aRow, bLine += bRow) {
      let p = aLine;
      let q = bLine;
      let t = columns;
      do {
        const b0 = v128.load(q);
        const b1 = v128.load(q + second);
        let x = v128.load32_splat(p);
        c00 = f32x4.add(c00, f32x4.mul(x, b0));
        c01 = f32x4.add(c01, f32x4.mul(x, b1));
        x = v128.load32_splat(p, 4);
        c10 = f32x4.add(c10, f32x4.mul(x, b0));
        c11 = f32x4.add(c11, f32x4.mul(x, b1));
        x = v128.load32_splat(p, 8);
        c20 = f32x4.add(c20, f32x4.mul(x, b0));
        c21 = f32x4.add(c21, f32x4.mul(x, b1));
        x = v128.load32_splat(p, 12);
        c30 = f32x4.add(c30, f32x4.mul(x, b0));
        c31 = f32x4.add(c31, f32x4.mul(x, b1));
        p += aStep;
        q += bStep;
      } while (--t);
    }
    v128.store(sums, c00);
    v128.store(sums, c01, 16);
    v128.store(sums, c10, 32);
    v128.store(sums, c11, 48);
    v128.store(sums, c20, 64);
    v128.store(sums, c21, 80);
    v128.store(sums, c30, 96);
    v128.store(sums, c31, 112);
    for (let i: usize = 0; i < (<usize>min(4, left)) << 5; i += 16) v128.store(out + i, f32x4.add(v128.load(out + i), v128.load(sums + i)));
  }
}

/**
 * `outerProducts` of every point of a Winograd form and one panel of 8 outputs: dU[p] += V[p]ᵀ · Z[p].
 *
 * @param u the panel: f32[points][channels][8]
 * @param v f32[points][tiles][channels], points `vPitch` bytes apart
 * @param z f32[points][tiles][outputs] at the panel's first output, points `zPitch` bytes apart
 */
export function winogradOuter(
  u: usize,
  v: usize,
  vPitch: usize,
  z: usize,
  zPitch: usize,
  outputs: i32,
  second: usize,
  points: i32,
  tiles: i32,
  channels: i32,
): void {
  const vStep = (<usize>channels) << 2;
  const zStep = (<usize>outputs) << 2;
  for (; points > 0; points--, v += vPitch, z += zPitch, u += vStep << 3) {
    outerProducts(u, v, vStep, 0, z, zStep, 0, second, 1, tiles, channels);
  }
}

/**
 * The inverse of `packPanels`: the columns below n of f32[⌈n/8⌉][k][8] go to the elements they were read from. Strides in floats.
 */
export function unpackPanels(
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
  const k = k1 * k2;
  for (let column = 0; column < n1 * n2; column++) {
    let from = src + ((<usize>(column & -8) * k + (column & 7)) << 2);
    let outer = dst + (((column / n2) * n1Stride + (column % n2) * n2Stride) << 2);
    for (let i1 = 0; i1 < k1; i1++, outer += k1Stride << 2) {
      let to = outer;
      for (let i2 = 0; i2 < k2; i2++, to += k2Stride << 2, from += 32) store<f32>(to, load<f32>(from));
    }
  }
}

/**
 * Gradient of depthwise filters from one output row: dw[ky][kx][c] += Σ x[y + ky·dy][t·step + x₀ + kx·dx][c] · g[t][c].
 *
 * @param dw  f32[kh][kw][c]
 * @param g   f32[count][c], the gradient of the output row
 * @param src f32[h][w][c]; y, x₀, step, dy, dx as in `depthwise`
 */
export function depthwiseOuter(
  dw: usize,
  g: usize,
  src: usize,
  h: i32,
  w: i32,
  c: i32,
  kh: i32,
  kw: i32,
  dy: i32,
  dx: i32,
  y: i32,
  x: i32,
  step: i32,
  count: i32,
): void {
  const pixel = (<usize>c) << 2;
  for (let ky = 0, row = y; ky < kh; ky++, row += dy) {
    if (<u32>row >= <u32>h) continue;
    for (let kx = 0, column = x; kx < kw; kx++, column += dx) {
      const first = column < 0 ? (step - 1 - column) / step : 0;
      const end = column >= w ? 0 : min(count, (w - column + step - 1) / step);
      if (end <= first) continue;
      const to = dw + pixel * (ky * kw + kx);
      const a = src + pixel * (row * w + column + first * step);
      const b = g + pixel * first;
      let i = 0;
      for (; i + 4 <= c; i += 4) {
        const at = (<usize>i) << 2;
        let p = a + at;
        let q = b + at;
        let sum = f32x4.splat(0);
        for (let t = first; t < end; t++, p += pixel * step, q += pixel) sum = f32x4.add(sum, f32x4.mul(v128.load(p), v128.load(q)));
        v128.store(to + at, f32x4.add(v128.load(to + at), sum));
      }
      for (; i < c; i++) {
        const at = (<usize>i) << 2;
        let p = a + at;
        let q = b + at;
        let sum: f32 = 0;
        for (let t = first; t < end; t++, p += pixel * step, q += pixel) sum += load<f32>(p) * load<f32>(q);
        store<f32>(to + at, load<f32>(to + at) + sum);
      }
    }
  }
}
