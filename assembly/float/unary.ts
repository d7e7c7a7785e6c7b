// Functions of one variable over n float32: dst[i] = f(src[i]); dst may be src.
// Each function is a tag class; `value<F>` chooses by its compile-time id, so a loop holds one function and no branch.

import { erf4, exp4, expm14, log4, mish4, sigmoid4, softplus4, tanh4 } from "./functions";
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
class Neg {}
class Reciprocal {}
class Softplus {}
class Mish {}
class Swish {}
class Square {}
class Floor {}
class Ceil {}

/** √½, √(2/π), the cubic term of GELU, 1/6, ½, 1, and the lowest finite number: −∞ · 0 would be NaN in the tail of GELU. */
const C: usize = memory.data<f32>([
  0.70710678118654752, 0.79788456080286536, 0.044715, 0.16666666666666667, 0.5, 1.0, -3.4028234663852886e38,
]);

function value<F>(x: v128, a: v128, b: v128): v128 {
  const zero = f32x4.splat(0);
  if (idof<F>() == idof<Relu>()) return f32x4.pmax(x, zero);
  if (idof<F>() == idof<LeakyRelu>()) return v128.bitselect(f32x4.mul(x, a), x, f32x4.lt(x, zero));
  if (idof<F>() == idof<Clip>()) return f32x4.pmin(f32x4.pmax(x, a), b);
  if (idof<F>() == idof<Elu>()) return v128.bitselect(f32x4.mul(expm14(x), a), x, f32x4.lt(x, zero));
  if (idof<F>() == idof<HardSigmoid>()) return hardSigmoid4(x, a, b);
  if (idof<F>() == idof<HardSwish>()) return f32x4.mul(x, hardSigmoid4(x, splat(12), splat(16)));
  if (idof<F>() == idof<Sigmoid>()) return sigmoid4(x);
  if (idof<F>() == idof<Tanh>()) return tanh4(x);
  if (idof<F>() == idof<Exp>()) return exp4(x);
  if (idof<F>() == idof<Log>()) return log4(x);
  if (idof<F>() == idof<Erf>()) return erf4(x);
  if (idof<F>() == idof<Gelu>()) {
    x = f32x4.pmax(x, splat(24));
    return f32x4.mul(f32x4.mul(x, splat(16)), f32x4.add(erf4(f32x4.mul(x, splat(0))), splat(20)));
  }
  if (idof<F>() == idof<GeluTanh>()) {
    x = f32x4.pmax(x, splat(24));
    const cube = f32x4.mul(f32x4.mul(x, x), x);
    const inner = f32x4.mul(splat(4), f32x4.add(x, f32x4.mul(splat(8), cube)));
    return f32x4.mul(f32x4.mul(x, splat(16)), f32x4.add(tanh4(inner), splat(20)));
  }
  if (idof<F>() == idof<Sqrt>()) return f32x4.sqrt(x);
  if (idof<F>() == idof<Abs>()) return f32x4.abs(x);
  if (idof<F>() == idof<Neg>()) return f32x4.neg(x);
  if (idof<F>() == idof<Reciprocal>()) return f32x4.div(splat(20), x);
  if (idof<F>() == idof<Softplus>()) return softplus4(x);
  if (idof<F>() == idof<Mish>()) return mish4(x);
  if (idof<F>() == idof<Swish>()) return f32x4.mul(x, sigmoid4(f32x4.mul(x, a)));
  if (idof<F>() == idof<Square>()) return f32x4.mul(x, x);
  if (idof<F>() == idof<Floor>()) return f32x4.floor(x);
  return f32x4.ceil(x);
}

function splat(offset: usize): v128 {
  return v128.load32_splat(C + offset);
}

function hardSigmoid4(x: v128, a: v128, b: v128): v128 {
  return f32x4.pmax(f32x4.pmin(f32x4.add(f32x4.mul(x, a), b), splat(20)), f32x4.splat(0));
}

/** The last vector is read whole (values are readable up to the next 16 bytes) and written element by element. */
function map<F>(dst: usize, src: usize, n: i32, alpha: f32, beta: f32): void {
  const a = f32x4.splat(alpha);
  const b = f32x4.splat(beta);
  const end = dst + ((<usize>(n & ~3)) << 2);
  for (; dst < end; dst += 16, src += 16) v128.store(dst, value<F>(v128.load(src), a, b));
  storeSome(dst, value<F>(v128.load(src), a, b), n & 3);
}

/** max(x, 0) */
export function relu(dst: usize, src: usize, n: i32, alpha: f32, beta: f32): void {
  map<Relu>(dst, src, n, alpha, beta);
}

/** x, or alpha · x below 0 */
export function leakyRelu(dst: usize, src: usize, n: i32, alpha: f32, beta: f32): void {
  map<LeakyRelu>(dst, src, n, alpha, beta);
}

/** x held between alpha and beta */
export function clip(dst: usize, src: usize, n: i32, alpha: f32, beta: f32): void {
  map<Clip>(dst, src, n, alpha, beta);
}

/** x, or alpha (eˣ − 1) below 0 */
export function elu(dst: usize, src: usize, n: i32, alpha: f32, beta: f32): void {
  map<Elu>(dst, src, n, alpha, beta);
}

/** alpha · x + beta held between 0 and 1 */
export function hardSigmoid(dst: usize, src: usize, n: i32, alpha: f32, beta: f32): void {
  map<HardSigmoid>(dst, src, n, alpha, beta);
}

/** x · hardSigmoid(x; 1/6, 1/2) */
export function hardSwish(dst: usize, src: usize, n: i32, alpha: f32, beta: f32): void {
  map<HardSwish>(dst, src, n, alpha, beta);
}

/** 1 / (1 + e⁻ˣ) */
export function sigmoid(dst: usize, src: usize, n: i32, alpha: f32, beta: f32): void {
  map<Sigmoid>(dst, src, n, alpha, beta);
}

export function tanh(dst: usize, src: usize, n: i32, alpha: f32, beta: f32): void {
  map<Tanh>(dst, src, n, alpha, beta);
}

export function exp(dst: usize, src: usize, n: i32, alpha: f32, beta: f32): void {
  map<Exp>(dst, src, n, alpha, beta);
}

export function log(dst: usize, src: usize, n: i32, alpha: f32, beta: f32): void {
  map<Log>(dst, src, n, alpha, beta);
}

export function erf(dst: usize, src: usize, n: i32, alpha: f32, beta: f32): void {
  map<Erf>(dst, src, n, alpha, beta);
}

/** ½ x (1 + erf(x √½)) */
export function gelu(dst: usize, src: usize, n: i32, alpha: f32, beta: f32): void {
  map<Gelu>(dst, src, n, alpha, beta);
}

/** ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))) */
export function geluTanh(dst: usize, src: usize, n: i32, alpha: f32, beta: f32): void {
  map<GeluTanh>(dst, src, n, alpha, beta);
}

export function sqrt(dst: usize, src: usize, n: i32, alpha: f32, beta: f32): void {
  map<Sqrt>(dst, src, n, alpha, beta);
}

export function abs(dst: usize, src: usize, n: i32, alpha: f32, beta: f32): void {
  map<Abs>(dst, src, n, alpha, beta);
}

export function neg(dst: usize, src: usize, n: i32, alpha: f32, beta: f32): void {
  map<Neg>(dst, src, n, alpha, beta);
}

/** 1 / x */
export function reciprocal(dst: usize, src: usize, n: i32, alpha: f32, beta: f32): void {
  map<Reciprocal>(dst, src, n, alpha, beta);
}

/** log(1 + eˣ) */
export function softplus(dst: usize, src: usize, n: i32, alpha: f32, beta: f32): void {
  map<Softplus>(dst, src, n, alpha, beta);
}

/** x · tanh(softplus(x)) */
export function mish(dst: usize, src: usize, n: i32, alpha: f32, beta: f32): void {
  map<Mish>(dst, src, n, alpha, beta);
}

/** x / (1 + e^(−alpha · x)) */
export function swish(dst: usize, src: usize, n: i32, alpha: f32, beta: f32): void {
  map<Swish>(dst, src, n, alpha, beta);
}

/** x · x */
export function square(dst: usize, src: usize, n: i32, alpha: f32, beta: f32): void {
  map<Square>(dst, src, n, alpha, beta);
}

export function floor(dst: usize, src: usize, n: i32, alpha: f32, beta: f32): void {
  map<Floor>(dst, src, n, alpha, beta);
}

export function ceil(dst: usize, src: usize, n: i32, alpha: f32, beta: f32): void {
  map<Ceil>(dst, src, n, alpha, beta);
}
