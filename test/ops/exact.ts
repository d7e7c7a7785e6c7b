// Elementary functions in exact fixed-point arithmetic, for functions where Math has no equal or no accuracy.

const bits = 400n;
const one = 1n << bits;

/** A double as an integer times 2⁻⁴⁰⁰; exact for |x| ≥ 2⁻³⁴⁷. */
function fixed(x: number): bigint {
  let shift = 0n;
  while (!Number.isInteger(x)) {
    x *= 2;
    shift++;
  }
  return (BigInt(x) << bits) >> shift;
}

const times = (a: bigint, b: bigint): bigint => (a * b) >> bits;
const divided = (a: bigint, b: bigint): bigint => (a << bits) / b;

/** Σ s^(2n+1) / (2n+1), with alternating signs for arctan. */
function arcSeries(s: bigint, sign: bigint): bigint {
  let sum = 0n;
  const square = times(s, s);
  for (let [term, n] = [s, 1n]; term !== 0n && term !== -1n; n += 2n, term = sign * times(term, square)) sum += term / n;
  return sum;
}

const ln2 = 2n * arcSeries(one / 3n, 1n);
const pi = 4n * (4n * arcSeries(one / 5n, -1n) - arcSeries(one / 239n, -1n));

/** x ** y for x > 0, correctly rounded but for ties. */
export function exactPow(x: number, y: number): number {
  let k = 0n;
  let m = fixed(x);
  for (; m > (3n * one) / 2n; m >>= 1n) k++;
  for (; m < (3n * one) / 4n; m <<= 1n) k--;
  const log = 2n * arcSeries(divided(m - one, m + one), 1n) + k * ln2;
  const product = times(log, fixed(y));
  const e = product / ln2;
  const r = product - e * ln2;
  let [term, sum] = [one, one];
  for (let n = 1n; term !== 0n && term !== -1n; n++) {
    term = times(term, r) / n;
    sum += term;
  }
  const half = Number(e / 2n);
  return (Number(sum) / 2 ** 400) * 2 ** half * 2 ** (Number(e) - half);
}

/** erf x by the series of Abramowitz & Stegun 7.1.5, for |x| < 5. */
export function exactErf(x: number): number {
  const scaled = fixed(x);
  const square = times(scaled, scaled);
  let [term, sum] = [scaled, 0n];
  for (let n = 0n; n < 300n; n++) {
    sum += (n % 2n ? -term : term) / (2n * n + 1n);
    term = times(term, square) / (n + 1n);
  }
  return Number(divided(2n * sum, root(pi))) / 2 ** 400;
}

/** Square root by Newton's steps from above. */
function root(v: bigint): bigint {
  const target = v << bits;
  let r = v + one;
  for (let next = (r + target / r) >> 1n; next < r; next = (r + target / r) >> 1n) r = next;
  return r;
}
