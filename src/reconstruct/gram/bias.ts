// A bias that is optimal for every choice of codes: an input that is always 1 with a weight of its own, eliminated exactly.
// What is left to choose works on centred inputs: with N rows of means μ, Σ (x − μ)(y − ν)ᵀ = Σ x yᵀ − N μ νᵀ.

/** Sums of products of rows (x, 1) and (y, 1), so that the last row and column hold plain sums and their number. */
export interface Sums {
  readonly values: Float64Array;
  /** Elements from row to row. */
  readonly ld: number;
  /** Elements of x and y, the constants left out. */
  readonly rows: number;
  readonly columns: number;
  /** Only elements on and above the diagonal are there (x = y). */
  readonly upper: boolean;
  /** What elements of x and of y count in. */
  readonly unitX: number;
  readonly unitY: number;
}

export interface Moments {
  /** Σ x yᵀ, or Σ (x − μ)(y − ν)ᵀ, [rows][columns] */
  readonly products: Float64Array;
  /** μ and ν */
  readonly left: Float64Array;
  readonly right: Float64Array;
  /** N */
  readonly count: number;
}

export function moments({ values, ld, rows, columns, upper, unitX, unitY }: Sums, centred: boolean): Moments {
  const at = (i: number, j: number): number => (upper && i > j ? values[j * ld + i]! : values[i * ld + j]!);
  const count = at(rows, columns);
  const products = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const shared = centred ? (at(i, columns) * at(rows, j)) / count : 0;
      products[i * columns + j] = (at(i, j) - shared) * unitX * unitY;
    }
  }
  const left = Float64Array.from({ length: rows }, (_, i) => (at(i, columns) * unitX) / count);
  const right = Float64Array.from({ length: columns }, (_, j) => (at(rows, j) * unitY) / count);
  return { products, left, right, count };
}

/** b = ȳ − Q μ̂ for outputs of mean ȳ and weights Q, [rows][columns]. */
export function bestBias(outputs: Float64Array, weights: Float64Array, mean: Float64Array): Float64Array {
  const columns = mean.length;
  return outputs.map((y, r) => {
    let sum = y;
    for (let c = 0, i = r * columns; c < columns; c++, i++) sum -= weights[i]! * mean[c]!;
    return sum;
  });
}

/** W μ + b: the mean outputs of a layer whose inputs have the mean μ. */
export function meanOutputs(weights: Float64Array, mean: Float64Array, bias: Float64Array): Float64Array {
  const columns = mean.length;
  return bias.map((b, r) => {
    let sum = b;
    for (let c = 0, i = r * columns; c < columns; c++, i++) sum += weights[i]! * mean[c]!;
    return sum;
  });
}
