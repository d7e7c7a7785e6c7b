import { readFileSync } from "node:fs";
import { beforeEach, describe, expect, test } from "vitest";
import { Algebra, type Matrix } from "../../../src/reconstruct/gram/algebra.ts";
import { bestBias, moments } from "../../../src/reconstruct/gram/bias.ts";
import { descend } from "../../../src/reconstruct/gram/descent.ts";
import { dampedFactor, columnOrder, gptq } from "../../../src/reconstruct/gram/gptq.ts";
import type { Grid } from "../../../src/reconstruct/gram/grid.ts";
import { nearestLevels } from "../../../src/reconstruct/gram/grid.ts";
import { mismatchTarget } from "../../../src/reconstruct/gram/mismatch.ts";
import { lossOf, type Problem } from "../../../src/reconstruct/gram/problem.ts";

const golden = JSON.parse(readFileSync(new URL("../../golden/b-06_gptq.json", import.meta.url), "utf8"));
const algebra = await Algebra.create();
beforeEach(() => algebra.release());

const [rows, columns, count] = [4, 10, 40];
const W: number[][] = golden.W;
const X: number[][] = golden.X;
const grid: Grid = { levels: { lo: -8, hi: 7 }, scale: Float64Array.from(golden.scale), zero: new Float64Array(rows) };
const problem: Problem = { weights: Float64Array.from(W.flat()), rows, columns, grid };
const outer = (a: number[][], b: number[][]): Float64Array =>
  Float64Array.from(a.flatMap((x) => b.map((y) => x.reduce((sum, value, k) => sum + value * y[k]!, 0))));
const gram = (factor = 1): Matrix =>
  algebra.from(
    columns,
    columns,
    outer(X, X).map((value) => factor * value),
  );
const asRows = (levels: Float64Array): number[][] =>
  Array.from({ length: rows }, (_, r) => Array.from(levels.slice(r * columns, (r + 1) * columns)));
const nearest = (): Float64Array => nearestLevels(grid, rows, columns, problem.weights);

describe("the published procedures on one matrix", () => {
  test("nearest rounding", () => {
    expect(asRows(nearest())).toEqual(golden.rtn);
    expect(lossOf(algebra, problem, gram(), nearest())).toBeCloseTo(golden.rtn_loss, 9);
  });

  test.for([1, 3, 4, 10, 64])("GPTQ in blocks of %i", (block) => {
    const { levels, loss, damping } = gptq(algebra, problem, gram(2), { block });
    expect(asRows(levels)).toEqual(golden.gptq.codes);
    expect(damping).toBe(0.01);
    expect(loss).toBeCloseTo(golden.gptq.err_sum_sq, 7);
    expect(lossOf(algebra, problem, gram(), levels)).toBeCloseTo(golden.gptq.loss, 9);
  });

  test("GPTQ in the order of activations", () => {
    const h = gram(2);
    expect(columnOrder(algebra, h, "activation")).toEqual(golden.gptq_actorder.perm);
    const { levels } = gptq(algebra, problem, h, { order: "activation" });
    expect(asRows(levels)).toEqual(golden.gptq_actorder.codes);
    expect(lossOf(algebra, problem, gram(), levels)).toBeCloseTo(golden.gptq_actorder.loss, 9);
  });

  test.for([
    ["nearest codes", "cd_from_rtn", "rtn"],
    ["GPTQ's codes", "cd_from_gptq", "gptq"],
  ] as const)("coordinate descent from %s", ([, row, start]) => {
    const damped = gram();
    const view = algebra.view(damped);
    let mean = 0;
    for (let i = 0; i < columns; i++) mean += view[i * damped.ld + i]! / columns;
    for (let i = 0; i < columns; i++) view[i * damped.ld + i]! += 0.01 * mean;
    const from = Float64Array.from(start === "rtn" ? golden.rtn.flat() : golden.gptq.codes.flat());
    const { levels, losses } = descend(algebra, problem, damped, from);
    expect(asRows(levels)).toEqual(golden[row].codes);
    expect(losses.slice(1).length).toBe(golden[row].losses.length);
    losses.slice(1).forEach((loss, i) => {
      expect(loss).toBeCloseTo(golden[row].losses[i], 9);
    });
  });
});

describe("inputs from a quantized prefix", () => {
  const step = golden.mismatch.xhat_step as number;
  const Xh = X.map((row) => row.map((x) => Math.max(-60, Math.min(60, Math.round(x / step))) * step));
  const directLoss = (levels: ArrayLike<number>, bias: ArrayLike<number> = new Float64Array(rows), target = W): number => {
    let sum = 0;
    for (let r = 0; r < rows; r++) {
      for (let k = 0; k < count; k++) {
        let difference = -bias[r]!;
        for (let c = 0; c < columns; c++) difference += target[r]![c]! * X[c]![k]! - levels[r * columns + c]! * grid.scale[r]! * Xh[c]![k]!;
        sum += difference * difference;
      }
    }
    return sum;
  };

  test("the best bias of the nearest codes", () => {
    const ones = (rowsOf: number[][]): number[][] => [...rowsOf, new Array<number>(count).fill(1)];
    const sums = { values: outer(ones(X), ones(Xh)), ld: columns + 1, rows: columns, columns, upper: false, unitX: 1, unitY: 1 };
    const { left, right } = moments(sums, true);
    const chosen = nearest().map((level, i) => level * grid.scale[Math.floor(i / columns)]!);
    const shift = bestBias(
      Float64Array.from(W, (row) => row.reduce((sum, w, c) => sum + w * left[c]!, 0)),
      chosen,
      right,
    );
    expect(directLoss(nearest())).toBeCloseTo(golden.mismatch.loss_rtn, 8);
    shift.forEach((b, r) => {
      expect(b).toBeCloseTo(golden.mismatch.best_bias[r], 9);
    });
    expect(directLoss(nearest(), shift)).toBeCloseTo(golden.mismatch.loss_with_bias, 8);
  });

  test("the ridge target changes the loss by a constant", () => {
    const h = algebra.from(columns, columns, outer(Xh, Xh));
    const lambda = (1e-2 * algebra.read(h).reduce((sum, value, i) => sum + (i % (columns + 1) === 0 ? value : 0), 0)) / columns;
    const damped = algebra.copy(h);
    const view = algebra.view(damped);
    for (let i = 0; i < columns; i++) view[i * damped.ld + i]! += lambda;
    const factor = algebra.factor(algebra.copy(damped))!;
    const Y = W.map((row) => X[0]!.map((_, k) => row.reduce((sum, w, c) => sum + w * X[c]![k]!, 0)));
    const weights = mismatchTarget(algebra, problem.weights, rows, outer(Y, Xh), lambda, factor);
    const constants = [nearest(), Float64Array.from(golden.gptq.codes.flat())].map((levels) => {
      let ridge = 0;
      levels.forEach((level, i) => {
        ridge += lambda * (level * grid.scale[Math.floor(i / columns)]! - problem.weights[i]!) ** 2;
      });
      return directLoss(levels) + ridge - lossOf(algebra, { ...problem, weights }, damped, levels);
    });
    expect(constants[0]).toBeCloseTo(constants[1]!, 7);
  });
});

test("a damped factor is R Rᵀ = H + λI, upper triangular", () => {
  const h = gram();
  const order = columnOrder(algebra, h, "natural");
  const { transposed } = dampedFactor(algebra, h, order, 0.01);
  const product = algebra.read(algebra.product(transposed, transposed));
  const expected = algebra.read(h);
  const mean = order.reduce((sum, i) => sum + (expected[i * 11] || 1), 0) / columns;
  for (const i of order) expected[i * 11] = (expected[i * 11] || 1) + 0.01 * mean;
  product.forEach((value, i) => {
    expect(value).toBeCloseTo(expected[i]!, 10);
  });
});
