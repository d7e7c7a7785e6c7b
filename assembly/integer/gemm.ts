// Products of int16 rows (widened activations) with int8 weights, exact modulo 2³². The tile is 4 rows × 8 channels: eight
// accumulators, two weight vectors and one activation pair are what 16 vector registers hold. What bounds it is the number of
// instructions, so rows lie in fours and a panel of weights is widened once for all of them: one pointer and one load each. No unrolling:
// V8 unrolls by itself where it can, and hoists the loads of a longer body and spills the accumulators.

/**
 * acc[n][m][j] = bias[n][j] + Σₖ a[m][k] · w[n][k][j] for panels n of 8 channels.
 *
 * @param a           int16[⌈rows / 4⌉][…pairs][4][2], from widenFours; fourPitch bytes between fours, at least 16 · pairs
 * @param rows        at least 1; acc has room for the next multiple of 4
 * @param w           int8[panels][pairs][8][2]
 * @param pairs       K / 2, at least 1
 * @param wide        32 · pairs bytes of scratch
 * @param bias        int32[panels][8]
 * @param acc         int32[panels][rows, rounded up to 4][8]
 * @param panelPitch  bytes between panels of acc
 */
export function gemm(
  a: usize,
  fourPitch: i32,
  rows: i32,
  w: usize,
  pairs: i32,
  wide: usize,
  bias: usize,
  acc: usize,
  panelPitch: i32,
  panels: i32,
): void {
  const end = wide + (pairs << 5);
  for (let n = 0; n < panels; n++, bias += 32, acc += panelPitch) {
    w = widenPanel(w, wide, end);
    let four = a;
    let to = acc;
    for (let m = 0; m < rows; m += 4, four += fourPitch, to += 128) {
      let c00 = v128.load(bias);
      let c01 = v128.load(bias, 16);
      let c10 = c00;
      let c11 = c01;
      let c20 = c00;
      let c21 = c01;
      let c30 = c00;
      let c31 = c01;
      let x = four;
      let p = wide;
      do {
        const w0 = v128.load(p);
        const w1 = v128.load(p, 16);
        let v = v128.load32_splat(x);
        c00 = i32x4.add(c00, i32x4.dot_i16x8_s(v, w0));
        c01 = i32x4.add(c01, i32x4.dot_i16x8_s(v, w1));
        v = v128.load32_splat(x, 4);
        c10 = i32x4.add(c10, i32x4.dot_i16x8_s(v, w0));
        c11 = i32x4.add(c11, i32x4.dot_i16x8_s(v, w1));
        v = v128.load32_splat(x, 8);
        c20 = i32x4.add(c20, i32x4.dot_i16x8_s(v, w0));
        c21 = i32x4.add(c21, i32x4.dot_i16x8_s(v, w1));
        v = v128.load32_splat(x, 12);
        c30 = i32x4.add(c30, i32x4.dot_i16x8_s(v, w0));
        c31 = i32x4.add(c31, i32x4.dot_i16x8_s(v, w1));
        x += 16;
        p += 32;
      } while (p < end);
      v128.store(to, c00);
      v128.store(to, c01, 16);
      v128.store(to, c10, 32);
      v128.store(to, c11, 48);
      v128.store(to, c20, 64);
      v128.store(to, c21, 80);
      v128.store(to, c30, 96);
      v128.store(to, c31, 112);
    }
  }
}

/** One panel of weights as int16 at [to, end). @returns the next panel */
function widenPanel(w: usize, to: usize, end: usize): usize {
  for (; to < end; to += 32, w += 16) {
    v128.store(to, v128.load8x8_s(w));
    v128.store(to, v128.load8x8_s(w, 8), 16);
  }
  return w;
}

/**
 * The same for rows of few codes and small weights, two rows a lane: a lane is x + 4096 (y − 8), x and y the codes of rows m and m + 4
 * above the least one, so one product serves both. Its low 12 bits hold Σ w x modulo 4096; they are looked at so often that it moves by
 * less than half of that from one look to the next, and what is left at the end is Σ w (y − 8).
 *
 * @param a        int16[⌈rows / 8⌉][…pairs][4][2], from widenPairs; eightPitch bytes between eights
 * @param every    pairs from look to look: every · 2 · 15 · max |w| < 2048
 * @param pairs    pairs · 2 · 8 · max |w| < 2¹⁹
 * @param wide     32 · pairs bytes of scratch
 * @param looks    256 bytes of scratch
 * @param lowBias  int32[panels][8], of rows m: bias + Σₖ least · w
 * @param highBias of rows m + 4: bias + Σₖ (least + 8) · w
 * @param acc      int32[panels][rows, rounded up to 8][8]
 */
export function gemmPairs(
  a: usize,
  eightPitch: i32,
  rows: i32,
  w: usize,
  pairs: i32,
  every: i32,
  wide: usize,
  looks: usize,
  lowBias: usize,
  highBias: usize,
  acc: usize,
  panelPitch: i32,
  panels: i32,
): void {
  const end = wide + (pairs << 5);
  const stride: usize = every << 5;
  const zero = i32x4.splat(0);
  for (let n = 0; n < panels; n++, lowBias += 32, highBias += 32, acc += panelPitch) {
    w = widenPanel(w, wide, end);
    let eight = a;
    let to = acc;
    for (let m = 0; m < rows; m += 8, eight += eightPitch, to += 256) {
      for (let i: usize = 0; i < 128; i += 16) {
        v128.store(looks + i, zero);
        v128.store(looks + i, zero, 128);
      }
      let c00 = zero;
      let c01 = zero;
      let c10 = zero;
      let c11 = zero;
      let c20 = zero;
      let c21 = zero;
      let c30 = zero;
      let c31 = zero;
      let x = eight;
      let p = wide;
      do {
        const stop = min(p + stride, end);
        do {
          const w0 = v128.load(p);
          const w1 = v128.load(p, 16);
          let v = v128.load32_splat(x);
          c00 = i32x4.add(c00, i32x4.dot_i16x8_s(v, w0));
          c01 = i32x4.add(c01, i32x4.dot_i16x8_s(v, w1));
          v = v128.load32_splat(x, 4);
          c10 = i32x4.add(c10, i32x4.dot_i16x8_s(v, w0));
          c11 = i32x4.add(c11, i32x4.dot_i16x8_s(v, w1));
          v = v128.load32_splat(x, 8);
          c20 = i32x4.add(c20, i32x4.dot_i16x8_s(v, w0));
          c21 = i32x4.add(c21, i32x4.dot_i16x8_s(v, w1));
          v = v128.load32_splat(x, 12);
          c30 = i32x4.add(c30, i32x4.dot_i16x8_s(v, w0));
          c31 = i32x4.add(c31, i32x4.dot_i16x8_s(v, w1));
          x += 16;
          p += 32;
        } while (p < stop);
        look(looks, c00);
        look(looks + 16, c01);
        look(looks + 32, c10);
        look(looks + 48, c11);
        look(looks + 64, c20);
        look(looks + 80, c21);
        look(looks + 96, c30);
        look(looks + 112, c31);
      } while (p < end);
      part(to, looks, c00, lowBias, highBias);
      part(to + 16, looks + 16, c01, lowBias + 16, highBias + 16);
      part(to + 32, looks + 32, c10, lowBias, highBias);
      part(to + 48, looks + 48, c11, lowBias + 16, highBias + 16);
      part(to + 64, looks + 64, c20, lowBias, highBias);
      part(to + 80, looks + 80, c21, lowBias + 16, highBias + 16);
      part(to + 96, looks + 96, c30, lowBias, highBias);
      part(to + 112, looks + 112, c31, lowBias + 16, highBias + 16);
    }
  }
}

/** Adds to the low sum by how much it has moved; `looks` holds it, and 128 bytes further the low bits as they were. */
function look(looks: usize, c: v128): void {
  const now = i32x4.shl(c, 20);
  v128.store(looks, i32x4.add(v128.load(looks), i32x4.shr_s(i32x4.sub(now, v128.load(looks, 128)), 20)));
  v128.store(looks, now, 128);
}

/** Rows m and, 128 bytes further, m + 4. */
function part(to: usize, looks: usize, c: v128, lowBias: usize, highBias: usize): void {
  const low = v128.load(looks);
  v128.store(to, i32x4.add(v128.load(lowBias), low));
  v128.store(to, i32x4.add(v128.load(highBias), i32x4.shr_s(i32x4.sub(c, low), 12)), 128);
}

/**
 * The same for one row, as `widen` leaves it: four panels share each activation pair.
 *
 * @param a   int16[2 · pairs]
 * @param acc int32[panels][…]: the first row of every panel is written
 */
export function gemv(a: usize, w: usize, pairs: i32, bias: usize, acc: usize, panelPitch: i32, panels: i32): void {
  const wBytes = (<usize>pairs) << 4;
  let n = 0;
  for (; n + 4 <= panels; n += 4, w += wBytes << 2, bias += 128, acc += panelPitch << 2) fourPanels(a, w, wBytes, bias, acc, panelPitch);
  for (; n < panels; n++, w += wBytes, bias += 32, acc += panelPitch) onePanel(a, w, w + wBytes, bias, acc);
}

function fourPanels(a: usize, w0: usize, wBytes: usize, bias: usize, acc: usize, panelPitch: i32): void {
  const end = w0 + wBytes;
  let w1 = w0 + wBytes;
  let w2 = w1 + wBytes;
  let w3 = w2 + wBytes;
  let c00 = v128.load(bias);
  let c01 = v128.load(bias, 16);
  let c10 = v128.load(bias, 32);
  let c11 = v128.load(bias, 48);
  let c20 = v128.load(bias, 64);
  let c21 = v128.load(bias, 80);
  let c30 = v128.load(bias, 96);
  let c31 = v128.load(bias, 112);
  do {
    const x = v128.load32_splat(a);
    c00 = i32x4.add(c00, i32x4.dot_i16x8_s(x, v128.load8x8_s(w0)));
    c01 = i32x4.add(c01, i32x4.dot_i16x8_s(x, v128.load8x8_s(w0, 8)));
    c10 = i32x4.add(c10, i32x4.dot_i16x8_s(x, v128.load8x8_s(w1)));
    c11 = i32x4.add(c11, i32x4.dot_i16x8_s(x, v128.load8x8_s(w1, 8)));
    c20 = i32x4.add(c20, i32x4.dot_i16x8_s(x, v128.load8x8_s(w2)));
    c21 = i32x4.add(c21, i32x4.dot_i16x8_s(x, v128.load8x8_s(w2, 8)));
    c30 = i32x4.add(c30, i32x4.dot_i16x8_s(x, v128.load8x8_s(w3)));
    c31 = i32x4.add(c31, i32x4.dot_i16x8_s(x, v128.load8x8_s(w3, 8)));
    a += 4;
    w0 += 16;
    w1 += 16;
    w2 += 16;
    w3 += 16;
  } while (w0 < end);
  storePair(acc, c00, c01);
  storePair(acc + panelPitch, c10, c11);
  storePair(acc + panelPitch * 2, c20, c21);
  storePair(acc + panelPitch * 3, c30, c31);
}

function onePanel(a: usize, w: usize, end: usize, bias: usize, acc: usize): void {
  let c0 = v128.load(bias);
  let c1 = v128.load(bias, 16);
  do {
    const x = v128.load32_splat(a);
    c0 = i32x4.add(c0, i32x4.dot_i16x8_s(x, v128.load8x8_s(w)));
    c1 = i32x4.add(c1, i32x4.dot_i16x8_s(x, v128.load8x8_s(w, 8)));
    a += 4;
    w += 16;
  } while (w < end);
  storePair(acc, c0, c1);
}

function storePair(to: usize, c0: v128, c1: v128): void {
  v128.store(to, c0);
  v128.store(to, c1, 16);
}
