// Every column of the table of methods does something, and what it says.
import { expect, test } from "vitest";
import type { LearningOptions } from "../../src/quantized/options.ts";
import { distances, sliceDistance } from "../../src/reconstruct/objectives.ts";
import { relaxed } from "../../src/reconstruct/parametrizations/relaxed.ts";
import { sigmoid } from "../../src/reconstruct/parametrizations/sigmoid.ts";
import type { WeightGrid } from "../../src/reconstruct/parametrizations/types.ts";
import { optimizers } from "../../src/reconstruct/optimizers.ts";
import { beforeActivation, findParts } from "../../src/reconstruct/scopes.ts";
import type { DistanceName } from "../../src/reconstruct/methods.ts";
import { prepare } from "../../src/graph/prepare.ts";
import { readModel } from "../../src/onnx/read.ts";
import { expectClose } from "./golden.ts";
import { home, put, take } from "./home.ts";
import { fingerprint, model, run } from "./network.ts";

const short = { iterations: 40, rate: 3e-2 } as const;
const plain = await run({ method: "qdrop", learning: short });
const sum = (parts: typeof plain.parts, key: "lossBefore" | "lossAfter"): number =>
  parts.slice(0, -1).reduce((total, part) => total + part[key], 0);

const cells: readonly LearningOptions[] = [
  { loss: "mse" },
  { loss: "mae" },
  { loss: "huber" },
  { loss: "nmse" },
  { loss: "cosine" },
  { loss: "output-kl" },
  { loss: "lp" },
  { scope: "stage" },
  { scope: "layer" },
  { compared: "before" },
  { objective: "prediction", compared: "before", predictionWeight: 1, temperature: 2 },
  { relaxation: "sigmoid" },
  { relaxation: "clippedLine" },
  { relaxation: "tanh" },
  { relaxation: "cosine", rate: 6e-3 },
  { regularizer: "quadratic" },
  { regularizer: "none" },
  { warmUp: 0.7 },
  { optimizer: "adamax" },
  { optimizer: "lion" },
  { optimizer: "radam" },
  { optimizer: "sgd", rate: 3 },
  { weightSubset: 0.5 },
  { displacement: 1 },
  { displacement: 2, relaxation: "sigmoid" },
  { warmStart: "gptq" },
  { augment: "noise" },
  { augment: "move" },
];

test.for(cells)("%j is another way to the same end", async (cell) => {
  const { quantized, parts } = await run({ method: "qdrop", learning: { ...short, ...cell } });
  expect(fingerprint(quantized)).not.toBe(fingerprint(plain.quantized));
  if (cell.warmStart) return;
  expect(sum(parts, "lossAfter")).toBeLessThan(sum(parts, "lossBefore"));
});

test("a subset learns no more than its share of the roundings", async () => {
  const { parts } = await run({ method: "qdrop", learning: { ...short, weightSubset: 0.25 } });
  for (const { moved, elements } of parts) expect(moved).toBeLessThanOrEqual(0.25 * elements + 1);
  expect(parts.some(({ moved }) => moved > 0)).toBe(true);
});

test("a warm start without a step keeps the codes of gptq", async () => {
  const { quantized, parts } = await run({ method: "brecq", learning: { iterations: 0, warmStart: "gptq" } });
  const nearest = await run({ method: "nearest" });
  const codes = ({ weights }: typeof quantized): string => JSON.stringify([...weights].map(([name, { codes: own }]) => [name, [...own]]));
  expect(codes(quantized)).not.toBe(codes(nearest.quantized));
  expect(parts.some(({ moved }) => moved > 0)).toBe(true);
  for (const { lossBefore, lossAfter } of parts) expect(lossAfter).toBe(lossBefore);
});

test("the activation phase of BRECQ moves step sizes, not codes", async () => {
  const learning = { iterations: 10, rate: 3e-2 };
  const before = await run({ method: "brecq", learning });
  const after = await run({ method: "brecq", learning: { ...learning, activationPhase: 30 } });
  for (const [name, { codes }] of before.quantized.weights) expect(after.quantized.weights.get(name)!.codes).toEqual(codes);
  const scales = (from: typeof before): number[] => [...from.quantized.activations.values()].flatMap(({ scale }) => [...scale]);
  expect(scales(after)).not.toEqual(scales(before));
  expect(after.parts.length).toBe(2 * before.parts.length);
});

test("before the activation: the part without it, where nobody else reads what goes in", () => {
  const graph = prepare(readModel(model));
  const [first, residual, , last] = findParts(graph, "block");
  expect(beforeActivation(graph, first!).outputs).toEqual(["c0"]);
  expect(beforeActivation(graph, residual!).outputs).toEqual(["s1"]);
  expect(beforeActivation(graph, last!)).toBe(last);
});

test("slices of a distance add up to it", () => {
  const [rows, channels, size] = [6, 4, 5];
  const n = rows * channels * size;
  const output = Float32Array.from({ length: n }, (_, i) => Math.sin(i * 1.3) * 2);
  const target = Float32Array.from({ length: n }, (_, i) => Math.cos(i * 0.7));
  const power = target.reduce((total, y) => total + y * y, 0);
  for (const name of Object.keys(distances) as DistanceName[]) {
    const dims = name === "output-kl" ? [rows, channels * size] : [rows, channels, size];
    const whole = distances[name]({ output, target, dims });
    let loss = 0;
    const gradient: number[] = [];
    for (const [first, end] of [
      [0, 2],
      [2, 6],
    ] as const) {
      const part = (values: Float32Array): number => put(values.slice((first * n) / rows, (end * n) / rows));
      const [o, t, d] = [part(output), part(target), put(new Float32Array(n))];
      loss += sliceDistance(home.kernels, home.f32, name, d, o, t, [end - first, ...dims.slice(1)], { samples: rows, power });
      gradient.push(...take(d, ((end - first) * n) / rows));
    }
    expect(Math.abs(loss - whole.loss), name).toBeLessThan(1e-5 * whole.loss);
    expectClose(gradient, whole.gradient, 1e-4, 1e-6);
  }
});

test("the plain form of a rounding learns as the kernels do", () => {
  const [rows, columns] = [3, 10];
  const n = rows * columns;
  const grid: WeightGrid = {
    rows,
    columns,
    values: Float32Array.from({ length: n }, (_, i) => Math.sin(i * 2.1)),
    scale: Float32Array.of(0.2, 0.31, 0.4),
    low: new Float32Array(rows).fill(-4),
    high: new Float32Array(rows).fill(3),
    zero: new Int32Array(rows),
    taps: 1,
    convolution: false,
    perTensor: false,
  };
  const learners = [sigmoid, relaxed].map((row) => row.start(home, grid, { subset: 0.8 }));
  const [w, gradient] = [put(new Float32Array(n)), put(Float32Array.from({ length: n }, (_, i) => Math.cos(i)))];
  const weights = learners.map((learner) => {
    for (let t = 1; t <= 30; t++) {
      learner.write(w);
      learner.step(gradient, { numbers: optimizers.adam(2e-2, t), lambda: 0.01, exponent: 12, progress: t / 30 });
    }
    learner.write(w);
    return take(w, n).slice();
  });
  expectClose(weights[1]!, weights[0]!, 1e-4, 1e-5);
  expect(learners[1]!.harden()).toEqual(learners[0]!.harden());
});

test("a wide displacement moves codes further than up or down, and starts at the weights", () => {
  const values = Float32Array.of(0.3, -0.74, 1.2, 0.05);
  const grid: WeightGrid = {
    ...{ rows: 1, columns: 4, values, scale: Float32Array.of(0.5), low: Float32Array.of(-8), high: Float32Array.of(7) },
    ...{ zero: new Int32Array(1), taps: 1, convolution: false, perTensor: false },
  };
  const learner = relaxed.start(home, grid, { displacement: 2, relaxation: "sigmoid" });
  const w = put(new Float32Array(4));
  learner.write(w);
  expectClose([...take(w, 4)], [...values], 1e-4, 1e-5);
  expect([...learner.harden().codes]).toEqual([1, -1, 2, 0]);
  const gradient = put(Float32Array.of(1, -1, 1, -1));
  for (let t = 1; t <= 400; t++) {
    learner.write(w);
    learner.step(gradient, { numbers: optimizers.adam(5e-2, t), lambda: 0, exponent: 2, progress: 0 });
  }
  // ⌊W/s⌋ is 0, −2, 2, 0: two codes further down, or two further up than the one above.
  expect([...learner.harden().codes]).toEqual([-2, 1, 0, 3]);
});

test("adamax and lion are for roundings: other parametrizations say so", async () => {
  await expect(run({ method: "flexround", learning: { ...short, optimizer: "lion" } })).rejects.toThrow(
    "--optimizer: found lion with parametrization division, expected adam, radam, sgd, or parametrization sigmoid",
  );
});
