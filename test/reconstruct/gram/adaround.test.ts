import { beforeEach, expect, test } from "vitest";
import { adaround } from "../../../src/reconstruct/gram/adaround.ts";
import { Algebra } from "../../../src/reconstruct/gram/algebra.ts";
import { nearestLevels } from "../../../src/reconstruct/gram/grid.ts";
import { lossOf, type Problem } from "../../../src/reconstruct/gram/problem.ts";
import { random } from "../../graph/build.ts";

const algebra = await Algebra.create();
beforeEach(() => algebra.release());

const [rows, columns, count] = [6, 30, 200];
const next = random(4);
const weights = Float64Array.from({ length: rows * columns }, () => Math.fround(next()));
const inputs = Array.from({ length: count }, () => {
  const common = next();
  return Float64Array.from({ length: columns }, () => common + 0.5 * next());
});
const gram = Float64Array.from({ length: columns * columns }, (_, at) =>
  inputs.reduce((sum, x) => sum + x[Math.floor(at / columns)]! * x[at % columns]!, 0),
);
const problem: Problem = {
  weights,
  rows,
  columns,
  grid: { levels: { lo: 0, hi: 7 }, scale: new Float64Array(rows).fill(Math.fround(0.28)), zero: new Float64Array(rows).fill(4) },
};
const options = { iterations: 1000, rate: 3e-2, lambda: 0.01, count };

test("learned roundings are neighbours of the weights, repeatable, and lose far less than the nearest ones", () => {
  const h = algebra.from(columns, columns, gram);
  const levels = adaround(algebra, problem, h, options);
  levels.forEach((level, i) => {
    const quotient = Math.fround(weights[i]! / Math.fround(0.28)) + 4;
    const [below, above] = [Math.floor(quotient), Math.ceil(quotient)].map((each) => Math.min(7, Math.max(0, each)));
    expect([below, above]).toContain(level);
  });
  expect(adaround(algebra, problem, h, options)).toEqual(levels);
  const nearest = lossOf(algebra, problem, h, nearestLevels(problem.grid, rows, columns, weights));
  expect(lossOf(algebra, problem, h, levels)).toBeLessThan(0.35 * nearest);
});

test("with weights on the outputs roundings lose less in their measure", () => {
  const h = algebra.from(columns, columns, gram);
  // Outputs that add up: errors of one may make up for those of another.
  const outputs = Float64Array.from({ length: rows * rows }, (_, at) => (at % (rows + 1) === 0 ? 1 : 0.5));
  const without = adaround(algebra, problem, h, options);
  const levels = adaround(algebra, problem, h, { ...options, outputs });
  expect(lossOf(algebra, problem, h, levels, outputs)).toBeLessThan(0.9 * lossOf(algebra, problem, h, without, outputs));
  const identity = outputs.map((value) => (value === 1 ? 1 : 0));
  expect(adaround(algebra, problem, h, { ...options, outputs: identity })).toEqual(without);
});

test("a table of levels is refused", () => {
  const table = { ...problem, grid: { ...problem.grid, levels: Float64Array.of(-1, 0, 1) } };
  expect(() => adaround(algebra, table, algebra.from(columns, columns, gram), options)).toThrow(/a table of levels/);
});
