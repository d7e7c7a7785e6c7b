// Operators that only move codes: one encoding on both sides, wherever the file wrote it.
import type { Encoding } from "../formats/encoding.ts";
import type { Graph, GraphNode } from "../graph/types.ts";
import { readers } from "../quantized/fusions.ts";
import { moves } from "../quantized/sites.ts";
import { sameEncoding } from "./codes.ts";

/**
 * Encodings carried over operators that move codes, forward and backward, to values that the file left without: rounding commutes with
 * moving, so nothing changes. Where both sides have one and they differ, the codes move in the first and are encoded anew.
 *
 * @param encodings by value; completed in place
 */
export function completeMoves(graph: Graph, encodings: Map<string, Encoding>): Graph {
  const readersOf = readers(graph);
  while (
    graph.nodes.some((node) => forward(graph, node, encodings)) ||
    graph.nodes.toReversed().some((node) => backward(graph, node, encodings, readersOf))
  );
  const nodes = graph.nodes.flatMap((node) => (moves(node) ? reencoded(node, encodings) : [node]));
  return { ...graph, nodes };
}

const carries = (node: GraphNode): boolean => moves(node) || node.op === "Concat";

/** What is moved: the first input, or all of a concatenation's. */
const moved = (graph: Graph, node: GraphNode): readonly string[] =>
  (node.op === "Concat" ? node.inputs : node.inputs.slice(0, 1)).filter((name) => !graph.constants.has(name));

const outputs = (node: GraphNode): readonly string[] => node.outputs.filter((name) => name);

/** The one encoding of some values, if they have one. */
function common(values: readonly string[], encodings: ReadonlyMap<string, Encoding>): Encoding | undefined {
  const found = values.map((value) => encodings.get(value));
  const [first] = found;
  return first && found.every((other) => other && sameEncoding(first, other)) ? first : undefined;
}

function give(values: readonly string[], encoding: Encoding, encodings: Map<string, Encoding>): boolean {
  const missing = values.filter((value) => !encodings.has(value));
  for (const value of missing) encodings.set(value, encoding);
  return missing.length > 0;
}

function forward(graph: Graph, node: GraphNode, encodings: Map<string, Encoding>): boolean {
  if (!carries(node)) return false;
  const encoding = common(moved(graph, node), encodings);
  return encoding !== undefined && give(outputs(node), encoding, encodings);
}

/** Legal where every reader of the input wants these codes. */
function backward(
  graph: Graph,
  node: GraphNode,
  encodings: Map<string, Encoding>,
  readersOf: ReadonlyMap<string, readonly (GraphNode | undefined)[]>,
): boolean {
  if (!carries(node)) return false;
  const encoding = common(outputs(node), encodings);
  if (!encoding) return false;
  const wants = (reader: GraphNode | undefined): boolean => {
    if (!reader || !carries(reader)) return false;
    const other = common(outputs(reader), encodings);
    return other !== undefined && sameEncoding(other, encoding);
  };
  const open = moved(graph, node).filter((value) => !encodings.has(value) && readersOf.get(value)!.every(wants));
  return give(open, encoding, encodings);
}

function reencoded(node: GraphNode, encodings: Map<string, Encoding>): GraphNode[] {
  const from = encodings.get(node.inputs[0]!);
  const behind: GraphNode[] = [];
  const renamed = node.outputs.map((output) => {
    const to = encodings.get(output);
    if (!from || !to || sameEncoding(from, to)) return output;
    const name = `${output}/moved`;
    encodings.set(name, from);
    behind.push({ name: `${node.name}/encode`, op: "Max", inputs: [name], outputs: [output], attributes: {} });
    return name;
  });
  return [behind.length > 0 ? { ...node, outputs: renamed } : node, ...behind];
}
