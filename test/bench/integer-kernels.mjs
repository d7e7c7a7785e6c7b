// Rates of whole integer layers (border, windows, products, epilogue), beside the bare int8 product kernel of the same run:
//   node test/bench/integer-kernels.mjs [pattern] [--wasm build/integer.wasm] [--rounds 41] [--copies 1]
// --copies N: each layer N times with weights of its own, in turns, as the layers of a network, so that weights come from memory.
// GOP/s count a multiplication and an addition of the direct sum as two, whatever the algorithm. Candidates take turns; each figure is
// the best of its rounds. On a shared machine only the ratios compare between runs.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { bareKernel } from "./bare.mjs";
import { instantiateBare } from "./rounds.mjs";
import "./typescript.mjs";

const { packCodes } = await import("../../src/formats/packing.ts");
const { checkPlan } = await import("../../src/plan/check.ts");
const { arithmeticVersion, planVersion } = await import("../../src/plan/types.ts");
const { prepareStep } = await import("../../src/runtime/step.ts");

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    parts: { type: "boolean" },
    wasm: { type: "string", default: "build/integer.wasm" },
    rounds: { type: "string", default: "41" },
    copies: { type: "string", default: "1" },
  },
});
const pattern = new RegExp(positionals[0] ?? "");
const module = await WebAssembly.compile(readFileSync(options.wasm));

async function bareCandidate() {
  const { operations, run } = await instantiateBare(await bareKernel("int8"));
  return { name: "bare int8 kernel, 192×96×576", operations, run, form: "" };
}

async function layer(name, operations, make) {
  const copies = [];
  for (let i = 0; i < Number(options.copies); i++) copies.push(await instanceOf(make));
  let turn = 0;
  const run = () => copies[turn++ % copies.length].run();
  const [{ calls, names }] = copies;
  return { name, operations, run, calls, names, form: `${[...new Set(names)].join(" ")} (${calls.length} calls)` };
}

/** One step in an instance of its own. */
async function instanceOf(make) {
  const tensors = new Map();
  const tensor = (data) => {
    tensors.set(`t${tensors.size}`, data);
    return `t${tensors.size - 1}`;
  };
  const list = [];
  let arenaBytes = 0;
  const value = (dims, type = "int8") => {
    const [c, h = 1, w = 1] = dims;
    const pitch = c <= 4 ? c : Math.ceil(c / 8) * 8;
    list.push({ name: "", dims: [c, h, w], order: [1, 2, 0], pitch, type, offset: arenaBytes, scale: [1], zeroPoint: 1 });
    arenaBytes = Math.ceil((arenaBytes + h * w * pitch * (type === "int8" ? 1 : 4)) / 16) * 16;
    return list.length - 1;
  };
  const { few, ...step } = make({ value, tensor });
  const kernels = (await WebAssembly.instantiate(module, {})).exports;
  const plan = few ? behindTable(step, few, { values: list, tensors, arenaBytes }) : { values: list, tensors, steps: [step], arenaBytes };
  const prepared = prepareStep(step, plan, kernels);
  const at = { constants: 1024, scratch: 1024 + prepared.constantBytes, arena: 1024 + prepared.constantBytes + prepared.scratchBytes };
  kernels.memory.grow(Math.ceil((at.arena + arenaBytes + 64) / 65536));
  const noise = new Uint8Array(kernels.memory.buffer, at.arena, arenaBytes);
  for (let i = 0; i < noise.length; i++) noise[i] = i * 7919 + (i >> 3);
  const calls = prepared.bind(kernels.memory, at);
  const run = () => {
    for (const call of calls) call.run(...call.args);
  };
  return { run, calls, names: calls.map(({ run }) => Object.keys(kernels).find((key) => kernels[key] === run)) };
}

/** The plan in which a table writes the step's input, of so few codes; it is checked, so that they are known. */
function behindTable(step, few, { values, tensors, arenaBytes }) {
  const raw = { ...values[step.input], name: "raw", offset: arenaBytes };
  const table = Int8Array.from({ length: 256 }, (_, i) => i % few);
  const lookup = { kernel: "lookup", nodes: [], input: values.length, output: step.input, table: "table", perChannel: false };
  const plan = {
    version: planVersion,
    arithmetic: arithmeticVersion,
    values: [...values, raw],
    inputs: [values.length],
    outputs: [step.output],
    steps: [lookup, step],
    arenaBytes: arenaBytes * 2,
    tensors: new Map([...tensors, ["table", table]]),
  };
  checkPlan(plan);
  return plan;
}

const noise = (n) => Int8Array.from({ length: n }, (_, i) => ((i * 7919 + (i >> 5) * 31) % 255) - 127);

/** Weights of few bits, by their levels. */
const tables = {
  binary: [-1, 1],
  ternary: [-1, 0, 1, 2],
  int4: Array.from({ length: 16 }, (_, i) => i - 8),
  "4-bit float": [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12],
};

function coded(tensor, levels, n) {
  const bits = Math.log2(levels.length);
  const indices = Uint8Array.from({ length: n }, (_, i) => ((i * 7919 + (i >> 5) * 31) >> 3) % levels.length);
  return { weights: tensor(packCodes(indices, bits)), codes: { bits, levels: tensor(Int8Array.from(levels)) } };
}

/** side² outputs of inputs → outputs channels; the usual single rounding, or a residual. */
function conv(name, side, inputs, outputs, kernel, { stride = 1, groups = 1, residual = false, direct = false, table = "", few = 0 } = {}) {
  const pad = (kernel - 1) / 2;
  const operations = 2 * side * side * kernel * kernel * (inputs / groups) * outputs;
  return layer(name, operations, ({ value, tensor }) => {
    const input = value([inputs, side * stride, side * stride]);
    const output = value([outputs, side, side]);
    const row = (v) => tensor(new Int32Array(outputs).fill(v));
    const range = { zero: -5, lo: -128, hi: 127 };
    const epilogue = residual
      ? {
          kind: "residual",
          value: value([outputs, side, side]),
          residualZero: 2,
          multiplier: row(1 << 18),
          residualMultiplier: row(1 << 28),
          bits: 30,
          ...range,
        }
      : { kind: "requantize", multiplier: row(0x5a5a5a5a), shift: row(-9), rounding: "single", ...range };
    const accumulator = direct ? [-2147483648, 2147483647] : [-33554432, 33554431];
    const count = (outputs * kernel * kernel * inputs) / groups;
    const weights = table ? coded(tensor, tables[table], count) : { weights: tensor(noise(count)) };
    const shape = { window: [kernel, kernel], stride: [stride, stride], dilation: [1, 1], pads: [pad, pad, pad, pad] };
    return { kernel: "conv", nodes: [], input, output, ...shape, groups, ...weights, bias: row(1000), epilogue, accumulator, few };
  });
}

const candidates = [
  await bareCandidate(),
  await conv("direct 3×3 64→64, 28²", 28, 64, 64, 3, { direct: true }),
  await conv("direct 3×3 256→256, 14²", 14, 256, 256, 3, { direct: true }),
  await conv("direct 3×3 s2 64→128, 28²", 28, 64, 128, 3, { stride: 2, direct: true }),
  await conv("direct 7×7 s2 3→64, 112²", 112, 3, 64, 7, { stride: 2, direct: true }),
  await conv("direct 3×3 s2 3→32, 112²", 112, 3, 32, 3, { stride: 2 }),
  await conv("pointwise 96→576, 14²", 14, 96, 576, 1),
  await conv("pointwise 24→144, 28²", 28, 24, 144, 1),
  await conv("pointwise 96→24, 28²", 28, 96, 24, 1),
  await conv("pointwise 16→96, 112²", 112, 16, 96, 1),
  await conv("pointwise 320→1280, 7²", 7, 320, 1280, 1),
  await conv("pointwise 96→24, 28², residual", 28, 96, 24, 1, { residual: true }),
  await conv("dense 1280→1000", 1, 1280, 1000, 1),
  await conv("depthwise 3×3 144, 28²", 28, 144, 144, 3, { groups: 144 }),
  await conv("depthwise 3×3 s2 96, 56²", 56, 96, 96, 3, { groups: 96, stride: 2 }),
  await conv("depthwise 5×5 144, 14²", 14, 144, 144, 5, { groups: 144 }),
  await conv("stem 7×7 s2 3→64, 112²", 112, 3, 64, 7, { stride: 2 }),
  await conv("strided 3×3 s2 64→128, 28²", 28, 64, 128, 3, { stride: 2 }),
  await conv("strided 3×3 s2 128→256, 14²", 14, 128, 256, 3, { stride: 2 }),
  await conv("direct 3×3 s2 128→256, 14²", 14, 128, 256, 3, { stride: 2, direct: true }),
  await conv("strided 3×3 s2 16→32, 16²", 16, 16, 32, 3, { stride: 2 }),
  await conv("direct 3×3 s2 16→32, 16²", 16, 16, 32, 3, { stride: 2, direct: true }),
  await conv("strided 3×3 s2 32→64, 8²", 8, 32, 64, 3, { stride: 2 }),
  await conv("direct 3×3 s2 32→64, 8²", 8, 32, 64, 3, { stride: 2, direct: true }),
  await conv("32 groups 3×3 128→128, 28²", 28, 128, 128, 3, { groups: 32 }),
  await conv("8 groups 3×3 128→128, 28²", 28, 128, 128, 3, { groups: 8 }),
  await conv("32 groups 3×3 s2 256→256, 14²", 14, 256, 256, 3, { groups: 32, stride: 2 }),
  await conv("multiplier 2, 3×3 64→128, 28²", 28, 64, 128, 3, { groups: 64 }),
  await conv("winograd 64→64, 56²", 56, 64, 64, 3),
  await conv("winograd 128→128, 28²", 28, 128, 128, 3),
  await conv("winograd 256→256, 14²", 14, 256, 256, 3),
  await conv("winograd 512→512, 7²", 7, 512, 512, 3),
  await conv("winograd 16→16, 32²", 32, 16, 16, 3),
  await conv("winograd 16→16, 32², residual", 32, 16, 16, 3, { residual: true }),
  await conv("winograd 32→32, 16²", 16, 32, 32, 3),
  await conv("winograd 64→64, 8²", 8, 64, 64, 3),
  await conv("winograd 512→512, 4²", 4, 512, 512, 3),
  await conv("winograd 256→256, 3²", 3, 256, 256, 3),
  await conv("direct 3×3 64→64, 28², int4", 28, 64, 64, 3, { direct: true, table: "int4" }),
  await conv("direct 3×3 256→256, 14², int4", 14, 256, 256, 3, { direct: true, table: "int4" }),
  await conv("pointwise 96→576, 14², int4", 14, 96, 576, 1, { table: "int4" }),
  await conv("pointwise 320→1280, 7², int4", 7, 320, 1280, 1, { table: "int4" }),
  await conv("pointwise 96→576, 14², int4, 4-bit codes", 14, 96, 576, 1, { table: "int4", few: 16 }),
  await conv("pointwise 576→96, 14²", 14, 576, 96, 1),
  await conv("pointwise 576→96, 14², int4, 4-bit codes", 14, 576, 96, 1, { table: "int4", few: 16 }),
  await conv("pointwise 320→1280, 7², int4, 4-bit codes", 7, 320, 1280, 1, { table: "int4", few: 16 }),
  await conv("direct 3×3 256→256, 14², int4, 4-bit codes", 14, 256, 256, 3, { table: "int4", few: 16, direct: true }),
  await conv("pointwise 576→96, 14², 1 bit both", 14, 576, 96, 1, { table: "binary", few: 2 }),
  await conv("3×3 256→256, 14², 1 bit both", 14, 256, 256, 3, { table: "binary", few: 2 }),
  await conv("3×3 128→128, 28², 1 bit both", 28, 128, 128, 3, { table: "binary", few: 2 }),
  await conv("winograd 128→128, 28², int4", 28, 128, 128, 3, { table: "int4" }),
  await conv("winograd 256→256, 14², int4", 14, 256, 256, 3, { table: "int4" }),
  await conv("winograd 512→512, 7², int4", 7, 512, 512, 3, { table: "int4" }),
  await conv("dense 4096→4096", 1, 4096, 4096, 1),
  ...(await Promise.all(Object.keys(tables).map((table) => conv(`dense 4096→4096, ${table}`, 1, 4096, 4096, 1, { table })))),
].filter(({ name }, i) => i === 0 || pattern.test(name));

/** Microseconds per kernel of one layer (--parts): each call repeated on its own, best of many. */
function parts({ calls, names }) {
  const sums = new Map();
  calls.forEach(({ run, args }, i) => {
    let least = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 60; round++) {
      const start = performance.now();
      for (let k = 0; k < 20; k++) run(...args);
      least = Math.min(least, (performance.now() - start) / 20);
    }
    sums.set(names[i], (sums.get(names[i]) ?? 0) + least * 1000);
  });
  return [...sums].map(([key, us]) => `    ${key} ${us.toFixed(1)} µs`).join("\n");
}

const best = candidates.map(() => Number.POSITIVE_INFINITY);
for (let round = 0; round < Number(options.rounds); round++) {
  candidates.forEach(({ run }, i) => {
    // at least a millisecond of calls, so that the clock does not count
    let calls = 0;
    const start = performance.now();
    let now = start;
    do {
      run();
      calls++;
      now = performance.now();
    } while (now - start < 1);
    best[i] = Math.min(best[i], (now - start) / calls);
  });
}
const reference = candidates[0].operations / best[0] / 1e6;
console.log(`${"layer".padEnd(34)} ${"ms".padStart(8)} ${"GOP/s".padStart(7)} ${"× bare".padStart(7)}  kernels`);
candidates.forEach(({ name, operations, form, ...rest }, i) => {
  const rate = operations / best[i] / 1e6;
  console.log(
    `${name.padEnd(34)} ${best[i].toFixed(4).padStart(8)} ${rate.toFixed(1).padStart(7)} ${(rate / reference).toFixed(2).padStart(7)}  ${form}`,
  );
  if (options.parts && rest.calls) console.log(parts(rest));
});
