// One layer from sums to levels: centre, aim, damp, round, and what became of the error.
import { assert } from "../../errors.ts";
import type { Algebra, Matrix } from "./algebra.ts";
import { adaround } from "./adaround.ts";
import { bestBias, type Moments, meanOutputs, moments } from "./bias.ts";
import { descend } from "./descent.ts";
import { extended, type LayerSums } from "./gather.ts";
import { dampedFactor, gptq } from "./gptq.ts";
import { type Grid, nearestLevels, realOf, scaleAt } from "./grid.ts";
import { mismatchTarget } from "./mismatch.ts";
import { lossOf, powerOf, type Problem } from "./problem.ts";

/** How codes are found from Gram matrices. */
export interface RoundMethod {
  /** Where to start. */
  readonly start: "nearest" | "gptq" | "adaround";
  /** Order of GPTQ's columns. */
  readonly order: "natural" | "activation";
  /** Sweeps of coordinate descent after that; 0 for none. */
  readonly sweeps: number;
  /** Steps of AdaRound, their learning rate and the weight of the rounding regularizer. */
  readonly iterations: number;
  readonly rate: number;
  readonly lambda: number;
  /** λ as a share of the mean of the diagonal. */
  readonly damping: number;
}

/** How codes are found, and from which inputs. */
export interface GramMethod extends RoundMethod {
  /**
   * float: every layer as the float network feeds it; one pass over the data.
   * quantized: as the quantized network feeds it once everything before is settled; one pass for each depth, or `passes`.
   */
  readonly inputs: "float" | "quantized";
  /**
   * identity: squared output errors. fisher: errors of output channels count as much as they change the network's answer, together
   * (fisher.ts); one pass forward and back over the data.
   */
  readonly outputs: "identity" | "fisher";
}

export interface RoundInput {
  /** [groups · rows][columns] */
  readonly weights: Float64Array;
  readonly groups: number;
  readonly rows: number;
  readonly columns: number;
  readonly depthwise: boolean;
  /** Of all groups · rows. */
  readonly grid: Grid;
  readonly sums: LayerSums;
  /** S of each group, [groups][rows][rows]: errors E of the outputs count as tr(S E Eᵀ). Absent: the identity. */
  readonly outputWeights?: Float64Array | undefined;
  /** What inputs count in: the step of the activation's codes, or 1. */
  readonly unit: number;
  /** The bias, one a row. */
  readonly bias: Float64Array;
  /** It may change. */
  readonly free: boolean;
  readonly method: RoundMethod;
}

export interface RoundResult {
  readonly levels: Float64Array;
  readonly bias: Float64Array;
  /** Squared output error, in the measure of `outputWeights`, above that of the best real weights, over that of dropping the layer: nearest levels, and those chosen. */
  readonly before: number;
  readonly after: number;
  /** Levels that are not the nearest ones. */
  readonly moved: number;
  /** The largest λ share that a group needed. */
  readonly damping: number;
  /** ‖W* − W‖ / ‖W‖: above 0.2 there are too few samples. 0 without a quantized prefix. */
  readonly drift: number;
  /** The squared output of the layer, and ‖W‖²: what the shares above are of. */
  readonly signal: number;
  readonly norm: number;
}

/** @param breathe called between groups */
export async function roundLayer(algebra: Algebra, input: RoundInput, breathe: () => Promise<void> = async () => {}): Promise<RoundResult> {
  const { groups, rows, columns, grid, weights } = input;
  assert(!grid.groupSize, "one scale for each output channel");
  const levels = new Float64Array(weights.length);
  const bias = input.bias.slice();
  const total = { before: 0, after: 0, signal: 0, moved: 0, damping: 0, drift: 0, norm: 0 };
  for (let g = 0; g < groups; g++) {
    const from = g * rows;
    const part: Grid = { ...grid, scale: grid.scale.subarray(from, from + rows), zero: grid.zero.subarray(from, from + rows) };
    const own = weights.subarray(from * columns, (from + rows) * columns);
    const done = roundGroup(algebra, input, g, own, part);
    levels.set(done.levels, from * columns);
    bias.set(done.bias, from);
    for (const key of ["before", "after", "signal", "moved", "drift", "norm"] as const) total[key] += done[key];
    total.damping = Math.max(total.damping, done.damping);
    algebra.release();
    await breathe();
  }
  const { before, after, signal, moved, damping, drift, norm } = total;
  const share = (error: number): number => (signal > 0 ? error / signal : 0);
  const drifted = norm > 0 ? Math.sqrt(drift / norm) : 0;
  return { levels, bias, before: share(before), after: share(after), moved, damping, drift: drifted, signal, norm };
}

type Totals = Record<"before" | "after" | "signal" | "moved" | "damping" | "drift" | "norm", number>;

function roundGroup(
  algebra: Algebra,
  input: RoundInput,
  g: number,
  own: Float64Array,
  grid: Grid,
): Totals & { levels: Float64Array; bias: Float64Array } {
  const { rows, columns, free, method } = input;
  const bias = input.bias.subarray(g * rows, (g + 1) * rows);
  const inputs = momentsOf(input, g, "inputs")!;
  const outputs = momentsOf(input, g, "outputs");
  const h = algebra.from(columns, columns, inputs.products);
  const natural = Array.from({ length: columns }, (_, i) => i);
  const { transposed, damping } = dampedFactor(algebra, h, natural, method.damping);
  const damped = algebra.copy(h);
  // Not before: memory that grows leaves older views empty.
  const view = algebra.view(h);
  let mean = 0;
  for (let i = 0; i < columns; i++) mean += (view[i * h.ld + i]! || 1) / columns;
  const lambda = damping * mean;
  const diagonal = algebra.view(damped);
  for (let i = 0; i < columns; i++) diagonal[i * damped.ld + i] = (diagonal[i * damped.ld + i]! || 1) + lambda;

  const target = outputs ? mismatchTarget(algebra, own, rows, aimOf(outputs, bias, input), lambda, transposed) : own;
  const problem: Problem = { weights: target, rows, columns, grid };
  const nearest = nearestLevels(grid, rows, columns, own);
  const s = input.outputWeights?.subarray(g * rows * rows, (g + 1) * rows * rows);
  const levels = search(algebra, problem, damped, method, inputs.count, s);
  const reals = levels.map((level, i) => realOf(grid, scaleAt(grid, columns, Math.floor(i / columns), i % columns), level));
  return {
    levels,
    bias: free ? bestBias(outputs?.left ?? meanOutputs(own, inputs.left, bias), reals, inputs.left) : bias,
    before: lossOf(algebra, problem, h, nearest, s),
    after: lossOf(algebra, problem, h, levels, s),
    signal: powerOf(algebra, algebra.transpose(algebra.from(rows, columns, own)), h, s),
    moved: levels.reduce((count, level, i) => count + (level === nearest[i] ? 0 : 1), 0),
    damping,
    drift: target.reduce((sum, w, i) => sum + (w - own[i]!) * (w - own[i]!), 0),
    norm: own.reduce((sum, w) => sum + w * w, 0),
  };
}

type Search = (algebra: Algebra, problem: Problem, h: Matrix, method: RoundMethod, count: number, outputs?: Float64Array) => Float64Array;

const starts: Readonly<Record<RoundMethod["start"], Search>> = {
  nearest: (_, { grid, rows, columns, weights }) => nearestLevels(grid, rows, columns, weights),
  gptq: (algebra, problem, h, { order }, _, outputs) => gptq(algebra, problem, h, { damping: 0, order, outputs }).levels,
  adaround: (algebra, problem, h, { iterations, rate, lambda }, count, outputs) =>
    adaround(algebra, problem, h, { iterations, rate, lambda, count, outputs }),
};

const search: Search = (algebra, problem, h, method, count, outputs) => {
  const first = starts[method.start](algebra, problem, h, method, count, outputs);
  return method.sweeps > 0 ? descend(algebra, problem, h, first, { sweeps: method.sweeps, outputs }).levels : first;
};

/** Moments of one group in real units, centred where the bias is free. */
function momentsOf({ rows, columns, depthwise, unit, free, sums }: RoundInput, g: number, kind: "inputs" | "outputs"): Moments | undefined {
  const all = sums[kind];
  if (!all) return undefined;
  const upper = kind === "inputs";
  const ld = extended({ depthwise }, columns);
  const size = extended({ depthwise }, upper ? columns : rows) * ld;
  // Depthwise sums hold two channels together.
  const values = depthwise
    ? Float64Array.from({ length: size }, (_, i) => all[((g >> 1) * size + i) * 2 + (g & 1)]!)
    : all.subarray(g * size, (g + 1) * size);
  return moments({ values, ld, rows: upper ? columns : rows, columns, upper, unitX: upper ? unit : 1, unitY: unit }, free);
}

/** (Y − b) X̂ᵀ. Centred, the bias has gone by itself. */
function aimOf({ products, right, count }: Moments, bias: Float64Array, { free, columns }: RoundInput): Float64Array {
  if (free) return products;
  return products.map((value, i) => value - bias[Math.floor(i / columns)]! * right[i % columns]! * count);
}
