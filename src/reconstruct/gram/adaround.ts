// Learned rounding on a layer's matrices: the mean squared output error over all samples, and its gradient, from one product with H.
// Nothing is drawn at random: a step sees all of the data at once.
// Source: Nagel et al. 2020 (AdaRound), with ∂/∂Q tr(S (Q − W) H (Q − W)ᵀ) = 2 S (Q − W) H.
import { HalftoneError } from "../../errors.ts";
import { optimizers } from "../optimizers.ts";
import { sigmoid } from "../parametrizations/sigmoid.ts";
import type { Home, WeightGrid } from "../parametrizations/types.ts";
import { defaultTemperature, exponentAt, regularizes } from "../schedules.ts";
import type { Algebra, Matrix } from "./algebra.ts";
import type { Problem } from "./problem.ts";

export interface AdaRoundOptions {
  /** Steps of Adam. */
  readonly iterations: number;
  readonly rate: number;
  /** Weight of the rounding regularizer against the error, which is a mean over `count` positions. */
  readonly lambda: number;
  readonly count: number;
  /** S, [rows][rows] row-major, symmetric: what errors of the outputs count. Absent: the identity. */
  readonly outputs?: Float64Array | undefined;
}

/**
 * @param h      symmetric, [columns][columns]: the sum over `count` positions
 * @returns      levels, [rows][columns]
 * @throws HalftoneError OPTION_INVALID for levels that are not a range of whole numbers
 */
export function adaround(algebra: Algebra, problem: Problem, h: Matrix, options: AdaRoundOptions): Float64Array {
  const { rows, columns, weights, grid } = problem;
  const { iterations, rate, lambda, count, outputs } = options;
  const { levels } = grid;
  if (levels instanceof Float64Array || grid.groupSize)
    throw new HalftoneError("OPTION_INVALID", "AdaRound", "a table of levels", "evenly spaced levels, one scale a channel");
  const home = algebra.home;
  const { kernels } = home;
  const zero = Int32Array.from(grid.zero);
  const learned: WeightGrid = {
    rows,
    columns,
    values: Float32Array.from(weights),
    scale: Float32Array.from(grid.scale),
    low: Float32Array.from(zero, (z) => levels.lo - z),
    high: Float32Array.from(zero, (z) => levels.hi - z),
    zero,
    taps: 1,
    convolution: false,
    perTensor: false,
  };
  const size = rows * columns;
  const taken: number[] = [];
  const allocate = (n: number): number => {
    const ptr = home.allocate(n * 4 + 16);
    taken.push(ptr);
    return ptr;
  };
  const [negated, difference, gradient] = [allocate(size), allocate(size), allocate(size)];
  const panels = allocate(Math.ceil(columns / 8) * 8 * columns);
  const [mixing, mixed, mixedPanels] = outputs ? [rows * rows, size, Math.ceil(columns / 8) * 8 * rows].map(allocate) : [];
  const learner = sigmoid.start(home, learned);
  if (mixing !== undefined) home.f32.set(outputs!, mixing / 4);
  home.f32.set(
    learned.values.map((w) => -w),
    negated / 4,
  );
  packGradient(algebra, home, h, panels, 2 / count);
  try {
    for (let t = 1; t <= iterations; t++) {
      learner.write(difference);
      kernels.accumulate(difference, negated, size);
      kernels.gemm(gradient, columns, difference, columns, panels, 0, rows, columns, columns, -Infinity, Infinity);
      if (mixing !== undefined) {
        kernels.packRows(mixedPanels!, gradient, rows, columns, columns);
        kernels.gemm(mixed!, columns, mixing, rows, mixedPanels!, 0, rows, columns, rows, -Infinity, Infinity);
      }
      learner.step(mixed ?? gradient, {
        numbers: optimizers.adam(rate, t),
        lambda: regularizes(t, iterations, defaultTemperature) ? lambda : 0,
        exponent: exponentAt(t, iterations, defaultTemperature),
        progress: (t - 1) / iterations,
      });
    }
    return Float64Array.from(learner.harden().codes);
  } finally {
    learner.release();
    for (const ptr of taken) home.release(ptr);
  }
}

/** factor · H as panels of the product kernel, float32. */
function packGradient(algebra: Algebra, home: Home, h: Matrix, panels: number, factor: number): void {
  const n = h.rows;
  const plain = home.allocate(n * n * 4 + 16);
  const from = algebra.view(h);
  const to = home.f32.subarray(plain / 4, plain / 4 + n * n);
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) to[i * n + j] = from[i * h.ld + j]! * factor;
  home.kernels.packRows(panels, plain, n, n, n);
  home.release(plain);
}
