// Coordinate descent over all codes: each weight in turn takes the level that is best while the others stay, anywhere in the table.
// Source: Behdin et al. 2023, "QuantEase": with the others fixed the loss is a parabola in q_i with its vertex at q_i + P_i / G_ii,
// P = (W − Q) G, so the nearest level is the exact minimizer.
import { assert } from "../../errors.ts";
import type { Algebra, Matrix } from "./algebra.ts";
import { type Grid, levelOf, realOf, scaleAt } from "./grid.ts";
import { errorsOf, type Problem } from "./problem.ts";

export interface DescentOptions {
  /** Sweeps over all weights at most; it ends earlier when nothing moves. */
  readonly sweeps?: number | undefined;
  /** S, [rows][rows] row-major, symmetric: the loss is tr(S (W − Q) G (W − Q)ᵀ). Absent: the identity. */
  readonly outputs?: Float64Array | undefined;
}

export interface DescentResult {
  readonly levels: Float64Array;
  /** Before the first sweep and after each. */
  readonly losses: readonly number[];
}

const defaultSweeps = 20;
/** P is computed anew this often, so that rounding does not pile up. */
const refresh = 4;
/** Columns between two products with the weights of outputs; a multiple of 4. */
const block = 16;
/** The loss may rise by rounding alone. */
const slack = 1e-9;

/**
 * @param g      symmetric, [columns][columns]
 * @param levels where to start, [rows][columns]
 */
export function descend(algebra: Algebra, problem: Problem, g: Matrix, levels: Float64Array, options: DescentOptions = {}): DescentResult {
  return options.outputs
    ? descendTwoSided(algebra, problem, g, levels, options.outputs, options)
    : descendRows(algebra, problem, g, levels, options);
}

/** The new level of a weight, or its old one where that is as near. */
function better(grid: Grid, s: number, level: number, target: number): number {
  const found = levelOf(grid, s, target);
  if (found === level) return level;
  return Math.abs(realOf(grid, s, level) - target) <= Math.abs(realOf(grid, s, found) - target) ? level : found;
}

function descendRows(
  algebra: Algebra,
  problem: Problem,
  g: Matrix,
  start: Float64Array,
  { sweeps = defaultSweeps }: DescentOptions,
): DescentResult {
  const { rows, columns, grid, weights } = problem;
  const levels = start.slice();
  const errors = errorsOf(algebra, problem, levels);
  const p = algebra.matrix(rows, columns);
  const [e, products, gram] = [algebra.view(errors), algebra.view(p), algebra.view(g)];
  const recompute = (): void => {
    products.fill(0);
    algebra.addProducts(p, 0, errors, 0, 0, g, 0, columns, rows, columns);
  };
  const loss = (): number => {
    let sum = 0;
    for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) sum += e[c * errors.ld + r]! * products[r * p.ld + c]!;
    return sum;
  };
  recompute();
  const losses = [loss()];
  for (let sweep = 1, moved = true; moved && sweep <= sweeps; sweep++) {
    moved = false;
    if (sweep % refresh === 0) recompute();
    for (let r = 0; r < rows; r++) {
      for (let c = 0, i = r * columns; c < columns; c++, i++) {
        const curvature = gram[c * g.ld + c]!;
        if (!(curvature > 0)) continue;
        const s = scaleAt(grid, columns, r, c);
        const q = realOf(grid, s, levels[i]!);
        const level = better(grid, s, levels[i]!, q + products[r * p.ld + c]! / curvature);
        if (level === levels[i]) continue;
        const next = realOf(grid, s, level);
        levels[i] = level;
        e[c * errors.ld + r] = weights[i]! - next;
        algebra.addRow(p, r, g, c, q - next, columns);
        moved = true;
      }
    }
    losses.push(loss());
    assertDescent(losses);
  }
  return { levels, losses };
}

/**
 * Column by column: M = S P of a block of columns in one product, kept true within it. So a weight that stays costs nothing but its look,
 * and one that moves a few additions of whole rows.
 */
function descendTwoSided(
  algebra: Algebra,
  problem: Problem,
  g: Matrix,
  start: Float64Array,
  outputs: Float64Array,
  { sweeps = defaultSweeps }: DescentOptions,
): DescentResult {
  const { rows, columns, grid, weights } = problem;
  const levels = start.slice();
  const errors = errorsOf(algebra, problem, levels);
  const p = algebra.matrix(rows, columns);
  const s = algebra.from(rows, rows, outputs);
  // A row for each column of the block.
  const mixed = algebra.matrix(block, rows);
  const [e, products, gram, m] = [algebra.view(errors), algebra.view(p), algebra.view(g), algebra.view(mixed)];
  const recompute = (): void => {
    products.fill(0);
    algebra.addProducts(p, 0, errors, 0, 0, g, 0, columns, rows, columns);
  };
  const mix = (from: number, to: number): void => {
    m.fill(0);
    algebra.addProducts(mixed, 0, p, 0, from, s, 0, rows, to - from, rows);
  };
  const loss = (): number => {
    let sum = 0;
    for (let from = 0; from < columns; from += block) {
      const to = Math.min(columns, from + block);
      mix(from, to);
      for (let c = from; c < to; c++) for (let r = 0; r < rows; r++) sum += e[c * errors.ld + r]! * m[(c - from) * mixed.ld + r]!;
    }
    return sum;
  };
  recompute();
  const losses = [loss()];
  for (let sweep = 1, moved = true; moved && sweep <= sweeps; sweep++) {
    moved = false;
    if (sweep % refresh === 0) recompute();
    for (let from = 0; from < columns; from += block) {
      const to = Math.min(columns, from + block);
      mix(from, to);
      for (let c = from; c < to; c++) {
        for (let r = 0; r < rows; r++) {
          const i = r * columns + c;
          const curvature = outputs[r * rows + r]! * gram[c * g.ld + c]!;
          if (!(curvature > 0)) continue;
          const at = scaleAt(grid, columns, r, c);
          const q = realOf(grid, at, levels[i]!);
          const level = better(grid, at, levels[i]!, q + m[(c - from) * mixed.ld + r]! / curvature);
          if (level === levels[i]) continue;
          const next = realOf(grid, at, level);
          levels[i] = level;
          e[c * errors.ld + r] = weights[i]! - next;
          algebra.addRow(p, r, g, c, q - next, columns);
          for (let k = c; k < to; k++) algebra.addRow(mixed, k - from, s, r, (q - next) * gram[c * g.ld + k]!, rows);
          moved = true;
        }
      }
    }
    losses.push(loss());
    assertDescent(losses);
  }
  return { levels, losses };
}

function assertDescent(losses: readonly number[]): void {
  const [before, after] = losses.slice(-2) as [number, number];
  assert(after <= before + slack * (Math.abs(before) + Math.abs(losses[0]!)), "a sweep never makes the loss larger");
}
