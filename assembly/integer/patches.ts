// From codes to the rows a convolution multiplies: borders, windows as rows, widening to int16.
import { copyBytes, fillBytes, storeTransposed } from "../simd/lanes";

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
 * Rows of codes widened to int16 in fours, pairs of neighbours of 4 rows side by side: what gemm reads with one pointer.
 *
 * @param from  int8[rows][pitch]; up to 7 bytes further are read
 * @param to    int16[⌈rows / 4⌉][⌈n / 8⌉ · 4][4][2]; the last row is repeated
 * @param n     codes of a row
 */
export function widenFours(from: usize, pitch: i32, to: usize, rows: i32, n: i32): void {
  const down: usize = pitch;
  for (; rows > 0; rows -= 4, from += down << 2) {
    let r0 = from;
    let r1 = r0 + (rows > 1 ? down : 0);
    let r2 = r1 + (rows > 2 ? down : 0);
    let r3 = r2 + (rows > 3 ? down : 0);
    for (const end = r0 + n; r0 < end; to += 64) {
      const x0 = v128.load8x8_s(r0);
      const x1 = v128.load8x8_s(r1);
      const x2 = v128.load8x8_s(r2);
      const x3 = v128.load8x8_s(r3);
      storeTransposed(to, x0, x1, x2, x3);
      r0 += 8;
      r1 += 8;
      r2 += 8;
      r3 += 8;
    }
  }
}

/**
 * The same, two rows a lane, as gemmPairs: rows i and i + 4 of each eight as x + 4096 (y − 8), x and y above `least`. Codes that are not
 * among the 16 from there are allowed where their weights are 0.
 *
 * @param to int16[⌈rows / 8⌉][⌈n / 8⌉ · 4][4][2]; the last row is repeated
 */
export function widenPairs(from: usize, pitch: i32, to: usize, rows: i32, n: i32, least: i32): void {
  const low = i16x8.splat(<i16>least);
  const high = i16x8.splat(<i16>(least + 8));
  for (; rows > 0; rows -= 8, from += pitch << 3) {
    const last = rows - 1;
    const end = from + n;
    for (let r = from; r < end; r += 8, to += 64) {
      storeTransposed(
        to,
        twoRows(r, pitch, 0, last, low, high),
        twoRows(r, pitch, 1, last, low, high),
        twoRows(r, pitch, 2, last, low, high),
        twoRows(r, pitch, 3, last, low, high),
      );
    }
  }
}

function twoRows(from: usize, pitch: i32, row: i32, last: i32, low: v128, high: v128): v128 {
  const x = v128.load8x8_s(from + min(row, last) * pitch);
  const y = v128.load8x8_s(from + min(row + 4, last) * pitch);
  return i16x8.add(i16x8.sub(x, low), i16x8.shl(i16x8.sub(y, high), 12));
}

/**
 * The window of every output pixel as one row of codes: runs of `run` contiguous codes, kw per window row, kh window rows.
 * All steps in bytes. Rows are written in order, each up to 15 bytes further than its kh · kw · run; reads likewise.
 *
 * @param from   first code of the window of output pixel (0, 0); windows lie inside the (bordered) image
 * @param to     int8[rows · columns][toPitch]
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
        for (let j = 0; j < kw; j++, tap += xTap, out += run) copyBytes(tap, out, run);
      }
    }
  }
}
