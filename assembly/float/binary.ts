// Functions of two operands with broadcasting: dst[i, j, k, l] = f(a[…], b[…]) over d0 … d3, dst dense, a and b with strides in elements.
// Tag classes as in unary.ts.

class Add {}
class Sub {}
class Mul {}
class Div {}
class Min {}
class Max {}
class PRelu {}
class Slope {}
class Equal {}

function value<F>(x: v128, y: v128): v128 {
  if (idof<F>() == idof<Add>()) return f32x4.add(x, y);
  if (idof<F>() == idof<Sub>()) return f32x4.sub(x, y);
  if (idof<F>() == idof<Mul>()) return f32x4.mul(x, y);
  if (idof<F>() == idof<Div>()) return f32x4.div(x, y);
  // min and max are slow and pmin, pmax drop a NaN of the second operand: it is put back.
  if (idof<F>() == idof<Min>()) return v128.bitselect(y, f32x4.pmin(x, y), f32x4.ne(y, y));
  if (idof<F>() == idof<Max>()) return v128.bitselect(y, f32x4.pmax(x, y), f32x4.ne(y, y));
  if (idof<F>() == idof<Slope>()) return v128.bitselect(y, f32x4.splat(1), f32x4.lt(x, f32x4.splat(0)));
  if (idof<F>() == idof<Equal>()) return v128.and(f32x4.splat(1), f32x4.eq(x, y));
  return v128.bitselect(f32x4.mul(x, y), x, f32x4.lt(x, f32x4.splat(0)));
}

function map<F>(
  dst: usize,
  a: usize,
  b: usize,
  d0: i32,
  d1: i32,
  d2: i32,
  d3: i32,
  a0: i32,
  a1: i32,
  a2: i32,
  a3: i32,
  b0: i32,
  b1: i32,
  b2: i32,
  b3: i32,
): void {
  const row = (<usize>d3) << 2;
  for (let i = 0; i < d0; i++) {
    for (let j = 0; j < d1; j++) {
      let x = a + ((i * a0 + j * a1) << 2);
      let y = b + ((i * b0 + j * b1) << 2);
      for (let k = 0; k < d2; k++, dst += row, x += a2 << 2, y += b2 << 2) {
        if (a3 == 1 && b3 == 1) dense<F>(dst, x, y, d3);
        else if (a3 == 1 && b3 == 0) right<F>(dst, x, v128.load32_splat(y), d3);
        else if (a3 == 0 && b3 == 1) left<F>(dst, v128.load32_splat(x), y, d3);
        else strided<F>(dst, x, y, d3, a3, b3);
      }
    }
  }
}

function dense<F>(dst: usize, x: usize, y: usize, n: i32): void {
  const end = dst + ((<usize>(n & ~3)) << 2);
  for (; dst < end; dst += 16, x += 16, y += 16) v128.store(dst, value<F>(v128.load(x), v128.load(y)));
  strided<F>(dst, x, y, n & 3, 1, 1);
}

function right<F>(dst: usize, x: usize, y: v128, n: i32): void {
  const end = dst + ((<usize>(n & ~3)) << 2);
  for (; dst < end; dst += 16, x += 16) v128.store(dst, value<F>(v128.load(x), y));
  const last = end + ((<usize>(n & 3)) << 2);
  for (; dst < last; dst += 4, x += 4) store<f32>(dst, f32x4.extract_lane(value<F>(v128.load32_splat(x), y), 0));
}

function left<F>(dst: usize, x: v128, y: usize, n: i32): void {
  const end = dst + ((<usize>(n & ~3)) << 2);
  for (; dst < end; dst += 16, y += 16) v128.store(dst, value<F>(x, v128.load(y)));
  const last = end + ((<usize>(n & 3)) << 2);
  for (; dst < last; dst += 4, y += 4) store<f32>(dst, f32x4.extract_lane(value<F>(x, v128.load32_splat(y)), 0));
}

function strided<F>(dst: usize, x: usize, y: usize, n: i32, s: i32, t: i32): void {
  for (let i = 0; i < n; i++, dst += 4, x += s << 2, y += t << 2) {
    store<f32>(dst, f32x4.extract_lane(value<F>(v128.load32_splat(x), v128.load32_splat(y)), 0));
  }
}

/** a + b */
export function add(
  dst: usize,
  a: usize,
  b: usize,
  d0: i32,
  d1: i32,
  d2: i32,
  d3: i32,
  a0: i32,
  a1: i32,
  a2: i32,
  a3: i32,
  b0: i32,
  b1: i32,
  b2: i32,
  b3: i32,
): void {
  map<Add>(dst, a, b, d0, d1, d2, d3, a0, a1, a2, a3, b0, b1, b2, b3);
}

/** a − b */
export function sub(
  dst: usize,
  a: usize,
  b: usize,
  d0: i32,
  d1: i32,
  d2: i32,
  d3: i32,
  a0: i32,
  a1: i32,
  a2: i32,
  a3: i32,
  b0: i32,
  b1: i32,
  b2: i32,
  b3: i32,
): void {
  map<Sub>(dst, a, b, d0, d1, d2, d3, a0, a1, a2, a3, b0, b1, b2, b3);
}

/** a · b */
export function mul(
  dst: usize,
  a: usize,
  b: usize,
  d0: i32,
  d1: i32,
  d2: i32,
  d3: i32,
  a0: i32,
  a1: i32,
  a2: i32,
  a3: i32,
  b0: i32,
  b1: i32,
  b2: i32,
  b3: i32,
): void {
  map<Mul>(dst, a, b, d0, d1, d2, d3, a0, a1, a2, a3, b0, b1, b2, b3);
}

/** a / b */
export function div(
  dst: usize,
  a: usize,
  b: usize,
  d0: i32,
  d1: i32,
  d2: i32,
  d3: i32,
  a0: i32,
  a1: i32,
  a2: i32,
  a3: i32,
  b0: i32,
  b1: i32,
  b2: i32,
  b3: i32,
): void {
  map<Div>(dst, a, b, d0, d1, d2, d3, a0, a1, a2, a3, b0, b1, b2, b3);
}

/** the smaller; NaN if either is */
export function min(
  dst: usize,
  a: usize,
  b: usize,
  d0: i32,
  d1: i32,
  d2: i32,
  d3: i32,
  a0: i32,
  a1: i32,
  a2: i32,
  a3: i32,
  b0: i32,
  b1: i32,
  b2: i32,
  b3: i32,
): void {
  map<Min>(dst, a, b, d0, d1, d2, d3, a0, a1, a2, a3, b0, b1, b2, b3);
}

/** the larger; NaN if either is */
export function max(
  dst: usize,
  a: usize,
  b: usize,
  d0: i32,
  d1: i32,
  d2: i32,
  d3: i32,
  a0: i32,
  a1: i32,
  a2: i32,
  a3: i32,
  b0: i32,
  b1: i32,
  b2: i32,
  b3: i32,
): void {
  map<Max>(dst, a, b, d0, d1, d2, d3, a0, a1, a2, a3, b0, b1, b2, b3);
}

/** a, or a · b where a is below 0 */
export function prelu(
  dst: usize,
  a: usize,
  b: usize,
  d0: i32,
  d1: i32,
  d2: i32,
  d3: i32,
  a0: i32,
  a1: i32,
  a2: i32,
  a3: i32,
  b0: i32,
  b1: i32,
  b2: i32,
  b3: i32,
): void {
  map<PRelu>(dst, a, b, d0, d1, d2, d3, a0, a1, a2, a3, b0, b1, b2, b3);
}

/** 1, or b where a is below 0: the slope of `prelu` */
export function slope(
  dst: usize,
  a: usize,
  b: usize,
  d0: i32,
  d1: i32,
  d2: i32,
  d3: i32,
  a0: i32,
  a1: i32,
  a2: i32,
  a3: i32,
  b0: i32,
  b1: i32,
  b2: i32,
  b3: i32,
): void {
  map<Slope>(dst, a, b, d0, d1, d2, d3, a0, a1, a2, a3, b0, b1, b2, b3);
}

/** 1 where a equals b, else 0 */
export function equal(
  dst: usize,
  a: usize,
  b: usize,
  d0: i32,
  d1: i32,
  d2: i32,
  d3: i32,
  a0: i32,
  a1: i32,
  a2: i32,
  a3: i32,
  b0: i32,
  b1: i32,
  b2: i32,
  b3: i32,
): void {
  map<Equal>(dst, a, b, d0, d1, d2, d3, a0, a1, a2, a3, b0, b1, b2, b3);
}

/** aᵇ of the C standard library, computed in software: the same bits everywhere. Scalar, about 20 ns an element. */
export function pow(
  dst: usize,
  a: usize,
  b: usize,
  d0: i32,
  d1: i32,
  d2: i32,
  d3: i32,
  a0: i32,
  a1: i32,
  a2: i32,
  a3: i32,
  b0: i32,
  b1: i32,
  b2: i32,
  b3: i32,
): void {
  for (let i = 0; i < d0; i++) {
    for (let j = 0; j < d1; j++) {
      for (let k = 0; k < d2; k++) {
        let x = a + ((i * a0 + j * a1 + k * a2) << 2);
        let y = b + ((i * b0 + j * b1 + k * b2) << 2);
        for (let l = 0; l < d3; l++, dst += 4, x += a3 << 2, y += b3 << 2) store<f32>(dst, Mathf.pow(load<f32>(x), load<f32>(y)));
      }
    }
  }
}
