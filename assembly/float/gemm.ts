// Matrix products in float32: one 4×8 tile of accumulators, B in panels of 8 columns.
// 8 accumulators + 2 of B + 1 of A fill the 16 vector registers of x86; a tenth accumulator spills and costs a quarter of the speed.
// The tile leaves through memory: an epilogue on live accumulators would make the register allocator spill them inside the k loop.

import { interleave, panelOfFours } from "./fours";

/** Most rows between product and epilogue, so that their results (32 bytes each) stay in L1. */
const MAX_ROWS: i32 = 64;
/** Floats of A that one block of rows may hold: half a 1 MiB L2, the other half is for the panels of B. */
const BLOCK_FLOATS: i32 = 1 << 17;

/** Length of a partial sum: errors grow with the longest chain of additions, and 8 KiB of B fit L1 beside A. */
export const CHUNK: i32 = 256;

/** Columns of B from which on rows of A are brought into fours first, and how many floats of them at a time. */
const FOURS_COLUMNS: i32 = 24;
const FOURS_FLOATS: i32 = 1 << 15;
/** So many rows at least must then fit: each panel of B is read once for them. */
const FOURS_ROWS: i32 = 16;

const results: usize = memory.data(2048, 16); // MAX_ROWS × 8 floats
const fours: usize = memory.data(131072, 16); // FOURS_FLOATS
const noBias: usize = memory.data<f32>([0, 0, 0, 0, 0, 0, 0, 0], 16);

/**
 * out[rows × 8] = A[rows × k] · B[k × 8]: the product kernel of every matrix product and convolution.
 * Sums run over k upwards, in chunks of CHUNK whose sums are added in order.
 *
 * @param out   f32[rows rounded up to 4][8]; the rows added by rounding repeat the last one
 * @param a     f32, rows `lda` bytes apart
 * @param b     f32[k][8], 16-byte aligned
 * @param rows  at least 1
 * @param k     at least 1
 */
export function panel(out: usize, a: usize, lda: usize, b: usize, rows: i32, k: i32): void {
  for (let first = 0; first < k; first += CHUNK) {
    chunk(out, a, lda, b, rows, min(CHUNK, k - first), first > 0);
    a += CHUNK << 2;
    b += CHUNK << 5;
  }
}

function chunk(out: usize, a: usize, lda: usize, b: usize, rows: i32, k: i32, add: bool): void {
  const end = b + ((<usize>k) << 5);
  for (; rows > 0; rows -= 4) {
    let a0 = a;
    let a1 = a0 + (rows > 1 ? lda : 0);
    let a2 = a1 + (rows > 2 ? lda : 0);
    let a3 = a2 + (rows > 3 ? lda : 0);
    let c00 = f32x4.splat(0);
    let c01 = f32x4.splat(0);
    let c10 = f32x4.splat(0);
    let c11 = f32x4.splat(0);
    let c20 = f32x4.splat(0);
    let c21 = f32x4.splat(0);
    let c30 = f32x4.splat(0);
    let c31 = f32x4.splat(0);
    let p = b;
    // One step of k per round: V8 hoists the loads of an unrolled body to its top and spills the accumulators.
    do {
      const b0 = v128.load(p);
      const b1 = v128.load(p, 16);
      let x = v128.load32_splat(a0);
      c00 = f32x4.add(c00, f32x4.mul(x, b0));
      c01 = f32x4.add(c01, f32x4.mul(x, b1));
      x = v128.load32_splat(a1);
      c10 = f32x4.add(c10, f32x4.mul(x, b0));
      c11 = f32x4.add(c11, f32x4.mul(x, b1));
      x = v128.load32_splat(a2);
      c20 = f32x4.add(c20, f32x4.mul(x, b0));
      c21 = f32x4.add(c21, f32x4.mul(x, b1));
      x = v128.load32_splat(a3);
      c30 = f32x4.add(c30, f32x4.mul(x, b0));
      c31 = f32x4.add(c31, f32x4.mul(x, b1));
      a0 += 4;
      a1 += 4;
      a2 += 4;
      a3 += 4;
      p += 32;
    } while (p < end);
    if (add) {
      c00 = f32x4.add(v128.load(out), c00);
      c01 = f32x4.add(v128.load(out, 16), c01);
      c10 = f32x4.add(v128.load(out, 32), c10);
      c11 = f32x4.add(v128.load(out, 48), c11);
      c20 = f32x4.add(v128.load(out, 64), c20);
      c21 = f32x4.add(v128.load(out, 80), c21);
      c30 = f32x4.add(v128.load(out, 96), c30);
      c31 = f32x4.add(v128.load(out, 112), c31);
    }
    v128.store(out, c00);
    v128.store(out, c01, 16);
    v128.store(out, c10, 32);
    v128.store(out, c11, 48);
    v128.store(out, c20, 64);
    v128.store(out, c21, 80);
    v128.store(out, c30, 96);
    v128.store(out, c31, 112);
    out += 128;
    a += lda << 2;
  }
}

/**
 * C = min(max(A · B + bias, low), high); NaN stays NaN.
 *
 * @param c    f32[m × n], rows `ldc` floats apart
 * @param a    f32[m × k], rows `lda` floats apart
 * @param b    f32[⌈n/8⌉][k][8], as `packPanels` makes it
 * @param bias f32[n rounded up to 8], or 0 for none
 * @param m    rows, at least 0
 * @param n    columns, at least 0
 * @param k    length of the sums, at least 1
 */
export function gemm(c: usize, ldc: i32, a: usize, lda: i32, b: usize, bias: usize, m: i32, n: i32, k: i32, low: f32, high: f32): void {
  const cRow = (<usize>ldc) << 2;
  const aRow = (<usize>lda) << 2;
  const bPanel = (<usize>k) << 5;
  const biasStep: usize = bias ? 32 : 0;
  const foursRows = (FOURS_FLOATS / k) & -4;
  const inFours = n >= FOURS_COLUMNS && m >= 4 && foursRows >= FOURS_ROWS;
  const blockRows = min(MAX_ROWS, inFours ? foursRows : max(8, (BLOCK_FLOATS / k) & -4));
  for (; m > 0; m -= blockRows) {
    const rows = min(m, blockRows);
    if (inFours) interleave(fours, a, aRow, rows, k);
    let bColumns = b;
    let biasColumns = bias ? bias : noBias;
    let out = c;
    for (let left = n; left > 0; left -= 8) {
      if (inFours) panelOfFours(results, fours, bColumns, rows, k);
      else panel(results, a, aRow, bColumns, rows, k);
      finish(out, cRow, rows, min(left, 8), biasColumns, low, high);
      bColumns += bPanel;
      biasColumns += biasStep;
      out += 32;
    }
    a += aRow * rows;
    c += cRow * rows;
  }
}

/** Bias and clamp of `results`, stored into `columns` ≤ 8 columns of C. */
function finish(c: usize, cRow: usize, rows: i32, columns: i32, bias: usize, low: f32, high: f32): void {
  const bias0 = v128.load(bias);
  const bias1 = v128.load(bias, 16);
  const lo = f32x4.splat(low);
  const hi = f32x4.splat(high);
  let p = results;
  const end = p + ((<usize>rows) << 5);
  do {
    // pmin(x, hi) is hi < x ? hi : x, so a NaN passes; f32x4.min is five times slower.
    const v0 = f32x4.pmax(f32x4.pmin(f32x4.add(v128.load(p), bias0), hi), lo);
    const v1 = f32x4.pmax(f32x4.pmin(f32x4.add(v128.load(p, 16), bias1), hi), lo);
    if (columns == 8) {
      v128.store(c, v0);
      v128.store(c, v1, 16);
    } else {
      v128.store(p, v0);
      v128.store(p, v1, 16);
      for (let i: usize = 0; i < <usize>columns; i++) store<f32>(c + (i << 2), load<f32>(p + (i << 2)));
    }
    c += cRow;
    p += 32;
  } while (p < end);
}
