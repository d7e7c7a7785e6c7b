// Rates of the float kernels behind Conv, ConvTranspose, MatMul and Gemm, beside the bare product kernel of the same run:
//   node test/bench/float-kernels.mjs [pattern] [--wasm build/float.wasm] [--rounds 25]
// GF/s count a multiplication and an addition of the definition as two, whatever the algorithm. Candidates take turns; each figure
// is the best of its rounds. On a shared machine only the ratios compare between runs.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import "./typescript.mjs";

const { convolutionKernels, algorithmFor } = await import("../../src/ops/conv.forward.ts");
const { inputGradient, weightGradient } = await import("../../src/ops/conv.gradient.ts");
const { convolutionOf } = await import("../../src/ops/conv.geometry.ts");
const { matrixKernels } = await import("../../src/ops/matmul.forward.ts");
const { Context } = await import("../../src/engine/context.ts");
const { instantiateKernels } = await import("../../src/engine/kernels.ts");
const { Device } = await import("../../src/engine/values.ts");

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { wasm: { type: "string", default: "build/float.wasm" }, rounds: { type: "string", default: "25" } },
});
const pattern = new RegExp(positionals[0] ?? "");
const device = new Device(await instantiateKernels(await WebAssembly.compile(readFileSync(values.wasm))));
const rows = Object.fromEntries([...convolutionKernels, ...matrixKernels].map((row) => [row.op, row]));
const product = (dims) => dims.reduce((p, d) => p * d, 1);

function place(dims, layout) {
  const size = product(dims);
  const ptr = device.memory.allocate(size * 4);
  for (let i = 0; i < size; i++) device.memory.f32[ptr / 4 + i] = ((i * 7919) % 64) / 32 - 1;
  return { dims, layout, ptr };
}

/** One node as something to time: `run` executes it once. */
function candidate(name, op, inputDims, dims, attributes, flops, note = "") {
  const names = inputDims.map((_, i) => `in${i}`);
  const node = { name, op, inputs: names, outputs: ["out"], attributes };
  const row = rows[op];
  const context = new Context(device, (value) =>
    value === "in0" || attributes.computed ? undefined : { dims: inputDims[names.indexOf(value)] },
  );
  let tensors;
  const run = () => {
    tensors ??= [inputDims.map((d, i) => place(d, i === 0 ? row.layout : "row-major")), [place(dims, row.layout)]];
    row.run(context, node, ...tensors);
    context.endStep();
  };
  return { name, note, flops, run };
}

function conv(n, side, c, o, kernel, { stride = 1, groups = 1 } = {}) {
  const pad = (kernel - 1) / 2;
  const out = Math.floor((side + 2 * pad - kernel) / stride) + 1;
  const attributes = { group: groups, strides: [stride, stride], pads: [pad, pad, pad, pad] };
  const [x, w, y] = [
    [n, c, side, side],
    [o, c / groups, kernel, kernel],
    [n, o, out, out],
  ];
  const algorithm = algorithmFor(convolutionOf({ attributes, outputs: [] }, x, w, y));
  const kind = groups > 1 ? `, ${groups} groups` : "";
  const name = `conv ${n} × ${side}²  ${c}→${o}  ${kernel}×${kernel}/${stride}${kind}`;
  return candidate(name, "Conv", [x, w, [o]], y, attributes, (2 * product(y) * kernel * kernel * c) / groups, algorithm);
}

/** dX and dW of a convolution, its weights new every time. */
function gradients(n, side, c, o, kernel, { stride = 1, groups = 1 } = {}) {
  const { name, note, flops } = conv(n, side, c, o, kernel, { stride, groups });
  const pad = (kernel - 1) / 2;
  const out = Math.floor((side + 2 * pad - kernel) / stride) + 1;
  const attributes = { group: groups, strides: [stride, stride], pads: [pad, pad, pad, pad] };
  const node = { name, op: "Conv", inputs: ["x", "w"], outputs: ["y"], attributes };
  const context = new Context(device, () => undefined);
  const [x, y] = [
    [n, c, side, side],
    [n, o, out, out],
  ];
  const w = [o, c / groups, kernel, kernel];
  const timed = (prefix, gradient, ...dims) => {
    let tensors;
    const run = () => {
      tensors ??= dims.map((d) => place(d, d === w ? "row-major" : "channels-last"));
      gradient(context, node, ...tensors);
      context.endStep();
    };
    return { name: `${prefix} ${name}`, note, flops, run };
  };
  return [timed("dX", inputGradient, y, w, x), timed("dW", weightGradient, x, y, w)];
}

function transposedConv(n, side, c, o, kernel, stride) {
  const out = (side - 1) * stride + kernel;
  const dims = [[n, c, side, side], [c, o, kernel, kernel], [o]];
  const flops = 2 * n * side * side * c * o * kernel * kernel;
  return candidate(
    `transposed ${n} × ${side}²  ${c}→${o}  ${kernel}×${kernel}/${stride}`,
    "ConvTranspose",
    dims,
    [n, o, out, out],
    { strides: [stride, stride] },
    flops,
  );
}

function matMul(batch, m, k, n, computed) {
  const name = `matmul ${batch.join("·") || 1} × [${m}×${k}]·[${k}×${n}]${computed ? " of activations" : ""}`;
  const right = computed ? [...batch, k, n] : [k, n];
  return candidate(name, "MatMul", [[...batch, m, k], right], [...batch, m, n], { computed }, 2 * product(batch) * m * k * n);
}

function gemm(m, k, n) {
  return candidate(`gemm [${m}×${k}]·[${k}×${n}]ᵀ + bias`, "Gemm", [[m, k], [n, k], [n]], [m, n], { transB: 1 }, 2 * m * k * n);
}

/** The product kernel alone: 192 × 576 by 576 × 96, all in L2. */
function bare() {
  const [a, b, c] = [place([192, 576]), place([96, 576]), place([192, 8])];
  const run = () => {
    for (let j = 0; j < 12; j++) device.kernels.panel(c.ptr, a.ptr, 576 * 4, b.ptr + j * 576 * 32, 192, 576);
  };
  return { name: "bare product kernel 192 × 576 × 96", note: "", flops: 2 * 192 * 576 * 96, run };
}

const candidates = [
  conv(32, 32, 16, 16, 3),
  conv(32, 16, 32, 32, 3),
  conv(32, 8, 64, 64, 3),
  conv(8, 56, 64, 64, 3),
  conv(1, 32, 16, 16, 3),
  conv(1, 8, 64, 64, 3),
  conv(1, 14, 256, 256, 3),
  conv(1, 7, 512, 512, 3),
  conv(32, 4, 64, 64, 3),
  conv(32, 32, 3, 16, 3),
  conv(4, 224, 3, 32, 3, { stride: 2 }),
  conv(4, 112, 3, 64, 7, { stride: 2 }),
  conv(32, 32, 16, 32, 3, { stride: 2 }),
  conv(8, 28, 64, 128, 3, { stride: 2 }),
  conv(8, 28, 64, 64, 5),
  conv(1, 56, 24, 144, 1),
  conv(1, 56, 144, 24, 1),
  conv(8, 14, 96, 576, 1),
  conv(8, 14, 576, 96, 1),
  conv(8, 7, 320, 1280, 1),
  conv(8, 28, 64, 128, 1, { stride: 2 }),
  conv(8, 14, 64, 64, 3, { groups: 4 }),
  conv(1, 112, 32, 32, 3, { groups: 32 }),
  conv(1, 56, 144, 144, 3, { groups: 144 }),
  conv(1, 56, 144, 144, 3, { groups: 144, stride: 2 }),
  conv(1, 14, 576, 576, 3, { groups: 576 }),
  conv(1, 7, 960, 960, 3, { groups: 960 }),
  conv(1, 14, 240, 240, 5, { groups: 240 }),
  conv(1, 28, 32, 64, 3, { groups: 32 }),
  ...gradients(32, 32, 16, 16, 3),
  ...gradients(32, 16, 32, 32, 3),
  ...gradients(32, 8, 64, 64, 3),
  ...gradients(8, 56, 64, 64, 3),
  ...gradients(32, 32, 16, 32, 3, { stride: 2 }),
  ...gradients(32, 8, 64, 64, 1),
  ...gradients(8, 14, 96, 576, 1),
  ...gradients(8, 14, 144, 144, 3, { groups: 144 }),
  transposedConv(4, 14, 64, 32, 2, 2),
  transposedConv(4, 14, 64, 32, 4, 2),
  gemm(1, 1280, 1000),
  gemm(32, 1280, 1000),
  gemm(32, 64, 10),
  matMul([], 197, 192, 576, false),
  matMul([8, 4], 50, 32, 50, true),
  matMul([8, 4], 50, 50, 32, true),
  matMul([2, 12], 197, 64, 197, true),
  matMul([2, 12], 197, 197, 64, true),
].filter(({ name, note }) => pattern.test(`${name} ${note}`));
const measured = [bare(), ...candidates].map((c) => ({ ...c, best: Number.POSITIVE_INFINITY, times: 1 }));

/** Long enough for the clock, short enough to fall between two neighbours' turns. */
const TURN_MS = 2;

/** Processor time, not wall time: it leaves out the waits of a shared machine. */
function turn(c) {
  const start = process.cpuUsage();
  for (let i = 0; i < c.times; i++) c.run();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}
for (const c of measured) {
  for (let i = 0; i < 3; i++) turn(c);
  while (turn(c) < TURN_MS && c.times < 4096) c.times *= 2;
}
for (let round = 0; round < Number(values.rounds); round++) for (const c of measured) c.best = Math.min(c.best, turn(c) / c.times);

const rate = (c) => c.flops / c.best / 1e6;
const reference = rate(measured[0]);
console.log(`${"".padEnd(48)} ${"".padEnd(10)} ${"ms".padStart(9)} ${"GF/s".padStart(7)} ${"ratio".padStart(6)}`);
for (const c of measured) {
  const columns = [
    c.name.padEnd(48),
    c.note.padEnd(10),
    c.best.toFixed(3).padStart(9),
    rate(c).toFixed(1).padStart(7),
    (rate(c) / reference).toFixed(2).padStart(6),
  ];
  console.log(columns.join(" "));
}
