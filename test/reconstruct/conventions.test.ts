import { expect, test } from "vitest";
import { distances, fisherDiagonal, fisherFull, fisherWeights, lpSum, predictionDifference } from "../../src/reconstruct/objectives.ts";
import { Moments, optimizers } from "../../src/reconstruct/optimizers.ts";
import { regularizers, type Relaxation, relaxations } from "../../src/reconstruct/relaxations.ts";
import { cosPi, defaultTemperature, exponentAt, learningRates, regularizes } from "../../src/reconstruct/schedules.ts";
import { cases, expectClose, read } from "./golden.ts";

const conventions = cases("00_learning");
const blocks = cases("01_adaround_brecq_qdrop");
const status = read("06_status_quo");

test.for(conventions(/^lp_loss/))("$name: the loss sums over axis 1, and is a mean over all others", ({ in: i, out }) => {
  for (const [p, name] of [
    [2, "p2"],
    [2.4, "p24"],
  ] as const) {
    const { loss, gradient } = lpSum({ output: i.pred.d, target: i.tgt.d, dims: i.pred.s }, p);
    expect(loss).toBeCloseTo(out[name], 12);
    expectClose(gradient, out[`${name}_grad`].d);
  }
});

test("the exponent of the regularizer falls linearly or by a cosine after the warm-up", () => {
  const [{ in: i, out }] = conventions(/^b_schedule$/) as [ReturnType<typeof conventions>[0]];
  const linear = { ...defaultTemperature, warm: i.warm };
  expectClose(
    i.counts.map((count: number) => exponentAt(count, i.iters, linear)),
    out.b,
  );
  expectClose(
    i.counts.map((count: number) => exponentAt(count, i.iters, { ...linear, shape: "cosine" })),
    out.b_cosine,
  );
  expect(i.counts.map((count: number) => Number(regularizes(count, i.iters, linear)))).toEqual(out.reg_on);
});

test("a cosine schedule ends near 0", () => {
  const [{ in: i, out }] = conventions(/^cosine_lr$/) as [ReturnType<typeof conventions>[0]];
  expectClose(
    i.k.map((k: number) => learningRates.cosine(i.lr0, k, i.T)),
    out.lr,
    1e-9,
    1e-18,
  );
});

test("cos πx is exact to the last bits on [0, 1]", () => {
  for (let k = 0; k <= 1000; k++) expect(Math.abs(cosPi(k / 1000) - Math.cos((k / 1000) * Math.PI))).toBeLessThan(4e-16);
});

test.for(conventions(/^r?adam$/))("$name moves as published", ({ name, in: i, out }) => {
  const p = Float64Array.from(i.p0.d);
  const moments = new Moments(p.length);
  const steps: number[] = [];
  for (let t = 1; t <= 8; t++) {
    moments.step(p, i[`g${t - 1}`].d, optimizers[name as "adam" | "radam"](i.lr, t));
    steps.push(...p);
  }
  expectClose(steps, out.p_after.d, 1e-10);
});

test("Fisher-weighted losses and the gradient of the prediction difference", () => {
  const [{ in: i, out }] = blocks(/^fisher$/) as [ReturnType<typeof blocks>[0]];
  const logits = predictionDifference({ output: i.logits_q.d, target: i.logits_fp.d, dims: i.logits_q.s }, 1);
  expect(logits.loss).toBeCloseTo(out.kl, 12);
  expectClose(logits.gradient, out.grad_logits.d);
  const pair = { output: i.pred.d, target: i.tgt.d, dims: i.pred.s };
  expectClose(fisherWeights(i.grad_raw.d), out.cached_grad.d, 1e-7);
  const diagonal = fisherDiagonal(pair, out.cached_grad.d);
  expect(diagonal.loss).toBeCloseTo(out.fisher_diag, 9);
  expectClose(diagonal.gradient, out.fisher_diag_grad.d);
  const full = fisherFull(pair, out.cached_grad.d);
  expect(full.loss).toBeCloseTo(out.fisher_full, 10);
  expectClose(full.gradient, out.fisher_full_grad.d);
});

test.for(cases("02_pd_quant")(/^pd_loss/))("$name: KL of softened answers", ({ in: i, out }) => {
  const { loss, gradient } = predictionDifference({ output: i.q.d, target: i.fp.d, dims: i.q.s }, i.T);
  expect(loss).toBeCloseTo(out.kl, 10);
  expect(loss / i.lambda_r).toBeCloseTo(out.pd, 9);
  expectClose(
    gradient.map((g) => g / i.lambda_r),
    out.grad_q.d,
  );
});

test.for(
  Object.entries({
    mse: "mse",
    "output-mse": "mse_sum_channel",
    mae: "mae",
    huber: "huber_1",
    nmse: "nmse",
    cosine: "one_minus_cos",
    "output-kl": "kl_softmax",
    lp: "lp_2_4",
  }),
)("distance %s at one point", ([row, golden]) => {
  const { y, z, values, grad_z } = status.B_losses;
  const pair = { output: z.flat(), target: y.flat(), dims: [4, 3] };
  const { loss, gradient } = distances[row as keyof typeof distances](pair);
  expect(loss).toBeCloseTo(values[golden], 10);
  expectClose(gradient, grad_z[golden].flat(), 1e-9, 1e-11);
  const same = distances[row as keyof typeof distances]({ ...pair, output: pair.target });
  expect(Math.abs(same.loss)).toBeLessThan(1e-12);
  expectClose(same.gradient, new Float64Array(12), 0, 1e-12);
});

test.for(
  Object.entries({ rectifiedSigmoid: "rect_sigmoid", sigmoid: "sigmoid", clippedLine: "clip_linear", tanh: "tanh_k2", cosine: "cosine" }),
)("relaxation %s: values, slopes and starts", ([row, golden]) => {
  const { v, r, fns } = status.A_relaxations;
  const { value, slope, start } = relaxations[row as keyof typeof relaxations] as Relaxation;
  const expected = fns[golden];
  expectClose(v.map(value), expected.h, 1e-9, 1e-11);
  expectClose(v.map(slope), expected.dh, 1e-9, 1e-11);
  expectClose(r.map(start), expected.init, 1e-9, 1e-11);
  expectClose(
    r.map((rest: number) => value(start(rest))),
    expected.h_init,
    1e-9,
  );
  expectClose(
    r.map((rest: number) => slope(start(rest))),
    expected.dh_at_init,
    1e-9,
  );
});

test("penalties drive roundings to their ends", () => {
  const { h, adaround, quad } = status.C_regularisers;
  for (const [b, { f, df }] of Object.entries<{ f: number[]; df: number[] }>(adaround)) {
    expectClose(
      h.map((x: number) => regularizers.power.value(x, Number(b))),
      f,
      1e-9,
      1e-12,
    );
    expectClose(
      h.map((x: number) => regularizers.power.slope(x, Number(b))),
      df,
      1e-9,
      1e-12,
    );
  }
  expectClose(
    h.map((x: number) => regularizers.quadratic.value(x, 2)),
    quad.f,
    1e-9,
    1e-12,
  );
  expectClose(
    h.map((x: number) => regularizers.quadratic.slope(x, 2)),
    quad.df,
    1e-9,
    1e-12,
  );
});
