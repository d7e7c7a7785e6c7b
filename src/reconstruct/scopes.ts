// What is learned at once: a list of parts of the graph in order of execution, together all of it.
import type { Graph, GraphNode } from "../graph/types.ts";
import { findBlocks } from "../graph/units.ts";
import { isWeighted, readers } from "../quantized/fusions.ts";
import { findUnits, type Unit, unitNodes } from "../quantized/units.ts";
import type { ScopeName } from "./methods.ts";

/** A part of the graph. Values are named in the order of the graph. */
export interface Part {
  readonly name: string;
  readonly nodes: readonly GraphNode[];
  /** Values from outside, constants left out. */
  readonly inputs: readonly string[];
  /** Values that others read, or outputs of the graph. */
  readonly outputs: readonly string[];
}

/** Nodes in groups that become parts, in order. */
type Grouping = (graph: Graph, units: readonly Unit[]) => readonly (readonly GraphNode[])[];

const hasWeights = (graph: Graph, nodes: readonly GraphNode[]): boolean => nodes.some((node) => isWeighted(graph, node));

/**
 * Nothing without weights is a part of its own: a function of one value belongs to what made the value, anything else (pools, reshapes)
 * to what reads it next.
 */
function withWeights(graph: Graph, groups: readonly { readonly nodes: GraphNode[]; readonly follows: boolean }[]): GraphNode[][] {
  const parts: GraphNode[][] = [];
  let waiting: GraphNode[] = [];
  for (const { nodes, follows } of groups) {
    if (hasWeights(graph, nodes)) {
      parts.push([...waiting, ...nodes]);
      waiting = [];
    } else if (follows && waiting.length === 0 && parts.length > 0) parts.at(-1)!.push(...nodes);
    else waiting.push(...nodes);
  }
  if (waiting.length > 0) {
    if (parts.length > 0) parts.at(-1)!.push(...waiting);
    else parts.push(waiting);
  }
  return parts;
}

const layers: Grouping = (graph, units) =>
  withWeights(
    graph,
    units.map((unit) => ({ nodes: [...unitNodes(unit)], follows: unit.kind === "pointwise" })),
  );

/** The blocks of the graph (graph/units.ts); a node of none belongs to the first block that ends after it. */
const blocks: Grouping = (graph) => {
  const position = new Map(graph.nodes.map((node, i) => [node, i]));
  const groups = findBlocks(graph).map(({ nodes }) => [...nodes]);
  const ends = groups.map((nodes) => Math.max(...nodes.map((node) => position.get(node)!)));
  const taken = new Set(groups.flat());
  for (const node of graph.nodes) {
    if (taken.has(node)) continue;
    const next = ends.findIndex((end) => end > position.get(node)!);
    (groups.at(next) ?? groups[groups.push([]) - 1]!).push(node);
  }
  return groups;
};

/** Spatial sizes of what a group of nodes ends with. */
function resolution(graph: Graph, nodes: readonly GraphNode[]): string {
  const last = nodes.reduce((a, b) => (graph.nodes.indexOf(b) > graph.nodes.indexOf(a) ? b : a));
  return graph.facts.get(last.outputs[0]!)?.dims?.slice(2).join("×") ?? "";
}

/** Neighbouring blocks whose outputs have one resolution. */
const stages: Grouping = (graph, units) => {
  const groups: GraphNode[][] = [];
  let last: string | undefined;
  for (const nodes of blocks(graph, units)) {
    const own = resolution(graph, nodes);
    if (own === last) groups.at(-1)!.push(...nodes);
    else groups.push([...nodes]);
    last = own;
  }
  return groups;
};

export const scopes: Readonly<Record<ScopeName, Grouping>> = { layer: layers, block: blocks, stage: stages };

const functions: ReadonlySet<string> = new Set([
  "Relu",
  "LeakyRelu",
  "PRelu",
  "Clip",
  "HardSwish",
  "HardSigmoid",
  "Sigmoid",
  "Swish",
  "Gelu",
]);

/** The part without its last activation, where one value ends it and nobody else reads what goes in; else the part. */
export function beforeActivation(graph: Graph, part: Part): Part {
  const last = part.nodes.find((node) => node.outputs.includes(part.outputs[0]!));
  const before = last?.inputs[0];
  if (part.outputs.length !== 1 || !last || !before || !functions.has(last.op)) return part;
  const nodes = part.nodes.filter((node) => node !== last);
  const alone = (readers(graph).get(before) ?? []).every((reader) => reader === last);
  return alone && nodes.some((node) => node.outputs.includes(before)) ? { ...part, nodes, outputs: [before] } : part;
}

/** The parts of a prepared graph under a scope. */
export function findParts(graph: Graph, scope: ScopeName): Part[] {
  const position = new Map(graph.nodes.map((node, i) => [node, i]));
  const readersOf = readers(graph);
  const seen = new Set<GraphNode>();
  return scopes[scope](graph, findUnits(graph, "wide")).map((group) => {
    // Two tables may share nodes: the first part that has a node makes its value.
    const nodes = [...new Set(group)].filter((node) => !seen.has(node)).sort((a, b) => position.get(a)! - position.get(b)!);
    for (const node of nodes) seen.add(node);
    const own = new Set(nodes);
    const made = new Set(nodes.flatMap((node) => node.outputs));
    const inputs = new Set(nodes.flatMap((node) => node.inputs.filter((name) => name && !made.has(name) && !graph.constants.has(name))));
    const outputs = nodes.flatMap((node) =>
      node.outputs.filter((name) => name && (readersOf.get(name) ?? []).some((reader) => !reader || !own.has(reader))),
    );
    const anchor = nodes.find((node) => isWeighted(graph, node)) ?? nodes[0]!;
    return { name: anchor.name, nodes, inputs: [...inputs], outputs };
  });
}
