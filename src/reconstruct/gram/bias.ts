// A bias that is optimal for every choice of codes: an input that is always 1 with a weight of its own, eliminated exactly.
// What is left to choose works on centred inputs.

/** Sums of products of rows that end in a constant 1, so that the last row and column hold plain sums and their number. */
export interface Centred {
  /** Σ (x − μ)(y − ν)ᵀ, [columns][columns] */
  readonly gram: Float64Array;
  /** μ, of the left factor; ν, of the right one. */
  readonly left: Float64Array;
  readonly right: Float64Array;
  readonly count: number;
}

/**
 * @param sums  Σ (x, 1)(y, 1)ᵀ, rows `ld` apart, [columns + 1][columns + 1] of them used
 * @param upper only elements on and above the diagonal are there (x = y)
 * @param unitX what an element of x counts in, `unitY` likewise
 */
export function centre(sums: Float64Array, ld: number, columns: number, upper: boolean, unitX: number, unitY: number): Centred {
  const at = (i: number, j: number): number => (upper && i > j ? sums[j * ld + i]! : sums[i * ld + j]!);
  const count = at(columns, columns);
  const [left, right] = [new Float64Array(columns), new Float64Array(columns)];
  const gram = new Float64Array(columns * columns);
  for (let i = 0; i < columns; i++) {
    left[i] = (at(i, columns) * unitX) / count;
    right[i] = (at(columns, i) * unitY) / count;
    for (let j = 0; j < columns; j++) gram[i * columns + j] = (at(i, j) - (at(i, columns) * at(columns, j)) / count) * unitX * unitY;
  }
  return { gram, left, right, count };
}

/** What to add to each row's bias: W μ − Q μ̂. */
export function biasShift(
  weights: Float64Array,
  mean: Float64Array,
  chosen: Float64Array,
  chosenMean: Float64Array,
  rows: number,
): Float64Array {
  const columns = mean.length;
  return Float64Array.from({ length: rows }, (_, r) => {
    let sum = 0;
    for (let c = 0, i = r * columns; c < columns; c++, i++) sum += weights[i]! * mean[c]! - chosen[i]! * chosenMean[c]!;
    return sum;
  });
}
