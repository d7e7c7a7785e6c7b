// The float network on its quantized weights: what weights alone cost, with every activation in float.
import { dequantizeWeights } from "../formats/weights.ts";
import type { Fact, Graph, GraphNode, Tensor } from "../graph/types.ts";
import { realWeights } from "../quantized/pixels.ts";
import type { Quantized } from "../quantized/types.ts";

/** The graph with each weight replaced by the real numbers that its codes stand for. */
export function hardenedGraph({ graph, weights, pixels }: Quantized): Graph {
  const constants = new Map(graph.constants);
  const facts = new Map(graph.facts);
  const nodes = graph.nodes.map((node): GraphNode => {
    const weight = weights.get(node.name);
    if (!weight) return node;
    // A name of its own: two nodes may share a tensor and have codes of their own.
    const name = `${node.inputs[1]}~${node.name}`;
    const own = pixels?.weights.get(node.name);
    const tensor: Tensor = pixels && own ? realWeights(node, own, pixels) : dequantizeWeights(weight);
    constants.set(name, tensor);
    facts.set(name, { dtype: "float32", dims: tensor.dims, constant: tensor } satisfies Fact);
    return { ...node, inputs: node.inputs.map((input, i) => (i === 1 ? name : input)) };
  });
  const read = new Set(nodes.flatMap(({ inputs }) => inputs));
  for (const name of graph.constants.keys()) {
    if (read.has(name) || graph.outputs.includes(name)) continue;
    constants.delete(name);
    facts.delete(name);
  }
  return { ...graph, nodes, constants, facts };
}
