// Rates of whole integer layers (border, windows, products, epilogue), beside the bare int8 product kernel of the same run:
//   node test/bench/integer-kernels.mjs [pattern] [--wasm build/integer.wasm] [--rounds 41]
// GOP/s count a multiplication and an addition of the direct sum as two, whatever the algorithm. Candidates take turns; each figure is
// the best of its rounds. On a shared machine only the ratios compare between runs.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import wabt from "wabt";
import "./typescript.mjs";

const { prepareStep } = await import("../../src/runtime/step.ts");

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    parts: { type: "boolean" },
    wasm: { type: "string", default: "build/integer.wasm" },
    rounds: { type: "string", default: "41" },
  },
});
const pattern = new RegExp(positionals[0] ?? "");
const module = await WebAssembly.compile(readFileSync(options.wasm));

/** The reference: k pairs of both operands packed as int16, a 4×8 tile, 24 panels of 4 rows × 12 of 8 columns, K = 576. Nothing else. */
async function bareKernel() {
  const accumulators = Array.from({ length: 8 }, (_, i) => `(local $c${i} v128)`).join(" ");
  const row = (m) => `(local.set $x (v128.load32_splat offset=${4 * m} (local.get $a)))
    ${[0, 1].map((n) => `(local.set $c${2 * m + n} (i32x4.add (local.get $c${2 * m + n}) (i32x4.dot_i16x8_s (local.get $x) (local.get $w${n}))))`).join("\n")}`;
  const text = `(module (memory (export "memory") 16)
    (func $tile (param $a i32) (param $w i32) (param $end i32) (param $to i32) (local $x v128) (local $w0 v128) (local $w1 v128) ${accumulators}
      (loop $k (local.set $w0 (v128.load (local.get $w))) (local.set $w1 (v128.load offset=16 (local.get $w)))
        ${[0, 1, 2, 3].map(row).join("\n")}
        (local.set $a (i32.add (local.get $a) (i32.const 16))) (local.set $w (i32.add (local.get $w) (i32.const 32)))
        (br_if $k (i32.lt_u (local.get $w) (local.get $end))))
      ${[0, 1, 2, 3, 4, 5, 6, 7].map((i) => `(v128.store offset=${16 * i} (local.get $to) (local.get $c${i}))`).join("\n")})
    (func (export "run") (local $n i32) (local $m i32)
      (loop $panels (local.set $m (i32.const 0))
        (loop $tiles
          (call $tile (i32.add (i32.const 0) (i32.mul (local.get $m) (i32.const 4608)))
            (i32.add (i32.const 262144) (i32.mul (local.get $n) (i32.const 9216)))
            (i32.add (i32.const 271360) (i32.mul (local.get $n) (i32.const 9216)))
            (i32.add (i32.const 524288) (i32.mul (i32.add (i32.mul (local.get $n) (i32.const 48)) (local.get $m)) (i32.const 128))))
          (br_if $tiles (i32.lt_u (local.tee $m (i32.add (local.get $m) (i32.const 1))) (i32.const 48))))
        (br_if $panels (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 12))))))`;
  const { buffer } = (await wabt()).parseWat("bare.wat", text, { simd: true }).toBinary({});
  const { instance } = await WebAssembly.instantiate(buffer, {});
  return { name: "bare int8 kernel, 192×96×576", operations: 2 * 192 * 96 * 576, run: instance.exports.run, form: "" };
}

/** One step in an instance of its own. */
async function layer(name, operations, make) {
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
    list.push({ name: "", dims: [c, h, w], order: [1, 2, 0], pitch, type, offset: arenaBytes, scale: [1], zeroPoint: 3 });
    arenaBytes = Math.ceil((arenaBytes + h * w * pitch * (type === "int8" ? 1 : 4)) / 16) * 16;
    return list.length - 1;
  };
  const step = make({ value, tensor });
  const kernels = (await WebAssembly.instantiate(module, {})).exports;
  const prepared = prepareStep(step, { values: list, tensors, steps: [step], arenaBytes }, kernels);
  const at = { constants: 1024, scratch: 1024 + prepared.constantBytes, arena: 1024 + prepared.constantBytes + prepared.scratchBytes };
  kernels.memory.grow(Math.ceil((at.arena + arenaBytes + 64) / 65536));
  const noise = new Uint8Array(kernels.memory.buffer, at.arena, arenaBytes);
  for (let i = 0; i < noise.length; i++) noise[i] = i * 7919 + (i >> 3);
  const calls = prepared.bind(kernels.memory, at);
  const names = new Set(calls.map(({ run }) => Object.keys(kernels).find((key) => kernels[key] === run)));
  const run = () => {
    for (const call of calls) call.run(...call.args);
  };
  return {
    name,
    operations,
    run,
    calls,
    names: calls.map(({ run }) => Object.keys(kernels).find((key) => kernels[key] === run)),
    form: `${[...names].join(" ")} (${calls.length} calls)`,
  };
}

const noise = (n) => Int8Array.from({ length: n }, (_, i) => ((i * 7919 + (i >> 5) * 31) % 255) - 127);

/** side² outputs of inputs → outputs channels; the usual single rounding, or a residual. */
function conv(name, side, inputs, outputs, kernel, { stride = 1, groups = 1, residual = false, direct = false } = {}) {
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
    const weights = tensor(noise((outputs * kernel * kernel * inputs) / groups));
    const shape = { window: [kernel, kernel], stride: [stride, stride], dilation: [1, 1], pads: [pad, pad, pad, pad] };
    return { kernel: "conv", nodes: [], input, output, ...shape, groups, weights, bias: row(1000), epilogue, accumulator };
  });
}

const candidates = [
  await bareKernel(),
  await conv("direct 3×3 64→64, 28²", 28, 64, 64, 3, { direct: true }),
  await conv("direct 3×3 256→256, 14²", 14, 256, 256, 3, { direct: true }),
  await conv("direct 3×3 s2 64→128, 28²", 28, 64, 128, 3, { stride: 2 }),
  await conv("direct 7×7 s2 3→64, 112²", 112, 3, 64, 7, { stride: 2 }),
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
