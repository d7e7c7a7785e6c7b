// The float network and its quantized twin as one graph: each node is followed by its double, so that both inputs of a layer are there at
// the same time.
import { factOfConstant } from "../../graph/infer.ts";
import type { Fact, Graph, GraphNode, Tensor } from "../../graph/types.ts";
import { subgraph } from "../../graph/subgraph.ts";

/** An activation with codes: real = step · (code − zero), lo ≤ code ≤ hi. */
export interface ActivationSite {
  readonly value: string;
  readonly step: number;
  readonly zero: number;
  readonly lo: number;
  readonly hi: number;
}

/** The quantized network so far. Its numbers are float32 beside it, at offsets counted in floats. */
export interface TwinOptions {
  readonly sites: readonly ActivationSite[];
  readonly settled: readonly { readonly node: string; readonly weights: number; readonly bias?: number | undefined }[];
}

/** Weights and bias of a node whose codes are settled. */
export interface Settled {
  readonly weights: Tensor;
  readonly bias?: Tensor | undefined;
}

/** The double of a value or node. */
export const twinName = (name: string): string => (name === "" ? "" : `${name} (twin)`);

/**
 * Both networks up to some layers: their inputs in the twin, still there when their outputs in the float network are made.
 *
 * @param settled by node name; other nodes keep their float weights in the twin
 */
export function twinGraph(graph: Graph, layers: readonly GraphNode[], settled: ReadonlyMap<string, Settled>): Graph {
  const inputs = layers.map((node) => node.inputs[0]!);
  const part = subgraph(graph, graph.inputs, [...inputs, ...layers.map((node) => node.outputs[0]!)]);
  const doubled = new Set(subgraph(graph, graph.inputs, inputs).nodes);
  const constants = new Map(part.constants);
  const facts = new Map(part.facts);
  const double = (name: string): string => (part.constants.has(name) ? name : twinName(name));
  const constant = (name: string, tensor: Tensor): string => {
    constants.set(name, tensor);
    facts.set(name, factOfConstant(tensor));
    return name;
  };
  const copyFact = (name: string): void => {
    const fact = part.facts.get(name) as Fact;
    facts.set(twinName(name), fact);
  };
  const nodes = part.nodes.flatMap((node): GraphNode[] => {
    if (!doubled.has(node)) return [node];
    const inputs = node.inputs.map(double);
    const own = settled.get(node.name);
    if (own) {
      inputs[1] = constant(`${node.name} (weights)`, own.weights);
      if (own.bias) inputs[2] = constant(`${node.name} (bias)`, own.bias);
    }
    for (const output of node.outputs) if (output) copyFact(output);
    return [node, { ...node, name: twinName(node.name), inputs, outputs: node.outputs.map(twinName) }];
  });
  for (const input of part.inputs) copyFact(input);
  // A layer's double reads its input after the layer itself has run; where there is none, the input must outlive the others' reading.
  const outlive = layers.filter((node) => !doubled.has(node)).map((node) => twinName(node.inputs[0]!));
  const unread = unreadOf(
    nodes,
    layers.map((node) => node.outputs[0]!),
  );
  return {
    ...part,
    nodes,
    constants,
    facts,
    inputs: [...part.inputs, ...part.inputs.map(twinName)],
    outputs: [...new Set([...unread, ...outlive])],
  };
}

/** The part of a graph that makes some values. */
export function partOf(graph: Graph, wanted: readonly string[]): Graph {
  const part = subgraph(graph, graph.inputs, wanted);
  return { ...part, outputs: unreadOf(part.nodes, wanted) };
}

/** Values that no node reads: they live as outputs, the others by themselves. */
function unreadOf(nodes: readonly GraphNode[], values: readonly string[]): string[] {
  const read = new Set(nodes.flatMap(({ inputs }) => inputs));
  return [...new Set(values)].filter((name) => !read.has(name));
}
