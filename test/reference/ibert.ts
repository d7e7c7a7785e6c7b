// I-BERT's exponential of integers, to compare with tables: not an arithmetic of the runtime.

/**
 * exp(x s) for x ≤ 0 as an integer and the scale it stands in: x = r − z ln 2 / s, and e^r by 0.35815147 r² + 0.96963238 r + 1, whose
 * coefficients become integers in units of s. At most 30 halvings.
 *
 * @source S. Kim et al., "I-BERT: Integer-only BERT Quantization", 2021, algorithm 2
 */
export function integerExp(x: number, s: number): { readonly value: number; readonly scale: number } {
  const [a, b, c] = [0.35815147, 0.96963238, 1];
  // biome-ignore lint/suspicious/noApproximativeNumericConstant: the paper's digits
  const ln2 = Math.floor(-0.6931 / s);
  const clipped = Math.max(x, 30 * ln2);
  const halvings = Math.floor(clipped / ln2);
  const r = clipped - ln2 * halvings;
  const polynomial = (r + Math.floor(b / a / s)) * r + Math.floor(c / a / (s * s));
  return { value: Math.floor(polynomial * 2 ** (30 - halvings)), scale: (a * s * s) / 2 ** 30 };
}
