// Inputs that change with the quantization before a layer: with A = X Xᵀ, B = X̂ X̂ᵀ, C = X X̂ᵀ,
// ‖W X − Q X̂‖² = tr((Q − W*) B (Q − W*)ᵀ) + const with W* = W C B⁻¹.
import type { Algebra, Matrix } from "./algebra.ts";

/**
 * W* = (W C + λ W)(B + λ I)⁻¹, drawn towards W by λ where the data says little.
 *
 * @param weights    W, [rows][columns]
 * @param aim        W C = Y X̂ᵀ with Y the outputs that are aimed at, [rows][columns]
 * @param lambda     λ
 * @param transposed Rᵀ with B + λ I = R Rᵀ, columns in their natural order
 * @returns          [rows][columns]
 */
export function mismatchTarget(
  algebra: Algebra,
  weights: Float64Array,
  rows: number,
  aim: Float64Array,
  lambda: number,
  transposed: Matrix,
): Float64Array {
  const columns = transposed.rows;
  const y = algebra.transpose(
    algebra.from(
      rows,
      columns,
      aim.map((value, i) => value + lambda * weights[i]!),
    ),
  );
  algebra.solve(transposed, algebra.transpose(transposed), y);
  return algebra.read(algebra.transpose(y));
}
