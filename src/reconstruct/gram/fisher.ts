// What a layer's errors do to the network's answer: a Hessian on the layer's output channels, so that rounding sees beyond its layer.
// With H the Hessian of KL(float answer ‖ quantized answer) at the float network, that is its Fisher matrix, a layer's weights see
// H ≈ S ⊗ G: S = Σ g gᵀ over samples and positions, g the gradient at its outputs, G the Gram matrix of its inputs.
// Source: Martens, Grosse 2015, "K-FAC", and Grosse, Martens 2016 for convolutions; for rounding: Tseng et al. 2025, "YAQA".
import { exp } from "../../ops/math.ts";
import { logSoftmax } from "../objectives.ts";
import { extended } from "./gather.ts";
import type { LayerView } from "./layer.ts";

/** Of the answers' softmax: at 1 a network that is sure of its samples says of few of them what would change its mind. */
export const answerTemperature = 4;

/**
 * A gradient at the answer whose outer product is, in the mean over the signs, the Fisher matrix diag(p) − p pᵀ of p = softmax(logits / T):
 * v = √p ∘ ε − p · (√p · ε) with ε = ±1. A class drawn from p has the same mean, but for sure answers hardly ever says anything.
 *
 * @param logits of one sample
 * @param sign   ε of a class
 */
export function fisherDraw(logits: ArrayLike<number>, temperature: number, sign: (k: number) => 1 | -1): Float32Array {
  const p = logSoftmax(logits, logits.length, temperature).map(exp);
  const signed = p.map((share, k) => sign(k) * Math.sqrt(share));
  const sum = signed.reduce((total, v) => total + v, 0);
  return Float32Array.from(signed, (v, k) => v - p[k]! * sum);
}

/** A layer's outputs as the inputs of a layer without a window: sums of their products are gathered in the same way. */
export function outputsView(view: LayerView): LayerView {
  const { node, rows } = view;
  return { ...view, node: { ...node, attributes: { group: view.groups } }, input: node.outputs[0]!, columns: rows, depthwise: false };
}

/**
 * What is added to the diagonal of S, as a share of its mean. Channels that a few hundred gradients say little of, or that seem to
 * replace each other, still count.
 */
const damping = 0.1;

/**
 * S of every group, [groups][rows][rows], damped, its diagonal 1 in the mean over the layer; undefined where no output matters.
 *
 * @param sums Σ (g, 1)(g, 1)ᵀ as gathered: the upper triangle counts
 */
export function outputWeights(view: LayerView, sums: Float64Array): Float64Array | undefined {
  const { groups, rows } = view;
  const ld = extended({ depthwise: false }, rows);
  const at = (g: number, i: number, j: number): number => sums[(g * ld + Math.min(i, j)) * ld + Math.max(i, j)]!;
  let mean = 0;
  for (let g = 0; g < groups; g++) for (let i = 0; i < rows; i++) mean += at(g, i, i) / (groups * rows);
  if (!(mean > 0)) return undefined;
  const scale = 1 / (mean * (1 + damping));
  const weights = new Float64Array(groups * rows * rows);
  for (let g = 0, to = 0; g < groups; g++)
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < rows; j++, to++) weights[to] = (at(g, i, j) + (i === j ? damping * mean : 0)) * scale;
  return weights;
}
