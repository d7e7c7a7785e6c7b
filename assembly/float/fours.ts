// The product kernel over rows that lie in fours: one pointer to A instead of four leaves the loop fewer instructions, which is what
// bounds it. Pays where a block of A meets enough columns; sums run in the same order as in gemm.ts.
import { storeTransposed } from "../simd/lanes";
import { CHUNK } from "./gemm";

/**
 * Rows in fours: f32[⌈rows / 4⌉][k][4]; the last row is repeated.
 *
 * @param a rows `lda` bytes apart
 */
export function interleave(dst: usize, a: usize, lda: usize, rows: i32, k: i32): void {
  for (; rows > 0; rows -= 4, a += lda << 2) {
    let a0 = a;
    let a1 = a0 + (rows > 1 ? lda : 0);
    let a2 = a1 + (rows > 2 ? lda : 0);
    let a3 = a2 + (rows > 3 ? lda : 0);
    let left = k;
    for (; left >= 4; left -= 4, dst += 64) {
      const x0 = v128.load(a0);
      const x1 = v128.load(a1);
      const x2 = v128.load(a2);
      const x3 = v128.load(a3);
      storeTransposed(dst, x0, x1, x2, x3);
      a0 += 16;
      a1 += 16;
      a2 += 16;
      a3 += 16;
    }
    for (; left > 0; left--, dst += 16, a0 += 4, a1 += 4, a2 += 4, a3 += 4) {
      store<f32>(dst, load<f32>(a0));
      store<f32>(dst, load<f32>(a1), 4);
      store<f32>(dst, load<f32>(a2), 8);
      store<f32>(dst, load<f32>(a3), 12);
    }
  }
}

/** As `panel` of gemm.ts. @param a f32[⌈rows / 4⌉][k][4], from interleave */
export function panelOfFours(out: usize, a: usize, b: usize, rows: i32, k: i32): void {
  const fours = (<usize>k) << 4;
  for (let first = 0; first < k; first += CHUNK, a += CHUNK << 4, b += CHUNK << 5) {
    const end = b + ((<usize>min(CHUNK, k - first)) << 5);
    let to = out;
    let from = a;
    for (let left = rows; left > 0; left -= 4, to += 128, from += fours) {
      let c00 = f32x4.splat(0);
      let c01 = f32x4.splat(0);
      let c10 = f32x4.splat(0);
      let c11 = f32x4.splat(0);
      let c20 = f32x4.splat(0);
      let c21 = f32x4.splat(0);
      let c30 = f32x4.splat(0);
      let c31 = f32x4.splat(0);
      let p = b;
      let q = from;
      do {
        const b0 = v128.load(p);
        const b1 = v128.load(p, 16);
        let x = v128.load32_splat(q);
        c00 = f32x4.add(c00, f32x4.mul(x, b0));
        c01 = f32x4.add(c01, f32x4.mul(x, b1));
        x = v128.load32_splat(q, 4);
        c10 = f32x4.add(c10, f32x4.mul(x, b0));
        c11 = f32x4.add(c11, f32x4.mul(x, b1));
        x = v128.load32_splat(q, 8);
        c20 = f32x4.add(c20, f32x4.mul(x, b0));
        c21 = f32x4.add(c21, f32x4.mul(x, b1));
        x = v128.load32_splat(q, 12);
        c30 = f32x4.add(c30, f32x4.mul(x, b0));
        c31 = f32x4.add(c31, f32x4.mul(x, b1));
        q += 16;
        p += 32;
      } while (p < end);
      if (first > 0) {
        c00 = f32x4.add(v128.load(to), c00);
        c01 = f32x4.add(v128.load(to, 16), c01);
        c10 = f32x4.add(v128.load(to, 32), c10);
        c11 = f32x4.add(v128.load(to, 48), c11);
        c20 = f32x4.add(v128.load(to, 64), c20);
        c21 = f32x4.add(v128.load(to, 80), c21);
        c30 = f32x4.add(v128.load(to, 96), c30);
        c31 = f32x4.add(v128.load(to, 112), c31);
      }
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
