// Convolutions as matrix products: windows of a channels-last image laid out as rows, and the way back.

/** Copies n floats; never reads or writes beyond them. */
function copy(dst: usize, src: usize, n: i32): void {
  for (; n >= 4; n -= 4, dst += 16, src += 16) v128.store(dst, v128.load(src));
  for (; n > 0; n--, dst += 4, src += 4) store<f32>(dst, load<f32>(src));
}

/** Copies n floats by whole vectors: up to 3 more are read, and written where the next window part will be. */
function copyLoosely(dst: usize, src: usize, n: i32): void {
  const end = dst + ((<usize>n) << 2);
  do {
    v128.store(dst, v128.load(src));
    dst += 16;
    src += 16;
  } while (dst < end);
}

function zero(dst: usize, n: i32): void {
  for (; n >= 4; n -= 4, dst += 16) v128.store(dst, f32x4.splat(0));
  for (; n > 0; n--, dst += 4) store<f32>(dst, 0);
}

/** dst += src over n floats. */
function accumulate(dst: usize, src: usize, n: i32): void {
  for (; n >= 4; n -= 4, dst += 16, src += 16) v128.store(dst, f32x4.add(v128.load(dst), v128.load(src)));
  for (; n > 0; n--, dst += 4, src += 4) store<f32>(dst, load<f32>(dst) + load<f32>(src));
}

/**
 * Windows of `count` neighbouring outputs of one row; positions outside the image are 0.
 *
 * @param dst      f32[count][kh][kw][channels] and 3 floats of room
 * @param src      f32[h][w][c], readable 3 floats beyond; moved to the first channel of the group
 * @param channels of the group, at most c
 * @param y        image row of the first tap of the output row (negative in the padding)
 * @param x        image column of the first tap of the first output
 * @param step     columns between windows (stride)
 * @param dy, dx   rows and columns between taps (dilation)
 */
export function im2col(
  dst: usize,
  src: usize,
  h: i32,
  w: i32,
  c: i32,
  channels: i32,
  kh: i32,
  kw: i32,
  dy: i32,
  dx: i32,
  y: i32,
  x: i32,
  step: i32,
  count: i32,
): void {
  const window = kw * channels;
  const windowBytes = (<usize>window) << 2;
  const dense = dx == 1 && channels == c;
  const pixel = (<usize>c) << 2;
  const rowStep = pixel * w * dy;
  for (; count > 0; count--, x += step) {
    let from = src + pixel * (y * w + x);
    if (dense && x >= 0 && x + kw <= w) {
      for (let ky = 0, row = y; ky < kh; ky++, row += dy, from += rowStep) {
        if (<u32>row < <u32>h) copyLoosely(dst, from, window);
        else zero(dst, window);
        dst += windowBytes;
      }
      continue;
    }
    for (let ky = 0, row = y; ky < kh; ky++, row += dy, from += rowStep) {
      if (<u32>row >= <u32>h) {
        zero(dst, window);
        dst += windowBytes;
        continue;
      }
      for (let kx = 0, column = x; kx < kw; kx++, column += dx) {
        if (<u32>column < <u32>w) copyLoosely(dst, from + pixel * (column - x), channels);
        else zero(dst, channels);
        dst += (<usize>channels) << 2;
      }
    }
  }
}

/**
 * The adjoint of `im2col`: adds windows to where they came from, in the order of windows, then taps. Positions outside are dropped.
 *
 * @param dst f32[h][w][c], moved to the first channel of the group
 * @param src f32[count][kh][kw][channels]
 */
export function col2im(
  dst: usize,
  src: usize,
  h: i32,
  w: i32,
  c: i32,
  channels: i32,
  kh: i32,
  kw: i32,
  dy: i32,
  dx: i32,
  y: i32,
  x: i32,
  step: i32,
  count: i32,
): void {
  for (; count > 0; count--, x += step) {
    for (let ky = 0, row = y; ky < kh; ky++, row += dy) {
      for (let kx = 0, column = x; kx < kw; kx++, column += dx, src += (<usize>channels) << 2) {
        if (<u32>row < <u32>h && <u32>column < <u32>w) accumulate(dst + (((row * w + column) * c) << 2), src, channels);
      }
    }
  }
}

/** dst[rows][ld] takes `channels` floats of `bias` at the head of every row: what a transposed convolution adds to. */
export function fillRows(dst: usize, ld: i32, rows: i32, bias: usize, channels: i32): void {
  for (; rows > 0; rows--, dst += (<usize>ld) << 2) {
    if (bias) copy(dst, bias, channels);
    else zero(dst, channels);
  }
}
