import { inferFacts } from "../../src/graph/infer.ts";
import { sortNodes } from "../../src/graph/order.ts";
import { float32, int64s } from "../../src/graph/tensors.ts";
import type { Attribute, Dim, Fact, Graph, GraphNode, Tensor } from "../../src/graph/types.ts";

/** "y = Op(a, b)" with attributes: one node of a test graph. Its name is that of its first output. */
export function node(text: string, attributes: Record<string, Attribute> = {}): GraphNode {
  const [outputs = "", op = "", inputs = ""] = /^(.*?) = (\w+)\((.*)\)$/.exec(text)?.slice(1) ?? [];
  const list = (names: string): string[] => (names === "" ? [] : names.split(",").map((name) => name.trim()));
  return { name: list(outputs)[0]!, op, inputs: list(inputs), outputs: list(outputs), attributes };
}

/** A graph with float32 inputs of these sizes; facts inferred. */
export function graphOf(
  inputs: Record<string, readonly Dim[]>,
  nodes: readonly GraphNode[],
  constants: Record<string, Tensor> = {},
  outputs: readonly string[] = [nodes.at(-1)!.outputs[0]!],
): Graph {
  const facts = new Map(Object.entries(inputs).map(([name, dims]): [string, Fact] => [name, { dtype: "float32", dims }]));
  const names = Object.keys(inputs);
  const sorted = sortNodes(nodes, [...names, ...Object.keys(constants)], outputs);
  return inferFacts({
    name: "test",
    inputs: names,
    outputs,
    nodes: sorted,
    constants: new Map(Object.entries(constants)),
    facts,
    notes: new Map(),
  });
}

/** Numbers in (−1, 1) that depend on the seed alone: a linear congruential generator. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 0x80000000 - 1;
  };
}

/** A float32 tensor of random numbers around `centre`. */
export function randomTensor(dims: readonly number[], seed: number, centre = 0): Tensor {
  const next = random(seed);
  const count = dims.reduce((product, size) => product * size, 1);
  return float32(
    dims,
    Array.from({ length: count }, () => centre + next()),
  );
}

export { float32, int64s };

/** The operators of a graph, in order. */
export const opsOf = (graph: Graph): string[] => graph.nodes.map(({ op }) => op);
