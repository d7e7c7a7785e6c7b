// Moving float32 elements: every re-ordering, slice, concatenation, padding and broadcast is one of these.

/** dst[i] = src[i] for `bytes` bytes; the ranges may overlap. */
export function copyBytes(dst: usize, src: usize, bytes: usize): void {
  memory.copy(dst, src, bytes);
}

/** dst[i] = value, n float32. */
export function fill(dst: usize, value: f32, n: i32): void {
  const v = f32x4.splat(value);
  const end = dst + ((<usize>(n & ~3)) << 2);
  for (; dst < end; dst += 16) v128.store(dst, v);
  for (let i = n & ~3; i < n; i++, dst += 4) store<f32>(dst, value);
}

/**
 * dst[i·t0 + j·t1 + k·t2 + l·t3] = src[i·s0 + j·s1 + k·s2 + l·s3] for i < d0 … l < d3.
 * Sizes and strides in elements of 4 bytes; strides may be negative or zero.
 */
export function copy4(
  dst: usize,
  src: usize,
  d0: i32,
  d1: i32,
  d2: i32,
  d3: i32,
  s0: i32,
  s1: i32,
  s2: i32,
  s3: i32,
  t0: i32,
  t1: i32,
  t2: i32,
  t3: i32,
): void {
  const row = (<usize>d3) << 2;
  for (let i = 0; i < d0; i++) {
    for (let j = 0; j < d1; j++) {
      let from = src + ((i * s0 + j * s1) << 2);
      let to = dst + ((i * t0 + j * t1) << 2);
      if (s3 == 1 && t3 == 1) {
        for (let k = 0; k < d2; k++, from += s2 << 2, to += t2 << 2) copyRow(to, from, row);
      } else if (s2 == 1 && t3 == 1) {
        transpose(to, from, d2, d3, s3, t2);
      } else {
        for (let k = 0; k < d2; k++, from += s2 << 2, to += t2 << 2) copyStrided(to, from, d3, s3, t3);
      }
    }
  }
}

/** Short rows dominate (channels of a small network), and memory.copy costs a call each. */
function copyRow(dst: usize, src: usize, bytes: usize): void {
  if (bytes >= 256) {
    memory.copy(dst, src, bytes);
    return;
  }
  const end = dst + (bytes & ~15);
  for (; dst < end; dst += 16, src += 16) v128.store(dst, v128.load(src));
  const last = end + (bytes & 15);
  for (; dst < last; dst += 4, src += 4) store<u32>(dst, load<u32>(src));
}

function copyStrided(dst: usize, src: usize, n: i32, s: i32, t: i32): void {
  for (let i = 0; i < n; i++, src += s << 2, dst += t << 2) store<u32>(dst, load<u32>(src));
}

/** dst[r·t + c] = src[r + c·s] for r < rows, c < columns: a matrix transposed in blocks of 4×4. */
function transpose(dst: usize, src: usize, rows: i32, columns: i32, s: i32, t: i32): void {
  const s1 = (<usize>s) << 2;
  const t1 = (<usize>t) << 2;
  let r = 0;
  for (; r + 4 <= rows; r += 4) {
    let from = src + (r << 2);
    let to = dst + <usize>r * t1;
    let c = 0;
    for (; c + 4 <= columns; c += 4, from += s1 << 2, to += 16) {
      const a = v128.load(from);
      const b = v128.load(from + s1);
      const e = v128.load(from + (s1 << 1));
      const f = v128.load(from + s1 * 3);
      const ab0 = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
      const ab1 = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
      const ef0 = v128.shuffle<i32>(e, f, 0, 4, 1, 5);
      const ef1 = v128.shuffle<i32>(e, f, 2, 6, 3, 7);
      v128.store(to, v128.shuffle<i64>(ab0, ef0, 0, 2));
      v128.store(to + t1, v128.shuffle<i64>(ab0, ef0, 1, 3));
      v128.store(to + (t1 << 1), v128.shuffle<i64>(ab1, ef1, 0, 2));
      v128.store(to + t1 * 3, v128.shuffle<i64>(ab1, ef1, 1, 3));
    }
    for (; c < columns; c++, from += s1, to += 4) {
      store<u32>(to, load<u32>(from));
      store<u32>(to + t1, load<u32>(from, 4));
      store<u32>(to + (t1 << 1), load<u32>(from, 8));
      store<u32>(to + t1 * 3, load<u32>(from, 12));
    }
  }
  for (; r < rows; r++) copyStrided(dst + <usize>r * t1, src + (r << 2), columns, s, 1);
}
