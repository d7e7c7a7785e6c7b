// Elementary functions on four float32 at once, from + − × ÷ √ alone, so that every machine gives the same bits.
// NaN propagates; results that would be subnormal are zero (exp), for arithmetic on subnormals is slow and buys nothing.
// Constants are read from memory: V8 builds a v128 literal anew in each turn of a loop.
// Source of exp, log and tanh: S. Moshier, Cephes Mathematical Library (expf.c, logf.c, tanhf.c), public domain.

// prettier-ignore
const E: usize = memory.data<f32>([
  /*  0 domain     */ 89.0, -87.33654, /*  8 log2 e, 1.5·2²³ */ 1.44269504088896341, 12582912.0, /* 16 ln 2 in two words */ 0.693359375,
  -2.1219444e-4, /* 24 (eʳ − 1 − r) / r² */ 1.98756915e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1,
  5.0000001201e-1, /* 48 */ 1.0, 0.5, 2.0, -0.5,
]);

// prettier-ignore
const L: usize = memory.data<f32>([
  /* 0 log(1 + x) */ 7.0376836292e-2,
  -1.151461031e-1,
  1.167699874e-1,
  -1.2420140846e-1,
  1.4249322787e-1,
  -1.6668057665e-1,
  2.0000714765e-1,
  -2.4999993993e-1,
  3.3333331174e-1,
  /* 36 smallest normal, 2²³, 23 */ 1.17549435e-38,
  8388608.0,
  23.0,
  /* 48 */ Infinity,
  NaN,
  0.0,
]);

const Q: usize = memory.data<i32>([/* √½ */ 0x3f3504f3, /* all but the sign */ 0x7fffffff]);

// prettier-ignore
const T: usize = memory.data<f32>([
  /* 0 tanh */ 0.625, -5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1,
]);

// Minimax polynomials for erf on both sides of 475/512. Source: N. Juffa, "erff" with a maximum error below 1.1 ulp, 2-clause BSD.
// prettier-ignore
const F: usize = memory.data<f32>([
  /*  0 */ 0.927734375, /*  4 log of 1 − erf */ -1.7285347e-5, 3.83197126e-4, -3.88396438e-3, 2.42546219e-2, -1.06777877e-1, -6.34846687e-1,
  -1.28717512e-1, /* 32 erf(x) / x − 1 */ -5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1,
]);

function at(table: usize, offset: usize): v128 {
  return v128.load32_splat(table + offset);
}

/** x · y + z, rounded twice. */
function fma(x: v128, y: v128, z: v128): v128 {
  return f32x4.add(f32x4.mul(x, y), z);
}

/** 2ⁿ for integers n in [−252, 254], made in two halves so that 2¹²⁸ · y can still be finite. */
function scale(y: v128, n: v128): v128 {
  const half = i32x4.shr_s(n, 1);
  const bias = i32x4.splat(127);
  const a = i32x4.shl(i32x4.add(half, bias), 23);
  const b = i32x4.shl(i32x4.add(i32x4.sub(n, half), bias), 23);
  return f32x4.mul(f32x4.mul(y, a), b);
}

/** (eˣ − 1) before scaling: r + r² P(r) of the reduced argument; `n` comes back through the shifted sum of `shift`. */
function reduced(x: v128, n: v128): v128 {
  const r = f32x4.sub(f32x4.sub(x, f32x4.mul(n, at(E, 16))), f32x4.mul(n, at(E, 20)));
  let p = fma(at(E, 24), r, at(E, 28));
  p = fma(p, r, at(E, 32));
  p = fma(p, r, at(E, 36));
  p = fma(p, r, at(E, 40));
  p = fma(p, r, at(E, 44));
  return fma(f32x4.mul(p, r), r, r);
}

/** eˣ; 0 below −87.33, +∞ above 88.72. At most 1 ulp. */
export function exp4(x: v128): v128 {
  const c = f32x4.pmax(f32x4.pmin(x, at(E, 0)), at(E, 4));
  const shift = fma(c, at(E, 8), at(E, 12));
  const n = f32x4.sub(shift, at(E, 12));
  const y = f32x4.add(reduced(c, n), at(E, 48));
  return v128.andnot(scale(y, i32x4.sub(shift, at(E, 12))), f32x4.lt(x, at(E, 4)));
}

/** eˣ − 1, accurate near 0. */
export function expm14(x: v128): v128 {
  const c = f32x4.pmax(f32x4.pmin(x, at(E, 0)), at(E, 4));
  const shift = fma(c, at(E, 8), at(E, 12));
  const n = f32x4.sub(shift, at(E, 12));
  const y = reduced(c, n);
  const one = at(E, 48);
  const far = f32x4.sub(scale(f32x4.add(y, one), i32x4.sub(shift, at(E, 12))), one);
  return v128.bitselect(y, far, f32x4.eq(n, at(L, 56)));
}

/** log x; −∞ at 0, NaN below. At most 1 ulp. */
export function log4(x: v128): v128 {
  const tiny = f32x4.lt(x, at(L, 36));
  const scaled = v128.bitselect(f32x4.mul(x, at(L, 40)), x, tiny);
  const e = i32x4.shr_s(i32x4.sub(scaled, at(Q, 0)), 23);
  const k = f32x4.sub(f32x4.convert_i32x4_s(e), v128.and(tiny, at(L, 44)));
  const m = f32x4.sub(i32x4.sub(scaled, i32x4.shl(e, 23)), at(E, 48));
  let p = fma(at(L, 0), m, at(L, 4));
  p = fma(p, m, at(L, 8));
  p = fma(p, m, at(L, 12));
  p = fma(p, m, at(L, 16));
  p = fma(p, m, at(L, 20));
  p = fma(p, m, at(L, 24));
  p = fma(p, m, at(L, 28));
  p = fma(p, m, at(L, 32));
  const z = f32x4.mul(m, m);
  let y = f32x4.mul(f32x4.mul(p, m), z);
  y = fma(k, at(E, 20), y);
  y = fma(z, at(E, 60), y);
  y = fma(k, at(E, 16), f32x4.add(m, y));
  // +∞ and NaN are their own logarithms; 0 and negative numbers have none.
  const zero = at(L, 56);
  y = v128.bitselect(x, y, v128.or(f32x4.eq(x, at(L, 48)), f32x4.ne(x, x)));
  y = v128.bitselect(at(L, 52), y, f32x4.lt(x, zero));
  return v128.bitselect(f32x4.neg(at(L, 48)), y, f32x4.eq(x, zero));
}

/** log(1 + x) for x ≥ 0, accurate near 0. Source: W. Kahan's correction, as in N. Higham, "Accuracy and Stability of Numerical Algorithms", §1.14.1. */
export function log1p4(x: v128): v128 {
  const one = at(E, 48);
  const u = f32x4.add(x, one);
  const y = f32x4.div(f32x4.mul(log4(u), x), f32x4.sub(u, one));
  return v128.bitselect(x, y, f32x4.eq(u, one));
}

export function tanh4(x: v128): v128 {
  const magnitude = f32x4.abs(x);
  const one = at(E, 48);
  const e = exp4(f32x4.add(magnitude, magnitude));
  const far = f32x4.sub(one, f32x4.div(at(E, 56), f32x4.add(e, one)));
  const z = f32x4.mul(x, x);
  let p = fma(at(T, 4), z, at(T, 8));
  p = fma(p, z, at(T, 12));
  p = fma(p, z, at(T, 16));
  p = fma(p, z, at(T, 20));
  const near = fma(f32x4.mul(p, z), x, x);
  return v128.bitselect(near, v128.bitselect(far, x, at(Q, 4)), f32x4.lt(magnitude, at(T, 0)));
}

export function sigmoid4(x: v128): v128 {
  const one = at(E, 48);
  return f32x4.div(one, f32x4.add(one, exp4(f32x4.neg(x))));
}

export function erf4(x: v128): v128 {
  const t = f32x4.abs(x);
  const s = f32x4.mul(x, x);
  const one = at(E, 48);
  let far = fma(at(F, 4), t, at(F, 8));
  far = fma(far, s, fma(at(F, 12), t, at(F, 16)));
  far = fma(far, t, at(F, 20));
  far = fma(far, t, at(F, 24));
  far = fma(far, t, at(F, 28));
  far = fma(far, t, f32x4.neg(t));
  far = f32x4.sub(one, exp4(far));
  // Beyond 4 the polynomial is out of its range, and erf is 1 to the last bit.
  far = v128.bitselect(one, far, f32x4.gt(t, f32x4.splat(4)));
  let near = fma(at(F, 32), s, at(F, 36));
  near = fma(near, s, at(F, 40));
  near = fma(near, s, at(F, 44));
  near = fma(near, s, at(F, 48));
  near = fma(near, s, at(F, 52));
  near = fma(near, x, x);
  return v128.bitselect(v128.bitselect(far, x, at(Q, 4)), near, f32x4.gt(t, at(F, 0)));
}

/** log(1 + eˣ) = max(x, 0) + log(1 + e^−|x|). */
export function softplus4(x: v128): v128 {
  const tail = log1p4(exp4(f32x4.neg(f32x4.abs(x))));
  return f32x4.add(f32x4.pmax(x, at(L, 56)), tail);
}

/** x · tanh(log(1 + eˣ)) = x (e² + 2e) / (e² + 2e + 2) with e = eˣ; the quotient is 1 to the last bit from 20 on. */
export function mish4(x: v128): v128 {
  const e = exp4(f32x4.pmin(x, f32x4.splat(20)));
  const two = at(E, 56);
  const s = f32x4.mul(e, f32x4.add(e, two));
  return f32x4.mul(x, f32x4.div(s, f32x4.add(s, two)));
}
