// integer.wasm and the plain references against TensorFlow Lite's reference kernels, in both of its rounding modes.
import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { averagePoolAway } from "../../../src/ops/integer/pool.ts";
import { quantizeMultiplier, requantize, toCode } from "../../../src/ops/integer/requantize.ts";
import type { ConvStep, CopyStep, Epilogue, LookupStep, PoolStep } from "../../../src/plan/types.ts";
import { Bench, type Codes, referenceStep, requantizeByKernel, runStep } from "../../runtime/harness.ts";

interface Tensor {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}
// biome-ignore lint/suspicious/noExplicitAny: every operator has fields of its own
type Case = Record<string, any> & { readonly id: string; readonly input: Tensor; readonly output: Tensor };
type Mode = "double" | "single";
const modes: readonly Mode[] = ["double", "single"];

/** The operator's cases in one rounding mode; operators without a file for single rounding are the same in both. */
function casesOf(operator: string, mode: Mode): Case[] {
  const file = (folder: Mode) => new URL(`../../golden/tflite/${folder}/${operator}.json`, import.meta.url);
  const url = mode === "single" && existsSync(file("single")) ? file("single") : file("double");
  return (JSON.parse(readFileSync(url, "utf8")) as { cases: Case[] }).cases;
}

const forEachMode = (operator: string, check: (c: Case, mode: Mode) => void): void => {
  test.for(modes)(`${operator}, %s rounding`, (mode) => {
    const cases = casesOf(operator, mode);
    expect(cases.length).toBeGreaterThan(0);
    for (const c of cases) check(c, mode);
  });
};

const product = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);

/** One per channel, however many the vector gives. */
const spread = (values: readonly number[], n: number): Int32Array => Int32Array.from({ length: n }, (_, i) => values[i % values.length]!);

interface Linear {
  readonly sizes: { readonly input: readonly number[]; readonly output: readonly number[] };
  readonly weights: Int8Array;
  readonly window: readonly [number, number];
  readonly groups: number;
  readonly input: readonly number[];
}

/** A convolution of every sample of the case, on wasm and by the reference, against the vector. */
function checkLinear(c: Case, mode: Mode, layer: Linear): void {
  const outputs = layer.sizes.output.at(-1)!;
  const taps = layer.weights.length / outputs;
  const zeroPoint = -(c.input_offset as number);
  const bias = Int32Array.from({ length: outputs }, (_, o) => {
    const weights = layer.weights.subarray(o * taps, (o + 1) * taps);
    return ((c.bias as Tensor | null)?.data[o] ?? 0) - zeroPoint * weights.reduce((a, b) => a + b, 0);
  });
  const logical = ([h, w, ch]: readonly number[]): readonly number[] => [ch!, h!, w!];
  const bench = new Bench();
  const input = bench.value(logical(layer.sizes.input), { zeroPoint });
  const output = bench.value(logical(layer.sizes.output));
  const epilogue = {
    kind: "requantize",
    multiplier: bench.tensor(spread(c.output_multiplier, outputs)),
    shift: bench.tensor(spread(c.output_shift, outputs)),
    rounding: mode,
    zero: c.output_offset,
    lo: c.activation_min,
    hi: c.activation_max,
  } as unknown as Epilogue;
  const step: ConvStep = {
    kernel: "conv",
    nodes: [c.id],
    input,
    output,
    window: layer.window,
    stride: [c.stride_h ?? 1, c.stride_w ?? 1],
    dilation: [c.dilation_h ?? 1, c.dilation_w ?? 1],
    pads: [c.pad_top ?? 0, c.pad_left ?? 0, c.pad_bottom ?? 0, c.pad_right ?? 0],
    groups: layer.groups,
    weights: bench.tensor(layer.weights),
    bias: bench.tensor(bias),
    epilogue,
    accumulator: [-2147483648, 2147483647],
  };
  const [size, outSize] = [product(layer.sizes.input), product(layer.sizes.output)];
  for (let n = 0; n * size < layer.input.length; n++) {
    const given = new Map<number, Codes>([[input, Int8Array.from(layer.input.slice(n * size, (n + 1) * size))]]);
    const expected = Int8Array.from(c.output.data.slice(n * outSize, (n + 1) * outSize));
    const plan = bench.plan(step);
    expect(runStep(plan, step, given), `${c.id} by wasm`).toEqual(expected);
    expect(referenceStep(plan, step, given), `${c.id} by reference`).toEqual(expected);
  }
}

// Weights of 4 bits are codes of the same kernel.
for (const operator of ["conv2d_i8", "conv2d_i8_w4"]) {
  forEachMode(operator, (c, mode) => {
    const [, kh, kw] = c.filter.shape as [number, number, number];
    const sizes = { input: c.input.shape.slice(1), output: c.output.shape.slice(1) };
    checkLinear(c, mode, { sizes, weights: Int8Array.from(c.filter.data), window: [kh, kw], groups: c.groups, input: c.input.data });
  });
}

forEachMode("depthwise_conv2d_i8", (c, mode) => {
  const [, kh, kw, channels] = c.filter.shape as [number, number, number, number];
  const weights = new Int8Array(c.filter.data.length);
  (c.filter.data as number[]).forEach((w, i) => {
    weights[(i % channels) * kh * kw + Math.floor(i / channels)] = w; // tap-major → channel-major
  });
  const sizes = { input: c.input.shape.slice(1), output: c.output.shape.slice(1) };
  checkLinear(c, mode, { sizes, weights, window: [kh, kw], groups: c.input.shape[3]!, input: c.input.data });
});

// The runtime has symmetric weights. A weight zero point becomes a second copy of the input with constant weights:
// Σ x (w + offset) = Σ x w + Σ x offset.
const fullyConnected = (c: Case, mode: Mode): void => {
  const [outputs, k] = c.filter.shape as [number, number];
  const rows = product(c.input.shape) / k;
  const weights = new Int8Array(outputs * k * 2).fill(c.filter_offset);
  const input = new Array<number>(rows * k * 2);
  for (let o = 0; o < outputs; o++) for (let i = 0; i < k; i++) weights[o * 2 * k + i] = c.filter.data[o * k + i];
  for (let r = 0; r < rows; r++) for (let i = 0; i < 2 * k; i++) input[r * 2 * k + i] = c.input.data[r * k + (i % k)]!;
  const sizes = { input: [1, rows, 2 * k], output: [1, rows, outputs] };
  checkLinear(c, mode, { sizes, weights, window: [1, 1], groups: 1, input });
};
forEachMode("fully_connected_i8", fullyConnected);
forEachMode("fully_connected_i8_per_channel", fullyConnected);
forEachMode("fully_connected_i8_w4", fullyConnected);

/** A change of scale and zero point is a 1×1 depthwise layer of weight 1. */
function rescaled(data: readonly number[], inputZero: number, q: number, shift: number, zero: number, mode: Mode): Int8Array {
  const bench = new Bench();
  const input = bench.value([data.length], { zeroPoint: inputZero });
  const output = bench.value([data.length]);
  const row = (v: number): string => bench.tensor(new Int32Array(data.length).fill(v));
  const epilogue = {
    kind: "requantize",
    multiplier: row(q),
    shift: row(shift),
    rounding: mode,
    zero,
    lo: -128,
    hi: 127,
  } as unknown as Epilogue;
  const step: ConvStep = {
    kernel: "conv",
    nodes: [],
    input,
    output,
    window: [1, 1],
    stride: [1, 1],
    dilation: [1, 1],
    pads: [0, 0, 0, 0],
    groups: data.length,
    weights: bench.tensor(new Int8Array(data.length).fill(1)),
    bias: row(-inputZero),
    epilogue,
    accumulator: [-255, 255],
  };
  return runStep(bench.plan(step), step, new Map([[input, Int8Array.from(data)]])) as Int8Array;
}

forEachMode("requantize_i8_i8", (c, mode) => {
  const found = rescaled(c.input.data, c.input_zero_point, c.multiplier, c.shift, c.output_zero_point, mode);
  expect([...found], c.id).toEqual(c.output.data);
});

// Unsigned codes are signed ones minus 128, zero points too.
forEachMode("requantize_i8_u8", (c, mode) => {
  const found = rescaled(c.input.data, c.input_zero_point, c.multiplier, c.shift, c.output_zero_point - 128, mode);
  expect(
    Array.from(found, (code) => code + 128),
    c.id,
  ).toEqual(c.output.data);
});

forEachMode("requantize_u8_i8", (c, mode) => {
  const signed = c.input.data.map((code) => code - 128);
  const found = rescaled(signed, c.input_zero_point - 128, c.multiplier, c.shift, c.output_zero_point, mode);
  expect([...found], c.id).toEqual(c.output.data);
});

for (const operator of ["requantize_i32_i8", "requantize_i16_i8"]) {
  forEachMode(operator, (c, mode) => {
    const range = { zero: c.output_zero_point, lo: -128, hi: 127 };
    const acc = Int32Array.from(c.input.data, (x) => x - c.input_zero_point);
    const found = requantizeByKernel(acc, Int32Array.of(c.multiplier), Int32Array.of(c.shift), mode, 2147483648, range);
    expect([...found], c.id).toEqual(c.output.data);
  });
}

// Codes of 16 bits are no output of the kernels: the reference alone.
for (const operator of ["requantize_i32_i16", "requantize_i8_i16"]) {
  forEachMode(operator, (c, mode) => {
    const range = { zero: c.output_zero_point, lo: -32768, hi: 32767 };
    const found = c.input.data.map((x) => toCode(requantize(x - c.input_zero_point, c.multiplier, c.shift, mode), range));
    expect(found, c.id).toEqual(c.output.data);
  });
}

forEachMode("batch_matmul_i8", (c, mode) => {
  const [a, b] = [c.a, c.b] as [Tensor, Tensor];
  const [m, k] = a.shape.slice(-2) as [number, number];
  const n = b.shape.at(-1)!;
  const batches = c.output.shape.slice(0, -2);
  const found: number[] = [];
  for (let batch = 0; batch < product(batches); batch++) {
    // row-major batches, an operand of one repeats
    const pick = (t: Tensor, each: number): readonly number[] => {
      const own = [...new Array<number>(batches.length + 2 - t.shape.length).fill(1), ...t.shape];
      let [rest, at, stride] = [batch, 0, 1];
      for (let axis = batches.length - 1; axis >= 0; axis--) {
        if (own[axis]! > 1) at += (rest % batches[axis]!) * stride;
        stride *= own[axis]!;
        rest = Math.floor(rest / batches[axis]!);
      }
      return t.data.slice(at * each, (at + 1) * each);
    };
    const [x, w] = [pick(a, m * k), pick(b, k * n)];
    for (let i = 0; i < m * n; i++) {
      let sum = 0;
      for (let j = 0; j < k; j++) sum += (x[Math.floor(i / n) * k + j]! - c.a_zero_point) * (w[j * n + (i % n)]! - c.b_zero_point);
      found.push(toCode(requantize(sum, c.output_multiplier, c.output_shift, mode), { zero: c.output_zero_point, lo: -128, hi: 127 }));
    }
  }
  expect(found, c.id).toEqual(c.output.data);
});

forEachMode("multiply_by_quantized_multiplier_i32", (c, mode) => {
  const rows = c.rows as [x: number, q: number, shift: number, y: number][];
  for (const [x, q, shift, y] of rows) {
    expect(requantize(x, q, shift, mode), `${x} · ${q}, ${shift}`).toBe(y);
    const code = requantizeByKernel(Int32Array.of(x), Int32Array.of(q), Int32Array.of(shift), mode, 2147483648, {
      zero: 0,
      lo: -128,
      hi: 127,
    });
    expect(code[0], `${x} · ${q}, ${shift}`).toBe(Math.min(127, Math.max(-128, y)));
  }
});

test("quantize_multiplier", () => {
  for (const [hex, multiplier, shift] of casesOf("quantize_multiplier", "single").flatMap((c) => c.rows as [string, number, number][])) {
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, BigInt(`0x${hex}`));
    expect(quantizeMultiplier(view.getFloat64(0)), hex).toEqual({ multiplier, shift });
  }
});

const windowOf = (c: Case) => ({
  window: [c.filter_h, c.filter_w] as const,
  stride: [c.stride_h, c.stride_w] as const,
  dilation: [1, 1] as const,
  pads: [c.pad_top, c.pad_left, c.pad_bottom, c.pad_right] as const,
});

/** Runs `check` on each sample [H,W,C] of a pooling case. */
function eachSample(c: Case, check: (x: Int8Array, expected: Int8Array) => void): void {
  const [size, outSize] = [product(c.input.shape.slice(1)), product(c.output.shape.slice(1))];
  for (let n = 0; n < c.input.shape[0]!; n++) {
    const part = (t: Tensor, each: number): Int8Array => Int8Array.from(t.data.slice(n * each, (n + 1) * each));
    check(part(c.input, size), part(c.output, outSize));
  }
}

forEachMode("max_pool_i8", (c) => {
  const [, h, w, ch] = c.input.shape as [number, number, number, number];
  const [, oh, ow] = c.output.shape as [number, number, number];
  eachSample(c, (x, expected) => {
    const bench = new Bench();
    const [input, pooled, output] = [bench.value([ch, h, w]), bench.value([ch, oh, ow]), bench.value([ch, oh, ow])];
    const step: PoolStep = { kernel: "maxpool", nodes: [], input, output: pooled, includePads: false, ...windowOf(c) };
    const clamp = Int8Array.from({ length: 256 }, (_, i) => Math.min(c.activation_max, Math.max(c.activation_min, i - 128)));
    const table = bench.tensor(clamp);
    const lookup: LookupStep = { kernel: "lookup", nodes: [], input: pooled, output, table, perChannel: false };
    const plan = bench.plan(step, lookup);
    const y = runStep(plan, lookup, new Map([[pooled, runStep(plan, step, new Map([[input, x]]))]]));
    expect(y, c.id).toEqual(expected);
  });
});

forEachMode("average_pool_i8", (c) => {
  const [, h, w, ch] = c.input.shape as [number, number, number, number];
  const [, oh, ow] = c.output.shape as [number, number, number];
  eachSample(c, (x, expected) => {
    expect(averagePoolAway(x, [h, w, ch], [oh, ow, ch], windowOf(c), c.activation_min, c.activation_max), c.id).toEqual(expected);
  });
});

const stridesOf = (dims: readonly number[]): number[] => dims.map((_, i) => product(dims.slice(i + 1)));

forEachMode("pad_i8", (c) => {
  const bench = new Bench();
  const [from, to] = [c.input.shape, c.output.shape];
  const input = bench.value([product(from)], { pitch: product(from) });
  const output = bench.value([product(to)], { pitch: product(to) });
  const outStrides = stridesOf(to);
  const outOffset = outStrides.reduce((sum, stride, i) => sum + stride * c.pad_before[i], 0);
  const copy = { dims: from, inStrides: stridesOf(from), inOffset: 0, outStrides, outOffset, fill: c.pad_value as number };
  const step: CopyStep = { kernel: "copy", nodes: [], input, output, ...copy };
  expect([...runStep(bench.plan(step), step, new Map([[input, Int8Array.from(c.input.data)]]))], c.id).toEqual(c.output.data);
});

forEachMode("concatenation_i8_requantize", (c, mode) => {
  const to = c.output.shape;
  const outStrides = stridesOf(to);
  const y = new Int8Array(product(to));
  let at = 0;
  (c.inputs as Tensor[]).forEach(({ shape, data }, i) => {
    const codes = rescaled(data, c.input_zero_points[i], c.multipliers[i], c.shifts[i], c.output_zero_point, mode);
    const bench = new Bench();
    const input = bench.value([codes.length], { pitch: codes.length });
    const output = bench.value([y.length], { pitch: y.length });
    const copy = { dims: shape, inStrides: stridesOf(shape), inOffset: 0, outStrides, outOffset: at * outStrides[c.axis]! };
    const step: CopyStep = { kernel: "copy", nodes: [], input, output, fill: 0, ...copy };
    runStep(bench.plan(step), step, new Map([[input, codes]])).forEach((code, j) => {
      y[j]! += code; // every element is written by one input and filled with 0 by the others
    });
    at += shape[c.axis]!;
  });
  expect([...y], c.id).toEqual(c.output.data);
});
