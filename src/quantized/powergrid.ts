// Power grids: level of code q is m · sign(q) · (|q| / n)^(1/a), n the greatest code. a = 1 is the uniform symmetric grid; below 1 it is fine
// near 0 and coarse near m, as bell-shaped weights want it.
// Source: Yvinec et al. 2023, "PowerQuant: Automorphism Search for Non-Uniform Quantization".
import { pow } from "../ops/math.ts";
import { roundHalfEven } from "../formats/rounding.ts";

/** sign(w) (|w| / m)^a n: where w lies between the codes. */
export function powerCoordinate(w: number, m: number, a: number, n: number): number {
  return Math.sign(w) * pow(Math.abs(w) / m, a) * n;
}

export function powerCode(w: number, m: number, a: number, n: number): number {
  return Math.max(-n, Math.min(n, roundHalfEven(powerCoordinate(w, m, a, n)))) + 0;
}

export function powerLevel(q: number, m: number, a: number, n: number): number {
  return m * Math.sign(q) * pow(Math.abs(q) / n, 1 / a);
}

/** Integer levels round(K (q / n)^(1/a)) of q = 0 … n: what the integer program multiplies with. */
export function powerTable(a: number, n: number, K: number): Int16Array {
  return Int16Array.from({ length: n + 1 }, (_, q) => roundHalfEven(K * pow(q / n, 1 / a)));
}

/**
 * Least accumulators at which an output has code 1 … n: ⌈(m / S) ((k − ½) / n)^(1/a)⌉, for an accumulator of scale S.
 * The code of acc is the number of thresholds it reaches, so nothing is raised to a power at run time.
 */
export function powerThresholds(m: number, S: number, a: number, n: number): Int32Array {
  return Int32Array.from({ length: n }, (_, k) => Math.ceil((m / S) * pow((k + 0.5) / n, 1 / a)));
}

/** Σ over tensors of ‖W − Ŵ‖₂, each on its own range. */
export function powerError(tensors: readonly ArrayLike<number>[], a: number, n: number): number {
  let sum = 0;
  for (const tensor of tensors) {
    let m = 0;
    for (let i = 0; i < tensor.length; i++) m = Math.max(m, Math.abs(tensor[i]!));
    if (m === 0) continue;
    const levels = Array.from({ length: n + 1 }, (_, q) => powerLevel(q, m, a, n));
    let square = 0;
    for (let i = 0; i < tensor.length; i++) {
      const w = tensor[i]!;
      const q = powerCode(w, m, a, n);
      const error = w - Math.sign(q) * levels[Math.abs(q)]!;
      square += error * error;
    }
    sum += Math.sqrt(square);
  }
  return sum;
}

/** 0.30, 0.35 … 1.20 */
const coarse: readonly number[] = Array.from({ length: 19 }, (_, i) => (30 + 5 * i) / 100);
const golden = (Math.sqrt(5) - 1) / 2;
/** A grid with a kernel or an exact table of its own is worth this much error. */
const preference = 1.02;

/**
 * The exponent of least error: the best of a coarse grid, then golden section around it to 10⁻³, the best value seen being kept. The error
 * is rough (codes flip), so a simplex started at ½ stops in the wrong dip. ½ (squares, exact integer levels) and then 1 (uniform) are
 * taken where they cost at most 2 %.
 */
export function searchExponent(tensors: readonly ArrayLike<number>[], n: number): { readonly a: number; readonly error: number } {
  let best = { a: 1, error: Number.POSITIVE_INFINITY };
  const measure = (a: number): number => {
    const error = powerError(tensors, a, n);
    if (error < best.error) best = { a, error };
    return error;
  };
  for (const a of coarse) measure(a);
  let [low, high] = [best.a - 0.05, best.a + 0.05];
  let [left, right] = [high - (high - low) * golden, low + (high - low) * golden];
  let [leftError, rightError] = [measure(left), measure(right)];
  while (high - low > 1e-3) {
    if (leftError <= rightError) {
      [high, right, rightError] = [right, left, leftError];
      left = high - (high - low) * golden;
      leftError = measure(left);
    } else {
      [low, left, leftError] = [left, right, rightError];
      right = low + (high - low) * golden;
      rightError = measure(right);
    }
  }
  for (const a of [0.5, 1]) {
    const error = powerError(tensors, a, n);
    if (error <= preference * best.error) return { a, error };
  }
  return best;
}
