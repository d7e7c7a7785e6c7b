import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { Algebra, type Matrix } from "../../../src/reconstruct/gram/algebra.ts";
import { descend } from "../../../src/reconstruct/gram/descent.ts";
import { gptq } from "../../../src/reconstruct/gram/gptq.ts";
import { type Grid, nearestLevels, realOf, scaleAt } from "../../../src/reconstruct/gram/grid.ts";
import { lossOf, type Problem } from "../../../src/reconstruct/gram/problem.ts";

const algebra = await Algebra.create();
beforeEach(() => algebra.release());

/** Numbers in [−1, 1) from a seed. */
function stream(seed: number): () => number {
  let state = seed;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) | 0) / 2 ** 31;
}

interface Case {
  readonly problem: Problem;
  readonly inputs: Float64Array;
  readonly count: number;
}

function make(rows: number, columns: number, grid: Pick<Grid, "levels" | "groupSize">, seed: number, zeros = false): Case {
  const random = stream(seed);
  const count = 3 * columns + 2;
  const weights = Float64Array.from({ length: rows * columns }, random);
  const mixing = Float64Array.from({ length: columns * columns }, random);
  const inputs = new Float64Array(columns * count);
  for (let k = 0; k < count; k++) {
    const source = Float64Array.from({ length: columns }, random);
    for (let c = 0; c < columns; c++) for (let j = 0; j < columns; j++) inputs[c * count + k]! += mixing[c * columns + j]! * source[j]!;
  }
  const groups = grid.groupSize ? Math.ceil(columns / grid.groupSize) : 1;
  const scale = Float64Array.from({ length: rows * groups }, () => 0.15 + 0.05 * random());
  const zero = Float64Array.from({ length: rows * groups }, () => (zeros ? Math.round(2 * random()) : 0));
  return { problem: { weights, rows, columns, grid: { ...grid, scale, zero } }, inputs, count };
}

function gramOf({ problem: { columns }, inputs, count }: Case): Matrix {
  const gram = new Float64Array(columns * columns);
  for (let i = 0; i < columns; i++)
    for (let j = 0; j < columns; j++)
      for (let k = 0; k < count; k++) gram[i * columns + j]! += inputs[i * count + k]! * inputs[j * count + k]!;
  return algebra.from(columns, columns, gram);
}

const plus = (h: Matrix, lambda: number): Matrix => {
  const sum = algebra.copy(h);
  const view = algebra.view(sum);
  for (let i = 0; i < h.rows; i++) view[i * h.ld + i]! += lambda;
  return sum;
};
const meanDiagonal = (h: Matrix): number => {
  const view = algebra.view(h);
  let sum = 0;
  for (let i = 0; i < h.rows; i++) sum += view[i * h.ld + i]!;
  return sum / h.rows;
};

const tables: Pick<Grid, "levels">[] = [
  { levels: { lo: -8, hi: 7 } },
  { levels: { lo: 0, hi: 3 } },
  { levels: Float64Array.of(-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12) },
  { levels: Float64Array.of(-1, 0, 1) },
];
const cases = fc
  .record({
    rows: fc.integer({ min: 1, max: 6 }),
    columns: fc.integer({ min: 1, max: 150 }),
    table: fc.constantFrom(...tables),
    seed: fc.integer(),
    zeros: fc.boolean(),
  })
  .map(({ rows, columns, table, seed, zeros }) => make(rows, columns, table, seed, zeros));

/** A positive matrix on the output channels. */
function outputFactor(rows: number, seed: number): Float64Array {
  const random = stream(seed);
  const root = Float64Array.from({ length: rows * rows }, random);
  const s = new Float64Array(rows * rows);
  for (let i = 0; i < rows; i++) {
    s[i * rows + i] = 0.05;
    for (let j = 0; j < rows; j++) for (let k = 0; k < rows; k++) s[i * rows + j]! += root[i * rows + k]! * root[j * rows + k]!;
  }
  return s;
}

const farthest = (a: Float64Array, b: Float64Array): number => a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);

describe("the factor", () => {
  test("is upper triangular with R Rᵀ = H, and solves H x = y", () => {
    fc.assert(
      fc.property(cases, (each) => {
        algebra.release();
        const h = plus(gramOf(each), 0.01 * meanDiagonal(gramOf(each)));
        const transposed = algebra.factor(algebra.copy(h))!;
        const expected = algebra.read(h);
        const bound = 1e-12 * each.problem.columns * Math.max(...expected.map(Math.abs));
        const n = each.problem.columns;
        const factor = algebra.read(transposed);
        expect(factor.every((value, at) => at % n <= Math.floor(at / n) || value === 0)).toBe(true);
        expect(farthest(algebra.read(algebra.product(transposed, transposed)), expected)).toBeLessThanOrEqual(bound);
        const { weights, rows } = each.problem;
        const x = algebra.transpose(algebra.from(rows, n, weights));
        const y = algebra.product(h, x);
        algebra.solve(transposed, algebra.transpose(transposed), y);
        expect(farthest(algebra.read(y), algebra.read(x))).toBeLessThan(1e-6);
      }),
      { numRuns: 40 },
    );
  });

  test("is refused for a matrix that is not positive", () => {
    expect(algebra.factor(algebra.from(2, 2, [1, 2, 2, 1]))).toBeUndefined();
    expect(algebra.factor(algebra.from(2, 2, [1, 1, 1, 1]))).toBeUndefined();
    expect(algebra.factor(algebra.from(1, 1, [Number.NaN]))).toBeUndefined();
  });
});

describe("GPTQ", () => {
  test("has the same codes for every block size, and Σ e² is its damped loss", () => {
    fc.assert(
      fc.property(cases, fc.constantFrom<"natural" | "activation">("natural", "activation"), (each, order) => {
        algebra.release();
        const h = gramOf(each);
        const first = gptq(algebra, each.problem, h, { order, block: 1 });
        for (const block of [3, 16, 64, 1000]) {
          const other = gptq(algebra, each.problem, h, { order, block });
          expect(other.levels).toEqual(first.levels);
          expect(other.loss).toBe(first.loss);
        }
        const loss = lossOf(algebra, each.problem, plus(h, first.damping * meanDiagonal(h)), first.levels);
        expect(Math.abs(loss - first.loss)).toBeLessThanOrEqual(1e-9 * loss);
      }),
      { numRuns: 30 },
    );
  });

  test("with an output factor too, Σ e² is the loss; the identity changes nothing; codes cost less than those that do not know it", () => {
    let [without, withFactor] = [0, 0];
    fc.assert(
      fc.property(cases, (each) => {
        algebra.release();
        const { problem } = each;
        const { rows } = problem;
        const h = gramOf(each);
        const plain = gptq(algebra, problem, h);
        const identity = Float64Array.from({ length: rows * rows }, (_, i) => (i % (rows + 1) === 0 ? 1 : 0));
        const same = gptq(algebra, problem, h, { outputs: identity });
        expect(same.levels).toEqual(plain.levels);
        const outputs = outputFactor(rows, problem.columns);
        const first = gptq(algebra, problem, h, { outputs });
        for (const block of [3, 1000]) expect(gptq(algebra, problem, h, { outputs, block }).levels).toEqual(first.levels);
        const damped = plus(h, first.damping * meanDiagonal(h));
        const loss = lossOf(algebra, problem, damped, first.levels, outputs);
        expect(Math.abs(loss - first.loss)).toBeLessThanOrEqual(1e-9 * loss);
        const scale = lossOf(algebra, problem, damped, nearestLevels(problem.grid, rows, problem.columns, problem.weights), outputs);
        without += lossOf(algebra, problem, damped, plain.levels, outputs) / scale;
        withFactor += loss / scale;
      }),
      { numRuns: 30 },
    );
    expect(withFactor).toBeLessThan(0.9 * without);
  });

  test("follows the published recursion over the inverse: W − Q = E · U with H⁻¹ = Uᵀ U", () => {
    const each = make(3, 12, { levels: { lo: -8, hi: 7 } }, 7);
    const { problem } = each;
    const h = gramOf(each);
    const { levels, damping } = gptq(algebra, problem, h);
    const damped = algebra.read(plus(h, damping * meanDiagonal(h)));
    // U = R⁻¹, by substitution, from a factor computed here.
    const n = 12;
    const r = new Float64Array(n * n);
    for (let j = n - 1; j >= 0; j--) {
      for (let i = j; i >= 0; i--) {
        let sum = damped[i * n + j]!;
        for (let k = j + 1; k < n; k++) sum -= r[i * n + k]! * r[j * n + k]!;
        r[i * n + j] = i === j ? Math.sqrt(sum) : sum / r[j * n + j]!;
      }
    }
    const u = new Float64Array(n * n);
    for (let c = 0; c < n; c++) {
      for (let i = c; i >= 0; i--) {
        let sum = i === c ? 1 : 0;
        for (let k = i + 1; k <= c; k++) sum -= r[i * n + k]! * u[k * n + c]!;
        u[i * n + c] = sum / r[i * n + i]!;
      }
    }
    for (let o = 0; o < 3; o++) {
      const w = problem.weights.slice(o * n, (o + 1) * n);
      for (let i = 0; i < n; i++) {
        const level = Math.min(7, Math.max(-8, Math.round(w[i]! / problem.grid.scale[o]!))) + 0;
        expect(levels[o * n + i]).toBe(level);
        const e = (w[i]! - realOf(problem.grid, o, level)) / u[i * n + i]!;
        for (let j = i; j < n; j++) w[j]! -= e * u[i * n + j]!;
      }
    }
  });

  test("raises the damping until a matrix of too few samples can be factored, and says so", () => {
    const each = make(2, 20, { levels: { lo: -8, hi: 7 } }, 3);
    // One sample, and rounding that makes the rest slightly negative.
    const x = each.inputs.subarray(0, 20);
    const h = algebra.from(
      20,
      20,
      Float64Array.from({ length: 400 }, (_, i) => x[Math.floor(i / 20)]! * x[i % 20]! - (i % 21 === 0 ? 0.03 : 0)),
    );
    expect(gptq(algebra, each.problem, h, { damping: 0.01 }).damping).toBeGreaterThan(0.01);
  });

  test("takes group scales from the original weights in any order, or finds them on the way in the natural one", () => {
    const each = make(3, 22, { levels: { lo: -2, hi: 1 }, groupSize: 8 }, 11);
    const h = gramOf(each);
    const statically = gptq(algebra, each.problem, h, { order: "activation" });
    const { grid, weights } = each.problem;
    statically.levels.forEach((level, i) => {
      const w = weights[i]!;
      expect(Math.abs(realOf(grid, scaleAt(grid, 22, Math.floor(i / 22), i % 22), level) - w)).toBeLessThan(3);
    });
    const seen: number[] = [];
    const own = { ...grid, scale: grid.scale.slice(), zero: grid.zero.slice() };
    const dynamic = (values: Float64Array): { scale: number; zero: number } => {
      seen.push(values.length);
      return { scale: values.reduce((most, w) => Math.max(most, Math.abs(w)), 0) / 1.5, zero: 0 };
    };
    const found = [1, 8, 64].map((block) => gptq(algebra, { ...each.problem, grid: own }, h, { dynamic, block }).levels);
    expect(seen.slice(0, 9)).toEqual([8, 8, 8, 8, 8, 8, 6, 6, 6]);
    expect(found[1]).toEqual(found[0]);
    expect(found[2]).toEqual(found[0]);
    expect(() => gptq(algebra, { ...each.problem, grid: own }, h, { dynamic, order: "activation" })).toThrow(/order of activations/);
  });
});

describe("coordinate descent", () => {
  test("never ends above where it starts, and ends where no single code can improve", () => {
    fc.assert(
      fc.property(cases, (each) => {
        algebra.release();
        const h = gramOf(each);
        const { problem } = each;
        for (const start of [
          nearestLevels(problem.grid, problem.rows, problem.columns, problem.weights),
          gptq(algebra, problem, h).levels,
        ]) {
          const before = lossOf(algebra, problem, h, start);
          const { levels, losses } = descend(algebra, problem, h, start, { sweeps: 100 });
          const after = lossOf(algebra, problem, h, levels);
          expect(after).toBeLessThanOrEqual(before * (1 + 1e-9) + 1e-12);
          expect(Math.abs(losses.at(-1)! - after)).toBeLessThanOrEqual(1e-9 * (1 + before));
          if (problem.rows * problem.columns > 60) continue;
          const all = problem.grid.levels instanceof Float64Array ? [...problem.grid.levels] : Array.from({ length: 16 }, (_, i) => i - 8);
          const { lo, hi } = problem.grid.levels instanceof Float64Array ? { lo: -99, hi: 99 } : problem.grid.levels;
          for (let i = 0; i < levels.length; i++) {
            for (const level of all.filter((l) => l >= lo && l <= hi)) {
              const other = levels.slice();
              other[i] = level;
              expect(lossOf(algebra, problem, h, other)).toBeGreaterThanOrEqual(after - 1e-9 * (1 + before));
            }
          }
        }
      }),
      { numRuns: 25 },
    );
  });

  test("with an output factor lowers tr(S ΔW G ΔWᵀ), and with the identity is the one-sided one", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 5 }), fc.integer({ min: 2, max: 40 }), fc.integer(), (rows, columns, seed) => {
        algebra.release();
        const each = make(rows, columns, { levels: { lo: -2, hi: 1 } }, seed);
        const h = gramOf(each);
        const { problem } = each;
        const s = outputFactor(rows, seed ^ 5);
        const start = nearestLevels(problem.grid, rows, columns, problem.weights);
        const gram = algebra.read(h);
        const weighted = (levels: Float64Array): number => {
          const e = levels.map((level, i) => problem.weights[i]! - realOf(problem.grid, Math.floor(i / columns), level));
          let sum = 0;
          for (let o = 0; o < rows; o++)
            for (let p = 0; p < rows; p++)
              for (let i = 0; i < columns; i++)
                for (let j = 0; j < columns; j++)
                  sum += s[o * rows + p]! * e[o * columns + i]! * e[p * columns + j]! * gram[i * columns + j]!;
          return sum;
        };
        const { levels, losses } = descend(algebra, problem, h, start, { outputs: s, sweeps: 50 });
        expect(losses[0]).toBeCloseTo(weighted(start), 6);
        expect(losses.at(-1)).toBeCloseTo(weighted(levels), 6);
        expect(weighted(levels)).toBeLessThanOrEqual(weighted(start) * (1 + 1e-9) + 1e-12);

        const identity = Float64Array.from({ length: rows * rows }, (_, i) => (i % (rows + 1) === 0 ? 1 : 0));
        expect(descend(algebra, problem, h, start, { outputs: identity }).levels).toEqual(descend(algebra, problem, h, start).levels);
      }),
      { numRuns: 40 },
    );
  });

  test("keeps to the optimum of all choices where that can be counted out: nine weights of two bits", () => {
    for (const seed of [1, 2, 3]) {
      algebra.release();
      const each = make(1, 9, { levels: { lo: -2, hi: 1 } }, seed);
      const { problem } = each;
      const h = gramOf(each);
      const gram = algebra.read(h);
      const s = problem.grid.scale[0]!;
      let best = Number.POSITIVE_INFINITY;
      const e = new Float64Array(9);
      const visit = (i: number, loss: number): void => {
        if (i === 9) {
          best = Math.min(best, loss);
          return;
        }
        for (let level = -2; level <= 1; level++) {
          e[i] = problem.weights[i]! - s * level;
          let own = e[i]! * e[i]! * gram[i * 10]!;
          for (let j = 0; j < i; j++) own += 2 * e[i]! * e[j]! * gram[i * 9 + j]!;
          visit(i + 1, loss + own);
        }
      };
      visit(0, 0);
      const nearest = nearestLevels(problem.grid, 1, 9, problem.weights);
      const start = gptq(algebra, problem, h).levels;
      const [a, b, c, d] = [nearest, start, descend(algebra, problem, h, nearest).levels, descend(algebra, problem, h, start).levels].map(
        (levels) => lossOf(algebra, problem, h, levels),
      ) as [number, number, number, number];
      for (const loss of [a, b, c, d]) expect(loss).toBeGreaterThanOrEqual(best * (1 - 1e-9));
      expect(c).toBeLessThanOrEqual(a * (1 + 1e-9));
      expect(d).toBeLessThanOrEqual(b * (1 + 1e-9));
    }
  });
});
