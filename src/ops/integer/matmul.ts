/** A matrix for each index of the axes before the last two; strides in elements, one per axis. */
export interface Matrices {
  readonly codes: Int8Array;
  readonly dims: readonly number[];
  readonly strides: readonly number[];
  readonly zeroPoint: number;
}

/**
 * Σₖ (a[m,k] − za)(b[k,n] − zb) of every pair of matrices, exact in int32.
 *
 * @param a [..., M, K]
 * @param b [..., K, N]
 * @returns int32[...][M][N]
 */
export function matmulAccumulators(a: Matrices, b: Matrices): Int32Array {
  const [m, k, n] = [a.dims.at(-2)!, a.dims.at(-1)!, b.dims.at(-1)!];
  const outer = a.dims.slice(0, -2);
  const count = outer.reduce((product, d) => product * d, 1);
  const sums = new Int32Array(count * m * n);
  for (let batch = 0, at = 0; batch < count; batch++) {
    let rest = batch;
    let [fromA, fromB] = [0, 0];
    for (let axis = outer.length - 1; axis >= 0; axis--) {
      fromA += (rest % outer[axis]!) * a.strides[axis]!;
      fromB += (rest % outer[axis]!) * b.strides[axis]!;
      rest = Math.floor(rest / outer[axis]!);
    }
    for (let row = 0; row < m; row++) {
      for (let column = 0; column < n; column++, at++) {
        let sum = 0;
        for (let i = 0; i < k; i++) {
          const left = a.codes[fromA + row * a.strides.at(-2)! + i * a.strides.at(-1)!]! - a.zeroPoint;
          sum += left * (b.codes[fromB + i * b.strides.at(-2)! + column * b.strides.at(-1)!]! - b.zeroPoint);
        }
        sums[at] = sum;
      }
    }
  }
  return sums;
}
