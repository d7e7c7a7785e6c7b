// The meaning of a plan in plain TypeScript: every step by its operator's reference. Slow, and what the session must equal bit for bit.
import { assert } from "../errors.ts";
import { convAccumulators } from "../ops/integer/conv.ts";
import { copyStrided } from "../ops/integer/copy.ts";
import { addCodes, lookupCodes, mulCodes } from "../ops/integer/elementwise.ts";
import { matmulAccumulators } from "../ops/integer/matmul.ts";
import { layerNormCodes } from "../ops/integer/norm.ts";
import { averagePoolCodes, maxPoolCodes } from "../ops/integer/pool.ts";
import { addRounded, requantize, toCode } from "../ops/integer/requantize.ts";
import { softmaxCodes } from "../ops/integer/softmax.ts";
import type { Size } from "../ops/integer/window.ts";
import { channelsOf, imageView, logicalStrides, storedElements } from "../plan/layout.ts";
import { completions } from "../plan/lifetimes.ts";
import type { ConvStep, Epilogue, Plan, PlanTensor, PlanValue, PoolStep, Step } from "../plan/types.ts";
import { decodedWeights } from "../plan/weights.ts";

export type Codes = Int8Array | Int32Array;

/** A value's elements as they lie in its buffer, every value in a buffer of its own. */
interface Memory {
  readonly plan: Plan;
  readonly buffers: (Codes | undefined)[];
}

function tensor<T extends PlanTensor>(plan: Plan, name: string): T {
  const found = plan.tensors.get(name);
  assert(found, `the plan has a tensor '${name}'`);
  return found as T;
}

function sizeOf(value: PlanValue): Size {
  const { height, width, channels } = imageView(value);
  return [height, width, channels];
}

/** Elements without padding lanes. */
function dense(memory: Memory, index: number): Codes {
  const value = memory.plan.values[index]!;
  const channels = channelsOf(value);
  const buffer = memory.buffers[index];
  assert(buffer, `value '${value.name}' is written before it is read`);
  return buffer.filter((_, i) => i % value.pitch < channels);
}

function codes(memory: Memory, index: number): Int8Array {
  const found = dense(memory, index);
  assert(found instanceof Int8Array, "the value holds codes");
  return found;
}

function store(memory: Memory, index: number, result: Codes): void {
  const value = memory.plan.values[index]!;
  const channels = channelsOf(value);
  const buffer = bufferFor(value);
  for (let i = 0; i < result.length; i++) buffer[Math.floor(i / channels) * value.pitch + (i % channels)] = result[i]!;
  memory.buffers[index] = buffer;
}

function bufferFor(value: PlanValue): Codes {
  return value.type === "int8" ? new Int8Array(storedElements(value)) : new Int32Array(storedElements(value));
}

function leave(memory: Memory, acc: Int32Array, channels: number, epilogue: Epilogue): Codes {
  if (epilogue.kind === "accumulator") return acc;
  const q = tensor<Int32Array>(memory.plan, epilogue.multiplier);
  if (epilogue.kind === "requantize") {
    const shift = tensor<Int32Array>(memory.plan, epilogue.shift);
    return Int8Array.from(acc, (x, i) => toCode(requantize(x, q[i % channels]!, shift[i % channels]!, epilogue.rounding), epilogue));
  }
  const q2 = tensor<Int32Array>(memory.plan, epilogue.residualMultiplier);
  const residual = dense(memory, epilogue.value);
  return Int8Array.from(acc, (x, i) => {
    const sum = addRounded(x, q[i % channels]!, residual[i]! - epilogue.residualZero, q2[i % channels]!, epilogue.bits);
    return toCode(sum, epilogue);
  });
}

function conv(memory: Memory, step: ConvStep): Codes {
  const { plan } = memory;
  const [input, output] = [plan.values[step.input]!, plan.values[step.output]!];
  const weights = decodedWeights(plan, step);
  const bias = tensor<Int32Array>(plan, step.bias);
  const x = codes(memory, step.input);
  const acc = convAccumulators(x, sizeOf(input), weights, bias, sizeOf(output), step, step.groups, input.zeroPoint);
  return leave(memory, acc, bias.length, step.epilogue);
}

function pool(memory: Memory, step: PoolStep): Codes {
  const { plan } = memory;
  const [input, output] = [plan.values[step.input]!, plan.values[step.output]!];
  const x = codes(memory, step.input);
  if (step.kernel === "maxpool") return maxPoolCodes(x, sizeOf(input), sizeOf(output), step);
  const r = step.requantization;
  assert(r, "an average pool has a requantization");
  return averagePoolCodes(x, sizeOf(input), sizeOf(output), step, input.zeroPoint, step.includePads, {
    ...r,
    multiplier: tensor<Int32Array>(plan, r.multiplier),
    shift: tensor<Int32Array>(plan, r.shift),
  });
}

type Rows = { readonly [K in Step["kernel"]]: (memory: Memory, step: Extract<Step, { kernel: K }>) => Codes | undefined };

/** One row per kernel: the output without padding, or undefined where the row writes the buffer itself. */
const rows: Rows = {
  conv,
  maxpool: pool,
  avgpool: pool,
  add(memory, step) {
    const [a, b] = step.inputs.map((index, i) => ({
      codes: codes(memory, index),
      zeroPoint: memory.plan.values[index]!.zeroPoint,
      multiplier: step.multipliers[i]!,
    }));
    return addCodes(a!, b!, step.bits, step);
  },
  mul(memory, step) {
    const [a, b] = step.inputs.map((index) => ({ codes: codes(memory, index), zeroPoint: memory.plan.values[index]!.zeroPoint }));
    return mulCodes(a!, b!, step.multiplier, step.shift, step);
  },
  lookup: (memory, step) => lookupCodes(codes(memory, step.input), tensor(memory.plan, step.table)),
  softmax(memory, step) {
    return softmaxCodes(codes(memory, step.input), channelsOf(memory.plan.values[step.input]!), tensor(memory.plan, step.table));
  },
  matmul(memory, step) {
    const [a, b] = step.inputs.map((index) => {
      const value = memory.plan.values[index]!;
      return { codes: memory.buffers[index] as Int8Array, dims: value.dims, strides: logicalStrides(value), zeroPoint: value.zeroPoint };
    });
    const acc = matmulAccumulators(a!, b!);
    return leave(memory, acc, channelsOf(memory.plan.values[step.output]!), { kind: "requantize", ...step.requantization });
  },
  layernorm(memory, step) {
    const beta = tensor<Int32Array>(memory.plan, step.beta);
    return layerNormCodes(codes(memory, step.input), {
      ...step,
      epsilon: BigInt(step.epsilon),
      gamma: tensor<Int32Array>(memory.plan, step.gamma),
      beta: BigInt64Array.from({ length: beta.length / 2 }, (_, i) => (BigInt(beta[2 * i + 1]!) << 32n) | BigInt(beta[2 * i]! >>> 0)),
    });
  },
  constant: (memory, step) => tensor<Int8Array>(memory.plan, step.data),
  copy(memory, step) {
    const from = memory.buffers[step.input];
    assert(from, "a copy's input is written before it");
    const output = (memory.buffers[step.output] ??= bufferFor(memory.plan.values[step.output]!));
    if (step.fill !== undefined) output.fill(step.fill);
    if (step.fills !== undefined) {
      const { pitch } = memory.plan.values[step.output]!;
      const fills = tensor<Int8Array>(memory.plan, step.fills);
      for (let i = 0; i < output.length; i += pitch) output.set(fills, i);
    }
    copyStrided(from, output, step);
    return undefined;
  },
};

/** Buffer index of each logical element. */
function places(value: PlanValue): number[] {
  const strides = logicalStrides(value);
  let all = [0];
  for (const [axis, extent] of value.dims.entries())
    all = all.flatMap((start) => Array.from({ length: extent }, (_, i) => start + i * strides[axis]!));
  return all;
}

function logical(memory: Memory, index: number): Codes {
  const value = memory.plan.values[index]!;
  const result = value.type === "int8" ? new Int8Array(places(value).length) : new Int32Array(places(value).length);
  for (const [i, place] of places(value).entries()) result[i] = memory.buffers[index]![place]!;
  return result;
}

/**
 * Runs one sample of a plan.
 *
 * @param inputs codes of every input by name, row-major in the model's axes
 * @param visit  called with what each step wrote, in the model's axes; of several copies into one value, after the last
 * @returns      codes or accumulators of every output by name, in the model's axes
 */
export function interpretPlan(
  plan: Plan,
  inputs: Readonly<Record<string, Int8Array>>,
  visit?: (step: number, codes: Codes) => void,
): Record<string, Codes> {
  const memory: Memory = { plan, buffers: plan.values.map(() => undefined) };
  for (const index of plan.inputs) {
    const value = plan.values[index]!;
    const given = inputs[value.name];
    assert(given && given.length === places(value).length, `input '${value.name}' has its elements`);
    const buffer = bufferFor(value);
    for (const [i, place] of places(value).entries()) buffer[place] = given[i]!;
    memory.buffers[index] = buffer;
  }
  const whole = completions(plan);
  for (const [index, step] of plan.steps.entries()) {
    const result = (rows[step.kernel] as (memory: Memory, step: Step) => Codes | undefined)(memory, step);
    if (result !== undefined) store(memory, step.output, result);
    if (visit && whole.has(index)) visit(index, logical(memory, step.output));
  }
  return Object.fromEntries(plan.outputs.map((index) => [plan.values[index]!.name, logical(memory, index)]));
}
