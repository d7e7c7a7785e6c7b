// Convolutions and pools: window arithmetic, weights, epilogues, and the proofs that no sum leaves its width.
import { packedBytes } from "../formats/packing.ts";
import type { Context, Interval } from "./context.ts";
import { union } from "./context.ts";
import { type ImageView, imageView } from "./layout.ts";
import type { ConvStep, Epilogue, PlanValue, PoolStep, Requantization } from "./types.ts";
import { decodedWeights } from "./weights.ts";

interface Windowed {
  readonly window: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
}

const axes = ["height", "width"] as const;

/** Outputs of a window along one axis: ⌊(extent + pads − span) / stride⌋ + 1, span = (window − 1) · dilation + 1. */
function outputExtent(step: Windowed, input: ImageView, axis: 0 | 1): number {
  const span = (step.window[axis] - 1) * step.dilation[axis] + 1;
  const padded = input[axes[axis]] + step.pads[axis] + step.pads[axis + 2]!;
  return padded < span ? 0 : Math.floor((padded - span) / step.stride[axis]) + 1;
}

function checkWindow(context: Context, step: Windowed, input: ImageView, output: ImageView): void {
  const expected = [outputExtent(step, input, 0), outputExtent(step, input, 1)];
  context.require(
    expected[0] === output.height && expected[1] === output.width,
    () => `an output of ${output.height}×${output.width}`,
    `${expected.join("×")}, which window, stride, dilation and pads give`,
  );
}

/**
 * Every window meets at least one element of the input: a maximum of nothing has no value, an average no divisor. The first window
 * reaches over the padding before it, the last one starts before the input ends, and no step of the dilation jumps over the input.
 */
function checkWindowsMeetInput(context: Context, step: Windowed, input: ImageView, output: ImageView): void {
  for (const axis of [0, 1] as const) {
    const [extent, count] = [input[axes[axis]], output[axes[axis]]];
    const [window, dilation, pad] = [step.window[axis], step.dilation[axis], step.pads[axis]];
    context.require(
      pad <= (window - 1) * dilation && (pad === 0 || dilation <= extent) && (count - 1) * step.stride[axis] - pad < extent,
      () => `windows of ${axes[axis]} ${window}, dilation ${dilation} that can lie in the padding alone`,
      `windows that meet the input of ${axes[axis]} ${extent}`,
    );
  }
}

interface Intervals {
  readonly lo: Float64Array;
  readonly hi: Float64Array;
}

/** Least and greatest accumulator of each channel when every tap can be anywhere in `code`: exact, and attained. */
function accumulators(weights: Int8Array, bias: Int32Array, code: Interval): Intervals {
  const taps = weights.length / bias.length;
  const lo = new Float64Array(bias.length);
  const hi = new Float64Array(bias.length);
  for (let channel = 0; channel < bias.length; channel++) {
    let positive = 0;
    let negative = 0;
    for (let i = channel * taps; i < (channel + 1) * taps; i++) {
      const w = weights[i]!;
      if (w > 0) positive += w;
      else negative += w;
    }
    lo[channel] = bias[channel]! + positive * code[0] + negative * code[1];
    hi[channel] = bias[channel]! + positive * code[1] + negative * code[0];
  }
  return { lo, hi };
}

function largestMagnitude(lo: number, hi: number): number {
  return Math.max(Math.abs(lo), Math.abs(hi));
}

function trailingZeros(q: number): number {
  return 31 - Math.clz32(q & -q);
}

/**
 * Rounding half up equals rounding half to even where no product is a tie: x · q is one only for multiples x ≠ 0 of
 * 2^(t − 1 − v₂(q)), t = 31 − shift.
 */
function excludesTies(magnitude: number, multiplier: number, shift: number): boolean {
  const exponent = 30 - shift - trailingZeros(multiplier);
  // Magnitudes are at most 2³¹.
  return multiplier === 0 || exponent < 0 || exponent > 31 || magnitude < (1 << exponent) >>> 0;
}

/** Multipliers and shifts of `count` channels; `lo[i]`, `hi[i]` bound what is multiplied. */
export function checkRequantization(
  context: Context,
  r: Requantization,
  count: number,
  lo: ArrayLike<number>,
  hi: ArrayLike<number>,
): Interval {
  const multiplier = context.tensor(r.multiplier, "int32", count);
  const shift = context.tensor(r.shift, "int32", count);
  context.ordered(r.lo, r.hi);
  for (let i = 0; i < count; i++) {
    const [q, s] = [multiplier[i]!, shift[i]!];
    context.require(q === 0 || q >= 2 ** 30, () => `multiplier ${q} at ${i}`, "0 or 2³⁰ to 2³¹ − 1");
    context.require(s >= -31 && s <= 30, () => `shift ${s} at ${i}`, "−31 to 30");
    context.require(
      r.rounding === "even" || excludesTies(largestMagnitude(lo[i]!, hi[i]!), q, s),
      () => `rounding 'single' where accumulator ${i} can be a tie`,
      "'even'",
    );
  }
  return [r.lo, r.hi];
}

function checkResidual(
  context: Context,
  epilogue: Extract<Epilogue, { kind: "residual" }>,
  output: PlanValue,
  { lo, hi }: Intervals,
): Interval {
  const { value, range } = context.read(epilogue.value, "int8", "int32");
  context.sameImage(value, output);
  const zero = epilogue.residualZero;
  context.require(value.type === "int8" || zero === 0, () => `residualZero ${zero} of int32 accumulators`, "0");
  context.ordered(epilogue.lo, epilogue.hi);
  const own = context.tensor(epilogue.multiplier, "int32", lo.length);
  const other = context.tensor(epilogue.residualMultiplier, "int32", lo.length);
  const residual = BigInt(largestMagnitude(range[0] - zero, range[1] - zero));
  for (let i = 0; i < lo.length; i++) {
    const magnitude = BigInt(largestMagnitude(lo[i]!, hi[i]!));
    const sum = magnitude * BigInt(Math.abs(own[i]!)) + residual * BigInt(Math.abs(other[i]!));
    context.require(sum < 1n << 62n, () => `a residual sum of up to ${sum} at channel ${i}`, "less than 2⁶²");
  }
  return [epilogue.lo, epilogue.hi];
}

function checkEpilogue(context: Context, epilogue: Epilogue, output: PlanValue, intervals: Intervals, reach: Interval): Interval {
  if (epilogue.kind === "accumulator") return reach;
  if (epilogue.kind === "residual") return checkResidual(context, epilogue, output, intervals);
  return checkRequantization(context, epilogue, intervals.lo.length, intervals.lo, intervals.hi);
}

/** The weights of a step as int8, whichever way they are stored. */
function readWeights(context: Context, step: ConvStep, count: number): Int8Array {
  if (!step.codes) return context.tensor(step.weights, "int8", count);
  const { bits, levels } = step.codes;
  const stream = context.tensor(step.weights, "uint8", packedBytes(count, bits));
  const used = (count * bits) % 8;
  context.require(used === 0 || stream.at(-1)! >> used === 0, () => `bits after the last of ${count} indices`, "zeros");
  context.tensor(levels, "int8", 1 << bits);
  context.spend("moved", count);
  return decodedWeights(context.plan, step);
}

export function checkConv(context: Context, step: ConvStep): void {
  const { value: input, range } = context.read(step.input, "int8");
  const output = context.output(step.epilogue.kind === "accumulator" ? "int32" : "int8");
  const [from, to] = [imageView(input), imageView(output)];
  checkWindow(context, step, from, to);
  context.require(
    from.channels % step.groups === 0 && to.channels % step.groups === 0,
    () => `${step.groups} groups of ${from.channels} and ${to.channels} channels`,
    "groups that divide both",
  );
  const taps = (step.window[0] * step.window[1] * from.channels) / step.groups;
  const weights = readWeights(context, step, to.channels * taps);
  const bias = context.tensor(step.bias, "int32", to.channels);

  // Padding holds the zero point, which need not be a code that the producer's clamp lets through.
  const padded = step.pads.some((pad) => pad > 0);
  const intervals = accumulators(weights, bias, padded ? union(range, [input.zeroPoint, input.zeroPoint]) : range);
  let reach: Interval = [intervals.lo[0]!, intervals.hi[0]!];
  for (let i = 1; i < bias.length; i++) reach = union(reach, [intervals.lo[i]!, intervals.hi[i]!]);
  const [lo, hi] = step.accumulator;
  context.require(
    lo <= reach[0] && reach[1] <= hi,
    () => `an accumulator interval [${lo}, ${hi}]`,
    `one that holds [${reach.join(", ")}], which weights, bias and input can reach`,
    "The plan's proof that no sum overflows is wrong: lower the model again.",
  );

  context.spend("multiplications", to.height * to.width * weights.length);
  // Groups of several channels run one after the other.
  if (step.groups > 1 && step.groups < from.channels) context.spendCalls(step.groups * to.height * to.width);
  context.writes(output, checkEpilogue(context, step.epilogue, output, intervals, reach));
}

export function checkPool(context: Context, step: PoolStep): void {
  const { value: input, range } = context.read(step.input, "int8");
  const output = context.output("int8");
  const [from, to] = [imageView(input), imageView(output)];
  checkWindow(context, step, from, to);
  checkWindowsMeetInput(context, step, from, to);
  context.require(
    from.channels === to.channels && from.pitch === to.pitch,
    () => `${from.channels} and ${to.channels} channels`,
    "equal channels and pitches",
  );
  const taps = step.window[0] * step.window[1];
  context.spend("moved", to.height * to.width * to.pitch * taps);
  const r = step.requantization;
  context.require(
    (step.kernel === "avgpool") === (r !== undefined),
    () => `${r ? "a" : "no"} requantization`,
    "one for avgpool, none for maxpool",
  );
  if (r === undefined) {
    context.writes(output, range);
    return;
  }
  // Pixels whose windows hold equally many taps share a call: only those near the border differ from their neighbours.
  context.spendCalls(to.height * Math.min(to.width, 2 * step.window[1] + 1));
  const magnitude = largestMagnitude(range[0] - input.zeroPoint, range[1] - input.zeroPoint);
  context.require(taps * 255 < 2 ** 31, () => `a window of ${taps} taps`, "a sum that fits 32 bits");
  const bounds = Float64Array.from({ length: taps }, (_, i) => (i + 1) * magnitude);
  context.writes(output, checkRequantization(context, r, taps, bounds, bounds));
}
