import { expect, test } from "vitest";
import { log } from "../../src/ops/math.ts";
import { optimizers } from "../../src/reconstruct/optimizers.ts";
import {
  initialRounding,
  roundingPenalty,
  roundingPenaltySlope,
  softRounding,
  softRoundingSlope,
  softWeight,
  softWeightSlope,
} from "../../src/reconstruct/parametrizations/sigmoid.ts";
import { split } from "../../src/reconstruct/parametrizations/start.ts";
import { nearestCodes } from "../../src/reconstruct/parametrizations/nearest.ts";
import { sigmoid } from "../../src/reconstruct/parametrizations/sigmoid.ts";
import { cases, expectClose, single } from "./golden.ts";
import { gridOf, home, put, take } from "./home.ts";

const golden = cases("01_adaround_brecq_qdrop");

test("V starts where h(V) is the fraction, so that the soft weight is the weight", () => {
  const [{ in: i, out }] = golden(/^init$/) as [ReturnType<typeof golden>[0]];
  const parts = i.W.d.map((w: number) => split(w, i.scale.d[0]));
  expect(parts.map((p: { base: number }) => p.base)).toEqual(out.floor.d);
  const v = parts.map((p: { rest: number }) => initialRounding(p.rest));
  expectClose(v, out.V.d, 1e-6, 1e-6);
  expectClose(v.map(softRounding), out.h.d, 1e-6, 1e-6);
});

test.for(golden(/^reg_/))("$name: h, its slope, the penalty and its gradient", ({ in: i, out }) => {
  const v = i.V.d as number[];
  expectClose(v.map(softRounding), out.h.d);
  expectClose(v.map(softRoundingSlope), out.dh.d);
  expect(v.reduce((sum, x) => sum + roundingPenalty(x, i.b), 0)).toBeCloseTo(out.reg, 10);
  expectClose(
    v.map((x) => roundingPenaltySlope(x, i.b)),
    out.grad.d,
    1e-9,
    1e-11,
  );
  expect(v.map((x) => Number(x >= 0))).toEqual(out.hard.d);
});

test.for(golden(/^adaround_/))("$name: gradients by V, steps and codes", ({ in: i, out, out32 }) => {
  const grid = gridOf(i.W, i.scale.d, i.zero_point.d, i.qmax);
  const slope = (r: number, k: number): number =>
    softWeightSlope(out.floor.d[k], out.V0.d[k], i.scale.d[r], -i.zero_point.d[r], i.qmax - i.zero_point.d[r]);
  expectClose(
    out.grad_Wq0.d.map((g: number, k: number) => g * slope(Math.floor(k / grid.columns), k)),
    out.grad_V_rec0.d,
    1e-8,
    1e-12,
  );
  expect([...nearestCodes(grid)]).toEqual(out.nearest_codes.d);

  const n = grid.values.length;
  const learner = sigmoid.start(home, grid);
  const w = put(new Float32Array(n));
  learner.write(w);
  const soft = take(w, n);
  soft.forEach((x, k) => {
    const r = Math.floor(k / grid.columns);
    const expected = softWeight(out.floor.d[k], out.V0.d[k], i.scale.d[r], grid.low[r]!, grid.high[r]!);
    expect(Math.abs(x - expected)).toBeLessThan(2e-6);
  });
  learner.step(put(Float32Array.from(out32.grad_Wq0.d)), { numbers: optimizers.adam(i.lr, 1), lambda: 0, exponent: 20, progress: 0 });
  const codes = learner.harden().codes;
  expect([...codes]).toEqual(
    out32.V_after1.d.map((v: number, k: number) => {
      const r = Math.floor(k / grid.columns);
      const level = out.floor.d[k] + (v >= 0 ? 1 : 0);
      return Math.min(i.qmax, Math.max(0, level + i.zero_point.d[r]));
    }),
  );
  learner.release();
});

test("the kernels' gradient and step are those of the plain form, any width of a row", () => {
  for (const columns of [1, 2, 3, 4, 5, 27, 64]) {
    const rows = 3;
    const n = rows * columns;
    const value = (k: number): number => Math.sin(k * 12.9898) * 0.5;
    const scale = [0.1, 0.07, 0.13];
    const grid = gridOf({ s: [rows, columns], d: Array.from({ length: n }, (_, k) => Math.fround(value(k))) }, scale, [3, 2, 4], 7);
    const base = Float32Array.from(grid.values, (w, k) => split(w, grid.scale[Math.floor(k / columns)]!).base);
    const v = Float32Array.from({ length: n }, (_, k) => 4 * value(k + 1000));
    const g = Float32Array.from({ length: n }, (_, k) => 10 * value(k + 2000));
    const [vp, gp, bp, w, sg, dv, m, q] = [
      put(v),
      put(g),
      put(base),
      ...Array.from({ length: 5 }, () => put(new Float32Array(n))),
    ] as number[];
    const [s, lo, hi] = [put(grid.scale), put(grid.low), put(grid.high)];
    const { kernels } = home;
    kernels.relaxedWeights(w!, sg!, bp!, vp!, rows, columns, s, lo, hi);
    for (const b of [2, 5.5, 20]) {
      kernels.relaxedGradient(dv!, gp!, sg!, bp!, rows, columns, s, lo, hi, 0.01, b);
      const expected = Array.from(v, (x, k) => {
        const r = Math.floor(k / columns);
        const data = g[k]! * softWeightSlope(base[k]!, x, grid.scale[r]!, grid.low[r]!, grid.high[r]!);
        return data + 0.01 * roundingPenaltySlope(x, b);
      });
      expectClose(take(dv!, n), expected, ...single.value);
    }
    const numbers = optimizers.adam(0.01, 3);
    const gradient = take(dv!, n);
    kernels.relaxedStep(vp!, m!, q!, gp!, sg!, bp!, rows, columns, s, lo, hi, numbers.size, numbers.root, numbers.floor, 0.01, 20);
    const [p2, m2, q2] = [put(v), put(new Float32Array(n)), put(new Float32Array(n))];
    kernels.adamStep(p2, put(gradient), m2, q2, n, numbers.size, numbers.root, numbers.floor);
    expect([...take(vp!, n)]).toEqual([...take(p2, n)]);
  }
});

test("hardening at the start is rounding half up; a code is never more than a step from its weight", () => {
  const n = 400;
  const values = Float32Array.from({ length: n }, (_, k) => Math.fround(Math.sin(k * 7.7)));
  const grid = gridOf({ s: [2, n / 2], d: [...values] }, [0.11, 0.2], [8, 7], 15);
  const learner = sigmoid.start(home, grid);
  const { codes } = learner.harden();
  const near = nearestCodes(grid);
  expect([...codes].filter((c, k) => c !== near[k]).length).toBe(0);
  learner.release();
});

test("the initial V of ½ is 0, of 0 and 1 the ends of h", () => {
  expect(initialRounding(0.5)).toBeCloseTo(0, 12);
  expect(initialRounding(0)).toBeCloseTo(-log(11), 12);
});
