// GPTQ: columns are rounded one after another, and those to come make up for what the rounded ones lost.
// Source: Frantar et al. 2022, "GPTQ"; in the form of its LDL equivalent (Chee et al. 2023, "QuIP"): with H = R Rᵀ, R upper triangular,
// column j is rounded to the level nearest to w_j + Σ_{i<j} (w_i − q_i) R_ij / R_jj. One factorization, no inverse.
// With weights on the outputs S = Aᵀ A, A lower triangular, the error is ‖A (W − Q) R‖², and in the same way row o of a column makes up for
// the rows before it: + Σ_{p<o} A_op F_p / (A_oo R_jj), F = (W − Q) R as far as it is there (Tseng et al. 2025, "YAQA").
import { assert, HalftoneError } from "../../errors.ts";
import type { Algebra, Matrix } from "./algebra.ts";
import { type Grid, groupsOf, levelOf, realOf, scaleAt } from "./grid.ts";
import type { Problem } from "./problem.ts";

/** Scale and zero point for the weights of one row and group. */
export type ScaleSearch = (weights: Float64Array) => { readonly scale: number; readonly zero: number };

export interface GptqOptions {
  /** λ as a share of the mean of H's diagonal, added to it; 0.01. It grows tenfold, up to 1, until H can be factored. */
  readonly damping?: number | undefined;
  /** natural: as the columns stand. activation: those with the largest inputs first. */
  readonly order?: "natural" | "activation" | undefined;
  /** Columns between two products; the result does not depend on it. */
  readonly block?: number | undefined;
  /**
   * S, [rows][rows] row-major, symmetric and positive: errors count as tr(S (W − Q) H (W − Q)ᵀ), and the rows of a column make up for
   * each other too. Absent: the identity.
   */
  readonly outputs?: Float64Array | undefined;
  /** Searches the scales of each group when it is reached, in weights that already make up for earlier errors; writes them into the grid. */
  readonly dynamic?: ScaleSearch | undefined;
}

export interface GptqResult {
  /** [rows][columns] */
  readonly levels: Float64Array;
  /** The λ share that was used. */
  readonly damping: number;
  /** Σ e² with e = A_oo (w_j + … − q_j) R_jj: equals tr(S (W − Q)(H + λI)(W − Q)ᵀ). */
  readonly loss: number;
  /** W as it was rounded: inputs that are always zero lose their weights. */
  readonly weights: Float64Array;
}

const defaultDamping = 0.01;
const defaultBlock = 64;

/** @returns H + λI in a given order, dead inputs made harmless, and the λ share at which it could be factored */
export function dampedFactor(
  algebra: Algebra,
  h: Matrix,
  order: readonly number[],
  damping: number,
): { transposed: Matrix; damping: number } {
  const n = h.rows;
  for (let share = damping; ; share = share === 0 ? defaultDamping : share * 10) {
    const damped = algebra.matrix(n, n);
    const [from, to] = [algebra.view(h), algebra.view(damped)];
    let mean = 0;
    for (let i = 0; i < n; i++) mean += (from[i * h.ld + i] || 1) / n;
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) to[i * damped.ld + j] = from[order[i]! * h.ld + order[j]!]!;
    for (let i = 0; i < n; i++) to[i * damped.ld + i] = (to[i * damped.ld + i] || 1) + share * mean;
    const transposed = algebra.factor(damped);
    if (transposed) return { transposed, damping: share };
    if (share >= 1) {
      throw new HalftoneError(
        "NOT_FINITE",
        "GPTQ",
        "inputs whose Gram matrix cannot be factored",
        "finite activations",
        "Check the calibration data and the model's activations.",
      );
    }
  }
}

/** Columns in the order in which they are rounded. Ties stay in their order. */
export function columnOrder(algebra: Algebra, h: Matrix, order: "natural" | "activation"): number[] {
  const view = algebra.view(h);
  const columns = Array.from({ length: h.rows }, (_, i) => i);
  const diagonal = (i: number): number => view[i * h.ld + i]! || 1;
  return order === "natural" ? columns : columns.sort((a, b) => diagonal(b) - diagonal(a) || a - b);
}

/**
 * @param h H up to a factor: X̂ X̂ᵀ, [columns][columns]
 * @throws HalftoneError OPTION_INVALID for scales found on the way in another order than the columns', NOT_FINITE
 */
export function gptq(algebra: Algebra, problem: Problem, h: Matrix, options: GptqOptions = {}): GptqResult {
  const { rows, columns, grid } = problem;
  const { order = "natural", dynamic } = options;
  if (dynamic && order !== "natural") {
    const hint = "Take the scales from the original weights, or the natural order.";
    throw new HalftoneError("OPTION_INVALID", "GPTQ", "group scales found on the way, in the order of activations", "one of both", hint);
  }
  const weights = withoutDead(algebra, problem, h);
  const perm = columnOrder(algebra, h, order);
  const { transposed, damping } = dampedFactor(algebra, h, perm, options.damping ?? defaultDamping);
  const upright = algebra.transpose(transposed);
  const errors = algebra.matrix(columns, rows);
  const group = dynamic ? (grid.groupSize ?? columns) : 1;
  // A block holds whole groups, so that what a group starts from is at hand.
  const block = Math.max(group, Math.floor((options.block ?? defaultBlock) / group) * group);
  const sums = algebra.matrix(block, rows);
  const between = options.outputs && rowsFactor(algebra, rows, options.outputs);
  const passed = algebra.matrix(1, rows);
  const [r, e, t] = [algebra.view(upright), algebra.view(errors), algebra.view(sums)];
  const [a, f] = [between && algebra.view(between), algebra.view(passed)];
  const levels = new Float64Array(rows * columns);
  let loss = 0;
  for (let start = 0; start < columns; start += block) {
    const end = Math.min(columns, start + block);
    t.fill(0);
    if (start > 0) addEarlier(algebra, sums, upright, errors, start, end);
    for (let j = start; j < end; j++) {
      const root = r[j * upright.ld + j]!;
      if (dynamic && j % group === 0) {
        searchScales(
          grid,
          weights,
          columns,
          rows,
          j,
          Math.min(columns, j + group),
          dynamic,
          (row, i) => t[(i - start) * sums.ld + row]!,
          r,
          upright.ld,
        );
      }
      const at = perm[j]!;
      f.fill(0);
      for (let o = 0; o < rows; o++) {
        const w = weights[o * columns + at]!;
        const s = scaleAt(grid, columns, o, at);
        const own = w + t[(j - start) * sums.ld + o]! / root;
        const weight = a ? a[o * between!.ld + o]! : 1;
        const target = a ? own + f[o]! / (weight * root) : own;
        const level = levelOf(grid, s, target);
        const q = realOf(grid, s, level);
        levels[o * columns + at] = level;
        e[j * errors.ld + o] = w - q;
        const remains = (target - q) * root * weight;
        loss += remains * remains;
        if (between) algebra.addRow(passed, 0, between, o, (own - q) * root, rows);
      }
      for (let i = j + 1; i < end; i++) algebra.addRow(sums, i - start, errors, j, r[j * upright.ld + i]!, rows);
    }
  }
  return { levels, damping, loss, weights };
}

/** Aᵀ with S = Aᵀ A. */
function rowsFactor(algebra: Algebra, rows: number, outputs: Float64Array): Matrix {
  const lower = algebra.factor(algebra.from(rows, rows, outputs));
  assert(lower, "weights of outputs are positive");
  return algebra.transpose(lower);
}

/** sums[j − start] += Σ_{i<start} R_ij · errors[i], i upwards: in panels of 4 columns j that may start anywhere. */
function addEarlier(algebra: Algebra, sums: Matrix, upright: Matrix, errors: Matrix, start: number, end: number): void {
  for (let j = start; j < end; ) {
    // Tiles are 4 wide: a block whose size is no multiple of 4 is finished column by column.
    const wide = Math.floor((end - j) / 4) * 4;
    if (wide > 0) {
      algebra.addProducts(sums, j - start, upright, 0, j, errors, 0, start, wide, errors.columns);
      j += wide;
      continue;
    }
    const r = algebra.view(upright);
    for (let i = 0; i < start; i++) algebra.addRow(sums, j - start, errors, i, r[i * upright.ld + j]!, errors.columns);
    j++;
  }
}

function withoutDead(algebra: Algebra, { weights, rows, columns }: Problem, h: Matrix): Float64Array {
  const view = algebra.view(h);
  const kept = weights.slice();
  for (let c = 0; c < columns; c++) if (view[c * h.ld + c] === 0) for (let r = 0; r < rows; r++) kept[r * columns + c] = 0;
  return kept;
}

/**
 * Scales of the group of columns from…to − 1, found in the weights that best make up for the errors before: w + y with
 * y R = Σ_{i<from} (w_i − q_i) R_i over these columns, by substitution.
 */
function searchScales(
  grid: Grid,
  weights: Float64Array,
  columns: number,
  rows: number,
  from: number,
  to: number,
  search: ScaleSearch,
  sumOf: (row: number, column: number) => number,
  r: Float64Array,
  ld: number,
): void {
  const y = new Float64Array(to - from);
  const current = new Float64Array(to - from);
  for (let row = 0; row < rows; row++) {
    for (let j = from; j < to; j++) {
      let rest = sumOf(row, j);
      for (let i = from; i < j; i++) rest -= y[i - from]! * r[i * ld + j]!;
      y[j - from] = rest / r[j * ld + j]!;
      current[j - from] = weights[row * columns + j]! + y[j - from]!;
    }
    const { scale, zero } = search(current);
    const at = row * groupsOf(grid, columns) + Math.floor(from / (grid.groupSize ?? columns));
    grid.scale[at] = scale;
    grid.zero[at] = zero;
  }
}
