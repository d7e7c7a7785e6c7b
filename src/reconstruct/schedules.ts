// What changes from step to step: learning rates, and the exponent of the rounding regularizer.

/** cos(πx) for x in [0, 1], to 1e-15: the series of sine or cosine below π/4, which hosts cannot round differently. */
export function cosPi(x: number): number {
  if (x > 0.5) return -cosPi(1 - x);
  const t = (x > 0.25 ? 0.5 - x : x) * Math.PI;
  return x > 0.25 ? t * nested(t, 22) : nested(t, 21);
}

/** cos t (`last` odd) or sin t / t (`last` even) for t in [0, π/4]: 1 − t²/(1·2) (1 − t²/(3·4) (1 − …)), respectively from 2·3. */
function nested(t: number, last: number): number {
  const square = t * t;
  let sum = 0;
  for (let k = last; k > 0; k -= 2) sum = 1 - (square / (k * (k + 1))) * sum;
  return sum;
}

/** Learning rate of step `index` (from 0) of `steps`. */
export type LearningRate = (initial: number, index: number, steps: number) => number;

/** Loshchilov & Hutter 2017, to 0 without restarts. */
export const learningRates: Readonly<Record<"constant" | "cosine", LearningRate>> = {
  constant: (initial) => initial,
  cosine: (initial, index, steps) => 0.5 * initial * (1 + cosPi(index / steps)),
};

/** Share of all steps before the regularizer acts, and the exponent's first and last values. */
export interface Temperature {
  readonly warm: number;
  readonly first: number;
  readonly last: number;
  readonly shape: "linear" | "cosine";
}

/** Nagel et al. 2020 as released by Li et al. 2021. */
export const defaultTemperature: Temperature = { warm: 0.2, first: 20, last: 2, shape: "linear" };

/** Whether the regularizer acts at step `count` (from 1) of `steps`. */
export function regularizes(count: number, steps: number, { warm }: Temperature): boolean {
  return count >= warm * steps;
}

/** The exponent b at step `count` (from 1): `first` while warming up, then down to `last`, in a line or (AIMET) by half a cosine. */
export function exponentAt(count: number, steps: number, { warm, first, last, shape }: Temperature): number {
  const start = warm * steps;
  if (count < start) return first;
  const done = Math.min(1, (count - start) / (steps - start));
  return last + (first - last) * (shape === "cosine" ? 0.5 * (1 + cosPi(done)) : 1 - done);
}
