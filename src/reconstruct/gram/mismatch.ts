// Inputs that change with the quantization before a layer: with A = X Xᵀ, B = X̂ X̂ᵀ, C = X X̂ᵀ,
// ‖W X − Q X̂‖² = tr((Q − W*) B (Q − W*)ᵀ) + const with W* = W C B⁻¹.
import type { Algebra, Matrix } from "./algebra.ts";

/**
 * W* = (W C + λ W)(B + λ I)⁻¹, drawn towards W by λ where the data says little.
 *
 * @param weights    W, [rows][columns]
 * @param cross      C, [columns][columns]: row i belongs to x_i, column j to x̂_j
 * @param lambda     λ
 * @param transposed Rᵀ with B + λ I = R Rᵀ, columns in their natural order
 * @returns          [rows][columns]
 */
export function mismatchTarget(
  algebra: Algebra,
  weights: Float64Array,
  rows: number,
  cross: Matrix,
  lambda: number,
  transposed: Matrix,
): Float64Array {
  const columns = cross.rows;
  const w = algebra.transpose(algebra.from(rows, columns, weights));
  // (W C)ᵀ = Cᵀ Wᵀ
  const y = algebra.product(cross, w);
  const [to, from] = [algebra.view(y), algebra.view(w)];
  for (let i = 0; i < to.length; i++) to[i]! += lambda * from[i]!;
  algebra.solve(transposed, algebra.transpose(transposed), y);
  return algebra.read(algebra.transpose(y));
}
