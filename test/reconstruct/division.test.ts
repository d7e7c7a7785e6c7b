import { expect, test } from "vitest";
import { optimizers } from "../../src/reconstruct/optimizers.ts";
import { division, divideElement } from "../../src/reconstruct/parametrizations/division.ts";
import { nearestCodes } from "../../src/reconstruct/parametrizations/nearest.ts";
import { learningRates } from "../../src/reconstruct/schedules.ts";
import { lpSum } from "../../src/reconstruct/objectives.ts";
import { cases, expectClose, type Fields, single } from "./golden.ts";
import { gridOf, home, put, take } from "./home.ts";

const golden = cases("03_flexround");

/** Signed code ranges as zero points of unsigned ones. */
const gridFor = (i: Fields) => gridOf(i.W, i.s1.d, i.sym ? i.s1.d.map(() => i.levels / 2) : i.zero_point.d, i.levels - 1);

test.for(golden(/^(linear_|init_|conv_)/))("$name: codes and the gradients by every factor", ({ in: i, out }) => {
  const grid = gridFor(i);
  const { rows, columns, taps } = grid;
  const s1 = (r: number): number => i.s1.d[i.s1.d.length === 1 ? 0 : r];
  const sums = { s1: new Float64Array(i.s1.d.length), s3: new Float64Array(rows), s4: new Float64Array(columns / taps) };
  const elements = grid.values.map((_, k) => {
    const r = Math.floor(k / columns);
    const channel = Math.floor((k % columns) / taps);
    const divisor = i.S2.d[k] * i.s3.d[r] * (i.s4 ? i.s4.d[channel] : 1);
    const { level, step, factor } = divideElement(i.W.d[k], i.G.d[k], s1(r), divisor, grid.low[r]!, grid.high[r]!);
    expect(level + 0).toBe(out.codes.d[k] + 0);
    expect(Math.abs(level * s1(r) - out.What.d[k])).toBeLessThan(1e-12);
    expect(Math.abs(factor - out.grad_log_S2.d[k])).toBeLessThan(1e-10);
    expect(Math.abs(factor / i.S2.d[k] - out.grad_S2.d[k])).toBeLessThan(1e-10);
    sums.s1[sums.s1.length === 1 ? 0 : r]! += step;
    sums.s3[r]! += factor;
    sums.s4[channel]! += factor;
    return level;
  });
  expect(elements.length).toBe(out.codes.d.length);
  expectClose(sums.s1, out.grad_log_s1.d, 1e-9, 1e-11);
  expectClose(sums.s3, out.grad_log_s3.d, 1e-9, 1e-11);
  if (i.s4) expectClose(sums.s4, out.grad_log_s4.d, 1e-9, 1e-11);
});

test.for(golden(/^(linear_|init_|conv_)/))("$name in linear memory", ({ in: i, out32 }) => {
  const grid = gridFor(i);
  const { rows, columns, taps } = grid;
  const n = grid.values.length;
  const log = (x: number): number => Math.fround(Math.log(x));
  const s1 = grid.scale;
  const [w, u, e, steps, rowSums] = [n, n, n, rows, rows].map((size) => put(new Float32Array(size))) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const columnSums = put(new Float32Array(columns + 4));
  const s4 = Float32Array.from({ length: columns }, (_, c) => (i.s4 ? log(i.s4.d[Math.floor(c / taps)]) : 0));
  const [real, d2, row, column, scale, low, high, g] = [
    grid.values,
    Float32Array.from(i.S2.d as number[], log),
    Float32Array.from({ length: rows }, (_, r) => log(s1[r]!) + log(i.s3.d[r])),
    s4,
    s1,
    grid.low,
    grid.high,
    Float32Array.from(i.G.d),
  ].map(put) as [number, number, number, number, number, number, number, number];
  home.kernels.divisionWeights(w, u, real, d2, rows, columns, row, column, scale, low, high);
  expectClose(take(w, n), out32.What.d, ...single.value);
  home.kernels.divisionGradient(e, g, u, rows, columns, scale, low, high, steps, rowSums, columnSums);
  expectClose(take(e, n), out32.grad_log_S2.d, ...single.value);
  expectClose(take(rowSums, rows), out32.grad_log_s3.d, ...single.value);
  const byRow = take(steps, rows);
  expectClose(i.s1.d.length === 1 ? [byRow.reduce((a, b) => a + b, 0)] : byRow, out32.grad_log_s1.d, ...single.value);
});

/** A linear layer y = X Ŵᵀ and its loss: what the golden runs learn on. */
function layer(i: Fields, w: Float32Array) {
  const [batch, inputs] = i.X.s as [number, number];
  const outputs = i.W.s[0];
  const y = new Float64Array(batch * outputs);
  for (let b = 0; b < batch; b++)
    for (let o = 0; o < outputs; o++) for (let k = 0; k < inputs; k++) y[b * outputs + o]! += i.X.d[b * inputs + k] * w[o * inputs + k]!;
  const { loss, gradient } = lpSum({ output: y, target: i.target.d, dims: [batch, outputs] }, 2);
  const dw = new Float32Array(w.length);
  for (let o = 0; o < outputs; o++)
    for (let k = 0; k < inputs; k++) {
      let sum = 0;
      for (let b = 0; b < batch; b++) sum += gradient[b * outputs + o]! * i.X.d[b * inputs + k];
      dw[o * inputs + k] = sum;
    }
  return { loss, dw };
}

test("three steps on a layer end in the published codes and scales", () => {
  const [{ in: i, out32 }] = golden(/^recon_linear$/) as [ReturnType<typeof golden>[0]];
  const grid = gridOf(i.W, i.s1.d, i.zero_point.d, i.levels - 1);
  const n = grid.values.length;
  const learner = division.start(home, grid);
  const w = put(new Float32Array(n));
  const losses: number[] = [];
  for (let t = 1; t <= 3; t++) {
    learner.write(w);
    if (t === 1) expectClose(take(w, n), out32.What0.d, ...single.value);
    const { loss, dw } = layer(i, take(w, n));
    losses.push(loss);
    learner.step(put(dw), { numbers: optimizers.adam(learningRates.cosine(i.lr, t - 1, i.iters), t), lambda: 0, exponent: 2, progress: 0 });
  }
  expect(losses[0]).toBeCloseTo(out32.loss0, 5);
  expect(losses[2]).toBeCloseTo(out32.loss_step3, 4);
  const { codes, scale } = learner.harden();
  expect([...codes]).toEqual(out32.final_codes.d);
  expectClose(scale, out32.final_scale.d, ...single.value);
  const final = new Float32Array(n);
  codes.forEach((c, k) => {
    const r = Math.floor(k / grid.columns);
    final[k] = (c - grid.zero[r]!) * scale[r]!;
  });
  learner.write(w);
  expect(Array.from(take(w, n), (x) => x + 0)).toEqual([...final]);
});

test("it starts at the nearest codes, and no gradient moves nothing", () => {
  const values = Array.from({ length: 54 }, (_, k) => Math.fround(Math.sin(k * 3.3)));
  const grid = gridOf({ s: [2, 3, 3, 3], d: values }, [0.2, 0.11], [4, 3], 7);
  const learner = division.start(home, grid);
  const w = put(new Float32Array(54));
  learner.write(w);
  const before = [...take(w, 54)];
  expect([...learner.harden().codes]).toEqual([...nearestCodes(grid)]);
  learner.step(put(new Float32Array(54)), { numbers: optimizers.adam(1, 1), lambda: 0, exponent: 2, progress: 0 });
  learner.write(w);
  expect([...take(w, 54)]).toEqual(before);
});
