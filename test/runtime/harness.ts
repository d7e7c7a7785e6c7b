// Runs one plan step on integer.wasm in a memory full of noise, and the plain reference of the same step.
import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { convAccumulators } from "../../src/ops/integer/conv.ts";
import { copyStrided } from "../../src/ops/integer/copy.ts";
import { addCodes, lookupCodes, mulCodes } from "../../src/ops/integer/elementwise.ts";
import { matmulAccumulators } from "../../src/ops/integer/matmul.ts";
import { layerNormCodes } from "../../src/ops/integer/norm.ts";
import { averagePoolCodes, maxPoolCodes } from "../../src/ops/integer/pool.ts";
import { addRounded, type CodeRange, type Rounding, requantize, toCode } from "../../src/ops/integer/requantize.ts";
import { softmaxCodes } from "../../src/ops/integer/softmax.ts";
import type { Size } from "../../src/ops/integer/window.ts";
import type { ConvStep, Plan, PlanTensor, PlanValue, Requantization, Step } from "../../src/plan/types.ts";
import { decodedWeights } from "../../src/plan/weights.ts";
import type { IntegerKernels } from "../../src/runtime/kernels.ts";
import { Program } from "../../src/runtime/program.ts";
import { type Call, prepareStep } from "../../src/runtime/step.ts";
import { requantizing } from "../../src/runtime/steps/epilogue.ts";
import { image } from "../../src/runtime/steps/image.ts";

const binary = readFileSync(new URL("../../build/integer.wasm", import.meta.url));
const instance = await WebAssembly.instantiate(await WebAssembly.compile(binary), {});
export const kernels: IntegerKernels = instance.exports as unknown as IntegerKernels;

export type Codes = Int8Array | Int32Array;

/** Deterministic noise: a 32-bit mixer over a counter. */
export class Random {
  private state: number;
  constructor(seed: number) {
    this.state = seed | 0;
  }
  next(): number {
    this.state = (this.state + 0x9e3779b9) | 0;
    let z = this.state;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (z ^ (z >>> 16)) >>> 0;
  }
  /** An integer in [lo, hi]. */
  between(lo: number, hi: number): number {
    return lo + (this.next() % (hi - lo + 1));
  }
  pick<T>(items: readonly T[]): T {
    return items[this.next() % items.length]!;
  }
  /** Codes of which every fourth is an extreme. */
  codes(n: number, lo = -128, hi = 127): Int8Array {
    return Int8Array.from({ length: n }, () => (this.next() % 4 === 0 ? this.pick([lo, hi]) : this.between(lo, hi)));
  }
  words(n: number, lo: number, hi: number): Int32Array {
    return Int32Array.from({ length: n }, () => this.between(lo, hi));
  }
}

export interface ValueOptions {
  readonly type?: "int8" | "int32";
  readonly zeroPoint?: number;
  readonly pitch?: number;
}

/** A plan of one step, grown by hand. */
export class Bench {
  readonly values: PlanValue[] = [];
  readonly tensors: Map<string, PlanTensor> = new Map();
  private bytes = 64;

  /** [C,H,W] is stored H, W, C; fewer axes in their own order. */
  value(dims: readonly number[], options: ValueOptions = {}): number {
    const order = dims.length === 3 ? [1, 2, 0] : dims.map((_, i) => i);
    const channels = dims[order.at(-1)!]!;
    const pitch = options.pitch ?? (channels <= 4 ? channels : Math.ceil(channels / 8) * 8);
    const type = options.type ?? "int8";
    const pixels = dims.reduce((a, b) => a * b, 1) / channels;
    const offset = this.bytes;
    // 64 bytes between values, so that a write beyond one is seen
    this.bytes = Math.ceil((offset + pixels * pitch * (type === "int8" ? 1 : 4)) / 16) * 16 + 64;
    this.values.push({ name: `v${this.values.length}`, dims, order, pitch, type, offset, scale: [1], zeroPoint: options.zeroPoint ?? 0 });
    return this.values.length - 1;
  }

  tensor(data: PlanTensor): string {
    const name = `t${this.tensors.size}`;
    this.tensors.set(name, data);
    return name;
  }

  plan(...steps: Step[]): Plan {
    const { values, tensors } = this;
    return { version: 1, arithmetic: "", values, inputs: [], outputs: [], steps, arenaBytes: this.bytes, tensors };
  }
}

const bytesOf = (value: PlanValue): number => {
  const { height, width, pitch, size } = image(value);
  return height * width * pitch * size;
};

function view(value: PlanValue, arena: number): Codes {
  const buffer = kernels.memory.buffer;
  const n = bytesOf(value);
  return value.type === "int8" ? new Int8Array(buffer, arena + value.offset, n) : new Int32Array(buffer, arena + value.offset, n / 4);
}

/** Dense elements [H][W][C] of a value in memory. */
function unpack(value: PlanValue, arena: number): Codes {
  const { height, width, channels, pitch } = image(value);
  const from = view(value, arena);
  const out = value.type === "int8" ? new Int8Array(height * width * channels) : new Int32Array(height * width * channels);
  for (let i = 0; i < out.length; i++) out[i] = from[Math.floor(i / channels) * pitch + (i % channels)]!;
  return out;
}

function pack(value: PlanValue, arena: number, dense: Codes): void {
  const { channels, pitch } = image(value);
  const to = view(value, arena);
  for (let i = 0; i < dense.length; i++) to[Math.floor(i / channels) * pitch + (i % channels)] = dense[i]!;
}

export interface Bound {
  readonly calls: readonly Call[];
  readonly constantBytes: number;
  readonly run: () => Codes;
}

/** Places a step in memory after noise, writes the inputs, and gives its calls. */
export function bindStep(plan: Plan, step: Step, inputs: ReadonlyMap<number, Codes>): Bound {
  const prepared = prepareStep(step, plan, kernels);
  const align = (n: number): number => Math.ceil(n / 16) * 16;
  const constants = align(kernels.heapBase());
  const scratch = constants + align(prepared.constantBytes);
  const arena = scratch + align(prepared.scratchBytes) + 64;
  const end = arena + plan.arenaBytes + 64;
  const missing = end - kernels.memory.buffer.byteLength;
  if (missing > 0) kernels.memory.grow(Math.ceil(missing / 65536));
  const all = new Uint8Array(kernels.memory.buffer);
  const noise = new Random(end);
  for (let i = constants; i < end; i++) all[i] = noise.next();
  for (const [index, dense] of inputs) pack(plan.values[index]!, arena, dense);
  const calls = prepared.bind(kernels.memory, { constants, scratch, arena });
  const output = plan.values[step.output]!;
  const run = (): Codes => {
    const before = all.slice(arena - 64, end);
    const packed = all.slice(constants, constants + prepared.constantBytes);
    for (const { run, args } of calls) run(...args);
    const from = arena + output.offset;
    const to = from + bytesOf(output);
    const after = all.slice(arena - 64, end);
    before.set(all.subarray(from, to), from - arena + 64);
    expect(Buffer.compare(before, after), "nothing is written but the output").toBe(0);
    expect(Buffer.compare(packed, all.subarray(constants, constants + prepared.constantBytes)), "constants are not written").toBe(0);
    return unpack(output, arena);
  };
  return { calls, constantBytes: prepared.constantBytes, run };
}

export function runStep(plan: Plan, step: Step, inputs: ReadonlyMap<number, Codes>): Codes {
  return bindStep(plan, step, inputs).run();
}

const sizeOf = (value: PlanValue): Size => {
  const { height, width, channels } = image(value);
  return [height, width, channels];
};

function convReference(plan: Plan, step: ConvStep, inputs: ReadonlyMap<number, Codes>): Codes {
  const x = plan.values[step.input]!;
  const out = sizeOf(plan.values[step.output]!);
  const weights = decodedWeights(plan, step);
  const bias = plan.tensors.get(step.bias) as Int32Array;
  const codes = inputs.get(step.input) as Int8Array;
  const acc = convAccumulators(codes, sizeOf(x), weights, bias, out, step, step.groups, x.zeroPoint);
  const e = step.epilogue;
  if (e.kind === "accumulator") return acc;
  const channels = out[2];
  const row = (name: string): Int32Array => plan.tensors.get(name) as Int32Array;
  if (e.kind === "requantize") {
    const [q, shift] = [row(e.multiplier), row(e.shift)];
    return Int8Array.from(acc, (a, i) => toCode(requantize(a, q[i % channels]!, shift[i % channels]!, e.rounding as Rounding), e));
  }
  const [q1, q2] = [row(e.multiplier), row(e.residualMultiplier)];
  const r = inputs.get(e.value)!;
  return Int8Array.from(acc, (a, i) => {
    const c = i % channels;
    return toCode(addRounded(a, q1[c]!, r[i]! - e.residualZero, q2[c]!, e.bits), e);
  });
}

/** What a step means, by the plain references. Dense in, dense out. */
export function referenceStep(plan: Plan, step: Step, inputs: ReadonlyMap<number, Codes>): Codes {
  const value = (index: number): PlanValue => plan.values[index]!;
  const codes = (index: number): Int8Array => inputs.get(index) as Int8Array;
  switch (step.kernel) {
    case "conv":
      return convReference(plan, step, inputs);
    case "add":
    case "mul": {
      const operand = (i: 0 | 1) => ({ codes: codes(step.inputs[i]), zeroPoint: value(step.inputs[i]).zeroPoint });
      const order = codes(step.inputs[0]).length >= codes(step.inputs[1]).length ? ([0, 1] as const) : ([1, 0] as const);
      const [a, b] = [operand(order[0]), operand(order[1])];
      if (step.kernel === "mul") return mulCodes(a, b, step.multiplier, step.shift, step);
      const [qa, qb] = order.map((i) => step.multipliers[i]!) as [number, number];
      return addCodes({ ...a, multiplier: qa }, { ...b, multiplier: qb }, step.bits, step);
    }
    case "lookup":
      return lookupCodes(codes(step.input), plan.tensors.get(step.table) as Int8Array);
    case "maxpool":
      return maxPoolCodes(codes(step.input), sizeOf(value(step.input)), sizeOf(value(step.output)), step);
    case "avgpool": {
      const r = step.requantization!;
      const row = (name: string): Int32Array => plan.tensors.get(name) as Int32Array;
      const averaging = { ...r, multiplier: row(r.multiplier), shift: row(r.shift) };
      const [from, to] = [sizeOf(value(step.input)), sizeOf(value(step.output))];
      return averagePoolCodes(codes(step.input), from, to, step, value(step.input).zeroPoint, step.includePads, averaging);
    }
    case "softmax":
      return softmaxCodes(codes(step.input), image(value(step.input)).channels, plan.tensors.get(step.table) as Uint32Array);
    case "matmul": {
      const [a, b] = step.inputs.map((index) => {
        const { dims, zeroPoint } = value(index);
        const strides = dims.map((_, axis) => dims.slice(axis + 1).reduce((product, d) => product * d, 1));
        return { codes: codes(index), dims, strides, zeroPoint };
      });
      const r = step.requantization;
      const row = (name: string): Int32Array => plan.tensors.get(name) as Int32Array;
      const [q, shift] = [row(r.multiplier), row(r.shift)];
      return Int8Array.from(matmulAccumulators(a!, b!), (sum, i) => {
        const c = i % q.length;
        return toCode(requantize(sum, q[c]!, shift[c]!, r.rounding), r);
      });
    }
    case "layernorm": {
      const beta = plan.tensors.get(step.beta) as Int32Array;
      return layerNormCodes(codes(step.input), {
        ...step,
        epsilon: BigInt(step.epsilon),
        gamma: plan.tensors.get(step.gamma) as Int32Array,
        beta: new BigInt64Array(beta.slice().buffer),
      });
    }
    case "constant":
      return plan.tensors.get(step.data) as Int8Array;
    case "copy": {
      const y = value(step.output);
      const { height, width, pitch, channels } = image(y);
      const n = height * width * pitch;
      const out = y.type === "int8" ? new Int8Array(n) : new Int32Array(n);
      if (step.fill !== undefined) out.fill(step.fill);
      const x = image(value(step.input));
      const dense = inputs.get(step.input)!;
      const pitched = Array.from({ length: x.height * x.width * x.pitch }, (_, i) =>
        i % x.pitch < x.channels ? dense[Math.floor(i / x.pitch) * x.channels + (i % x.pitch)]! : 0,
      );
      copyStrided(pitched, out, step);
      return out.filter((_, i) => i % pitch < channels);
    }
  }
}

/** Requantizes int32 accumulators [pixels][channels] by the wasm epilogue that the runtime would choose. */
export function requantizeByKernel(
  acc: Int32Array,
  multiplier: Int32Array,
  shift: Int32Array,
  rounding: Rounding,
  bound: number,
  range: CodeRange,
): Int8Array {
  const channels = multiplier.length;
  const pixels = acc.length / channels;
  const bench = new Bench();
  const output = bench.value([pixels, channels], { pitch: Math.ceil(channels / 8) * 8 });
  const r = { multiplier: bench.tensor(multiplier), shift: bench.tensor(shift), rounding, ...range } as Requantization;
  const program = new Program();
  const to = { program, plan: bench.plan(), kernels, output: image(bench.values[output]!), first: 0, count: channels };
  const emit = requantizing({ ...to, bound: () => bound }, r);
  const panels = Math.ceil(channels / 8);
  const block = program.scratch(panels * pixels * 32);
  emit({ acc: block, panelPitch: pixels * 32, firstPixel: 0, pixels, firstPanel: 0, panels });
  const base = Math.ceil(kernels.heapBase() / 16) * 16;
  const [scratch, arena] = [base + program.constantBytes, base + program.constantBytes + program.scratchBytes];
  const calls = program.bind(kernels.memory, { constants: base, scratch, arena });
  const words = new Int32Array(kernels.memory.buffer, scratch, panels * pixels * 8);
  acc.forEach((a, i) => {
    const [p, c] = [Math.floor(i / channels), i % channels];
    words[((c >> 3) * pixels + p) * 8 + (c & 7)] = a;
  });
  for (const { run, args } of calls) run(...args);
  const at = arena + bench.values[output]!.offset;
  const pitch = bench.values[output]!.pitch;
  const bytes = new Int8Array(kernels.memory.buffer);
  return Int8Array.from(acc, (_, i) => bytes[at + Math.floor(i / channels) * pitch + (i % channels)]!);
}
