import { expect, test } from "vitest";
import { limitOf, randomWord, streamOf } from "../../src/reconstruct/random.ts";
import { lpSum, lpSumKernel } from "../../src/reconstruct/objectives.ts";
import { cases, expectClose, single } from "./golden.ts";
import { home, put, take } from "./home.ts";

const conventions = cases("00_learning");

function control(limit: number, k0 = 0, k1 = 0, first = 0): number {
  return put(new Float32Array(Uint32Array.of(limit, k0, k1, first).buffer));
}

const all = control(0xffffffff);

test.for(conventions(/^fq_(asym4_tensor|sym4_channel|asym2_channel1)/))(
  "$name: values, gradients by x and by the step size",
  ({ in: i, out32 }) => {
    const dims: number[] = i.x.s;
    const axis = i.axis;
    const inner = axis === null ? dims.reduce((p, d) => p * d, 1) : dims.slice(axis + 1).reduce((p, d) => p * d, 1);
    const channels = i.scale.d.length;
    const steps = new Float64Array(channels);
    for (let start = 0; start < i.x.d.length; start += inner) {
      const c = (start / inner) % channels;
      const part = (values: number[]): number => put(Float32Array.from(values.slice(start, start + inner)));
      const [x, g, y] = [part(i.x.d), part(i.g.d), put(new Float32Array(inner))];
      const [s, lo, hi] = [i.scale.d[c], i.qmin - i.zero_point.d[c], i.qmax - i.zero_point.d[c]];
      home.kernels.fakeQuantizeSome(y, x, inner, s, lo, hi, all);
      expectClose(take(y, inner), out32.y.d.slice(start, start + inner), ...single.value);
      steps[c]! += home.kernels.fakeQuantizeSomeGradient(y, x, g, inner, s, lo, hi, all);
      expectClose(take(y, inner), out32.grad_x.d.slice(start, start + inner), ...single.value);
    }
    expectClose(steps, out32.grad_scale.d, ...single.value);
  },
);

test("dropped elements pass value and gradient, and do not move the step size", () => {
  const n = 1001;
  const [s, lo, hi] = [0.13, -3, 12];
  const x = Float32Array.from({ length: n }, (_, i) => Math.sin(i * 1.7) * 2);
  const g = Float32Array.from({ length: n }, (_, i) => Math.cos(i * 2.3));
  const stream = streamOf(9, 1);
  const limit = limitOf(0.5);
  const [xp, gp, y, dx] = [put(x), put(g), put(new Float32Array(n)), put(new Float32Array(n))];
  const first = 4000;
  const some = control(limit, stream.k0, stream.k1, first);
  home.kernels.fakeQuantizeSome(y, xp, n, s, lo, hi, some);
  const step = home.kernels.fakeQuantizeSomeGradient(dx, xp, gp, n, s, lo, hi, some);
  let expected = 0;
  const s32 = Math.fround(s);
  const [values, gradients] = [take(y, n), take(dx, n)];
  for (let i = 0; i < n; i++) {
    const kept = randomWord(stream, first + i) <= limit;
    const u = Math.fround(x[i]! / s32);
    const r = Math.round(u);
    const level = Math.min(hi, Math.max(lo, r));
    const inside = r >= lo && r <= hi;
    expect(values[i]).toBe(kept ? Math.fround(level * s32) : x[i]);
    expect(gradients[i]).toBe(kept && !inside ? 0 : g[i]);
    if (kept) expected += g[i]! * (level - (inside ? u : 0));
  }
  expect(step).toBeCloseTo(expected, 4);
});

test.for(cases("01_adaround_brecq_qdrop")(/^qdrop_act$/))("$name: a given mask", ({ in: i, out32 }) => {
  const n = i.x.d.length;
  const [s, lo, hi] = [i.scale.d[0], -i.zero_point.d[0], i.qmax - i.zero_point.d[0]];
  const [x, g, y, dx] = [put(Float32Array.from(i.x.d)), put(Float32Array.from(i.g.d)), put(new Float32Array(n)), put(new Float32Array(n))];
  const masked = Float32Array.from(i.g.d, (v: number, k) => v * i.mask.d[k]);
  home.kernels.fakeQuantizeSome(y, x, n, s, lo, hi, all);
  expectClose(
    take(y, n).map((v, k) => (i.mask.d[k] ? v : i.x.d[k])),
    out32.y.d,
    ...single.value,
  );
  const step = home.kernels.fakeQuantizeSomeGradient(dx, x, put(masked), n, s, lo, hi, all);
  expectClose([step], out32.grad_scale_raw.d, ...single.value);
  expect(out32.lsq_factor).toBeCloseTo(1 / Math.sqrt(n * i.qmax), 7);
  expectClose([step / Math.sqrt(n * i.qmax)], out32.grad_scale_lsq.d, ...single.value);
  home.kernels.fakeQuantizeSomeGradient(dx, x, g, n, s, lo, hi, all);
  expectClose(
    take(dx, n).map((v, k) => (i.mask.d[k] ? v : i.g.d[k])),
    out32.grad_x.d,
    ...single.value,
  );
});

test("losses in linear memory equal the plain form", () => {
  for (const n of [1, 6, 1024, 1026]) {
    const dims = [1, n === 1 ? 1 : 2, n === 1 ? 1 : n / 2];
    const output = Float32Array.from({ length: n }, (_, i) => Math.sin(i * 3.1));
    const target = Float32Array.from({ length: n }, (_, i) => (i % 5 === 0 ? output[i]! : Math.cos(i * 1.3)));
    const [o, t, d] = [put(output), put(target), put(new Float32Array(n))];
    for (const p of [2, 2.4]) {
      const { loss, gradient } = lpSum({ output, target, dims }, p);
      expect(Math.abs(lpSumKernel(home.kernels, d, o, t, dims, p) - loss)).toBeLessThanOrEqual(1e-5 * loss);
      expectClose(take(d, n), gradient, 1e-5, 1e-7);
    }
    const weight = Float32Array.from({ length: n }, (_, i) => 1 + (i % 3));
    const value = home.kernels.weightedLoss(d, o, t, put(weight), n, 0.25);
    let expected = 0;
    output.forEach((x, i) => {
      expected += 0.25 * (x - target[i]!) ** 2 * weight[i]! ** 2;
    });
    expect(Math.abs(value - expected)).toBeLessThanOrEqual(1e-5 * expected);
  }
});
