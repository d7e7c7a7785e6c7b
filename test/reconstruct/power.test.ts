import { expect, test } from "vitest";
import { powerCode, powerError, powerLevel, powerTable, powerThresholds, searchExponent } from "../../src/quantized/powergrid.ts";
import { Moments, optimizers } from "../../src/reconstruct/optimizers.ts";
import {
  displacementPenalty,
  displacementPenaltySlope,
  initialDisplacement,
  levelByExponent,
  quantizerByExponent,
  softCode,
  softCodeGradient,
} from "../../src/reconstruct/parametrizations/power.ts";
import { lpSum } from "../../src/reconstruct/objectives.ts";
import { expectClose, read } from "./golden.ts";
import { home, put, take } from "./home.ts";

const golden = read("04_nupes_powerquant");

test.for<{ bits: number; a: number; m: number; qmax: number; q: number[]; w_hat: number[] }>(golden.A_forward.cases)(
  "$bits bits, exponent $a: codes and levels",
  ({ a, m, qmax, q, w_hat }) => {
    const codes = golden.A_forward.w.map((w: number) => powerCode(w, m, a, qmax));
    expect(codes).toEqual(q);
    expectClose(
      codes.map((c: number) => powerLevel(c, m, a, qmax)),
      w_hat,
      1e-9,
      1e-11,
    );
  },
);

test("the error over a grid of exponents, and a search that is never worse than it", () => {
  const { tensors, grid_a, by_bits } = golden.B_search;
  for (const [bits, { E_grid, E_uniform }] of Object.entries<{ E_grid: number[]; E_uniform: number }>(by_bits)) {
    const n = (1 << (Number(bits) - 1)) - 1;
    expectClose(
      grid_a.map((a: number) => powerError(tensors, a, n)),
      E_grid,
      1e-9,
    );
    expect(powerError(tensors, 1, n)).toBeCloseTo(E_uniform, 9);
    const { a, error } = searchExponent(tensors, n);
    expect(error).toBeLessThanOrEqual(1.02 * Math.min(...E_grid));
    expect(powerError(tensors, a, n)).toBe(error);
  }
});

test("the exponent's gradient through a rounded code, finite at 0 and m", () => {
  const { a, bits, m, w, dwhat_da, bound_abs_dwhat_da } = golden.C_ste_gradients;
  const n = (1 << (bits - 1)) - 1;
  const slopes = w.map((each: number) => quantizerByExponent(each, powerCode(each, m, a, n), m, a, n));
  expectClose(slopes, dwhat_da, 1e-9, 1e-11);
  for (const slope of slopes) expect(Math.abs(slope)).toBeLessThanOrEqual(bound_abs_dwhat_da);
});

const D = golden.D_learned;
const grid = { n: D.qmax, reach: 1 };

test("a displacement starts where the soft level is the weight", () => {
  D.base_floor.flat().forEach((base: number, k: number) => {
    const v = D.V_identity_init.flat()[k];
    const w = D.W.flat()[k];
    expect(powerLevel(softCode(base, v, grid), D.m, D.a0, D.qmax)).toBeCloseTo(w, 9);
    const u = Math.sign(w) * (Math.abs(w) / D.m) ** D.a0 * D.qmax;
    if (u - base > 1e-9) expect(initialDisplacement(u - base, 1)).toBeCloseTo(v, 8);
  });
});

/** One step's loss and ∂L/∂Ŵ of y = X Ŵᵀ against X Wᵀ. */
function reconstruction(what: ArrayLike<number>) {
  const [batch, inputs, outputs] = [D.X.length, D.W[0].length, D.W.length];
  const output = new Float64Array(batch * outputs);
  const target = new Float64Array(batch * outputs);
  for (let b = 0; b < batch; b++)
    for (let o = 0; o < outputs; o++)
      for (let k = 0; k < inputs; k++) {
        output[b * outputs + o]! += D.X[b][k] * what[o * inputs + k]!;
        target[b * outputs + o]! += D.X[b][k] * D.W[o][k];
      }
  const { loss, gradient } = lpSum({ output, target, dims: [batch, outputs] }, 2);
  const g = new Float64Array(outputs * inputs);
  for (let o = 0; o < outputs; o++)
    for (let k = 0; k < inputs; k++) for (let b = 0; b < batch; b++) g[o * inputs + k]! += gradient[b * outputs + o]! * D.X[b][k];
  return { loss, g };
}

test("learned codes and exponent: forward, gradients, three steps, hardened codes", () => {
  const base: number[] = D.base_floor.flat();
  const v = Float64Array.from(D.V_start.flat());
  const a = Float64Array.of(D.a0);
  const [byV, byA] = [new Moments(v.length), new Moments(1)];
  let scale = 0;
  for (let t = 1; t <= 4; t++) {
    const codes = base.map((b, k) => softCode(b, v[k]!, grid));
    const what = codes.map((q) => powerLevel(q, D.m, a[0]!, D.qmax));
    const { loss, g } = reconstruction(what);
    const regularizer = v.reduce((sum, x) => sum + displacementPenalty(x, D.beta, 1), 0);
    if (t === 1) {
      const within = D.forward.soft_codes.flat().map((q: number) => Math.max(-D.qmax, Math.min(D.qmax, q)));
      expectClose(codes, within, 1e-9);
      expectClose(what, D.forward.W_hat.flat(), 1e-9);
      scale = D.forward.rec / loss;
      expect(regularizer).toBeCloseTo(D.forward.reg, 8);
    } else {
      const expected = D.steps[t - 2];
      expectClose(a, [expected.a], 1e-9);
      expectClose(v, expected.V.flat(), 1e-8);
      expect(loss * scale).toBeCloseTo(expected.rec, 9);
      expect(regularizer).toBeCloseTo(expected.reg, 7);
    }
    if (t === 4) break;
    const gradientV = base.map(
      (b, k) => softCodeGradient(b, v[k]!, g[k]! * scale, D.m, a[0]!, grid) + D.lambda_ * displacementPenaltySlope(v[k]!, D.beta, 1),
    );
    const gradientA = codes.reduce((sum, q, k) => sum + g[k]! * scale * levelByExponent(q, D.m, a[0]!, D.qmax), 0);
    if (t === 1) {
      expectClose(gradientV, D.grad.V_stabilised.flat(), 1e-8, 1e-11);
      expect(gradientA).toBeCloseTo(D.grad.a, 9);
    }
    byV.step(v, gradientV, optimizers.adam(D.optimizer.lr_V, t));
    byA.step(a, [gradientA], optimizers.adam(D.optimizer.lr_a, t));
  }
  const hard = base.map((b, k) => Math.round(softCode(b, v[k]!, grid)) + 0);
  expect(hard).toEqual(D.hard_codes_after_3.flat());
});

test("the kernels agree with the plain form", () => {
  const base = Float32Array.from(D.base_floor.flat());
  const v = Float32Array.from(D.V_start.flat());
  const n = v.length;
  const [rows, columns] = [3, 6];
  const [w, sigma, dv] = [n, n, n].map((size) => put(new Float32Array(size))) as [number, number, number];
  const most = put(new Float32Array(rows).fill(D.m));
  const inverse = 1 / D.a0;
  const [bp, vp] = [put(base), put(v)];
  home.kernels.powerWeights(w, sigma, bp, vp, rows, columns, most, D.qmax, 1, inverse);
  expectClose(take(w, n), D.forward.W_hat.flat(), 1e-5, 2e-6);
  const g = Float32Array.from({ length: n }, (_, k) => Math.sin(k * 5.1));
  const byA = home.kernels.powerGradient(dv, put(g), sigma, bp, rows, columns, most, D.qmax, 1, inverse, D.lambda_, 7);
  const expected = Array.from(
    v,
    (x, k) => softCodeGradient(base[k]!, x, g[k]!, D.m, D.a0, grid) + D.lambda_ * displacementPenaltySlope(x, 7, 1),
  );
  expectClose(take(dv, n), expected, 1e-4, 1e-5);
  const whole = Array.from(v, (x, k) => g[k]! * levelByExponent(softCode(base[k]!, x, grid), D.m, D.a0, D.qmax)).reduce((p, x) => p + x, 0);
  expect(byA).toBeCloseTo(whole, 5);
});

test.for<{ bits: number; a: number; K: number; levels?: number[]; distinct: number; zero_collisions: number }>(
  golden.E_level_tables.tables,
)("integer levels of $bits bits, exponent $a, K $K", ({ bits, a, K, levels, distinct, zero_collisions }) => {
  const table = [...powerTable(a, (1 << (bits - 1)) - 1, K)];
  if (levels) expect(table).toEqual(levels);
  expect(new Set(table).size).toBe(distinct);
  expect(table.slice(1).filter((level) => level === 0).length).toBe(zero_collisions);
});

test("decoding before accumulating keeps a sum of products within its bound", () => {
  const { qw, qx, a, m_w, m_x, qmax_w, qmax_x, y_float, cases } = golden.F_integer_dot;
  for (const { K, R1 } of cases) {
    const [tw, tx] = [powerTable(a, qmax_w, K), powerTable(a, qmax_x, K)];
    const lw = qw.map((q: number) => Math.sign(q) * tw[Math.abs(q)]! + 0);
    const lx = qx.map((q: number) => tx[q]!);
    expect(lw).toEqual(R1.Lw);
    expect(lx).toEqual(R1.Lx);
    const acc = lw.reduce((sum: number, l: number, k: number) => sum + l * lx[k], 0);
    expect(acc).toBe(R1.acc);
    expect(Math.abs((m_w * m_x * acc) / (K * K) - y_float)).toBeLessThanOrEqual(R1.bound);
  }
});

test("output codes are counts of thresholds reached", () => {
  const { S, m_y, a, bits, thresholds, acc, codes } = golden.G_requant_thresholds;
  const theta = powerThresholds(m_y, S, a, (1 << bits) - 1);
  expect([...theta]).toEqual(thresholds);
  expect(acc.map((x: number) => theta.filter((t) => x >= t).length)).toEqual(codes);
});

test("a = 1 is the uniform grid, and zero is always a level", () => {
  for (let w = -1; w <= 1; w += 0.01) {
    const q = powerCode(w, 1, 1, 7);
    expect(powerLevel(q, 1, 1, 7)).toBeCloseTo(Math.max(-7, Math.min(7, Math.round(w * 7))) / 7, 2);
  }
  expect(powerCode(0, 1, 0.4, 7)).toBe(0);
});
