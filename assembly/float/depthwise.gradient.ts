/**
 * Gradient of a depthwise convolution's input from one output row: dx[y + ky·dy][t·step + x₀ + kx·dx][c] += g[t][c] · weights[ky][kx][c]
 * where that lies inside the image; rows of taps in order, then positions, then columns of taps.
 *
 * @param dst     f32[h][w][c], the gradient of the image
 * @param g       f32[count][c], the gradient of the output row
 * @param weights f32[kh][kw][c]; y, x₀, step, dy, dx as in `depthwise`
 */
export function depthwiseScatter(
  dst: usize,
  g: usize,
  weights: usize,
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
    const line = dst + pixel * (row * w);
    const taps = weights + pixel * (ky * kw);
    let from = g;
    for (let t = 0, left = x; t < count; t++, left += step, from += pixel) {
      for (let kx = 0, column = left; kx < kw; kx++, column += dx) {
        if (<u32>column < <u32>w) addProducts(line + pixel * column, from, taps + pixel * kx, c);
      }
    }
  }
}

/** dst[i] += a[i] · b[i], n float32. */
function addProducts(dst: usize, a: usize, b: usize, n: i32): void {
  const end = dst + ((<usize>(n & ~3)) << 2);
  for (; dst < end; dst += 16, a += 16, b += 16) v128.store(dst, f32x4.add(v128.load(dst), f32x4.mul(v128.load(a), v128.load(b))));
  const last = end + ((<usize>(n & 3)) << 2);
  for (; dst < last; dst += 4, a += 4, b += 4) store<f32>(dst, load<f32>(dst) + load<f32>(a) * load<f32>(b));
}
