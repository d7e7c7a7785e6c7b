// Depthwise convolution: 8 channels at a time over a bordered image, so that no window is cut. Taps go in pairs, interleaved, so that one
// dot product makes 32-bit sums of both: what brings codes into lanes shares two of the four vector pipes, and these forms need the
// fewest such steps. Exact modulo 2³².

/** Pairs of 16-bit lanes (a₀, b₀), (a₁, b₁) … of 4 channels each. */
function low(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}

function high(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}

function dotAdd(c: v128, x: v128, w: v128): v128 {
  return i32x4.add(c, i32x4.dot_i16x8_s(x, w));
}

/**
 * acc[n][y · columns + x][j] = bias + Σ over the window. All steps in bytes of int8 codes.
 *
 * @param from    channel 0 of the first tap of output pixel (0, 0)
 * @param xStep   between windows of neighbouring output columns; yStep of rows
 * @param taps    int32[pairs][2]: from a window's first tap to each
 * @param w       int8[panels][pairs][8][2]; where taps are odd in number, the last one's neighbour has weight 0
 * @param bias    int32[panels][8]
 * @param acc     int32[panels][rows · columns][8]; panelPitch bytes between panels
 */
export function depthwise(
  from: usize,
  rows: i32,
  columns: i32,
  xStep: i32,
  yStep: i32,
  taps: usize,
  pairs: i32,
  w: usize,
  bias: usize,
  acc: usize,
  panelPitch: i32,
  panels: i32,
): void {
  const end = taps + (pairs << 3);
  for (let n = 0; n < panels; n++, from += 8, w += pairs << 4, bias += 32, acc += panelPitch) {
    const b0 = v128.load(bias);
    const b1 = v128.load(bias, 16);
    let to = acc;
    for (let y = 0, row = from; y < rows; y++, row += yStep) {
      for (let x = 0, window = row; x < columns; x++, window += xStep, to += 32) {
        let c0 = b0;
        let c1 = b1;
        let weights = w;
        let tap = taps;
        do {
          const a = v128.load8x8_s(window + load<i32>(tap));
          const b = v128.load8x8_s(window + load<i32>(tap, 4));
          c0 = dotAdd(c0, low(a, b), v128.load8x8_s(weights));
          c1 = dotAdd(c1, high(a, b), v128.load8x8_s(weights, 8));
          tap += 8;
          weights += 16;
        } while (tap < end);
        v128.store(to, c0);
        v128.store(to, c1, 16);
      }
    }
  }
}

/**
 * The 3×3 window where windows are as far apart as taps: a column of taps is read once for the three outputs that see it.
 * Parameters as above, but for
 *
 * @param xTap between taps of a row, yTap of a column
 * @param w    int8[panels][5][8][2]: of taps (row, column) (0, 0) with (1, 0), (0, 1) with (1, 1), (0, 2) with (1, 2), (2, 0) with (2, 1),
 *             and 0 with that of (2, 2)
 */
export function depthwise3x3(
  from: usize,
  rows: i32,
  columns: i32,
  yStep: i32,
  xTap: i32,
  yTap: i32,
  w: usize,
  bias: usize,
  acc: usize,
  panelPitch: i32,
  panels: i32,
): void {
  // 4 channels at a time: their weights and sums are what the vector registers hold.
  for (let n = 0; n < panels; n++, w += 64, acc += panelPitch - 32) {
    for (const second = w + 16; w < second; w += 8, bias += 16, from += 4, acc += 16) {
      const b = v128.load(bias);
      const left = v128.load8x8_s(w);
      const middle = v128.load8x8_s(w, 16);
      const right = v128.load8x8_s(w, 32);
      const lower = v128.load8x8_s(w, 48);
      const corner = v128.load8x8_s(w, 64);
      let to = acc;
      for (let y = 0, row = from; y < rows; y++, row += yStep) {
        let p0 = row;
        let p1 = p0 + yTap;
        let p2 = p1 + yTap;
        let last = v128.load8x8_s(p2);
        let c = dotAdd(b, low(v128.load8x8_s(p0), v128.load8x8_s(p1)), left);
        p0 += xTap;
        p1 += xTap;
        p2 += xTap;
        let next = v128.load8x8_s(p2);
        let upper = low(v128.load8x8_s(p0), v128.load8x8_s(p1));
        // Sums of the output that ends with the next column, and of the one after.
        c = dotAdd(dotAdd(c, upper, middle), low(last, next), lower);
        let d = dotAdd(b, upper, left);
        last = next;
        for (const end = to + (columns << 5); to < end; to += 32) {
          p0 += xTap;
          p1 += xTap;
          p2 += xTap;
          next = v128.load8x8_s(p2);
          upper = low(v128.load8x8_s(p0), v128.load8x8_s(p1));
          const third = low(last, next);
          v128.store(to, dotAdd(dotAdd(c, upper, right), third, corner));
          c = dotAdd(dotAdd(d, upper, middle), third, lower);
          d = dotAdd(b, upper, left);
          last = next;
        }
      }
    }
  }
}

/**
 * The 3×3 window where windows are two taps apart.
 *
 * @param w int8[panels][5][8][2] as above, the last (2, 2) with 0
 */
export function depthwise3x3Strided(
  from: usize,
  rows: i32,
  columns: i32,
  yStep: i32,
  xTap: i32,
  yTap: i32,
  w: usize,
  bias: usize,
  acc: usize,
  panelPitch: i32,
  panels: i32,
): void {
  for (let n = 0; n < panels; n++, from += 8, w += 80, bias += 32, acc += panelPitch) {
    const b0 = v128.load(bias);
    const b1 = v128.load(bias, 16);
    const left0 = v128.load8x8_s(w);
    const left1 = v128.load8x8_s(w, 8);
    const middle0 = v128.load8x8_s(w, 16);
    const middle1 = v128.load8x8_s(w, 24);
    const right0 = v128.load8x8_s(w, 32);
    const right1 = v128.load8x8_s(w, 40);
    const lower0 = v128.load8x8_s(w, 48);
    const lower1 = v128.load8x8_s(w, 56);
    const corner0 = v128.load8x8_s(w, 64);
    const corner1 = v128.load8x8_s(w, 72);
    let to = acc;
    for (let y = 0, r0 = from; y < rows; y++, r0 += yStep) {
      let p0 = r0;
      let p1 = p0 + yTap;
      let p2 = p1 + yTap;
      let a = v128.load8x8_s(p0);
      let b = v128.load8x8_s(p1);
      let c0 = dotAdd(b0, low(a, b), left0);
      let c1 = dotAdd(b1, high(a, b), left1);
      let e = v128.load8x8_s(p2);
      for (const end = to + (columns << 5); to < end; to += 32) {
        // The odd column.
        p0 += xTap;
        p1 += xTap;
        p2 += xTap;
        a = v128.load8x8_s(p0);
        b = v128.load8x8_s(p1);
        c0 = dotAdd(c0, low(a, b), middle0);
        c1 = dotAdd(c1, high(a, b), middle1);
        a = v128.load8x8_s(p2);
        c0 = dotAdd(c0, low(e, a), lower0);
        c1 = dotAdd(c1, high(e, a), lower1);
        // The even one, which the next output begins with.
        p0 += xTap;
        p1 += xTap;
        p2 += xTap;
        a = v128.load8x8_s(p0);
        b = v128.load8x8_s(p1);
        e = v128.load8x8_s(p2);
        let upper = low(a, b);
        v128.store(to, dotAdd(dotAdd(c0, upper, right0), low(e, e), corner0));
        c0 = dotAdd(b0, upper, left0);
        upper = high(a, b);
        v128.store(to, dotAdd(dotAdd(c1, upper, right1), high(e, e), corner1), 16);
        c1 = dotAdd(b1, upper, left1);
      }
    }
  }
}
