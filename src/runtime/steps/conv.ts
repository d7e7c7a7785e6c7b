import { assert } from "../../errors.ts";
import { codeRange } from "../../plan/check.ts";
import { type Interval, union } from "../../plan/context.ts";
import type { ConvStep, Plan } from "../../plan/types.ts";
import { type CodedWeights, codedWeights, decodedWeights } from "../../plan/weights.ts";
import type { IntegerKernels } from "../kernels.ts";
import { type PreparedStep, Program } from "../program.ts";
import { depthwise, isDepthwise } from "./depthwise.ts";
import { direct } from "./direct.ts";
import { leave } from "./epilogue.ts";
import { mergeGroups } from "./groups.ts";
import { type Image, image, roundUp, slices } from "./image.ts";
import { type Producer, panelGroup } from "./producer.ts";
import { countsBits } from "./rows.ts";
import { stemForm } from "./stem.ts";
import { stridedForm } from "./strided.ts";
import { int32Tensor } from "./tensors.ts";
import { vectorForm } from "./vector.ts";
import { Windows } from "./windows.ts";
import { winogradForm } from "./winograd.ts";

/** A convolution, or one group of it, as the producers see it. */
export interface Layer {
  readonly program: Program;
  readonly kernels: IntegerKernels;
  readonly step: ConvStep;
  readonly x: Image;
  readonly y: Image;
  /** Codes of x, those of the border included. */
  readonly range: Interval;
  /** int8[O][kh][kw][I / groups] and int32[O] of the whole layer. */
  readonly weights: Int8Array;
  /** The same weights as indices of levels, where the plan has them so. */
  readonly coded: CodedWeights | undefined;
  readonly bias: Int32Array;
  /** Output channels [first, first + count). */
  readonly first: number;
  readonly count: number;
  /** Input channels of the group. */
  readonly inputs: number;
  readonly firstInput: number;
}

/** Bytes of accumulators between a producer and its epilogue: they stay in a 32 KiB first-level cache, with room for the weights. */
const blockBytes = 16384;

/** Convolutions and dense layers: a producer of accumulators, then an epilogue, over slices of rows and panels of channels. */
export function prepareConv(original: ConvStep, plan: Plan, kernels: IntegerKernels): PreparedStep {
  const program = new Program();
  const x = image(plan.values[original.input]!);
  const y = image(plan.values[original.output]!);
  const bias = int32Tensor(plan, original.bias);
  assert(
    x.size === 1 && x.channels % original.groups === 0 && y.channels % original.groups === 0,
    "a convolution's groups divide its channels",
  );
  const given = { step: original, weights: decodedWeights(plan, original), coded: codedWeights(plan, original) };
  const grouped = isDepthwise(original, x, y) ? given : mergeGroups(given, x, y);
  const { step } = grouped;
  const range = union(codeRange(plan, original.input), [x.zeroPoint, x.zeroPoint]);
  const whole = { program, kernels, ...grouped, x, y, range, bias };
  const bound = accumulatorBounds(step, grouped.weights, bias);
  const produce = countsBits(whole) ? direct : chooseProducer(step, x, y);
  const groups = produce === depthwise ? 1 : step.groups;
  const part = (g: number) => {
    const count = y.channels / groups;
    const inputs = x.channels / groups;
    const layer: Layer = { ...whole, first: g * count, count, inputs, firstInput: g * inputs };
    const producer = produce(layer);
    const emit = leave({ program, plan, kernels, output: y, first: layer.first, count, bound }, step.epilogue);
    return { producer, emit, panels: Math.ceil(count / 8) };
  };
  const parts = program.inTurn(Array.from({ length: groups }, (_, g) => () => part(g)));
  const { input, shape, rows, columns, sliceRows, panelBytes } = parts[0]!.producer;
  const windows = new Windows(program, kernels, input, shape, { rows, columns, sliceRows }, x.zeroPoint);
  const fitting = Math.max(1, Math.floor(blockBytes / panelBytes));
  const panelsPerBlock = fitting < panelGroup ? fitting : fitting - (fitting % panelGroup);
  const acc = program.scratch(roundUp(Math.min(panelsPerBlock, parts[0]!.panels), panelGroup) * panelBytes);
  for (const [r0, r1] of slices(rows, sliceRows)) {
    program.part();
    // Groups follow one another in the same scratch.
    if (groups > 1) program.item();
    const frame = windows.rows(r0, r1);
    for (const { producer, emit, panels } of parts) {
      producer.begin(frame, r0, r1);
      const firstPixel = producer.pixelsBefore(r0);
      const pixels = producer.pixelsBefore(r1) - firstPixel;
      for (const [p0, p1] of slices(panels, panelsPerBlock)) {
        if (groups === 1) program.item();
        producer.panels(frame, r0, r1, p0, p1, acc);
        emit({ acc, panelPitch: panelBytes, firstPixel, pixels, firstPanel: p0, panels: p1 - p0 });
      }
    }
  }
  return program;
}

/** By shape and accumulator interval alone; all of them give the same bits. */
function chooseProducer(step: ConvStep, x: Image, y: Image): (layer: Layer) => Producer {
  return isDepthwise(step, x, y)
    ? depthwise
    : (vectorForm(step, y) ?? winogradForm(step, x, y) ?? stridedForm(step, x, y) ?? stemForm(step, x) ?? direct);
}

/** Largest |b + Σ w · c| over all int8 codes c, and at most what the step promises, per output channel, computed on demand. */
function accumulatorBounds({ accumulator }: ConvStep, weights: Int8Array, bias: Int32Array): (c: number) => number {
  const taps = weights.length / bias.length;
  const promised = Math.max(Math.abs(accumulator[0]), Math.abs(accumulator[1]));
  return (c) => {
    let lo = bias[c]!;
    let hi = lo;
    for (let i = c * taps; i < (c + 1) * taps; i++) {
      const w = weights[i]!;
      hi += w > 0 ? 127 * w : -128 * w;
      lo += w > 0 ? -128 * w : 127 * w;
    }
    return Math.min(Math.max(Math.abs(lo), Math.abs(hi)), promised);
  };
}
