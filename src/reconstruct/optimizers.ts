// Optimizers as three numbers a step: p ← p − size · m / (root · √v + floor), with m and v the running means of g and g².

export const beta1 = 0.9;
export const beta2 = 0.999;
const epsilon = 1e-8;

/** What a step of `adamStep` is given. */
export interface StepNumbers {
  readonly size: number;
  readonly root: number;
  readonly floor: number;
}

/** βᵗ by repeated multiplication: `Math.pow` need not be the same everywhere. */
function power(beta: number, t: number): number {
  let result = 1;
  for (let base = beta, n = t; n > 0; n = Math.floor(n / 2), base *= base) if (n % 2 === 1) result *= base;
  return result;
}

/** Kingma & Ba 2015. @param t step, from 1 */
function adam(rate: number, t: number): StepNumbers {
  return { size: rate / (1 - power(beta1, t)), root: 1 / Math.sqrt(1 - power(beta2, t)), floor: epsilon };
}

/** Liu et al. 2020: plain momentum until the variance of 1/√v is known well enough, then Adam, rectified. */
function radam(rate: number, t: number): StepNumbers {
  const most = 2 / (1 - beta2) - 1;
  const decay = power(beta2, t);
  const length = most - (2 * t * decay) / (1 - decay);
  const size = rate / (1 - power(beta1, t));
  if (length <= 5) return { size, root: 0, floor: 1 };
  const rectified = Math.sqrt(((length - 4) * (length - 2) * most) / ((most - 4) * (most - 2) * length));
  return { size: size * rectified * Math.sqrt(1 - decay), root: 1, floor: epsilon };
}

/** Momentum alone: p ← p − η m. */
const sgd = (rate: number): StepNumbers => ({ size: rate, root: 0, floor: 1 });

/** Kingma & Ba 2015, §7.1: for `largestStep` instead of `adamStep`. */
const adamax = (rate: number, t: number): StepNumbers => ({ size: rate / (1 - power(beta1, t)), root: 1, floor: epsilon });

/** Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms" (Lion), without weight decay: for `signStep`. */
const lion = (rate: number): StepNumbers => ({ size: rate, root: 0, floor: 1 });

export type OptimizerName = "adam" | "radam" | "sgd" | "adamax" | "lion";

/** Those that the `adamStep` kernel makes. */
export const kernelOptimizers: ReadonlySet<OptimizerName> = new Set(["adam", "radam", "sgd"]);

export const optimizers: Readonly<Record<OptimizerName, (rate: number, t: number) => StepNumbers>> = { adam, radam, sgd, adamax, lion };

/** A step with the largest gradients instead of squares: u ← max(β₂u, |g|), p ← p − size · m / (u + floor). All in place. */
export function largestStep(
  values: Float32Array,
  gradient: Float32Array,
  mean: Float32Array,
  largest: Float32Array,
  { size, floor }: StepNumbers,
): void {
  for (let i = 0; i < values.length; i++) {
    const g = gradient[i]!;
    mean[i] = beta1 * mean[i]! + (1 - beta1) * g;
    largest[i] = Math.max(beta2 * largest[i]!, Math.abs(g));
    values[i]! -= (size * mean[i]!) / (largest[i]! + floor);
  }
}

const lionMean = 0.99;

/** A step by the sign of the mean that leans on the newest gradient: p ← p − size · sign(β₁m + (1 − β₁)g), m ← 0.99 m + 0.01 g. In place. */
export function signStep(values: Float32Array, gradient: Float32Array, mean: Float32Array, { size }: StepNumbers): void {
  for (let i = 0; i < values.length; i++) {
    const g = gradient[i]!;
    values[i]! -= size * Math.sign(beta1 * mean[i]! + (1 - beta1) * g);
    mean[i] = lionMean * mean[i]! + (1 - lionMean) * g;
  }
}

/** A handful of parameters under an optimizer, in float64: scales of activations, exponents. */
export class Moments {
  readonly mean: Float64Array;
  readonly square: Float64Array;

  constructor(n: number) {
    this.mean = new Float64Array(n);
    this.square = new Float64Array(n);
  }

  /** One step on `values`, in place: the plain reference of the `adamStep` kernel. */
  step(values: Float64Array | Float32Array, gradient: ArrayLike<number>, { size, root, floor }: StepNumbers): void {
    for (let i = 0; i < values.length; i++) {
      const g = gradient[i]!;
      const m = (this.mean[i] = beta1 * this.mean[i]! + (1 - beta1) * g);
      const v = (this.square[i] = beta2 * this.square[i]! + (1 - beta2) * g * g);
      values[i]! -= (size * m) / (root * Math.sqrt(v) + floor);
    }
  }
}
