// Rounding one matrix of weights: minimize tr((W − Q) H (W − Q)ᵀ) over the levels of a grid.
import type { Algebra, Matrix } from "./algebra.ts";
import { type Grid, realOf, scaleAt } from "./grid.ts";

export interface Problem {
  /** W, [rows][columns] row-major: rows are output channels, columns inputs. */
  readonly weights: Float64Array;
  readonly rows: number;
  readonly columns: number;
  readonly grid: Grid;
}

/** Qᵀ's errors (W − Q)ᵀ as a matrix of `columns` rows: the form in which products with H read them. */
export function errorsOf(algebra: Algebra, { weights, rows, columns, grid }: Problem, levels: Float64Array): Matrix {
  const errors = algebra.matrix(columns, rows);
  const view = algebra.view(errors);
  for (let r = 0, i = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++, i++) {
      view[c * errors.ld + r] = weights[i]! - realOf(grid, scaleAt(grid, columns, r, c), levels[i]!);
    }
  }
  return errors;
}

/** tr(S (W − Q) H (W − Q)ᵀ), at least 0 up to rounding. */
export function lossOf(algebra: Algebra, problem: Problem, h: Matrix, levels: Float64Array, outputs?: Float64Array): number {
  return powerOf(algebra, errorsOf(algebra, problem, levels), h, outputs);
}

/**
 * tr(S E H Eᵀ)
 *
 * @param errors  Eᵀ
 * @param outputs S, symmetric; absent: the identity
 */
export function powerOf(algebra: Algebra, errors: Matrix, h: Matrix, outputs?: Float64Array): number {
  const { rows: columns, columns: rows } = errors;
  const plain = algebra.product(errors, h);
  const products = outputs ? algebra.product(algebra.from(rows, rows, outputs), plain) : plain;
  const [e, p] = [algebra.view(errors), algebra.view(products)];
  let sum = 0;
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) sum += e[c * errors.ld + r]! * p[r * products.ld + c]!;
  return sum;
}
