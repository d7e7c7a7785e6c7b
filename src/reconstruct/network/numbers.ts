// Everything about a network that is learned, as one array: quantized weights, biases, step sizes of activations.
import { findBiases, isWeighted } from "../../quantized/fusions.ts";
import type { Quantized } from "../../quantized/types.ts";
import type { Quantizer } from "../unit.ts";

/** Where a constant of the instrumented graph lies in the array. */
export interface Slot {
  readonly kind: "weight" | "bias" | "step";
  /** Node of the weight or the bias, or group of the step. */
  readonly name: string;
  /** The constant: a weight's own, a bias as the graph has it. */
  readonly constant: string;
  readonly offset: number;
  readonly length: number;
}

export interface NumbersLayout {
  readonly slots: readonly Slot[];
  readonly length: number;
}

/** Weights and biases in order of execution, then the step sizes. A bias that two nodes share stays as it is. */
export function numbersLayout(quantized: Quantized, quantizers: readonly Quantizer[]): NumbersLayout {
  const { graph } = quantized;
  const slots: Slot[] = [];
  let length = 0;
  const add = (kind: Slot["kind"], name: string, constant: string, count: number): void => {
    slots.push({ kind, name, constant, offset: length, length: count });
    length += count;
  };
  const biases = findBiases(graph);
  const users = new Map<string, number>();
  for (const { constant } of biases.values()) users.set(constant, (users.get(constant) ?? 0) + 1);
  for (const node of graph.nodes) {
    const weight = quantized.weights.get(node.name);
    if (!weight || !isWeighted(graph, node)) continue;
    add("weight", node.name, node.inputs[1]!, weight.codes.length);
    const bias = biases.get(node)?.constant;
    if (bias && users.get(bias) === 1 && quantized.activations.has(node.inputs[0]!)) {
      add("bias", node.name, bias, graph.constants.get(bias)!.data.length);
    }
  }
  for (const group of new Set(quantizers.map(({ group }) => group))) add("step", group, group, 1);
  return { slots, length };
}
