// What can be promised about values not yet seen. Elements of one sample depend on each other, so the unit is the sample; the
// samples of a promise must not be those that the ranges were chosen on.

/**
 * Upper confidence bound of a probability after k events in m trials (one-sided Clopper–Pearson): with confidence 1 − alpha the true
 * probability is at most the answer u, which solves P(Bin(m, u) ≤ k) = alpha.
 * Source: Clopper & Pearson 1934; bisection, 60 halvings.
 *
 * @param k 0…m samples in which the event (say, any element beyond the range) was seen
 * @param m at least 1, held-back samples
 */
export function clopperPearsonUpper(k: number, m: number, alpha: number): number {
  if (k >= m) return 1;
  let low = 0;
  let high = 1;
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (binomialTail(k, m, middle) > alpha) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** P(Bin(m, u) ≤ k), terms by recurrence from (1 − u)^m. */
export function binomialTail(k: number, m: number, u: number): number {
  const odds = u / (1 - u);
  let term = wholePower(1 - u, m);
  let sum = term;
  for (let j = 0; j < k; j++) {
    term *= ((m - j) / (j + 1)) * odds;
    sum += term;
  }
  return sum;
}

/** xⁿ by squaring: the same bits on every host. */
function wholePower(x: number, n: number): number {
  let result = 1;
  for (let square = x, rest = n; rest > 0; rest = Math.floor(rest / 2), square *= square) {
    if (rest % 2 === 1) result *= square;
  }
  return result;
}

/**
 * Rank r = ⌈(m + 1)(1 − alpha)⌉ of the per-sample maximum that the next sample's maximum does not exceed with probability at least
 * 1 − alpha; undefined when r > m (fewer than 1/alpha − 1 samples). Source: split conformal prediction (Vovk et al. 2005).
 *
 * @param alpha a decimal fraction of 9 digits
 */
export function conformalRank(m: number, alpha: number): number | undefined {
  const parts = BigInt(Math.round((1 - alpha) * 1e9));
  const r = Number((parts * BigInt(m + 1) + 999_999_999n) / 1_000_000_000n);
  return r > m ? undefined : r;
}

/** The conformal threshold: the r-th smallest of the per-sample maxima, or undefined when there are too few. */
export function conformalThreshold(maxima: ArrayLike<number>, alpha: number): number | undefined {
  const r = conformalRank(maxima.length, alpha);
  return r === undefined ? undefined : Float64Array.from(maxima).sort()[r - 1];
}
