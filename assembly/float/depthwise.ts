// Depthwise convolution of channels-last images: every channel has its own k×k filter, so channels are the vector's lanes.

/**
 * One output row. dst[x][c] = clamp(bias[c] + Σ src[y + ky·dy][x·step + x₀ + kx·dx][c] · weights[ky][kx][c]) over the taps inside the image.
 *
 * @param dst     f32[count][c]
 * @param src     f32[h][w][c]
 * @param weights f32[kh][kw][c]
 * @param bias    f32[c], or 0 for none
 * @param y, x    image position of the first tap of the row's first output (negative in the padding)
 * @param step    columns between windows (stride); dy, dx: between taps (dilation)
 */
export function depthwise(
  dst: usize,
  src: usize,
  weights: usize,
  bias: usize,
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
  low: f32,
  high: f32,
): void {
  const pixel = (<usize>c) << 2;
  const ky0 = firstTap(y, dy);
  const rows = max(0, lastTap(y, h, kh, dy) - ky0);
  for (; count > 0; count--, x += step, dst += pixel) {
    const kx0 = firstTap(x, dx);
    const columns = max(0, lastTap(x, w, kw, dx) - kx0);
    const from = src + ((((y + ky0 * dy) * w + (x + kx0 * dx)) * c) << 2);
    const taps = weights + (((ky0 * kw + kx0) * c) << 2);
    const tapStep = pixel * dx;
    const rowStep = pixel * w * dy;
    const tapRow = pixel * kw;
    let i: i32 = 0;
    for (; i + 16 <= c; i += 16) {
      const at = (<usize>i) << 2;
      window16(dst + at, from + at, taps + at, bias ? bias + at : 0, rows, columns, rowStep, tapStep, tapRow, pixel, low, high);
    }
    for (; i < c && c >= 4; i += 4) {
      // The last vector overlaps the one before rather than leave the row.
      const at = (<usize>min(i, c - 4)) << 2;
      window4(dst + at, from + at, taps + at, bias ? bias + at : 0, rows, columns, rowStep, tapStep, tapRow, pixel, low, high);
    }
    for (; i < c; i++) {
      const at = (<usize>i) << 2;
      window1(dst + at, from + at, taps + at, bias ? bias + at : 0, rows, columns, rowStep, tapStep, tapRow, pixel, low, high);
    }
  }
}

/** First tap whose position is not negative. */
function firstTap(position: i32, dilation: i32): i32 {
  return position < 0 ? (dilation - 1 - position) / dilation : 0;
}

/** One beyond the last tap inside a side of length `size`. */
function lastTap(position: i32, size: i32, taps: i32, dilation: i32): i32 {
  return position >= size ? 0 : min(taps, (size - position + dilation - 1) / dilation);
}

function window16(
  dst: usize,
  src: usize,
  weights: usize,
  bias: usize,
  rows: i32,
  columns: i32,
  rowStep: usize,
  tapStep: usize,
  tapRow: usize,
  pixel: usize,
  low: f32,
  high: f32,
): void {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  for (; rows > 0; rows--, src += rowStep, weights += tapRow) {
    let p = src;
    let q = weights;
    for (let i = columns; i > 0; i--, p += tapStep, q += pixel) {
      s0 = f32x4.add(s0, f32x4.mul(v128.load(p), v128.load(q)));
      s1 = f32x4.add(s1, f32x4.mul(v128.load(p, 16), v128.load(q, 16)));
      s2 = f32x4.add(s2, f32x4.mul(v128.load(p, 32), v128.load(q, 32)));
      s3 = f32x4.add(s3, f32x4.mul(v128.load(p, 48), v128.load(q, 48)));
    }
  }
  if (bias) {
    s0 = f32x4.add(s0, v128.load(bias));
    s1 = f32x4.add(s1, v128.load(bias, 16));
    s2 = f32x4.add(s2, v128.load(bias, 32));
    s3 = f32x4.add(s3, v128.load(bias, 48));
  }
  const lo = f32x4.splat(low);
  const hi = f32x4.splat(high);
  v128.store(dst, f32x4.pmax(f32x4.pmin(s0, hi), lo));
  v128.store(dst, f32x4.pmax(f32x4.pmin(s1, hi), lo), 16);
  v128.store(dst, f32x4.pmax(f32x4.pmin(s2, hi), lo), 32);
  v128.store(dst, f32x4.pmax(f32x4.pmin(s3, hi), lo), 48);
}

function window4(
  dst: usize,
  src: usize,
  weights: usize,
  bias: usize,
  rows: i32,
  columns: i32,
  rowStep: usize,
  tapStep: usize,
  tapRow: usize,
  pixel: usize,
  low: f32,
  high: f32,
): void {
  let s = f32x4.splat(0);
  for (; rows > 0; rows--, src += rowStep, weights += tapRow) {
    let p = src;
    let q = weights;
    for (let i = columns; i > 0; i--, p += tapStep, q += pixel) s = f32x4.add(s, f32x4.mul(v128.load(p), v128.load(q)));
  }
  if (bias) s = f32x4.add(s, v128.load(bias));
  v128.store(dst, f32x4.pmax(f32x4.pmin(s, f32x4.splat(high)), f32x4.splat(low)));
}

function window1(
  dst: usize,
  src: usize,
  weights: usize,
  bias: usize,
  rows: i32,
  columns: i32,
  rowStep: usize,
  tapStep: usize,
  tapRow: usize,
  pixel: usize,
  low: f32,
  high: f32,
): void {
  let s: f32 = 0;
  for (; rows > 0; rows--, src += rowStep, weights += tapRow) {
    let p = src;
    let q = weights;
    for (let i = columns; i > 0; i--, p += tapStep, q += pixel) s += load<f32>(p) * load<f32>(q);
  }
  if (bias) s += load<f32>(bias);
  if (high < s) s = high;
  if (s < low) s = low;
  store<f32>(dst, s);
}
