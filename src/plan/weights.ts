// Weights of convolutions, whichever way a plan stores them.
import { assert } from "../errors.ts";
import { unpackUnsigned } from "../formats/packing.ts";
import { channelsOf } from "./layout.ts";
import type { ConvStep, Plan } from "./types.ts";

/** Weights of few bits: weight i is levels[indices[i]]. */
export interface CodedWeights {
  /** int8[2^bits] */
  readonly levels: Int8Array;
  /** [O][kh][kw][I / groups] */
  readonly indices: Uint8Array;
}

/** The number of weights of a step. */
export function weightCount(plan: Plan, { input, output, window, groups }: ConvStep): number {
  const [x, y] = [plan.values[input]!, plan.values[output]!];
  return channelsOf(y) * window[0] * window[1] * (channelsOf(x) / groups);
}

/** Indices and levels of a step's weights, or undefined where they are stored as int8. */
export function codedWeights(plan: Plan, step: ConvStep): CodedWeights | undefined {
  if (!step.codes) return undefined;
  const [stream, levels] = [plan.tensors.get(step.weights), plan.tensors.get(step.codes.levels)];
  assert(stream instanceof Uint8Array && levels instanceof Int8Array, `'${step.weights}' of the plan is a stream with levels`);
  return { levels, indices: unpackUnsigned(stream, step.codes.bits, weightCount(plan, step)) };
}

/** int8[O][kh][kw][I / groups] */
export function decodedWeights(plan: Plan, step: ConvStep): Int8Array {
  const coded = codedWeights(plan, step);
  if (coded) return decode(coded);
  const weights = plan.tensors.get(step.weights);
  assert(weights instanceof Int8Array, `tensor '${step.weights}' of the plan is int8`);
  return weights;
}

export function decode({ levels, indices }: CodedWeights): Int8Array {
  return Int8Array.from(indices, (index) => levels[index]!);
}
