// What rounding the weights adds to a layer's outputs on average, W x − Ŵ x by channel, as a network of its own: behind every layer stands
// another one with the weights' errors for weights, and its outputs are averaged over their positions.
import { decodeCodes } from "../formats/linear.ts";
import { factOfConstant, withConstants } from "../graph/infer.ts";
import type { Fact, Graph, GraphNode, Tensor } from "../graph/types.ts";
import type { QuantizedWeight } from "./types.ts";

/** Layers with a bias of their own for each output channel: Conv, ConvTranspose, Gemm. */
const hasBias = (graph: Graph, { inputs: [, , bias = ""] }: GraphNode): boolean => graph.constants.get(bias)?.dims.length === 1;

/** Nodes whose bias can take their mean error, in the order of the outputs of `roundingErrors`. */
export const correctable = (graph: Graph, weights: ReadonlyMap<string, QuantizedWeight>): GraphNode[] =>
  graph.nodes.filter((node) => weights.has(node.name) && hasBias(graph, node));

/** A graph that answers with the mean error of each correctable layer, [N, C, 1, …] or [N, C]; inputs are those of the float network. */
export function roundingErrors(graph: Graph, weights: ReadonlyMap<string, QuantizedWeight>): Graph {
  const constants = new Map(graph.constants);
  const facts = new Map(graph.facts);
  const outputs: string[] = [];
  const add = (node: GraphNode, fact: Fact): GraphNode => {
    facts.set(node.outputs[0]!, fact);
    return node;
  };
  const chosen = new Set(correctable(graph, weights));
  const nodes = graph.nodes.flatMap((node): GraphNode[] => {
    if (!chosen.has(node)) return [node];
    const { dims, data } = graph.constants.get(node.inputs[1]!)!;
    const { codes, encoding } = weights.get(node.name)!;
    const decoded = decodeCodes(codes, dims, encoding);
    const errors: Tensor = { dtype: "float32", dims, data: (data as Float32Array).map((w, i) => w - decoded[i]!) };
    const name = `${node.name} (rounding)`;
    const weight = `${name} weights`;
    constants.set(weight, errors);
    facts.set(weight, factOfConstant(errors));
    const own = facts.get(node.outputs[0]!)!;
    const shadow = add({ ...node, name, inputs: [node.inputs[0]!, weight], outputs: [name] }, own);
    const spatial = own.dims!.length > 2;
    outputs.push(spatial ? `${name} mean` : name);
    if (!spatial) return [node, shadow];
    const fact: Fact = { dtype: "float32", dims: own.dims!.map((d, axis) => (axis < 2 ? d : 1)) };
    const mean: GraphNode = { name: `${name} mean`, op: "GlobalAveragePool", inputs: [name], outputs: [`${name} mean`], attributes: {} };
    return [node, shadow, add(mean, fact)];
  });
  return { ...graph, nodes, constants, facts, outputs };
}

/**
 * The graph with biases that give back what rounding takes on average: b + E[W x − Ŵ x].
 *
 * @param errors by name of the node, [C]
 * @source Nagel et al. 2019, "Data-free quantization through weight equalization and bias correction" §4.2, with E[x] of samples
 */
export function correctBiases(graph: Graph, errors: ReadonlyMap<string, ArrayLike<number>>): Graph {
  const changed = new Map<string, Tensor>();
  const nodes = graph.nodes.map((node): GraphNode => {
    const error = errors.get(node.name);
    if (!error) return node;
    const { dims, data } = graph.constants.get(node.inputs[2]!)!;
    const tensor: Tensor = { dtype: "float32", dims, data: (data as Float32Array).map((b, c) => b + error[c]!) };
    const shared = graph.nodes.some((other) => other !== node && other.inputs.includes(node.inputs[2]!));
    const name = shared ? `${node.name} (bias)` : node.inputs[2]!;
    changed.set(name, tensor);
    return { ...node, inputs: [...node.inputs.slice(0, 2), name] };
  });
  return { ...withConstants(graph, changed), nodes };
}
