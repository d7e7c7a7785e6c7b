// From codes to the rows a convolution multiplies: borders, windows as rows, widening to int16.
import { copyBytes, fillBytes } from "../simd/lanes";

/**
 * A bordered copy of image rows: `rows` rows of `toPitch` bytes, of which rows [top, top + copied) hold `left` bytes of fill, then
 * `fromPitch` bytes of the image, then fill; all other rows hold fill. Writes up to 15 bytes further.
 */
export function border(from: usize, fromPitch: i32, to: usize, toPitch: i32, rows: i32, top: i32, copied: i32, left: i32, fill: i32): void {
  const value = i8x16.splat(<i8>fill);
  const right = toPitch - left - fromPitch;
  for (let y = 0; y < rows; y++, to += toPitch) {
    if (y < top || y >= top + copied) {
      fillBytes(to, value, toPitch);
    } else {
      fillBytes(to, value, left);
      copyBytes(from, to + left, fromPitch);
      fillBytes(to + left + fromPitch, value, right);
      from += fromPitch;
    }
  }
}

/** n codes widened to int16, in steps of 8; reads up to 7 bytes and writes up to 14 bytes further. */
export function widen(from: usize, to: usize, n: i32): void {
  for (const end = from + n; from < end; from += 8, to += 16) v128.store(to, v128.load8x8_s(from));
}

/**
 * The window of every output pixel as one int16 row: runs of `run` contiguous codes, kw per window row, kh window rows.
 * All steps in bytes of int8 codes. Rows are written in order, each up to 14 bytes further than its 2 · kh · kw · run bytes.
 *
 * @param from   first code of the window of output pixel (0, 0); windows lie inside the (bordered) image
 * @param to     int16[rows · columns][toPitch / 2]
 * @param xStep  between windows of neighbouring output columns; yStep of rows
 * @param xTap   between runs of one window row; yTap between window rows
 */
export function patches(
  from: usize,
  to: usize,
  toPitch: i32,
  rows: i32,
  columns: i32,
  xStep: i32,
  yStep: i32,
  kh: i32,
  kw: i32,
  run: i32,
  xTap: i32,
  yTap: i32,
): void {
  for (let y = 0; y < rows; y++, from += yStep) {
    let window = from;
    for (let x = 0; x < columns; x++, window += xStep, to += toPitch) {
      let row = window;
      let out = to;
      for (let i = 0; i < kh; i++, row += yTap) {
        let tap = row;
        for (let j = 0; j < kw; j++, tap += xTap, out += run << 1) widen(tap, out, run);
      }
    }
  }
}
