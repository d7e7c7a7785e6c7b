// The numbers a weight may become: for each row (output channel) a scale and a zero point over one table of integer levels.
import { assert } from "../../errors.ts";
import type { Encoding } from "../../formats/encoding.ts";
import { clamp, roundHalfEven } from "../../formats/rounding.ts";

/** Real number of a level l of row r in group g: scale[r·groups + g] · (l − zero[r·groups + g]). */
export interface Grid {
  /** All whole numbers lo…hi, or a table, ascending. */
  readonly levels: { readonly lo: number; readonly hi: number } | Float64Array;
  readonly scale: Float64Array;
  readonly zero: Float64Array;
  /** Neighbouring columns that share a scale; all columns of a row where it is absent. */
  readonly groupSize?: number | undefined;
}

export const groupsOf = ({ groupSize }: Grid, columns: number): number => (groupSize ? Math.ceil(columns / groupSize) : 1);

/** Index of the scale of an element. */
export const scaleAt = (grid: Grid, columns: number, row: number, column: number): number =>
  row * groupsOf(grid, columns) + (grid.groupSize ? Math.floor(column / grid.groupSize) : 0);

/** The level whose real number is nearest to w under scale `s`: ties as in quantization in a range, to the lower level in a table. */
export function levelOf({ levels, scale, zero }: Grid, s: number, w: number): number {
  const quotient = w / scale[s]!;
  if (levels instanceof Float64Array) return nearestIn(levels, quotient + zero[s]!);
  const level = roundHalfEven(quotient) + zero[s]!;
  return clamp(level, levels.lo, levels.hi);
}

function nearestIn(levels: Float64Array, x: number): number {
  let low = 0;
  let high = levels.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (levels[middle]! <= x) low = middle;
    else high = middle;
  }
  return x - levels[low]! <= levels[high]! - x ? levels[low]! : levels[high]!;
}

export const realOf = ({ scale, zero }: Grid, s: number, level: number): number => scale[s]! * (level - zero[s]!);

/** Nearest levels of a matrix [rows][columns]. */
export function nearestLevels(grid: Grid, rows: number, columns: number, weights: ArrayLike<number>): Float64Array {
  const levels = new Float64Array(rows * columns);
  for (let r = 0, i = 0; r < rows; r++)
    for (let c = 0; c < columns; c++, i++) levels[i] = levelOf(grid, scaleAt(grid, columns, r, c), weights[i]!);
  return levels;
}

/** The grid of `rows` output channels of a weight, from the first. */
export function gridOf({ levels, scale, zeroPoint }: Encoding, first: number, rows: number): Grid {
  const spread = (from: ArrayLike<number>): Float64Array =>
    Float64Array.from({ length: rows }, (_, r) => from[from.length === 1 ? 0 : first + r]!);
  assert(scale.length === 1 || scale.length >= first + rows, "one scale for all rows or one each");
  return {
    levels: levels.kind === "linear" ? { lo: levels.lo, hi: levels.hi } : Float64Array.from(new Set(levels.levels)).sort(),
    scale: spread(scale),
    zero: spread(zeroPoint),
  };
}
