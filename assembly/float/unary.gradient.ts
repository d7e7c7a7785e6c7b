// Gradients of the functions of unary.ts over n float32: dst[i] = dy[i] · f′, from v[i], which is x or y = f(x) as each states.
// dst may be dy or v. At a kink the gradient is that of the flat side, as for y = max(x, 0) at 0.

import { erf4, exp4, sigmoid4, tanh4 } from "./functions";
import { storeSome } from "./lanes";

class Relu {}
class LeakyRelu {}
class Clip {}
class Elu {}
class HardSigmoid {}
class HardSwish {}
class Sigmoid {}
class Tanh {}
class Exp {}
class Log {}
class Erf {}
class Gelu {}
class GeluTanh {}
class Sqrt {}
class Abs {}
class Reciprocal {}
class Softplus {}
class Mish {}
class Swish {}
class Square {}

// prettier-ignore
const C: usize = memory.data<f32>([
  /*  0 */ 0.0, 0.5, 1.0, 2.0, 3.0, 0.33333333333333333, 4.0, 20.0, /* 32 2/√π, √½, 1/√(2π) */ 1.1283791670955126, 0.70710678118654752,
  0.39894228040143268, /* 44 √(2/π), the cubic term of GELU and three times it */ 0.79788456080286536, 0.044715, 0.134145,
]);

function at(offset: usize): v128 {
  return v128.load32_splat(C + offset);
}

/** dy · f′ */
function value<F>(dy: v128, v: v128, a: v128, b: v128): v128 {
  const zero = f32x4.splat(0);
  if (idof<F>() == idof<Relu>()) return v128.and(dy, f32x4.gt(v, zero));
  if (idof<F>() == idof<LeakyRelu>()) return v128.bitselect(f32x4.mul(dy, a), dy, f32x4.lt(v, zero));
  if (idof<F>() == idof<Clip>()) return v128.and(dy, v128.and(f32x4.gt(v, a), f32x4.lt(v, b)));
  if (idof<F>() == idof<Elu>()) return v128.bitselect(f32x4.mul(dy, f32x4.mul(exp4(v), a)), dy, f32x4.lt(v, zero));
  if (idof<F>() == idof<HardSigmoid>()) return v128.and(f32x4.mul(dy, a), v128.and(f32x4.gt(v, zero), f32x4.lt(v, at(8))));
  if (idof<F>() == idof<HardSwish>()) {
    const slope = f32x4.add(f32x4.mul(v, at(20)), at(4));
    const rest = v128.and(dy, f32x4.gt(v, zero));
    return v128.bitselect(f32x4.mul(dy, slope), rest, f32x4.lt(f32x4.abs(v), at(16)));
  }
  if (idof<F>() == idof<Sigmoid>()) return f32x4.mul(dy, f32x4.mul(v, f32x4.sub(at(8), v)));
  if (idof<F>() == idof<Tanh>()) return f32x4.mul(dy, f32x4.sub(at(8), f32x4.mul(v, v)));
  if (idof<F>() == idof<Exp>()) return f32x4.mul(dy, v);
  if (idof<F>() == idof<Log>()) return f32x4.div(dy, v);
  if (idof<F>() == idof<Erf>()) return f32x4.mul(dy, f32x4.mul(at(32), exp4(f32x4.neg(f32x4.mul(v, v)))));
  if (idof<F>() == idof<Gelu>()) {
    const half = at(4);
    const normal = f32x4.mul(half, f32x4.add(at(8), erf4(f32x4.mul(v, at(36)))));
    const density = f32x4.mul(at(40), exp4(f32x4.neg(f32x4.mul(half, f32x4.mul(v, v)))));
    return f32x4.mul(dy, f32x4.add(normal, f32x4.mul(v, density)));
  }
  if (idof<F>() == idof<GeluTanh>()) {
    const square = f32x4.mul(v, v);
    const one = at(8);
    const t = tanh4(f32x4.mul(at(44), f32x4.mul(v, f32x4.add(one, f32x4.mul(at(48), square)))));
    const inner = f32x4.mul(at(44), f32x4.add(one, f32x4.mul(at(52), square)));
    const tail = f32x4.mul(f32x4.mul(v, f32x4.sub(one, f32x4.mul(t, t))), inner);
    return f32x4.mul(dy, f32x4.mul(at(4), f32x4.add(f32x4.add(one, t), tail)));
  }
  if (idof<F>() == idof<Sqrt>()) return f32x4.div(f32x4.mul(dy, at(4)), v);
  if (idof<F>() == idof<Abs>()) return f32x4.sub(v128.and(dy, f32x4.gt(v, zero)), v128.and(dy, f32x4.lt(v, zero)));
  if (idof<F>() == idof<Reciprocal>()) return f32x4.neg(f32x4.mul(dy, f32x4.mul(v, v)));
  if (idof<F>() == idof<Softplus>()) return f32x4.mul(dy, sigmoid4(v));
  if (idof<F>() == idof<Mish>()) {
    // t = s / (s + 2) with s = e² + 2e, e = eˣ; 1 − t² = 4 (s + 1) / (s + 2)².
    const e = exp4(f32x4.pmin(v, at(28)));
    const two = at(12);
    const s = f32x4.mul(e, f32x4.add(e, two));
    const whole = f32x4.add(s, two);
    const t = f32x4.div(s, whole);
    const slope = f32x4.div(f32x4.mul(at(24), f32x4.div(f32x4.add(s, at(8)), whole)), whole);
    return f32x4.mul(dy, f32x4.add(t, f32x4.mul(f32x4.mul(v, slope), sigmoid4(v))));
  }
  if (idof<F>() == idof<Swish>()) {
    const z = f32x4.mul(v, a);
    const s = sigmoid4(z);
    return f32x4.mul(dy, f32x4.add(s, f32x4.mul(f32x4.mul(z, s), f32x4.sub(at(8), s))));
  }
  return f32x4.mul(dy, f32x4.add(v, v));
}

function map<F>(dst: usize, dy: usize, v: usize, n: i32, alpha: f32, beta: f32): void {
  const a = f32x4.splat(alpha);
  const b = f32x4.splat(beta);
  const end = dst + ((<usize>(n & ~3)) << 2);
  for (; dst < end; dst += 16, dy += 16, v += 16) v128.store(dst, value<F>(v128.load(dy), v128.load(v), a, b));
  storeSome(dst, value<F>(v128.load(dy), v128.load(v), a, b), n & 3);
}

/** dy where the result y is above 0 */
export function reluGradient(dst: usize, dy: usize, v: usize, n: i32, alpha: f32, beta: f32): void {
  map<Relu>(dst, dy, v, n, alpha, beta);
}

/** dy, times alpha where x is below 0 */
export function leakyReluGradient(dst: usize, dy: usize, v: usize, n: i32, alpha: f32, beta: f32): void {
  map<LeakyRelu>(dst, dy, v, n, alpha, beta);
}

/** dy where the result y is strictly between alpha and beta */
export function clipGradient(dst: usize, dy: usize, v: usize, n: i32, alpha: f32, beta: f32): void {
  map<Clip>(dst, dy, v, n, alpha, beta);
}

/** dy, times alpha · eˣ where x is below 0 */
export function eluGradient(dst: usize, dy: usize, v: usize, n: i32, alpha: f32, beta: f32): void {
  map<Elu>(dst, dy, v, n, alpha, beta);
}

/** alpha · dy where the result y is strictly between 0 and 1 */
export function hardSigmoidGradient(dst: usize, dy: usize, v: usize, n: i32, alpha: f32, beta: f32): void {
  map<HardSigmoid>(dst, dy, v, n, alpha, beta);
}

/** dy · (x / 3 + ½) for |x| < 3; dy above, 0 below */
export function hardSwishGradient(dst: usize, dy: usize, v: usize, n: i32, alpha: f32, beta: f32): void {
  map<HardSwish>(dst, dy, v, n, alpha, beta);
}

/** dy · y (1 − y) */
export function sigmoidGradient(dst: usize, dy: usize, v: usize, n: i32, alpha: f32, beta: f32): void {
  map<Sigmoid>(dst, dy, v, n, alpha, beta);
}

/** dy · (1 − y²) */
export function tanhGradient(dst: usize, dy: usize, v: usize, n: i32, alpha: f32, beta: f32): void {
  map<Tanh>(dst, dy, v, n, alpha, beta);
}

/** dy · y */
export function expGradient(dst: usize, dy: usize, v: usize, n: i32, alpha: f32, beta: f32): void {
  map<Exp>(dst, dy, v, n, alpha, beta);
}

/** dy / x */
export function logGradient(dst: usize, dy: usize, v: usize, n: i32, alpha: f32, beta: f32): void {
  map<Log>(dst, dy, v, n, alpha, beta);
}

/** dy · 2/√π · e^(−x²) */
export function erfGradient(dst: usize, dy: usize, v: usize, n: i32, alpha: f32, beta: f32): void {
  map<Erf>(dst, dy, v, n, alpha, beta);
}

/** dy · (Φ(x) + x φ(x)), with Φ and φ of the normal distribution */
export function geluGradient(dst: usize, dy: usize, v: usize, n: i32, alpha: f32, beta: f32): void {
  map<Gelu>(dst, dy, v, n, alpha, beta);
}

/** the derivative of ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))) */
export function geluTanhGradient(dst: usize, dy: usize, v: usize, n: i32, alpha: f32, beta: f32): void {
  map<GeluTanh>(dst, dy, v, n, alpha, beta);
}

/** dy · ½ / y */
export function sqrtGradient(dst: usize, dy: usize, v: usize, n: i32, alpha: f32, beta: f32): void {
  map<Sqrt>(dst, dy, v, n, alpha, beta);
}

/** dy · sign x */
export function absGradient(dst: usize, dy: usize, v: usize, n: i32, alpha: f32, beta: f32): void {
  map<Abs>(dst, dy, v, n, alpha, beta);
}

/** −dy · y² */
export function reciprocalGradient(dst: usize, dy: usize, v: usize, n: i32, alpha: f32, beta: f32): void {
  map<Reciprocal>(dst, dy, v, n, alpha, beta);
}

/** dy · sigmoid(x) */
export function softplusGradient(dst: usize, dy: usize, v: usize, n: i32, alpha: f32, beta: f32): void {
  map<Softplus>(dst, dy, v, n, alpha, beta);
}

/** dy · (t + x (1 − t²) sigmoid(x)), t = tanh(softplus(x)) */
export function mishGradient(dst: usize, dy: usize, v: usize, n: i32, alpha: f32, beta: f32): void {
  map<Mish>(dst, dy, v, n, alpha, beta);
}

/** dy · (s + alpha x s (1 − s)), s = sigmoid(alpha x) */
export function swishGradient(dst: usize, dy: usize, v: usize, n: i32, alpha: f32, beta: f32): void {
  map<Swish>(dst, dy, v, n, alpha, beta);
}

/** dy · 2 x */
export function squareGradient(dst: usize, dy: usize, v: usize, n: i32, alpha: f32, beta: f32): void {
  map<Square>(dst, dy, v, n, alpha, beta);
}

/** dy · alpha · x^(alpha − 1), by the power of the C standard library: scalar, about 20 ns an element. */
export function powGradient(dst: usize, dy: usize, v: usize, n: i32, alpha: f32, beta: f32): void {
  const end = dst + ((<usize>n) << 2);
  for (; dst < end; dst += 4, dy += 4, v += 4) store<f32>(dst, load<f32>(dy) * (alpha * Mathf.pow(load<f32>(v), alpha - 1)));
}

/** dst[i] = src[i] · factor; dst may be src. */
export function scale(dst: usize, src: usize, n: i32, factor: f32): void {
  const f = f32x4.splat(factor);
  const end = dst + ((<usize>(n & ~3)) << 2);
  for (; dst < end; dst += 16, src += 16) v128.store(dst, f32x4.mul(v128.load(src), f));
  storeSome(dst, f32x4.mul(v128.load(src), f), n & 3);
}
