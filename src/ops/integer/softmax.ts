/**
 * e = table[max − x], S = Σ e, y = ⌊(512·e + S) / 2S⌋ capped at 255, minus 128: probabilities in steps of 1/256, halves up.
 *
 * @param x     int8[rows][n]
 * @param table uint32[256]: round(exp(−k · scale) · 2²³)
 */
export function softmaxCodes(x: Int8Array, n: number, table: Uint32Array): Int8Array {
  const y = new Int8Array(x.length);
  for (let row = 0; row < x.length; row += n) {
    const codes = x.subarray(row, row + n);
    const top = codes.reduce((a, b) => Math.max(a, b), -128);
    const e = Array.from(codes, (code) => BigInt(table[top - code]!));
    const sum = e.reduce((a, b) => a + b, 0n);
    e.forEach((each, i) => {
      const code = (512n * each + sum) / (2n * sum);
      y[row + i] = Number(code < 255n ? code : 255n) - 128;
    });
  }
  return y;
}
