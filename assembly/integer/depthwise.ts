// Depthwise convolution: 8 channels at a time over a bordered image, so that no window is cut. Exact modulo 2³².

/**
 * acc[n][y · columns + x][j] = bias + Σ over the window. All steps in bytes of int8 codes.
 *
 * @param from    channel 0 of the first tap of output pixel (0, 0)
 * @param xStep   between windows of neighbouring output columns; yStep of rows; xTap, yTap between taps
 * @param w       int8[panels][kh · kw][8]
 * @param bias    int32[panels][8]
 * @param acc     int32[panels][rows · columns][8]; panelPitch bytes between panels
 */
export function depthwise(
  from: usize,
  rows: i32,
  columns: i32,
  xStep: i32,
  yStep: i32,
  kh: i32,
  kw: i32,
  xTap: i32,
  yTap: i32,
  w: usize,
  bias: usize,
  acc: usize,
  panelPitch: i32,
  panels: i32,
): void {
  const wBytes = (kh * kw) << 3;
  for (let n = 0; n < panels; n++, from += 8, w += wBytes, bias += 32, acc += panelPitch) {
    const b0 = v128.load(bias);
    const b1 = v128.load(bias, 16);
    let to = acc;
    for (let y = 0, row = from; y < rows; y++, row += yStep) {
      for (let x = 0, window = row; x < columns; x++, window += xStep, to += 32) {
        let c0 = b0;
        let c1 = b1;
        let weights = w;
        for (let i = 0, taps = window; i < kh; i++, taps += yTap) {
          for (let j = 0, tap = taps; j < kw; j++, tap += xTap, weights += 8) {
            const a = v128.load8x8_s(tap);
            const b = v128.load8x8_s(weights);
            c0 = i32x4.add(c0, i32x4.extmul_low_i16x8_s(a, b));
            c1 = i32x4.add(c1, i32x4.extmul_high_i16x8_s(a, b));
          }
        }
        v128.store(to, c0);
        v128.store(to, c1, 16);
      }
    }
  }
}

/**
 * Any window with weights in [−127, 127]: products fit int16 and so do sums of two (2 · 128 · 127 < 2¹⁵). Taps in pairs along a row.
 * Parameters as above.
 */
export function depthwisePairs(
  from: usize,
  rows: i32,
  columns: i32,
  xStep: i32,
  yStep: i32,
  kh: i32,
  kw: i32,
  xTap: i32,
  yTap: i32,
  w: usize,
  bias: usize,
  acc: usize,
  panelPitch: i32,
  panels: i32,
): void {
  const wBytes = (kh * kw) << 3;
  for (let n = 0; n < panels; n++, from += 8, w += wBytes, bias += 32, acc += panelPitch) {
    const b0 = v128.load(bias);
    const b1 = v128.load(bias, 16);
    let to = acc;
    for (let y = 0, row = from; y < rows; y++, row += yStep) {
      for (let x = 0, window = row; x < columns; x++, window += xStep, to += 32) {
        let c0 = b0;
        let c1 = b1;
        let weights = w;
        for (let i = 0, taps = window; i < kh; i++, taps += yTap) {
          let tap = taps;
          let j = 1;
          for (; j < kw; j += 2, tap += xTap << 1, weights += 16) {
            const first = i16x8.mul(v128.load8x8_s(tap), v128.load8x8_s(weights));
            const pair = i16x8.add(first, i16x8.mul(v128.load8x8_s(tap + xTap), v128.load8x8_s(weights, 8)));
            c0 = i32x4.add(c0, i32x4.extend_low_i16x8_s(pair));
            c1 = i32x4.add(c1, i32x4.extend_high_i16x8_s(pair));
          }
          if (j == kw) {
            const last = i16x8.mul(v128.load8x8_s(tap), v128.load8x8_s(weights));
            c0 = i32x4.add(c0, i32x4.extend_low_i16x8_s(last));
            c1 = i32x4.add(c1, i32x4.extend_high_i16x8_s(last));
            weights += 8;
          }
        }
        v128.store(to, c0);
        v128.store(to, c1, 16);
      }
    }
  }
}

/**
 * The 3×3 window with weights in [−127, 127]: products fit int16 and so do sums of two (2 · 128 · 127 < 2¹⁵).
 * Parameters as above.
 */
export function depthwise3x3(
  from: usize,
  rows: i32,
  columns: i32,
  xStep: i32,
  yStep: i32,
  xTap: i32,
  yTap: i32,
  w: usize,
  bias: usize,
  acc: usize,
  panelPitch: i32,
  panels: i32,
): void {
  for (let n = 0; n < panels; n++, from += 8, w += 72, bias += 32, acc += panelPitch) {
    const b0 = v128.load(bias);
    const b1 = v128.load(bias, 16);
    const w0 = v128.load8x8_s(w);
    const w1 = v128.load8x8_s(w, 8);
    const w2 = v128.load8x8_s(w, 16);
    const w3 = v128.load8x8_s(w, 24);
    const w4 = v128.load8x8_s(w, 32);
    const w5 = v128.load8x8_s(w, 40);
    const w6 = v128.load8x8_s(w, 48);
    const w7 = v128.load8x8_s(w, 56);
    const w8 = v128.load8x8_s(w, 64);
    let to = acc;
    for (let y = 0, row = from; y < rows; y++, row += yStep) {
      let r0 = row;
      let r1 = row + yTap;
      let r2 = r1 + yTap;
      for (let x = 0; x < columns; x++, to += 32) {
        let pair = i16x8.add(i16x8.mul(v128.load8x8_s(r0), w0), i16x8.mul(v128.load8x8_s(r0 + xTap), w1));
        let c0 = i32x4.add(b0, i32x4.extend_low_i16x8_s(pair));
        let c1 = i32x4.add(b1, i32x4.extend_high_i16x8_s(pair));
        pair = i16x8.add(i16x8.mul(v128.load8x8_s(r0 + xTap * 2), w2), i16x8.mul(v128.load8x8_s(r1), w3));
        c0 = i32x4.add(c0, i32x4.extend_low_i16x8_s(pair));
        c1 = i32x4.add(c1, i32x4.extend_high_i16x8_s(pair));
        pair = i16x8.add(i16x8.mul(v128.load8x8_s(r1 + xTap), w4), i16x8.mul(v128.load8x8_s(r1 + xTap * 2), w5));
        c0 = i32x4.add(c0, i32x4.extend_low_i16x8_s(pair));
        c1 = i32x4.add(c1, i32x4.extend_high_i16x8_s(pair));
        pair = i16x8.add(i16x8.mul(v128.load8x8_s(r2), w6), i16x8.mul(v128.load8x8_s(r2 + xTap), w7));
        c0 = i32x4.add(c0, i32x4.extend_low_i16x8_s(pair));
        c1 = i32x4.add(c1, i32x4.extend_high_i16x8_s(pair));
        pair = i16x8.mul(v128.load8x8_s(r2 + xTap * 2), w8);
        v128.store(to, i32x4.add(c0, i32x4.extend_low_i16x8_s(pair)));
        v128.store(to, i32x4.add(c1, i32x4.extend_high_i16x8_s(pair)), 16);
        r0 += xStep;
        r1 += xStep;
        r2 += xStep;
      }
    }
  }
}
