/**
 * Softmax of codes: e = table[max − x], S = Σ e, y = ⌊(512 · e + S) / 2S⌋ (the nearest multiple of 1/256, halves up), at most 255, minus 128.
 *
 * @param x     int8[rows][pitch], n codes of each row; out likewise
 * @param table uint32[256], entries below 2³²; table[0] > 0
 * @param scratch uint32[n]: the exponentials of one row
 */
export function softmax(x: usize, out: usize, rows: i32, n: i32, pitch: i32, outPitch: i32, table: usize, scratch: usize): void {
  for (let y = 0; y < rows; y++, x += pitch, out += outPitch) {
    let top = -128;
    for (let i = 0; i < n; i++) top = max(top, <i32>load<i8>(x + i));
    let sum: u64 = 0;
    for (let i = 0; i < n; i++) {
      const e = load<u32>(table + ((top - <i32>load<i8>(x + i)) << 2));
      store<u32>(scratch + (i << 2), e);
      sum += e;
    }
    for (let i = 0; i < n; i++) {
      const code = (((<u64>load<u32>(scratch + (i << 2))) << 9) + sum) / (sum << 1);
      store<i8>(out + i, <i8>(<i32>min(code, <u64>255) - 128));
    }
  }
}
