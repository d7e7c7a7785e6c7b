// The float network on its quantized weights: what weights alone cost, with every activation in float.
import { dequantizeWeights } from "../formats/weights.ts";
import { factOfConstant } from "../graph/infer.ts";
import type { Graph, GraphNode, Tensor } from "../graph/types.ts";
import { biasScale } from "../quantized/bias.ts";
import { findBiases } from "../quantized/fusions.ts";
import { realWeights } from "../quantized/pixels.ts";
import type { Quantized } from "../quantized/types.ts";

/** The graph with each weight, and each bias that a method chose, replaced by the real numbers that its codes stand for. */
export function hardenedGraph(quantized: Quantized): Graph {
  const { graph, weights, pixels } = quantized;
  const constants = new Map(graph.constants);
  const facts = new Map(graph.facts);
  const replaced = new Map<GraphNode, Map<string, string>>();
  /** A name of its own: two nodes may share a tensor and have codes of their own. */
  const replace = (node: GraphNode, constant: string, owner: string, tensor: Tensor): void => {
    const name = `${constant}~${owner}`;
    constants.set(name, tensor);
    facts.set(name, factOfConstant(tensor));
    replaced.set(node, new Map([...(replaced.get(node) ?? []), [constant, name]]));
  };
  const biases = findBiases(graph);
  for (const node of graph.nodes) {
    const weight = weights.get(node.name);
    if (!weight) continue;
    const own = pixels?.weights.get(node.name);
    replace(node, node.inputs[1]!, node.name, pixels && own ? realWeights(node, own, pixels) : dequantizeWeights(weight));
    const bias = biases.get(node);
    const codes = (own ? pixels : quantized)?.biases?.get(node.name);
    const step = own ? pixels?.step : quantized.activations.get(node.inputs[0]!)?.scale[0];
    if (!bias || !codes || step === undefined) continue;
    const { scale } = (own ?? weight).encoding;
    const data = Float32Array.from(codes, (code, o) => code * biasScale(step, scale[scale.length === 1 ? 0 : o]!));
    replace(bias.reader, bias.constant, node.name, { dtype: "float32", dims: graph.constants.get(bias.constant)!.dims, data });
  }
  const nodes = graph.nodes.map((node): GraphNode => {
    const names = replaced.get(node);
    return names ? { ...node, inputs: node.inputs.map((input) => names.get(input) ?? input) } : node;
  });
  const read = new Set(nodes.flatMap(({ inputs }) => inputs));
  for (const name of graph.constants.keys()) {
    if (read.has(name) || graph.outputs.includes(name)) continue;
    constants.delete(name);
    facts.delete(name);
  }
  return { ...graph, nodes, constants, facts };
}
