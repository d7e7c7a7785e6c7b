// Nanoseconds per weight of the learned-rounding kernels, against the same arithmetic in plain JavaScript in the same run:
//   node test/bench/rounding.mjs [--rounds 15]
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "15" } } });
const module = new WebAssembly.Module(readFileSync(new URL("../../build/float.wasm", import.meta.url)));
const kernels = new WebAssembly.Instance(module, { env: { abort() {} } }).exports;

const [rows, columns] = [64, 576];
const n = rows * columns;
let top = Math.ceil(kernels.heapBase() / 16) * 16;
const take = (count) => {
  const ptr = top;
  top += count * 4 + 16;
  if (top > kernels.memory.buffer.byteLength) kernels.memory.grow(Math.ceil((top - kernels.memory.buffer.byteLength) / 65536));
  return ptr;
};
const names = ["w", "sigma", "base", "v", "m", "q", "g", "d2", "u", "e"];
const at = Object.fromEntries(names.map((name) => [name, take(n)]));
const row = Object.fromEntries(["scale", "low", "high", "shift", "steps", "sums"].map((name) => [name, take(rows)]));
const column = take(columns + 4);
const columnSums = take(columns + 4);
const f32 = new Float32Array(kernels.memory.buffer);
const fill = (ptr, count, f) => {
  for (let i = 0; i < count; i++) f32[ptr / 4 + i] = f(i);
};
fill(at.base, n, (i) => Math.floor(3 * Math.sin(i)));
fill(at.v, n, (i) => 2 * Math.sin(i * 1.3));
fill(at.g, n, (i) => 0.1 * Math.cos(i * 0.7));
fill(at.e, n, (i) => Math.sin(i * 2.1));
fill(row.scale, rows, () => 0.1);
fill(row.low, rows, () => -8);
fill(row.high, rows, () => 7);

/** The same step in plain JavaScript: float32 arrays, Math.exp and Math.pow. */
const js = Object.fromEntries(names.map((name) => [name, f32.slice(at[name] / 4, at[name] / 4 + n)]));
function plainStep(lambda, b, size, root, floor) {
  const { w, base, v, m, q, g } = js;
  for (let i = 0; i < n; i++) {
    const s = 0.1;
    const sigma = 1 / (1 + Math.exp(-v[i]));
    const raw = 1.2 * sigma - 0.1;
    const h = Math.min(Math.max(raw, 0), 1);
    const t = base[i] + h;
    const slope = raw >= -1e-6 && raw <= 1.000001 ? 1.2 * sigma * (1 - sigma) : 0;
    let d = t >= -8 && t <= 7 ? g[i] * s * slope : 0;
    if (lambda > 0) {
      const x = 2 * h - 1;
      d -= 2 * b * lambda * Math.abs(x) ** (b - 1) * Math.sign(x) * slope;
    }
    m[i] = 0.9 * m[i] + 0.1 * d;
    q[i] = 0.999 * q[i] + 0.001 * d * d;
    v[i] -= (size * m[i]) / (root * Math.sqrt(q[i]) + floor);
    w[i] = s * Math.min(7, Math.max(-8, t));
  }
}

const forward = () => kernels.relaxedWeights(at.w, at.sigma, at.base, at.v, rows, columns, row.scale, row.low, row.high);
const step = (lambda) =>
  kernels.relaxedStep(at.v, at.m, at.q, at.g, at.sigma, at.base, rows, columns, row.scale, row.low, row.high, 1e-3, 1.5, 1e-8, lambda, 8);
const bench = {
  "sigmoid: weights, gradient, regularizer, Adam": [
    () => {
      forward();
      step(0.01);
    },
    () => plainStep(0.01, 8, 1e-3, 1.5, 1e-8),
  ],
  "sigmoid, warming up (no regularizer)": [
    () => {
      forward();
      step(0);
    },
    () => plainStep(0, 8, 1e-3, 1.5, 1e-8),
  ],
  "  weights alone": [forward],
  "division: weights": [
    () => kernels.divisionWeights(at.w, at.u, at.e, at.d2, rows, columns, row.shift, column, row.scale, row.low, row.high),
  ],
  "division: gradient": [
    () => kernels.divisionGradient(at.e, at.g, at.u, rows, columns, row.scale, row.low, row.high, row.steps, row.sums, columnSums),
  ],
  "Adam alone": [() => kernels.adamStep(at.v, at.g, at.m, at.q, n, 1e-3, 1.5, 1e-8)],
  "random mix": [() => kernels.mixRandomly(at.w, at.g, at.e, n, 0x7fffffff, 1, 2, 0)],
};

const time = (f) => {
  const start = process.cpuUsage();
  for (let i = 0; i < 8; i++) f();
  const { user, system } = process.cpuUsage(start);
  return ((user + system) * 1000) / (8 * n);
};
console.log(`${process.version}, ${rows}×${columns} weights; best of ${values.rounds} rounds`);
for (const [name, candidates] of Object.entries(bench)) {
  const best = candidates.map(() => Infinity);
  for (let round = 0; round < Number(values.rounds) + 3; round++)
    candidates.forEach((f, i) => {
      const ns = time(f);
      if (round >= 3) best[i] = Math.min(best[i], ns);
    });
  const [wasm, plain] = best;
  console.log(
    `${name.padEnd(48)} ${wasm.toFixed(2)} ns${plain ? `  plain JavaScript ${plain.toFixed(1)} ns, ${(plain / wasm).toFixed(1)}×` : ""}`,
  );
}
