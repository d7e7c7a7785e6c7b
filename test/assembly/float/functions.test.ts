import { beforeAll, expect, test } from "vitest";
import { type FloatKernels, instantiateKernels, loadFloat } from "../../../src/engine/kernels.ts";
import { erf } from "../../../src/ops/math.ts";

let kernels: FloatKernels;
beforeAll(async () => {
  kernels = await instantiateKernels(await loadFloat());
});

type Unary = (dst: number, src: number, n: number, alpha: number, beta: number) => void;

function apply(f: Unary, x: Float32Array, alpha = 0, beta = 0): Float32Array {
  const src = Math.ceil(kernels.heapBase() / 16) * 16;
  const dst = src + x.byteLength + 16;
  const missing = dst + x.byteLength + 32 - kernels.memory.buffer.byteLength;
  if (missing > 0) kernels.memory.grow(Math.ceil(missing / 65_536));
  new Float32Array(kernels.memory.buffer, src, x.length).set(x);
  f(dst, src, x.length, alpha, beta);
  return new Float32Array(kernels.memory.buffer, dst, x.length).slice();
}

/** Distance in units of the last place of the exact value, as a float32. */
function ulps(found: number, exact: number): number {
  if (Object.is(found, exact) || found === exact) return 0;
  if (Number.isNaN(found) && Number.isNaN(exact)) return 0;
  if (Math.fround(exact) === found) return 0;
  const unit = 2 ** Math.max(Math.floor(Math.log2(Math.abs(exact))) - 23, -149);
  return Math.abs(found - exact) / unit;
}

/** Every binade between 2^low and 2^high with `each` points, both signs if asked, and a dense linear grid. */
function grid(low: number, high: number, span: number, signed = true): Float32Array {
  const values: number[] = [];
  for (let e = low; e < high; e++) for (let i = 0; i < 200; i++) values.push(2 ** e * (1 + i / 200));
  for (let i = 0; i <= 40_000; i++) values.push((i / 40_000) * span);
  return Float32Array.from(signed ? [...values, ...values.map((v) => -v)] : values);
}

const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const smallest = 2 ** -126;

interface Row {
  name: keyof FloatKernels;
  exact: (x: number) => number;
  x: Float32Array;
  bound: number;
  /** Absolute slack where the exact value crosses zero by cancellation. */
  slack?: number;
  edges: [number, number][];
}

const rows: Row[] = [
  {
    name: "exp",
    exact: Math.exp,
    x: grid(-30, 6, 88.7),
    bound: 1.5,
    edges: [
      [0, 1],
      [-0, 1],
      [Infinity, Infinity],
      [-Infinity, 0],
      [89, Infinity],
      [-88, 0],
      [NaN, NaN],
      [1e38, Infinity],
      [-1e38, 0],
    ],
  },
  {
    name: "log",
    exact: Math.log,
    x: grid(-148, 127, 3, false),
    bound: 1.5,
    edges: [
      [0, -Infinity],
      [-0, -Infinity],
      [-1, NaN],
      [1, 0],
      [Infinity, Infinity],
      [-Infinity, NaN],
      [NaN, NaN],
    ],
  },
  {
    name: "tanh",
    exact: Math.tanh,
    x: grid(-40, 6, 10),
    bound: 2,
    edges: [
      [0, 0],
      [Infinity, 1],
      [-Infinity, -1],
      [NaN, NaN],
      [100, 1],
    ],
  },
  {
    name: "sigmoid",
    exact: (x) => 1 / (1 + Math.exp(-x)),
    x: grid(-40, 6, 20),
    bound: 3,
    edges: [
      [0, 0.5],
      [Infinity, 1],
      [-Infinity, 0],
      [NaN, NaN],
    ],
  },
  {
    name: "erf",
    exact: erf,
    x: grid(-40, 3, 5),
    bound: 2,
    edges: [
      [0, 0],
      [Infinity, 1],
      [-Infinity, -1],
      [10, 1],
      [-1e30, -1],
      [NaN, NaN],
    ],
  },
  {
    name: "softplus",
    exact: softplus,
    x: grid(-40, 6, 30),
    bound: 3,
    edges: [
      [Infinity, Infinity],
      [-Infinity, 0],
      [NaN, NaN],
    ],
  },
  {
    name: "mish",
    exact: (x) => x * Math.tanh(softplus(x)),
    x: grid(-40, 6, 30),
    bound: 4,
    edges: [
      [Infinity, Infinity],
      [0, 0],
      [NaN, NaN],
    ],
  },
  {
    name: "swish",
    exact: (x) => x / (1 + Math.exp(-x)),
    x: grid(-40, 6, 20),
    bound: 4,
    edges: [
      [Infinity, Infinity],
      [NaN, NaN],
    ],
  },
  {
    name: "gelu",
    exact: (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
    x: grid(-40, 6, 10),
    bound: 3,
    slack: 4e-7,
    edges: [
      [Infinity, Infinity],
      [0, 0],
      [NaN, NaN],
    ],
  },
  {
    name: "geluTanh",
    exact: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
    x: grid(-40, 6, 10),
    bound: 4,
    slack: 4e-7,
    edges: [
      [Infinity, Infinity],
      [0, 0],
      [NaN, NaN],
    ],
  },
  {
    name: "elu",
    exact: (x) => (x < 0 ? Math.expm1(x) : x),
    x: grid(-40, 6, 20),
    bound: 3,
    edges: [
      [-Infinity, -1],
      [Infinity, Infinity],
      [NaN, NaN],
    ],
  },
];

test.for(rows)("$name is within $bound ulp, and right at its edges", ({ name, exact, x, bound, slack = 0, edges }) => {
  const y = apply(kernels[name] as Unary, x, 1, 0);
  let worst = 0;
  let at = 0;
  x.forEach((v, i) => {
    const e = exact(v);
    if (Math.abs(e) < smallest || Math.abs(y[i]! - e) <= slack) return; // subnormal results are zero
    const u = ulps(y[i]!, e);
    if (!(u <= worst)) [worst, at] = [u, v];
  });
  expect({ worst: worst <= bound, value: worst, at }).toEqual({ worst: true, value: worst, at });
  const found = apply(
    kernels[name] as Unary,
    Float32Array.from(edges, ([v]) => v),
    1,
    0,
  );
  expect([...found].map((v) => v + 0)).toEqual(edges.map(([, e]) => e + 0));
});

test("any length, in place too, writes n elements and no more", () => {
  for (let n = 0; n < 14; n++) {
    const x = Float32Array.from({ length: n }, (_, i) => i - 5);
    const src = Math.ceil(kernels.heapBase() / 16) * 16;
    const view = new Float32Array(kernels.memory.buffer, src, n + 4).fill(77);
    view.set(x);
    kernels.relu(src, src, n, 0, 0);
    expect([...view]).toEqual([...x.map((v) => Math.max(v, 0)), 77, 77, 77, 77]);
  }
});
