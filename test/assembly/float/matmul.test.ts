import { expect, test } from "vitest";
import type { Tensor } from "../../../src/graph/types.ts";
import { matrixKernels } from "../../../src/ops/matmul.forward.ts";
import { error, generator, kernels, randomTensor, runKernel } from "./device.ts";

const [matMul, gemm] = matrixKernels as [(typeof matrixKernels)[0], (typeof matrixKernels)[0]];

/** A[m × k] · B[k × n] in float64; `at` reads an element. */
function multiply(m: number, n: number, k: number, a: (i: number, j: number) => number, b: (i: number, j: number) => number): Float64Array {
  const y = new Float64Array(m * n);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let l = 0; l < k; l++) sum += a(i, l) * b(l, j);
      y[i * n + j] = sum;
    }
  }
  return y;
}

const dense =
  (t: Tensor, columns: number, first = 0) =>
  (i: number, j: number): number =>
    t.data[first + i * columns + j] as number;

test("products of every size around the 4×8 tile equal the definition", () => {
  const next = generator(1);
  for (const m of [1, 2, 3, 4, 5, 63, 64, 65, 130]) {
    for (let n = 1; n <= 26; n += m < 10 ? 1 : 5) {
      for (const k of [1, 2, 3, 7, 40]) {
        const [a, b] = [randomTensor([m, k], next), randomTensor([k, n], next)];
        const expected = multiply(m, n, k, dense(a, k), dense(b, n));
        for (const constant of [true, false]) {
          const y = runKernel(matMul, { inputs: [a, b], dims: [m, n], constant: [false, constant] });
          expect(error(y, expected), `${m}×${k}×${n}`).toBeLessThan(1e-6);
        }
      }
    }
  }
});

test("an element has the same bits in products of many columns and rows as in those of few", () => {
  const next = generator(3);
  for (const [m, n, k] of [
    [4, 24, 1],
    [5, 40, 7],
    [67, 33, 600],
    [9, 27, 16500],
  ] as const) {
    const [a, b] = [randomTensor([m, k], next), randomTensor([k, n], next)];
    const whole = runKernel(matMul, { inputs: [a, b], dims: [m, n] }).data as Float32Array;
    for (let j = 0; j < n; j += 8) {
      const columns = Math.min(8, n - j);
      const data = Float32Array.from({ length: k * columns }, (_, i) => b.data[Math.floor(i / columns) * n + j + (i % columns)] as number);
      const part = runKernel(matMul, { inputs: [a, { ...b, dims: [k, columns], data }], dims: [m, columns] }).data as Float32Array;
      const expected = Float32Array.from(part, (_, i) => whole[Math.floor(i / columns) * n + j + (i % columns)]!);
      expect(part, `${m}×${k}×${n}, columns from ${j}`).toEqual(expected);
    }
  }
});

test("long sums stay within 1e-6 of the largest result", () => {
  const next = generator(2);
  for (const k of [1000, 4608]) {
    const [a, b] = [randomTensor([9, k], next), randomTensor([k, 17], next)];
    const y = runKernel(matMul, { inputs: [a, b], dims: [9, 17] });
    expect(error(y, multiply(9, 17, k, dense(a, k), dense(b, 17)))).toBeLessThan(1e-6);
  }
});

test.for<[readonly number[], readonly number[], readonly number[]]>([
  [
    [2, 3, 5, 7],
    [2, 3, 7, 4],
    [2, 3, 5, 4],
  ],
  [
    [2, 3, 5, 7],
    [7, 4],
    [2, 3, 5, 4],
  ],
  [
    [5, 7],
    [2, 3, 7, 4],
    [2, 3, 5, 4],
  ],
  [
    [2, 1, 5, 7],
    [3, 7, 4],
    [2, 3, 5, 4],
  ],
  [
    [3, 5, 7],
    [2, 1, 7, 4],
    [2, 3, 5, 4],
  ],
  [
    [4, 5, 7],
    [1, 7, 9],
    [4, 5, 9],
  ],
  [[7], [7], []],
  [[7], [7, 9], [9]],
  [[5, 7], [7], [5]],
  [[7], [2, 3, 7, 4], [2, 3, 4]],
  [[2, 3, 5, 7], [7], [2, 3, 5]],
])("MatMul %j · %j", ([left, right, dims]) => {
  const next = generator(3);
  const [a, b] = [randomTensor(left, next), randomTensor(right, next)];
  const [m, k] = left.length > 1 ? left.slice(-2) : [1, left[0]];
  const n = right.length > 1 ? right.at(-1)! : 1;
  const batch =
    right.length === 1 || left.length === 1
      ? dims.slice(0, dims.length - (left.length > 1 ? 1 : 0) - (right.length > 1 ? 1 : 0))
      : dims.slice(0, -2);
  const matrices = batch.reduce((p, d) => p * d, 1);
  const first = (own: readonly number[], i: number): number => {
    const index = batch.map((_, axis) => Math.floor(i / batch.slice(axis + 1).reduce((p, d) => p * d, 1)) % batch[axis]!);
    return own.reduce((at, size, axis) => at * size + (size === 1 ? 0 : index[batch.length - own.length + axis]!), 0);
  };
  const expected = Array.from({ length: matrices }, (_, i) => {
    const at = first(left.slice(0, -2), i) * m! * k!;
    const bt = first(right.slice(0, -2), i) * k! * n;
    return [...multiply(m!, n, k!, dense(a, k!, at), dense(b, n, bt))];
  }).flat();
  for (const constant of [true, false]) {
    const y = runKernel(matMul, { inputs: [a, b], dims, constant: [false, constant] });
    expect(error(y, Float64Array.from(expected))).toBeLessThan(1e-6);
  }
});

test("Gemm: both transpositions, scales, and every form of C", () => {
  const next = generator(4);
  const [m, n, k] = [6, 11, 9];
  /** Element i of C spread over [m, n]. */
  const addend = (c: Tensor, i: number): number => {
    const [rows, columns] = [1, 1, ...c.dims].slice(-2) as [number, number];
    return c.data[(rows === 1 ? 0 : Math.floor(i / n)) * columns + (columns === 1 ? 0 : i % n)] as number;
  };
  for (const transA of [0, 1]) {
    for (const transB of [0, 1]) {
      for (const shape of [undefined, [], [1], [n], [1, n], [1, 1], [m, n], [m, 1]]) {
        for (const constant of [true, false]) {
          const a = randomTensor(transA ? [k, m] : [m, k], next);
          const b = randomTensor(transB ? [n, k] : [k, n], next);
          const c = shape && randomTensor(shape, next);
          const [alpha, beta] = [0.5, -1.5];
          const product = multiply(
            m,
            n,
            k,
            (i, j) => a.data[transA ? j * m + i : i * k + j] as number,
            (i, j) => b.data[transB ? j * k + i : i * n + j] as number,
          );
          const expected = product.map((p, i) => alpha * p + (c ? beta * addend(c, i) : 0));
          const attributes = { transA, transB, alpha, beta };
          const y = runKernel(gemm, { attributes, inputs: [a, b, c], dims: [m, n], constant: [false, constant, constant] });
          expect(error(y, expected), JSON.stringify({ transA, transB, shape })).toBeLessThan(1e-6);
        }
      }
    }
  }
});

test("empty operands are left to the reference", () => {
  const node = { name: "", op: "Gemm", inputs: [], outputs: [], attributes: {} };
  const accepts = (...dims: number[][]): boolean => gemm.accepts(node, dims, () => undefined);
  expect(accepts([3, 0], [0, 5])).toBe(false);
  expect(accepts([0, 3], [3, 5])).toBe(false);
  expect(accepts([3, 4], [4, 5])).toBe(true);
});

test("the clamp bounds results, lets NaN pass, and no clamp lets infinity pass", () => {
  const base = 1 << 20;
  kernels.memory.grow(32);
  const f32 = new Float32Array(kernels.memory.buffer);
  const [c, a, b] = [base, base + 4096, base + 8192];
  f32.set([-3, 0.5, 3, Number.NaN, Number.POSITIVE_INFINITY], a / 4);
  f32.fill(0, b / 4, b / 4 + 8);
  f32.fill(1, b / 4, b / 4 + 5);
  const column = (low: number, high: number): number[] => {
    kernels.gemm(c, 5, a, 1, b, 0, 5, 5, 1, low, high);
    return Array.from({ length: 5 }, (_, i) => f32[c / 4 + i * 5 + 4]!);
  };
  expect(column(0, 1)).toEqual([0, 0.5, 1, Number.NaN, 1]);
  expect(column(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY)).toEqual([-3, 0.5, 3, Number.NaN, Number.POSITIVE_INFINITY]);
});
