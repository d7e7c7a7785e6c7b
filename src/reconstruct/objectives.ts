// Distances between a unit's output and its target. The plain form is the meaning; rows that learning uses every step have a kernel too.
import type { FloatKernels } from "../engine/kernels.ts";
import { exp, log, pow } from "../ops/math.ts";
import type { DistanceName } from "./methods.ts";

/** A loss and its gradient by the output. */
export interface Distance {
  readonly loss: number;
  readonly gradient: Float64Array;
}

/** Elements [n, c, rest] of both sides, row-major. */
export interface Pair {
  readonly output: ArrayLike<number>;
  readonly target: ArrayLike<number>;
  readonly dims: readonly number[];
}

const product = (dims: readonly number[]): number => dims.reduce((p, d) => p * d, 1);

/** Σ over elements of f(output − target), and its gradient, both times `unit`. */
function summed({ output, target }: Pair, unit: number, value: (d: number) => number, slope: (d: number) => number): Distance {
  const gradient = new Float64Array(output.length);
  let loss = 0;
  for (let i = 0; i < output.length; i++) {
    const d = output[i]! - target[i]!;
    loss += value(d);
    gradient[i] = slope(d) * unit;
  }
  return { loss: loss * unit, gradient };
}

const abs = Math.abs;

/** Σ over axis 1 of |d|^p, averaged over all other axes: the loss of Nagel 2020, Li 2021 (p = 2; 2.4 for activations). */
export function lpSum(pair: Pair, p: number): Distance {
  const unit = pair.dims[1]! / product(pair.dims);
  return summed(
    pair,
    unit,
    (d) => pow(abs(d), p),
    (d) => p * pow(abs(d), p - 1) * Math.sign(d),
  );
}

/** Log-softmax of rows of `classes`, with a temperature. */
export function logSoftmax(logits: ArrayLike<number>, classes: number, temperature: number): Float64Array {
  const out = new Float64Array(logits.length);
  for (let start = 0; start < logits.length; start += classes) {
    let most = Number.NEGATIVE_INFINITY;
    for (let k = 0; k < classes; k++) most = Math.max(most, logits[start + k]! / temperature);
    let sum = 0;
    for (let k = 0; k < classes; k++) sum += exp(logits[start + k]! / temperature - most);
    const shift = most + log(sum);
    for (let k = 0; k < classes; k++) out[start + k] = logits[start + k]! / temperature - shift;
  }
  return out;
}

/**
 * Prediction difference: mean over the batch of KL(softmax(target / T) ‖ softmax(output / T)), without a factor T².
 * Source: Liu et al. 2023, "PD-Quant: Post-Training Quantization based on Prediction Difference Metric".
 *
 * @param pair logits [n, classes]
 */
export function predictionDifference({ output, target, dims }: Pair, temperature: number): Distance {
  const classes = dims[1]!;
  const batch = dims[0]!;
  const q = logSoftmax(output, classes, temperature);
  const p = logSoftmax(target, classes, temperature);
  const gradient = new Float64Array(q.length);
  let loss = 0;
  for (let i = 0; i < q.length; i++) {
    const share = exp(p[i]!);
    loss += share * (p[i]! - q[i]!);
    gradient[i] = (exp(q[i]!) - share) / (temperature * batch);
  }
  return { loss: loss / batch, gradient };
}

/** G = |∂J/∂output| + 1 of the cached gradients. */
export function fisherWeights(raw: ArrayLike<number>): Float32Array {
  return Float32Array.from(raw, (g) => abs(g) + 1);
}

/** Σ over axis 1 of d² G², averaged over the rest. Source: Li et al. 2021 (BRECQ), as released. */
export function fisherDiagonal(pair: Pair, weights: ArrayLike<number>): Distance {
  const unit = pair.dims[1]! / product(pair.dims);
  const gradient = new Float64Array(pair.output.length);
  let loss = 0;
  for (let i = 0; i < gradient.length; i++) {
    const d = pair.output[i]! - pair.target[i]!;
    const g2 = weights[i]! * weights[i]!;
    loss += d * d * g2;
    gradient[i] = 2 * d * g2 * unit;
  }
  return { loss: loss * unit, gradient };
}

/** Σ over samples of (Σ |d| G)², divided by 100 times the number of elements: BRECQ's full form, as released. */
export function fisherFull({ output, target, dims }: Pair, weights: ArrayLike<number>): Distance {
  const each = product(dims.slice(1));
  const unit = 1 / (100 * product(dims));
  const gradient = new Float64Array(output.length);
  let loss = 0;
  for (let start = 0; start < output.length; start += each) {
    let dot = 0;
    for (let i = start; i < start + each; i++) dot += abs(output[i]! - target[i]!) * weights[i]!;
    loss += dot * dot;
    for (let i = start; i < start + each; i++) {
      gradient[i] = 2 * dot * weights[i]! * Math.sign(output[i]! - target[i]!) * unit;
    }
  }
  return { loss: loss * unit, gradient };
}

/** 1 − cos of the angle between output and target, averaged over samples. */
function oneMinusCosine({ output, target, dims }: Pair): Distance {
  const each = product(dims.slice(1));
  const batch = dims[0]!;
  const gradient = new Float64Array(output.length);
  let loss = 0;
  for (let start = 0; start < output.length; start += each) {
    let [dot, yy, zz] = [0, 0, 0];
    for (let i = start; i < start + each; i++) {
      dot += output[i]! * target[i]!;
      yy += target[i]! * target[i]!;
      zz += output[i]! * output[i]!;
    }
    const norm = Math.sqrt(yy * zz);
    loss += 1 - dot / norm;
    for (let i = start; i < start + each; i++) gradient[i] = -(target[i]! / norm - (dot * output[i]!) / (norm * zz)) / batch;
  }
  return { loss: loss / batch, gradient };
}

const mean = (pair: Pair): number => 1 / product(pair.dims);

/** One row per distance: what `--objective` chooses. */
export const distances: Readonly<Record<DistanceName, (pair: Pair) => Distance>> = {
  "output-mse": (pair) => lpSum(pair, 2),
  mse: (pair) =>
    summed(
      pair,
      mean(pair),
      (d) => d * d,
      (d) => 2 * d,
    ),
  mae: (pair) => summed(pair, mean(pair), abs, Math.sign),
  huber: (pair) =>
    summed(
      pair,
      mean(pair),
      (d) => (abs(d) <= 1 ? (d * d) / 2 : abs(d) - 0.5),
      (d) => (abs(d) <= 1 ? d : Math.sign(d)),
    ),
  nmse(pair) {
    let power = 0;
    for (let i = 0; i < pair.target.length; i++) power += pair.target[i]! * pair.target[i]!;
    return summed(
      pair,
      1 / power,
      (d) => d * d,
      (d) => 2 * d,
    );
  },
  cosine: oneMinusCosine,
  "output-kl": (pair) => predictionDifference(pair, 1),
  lp: (pair) =>
    summed(
      pair,
      mean(pair),
      (d) => pow(abs(d), 2.4),
      (d) => 2.4 * pow(abs(d), 1.4) * Math.sign(d),
    ),
};

/** What one element counts in a mean over samples and positions: [rows of a batch, channels, …]. */
function meanUnit(dims: readonly number[], batch: number): number {
  return dims[1]! / (product(dims.slice(1)) * batch);
}

/**
 * `lpSum` in float.wasm, whatever the layout of the two: the gradient is written to `d`.
 *
 * @param batch samples that the mean is over, where `dims` are a slice of them
 */
export function lpSumKernel(
  kernels: FloatKernels,
  d: number,
  output: number,
  target: number,
  dims: readonly number[],
  p: number,
  batch: number = dims[0]!,
): number {
  return kernels.lpLoss(d, output, target, product(dims), p, meanUnit(dims, batch));
}

/** `fisherDiagonal` in float.wasm, all four in one layout: the gradient is written to `d`. */
export function weightedSumKernel(
  kernels: FloatKernels,
  d: number,
  output: number,
  target: number,
  weight: number,
  dims: readonly number[],
  batch: number = dims[0]!,
): number {
  return kernels.weightedLoss(d, output, target, weight, product(dims), meanUnit(dims, batch));
}

/** What a slice of a batch needs to know of the whole. */
export interface BatchSums {
  readonly samples: number;
  /** Σ of the squares of all targets. */
  readonly power: number;
}

/**
 * A slice's share of a distance over its batch, in linear memory, whatever the layout of the two; the gradient is written to `d`.
 * `output-kl` is for logits: of other outputs the squares count.
 */
export function sliceDistance(
  kernels: FloatKernels,
  f32: Float32Array,
  name: DistanceName,
  d: number,
  output: number,
  target: number,
  dims: readonly number[],
  batch: BatchSums,
): number {
  const n = product(dims);
  const all = (n / dims[0]!) * batch.samples;
  const chosen = name === "output-kl" && dims.length !== 2 ? "output-mse" : name;
  if (chosen === "output-mse") return lpSumKernel(kernels, d, output, target, dims, 2, batch.samples);
  if (chosen === "mse") return kernels.lpLoss(d, output, target, n, 2, 1 / all);
  if (chosen === "lp") return kernels.lpLoss(d, output, target, n, 2.4, 1 / all);
  if (chosen === "nmse") return kernels.lpLoss(d, output, target, n, 2, 1 / batch.power);
  const at = (ptr: number): Float32Array => f32.slice(ptr / 4, ptr / 4 + n);
  const { loss, gradient } = distances[chosen]({ output: at(output), target: at(target), dims });
  const share = dims[0]! / batch.samples;
  f32.set(
    gradient.map((g) => g * share),
    d / 4,
  );
  return loss * share;
}
